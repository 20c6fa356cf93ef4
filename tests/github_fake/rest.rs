//! What the REST API does to a repository and its issues.

use serde_json::{Value, json};

use super::git;
use super::server::{Asked, Reply};
use super::shapes::Shapes;
use super::state::{CheckRun, Permission, State, Status};

/// The longest comment, in characters.
const COMMENT_LIMIT: usize = 65_536;

/// A request about a repository that the caller may see.
pub struct Place<'a> {
    pub repo: usize,
    pub login: &'a str,
    pub asked: &'a Asked,
    pub api: String,
}

impl Place<'_> {
    pub fn shapes<'s>(&self, state: &'s State) -> Shapes<'s> {
        Shapes { state, api: self.api.clone() }
    }

    pub fn issue(&self, state: &State, number: u64) -> Reply {
        Reply::json(200, self.shapes(state).issue(self.repo, &state.repos[self.repo].issues[&number]))
    }

    pub fn labels_of(&self, state: &State, number: u64) -> Reply {
        let labels = state.repos[self.repo].issues[&number].labels.iter();
        let labels: Vec<Value> = labels.map(|label| self.shapes(state).label(self.repo, label)).collect();
        Reply::json(200, json!(labels))
    }

    fn may(&self, state: &State, least: Permission) -> bool {
        state.may(self.repo, self.login, least)
    }

    fn body(&self) -> Value {
        self.asked.body.clone().and_then(Result::ok).unwrap_or(Value::Null)
    }

    /// One page of a list, made only of what is on it, with the way to the others.
    fn page<T>(
        &self,
        state: &State,
        items: &[T],
        shape: impl Fn(&Shapes<'_>, &T) -> Value,
    ) -> (Vec<Value>, Option<String>) {
        let number = |name: &str, default: usize| {
            self.asked.query(name).and_then(|value| value.parse().ok()).filter(|number| *number > 0).unwrap_or(default)
        };
        // More than 100 is cut, without a word.
        let (size, page) = (number("per_page", 30).min(100), number("page", 1));
        let shapes = self.shapes(state);
        let shown = items.iter().skip((page - 1) * size).take(size).map(|item| shape(&shapes, item)).collect();
        let last = items.len().div_ceil(size).max(1);
        // Links lead by the immutable id.
        let id = state.repos[self.repo].id;
        let rest = self.asked.segments.iter().skip(if self.asked.segments[0] == "repos" { 3 } else { 2 });
        let path: String = rest.map(|segment| format!("/{segment}")).collect();
        let link = |page: usize, rel: &str| {
            let mut url = reqwest::Url::parse(&format!("{}/repositories/{id}{path}", self.api)).unwrap();
            let others = self.asked.query.iter().filter(|(name, _)| name != "page");
            url.query_pairs_mut().extend_pairs(others).append_pair("page", &page.to_string());
            format!("<{url}>; rel=\"{rel}\"")
        };
        let mut links = Vec::new();
        if page > 1 {
            links.extend([link(page - 1, "prev"), link(1, "first")]);
        }
        if page < last {
            links.extend([link(page + 1, "next"), link(last, "last")]);
        }
        (shown, (!links.is_empty()).then(|| links.join(", ")))
    }

    fn list<T>(&self, state: &State, items: &[T], shape: impl Fn(&Shapes<'_>, &T) -> Value) -> Reply {
        let (shown, link) = self.page(state, items, shape);
        let reply = Reply::json(200, json!(shown));
        match link {
            Some(link) => reply.header("link", link),
            None => reply,
        }
    }
}

fn must_have_rights() -> Reply {
    Reply::refusal(403, "Must have admin rights to Repository.")
}

pub fn permission(state: &State, place: &Place<'_>, login: &str) -> Reply {
    if !place.may(state, Permission::Write) {
        return Reply::refusal(403, "Must have push access to view collaborator permission.");
    }
    if !state.users.contains_key(&login.to_lowercase()) {
        return Reply::refusal(404, &format!("{login} is not a user"));
    }
    let role = state.role(place.repo, login);
    Reply::json(200, place.shapes(state).permission(login, role.as_ref()))
}

pub fn labels(state: &State, place: &Place<'_>) -> Reply {
    let labels: Vec<String> = state.repos[place.repo].labels.iter().map(|label| label.name.clone()).collect();
    place.list(state, &labels, |shapes, label| shapes.label(place.repo, label))
}

pub fn create_label(state: &mut State, place: &Place<'_>) -> Reply {
    if !place.may(state, Permission::Write) {
        return Reply::refusal(404, "Not Found");
    }
    let body = place.body();
    let Some(name) = body["name"].as_str().filter(|name| !name.is_empty() && name.chars().count() <= 50) else {
        return Reply::invalid("Label", "name", "invalid", "name is invalid");
    };
    if state.repos[place.repo].labels.iter().any(|label| label.name.eq_ignore_ascii_case(name)) {
        return Reply::invalid("Label", "name", "already_exists", "already exists");
    }
    state.define_label(place.repo, name);
    let label = state.repos[place.repo].labels.last_mut().unwrap();
    if let Some(color) = body["color"].as_str() {
        label.color = color.to_owned();
    }
    label.description = body["description"].as_str().map(str::to_owned);
    Reply::json(201, place.shapes(state).label(place.repo, name))
}

pub fn issues(state: &State, place: &Place<'_>) -> Reply {
    let wanted = place.asked.query("state").unwrap_or("open");
    if !["open", "closed", "all"].contains(&wanted) {
        return Reply::invalid("Issue", "state", "invalid", "state must be one of open, closed, all");
    }
    let labels: Vec<&str> =
        place.asked.query("labels").map(|labels| labels.split(',').map(str::trim).collect()).unwrap_or_default();
    let since = place.asked.query("since").and_then(|since| chrono::DateTime::parse_from_rfc3339(since).ok());
    let mut found: Vec<_> = state.repos[place.repo]
        .issues
        .values()
        .filter(|issue| wanted == "all" || (wanted == "open") == issue.closed.is_none())
        .filter(|issue| labels.iter().all(|label| issue.has(label)))
        .filter(|issue| since.is_none_or(|since| issue.updated_at >= since))
        .collect();
    match place.asked.query("sort") {
        Some("updated") => found.sort_by_key(|issue| (issue.updated_at, issue.number)),
        Some("comments") => found.sort_by_key(|issue| (issue.comments.len(), issue.number)),
        _ => found.sort_by_key(|issue| (issue.created_at, issue.number)),
    }
    if place.asked.query("direction") != Some("asc") {
        found.reverse();
    }
    place.list(state, &found, |shapes, issue| shapes.issue(place.repo, issue))
}

pub fn update_issue(state: &mut State, place: &Place<'_>, number: u64) -> Reply {
    let (repo, login, body) = (place.repo, place.login, place.body());
    let is_author = state.issue(repo, number).author.as_deref() == Some(login);
    if !is_author && !place.may(state, Permission::Triage) {
        return must_have_rights();
    }
    let wanted = body.get("state").map(|state| state.as_str().unwrap_or("nonsense"));
    if wanted.is_some_and(|wanted| !["open", "closed"].contains(&wanted)) {
        return Reply::invalid("Issue", "state", "invalid", "state must be one of open, closed");
    }
    let reason =
        body.get("state_reason").filter(|reason| !reason.is_null()).map(|reason| reason.as_str().unwrap_or(""));
    if reason.is_some_and(|reason| !["completed", "not_planned", "duplicate", "reopened"].contains(&reason)) {
        return Reply::invalid("Issue", "state_reason", "invalid", "state_reason is invalid");
    }
    if let Some(title) = body["title"].as_str().filter(|title| *title != state.repos[repo].issues[&number].title) {
        state.edit_title(repo, number, login, title);
    }
    if let Some(text) = body["body"].as_str().filter(|text| *text != state.repos[repo].issues[&number].body) {
        state.edit_body(repo, number, login, text);
    }
    // Silently dropped for those who may not.
    if let Some(labels) = body["labels"].as_array().filter(|_| place.may(state, Permission::Triage)) {
        let wanted: Vec<String> = labels.iter().filter_map(name_of_label).collect();
        for label in state.issue(repo, number).labels.clone() {
            if !wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(&label)) {
                state.unlabel(repo, number, login, &label);
            }
        }
        for label in &wanted {
            state.label(repo, number, login, label);
        }
    }
    match wanted {
        Some("closed") => state.close(repo, number, login, reason.unwrap_or("completed"), None),
        Some(_) => state.reopen(repo, number, login),
        None => {}
    }
    place.issue(state, number)
}

