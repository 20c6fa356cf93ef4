//! The workflows that are given away: their scripts do what they say, and what they hold is safe to copy.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pretty_assertions::assert_eq;
use tempfile::TempDir;

const WORKFLOWS: [&str; 3] = ["github", "forgejo", "woodpecker"];

fn workflow(forge: &str) -> String {
    fs::read_to_string(support::repository().join(format!("examples/ci/{forge}/policy.yml"))).unwrap()
}

/// The scripts that call afk: the block scalars of `run:` and of `commands:`.
fn scripts(forge: &str) -> Vec<String> {
    let text = workflow(forge);
    let mut lines = text.lines().peekable();
    let mut scripts = Vec::new();
    while let Some(line) = lines.next() {
        if !line.ends_with("run: |") && !line.ends_with("- |") || line.trim_start().starts_with('#') {
            continue;
        }
        let deeper = |line: &str| line.len() - line.trim_start().len();
        let indent = lines.peek().map_or(0, |line| deeper(line));
        let mut script = String::new();
        while let Some(line) = lines.next_if(|line| line.trim().is_empty() || deeper(line) >= indent) {
            script.push_str(line.get(indent..).unwrap_or_default());
            script.push('\n');
        }
        scripts.push(script);
    }
    scripts.into_iter().filter(|script| script.lines().any(|line| line.trim_start().starts_with("afk "))).collect()
}

/// The one script that calls a subcommand.
fn script(forge: &str, subcommand: &str) -> String {
    let called = format!("afk {subcommand} ");
    let found: Vec<String> = scripts(forge).into_iter().filter(|script| script.contains(&called)).collect();
    assert!(!found.is_empty(), "{forge} never calls {called}");
    found.join("")
}

/// A clone of a repository that holds the shipped policy on `main`, as CI checks it out: on a branch of its own, with a
/// change that dispatches more.
struct Checkout {
    folder: TempDir,
}

