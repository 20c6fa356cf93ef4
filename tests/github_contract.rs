//! The fake of GitHub, asked by a plain client: that it refuses what GitHub refuses, and that everything it answers is
//! what GitHub's own description allows.

mod github_fake;

use std::time::Duration;

use github_fake::Fault;
use github_fake::contract::Contract;
use github_fake::{Fake, Permission, Pull, Resource, Role, TOKEN, Trouble};
use pretty_assertions::assert_eq;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

/// Asks with a token, and holds everything that was said to the description when it is over.
struct Client<'a> {
    fake: &'a Fake,
    token: &'static str,
    http: reqwest::Client,
}

impl<'a> Client<'a> {
    fn new(fake: &'a Fake, token: &'static str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent("tests")
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(5));
        Self { fake, token, http: http.build().unwrap() }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.fake.uri())).bearer_auth(self.token)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        read(self.request(method, path).json(&body).send().await.unwrap()).await
    }

    async fn graphql(&self, query: &str, variables: Value) -> Value {
        self.send(Method::POST, "/graphql", json!({ "query": query, "variables": variables })).await.1
    }
}

async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null))
}

#[track_caller]
fn is_as_described(fake: &Fake) {
    if let Some(contract) = Contract::open() {
        assert_eq!(contract.violations(&fake.log()), Vec::<String>::new());
    }
}

/// `acme/app` with issue 7, and people of every kind.
async fn populated() -> Fake {
    let fake = Fake::start().await;
    let repo = fake.repo("acme/app");
    let mut state = fake.state();
    state.token("token-of-eve", "eve");
    state.token("token-of-tess", "tess");
    state.grant(repo, "tess", Permission::Triage.role());
    state.grant(repo, "mae", Permission::Maintain.role());
    state.grant(repo, "ada", Permission::Admin.role());
    state.grant(repo, "cus", Role { name: "release-captain".to_owned(), permission: Permission::Write });
    state.user("github-actions[bot]");
    state.open(repo, 7, "ada", "A title", "A body");
    state.label(repo, 7, "ada", "ready-for-agent");
    drop(state);
    fake
}

