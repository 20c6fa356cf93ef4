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

/// All issues of a list.
#[derive(Debug, Default)]
pub struct ReadList {
    pub issues: Vec<Read>,
    pub unreadable: Vec<Unreadable>,
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

    /// An issue, whole; `None` when there is none of that number.
    pub(super) async fn read_one(&self, issue: &IssueRef) -> PortResult<Option<Read>> {
        let Some(read) = self.read_from(issue, Vec::new()).await? else { return Ok(None) };
        self.read_rest(issue, read).await
    }

    /// Reads on until every connection of an issue is whole. One that changes in between is read from the start.
    async fn read_rest(&self, issue: &IssueRef, mut read: Read) -> PortResult<Option<Read>> {
        for _ in 0..ATTEMPTS {
            let mut pages = 0;
            loop {
                if !read.node.has_more() {
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

    /// Every issue of a list.
    pub(super) async fn read_list(&self, repo: &str, label: &str, key: &ListKey) -> PortResult<ReadList> {
        let (owner, name) = parts(repo)?;
        let mut list = ReadList::default();
        let (mut first, mut after) = (PAGE, None);
        for _ in 0..MOST_PAGES {
            let variables = json!({
                "owner": owner, "name": name, "labels": [label], "states": states(key), "first": first, "after": after,
            });
            let reply = match self.ask_issues(include_str!("labelled_issues.graphql"), variables).await {
                Err(error) if super::was_too_much(&error) && first > 1 => {
                    first = first.div_ceil(2);
                    continue;
                }
                reply => reply?,
            };
            // What is wrong with one issue does not hold back the others.
            let (of_issues, of_all): (Vec<_>, Vec<_>) =
                reply.errors.into_iter().partition(|error| index_of(error).is_some());
            let repository = repository(repo, of_all, reply.data)?;
            let page = repository.issues.ok_or_else(|| PortError::invalid("github: the list was left out"))?;
            for (index, node) in page.nodes.into_iter().enumerate() {
                let wrong = of_issues.iter().find(|error| index_of(error) == Some(index) && !is_of_a_blocker(error));
                let number = node.get("number").and_then(Value::as_u64);
                let (Some(number), wrong) = (number, wrong.map(PortError::from)) else {
                    return Err(wrong.map_or_else(
                        || PortError::invalid("github: an issue of the list was left out"),
                        PortError::from,
                    ));
                };
                let issue = IssueRef { repo: repo.to_owned(), number };
                let node = wrong.map_or_else(|| parse::<Node>(node), Err);
                let read = match node {
                    Ok(node) => self.read_rest(&issue, Read { repository: repository.database_id, node }).await,
                    Err(error) => Err(error),
                };
                match read {
                    Ok(read) => list.issues.extend(read),
                    Err(error) => list.unreadable.push(Unreadable { issue, error }),
                }
            }
            if !page.page_info.has_next_page {
                return Ok(list);
            }
            after = page.page_info.end_cursor;
        }
        Err(PortError::invalid(format!(
            "github: more issues of {repo} carry `{}` than anybody could read",
            clean_line(label, 60)
        )))
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
