//! What a user finds when looking at an installation: issues, comments, commits, agents.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::runner::is_locked;
use super::{Forge, InstallationOf, REPO, Runner, git};

/// An issue as its tracker shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Issue {
    /// In the order they were put on.
    pub labels: Vec<String>,
    pub open: bool,
    /// The login that closed it last.
    pub closed_by: Option<String>,
    /// `LOGIN CHANGE`, oldest first.
    pub events: Vec<String>,
    pub comments: Vec<Comment>,
}

/// A comment under an issue.
#[derive(Debug, Clone, PartialEq)]
pub struct Comment {
    pub author: String,
    pub body: String,
}

/// What there is to see of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    pub run: String,
    /// The turns that were begun.
    pub turns: usize,
    /// Whether it is at work, or about to be.
    pub live: bool,
    /// What it was told, first turn first.
    pub prompts: Vec<String>,
    /// Where it works.
    pub workspace: PathBuf,
    /// How much is kept of what it said.
    pub output_bytes: u64,
}

/// Everything that two lives may be compared by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub state: Option<String>,
    pub outcome: Option<String>,
    pub attempts: u64,
    pub decisions: u64,
    pub open: bool,
    pub events: Vec<String>,
    pub progress_comments: usize,
    pub escalations: usize,
    pub agents: usize,
    pub turns: usize,
    pub invocations: usize,
    pub commits: Vec<String>,
    /// The kinds of notifications that rang; each may ring twice, but never not at all.
    pub rang: Vec<&'static str>,
}

impl Issue {
    pub fn has(&self, label: &str) -> bool {
        self.labels.iter().any(|on| on == label)
    }

    /// The records of afk, one a run, oldest first.
    pub fn records(&self) -> Vec<Value> {
        let blocks = self.progress();
        let blocks = blocks.iter().map(|comment| {
            let (_, block) = comment.body.rsplit_once("<!-- afk-run:v1 ").unwrap();
            let (_, json) = block.trim_end().strip_suffix(" -->").unwrap().split_once(' ').unwrap();
            serde_json::from_str(json).unwrap()
        });
        blocks.collect()
    }

    /// The newest record.
    pub fn record(&self) -> Value {
        self.records().pop().unwrap_or(Value::Null)
    }

    pub fn state(&self) -> Option<String> {
        self.record()["state"].as_str().map(str::to_owned)
    }

    pub fn outcome(&self) -> Option<String> {
        self.record()["outcome"].as_str().map(str::to_owned)
    }

    pub fn reason(&self) -> String {
        self.record()["reason"].as_str().unwrap_or("").to_owned()
    }

    pub fn attempts(&self) -> u64 {
        self.record()["attempts"].as_u64().unwrap_or_else(|| panic!("no record: {self:#?}"))
    }

    /// afk's own comments that hold a record: one a run.
    pub fn progress(&self) -> Vec<&Comment> {
        self.of_afk(true)
    }

    /// afk's other comments.
    pub fn escalations(&self) -> Vec<&Comment> {
        self.of_afk(false)
    }

    /// The only one of them.
    pub fn escalation(&self) -> &str {
        match self.escalations().as_slice() {
            [only] => &only.body,
            others => panic!("{others:#?}"),
        }
    }

    fn of_afk(&self, record: bool) -> Vec<&Comment> {
        let by_afk = self.comments.iter().filter(|comment| comment.author == "afk");
        by_afk.filter(|comment| comment.body.contains("<!-- afk-run:v1 ") == record).collect()
    }
}

impl<F: Forge, R: Runner> InstallationOf<F, R> {
    pub fn issue(&self, number: u64) -> Issue {
        self.issue_of(REPO, number)
    }

    pub fn issue_of(&self, repo: &str, number: u64) -> Issue {
        F::issue(self, repo, number)
    }

    /// What became of issue 1.
    pub fn outcome(&self) -> Outcome {
        let issue = self.issue(1);
        let kinds = ["done", "frozen", "needs-human", "in-review", "policy-broken"];
        Outcome {
            state: issue.state(),
            outcome: issue.outcome(),
            attempts: issue.attempts(),
            decisions: issue.record()["decisions"].as_u64().unwrap(),
            open: issue.open,
            events: issue.events.clone(),
            progress_comments: issue.progress().len(),
            escalations: issue.escalations().len(),
            agents: self.agents().len(),
            turns: self.agents().iter().map(|agent| agent.turns).sum(),
            invocations: self.invocations().len(),
            commits: self.commits(),
            rang: kinds.into_iter().filter(|kind| self.rings(kind) > 0).collect(),
        }
    }

    /// The subjects of the default branch, oldest first, without the seed's.
    pub fn commits(&self) -> Vec<String> {
        self.commits_of(REPO)
    }

    pub fn commits_of(&self, repo: &str) -> Vec<String> {
        let log = git(&self.path(format!("{repo}.git")), &["log", "--reverse", "--format=%s", "main"]);
        log.lines().skip(1).map(str::to_owned).collect()
    }

    /// Every agent, ended ones too.
    pub fn agents(&self) -> Vec<Agent> {
        R::agents(self)
    }

    /// The only agent.
    pub fn agent_of_run(&self) -> Agent {
        let agents = self.agents();
        let [agent] = agents.as_slice() else { panic!("{agents:#?}") };
        agent.clone()
    }

    /// The turns that agents began, `RUN start` or `RUN resume`, as they wrote them down themselves.
    pub fn invocations(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("invocations")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Whether an agent or a CI job is at work.
    pub fn is_at_work(&self) -> bool {
        let jobs = walk(self.path("data/ci")).into_iter().filter(|path| path.ends_with("lock"));
        self.agents().iter().any(|agent| agent.live)
            || jobs.into_iter().any(|lock| is_locked(&lock) || !lock.with_file_name("result.json").exists())
    }

    /// Every file and directory of the installation.
    pub fn files(&self) -> Vec<PathBuf> {
        walk(self.root())
    }
}

/// Everything below a directory, but for the insides of git's and of clones.
fn walk(directory: PathBuf) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        found.push(path.clone());
        if is_directory && path.extension().is_none_or(|extension| extension != "git") && !path.ends_with("clone") {
            found.extend(walk(path));
        }
    }
    found.sort();
    found
}
