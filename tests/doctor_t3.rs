//! What `afk doctor` says of a T3 Code server.

mod installation;

use installation::{Installation, Ran};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const SHELL: &str = "/api/orchestration/shell";

/// A server that lets afk in, and an installation that uses it.
struct World {
    server: MockServer,
    afk: Installation,
}

impl World {
    async fn new(session: Value, shell: Value) -> Self {
        let server = MockServer::start().await;
        let answers = [
            ("/.well-known/t3/environment", json!({ "environmentId": "env-1", "serverVersion": "0.0.33" })),
            ("/api/auth/session", session),
            (SHELL, shell),
        ];
        for (place, answer) in answers {
            let token = header("authorization", "Bearer S3CRET");
            let answer = ResponseTemplate::new(200).set_body_json(answer);
            Mock::given(method("GET")).and(path(place)).and(token).respond_with(answer).mount(&server).await;
        }
        let afk = Installation::armed();
        let executor = format!(
            "[executors.t3]\nkind = \"t3\"\nurl = \"{}\"\ntoken = {{ variable = \"T3\" }}\n\n[ci.test]",
            server.uri()
        );
        afk.edit("afk.settings.toml", &[("[ci.test]", &executor)]);
        afk.edit("policies/afk.toml", &[("\"toy\"", "\"t3\"")]);
        Self { server, afk }
    }

    fn doctor(&self) -> Ran {
        self.afk.afk_with(&["doctor"], &[("T3", "S3CRET")])
    }
}

fn session(scopes: &[&str], days: i64) -> Value {
    let end = chrono::Utc::now() + chrono::TimeDelta::days(days) + chrono::TimeDelta::hours(1);
    json!({ "authenticated": true, "scopes": scopes, "expiresAt": end.to_rfc3339() })
}

fn narrow(days: i64) -> Value {
    session(&["orchestration:read", "orchestration:operate"], days)
}

fn nothing() -> Value {
    json!({ "projects": [], "threads": [] })
}

fn says(ran: &Ran, about: &str, health: &str, what: &str) {
    let mut lines = ran.stdout.lines().filter(|line| line.split_whitespace().next() == Some(about));
    let found = lines.any(|line| line.split_whitespace().nth(1) == Some(health) && line.contains(what));
    assert!(found, "{about} {health} {what}: {ran}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_server_that_could_start_an_agent_is_shown_with_its_version_and_the_end_of_the_token() {
    let world = World::new(narrow(9), nothing()).await;
    let ran = world.doctor();
    assert_eq!(ran.code, Some(0), "{ran}");
    let uri = world.server.uri();
    says(&ran, "executor", "ok", &format!("t3 0.0.33 at {uri}, token ends 20"));
    says(&ran, "executor", "ok", "(9 days)");
    says(&ran, "provider", "note", "T3 Code does not show whether `claudeAgent` is installed and logged in");
    says(&ran, "checkouts", "ok", "each run gets a clone of its own below ");
    assert!(!ran.stdout.contains("S3CRET"), "{ran}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_token_that_may_do_more_or_ends_soon_is_noted() {
    let world =
        World::new(session(&["orchestration:read", "orchestration:operate", "access:write"], 1), nothing()).await;
    let ran = world.doctor();
    assert_eq!(ran.code, Some(0), "{ran}");
    says(&ran, "executor", "note", "(1 day)");
    says(&ran, "executor", "note", "the token of `t3` may do more than afk needs: access:write");
}

#[tokio::test(flavor = "current_thread")]
async fn a_token_that_may_not_start_agents_is_a_failure() {
    let world = World::new(session(&["orchestration:read"], 9), nothing()).await;
    let ran = world.doctor();
    assert_eq!(ran.code, Some(1), "{ran}");
    says(&ran, "executor", "FAIL", "lacks the scope `orchestration:operate`");
    let world = World::new(json!({ "authenticated": false }), nothing()).await;
    says(&world.doctor(), "executor", "FAIL", "T3 Code does not know the token; it comes from the variable `T3`");
}

#[tokio::test(flavor = "current_thread")]
async fn a_server_that_does_not_answer_is_a_failure() {
    let world = World::new(narrow(9), nothing()).await;
    world.server.reset().await;
    let ran = world.doctor();
    assert_eq!(ran.code, Some(1), "{ran}");
    says(&ran, "executor", "FAIL", "executor `t3`");
}

#[tokio::test(flavor = "current_thread")]
async fn threads_that_failed_and_projects_that_are_missing_are_noted() {
    let failed =
        json!({ "id": "a", "title": "a", "session": { "status": "error", "lastError": "Not logged in\nat x.js:1" } });
    let fine = json!({ "id": "b", "title": "b", "session": { "status": "ready", "lastError": null } });
    let world = World::new(narrow(9), json!({ "projects": [], "threads": [failed, fine] })).await;
    world.afk.edit("afk.settings.toml", &[("\n[ci.test]", "checkouts = \"/srv/work\"\n\n[ci.test]")]);
    let ran = world.doctor();
    assert_eq!(ran.code, Some(0), "{ran}");
    says(&ran, "provider", "note", "1 of 2 threads of `t3` ended with an error, such as `Not logged in`");
    says(&ran, "checkouts", "note", "no project yet below /srv/work for greeter");
    let shell = json!({ "projects": [{ "id": "p", "workspaceRoot": "/srv/work/greeter" }], "threads": [] });
    let world = World::new(narrow(9), shell).await;
    world.afk.edit("afk.settings.toml", &[("\n[ci.test]", "checkouts = \"/srv/work\"\n\n[ci.test]")]);
    says(&world.doctor(), "checkouts", "ok", "T3 Code has a project below /srv/work for every repository");
}

#[tokio::test(flavor = "current_thread")]
async fn a_row_that_goes_by_cost_is_noted() {
    let world = World::new(narrow(9), nothing()).await;
    says(&world.doctor(), "cost", "note", "`t3` reports no cost");
}

#[tokio::test(flavor = "current_thread")]
async fn a_policy_that_lies_where_agents_of_t3_code_work_is_refused() {
    let world = World::new(narrow(9), nothing()).await;
    let root = world.afk.root().display().to_string();
    world.afk.edit("afk.settings.toml", &[("\n[ci.test]", &format!("checkouts = \"{root}\"\n\n[ci.test]"))]);
    says(&world.doctor(), "reach", "FAIL", "lies where agents work");
}
