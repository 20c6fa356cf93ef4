//! The commits of a run on GitHub: what GraphQL says of its pull request, and a real repository behind it.

#[path = "support/git.rs"]
mod git_support;
#[path = "support/github.rs"]
mod support;

use std::collections::BTreeMap;
use std::rc::Rc;

use afk::adapters::git::GitMirrors;
use afk::adapters::github::code::GithubCode;
use afk::engine::identity::RunId;
use afk::policy::Landing;
use afk::policy::facts::PullRequestStatus;
use afk::ports::{Code, PortErrorKind, RunCommits, RunRange};
use git_support::{Repository, git};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use support::{answers, github};
use wiremock::MockServer;

/// A repository with the branch of a run checked out, and what GitHub says of it.
struct World {
    server: MockServer,
    repository: Repository,
    base: String,
}

fn run() -> RunId {
    RunId::of_arming("1")
}

impl World {
    async fn new() -> Self {
        let repository = Repository::new();
        let base = git(&repository.work(), &["rev-parse", "HEAD"]);
        git(&repository.work(), &["checkout", "-q", "-b", &run().branch()]);
        Self { server: MockServer::start().await, repository, base }
    }

    fn git(&self, arguments: &[&str]) -> String {
        git(&self.repository.work(), arguments)
    }

    fn code(&self) -> GithubCode {
        let remotes = BTreeMap::from([("acme/app".to_owned(), self.repository.remote())]);
        let mirrors = Rc::new(GitMirrors::new(self.repository.path("mirrors"), remotes));
        GithubCode::new(github(&self.server), mirrors)
    }

    /// A commit with the run's line, or without.
    fn commit(&self, subject: &str, own: bool, path: &str) -> String {
        let line = if own { format!("\n\nAFK-Run: {}", run()) } else { String::new() };
        self.repository.commit(&format!("{subject}{line}"), &[(path, subject)])
    }

