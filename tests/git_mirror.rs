//! The git mirrors over real git.

#[path = "support/git.rs"]
mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use afk::adapters::git::{GitMirrors, directory_name};
use afk::engine::identity::RunId;
use afk::policy::Landing;
use afk::ports::{Code, PortErrorKind, RunRange};
use pretty_assertions::assert_eq;
use support::{Repository, git};

fn run(number: u32) -> RunId {
    RunId::of_arming(&number.to_string())
}

fn mirrors(repository: &Repository) -> GitMirrors {
    GitMirrors::new(repository.path("mirrors"), BTreeMap::from([("acme/app".to_owned(), repository.remote())]))
}

fn range(base: Option<&str>) -> RunRange {
    RunRange {
        repo: "acme/app".to_owned(),
        number: 7,
        run: run(1),
        base: base.map(str::to_owned),
        landing: Landing::Push,
    }
}

fn shas(found: &afk::ports::RunCommits) -> Vec<&str> {
    found.commits.iter().map(|commit| commit.sha.as_str()).collect()
}

/// A script that leaves a trace when it is run.
fn trap(path: &Path, canary: &Path) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    std::fs::write(path, format!("#!/bin/sh\ntouch '{}'\n", canary.display())).expect("a script");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("permissions");
}

#[tokio::test]
async fn the_head_is_read_afresh() {
    let repository = Repository::new();
    let mirrors = mirrors(&repository);
    let first = mirrors.head("Acme/App").await.expect("a head");
    assert_eq!(first.branch, "main");
    assert_eq!(first.commit, git(&repository.work(), &["rev-parse", "HEAD"]));
    let second = repository.commit("second", &[]);
    repository.push();
    assert_eq!(mirrors.head("acme/app").await.expect("a head").commit, second);
    git(&repository.path("remote.git"), &["branch", "-m", "main", "trunk"]);
    assert_eq!(mirrors.head("acme/app").await.expect("a head").branch, "trunk");
}

#[tokio::test]
async fn an_empty_or_missing_remote_is_said_plainly() {
    let repository = Repository::new();
    git(repository.directory.path(), &["init", "-q", "--bare", "empty.git"]);
    let remotes = [
        ("empty".to_owned(), repository.path("empty.git").display().to_string()),
        ("missing".to_owned(), "https://user:hunter2@localhost:1/x.git".to_owned()),
        ("evil".to_owned(), "ext::sh -c touch% /tmp/afk-evil".to_owned()),
        ("dashed".to_owned(), "--upload-pack=touch /tmp/afk-evil".to_owned()),
    ];
    let mirrors = GitMirrors::new(repository.path("mirrors"), BTreeMap::from(remotes));
    let error = mirrors.head("empty").await.expect_err("empty");
    assert!(error.message.contains("push a first commit"), "{error}");
    let error = mirrors.head("missing").await.expect_err("missing");
    assert_eq!(error.kind, PortErrorKind::Unreachable);
    assert!(!error.message.contains("hunter2"), "{error}");
    mirrors.head("evil").await.expect_err("never a command");
    mirrors.head("dashed").await.expect_err("never an option");
    assert!(!Path::new("/tmp/afk-evil").exists());
    assert_eq!(mirrors.head("other").await.expect_err("unknown").kind, PortErrorKind::NotFound);
}

#[tokio::test]
async fn commits_of_a_run_are_found_by_the_line_alone() {
    let repository = Repository::new();
    let mirrors = mirrors(&repository);
    let before = repository.commit(&format!("too early\n\nAFK-Run: {}\n", run(1)), &[]);
    let line = format!("AFK-Run: {}", run(1));
    let at_the_end = repository.commit(&format!("Fix it\n\nWhy: because\n{line}\n"), &[("a", "1")]);
    let in_the_middle = repository.commit(&format!("Fix more\n\n{line}\n\nand a last word\n"), &[("b", "1")]);
    for (message, file) in [
        (format!("Another run\n\nAFK-Run: {}\n", run(2)), "c"),
        (format!("Quoted\n\n> {line}\n"), "d"),
        (format!("Lower case\n\nafk-run: {}\n", run(1)), "e"),
        (format!("Longer\n\n{line}0\n"), "f"),
        (format!("Inline, see {line}\n"), "g"),
    ] {
        repository.commit(&message, &[(file, "1")]);
    }
    git(
        &repository.work(),
        &["commit", "-q", "--allow-empty", "--date=1999-01-01T00:00:00Z", "-m", &format!("Old clock\n\n{line}")],
    );
    let old_clock = git(&repository.work(), &["rev-parse", "HEAD"]);
    repository.push();
    let found = mirrors.run_commits(&range(Some(&before))).await.expect("readable");
    assert_eq!(shas(&found), [&at_the_end, &in_the_middle, &old_clock]);
    assert!(found.landed);
    assert_eq!(found.commits[0].subject, "Fix it");
    assert_eq!(found.commits[0].paths, ["a"]);
    let nothing = RunRange { run: run(3), ..range(Some(&before)) };
    let found = mirrors.run_commits(&nothing).await.expect("readable");
    assert_eq!((found.commits.len(), found.landed), (0, false));
}

