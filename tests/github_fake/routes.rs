//! From a path to what it stands for: an existing repository that the caller may see, or a refusal.

use serde_json::{Value, json};

use super::limits::Resource;
use super::rest::{self, Place};
use super::server::{Asked, Reply};
use super::shapes::Shapes;
use super::state::{Permission, State};

pub fn answer(state: &mut State, login: &str, token: &str, asked: &Asked) -> Reply {
    let segments: Vec<&str> = asked.segments.iter().map(String::as_str).collect();
    let api = format!("{}{}", state.base, asked.prefix);
    match (asked.method.as_str(), segments.as_slice()) {
        ("GET", ["user"]) => Reply::json(200, Shapes { state, api }.authenticated_user(login)),
        ("GET", ["rate_limit"]) => Reply::json(200, rate_limit(state, token)),
        (_, ["repos", owner, name, rest @ ..]) => {
            let full_name = format!("{owner}/{name}");
            match state.find(&full_name).filter(|at| state.may(*at, login, Permission::Read)) {
                // A private repository that one may not see does not exist.
                None => Reply::refusal(404, "Not Found"),
                Some(at) if !state.repos[at].full_name().eq_ignore_ascii_case(&full_name) => {
                    moved(asked, &api, state.repos[at].id)
                }
                Some(at) => in_repo(state, &Place { repo: at, login, asked, api }, rest),
            }
        }
        (_, ["repositories", id, rest @ ..]) => {
            let found = state.repos.iter().position(|repo| repo.id.to_string() == *id);
            match found.filter(|at| state.may(*at, login, Permission::Read)) {
                None => Reply::refusal(404, "Not Found"),
                Some(at) => in_repo(state, &Place { repo: at, login, asked, api }, rest),
            }
        }
        _ => Reply::refusal(404, "Not Found"),
    }
}

fn in_repo(state: &mut State, place: &Place<'_>, rest: &[&str]) -> Reply {
    let repo = place.repo;
    if state.forbidden.iter().any(|end| place.asked.path.ends_with(end)) {
        return Reply::refusal(403, "Resource not accessible by personal access token");
    }
    match (place.asked.method.as_str(), rest) {
        ("GET", []) => Reply::json(200, place.shapes(state).repo(repo, place.login)),
        ("GET", ["collaborators", login, "permission"]) => rest::permission(state, place, login),
        ("GET", ["labels"]) => rest::labels(state, place),
        ("POST", ["labels"]) => rest::create_label(state, place),
        ("GET", ["issues"]) => rest::issues(state, place),
        ("GET", ["issues", "events"]) => rest::events_of_repo(state, place),
        ("GET", ["issues", "comments", id]) => rest::comment(state, place, id),
        ("PATCH", ["issues", "comments", id]) => rest::update_comment(state, place, id),
        // Nothing here is a workflow's.
        ("GET", ["actions", "runs"]) => Reply::json(200, json!({ "total_count": 0, "workflow_runs": [] })),
        ("GET", ["commits", sha, "check-runs"]) => rest::check_runs(state, place, sha),
        ("GET", ["commits", sha, "status"]) => rest::combined_status(state, place, sha),
        (_, ["issues", number, rest @ ..]) => {
            let Ok(number) = number.parse::<u64>() else { return Reply::refusal(404, "Not Found") };
            if state.repos[repo].deleted.contains(&number) {
                return Reply::refusal(410, "This issue was deleted");
            }
            if !state.repos[repo].issues.contains_key(&number) {
                return Reply::refusal(404, "Not Found");
            }
            in_issue(state, place, number, rest)
        }
        _ => Reply::refusal(404, "Not Found"),
    }
}

fn in_issue(state: &mut State, place: &Place<'_>, number: u64, rest: &[&str]) -> Reply {
    match (place.asked.method.as_str(), rest) {
        ("GET", []) => place.issue(state, number),
        ("PATCH", []) => rest::update_issue(state, place, number),
        ("GET", ["labels"]) => place.labels_of(state, number),
        ("POST", ["labels"]) => rest::add_labels(state, place, number),
        ("DELETE", ["labels", label]) => rest::remove_label(state, place, number, label),
        ("GET", ["comments"]) => rest::comments(state, place, number),
        ("POST", ["comments"]) => rest::create_comment(state, place, number),
        ("GET", ["events"]) => rest::events(state, place, number),
        ("GET", ["timeline"]) => rest::timeline(state, place, number),
        ("GET", ["dependencies", "blocked_by"]) if !state.old_server => rest::blocked_by(state, place, number),
        _ => Reply::refusal(404, "Not Found"),
    }
}

/// A renamed repository is found under its immutable id. What writes must be repeated as it was.
fn moved(asked: &Asked, api: &str, id: u64) -> Reply {
    let rest: String =
        asked.path.trim_start_matches('/').splitn(4, '/').nth(3).map(|rest| format!("/{rest}")).unwrap_or_default();
    let query: Vec<String> = asked.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let url = format!("{api}/repositories/{id}{rest}{query}");
    let (status, message) =
        if asked.method == "GET" { (301, "Moved Permanently") } else { (307, "Temporary Redirect") };
    let body = json!({ "message": message, "url": url, "documentation_url": "https://docs.github.com/rest" });
    Reply::json(status, body).header("location", url)
}

fn rate_limit(state: &mut State, token: &str) -> Value {
    let now = state.now();
    let mut window = |resource| {
        let window = state.limits.window(token, resource, now);
        json!({
            "limit": window.limit, "used": window.used, "remaining": window.remaining(),
            "reset": window.reset.timestamp(), "resource": "core",
        })
    };
    let (core, graphql) = (window(Resource::Rest), window(Resource::Graphql));
    json!({ "resources": { "core": core, "search": core, "graphql": graphql }, "rate": core })
}
