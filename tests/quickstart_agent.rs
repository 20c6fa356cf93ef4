//! The toy agent of the quickstart, with the test in afk's place: real git, a real remote, real turns.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pretty_assertions::assert_eq;
use tempfile::TempDir;

/// A bare `greeter.git` and the agent's clone `work`.
struct World {
    home: TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { home: TempDir::new().expect("a temporary directory") };
        let seed = world.at("seed");
        copy(Path::new("examples/quickstart/repository"), &seed);
        for arguments in [
            &["init", "--quiet", "--initial-branch=trunk"] as &[&str],
            &["add", "--all"],
            &["-c", "user.name=ada", "-c", "user.email=ada@localhost", "commit", "--quiet", "--message", "Begin"],
            &["clone", "--quiet", "--bare", ".", "../greeter.git"],
            &["clone", "--quiet", "../greeter.git", "../work"],
        ] {
            world.git("seed", arguments);
        }
        world
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn command(&self, program: &str, dir: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.at(dir)).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("AFK_RUN", "run-1");
        command
    }

    fn git(&self, dir: &str, arguments: &[&str]) -> String {
        let output = self.command("git", dir).args(arguments).output().expect("git runs");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// One turn: what the agent says, and whether it ended well.
    fn agent(&self, turn: &str, prompt: &str) -> (String, bool) {
        let agent = fs::canonicalize("examples/quickstart/agent.sh").expect("the agent");
        let mut command = self.command(agent.to_str().expect("UTF-8"), "work");
        let mut child =
            command.arg(turn).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the agent starts");
        // Dropped at once, or the agent waits for the end of its prompt.
        child.stdin.take().expect("a pipe").write_all(prompt.as_bytes()).expect("the agent reads");
        let output = child.wait_with_output().expect("the agent ends");
        (String::from_utf8(output.stdout).expect("UTF-8"), output.status.success())
    }

    /// What CI says of the newest commit, and whether it is green.
    fn ci(&self) -> (String, bool) {
        let clone = format!("ci-{}", self.git("greeter.git", &["rev-parse", "trunk"]).trim());
        self.git("greeter.git", &["clone", "--quiet", ".", &format!("../{clone}")]);
        let output = self.command("sh", &clone).arg("ci.sh").output().expect("sh runs");
        (String::from_utf8(output.stdout).expect("UTF-8"), output.status.success())
    }

    fn subjects(&self) -> Vec<String> {
        let log =
            self.git("greeter.git", &["log", "--reverse", "--format=%s%x09%(trailers:key=AFK-Run,valueonly)", "trunk"]);
        log.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

#[test]
fn its_first_fix_is_red_in_ci_and_the_log_is_enough_to_mend_it() {
    let world = World::new();
    assert!(world.ci().1, "the repository is green before anybody works on it");

    let (said, ended_well) = world.agent("start", "Resolve greeter#1");
    assert!(ended_well, "{said}");
    let milestones: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("AFK-Milestone: ")).collect();
    assert_eq!(milestones, ["worktree", "tests_red", "tests_green"]);
    let (log, green) = world.ci();
    assert!(!green && log.contains("expected: hi, ada"), "{log}");

    let (said, ended_well) = world.agent("resume", &format!("CI is red.\n\n```\n{log}```\n"));
    assert!(ended_well, "{said}");
    let (log, green) = world.ci();
    assert!(green, "{log}");
    assert_eq!(
        world.subjects(),
        [
            "Begin\t",
            "Test that a person is greeted by name\trun-1",
            "Greet people by name\trun-1",
            "Set the name off with a comma\trun-1",
        ]
    );
}

#[test]
fn it_pushes_on_top_of_what_others_pushed_meanwhile() {
    let world = World::new();
    fs::write(world.at("seed/NEWS"), "nothing new\n").expect("a file");
    world.git("seed", &["add", "--all"]);
    world.git(
        "seed",
        &["-c", "user.name=ada", "-c", "user.email=ada@localhost", "commit", "--quiet", "--message", "News"],
    );
    world.git("seed", &["push", "--quiet", "../greeter.git", "trunk"]);

    let (said, ended_well) = world.agent("start", "");

    assert!(ended_well && said.contains("push 1 refused"), "{said}");
    assert_eq!(
        world.subjects().iter().map(|line| line.split('\t').next().unwrap_or("")).collect::<Vec<_>>(),
        ["Begin", "News", "Test that a person is greeted by name", "Greet people by name",]
    );
}

#[test]
fn a_log_that_says_nothing_makes_it_stop_and_push_nothing() {
    let world = World::new();
    world.agent("start", "");
    let before = world.subjects();

    let (said, ended_well) = world.agent("resume", "expected: $(touch /tmp/owned)ada");

    assert!(!ended_well && said.contains("a person must look"), "{said}");
    assert_eq!(world.subjects(), before);
}
