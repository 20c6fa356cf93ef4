//! The GitHub tracker against answers that are written down here, one by one.

use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use afk::adapters::git::{Forge, GitMirrors};
use afk::adapters::github::credential::TokenCredential;
use afk::adapters::github::{Github, GithubTracker, Server};
use afk::adapters::http::Http;
use afk::adapters::http::api::Manners;
use afk::policy::facts::IssueStatus;
use afk::policy::{CloseReason, RepoPattern};
use afk::ports::{Blocker, IssueRef, PortErrorKind, Tracker};
use afk::settings::SecretSource;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tempfile::TempDir;
use wiremock::matchers::{body_partial_json, body_string_contains, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const NOW: &str = "Sun, 22 Nov 2026 12:00:00 GMT";

struct Hub {
    server: MockServer,
    folder: TempDir,
}

impl Hub {
    /// A server that knows who afk is, and nothing else.
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("token"), "secret").unwrap();
        let hub = Self { server: MockServer::start().await, folder };
        hub.answers("Viewer", json!({ "viewer": { "login": "afk" } })).await;
        hub
    }

    /// A tracker for one tick.
    fn tick(&self) -> GithubTracker {
        let server = Server::new(&self.server.uri()).unwrap();
        let credential = Rc::new(TokenCredential::new(SecretSource::File(self.folder.path().join("token"))));
        let http = Rc::new(Http::new(Duration::from_secs(5)));
        let manners =
            Manners { write_interval: Duration::ZERO, backoff: Duration::from_millis(1), ..Manners::default() };
        GithubTracker::new(Github::new(&server, credential, http, manners), server)
            .remembering(self.folder.path(), true)
    }

    /// Whether anything is remembered of the repository.
    fn remembers(&self, repo: &str) -> bool {
        let file = format!("github/lists/{}.jsonl", repo.replace('/', "+"));
        self.folder.path().join(file).exists()
    }

    /// A probe of one repository is answered by what stands there then.
    async fn probes(&self) -> Arc<Mutex<Value>> {
        let probe = Arc::new(Mutex::new(Value::Null));
        let shown = probe.clone();
        let answer = move |_: &Request| {
            let data = json!({ "data": { "r0": *shown.lock().unwrap() } });
            ResponseTemplate::new(200).insert_header("date", NOW).set_body_json(data)
        };
        Mock::given(body_string_contains("query Probe(")).respond_with(answer).mount(&self.server).await;
        probe
    }

    /// From now on, an operation of GraphQL is answered so.
    async fn answers(&self, operation: &str, data: Value) {
        self.replies(operation, json!({ "data": data })).await;
    }

    async fn replies(&self, operation: &str, body: Value) {
        let answer = ResponseTemplate::new(200).insert_header("date", NOW).set_body_json(body);
        Mock::given(method("POST"))
            .and(path("/graphql"))
            .and(body_string_contains(format!("query {operation}(")))
            .respond_with(answer.clone())
            .with_priority(3)
            .mount(&self.server)
            .await;
        Mock::given(method("POST"))
            .and(path("/graphql"))
            .and(body_string_contains(format!("query {operation} ")))
            .respond_with(answer)
            .with_priority(3)
            .mount(&self.server)
            .await;
    }

    /// The one issue that there is.
    async fn has(&self, node: Value) {
        self.answers("OneIssue", json!({ "repository": repository(json!({ "issue": node })) })).await;
    }

    async fn rest(&self, verb: &str, address: &str, status: u16, body: Value) {
        let answer = ResponseTemplate::new(status).insert_header("date", NOW).set_body_json(body);
        Mock::given(method(verb)).and(path(address)).respond_with(answer).mount(&self.server).await;
    }

    /// What was asked of GraphQL, by the name of the operation, and of REST, by method and path.
    async fn asked(&self) -> Vec<String> {
        let name = |request: &Request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            match body["query"].as_str() {
                Some(query) => {
                    let query = query.trim_start().strip_prefix("query ").unwrap();
                    query.split(|letter: char| !letter.is_alphanumeric()).next().unwrap().to_owned()
                }
                None => format!("{} {}", request.method, request.url.path()),
            }
        };
        self.server.received_requests().await.unwrap().iter().map(name).collect()
    }
}

fn app(number: u64) -> IssueRef {
    IssueRef { repo: "acme/app".to_owned(), number }
}

