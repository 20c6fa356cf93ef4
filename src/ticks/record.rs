//! A run's record: a versioned JSON block at the end of its one progress comment. The tracker is the database.
//!
//! A block counts only if afk's own identity wrote the comment and, where record keys are set, its HMAC over host,
//! repository, issue and body holds. Ids, enums, numbers and times only, and few short sentences of the policy.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::engine::identity::RunId;
use crate::engine::pending::PendingRow;
use crate::policy::facts::AgentStatus;
use crate::policy::{Landing, Policy, RunOutcome};
use crate::ports::{Assignment, Comment, IssueRef};

/// The version of the block that this build writes and reads.
pub const VERSION: u32 = 1;
/// The largest block that is written or believed, in bytes.
pub const MAX_BYTES: usize = 4096;

const OPEN: &str = "<!-- afk-run:v";
const CLOSE: &str = " -->";

/// Everything afk remembers of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The run.
    pub run: RunId,
    /// The repository.
    pub repo: String,
    /// The issue's number.
    pub issue: u64,
    /// The arming it answers.
    pub arming: String,
    /// Who armed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub armed_by: Option<String>,
    /// The executor, by the name of the settings.
    pub executor: String,
    /// How it lands.
    pub landing: Landing,
    /// Head of the default branch at dispatch; `None` when that is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The default branch at dispatch; `None` when that is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_branch: Option<String>,
    /// SHA-256 of the brief that the agent was given; `None` when that is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brief_sha256: Option<String>,
    /// The policy revision that took the last decision.
    pub revision: String,
    /// When it was decided to dispatch.
    pub dispatched_at: DateTime<Utc>,
    /// The state it is in.
    pub state: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// How many rows with effects were chosen so far.
    #[serde(default)]
    pub decisions: u32,
    /// Corrective turns that the executor accepted.
    #[serde(default)]
    pub attempts: u32,
    /// The fact `agent`, as last seen.
    pub agent: AgentStatus,
    /// Since when it has that value.
    pub agent_since: DateTime<Utc>,
    /// The newest turn that the executor accepted.
    pub turn: Uuid,
    /// When it was sent.
    pub turn_at: DateTime<Utc>,
    /// The newest commit of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// When afk first saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_at: Option<DateTime<Utc>>,
    /// Since when CI has no verdict on it; `None` while it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undecided_since: Option<DateTime<Utc>>,
    /// The first red after the last green.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub red_since: Option<DateTime<Utc>>,
    /// The commit about which a turn was sent or given up; `none` for a turn before any commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// The corrective turn that is being sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending: Option<Sending>,
    /// The row whose effects are being carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingRow>,
    /// Effects that were given up, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_up: Vec<String>,
    /// How it ended; `None` while it is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<RunOutcome>,
    /// Why it ended, in the policy's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the agent of an ended run was first asked to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupted_at: Option<DateTime<Utc>>,
    /// Written anew after a loss: what it does not say is unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rebuilt: bool,
}

/// A corrective turn that was not seen to be accepted yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sending {
    /// The commit it is about, or `none`.
    pub commit: String,
    /// Moves only after a refusal whose effect was disproved.
    pub n: u32,
    /// When it was first tried.
    pub first_tried: DateTime<Utc>,
}

impl Record {
    /// The record of a run that nothing has happened to yet but its dispatch.
    pub fn of_dispatch(policy: &Policy, executor: &str, assignment: &Assignment) -> Self {
        let rules = policy.rules(&assignment.issue.repo);
        Self {
            run: assignment.run,
            repo: assignment.issue.repo.clone(),
            issue: assignment.issue.number,
            arming: assignment.arming.clone(),
            armed_by: assignment.armed_by.clone(),
            executor: executor.to_owned(),
            landing: rules.agent.landing,
            base: Some(assignment.base.clone()),
            default_branch: Some(assignment.default_branch.clone()),
            brief_sha256: Some(assignment.brief_sha256.clone()),
            revision: policy.revision.clone(),
            dispatched_at: assignment.dispatched_at,
            state: rules.initial_state().map(|state| state.name.clone()).unwrap_or_default(),
            since: assignment.dispatched_at,
            decisions: 0,
            attempts: 0,
            agent: AgentStatus::Starting,
            agent_since: assignment.dispatched_at,
            turn: assignment.turn,
            turn_at: assignment.dispatched_at,
            commit: None,
            commit_at: None,
            undecided_since: None,
            red_since: None,
            told: None,
            sending: None,
            pending: None,
            given_up: Vec::new(),
            outcome: None,
            reason: None,
            interrupted_at: None,
            rebuilt: false,
        }
    }

    /// The issue.
    pub fn reference(&self) -> IssueRef {
        IssueRef { repo: self.repo.clone(), number: self.issue }
    }

