//! What GraphQL says of an issue, and what is kept of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::blockers::{Dependencies, Named, add_mentions, dependencies};
use crate::policy::facts::IssueStatus;
use crate::ports::{Edit, Issue, IssueRef};

/// An issue as it was read, all but its body and its comments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    pub title: String,
    pub url: String,
    pub author: Option<String>,
    /// Closed, and by what.
    pub closed: Option<ClosedBy>,
    pub labels: Vec<String>,
    pub assignees: Vec<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// Labels put on and taken off, oldest first.
    pub events: Vec<Event>,
    /// Changes of title and body, oldest first.
    pub edits: Vec<(DateTime<Utc>, Option<String>)>,
    /// Native dependencies and what the body says, in this order.
    pub blockers: Vec<Named>,
    /// afk's own comments: the id of each, and when it changed last; `None`: there are more comments than were read.
    pub own_comments: Option<Vec<(String, DateTime<Utc>)>>,
}

/// What closed an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClosedBy {
    /// A commit, a merge, or afk.
    Push,
    /// Anybody else.
    Person,
}

/// A label put on or taken off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The node id, the same in REST.
    pub id: String,
    pub at: DateTime<Utc>,
    pub by: Option<String>,
    pub label: String,
    pub added: bool,
}

impl Reading {
    /// The issue for the port; without a body, it is a remembered one.
    pub fn issue(&self, reference: &IssueRef, body: Option<String>) -> Issue {
        Issue {
            reference: reference.clone(),
            title: self.title.clone(),
            remembered: body.is_none(),
            body: body.unwrap_or_default(),
            url: self.url.clone(),
            author: self.author.clone(),
            status: match self.closed {
                None => IssueStatus::Open,
                Some(ClosedBy::Push) => IssueStatus::ClosedByPush,
                Some(ClosedBy::Person) => IssueStatus::Closed,
            },
            labels: self.labels.clone(),
            assignees: self.assignees.clone(),
            created_at: self.created_at,
        }
    }

    /// Its edits for the port.
    pub fn edits(&self) -> Vec<Edit> {
        self.edits.iter().map(|(at, by)| Edit { at: *at, by: by.clone() }).collect()
    }
}

/// An account.
#[derive(Debug, Deserialize)]
pub struct Account {
    #[serde(rename = "__typename")]
    kind: String,
    login: String,
}

/// The login of an account as REST spells it; `None` where the account is gone, or stands for somebody of another server.
fn login(account: Option<Account>) -> Option<String> {
    let account = account?;
    match account.kind.as_str() {
        "Mannequin" => None,
        "Bot" if !account.login.ends_with("[bot]") => Some(format!("{}[bot]", account.login)),
        _ => known(account.login),
    }
}

/// A login that is somebody's: GitHub puts `ghost` in the place of deleted accounts.
pub fn known(login: String) -> Option<String> {
    (!login.eq_ignore_ascii_case("ghost")).then_some(login)
}

/// How a list goes on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageInfo {
    pub has_next_page: bool,
    pub end_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connection<T> {
    page_info: PageInfo,
    nodes: Vec<T>,
}

impl<T> Connection<T> {
    fn extend(&mut self, next: Self) {
        self.nodes.extend(next.nodes);
        self.page_info.has_next_page = next.page_info.has_next_page;
        // A page without entries has no end.
        self.page_info.end_cursor = next.page_info.end_cursor.or(self.page_info.end_cursor.take());
    }
}

