//! CI as GitHub reports it, over HTTP, with a real repository for what came after a commit.

#[path = "support/git.rs"]
mod git_support;
#[path = "support/github.rs"]
mod support;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use afk::adapters::git::GitMirrors;
use afk::adapters::github::checks::GithubChecks;
use afk::adapters::http::Http;
use afk::policy::{Located, Span, Stage, StageSource};
use afk::ports::{Ci, Code, FailedJob, PortErrorKind, StageVerdict};
use git_support::{Repository, git};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use support::{TOKEN, github, http};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

const SETTLE: Duration = Duration::from_secs(120);

/// A GitHub, and the repository behind it.
struct World {
    server: MockServer,
    repository: Repository,
    mirrors: Rc<GitMirrors>,
    commit: String,
}

impl World {
    async fn new() -> Self {
        let repository = Repository::new();
        let remotes = BTreeMap::from([("acme/app".to_owned(), repository.remote())]);
        let mirrors = Rc::new(GitMirrors::new(repository.path("mirrors"), remotes));
        let commit = git(&repository.work(), &["rev-parse", "HEAD"]);
        Self { server: MockServer::start().await, repository, mirrors, commit }
    }

    /// Pushes one more commit.
    async fn newer(&self) -> String {
        let commit = self.repository.commit("newer", &[]);
        self.repository.push();
        self.mirrors.head("acme/app").await.expect("a mirror");
        commit
    }

    fn ci(&self) -> GithubChecks {
        self.ci_with(http())
    }

    /// Which reads logs in its own time.
    fn ci_with(&self, http: Rc<Http>) -> GithubChecks {
        GithubChecks::new(github(&self.server), self.mirrors.clone(), http, vec!["localhost".to_owned()])
    }

    async fn answer(&self, place: &str, query: &[(&str, &str)], body: Value) {
        let mut mock = Mock::given(method("GET")).and(path(place.to_owned()));
        for (name, value) in query {
            mock = mock.and(query_param(*name, *value));
        }
        mock.and(header("authorization", format!("Bearer {TOKEN}")))
            .respond_with(ResponseTemplate::new(200).set_body_json(body))
            .mount(&self.server)
            .await;
    }

    /// What reports on a commit.
    async fn reports(&self, commit: &str, runs: Value, statuses: Value) {
        let place = format!("/repos/acme/app/commits/{commit}");
        let count = |list: &Value| list.as_array().map_or(0, Vec::len);
        let runs = json!({ "total_count": count(&runs), "check_runs": runs });
        self.answer(&format!("{place}/check-runs"), &[("filter", "latest"), ("per_page", "100")], runs).await;
        let state = if count(&statuses) == 0 { "pending" } else { "success" };
        let statuses = json!({ "state": state, "total_count": count(&statuses), "statuses": statuses });
        self.answer(&format!("{place}/status"), &[("per_page", "100")], statuses).await;
    }

    async fn verdict(&self, require: Option<&[&str]>) -> StageVerdict {
        self.ci().verdict("acme/app", &self.commit, &stage(require), SETTLE).await.expect("an answer")
    }

    async fn requests(&self) -> Vec<String> {
        let requests = self.server.received_requests().await.expect("requests");
        requests.iter().map(|request| request.url.path().to_owned()).collect()
    }
}

fn stage(require: Option<&[&str]>) -> Stage {
    let require = require.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    let name = Located { value: "build".to_owned(), span: Span::default() };
    Stage { name, source: StageSource::Checks { require } }
}

/// A job of GitHub Actions that ended long ago.
fn run(id: u64, name: &str, conclusion: &str) -> Value {
    json!({
        "id": id, "name": name, "status": "completed", "conclusion": conclusion,
        "started_at": "2026-01-01T10:00:00Z", "completed_at": "2026-01-01T10:05:00Z",
        "html_url": format!("https://github.com/acme/app/runs/{id}"),
        "details_url": format!("https://github.com/acme/app/actions/runs/1/job/{id}"),
        "output": { "title": null, "summary": null, "text": null },
        "app": { "id": 15368, "slug": "github-actions" }, "check_suite": { "id": 1 },
    })
}

