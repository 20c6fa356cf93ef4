//! From what T3 shows of a thread to how its agent is: one rule that is right for every version.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::wire::{Failure, SessionStatus, Thread, TurnState};
use crate::policy::facts::AgentStatus;
use crate::text::clean_line;

/// A turn that T3 accepted and that shows no sign of itself for so long was never started.
pub const START_GRACE: TimeDelta = TimeDelta::seconds(60);
/// The most that is shown of a state.
const WORD_LIMIT: usize = 40;
const NEVER_STARTED: &str = "T3 Code accepted the turn and never started it";
const INTERRUPTED: &str = "interrupted, as afk asked";
const INTERRUPTED_BY_OTHERS: &str = "interrupted, by somebody in T3 Code or because its agent died";
const STOPPED: &str = "its session ended before the turn did";

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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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

impl Reading {
    fn of(status: AgentStatus) -> Self {
        Self { status, words: None, strange: None }
    }

    fn failed(words: impl Into<String>) -> Self {
        Self { words: Some(words.into()), ..Self::of(AgentStatus::Failed) }
    }

    fn unknown(what: &str, word: &str) -> Self {
        let strange = format!("{what} is `{}`, which afk does not know", clean_line(word, WORD_LIMIT));
        Self { strange: Some(strange), ..Self::of(AgentStatus::Unknown) }
    }
}

/// How the agent of a thread is. `asked` is `None` where afk remembers nothing of it; `now` is this machine's clock.
///
/// The session decides before the turn does: v0.0.27 calls a turn completed in the middle of it. An end counts only
/// where it is the end of the turn that was asked for.
pub fn status(thread: &Thread, asked: Option<&Asked>, now: DateTime<Utc>) -> Reading {
    if thread.archived || thread.deleted {
        return Reading::of(AgentStatus::Gone);
    }
    if thread.is_in_flight() {
        return in_flight(thread);
    }
    let before = asked.map(|asked| asked.before.clone()).unwrap_or_default();
    let is_mine = thread.newest_turn().is_some_and(|turn| before.turn.as_deref() != Some(turn));
    let interrupted = asked.is_some_and(|asked| asked.interrupted);
    // As it was before the turn was sent, it tells nothing.
    let session = thread.session.as_ref().filter(|session| is_mine || session.updated_at != before.session);
    if let Some(failure) = could_not_start(thread, asked) {
        let error = session.and_then(|session| session.last_error.as_deref());
        return Reading::failed(words_or(error.unwrap_or(&failure.words), "T3 Code could not start the turn"));
    }
    let Some(session) = session else {
        let later = Reading::failed(NEVER_STARTED);
        return if interrupted { Reading::failed(INTERRUPTED) } else { not_begun(asked, now, later) };
    };
    let turn = thread.latest_turn.as_ref().filter(|_| is_mine).map(|turn| &turn.state);
    let error = session.last_error.as_deref();
    match (&session.status, turn) {
        (SessionStatus::Other(word), _) => Reading::unknown("the state of its session", word),
        (_, Some(TurnState::Other(word))) => Reading::unknown("the state of its turn", word),
        (SessionStatus::Error, _) | (_, Some(TurnState::Error)) => Reading::failed(why(thread, error)),
        (SessionStatus::Stopped, _) if error.is_some() => Reading::failed(why(thread, error)),
        // T3 calls a turn completed once it has taken its checkpoint, also when it was interrupted.
        _ if interrupted => Reading::failed(INTERRUPTED),
        (SessionStatus::Interrupted, _) | (_, Some(TurnState::Interrupted)) => Reading::failed(INTERRUPTED_BY_OTHERS),
        // T3 also stops sessions that have been idle for long, after a turn that is whole.
        (SessionStatus::Stopped, Some(TurnState::Completed)) => ended(thread),
        (SessionStatus::Stopped, _) if is_mine || asked.is_none() => Reading::failed(STOPPED),
        (SessionStatus::Stopped, _) => not_begun(asked, now, Reading::failed(STOPPED)),
        _ if is_mine => ended(thread),
        // v0.0.27 passes through `ready` on its way from `starting` to `running`. Later, where it shows everything but
        // a turn, the turn is over: it shows none of a folder that is not in git.
        _ if thread.newest_turn().is_none() && asked.is_some_and(|asked| thread.messages.has(asked.message)) => {
            not_begun(asked, now, Reading::of(AgentStatus::Idle))
        }
        _ => not_begun(asked, now, Reading::failed(NEVER_STARTED)),
    }
}

fn in_flight(thread: &Thread) -> Reading {
    let Some(session) = &thread.session else { return Reading::of(AgentStatus::Unknown) };
    let mut reading = Reading::of(match (&session.status, &session.active_turn_id) {
        _ if is_waiting(thread) => AgentStatus::Waiting,
        (SessionStatus::Starting, None) => AgentStatus::Starting,
        _ => AgentStatus::Running,
    });
    if let SessionStatus::Other(word) = &session.status {
        reading.strange = Reading::unknown("the state of its session", word).strange;
    }
    reading
}

/// Whether it waits for a person. The shell says so; elsewhere it follows from what happened in the turn at work: a
/// request of an earlier one may never have been answered.
fn is_waiting(thread: &Thread) -> bool {
    let Thread { has_pending_approvals, has_pending_user_input, activities, .. } = thread;
    if let (Some(approvals), Some(input)) = (has_pending_approvals, has_pending_user_input) {
        return *approvals || *input;
    }
    let active = thread.active_turn();
    activities.pending.iter().any(|turn| turn.is_none() || active.is_none() || turn.as_deref() == active)
}

/// The turn could not be started. Such a failure names no turn; its time is that of its message, whichever clock that
/// was.
fn could_not_start<'a>(thread: &'a Thread, asked: Option<&Asked>) -> Option<&'a Failure> {
    let failure = thread.activities.start_failed.as_ref()?;
    let messages = &thread.messages.asked;
    let message = match asked {
        Some(asked) => messages.iter().find(|(id, _)| *id == asked.message).map(|(_, at)| *at),
        None => messages.iter().map(|(_, at)| *at).max(),
    };
    (failure.at >= message?).then_some(failure)
}

/// Nothing has been seen of the turn. For a while that is usual; without a time to count from, the run's own limits
/// have to end it.
fn not_begun(asked: Option<&Asked>, now: DateTime<Utc>, later: Reading) -> Reading {
    let accepted = asked.and_then(|asked| asked.accepted);
    let is_late = accepted.is_some_and(|accepted| now.signed_duration_since(accepted) >= START_GRACE);
    if is_late { later } else { Reading::of(AgentStatus::Starting) }
}

/// The turn is over; its subagents may not be.
fn ended(thread: &Thread) -> Reading {
    let at_work = thread.background_liveness.as_deref() == Some("working");
    Reading::of(if at_work { AgentStatus::Running } else { AgentStatus::Idle })
}

/// Why a turn failed.
fn why(thread: &Thread, error: Option<&str>) -> String {
    let activity = || thread.activities.error.as_ref().map(|failure| failure.words.as_str());
    words_or(error.or_else(activity).unwrap_or_default(), "T3 Code does not say why the turn failed")
}

fn words_or(words: &str, otherwise: &str) -> String {
    (if words.is_empty() { otherwise } else { words }).to_owned()
}
