//! What one tick remembers for the next: lists of issues that did not change. A cache and nothing more; whatever is odd
//! about it, it is forgotten.
//!
//! The index of all lists is one file, written when a tick is over. What was read of the issues lies beside it, a
//! [`Shelf`] with a file a repository. A list counts only where both say the same of it, so a tick may end at any point.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::reading::Reading;
use super::shelf::{Mark, Shelf};
use crate::adapters::confined::Directory;
use crate::ports::{Comment, IssueRef, PortResult};

const FILE: &str = "github.json";
/// Beside what else is remembered of the server.
const FOLDER: &str = "github";
const CREATED: &str = "created.json";
const VERSION: u32 = 2;
/// The largest index that is read, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;
/// The most issues that are remembered; lists beyond that are read each time.
const MOST_ISSUES: u64 = 200_000;
/// How long a list or a blocker that nobody asks for any more is kept.
const KEPT: TimeDelta = TimeDelta::days(1);
/// How exact that is: the index is not written because of time alone more often.
const EXACT: TimeDelta = TimeDelta::hours(1);
/// How long the repositories of an owner are remembered: new ones are few, and asking costs a request a hundred.
const OWNED_FOR: TimeDelta = TimeDelta::minutes(10);

/// How long a permission can serve to deny, at the most: a part of them is asked for again in each tick.
const GRANTED_FOR: TimeDelta = TimeDelta::hours(6);
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

/// When a list was read, and how it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edition {
    pub fingerprint: Fingerprint,
    pub read_at: DateTime<Utc>,
}

/// A list in the index.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct List {
    #[serde(flatten)]
    pub edition: Edition,
    /// When it was last to be read although nothing had changed, whatever came of that.
    pub due_at: DateTime<Utc>,
    /// When the server last said that it is as it was, roughly.
    seen_at: DateTime<Utc>,
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
    /// When the server said so; `None`: it was not asked yet, and the blocker counts as open.
    pub at: Option<DateTime<Utc>>,
    /// When it was last found to block something, roughly.
    named_at: DateTime<Utc>,
}

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Index {
    version: u32,
    server: String,
    login: String,
    /// By `owner/name` in lower case, then by the list.
    lists: BTreeMap<String, BTreeMap<String, List>>,
    /// By `owner/name#N`.
    blockers: BTreeMap<String, State>,
    /// By the owner, in lower case.
    owned: BTreeMap<String, Owned>,
    /// By `owner/name login`, in lower case.
    permissions: BTreeMap<String, Permission>,
    /// The first repository that the last tick did not come to.
    next: Option<String>,
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
    index: Index,
    shelf: Shelf,
    created: Vec<Created>,
    /// `None`: nothing is written, for this process only looks.
    directory: Option<PathBuf>,
    is_changed: bool,
}

impl Memory {
    /// Reads what the last tick left in a directory, if it was of the same server and login. `keep`: whether this tick
    /// leaves something too.
    pub fn load(directory: Option<&Path>, keep: bool, server: &str, login: &str) -> Self {
        let fresh =
            || Index { version: VERSION, server: server.to_owned(), login: login.to_owned(), ..Index::default() };
        let read = |folder: PathBuf, name: &str| Directory::find(&folder).ok()??.read(name, LARGEST).ok()?;
        let index = directory
            .and_then(|directory| read(directory.to_owned(), FILE))
            .and_then(|file| serde_json::from_slice::<Index>(&file.bytes).ok())
            .filter(|read| read.version == VERSION && read.server == server && read.login == login)
            .unwrap_or_else(fresh);
        let mark = Mark { version: VERSION, server: server.to_owned(), login: login.to_owned() };
        let created = directory
            .and_then(|directory| read(directory.join(FOLDER), CREATED))
            .and_then(|file| serde_json::from_slice::<(Mark, Vec<Created>)>(&file.bytes).ok())
            .filter(|(of, _)| *of == mark)
            .map(|(_, created)| created)
            .unwrap_or_default();
        let shelf = Shelf::new(directory.map(|directory| directory.join(FOLDER).join("lists")), keep, mark);
        Self { index, shelf, created, directory: directory.filter(|_| keep).map(Path::to_owned), is_changed: false }
    }

