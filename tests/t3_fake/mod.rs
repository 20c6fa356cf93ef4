//! A server of T3 Code as far as afk can tell the difference, in memory, behind a real HTTP server, of either
//! generation. It accepts and refuses what the real ones were recorded to accept and to refuse, goes wrong where it is
//! told to, and its providers run real agent processes. `tests/t3_contract.rs` holds it to the recordings; every exchange
//! is kept, for [`contract`] to judge.

#![allow(dead_code, unused_imports, reason = "every test file uses a part of it")]

mod auth;
mod commands;
pub mod contract;
mod desk;
mod faults;
mod fields;
mod projects;
mod provider;
mod shapes;
mod state;
mod turns;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wiremock::{Mock, MockServer};

pub use auth::{EXPIRED, READ_ONLY, TOKEN, Token};
pub use desk::Exchange;
pub use faults::{Fault, Trouble};
pub use state::{Phase, Session, State, Thread, Turn};

/// The two servers that were recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Generation {
    /// v0.0.27 of 2026-06-09.
    V0_0_27,
    /// Upstream of 2026-08-22, which calls itself 0.0.33.
    Main,
}

impl Generation {
    /// The folder of its recordings.
    pub fn folder(self) -> &'static str {
        match self {
            Self::V0_0_27 => "v0.0.27",
            Self::Main => "main-2026-08-22",
        }
    }
}

/// What providers share with the desk.
pub(crate) type Shared = Arc<Mutex<State>>;

/// Panics of a test do not keep the others from looking.
pub(crate) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running fake. [`TOKEN`] may do everything.
#[derive(Debug)]
pub struct Fake {
    state: Shared,
    server: MockServer,
}

impl Fake {
    /// An empty one.
    pub async fn start(generation: Generation) -> Self {
        let server = MockServer::builder().disable_request_recording().start().await;
        let state = Arc::new(Mutex::new(State::new(generation)));
        let desk = desk::Desk::new(state.clone());
        // A mock that only fails cannot answer, and one that answers cannot fail: the first asks the desk to serve
        // and takes over when the answer is to be lost.
        let lost = Mock::given(desk.clone()).respond_with_err(|_: &wiremock::Request| desk::lost());
        lost.with_priority(1).mount(&server).await;
        Mock::given(wiremock::matchers::any()).respond_with(desk).with_priority(2).mount(&server).await;
        Self { state, server }
    }

    /// The same, for tests that are not asynchronous themselves.
    pub fn start_blocking(generation: Generation) -> Self {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(Self::start(generation))
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn uri(&self) -> String {
        self.server.uri()
    }

    /// What it knows, to look at and to change.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// What providers run: a program that gets `start` or `resume`, and the text of the turn on its standard input.
    pub fn agent(&self, program: &Path) {
        self.state().agent = program.to_owned();
    }

    /// A person sends a command in the web UI: the same as anybody's, without HTTP.
    pub fn person(&self, command: &serde_json::Value) -> u16 {
        commands::dispatch(&self.state, command).status
    }

    /// The server is killed, its agents with it, and started again.
    pub fn restart(&self) {
        self.state().restart();
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

/// No agent outlives its server.
impl Drop for Fake {
    fn drop(&mut self) {
        self.state().close();
    }
}