fn name_of_label(label: &Value) -> Option<String> {
    label.as_str().or_else(|| label["name"].as_str()).map(str::to_owned)
}

pub fn add_labels(state: &mut State, place: &Place<'_>, number: u64) -> Reply {
    if !place.may(state, Permission::Triage) {
        return if state.drops_labels { place.labels_of(state, number) } else { must_have_rights() };
    }
    let body = place.body();
    let labels = body.as_array().or_else(|| body["labels"].as_array());
    let Some(labels) = labels.map(|labels| labels.iter().filter_map(name_of_label).collect::<Vec<_>>()) else {
        return Reply::invalid("Label", "labels", "missing_field", "labels is missing");
    };
    for label in &labels {
        if label.trim().is_empty() || label.chars().count() > 50 {
            return Reply::invalid("Label", "name", "invalid", "name is too long (maximum is 50 characters)");
        }
        let is_new = !state.repos[place.repo].labels.iter().any(|known| known.name.eq_ignore_ascii_case(label));
        if is_new && !place.may(state, Permission::Write) {
            return must_have_rights();
        }
    }
    for label in &labels {
        state.label(place.repo, number, place.login, label);
    }
    place.labels_of(state, number)
}

pub fn remove_label(state: &mut State, place: &Place<'_>, number: u64, label: &str) -> Reply {
    if !place.may(state, Permission::Triage) {
        return must_have_rights();
    }
    if state.unlabel(place.repo, number, place.login, label) {
        place.labels_of(state, number)
    } else {
        Reply::refusal(404, "Label does not exist")
    }
}

