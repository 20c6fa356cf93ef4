//! `afk demo`: one issue from Markdown file to closed, and one that is refused, with nothing mocked.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Args;

use super::exit::{ExitStatus, Failure};
use super::output::{BAD, FAINT, GOOD, Output, STRONG, printable};
use super::tick::{self, Outcome, Performed, Request};
use crate::adapters::installation::TickKind;
use crate::engine::select::fired;
use crate::ticks::world::Report;

/// Watch one issue go through its whole life in a throwaway directory, and another one refused
///
/// Real git, real clones, real processes; only the agent is a toy. Nothing outside the directory is touched and no account
/// is needed.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// No pauses between the steps
    #[arg(long)]
    pub fast: bool,
    /// Build it here and leave it there, instead of in a new temporary directory
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Everything the demo uses lies in `examples/quickstart`, to be read; this is that folder.
const FILES: &[(&str, &str)] = &[
    ("README.md", include_str!("../../examples/quickstart/README.md")),
    ("afk.settings.toml", include_str!("../../examples/quickstart/afk.settings.toml")),
    ("agent.sh", include_str!("../../examples/quickstart/agent.sh")),
    ("issues/0001.md", include_str!("../../examples/quickstart/issues/0001.md")),
    ("issues/0002.md", include_str!("../../examples/quickstart/issues/0002.md")),
    ("policies/afk.toml", include_str!("../../examples/quickstart/policies/afk.toml")),
    ("policies/prompts/implement.md", include_str!("../../examples/quickstart/policies/prompts/implement.md")),
    ("policies/prompts/fix-forward.md", include_str!("../../examples/quickstart/policies/prompts/fix-forward.md")),
    ("repository/README.md", include_str!("../../examples/quickstart/repository/README.md")),
    ("repository/ci.sh", include_str!("../../examples/quickstart/repository/ci.sh")),
    ("repository/greet.sh", include_str!("../../examples/quickstart/repository/greet.sh")),
    ("repository/test.sh", include_str!("../../examples/quickstart/repository/test.sh")),
    (
        "repository/tests/greets_without_a_name.sh",
        include_str!("../../examples/quickstart/repository/tests/greets_without_a_name.sh"),
    ),
];

/// A demo that takes longer than this has gone wrong.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs it.
///
/// # Errors
/// When the directory cannot be built, or the run does not end as it should.
pub fn run(arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    let directory = match &arguments.dir {
        Some(directory) => directory.clone(),
        None => std::env::temp_dir().join(format!("afk-demo-{}", std::process::id())),
    };
    build(&directory)?;
    let directory = directory.canonicalize().map_err(|error| cannot("find", &directory, &error))?;
    let shown = directory.display();
    out.line(format_args!(
        "{STRONG}afk demo{STRONG:#}: one issue, from Markdown file to closed, and one that is refused. Real git, real clones, real \
         processes; a toy agent (examples/quickstart/agent.sh).\nEverything is in {shown}; nothing else is touched. Press \
         Ctrl-C to stop.\n"
    ));
    let mut demo = Demo { directory: directory.clone(), began: Instant::now(), arguments, out };
    demo.say(
        "you",
        "issue #1 \"greet() ignores the name\" lies in issues/0001.md, armed by ada, who administers the repository",
        "",
    );
    demo.say("", "issue #2 lies in issues/0002.md, armed by mallory, who may only read\n", "");
    demo.first_story()?;
    demo.second_story()?;
    let afk = std::env::current_exe().map_or("afk".to_owned(), |program| program.display().to_string());
    demo.out.line(format_args!(
        "\n{GOOD}Done.{GOOD:#} What decided all this is one file: {shown}/policies/afk.toml\n\n\
         Try:  cd {shown}\n\
         \x20     {afk} explain --issue 1   # the run that has just ended\n\
         \x20     {afk} explain --issue 2   # why the second issue was not taken\n\
         \x20     $EDITOR policies/afk.toml   # then: {afk} check-policy\n\
         \x20     {afk} init   # in a repository of your own\n\n\
         {shown} stays for that; delete it when you are done."
    ));
    Ok(ExitStatus::Done)
}

struct Demo<'a> {
    directory: PathBuf,
    began: Instant,
    arguments: &'a Arguments,
    out: &'a mut Output,
}

