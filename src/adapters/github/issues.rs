//! Reading issues: one, or all of a list, every page of everything.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::memory::ListKey;
use super::probe::{expect_name, states, unreadable_repository};
use super::reading::{Node, PageInfo};
use super::tracker::GithubTracker;
use super::{GraphqlError, Reply, parse, parts};
use crate::ports::{IssueRef, PortError, PortResult, Unreadable};
use crate::text::clean_line;

/// Issues a page; halved where a server does not manage that many.
const PAGE: usize = 50;
/// Far above any list of issues that agents could work on.
const MOST_PAGES: usize = 400;
/// How often an issue is read from the start that changes while it is read.
const ATTEMPTS: usize = 3;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repository {
    database_id: u64,
    name_with_owner: String,
    issue: Option<Node>,
    issues: Option<Page>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    page_info: PageInfo,
    nodes: Vec<Value>,
}

/// An issue and where it is.
#[derive(Debug)]
pub struct Read {
    /// The immutable id of its repository.
    pub repository: u64,
    pub node: Node,
}

/// A page of a list.
#[derive(Debug, Default)]
pub struct ReadPage {
    pub issues: Vec<Read>,
    pub unreadable: Vec<Unreadable>,
}

/// A list that is read page by page.
#[derive(Debug)]
pub struct Pages<'a> {
    repo: &'a str,
    label: &'a str,
    key: &'a ListKey,
    read: usize,
    first: usize,
    after: Option<String>,
    is_over: bool,
}

impl<'a> Pages<'a> {
    pub fn of(repo: &'a str, label: &'a str, key: &'a ListKey) -> Self {
        Self { repo, label, key, read: 0, first: PAGE, after: None, is_over: false }
    }
}

/// How many questions it takes to read a list of so many issues.
pub fn pages(count: u64) -> u64 {
    count.div_ceil(PAGE as u64)
}

impl GithubTracker {
    /// Asks for issues; without their dependencies, where the server does not know such a thing.
    async fn ask_issues(&self, operation: &str, variables: Value) -> PortResult<Reply> {
        let fields = include_str!("issue.graphql");
        if self.knows_dependencies() {
            let document = [operation, fields, include_str!("dependencies.graphql")].join("\n");
            let reply = self.github().ask(&document, variables.clone()).await?;
            if !reply.errors.iter().any(|error| error.is_undefined("blockedBy")) {
                return Ok(reply);
            }
            self.forgo_dependencies();
        }
        let document = [operation, fields, include_str!("no_dependencies.graphql")].join("\n");
        self.github().ask(&document, variables).await
    }

    /// An issue, whole, but for comments after the first page unless they are asked for; `None` when there is none of
    /// that number.
    pub(super) async fn read_one(&self, issue: &IssueRef, with_comments: bool) -> PortResult<Option<Read>> {
        let Some(read) = self.read_from(issue, Vec::new()).await? else { return Ok(None) };
        self.read_rest(issue, read, with_comments).await
    }

    /// Reads on until every connection of an issue is whole. One that changes in between is read from the start.
    async fn read_rest(&self, issue: &IssueRef, mut read: Read, with_comments: bool) -> PortResult<Option<Read>> {
        for _ in 0..ATTEMPTS {
            let mut pages = 0;
            loop {
                if !read.node.has_more(with_comments) {
                    return Ok(Some(read));
                }
                pages += 1;
                if pages > MOST_PAGES {
                    return Err(PortError::invalid(format!("github: {issue} has more than anybody could read")));
                }
                let Some(next) = self.read_from(issue, read.node.cursors()).await? else { return Ok(None) };
                if next.node.updated_at != read.node.updated_at {
                    break;
                }
                read.node.extend(next.node);
            }
            match self.read_from(issue, Vec::new()).await? {
                Some(again) => read = again,
                None => return Ok(None),
            }
        }
        Err(PortError::unreachable(format!("github: {issue} changes all the time while it is read")))
    }