fn status(id: u64, context: &str, state: &str) -> Value {
    json!({
        "id": id, "context": context, "state": state, "description": "3 of 9 failed", "target_url": "https://ci.example.com/9",
        "created_at": "2026-01-01T10:00:00Z", "updated_at": "2026-01-01T10:05:00Z",
    })
}

#[tokio::test]
async fn a_commit_that_nothing_reports_on_has_no_verdict_and_is_not_pending() {
    let world = World::new().await;
    world.reports(&world.commit, json!([]), json!([])).await;
    assert_eq!(world.verdict(None).await, StageVerdict::None);
    assert_eq!(world.verdict(Some(&["build"])).await, StageVerdict::None);
}

#[tokio::test]
async fn checks_and_statuses_have_to_be_green_both() {
    let world = World::new().await;
    world.reports(&world.commit, json!([run(1, "build", "success")]), json!([status(1, "ci", "failure")])).await;
    let failed = FailedJob {
        name: "ci".to_owned(),
        url: Some("https://ci.example.com/9".to_owned()),
        log_tail: "3 of 9 failed".to_owned(),
    };
    assert_eq!(world.verdict(None).await, StageVerdict::Red(vec![failed]));
    assert_eq!(world.verdict(Some(&["build"])).await, StageVerdict::Green);
    let missing = StageVerdict::Pending("not reported yet: `deploy`".to_owned());
    assert_eq!(world.verdict(Some(&["build", "deploy"])).await, missing);
}

#[tokio::test]
async fn a_check_that_is_new_by_the_servers_clock_may_be_followed_by_another() {
    let world = World::new().await;
    let mut young = run(1, "build", "success");
    let now = chrono::Utc::now();
    young["completed_at"] = json!(now.to_rfc3339());
    world.reports(&world.commit, json!([young]), json!([])).await;
    for require in [None, Some(["build"].as_slice())] {
        assert!(matches!(world.verdict(require).await, StageVerdict::Pending(why) if why.contains("another shows up")));
    }
}

#[tokio::test]
async fn a_job_that_was_started_again_counts_as_it_ended_last() {
    let world = World::new().await;
    // The same workflow, started twice for one commit: two suites, and only the list of its runs tells.
    let (mut first, mut second) = (run(1, "build", "failure"), run(2, "build", "success"));
    first["check_suite"]["id"] = json!(11);
    second["check_suite"]["id"] = json!(12);
    world.reports(&world.commit, json!([first, second]), json!([])).await;
    assert!(matches!(world.verdict(None).await, StageVerdict::Red(_)), "nobody can tell, and red is the safe one");
    let of_suite = |suite: u64| json!({ "check_suite_id": suite, "workflow_id": 7, "event": "pull_request" });
    let runs = json!({ "total_count": 2, "workflow_runs": [of_suite(11), of_suite(12)] });
    world.answer("/repos/acme/app/actions/runs", &[("head_sha", &world.commit)], runs).await;
    assert_eq!(world.verdict(None).await, StageVerdict::Green);
}

#[tokio::test]
async fn a_cancelled_check_is_answered_by_the_nearest_newer_commit_that_was_judged() {
    let world = World::new().await;
    world.reports(&world.commit, json!([run(1, "build", "cancelled")]), json!([])).await;
    world.mirrors.head("acme/app").await.expect("a mirror");
    assert!(matches!(world.verdict(None).await, StageVerdict::Pending(why) if why.contains("cancelled: `build`")));
    // Pushed together with the one after it, so never judged itself; then a cancelled one; then one that was judged.
    for runs in [json!([]), json!([run(2, "build", "stale")]), json!([run(3, "build", "success")])] {
        let newer = world.newer().await;
        world.reports(&newer, runs, json!([])).await;
    }
    let newest = world.newer().await;
    assert_eq!(world.verdict(None).await, StageVerdict::Green);
    assert!(world.requests().await.iter().all(|request| !request.contains(&newest)), "the nearest one decides");
}

