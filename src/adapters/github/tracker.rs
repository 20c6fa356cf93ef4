//! The tracker: what is read once in a tick serves every question about it.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;

use super::issues::{Pages, Read, pages};
use super::memory::{Edition, ListKey, Memory};
use super::probe::Probe;
use super::reading::{Reader, Reading};
use super::{Github, Server, parts};
use crate::policy::{CloseReason, RepoPattern, pattern};
use crate::ports::{
    Access, Blocker, Comment, Edit, Issue, IssueRef, LabelEvent, Listing, PortError, PortErrorKind, PortResult,
    Repositories, Tracker, Unreadable,
};

/// How many pages of unchanged lists of one kind are read again in each tick, but one list at least, those first whose
/// turn was longest ago: nothing is remembered for ever.
const READ_ANYWAY: u64 = 2;
/// A remembered permission is asked for again after this long, unless many others were in the same tick: ten, or so
/// many that an hour of ticks a minute asks for all of them.
const PERMISSION_RENEWED: TimeDelta = TimeDelta::minutes(10);
const RENEWED_AT_ONCE: usize = 10;
const TICKS_AN_HOUR: usize = 60;
/// How many questions about a hundred blockers one tick asks, for issues that it need not know more of.
const BLOCKER_QUESTIONS: u32 = 3;
/// A page of a list is not trusted to show all that happened in the last two seconds.
const SETTLED: TimeDelta = TimeDelta::seconds(2);
/// How much text of issues one tick keeps, in bytes; the listings beyond go without, as remembered ones do.
const MOST_TEXT: usize = 8 * 1024 * 1024;

/// GitHub as a tracker, for one tick.
#[derive(Debug)]
pub struct GithubTracker {
    github: Github,
    server: Server,
    /// Where the memory is, and whether this tick adds to it.
    directory: Option<PathBuf>,
    keeps: bool,
    knows_dependencies: Cell<bool>,
    state: RefCell<TickState>,
}

/// What one tick knows.
#[derive(Debug, Default)]
struct TickState {
    viewer: Option<Viewer>,
    memory: Option<Memory>,
    /// The enrolled repositories.
    repos: BTreeSet<String>,
    /// The immutable ids of repositories.
    ids: BTreeMap<String, u64>,
    /// Kinds of lists that were probed in all repositories.
    probed: BTreeSet<ListKey>,
    probes: BTreeMap<(ListKey, String), PortResult<Probe>>,
    /// Lists that are read although nothing changed.
    read_anyway: BTreeSet<(ListKey, String)>,
    /// Issues that were read in this tick, or that the server says are unchanged, by their repository.
    valid: BTreeMap<String, BTreeMap<u64, Known>>,
    /// Blockers whose state was asked for in this tick.
    resolved: BTreeSet<IssueRef>,
    /// How often that was asked for issues that might do without.
    blocker_questions: u32,
    /// How many remembered permissions were asked for again.
    permissions_asked: usize,
    text: usize,
}

/// How an issue is known in this tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// From an earlier tick; the server says that it is unchanged.
    Remembered,
    /// From a list that was read.
    Listed,
    /// It was asked for by itself.
    Asked,
}

/// Who afk is, and when the server said so.
#[derive(Debug, Clone)]
pub(super) struct Viewer {
    pub(super) login: String,
    pub(super) now: DateTime<Utc>,
}

#[derive(Debug, Deserialize)]
struct Login {
    login: String,
}

impl GithubTracker {
    /// GitHub on a server. Nothing is remembered.
    pub fn new(github: Github, server: Server) -> Self {
        Self {
            github,
            server,
            directory: None,
            keeps: false,
            knows_dependencies: Cell::new(true),
            state: RefCell::default(),
        }
    }

    /// With what the last tick left in a directory. `keeps`: whether this one leaves something too.
    #[must_use]
    pub fn remembering(self, directory: &Path, keeps: bool) -> Self {
        Self { directory: Some(directory.to_owned()), keeps, ..self }
    }

    pub(super) fn github(&self) -> &Github {
        &self.github
    }

    /// The address of what people see.
    pub(super) fn web(&self) -> &str {
        self.server.web.as_str()
    }

    /// Whether the state of a blocker was asked for in this tick.
    pub(super) fn is_resolved(&self, issue: &IssueRef) -> bool {
        self.state.borrow().resolved.contains(issue)
    }

    /// The server told the state of a blocker.
    pub(super) fn resolved(&self, issue: &IssueRef, open: bool, at: DateTime<Utc>) {
        self.memory().remember_blocker(issue, open, at);
        self.state.borrow_mut().resolved.insert(issue.clone());
    }