#[tokio::test]
async fn everything_that_can_be_asked_is_answered_as_described() {
    let fake = populated().await;
    let afk = Client::new(&fake, TOKEN);
    {
        let mut state = fake.state();
        state.open(0, 8, "eve", "Another", "Blocked by #7");
        state.issue(0, 8).blocked_by.push((0, 7));
        state.issue(0, 8).assignees.push("tess".to_owned());
        state.edit_title(0, 8, "eve", "Another title");
        state.close(0, 8, "ada", "not_planned", None);
        state.reopen(0, 8, "ada");
        state.unlabel(0, 7, "ghost", "ready-for-agent");
        state.comment(0, 8, "tess", "Words.");
        let pull = Pull {
            head: "afk/1".to_owned(),
            head_sha: "c".repeat(40),
            base: "main".to_owned(),
            draft: false,
            merged: None,
            fork: None,
        };
        state.open_pull(0, 9, "afk", "A pull request", pull);
        for (name, status, conclusion) in [
            ("a", "completed", Some("success")),
            ("b", "completed", Some("stale")),
            ("c", "completed", Some("startup_failure")),
            ("d", "in_progress", None),
        ] {
            state.check_run(0, &"c".repeat(40), name, status, conclusion);
        }
        state.status(0, &"c".repeat(40), "deploy", "error");
    }
    let sha = "c".repeat(40);
    for path in [
        "/user",
        "/rate_limit",
        "/repos/acme/app",
        "/repos/acme/app/issues?labels=ready-for-agent,paused&state=all&per_page=100",
        "/repos/acme/app/issues?state=all&sort=updated&direction=asc&since=2020-01-01T00:00:00Z",
        "/repos/acme/app/issues/7",
        "/repos/acme/app/issues/8",
        "/repos/acme/app/issues/8/labels",
        "/repos/acme/app/issues/8/comments?per_page=1",
        "/repos/acme/app/issues/8/timeline",
        "/repos/acme/app/issues/7/events",
        "/repos/acme/app/issues/events",
        "/repos/acme/app/issues/8/dependencies/blocked_by",
        "/repos/acme/app/collaborators/ada/permission",
        "/repos/acme/app/labels?per_page=100",
        &format!("/repos/acme/app/actions/runs?head_sha={sha}"),
        &format!("/repos/acme/app/commits/{sha}/check-runs?per_page=2"),
        &format!("/repos/acme/app/commits/{sha}/status"),
    ] {
        let (status, answer) = afk.get(path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        assert!(!answer.is_null(), "{path}");
    }
    for (method, path, body, expected) in [
        (Method::POST, "/repos/acme/app/issues/7/labels", json!({ "labels": ["paused"] }), 200),
        (Method::DELETE, "/repos/acme/app/issues/7/labels/paused", Value::Null, 200),
        (
            Method::POST,
            "/repos/acme/app/labels",
            json!({ "name": "new", "color": "00ff00", "description": "New." }),
            201,
        ),
        (Method::POST, "/repos/acme/app/labels", json!({ "name": "NEW", "color": "00ff00" }), 422),
        (Method::POST, "/repos/acme/app/issues/7/comments", json!({ "body": "Hello." }), 201),
        (Method::PATCH, "/repos/acme/app/issues/7", json!({ "state": "closed", "state_reason": "completed" }), 200),
        (Method::PATCH, "/repos/acme/app/issues/7", json!({ "state": "open" }), 200),
    ] {
        let request = afk.request(method, path);
        let request = if body.is_null() { request } else { request.json(&body) };
        assert_eq!(request.send().await.unwrap().status().as_u16(), expected, "{path}");
    }
    let comment = fake.state().issue(0, 7).comments[0].id;
    let path = format!("/repos/acme/app/issues/comments/{comment}");
    assert_eq!(afk.send(Method::PATCH, &path, json!({ "body": "Edited." })).await.0, 200);
    is_as_described(&fake);
}

#[tokio::test]
async fn what_is_not_described_is_noticed() {
    let Some(contract) = Contract::open() else { return };
    let fake = populated().await;
    let afk = Client::new(&fake, TOKEN);
    afk.get("/repos/acme/app/nonsense").await;
    afk.get("/repos/acme/app/issues?colour=red&state=weird").await;
    afk.send(Method::PATCH, "/repos/acme/app/issues/7", json!({ "state": "bogus" })).await;
    afk.send(Method::PATCH, "/repos/acme/app/issues/7", json!({ "sate": "open" })).await;
    afk.send(Method::POST, "/repos/acme/app/issues/7/comments", json!({ "text": "Hello." })).await;
    let mut log = fake.log();
    // An answer that lacks what GitHub always sends.
    afk.get("/repos/acme/app/issues/7").await;
    let mut bad = fake.log().pop().unwrap();
    bad.answer.as_mut().unwrap().as_object_mut().unwrap().remove("user");
    log.push(bad);
    let found = contract.violations(&log).join("\n");
    for expected in [
        "nonsense: no operation",
        "no parameter colour",
        "state: ",
        "no member sate",
        "no member text",
        "\"body\"",
        "\"user\" is a required",
    ] {
        assert!(found.contains(expected), "{expected} in {found}");
    }
}

#[tokio::test]
async fn strangers_and_the_unentitled_are_refused() {
    let fake = populated().await;
    let (afk, eve, tess) =
        (Client::new(&fake, TOKEN), Client::new(&fake, "token-of-eve"), Client::new(&fake, "token-of-tess"));
    let (status, answer) = Client::new(&fake, "made-up").get("/user").await;
    assert_eq!((status, answer["message"].as_str()), (401, Some("Bad credentials")));

    let permission = "/repos/acme/app/collaborators/ada/permission";
    let (status, answer) = tess.get(permission).await;
    assert_eq!(status, 403, "{answer}");
    assert_eq!(answer["message"], "Must have push access to view collaborator permission.");
    let expected = [
        ("ada", "admin", "admin"),
        ("mae", "write", "maintain"),
        ("cus", "write", "release-captain"),
        ("tess", "read", "triage"),
        ("eve", "read", "read"),
        ("github-actions%5Bbot%5D", "none", "none"),
    ];
    for (login, permission, role) in expected {
        let (_, answer) = afk.get(&format!("/repos/acme/app/collaborators/{login}/permission")).await;
        assert_eq!((&answer["permission"], &answer["role_name"]), (&json!(permission), &json!(role)), "{login}");
    }
    assert_eq!(afk.get("/repos/acme/app/collaborators/nobody/permission").await.0, 404);

    // Whoever may not triage sets no labels: silently in an update of one's own issue, else with a refusal.
    fake.state().open(0, 8, "eve", "Mine", "");
    let (status, answer) =
        eve.send(Method::PATCH, "/repos/acme/app/issues/8", json!({ "labels": ["ready-for-agent"] })).await;
    assert_eq!((status, &answer["labels"]), (200, &json!([])));
    let labels = json!({ "labels": ["ready-for-agent"] });
    assert_eq!(eve.send(Method::POST, "/repos/acme/app/issues/8/labels", labels.clone()).await.0, 403);
    assert_eq!(tess.send(Method::POST, "/repos/acme/app/issues/8/labels", labels).await.0, 200);
    assert_eq!(eve.send(Method::PATCH, "/repos/acme/app/issues/7", json!({ "state": "closed" })).await.0, 403);

    // A private repository does not exist for others; nor do deleted issues, in a way of their own.
    fake.state().repos[0].private = true;
    assert_eq!(eve.get("/repos/acme/app").await.0, 404);
    let (_, answer) = afk.get("/repos/acme/app/collaborators/eve/permission").await;
    assert_eq!(answer["permission"], "none");
    fake.state().delete(0, 8);
    assert_eq!(afk.get("/repos/acme/app/issues/8").await.0, 410);
    assert_eq!(afk.get("/repos/acme/app/issues/99").await.0, 404);
    is_as_described(&fake);
}

#[tokio::test]
async fn nonsense_is_answered_with_what_is_wrong_with_it() {
    let fake = populated().await;
    let afk = Client::new(&fake, TOKEN);
    let comments = "/repos/acme/app/issues/7/comments";
    for (method, path, body) in [
        (Method::POST, comments, json!({ "body": " \n" })),
        (Method::POST, comments, json!({ "body": "x".repeat(65_537) })),
        (Method::POST, "/repos/acme/app/issues/7/labels", json!({ "labels": ["x".repeat(51)] })),
    ] {
        let (status, answer) = afk.send(method, path, body).await;
        assert_eq!(status, 422, "{answer}");
        assert!(answer["errors"][0]["resource"].is_string(), "{answer}");
    }
    assert_eq!(afk.send(Method::POST, comments, json!({ "body": "ü".repeat(65_536) })).await.0, 201);
    let request = afk.request(Method::POST, comments).body("{");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        afk.request(Method::DELETE, "/repos/acme/app/issues/7/labels/paused").send().await.unwrap().status(),
        404
    );
    is_as_described(&fake);
}

