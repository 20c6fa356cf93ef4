//! `afk init`: a first policy and settings for a repository.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use chrono::{SecondsFormat, Utc};
use clap::Args;
use minijinja::{Environment, UndefinedBehavior, context};
use uuid::Uuid;

use super::exit::{ExitStatus, Failure};
use super::output::{FAINT, GOOD, Output, printable};

mod forge;
mod repository;

use forge::Workflow;
use repository::{GITHUB, Repository};

const POLICY: &str = include_str!("../../policies/afk.toml");
const TESTS: &str = include_str!("../../policies/afk.test.toml");
const IMPLEMENT: &str = include_str!("../../policies/prompts/implement.md");
const FIX_FORWARD: &str = include_str!("../../policies/prompts/fix-forward.md");
const SCHEMA: &str = include_str!("../../schema/afk-policy.schema.json");
const SETTINGS: &str = include_str!("init/afk.settings.toml");
const ISSUE: &str = include_str!("init/issue.md");
const CLAUDE: &str = include_str!("../../examples/agents/claude.settings.toml");
const CODEX: &str = include_str!("../../examples/agents/codex.settings.toml");
const T3: &str = include_str!("../../examples/agents/t3.settings.toml");

/// What of the shipped policy is said otherwise, so that it fits the settings written beside it.
const ADAPTED: [(&str, &str); 2] = [
    ("#:schema ../schema/afk-policy.schema.json\n", "#:schema afk-policy.schema.json\n"),
    ("executor     = \"t3\"\n", "executor     = \"agent\"                      # [executors.agent] of the settings\n"),
];

/// The same where no forge reports checks.
const WITHOUT_CHECKS: (&str, &str) = (
    "name    = \"build\"\n\
         source  = \"checks\"                          # what the forge itself reports for the commit\n\
         require = \"all\"                             # better: the names that must be green, [\"build\", \"test\"]\n",
    "name    = \"test\"\n\
         source  = \"command\"\n\
         command = \"test\"                            # [ci.test] of the settings\n",
);

/// Write a first policy, its tests and prompts, the settings of this installation, and a workflow that judges policy pull requests
///
/// The policy is disabled: nothing runs until the kill switch is off and a repository is on the allowlist. The workflow
/// is that of the forge that `origin` is on. Where that is GitHub, issues and checks are GitHub's; else issues are files.
/// Files that exist are left alone.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The directory to write into
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Issues as Markdown files, although `origin` is on GitHub
    #[arg(long)]
    pub local: bool,
}

/// Runs it.
///
/// # Errors
/// When a file cannot be written.
pub fn run(arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    let dir = &arguments.dir;
    fs::create_dir_all(dir).map_err(|error| could_not_write(dir, &error))?;
    let repository = Repository::around(dir);
    let login = login();
    let github = repository.github().filter(|_| !arguments.local);

    let tracker = if github.is_some() { "issues and checks of GitHub, " } else { "" };
    let summary = format!("{tracker}{}", repository.summary());
    let mut files = vec![
        ("policies/afk.toml", policy(github.is_some()), "disabled: kill_switch = true, allowlist empty".to_owned()),
        (
            "policies/afk.test.toml",
            TESTS.to_owned(),
            format!("{} cases, coverage 100 %", TESTS.matches("\n[[cases]]").count()),
        ),
        ("policies/afk-policy.schema.json", SCHEMA.to_owned(), "completion and hover text in editors".to_owned()),
        ("policies/prompts/implement.md", IMPLEMENT.to_owned(), "what an agent is told first".to_owned()),
        ("policies/prompts/fix-forward.md", FIX_FORWARD.to_owned(), "and after red CI".to_owned()),
        ("afk.settings.toml", settings(&repository, github.as_deref(), &login, dir)?, summary),
    ];
    // A folder with issues in it needs no example.
    if github.is_none() && !dir.join("issues").exists() {
        files.push(("issues/0001.md", issue(&login)?, "an example, not armed".to_owned()));
    }
    let workflow = Workflow::fitting(&repository, dir);
    if let Ok(workflow) = workflow {
        let about = "check, test and diff on every pull request".to_owned();
        files.push((workflow.path, workflow.text.to_owned(), about));
    }
    let kept_policy = dir.join("policies/afk.toml").symlink_metadata().is_ok();
    for (name, text, about) in files {
        if name == "policies/afk.test.toml" && kept_policy && dir.join(name).symlink_metadata().is_err() {
            out.line(format_args!("{FAINT}left{FAINT:#}  {name:<33} out: its cases are those of the shipped policy"));
            continue;
        }
        match write_new(&dir.join(name), &text)? {
            Written::New => out.line(format_args!("{GOOD}wrote{GOOD:#} {name:<33} {}", printable(&about))),
            Written::Kept => out.line(format_args!("{FAINT}kept{FAINT:#}  {name:<33} exists, left as it is")),
        }
    }
    match workflow {
        Ok(workflow) => {
            out.line(format_args!("Set AFK_REPOSITORY and AFK_REVISION in {}: where CI gets afk from.", workflow.path));
        }
        Err(why) => {
            out.line(format_args!(
                "No workflow that judges policy pull requests: {why}. Some to copy: examples/ci of afk."
            ));
        }
    }
    if github.is_some() {
        out.line("Put a token of an account of afk's own into AFK_GITHUB_TOKEN: docs/github.md of afk says which.");
        out.line("Look at [executors.agent] in afk.settings.toml: it is a guess.");
    } else {
        out.line("Look at [executors.agent] and [ci.test] in afk.settings.toml: they are guesses.");
    }
    out.line("Nothing runs yet. Next: afk doctor");
    Ok(ExitStatus::Done)
}

