//! Against the real GitHub, where somebody says so: `AFK_LIVE_GITHUB_TOKEN` and `AFK_LIVE_GITHUB_REPO` (`owner/name`, a
//! scratch repository; `AFK_LIVE_GITHUB_URL` for an Enterprise server). docs/github.md says what it does there.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use afk::adapters::github::credential::TokenCredential;
use afk::adapters::github::{Github, GithubTracker, Server};
use afk::adapters::http::Http;
use afk::adapters::http::api::Manners;
use afk::policy::CloseReason;
use afk::policy::facts::IssueStatus;
use afk::ports::{IssueRef, Tracker};
use afk::settings::SecretSource;
use pretty_assertions::assert_eq;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

const TOKEN: &str = "AFK_LIVE_GITHUB_TOKEN";
const LABEL: &str = "afk-live-test";
const RENAMED: &str = "afk-live-test-renamed";

struct Live {
    server: Server,
    repo: String,
    token: String,
    client: Client,
    /// The issue that was made; 0: none yet.
    issue: Cell<u64>,
}

impl Live {
    fn from_environment() -> Option<Self> {
        let token = std::env::var(TOKEN).ok().filter(|token| !token.is_empty())?;
        let repo = std::env::var("AFK_LIVE_GITHUB_REPO").ok().filter(|repo| repo.contains('/'))?;
        let url = std::env::var("AFK_LIVE_GITHUB_URL").unwrap_or_else(|_| "https://api.github.com".to_owned());
        let client = Client::builder().user_agent("afk-live-test").timeout(Duration::from_secs(30)).build().unwrap();
        Some(Self { server: Server::new(&url).unwrap(), repo, token, client, issue: Cell::new(0) })
    }

    /// afk as it would be in a tick of its own.
    fn tick(&self) -> GithubTracker {
        let credential = Rc::new(TokenCredential::new(SecretSource::Variable(TOKEN.to_owned())));
        let http = Rc::new(Http::new(Duration::from_secs(30)));
        GithubTracker::new(Github::new(&self.server, credential, http, Manners::default()), self.server.clone())
    }

    /// What afk itself never does.
    async fn ask(&self, method: Method, path: &str, body: Value) -> Response {
        // Two writes a second would be bad manners.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let url = format!("{}/repos/{}/{path}", self.server.rest.as_str().trim_end_matches('/'), self.repo);
        let request = self.client.request(method, url).bearer_auth(&self.token).json(&body);
        request.header("accept", "application/vnd.github+json").send().await.unwrap()
    }

    fn the_issue(&self) -> IssueRef {
        IssueRef { repo: self.repo.clone(), number: self.issue.get() }
    }

    async fn clean_up(&self) {
        for label in [LABEL, RENAMED] {
            self.ask(Method::DELETE, &format!("labels/{label}"), json!({})).await;
        }
        if self.issue.get() > 0 {
            let closed = json!({ "state": "closed", "state_reason": "not_planned" });
            self.ask(Method::PATCH, &format!("issues/{}", self.issue.get()), closed).await;
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "what is learnt of GitHub, and that nothing was, is for the person who runs it"
)]
fn say(text: &str) {
    eprintln!("{text}");
}

async fn a_life(live: Rc<Live>) {
    let tick = live.tick();
    let login = tick.login().await.unwrap();
    assert_eq!(tick.access(&live.repo).await.unwrap().shortcomings, []);
    let role = tick.permission(&live.repo, &login).await.unwrap();
    assert!(["write", "maintain", "admin"].contains(&role.as_str()), "{login} is {role}");

    tick.create_label(&live.repo, LABEL).await.unwrap();
    tick.create_label(&live.repo, LABEL).await.unwrap();
    assert_eq!(tick.missing_labels(&live.repo, &[LABEL.to_uppercase()]).await.unwrap(), Vec::<String>::new());

    let made = json!({ "title": "afk: a live test, may be deleted", "body": "Made by tests/github_live.rs.", "labels": [LABEL] });
    let made: Value = live.ask(Method::POST, "issues", made).await.json().await.unwrap();
    live.issue.set(made["number"].as_u64().unwrap_or_else(|| panic!("no issue was made: {made}")));
    let issue = live.the_issue();

    let read = tick.issue(&issue).await.unwrap().unwrap();
    assert!(read.has_label(LABEL), "{read:?}");
    let events = tick.label_events(&issue).await.unwrap();
    say(&format!(
        "LEARNT: a label given at creation leaves {} event(s), by {:?}",
        events.len(),
        events.first().map(|event| &event.by)
    ));

    let comment = tick.create_comment(&issue, "One.").await.unwrap();
    tick.edit_comment(&issue, &comment, "Two.").await.unwrap();
    let comments = tick.comments(&issue).await.unwrap();
    assert_eq!(comments.iter().map(|comment| comment.body.as_str()).collect::<Vec<_>>(), ["Two."]);

    tick.remove_label(&issue, LABEL).await.unwrap();
    tick.remove_label(&issue, LABEL).await.unwrap();
    tick.add_label(&issue, LABEL).await.unwrap();
    let before: Vec<String> = tick.label_events(&issue).await.unwrap().into_iter().map(|event| event.arming).collect();
    live.ask(Method::PATCH, &format!("labels/{LABEL}"), json!({ "new_name": RENAMED })).await;
    let after = live.tick().label_events(&issue).await.unwrap();
    let names: Vec<&str> = after.iter().map(|event| event.label.as_str()).collect();
    say(&format!("LEARNT: after `{LABEL}` was renamed to `{RENAMED}`, its events show {names:?}"));
    assert_eq!(
        after.iter().map(|event| event.arming.clone()).collect::<Vec<_>>(),
        before,
        "armings outlive a renaming"
    );

    tick.close(&issue, CloseReason::Completed).await.unwrap();
    tick.reopen(&issue).await.unwrap();
    tick.close(&issue, CloseReason::NotPlanned).await.unwrap();
    let read = live.tick().issue(&issue).await.unwrap().unwrap();
    assert!(read.status != IssueStatus::Open, "{read:?}");
}

#[tokio::test]
async fn an_issue_lives_on_the_real_github() {
    let Some(live) = Live::from_environment() else {
        return say("SKIPPED: AFK_LIVE_GITHUB_TOKEN and AFK_LIVE_GITHUB_REPO are not set, nothing is tried on GitHub");
    };
    let live = Rc::new(live);
    let all = async {
        // A task of its own, so that what it made is cleaned up when it fails.
        let outcome = tokio::task::spawn_local(a_life(live.clone())).await;
        live.clean_up().await;
        outcome.unwrap();
    };
    tokio::task::LocalSet::new().run_until(all).await;
}