#[tokio::test]
async fn lists_come_in_pages_with_pull_requests_among_them() {
    let fake = populated().await;
    {
        let mut state = fake.state();
        for number in 100..250 {
            state.open(0, number, "ada", "More", "");
            state.label(0, number, "ada", "paused");
        }
        let pull = Pull {
            head: "x".to_owned(),
            head_sha: "d".repeat(40),
            base: "main".to_owned(),
            draft: true,
            merged: None,
            fork: Some("eve".to_owned()),
        };
        state.open_pull(0, 250, "eve", "A pull request", pull);
        state.label(0, 250, "ada", "paused");
    }
    let afk = Client::new(&fake, TOKEN);
    let mut next = Some("/repos/acme/app/issues?labels=PAUSED&per_page=1000".to_owned());
    let (mut seen, mut pulls, mut pages) = (0, 0, 0);
    while let Some(path) = next {
        let response = afk.request(Method::GET, &path).send().await.unwrap();
        let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned()).unwrap_or_default();
        let found: Vec<Value> = response.json().await.unwrap();
        assert!(found.len() <= 100);
        seen += found.len();
        pulls += found.iter().filter(|issue| issue.get("pull_request").is_some()).count();
        pages += 1;
        next = link.split(", ").find(|link| link.contains("rel=\"next\"")).map(|link| {
            let (url, _) = link.trim_start_matches('<').split_once('>').unwrap();
            url.strip_prefix(&fake.uri()).unwrap().to_owned()
        });
        assert!(next.as_ref().is_none_or(|next| next.starts_with("/repositories/")), "{link}");
    }
    assert_eq!((seen, pulls, pages), (151, 1, 2));
    is_as_described(&fake);
}