fn repository(more: Value) -> Value {
    let mut all = json!({ "databaseId": 7, "nameWithOwner": "Acme/App" });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

fn person(login: &str) -> Value {
    json!({ "__typename": "User", "login": login })
}

fn all_of(nodes: Value) -> Value {
    json!({ "pageInfo": { "hasNextPage": false, "endCursor": null }, "nodes": nodes })
}

fn issue(number: u64, more: Value) -> Value {
    let mut issue = json!({
        "number": number, "title": "t", "body": "b", "url": format!("https://github.com/Acme/App/issues/{number}"),
        "state": "OPEN", "createdAt": "2026-11-20T09:00:00Z", "updatedAt": "2026-11-22T10:00:00Z", "lastEditedAt": null,
        "author": person("leo"), "repository": { "databaseId": 7 },
        "labels": all_of(json!([{ "name": "ready-for-agent" }])), "assignees": all_of(json!([])),
        "timelineItems": all_of(json!([labeled("LA_1", "ada")])), "userContentEdits": all_of(json!([])),
        "comments": all_of(json!([])), "blockedBy": { "totalCount": 0, "nodes": [] },
    });
    issue.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    issue
}

fn labeled(id: &str, by: &str) -> Value {
    event("LabeledEvent", json!({ "id": id, "actor": person(by), "label": { "name": "ready-for-agent" } }))
}

fn event(kind: &str, more: Value) -> Value {
    let mut event = json!({ "__typename": kind, "createdAt": "2026-11-22T09:00:00Z", "actor": person("ada") });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

fn not_found(path: Value) -> Value {
    json!({ "data": { "repository": null }, "errors": [{ "type": "NOT_FOUND", "path": path, "message": "Could not resolve" }] })
}

fn probed(count: u64, updated_at: &str) -> Value {
    let nodes = if count == 0 { json!([]) } else { json!([{ "number": 1, "updatedAt": updated_at }]) };
    repository(json!({ "issues": { "totalCount": count, "nodes": nodes } }))
}

fn page(nodes: Value) -> Value {
    json!({ "repository": repository(json!({ "issues": all_of(nodes) })) })
}

#[tokio::test]
async fn an_arming_is_named_by_host_repository_issue_and_event() {
    let hub = Hub::new().await;
    let bot = json!({ "__typename": "Bot", "login": "helper" });
    let gone = json!({ "id": "LE_2", "actor": null, "label": { "name": "ready-for-agent" } });
    let by_bot = json!({ "id": "LE_3", "actor": bot, "label": { "name": "Ready-For-Agent" } });
    let events = json!([labeled("LE_1", "ada"), event("UnlabeledEvent", gone), event("LabeledEvent", by_bot)]);
    hub.has(issue(1, json!({ "timelineItems": all_of(events) }))).await;

    let events = hub.tick().label_events(&IssueRef { repo: "Acme/App".to_owned(), number: 1 }).await.unwrap();

    let host = hub.server.address().to_string();
    assert_eq!(
        events.iter().map(|event| event.arming.clone()).collect::<Vec<_>>(),
        [format!("{host}/7/1/LE_1"), format!("{host}/7/1/LE_2"), format!("{host}/7/1/LE_3")]
    );
    let by: Vec<_> = events.iter().map(|event| (event.added, event.by.as_deref())).collect();
    assert_eq!(by, [(true, Some("ada")), (false, None), (true, Some("helper[bot]"))]);
    assert!(events[2].is_of("ready-for-agent"));
}

#[tokio::test]
async fn a_deleted_account_a_ghost_and_a_mannequin_are_nobody() {
    for author in [json!(null), person("ghost"), json!({ "__typename": "Mannequin", "login": "ada" })] {
        let hub = Hub::new().await;
        hub.has(issue(1, json!({ "author": author }))).await;
        assert_eq!(hub.tick().issue(&app(1)).await.unwrap().unwrap().author, None);
    }
}

#[tokio::test]
async fn only_an_issue_that_is_missing_itself_is_gone() {
    let hub = Hub::new().await;
    hub.replies("OneIssue", not_found(json!(["repository", "issue"]))).await;
    assert_eq!(hub.tick().issue(&app(1)).await, Ok(None));
    assert_eq!(hub.tick().label_events(&app(1)).await.unwrap_err().kind, PortErrorKind::NotFound);

    let hub = Hub::new().await;
    hub.replies("OneIssue", not_found(json!(["repository"]))).await;
    let error = hub.tick().issue(&app(1)).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Refused);
    assert!(error.message.ends_with("there is no repository acme/app, or afk's account may not read it"), "{error}");

    // Answered from where it was moved to.
    let hub = Hub::new().await;
    hub.has(issue(1, json!({ "repository": { "databaseId": 8 } }))).await;
    assert_eq!(hub.tick().issue(&app(1)).await, Ok(None));
}

#[tokio::test]
async fn a_renamed_repository_is_an_error_that_names_the_new_name() {
    let hub = Hub::new().await;
    let renamed = json!({ "databaseId": 7, "nameWithOwner": "acme/next", "issue": issue(1, json!({})) });
    hub.answers("OneIssue", json!({ "repository": renamed })).await;
    let error = hub.tick().issue(&app(1)).await.unwrap_err();
    assert_eq!(
        error.message,
        "github: acme/app is called acme/next now; write `acme/next` in the policy, for its rules are by name"
    );
}

#[tokio::test]
async fn a_missing_part_is_never_an_empty_one() {
    for part in ["labels", "assignees", "timelineItems", "comments"] {
        let hub = Hub::new().await;
        hub.has(issue(1, json!({ part: null }))).await;
        assert_eq!(hub.tick().issue(&app(1)).await.unwrap_err().kind, PortErrorKind::Invalid, "{part}");
    }
    let hub = Hub::new().await;
    let edited = json!({ "userContentEdits": null, "lastEditedAt": "2026-11-21T09:00:00Z" });
    hub.has(issue(1, edited)).await;
    assert_eq!(hub.tick().edits(&app(1)).await.unwrap_err().kind, PortErrorKind::Invalid);

    let hub = Hub::new().await;
    let repository = json!({ "repository": repository(json!({ "issue": issue(1, json!({})) })) });
    let error = json!({ "message": "Something went wrong", "path": ["repository", "issue", "timelineItems"] });
    hub.replies("OneIssue", json!({ "data": repository, "errors": [error] })).await;
    assert_eq!(hub.tick().issue(&app(1)).await.unwrap_err().kind, PortErrorKind::Unreachable);
}

#[tokio::test]
async fn every_page_of_every_part_is_read() {
    let hub = Hub::new().await;
    let first = |nodes: Value| json!({ "pageInfo": { "hasNextPage": true, "endCursor": "A" }, "nodes": nodes });
    let next = json!({
        "labels": all_of(json!([{ "name": "second" }])), "assignees": all_of(json!([])),
        "timelineItems": all_of(json!([labeled("LE_2", "mara")])), "comments": all_of(json!([])),
    });
    hub.has(issue(1, json!({ "labels": first(json!([{ "name": "first" }])), "timelineItems": first(json!([labeled("LE_1", "ada")])) }))).await;
    let body = json!({ "data": { "repository": repository(json!({ "issue": issue(1, next) })) } });
    Mock::given(body_partial_json(
        json!({ "variables": { "labelsAfter": "A", "eventsAfter": "A", "commentsAfter": null } }),
    ))
    .respond_with(ResponseTemplate::new(200).insert_header("date", NOW).set_body_json(body))
    .with_priority(1)
    .mount(&hub.server)
    .await;
    let tick = hub.tick();

    assert_eq!(tick.issue(&app(1)).await.unwrap().unwrap().labels, ["first", "second"]);
    assert_eq!(tick.label_events(&app(1)).await.unwrap().len(), 2);
    assert_eq!(hub.asked().await, ["Viewer", "OneIssue", "OneIssue"]);
}

#[tokio::test]
async fn edits_are_those_of_body_and_title_after_it_was_written() {
    let hub = Hub::new().await;
    let edits = json!([
        { "editedAt": "2026-11-22T11:00:00Z", "editor": null },
        { "editedAt": "2026-11-21T09:00:00Z", "editor": person("leo") },
        { "editedAt": "2026-11-20T09:00:00Z", "editor": person("leo") },
    ]);
    let renamed = json!([event("RenamedTitleEvent", json!({})), labeled("LE_1", "ada")]);
    let more = json!({ "userContentEdits": all_of(edits), "timelineItems": all_of(renamed) });
    hub.has(issue(1, more)).await;

    let edits = hub.tick().edits(&app(1)).await.unwrap();

    let by: Vec<_> = edits.iter().map(|edit| (edit.at.to_rfc3339(), edit.by.as_deref())).collect();
    assert_eq!(
        by,
        [
            ("2026-11-21T09:00:00+00:00".to_owned(), Some("leo")),
            ("2026-11-22T09:00:00+00:00".to_owned(), Some("ada")),
            ("2026-11-22T11:00:00+00:00".to_owned(), None)
        ]
    );
}

#[tokio::test]
async fn an_edit_that_is_not_listed_is_nobody_s() {
    let listed = json!([{ "editedAt": "2026-11-21T09:00:00Z", "editor": person("leo") }]);
    for (listed, last, expected) in [
        (listed.clone(), "2026-11-21T09:00:00Z", vec![Some("leo")]),
        (listed, "2026-11-22T09:00:00Z", vec![Some("leo"), None]),
        (json!([]), "2026-11-22T09:00:00Z", vec![None]),
    ] {
        let hub = Hub::new().await;
        hub.has(issue(1, json!({ "userContentEdits": all_of(listed), "lastEditedAt": last }))).await;
        let edits = hub.tick().edits(&app(1)).await.unwrap();
        assert_eq!(edits.iter().map(|edit| edit.by.as_deref()).collect::<Vec<_>>(), expected, "{last}");
    }
}

#[tokio::test]
async fn a_commit_a_merge_and_afk_close_by_push_and_everybody_else_in_person() {
    let closed = |by: &str, closer: Value| event("ClosedEvent", json!({ "actor": person(by), "closer": closer }));
    for (closed, status) in [
        (closed("ada", json!({ "__typename": "Commit" })), IssueStatus::ClosedByPush),
        (closed("ada", json!({ "__typename": "PullRequest" })), IssueStatus::ClosedByPush),
        (closed("AFK", json!(null)), IssueStatus::ClosedByPush),
        (closed("ada", json!(null)), IssueStatus::Closed),
        (closed("ada", json!({ "__typename": "ProjectV2" })), IssueStatus::Closed),
    ] {
        let hub = Hub::new().await;
        hub.has(issue(1, json!({ "state": "CLOSED", "timelineItems": all_of(json!([closed])) }))).await;
        assert_eq!(hub.tick().issue(&app(1)).await.unwrap().unwrap().status, status, "{closed}");
    }
}

#[tokio::test]
async fn blockers_are_dependencies_and_what_the_body_says_and_what_cannot_be_read_blocks() {
    let hub = Hub::new().await;
    let dependency = |number: u64, state: &str, repo: &str| json!({ "number": number, "state": state, "repository": { "nameWithOwner": repo } });
    let nodes = json!([dependency(2, "CLOSED", "Acme/App"), dependency(3, "OPEN", "other/lib"), null]);
    let host = hub.server.address().to_string();
    let body = format!(
        "Blocked by #2, #4, secret/repo#5 and http://{host}/acme/app/issues/6.\n\nBlocked by https://elsewhere.example/a/b/issues/1"
    );
    hub.has(issue(1, json!({ "body": body, "blockedBy": { "totalCount": 4, "nodes": nodes } }))).await;
    let closed = |closed: bool| json!({ "issueOrPullRequest": { "closed": closed } });
    let data = json!({ "r0": closed(true), "r1": closed(false), "r2": null });
    let error = json!({ "type": "NOT_FOUND", "path": ["r2"], "message": "Could not resolve" });
    hub.replies("Blockers", json!({ "data": data, "errors": [error] })).await;
    let tick = hub.tick();

    let blockers = tick.blockers(&app(1)).await.unwrap();

    let seen = |blocker: Blocker| (blocker.reference, blocker.open, blocker.evidence);
    let expected = [
        ("#2", false, "dependency"),
        ("other/lib#3", true, "dependency"),
        ("an issue that afk may not read", true, "dependency"),
        ("#4", false, "body, line 1"),
        ("secret/repo#5", true, "body, line 1"),
        ("#6", true, "body, line 1"),
        ("https://elsewhere.example/a/b/issues/1", true, "body, line 3"),
    ];
    let expected = expected.map(|(reference, open, evidence)| (reference.to_owned(), open, evidence.to_owned()));
    assert_eq!(blockers.into_iter().map(seen).collect::<Vec<_>>(), expected);
    tick.blockers(&app(1)).await.unwrap();
    assert_eq!(hub.asked().await, ["Viewer", "OneIssue", "Blockers"]);
}

#[tokio::test]
async fn blockers_that_were_too_many_for_one_question_are_asked_about_in_halves() {
    let bad_gateway = ResponseTemplate::new(502).set_body_string("<html>");
    let limited =
        json!({ "data": null, "errors": [{ "type": "RESOURCE_LIMITS_EXCEEDED", "message": "Resource limits" }] });
    let limited = ResponseTemplate::new(200).insert_header("date", NOW).set_body_json(limited);
    for too_much in [bad_gateway, limited] {
        let hub = Hub::new().await;
        hub.has(issue(1, json!({ "body": "Blocked by #2, #3 and #4" }))).await;
        Mock::given(body_string_contains("query Blockers")).respond_with(too_much).mount(&hub.server).await;
        for (number, closed) in [(2, true), (3, false), (4, true)] {
            let data = json!({ "data": { "r0": { "issueOrPullRequest": { "closed": closed } } } });
            let answer = ResponseTemplate::new(200).insert_header("date", NOW).set_body_json(data);
            let alone = json!({ "variables": { "number0": number } });
            Mock::given(body_string_contains("query Blockers($number0: Int!, $owner0: String!, $name0: String!)"))
                .and(body_partial_json(alone))
                .respond_with(answer)
                .with_priority(1)
                .mount(&hub.server)
                .await;
        }

        let blockers = hub.tick().blockers(&app(1)).await.unwrap();

        let open: Vec<_> = blockers.iter().map(|blocker| (blocker.reference.as_str(), blocker.open)).collect();
        assert_eq!(open, [("#2", false), ("#3", true), ("#4", false)]);
        assert_eq!(hub.asked().await[2..], ["Blockers"; 5]);
    }
}

#[tokio::test]
async fn a_blocker_that_is_too_much_by_itself_is_an_error_and_not_asked_for_ever() {
    let hub = Hub::new().await;
    hub.has(issue(1, json!({ "body": "Blocked by #2 and #3" }))).await;
    let bad_gateway = ResponseTemplate::new(502).set_body_string("<html>");
    Mock::given(body_string_contains("query Blockers")).respond_with(bad_gateway).mount(&hub.server).await;
    assert_eq!(hub.tick().blockers(&app(1)).await.unwrap_err().kind, PortErrorKind::Unreachable);
}

#[tokio::test]
async fn a_server_without_dependencies_is_asked_without_them() {
    let hub = Hub::new().await;
    let mut node = issue(1, json!({ "body": "Blocked by: nothing" }));
    node.as_object_mut().unwrap().remove("blockedBy");
    hub.has(node).await;
    let extensions = json!({ "code": "undefinedField", "typeName": "Issue", "fieldName": "blockedBy" });
    let error = json!({ "path": ["fragment Dependencies", "blockedBy"], "extensions": extensions, "message": "Field 'blockedBy' doesn't exist on type 'Issue'" });
    let refusal = ResponseTemplate::new(200).insert_header("date", NOW).set_body_json(json!({ "errors": [error] }));
    Mock::given(body_string_contains("blockedBy")).respond_with(refusal).with_priority(1).mount(&hub.server).await;
    let tick = hub.tick();

    assert_eq!(tick.blockers(&app(1)).await, Ok(Vec::new()));
    tick.issue(&app(1)).await.unwrap();

    assert_eq!(hub.asked().await, ["Viewer", "OneIssue", "OneIssue", "OneIssue"]);
}

#[tokio::test]
async fn a_list_that_did_not_change_is_served_from_memory_and_never_believed_for_long() {
    let hub = Hub::new().await;
    let repos = ["acme/a", "acme/b", "acme/c", "acme/d"];
    let patterns: Vec<RepoPattern> = repos.iter().map(|repo| RepoPattern::parse(repo).unwrap()).collect();
    let named = |index: usize, mut repo: Value| {
        repo["nameWithOwner"] = json!(repos[index]);
        repo
    };
    let old = "2026-11-22T10:00:00Z";
    let probe = |index: usize| named(index, probed(if index == 3 { 0 } else { 1 }, old));
    hub.answers("Probe", json!({ "r0": probe(0), "r1": probe(1), "r2": probe(2), "r3": probe(3) })).await;
    for (index, repo) in repos.iter().enumerate() {
        let data = page(json!([issue(1, json!({ "comments": all_of(json!([])) }))]));
        let data = json!({ "repository": named(index, data["repository"].clone()) });
        let (_, name) = repo.split_once('/').unwrap();
        let answer = ResponseTemplate::new(200).insert_header("date", NOW).set_body_json(json!({ "data": data }));
        Mock::given(body_string_contains("query LabelledIssues"))
            .and(body_partial_json(json!({ "variables": { "name": name } })))
            .respond_with(answer)
            .mount(&hub.server)
            .await;
    }
    let read_all = async |tick: &GithubTracker| {
        let mut remembered = Vec::new();
        for repo in tick.repos(&patterns).await.unwrap().names {
            let listing = tick.labelled(&repo, "ready-for-agent", true).await.unwrap();
            remembered.extend(listing.issues.iter().map(|issue| issue.remembered));
        }
        remembered
    };

    let first = hub.tick();
    assert_eq!(read_all(&first).await, [false, false, false]);
    let events = first.label_events(&IssueRef { repo: "acme/a".to_owned(), number: 1 }).await.unwrap();
    drop(first);
    let second = hub.tick();
    assert_eq!(read_all(&second).await, [false, false, true], "two are read all the same");
    assert_eq!(
        second.label_events(&IssueRef { repo: "acme/c".to_owned(), number: 1 }).await.unwrap()[0].by,
        events[0].by
    );
    drop(second);

    let asked = hub.asked().await;
    assert_eq!(asked[..5], ["Viewer", "Probe", "LabelledIssues", "LabelledIssues", "LabelledIssues"]);
    assert_eq!(asked[5..], ["Viewer", "Probe", "LabelledIssues", "LabelledIssues"]);
}

#[tokio::test]
async fn a_list_that_cannot_be_read_does_not_stand_in_the_way_of_the_others() {
    let hub = Hub::new().await;
    let repos = ["acme/a", "acme/b", "acme/c"];
    let patterns: Vec<RepoPattern> = repos.iter().map(|repo| RepoPattern::parse(repo).unwrap()).collect();
    let named = |index: usize, mut repo: Value| {
        repo["nameWithOwner"] = json!(repos[index]);
        repo
    };
    let minute = Arc::new(Mutex::new(0));
    let shown = minute.clone();
    let probes = json!({ "r0": named(0, probed(1, "2026-11-22T10:00:00Z")), "r1": named(1, probed(1, "2026-11-22T10:00:00Z")), "r2": named(2, probed(1, "2026-11-22T10:00:00Z")) });
    let answer = move |_: &Request| {
        let date = format!("Sun, 22 Nov 2026 12:0{}:00 GMT", *shown.lock().unwrap());
        ResponseTemplate::new(200).insert_header("date", date).set_body_json(json!({ "data": probes }))
    };
    Mock::given(body_string_contains("query Probe(")).respond_with(answer).mount(&hub.server).await;
    for (index, name) in ["a", "b", "c"].into_iter().enumerate() {
        let now = minute.clone();
        let repository = named(index, page(json!([issue(1, json!({}))]))["repository"].clone());
        let answer = move |_: &Request| {
            let broken = *now.lock().unwrap() > 0 && name != "c";
            let error = json!({ "message": "boom", "path": ["repository", "issues"] });
            let errors = if broken { json!([error]) } else { json!([]) };
            let data = json!({ "data": { "repository": repository }, "errors": errors });
            ResponseTemplate::new(200).insert_header("date", NOW).set_body_json(data)
        };
        Mock::given(body_string_contains("query LabelledIssues"))
            .and(body_partial_json(json!({ "variables": { "name": name } })))
            .respond_with(answer)
            .mount(&hub.server)
            .await;
    }
    let mut read = Vec::new();
    for time in 0..3 {
        *minute.lock().unwrap() = time;
        let tick = hub.tick();
        tick.repos(&patterns).await.unwrap();
        for repo in repos {
            if let Ok(listing) = tick.labelled(repo, "ready-for-agent", true).await
                && !listing.issues[0].remembered
            {
                read.push((time, repo));
            }
        }
    }
    assert_eq!(read, [(0, "acme/a"), (0, "acme/b"), (0, "acme/c"), (2, "acme/c")]);
}

#[tokio::test]
async fn a_list_that_changed_a_moment_ago_is_not_remembered() {
    let hub = Hub::new().await;
    hub.answers("Probe", json!({ "r0": probed(1, "2026-11-22T11:59:59Z") })).await;
    hub.answers("LabelledIssues", page(json!([issue(1, json!({}))]))).await;
    for _ in 0..2 {
        let listing = hub.tick().labelled("acme/app", "ready-for-agent", true).await.unwrap();
        assert!(!listing.issues[0].remembered);
    }
    assert!(!hub.remembers("acme/app"));
}

#[tokio::test]
async fn a_list_that_lags_behind_what_was_probed_is_not_remembered() {
    let hub = Hub::new().await;
    hub.answers("Probe", json!({ "r0": probed(1, "2026-11-22T11:30:00Z") })).await;
    hub.answers("LabelledIssues", page(json!([issue(1, json!({}))]))).await;
    hub.tick().labelled("acme/app", "ready-for-agent", true).await.unwrap();
    assert!(!hub.remembers("acme/app"));
}

#[tokio::test]
async fn one_issue_that_cannot_be_read_does_not_hold_back_the_others() {
    let hub = Hub::new().await;
    hub.answers("Probe", json!({ "r0": probed(2, "2026-11-22T10:00:00Z") })).await;
    let nodes = json!([issue(1, json!({ "timelineItems": null })), issue(2, json!({}))]);
    let error = json!({ "message": "boom", "path": ["repository", "issues", "nodes", 0, "timelineItems"] });
    hub.replies("LabelledIssues", json!({ "data": page(nodes), "errors": [error] })).await;

    let listing = hub.tick().labelled("acme/app", "READY-for-agent", true).await.unwrap();

    assert_eq!(listing.issues.iter().map(|issue| issue.reference.number).collect::<Vec<_>>(), [2]);
    assert_eq!(listing.unreadable.iter().map(|it| it.issue.number).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn a_repository_that_cannot_be_probed_fails_alone() {
    let hub = Hub::new().await;
    let error = json!({ "type": "NOT_FOUND", "path": ["r0"], "message": "Could not resolve to a Repository" });
    hub.replies("Probe", json!({ "data": { "r0": null, "r1": probed(0, "") }, "errors": [error] })).await;
    let patterns = ["acme/aaa", "acme/app"].map(|repo| RepoPattern::parse(repo).unwrap());
    let tick = hub.tick();
    tick.repos(&patterns).await.unwrap();

    assert!(tick.labelled("acme/app", "x", true).await.unwrap().issues.is_empty());
    let error = tick.labelled("acme/aaa", "x", true).await.unwrap_err();
    assert!(error.message.contains("no repository acme/aaa, or afk's account may not read it"), "{error}");
    assert_eq!(hub.asked().await, ["Viewer", "Probe"]);
}

#[tokio::test]
async fn a_question_that_was_too_much_is_asked_in_halves() {
    let hub = Hub::new().await;
    let patterns = ["acme/app", "acme/b"].map(|repo| RepoPattern::parse(repo).unwrap());
    hub.answers("Probe", json!({ "r0": probed(0, "") })).await;
    Mock::given(body_string_contains("owner1"))
        .respond_with(ResponseTemplate::new(502).set_body_string("<html>"))
        .with_priority(1)
        .mount(&hub.server)
        .await;
    let tick = hub.tick();
    tick.repos(&patterns).await.unwrap();

    assert!(tick.labelled("acme/app", "x", true).await.unwrap().issues.is_empty());
    assert_eq!(hub.asked().await, ["Viewer", "Probe", "Probe", "Probe"]);
}

#[tokio::test]
async fn a_question_over_the_limits_or_without_an_end_is_asked_in_halves_and_never_twice() {
    let limited =
        json!({ "data": null, "errors": [{ "type": "RESOURCE_LIMITS_EXCEEDED", "message": "Resource limits" }] });
    let limited = ResponseTemplate::new(200).insert_header("date", NOW).set_body_json(limited);
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(60));
    let long = ResponseTemplate::new(200).set_body_bytes(vec![b' '; 17 * 1024 * 1024]);
    for too_much in [limited, slow, long] {
        let hub = Hub::new().await;
        let patterns = ["acme/app", "acme/b"].map(|repo| RepoPattern::parse(repo).unwrap());
        hub.answers("Probe", json!({ "r0": probed(0, "") })).await;
        Mock::given(body_string_contains("owner1")).respond_with(too_much).with_priority(1).mount(&hub.server).await;
        let tick = hub.tick();
        tick.repos(&patterns).await.unwrap();

        assert!(tick.labelled("acme/app", "x", true).await.unwrap().issues.is_empty());
        assert_eq!(hub.asked().await, ["Viewer", "Probe", "Probe", "Probe"]);
    }
}

#[tokio::test]
async fn repositories_by_name_cost_nothing_and_those_of_an_owner_are_listed() {
    let hub = Hub::new().await;
    let repo = |name: &str, archived: bool| json!({ "nameWithOwner": name, "isArchived": archived, "isDisabled": false, "hasIssuesEnabled": true });
    let nodes = json!([repo("Acme/App-1", false), repo("Acme/App-2", true), repo("Acme/Other", false)]);
    hub.answers("OwnedRepositories", json!({ "repositoryOwner": { "repositories": all_of(nodes) } })).await;
    let tick = hub.tick();
    let patterns = |texts: &[&str]| texts.iter().map(|text| RepoPattern::parse(text).unwrap()).collect::<Vec<_>>();

    assert_eq!(tick.repos(&patterns(&["Acme/App"])).await.unwrap().names, ["acme/app"]);
    assert!(hub.asked().await.is_empty());
    assert_eq!(tick.repos(&patterns(&["acme/zoo", "acme/app-*"])).await.unwrap().names, ["acme/app-1", "acme/zoo"]);
}

#[tokio::test]
async fn a_pattern_that_nobody_can_follow_does_not_hold_back_the_others() {
    let hub = Hub::new().await;
    let patterns = ["app", "acme/app", "big/*"].map(|text| RepoPattern::parse(text).unwrap());
    let nodes =
        json!([{ "nameWithOwner": "big/one", "isArchived": false, "isDisabled": false, "hasIssuesEnabled": true }]);
    hub.answers("OwnedRepositories", json!({ "repositoryOwner": { "repositories": all_of(nodes) } })).await;
    assert_eq!(hub.tick().repos(&patterns).await.unwrap().names, ["acme/app", "big/one"]);
    // An hour later.
    let file = hub.folder.path().join("github.json");
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept.contains("2026-11-22T12:00:00Z"), "{kept}");
    std::fs::write(&file, kept.replace("2026-11-22T12:00:00Z", "2026-11-22T11:00:00Z")).unwrap();
    hub.server.reset().await;
    hub.answers("Viewer", json!({ "viewer": { "login": "afk" } })).await;
    hub.answers("OwnedRepositories", json!({ "repositoryOwner": null })).await;

    let found = hub.tick().repos(&patterns).await.unwrap();

    assert_eq!(found.names, ["acme/app", "big/one"], "what is known of the owner, however old");
    let unreadable: Vec<_> =
        found.unreadable.iter().map(|(pattern, error)| (pattern.as_str(), error.message.as_str())).collect();
    assert_eq!(
        unreadable,
        [
            ("app", "`app` is no repository of GitHub; write `owner/name`"),
            ("big/*", "github: there is nobody called `big`")
        ]
    );
}

#[tokio::test]
async fn own_comments_cost_nothing_where_there_are_none_and_are_remembered_as_they_are() {
    let hub = Hub::new().await;
    hub.has(issue(1, json!({}))).await;
    assert_eq!(hub.tick().own_comments(&app(1)).await, Ok(Vec::new()));
    assert_eq!(hub.asked().await, ["Viewer", "OneIssue"]);

    let hub = Hub::new().await;
    let own = json!({ "fullDatabaseId": "3000000001", "viewerDidAuthor": true, "updatedAt": "2026-11-22T09:30:00Z" });
    let other =
        json!({ "fullDatabaseId": "3000000002", "viewerDidAuthor": false, "updatedAt": "2026-11-22T09:30:00Z" });
    hub.has(issue(1, json!({ "comments": all_of(json!([own, other])) }))).await;
    let comment = |id: u64, login: &str| json!({ "id": id, "user": { "login": login }, "created_at": "2026-11-22T09:20:00Z", "updated_at": "2026-11-22T09:30:00Z", "body": "hello" });
    let comments = json!([comment(3_000_000_001, "afk"), comment(3_000_000_002, "ada")]);
    hub.rest("GET", "/repos/acme/app/issues/comments/3000000001", 200, comments[0].clone()).await;
    hub.rest("GET", "/repos/acme/app/issues/1/comments", 200, comments).await;
    let tick = hub.tick();

    for _ in 0..2 {
        let comments = tick.own_comments(&app(1)).await.unwrap();
        assert_eq!(comments.iter().map(|comment| comment.id.as_str()).collect::<Vec<_>>(), ["3000000001"]);
    }
    tick.issue(&app(1)).await.unwrap();
    tick.own_comments(&app(1)).await.unwrap();
    assert_eq!(tick.comments(&app(1)).await.unwrap().len(), 2);

    let (one, all) = ("GET /repos/acme/app/issues/comments/3000000001", "GET /repos/acme/app/issues/1/comments");
    assert_eq!(hub.asked().await, ["Viewer", "OneIssue", one, "OneIssue", all]);
}

#[tokio::test]
async fn a_record_that_cannot_be_found_is_not_one_that_was_never_written() {
    let hub = Hub::new().await;
    let own = json!({ "fullDatabaseId": "5", "viewerDidAuthor": true, "updatedAt": "2026-11-22T09:30:00Z" });
    hub.has(issue(1, json!({ "comments": all_of(json!([own])) }))).await;
    let error = hub.tick().own_comments(&app(1)).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unreachable);
    assert!(error.message.ends_with("a comment of acme/app#1 cannot be read"), "{error}");
    let one = "GET /repos/acme/app/issues/comments/5";
    assert_eq!(hub.asked().await, ["Viewer", "OneIssue", one, "OneIssue", one]);
}