    /// Keeps what was read of an issue.
    pub fn keep_issue(&mut self, repo: &str, number: u64, reading: Reading) {
        self.shelf.put(repo, number, reading);
    }

    /// An issue that was read in this tick, or is remembered.
    pub fn issue(&mut self, repo: &str, number: u64) -> Option<Reading> {
        self.shelf.reading(repo, number)
    }

    /// afk's own comments on an issue, with the times of the reading that they were read for.
    pub fn own_comments(&mut self, repo: &str, number: u64) -> Vec<OwnComment> {
        self.shelf.comments(repo, number)
    }

    /// Keeps afk's own comments on an issue that is kept.
    pub fn keep_own_comments(&mut self, repo: &str, number: u64, comments: &[OwnComment]) {
        self.shelf.put_comments(repo, number, comments);
    }

    /// A list in the index.
    pub fn list(&self, repo: &str, key: &ListKey) -> Option<&List> {
        self.index.lists.get(repo)?.get(&key.text())
    }

    /// The issues of a list, where it was as it is now when it was read.
    pub fn recall(&mut self, repo: &str, key: &ListKey, now: &Fingerprint) -> Option<Vec<u64>> {
        let edition = self.list(repo, key).map(|list| list.edition.clone()).filter(|it| it.fingerprint == *now)?;
        self.shelf.numbers(repo, &key.text(), &edition)
    }

    /// The repositories of an owner, where they were listed not long ago.
    pub fn owned_lately(&self, owner: &str, now: DateTime<Utc>) -> Option<Vec<String>> {
        let owned = self.index.owned.get(owner)?;
        let age = now.signed_duration_since(owned.at);
        (TimeDelta::zero() <= age && age < OWNED_FOR).then(|| owned.repos.clone())
    }

    /// The repositories of an owner as they were listed last, however long ago.
    pub fn owned(&self, owner: &str) -> Vec<String> {
        self.index.owned.get(owner).map(|owned| owned.repos.clone()).unwrap_or_default()
    }

    /// The repositories of an owner were listed.
    pub fn remember_owned(&mut self, owner: &str, at: DateTime<Utc>, repos: Vec<String>) {
        self.is_changed = true;
        self.index.owned.insert(owner.to_owned(), Owned { at, repos });
    }

    /// What was granted to somebody, where it was asked for not too long ago.
    pub fn permission(&self, repo: &str, login: &str, now: DateTime<Utc>) -> Option<Permission> {
        let known = self.index.permissions.get(&key_of(repo, login))?;
        let age = now.signed_duration_since(known.at);
        (TimeDelta::zero() <= age && age < GRANTED_FOR).then(|| known.clone())
    }

    /// How many permissions are remembered.
    pub fn permissions(&self) -> usize {
        self.index.permissions.len()
    }

    /// Somebody's permission was asked for.
    pub fn remember_permission(&mut self, repo: &str, login: &str, at: DateTime<Utc>, granted: String) {
        self.is_changed = true;
        let permissions = &mut self.index.permissions;
        if permissions.len() >= MOST_PERMISSIONS {
            permissions.retain(|_, known| at.signed_duration_since(known.at) < GRANTED_FOR);
        }
        if permissions.len() < MOST_PERMISSIONS {
            permissions.insert(key_of(repo, login), Permission { granted, at });
        }
    }

    /// The state of a blocker, where anything is known of it.
    pub fn blocker(&self, issue: &IssueRef) -> Option<State> {
        self.index.blockers.get(&issue.to_string()).copied()
    }