#[tokio::test]
async fn a_commit_on_another_branch_is_not_the_runs_yet() {
    let repository = Repository::new();
    let base = git(&repository.work(), &["rev-parse", "HEAD"]);
    git(&repository.work(), &["checkout", "-q", "-b", "side"]);
    let on_side = repository.commit(&format!("On a branch\n\nAFK-Run: {}", run(1)), &[("x", "1")]);
    git(&repository.work(), &["push", "-q", "origin", "side"]);
    let mirrors = mirrors(&repository);
    assert_eq!(mirrors.run_commits(&range(Some(&base))).await.expect("readable").commits, []);
    assert!(mirrors.has("acme/app", &on_side).await.expect("readable"), "and yet mirrored");
    git(&repository.work(), &["checkout", "-q", "main"]);
    git(&repository.work(), &["merge", "-q", "--no-ff", "-m", "Merge", "side"]);
    repository.push();
    let found = mirrors.run_commits(&range(Some(&base))).await.expect("readable");
    assert_eq!((shas(&found), found.landed), (vec![on_side.as_str()], true));
}

#[tokio::test]
async fn every_path_a_run_changes_is_told() {
    let repository = Repository::new();
    let base =
        repository.commit("before", &[("old name", "a long enough text\nto be a rename\n"), ("x", "1"), ("gone", "1")]);
    let line = format!("\n\nAFK-Run: {}", run(1));
    git(&repository.work(), &["mv", "old name", "new name"]);
    std::fs::remove_file(repository.work().join("gone")).expect("removed");
    let hash_name = "0123456789012345678901234567890123456789";
    repository.commit(
        &format!("rename{line}"),
        &[("with\nnewline", "1"), ("dir/ümlaut\t\"", "1"), (hash_name, "1"), (":100644", "1")],
    );
    git(&repository.work(), &["checkout", "-q", "-b", "side", &base]);
    repository.commit("side", &[("x", "side")]);
    git(&repository.work(), &["checkout", "-q", "main"]);
    repository.commit("main", &[("x", "main")]);
    // An evil merge: it changes a path that neither parent did.
    let _ = std::process::Command::new("git")
        .current_dir(repository.work())
        .args(["merge", "-q", "--no-commit", "side"])
        .output();
    repository.commit(&format!("merge{line}"), &[("x", "both"), (".github/evil.yml", "1")]);
    repository.push();
    let found = mirrors(&repository).run_commits(&range(Some(&base))).await.expect("readable");
    assert_eq!(found.commits.len(), 2);
    assert_eq!(
        found.commits[0].paths,
        [hash_name, ":100644", "dir/ümlaut\t\"", "gone", "new name", "old name", "with\nnewline"]
    );
    assert!(found.commits[1].paths.contains(&".github/evil.yml".to_owned()), "{:?}", found.commits[1].paths);
    assert!(found.commits[1].paths.contains(&"x".to_owned()));
}

#[tokio::test]
async fn a_root_commit_counts_all_its_files() {
    let repository = Repository::new();
    git(&repository.work(), &["checkout", "-q", "--orphan", "fresh"]);
    let root = repository.commit(&format!("All new\n\nAFK-Run: {}", run(1)), &[("only", "1")]);
    repository.push();
    let found = mirrors(&repository).run_commits(&range(None)).await.expect("readable");
    assert_eq!(shas(&found), [root.as_str()]);
    assert_eq!(found.commits[0].paths, ["README.md", "only"]);
}

#[tokio::test]
async fn messages_made_to_confuse_stay_one_commit_each() {
    let repository = Repository::new();
    let base = git(&repository.work(), &["rev-parse", "HEAD"]);
    let line = format!("AFK-Run: {}", run(1));
    let escape = repository.commit(&format!("\u{1b}[2Jclear\u{202e}\n\n{line}"), &[]);
    let crlf = repository.commit(&format!("Windows\r\n\r\n{line}\r\n"), &[]);
    let forged = repository.commit(&format!("Two runs\n\nAFK-Run: {}\n{line}", run(2)), &[]);
    // A message with a NUL in it cannot be made with `git commit`.
    let tree = git(&repository.work(), &["rev-parse", "HEAD^{tree}"]);
    let raw = format!(
        "tree {tree}\nparent {forged}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 99999999999 +0000\n\n\
         subject\0{base}\0{}\0{line}\n",
        0
    );
    std::fs::write(repository.path("raw"), raw).expect("a file");
    let nul = git(&repository.work(), &["hash-object", "-t", "commit", "-w", "--literally", "../raw"]);
    git(&repository.work(), &["reset", "-q", "--hard", &nul]);
    repository.push();
    let found = mirrors(&repository).run_commits(&range(Some(&base))).await.expect("readable");
    assert_eq!(&shas(&found)[..3], [escape.as_str(), crlf.as_str(), forged.as_str()]);
    assert!(shas(&found)[3..].iter().all(|sha| *sha == nul));
    assert_eq!(found.commits[0].subject, "clear");
}