#[tokio::test]
async fn what_has_not_changed_costs_nothing() {
    let fake = populated().await;
    let afk = Client::new(&fake, TOKEN);
    let path = "/repos/acme/app/issues/7";
    let used = |response: &Response| response.headers()["x-ratelimit-used"].to_str().unwrap().to_owned();
    let first = afk.request(Method::GET, path).send().await.unwrap();
    let etag = first.headers()["etag"].clone();
    let again = afk.request(Method::GET, path).header("if-none-match", &etag).send().await.unwrap();
    assert_eq!((again.status().as_u16(), used(&again)), (304, used(&first)));
    fake.state().comment(0, 7, "ada", "Changed.");
    let changed = afk.request(Method::GET, path).header("if-none-match", &etag).send().await.unwrap();
    assert_eq!(changed.status(), 200);
    assert_ne!(used(&changed), used(&first));
    let date = changed.headers()["date"].to_str().unwrap();
    chrono::DateTime::parse_from_rfc2822(date).unwrap();
    is_as_described(&fake);
}

#[tokio::test]
async fn limits_are_kept_for_each_token() {
    let fake = populated().await;
    let (afk, eve) = (Client::new(&fake, TOKEN), Client::new(&fake, "token-of-eve"));
    let now = fake.state().now();
    fake.state().limits.exhaust(TOKEN, Resource::Rest, now);
    let response = afk.request(Method::GET, "/user").send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-ratelimit-remaining"]),
        (403, &"0".parse().unwrap())
    );
    assert!(response.headers().contains_key("x-ratelimit-reset") && !response.headers().contains_key("retry-after"));
    assert_eq!((eve.get("/user").await.0, afk.get("/rate_limit").await.0), (200, 200));
    // GraphQL is counted by itself, and says it with success.
    assert_eq!(afk.graphql("{ viewer { login } }", json!({})).await["data"]["viewer"]["login"], "afk");
    fake.state().limits.exhaust(TOKEN, Resource::Graphql, now);
    let answer = afk.graphql("{ viewer { login } }", json!({})).await;
    assert_eq!(answer["errors"][0]["type"], "RATE_LIMITED");
    fake.state().ahead = chrono::TimeDelta::hours(2);
    assert_eq!(afk.get("/user").await.0, 200);

    // Too many comments in a minute.
    let mut refused = None;
    for number in 0..100 {
        let body = json!({ "body": number.to_string() });
        let response = eve.request(Method::POST, "/repos/acme/app/issues/7/comments").json(&body).send().await.unwrap();
        if response.status() == 403 {
            refused = Some((number, response.headers()["retry-after"].to_str().unwrap().to_owned()));
            break;
        }
    }
    assert_eq!(refused, Some((80, "60".to_owned())));
    is_as_described(&fake);
}

#[tokio::test]
async fn a_renamed_repository_leads_to_where_it_is_now() {
    let fake = populated().await;
    fake.state().rename("acme/app", "acme/application");
    let afk = Client::new(&fake, TOKEN);
    let response = afk.request(Method::GET, "/repos/acme/app/issues/7?per_page=5").send().await.unwrap();
    assert_eq!(response.status(), 301);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let (status, answer) = afk.get(location.strip_prefix(&fake.uri()).unwrap()).await;
    assert_eq!((status, answer["number"].as_u64()), (200, Some(7)));
    let body = json!({ "body": "Hello." });
    assert_eq!(afk.send(Method::POST, "/repos/acme/app/issues/7/comments", body).await.0, 307);
    let query = "{ repository(owner: \"acme\", name: \"app\") { nameWithOwner } }";
    assert_eq!(afk.graphql(query, json!({})).await["data"]["repository"]["nameWithOwner"], "acme/application");
}

