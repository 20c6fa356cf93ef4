//! What one tick remembers for the next: lists of issues that did not change. A cache and nothing more; whatever is odd
//! about it, it is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::reading::Reading;
use crate::adapters::confined::Directory;
use crate::ports::{Comment, IssueRef};

const FILE: &str = "github.json";
const VERSION: u32 = 1;
/// The largest file that is read, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;
/// The most issues that are remembered; lists beyond that are read each time.
const MOST_ISSUES: usize = 20_000;
/// How long a list that nobody asks for any more is kept.
const KEPT: TimeDelta = TimeDelta::days(1);
/// How long the repositories of an owner are remembered: new ones are few, and asking costs a request a hundred.
const OWNED_FOR: TimeDelta = TimeDelta::minutes(10);

/// How long a permission can serve to deny.
const GRANTED_FOR: TimeDelta = TimeDelta::hours(1);
const MOST_PERMISSIONS: usize = 10_000;
/// How long it may take until a comment that was written shows.
const UNSEEN_FOR: TimeDelta = TimeDelta::minutes(2);

/// What changes when a list changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// How many issues are in it.
    pub count: u64,
    /// The one that changed last, and when.
    pub newest: Option<(u64, DateTime<Utc>)>,
}

/// A list of issues: those of a repository with a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ListKey {
    /// In lower case, for labels compare so.
    pub label: String,
    pub only_open: bool,
}

impl ListKey {
    pub fn new(label: &str, only_open: bool) -> Self {
        Self { label: label.to_ascii_lowercase(), only_open }
    }

    fn text(&self) -> String {
        format!("{} {}", if self.only_open { "open" } else { "all" }, self.label)
    }
}

/// A list as it was read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct List {
    pub fingerprint: Fingerprint,
    pub read_at: DateTime<Utc>,
    /// When the server last said that it is as it was.
    pub seen_at: DateTime<Utc>,
    pub numbers: Vec<u64>,
}

/// What is remembered of a repository, or read in this tick.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Repository {
    lists: BTreeMap<String, List>,
    pub issues: BTreeMap<u64, Reading>,
    /// afk's own comments, with the times of the reading that they were read for.
    pub comments: BTreeMap<u64, Vec<OwnComment>>,
}

/// A comment of afk's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnComment {
    pub id: String,
    pub author: Option<String>,
    pub at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub body: String,
}

impl From<&OwnComment> for Comment {
    fn from(own: &OwnComment) -> Self {
        Comment { id: own.id.clone(), author: own.author.clone(), at: own.at, body: own.body.clone() }
    }
}

/// The state of an issue that blocks another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub open: bool,
    pub at: DateTime<Utc>,
}

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Contents {
    version: u32,
    server: String,
    login: String,
    /// By `owner/name` in lower case.
    pub repositories: BTreeMap<String, Repository>,
    /// By `owner/name#N`.
    pub blockers: BTreeMap<String, State>,
    /// By the owner, in lower case.
    #[serde(default)]
    owned: BTreeMap<String, Owned>,
    /// By `owner/name login`, in lower case.
    #[serde(default)]
    permissions: BTreeMap<String, Permission>,
    #[serde(default)]
    created: Vec<Created>,
}

/// A comment that afk wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Created {
    issue: IssueRef,
    id: String,
    at: DateTime<Utc>,
}

/// What was granted to somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    pub granted: String,
    pub at: DateTime<Utc>,
}

/// The repositories of an owner.
#[derive(Debug, Serialize, Deserialize)]
struct Owned {
    at: DateTime<Utc>,
    repos: Vec<String>,
}

impl Created {
    fn is_recent(&self, now: DateTime<Utc>) -> bool {
        now.signed_duration_since(self.at) < UNSEEN_FOR
    }
}

fn key_of(repo: &str, login: &str) -> String {
    format!("{repo} {login}").to_ascii_lowercase()
}

/// What is remembered, and where.
#[derive(Debug)]
pub struct Memory {
    pub contents: Contents,
    /// `None`: nothing is written, for this process only looks.
    directory: Option<PathBuf>,
    is_changed: bool,
}

impl Memory {
    /// Reads what the last tick left in a directory, if it was of the same server and login. `keep`: whether this tick
    /// leaves something too.
    pub fn load(directory: Option<&Path>, keep: bool, server: &str, login: &str) -> Self {
        let fresh =
            || Contents { version: VERSION, server: server.to_owned(), login: login.to_owned(), ..Contents::default() };
        let contents = directory
            .and_then(|directory| Directory::find(directory).ok()?)
            .and_then(|directory| directory.read(FILE, LARGEST).ok()?)
            .and_then(|file| serde_json::from_slice::<Contents>(&file.bytes).ok())
            .filter(|read| read.version == VERSION && read.server == server && read.login == login)
            .unwrap_or_else(fresh);
        Self { contents, directory: directory.filter(|_| keep).map(Path::to_owned), is_changed: false }
    }

    /// A repository.
    pub fn repository(&mut self, repo: &str) -> &mut Repository {
        self.is_changed = true;
        self.contents.repositories.entry(repo.to_owned()).or_default()
    }

    /// An issue that was read in this tick, or is remembered.
    pub fn issue(&self, repo: &str, number: u64) -> Option<&Reading> {
        self.contents.repositories.get(repo)?.issues.get(&number)
    }