#[tokio::test]
async fn mentions_are_named_and_never_counted() {
    let repository = Repository::new();
    repository.commit("Before, #7", &[]);
    let base = git(&repository.work(), &["rev-parse", "HEAD"]);
    repository.commit(&format!("Own, #7\n\nAFK-Run: {}", run(1)), &[]);
    let plain = repository.commit("Closes #7.", &[]);
    let other = repository.commit(&format!("(#7)\n\nAFK-Run: {}", run(2)), &[]);
    repository.commit("#70, acme/lib#7, x#7", &[]);
    repository.push();
    let mirrors = mirrors(&repository);
    let found = mirrors.run_commits(&range(Some(&base))).await.expect("readable");
    assert_eq!((found.commits.len(), found.mentions), (1, vec![other, plain]));
    for _ in 0..30 {
        repository.commit("#7 again", &[]);
    }
    repository.push();
    assert_eq!(mirrors.run_commits(&range(Some(&base))).await.expect("readable").mentions.len(), 20);
}

#[tokio::test]
async fn one_repository_that_cannot_be_read_does_not_hold_back_the_others() {
    let repository = Repository::new();
    let base = git(&repository.work(), &["rev-parse", "HEAD"]);
    let landed = repository.commit(&format!("Mend it\n\nAFK-Run: {}", run(1)), &[]);
    repository.push();
    let mirrors = mirrors(&repository);
    let stranger = RunRange { repo: "acme/other".to_owned(), run: run(2), ..range(Some(&base)) };
    mirrors.expect(&[stranger.clone(), range(Some(&base))]).await.expect("nothing is lost");
    mirrors.run_commits(&stranger).await.expect_err("the settings do not have it");
    assert_eq!(shas(&mirrors.run_commits(&range(Some(&base))).await.expect("readable")), [landed]);
}

#[tokio::test]
async fn a_lost_or_rewritten_base_still_finds_the_run() {
    let repository = Repository::new();
    let line = format!("AFK-Run: {}", run(1));
    let gone = repository.commit("soon gone", &[("x", "1")]);
    repository.push();
    let mirrors = mirrors(&repository);
    mirrors.head("acme/app").await.expect("mirrored");
    git(&repository.work(), &["reset", "-q", "--hard", "HEAD~1"]);
    let landed = repository.commit(&format!("After the force push #7\n\n{line}"), &[("y", "1")]);
    repository.push();
    for base in [Some(gone.as_str()), Some(&"0".repeat(40)), Some("--all"), Some("main"), None] {
        let found = mirrors.run_commits(&range(base)).await.expect("readable");
        assert_eq!(shas(&found), [landed.as_str()], "{base:?}");
    }
    let elsewhere =
        GitMirrors::new(repository.path("new"), BTreeMap::from([("acme/app".to_owned(), repository.remote())]));
    assert_eq!(shas(&elsewhere.run_commits(&range(Some(&gone))).await.expect("readable")), [landed.as_str()]);
}

#[tokio::test]
async fn pull_requests_are_refused_with_a_reason() {
    let repository = Repository::new();
    let range = RunRange { landing: Landing::PullRequest, ..range(None) };
    let error = mirrors(&repository).run_commits(&range).await.expect_err("refused");
    assert_eq!(error.kind, PortErrorKind::Refused);
    assert!(error.message.contains("git alone knows no pull requests"), "{error}");
}

#[tokio::test]
async fn a_clone_has_objects_of_its_own_and_the_real_remote() {
    let repository = Repository::new();
    let mirrors = mirrors(&repository);
    let clone = repository.path("clone");
    mirrors.fresh_clone("acme/app", "main", &clone).await.expect("cloned");
    assert_eq!(git(&clone, &["remote", "get-url", "origin"]), repository.remote());
    assert_eq!(git(&clone, &["status", "-sb"]), "## main...origin/main");
    assert!(!clone.join(".git/objects/info/alternates").exists());
    std::fs::remove_dir_all(repository.path("mirrors")).expect("removed");
    git(&clone, &["fsck", "--full"]);
    std::fs::write(clone.join("new"), "1").expect("a file");
    git(&clone, &["add", "-A"]);
    git(&clone, &["commit", "-q", "-m", "by the agent"]);
    git(&clone, &["push", "-q"]);
    let commit = git(&clone, &["rev-parse", "HEAD"]);
    let at_commit = repository.path("at-commit");
    mirrors.fresh_clone("acme/app", &commit, &at_commit).await.expect("fetched and cloned");
    assert_eq!(git(&at_commit, &["rev-parse", "HEAD"]), commit);
    let error = mirrors.fresh_clone("acme/app", &"0".repeat(40), &repository.path("x")).await.expect_err("no commit");
    assert_eq!(error.kind, PortErrorKind::NotFound);
    let error = mirrors.fresh_clone("acme/app", "nope", &repository.path("y")).await.expect_err("no branch");
    assert_eq!(error.kind, PortErrorKind::NotFound);
}

