//! What each field of GraphQL stands for.

use serde_json::{Value, json};

use super::graphql::Arguments;
use super::limits::Window;
use super::shapes::{event_node_id, node_id, time};
use super::state::{EventKind, Issue, Permission, State};

/// What a query is asked with.
pub struct Root<'a> {
    pub login: &'a str,
    /// Of the API; pages are below the server's base.
    pub api: String,
    pub points: u64,
    pub nodes: u64,
    pub window: Window,
}

/// Something that has fields, or a value.
#[derive(Debug, Clone)]
pub enum Thing {
    Query,
    Leaf(Value),
    List(Vec<Thing>),
    /// An object that says its own `__typename` and has all of its fields.
    Data(Value),
    Account(String),
    Repo(usize),
    Issue(usize, u64),
    Pull(usize, u64),
    Page {
        kind: &'static str,
        items: Vec<Thing>,
        from: usize,
        all: usize,
        total: usize,
    },
    Edge {
        kind: &'static str,
        cursor: usize,
        node: Box<Thing>,
    },
}

pub type Resolved = Result<Thing, (&'static str, String)>;

impl Thing {
    pub fn type_name(&self, state: &State) -> String {
        match self {
            Self::Query => "Query".to_owned(),
            Self::Leaf(_) | Self::List(_) => unreachable!("a value has no fields"),
            Self::Data(value) => value["__typename"].as_str().unwrap().to_owned(),
            Self::Account(login) => state.users[&login.to_lowercase()].kind.to_owned(),
            Self::Repo(_) => "Repository".to_owned(),
            Self::Issue(..) => "Issue".to_owned(),
            Self::Pull(..) => "PullRequest".to_owned(),
            Self::Page { kind, .. } => format!("{kind}Connection"),
            Self::Edge { kind, .. } => format!("{kind}Edge"),
        }
    }

    fn of_json(value: Value) -> Self {
        match value {
            value if value.get("__typename").is_some() => Self::Data(value),
            value => Self::Leaf(value),
        }
    }
}

fn leaf(value: impl serde::Serialize) -> Resolved {
    Ok(Thing::Leaf(json!(value)))
}

/// The value of one field. Whatever the schema holds is known here, or the fake is wrong.
pub fn resolve(state: &State, root: &Root<'_>, thing: &Thing, field: &str, arguments: &Arguments) -> Resolved {
    match thing {
        Thing::Query => query(state, root, field, arguments),
        Thing::Account(login) => account(state, root, login, field, arguments),
        Thing::Repo(repo) => repository(state, root, *repo, field, arguments),
        Thing::Issue(repo, number) => issue(state, root, *repo, *number, field, arguments),
        Thing::Pull(repo, number) => pull(state, root, *repo, *number, field),
        Thing::Data(value) => {
            let member =
                value.get(field).unwrap_or_else(|| panic!("the fake lacks {field} of {}", value["__typename"]));
            Ok(Thing::of_json(member.clone()))
        }
        Thing::Page { kind, items, from, all, total } => Ok(match field {
            "nodes" => Thing::List(items.clone()),
            "edges" => {
                let edges = items.iter().enumerate().map(|(place, node)| Thing::Edge {
                    kind,
                    cursor: from + place,
                    node: Box::new(node.clone()),
                });
                Thing::List(edges.collect())
            }
            "totalCount" => Thing::Leaf(json!(total)),
            "filteredCount" => Thing::Leaf(json!(all)),
            "pageCount" => Thing::Leaf(json!(items.len())),
            "pageInfo" => Thing::Data(json!({
                "__typename": "PageInfo", "hasNextPage": from + items.len() < *all, "hasPreviousPage": *from > 0,
                "startCursor": (!items.is_empty()).then(|| cursor(*from)),
                "endCursor": (!items.is_empty()).then(|| cursor(from + items.len() - 1)),
            })),
            _ => panic!("the fake lacks {field} of {kind}Connection"),
        }),
        Thing::Edge { cursor: place, node, .. } => Ok(match field {
            "node" => (**node).clone(),
            _ => Thing::Leaf(json!(cursor(*place))),
        }),
        Thing::Leaf(_) | Thing::List(_) => unreachable!("a value has no fields"),
    }
}

fn query(state: &State, root: &Root<'_>, field: &str, arguments: &Arguments) -> Resolved {
    let text = |name: &str| arguments[name].as_str().unwrap_or_default();
    match field {
        "viewer" => Ok(Thing::Account(root.login.to_owned())),
        "rateLimit" => Ok(Thing::Data(json!({
            "__typename": "RateLimit", "cost": root.points, "limit": root.window.limit, "used": root.window.used,
            "remaining": root.window.remaining(), "resetAt": time(root.window.reset), "nodeCount": root.nodes,
        }))),
        "repository" => named(state, root, &format!("{}/{}", text("owner"), text("name"))),
        "repositoryOwner" | "organization" | "user" => {
            let found = state.users.get(&text("login").to_lowercase()).filter(|user| {
                user.kind != "Bot"
                    && (field != "organization" || user.kind == "Organization")
                    && (field != "user" || user.kind == "User")
            });
            match found {
                Some(user) => Ok(Thing::Account(user.login.clone())),
                None if field == "repositoryOwner" => leaf(Value::Null),
                None => {
                    Err(("NOT_FOUND", format!("Could not resolve to a {field} with the login of '{}'.", text("login"))))
                }
            }
        }
        "node" => by_id(state, root, text("id")),
        "nodes" => {
            let ids = arguments["ids"].as_array().cloned().unwrap_or_default();
            let things = ids.iter().map(|id| by_id(state, root, id.as_str().unwrap_or_default()));
            Ok(Thing::List(things.map(|thing| thing.unwrap_or(Thing::Leaf(Value::Null))).collect()))
        }
        _ => panic!("the fake lacks {field} of Query"),
    }
}

fn by_id(state: &State, root: &Root<'_>, id: &str) -> Resolved {
    for (at, repo) in state.repos.iter().enumerate().filter(|(at, _)| state.may(*at, root.login, Permission::Read)) {
        if node_id("R", repo.id) == id {
            return Ok(Thing::Repo(at));
        }
        if let Some(issue) = repo.issues.values().find(|issue| node_id("I", issue.id) == id) {
            return Ok(Thing::Issue(at, issue.number));
        }
    }
    Err(("NOT_FOUND", format!("Could not resolve to a node with the global id of '{id}'")))
}

fn named(state: &State, root: &Root<'_>, full_name: &str) -> Resolved {
    match state.find(full_name).filter(|at| state.may(*at, root.login, Permission::Read)) {
        Some(at) => Ok(Thing::Repo(at)),
        None => Err(("NOT_FOUND", format!("Could not resolve to a Repository with the name '{full_name}'."))),
    }
}

fn account(state: &State, root: &Root<'_>, login: &str, field: &str, arguments: &Arguments) -> Resolved {
    let user = &state.users[&login.to_lowercase()];
    // A bot's login has no `[bot]` here, though it has in REST.
    let login = user.login.trim_end_matches("[bot]");
    match field {
        "id" => leaf(node_id("U", user.id)),
        "databaseId" => leaf(user.id),
        "login" => leaf(login),
        "name" => leaf(Value::Null),
        "url" => leaf(format!("{}/{login}", state.base)),
        "resourcePath" => leaf(format!("/{login}")),
        "repository" => named(state, root, &format!("{login}/{}", arguments["name"].as_str().unwrap_or_default())),
        "repositories" => {
            let repos = state.repos.iter().enumerate().filter(|(at, repo)| {
                repo.owner.eq_ignore_ascii_case(login) && state.may(*at, root.login, Permission::Read)
            });
            Ok(page("Repository", repos.map(|(at, _)| Thing::Repo(at)).collect(), None, arguments))
        }
        _ => panic!("the fake lacks {field} of accounts"),
    }
}

fn actor(login: Option<&str>) -> Thing {
    login.map_or(Thing::Leaf(Value::Null), |login| Thing::Account(login.to_owned()))
}

fn strings<'a>(arguments: &'a Arguments, name: &str) -> Option<Vec<&'a str>> {
    match arguments.get(name)? {
        Value::Array(items) => Some(items.iter().filter_map(Value::as_str).collect()),
        // A single value is a list of one.
        Value::String(single) => Some(vec![single]),
        _ => None,
    }
}