    /// Pushes the branch of the run, also to where GitHub keeps the head of its pull request.
    fn push_branch(&self) -> String {
        let branch = format!("HEAD:refs/heads/{}", run().branch());
        self.git(&["push", "-q", "--force", "origin", &branch, "HEAD:refs/pull/7/head"]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Squashes the branch into main, and deletes it, as many repositories are set to.
    fn squash_and_delete(&self, subject: &str) -> String {
        self.git(&["checkout", "-q", "main"]);
        self.git(&["merge", "-q", "--squash", &run().branch()]);
        self.git(&["commit", "-q", "-m", subject]);
        self.repository.push();
        self.git(&["push", "-q", "origin", "--delete", &run().branch()]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// What GitHub answers from now on.
    async fn says(&self, pull_requests: Value) {
        self.says_of("main", pull_requests).await;
    }

    async fn says_of(&self, default: &str, pull_requests: Value) {
        self.server.reset().await;
        let newest = git(&self.repository.path("remote.git"), &["rev-parse", default]);
        let head = json!({ "name": default, "target": { "oid": newest } });
        let repository = json!({ "defaultBranchRef": head, "pullRequests": { "nodes": pull_requests } });
        let variables = json!({ "owner": "acme", "name": "app", "branch": run().branch() });
        answers(&self.server, variables, json!({ "repository": repository })).await;
        let variables = json!({ "owner": "acme", "name": "app" });
        answers(&self.server, variables, json!({ "repository": { "defaultBranchRef": head } })).await;
    }

    fn range(&self, landing: Landing) -> RunRange {
        RunRange { repo: "acme/app".to_owned(), number: 7, run: run(), base: Some(self.base.clone()), landing }
    }

    async fn commits(&self) -> RunCommits {
        self.code().run_commits(&self.range(Landing::PullRequest)).await.expect("commits")
    }
}

/// What GraphQL says of a pull request of the run.
fn pull_request(state: &str, head: &str) -> Value {
    json!({
        "number": 7, "url": "https://github.com/acme/app/pull/7", "state": state, "isDraft": false,
        "isCrossRepository": false, "baseRefName": "main", "headRefOid": head, "mergeCommit": null,
    })
}

fn merged(head: &str, commit: &str) -> Value {
    let mut merged = pull_request("MERGED", head);
    merged["mergeCommit"] = json!({ "oid": commit });
    merged
}

fn shas(found: &RunCommits) -> Vec<&str> {
    found.commits.iter().map(|commit| commit.sha.as_str()).collect()
}

fn newest_paths(found: &RunCommits) -> Vec<&str> {
    found.commits.last().expect("a commit").paths.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn a_branch_without_a_pull_request_is_not_seen_as_pushed() {
    let world = World::new().await;
    world.commit("mend", true, "a");
    world.push_branch();
    world.says(json!([])).await;
    let found = world.commits().await;
    assert_eq!((shas(&found), found.landed, found.pull_request), (vec![], false, PullRequestStatus::None));
}

#[tokio::test]
async fn an_open_pull_request_shows_the_commits_with_the_runs_line() {
    let world = World::new().await;
    let first = world.commit("mend", true, "a");
    world.commit("forgot the line", false, ".github/workflows/ci.yml");
    let second = world.commit("mend more", true, "b");
    let head = world.push_branch();
    for (state, draft, status) in [
        ("OPEN", false, PullRequestStatus::Open),
        ("OPEN", true, PullRequestStatus::Draft),
        ("CLOSED", false, PullRequestStatus::Closed),
    ] {
        let mut answer = pull_request(state, &head);
        answer["isDraft"] = json!(draft);
        world.says(json!([answer])).await;
        let found = world.commits().await;
        assert_eq!((shas(&found), found.landed, found.pull_request), (vec![&*first, &*second], false, status));
        assert_eq!(found.pull_request_url.as_deref(), Some("https://github.com/acme/app/pull/7"));
        // A merge would bring it too, whoever's line it has.
        assert_eq!(newest_paths(&found), [".github/workflows/ci.yml", "a", "b"]);
    }
}

#[tokio::test]
async fn the_head_of_a_pull_request_is_the_newest_commit_whoevers_line_it_has() {
    let world = World::new().await;
    let own = world.commit("mend", true, "a");
    let head = world.commit("break it", false, "b");
    world.push_branch();
    world.says(json!([pull_request("OPEN", &head)])).await;
    let found = world.commits().await;
    assert_eq!((shas(&found), found.landed), (vec![&*own, &*head], false));
    assert_eq!(found.commits[1].subject, "break it");
    assert_eq!(newest_paths(&found), ["a", "b"]);
}

#[tokio::test]
async fn pull_requests_of_others_do_not_count() {
    let world = World::new().await;
    world.commit("mend", true, "a");
    let head = world.push_branch();
    let mut of_a_fork = merged(&head, &world.base);
    of_a_fork["isCrossRepository"] = json!(true);
    let mut into_another_branch = pull_request("OPEN", &head);
    into_another_branch["baseRefName"] = json!("release");
    world.says(json!([of_a_fork, into_another_branch])).await;
    let found = world.commits().await;
    assert_eq!((shas(&found), found.landed, found.pull_request), (vec![], false, PullRequestStatus::None));
}

#[tokio::test]
async fn the_pull_request_of_a_run_is_found_behind_any_number_of_others() {
    let world = World::new().await;
    let own = world.commit("mend", true, "a");
    let head = world.push_branch();
    let mut of_a_fork = pull_request("OPEN", &world.base);
    of_a_fork["isCrossRepository"] = json!(true);
    for (last, found) in [(true, Ok(vec![own])), (false, Err(PortErrorKind::Invalid))] {
        world.server.reset().await;
        let page = |nodes: Value, next: Option<&str>| {
            let default = json!({ "name": "main", "target": { "oid": world.base } });
            let info = json!({ "hasNextPage": next.is_some(), "endCursor": next });
            json!({ "repository": { "defaultBranchRef": default, "pullRequests": { "nodes": nodes, "pageInfo": info } } })
        };
        let next = if last { None } else { Some("again") };
        for (after, data) in [
            ("again", page(json!([of_a_fork]), Some("again"))),
            ("second", page(json!([pull_request("OPEN", &head)]), next)),
        ] {
            let variables = json!({ "branch": run().branch(), "after": after });
            answers(&world.server, variables, data).await;
        }
        let variables = json!({ "branch": run().branch() });
        answers(&world.server, variables, page(json!([of_a_fork]), Some("second"))).await;
        let commits = world.code().run_commits(&world.range(Landing::PullRequest)).await;
        let shas = commits.map(|found| found.commits.into_iter().map(|commit| commit.sha).collect::<Vec<_>>());
        assert_eq!(shas.map_err(|error| error.kind), found);
    }
}

#[tokio::test]
async fn a_squash_is_the_newest_commit_also_when_the_branch_is_gone() {
    let world = World::new().await;
    let own = world.commit("mend", true, "a");
    world.commit("forgot the line", false, "AGENTS.md");
    let head = world.push_branch();
    let squash = world.squash_and_delete("Mend it (#7)");
    world.says(json!([merged(&head, &squash)])).await;
    let found = world.commits().await;
    assert_eq!((shas(&found), found.landed, found.pull_request), (vec![&*squash], true, PullRequestStatus::Merged));
    assert_eq!(newest_paths(&found), ["AGENTS.md", "a"], "a squash hides nothing");
    assert_eq!(found.commits[0].subject, "Mend it (#7)");
    assert!(!shas(&found).contains(&own.as_str()));
}

#[tokio::test]
async fn a_merge_brings_its_commits_and_not_what_others_did_meanwhile() {
    let world = World::new().await;
    let own = world.commit("mend", true, "a");
    let head = world.push_branch();
    world.git(&["checkout", "-q", "main"]);
    world.commit("somebody else", false, "AGENTS.md");
    world.git(&["merge", "-q", "--no-ff", "-m", "Merge pull request #7", &run().branch()]);
    world.repository.push();
    let merge = world.git(&["rev-parse", "HEAD"]);
    world.says(json!([merged(&head, &merge)])).await;
    let found = world.commits().await;
    assert_eq!((shas(&found), found.landed), (vec![&*own, &*merge], true));
    assert_eq!(newest_paths(&found), ["a"]);
}

#[tokio::test]
async fn a_rebase_hides_none_of_the_commits_before_the_last() {
    let world = World::new().await;
    world.commit("forgot the line", false, "AGENTS.md");
    world.commit("mend", true, "a");
    let head = world.push_branch();
    world.git(&["checkout", "-q", "main"]);
    world.commit("somebody else", false, "c");
    world.git(&["cherry-pick", &format!("main..{}", run().branch())]);
    world.repository.push();
    world.git(&["push", "-q", "origin", "--delete", &run().branch()]);
    let last = world.git(&["rev-parse", "HEAD"]);
    world.says(json!([merged(&head, &last)])).await;
    let found = world.commits().await;
    assert_eq!((shas(&found), found.landed), (vec![&*last], true));
    assert_eq!(newest_paths(&found), ["AGENTS.md", "a"]);
}

/// A merge queue tests pull requests on top of those before them, lands them together, and deletes the branch.
#[tokio::test]
async fn a_merge_queue_lands_the_run_behind_others_in_each_of_its_ways() {
    for way in ["merge", "squash", "rebase"] {
        let world = World::new().await;
        let first = world.commit("mend", true, "a");
        let second = world.commit("mend more", true, "b");
        let head = world.push_branch();
        world.git(&["checkout", "-q", "main"]);
        world.commit("somebody else's (#6)", false, "AGENTS.md");
        match way {
            "merge" => drop(world.git(&["merge", "-q", "--no-ff", "-m", "Merge pull request #7", &run().branch()])),
            "squash" => {
                world.git(&["merge", "-q", "--squash", &run().branch()]);
                world.git(&["commit", "-q", "-m", "Mend it (#7)"]);
            }
            _ => drop(world.git(&["cherry-pick", &format!("main..{}", run().branch())])),
        }
        let landed = world.git(&["rev-parse", "HEAD"]);
        let before = world.git(&["rev-parse", "HEAD^"]);
        world.commit("the next of the queue (#8)", false, "d");
        world.repository.push();
        world.git(&["push", "-q", "origin", "--delete", &run().branch()]);
        world.says(json!([merged(&head, &landed)])).await;

        let found = world.commits().await;

        let expected = match way {
            "merge" => vec![first, second, landed],
            "squash" => vec![landed],
            _ => vec![before, landed],
        };
        assert_eq!(shas(&found), expected, "{way}");
        assert_eq!((found.landed, found.pull_request), (true, PullRequestStatus::Merged), "{way}");
        assert_eq!(newest_paths(&found), ["a", "b"], "{way}: what others land with it is not the run's");
    }
}

/// GitHub's own text of a squash lists the messages that it stands for.
#[tokio::test]
async fn a_squash_that_keeps_the_lines_of_its_commits_is_one_commit_of_the_run() {
    let world = World::new().await;
    world.commit("mend", true, "a");
    world.commit("mend more", true, "b");
    let head = world.push_branch();
    let line = format!("AFK-Run: {}", run());
    let squash = world.squash_and_delete(&format!("Mend it (#7)\n\n* mend\n\n{line}\n\n* mend more\n\n{line}"));
    world.says(json!([merged(&head, &squash)])).await;
    let found = world.commits().await;
    assert_eq!((shas(&found), found.landed), (vec![&*squash], true));
    // With landing = push nobody asks for the pull request: the line in the message is all there is.
    let found = world.code().run_commits(&world.range(Landing::Push)).await.expect("commits");
    assert_eq!((shas(&found), found.landed), (vec![&*squash], true));
    assert_eq!(newest_paths(&found), ["a", "b"]);
}

#[tokio::test]
async fn what_was_pushed_after_a_merge_is_proposed_and_not_landed() {
    let world = World::new().await;
    world.commit("mend", true, "a");
    let head = world.push_branch();
    let squash = world.squash_and_delete(&format!("Mend it (#7)\n\nAFK-Run: {}", run()));
    world.git(&["checkout", "-q", "-B", &run().branch(), "main"]);
    let correction = world.commit("mend it again", true, "b");
    world.push_branch();
    let mut second = pull_request("OPEN", &correction);
    second["number"] = json!(8);
    world.says(json!([merged(&head, &squash), second])).await;
    let found = world.commits().await;
    assert_eq!((shas(&found), found.landed), (vec![&*squash, &*correction], false));
    assert_eq!(found.pull_request, PullRequestStatus::Open);
}

#[tokio::test]
async fn a_forced_push_takes_its_commits_with_it() {
    let world = World::new().await;
    world.commit("mend", true, "a");
    let head = world.push_branch();
    world.says(json!([pull_request("OPEN", &head)])).await;
    assert_eq!(shas(&world.commits().await), [&*head]);
    world.git(&["reset", "-q", "--hard", "main"]);
    let other = world.commit("mend it otherwise", true, "b");
    world.push_branch();
    world.says(json!([pull_request("OPEN", &other)])).await;
    assert_eq!(shas(&world.commits().await), [&*other]);
}

#[tokio::test]
async fn what_went_straight_to_the_default_branch_has_landed() {
    let world = World::new().await;
    let own = world.commit("mend", true, "a");
    world.git(&["push", "-q", "origin", "HEAD:main"]);
    world.says(json!([])).await;
    let found = world.commits().await;
    assert_eq!((shas(&found), found.landed), (vec![&*own], true));
    let found = world.code().run_commits(&world.range(Landing::Push)).await.expect("commits");
    assert_eq!((shas(&found), found.landed), (vec![&*own], true));
}

#[tokio::test]
async fn what_cannot_be_known_is_an_error_and_not_a_run_that_pushed_nothing() {
    let world = World::new().await;
    world.commit("mend", true, "a");
    let head = world.push_branch();
    let unknown = "1".repeat(40);
    for (answer, kind) in [
        (merged(&head, &unknown), PortErrorKind::Unreachable),
        (pull_request("MERGED", &head), PortErrorKind::Unreachable),
        (pull_request("OPEN", &unknown), PortErrorKind::Unreachable),
        (pull_request("OPEN", "--all"), PortErrorKind::Invalid),
        (pull_request("SOMETHING_NEW", &head), PortErrorKind::Invalid),
        (merged(&head, "--all"), PortErrorKind::Unreachable),
        (json!({ "number": 7 }), PortErrorKind::Invalid),
    ] {
        world.says(json!([answer])).await;
        let error = world.code().run_commits(&world.range(Landing::PullRequest)).await.expect_err("unknown");
        assert_eq!(error.kind, kind, "{error}");
    }
    let range = RunRange { repo: "app".to_owned(), ..world.range(Landing::PullRequest) };
    world.code().run_commits(&range).await.expect_err("GitHub knows owners");
}

#[tokio::test]
async fn a_mirror_that_is_not_behind_is_not_fetched_again() {
    let world = World::new().await;
    world.says(json!([])).await;
    assert_eq!(world.code().head("acme/app").await.expect("a head").commit, world.base);
    // Another default branch, at a commit that is known.
    git(&world.repository.path("remote.git"), &["branch", "-m", "main", "trunk"]);
    world.says_of("trunk", json!([])).await;
    assert_eq!(world.code().head("acme/app").await.expect("a head").branch, "trunk");
    // Gone from here on: whatever needs it fails.
    std::fs::rename(world.repository.path("remote.git"), world.repository.path("moved.git")).expect("moved");
    let head = world.code().head("acme/app").await.expect("a head");
    assert_eq!((head.branch.as_str(), head.commit.as_str()), ("trunk", world.base.as_str()));
    world.server.reset().await;
    world.code().head("acme/app").await.expect_err("GitHub is asked first");
}
