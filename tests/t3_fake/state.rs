//! What the server knows.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use uuid::Uuid;

use super::Generation;
use super::auth::{Pairing, Token, tokens};
use super::desk::Exchange;
use super::faults::Trouble;

/// All of it.
#[derive(Debug)]
pub struct State {
    pub generation: Generation,
    pub environment: String,
    pub tokens: Vec<Token>,
    pub pairings: Vec<Pairing>,
    pub projects: Vec<Project>,
    pub threads: Vec<Thread>,
    /// What became of each command that was recorded, by its id.
    pub receipts: BTreeMap<String, Receipt>,
    /// The number of the newest event.
    pub sequence: u64,
    /// When that was.
    pub updated_at: String,
    /// Where the server was started.
    pub home: PathBuf,
    /// What providers run.
    pub agent: PathBuf,
    /// How long a provider lets an agent live that was told to end.
    pub grace: Duration,
    /// Where turns stop and wait, until this is changed.
    pub hold: Option<Phase>,
    /// A provider that takes no turn, and what it says instead.
    pub refusal: Option<String>,
    /// How long a provider takes for each step on the way into a turn.
    pub step: Duration,
    /// How long after the end of a turn its checkpoint is taken.
    pub checkpoint: Duration,
    /// How far its clock is off.
    pub skew: TimeDelta,
    /// Counts the starts of the server; a provider of an earlier one is dead.
    pub life: u64,
    pub troubles: Vec<Trouble>,
    /// What this server answers otherwise than the recorded ones: changes status and body of each answer.
    pub drift: Option<fn(&mut u16, &mut Value)>,
    pub log: Vec<Exchange>,
}

/// A step of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Accepted, and not picked up.
    Accepted,
    /// The session is starting.
    Starting,
    /// The session is ready, before the turn; only v0.0.27 shows that.
    Ready,
    /// The agent has ended, and no checkpoint is taken.
    Ended,
    /// A turn was cut off, and its checkpoint is a placeholder.
    Placeholder,
}

#[derive(Debug, Clone)]
pub struct Receipt {
    /// `None`: refused, and so it stays.
    pub sequence: Option<u64>,
    /// The project or thread that it was for.
    pub aggregate: String,
}

#[derive(Debug, Clone)]
pub struct Project {
    pub id: String,
    pub title: String,
    pub root: PathBuf,
    pub model: Value,
    pub scripts: Value,
    pub created_at: String,
    pub updated_at: String,
    pub deleted_at: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Thread {
    pub id: String,
    pub project: String,
    pub title: String,
    pub model: Value,
    pub runtime_mode: String,
    pub interaction_mode: String,
    pub branch: Option<String>,
    pub worktree: Option<String>,
    pub latest_turn: Option<Turn>,
    pub session: Option<Session>,
    pub created_at: String,
    pub updated_at: String,
    pub archived_at: Option<String>,
    pub deleted_at: Option<String>,
    pub settled: bool,
    pub messages: Vec<Message>,
    pub activities: Vec<Activity>,
    pub checkpoints: Vec<Checkpoint>,
    /// Turns that wait for their provider.
    pub queue: VecDeque<Asked>,
    /// Whether a provider looks after it.
    pub busy: bool,
    /// Whether an agent is at work on it, or about to be.
    pub live: bool,
    /// The agent that runs.
    pub agent: Option<RunningAgent>,
    /// The turns that an agent was started for.
    pub begun: usize,
}

/// A turn that was asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    pub message: String,
    pub text: String,
    pub at: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub id: String,
    /// `running`, `interrupted`, `completed`, `error`.
    pub state: &'static str,
    pub requested_at: String,
    pub completed_at: Option<String>,
    pub assistant_message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// `idle`, `starting`, `running`, `ready`, `interrupted`, `stopped`, `error`.
    pub status: &'static str,
    pub provider: Option<String>,
    pub instance: String,
    pub active_turn: Option<String>,
    pub last_error: Option<String>,
    pub updated_at: String,
}

#[derive(Debug, Clone)]
pub struct Message {
    pub id: String,
    pub role: &'static str,
    pub text: String,
    pub turn: Option<String>,
    pub at: String,
}

#[derive(Debug, Clone)]
pub struct Activity {
    pub id: String,
    pub tone: &'static str,
    pub kind: &'static str,
    pub summary: String,
    pub payload: Value,
    pub turn: Option<String>,
    pub at: String,
}

#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub turn: String,
    pub count: usize,
    pub status: &'static str,
    pub assistant_message: String,
    pub at: String,
}

/// An agent process, and what was asked of it.
#[derive(Debug, Clone)]
pub struct RunningAgent {
    pub group: Pid,
    pub turn: String,
    /// Asked to end, naming the turn: its end counts as an interrupt.
    pub interrupted: bool,
    /// Its session was stopped.
    pub stopped: bool,
    /// When it was told to end.
    pub told: Option<std::time::Instant>,
    /// Where answers to its questions are put.
    pub answers: PathBuf,
}