#[derive(Debug, Deserialize)]
struct Name {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Login {
    login: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RepositoryId {
    database_id: u64,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "__typename")]
enum Item {
    #[serde(rename = "LabeledEvent")]
    Labeled(LabelItem),
    #[serde(rename = "UnlabeledEvent")]
    Unlabeled(LabelItem),
    #[serde(rename = "RenamedTitleEvent")]
    RenamedTitle(RenamedItem),
    #[serde(rename = "ClosedEvent")]
    Closed(ClosedItem),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LabelItem {
    id: String,
    created_at: DateTime<Utc>,
    actor: Option<Account>,
    label: Name,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RenamedItem {
    created_at: DateTime<Utc>,
    actor: Option<Account>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClosedItem {
    created_at: DateTime<Utc>,
    actor: Option<Account>,
    closer: Option<Closer>,
}

#[derive(Debug, Deserialize)]
struct Closer {
    #[serde(rename = "__typename")]
    kind: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EditItem {
    edited_at: DateTime<Utc>,
    editor: Option<Account>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommentItem {
    // An `Int` of GraphQL is too small for it.
    full_database_id: Digits,
    viewer_did_author: bool,
    updated_at: DateTime<Utc>,
}

/// A large number, as a text or not.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Digits {
    Text(String),
    Number(u64),
}

/// An issue, as far as the pages of its connections were read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    pub number: u64,
    title: String,
    pub body: String,
    url: String,
    state: String,
    created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    last_edited_at: Option<DateTime<Utc>>,
    author: Option<Account>,
    repository: RepositoryId,
    labels: Connection<Name>,
    assignees: Connection<Login>,
    timeline_items: Connection<Item>,
    user_content_edits: Option<Connection<EditItem>>,
    comments: Connection<CommentItem>,
    /// Absent on servers that do not know dependencies.
    blocked_by: Option<Dependencies>,
}

/// Who reads, and where.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// afk's own login.
    pub login: &'a str,
    /// Whether the host in an address of an issue is this server.
    pub is_here: &'a dyn Fn(&str) -> bool,
}

impl Node {
    /// The id of the repository that the issue is in now.
    pub fn repository_id(&self) -> u64 {
        self.repository.database_id
    }

    /// Whether any connection goes on; that of the comments may go on for long.
    pub fn has_more(&self, with_comments: bool) -> bool {
        self.labels.page_info.has_next_page
            || self.assignees.page_info.has_next_page
            || self.timeline_items.page_info.has_next_page
            || (with_comments && self.comments.page_info.has_next_page)
            || self.user_content_edits.as_ref().is_some_and(|edits| edits.page_info.has_next_page)
    }

    /// The variables that ask for the next page of every connection.
    pub fn cursors(&self) -> Vec<(&'static str, Value)> {
        let edits = self.user_content_edits.as_ref().and_then(|edits| edits.page_info.end_cursor.as_ref());
        vec![
            ("labelsAfter", json!(self.labels.page_info.end_cursor)),
            ("assigneesAfter", json!(self.assignees.page_info.end_cursor)),
            ("eventsAfter", json!(self.timeline_items.page_info.end_cursor)),
            ("editsAfter", json!(edits)),
            ("commentsAfter", json!(self.comments.page_info.end_cursor)),
        ]
    }

    /// Adds the next page of every connection.
    pub fn extend(&mut self, next: Self) {
        self.labels.extend(next.labels);
        self.assignees.extend(next.assignees);
        self.timeline_items.extend(next.timeline_items);
        self.comments.extend(next.comments);
        if let (Some(edits), Some(next)) = (&mut self.user_content_edits, next.user_content_edits) {
            edits.extend(next);
        }
    }

    /// What is kept of it, and its body. `repo` is `owner/name` in lower case.
    ///
    /// # Errors
    /// What is missing in it.
    pub fn into_reading(self, repo: &str, reader: Reader<'_>) -> Result<(Reading, String), String> {
        let author = login(self.author);
        let mut edits = Vec::new();
        let listed =
            self.user_content_edits.as_ref().and_then(|list| list.nodes.iter().map(|edit| edit.edited_at).max());
        // An edit that is not listed, or not yet, is nobody's.
        let unlisted = self.last_edited_at.filter(|at| listed.is_none_or(|listed| listed < *at));
        match self.user_content_edits {
            Some(list) => {
                edits.extend(list.nodes.into_iter().map(|edit| (edit.edited_at, login(edit.editor))));
                // The first version of a text that was edited is listed as an edit too: the oldest, as old as the issue.
                // Another one may be of the same second, so only one is left out.
                edits.sort_by_key(|(at, _)| *at);
                let first = edits.iter().position(|(at, by)| *at <= self.created_at && *by == author);
                if let Some(first) = first {
                    edits.remove(first);
                }
            }
            None if self.last_edited_at.is_some() => return Err("its edits are missing".to_owned()),
            None => {}
        }
        edits.extend(unlisted.map(|at| (at, None)));
        let (mut events, mut closed_by) = (Vec::new(), None);
        for item in self.timeline_items.nodes {
            let (item, added) = match item {
                Item::Labeled(item) => (item, true),
                Item::Unlabeled(item) => (item, false),
                Item::RenamedTitle(item) => {
                    edits.push((item.created_at, login(item.actor)));
                    continue;
                }
                Item::Closed(item) => {
                    if closed_by.as_ref().is_none_or(|(at, _)| *at <= item.created_at) {
                        let by_code =
                            item.closer.is_some_and(|by| matches!(by.kind.as_str(), "Commit" | "PullRequest"));
                        let by_afk = login(item.actor).is_some_and(|login| login.eq_ignore_ascii_case(reader.login));
                        let by = if by_code || by_afk { ClosedBy::Push } else { ClosedBy::Person };
                        closed_by = Some((item.created_at, by));
                    }
                    continue;
                }
            };
            let by = login(item.actor);
            events.push(Event { id: item.id, at: item.created_at, by, label: item.label.name, added });
        }
        edits.sort_by_key(|(at, _)| *at);
        let closed = match self.state.as_str() {
            "OPEN" => None,
            "CLOSED" => Some(closed_by.map_or(ClosedBy::Person, |(_, by)| by)),
            other => return Err(format!("its state is `{}`", crate::text::clean_line(other, 40))),
        };
        let mut blockers = dependencies(self.blocked_by, repo);
        add_mentions(&mut blockers, &self.body, repo, reader.is_here);
        let is_whole = !self.comments.page_info.has_next_page;
        let own = self.comments.nodes.into_iter().filter(|comment| comment.viewer_did_author);
        let own = own.map(|comment| (comment.full_database_id.into_text(), comment.updated_at));
        let reading = Reading {
            title: self.title,
            url: self.url,
            author,
            closed,
            labels: self.labels.nodes.into_iter().map(|label| label.name).collect(),
            assignees: self.assignees.nodes.into_iter().map(|person| person.login).collect(),
            created_at: self.created_at,
            updated_at: self.updated_at,
            events,
            edits,
            blockers,
            own_comments: is_whole.then(|| own.collect()),
        };
        Ok((reading, self.body))
    }
}

impl Digits {
    fn into_text(self) -> String {
        match self {
            Digits::Text(text) => text,
            Digits::Number(number) => number.to_string(),
        }
    }
}