/// What a comment may not be.
fn refuse_comment(body: &Value) -> Option<Reply> {
    let Some(text) = body["body"].as_str() else {
        return Some(Reply::invalid("IssueComment", "body", "missing_field", "body is missing"));
    };
    if text.trim().is_empty() {
        return Some(Reply::invalid("IssueComment", "body", "missing_field", "body can't be blank"));
    }
    let too_long = text.chars().count() > COMMENT_LIMIT;
    too_long.then(|| Reply::invalid("IssueComment", "body", "custom", "body is too long (maximum is 65536 characters)"))
}

pub fn comments(state: &State, place: &Place<'_>, number: u64) -> Reply {
    let issue = &state.repos[place.repo].issues[&number];
    let since = place.asked.query("since").and_then(|since| chrono::DateTime::parse_from_rfc3339(since).ok());
    let comments: Vec<_> =
        issue.comments.iter().filter(|comment| since.is_none_or(|since| comment.updated_at >= since)).collect();
    place.list(state, &comments, |shapes, comment| shapes.comment(place.repo, issue, comment))
}

pub fn create_comment(state: &mut State, place: &Place<'_>, number: u64) -> Reply {
    let body = place.body();
    if let Some(refusal) = refuse_comment(&body) {
        return refusal;
    }
    state.comment(place.repo, number, place.login, body["body"].as_str().unwrap());
    let issue = &state.repos[place.repo].issues[&number];
    let comment = place.shapes(state).comment(place.repo, issue, issue.comments.last().unwrap());
    let location = comment["url"].as_str().unwrap().to_owned();
    Reply::json(201, comment).header("location", location)
}

pub fn comment(state: &State, place: &Place<'_>, id: &str) -> Reply {
    let issues = state.repos[place.repo].issues.values();
    let found = issues.flat_map(|issue| issue.comments.iter().map(move |comment| (issue, comment)));
    match found.into_iter().find(|(_, comment)| comment.id.to_string() == id) {
        Some((issue, comment)) => Reply::json(200, place.shapes(state).comment(place.repo, issue, comment)),
        None => Reply::refusal(404, "Not Found"),
    }
}

pub fn update_comment(state: &mut State, place: &Place<'_>, id: &str) -> Reply {
    let body = place.body();
    let found = state.repos[place.repo].issues.values().find_map(|issue| {
        let at = issue.comments.iter().position(|comment| comment.id.to_string() == id)?;
        Some((issue.number, at))
    });
    let Some((number, at)) = found else { return Reply::refusal(404, "Not Found") };
    let now = state.now();
    let may_edit_all = place.may(state, Permission::Write);
    let issue = state.issue(place.repo, number);
    if !may_edit_all && issue.comments[at].author.as_deref() != Some(place.login) {
        return must_have_rights();
    }
    if let Some(refusal) = refuse_comment(&body) {
        return refusal;
    }
    let comment = &mut issue.comments[at];
    comment.body = body["body"].as_str().unwrap().to_owned();
    comment.updated_at = now;
    issue.updated_at = now;
    let issue = &state.repos[place.repo].issues[&number];
    Reply::json(200, place.shapes(state).comment(place.repo, issue, &issue.comments[at]))
}