    /// One page of each connection of an issue.
    async fn read_from(&self, issue: &IssueRef, cursors: Vec<(&str, Value)>) -> PortResult<Option<Read>> {
        let (owner, name) = parts(&issue.repo)?;
        let mut variables = Map::new();
        variables.insert("owner".to_owned(), json!(owner));
        variables.insert("name".to_owned(), json!(name));
        variables.insert("number".to_owned(), json!(issue.number));
        variables.extend(cursors.into_iter().map(|(cursor, value)| (cursor.to_owned(), value)));
        // An `Int` of GraphQL ends here, and so do the numbers of issues.
        if i32::try_from(issue.number).is_err() {
            return Ok(None);
        }
        let reply = self.ask_issues(include_str!("one_issue.graphql"), Value::Object(variables)).await?;
        if reply.errors.iter().any(|error| error.is_missing(&["repository", "issue"])) {
            return Ok(None);
        }
        let repository = repository(&issue.repo, reply.errors, reply.data)?;
        let node = repository.issue.ok_or_else(|| PortError::invalid(format!("github: {issue} was left out")))?;
        // One that was moved away may be answered from where it is now.
        let is_here = node.repository_id() == repository.database_id && node.number == issue.number;
        Ok(is_here.then_some(Read { repository: repository.database_id, node }))
    }

    /// The next page of a list; `None` after the last.
    pub(super) async fn read_page(&self, pages: &mut Pages<'_>) -> PortResult<Option<ReadPage>> {
        if pages.is_over {
            return Ok(None);
        }
        let (owner, name) = parts(pages.repo)?;
        let reply = loop {
            if pages.read >= MOST_PAGES {
                return Err(PortError::invalid(format!(
                    "github: more issues of {} carry `{}` than anybody could read",
                    pages.repo,
                    clean_line(pages.label, 60)
                )));
            }
            pages.read += 1;
            let variables = json!({
                "owner": owner, "name": name, "labels": [pages.label], "states": states(pages.key),
                "first": pages.first, "after": pages.after,
            });
            match self.ask_issues(include_str!("labelled_issues.graphql"), variables).await {
                Err(error) if super::was_too_much(&error) && pages.first > 1 => {
                    pages.first = pages.first.div_ceil(2);
                }
                reply => break reply?,
            }
        };
        // What is wrong with one issue does not hold back the others.
        let (of_issues, of_all): (Vec<_>, Vec<_>) =
            reply.errors.into_iter().partition(|error| index_of(error).is_some());
        let repository = repository(pages.repo, of_all, reply.data)?;
        let page = repository.issues.ok_or_else(|| PortError::invalid("github: the list was left out"))?;
        let mut found = ReadPage::default();
        for (index, node) in page.nodes.into_iter().enumerate() {
            let wrong = of_issues.iter().find(|error| index_of(error) == Some(index) && !is_of_a_blocker(error));
            let number = node.get("number").and_then(Value::as_u64);
            let (Some(number), wrong) = (number, wrong.map(PortError::from)) else {
                return Err(wrong
                    .map_or_else(|| PortError::invalid("github: an issue of the list was left out"), PortError::from));
            };
            let issue = IssueRef { repo: pages.repo.to_owned(), number };
            let node = wrong.map_or_else(|| parse::<Node>(node), Err);
            let read = match node {
                Ok(node) => {
                    let read = Read { repository: repository.database_id, node };
                    self.read_rest(&issue, read, false).await
                }
                Err(error) => Err(error),
            };
            match read {
                Ok(read) => found.issues.extend(read),
                Err(error) => found.unreadable.push(Unreadable { issue, error }),
            }
        }
        pages.is_over = !page.page_info.has_next_page;
        pages.after = page.page_info.end_cursor;
        Ok(Some(found))
    }
}

/// Which issue of a list an error is about.
fn index_of(error: &GraphqlError) -> Option<usize> {
    match error.path.as_slice() {
        [repository, issues, nodes, index, ..]
            if repository == "repository" && issues == "issues" && nodes == "nodes" =>
        {
            usize::try_from(index.as_u64()?).ok()
        }
        _ => None,
    }
}

/// A dependency that afk may not read is listed as nothing, and blocks.
fn is_of_a_blocker(error: &GraphqlError) -> bool {
    error.is_within("blockedBy") && error.path.last().is_some_and(|last| last != "blockedBy")
}

/// The repository of an answer.
fn repository(asked: &str, errors: Vec<GraphqlError>, data: Value) -> PortResult<Repository> {
    if let Some(error) = errors.iter().find(|error| !is_of_a_blocker(error)) {
        let is_missing = error.is_missing(&["repository"]);
        let error = PortError::from(error);
        return Err(if is_missing { unreadable_repository(asked, &error) } else { error });
    }
    #[derive(Deserialize)]
    struct Data {
        repository: Repository,
    }
    let Data { repository } = parse(data)?;
    expect_name(asked, &repository.name_with_owner)?;
    Ok(repository)
}
