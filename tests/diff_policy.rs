//! `afk diff-policy`: where policies come from, how the difference is written, and how it ends.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;
use pretty_assertions::assert_eq;
use serde_json::json;
use support::{Ran, Test};

const ENROLL: (&str, &str) = ("allowlist   = []", "allowlist   = [\"acme/site\"]");
const TURNS: (&str, &str) = ("fix_forward_attempts = 5", "fix_forward_attempts = 8");
const TEXT: (&str, &str) = ("\"[FROZEN] {ref}: {reason}\"", "\"[ICE] {ref}: {reason}\"");

fn diff(test: Test, arguments: &[&str]) -> Ran {
    test.args(std::iter::once("diff-policy").chain(arguments.iter().copied())).run()
}

#[test]
fn a_change_is_told_with_its_line_and_its_smallest_example() {
    let ran = diff(Test::new().shipped_policy(&[ENROLL, TURNS, TEXT]), &["builtin:standard"]);
    assert_eq!(ran.code, 0);
    let shown = ran.stdout.lines().map(|line| line.split(" → ").next().unwrap()).collect::<Vec<_>>();
    assert_eq!(shown[0], "LOOSER   issues in `acme/site` may be dispatched  policies/afk.toml:9");
    assert!(ran.stdout.contains(
        "LOOSER   red CI gets up to 8 corrective turns (was 5): in `verifying`: `freeze` (→ frozen) becomes `fix-forward` (→ fixing), and 5 more  policies/afk.toml:34\n           \
         for example `acme/app`, in `verifying`: `agent = \"idle\", pushed = true, ci = \"red\", attempts = 5, age = \"2m\", quiet = \"2m\", landed = false`: `freeze` (→ frozen) → `fix-forward` (→ fixing)\n"
    ), "{ran}");
    assert!(ran.stdout.contains("also     notification `frozen`: `[FROZEN] {ref}: {reason}"), "{ran}");
    assert!(
        ran.stdout.contains(": 2 looser, over every possible input\nchecked: no errors, 14 of 14 proofs hold · not held against settings\n"),
        "{ran}"
    );
}