    /// Whether one more question about blockers may be asked; counts it.
    pub(super) fn may_resolve(&self) -> bool {
        let asked = &mut self.state.borrow_mut().blocker_questions;
        *asked += 1;
        *asked <= BLOCKER_QUESTIONS
    }

    /// How an issue is known, whose reading was given in this tick.
    pub(super) fn how_known(&self, issue: &IssueRef) -> Known {
        let state = self.state.borrow();
        let known = state.valid.get(&issue.repo.to_ascii_lowercase()).and_then(|known| known.get(&issue.number));
        known.copied().unwrap_or(Known::Asked)
    }

    pub(super) fn knows_dependencies(&self) -> bool {
        self.knows_dependencies.get()
    }

    pub(super) fn forgo_dependencies(&self) {
        self.knows_dependencies.set(false);
        tracing::warn!("this GitHub does not know issue dependencies; only the text of an issue says what blocks it");
    }

    /// Who afk is. The first question of every tick, so it also reads the memory.
    pub(super) async fn viewer(&self) -> PortResult<Viewer> {
        if let Some(viewer) = &self.state.borrow().viewer {
            return Ok(viewer.clone());
        }
        #[derive(Deserialize)]
        struct Data {
            viewer: Login,
        }
        let (data, answer) = self.github.query::<Data>(include_str!("viewer.graphql"), json!({})).await?;
        let now = answer.date().ok_or_else(|| PortError::invalid("github: the answer has no `Date`"))?;
        let viewer = Viewer { login: data.viewer.login, now };
        let memory = Memory::load(self.directory.as_deref(), self.keeps, self.server.rest.as_str(), &viewer.login);
        let mut state = self.state.borrow_mut();
        state.memory.get_or_insert(memory);
        Ok(state.viewer.get_or_insert(viewer).clone())
    }