fn repository(state: &State, root: &Root<'_>, at: usize, field: &str, arguments: &Arguments) -> Resolved {
    let repo = &state.repos[at];
    let number = || arguments["number"].as_u64().unwrap_or_default();
    match field {
        "id" => leaf(node_id("R", repo.id)),
        "databaseId" => leaf(repo.id),
        "name" => leaf(&repo.name),
        "nameWithOwner" => leaf(repo.full_name()),
        "owner" => Ok(Thing::Account(repo.owner.clone())),
        "url" => leaf(format!("{}/{}", state.base, repo.full_name())),
        "isArchived" => leaf(repo.archived),
        "isDisabled" | "isFork" => leaf(false),
        "isPrivate" => leaf(repo.private),
        "hasIssuesEnabled" => leaf(repo.has_issues),
        "viewerPermission" => leaf(state.role(at, root.login).map(|role| role.permission.role().name.to_uppercase())),
        "defaultBranchRef" => {
            let head = repo
                .git
                .as_ref()
                .and_then(|git| std::fs::read_to_string(git.join("refs/heads").join(&repo.default_branch)).ok());
            let target = head.map(|head| json!({ "__typename": "Commit", "id": head.trim(), "oid": head.trim() }));
            Ok(Thing::Data(json!({
                "__typename": "Ref", "id": node_id("REF", repo.id), "name": repo.default_branch,
                "prefix": "refs/heads/", "target": target,
            })))
        }
        "issue" => match repo.issues.get(&number()).filter(|issue| issue.pull.is_none()) {
            Some(_) => Ok(Thing::Issue(at, number())),
            None => Err(("NOT_FOUND", format!("Could not resolve to an Issue with the number of {}.", number()))),
        },
        "issueOrPullRequest" | "pullRequest" => match repo.issues.get(&number()) {
            Some(Issue { pull: Some(_), .. }) => Ok(Thing::Pull(at, number())),
            Some(_) if field == "issueOrPullRequest" => Ok(Thing::Issue(at, number())),
            _ => {
                let kind = if field == "pullRequest" { "a PullRequest" } else { "an issue or pull request" };
                Err(("NOT_FOUND", format!("Could not resolve to {kind} with the number of {}.", number())))
            }
        },
        "issues" => {
            let filter = arguments.get("filterBy");
            let filters: Arguments =
                filter.and_then(Value::as_object).map(|of| of.clone().into_iter().collect()).unwrap_or_default();
            let labels = strings(arguments, "labels").or_else(|| strings(&filters, "labels"));
            let states = strings(arguments, "states").or_else(|| strings(&filters, "states"));
            let since = filters.get("since").and_then(Value::as_str).map(str::to_owned);
            let found = repo.issues().filter(|issue| {
                // Any of the labels will do.
                labels.as_ref().is_none_or(|labels| labels.iter().any(|label| issue.has(label)))
                    && states.as_ref().is_none_or(|states| states.contains(&issue.state()))
                    && since.as_ref().is_none_or(|since| time(issue.updated_at) >= *since)
            });
            let mut found: Vec<&Issue> = found.collect();
            order(&mut found, arguments);
            let found = found.into_iter().map(|issue| Thing::Issue(at, issue.number)).collect();
            Ok(page("Issue", found, None, arguments))
        }
        "pullRequests" => {
            let (head, base) = (arguments.get("headRefName"), arguments.get("baseRefName"));
            let states = strings(arguments, "states");
            let found = repo.issues.values().filter(|issue| {
                let Some(pull) = &issue.pull else { return false };
                head.is_none_or(|head| head.is_null() || head == &json!(pull.head))
                    && base.is_none_or(|base| base.is_null() || base == &json!(pull.base))
                    && states.as_ref().is_none_or(|states| states.contains(&issue.state()))
            });
            let mut found: Vec<&Issue> = found.collect();
            order(&mut found, arguments);
            let found = found.into_iter().map(|issue| Thing::Pull(at, issue.number)).collect();
            Ok(page("PullRequest", found, None, arguments))
        }
        "label" => {
            let name = arguments["name"].as_str().unwrap_or_default();
            let found = repo.labels.iter().find(|label| label.name.eq_ignore_ascii_case(name));
            Ok(found.map_or(Thing::Leaf(Value::Null), |found| label(state, at, &found.name)))
        }
        "labels" => {
            let query = arguments.get("query").and_then(Value::as_str).unwrap_or_default().to_lowercase();
            let found = repo.labels.iter().filter(|label| label.name.to_lowercase().contains(&query));
            Ok(page("Label", found.map(|found| label(state, at, &found.name)).collect(), None, arguments))
        }
        _ => panic!("the fake lacks {field} of Repository"),
    }
}