    /// What a turn would be about: the newest commit, or `none`.
    pub fn subject(&self) -> &str {
        self.commit.as_deref().unwrap_or("none")
    }
}

/// A record and the comment that holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The comment's id.
    pub comment: String,
    /// The comment's whole text, to tell whether it has to be edited.
    pub body: String,
    /// The record.
    pub record: Record,
    /// Later comments with a record of the same run, which a lost answer left.
    pub twins: Vec<String>,
}

/// What was found in a comment that claims to be a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// A record that counts.
    Valid(Box<Record>),
    /// Written by a newer afk: nothing may be touched.
    Newer(u32),
}

/// Signs and checks records.
#[derive(Debug, Default)]
pub struct Seal {
    host: String,
    /// Newest first: the first signs, any of them is believed.
    keys: Vec<SecretString>,
}

impl Seal {
    /// For a tracker's host, with the record keys of the settings, newest first; without any, the author alone counts.
    pub fn new(host: impl Into<String>, keys: Vec<SecretString>) -> Self {
        Self { host: host.into(), keys }
    }

    fn mac(&self, key: &SecretString, issue: &IssueRef, json: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()).ok()?;
        for part in [self.host.as_str(), &issue.repo, &issue.number.to_string(), json] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        Some(mac)
    }

    /// The block for a comment. `None` when the record is too large to be written.
    pub fn write(&self, record: &Record) -> Option<String> {
        let json = serde_json::to_string(record).ok()?;
        // Only strings can hold these, and there the escapes mean the same: no content can end the HTML comment.
        let json = json.replace('<', "\\u003c").replace('>', "\\u003e").replace("--", "-\\u002d");
        let seal = match self.keys.first() {
            Some(key) => hex(&self.mac(key, &record.reference(), &json)?.finalize().into_bytes()),
            None => "unsigned".to_owned(),
        };
        let block = format!("{OPEN}{VERSION} {seal} {json}{CLOSE}");
        (block.len() <= MAX_BYTES).then_some(block)
    }

    /// The record that a comment of afk's holds, if it holds one that counts for this issue.
    pub fn read(&self, issue: &IssueRef, body: &str) -> Option<Found> {
        let block = body.trim_end().strip_suffix(CLOSE)?;
        let (_, block) = block.rsplit_once(OPEN)?;
        // A block holds neither sign: this is other text, in front of the end of another comment.
        if block.len() > MAX_BYTES || block.contains(['<', '>', '\n']) {
            return None;
        }
        let mut parts = block.splitn(3, ' ');
        let version: u32 = parts.next()?.parse().ok()?;
        if version > VERSION {
            return Some(Found::Newer(version));
        }
        let (seal, json) = (parts.next()?, parts.next()?);
        let sealed = self.keys.is_empty()
            || self.keys.iter().any(|key| {
                let given = unhex(seal);
                self.mac(key, issue, json).is_some_and(|mac| mac.verify_slice(&given).is_ok())
            });
        let record: Record = serde_json::from_str(json).ok()?;
        (sealed && record.reference() == *issue).then(|| Found::Valid(Box::new(record)))
    }

    /// Every record of an issue, the oldest valid comment of each run; and the version of a newer afk, where one has
    /// written here.
    pub fn read_all(&self, issue: &IssueRef, afk: &str, comments: &[Comment]) -> (Vec<Recorded>, Option<u32>) {
        let mut records: Vec<Recorded> = Vec::new();
        let mut newer = None;
        for comment in comments {
            if !comment.author.as_deref().is_some_and(|author| author.eq_ignore_ascii_case(afk)) {
                continue;
            }
            match self.read(issue, &comment.body) {
                Some(Found::Valid(record)) => {
                    let (comment, body) = (comment.id.clone(), comment.body.clone());
                    match records.iter_mut().find(|known| known.record.run == record.run) {
                        Some(known) => known.twins.push(comment),
                        None => records.push(Recorded { comment, body, record: *record, twins: Vec::new() }),
                    }
                }
                Some(Found::Newer(version)) => newer = Some(version),
                None => {}
            }
        }
        (records, newer)
    }
}

/// What a comment with a record says to people: all before the block.
pub fn words(body: &str) -> &str {
    body.rsplit_once(OPEN).map_or(body, |(words, _)| words).trim_end()
}

/// The newest record of a run that has ended.
pub fn newest_ended(records: Vec<Recorded>) -> Option<Record> {
    let ended = records.into_iter().map(|recorded| recorded.record).filter(|record| record.outcome.is_some());
    ended.max_by_key(|record| record.dispatched_at)
}

/// SHA-256 of a text, lower-case hex.
pub fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Lower-case hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map_while(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect()
}