#[tokio::test]
async fn comments_that_are_too_long_together_are_read_in_smaller_pages() {
    let hub = Hub::new().await;
    let all = "/repos/acme/app/issues/1/comments";
    let comment = json!({ "id": 5, "user": { "login": "ada" }, "created_at": "2026-11-22T09:20:00Z", "updated_at": "2026-11-22T09:30:00Z", "body": "hello" });
    hub.rest("GET", all, 200, json!([comment])).await;
    Mock::given(path(all))
        .and(query_param("per_page", "100"))
        .respond_with(ResponseTemplate::new(200).set_body_bytes(vec![b' '; 17 * 1024 * 1024]))
        .with_priority(1)
        .mount(&hub.server)
        .await;
    assert_eq!(hub.tick().comments(&app(1)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_comment_that_was_just_written_counts_before_the_reading_shows_it() {
    let hub = Hub::new().await;
    hub.has(issue(1, json!({}))).await;
    hub.rest("POST", "/repos/acme/app/issues/1/comments", 201, json!({ "id": 5 })).await;
    let comment = json!({ "id": 5, "user": { "login": "afk" }, "created_at": "2026-11-22T12:00:00Z", "updated_at": "2026-11-22T12:00:00Z", "body": "hello" });
    hub.rest("GET", "/repos/acme/app/issues/comments/5", 200, comment).await;
    hub.tick().create_comment(&app(1), "hello").await.unwrap();

    let comments = hub.tick().own_comments(&app(1)).await.unwrap();
    assert_eq!(comments.iter().map(|comment| comment.id.as_str()).collect::<Vec<_>>(), ["5"]);

    // Two minutes later, the reading is believed: somebody has deleted it.
    let file = hub.folder.path().join("github/created.json");
    let kept = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, kept.replace("2026-11-22T12:00:00Z", "2026-11-22T11:58:00Z")).unwrap();
    assert_eq!(hub.tick().own_comments(&app(1)).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_label_is_read_back_and_its_name_is_encoded() {
    let hub = Hub::new().await;
    hub.has(issue(1, json!({}))).await;
    let labels = "/repos/acme/app/issues/1/labels";
    hub.rest("POST", labels, 200, json!([{ "name": "Agent/In Progress 🚧" }])).await;
    hub.rest("DELETE", &format!("{labels}/agent%2Fin%20progress%20%F0%9F%9A%A7"), 200, json!([])).await;
    let tick = hub.tick();

    tick.add_label(&app(1), "agent/in progress 🚧").await.unwrap();
    tick.remove_label(&app(1), "agent/in progress 🚧").await.unwrap();
    let error = tick.add_label(&app(1), "paused").await.unwrap_err();

    assert_eq!(error.kind, PortErrorKind::Refused);
    assert!(error.message.contains("GitHub dropped it without a word"), "{error}");
}

#[tokio::test]
async fn a_label_that_no_address_can_have_takes_nothing_else_off() {
    for label in ["", ".", ".."] {
        let hub = Hub::new().await;
        let error = hub.tick().remove_label(&app(1), label).await.unwrap_err();
        assert_eq!(error.message, format!("github: `{label}` cannot be part of an address"));
        assert_eq!(hub.asked().await, ["Viewer"]);
    }
}

#[tokio::test]
async fn a_label_that_is_not_on_is_off_and_an_issue_that_is_gone_is_not_found() {
    let off = |label: &'static str| async move {
        let hub = Hub::new().await;
        hub.has(issue(1, json!({}))).await;
        hub.rest("DELETE", &format!("/repos/acme/app/issues/1/labels/{label}"), 404, json!({})).await;
        hub.tick().remove_label(&app(1), label).await.map_err(|error| error.kind)
    };
    assert_eq!(off("paused").await, Ok(()));
    assert_eq!(off("ready-for-agent").await, Err(PortErrorKind::Refused), "afk may not take it off");

    let hub = Hub::new().await;
    hub.replies("OneIssue", not_found(json!(["repository", "issue"]))).await;
    assert_eq!(hub.tick().remove_label(&app(1), "paused").await.unwrap_err().kind, PortErrorKind::NotFound);
    let hub = Hub::new().await;
    hub.replies("OneIssue", not_found(json!(["repository"]))).await;
    let error = hub.tick().remove_label(&app(1), "paused").await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Refused, "that afk cannot see the repository says nothing about the lock");
}

#[tokio::test]
async fn an_issue_is_closed_with_its_reason() {
    let hub = Hub::new().await;
    hub.has(issue(1, json!({}))).await;
    let closes = body_partial_json(json!({ "state": "closed", "state_reason": "not_planned" }));
    Mock::given(method("PATCH"))
        .and(path("/repos/acme/app/issues/1"))
        .and(closes)
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "state": "closed" })))
        .expect(1)
        .mount(&hub.server)
        .await;
    hub.tick().close(&app(1), CloseReason::NotPlanned).await.unwrap();
    assert_eq!(hub.asked().await, ["Viewer", "OneIssue", "PATCH /repos/acme/app/issues/1"]);

    let hub = Hub::new().await;
    hub.rest("PATCH", "/repos/acme/app/issues/1", 200, json!({ "state": "closed" })).await;
    let error = hub.tick().reopen(&app(1)).await.unwrap_err();
    assert!(error.message.contains("dropped the change without a word"), "{error}");
}

