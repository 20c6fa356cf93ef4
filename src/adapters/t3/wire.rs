//! What is sent to T3 Code and what it shows: commands, projects and threads.
//!
//! What it shows is reduced while it is read: v0.0.27 lists every message of every thread. Unknown fields are skipped
//! and unknown states kept as they are.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::adapters::command::milestone_in;
use crate::text;

/// The most that is kept of anything that somebody said.
const WORDS_LIMIT: usize = 2 * 1024;

/// What T3 Code is told to do. Every id is afk's own; a command whose id was accepted before does nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum Command {
    /// A project at a folder that exists on T3's machine.
    #[serde(rename = "project.create")]
    ProjectCreate {
        /// Told apart by it.
        command_id: Uuid,
        /// The new project.
        project_id: Uuid,
        /// What people see.
        title: String,
        /// An absolute path.
        workspace_root: String,
        /// When it was decided.
        #[serde(serialize_with = "milliseconds")]
        created_at: DateTime<Utc>,
    },
    /// A thread of a project.
    #[serde(rename = "thread.create")]
    ThreadCreate {
        /// Told apart by it.
        command_id: Uuid,
        /// The new thread.
        thread_id: Uuid,
        /// A project's own id: afk's, or one that was there before.
        project_id: String,
        /// What people see.
        title: String,
        /// What the agent is.
        model_selection: ModelSelection,
        /// What the agent may do unasked.
        runtime_mode: String,
        /// How the agent works.
        interaction_mode: InteractionMode,
        /// A label; nothing is checked out.
        branch: Option<String>,
        /// Where the agent works, an absolute path; `None`: in the project's folder.
        worktree_path: Option<String>,
        /// When it was decided.
        #[serde(serialize_with = "milliseconds")]
        created_at: DateTime<Utc>,
    },
    /// A turn on a thread.
    #[serde(rename = "thread.turn.start")]
    TurnStart {
        /// Told apart by it.
        command_id: Uuid,
        /// The thread.
        thread_id: Uuid,
        /// What the agent is told.
        message: UserMessage,
        /// What the agent may do unasked; wins over the thread's.
        runtime_mode: String,
        /// How the agent works.
        interaction_mode: InteractionMode,
        /// When it was decided.
        #[serde(serialize_with = "milliseconds")]
        created_at: DateTime<Utc>,
    },
    /// The agent is asked to stop.
    #[serde(rename = "thread.turn.interrupt")]
    TurnInterrupt {
        /// Told apart by it.
        command_id: Uuid,
        /// The thread.
        thread_id: Uuid,
        /// T3's own id of the turn, as a listing shows it.
        turn_id: String,
        /// When it was decided.
        #[serde(serialize_with = "milliseconds")]
        created_at: DateTime<Utc>,
    },
    /// A thread is put away. Never while it runs.
    #[serde(rename = "thread.archive")]
    ThreadArchive {
        /// Told apart by it.
        command_id: Uuid,
        /// The thread.
        thread_id: Uuid,
    },
}

impl Command {
    /// The type, as T3 calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ProjectCreate { .. } => "project.create",
            Self::ThreadCreate { .. } => "thread.create",
            Self::TurnStart { .. } => "thread.turn.start",
            Self::TurnInterrupt { .. } => "thread.turn.interrupt",
            Self::ThreadArchive { .. } => "thread.archive",
        }
    }
}

/// What an agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelSelection {
    /// T3's provider instance.
    pub instance_id: String,
    /// Its model.
    pub model: String,
}

/// How an agent works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InteractionMode {
    /// It acts.
    Default,
}

/// What an agent is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserMessage {
    message_id: Uuid,
    role: &'static str,
    text: String,
    /// Always there, always empty: afk sends no images.
    attachments: [(); 0],
}

impl UserMessage {
    /// A message by its id, at most 120,000 UTF-16 units.
    pub fn new(message_id: Uuid, text: impl Into<String>) -> Self {
        Self { message_id, role: "user", text: text.into(), attachments: [] }
    }
}

/// ISO 8601 in UTC with milliseconds: T3 checks no times, and shows what it was sent.
fn milliseconds<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// A project, as T3 shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    /// Anything but empty.
    pub id: String,
    /// What people see; untrusted.
    #[serde(default)]
    pub title: String,
    /// An absolute path on T3's machine.
    #[serde(default)]
    pub workspace_root: String,
    /// It was deleted; T3 shows it for ever.
    #[serde(default, rename = "deletedAt", deserialize_with = "is_there")]
    pub deleted: bool,
}