    /// An issue was found to block another.
    pub fn blocks(&mut self, issue: &IssueRef, now: DateTime<Utc>) {
        let state = self.index.blockers.entry(issue.to_string()).or_insert_with(|| {
            self.is_changed = true;
            State { open: true, at: None, named_at: now }
        });
        if now.signed_duration_since(state.named_at) >= EXACT {
            state.named_at = now;
            self.is_changed = true;
        }
    }

    /// The server told the state of a blocker.
    pub fn remember_blocker(&mut self, issue: &IssueRef, open: bool, at: DateTime<Utc>) {
        self.is_changed = true;
        self.index.blockers.insert(issue.to_string(), State { open, at: Some(at), named_at: at });
    }

    /// Blockers to ask about next: those that nothing is known of first, then those that were open when they were asked
    /// about last, longest ago first.
    pub fn unsettled_blockers(&self) -> Vec<IssueRef> {
        let open = self.index.blockers.iter().filter(|(_, state)| state.open);
        let mut open: Vec<(Option<DateTime<Utc>>, &String)> = open.map(|(name, state)| (state.at, name)).collect();
        open.sort_unstable();
        let named = open.into_iter().filter_map(|(_, name)| {
            let (repo, number) = name.rsplit_once('#')?;
            Some(IssueRef { repo: repo.to_owned(), number: number.parse().ok()? })
        });
        named.collect()
    }

    /// The comments on an issue that afk wrote a moment ago.
    pub fn created(&self, issue: &IssueRef, now: DateTime<Utc>) -> Vec<String> {
        let created = self.created.iter().filter(|created| created.issue == *issue);
        created.filter(|created| created.is_recent(now)).map(|created| created.id.clone()).collect()
    }

    /// afk wrote a comment. On disk at once: a crash right after must not write it twice.
    pub fn remember_created(&mut self, issue: &IssueRef, id: &str, at: DateTime<Utc>) {
        self.created.retain(|created| created.is_recent(at));
        self.created.push(Created { issue: issue.clone(), id: id.to_owned(), at });
        let Some(folder) = self.directory.as_ref().map(|directory| directory.join(FOLDER)) else { return };
        complain(
            Directory::make(&folder).and_then(|folder| folder.put_json(CREATED, &(self.shelf.mark(), &self.created))),
        );
    }

    /// The server says that a list is as it was.
    pub fn confirm(&mut self, repo: &str, key: &ListKey, at: DateTime<Utc>) {
        if let Some(list) = self.index.lists.get_mut(repo).and_then(|lists| lists.get_mut(&key.text()))
            && at.signed_duration_since(list.seen_at) >= EXACT
        {
            list.seen_at = at;
            self.is_changed = true;
        }
    }

    /// A list is to be read although nothing changed.
    pub fn is_due(&mut self, repo: &str, key: &ListKey, at: DateTime<Utc>) {
        if let Some(list) = self.index.lists.get_mut(repo).and_then(|lists| lists.get_mut(&key.text())) {
            list.due_at = at;
            self.is_changed = true;
        }
    }

    /// Remembers a list, or, without an edition that can be trusted, forgets it.
    pub fn remember(&mut self, repo: &str, key: &ListKey, list: Option<(Edition, Vec<u64>)>) {
        let all = self.index.lists.values().flat_map(BTreeMap::values);
        let remembered: u64 = all.map(|list| list.edition.fingerprint.count).sum();
        match list.filter(|_| remembered <= MOST_ISSUES) {
            Some((edition, numbers)) => {
                let at = edition.read_at;
                self.shelf.put_list(repo, key.text(), edition.clone(), numbers);
                let lists = self.index.lists.entry(repo.to_owned()).or_default();
                lists.insert(key.text(), List { edition, due_at: at, seen_at: at });
            }
            None => {
                let lists = self.index.lists.get_mut(repo);
                if lists.and_then(|lists| lists.remove(&key.text())).is_none() {
                    return;
                }
                self.shelf.remove_list(repo, &key.text());
            }
        }
        self.is_changed = true;
    }