impl Demo<'_> {
    /// Polls until the issue is taken, watches until its run is over.
    fn first_story(&mut self) -> Result<(), Failure> {
        self.tick(TickKind::Poll)?;
        while self.began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(if self.arguments.fast { 50 } else { 400 }));
            if let Outcome::Watched(in_flight) = self.tick(TickKind::Watch)?
                && in_flight.is_empty()
            {
                return self.expect("issues/0001.md", "closed = ");
            }
        }
        Err(Failure::could_not_run("the demo's run did not end")
            .help(format!("look at it in `{}`", self.directory.display())))
    }

    /// Polls again: the repository is free, and the second issue is refused for trust.
    fn second_story(&mut self) -> Result<(), Failure> {
        let refused = match self.tick(TickKind::Poll)? {
            Outcome::Polled(survey, _) => !survey.armed.is_empty() && survey.dispatched().is_empty(),
            Outcome::Watched(_) => false,
        };
        if refused {
            Ok(())
        } else {
            Err(Failure::could_not_run("the second issue should have been refused, and was not"))
        }
    }

    fn tick(&mut self, kind: TickKind) -> Result<Outcome, Failure> {
        let (policy, settings) = (self.directory.join("policies/afk.toml"), self.directory.join("afk.settings.toml"));
        let request = Request { kind, policy: &policy, settings: &settings, dry_run: false, snapshot: false };
        match tick::perform(request)? {
            Performed::Ran { policy, outcome, report, .. } => {
                self.tell(kind, &report);
                if let Outcome::Polled(survey, _) = &outcome {
                    let candidates = &survey.candidates;
                    for (index, (armed, decision)) in survey.armed.iter().zip(&survey.decisions).enumerate() {
                        let name = candidates.get(index).and_then(|candidate| fired(&policy, candidate, decision));
                        if let Some(name) = name {
                            let why = crate::engine::select::sentence(&policy, candidates, index, decision);
                            self.say("afk poll", &format!("{}: not taken, {name}", armed.issue.reference), &why);
                        }
                    }
                }
                Ok(outcome)
            }
            Performed::SwitchedOff(_, why) => Err(Failure::could_not_run(format!("the kill switch is on: {why}"))),
            Performed::BrokenPolicy(_) => {
                Err(Failure::could_not_run("the demo's policy cannot be used").help("afk check-policy"))
            }
        }
    }

    fn tell(&mut self, kind: TickKind, report: &Report) {
        for event in &report.events {
            self.say(&format!("afk {}", kind.word()), &format!("{}: {}", event.issue, event.what), &event.detail);
        }
        for problem in &report.problems {
            self.say(&format!("afk {}", kind.word()), &format!("{BAD}skipped{BAD:#} {}", printable(problem)), "");
        }
    }

    fn say(&mut self, who: &str, what: &str, detail: &str) {
        let seconds = self.began.elapsed().as_secs_f32();
        let line = format!("  {seconds:4.1}s  {who:<10} ");
        match detail {
            "" => self.out.line(format_args!("{line}{}", what.trim_end_matches(' '))),
            detail => self.out.line(format_args!("{line}{what:<34} {FAINT}{}{FAINT:#}", printable(detail))),
        }
    }

    fn expect(&self, file: &str, text: &str) -> Result<(), Failure> {
        let path = self.directory.join(file);
        let content = std::fs::read_to_string(&path).map_err(|error| cannot("read", &path, &error))?;
        if content.contains(text) {
            Ok(())
        } else {
            Err(Failure::could_not_run(format!("the run is over, and `{}` does not say `{text}`", path.display())))
        }
    }
}

/// Lays the files out and makes the bare repository that the toy agent pushes to.
fn build(directory: &Path) -> Result<(), Failure> {
    if directory.exists() && std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Failure::could_not_run(format!("`{}` is not empty", directory.display()))
            .help("name a new directory with `--dir`"));
    }
    for (name, content) in FILES {
        let path = directory.join(name);
        let parent = path.parent().unwrap_or(directory);
        std::fs::create_dir_all(parent).map_err(|error| cannot("create", parent, &error))?;
        std::fs::write(&path, content).map_err(|error| cannot("write", &path, &error))?;
        if name.ends_with(".sh") {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
                .map_err(|error| cannot("mark", &path, &error))?;
        }
    }
    let seed = directory.join("repository");
    git(&seed, &["init", "--quiet", "--initial-branch=main"])?;
    git(&seed, &["add", "--all"])?;
    git(
        &seed,
        &["-c", "user.name=ada", "-c", "user.email=ada@localhost", "commit", "--quiet", "--message=Greet the world"],
    )?;
    git(directory, &["clone", "--quiet", "--bare", "repository", "greeter.git"])
}

fn git(directory: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(directory);
    command.env_clear().env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    let output = command.output().map_err(|error| {
        Failure::could_not_run(format!("cannot run git: {error}"))
            .help("the demo works with real repositories; install git")
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = crate::text::clean_line(&String::from_utf8_lossy(&output.stderr), 300);
    Err(Failure::could_not_run(format!("git {} failed: {said}", arguments.first().unwrap_or(&""))))
}

fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::could_not_run(format!("cannot {verb} `{}`: {error}", path.display()))
}

const AFTER_HELP: &str = "\
Exit codes:
  0  the demo ran to its end
  4  it could not run

Examples:
  afk demo
  afk demo --fast --dir /tmp/afk-demo";