/// By creation, oldest first, unless it is asked for otherwise.
fn order(issues: &mut [&Issue], arguments: &Arguments) {
    let by = arguments.get("orderBy").and_then(Value::as_object);
    let word = |name: &str| by.and_then(|by| by.get(name)).and_then(Value::as_str);
    match word("field") {
        Some("UPDATED_AT") => issues.sort_by_key(|issue| (issue.updated_at, issue.number)),
        Some("COMMENTS") => issues.sort_by_key(|issue| (issue.comments.len(), issue.number)),
        _ => issues.sort_by_key(|issue| (issue.created_at, issue.number)),
    }
    if word("direction") == Some("DESC") {
        issues.reverse();
    }
}

fn label(state: &State, repo: usize, name: &str) -> Thing {
    let repo = &state.repos[repo];
    let label = repo.labels.iter().find(|label| label.name.eq_ignore_ascii_case(name)).unwrap();
    Thing::Data(json!({
        "__typename": "Label", "id": node_id("LA", label.id), "name": label.name, "color": label.color,
        "description": label.description, "url": format!("{}/{}/labels/{}", state.base, repo.full_name(), label.name),
    }))
}

/// The fields that issues and pull requests share.
fn common(state: &State, at: usize, issue: &Issue, field: &str) -> Option<Thing> {
    let kind = if issue.pull.is_some() { "pull" } else { "issues" };
    let value = match field {
        "databaseId" => json!(issue.id),
        "fullDatabaseId" => json!(issue.id.to_string()),
        "number" => json!(issue.number),
        "title" => json!(issue.title),
        "body" => json!(issue.body),
        "state" => json!(issue.state()),
        "closed" => json!(issue.closed.is_some()),
        "closedAt" => json!(issue.closed.as_ref().map(|(at, _)| time(*at))),
        "createdAt" => json!(time(issue.created_at)),
        "updatedAt" => json!(time(issue.updated_at)),
        "url" => json!(format!("{}/{}/{kind}/{}", state.base, state.repos[at].full_name(), issue.number)),
        "author" => return Some(actor(issue.author.as_deref())),
        "repository" => return Some(Thing::Repo(at)),
        _ => return None,
    };
    Some(Thing::Leaf(value))
}