impl State {
    pub fn new(generation: Generation) -> Self {
        Self {
            generation,
            environment: id(),
            tokens: tokens(),
            pairings: Vec::new(),
            projects: Vec::new(),
            threads: Vec::new(),
            receipts: BTreeMap::new(),
            sequence: 0,
            updated_at: "1970-01-01T00:00:00.000Z".to_owned(),
            home: std::env::temp_dir(),
            agent: PathBuf::from("no-agent"),
            grace: Duration::from_secs(1),
            hold: None,
            refusal: None,
            step: Duration::from_millis(5),
            checkpoint: Duration::from_millis(80),
            skew: TimeDelta::zero(),
            life: 0,
            troubles: Vec::new(),
            drift: None,
            log: Vec::new(),
        }
    }

    pub fn is_main(&self) -> bool {
        self.generation == Generation::Main
    }

    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + self.skew
    }

    pub fn project(&mut self, id: &str) -> Option<&mut Project> {
        self.projects.iter_mut().find(|project| project.id == id)
    }

    pub fn thread(&mut self, id: &str) -> Option<&mut Thread> {
        self.threads.iter_mut().find(|thread| thread.id == id)
    }

    /// A new event; gives its time.
    pub fn event(&mut self) -> String {
        let now = stamp(self.now());
        self.event_at(now)
    }

    /// A new event of a time that a client gave.
    pub fn event_at(&mut self, at: String) -> String {
        self.sequence += 1;
        // The latest, as text: times are whatever a client says.
        if at > self.updated_at {
            self.updated_at.clone_from(&at);
        }
        at
    }

    /// The directory that a thread's agent works in.
    pub fn directory(&self, thread: &Thread) -> PathBuf {
        let project = self.projects.iter().find(|project| project.id == thread.project);
        let root = || project.map(|project| project.root.clone()).unwrap_or_default();
        thread.worktree.as_ref().map_or_else(root, PathBuf::from)
    }

    /// Killed in the middle of everything, and started again: v0.0.27 forgets what ran and goes on saying that it does.
    pub fn restart(&mut self) {
        self.kill_agents();
        self.life += 1;
        let main = self.is_main();
        let in_flight: Vec<String> =
            self.threads.iter().filter(|thread| thread.is_in_flight()).map(|thread| thread.id.clone()).collect();
        for thread in &mut self.threads {
            thread.queue.clear();
            thread.busy = false;
            thread.live = false;
            thread.agent = None;
        }
        for id in in_flight.iter().filter(|_| main) {
            let now = self.event();
            let Some(thread) = self.thread(id) else { continue };
            thread.updated_at.clone_from(&now);
            if let Some(turn) = &mut thread.latest_turn {
                turn.state = "error";
                turn.completed_at = Some(now.clone());
            }
            if let Some(session) = &mut thread.session {
                let said = "Provider session did not survive a server restart. Send a new message to continue.";
                *session = Session {
                    status: "error",
                    active_turn: None,
                    last_error: Some(said.to_owned()),
                    updated_at: now,
                    ..session.clone()
                };
            }
        }
    }

    /// The end of the server and of its agents.
    pub fn close(&mut self) {
        self.life += 1;
        self.hold = None;
        self.kill_agents();
    }

    /// Every agent dies, and none is started.
    pub fn clear(&mut self) {
        self.hold = None;
        for thread in &mut self.threads {
            thread.queue.clear();
            thread.live &= thread.agent.is_some();
        }
        self.kill_agents();
    }

    fn kill_agents(&self) {
        for agent in self.threads.iter().filter_map(|thread| thread.agent.as_ref()) {
            let _ = rustix::process::kill_process_group(agent.group, Signal::KILL);
        }
    }
}

impl Thread {
    pub fn is_in_flight(&self) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| matches!(session.status, "starting" | "running") || session.active_turn.is_some())
    }

    /// Nothing that its provider does is recorded any more.
    pub fn is_put_away(&self) -> bool {
        self.archived_at.is_some() || self.deleted_at.is_some()
    }

    /// Requests of the provider of one kind that nobody answered.
    pub fn pending(&self, requested: &str, resolved: &str) -> Vec<&Activity> {
        let answered = |request: &Value| {
            self.activities.iter().any(|other| other.kind == resolved && other.payload["requestId"] == *request)
        };
        let asked = self.activities.iter().filter(|activity| activity.kind == requested);
        asked.filter(|activity| !answered(&activity.payload["requestId"])).collect()
    }
}

/// A new id of the server's own.
pub fn id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{} {count} {:?}", std::process::id(), Utc::now());
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}

pub fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Whether checkpoints can be taken of a directory. git itself is not asked: an agent may have laid traps for it.
pub fn is_git(directory: &Path) -> bool {
    directory.join(".git").exists()
}
