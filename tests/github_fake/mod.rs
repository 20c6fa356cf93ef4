//! GitHub as far as afk can tell the difference, in memory, behind a real HTTP server. It refuses what GitHub refuses,
//! limits what it limits, and goes wrong where it is told to. Every exchange is kept, for [`contract`] to judge.
//!
//! What is behaviour of GitHub that was looked up, and what is common knowledge, is said in the facts of the project;
//! nothing here was tried against the real one.

#![allow(dead_code, unused_imports, reason = "every test file uses a part of it")]

pub mod contract;
mod faults;
mod fields;
mod git;
mod graphql;
mod limits;
mod log;
mod rest;
mod routes;
mod server;
mod shapes;
mod state;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use wiremock::{Mock, MockServer};

pub use faults::{Fault, Trouble};
pub use limits::Resource;
pub use log::Exchange;
pub use state::{EventKind, Issue, Permission, Pull, Role, State};

/// A running fake. afk's own token is [`TOKEN`], of the login `afk`, which may write wherever [`Fake::repo`] says so.
#[derive(Debug)]
pub struct Fake {
    state: Arc<Mutex<State>>,
    server: MockServer,
}

pub const TOKEN: &str = "token-of-afk";

impl Fake {
    /// An empty one.
    pub async fn start() -> Self {
        Self::with_latency(Duration::ZERO).await
    }

    /// One that takes its time with every answer.
    pub async fn with_latency(latency: Duration) -> Self {
        let server = MockServer::builder().disable_request_recording().start().await;
        let mut state = State::new();
        state.base = server.uri();
        state.token(TOKEN, "afk");
        let state = Arc::new(Mutex::new(state));
        let desk = server::Desk::new(state.clone(), latency);
        // A mock that only fails cannot answer, and one that answers cannot fail: the first asks the desk to serve
        // and takes over when the answer is to be lost.
        let lost = Mock::given(desk.clone()).respond_with_err(|_: &wiremock::Request| server::lost());
        lost.with_priority(1).mount(&server).await;
        Mock::given(wiremock::matchers::any()).respond_with(desk).with_priority(2).mount(&server).await;
        Self { state, server }
    }

    /// The same, for tests that are not asynchronous themselves.
    pub fn start_blocking() -> Self {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(Self::start())
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn uri(&self) -> String {
        self.server.uri()
    }

    /// What it knows, to look at and to change.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A public repository where afk may write.
    pub fn repo(&self, full_name: &str) -> usize {
        let mut state = self.state();
        let repo = state.repo(full_name);
        state.grant(repo, "afk", Permission::Write.role());
        repo
    }

    /// What it knows now.
    pub fn save(&self) -> State {
        self.state().clone()
    }

    /// Back to what it knew then; what was asked since is not forgotten.
    pub fn restore(&self, saved: State) {
        let mut state = self.state();
        let log = std::mem::take(&mut state.log);
        *state = saved;
        state.log = log;
    }

    /// Lets something go wrong.
    pub fn trouble(&self, trouble: Trouble) {
        self.state().troubles.push(trouble);
    }

    /// Everything that was asked so far.
    pub fn log(&self) -> Vec<Exchange> {
        self.state().log.clone()
    }

    /// Forgets what was asked so far, and gives it.
    pub fn take_log(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.state().log)
    }
}
