//! From what T3 shows of a thread to how its agent is: one rule that is right for every version.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::wire::Thread;
use crate::policy::facts::AgentStatus;

/// The newest turn that afk asked for, as it remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The id of its message.
    pub message: Uuid,
    /// When T3 said that it has the turn, by this machine's clock; `None` where its answer was lost, or it was not sent.
    pub accepted: Option<DateTime<Utc>>,
    /// The thread as listed before the turn was sent.
    pub before: Before,
    /// afk asked this turn to stop.
    pub interrupted: bool,
}

/// What tells a thread before a turn from the same thread after it. Only whether it differs counts: it holds times of
/// two clocks.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Before {
    /// T3's id of the newest turn.
    pub turn: Option<String>,
    /// When the session changed last.
    pub session: Option<DateTime<Utc>>,
}

impl Before {
    /// As a listing shows it.
    pub fn of(thread: &Thread) -> Self {
        let session = thread.session.as_ref().and_then(|session| session.updated_at);
        Self { turn: thread.newest_turn().map(str::to_owned), session }
    }
}

/// How an agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// In one word.
    pub status: AgentStatus,
    /// Why it failed; bounded, untrusted.
    pub words: Option<String>,
    /// A state that afk does not know, to be reported once; bounded, untrusted.
    pub strange: Option<String>,
}

/// How the agent of a thread is. `now` is by this machine's clock.
pub fn status(thread: &Thread, asked: Option<&Asked>, now: DateTime<Utc>) -> Reading {
    let _ = (asked, now);
    let status = if thread.archived || thread.deleted {
        AgentStatus::Gone
    } else if thread.is_in_flight() {
        AgentStatus::Running
    } else {
        AgentStatus::Unknown
    };
    Reading { status, words: None, strange: None }
}
