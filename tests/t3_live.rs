//! Against a real T3 Code server, where somebody says so: `AFK_T3_URL`, `AFK_T3_TOKEN` and `AFK_T3_CHECKOUTS` (a folder of
//! the server's machine that has a repository at `afk/live-test`). docs/t3.md says what it does there.
//!
//! It fails on anything that is not as recorded in the contract that afk was written by. The same run goes over the fake
//! servers too, which are held to that contract.

#![allow(clippy::print_stdout, reason = "whoever tries it on a server of theirs watches what it does there")]

mod t3_fake;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
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
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use t3_fake::{Fake, Generation};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

const TOKEN: &str = "AFK_T3_TOKEN";
const REPO: &str = "afk/live-test";
/// How long anything may take to show.
const PATIENCE: Duration = Duration::from_secs(180);
const CONTROLLER: &str = "afk's live test";

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
    url: String,
    token: String,
    source: SecretSource,
    checkouts: String,
    model: String,
    provider: String,
    folder: TempDir,
    client: Client,
    run: RunId,
}

fn client() -> Client {
    Http::new(Duration::from_secs(60)).client().unwrap().clone()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

impl Live {
    fn from_environment() -> Option<Self> {
        Some(Self {
            url: variable("AFK_T3_URL")?,
            token: variable(TOKEN)?,
            source: SecretSource::Variable(TOKEN.to_owned()),
            checkouts: variable("AFK_T3_CHECKOUTS")?,
            model: variable("AFK_T3_MODEL").unwrap_or_else(|| "claude-sonnet-4-6".to_owned()),
            provider: variable("AFK_T3_PROVIDER").unwrap_or_else(|| "claudeAgent".to_owned()),
            folder: TempDir::new().unwrap(),
            client: client(),
            run: RunId::of_arming(&format!("live test of {}", Utc::now().timestamp_micros())),
        })
    }

    /// A fake with an agent that is as quick as the prompts say.
    fn on_fake(fake: &Fake) -> Self {
        let folder = TempDir::new().unwrap();
        let (agent, token, checkouts) =
            (folder.path().join("agent.sh"), folder.path().join("token"), folder.path().join("work"));
        std::fs::create_dir_all(checkouts.join(REPO)).unwrap();
        std::fs::write(&token, t3_fake::TOKEN).unwrap();
        std::fs::write(&agent, "#!/bin/sh\ncase $(cat) in *hello*) echo hello;; *) sleep 600;; esac\n").unwrap();
        std::fs::set_permissions(&agent, std::fs::Permissions::from_mode(0o700)).unwrap();
        fake.agent(&agent);
        Self {
            url: fake.uri(),
            token: t3_fake::TOKEN.to_owned(),
            source: SecretSource::File(token),
            checkouts: checkouts.to_string_lossy().into_owned(),
            model: "claude-sonnet-4-6".to_owned(),
            provider: "claudeAgent".to_owned(),
            folder,
            client: client(),
            run: RunId::of_arming("live test on a fake"),
        }
    }

    fn credential(&self) -> Rc<TokenCredential> {
        Rc::new(TokenCredential::new(self.source.clone()))
    }

    fn http(&self) -> Rc<Http> {
        Rc::new(Http::new(Duration::from_secs(60)))
    }

    /// afk as it would be in a tick of its own.
    fn tick(&self) -> T3Executor<NoClones> {
        T3Executor::new(Parts {
            folder: self.folder.path().to_owned(),
            name: "live".to_owned(),
            controller: CONTROLLER.to_owned(),
            settings: T3ExecutorSettings {
                url: self.url.parse().expect("AFK_T3_URL is an address"),
                token: self.source.clone(),
                provider: self.provider.clone(),
                checkouts: Some(PathBuf::from(&self.checkouts)),
            },
            credential: self.credential(),
            http: self.http(),
            workspaces: NoClones,
            clock: Rc::new(SystemClock),
            keeps: true,
        })
    }

    fn server(&self) -> T3Server {
        T3Server::new("live", self.url.parse().unwrap(), self.credential(), self.http())
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
            model: self.model.clone(),
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
        let deadline = Instant::now() + PATIENCE;
        loop {
            let agent = self.agent().await.expect("the run is listed");
            if wanted(agent.status) {
                return agent;
            }
            assert_ne!(agent.status, AgentStatus::Unknown, "drift: T3 Code shows a state that afk does not know");
            assert!(Instant::now() < deadline, "{what}: after {PATIENCE:?} it is {:?}: {agent:#?}", agent.status);
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// What afk itself never does.
    async fn dispatch(&self, command: Value) -> StatusCode {
        let url = format!("{}/api/orchestration/dispatch", self.url.trim_end_matches('/'));
        self.client.post(url).bearer_auth(&self.token).json(&command).send().await.unwrap().status()
    }

    /// Deletes what the test has made, and nothing else.
    async fn clean_up(&self, project_was_there: bool) {
        let id = || Uuid::new_v5(&Uuid::NAMESPACE_URL, Utc::now().to_rfc3339().as_bytes());
        let status = self.dispatch(json!({ "type": "thread.delete", "commandId": id(), "threadId": self.run })).await;
        println!("thread deleted: {status}");
        if project_was_there {
            return;
        }
        let listing = self.server().listing().await.expect("the listing can be read");
        let root = self.root();
        for project in listing.projects.iter().filter(|project| !project.deleted && project.workspace_root == root) {
            let delete = json!({ "type": "project.delete", "commandId": id(), "projectId": project.id });
            println!("project deleted: {}", self.dispatch(delete).await);
        }
    }

    fn root(&self) -> String {
        format!("{}/{REPO}", self.checkouts.trim_end_matches('/'))
    }

    /// A whole run, and what the contract says about it.
    async fn run(&self) {
        let environment = self.server().environment().await.unwrap();
        println!("T3 Code {} at {}", environment.version, self.url);
        self.tick().can_start().await.expect("a token with the two scopes");

        // Project, thread, turn; twice is once.
        let assignment = self.assignment();
        self.tick().ensure(&assignment).await.expect("the run is brought up");
        std::fs::remove_dir_all(self.folder.path().join("runs")).unwrap();
        self.tick().ensure(&assignment).await.expect("bringing it up again does nothing, even where all is forgotten");
        let agent = self.until("the first turn", |status| status == AgentStatus::Idle).await;
        assert_eq!(agent.turns, [assignment.turn]);
        assert_eq!(agent.link, Some(format!("{}/{}/{}", self.url.trim_end_matches('/'), environment.id, self.run)));
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
        let status = self.dispatch(json!({ "type": "thread.dance", "commandId": id })).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "drift: an unknown command");
        let status = self.dispatch(json!({ "type": "thread.archive", "threadId": self.run })).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "drift: a command without an id");
        let session = self.server().session().await.unwrap();
        assert!(session.authenticated && !session.scopes.is_empty(), "drift: {session:?}");
    }
}

/// A whole run, and everything in order after it.
fn try_it(live: Live) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let before = live.server().listing().await.expect("the listing can be read");
        let there = before.projects.iter().any(|project| !project.deleted && project.workspace_root == live.root());
        let live = Rc::new(live);
        let tried = live.clone();
        // What fails is told only after everything was put in order.
        let outcome = tokio::task::spawn_local(async move { tried.run().await }).await;
        live.clean_up(there).await;
        if let Err(failure) = outcome {
            std::panic::resume_unwind(failure.into_panic());
        }
        let after = live.server().listing().await.expect("the listing can be read");
        assert!(!after.threads.iter().any(|thread| thread.id == live.run.to_string() && !thread.deleted));
    });
}

#[test]
fn a_whole_run_goes_as_recorded_on_a_real_t3_code() {
    match Live::from_environment() {
        Some(live) => try_it(live),
        None => {
            println!("skipped: set AFK_T3_URL, {TOKEN} and AFK_T3_CHECKOUTS to try it on a real server (docs/t3.md)")
        }
    }
}

#[test]
fn a_whole_run_goes_as_recorded_on_the_fakes() {
    for generation in [Generation::V0_0_27, Generation::Main] {
        let fake = Fake::start_blocking(generation);
        try_it(Live::on_fake(&fake));
    }
}