fn issue(state: &State, root: &Root<'_>, at: usize, number: u64, field: &str, arguments: &Arguments) -> Resolved {
    let issue = &state.repos[at].issues[&number];
    if let Some(thing) = common(state, at, issue, field) {
        return Ok(thing);
    }
    match field {
        "id" => leaf(node_id("I", issue.id)),
        "stateReason" => {
            let reason = issue.closed.as_ref().map(|(_, reason)| reason_word(reason, arguments));
            leaf(reason.or_else(|| issue.reopened.then(|| "REOPENED".to_owned())))
        }
        "locked" => leaf(false),
        "authorAssociation" => leaf("NONE"),
        "viewerDidAuthor" => leaf(issue.author.as_deref() == Some(root.login)),
        "lastEditedAt" => leaf(issue.edits.last().map(|(at, _)| time(*at))),
        "editor" => Ok(actor(issue.edits.last().and_then(|(_, by)| by.as_deref()))),
        "labels" => {
            Ok(page("Label", issue.labels.iter().map(|name| label(state, at, name)).collect(), None, arguments))
        }
        "assignees" => {
            let assignees = issue.assignees.iter().map(|login| Thing::Account(login.clone()));
            Ok(page("User", assignees.collect(), None, arguments))
        }
        "comments" => {
            let comments = (0..issue.comments.len()).map(|place| comment(state, root, at, issue, place));
            Ok(page("IssueComment", comments.collect(), None, arguments))
        }
        "timelineItems" => {
            let kinds = strings(arguments, "itemTypes");
            let since = arguments.get("since").and_then(Value::as_str);
            let wanted = |kind: &str, at| {
                kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
                    && since.is_none_or(|since| time(at).as_str() >= since)
            };
            let events = issue.events.iter().filter(|event| wanted(item_type(&event.kind), event.at));
            let mut items: Vec<(u64, Thing)> =
                events.map(|event| (event.id, self::event(state, at, event, arguments))).collect();
            let comments = issue.comments.iter().enumerate().filter(|(_, comment)| wanted("ISSUE_COMMENT", comment.at));
            items.extend(comments.map(|(place, found)| (found.id, comment(state, root, at, issue, place))));
            items.sort_by_key(|(id, _)| *id);
            let total = issue.events.len() + issue.comments.len();
            Ok(page("IssueTimelineItems", items.into_iter().map(|(_, item)| item).collect(), Some(total), arguments))
        }
        "userContentEdits" => {
            // Newest first; what was written first is one of them once there is another.
            let mut edits: Vec<Thing> = Vec::new();
            let first = (!issue.edits.is_empty()).then(|| (issue.created_at, issue.author.clone()));
            for (place, (when, by)) in first.into_iter().chain(issue.edits.iter().cloned()).enumerate() {
                let editor = by.map(|login| data_of_account(state, &login));
                edits.push(Thing::Data(json!({
                    "__typename": "UserContentEdit", "id": format!("UCE_{}_{place}", issue.id), "createdAt": time(when),
                    "updatedAt": time(when), "editedAt": time(when), "deletedAt": null, "deletedBy": null, "diff": "",
                    "editor": editor,
                })));
            }
            edits.reverse();
            Ok(page("UserContentEdit", edits, None, arguments))
        }
        "blockedBy" => {
            let seen = issue.blocked_by.iter().filter(|(repo, _)| state.may(*repo, root.login, Permission::Read));
            Ok(page("Issue", seen.map(|(repo, number)| Thing::Issue(*repo, *number)).collect(), None, arguments))
        }
        _ => panic!("the fake lacks {field} of Issue"),
    }
}

