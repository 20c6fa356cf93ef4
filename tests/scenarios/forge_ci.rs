//! What only a forge has: its own checks, and pull requests.

use pretty_assertions::assert_eq;

use super::Installation;
use crate::github_fake::Pull;
use crate::installation::{REPO, git};

const BY_CHECKS: [(&str, &str); 1] =
    [("source  = \"command\"\ncommand = \"test\"", "source  = \"checks\"\nrequire = [\"test\"]")];
const BY_PULL_REQUEST: [(&str, &str); 1] = [("landing      = \"push\"", "landing      = \"pull_request\"")];

/// The newest commit of a branch.
fn head(afk: &Installation, branch: &str) -> String {
    git(&afk.path(format!("{REPO}.git")), &["rev-parse", branch]).trim().to_owned()
}

fn check(afk: &Installation, commit: &str, status: &str, conclusion: Option<&str>) {
    afk.forge.fake.state().check_run(0, commit, "test", status, conclusion);
}

/// Opens pull request 9 from the branch of the run, in the agent's stead.
fn open_pull_request(afk: &Installation, run: &str, merged: Option<&str>) {
    let mut state = afk.forge.fake.state();
    let branch = format!("afk/{run}");
    let head_sha = head(afk, &branch);
    let merged = merged.map(|commit| (state.now(), commit.to_owned()));
    let pull = Pull { head: branch, head_sha, base: "main".to_owned(), draft: false, merged, fork: None };
    state.open_pull(0, 9, "agent", "Greet people by name", pull);
}

#[test]
fn a_run_is_judged_by_the_checks_of_the_forge() {
    let afk = Installation::armed().agent("right").policy(&BY_CHECKS);
    afk.dispatch();
    afk.wait_until_quiet();
    let commit = head(&afk, "main");
    check(&afk, &commit, "in_progress", None);
    let issue = afk.watch_until_state("verifying");
    assert!(issue.progress()[0].body.contains("pending: waits for 'test'"), "{issue:#?}");
    check(&afk, &commit, "completed", Some("failure"));
    let issue = afk.watch_until_state("fixing");
    assert_eq!(issue.attempts(), 1);
    afk.wait_until_quiet();
    check(&afk, &head(&afk, "main"), "completed", Some("success"));
    assert_eq!(afk.watch_until_over().state().as_deref(), Some("done"));
}

#[test]
fn a_green_pull_request_is_handed_over() {
    let afk = Installation::armed().agent("proposes").policy(&BY_CHECKS).policy(&BY_PULL_REQUEST);
    afk.dispatch();
    afk.wait_until_quiet();
    let run = afk.agent_of_run().run;
    let commit = head(&afk, &format!("afk/{run}"));
    open_pull_request(&afk, &run, None);
    check(&afk, &commit, "completed", Some("success"));
    let issue = afk.watch_until_over();
    assert_eq!(issue.state().as_deref(), Some("in-review"));
    assert!(issue.open, "nothing has landed");
    let explained = afk.afk(&["explain", "--issue", &afk.reference(1)]);
    let said = "IN-REVIEW: Pull request is green and ready for review (the pull request is green). The run ended";
    assert!(explained.stdout.contains(said), "{explained}");
    let url = format!("{}/acme/greeter/pull/9", afk.forge.fake.uri());
    assert!(issue.progress()[0].body.contains(&format!("| Pull request | open, {url} |")), "{issue:#?}");
    assert_eq!(afk.rings("in-review"), 1);
}

#[test]
fn a_squash_of_the_pull_request_is_what_has_to_be_green() {
    let afk = Installation::armed().agent("proposes").policy(&BY_CHECKS).policy(&BY_PULL_REQUEST);
    afk.dispatch();
    afk.wait_until_quiet();
    let run = afk.agent_of_run().run;
    let branch = format!("afk/{run}");
    let work = afk.path("merging");
    git(&afk.root(), &["clone", "--quiet", &format!("{REPO}.git"), "merging"]);
    git(&work, &["merge", "--quiet", "--squash", &format!("origin/{branch}")]);
    git(&work, &["-c", "user.name=ada", "-c", "user.email=ada@localhost", "commit", "--quiet", "-m", "Greet (#9)"]);
    git(&work, &["push", "--quiet", "origin", "main"]);
    let squash = head(&afk, "main");
    open_pull_request(&afk, &run, Some(&squash));
    git(&work, &["push", "--quiet", "origin", "--delete", &branch]);
    check(&afk, &squash, "completed", Some("success"));
    let issue = afk.watch_until_over();
    assert_eq!((issue.state().as_deref(), issue.open), (Some("done"), false));
}

#[test]
fn a_push_that_no_workflow_runs_for_is_explained_while_there_is_time() {
    let afk = Installation::armed().agent("right").policy(&BY_CHECKS);
    afk.dispatch();
    afk.wait_until_quiet();
    afk.watch_until_state("verifying");
    let explained = afk.afk(&["explain", "--issue", &afk.reference(1)]);
    let note = format!(
        "note: No check reports on `{}`. If it stays so: let CI run on pushes to main; where it runs on pull requests only, \
         set `landing = \"pull_request\"` under [agent] of the policy",
        &head(&afk, "main")[..7]
    );
    assert!(explained.stdout.contains(&note), "{explained}");
    let commit = head(&afk, "main");
    check(&afk, &commit, "queued", None);
    let explained = afk.afk(&["explain", "--issue", &afk.reference(1)]);
    assert!(!explained.stdout.contains("No check reports on"), "{explained}");
}