#[tokio::test]
async fn what_others_made_of_a_commit_on_branches_of_their_own_says_nothing_about_it() {
    let world = World::new().await;
    world.reports(&world.commit, json!([run(1, "build", "cancelled")]), json!([])).await;
    let work = world.repository.work();
    git(&work, &["checkout", "-q", "-b", "feature"]);
    let feature = world.repository.commit("feature", &[]);
    git(&work, &["push", "-q", "origin", "feature"]);
    world.reports(&feature, json!([run(2, "build", "failure")]), json!([])).await;
    world.mirrors.head("acme/app").await.expect("a mirror");
    assert!(matches!(world.verdict(None).await, StageVerdict::Pending(_)));
    // Merged, it lies behind the commit, and is still not on the branch.
    git(&work, &["checkout", "-q", "main"]);
    git(&work, &["merge", "-q", "--no-ff", "-m", "merge", "feature"]);
    let merge = git(&work, &["rev-parse", "HEAD"]);
    world.repository.push();
    world.mirrors.refresh("acme/app").await.expect("a mirror");
    world.reports(&merge, json!([run(3, "build", "success")]), json!([])).await;
    assert_eq!(world.verdict(None).await, StageVerdict::Green);
}

#[tokio::test]
async fn an_unknown_commit_is_an_error_and_not_a_commit_without_ci() {
    let world = World::new().await;
    let error = world.ci().verdict("acme/app", &world.commit, &stage(None), SETTLE).await.expect_err("404");
    assert_eq!(error.kind, PortErrorKind::NotFound);
    for (code, message, words) in [
        (422, "No commit found for SHA", "No commit found for SHA"),
        (403, "Resource not accessible by personal access token", "; fine-grained tokens have no such permission"),
        (403, "Resource protected by organization SAML enforcement", "SAML enforcement"),
    ] {
        let world = World::new().await;
        let refusal = ResponseTemplate::new(code).set_body_json(json!({ "message": message }));
        let place = format!("/repos/acme/app/commits/{}/check-runs", world.commit);
        Mock::given(path(place)).respond_with(refusal).mount(&world.server).await;
        let error = world.ci().verdict("acme/app", &world.commit, &stage(None), SETTLE).await.expect_err("refused");
        assert_eq!(error.kind, PortErrorKind::Refused);
        assert!(error.message.contains(words), "{error}");
        assert_eq!(error.message.contains("fine-grained"), message.contains("by personal access token"), "{error}");
    }
    let error = world.ci().verdict("acme/app", "../../user", &stage(None), SETTLE).await.expect_err("no commit");
    assert_eq!(error.kind, PortErrorKind::Invalid);
}

#[tokio::test]
async fn the_log_of_a_failed_job_is_read_without_the_token_and_only_from_listed_hosts() {
    let world = World::new().await;
    let jobs = json!([run(21, "build", "failure"), run(22, "test", "failure"), run(23, "gone", "failure")]);
    world.reports(&world.commit, jobs, json!([])).await;
    let logs = MockServer::start().await;
    let elsewhere = |host: &str| logs.uri().replace("127.0.0.1", host);
    for (job, place) in [(21, format!("{}/log?sig=1", elsewhere("localhost"))), (22, format!("{}/log", logs.uri()))] {
        Mock::given(path(format!("/repos/acme/app/actions/jobs/{job}/logs")))
            .and(header("authorization", format!("Bearer {TOKEN}")))
            .respond_with(ResponseTemplate::new(302).insert_header("location", place))
            .mount(&world.server)
            .await;
    }
    let log = "2026-01-01T10:00:00.0000000Z assertion failed\n2026-01-01T10:00:01.0000000Z ##[error]exit code 1\n\
               2026-01-01T10:00:02.0000000Z Cleaning up\n";
    Mock::given(path("/log")).respond_with(ResponseTemplate::new(200).set_body_string(log)).mount(&logs).await;
    let StageVerdict::Red(failed) = world.verdict(None).await else { panic!("not red") };
    assert!(logs.received_requests().await.expect("requests").is_empty(), "logs cost calls, and were not asked for");
    let failed = world.ci().with_logs("acme/app", &stage(None), failed).await.expect("never an error");
    let shown: Vec<(&str, &str)> = failed.iter().map(|job| (job.name.as_str(), job.log_tail.as_str())).collect();
    assert_eq!(shown, [("build", "assertion failed\n##[error]exit code 1"), ("test", ""), ("gone", "")]);
    let asked = logs.received_requests().await.expect("requests");
    assert_eq!(asked.len(), 1, "an address that is not listed is not asked");
    assert!(!asked[0].headers.contains_key("authorization"), "the token stays here");
    assert_eq!(failed[0].url.as_deref(), Some("https://github.com/acme/app/actions/runs/1/job/21"));
}

