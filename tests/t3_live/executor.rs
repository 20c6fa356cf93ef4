//! The executor alone through a whole run on somebody's server: what the scenarios never bring about, because afk never
//! asks for it there.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use afk::adapters::clock::SystemClock;
use afk::adapters::command::Workspaces;
use afk::adapters::github::credential::TokenCredential;
use afk::adapters::http::Http;
use afk::adapters::t3::command::Command;
use afk::adapters::t3::server::{DispatchError, T3Server};
use afk::adapters::t3::{Parts, T3Executor};
use afk::engine::identity::{Purpose, RunId};
use afk::policy::facts::AgentStatus;
use afk::ports::{AgentReport, Assignment, Executor, IssueRef, PortErrorKind, PortResult};
use afk::settings::{SecretSource, T3ExecutorSettings};
use async_trait::async_trait;
use chrono::Utc;
use pretty_assertions::assert_eq;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::installation::git;
use crate::somebody::{Somebody, command};
use crate::t3_fake::Generation;
use crate::t3_fake::contract::Contract;
use crate::wire::Wire;

const REPO: &str = "afk/live-test";

/// Nothing is cloned on this machine.
#[derive(Debug)]
struct NoClones;

#[async_trait(?Send)]
impl Workspaces for NoClones {
    async fn fresh_clone(&self, _: &str, _: &str, _: &str, _: &Path) -> PortResult<()> {
        unreachable!("the checkouts are on the server's machine")
    }
}

struct Live {
    wire: Wire,
    somebody: Somebody,
    folder: TempDir,
    run: RunId,
}

impl Live {
    fn new(somebody: Somebody) -> Self {
        let folder = somebody.folder();
        let checkout = folder.path().join(REPO);
        fs::create_dir_all(&checkout).unwrap();
        git(&checkout, &["init", "--quiet"]);
        let token = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(folder.path().join("token"));
        token.unwrap().write_all(somebody.token.read().as_bytes()).unwrap();
        let run = RunId::of_arming(&format!("live test of {}", folder.path().display()));
        Self { wire: somebody.wire(), somebody, folder, run }
    }

    fn source(&self) -> SecretSource {
        SecretSource::File(self.folder.path().join("token"))
    }

    fn credential(&self) -> Rc<TokenCredential> {
        Rc::new(TokenCredential::new(self.source()))
    }

    fn http(&self) -> Rc<Http> {
        Rc::new(Http::new(Duration::from_secs(60)))
    }

    /// afk as it would be in a tick of its own.
    fn tick(&self) -> T3Executor<NoClones> {
        T3Executor::new(Parts {
            folder: self.folder.path().join("data"),
            name: "live".to_owned(),
            controller: self.folder.path().display().to_string(),
            settings: T3ExecutorSettings {
                url: self.wire.uri().parse().unwrap(),
                token: self.source(),
                provider: self.somebody.provider.clone(),
                checkouts: Some(self.folder.path().to_owned()),
            },
            credential: self.credential(),
            http: self.http(),
            workspaces: NoClones,
            clock: Rc::new(SystemClock),
            keeps: true,
        })
    }

    fn server(&self) -> T3Server {
        T3Server::new("live", self.wire.uri().parse().unwrap(), self.credential(), self.http())
    }

    fn assignment(&self) -> Assignment {
        Assignment {
            run: self.run,
            issue: IssueRef { repo: REPO.to_owned(), number: 1 },
            arming: "live".to_owned(),
            armed_by: None,
            dispatched_at: Utc::now(),
            base: String::new(),
            default_branch: "main".to_owned(),
            model: self.somebody.model.clone(),
            runtime_mode: "full-access".to_owned(),
            turn: self.run.derive(Purpose::FirstTurn, 0),
            prompt: "Answer with the one word `hello`. Change nothing and run no command.".to_owned(),
            brief_sha256: String::new(),
        }
    }

    /// The agent as listed; others of earlier tests that failed do not count.
    async fn agent(&self) -> Option<AgentReport> {
        let roster = self.tick().list().await.expect("the listing can be read");
        let broken: Vec<_> = roster.unreadable.iter().filter(|(run, _)| *run == self.run).collect();
        assert!(broken.is_empty(), "{broken:?}");
        roster.agents.into_iter().find(|agent| agent.run == self.run)
    }

    /// Waits until the agent is as it should become.
    async fn until(&self, what: &str, wanted: impl Fn(AgentStatus) -> bool) -> AgentReport {
        let deadline = Instant::now() + self.somebody.patience;
        loop {
            let agent = self.agent().await.expect("the run is listed");
            if wanted(agent.status) {
                return agent;
            }
            assert_ne!(agent.status, AgentStatus::Unknown, "drift: T3 Code shows a state that afk does not know");
            assert!(Instant::now() < deadline, "{what}: in the end it is {:?}: {agent:#?}", agent.status);
            sleep(self.somebody.interval).await;
        }
    }

    /// What afk itself never does.
    fn dispatch(&self, command: &Value) -> u16 {
        self.wire.dispatch(command).expect("the server answers")
    }