#[tokio::test]
async fn what_goes_wrong_takes_effect_or_does_not() {
    let fake = populated().await;
    let afk = Client::new(&fake, TOKEN);
    let path = "/repos/acme/app/issues/7/comments";
    let comments = || fake.state().issue(0, 7).comments.len();
    let body = json!({ "body": "Hello." });
    for (fault, status, written) in [
        (Fault::LostBefore, None, 0),
        (Fault::LostAfter, None, 1),
        (Fault::BadGateway, Some(502), 0),
        (Fault::BadGatewayAfter, Some(502), 1),
        (Fault::Duplicated, Some(201), 2),
        (Fault::Truncated, Some(201), 1),
        (Fault::NotFound, Some(404), 0),
        (Fault::SecondaryLimit(7), Some(403), 0),
    ] {
        let before = comments();
        fake.trouble(Trouble::next(fault.clone(), "POST", "/comments"));
        let answer = afk.request(Method::POST, path).json(&body).send().await;
        assert_eq!(answer.as_ref().ok().map(|answer| answer.status().as_u16()), status, "{fault:?}");
        assert_eq!(comments() - before, written, "{fault:?}");
        if fault == Fault::Truncated {
            assert!(answer.unwrap().json::<Value>().await.is_err());
        } else if fault == Fault::BadGateway {
            assert_eq!(answer.unwrap().headers()["content-type"], "text/html");
        }
    }
    fake.trouble(Trouble::at(Fault::NotFound, 2));
    assert_eq!((afk.get("/user").await.0, afk.get("/user").await.0, afk.get("/user").await.0), (200, 404, 200));
}

#[tokio::test]
async fn graphql_answers_what_is_asked_for_and_nothing_else() {
    let fake = populated().await;
    {
        let mut state = fake.state();
        state.label(0, 7, "github-actions[bot]", "paused");
        state.edit_body(0, 7, "eve", "Another body");
        state.edit_title(0, 7, "eve", "Another title");
        state.unlabel(0, 7, "ghost", "paused");
    }
    let afk = Client::new(&fake, TOKEN);
    let query = "query Q($owner: String!, $n: Int!, $with: Boolean!) {
        here: repository(owner: $owner, name: \"app\") { databaseId issue(number: $n) { ...Fields } }
        rateLimit { cost remaining }
      }
      fragment Fields on Issue {
        __typename title state labels(first: 10) { nodes { name } }
        body @include(if: $with)
        timelineItems(first: 2, itemTypes: [LABELED_EVENT, UNLABELED_EVENT]) {
          nodes { ... on LabeledEvent { id label { name } actor { login __typename } } ... on UnlabeledEvent { actor { login } } }
          pageInfo { hasNextPage endCursor }
        }
        userContentEdits(first: 10) { nodes { editor { login } } }
      }";
    let answer = afk.graphql(query, json!({ "owner": "acme", "n": 7, "with": false })).await;
    let events = fake.state().issue(0, 7).events.clone();
    let id = |place: usize| format!("LE_kwDO{:08}", events[place].id);
    let repository = fake.state().repos[0].id;
    let cursor = &answer["data"]["here"]["issue"]["timelineItems"]["pageInfo"]["endCursor"];
    assert_eq!(
        answer,
        json!({ "data": {
            "here": { "databaseId": repository, "issue": {
                "__typename": "Issue", "title": "Another title", "state": "OPEN",
                "labels": { "nodes": [{ "name": "ready-for-agent" }] },
                "timelineItems": {
                    "nodes": [
                        { "id": id(0), "label": { "name": "ready-for-agent" }, "actor": { "login": "ada", "__typename": "User" } },
                        // A bot has another name here than in REST.
                        { "id": id(1), "label": { "name": "paused" }, "actor": { "login": "github-actions", "__typename": "Bot" } },
                    ],
                    "pageInfo": { "hasNextPage": true, "endCursor": cursor },
                },
                "userContentEdits": { "nodes": [{ "editor": { "login": "eve" } }, { "editor": { "login": "ada" } }] },
            } },
            "rateLimit": { "cost": 1, "remaining": 4999 },
        } })
    );
    let query = "query($after: String!) { repository(owner: \"acme\", name: \"app\") { issue(number: 7) {
        timelineItems(first: 2, after: $after, itemTypes: [LABELED_EVENT, UNLABELED_EVENT]) {
          totalCount filteredCount nodes { __typename ... on UnlabeledEvent { actor { login } } } pageInfo { hasNextPage } } } } }";
    let answer = afk.graphql(query, json!({ "after": cursor })).await;
    assert_eq!(
        answer["data"]["repository"]["issue"]["timelineItems"],
        json!({ "totalCount": 4, "filteredCount": 3, "nodes": [{ "__typename": "UnlabeledEvent", "actor": null }], "pageInfo": { "hasNextPage": false } })
    );
}

