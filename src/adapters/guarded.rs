//! Every call to an edge goes through here: bounded in time, counted, logged; and, in debug builds, a place where a
//! test can kill the process, to prove that nothing is doubled or lost.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::engine::identity::RunId;
use crate::policy::{CloseReason, Landing, RepoPattern, Stage};
use crate::ports::*;

/// What all edges of a tick share.
#[derive(Debug, Clone)]
pub struct Guard {
    timeout: Duration,
    calls: Rc<Cell<u64>>,
    read_only: bool,
    crash: Option<Crash>,
}

/// Where a test kills the process: before or after the n-th call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Crash {
    before: bool,
    call: u64,
}

impl Guard {
    /// Gives each call `timeout`, and counts it into `calls`. `read_only` refuses every call that writes.
    pub fn new(timeout: Duration, calls: Rc<Cell<u64>>, read_only: bool) -> Self {
        Self { timeout, calls, read_only, crash: if cfg!(debug_assertions) { Crash::from_environment() } else { None } }
    }

    /// One call. One that ran out of time may have taken effect all the same: the error is "unreachable", never a no.
    async fn call<T>(&self, what: &str, writes: bool, call: impl Future<Output = PortResult<T>>) -> PortResult<T> {
        if writes && self.read_only {
            return Err(PortError::refused(format!("{what}: refused, this command only looks")));
        }
        let number = self.calls.get() + 1;
        self.calls.set(number);
        self.crash_at(true, number);
        let result = match tokio::time::timeout(self.timeout, call).await {
            Ok(result) => result,
            Err(_) => Err(PortError::unreachable(format!("{what}: no answer within {} s", self.timeout.as_secs()))),
        };
        self.crash_at(false, number);
        match &result {
            Ok(_) => tracing::debug!(call = what, number),
            Err(error) => tracing::debug!(call = what, number, %error),
        }
        result
    }

    fn crash_at(&self, before: bool, call: u64) {
        if self.crash == Some(Crash { before, call }) {
            // As a power cut would: no destructor, no flush.
            std::process::abort();
        }
    }
}

impl Crash {
    /// `AFK_TEST_CRASH=before:3`, `after:3`.
    fn from_environment() -> Option<Self> {
        let knob = std::env::var("AFK_TEST_CRASH").ok()?;
        let (when, call) = knob.split_once(':')?;
        Some(Self { before: when == "before", call: call.parse().ok()? })
    }
}

/// An edge behind a guard.
#[derive(Debug)]
pub struct Guarded<T> {
    inner: Rc<T>,
    name: String,
    guard: Guard,
}

impl<T> Guarded<T> {
    /// Puts an edge behind a guard; `name` is what errors call it.
    pub fn new(inner: impl Into<Rc<T>>, name: impl Into<String>, guard: Guard) -> Self {
        Self { inner: inner.into(), name: name.into(), guard }
    }
}

/// Whether a kind of call writes.
macro_rules! writes {
    (reads) => {
        false
    };
    (writes) => {
        true
    };
}

/// Writes each method of a port as a guarded call of the inner one.
macro_rules! guarded {
    ($port:ident { $($kind:ident $method:ident(&self $(, $argument:ident: $type:ty)*) -> $result:ty;)+ }) => {
        #[async_trait(?Send)]
        impl<T: $port> $port for Guarded<T> {
            $(async fn $method(&self $(, $argument: $type)*) -> PortResult<$result> {
                let what = format!("{} {}", self.name, stringify!($method));
                self.guard.call(&what, writes!($kind), self.inner.$method($($argument),*)).await
            })+
        }
    };
}

guarded!(Tracker {
    reads login(&self) -> String;
    reads now(&self) -> DateTime<Utc>;
    reads repos(&self, patterns: &[RepoPattern]) -> Repositories;
    reads labelled(&self, repo: &str, label: &str, only_open: bool) -> Listing;
    reads issue(&self, issue: &IssueRef) -> Option<Issue>;
    reads label_events(&self, issue: &IssueRef) -> Vec<LabelEvent>;
    reads edits(&self, issue: &IssueRef) -> Vec<Edit>;
    reads blockers(&self, issue: &IssueRef) -> Vec<Blocker>;
    reads permission(&self, repo: &str, login: &str) -> String;
    reads remembered_permission(&self, repo: &str, login: &str) -> String;
    reads comments(&self, issue: &IssueRef) -> Vec<Comment>;
    reads own_comments(&self, issue: &IssueRef) -> Vec<Comment>;
    writes create_comment(&self, issue: &IssueRef, body: &str) -> String;
    writes edit_comment(&self, issue: &IssueRef, comment: &str, body: &str) -> ();
    writes add_label(&self, issue: &IssueRef, label: &str) -> ();
    writes remove_label(&self, issue: &IssueRef, label: &str) -> ();
    writes close(&self, issue: &IssueRef, reason: CloseReason) -> ();
    writes reopen(&self, issue: &IssueRef) -> ();
    reads access(&self, repo: &str) -> Access;
    reads missing_labels(&self, repo: &str, labels: &[String]) -> Vec<String>;
    writes create_label(&self, repo: &str, label: &str) -> ();
});

guarded!(Code {
    reads head(&self, repo: &str) -> Head;
    reads expect(&self, ranges: &[RunRange]) -> ();
    reads run_commits(&self, range: &RunRange) -> RunCommits;
    reads can_land(&self, repo: &str, landing: Landing) -> ();
});

// A verdict may start a job, which a command that only looks must not: the adapter itself is told, because the verdicts
// that are there it still wants.
guarded!(Ci {
    reads can_judge(&self, repo: &str, stage: &Stage) -> ();
    reads verdict(&self, repo: &str, commit: &str, stage: &Stage, settle_time: Duration) -> StageVerdict;
    reads with_logs(&self, repo: &str, stage: &Stage, jobs: Vec<FailedJob>) -> Vec<FailedJob>;
});

guarded!(Executor {
    reads can_start(&self) -> ();
    reads list(&self) -> Roster;
    writes ensure(&self, assignment: &Assignment) -> ();
    writes turn(&self, run: RunId, turn: Uuid, prompt: &str) -> ();
    writes interrupt(&self, run: RunId) -> ();
    writes archive(&self, run: RunId) -> ();
    writes dismiss(&self, run: RunId) -> ();
});

guarded!(Notifier {
    writes ring(&self, notice: &Notice) -> ();
});