    /// Deletes what the test has made, and nothing else.
    fn clean_up(&self) -> Result<(), String> {
        for project in self.wire.made("project.create", "projectId") {
            let status =
                self.wire.dispatch(&command("project.delete", json!({ "projectId": project, "force": true })))?;
            if status != 200 {
                return Err(format!("the project {project} is left: {status}"));
            }
        }
        Ok(())
    }

    /// A whole run, and what the contract says about it.
    async fn run(&self) {
        let environment = self.server().environment().await.unwrap();
        self.tick().can_start().await.expect("a token with the two scopes");

        // Project, thread, turn; twice is once.
        let assignment = self.assignment();
        self.tick().ensure(&assignment).await.expect("the run is brought up");
        fs::remove_dir_all(self.folder.path().join("data/runs")).unwrap();
        self.tick().ensure(&assignment).await.expect("bringing it up again does nothing, even where all is forgotten");
        let agent = self.until("the first turn", |status| status == AgentStatus::Idle).await;
        assert_eq!(agent.turns, [assignment.turn]);
        assert_eq!(agent.link, Some(format!("{}/{}/{}", self.wire.uri(), environment.id, self.run)));
        assert!(agent.last_words.is_some_and(|words| !words.is_empty()), "drift: the agent's words are not shown");
        assert!(agent.last_activity.is_some(), "drift: `updatedAt` is not shown");

        // A second turn, told from the first.
        let turn = self.run.derive(Purpose::CorrectiveTurn { red_commit: "live" }, 0);
        let prompt = "Count slowly from 1 to 400, one number a line, each in words. Run no command.";
        self.tick().turn(self.run, turn, prompt).await.expect("a second turn");
        let agent = self.until("the second turn", |status| status == AgentStatus::Running).await;
        assert_eq!(agent.turns, [assignment.turn, turn]);
        let another = self.run.derive(Purpose::CorrectiveTurn { red_commit: "live" }, 1);
        let error = self.tick().turn(self.run, another, "no").await.expect_err("no turn goes to an agent at work");
        assert_eq!(error.kind, PortErrorKind::Refused);
        let error = self.tick().archive(self.run).await.expect_err("no thread at work is archived");
        assert_eq!(error.kind, PortErrorKind::Refused);

        // Interrupted.
        self.tick().interrupt(self.run).await.expect("an interrupt");
        let agent = self.until("the interrupt", |status| !matches!(status, AgentStatus::Running)).await;
        assert_eq!(agent.status, AgentStatus::Failed, "drift: an interrupted turn is {agent:#?}");
        self.tick().interrupt(self.run).await.expect("nothing happens to what has ended");

        self.what_is_refused().await;

        // Put away.
        self.tick().archive(self.run).await.expect("archiving");
        self.tick().archive(self.run).await.expect("archiving twice is archiving once");
        assert_eq!(self.agent().await.map(|agent| agent.status), Some(AgentStatus::Gone));
        let error = self.tick().turn(self.run, another, "no").await.expect_err("no turn goes to an archived thread");
        assert_eq!(error.kind, PortErrorKind::Refused);
    }

    /// The refusals that afk tells apart.
    async fn what_is_refused(&self) {
        let nowhere = Command::ThreadArchive {
            command_id: Uuid::new_v5(&self.run.0, b"archive nowhere"),
            thread_id: Uuid::new_v5(&self.run.0, b"nowhere"),
        };
        let answer = self.server().dispatch(&nowhere).await;
        assert!(matches!(answer, Err(DispatchError::Refused(_))), "drift: an unknown thread: {answer:?}");
        let id = Uuid::new_v5(&self.run.0, b"unknown").to_string();
        let status = self.dispatch(&json!({ "type": "thread.dance", "commandId": id }));
        assert_eq!(status, 400, "drift: an unknown command");
        let status = self.dispatch(&json!({ "type": "thread.archive", "threadId": self.run }));
        assert_eq!(status, 400, "drift: a command without an id");
        let session = self.server().session().await.unwrap();
        assert!(session.authenticated && !session.scopes.is_empty(), "drift: {session:?}");
    }
}

/// A whole run, and everything in order after it.
fn try_it(somebody: Somebody) {
    let live = Live::new(somebody);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    // What fails is told only after everything was put in order.
    let outcome = catch_unwind(AssertUnwindSafe(|| local.block_on(&runtime, live.run())));
    let left = live.clean_up();
    if let Err(failure) = outcome {
        resume_unwind(failure);
    }
    assert_eq!(left, Ok(()));
    let shell = live.wire.ask(Method::GET, "/api/orchestration/shell", None).expect("the server answers");
    let generation = if shell.1.is_object() { Generation::Main } else { Generation::V0_0_27 };
    if let Some(contract) = Contract::open(generation) {
        assert_eq!(live.wire.drift(contract), Vec::<String>::new());
    }
}

#[test]
fn a_whole_run_goes_as_recorded_on_your_server() {
    try_it(Somebody::real().unwrap_or_else(|| Somebody::fake(Generation::Main)));
}

#[test]
fn a_whole_run_goes_as_recorded_on_a_fake_of_v0_0_27() {
    try_it(Somebody::fake(Generation::V0_0_27));
}
