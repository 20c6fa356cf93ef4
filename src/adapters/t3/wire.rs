//! What T3 Code shows: projects and threads.
//!
//! It is reduced while it is read: v0.0.27 lists every message of every thread. Unknown fields are skipped, unknown
//! states kept as they are, and what is none of what it should be is as if it were not there: one thread that makes no
//! sense must not hide the others.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::de::{IgnoredAny, MapAccess, SeqAccess};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use super::loose::{
    Loose, OfAnything, anything, flag, is_there, missing, optional_text, part, take_each, text, time, word,
};
use crate::adapters::command::milestone_in;
use crate::engine::identity::RunId;

/// The most that is kept of anything that somebody said.
const WORDS_LIMIT: usize = 2 * 1024;

/// A project, as T3 shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    /// Empty where T3 shows none.
    #[serde(default, deserialize_with = "text")]
    pub id: String,
    /// What people see; untrusted.
    #[serde(default, deserialize_with = "text")]
    pub title: String,
    /// An absolute path on T3's machine.
    #[serde(default, deserialize_with = "text")]
    pub workspace_root: String,
    /// It was deleted; T3 shows it for ever.
    #[serde(default, rename = "deletedAt", deserialize_with = "is_there")]
    pub deleted: bool,
}

/// A thread, as T3 shows it. All texts are untrusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Thread {
    /// A run's own id for afk's threads; empty where T3 shows none.
    #[serde(default, deserialize_with = "text")]
    pub id: String,
    /// Its project's id.
    #[serde(default, deserialize_with = "text")]
    pub project_id: String,
    /// What people see.
    #[serde(default, deserialize_with = "text")]
    pub title: String,
    /// What its agent may do unasked.
    #[serde(default, deserialize_with = "text")]
    pub runtime_mode: String,
    /// The label it was created with.
    #[serde(default, deserialize_with = "optional_text")]
    pub branch: Option<String>,
    /// Where its agent works, where that is not the project's folder.
    #[serde(default, deserialize_with = "optional_text")]
    pub worktree_path: Option<String>,
    /// The newest turn, as far as T3 shows one: v0.0.27 often shows none.
    #[serde(default = "missing", deserialize_with = "part")]
    pub latest_turn: Option<Turn>,
    /// The agent's session. Every server says that there is none.
    #[serde(default = "missing", deserialize_with = "part")]
    pub session: Option<AgentSession>,
    /// When anything of it moved last, by T3's clock; `None` where somebody sent a time that is none.
    #[serde(default, deserialize_with = "time")]
    pub updated_at: Option<DateTime<Utc>>,
    /// It was put away.
    #[serde(default, rename = "archivedAt", deserialize_with = "is_there")]
    pub archived: bool,
    /// It was deleted; T3 shows it for ever, but not in the shell.
    #[serde(default, rename = "deletedAt", deserialize_with = "is_there")]
    pub deleted: bool,
    /// It waits for an approval; `None` outside the shell.
    #[serde(default, deserialize_with = "flag")]
    pub has_pending_approvals: Option<bool>,
    /// It waits for an answer; `None` outside the shell.
    #[serde(default, deserialize_with = "flag")]
    pub has_pending_user_input: Option<bool>,
    /// `working` while subagents are still at it after the turn; only in the shell.
    #[serde(default, deserialize_with = "optional_text")]
    pub background_liveness: Option<String>,
    /// What was said, where T3 shows it: v0.0.27's snapshot and the read of one thread.
    #[serde(default, deserialize_with = "anything")]
    pub messages: Messages,
    /// What happened, where T3 shows it.
    #[serde(default, deserialize_with = "anything")]
    pub activities: Activities,
}

impl Thread {
    /// Whether an agent is at work, or about to be. No turn is sent then, and nothing archived.
    pub fn is_in_flight(&self) -> bool {
        self.session.as_ref().is_some_and(|session| {
            session.active_turn_id.is_some()
                || matches!(session.status, SessionStatus::Starting | SessionStatus::Running)
        })
    }

    /// Whether it was put away or deleted.
    pub fn is_away(&self) -> bool {
        self.archived || self.deleted
    }