#[tokio::test]
async fn an_issue_that_is_closed_already_keeps_its_reason() {
    let hub = Hub::new().await;
    let closed = event("ClosedEvent", json!({ "actor": person("ada"), "closer": null }));
    hub.has(issue(1, json!({ "state": "CLOSED", "timelineItems": all_of(json!([closed])) }))).await;
    hub.tick().close(&app(1), CloseReason::Completed).await.unwrap();
    assert_eq!(hub.asked().await, ["Viewer", "OneIssue"]);
}

#[tokio::test]
async fn an_issue_that_cannot_be_read_is_not_closed() {
    let hub = Hub::new().await;
    hub.replies("OneIssue", not_found(json!(["repository", "issue"]))).await;
    let error = hub.tick().close(&app(1), CloseReason::Completed).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::NotFound);
    assert_eq!(hub.asked().await, ["Viewer", "OneIssue"]);
}

#[tokio::test]
async fn comments_are_written_whole_or_not_at_all() {
    let hub = Hub::new().await;
    hub.rest("POST", "/repos/acme/app/issues/1/comments", 201, json!({ "id": 3_000_000_001_u64 })).await;
    hub.rest("PATCH", "/repos/acme/app/issues/comments/3000000001", 200, json!({})).await;
    let tick = hub.tick();

    assert_eq!(tick.create_comment(&app(1), "hello").await.unwrap(), "3000000001");
    tick.edit_comment(&app(1), "3000000001", "hello again").await.unwrap();
    tick.create_comment(&app(1), &"é".repeat(65_536)).await.unwrap();
    let error = tick.create_comment(&app(1), &"é".repeat(65_537)).await.unwrap_err();
    assert_eq!(error.message, "github: a comment may have 65536 characters, and this one has 65537");
    assert_eq!(tick.edit_comment(&app(1), "../1", "x").await.unwrap_err().kind, PortErrorKind::NotFound);
}