fn reason_word(reason: &str, arguments: &Arguments) -> String {
    // Clients that do not know duplicates are told something older.
    if reason == "duplicate" && arguments.get("enableDuplicate") != Some(&json!(true)) {
        return "NOT_PLANNED".to_owned();
    }
    reason.to_uppercase()
}

fn data_of_account(state: &State, login: &str) -> Value {
    let user = &state.users[&login.to_lowercase()];
    let login = user.login.trim_end_matches("[bot]");
    json!({
        "__typename": user.kind, "id": node_id("U", user.id), "databaseId": user.id, "login": login, "name": null,
        "url": format!("{}/{login}", state.base), "resourcePath": format!("/{login}"),
    })
}

fn comment(state: &State, root: &Root<'_>, at: usize, issue: &Issue, place: usize) -> Thing {
    let comment = &issue.comments[place];
    let page = format!("{}/{}/issues/{}", state.base, state.repos[at].full_name(), issue.number);
    Thing::Data(json!({
        "__typename": "IssueComment", "id": node_id("IC", comment.id), "databaseId": comment.id,
        "fullDatabaseId": comment.id.to_string(), "body": comment.body, "createdAt": time(comment.at),
        "updatedAt": time(comment.updated_at), "url": format!("{page}#issuecomment-{}", comment.id),
        "viewerDidAuthor": comment.author.as_deref() == Some(root.login),
        "author": comment.author.as_ref().map(|login| data_of_account(state, login)),
    }))
}

fn item_type(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Labeled(_) => "LABELED_EVENT",
        EventKind::Unlabeled(_) => "UNLABELED_EVENT",
        EventKind::Renamed { .. } => "RENAMED_TITLE_EVENT",
        EventKind::Closed { .. } => "CLOSED_EVENT",
        EventKind::Reopened => "REOPENED_EVENT",
    }
}