#[test]
fn a_comment_is_found_again_by_its_first_line_and_links_to_lines() {
    let ran = diff(
        Test::new().shipped_policy(&[ENROLL, TEXT]),
        &["builtin:standard", "--format", "markdown", "--link-base", "https://github.com/acme/ops/blob/b81d07c"],
    );
    insta::with_settings!({ filters => vec![("`[0-9a-f]{8}`", "`[revision]`")] }, {
        assert_snapshot!(ran.stdout, @r"
    <!-- afk-diff-policy: policies/afk.toml -->
    ### Policy change: 🔓 1 looser

    `[revision]` → `[revision]` · checked: no errors, 14 of 14 proofs hold · not held against settings

    | | what changes, over every possible input | smallest example | line |
    |---|---|---|---|
    | 🔓 | issues in `acme/site` may be dispatched |  | [9](https://github.com/acme/ops/blob/b81d07c/policies/afk.toml#L9) |

    <details><summary>Also changed, without any effect on decisions (1)</summary>

    - notification `frozen`: `[FROZEN] {ref}: {reason} (high, to every doorbell)` → `[ICE] {ref}: {reason} (high, to every doorbell)`

    </details>


    <sub>afk 0.1.0 · reproduce: `afk diff-policy builtin:standard policies/afk.toml` · revisions are of policy and prompts</sub>
    ");
    });
}

#[test]
fn links_come_from_the_variables_of_github_actions() {
    let linked = Test::new()
        .shipped_policy(&[ENROLL])
        .variable("GITHUB_SERVER_URL", "https://github.com")
        .variable("GITHUB_REPOSITORY", "acme/ops")
        .variable("GITHUB_SHA", "b81d07c");
    let ran = diff(linked, &["builtin:standard", "--format", "markdown"]);
    assert!(ran.stdout.contains("| [9](https://github.com/acme/ops/blob/b81d07c/policies/afk.toml#L9) |"), "{ran}");
    let ran = diff(Test::new().shipped_policy(&[ENROLL]), &["builtin:standard", "--link-base", "javascript:alert(1)"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
}

/// What a forge reads as Markdown: without blocks of code, spans of code and the links and tags of the comment itself.
fn live(comment: &str) -> String {
    let mut inside = false;
    let mut live = String::new();
    for line in comment.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if !inside {
            let pieces: Vec<&str> = line.split('`').collect();
            assert!(pieces.len() % 2 == 1 && !line.contains("``"), "code is left open: {line}");
            live.extend(pieces.into_iter().step_by(2).chain(["\n"]));
        }
    }
    assert!(!inside, "a block is left open: {comment}");
    for own in ["<details>", "</details>", "<summary>", "</summary>", "<sub>", "</sub>", "**Not proven:**", "**Today**"]
    {
        live = live.replace(own, "");
    }
    live.lines().filter(|line| !line.starts_with("<!-- afk-diff-policy: ")).map(|line| format!("{line}\n")).collect()
}

/// Everything that a forge could make something of.
const HOSTILE: &str = "` @acme/all #1 acme/app#2 GH-3 !4 https://evil.example www.evil.example [x](http://e) ![y](z) | \
                       <b> </details> ~~~ ``` **z** _w_ :tada: $v$";
/// And what a terminal makes something of, where a text may be of any kind.
const ESCAPED: &str = "` @acme/all #1 \u{1b}[31m <b>\nLOOSER";

#[test]
fn nothing_that_anybody_wrote_into_a_policy_comes_to_life() {
    let text = serde_json::to_string(HOSTILE).unwrap();
    let list = format!("[{text}]");
    let waiver = format!("[[waivers]]\ninvariant = \"rearm-loop\"\nreason = {text}\n\n[actions] ");
    let gate = format!(
        "[[gates]]\nname = \"more\"\nrequire = {{ labels = {{ has_any = {list} }} }}\nmessage = {text}\n\n# ━━ 3."
    );
    let paused = format!("[repos.\"acme/app\"]\npaused = {text}\n\n# ━━ 2. Gates");
    let model = format!("model        = {text}");
    let mut edits = vec![
        ("[actions] ", waiver),
        ("logins      = []", format!("logins      = {list}")),
        ("executor     = \"t3\"", format!("executor     = {text}")),
        ("model        = \"claude-sonnet-4-6\"", model),
        ("\"[FROZEN] {ref}: {reason}\"", text.clone()),
        ("\"[FROZEN] {ref}: {reason}\"", serde_json::to_string(ESCAPED).unwrap()),
        ("# ━━ 3.", gate),
        ("# ━━ 2. Gates", paused),
    ];
    for label in ["` @acme/all #1 acme/app#2 `#1", "` [x](http://e) www.evil.example", "`<b> | ~~~ ``` **z**` _w_ $v$"]
    {
        edits.push(("paused      = \"paused\"", format!("paused      = \"{label}\"")));
        edits.push(("ready       = \"ready-for-agent\"", format!("ready       = \"{label}\"")));
    }
    for (before, after) in edits {
        let test = Test::new().shipped_policy(&[(before, &after)]);
        let ran = diff(test, &["builtin:standard", "--format", "markdown"]);
        assert_eq!(ran.code, 0, "{ran}");
        let live = live(&ran.stdout);
        for mark in ["acme", "evil", "GH-", "#1", "](", "<", ">", "~", "**", "_", "$", ":tada", "!", "\u{1b}"] {
            assert!(!live.contains(mark), "{mark} from {before}: {live}\n{ran}");
        }
        assert!(!ran.stdout.contains('@'), "{ran}");
        for row in ran.stdout.lines().filter(|line| line.starts_with("| ")) {
            assert_eq!(row.matches('|').count(), 5, "{row}");
        }
    }
}

#[test]
fn a_comment_stays_within_what_a_forge_takes_and_says_what_is_left_out() {
    let gates: String = (0..50)
        .map(|gate| {
            let labels: Vec<String> = (0..8).map(|label| format!("\"{gate}-{label}-{}\"", "x".repeat(180))).collect();
            let labels = labels.join(", ");
            format!("[[gates]]\nname = \"g{gate}\"\nrequire = {{ labels = {{ has_none = [{labels}] }} }}\nmessage = \"m\"\n\n")
        })
        .collect();
    let many = format!("{gates}# ━━ 3.");
    let old = Test::new().shipped_policy(&[("# ━━ 3.", &many)]);
    fs::rename(old.path("policies/afk.toml"), old.path("policies/old.toml")).unwrap();
    let ran = diff(old.shipped_policy(&[]), &["policies/old.toml", "--format", "markdown"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.len() <= 65_536);
    assert!(ran.stdout.contains("🔓 50 looser"), "{ran}");
    let (shown, folded) = ran.stdout.split_once("<details><summary>").unwrap();
    let rows = |part: &str| part.lines().filter(|line| line.starts_with("| 🔓")).count();
    let more = 50 - rows(shown);
    assert!(folded.starts_with(&format!("{more} more changes: {more} looser</summary>")), "{ran}");
    assert!(ran.stdout.contains("\n</details>\n"));
    let missing = 50 - rows(&ran.stdout);
    let cut = format!(
        "**Cut here:** a comment takes no more; {missing} of 50 changes are left out; the command below says all of it.\n\n<sub>"
    );
    assert!(missing > 0 && ran.stdout.contains(&cut), "{ran}");
}

#[test]
fn what_is_looser_is_never_folded_behind_what_is_not() {
    let stages = |count: usize| -> String {
        let stage = |number| format!("[[ci.stages]]\nname = \"s{number}\"\nsource = \"checks\"\nrequire = \"all\"\n\n");
        (0..count).map(stage).chain(["[protect] ".to_owned()]).collect()
    };
    let (fifteen, none) = (stages(15), stages(0));
    for (old, new, shown, folded) in
        [(&fifteen, &none, 15, None), (&none, &fifteen, 10, Some("5 more changes: 5 tighter"))]
    {
        let before = Test::new().shipped_policy(&[("[protect] ", old)]);
        fs::rename(before.path("policies/afk.toml"), before.path("policies/before.toml")).unwrap();
        let ran =
            diff(before.shipped_policy(&[("[protect] ", new)]), &["policies/before.toml", "--format", "markdown"]);
        let (table, rest) = ran.stdout.split_once("|---|---|---|---|\n").unwrap();
        assert!(!table.contains("<details>"), "{ran}");
        let rows = rest.lines().take_while(|line| line.starts_with("| ")).count();
        assert_eq!(rows, shown, "{ran}");
        assert_eq!(rest.split("<summary>").nth(1).and_then(|rest| rest.split('<').next()), folded, "{ran}");
    }
}

#[test]
fn no_label_of_a_policy_writes_lines_of_the_report() {
    let forged = r#"["$labels.human", "x\nno decision changes: equal in meaning"]"#;
    let edit = ("[\"$labels.human\", \"$labels.paused\"]", forged);
    let ran = diff(Test::new().shipped_policy(&[edit]), &["builtin:standard"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stdout.contains("holds control characters, which no `labels` does"), "{ran}");
    assert!(!ran.stdout.contains("\nno decision changes"), "{ran}");
}

#[test]
fn a_list_of_three_thousand_people_does_not_hide_what_else_is_looser() {
    let people: Vec<String> = (0..3_000).map(|number| format!("\"user{number}\"")).collect();
    let logins = format!("logins      = [{}]", people.join(", "));
    let ran = diff(
        Test::new().shipped_policy(&[("logins      = []", &logins), TURNS]),
        &["builtin:standard", "--format", "markdown"],
    );
    assert!(ran.stdout.contains("### Policy change: 🔓 2 looser\n"), "{ran}");
    assert!(ran.stdout.contains("people called `user0`, `user1`, `user2` and 2997 more may arm issues"), "{ran}");
    assert!(ran.stdout.contains("| 🔓 | red CI gets up to 8 corrective turns (was 5)"), "{ran}");
}

#[test]
fn equal_in_meaning_is_said_so() {
    let test = || Test::new().shipped_policy(&[("# ━━ 2. Gates", "# More.\n\n# ━━ 2. Gates")]);
    let ran = diff(test(), &["builtin:standard", "--exit-code"]);
    assert_eq!(ran.code, 0);
    insta::with_settings!({ filters => vec![("[0-9a-f]{8}", "[revision]")] }, {
        assert_snapshot!(ran.stdout, @r"
    no decision changes: the two policies are equal in meaning
    also     comments, spacing or the order of keys
    [revision] → [revision]: compared over every possible input
    checked: no errors, 14 of 14 proofs hold · not held against settings
    ");
    });
    let ran = diff(test(), &["builtin:standard", "--format", "markdown"]);
    assert!(ran.stdout.contains("\n### Policy change: ✅ no decision changes\n") && !ran.stdout.contains("|---"));
}

#[test]
fn other_words_for_people_are_not_said_to_be_equal_in_meaning() {
    let edited = || Test::new().shipped_policy(&[TEXT]);
    let ran = diff(edited(), &["builtin:standard"]);
    assert!(ran.stdout.starts_with("no decision changes, texts changed: people are told other things\n"), "{ran}");
    let ran = diff(edited(), &["builtin:standard", "--format", "markdown"]);
    assert!(ran.stdout.contains("### Policy change: ✅ no decision changes, texts changed\n"), "{ran}");
    let said = diff(edited(), &["builtin:standard", "--format", "json"]).json();
    assert_eq!(said["equal_in_meaning"], json!(false));
}

#[test]
fn a_row_that_does_nothing_is_a_warning_and_breaks_nothing() {
    let dead = "[[transitions]]\nname = \"twice\"\nfrom = \"*\"\nwhen = { held = true }\nto = \"released\"\ndo = \"stand-down\"\nreason = \"again\"\n\n# Bookkeeping";
    let test = Test::new().shipped_policy(&[("# Bookkeeping", dead)]);
    let ran = diff(test, &["builtin:standard", "--format", "markdown"]);
    assert!(ran.stdout.contains("### Policy change: ✅ no decision changes, ⚠ warning: dead-row\n"), "{ran}");
}

#[test]
fn the_exit_code_tells_looser_from_other_changes_only_where_it_is_asked_to() {
    for (edit, code) in [
        (TURNS, 11),
        (("fix_forward_attempts = 5", "fix_forward_attempts = 4"), 10),
        (("executor     = \"t3\"", "executor     = \"t4\""), 10),
        (TEXT, 0),
    ] {
        assert_eq!(
            diff(Test::new().shipped_policy(&[edit]), &["builtin:standard", "--exit-code"]).code,
            code,
            "{edit:?}"
        );
        assert_eq!(diff(Test::new().shipped_policy(&[edit]), &["builtin:standard"]).code, 0, "{edit:?}");
    }
}

#[test]
fn a_policy_in_error_is_shown_and_it_is_said_which() {
    let broken = || Test::new().shipped_policy(&[("kill_switch = true", "kill_switch = maybe")]);
    let ran = diff(broken(), &["builtin:standard"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("error[syntax]") || ran.stdout.contains("error["), "{ran}");
    assert!(ran.stdout.ends_with("the new policy cannot be used: policies/afk.toml has 1 error\n"), "{ran}");
    let ran = diff(broken(), &["policies/afk.toml", "builtin:standard", "--format", "json"]);
    assert_eq!((ran.code, &ran.json()["error"]), (1, &json!("the old policy cannot be used")));
}

#[test]
fn a_policy_that_breaks_a_proof_is_compared_and_is_wrong_all_the_same() {
    let ran = diff(
        Test::new().shipped_policy(&[("require = { trusted = true }", "require = { already_run = false }")]),
        &["builtin:standard"],
    );
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("LOOSER   `trust` lets more issues pass"), "{ran}");
    assert!(ran.stdout.contains("; broken: untrusted-dispatch"), "{ran}");
    assert!(ran.stdout.starts_with("error[untrusted-dispatch]: "), "{ran}");
}

#[test]
fn a_comment_says_first_that_the_new_policy_is_wrong_and_how() {
    let broken = Test::new().shipped_policy(&[("kill_switch = true", "kill_switch = maybe")]);
    let ran = diff(broken, &["builtin:standard", "--format", "markdown"]);
    assert_eq!(ran.code, 1);
    let start = "<!-- afk-diff-policy: policies/afk.toml -->\n### Policy change: ❌ the new policy cannot be used: `policies/afk.toml` has 1 error\n\n```text\nerror";
    assert!(ran.stdout.starts_with(start), "{ran}");
    assert!(!ran.stdout.contains('\u{1b}') && ran.stdout.matches("```").count() == 2, "{ran}");

    let trust = ("require = { trusted = true }", "require = { already_run = false }");
    let ran = diff(Test::new().shipped_policy(&[trust]), &["builtin:standard", "--format", "markdown"]);
    assert!(ran.stdout.contains("\n### Policy change: ❌ breaks untrusted-dispatch"), "{ran}");
    let details = "<details><summary>What is wrong with the new policy, with an example</summary>\n\n```text\nerror[untrusted-dispatch]";
    assert!(ran.stdout.contains(details), "{ran}");
    assert!(ran.stdout.contains("trusted = false }]"), "{ran}");
}

#[test]
fn a_changed_prompt_does_not_hide_behind_a_green_tick() {
    let test = Test::new().shipped_policy(&[]);
    let prompt = test.path("policies/prompts/implement.md");
    let text = fs::read_to_string(&prompt).unwrap();
    fs::write(&prompt, format!("{text}\nPing @acme/all ``` <b>.\n")).unwrap();
    let ran = diff(test, &["builtin:standard", "--format", "markdown"]);
    let heading = "\n### Policy change: ✅ no decision changes, ⚠ 1 prompt changed (not proven)\n";
    assert!(ran.stdout.contains(heading), "{ran}");
    assert!(ran.stdout.contains("\n+ Ping ＠acme/all ''' ‹b›.\n"), "{ran}");
    assert!(!ran.stdout.contains("without any effect"), "{ran}");

    let test = Test::new().shipped_policy(&[]);
    fs::write(test.path("policies/prompts/implement.md"), "Do {{ ref }}.\n").unwrap();
    let again = Test::new().shipped_policy(&[]);
    fs::write(again.path("policies/prompts/implement.md"), "Do {{ ref }}.\n").unwrap();
    let ran = diff(test, &["builtin:standard", "--exit-code"]);
    let first = "no decision changes, but 1 prompt changed: what an agent does with a prompt is not proven\n";
    assert_eq!((ran.code, ran.stdout.starts_with(first)), (0, true), "{ran}");
    assert!(!ran.stdout.contains("equal in meaning"), "{ran}");
    let said = diff(again, &["builtin:standard", "--format", "json"]).json();
    assert_eq!((&said["equal_in_meaning"], &said["looser"]), (&json!(false), &json!(0)));
}

#[test]
fn tests_that_could_not_all_be_run_are_not_said_to_pass() {
    let test = Test::new().shipped_policy(&[]);
    let tests = "[[cases]]\nname = \"none\"\nissues = [{ repo = \"acme/app\", number = 1, no_such_fact = true }]\nexpect.dispatch = []\n";
    fs::write(test.path("policies/afk.test.toml"), tests).unwrap();
    let ran = diff(test, &["builtin:standard"]);
    assert!(ran.stdout.contains("tests: `policies/afk.test.toml` has errors, so not every case was run; "), "{ran}");
}

// Revisions.

fn git(directory: &Path, arguments: &[&str]) {
    let done = Command::new("git")
        .current_dir(directory)
        .args(arguments)
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")])
        .envs([
            ("GIT_AUTHOR_NAME", "a"),
            ("GIT_AUTHOR_EMAIL", "a@e"),
            ("GIT_COMMITTER_NAME", "a"),
            ("GIT_COMMITTER_EMAIL", "a@e"),
        ])
        .output()
        .unwrap();
    assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A repository whose `main` has the shipped policy.
fn committed() -> Test {
    let test = Test::new().shipped_policy(&[]);
    let folder = test.path("");
    git(&folder, &["init", "-q", "-b", "main"]);
    std::os::unix::fs::symlink("afk.toml", test.path("policies/link.toml")).unwrap();
    git(&folder, &["add", "--all"]);
    git(&folder, &["commit", "-q", "-m", "Begin"]);
    test
}

#[test]
fn a_revision_is_read_from_git_with_the_prompts_of_that_revision() {
    let test = committed().shipped_policy(&[TURNS]);
    fs::write(test.path("policies/prompts/implement.md"), "Do {{ ref }}.\n").unwrap();
    let ran = diff(test, &["main:policies/afk.toml"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.starts_with("LOOSER   red CI gets up to 8 corrective turns"), "{ran}");
    assert!(ran.stdout.contains("also     prompt `prompts/implement.md`: +1 −"), "{ran}");
    assert!(ran.stdout.contains("lines; not proven: what an agent does with a prompt\n"), "{ran}");
    assert!(ran.stdout.contains("           + Do {{ ref }}.\n"), "{ran}");
    assert!(ran.stdout.contains("over every possible input; 1 prompt changed, which is not proven\n"), "{ran}");
}

#[test]
fn both_may_be_revisions_and_paths_may_be_relative_to_the_directory() {
    let ran = diff(committed(), &["HEAD:./policies/afk.toml", "main:policies/afk.toml", "--exit-code"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[test]
fn what_is_no_revision_or_no_file_of_it_is_said() {
    for (old, said) in [
        ("nowhere:policies/afk.toml", "git knows no revision `nowhere` here"),
        ("main:policies/none.toml", "does not exist"),
        ("main:policies", "is not a regular file"),
        ("main:policies/link.toml", "is not a regular file"),
        ("main:../afk.toml", "leads out of the repository"),
        ("main:/etc/passwd", "leads out of the repository"),
        ("--output=x:policies/afk.toml", "is not a revision"),
        (":policies/afk.toml", "is not a revision"),
        ("builtin:other", "there is no built-in policy `other`"),
    ] {
        let ran = diff(committed(), &["--", old]);
        assert!(ran.code == 4 || ran.code == 2, "{old}: {ran}");
        assert!(ran.stderr.contains(said), "{old}: {ran}");
        assert!(!ran.folder.path().join("x:policies").exists());
    }
    let ran = diff(Test::new().shipped_policy(&[]), &["main:policies/afk.toml"]);
    assert!(ran.stderr.contains("not a git repository"), "{ran}");
}

#[test]
fn a_revision_without_a_path_is_told_what_to_write() {
    let ran = Test::new().args(["diff-policy", "HEAD"]).run();
    assert_eq!(ran.code, 2, "{ran}");
    assert!(ran.stderr.contains("if it is a revision, write `HEAD:policies/afk.toml`"), "{ran}");
}
