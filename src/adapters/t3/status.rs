//! From what T3 shows of a thread to how its agent is: one rule that is right for every version.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::wire::{AgentSession, Failure, SessionStatus, Thread, TurnState};
use crate::policy::facts::AgentStatus;
use crate::text::clean_line;

/// A turn that T3 accepted and that shows no sign of itself for so long was never started.
pub const START_GRACE: TimeDelta = TimeDelta::seconds(60);
/// The most that is shown of a state.
const WORD_LIMIT: usize = 40;
const NEVER_STARTED: &str = "T3 Code accepted the turn and never started it";
const INTERRUPTED: &str = "interrupted, as afk asked";
const INTERRUPTED_BY_OTHERS: &str = "interrupted, by somebody in T3 Code or because its agent died";
const AWAY_AT_WORK: &str =
    "its thread was archived or deleted while its agent was at work, and T3 Code does not record when that ends";
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

    fn unknown(strange: impl Into<String>) -> Self {
        Self { strange: Some(strange.into()), ..Self::of(AgentStatus::Unknown) }
    }

    fn of_word(what: &str, word: &str) -> Self {
        let word = clean_line(word, WORD_LIMIT);
        Self::unknown(format!("the state of {what} is `{word}`, which afk does not know"))
    }

    fn unreadable(what: &str) -> Self {
        Self::unknown(format!("{what} is shown in a way that afk does not understand"))
    }
}

/// How the agent of a thread is. `asked` is `None` where afk remembers nothing of it; `now` is this machine's clock.
///
/// The session decides before the turn does: v0.0.27 calls a turn completed in the middle of it. An end counts only
/// where it is the end of the turn that was asked for.
pub fn status(thread: &Thread, asked: Option<&Asked>, now: DateTime<Utc>) -> Reading {
    if thread.is_in_flight() {
        return in_flight(thread);
    }
    if let Some(what) = thread.unreadable() {
        return Reading::unreadable(what);
    }
    if thread.is_away() {
        return Reading::of(AgentStatus::Gone);
    }
    let before = asked.map(|asked| asked.before.clone()).unwrap_or_default();
    let is_mine = thread.newest_turn().is_some_and(|turn| before.turn.as_deref() != Some(turn));
    let interrupted = asked.is_some_and(|asked| asked.interrupted);
    // As it was before the turn was sent, it tells nothing; what turned up since is of the turn before.
    let has_moved = |session: &&AgentSession| {
        let at = session.updated_at;
        asked.is_none() || at != before.session || (is_mine && at.is_none())
    };
    let session = thread.session.as_ref().filter(has_moved);
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
        (SessionStatus::Other(word), _) => Reading::of_word("its session", word),
        (_, Some(TurnState::Other(word))) => Reading::of_word("its turn", word),
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
        _ if thread.latest_turn.is_none() && asked.is_some_and(|asked| thread.messages.has(asked.message)) => {
            not_begun(asked, now, Reading::of(AgentStatus::Idle))
        }
        _ => not_begun(asked, now, Reading::failed(NEVER_STARTED)),
    }
}