#[tokio::test]
async fn a_mirror_made_by_half_is_mended() {
    let repository = Repository::new();
    let mirror = mirrors(&repository).clone_source("acme/app").expect("known").mirror;
    std::fs::create_dir_all(mirror.join("objects")).expect("a folder");
    mirrors(&repository).head("acme/app").await.expect("mended");
}

#[tokio::test]
async fn nothing_that_an_agent_or_a_remote_left_behind_runs_in_afk() {
    let repository = Repository::new();
    let canary = repository.path("canary");
    let script = repository.path("trap.sh");
    trap(&script, &canary);
    let script = script.display().to_string();
    let mirrors = mirrors(&repository);
    let clone = repository.path("clone");
    let base = mirrors.head("acme/app").await.expect("a head").commit;
    mirrors.fresh_clone("acme/app", "main", &clone).await.expect("cloned");
    repository.commit(
        &format!("x\n\nAFK-Run: {}", run(1)),
        &[
            (".gitattributes", "* filter=evil diff=evil\n"),
            ("f", "1"),
            (".gitmodules", "[submodule \"s\"]\n\tpath = s\n\turl = ext::sh\n\tupdate = !touch canary\n"),
        ],
    );
    repository.push();
    // What an agent can reach: its clone, and the remote where that is a directory of this machine.
    for hook in ["post-checkout", "post-merge", "reference-transaction", "post-upload-pack", "pre-auto-gc"] {
        trap(&clone.join(".git/hooks").join(hook), &canary);
        trap(&repository.path("remote.git/hooks").join(hook), &canary);
    }
    for directory in [clone.clone(), repository.path("remote.git")] {
        for key in [
            "core.fsmonitor",
            "core.sshCommand",
            "core.pager",
            "core.editor",
            "diff.external",
            "uploadpack.packObjectsHook",
            "core.alternateRefsCommand",
            "credential.helper",
            "filter.evil.smudge",
            "core.gitProxy",
            "gpg.program",
        ] {
            git(&directory, &["config", key, &script]);
        }
        git(&directory, &["config", "log.showSignature", "true"]);
    }
    assert!(!canary.exists(), "the test itself must not spring the trap");
    let found = mirrors.run_commits(&range(Some(&base))).await.expect("readable");
    assert_eq!(found.commits.len(), 1);
    mirrors.fresh_clone("acme/app", "main", &repository.path("second")).await.expect("cloned");
    assert!(!canary.exists(), "something ran");
    // The trap works: a git that is not careful springs it.
    git(&clone, &["-c", "core.hooksPath=.git/hooks", "checkout", "-q", "-b", "other"]);
    assert!(canary.exists());
}

#[tokio::test]
async fn even_a_mirror_that_was_tampered_with_runs_nothing() {
    let repository = Repository::new();
    let canary = repository.path("canary");
    let mirrors = mirrors(&repository);
    mirrors.head("acme/app").await.expect("a head");
    let mirror = mirrors.clone_source("acme/app").expect("known").mirror;
    for hook in ["reference-transaction", "post-checkout", "pre-auto-gc"] {
        trap(&mirror.join("hooks").join(hook), &canary);
    }
    git(&mirror, &["config", "protocol.ext.allow", "always"]);
    repository.commit("more", &[]);
    repository.push();
    mirrors.head("acme/app").await.expect("fetched");
    mirrors.fresh_clone("acme/app", "main", &repository.path("clone")).await.expect("cloned");
    let command = format!("ext::sh -c touch% {}", canary.display());
    let evil = GitMirrors::new(repository.path("mirrors"), BTreeMap::from([("acme/app".to_owned(), command)]));
    evil.head("acme/app").await.expect_err("never a command");
    assert!(!canary.exists(), "something ran");
}

#[test]
fn directories_of_repositories_never_meet() {
    assert_eq!(directory_name("Acme/App.js").as_deref(), Ok("acme+app.js"));
    assert_eq!(directory_name("app").as_deref(), Ok("app"));
    for name in ["../x", "a/../b", "a/b/c", "", "a/", "/a", "a b", "acme/*", "a+b", "a/.."] {
        assert!(directory_name(name).is_err(), "{name}");
    }
}