    pub(super) fn memory(&self) -> RefMut<'_, Memory> {
        let server = self.server.rest.as_str();
        RefMut::map(self.state.borrow_mut(), |state| {
            state.memory.get_or_insert_with(|| Memory::load(None, false, server, ""))
        })
    }

    /// Forgets a repository, for afk is about to write to it, or has.
    pub(super) async fn forget(&self, repo: &str) -> PortResult<()> {
        // The memory of the last tick must be there to be forgotten.
        self.viewer().await?;
        let repo = repo.to_ascii_lowercase();
        self.memory().forget(&repo);
        let mut state = self.state.borrow_mut();
        state.valid.remove(&repo);
        state.probes.retain(|(_, of), _| *of != repo);
        Ok(())
    }

    /// Keeps a reading, and gives it and the text.
    async fn keep(&self, issue: &IssueRef, read: Read, how: Known) -> PortResult<(Reading, String)> {
        let viewer = self.viewer().await?;
        let is_here = |host: &str| self.server.is_host(host);
        let reader = Reader { login: &viewer.login, is_here: &is_here };
        let (mut reading, body) = read
            .node
            .into_reading(&issue.repo, reader)
            .map_err(|why| PortError::invalid(format!("github: {issue} makes no sense: {why}")))?;
        let mut how = how;
        if how == Known::Remembered {
            // Where the issue did not change, the comments that were read of it before are all there are.
            let before = self.memory().issue(&issue.repo, issue.number);
            let settled = viewer.now.signed_duration_since(reading.updated_at) >= SETTLED;
            let before = before.filter(|before| settled && before.updated_at == reading.updated_at);
            match before.and_then(|before| before.own_comments) {
                Some(comments) if reading.own_comments.is_none() => reading.own_comments = Some(comments),
                _ => how = Known::Listed,
            }
        }
        self.memory().keep_issue(&issue.repo, issue.number, reading.clone());
        for named in &reading.blockers {
            match (&named.issue, named.open) {
                (Some(blocker), Some(open)) => self.resolved(blocker, open, viewer.now),
                (Some(blocker), None) => self.memory().blocks(blocker, viewer.now),
                (None, _) => {}
            }
        }
        let mut state = self.state.borrow_mut();
        state.ids.insert(issue.repo.clone(), read.repository);
        state.valid.entry(issue.repo.clone()).or_default().insert(issue.number, how);
        Ok((reading, body))
    }

    /// An issue with all its comments, read anew.
    pub(super) async fn read_with_comments(&self, issue: &IssueRef) -> PortResult<Reading> {
        let read = self.read_one(issue, true).await?;
        let read = read.ok_or_else(|| PortError::not_found(format!("github: there is no issue {issue}")))?;
        Ok(self.keep(issue, read, Known::Asked).await?.0)
    }

    /// An issue as it is known in this tick.
    pub(super) async fn reading(&self, issue: &IssueRef) -> PortResult<Reading> {
        self.viewer().await?;
        let issue = lower(issue);
        let is_valid =
            self.state.borrow().valid.get(&issue.repo).is_some_and(|known| known.contains_key(&issue.number));
        if is_valid && let Some(reading) = self.memory().issue(&issue.repo, issue.number) {
            return Ok(reading);
        }
        self.expect_issue(&issue).await?;
        let reading = self.memory().issue(&issue.repo, issue.number);
        reading.ok_or_else(|| PortError::not_found(format!("github: there is no issue {issue}")))
    }

    /// What a repository says of a list; all enrolled ones are asked at once.
    async fn probe(&self, repo: &str, label: &str, key: &ListKey) -> PortResult<Probe> {
        let mut asked: BTreeSet<String> = BTreeSet::from([repo.to_owned()]);
        {
            let mut state = self.state.borrow_mut();
            if let Some(probe) = state.probes.get(&(key.clone(), repo.to_owned())) {
                return probe.clone();
            }
            if state.probed.insert(key.clone()) {
                asked.extend(state.repos.iter().cloned());
            }
        }
        let asked: Vec<String> = asked.into_iter().collect();
        let found = self.github.probe(&asked, label, key).await;
        let due = self.due(&found, key);
        let mut state = self.state.borrow_mut();
        state.read_anyway.extend(due.into_iter().map(|repo| (key.clone(), repo)));
        for (repo, probe) in found {
            if let Ok(probe) = &probe {
                state.ids.insert(repo.clone(), probe.id);
            }
            state.probes.insert((key.clone(), repo), probe);
        }
        match state.probes.get(&(key.clone(), repo.to_owned())) {
            Some(probe) => probe.clone(),
            None => Err(PortError::invalid(format!("github: nothing was said of {repo}"))),
        }
    }

    /// The unchanged lists whose turn it is to be read all the same. It counts as had whatever comes of it, so that one
    /// that cannot be read does not stand in the way of the others.
    fn due(&self, found: &BTreeMap<String, PortResult<Probe>>, key: &ListKey) -> Vec<String> {
        let mut memory = self.memory();
        let mut unchanged: Vec<(DateTime<Utc>, &String, &Probe)> = Vec::new();
        for (repo, probe) in found {
            if let (Ok(probe), Some(list)) = (probe, memory.list(repo, key))
                && probe.fingerprint == list.edition.fingerprint
                && probe.fingerprint.count > 0
            {
                unchanged.push((list.due_at, repo, probe));
            }
        }
        unchanged.sort_by_key(|(due_at, repo, _)| (*due_at, *repo));
        let (mut due, mut read) = (Vec::new(), 0);
        for (_, repo, probe) in unchanged {
            let more = pages(probe.fingerprint.count);
            if read > 0 && read + more > READ_ANYWAY {
                break;
            }
            read += more;
            memory.is_due(repo, key, probe.at);
            due.push(repo.clone());
        }
        due
    }

    /// A list as it is remembered, where the server says that it is unchanged.
    fn remembered(&self, repo: &str, label: &str, key: &ListKey, probe: &Probe) -> Option<Listing> {
        if self.state.borrow().read_anyway.contains(&(key.clone(), repo.to_owned())) {
            return None;
        }
        let mut memory = self.memory();
        let numbers = memory.recall(repo, key, &probe.fingerprint)?;
        let mut listing = Listing::default();
        for number in &numbers {
            let issue = memory.issue(repo, *number)?.issue(&IssueRef { repo: repo.to_owned(), number: *number }, None);
            if belongs(&issue, label, key) {
                listing.issues.push(issue);
            }
        }
        memory.confirm(repo, key, probe.at);
        drop(memory);
        let mut state = self.state.borrow_mut();
        let valid = state.valid.entry(repo.to_owned()).or_default();
        for number in numbers {
            // What was read in this tick stays that.
            valid.entry(number).or_insert(Known::Remembered);
        }
        Some(listing)
    }

    /// Reads a list.
    async fn list(&self, repo: &str, label: &str, key: &ListKey, probe: &Probe) -> PortResult<Listing> {
        if let Some(error) = self.github.rest.has_spent_most() {
            self.memory().go_on_at(repo);
            return Err(error);
        }
        let is_due = self.state.borrow_mut().read_anyway.remove(&(key.clone(), repo.to_owned()));
        let mut listing = Listing::default();
        let mut numbers = Vec::new();
        // What was read may lag behind what was probed.
        let mut is_as_probed = false;
        let mut pages = Pages::of(repo, label, key);
        while let Some(page) = self.read_page(&mut pages).await.inspect_err(|error| self.was_cut_short(repo, error))? {
            listing.unreadable.extend(page.unreadable);
            for read in page.issues {
                let issue = IssueRef { repo: repo.to_owned(), number: read.node.number };
                is_as_probed |= Some((read.node.number, read.node.updated_at)) == probe.fingerprint.newest;
                let how = if is_due { Known::Listed } else { Known::Remembered };
                match self.keep(&issue, read, how).await {
                    Ok((reading, body)) => {
                        numbers.push(issue.number);
                        let shown = reading.issue(&issue, self.room_for(&issue, body));
                        if belongs(&shown, label, key) {
                            listing.issues.push(shown);
                        }
                    }
                    Err(error) => listing.unreadable.push(Unreadable { issue, error }),
                }
            }
        }
        // As it was probed before it was read: what changed in between shows in the next probe.
        let edition = (is_as_probed && probe.is_settled() && listing.unreadable.is_empty())
            .then(|| (Edition { fingerprint: probe.fingerprint.clone(), read_at: probe.at }, numbers));
        self.memory().remember(repo, key, edition);
        Ok(listing)
    }

    /// Where a list could not be read to its end, the next tick goes on behind it: it may be more than a tick can read.
    fn was_cut_short(&self, repo: &str, error: &PortError) {
        if error.kind == PortErrorKind::Unreachable {
            let after =
                self.state.borrow().repos.range::<str, _>((Bound::Excluded(repo), Bound::Unbounded)).next().cloned();
            self.memory().go_on_at(after.as_deref().unwrap_or_default());
        }
    }

    /// The text of an issue that was read, as long as there is room for it.
    fn room_for(&self, issue: &IssueRef, body: String) -> Option<String> {
        if self.how_known(issue) == Known::Remembered {
            return None;
        }
        let mut state = self.state.borrow_mut();
        state.text = state.text.saturating_add(body.len());
        (state.text <= MOST_TEXT).then_some(body)
    }
}