#[tokio::test]
async fn what_was_remembered_of_a_repository_is_gone_from_disk_before_afk_writes_to_it() {
    let hub = Hub::new().await;
    hub.answers("Probe", json!({ "r0": probed(1, "2026-11-22T10:00:00Z") })).await;
    hub.answers("LabelledIssues", page(json!([issue(1, json!({}))]))).await;
    hub.tick().labelled("acme/app", "ready-for-agent", true).await.unwrap();
    assert!(hub.remembers("acme/app"));
    let tick = hub.tick();

    tick.create_comment(&app(1), "hello").await.unwrap_err();

    assert!(!hub.remembers("acme/app"));
}

#[tokio::test]
async fn of_many_comments_only_the_first_page_is_read_until_somebody_asks_for_records() {
    let hub = Hub::new().await;
    let own = json!({ "fullDatabaseId": "5", "viewerDidAuthor": true, "updatedAt": "2026-11-22T09:30:00Z" });
    let more = json!({ "pageInfo": { "hasNextPage": true, "endCursor": "A" }, "nodes": [] });
    let long = issue(1, json!({ "comments": more }));
    let patterns = [RepoPattern::parse("acme/app").unwrap()];
    hub.answers("LabelledIssues", page(json!([long.clone()]))).await;
    hub.has(long).await;
    let rest = json!({ "data": { "repository": repository(json!({ "issue": issue(1, json!({ "comments": all_of(json!([own])) })) })) } });
    Mock::given(body_string_contains("query OneIssue("))
        .and(body_partial_json(json!({ "variables": { "commentsAfter": "A" } })))
        .respond_with(ResponseTemplate::new(200).insert_header("date", NOW).set_body_json(rest))
        .with_priority(1)
        .mount(&hub.server)
        .await;
    let comment = json!({ "id": 5, "user": { "login": "afk" }, "created_at": "2026-11-22T09:20:00Z", "updated_at": "2026-11-22T09:30:00Z", "body": "hello" });
    hub.rest("GET", "/repos/acme/app/issues/comments/5", 200, comment).await;
    let probes = hub.probes().await;
    let look = async |count: u64, wants_records: bool| {
        *probes.lock().unwrap() = probed(count, "2026-11-22T10:00:00Z");
        let before = hub.asked().await.len();
        let tick = hub.tick();
        tick.repos(&patterns).await.unwrap();
        let listing = tick.labelled("acme/app", "ready-for-agent", true).await.unwrap();
        let records = if wants_records { tick.own_comments(&app(1)).await.unwrap().len() } else { 0 };
        (listing.issues[0].remembered, records, hub.asked().await.split_off(before))
    };

    let (remembered, _, asked) = look(1, false).await;
    assert_eq!((remembered, &asked[..]), (false, &["Viewer", "Probe", "LabelledIssues"].map(str::to_owned)[..]));
    let (_, records, asked) = look(1, true).await;
    let comment = "GET /repos/acme/app/issues/comments/5";
    assert_eq!(records, 1);
    assert_eq!(asked, ["Viewer", "Probe", "LabelledIssues", "OneIssue", "OneIssue", comment]);
    // Another issue of the list changed; this one did not, and what was read of it may deny.
    let (remembered, records, asked) = look(2, true).await;
    assert_eq!((remembered, records), (true, 1));
    assert_eq!(asked, ["Viewer", "Probe", "LabelledIssues"]);
}