fn in_flight(thread: &Thread) -> Reading {
    let Some(session) = &thread.session else { return Reading::of(AgentStatus::Unknown) };
    if thread.is_away() {
        // What its agent does from now on is not recorded, not even its end.
        return Reading { words: Some(AWAY_AT_WORK.to_owned()), ..Reading::unknown(AWAY_AT_WORK) };
    }
    let mut reading = Reading::of(match (&session.status, &session.active_turn_id) {
        _ if is_waiting(thread) => AgentStatus::Waiting,
        (SessionStatus::Starting, None) => AgentStatus::Starting,
        _ => AgentStatus::Running,
    });
    if let Some(what) = thread.unreadable() {
        reading.strange = Reading::unreadable(what).strange;
    } else if let SessionStatus::Other(word) = &session.status {
        reading.strange = Reading::of_word("its session", word).strange;
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
    Reading::of(if thread.has_subagents_at_work() { AgentStatus::Running } else { AgentStatus::Idle })
}

/// Why a turn failed.
fn why(thread: &Thread, error: Option<&str>) -> String {
    let activity = || thread.activities.error.as_ref().map(|failure| failure.words.as_str());
    words_or(error.or_else(activity).unwrap_or_default(), "T3 Code does not say why the turn failed")
}

fn words_or(words: &str, otherwise: &str) -> String {
    (if words.is_empty() { otherwise } else { words }).to_owned()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// What it is; the thread; what was asked of it; and what that means, so many seconds after it was accepted.
    type Row<'a> = (&'a str, Value, Asked, Vec<(i64, &'a str)>);

    const MESSAGE: Uuid = Uuid::from_u128(7);
    /// The session before the turn, and after it.
    const EARLIER: &str = "2026-11-22T12:00:00Z";
    const LATER: &str = "2026-11-22T13:00:00Z";
    const ACCEPTED: &str = "2026-11-22T12:30:00Z";

    fn thread(fields: Value) -> Thread {
        let mut thread = json!({ "id": "thread", "session": null, "latestTurn": null });
        thread.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(thread).unwrap()
    }

    fn session(status: &str, at: &str) -> Value {
        json!({ "status": status, "activeTurnId": null, "lastError": null, "updatedAt": at })
    }

    fn turn(id: &str, state: &str) -> Value {
        json!({ "turnId": id, "state": state, "requestedAt": EARLIER })
    }

    /// The agent's last message, of a turn; and before it, the one that was asked for.
    fn said(turn: &str) -> Value {
        json!([
            { "id": MESSAGE, "role": "user", "text": "do", "createdAt": ACCEPTED },
            { "id": "assistant:1", "role": "assistant", "text": "done", "turnId": turn, "createdAt": LATER },
        ])
    }

    fn heard() -> Value {
        json!([{ "id": MESSAGE, "role": "user", "text": "do", "createdAt": ACCEPTED }])
    }

    /// The first turn of a thread.
    fn first() -> Asked {
        Asked { message: MESSAGE, accepted: ACCEPTED.parse().ok(), before: Before::default(), interrupted: false }
    }

    /// A turn after one that v0.0.27 or main call `old`.
    fn second() -> Asked {
        Asked { before: Before { turn: Some("old".to_owned()), session: EARLIER.parse().ok() }, ..first() }
    }

    fn read(thread: &Thread, asked: Option<&Asked>, seconds: i64) -> Reading {
        let accepted: DateTime<Utc> = ACCEPTED.parse().unwrap();
        status(thread, asked, accepted + TimeDelta::seconds(seconds))
    }

    fn in_words(reading: Reading) -> String {
        let Reading { status, words, strange } = reading;
        [Some(format!("{status:?}").to_lowercase()), words, strange]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(": ")
    }

    #[test]
    fn a_turn_is_followed_from_its_start_to_its_end() {
        let away_at_work = concat!(
            "unknown: its thread was archived or deleted while its agent was at work, and T3 Code does not record when ",
            "that ends: its thread was archived or deleted while its agent was at work, and T3 Code does not record when ",
            "that ends"
        );
        let failed_later = "failed: T3 Code accepted the turn and never started it";
        let starting = [(5, "starting"), (61, "starting")];
        let waits = [(5, "starting"), (59, "starting"), (60, failed_later)];
        let running = [(5, "running"), (100_000, "running")];
        let idle = [(0, "idle"), (61, "idle")];
        let rows: Vec<Row<'_>> = vec![
            ("no session yet", json!({}), first(), waits.to_vec()),
            ("session starting", json!({ "session": session("starting", LATER) }), first(), starting.to_vec()),
            (
                "session ready on the way, v0.0.27",
                json!({ "session": session("ready", LATER), "messages": heard() }),
                first(),
                vec![(5, "starting"), (60, "idle")],
            ),
            (
                "the same, before a second turn",
                json!({ "session": session("ready", LATER), "latestTurn": turn("old", "completed"), "messages": heard() }),
                second(),
                waits.to_vec(),
            ),
            (
                "the first turn is still the newest",
                json!({ "session": session("ready", EARLIER), "latestTurn": turn("old", "completed") }),
                second(),
                waits.to_vec(),
            ),
            (
                "the turn before shows up late, v0.0.27",
                json!({ "session": session("ready", EARLIER), "latestTurn": turn("old", "completed"), "messages": heard() }),
                Asked { before: Before { turn: None, session: EARLIER.parse().ok() }, ..first() },
                waits.to_vec(),
            ),
            (
                "an error of the turn before",
                json!({ "session": session("error", EARLIER), "latestTurn": turn("old", "error") }),
                second(),
                waits.to_vec(),
            ),
            (
                "a session that was stopped while it was idle",
                json!({ "session": session("stopped", LATER), "latestTurn": turn("old", "completed") }),
                second(),
                vec![(5, "starting"), (60, "failed: its session ended before the turn did")],
            ),
            (
                "running",
                json!({ "session": session("running", LATER), "latestTurn": turn("old", "completed") }),
                second(),
                running.to_vec(),
            ),
            (
                "called completed in the middle, v0.0.27",
                json!({ "session": session("running", LATER), "latestTurn": turn("new", "completed") }),
                second(),
                running.to_vec(),
            ),
            (
                "just ended, checkpoint not taken, v0.0.27",
                json!({ "session": session("ready", LATER), "messages": said("new") }),
                second(),
                idle.to_vec(),
            ),
            (
                "just ended, checkpoint not taken, main",
                json!({ "session": session("ready", LATER), "latestTurn": turn("new", "completed") }),
                second(),
                idle.to_vec(),
            ),
            (
                "a turn without a word after another, in a folder that is not in git, v0.0.27",
                json!({ "session": session("ready", LATER), "messages": said("old") }),
                second(),
                vec![(5, "starting"), (59, "starting"), (60, "idle")],
            ),
            (
                "nothing but a message of the turn before, v0.0.27",
                json!({ "session": session("ready", EARLIER), "messages": said("old") }),
                second(),
                waits.to_vec(),
            ),
            (
                "stopped by T3 after half an hour of idleness",
                json!({ "session": session("stopped", LATER), "latestTurn": turn("new", "completed") }),
                second(),
                idle.to_vec(),
            ),
            (
                "subagents go on after the turn",
                json!({ "session": session("ready", LATER), "latestTurn": turn("new", "completed"), "backgroundLiveness": "working" }),
                second(),
                running.to_vec(),
            ),
            (
                "something is watched after the turn",
                json!({ "session": session("ready", LATER), "latestTurn": turn("new", "completed"), "backgroundLiveness": "monitoring" }),
                second(),
                idle.to_vec(),
            ),
            (
                "interrupted, and taken for completed",
                json!({ "session": session("ready", LATER), "latestTurn": turn("new", "completed") }),
                Asked { interrupted: true, ..second() },
                vec![(5, "failed: interrupted, as afk asked")],
            ),
            (
                "interrupted before it was sent",
                json!({}),
                Asked { interrupted: true, accepted: None, ..first() },
                vec![(5, "failed: interrupted, as afk asked")],
            ),
            (
                "interrupted by somebody else",
                json!({ "session": session("interrupted", LATER) }),
                second(),
                vec![(5, "failed: interrupted, by somebody in T3 Code or because its agent died")],
            ),
            (
                "an answer was lost",
                json!({ "session": session("ready", EARLIER), "latestTurn": turn("old", "completed") }),
                Asked { accepted: None, ..second() },
                vec![(5, "starting"), (100_000, "starting")],
            ),
            (
                "archived while it ran",
                json!({ "session": session("running", LATER), "archivedAt": LATER }),
                first(),
                vec![(5, away_at_work), (100_000, away_at_work)],
            ),
            (
                "deleted while it ran",
                json!({ "session": session("running", LATER), "deletedAt": LATER }),
                first(),
                vec![(5, away_at_work)],
            ),
            (
                "archived after it ran",
                json!({ "session": session("ready", LATER), "archivedAt": LATER }),
                first(),
                vec![(5, "gone")],
            ),
            ("archived before its session was there", json!({ "archivedAt": LATER }), first(), vec![(5, "gone")]),
            (
                "a session without a state",
                json!({ "session": { "activeTurnId": null } }),
                first(),
                vec![(5, "unknown: its session is shown in a way that afk does not understand")],
            ),
            (
                "no word of a session, archived",
                json!({ "session": 7, "archivedAt": LATER }),
                first(),
                vec![(5, "unknown: its session is shown in a way that afk does not understand")],
            ),
            (
                "a turn without an id",
                json!({ "session": session("ready", LATER), "latestTurn": { "state": "completed" } }),
                first(),
                vec![(5, "unknown: its turn is shown in a way that afk does not understand")],
            ),
            (
                "a turn without a state, at work",
                json!({ "session": session("running", LATER), "latestTurn": { "turnId": "new" } }),
                first(),
                vec![(5, "running: its turn is shown in a way that afk does not understand")],
            ),
            (
                "a session in a state from the future",
                json!({ "session": session("dreaming", LATER) }),
                first(),
                vec![(5, "unknown: the state of its session is `dreaming`, which afk does not know")],
            ),
            (
                "a turn in a state from the future",
                json!({ "session": session("ready", LATER), "latestTurn": turn("new", "dreaming") }),
                first(),
                vec![(5, "unknown: the state of its turn is `dreaming`, which afk does not know")],
            ),
        ];
        for (what, fields, asked, expected) in rows {
            let thread = thread(fields);
            let is: Vec<_> = expected.iter().map(|(at, _)| (*at, in_words(read(&thread, Some(&asked), *at)))).collect();
            let expected: Vec<_> = expected.into_iter().map(|(at, word)| (at, word.to_owned())).collect();
            assert_eq!(is, expected, "{what}");
        }
    }

    #[test]
    fn a_turn_at_work_in_a_state_from_the_future_is_at_work() {
        let mut session = session("dreaming", LATER);
        session["activeTurnId"] = json!("new");
        let is = in_words(read(&thread(json!({ "session": session })), None, 0));
        assert_eq!(is, "running: the state of its session is `dreaming`, which afk does not know");
    }

    #[test]
    fn only_a_request_of_the_turn_at_work_is_waited_for() {
        let request =
            |kind: &str, id: &str, turn: &str| json!({ "kind": kind, "turnId": turn, "payload": { "requestId": id } });
        let asked = request("approval.requested", "a", "new");
        let resolved = request("approval.resolved", "a", "new");
        let old = request("user-input.requested", "b", "old");
        for (what, activities, flags, expected) in [
            ("nothing", json!([]), None, "running"),
            ("an approval", json!([asked]), None, "waiting"),
            ("an answered one", json!([asked, resolved]), None, "running"),
            ("an answered one, in the other order", json!([resolved, asked]), None, "running"),
            ("a question of an earlier turn", json!([old]), None, "running"),
            ("the shell says so", json!([]), Some((true, false)), "waiting"),
            ("the shell says so too", json!([]), Some((false, true)), "waiting"),
            ("the shell says no", json!([asked]), Some((false, false)), "running"),
        ] {
            let mut session = session("running", LATER);
            session["activeTurnId"] = json!("new");
            let mut thread = thread(json!({ "session": session, "activities": activities }));
            (thread.has_pending_approvals, thread.has_pending_user_input) = flags.unzip();
            assert_eq!(in_words(read(&thread, Some(&first()), 5)), expected, "{what}");
        }
    }

    #[test]
    fn a_start_that_failed_counts_for_its_own_message_alone() {
        let failure = |at: &str| json!([{ "kind": "provider.turn.start.failed", "createdAt": at, "payload": { "detail": "no such model\n    at Provider.start (/srv/t3/x.js:1)" } }]);
        let of = |at: &str| thread(json!({ "messages": heard(), "activities": failure(at) }));
        assert_eq!(in_words(read(&of(ACCEPTED), Some(&first()), 5)), "failed: no such model");
        assert_eq!(in_words(read(&of(ACCEPTED), None, 5)), "failed: no such model");
        assert_eq!(in_words(read(&of(EARLIER), Some(&second()), 5)), "starting");
    }

    #[test]
    fn before_a_turn_is_what_tells_it_from_after() {
        let ended = thread(json!({ "session": session("ready", LATER), "messages": said("new") }));
        assert_eq!(Before::of(&ended), Before { turn: Some("new".to_owned()), session: LATER.parse().ok() });
        let next = Asked { before: Before::of(&ended), ..first() };
        assert_eq!(in_words(read(&ended, Some(&next), 5)), "starting", "nothing has moved");
    }

    proptest! {
        #[test]
        fn an_agent_at_work_is_never_taken_for_one_that_ended(
            status in prop_oneof![Just("starting"), Just("running")],
            state in prop_oneof![Just("running"), Just("completed"), Just("interrupted"), Just("error")],
            interrupted: bool,
            remembered: bool,
            seconds in 0_i64..1_000_000,
        ) {
            let thread = thread(json!({ "session": session(status, LATER), "latestTurn": turn("new", state) }));
            let asked = Asked { interrupted, ..first() };
            let reading = read(&thread, remembered.then_some(&asked), seconds);
            prop_assert!(matches!(reading.status, AgentStatus::Starting | AgentStatus::Running), "{reading:?}");
        }
    }
}