#[tokio::test]
async fn graphql_refuses_what_github_refuses() {
    let fake = populated().await;
    let afk = Client::new(&fake, TOKEN);
    let in_repo = |inner: &str| format!("{{ repository(owner: \"acme\", name: \"app\") {{ {inner} }} }}");
    for (query, expected) in [
        (in_repo("nonsense"), "Field 'nonsense' doesn't exist on type 'Repository'"),
        (in_repo("issues { totalCount }"), "You must provide a `first` or `last` value"),
        (in_repo("issues(first: 101) { totalCount }"), "exceeds the `first` limit of 100 records"),
        (in_repo("issues(first: 1, colour: 2) { totalCount }"), "doesn't accept argument 'colour'"),
        (in_repo("issues(first: 1, states: [WEIRD]) { totalCount }"), "has an invalid value"),
        (in_repo("issue { title }"), "missing required arguments: number"),
        (in_repo("issue(number: 7)"), "selections"),
        (in_repo("name { x }"), "selections"),
        ("query($n: Int!) { viewer { login } }".to_owned(), "Variable $n"),
        ("{ viewer { ...F } }".to_owned(), "used, but not defined"),
        ("{ viewer { ".to_owned(), "Parse error"),
    ] {
        let answer = afk.graphql(&query, json!({ "n": 1 })).await;
        let errors = answer["errors"].to_string();
        assert!(errors.contains(expected) && answer.get("data").is_none(), "{query}: {answer}");
    }
    let answer = afk
        .graphql("query($n: Int!) { repository(owner: \"a\", name: \"b\") { issue(number: $n) { title } } }", json!({}))
        .await;
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("invalid value"), "{answer}");

    // What is not there is null beside the rest, with an error that says where.
    let query = "{ one: repository(owner: \"acme\", name: \"app\") { issue(number: 8) { title } name }
        two: repository(owner: \"acme\", name: \"none\") { name } }";
    let answer = afk.graphql(query, json!({})).await;
    assert_eq!(answer["data"], json!({ "one": { "issue": null, "name": "app" }, "two": null }));
    let errors: Vec<_> =
        answer["errors"].as_array().unwrap().iter().map(|error| (&error["type"], &error["path"])).collect();
    assert_eq!(errors, [(&json!("NOT_FOUND"), &json!(["one", "issue"])), (&json!("NOT_FOUND"), &json!(["two"]))]);

    // A server that knows no dependencies.
    let query = in_repo("issue(number: 7) { blockedBy(first: 1) { totalCount } }");
    assert!(afk.graphql(&query, json!({})).await.get("errors").is_none());
    fake.state().old_server = true;
    assert_eq!(afk.graphql(&query, json!({})).await["errors"][0]["extensions"]["code"], "undefinedField");
}

#[tokio::test]
async fn graphql_costs_what_its_connections_take() {
    let fake = populated().await;
    let afk = Client::new(&fake, TOKEN);
    // 100 issues with three connections each: 301 requests, 3 points; with 20 in each, 6,100 nodes.
    let query =
        "{ rateLimit { cost nodeCount } repository(owner: \"acme\", name: \"app\") { issues(first: 100) { nodes {
        labels(first: 20) { totalCount } comments(first: 20) { totalCount } assignees(last: 20) { totalCount } } } } }";
    let answer = afk.graphql(query, json!({})).await;
    assert_eq!(answer["data"]["rateLimit"], json!({ "cost": 3, "nodeCount": 6100 }));
    let query = "{ repository(owner: \"acme\", name: \"app\") { issues(first: 100) { nodes { comments(first: 100) { nodes {
        author { login } } } labels(first: 100) { nodes { name } } timelineItems(first: 100) { nodes { __typename } } blockedBy(first: 100) { nodes { labels(first: 100) { totalCount } } } } } } }";
    let answer = afk.graphql(query, json!({})).await;
    assert_eq!(answer["errors"][0]["type"], "MAX_NODE_LIMIT_EXCEEDED");
}