    /// afk's own comments on an issue.
    pub fn own_comments(&self, repo: &str, number: u64) -> Option<&Vec<OwnComment>> {
        self.contents.repositories.get(repo)?.comments.get(&number)
    }

    /// A list.
    pub fn list(&self, repo: &str, key: &ListKey) -> Option<&List> {
        self.contents.repositories.get(repo)?.lists.get(&key.text())
    }

    /// The repositories of an owner, where they were listed not long ago.
    pub fn owned_lately(&self, owner: &str, now: DateTime<Utc>) -> Option<Vec<String>> {
        let owned = self.contents.owned.get(owner)?;
        let age = now.signed_duration_since(owned.at);
        (TimeDelta::zero() <= age && age < OWNED_FOR).then(|| owned.repos.clone())
    }

    /// The repositories of an owner as they were listed last, however long ago.
    pub fn owned(&self, owner: &str) -> Vec<String> {
        self.contents.owned.get(owner).map(|owned| owned.repos.clone()).unwrap_or_default()
    }

    /// The repositories of an owner were listed.
    pub fn remember_owned(&mut self, owner: &str, at: DateTime<Utc>, repos: Vec<String>) {
        self.is_changed = true;
        self.contents.owned.insert(owner.to_owned(), Owned { at, repos });
    }

    /// What was granted to somebody, where it was asked for within the last hour.
    pub fn permission(&self, repo: &str, login: &str, now: DateTime<Utc>) -> Option<Permission> {
        let known = self.contents.permissions.get(&key_of(repo, login))?;
        let age = now.signed_duration_since(known.at);
        (TimeDelta::zero() <= age && age < GRANTED_FOR).then(|| known.clone())
    }

    /// Somebody's permission was asked for.
    pub fn remember_permission(&mut self, repo: &str, login: &str, at: DateTime<Utc>, granted: String) {
        self.is_changed = true;
        let permissions = &mut self.contents.permissions;
        permissions.retain(|_, known| at.signed_duration_since(known.at) < GRANTED_FOR);
        if permissions.len() < MOST_PERMISSIONS {
            permissions.insert(key_of(repo, login), Permission { granted, at });
        }
    }

    /// The comments on an issue that afk wrote a moment ago.
    pub fn created(&self, issue: &IssueRef, now: DateTime<Utc>) -> Vec<String> {
        let created = self.contents.created.iter().filter(|created| created.issue == *issue);
        created.filter(|created| created.is_recent(now)).map(|created| created.id.clone()).collect()
    }

    /// afk wrote a comment. On disk at once: a crash right after must not write it twice.
    pub fn remember_created(&mut self, issue: &IssueRef, id: &str, at: DateTime<Utc>) {
        self.contents.created.retain(|created| created.is_recent(at));
        self.contents.created.push(Created { issue: issue.clone(), id: id.to_owned(), at });
        self.is_changed = true;
        self.save();
    }

    /// The server says that a list is as it was.
    pub fn confirm(&mut self, repo: &str, key: &ListKey, at: DateTime<Utc>) {
        self.is_changed = true;
        if let Some(list) = self.repository(repo).lists.get_mut(&key.text()) {
            list.seen_at = at;
        }
    }

    /// Remembers a list, or, without a fingerprint that can be trusted, forgets it.
    pub fn remember(&mut self, repo: &str, key: &ListKey, list: Option<List>) {
        let remembered: usize = self.contents.repositories.values().map(|repository| repository.issues.len()).sum();
        let lists = &mut self.repository(repo).lists;
        match list.filter(|_| remembered <= MOST_ISSUES) {
            Some(list) => lists.insert(key.text(), list),
            None => lists.remove(&key.text()),
        };
    }

    /// Forgets a repository, before afk writes to it: also on disk, so that a crash right after leaves nothing that is
    /// no longer true.
    pub fn forget(&mut self, repo: &str) {
        if self.contents.repositories.remove(repo).is_some() {
            self.is_changed = true;
            self.save();
        }
    }

    /// Writes the file, where something changed.
    pub fn save(&mut self) {
        let Some(directory) = self.directory.as_ref().filter(|_| self.is_changed) else { return };
        self.is_changed = false;
        let newest = self.contents.repositories.values().flat_map(|repository| repository.lists.values());
        let newest = newest.map(|list| list.seen_at).max();
        for repository in self.contents.repositories.values_mut() {
            if let Some(newest) = newest {
                repository.lists.retain(|_, list| newest.signed_duration_since(list.seen_at) < KEPT);
            }
            let listed: BTreeSet<u64> =
                repository.lists.values().flat_map(|list| list.numbers.iter().copied()).collect();
            repository.issues.retain(|number, _| listed.contains(number));
            repository.comments.retain(|number, _| listed.contains(number));
        }
        self.contents.repositories.retain(|_, repository| !repository.lists.is_empty());
        let readings = self.contents.repositories.values().flat_map(|repository| repository.issues.values());
        let named = readings.flat_map(|reading| &reading.blockers).filter_map(|named| named.issue.as_ref());
        let named: BTreeSet<String> = named.map(ToString::to_string).collect();
        self.contents.blockers.retain(|name, _| named.contains(name));
        let written = serde_json::to_vec(&self.contents).map_err(|error| error.to_string()).and_then(|bytes| {
            Directory::make(directory).and_then(|directory| directory.put(FILE, &bytes)).map_err(|error| error.message)
        });
        if let Err(error) = written {
            tracing::warn!(%error, "what GitHub said cannot be remembered; the next tick asks again");
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.save();
    }
}