/// A failed commit whose logs of these jobs lie on a server of their own, and the jobs.
async fn failed_with_logs(world: &World, logs: &MockServer, jobs: &[u64]) -> Vec<FailedJob> {
    let runs: Vec<Value> = jobs.iter().map(|job| run(*job, &format!("job {job}"), "failure")).collect();
    world.reports(&world.commit, json!(runs), json!([])).await;
    for job in jobs {
        Mock::given(path(format!("/repos/acme/app/actions/jobs/{job}/logs")))
            .respond_with(
                ResponseTemplate::new(302)
                    .insert_header("location", format!("{}/log/{job}", logs.uri().replace("127.0.0.1", "localhost"))),
            )
            .mount(&world.server)
            .await;
    }
    let StageVerdict::Red(failed) = world.verdict(None).await else { panic!("not red") };
    failed
}

#[tokio::test]
async fn a_log_that_is_too_long_says_that_its_end_is_not_there() {
    let (world, logs) = (World::new().await, MockServer::start().await);
    let failed = failed_with_logs(&world, &logs, &[21]).await;
    let log = "a line of it\n".repeat(5_200_000);
    Mock::given(path("/log/21")).respond_with(ResponseTemplate::new(200).set_body_string(log)).mount(&logs).await;
    let failed = world.ci().with_logs("acme/app", &stage(None), failed).await.expect("never an error");
    let said = &failed[0].log_tail;
    assert!(said.contains("a line of it\n") && said.len() <= 8192, "{said}");
    assert!(said.ends_with("[the log goes on: only its first 64 MiB were read, this is not its end]"), "{said}");
}

#[tokio::test]
async fn slow_logs_do_not_lose_the_others_within_one_call() {
    let (world, logs) = (World::new().await, MockServer::start().await);
    let failed = failed_with_logs(&world, &logs, &[21, 22, 23, 24, 25]).await;
    for job in 21..=25 {
        let delay = Duration::from_secs(if job == 25 { 0 } else { 60 });
        let log = ResponseTemplate::new(200).set_body_string(format!("log of {job}")).set_delay(delay);
        Mock::given(path(format!("/log/{job}"))).respond_with(log).mount(&logs).await;
    }
    // As they are wired: a call has the time of three requests.
    let request = Duration::from_millis(1600);
    let ci = world.ci_with(Rc::new(Http::new(request)));
    let stage = stage(None);
    let call = ci.with_logs("acme/app", &stage, failed);
    let failed = tokio::time::timeout(request * 3, call).await.expect("in time").expect("never an error");
    let shown: Vec<&str> = failed.iter().map(|job| job.log_tail.as_str()).collect();
    assert_eq!(shown, ["", "", "", "", "log of 25"]);
}

#[tokio::test]
async fn a_check_of_another_app_tells_what_failed_in_its_own_words() {
    let world = World::new().await;
    let mut check = run(1, "scan\u{1b}[2J", "failure");
    check["app"] = json!({ "id": 9, "slug": "scanner" });
    check["details_url"] = json!("https://scan.example.com/1");
    check["output"] = json!({ "title": "2 findings", "summary": "one\u{1b}[31m", "text": "x".repeat(20_000) });
    world.reports(&world.commit, json!([check]), json!([])).await;
    let StageVerdict::Red(failed) = world.verdict(None).await else { panic!("not red") };
    assert_eq!(failed[0].url.as_deref(), Some("https://github.com/acme/app/runs/1"));
    assert!(failed[0].log_tail.len() <= 8192 && failed[0].log_tail.ends_with("xxx"));
    assert_eq!(world.ci().with_logs("acme/app", &stage(None), failed.clone()).await, Ok(failed));
}

#[tokio::test]
async fn nonsense_is_an_error() {
    let world = World::new().await;
    world
        .answer(&format!("/repos/acme/app/commits/{}/check-runs", world.commit), &[], json!({ "check_runs": 7 }))
        .await;
    let error = world.ci().verdict("acme/app", &world.commit, &stage(None), SETTLE).await.expect_err("nonsense");
    assert_eq!(error.kind, PortErrorKind::Invalid);
    world.ci().can_judge("app", &stage(None)).await.expect_err("GitHub knows owners");
}