    /// What T3 shows of it in a way that afk does not understand, so that nobody can tell how its agent is.
    pub fn unreadable(&self) -> Option<&'static str> {
        let session = self.session.as_ref().is_some_and(|session| session.status == SessionStatus::default());
        let turn = |turn: &Turn| turn.turn_id.is_empty() || turn.state == TurnState::default();
        match self.latest_turn.as_ref().is_some_and(turn) {
            _ if session => Some("its session"),
            true => Some("its turn"),
            false => None,
        }
    }

    /// Whether it is the thread of a run, or may be: it shows no id, and no branch that would be another one's.
    pub fn may_be(&self, run: RunId) -> bool {
        let branch = || self.branch.as_ref().is_none_or(|branch| branch.starts_with(&run.branch()));
        if self.id.is_empty() { branch() } else { self.id == run.to_string() }
    }

    /// Whether subagents go on, perhaps after the turn.
    pub fn has_subagents_at_work(&self) -> bool {
        self.background_liveness.as_deref() == Some("working")
    }

    /// T3's id of the turn that is at work, by itself or with its subagents, which an interrupt has to name.
    pub fn active_turn(&self) -> Option<&str> {
        if !self.is_in_flight() && self.has_subagents_at_work() {
            return self.newest_turn();
        }
        let session = self.session.as_ref().filter(|_| self.is_in_flight())?;
        let latest = || self.latest_turn.as_ref().filter(|turn| turn.state == TurnState::Running);
        session.active_turn_id.as_deref().or_else(|| latest().map(|turn| turn.turn_id.as_str()))
    }

    /// T3's id of the newest turn that there is any sign of. v0.0.27 shows none for a while after a turn has ended, and
    /// never one in a folder that is not in git: there the newest message names it.
    pub fn newest_turn(&self) -> Option<&str> {
        let latest = self.latest_turn.as_ref().map(|turn| turn.turn_id.as_str());
        latest.or_else(|| self.messages.last.as_ref()?.turn.as_deref())
    }
}

/// A turn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    /// T3's id; empty where it shows none.
    #[serde(default, deserialize_with = "text")]
    pub turn_id: String,
    /// How it is. v0.0.27 says `completed` in the middle of one.
    #[serde(default, deserialize_with = "word")]
    pub state: TurnState,
}

/// How a turn is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TurnState {
    /// At work.
    Running,
    /// Somebody asked it to stop; it may still be at work.
    Interrupted,
    /// Done. Interrupted ones end up here too.
    Completed,
    /// Failed.
    Error,
    /// A word that afk does not know; empty where T3 shows none.
    #[serde(untagged)]
    Other(String),
}

impl Default for TurnState {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

/// The session of a thread's agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentSession {
    /// How it is.
    #[serde(default, deserialize_with = "word")]
    pub status: SessionStatus,
    /// T3's id of the turn at work.
    #[serde(default, deserialize_with = "optional_text")]
    pub active_turn_id: Option<String>,
    /// Why it failed: bounded, without a stack trace.
    #[serde(default, deserialize_with = "words")]
    pub last_error: Option<String>,
    /// When it changed last; by T3's clock, or by that of whoever sent the turn.
    #[serde(default, deserialize_with = "time")]
    pub updated_at: Option<DateTime<Utc>>,
}

/// How a session is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionStatus {
    /// Not at work.
    Idle,
    /// Coming up.
    Starting,
    /// At work.
    Running,
    /// Up, and not at work.
    Ready,
    /// Stopped by an interrupt.
    Interrupted,
    /// Ended.
    Stopped,
    /// Failed.
    Error,
    /// A word that afk does not know; empty where T3 shows none.
    #[serde(untagged)]
    Other(String),
}

impl Default for SessionStatus {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

/// What was said on a thread, reduced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Messages {
    /// The messages that agents were sent, as far as their ids are like afk's; and when, as T3 shows it.
    pub asked: Vec<(Uuid, Option<DateTime<Utc>>)>,
    /// The agent's last one.
    pub last: Option<Said>,
    /// Lines that declare a milestone, in the order they came; each once.
    pub milestones: Vec<String>,
}

impl Messages {
    /// Whether an agent was sent this one.
    pub fn has(&self, message: Uuid) -> bool {
        self.asked.iter().any(|(id, _)| *id == message)
    }
}

/// Something that an agent said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// T3's id of the turn.
    pub turn: Option<String>,
    /// When.
    pub at: Option<DateTime<Utc>>,
    /// The end of it.
    pub words: String,
}