/// Repositories compare without ASCII case; here they are all written alike.
pub(super) fn lower(issue: &IssueRef) -> IssueRef {
    IssueRef { repo: issue.repo.to_ascii_lowercase(), number: issue.number }
}

fn belongs(issue: &Issue, label: &str, key: &ListKey) -> bool {
    issue.labels.iter().any(|on| pattern::same(on, label))
        && !(key.only_open && issue.status != crate::policy::facts::IssueStatus::Open)
}

#[async_trait(?Send)]
impl Tracker for GithubTracker {
    async fn login(&self) -> PortResult<String> {
        Ok(self.viewer().await?.login)
    }

    async fn now(&self) -> PortResult<DateTime<Utc>> {
        Ok(self.viewer().await?.now)
    }

    async fn repos(&self, patterns: &[RepoPattern]) -> PortResult<Repositories> {
        let mut found = BTreeSet::new();
        let mut unreadable = Vec::new();
        let mut owners: BTreeMap<String, String> = BTreeMap::new();
        for pattern in patterns {
            let text = pattern.to_string();
            match parts(&text) {
                Ok(_) if pattern.is_exact() => {
                    found.insert(text);
                }
                Ok((owner, _)) => {
                    owners.entry(owner.to_owned()).or_insert(text);
                }
                Err(error) => unreadable.push((text, error)),
            }
        }
        for (owner, pattern) in owners {
            let owned = match self.read_owned(&owner).await {
                Ok(owned) => owned,
                Err(error) => {
                    unreadable.push((pattern, error));
                    self.memory().owned(&owner)
                }
            };
            found.extend(owned.into_iter().filter(|repo| patterns.iter().any(|pattern| pattern.matches(repo))));
        }
        self.state.borrow_mut().repos.extend(found.iter().cloned());
        // First those that the last tick did not come to, and then round.
        let is_loaded = self.state.borrow().memory.is_some();
        let next = if is_loaded { self.memory().take_next() } else { None };
        let later = next.map_or_else(BTreeSet::new, |next| found.split_off(&next));
        Ok(Repositories { names: later.into_iter().chain(found).collect(), unreadable })
    }