#[tokio::test]
async fn a_permission_that_cannot_be_read_is_an_error_that_says_what_to_do() {
    let hub = Hub::new().await;
    let of = |login: &str| format!("/repos/acme/app/collaborators/{login}/permission");
    hub.rest("GET", &of("ada"), 200, json!({ "permission": "write", "role_name": "maintain" })).await;
    hub.rest("GET", &of("helper[bot]"), 403, json!({ "message": "Must have push access" })).await;
    let tick = hub.tick();

    assert_eq!(tick.permission("acme/app", "ada").await.as_deref(), Ok("maintain"));
    let error = tick.permission("acme/app", "helper[bot]").await.unwrap_err();
    assert!(error.message.contains("afk's account needs write access to acme/app"), "{error}");
    let error = tick.permission("acme/app", "mallory").await.unwrap_err();
    assert!(error.message.contains("the account is gone, or afk may not see acme/app"), "{error}");
}

#[tokio::test]
async fn a_permission_of_an_earlier_tick_serves_only_those_who_ask_for_that() {
    let hub = Hub::new().await;
    let address = "/repos/acme/app/collaborators/ada/permission";
    hub.rest("GET", address, 200, json!({ "permission": "write", "role_name": "write" })).await;
    assert_eq!(hub.tick().permission("acme/app", "ada").await.as_deref(), Ok("write"));

    hub.server.reset().await;
    hub.answers("Viewer", json!({ "viewer": { "login": "afk" } })).await;
    hub.rest("GET", address, 200, json!({ "permission": "read", "role_name": "read" })).await;
    let tick = hub.tick();
    assert_eq!(tick.remembered_permission("Acme/App", "Ada").await.as_deref(), Ok("write"));
    assert_eq!(tick.permission("acme/app", "ada").await.as_deref(), Ok("read"));
    assert_eq!(tick.remembered_permission("acme/app", "ada").await.as_deref(), Ok("read"));
}