impl Checkout {
    fn new() -> Self {
        let checkout = Self { folder: TempDir::new().unwrap() };
        fs::create_dir_all(checkout.path("ops")).unwrap();
        checkout.git("ops", &["init", "--quiet", "--bare", "--initial-branch=main", "../ops.git"]);
        checkout.git("ops", &["init", "--quiet", "--initial-branch=main"]);
        checkout.git("ops", &["remote", "add", "origin", "../ops.git"]);
        copy(&support::repository().join("policies"), &checkout.path("ops/policies"));
        checkout.commit("Begin");
        checkout.git("ops", &["push", "--quiet", "origin", "main"]);
        checkout.git("ops", &["fetch", "--quiet", "origin"]);
        checkout.git("ops", &["switch", "--quiet", "--create", "looser"]);
        let policy = checkout.path("ops/policies/afk.toml");
        let text = fs::read_to_string(&policy).unwrap();
        fs::write(&policy, text.replacen("fix_forward_attempts = 5", "fix_forward_attempts = 8", 1)).unwrap();
        checkout.commit("More corrections");
        checkout
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn commit(&self, message: &str) {
        self.git("ops", &["add", "--all"]);
        self.git("ops", &["-c", "user.name=ada", "-c", "user.email=ada@localhost", "commit", "--quiet", "-m", message]);
    }

    fn git(&self, folder: &str, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(self.path(folder))
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs a script as the forges do, with afk on the path and the variables of all three.
    fn run(&self, script: &str) -> Output {
        let mut path = PathBuf::from(env!("CARGO_BIN_EXE_afk")).parent().unwrap().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        Command::new("bash")
            .args(["--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script])
            .current_dir(self.path("ops"))
            .env_clear()
            .env("PATH", path)
            .envs([("BASE", "main"), ("CI_COMMIT_TARGET_BRANCH", "main"), ("GIT_CONFIG_GLOBAL", "/dev/null")])
            .env("GITHUB_STEP_SUMMARY", self.path("summary.md"))
            .envs([("GIT_COMMITTER_NAME", "afk"), ("GIT_COMMITTER_EMAIL", "afk@localhost")])
            .envs([("GIT_AUTHOR_NAME", "afk"), ("GIT_AUTHOR_EMAIL", "afk@localhost")])
            .output()
            .unwrap()
    }

    fn succeeds(&self, script: &str) {
        let output = self.run(script);
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(output.status.code(), Some(0), "{script}\n{}{}", said(&output.stdout), said(&output.stderr));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(path, target).unwrap();
        }
    }
}

#[test]
fn every_workflow_checks_tests_and_compares() {
    for forge in WORKFLOWS {
        for subcommand in ["check-policy", "test-policy", "diff-policy"] {
            script(forge, subcommand);
        }
        assert!(workflow(forge).contains("<!-- afk-diff-policy: policies/afk.toml -->"), "{forge}: no marker");
    }
}

#[test]
fn the_check_of_each_workflow_passes_a_good_policy_and_fails_a_broken_one() {
    // The formats of GitHub are in a test of their own.
    for forge in ["forgejo", "woodpecker"] {
        let checkout = Checkout::new();
        checkout.succeeds(&script(forge, "check-policy"));
        fs::write(checkout.path("ops/policies/afk.toml"), "version = 1\n").unwrap();
        assert_eq!(checkout.run(&script(forge, "check-policy")).status.code(), Some(1), "{forge}");
    }
}

#[test]
fn the_check_on_github_annotates_and_writes_what_code_scanning_reads() {
    let checkout = Checkout::new();
    checkout.succeeds(&script("github", "check-policy"));
    fs::write(checkout.path("ops/policies/afk.toml"), "version = 1\n").unwrap();
    let checks: Vec<String> =
        scripts("github").into_iter().filter(|script| script.contains("afk check-policy")).collect();
    assert_eq!(checkout.run(&checks[0]).status.code(), Some(1));
    // Findings are no reason for the second step to fail: they are what it is there for.
    checkout.succeeds(&checks[1]);
    let sarif = fs::read_to_string(checkout.path("ops/policy.sarif")).unwrap();
    let sarif: serde_json::Value = serde_json::from_str(&sarif).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
}

#[test]
fn the_tests_of_each_workflow_pass_the_shipped_policy_and_fail_one_that_no_longer_does_what_they_say() {
    for forge in WORKFLOWS {
        let checkout = Checkout::new();
        // Another limit is what the first part of a policy is for; another gate is another policy.
        checkout.succeeds(&script(forge, "test-policy"));
        let policy = checkout.path("ops/policies/afk.toml");
        let text = fs::read_to_string(&policy).unwrap();
        fs::write(&policy, text.replacen("trusted = true", "trusted = false", 1)).unwrap();
        assert_eq!(checkout.run(&script(forge, "test-policy")).status.code(), Some(1), "{forge}");
    }
}

#[test]
fn the_diff_of_each_workflow_is_a_comment_that_is_found_again() {
    for forge in WORKFLOWS {
        let checkout = Checkout::new();
        let comment = || fs::read_to_string(checkout.path("ops/comment.md")).unwrap();

        checkout.succeeds(&script(forge, "diff-policy"));

        assert!(comment().starts_with("<!-- afk-diff-policy: policies/afk.toml -->\n"), "{forge}: {}", comment());
        assert!(comment().contains('8') && !comment().contains("**Today**"), "{forge}: {}", comment());
        if forge == "github" {
            assert!(fs::read_to_string(checkout.path("summary.md")).unwrap().contains(&comment()));
        }

        // The first policy of a repository has nothing to be compared with but the one that ships.
        checkout.git("ops", &["update-ref", "-d", "refs/remotes/origin/main"]);
        checkout.git("ops.git", &["branch", "--quiet", "--move", "main", "another"]);
        checkout.git("ops.git", &["branch", "--quiet", "main", &empty_commit(&checkout)]);
        checkout.succeeds(&script(forge, "diff-policy"));
        assert!(comment().starts_with("<!-- afk-diff-policy: "), "{forge}: {}", comment());
    }
}

#[test]
fn whatever_is_wrong_with_the_policy_is_a_comment_too() {
    for forge in WORKFLOWS {
        let checkout = Checkout::new();
        let policy = checkout.path("ops/policies/afk.toml");
        let good = fs::read_to_string(&policy).unwrap();
        let comment_on = |before: &str, after: &str| {
            assert!(good.contains(before));
            fs::write(&policy, good.replacen(before, after, 1)).unwrap();
            let code = checkout.run(&script(forge, "diff-policy")).status.code();
            let comment = fs::read_to_string(checkout.path("ops/comment.md")).unwrap();
            assert!(comment.starts_with("<!-- afk-diff-policy: policies/afk.toml -->\n"), "{forge}: {comment}");
            (code, comment)
        };

        // Only a proof fails: the check is red for it, and the comment shows what changes.
        let (code, comment) =
            comment_on("require = { open_blockers = { empty = true } }", "require = { priority = { gte = 0 } }");
        assert_eq!(code, Some(0), "{forge}: {comment}");
        assert!(comment.contains("broken: blocked-dispatch"), "{comment}");

        // It cannot be read: nothing of it stands in the comment but as it is.
        let (code, comment) = comment_on("trusted = true", "<b>trusted</b> = true");
        assert_eq!(code, Some(0), "{forge}: {comment}");
        assert!(comment.contains("the new policy cannot be used"), "{forge}: {comment}");
        assert!(comment.contains("trusted") && !comment.contains("<b>"), "{forge}: {comment}");
    }
}

#[test]
fn a_comparison_that_could_not_run_is_a_comment_and_fails() {
    for forge in WORKFLOWS {
        let checkout = Checkout::new();
        fs::write(checkout.path("ops/comment.md"), "<!-- afk-diff-policy: forged -->\n").unwrap();
        let script = script(forge, "diff-policy").replace("policies/afk.toml --format", "nowhere:afk.toml --format");
        assert_eq!(checkout.run(&script).status.code(), Some(4), "{forge}");
        let comment = fs::read_to_string(checkout.path("ops/comment.md")).unwrap();
        assert!(comment.starts_with("<!-- afk-diff-policy: policies/afk.toml -->\n### Policy change: the comparison "));
        assert!(comment.contains("    error: git knows no revision `nowhere`"), "{forge}: {comment}");
    }
}

#[test]
fn a_comment_is_written_after_a_failure_too() {
    for (forge, condition) in [
        ("github", "if: >-\n      ${{ !cancelled() && github.event.pull_request.head"),
        ("forgejo", "if: >-\n          ${{ !cancelled()\n          && github.event.pull_request.head"),
        ("woodpecker", "status: [success, failure]"),
    ] {
        assert!(workflow(forge).contains(condition), "{forge}");
        assert!(workflow(forge).contains("\"afk.settings.toml\""), "{forge}: the settings are checked, too");
    }
}

#[test]
fn a_snapshot_that_a_poller_uploaded_is_compared_over() {
    for forge in WORKFLOWS {
        let checkout = Checkout::new();
        upload(&checkout);
        checkout.git("ops", &["fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*"]);
        checkout.succeeds(&script(forge, "diff-policy"));
        let comment = fs::read_to_string(checkout.path("ops/comment.md")).unwrap();
        assert!(comment.contains("**Today**"), "{forge}: {comment}");
    }
}

#[test]
fn the_snapshot_is_the_only_commit_of_its_branch_however_often_it_is_uploaded() {
    let checkout = Checkout::new();
    upload(&checkout);
    upload(&checkout);
    assert_eq!(checkout.git("ops.git", &["rev-list", "--count", "afk-snapshot"]), "1");
    assert_eq!(checkout.git("ops.git", &["ls-tree", "--name-only", "afk-snapshot"]), "snapshot.json");
    let snapshot = checkout.git("ops.git", &["show", "afk-snapshot:snapshot.json"]);
    let snapshot: serde_json::Value = serde_json::from_str(&snapshot).unwrap();
    assert_eq!(snapshot["dry_run"], true);
}

#[test]
fn a_snapshot_of_a_part_is_uploaded_and_one_of_nothing_is_not() {
    let checkout = Checkout::new();
    let uploaded = |answer: &str, code: i32| {
        let program = checkout.path("bin/afk");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::write(&program, format!("#!/bin/sh\nprintf '%s\\n' '{answer}'\nexit {code}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let script = support::repository().join("examples/ci/upload-snapshot.sh");
        let run = format!("PATH='{}':\"$PATH\" sh '{}'", checkout.path("bin").display(), script.display());
        let code = checkout.run(&run).status.code();
        (code, checkout.git("ops.git", &["for-each-ref", "--format=%(objectname)", "refs/heads/afk-snapshot"]))
    };
    assert_eq!(uploaded("", 4), (Some(4), String::new()));
    assert_eq!(uploaded("{ \"switched_off\": \"kill_switch is true\" }", 0), (Some(0), String::new()));
    let (code, first) = uploaded("{ \"dry_run\": true, \"errors\": [{}] }", 3);
    assert!(code == Some(0) && !first.is_empty());
    assert_eq!(uploaded("{ \"switched_off\": \"kill_switch is true\" }", 0), (Some(0), first.clone()));
    assert_eq!(uploaded("{}", 1), (Some(1), first.clone()));
    // A label may be called so.
    let (code, second) = uploaded("{ \"labels\": [\"switched_off\"] }", 0);
    assert!(code == Some(0) && second != first);
}

/// As a poller does, over an installation of its own.
fn upload(checkout: &Checkout) {
    let settings = checkout.path("afk.settings.toml");
    let text = "data = \"data\"\n[tracker]\nkind = \"local\"\n[repos.app]\nissues = \"issues\"\ngit = \"ops.git\"\n\
                [executors.t3]\nkind = \"command\"\nstart = [\"true\"]\nresume = [\"true\"]\n\
                [doorbells.terminal]\nkind = \"terminal\"\n";
    fs::write(&settings, text).unwrap();
    fs::create_dir_all(checkout.path("issues")).unwrap();
    let policy = fs::read_to_string(checkout.path("ops/policies/afk.toml")).unwrap();
    let policy = policy.replacen("kill_switch = true ", "kill_switch = false", 1);
    let policy = policy.replacen("allowlist   = []", "allowlist   = [\"app\"]", 1);
    copy(&checkout.path("ops/policies"), &checkout.path("policies"));
    fs::write(checkout.path("policies/afk.toml"), policy).unwrap();
    let script = support::repository().join("examples/ci/upload-snapshot.sh");
    checkout.succeeds(&format!(
        "export AFK_SETTINGS='{}' AFK_POLICY='{}'\nsh '{}'",
        settings.display(),
        checkout.path("policies/afk.toml").display(),
        script.display()
    ));
}

fn empty_commit(checkout: &Checkout) -> String {
    let tree = checkout.git("ops.git", &["hash-object", "-t", "tree", "-w", "/dev/null"]);
    let arguments = ["-c", "user.name=ada", "-c", "user.email=ada@localhost", "commit-tree", "-m", "Empty", &tree];
    checkout.git("ops.git", &arguments)
}

#[test]
fn strangers_get_no_secret_no_writing_token_and_no_word_in_a_script() {
    for forge in WORKFLOWS {
        let text = workflow(forge);
        let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        for forbidden in ["pull_request_target", "secrets.", "from_secret", "--live", "write-all"] {
            assert!(!code.iter().any(|line| line.contains(forbidden)), "{forge}: {forbidden}");
        }
        for line in code.iter().filter(|line| line.contains("${{")) {
            let line = line.trim();
            let whole = ["if: ", "BASE: ", "NUMBER: ", "GH_TOKEN: ", "TOKEN: ", "group: ", "${{ !cancelled()"];
            assert!(whole.iter().any(|start| line.starts_with(start)), "{forge}: an expression in `{line}`");
        }
        for line in code.iter().filter_map(|line| line.trim().strip_prefix("- uses: ")) {
            let (_, pin) = line.split_once('@').expect("a pin");
            let (commit, tag) = pin.split_once(" # v").expect("the tag of the pin");
            assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{forge}: {line}");
            assert!(!tag.is_empty(), "{forge}: {line}");
        }
    }
    let github = workflow("github");
    assert!(github.contains("\npermissions: {}\n"));
    let (judge, others) = github.split_once("\n  comment:\n").expect("a job that comments");
    assert!(!judge.contains(": write"), "the job that reads the pull request writes nothing");
    let comment = others.split("\n  code-scanning:\n").next().unwrap();
    assert!(!comment.contains("checkout"), "the job that can write comments checks nothing out");
}