fn event(state: &State, at: usize, event: &super::state::Event, arguments: &Arguments) -> Thing {
    let mut shape = json!({
        "id": event_node_id(event), "createdAt": time(event.at),
        "actor": event.by.as_ref().map(|login| data_of_account(state, login)),
    });
    let more = match &event.kind {
        EventKind::Labeled(name) | EventKind::Unlabeled(name) => {
            let kind = if matches!(event.kind, EventKind::Labeled(_)) { "LabeledEvent" } else { "UnlabeledEvent" };
            let Thing::Data(label) = label(state, at, name) else { unreachable!() };
            json!({ "__typename": kind, "label": label })
        }
        EventKind::Renamed { from, to } => {
            json!({ "__typename": "RenamedTitleEvent", "previousTitle": from, "currentTitle": to })
        }
        EventKind::Closed { reason, commit } => {
            let closer = commit.as_ref().map(|sha| json!({ "__typename": "Commit", "id": sha, "oid": sha }));
            let url = format!("{}/{}#event-{}", state.base, state.repos[at].full_name(), event.id);
            json!({
                "__typename": "ClosedEvent", "stateReason": reason_word(reason, arguments), "closer": closer, "url": url,
            })
        }
        EventKind::Reopened => json!({ "__typename": "ReopenedEvent", "stateReason": "REOPENED" }),
    };
    shape.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Thing::Data(shape)
}

fn pull(state: &State, root: &Root<'_>, at: usize, number: u64, field: &str) -> Resolved {
    let issue = &state.repos[at].issues[&number];
    let pull = issue.pull.as_ref().unwrap();
    if let Some(thing) = common(state, at, issue, field) {
        return Ok(thing);
    }
    let merged = pull.merged.as_ref();
    match field {
        "id" => leaf(node_id("PR", issue.id)),
        "merged" => leaf(merged.is_some()),
        "mergedAt" => leaf(merged.map(|(at, _)| time(*at))),
        "mergeCommit" => Ok(merged.map_or(Thing::Leaf(Value::Null), |(_, sha)| {
            Thing::Data(json!({ "__typename": "Commit", "id": sha, "oid": sha }))
        })),
        "isDraft" => leaf(pull.draft),
        "isCrossRepository" => leaf(pull.fork.is_some()),
        "headRefName" => leaf(&pull.head),
        "headRefOid" => leaf(&pull.head_sha),
        "baseRefName" => leaf(&pull.base),
        "baseRepository" => Ok(Thing::Repo(at)),
        "headRepository" => Ok(match &pull.fork {
            None => Thing::Repo(at),
            Some(owner) => {
                named(state, root, &format!("{owner}/{}", state.repos[at].name)).unwrap_or(Thing::Leaf(Value::Null))
            }
        }),
        "headRepositoryOwner" => Ok(Thing::Account(pull.fork.clone().unwrap_or_else(|| state.repos[at].owner.clone()))),
        _ => panic!("the fake lacks {field} of PullRequest"),
    }
}

/// An opaque place in a list.
fn cursor(place: usize) -> String {
    format!("Y3Vyc29yOnYyOpHO{place:08x}")
}

fn place(cursor: Option<&Value>) -> Option<usize> {
    usize::from_str_radix(cursor?.as_str()?.strip_prefix("Y3Vyc29yOnYyOpHO")?, 16).ok()
}

/// One page of a list, from either end.
fn page(kind: &'static str, all: Vec<Thing>, total: Option<usize>, arguments: &Arguments) -> Thing {
    let count = all.len();
    let (mut from, mut to) = (0, count);
    if let Some(after) = place(arguments.get("after")) {
        from = (after + 1).min(count);
    }
    if let Some(before) = place(arguments.get("before")) {
        to = before.clamp(from, count);
    }
    let size = |name: &str| arguments.get(name).and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
    if let Some(first) = size("first") {
        to = to.min(from + first);
    } else if let Some(last) = size("last") {
        from = from.max(to.saturating_sub(last));
    }
    let items = all.into_iter().skip(from).take(to - from).collect();
    Thing::Page { kind, items, from, all: count, total: total.unwrap_or(count) }
}