#[tokio::test]
async fn time_and_login_are_the_server_s_own() {
    let hub = Hub::new().await;
    let tick = hub.tick();
    assert_eq!(tick.now().await.unwrap().to_rfc3339(), "2026-11-22T12:00:00+00:00");
    assert_eq!(tick.login().await.as_deref(), Ok("afk"));
    assert_eq!(hub.asked().await, ["Viewer"]);
}

#[tokio::test]
async fn git_shows_the_token_to_the_code_host_and_to_nobody_else() {
    let hub = Hub::new().await;
    let token = Rc::new(TokenCredential::new(SecretSource::File(hub.folder.path().join("token"))));
    let forge = Forge::new(Server::new(&hub.server.uri()).unwrap().web, token);
    let elsewhere = MockServer::start().await;
    let remotes = [("acme/other".to_owned(), format!("{}/acme/other.git", elsewhere.uri()))];
    let mirrors = GitMirrors::new(hub.folder.path().join("mirrors"), remotes.into()).with_forge(forge);

    let error = mirrors.refresh("Acme/App").await.unwrap_err();
    mirrors.refresh("acme/other").await.unwrap_err();

    assert!(!error.message.contains("secret"), "{error}");
    let seen = |request: &Request| {
        let shown = request.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        (request.url.path().to_owned(), shown)
    };
    let asked: Vec<_> = hub.server.received_requests().await.unwrap().iter().map(seen).collect();
    // x-access-token:secret
    let basic = Some("Basic eC1hY2Nlc3MtdG9rZW46c2VjcmV0".to_owned());
    assert_eq!(asked, [("/Acme/App.git/info/refs".to_owned(), basic)]);
    let asked: Vec<_> = elsewhere.received_requests().await.unwrap().iter().map(seen).collect();
    assert_eq!(asked, [("/acme/other.git/info/refs".to_owned(), None)]);
}