    /// Forgets a repository, before afk writes to it: also on disk, so that a crash right after leaves nothing that is
    /// no longer true. The index may say that it is there; without its file, that counts for nothing.
    pub fn forget(&mut self, repo: &str) {
        self.is_changed |= self.index.lists.remove(repo).is_some();
        complain(self.shelf.forget(repo));
    }

    /// Gives the first repository that the last tick did not come to, and forgets it.
    pub fn take_next(&mut self) -> Option<String> {
        let next = self.index.next.take();
        self.is_changed |= next.is_some();
        next
    }

    /// Where the next tick is to go on; the first word counts.
    pub fn go_on_at(&mut self, repo: &str) {
        if self.index.next.is_none() {
            self.index.next = Some(repo.to_owned());
            self.is_changed = true;
        }
    }

    /// Writes what changed.
    fn save(&mut self) {
        let Some(directory) = self.directory.clone() else { return };
        let lists = self.index.lists.values().flat_map(BTreeMap::values);
        let states = self.index.blockers.values().map(|state| state.named_at);
        let newest = lists.map(|list| list.seen_at).chain(states).max();
        let is_old = |at: DateTime<Utc>| newest.is_some_and(|newest| newest.signed_duration_since(at) >= KEPT);
        for (repo, lists) in &mut self.index.lists {
            lists.retain(|key, list| {
                let kept = !is_old(list.seen_at);
                if !kept {
                    self.is_changed = true;
                    self.shelf.remove_list(repo, key);
                }
                kept
            });
        }
        self.index.lists.retain(|_, lists| !lists.is_empty());
        self.index.blockers.retain(|_, state| !is_old(state.named_at));
        // First the files, for without them the index is of no use.
        complain(self.shelf.save());
        if std::mem::take(&mut self.is_changed) {
            let bytes = serde_json::to_vec(&self.index).unwrap_or_default();
            complain(Directory::make(&directory).and_then(|directory| directory.put(FILE, &bytes)));
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.save();
    }
}

/// What cannot be remembered costs requests, and no more.
pub(super) fn complain(written: PortResult<()>) {
    if let Err(error) = written {
        tracing::warn!(%error, "what GitHub said cannot be remembered; the next tick asks again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    const REPO: &str = "acme/app";

    fn at(time: &str) -> DateTime<Utc> {
        format!("2026-11-22T{time}Z").parse().unwrap()
    }

    fn key() -> ListKey {
        ListKey::new("Ready", true)
    }

    fn print(newest: &str) -> Fingerprint {
        Fingerprint { count: 2, newest: Some((1, at(newest))) }
    }

    fn reading(title: &str) -> Reading {
        Reading {
            title: title.to_owned(),
            url: String::new(),
            author: None,
            closed: None,
            labels: vec!["ready".to_owned()],
            assignees: Vec::new(),
            created_at: at("09:00:00"),
            updated_at: at("10:00:00"),
            events: Vec::new(),
            edits: Vec::new(),
            blockers: Vec::new(),
            own_comments: Some(Vec::new()),
        }
    }

    fn tick(folder: &Path) -> Memory {
        Memory::load(Some(folder), true, "https://api.test", "afk")
    }

    /// Reads a list of two issues, as it is at that time.
    fn read(memory: &mut Memory, repo: &str, newest: &str) {
        for number in [1, 2] {
            memory.keep_issue(repo, number, reading(newest));
        }
        let edition = Edition { fingerprint: print(newest), read_at: at("12:00:00") };
        memory.remember(repo, &key(), Some((edition, vec![1, 2])));
    }

    #[test]
    fn what_is_forgotten_stays_so_however_the_process_ends() {
        let folder = tempfile::tempdir().unwrap();
        read(&mut tick(folder.path()), REPO, "10:00:00");
        assert_eq!(tick(folder.path()).recall(REPO, &key(), &print("10:00:00")), Some(vec![1, 2]));
        let mut memory = tick(folder.path());
        memory.recall(REPO, &key(), &print("10:00:00"));
        memory.forget(REPO);
        std::mem::forget(memory);
        assert_eq!(tick(folder.path()).recall(REPO, &key(), &print("10:00:00")), None);
    }

    #[test]
    fn an_index_that_is_older_than_what_lies_beside_it_counts_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        read(&mut tick(folder.path()), REPO, "10:00:00");
        let index = folder.path().join(FILE);
        let older = std::fs::read(&index).unwrap();
        read(&mut tick(folder.path()), REPO, "11:00:00");
        std::fs::write(&index, older).unwrap();
        for newest in ["10:00:00", "11:00:00"] {
            assert_eq!(tick(folder.path()).recall(REPO, &key(), &print(newest)), None, "{newest}");
        }
    }

    #[test]
    fn a_few_repositories_are_held_and_all_of_them_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let repos: Vec<String> = (0..20).map(|number| format!("acme/r{number}")).collect();
        let own = OwnComment {
            id: "5".to_owned(),
            author: Some("afk".to_owned()),
            at: at("10:00:00"),
            updated_at: at("10:00:00"),
            body: "a\ttab and\nlines".to_owned(),
        };
        let mut memory = tick(folder.path());
        for repo in &repos {
            read(&mut memory, repo, "10:00:00");
            // One that no list leads to.
            memory.keep_issue(repo, 3, reading("by itself"));
            memory.keep_own_comments(repo, 2, std::slice::from_ref(&own));
        }
        for _ in 0..2 {
            for repo in &repos {
                assert_eq!(memory.issue(repo, 3).unwrap().title, "by itself");
                assert_eq!(memory.own_comments(repo, 2), std::slice::from_ref(&own));
            }
        }
        drop(memory);
        let mut memory = tick(folder.path());
        for repo in &repos {
            assert_eq!(memory.recall(repo, &key(), &print("10:00:00")), Some(vec![1, 2]));
            assert_eq!(memory.issue(repo, 1).unwrap(), reading("10:00:00"));
            assert_eq!(memory.own_comments(repo, 2), std::slice::from_ref(&own));
            let file = folder.path().join(format!("github/lists/{}.jsonl", repo.replace('/', "+")));
            assert!(!std::fs::read_to_string(file).unwrap().contains("by itself"));
        }
    }

    #[test]
    fn who_only_looks_leaves_everything_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        read(&mut tick(folder.path()), REPO, "10:00:00");
        let mut looking = Memory::load(Some(folder.path()), false, "https://api.test", "afk");
        looking.forget(REPO);
        assert_eq!(looking.recall(REPO, &key(), &print("10:00:00")), None);
        assert_eq!(looking.issue(REPO, 1), None);
        for number in 0..10 {
            read(&mut looking, &format!("acme/r{number}"), "10:00:00");
        }
        assert!((0..10).all(|number| looking.issue(&format!("acme/r{number}"), 1).is_some()));
        looking.go_on_at(REPO);
        drop(looking);
        let mut memory = tick(folder.path());
        assert_eq!(memory.recall(REPO, &key(), &print("10:00:00")), Some(vec![1, 2]));
        assert_eq!((memory.issue("acme/r1", 1), memory.take_next()), (None, None));
    }

    #[test]
    fn what_another_login_or_server_left_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        read(&mut tick(folder.path()), REPO, "10:00:00");
        for (server, login) in [("https://api.test", "other"), ("https://other.test", "afk")] {
            let mut memory = Memory::load(Some(folder.path()), false, server, login);
            assert_eq!(memory.recall(REPO, &key(), &print("10:00:00")), None);
            assert_eq!(memory.issue(REPO, 1), None);
        }
    }
}
