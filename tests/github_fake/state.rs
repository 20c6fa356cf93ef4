//! What the fake knows, and what people and afk do to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::faults::Trouble;
use super::limits::Limits;
use super::log::Exchange;

/// Everything behind one server.
#[derive(Debug, Clone)]
pub struct State {
    /// Without a trailing slash.
    pub base: String,
    pub users: BTreeMap<String, User>,
    /// From token to login.
    pub tokens: BTreeMap<String, String>,
    pub repos: Vec<Repo>,
    /// Lower-case full names to places in `repos`; those that a repository had before lead to it too.
    pub names: HashMap<String, usize>,
    /// Added to the machine's clock.
    pub ahead: TimeDelta,
    pub limits: Limits,
    pub troubles: Vec<Trouble>,
    pub log: Vec<Exchange>,
    /// Bodies and answers are not kept in the log: there may be very many of them.
    pub short_log: bool,
    /// A server from before issue dependencies.
    pub old_server: bool,
    /// Labels of whoever may not set them are dropped without a word, also where one would be refused.
    pub drops_labels: bool,
    /// What classic tokens say with every answer, by token.
    pub scopes: BTreeMap<String, String>,
    /// What tokens lack the permission for: ends of paths below a repository.
    pub forbidden: Vec<&'static str>,
    next_id: u64,
}

/// A person, a bot or an organization.
#[derive(Debug, Clone)]
pub struct User {
    pub id: u64,
    pub login: String,
    /// `User`, `Bot` or `Organization`.
    pub kind: &'static str,
}

/// What somebody may do in a repository, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

/// A role, by a name of its own where it is a custom one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub name: String,
    pub permission: Permission,
}