/// What happened on a thread, reduced. T3 lists it in no order that means anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activities {
    /// Approvals and questions that nobody answered: T3's id of the turn.
    pub pending: Vec<Option<String>>,
    /// The newest turn that could not be started.
    pub start_failed: Option<Failure>,
    /// The newest error.
    pub error: Option<Failure>,
}

/// Something that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// T3's id of the turn.
    pub turn: Option<String>,
    /// When; a start that failed has the time of its message.
    pub at: Option<DateTime<Utc>>,
    /// Why.
    pub words: String,
}

/// Untrusted words for people: bounded, without a stack trace.
pub fn clean(said: &str) -> String {
    let lines: Vec<&str> = said.lines().take_while(|line| !line.trim_start().starts_with("at ")).collect();
    crate::text::clean_block(lines.join("\n").trim(), WORDS_LIMIT)
}

impl OfAnything for Messages {
    fn of_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Message {
            #[serde(default)]
            id: Loose,
            #[serde(default)]
            role: Loose,
            #[serde(default)]
            text: Loose,
            #[serde(default)]
            turn_id: Loose,
            #[serde(default, deserialize_with = "time")]
            created_at: Option<DateTime<Utc>>,
        }
        let mut messages = Self::default();
        take_each(&mut list, |message: Message| match &*String::from(message.role) {
            "user" => messages.asked.extend(String::from(message.id).parse().ok().map(|id| (id, message.created_at))),
            "assistant" => {
                let text = String::from(message.text);
                for milestone in text.lines().filter_map(milestone_in) {
                    if !messages.milestones.iter().any(|known| known == milestone) {
                        messages.milestones.push(milestone.to_owned());
                    }
                }
                if messages.last.as_ref().is_none_or(|last| last.at <= message.created_at) {
                    let words = crate::text::tail(text.trim(), WORDS_LIMIT);
                    messages.last = Some(Said { turn: message.turn_id.0, at: message.created_at, words });
                }
            }
            _ => {}
        })?;
        Ok(messages)
    }
}

impl OfAnything for Activities {
    fn of_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Activity {
            #[serde(default)]
            kind: Loose,
            #[serde(default, deserialize_with = "anything")]
            payload: Payload,
            #[serde(default)]
            turn_id: Loose,
            #[serde(default, deserialize_with = "time")]
            created_at: Option<DateTime<Utc>>,
        }
        let mut activities = Self::default();
        // By the request; an answer may come before its question.
        let mut requests: BTreeMap<String, Request> = BTreeMap::new();
        take_each(&mut list, |activity: Activity| {
            let Activity { kind, payload, turn_id: Loose(turn_id), created_at } = activity;
            let kind = String::from(kind);
            match (kind.as_str(), payload.request_id.0) {
                ("approval.requested" | "user-input.requested", Some(id)) => {
                    requests.entry(id).or_default().asked = Some(turn_id);
                }
                ("approval.resolved" | "user-input.resolved", Some(id)) => {
                    requests.entry(id).or_default().answered = true;
                }
                ("provider.turn.start.failed" | "runtime.error", _) => {
                    let newest =
                        if kind == "runtime.error" { &mut activities.error } else { &mut activities.start_failed };
                    if newest.as_ref().is_none_or(|newest| newest.at <= created_at) {
                        let words = clean(&payload.detail.0.or(payload.message.0).unwrap_or_default());
                        *newest = Some(Failure { turn: turn_id, at: created_at, words });
                    }
                }
                _ => {}
            }
        })?;
        activities.pending =
            requests.into_values().filter(|request| !request.answered).filter_map(|request| request.asked).collect();
        Ok(activities)
    }
}

/// A question or an approval.
#[derive(Default)]
struct Request {
    /// In which turn; `None` while only its answer was seen.
    asked: Option<Option<String>>,
    answered: bool,
}

/// What an activity carries, as far as anything follows from it. Its fields depend on its kind, and T3 says that it may
/// be anything.
#[derive(Default)]
struct Payload {
    request_id: Loose,
    detail: Loose,
    message: Loose,
}

impl OfAnything for Payload {
    fn of_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut payload = Self::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "requestId" => payload.request_id = map.next_value()?,
                "detail" => payload.detail = map.next_value()?,
                "message" => payload.message = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(payload)
    }
}

/// Words for people.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let Loose(said) = Loose::deserialize(deserializer)?;
    Ok(said.map(|said| clean(&said)).filter(|said| !said.is_empty()))
}
