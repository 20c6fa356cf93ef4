//! A real repository, a real executor, and agents that are shell scripts.

#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use afk::adapters::command::{CommandExecutor, Workspaces};
use afk::engine::identity::{Purpose, RunId};
use afk::policy::facts::AgentStatus;
use afk::ports::{AgentReport, Assignment, Executor, IssueRef, PortError, PortResult};
use afk::settings::{AgentOutput, CommandExecutorSettings};
use async_trait::async_trait;
use tempfile::TempDir;

pub const AFK: &str = env!("CARGO_BIN_EXE_afk");
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory with a bare repository in it, and everything that a run needs.
pub struct World {
    pub directory: TempDir,
    pub base: String,
}

/// Clones with plain git.
#[derive(Debug)]
pub struct PlainClones(PathBuf);

#[async_trait(?Send)]
impl Workspaces for PlainClones {
    async fn fresh_clone(&self, repo: &str, branch: &str, commit: &str, into: &Path) -> PortResult<()> {
        if repo != "acme/app" {
            return Err(PortError::not_found(format!("no repository `{repo}`")));
        }
        // Let the other one catch up, where two bring a run up at once.
        tokio::time::sleep(Duration::from_millis(50)).await;
        git(&self.0, &["clone", "-q", "origin.git", &into.to_string_lossy()]);
        git(into, &["checkout", "-q", "-B", branch, commit]);
        Ok(())
    }
}

pub fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// An agent that is a shell script.
pub fn shell(script: &str) -> CommandExecutorSettings {
    let argv = vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()];
    CommandExecutorSettings {
        start: argv.clone(),
        resume: argv,
        output: AgentOutput::Text,
        environment: vec!["PATH".to_owned()],
        grace: Duration::from_secs(1),
        output_limit_bytes: 64 * 1024,
    }
}

impl World {
    pub fn new() -> Self {
        let directory = TempDir::new().unwrap();
        git(directory.path(), &["init", "-q", "--bare", "-b", "main", "origin.git"]);
        git(directory.path(), &["clone", "-q", "origin.git", "seed"]);
        let seed = directory.path().join("seed");
        std::fs::write(seed.join("README.md"), "hello\n").unwrap();
        git(&seed, &["checkout", "-q", "-B", "main"]);
        git(&seed, &["add", "."]);
        git(&seed, &["commit", "-q", "-m", "first"]);
        git(&seed, &["push", "-q", "origin", "main"]);
        let base = git(&seed, &["rev-parse", "HEAD"]);
        Self { directory, base }
    }

    pub fn root(&self) -> PathBuf {
        self.directory.path().join("runs")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn executor(&self, settings: CommandExecutorSettings) -> CommandExecutor<PlainClones> {
        self.executor_of("afk@here", "shell", settings)
    }

    pub fn executor_of(
        &self,
        controller: &str,
        name: &str,
        settings: CommandExecutorSettings,
    ) -> CommandExecutor<PlainClones> {
        let clones = PlainClones(self.directory.path().to_owned());
        CommandExecutor::new(self.root(), name.to_owned(), controller.to_owned(), settings, clones, AFK.into())
    }

    pub fn assignment(&self, arming: &str) -> Assignment {
        let run = RunId::of_arming(arming);
        Assignment {
            run,
            issue: IssueRef { repo: "acme/app".to_owned(), number: 7 },
            arming: arming.to_owned(),
            armed_by: Some("mara".to_owned()),
            dispatched_at: "2026-11-22T14:00:00Z".parse().unwrap(),
            base: self.base.clone(),
            default_branch: "main".to_owned(),
            model: "opus".to_owned(),
            runtime_mode: "full-access".to_owned(),
            turn: run.derive(Purpose::FirstTurn, 0),
            prompt: "mend it\n".to_owned(),
            brief_sha256: "0".repeat(64),
        }
    }

    /// The directory of a run.
    pub fn run(&self, run: RunId) -> PathBuf {
        self.root().join(run.to_string())
    }

    /// The directory of an assignment's first turn.
    pub fn first_turn(&self, assignment: &Assignment) -> PathBuf {
        self.run(assignment.run).join("turns").join(assignment.turn.to_string())
    }
}

/// What the executor's listing says of a run.
pub async fn report(executor: &impl Executor, run: RunId) -> AgentReport {
    let reports = executor.list().await.unwrap().agents;
    reports.into_iter().find(|report| report.run == run).expect("the run is listed")
}

/// Waits until a run has a status, and gives the report that says so.
pub async fn until(executor: &impl Executor, run: RunId, status: AgentStatus) -> AgentReport {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let report = report(executor, run).await;
        if report.status == status {
            return report;
        }
        assert!(Instant::now() < deadline, "waited for {status:?}, and it is {report:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until something holds.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited for this in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A number that a process wrote, such as its id.
pub fn number_in(path: &Path) -> Option<i32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Whether a process is there and has not ended.
pub fn is_alive(process: i32) -> bool {
    let output = Command::new("ps").args(["-o", "stat=", "-p", &process.to_string()]).output().unwrap();
    let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

pub fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