/// A thread, as T3 shows it. All texts are untrusted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Thread {
    /// Anything but empty; a run's own id for afk's threads.
    pub id: String,
    /// Its project's id.
    #[serde(default)]
    pub project_id: String,
    /// What people see.
    #[serde(default)]
    pub title: String,
    /// What its agent may do unasked.
    #[serde(default)]
    pub runtime_mode: String,
    /// The label it was created with.
    #[serde(default)]
    pub branch: Option<String>,
    /// Where its agent works, where that is not the project's folder.
    #[serde(default)]
    pub worktree_path: Option<String>,
    /// The newest turn, as far as T3 shows one: v0.0.27 often shows none.
    #[serde(default)]
    pub latest_turn: Option<Turn>,
    /// The agent's session.
    #[serde(default)]
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
    #[serde(default)]
    pub has_pending_approvals: Option<bool>,
    /// It waits for an answer; `None` outside the shell.
    #[serde(default)]
    pub has_pending_user_input: Option<bool>,
    /// `working` while subagents are still at it after the turn; only in the shell.
    #[serde(default)]
    pub background_liveness: Option<String>,
    /// What was said, where T3 shows it: v0.0.27's snapshot and the read of one thread.
    #[serde(default)]
    pub messages: Messages,
    /// What happened, where T3 shows it.
    #[serde(default)]
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
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    /// T3's id.
    pub turn_id: String,
    /// How it is. v0.0.27 says `completed` in the middle of one.
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
    /// A word that afk does not know.
    #[serde(untagged)]
    Other(String),
}

/// The session of a thread's agent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentSession {
    /// How it is.
    pub status: SessionStatus,
    /// T3's id of the turn at work.
    #[serde(default)]
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
    /// A word that afk does not know.
    #[serde(untagged)]
    Other(String),
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
    text::clean_block(lines.join("\n").trim(), WORDS_LIMIT)
}

/// A list of which only a summary is kept: one item at a time is in memory.
fn fold<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D, take: impl FnMut(T)) -> Result<(), D::Error> {
    struct Items<T, F>(F, PhantomData<T>);
    impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Items<T, F> {
        type Value = ();

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
            while let Some(item) = items.next_element()? {
                (self.0)(item);
            }
            Ok(())
        }
    }
    deserializer.deserialize_seq(Items(take, PhantomData))
}

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
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
        fold(deserializer, |message: Message| match &*String::from(message.role) {
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

impl<'de> Deserialize<'de> for Activities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Activity {
            #[serde(default)]
            kind: Loose,
            #[serde(default)]
            payload: Payload,
            #[serde(default)]
            turn_id: Loose,
            #[serde(default, deserialize_with = "time")]
            created_at: Option<DateTime<Utc>>,
        }
        let mut activities = Self::default();
        // By the request; an answer may come before its question.
        let mut requests: BTreeMap<String, Request> = BTreeMap::new();
        fold(deserializer, |activity: Activity| {
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

/// A text; anything else is nothing.
#[derive(Default)]
struct Loose(Option<String>);

impl From<Loose> for String {
    fn from(loose: Loose) -> Self {
        loose.0.unwrap_or_default()
    }
}

/// What of any value something follows from; the rest is skipped, however deep it is.
trait OfAnything: Default {
    fn of_text(_: &str) -> Self {
        Self::default()
    }

    fn of_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

impl OfAnything for Loose {
    fn of_text(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }
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

/// Reads any value at all.
fn anything<'de, D: Deserializer<'de>, T: OfAnything>(deserializer: D) -> Result<T, D::Error> {
    struct Anything<T>(PhantomData<T>);
    impl<'de, T: OfAnything> Visitor<'de> for Anything<T> {
        type Value = T;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("anything")
        }

        fn visit_str<E>(self, text: &str) -> Result<T, E> {
            Ok(T::of_text(text))
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::of_map(map)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<T, A::Error> {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok(T::default())
        }

        fn visit_unit<E>(self) -> Result<T, E> {
            Ok(T::default())
        }

        fn visit_bool<E>(self, _: bool) -> Result<T, E> {
            Ok(T::default())
        }

        fn visit_i64<E>(self, _: i64) -> Result<T, E> {
            Ok(T::default())
        }

        fn visit_u64<E>(self, _: u64) -> Result<T, E> {
            Ok(T::default())
        }

        fn visit_f64<E>(self, _: f64) -> Result<T, E> {
            Ok(T::default())
        }
    }
    deserializer.deserialize_any(Anything(PhantomData))
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        anything(deserializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        anything(deserializer)
    }
}

/// Null or something.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<IgnoredAny>::deserialize(deserializer)?.is_some())
}

/// A time; `None` for any other text, since T3 shows whatever it was sent.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let Loose(text) = Loose::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// Words for people.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let said = Option::<String>::deserialize(deserializer)?;
    Ok(said.map(|said| clean(&said)).filter(|said| !said.is_empty()))
}