#[derive(Debug, Clone)]
pub struct Repo {
    pub id: u64,
    pub owner: String,
    pub name: String,
    pub private: bool,
    pub archived: bool,
    pub has_issues: bool,
    /// Lower-case logins.
    pub members: BTreeMap<String, Role>,
    pub labels: Vec<Label>,
    pub issues: BTreeMap<u64, Issue>,
    pub deleted: BTreeSet<u64>,
    pub default_branch: String,
    pub check_runs: Vec<CheckRun>,
    pub statuses: Vec<Status>,
    /// Commits that the code host knows besides those of `git`.
    pub commits: BTreeSet<String>,
    /// The bare repository that people and agents push to.
    pub git: Option<PathBuf>,
    /// What the default branch was when it was last looked at.
    pub seen_head: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Label {
    pub id: u64,
    pub name: String,
    pub color: String,
    pub description: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Issue {
    pub id: u64,
    pub number: u64,
    pub title: String,
    pub body: String,
    pub author: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// Since when it is closed, and why.
    pub closed: Option<(DateTime<Utc>, String)>,
    pub reopened: bool,
    pub labels: Vec<String>,
    pub assignees: Vec<String>,
    pub events: Vec<Event>,
    pub comments: Vec<Comment>,
    /// Of the body, oldest first, without its creation.
    pub edits: Vec<(DateTime<Utc>, Option<String>)>,
    pub blocked_by: Vec<(usize, u64)>,
    pub pull: Option<Pull>,
}

#[derive(Debug, Clone)]
pub struct Event {
    pub id: u64,
    pub at: DateTime<Utc>,
    pub by: Option<String>,
    pub kind: EventKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    Labeled(String),
    Unlabeled(String),
    Renamed { from: String, to: String },
    Closed { reason: String, commit: Option<String> },
    Reopened,
}

#[derive(Debug, Clone)]
pub struct Comment {
    pub id: u64,
    pub author: Option<String>,
    pub at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub body: String,
}

/// What makes an issue a pull request.
#[derive(Debug, Clone)]
pub struct Pull {
    pub head: String,
    pub head_sha: String,
    pub base: String,
    pub draft: bool,
    pub merged: Option<(DateTime<Utc>, String)>,
    /// From a fork of this owner.
    pub fork: Option<String>,
}

#[derive(Debug, Clone)]
pub struct CheckRun {
    pub id: u64,
    pub sha: String,
    pub name: String,
    pub status: String,
    pub conclusion: Option<String>,
    pub started_at: DateTime<Utc>,
    pub summary: Option<String>,
    /// The slug of the app that made it.
    pub app: String,
}

#[derive(Debug, Clone)]
pub struct Status {
    pub id: u64,
    pub sha: String,
    pub context: String,
    pub state: String,
    pub description: Option<String>,
    pub at: DateTime<Utc>,
}

impl Permission {
    pub fn role(self) -> Role {
        let name = match self {
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        };
        Role { name: name.to_owned(), permission: self }
    }
}

impl State {
    pub fn new() -> Self {
        let mut state = Self {
            base: String::new(),
            users: BTreeMap::new(),
            tokens: BTreeMap::new(),
            repos: Vec::new(),
            names: HashMap::new(),
            ahead: TimeDelta::zero(),
            limits: Limits::default(),
            troubles: Vec::new(),
            log: Vec::new(),
            short_log: false,
            old_server: false,
            drops_labels: false,
            scopes: BTreeMap::new(),
            forbidden: Vec::new(),
            next_id: 1_000,
        };
        // Stands for every account that was deleted.
        state.user("ghost");
        state
    }

    pub fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Whole seconds, as GitHub's.
    pub fn now(&self) -> DateTime<Utc> {
        (Utc::now() + self.ahead).duration_trunc(TimeDelta::seconds(1)).unwrap()
    }

    // Who there is.

    /// Somebody, who exists from now on.
    pub fn user(&mut self, login: &str) -> User {
        let kind = if login.ends_with("[bot]") { "Bot" } else { "User" };
        self.account(login, kind)
    }

    pub fn account(&mut self, login: &str, kind: &'static str) -> User {
        let id = self.id();
        let user = User { id, login: login.to_owned(), kind };
        self.users.entry(login.to_lowercase()).or_insert(user).clone()
    }

    pub fn token(&mut self, token: &str, login: &str) {
        self.user(login);
        self.tokens.insert(token.to_owned(), login.to_owned());
    }

    /// A public repository with the labels of a shipped policy. Its owner is an organization.
    pub fn repo(&mut self, full_name: &str) -> usize {
        let (owner, name) = full_name.split_once('/').unwrap();
        self.account(owner, "Organization");
        let id = self.id();
        let at = self.repos.len();
        self.names.insert(full_name.to_lowercase(), at);
        self.repos.push(Repo {
            id,
            owner: owner.to_owned(),
            name: name.to_owned(),
            private: false,
            archived: false,
            has_issues: true,
            members: BTreeMap::new(),
            labels: Vec::new(),
            issues: BTreeMap::new(),
            deleted: BTreeSet::new(),
            default_branch: "main".to_owned(),
            check_runs: Vec::new(),
            statuses: Vec::new(),
            commits: BTreeSet::new(),
            git: None,
            seen_head: None,
        });
        for label in ["ready-for-agent", "agent-in-progress", "ready-for-human", "paused"] {
            self.define_label(at, label);
        }
        at
    }

    pub fn find(&self, full_name: &str) -> Option<usize> {
        self.names.get(&full_name.to_lowercase()).copied()
    }

    /// A repository that must be there.
    pub fn at(&self, full_name: &str) -> usize {
        self.find(full_name).unwrap_or_else(|| panic!("the fake has no {full_name}"))
    }

    pub fn rename(&mut self, from: &str, to: &str) {
        let at = self.at(from);
        let (owner, name) = to.split_once('/').unwrap();
        self.names.insert(to.to_lowercase(), at);
        (self.repos[at].owner, self.repos[at].name) = (owner.to_owned(), name.to_owned());
    }

    pub fn grant(&mut self, repo: usize, login: &str, role: Role) {
        self.user(login);
        self.repos[repo].members.insert(login.to_lowercase(), role);
    }

    /// What somebody may do; anybody may read what is public.
    pub fn role(&self, repo: usize, login: &str) -> Option<Role> {
        let repo = &self.repos[repo];
        let member = repo.members.get(&login.to_lowercase()).cloned();
        member.or_else(|| (!repo.private && !login.ends_with("[bot]")).then(|| Permission::Read.role()))
    }

    pub fn may(&self, repo: usize, login: &str, least: Permission) -> bool {
        self.role(repo, login).is_some_and(|role| role.permission >= least)
    }

    pub fn define_label(&mut self, repo: usize, name: &str) -> Label {
        if let Some(label) = self.repos[repo].labels.iter().find(|label| label.name.eq_ignore_ascii_case(name)) {
            return label.clone();
        }
        let label = Label { id: self.id(), name: name.to_owned(), color: "ededed".to_owned(), description: None };
        self.repos[repo].labels.push(label.clone());
        label
    }

    // What becomes of issues.

    pub fn open(&mut self, repo: usize, number: u64, author: &str, title: &str, body: &str) {
        self.user(author);
        let (id, now) = (self.id(), self.now());
        let issue = Issue {
            id,
            number,
            title: title.to_owned(),
            body: body.to_owned(),
            author: Some(author.to_owned()),
            created_at: now,
            updated_at: now,
            closed: None,
            reopened: false,
            labels: Vec::new(),
            assignees: Vec::new(),
            events: Vec::new(),
            comments: Vec::new(),
            edits: Vec::new(),
            blocked_by: Vec::new(),
            pull: None,
        };
        self.repos[repo].issues.insert(number, issue);
    }

    pub fn open_pull(&mut self, repo: usize, number: u64, author: &str, title: &str, pull: Pull) {
        self.open(repo, number, author, title, "");
        self.repos[repo].commits.insert(pull.head_sha.clone());
        self.issue(repo, number).pull = Some(pull);
    }

    /// An issue that must be there.
    pub fn issue(&mut self, repo: usize, number: u64) -> &mut Issue {
        self.repos[repo].issues.get_mut(&number).unwrap_or_else(|| panic!("the fake has no issue {number}"))
    }

    fn event(&mut self, repo: usize, number: u64, by: &str, kind: EventKind) {
        self.user(by);
        let (id, at) = (self.id(), self.now());
        let issue = self.issue(repo, number);
        issue.events.push(Event { id, at, by: (by != "ghost").then(|| by.to_owned()), kind });
        issue.updated_at = at;
    }

    pub fn label(&mut self, repo: usize, number: u64, by: &str, label: &str) {
        let label = self.define_label(repo, label).name;
        if !self.issue(repo, number).labels.contains(&label) {
            self.issue(repo, number).labels.push(label.clone());
            self.event(repo, number, by, EventKind::Labeled(label));
        }
    }

    /// Whether it was on.
    pub fn unlabel(&mut self, repo: usize, number: u64, by: &str, label: &str) -> bool {
        let labels = &mut self.issue(repo, number).labels;
        let Some(place) = labels.iter().position(|on| on.eq_ignore_ascii_case(label)) else { return false };
        let label = labels.remove(place);
        self.event(repo, number, by, EventKind::Unlabeled(label));
        true
    }

    pub fn close(&mut self, repo: usize, number: u64, by: &str, reason: &str, commit: Option<String>) {
        let now = self.now();
        let issue = self.issue(repo, number);
        if issue.closed.is_some() {
            // Only the reason of a closed issue can change, without an event.
            issue.closed = Some((now, reason.to_owned()));
            return;
        }
        issue.closed = Some((now, reason.to_owned()));
        self.event(repo, number, by, EventKind::Closed { reason: reason.to_owned(), commit });
    }

    pub fn reopen(&mut self, repo: usize, number: u64, by: &str) {
        let issue = self.issue(repo, number);
        if issue.closed.take().is_some() {
            issue.reopened = true;
            self.event(repo, number, by, EventKind::Reopened);
        }
    }

    pub fn edit_body(&mut self, repo: usize, number: u64, by: &str, body: &str) {
        self.user(by);
        let now = self.now();
        let issue = self.issue(repo, number);
        issue.body = body.to_owned();
        issue.edits.push((now, Some(by.to_owned())));
        issue.updated_at = now;
    }

    pub fn edit_title(&mut self, repo: usize, number: u64, by: &str, title: &str) {
        let from = std::mem::replace(&mut self.issue(repo, number).title, title.to_owned());
        self.event(repo, number, by, EventKind::Renamed { from, to: title.to_owned() });
    }

    pub fn comment(&mut self, repo: usize, number: u64, by: &str, body: &str) -> u64 {
        self.user(by);
        let (id, at) = (self.id(), self.now());
        let comment = Comment { id, author: Some(by.to_owned()), at, updated_at: at, body: body.to_owned() };
        let issue = self.issue(repo, number);
        issue.comments.push(comment);
        issue.updated_at = at;
        id
    }

    pub fn delete(&mut self, repo: usize, number: u64) {
        self.repos[repo].issues.remove(&number).unwrap();
        self.repos[repo].deleted.insert(number);
    }

    // What CI says.

    pub fn check_run(&mut self, repo: usize, sha: &str, name: &str, status: &str, conclusion: Option<&str>) -> u64 {
        let (id, started_at) = (self.id(), self.now());
        self.repos[repo].commits.insert(sha.to_owned());
        self.repos[repo].check_runs.push(CheckRun {
            id,
            sha: sha.to_owned(),
            name: name.to_owned(),
            status: status.to_owned(),
            conclusion: conclusion.map(str::to_owned),
            started_at,
            summary: None,
            app: "github-actions".to_owned(),
        });
        id
    }

    pub fn status(&mut self, repo: usize, sha: &str, context: &str, state: &str) {
        let (id, at) = (self.id(), self.now());
        self.repos[repo].commits.insert(sha.to_owned());
        self.repos[repo].statuses.push(Status {
            id,
            sha: sha.to_owned(),
            context: context.to_owned(),
            state: state.to_owned(),
            description: None,
            at,
        });
    }
}

impl Repo {
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// Issues that carry a label and are in one of the states; pull requests are none.
    pub fn issues(&self) -> impl Iterator<Item = &Issue> {
        self.issues.values().filter(|issue| issue.pull.is_none())
    }
}

impl Issue {
    pub fn has(&self, label: &str) -> bool {
        self.labels.iter().any(|on| on.eq_ignore_ascii_case(label))
    }

    /// `OPEN`, `CLOSED` or `MERGED`, as GraphQL says it.
    pub fn state(&self) -> &'static str {
        match (&self.closed, &self.pull) {
            (_, Some(Pull { merged: Some(_), .. })) => "MERGED",
            (Some(_), _) => "CLOSED",
            (None, _) => "OPEN",
        }
    }
}