    async fn labelled(&self, repo: &str, label: &str, only_open: bool) -> PortResult<Listing> {
        self.viewer().await?;
        let repo = repo.to_ascii_lowercase();
        parts(&repo)?;
        let key = ListKey::new(label, only_open);
        let probe = self.probe(&repo, label, &key).await?;
        if probe.fingerprint.count == 0 {
            self.memory().remember(&repo, &key, None);
            return Ok(Listing::default());
        }
        match self.remembered(&repo, label, &key, &probe) {
            Some(listing) => Ok(listing),
            None => self.list(&repo, label, &key, &probe).await,
        }
    }

    async fn issue(&self, issue: &IssueRef) -> PortResult<Option<Issue>> {
        self.viewer().await?;
        let issue = lower(issue);
        if let Some(known) = self.state.borrow_mut().valid.get_mut(&issue.repo) {
            known.remove(&issue.number);
        }
        let Some(read) = self.read_one(&issue, false).await? else { return Ok(None) };
        let (reading, body) = self.keep(&issue, read, Known::Asked).await?;
        Ok(Some(reading.issue(&issue, Some(body))))
    }

    async fn label_events(&self, issue: &IssueRef) -> PortResult<Vec<LabelEvent>> {
        let reading = self.reading(issue).await?;
        let repo = issue.repo.to_ascii_lowercase();
        let id = self.state.borrow().ids.get(&repo).copied();
        let id = id.ok_or_else(|| PortError::invalid(format!("github: the id of {repo} is not known")))?;
        let host = self.server.host();
        let event = |event: super::reading::Event| LabelEvent {
            arming: format!("{host}/{id}/{}/{}", issue.number, event.id),
            at: event.at,
            by: event.by,
            label: event.label,
            added: event.added,
        };
        Ok(reading.events.into_iter().map(event).collect())
    }

    async fn edits(&self, issue: &IssueRef) -> PortResult<Vec<Edit>> {
        Ok(self.reading(issue).await?.edits())
    }

    async fn blockers(&self, issue: &IssueRef) -> PortResult<Vec<Blocker>> {
        self.read_blockers(issue).await
    }

    async fn permission(&self, repo: &str, login: &str) -> PortResult<String> {
        let now = self.viewer().await?.now;
        let granted = self.github.permission(repo, login).await?;
        self.memory().remember_permission(repo, login, now, granted.clone());
        Ok(granted)
    }

    async fn remembered_permission(&self, repo: &str, login: &str) -> PortResult<String> {
        let now = self.viewer().await?.now;
        let known = self.memory().permission(repo, login, now);
        let most = (self.memory().permissions() / TICKS_AN_HOUR).max(RENEWED_AT_ONCE);
        let asked = self.state.borrow().permissions_asked;
        match known {
            Some(known) if now.signed_duration_since(known.at) < PERMISSION_RENEWED || asked >= most => {
                Ok(known.granted)
            }
            _ => {
                self.state.borrow_mut().permissions_asked += 1;
                self.permission(repo, login).await
            }
        }
    }

    async fn comments(&self, issue: &IssueRef) -> PortResult<Vec<Comment>> {
        Ok(self.read_comments(issue).await?.iter().map(Comment::from).collect())
    }

    async fn own_comments(&self, issue: &IssueRef) -> PortResult<Vec<Comment>> {
        self.read_own_comments(issue).await
    }

    async fn create_comment(&self, issue: &IssueRef, body: &str) -> PortResult<String> {
        self.write_comment(issue, body).await
    }

    async fn edit_comment(&self, issue: &IssueRef, comment: &str, body: &str) -> PortResult<()> {
        self.rewrite_comment(issue, comment, body).await
    }

    async fn add_label(&self, issue: &IssueRef, label: &str) -> PortResult<()> {
        self.put_label(issue, label).await
    }

    async fn remove_label(&self, issue: &IssueRef, label: &str) -> PortResult<()> {
        self.take_label(issue, label).await
    }

    async fn close(&self, issue: &IssueRef, reason: CloseReason) -> PortResult<()> {
        self.set_closed(issue, Some(reason)).await
    }

    async fn reopen(&self, issue: &IssueRef) -> PortResult<()> {
        self.set_closed(issue, None).await
    }

    async fn access(&self, repo: &str) -> PortResult<Access> {
        self.may_do(repo).await
    }

    async fn missing_labels(&self, repo: &str, labels: &[String]) -> PortResult<Vec<String>> {
        self.labels_not_there(repo, labels).await
    }

    async fn create_label(&self, repo: &str, label: &str) -> PortResult<()> {
        self.define_label(repo, label).await
    }
}