/// Whether a file was there before.
enum Written {
    New,
    Kept,
}

/// Writes a file that does not exist; whatever is there, a dangling link too, is left alone.
fn write_new(path: &Path, text: &str) -> Result<Written, Failure> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| could_not_write(parent, &error))?;
    }
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => {
            file.write_all(text.as_bytes()).map_err(|error| could_not_write(path, &error))?;
            Ok(Written::New)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Written::Kept),
        Err(error) => Err(could_not_write(path, &error)),
    }
}

fn could_not_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::could_not_run(format!("could not write `{}`: {error}", path.display()))
}

/// The shipped policy, still disabled, with the executor and the CI stage that the settings define.
fn policy(has_checks: bool) -> String {
    let stage = (!has_checks).then_some(&WITHOUT_CHECKS);
    ADAPTED.iter().chain(stage).fold(POLICY.to_owned(), |text, (shipped, here)| text.replacen(shipped, here, 1))
}

fn settings(repository: &Repository, github: Option<&str>, login: &str, directory: &Path) -> Result<String, Failure> {
    let claude = table(CLAUDE);
    let [codex, t3] =
        [CODEX, T3].map(|example| table(example).lines().map(|line| format!("# {line}\n")).collect::<String>());
    render(
        SETTINGS,
        context! {
            data => quoted(&data_directory(&repository.name, directory)),
            login => quoted(login),
            github => github.is_some(),
            github_url => github.filter(|url| *url != GITHUB).map(quoted),
            https => repository.git.starts_with("https://"),
            ssh => quoted(&format!("git@{}:{}.git", repository.host().unwrap_or_default(), repository.name)),
            repo => quoted(&repository.name),
            git => quoted(&repository.git),
            git_note => if repository.has_origin { "" } else { "  # a guess: there is no `origin` here" },
            claude => claude,
            codex => codex.trim_end(),
            t3 => t3.trim_end(),
        },
    )
}

fn issue(login: &str) -> Result<String, Failure> {
    let now = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    render(ISSUE, context! { login => quoted(login), now => now })
}

fn render(template: &str, values: minijinja::Value) -> Result<String, Failure> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
        .render_str(template, values)
        .map(|text| text + "\n")
        .map_err(|error| Failure::could_not_run(format!("a built-in template is broken: {error}")))
}

/// The table of an example, without the comment above it.
fn table(example: &str) -> &str {
    example.find("[executors.").and_then(|start| example.get(start..)).unwrap_or(example)
}

/// A TOML string: JSON escapes are a part of TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Where runs are kept: outside of the repository, as it is the custom of the system; a place of its own for every
/// directory that is set up, since two clones of one repository are two installations.
fn data_directory(repo: &str, home: &Path) -> String {
    let home = home.canonicalize().unwrap_or_else(|_| home.to_path_buf());
    let place = Uuid::new_v5(&Uuid::NAMESPACE_URL, home.as_os_str().as_encoded_bytes()).simple().to_string();
    let base = match (std::env::var_os("XDG_DATA_HOME"), std::env::var_os("HOME")) {
        (Some(data), _) if Path::new(&data).is_absolute() => PathBuf::from(data),
        (_, Some(home)) if Path::new(&home).is_absolute() => Path::new(&home).join(".local/share"),
        _ => PathBuf::from(".."),
    };
    let unique = place.get(..8).unwrap_or(&place);
    base.join("afk").join(format!("{repo}-{unique}")).display().to_string()
}

/// The person who runs this, as the local tracker will know them.
fn login() -> String {
    ["USER", "LOGNAME"]
        .iter()
        .find_map(|variable| std::env::var(variable).ok().filter(|name| !name.trim().is_empty()))
        .unwrap_or_else(|| "you".to_owned())
}

const AFTER_HELP: &str = "\
Exit codes:
  0  written, or there already
  2  the command line is wrong
  4  could not write

Examples:
  afk init
  afk init --dir ../ops";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_adaptation_still_finds_its_place_in_the_shipped_policy() {
        for (shipped, _) in ADAPTED.into_iter().chain([WITHOUT_CHECKS]) {
            assert_eq!(POLICY.matches(shipped).count(), 1, "not once in policies/afk.toml: {shipped}");
        }
    }
}