pub fn events(state: &State, place: &Place<'_>, number: u64) -> Reply {
    let events = &state.repos[place.repo].issues[&number].events;
    place.list(state, events, |shapes, event| shapes.event(place.repo, event))
}

pub fn events_of_repo(state: &State, place: &Place<'_>) -> Reply {
    let mut events: Vec<_> = state.repos[place.repo].issues.values().flat_map(|issue| &issue.events).collect();
    events.sort_by_key(|event| std::cmp::Reverse(event.id));
    place.list(state, &events, |shapes, event| shapes.event(place.repo, event))
}

pub fn timeline(state: &State, place: &Place<'_>, number: u64) -> Reply {
    let issue = &state.repos[place.repo].issues[&number];
    let shapes = place.shapes(state);
    let mut entries: Vec<(u64, Value)> =
        issue.events.iter().map(|event| (event.id, shapes.event(place.repo, event))).collect();
    entries.extend(issue.comments.iter().map(|comment| {
        let mut entry = shapes.comment(place.repo, issue, comment);
        entry["event"] = json!("commented");
        entry["actor"] = entry["user"].clone();
        (comment.id, entry)
    }));
    entries.sort_by_key(|(id, _)| *id);
    place.list(state, &entries, |_, (_, entry)| entry.clone())
}

pub fn blocked_by(state: &State, place: &Place<'_>, number: u64) -> Reply {
    let blockers = &state.repos[place.repo].issues[&number].blocked_by;
    let seen: Vec<_> = blockers.iter().filter(|(repo, _)| state.may(*repo, place.login, Permission::Read)).collect();
    place.list(state, &seen, |shapes, (repo, number)| shapes.issue(*repo, &state.repos[*repo].issues[number]))
}

/// Whether the code host has the commit; a branch is none.
fn knows(state: &State, repo: usize, sha: &str) -> bool {
    let repo = &state.repos[repo];
    repo.commits.contains(sha) || repo.git.as_ref().is_some_and(|git| git::has(git, sha))
}

fn no_commit(sha: &str) -> Reply {
    Reply::refusal(422, &format!("No commit found for SHA: {sha}"))
}

pub fn check_runs(state: &State, place: &Place<'_>, sha: &str) -> Reply {
    if !knows(state, place.repo, sha) {
        return no_commit(sha);
    }
    let runs = state.repos[place.repo].check_runs.iter().filter(|run| run.sha == sha);
    let runs = runs.filter(|run| place.asked.query("check_name").is_none_or(|name| run.name == name));
    let mut found: Vec<&CheckRun> = Vec::new();
    for run in runs {
        if place.asked.query("filter") != Some("all") {
            // Of one app and name only the latest.
            found.retain(|earlier| (&earlier.name, &earlier.app) != (&run.name, &run.app));
        }
        found.push(run);
    }
    found.reverse();
    let (shown, link) = place.page(state, &found, |shapes, run| shapes.check_run(place.repo, run));
    let reply = Reply::json(200, json!({ "total_count": found.len(), "check_runs": shown }));
    match link {
        Some(link) => reply.header("link", link),
        None => reply,
    }
}

pub fn combined_status(state: &State, place: &Place<'_>, sha: &str) -> Reply {
    if !knows(state, place.repo, sha) {
        return no_commit(sha);
    }
    let mut latest: Vec<&Status> = Vec::new();
    for status in state.repos[place.repo].statuses.iter().filter(|status| status.sha == sha) {
        latest.retain(|earlier| earlier.context != status.context);
        latest.push(status);
    }
    let any = |states: &[&str]| latest.iter().any(|status| states.contains(&status.state.as_str()));
    let word = if any(&["failure", "error"]) {
        "failure"
    } else if latest.is_empty() || any(&["pending"]) {
        "pending"
    } else {
        "success"
    };
    let (shown, link) = place.page(state, &latest, |shapes, status| shapes.status(place.repo, status));
    let shapes = place.shapes(state);
    let url = shapes.repo_url(place.repo);
    let reply = Reply::json(
        200,
        json!({
            "state": word, "sha": sha, "total_count": latest.len(), "statuses": shown,
            "repository": shapes.minimal_repo(place.repo), "commit_url": format!("{url}/commits/{sha}"),
            "url": format!("{url}/commits/{sha}/status"),
        }),
    );
    match link {
        Some(link) => reply.header("link", link),
        None => reply,
    }
}
