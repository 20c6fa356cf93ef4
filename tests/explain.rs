//! `afk explain --issue`, asked by a person of a real installation: for every gate, and for every state of a run.

#[path = "support/local.rs"]
mod local;

use std::fs;

use insta::assert_snapshot;
use local::{Installation, PUSHES_NOTHING, event, filtered, git};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

const ARMED: &str = "[[events]]\nat = 2026-11-02T14:00:00Z\nby = \"ada\"\nlabeled = \"ready-for-agent\"\n";

/// The one sentence, and what has to happen.
fn verdict_and_needs(explained: &Value) -> (&str, Vec<&str>) {
    let needs = match &explained["queue"] {
        Value::Null => &explained["what_to_do"],
        queue => &queue["to_be_dispatched"],
    };
    let needs = needs.as_array().expect("a list").iter().map(|need| need.as_str().expect("a text")).collect();
    (explained["verdict"].as_str().expect("a sentence"), needs)
}

#[test]
fn an_issue_that_goes_next_is_told_so_and_an_untrusted_one_by_whom_and_what_helps() {
    let afk = Installation::new();
    afk.armed(1);
    afk.issue(2, "Send me everything", &event("mallory", "labeled", "ready-for-agent"), "");
    let (first, second) = (afk.explain("1"), afk.explain("greeter#2"));
    assert_eq!((first.code, second.code), (0, 0));
    filtered(&afk, || {
        assert_snapshot!(first.stdout, @r#"
        greeter#1  issue 1
        policy policies/afk.toml, revision [revision] · facts read [time]

        WOULD BE DISPATCHED at the next poll, as number 1 of it

            gate  verdict  evidence  policy line
            allowlist  pass  greeter matches "greeter"  63
            hold  pass  labels: ready-for-agent  68
            in-flight  pass  no run in flight  73
            repo-lock  pass  0 of 1 slots taken  78
            trust  pass  @ada applied ready-for-agent, has `admin` (granted)  83
            once  pass  armed [time], no run for this arming yet  88
            unchanged  pass  text never edited  93
            blocked-by  pass  blocked by nothing  98

        Its place in greeter is 1st of 2: #2 (priority 100) after it.
        "#);
        assert_snapshot!(second.stdout, @r#"
        greeter#2  Send me everything
        policy policies/afk.toml, revision [revision] · facts read [time]

        NOT DISPATCHED: trust fired

             gate  verdict  evidence  policy line
             allowlist  pass  greeter matches "greeter"  63
             hold  pass  labels: ready-for-agent  68
             in-flight  pass  no run in flight  73
             repo-lock  pass  0 of 1 slots taken  78
          >  trust  DENY  @mallory applied ready-for-agent, has `read` (granted)  83
             once  pass  armed [time], no run for this arming yet  88
             unchanged  pass  text never edited  93
             blocked-by  pass  blocked by nothing  98

        To be dispatched, all of this must happen:
          1. somebody with permission admin, maintain or write in greeter takes ready-for-agent off and puts it back

        Then its place in greeter is 2nd of 2: #1 (priority 100) goes first.
        "#);
    });
}

#[test]
fn where_the_installation_is_full_its_limit_is_named_and_no_issue_that_may_not_go_at_all() {
    let afk = Installation::new();
    afk.policy("slots_per_repo = 1", "slots_per_repo = 4");
    afk.policy("max_in_flight  = 8", "max_in_flight  = 1");
    afk.armed(101);
    afk.poll();
    afk.look_until("101", "agent running");
    for number in 102..=104 {
        afk.issue(number, "armed by somebody who may not", &event("mallory", "labeled", "ready-for-agent"), "");
    }
    afk.armed(105);
    let explained = afk.explained("105");
    let (verdict, needs) = verdict_and_needs(&explained);
    assert_eq!(verdict, "NOT DISPATCHED: capacity: dispatch.max_in_flight = 1 (line 29) is used up");
    assert_eq!(needs.len(), 1, "{needs:?}");
    assert!(needs[0].starts_with("the run of #101 ends: by itself, at the latest "), "{needs:?}");
    assert!(needs[0].ends_with("; dispatch.max_in_flight = 1 is used up (line 29)"), "{needs:?}");
    let place = &explained["queue"]["place"];
    assert_eq!((&place["number"], &place["of"], &place["unread"]), (&json!(1), &json!(1), &json!(0)), "{place}");

    let untrusted = afk.explained("102");
    let (verdict, needs) = verdict_and_needs(&untrusted);
    assert_eq!(verdict, "NOT DISPATCHED: trust fired");
    assert_eq!(needs.len(), 2, "who has to arm it, and the room that it lacks: {needs:?}");
    assert!(needs[1].contains("dispatch.max_in_flight = 1 is used up"), "{needs:?}");

    let status = afk.afk(&["status"]).stdout;
    let of_105 = status.lines().find(|line| line.contains("greeter#105")).expect("a line");
    assert!(of_105.contains("capacity: dispatch.max_in_flight = 1 (line 29) is used up"), "{status}");
    assert!(!status.contains("behind greeter#104"), "{status}");
}

#[test]
fn of_rivals_that_were_not_all_read_it_is_said_that_they_may_be_denied() {
    let afk = Installation::new();
    afk.policy("max_in_flight  = 8", "max_in_flight  = 0");
    (1..=13).for_each(|number| afk.armed(number));
    let said = afk.explain("13").stdout;
    assert!(said.contains("is 13th of 13:"), "{said}");
    assert!(said.contains("2 of 12 that go first may be denied: not every gate of theirs was read."), "{said}");
}

#[test]
fn nobody_is_promised_a_run_that_cannot_be_started() {
    let afk = Installation::new();
    afk.armed(1);
    afk.settings("git    = \"greeter.git\"", "git    = \"nowhere.git\"");
    let explained = afk.explained("1");
    let (verdict, needs) = verdict_and_needs(&explained);
    assert!(
        verdict.starts_with("NOT DISPATCHED: every gate lets it pass, and its run cannot be started: `"),
        "{verdict}"
    );
    assert!(verdict.contains("nowhere.git` does not exist: see `git` under [repos.\"greeter\"]"), "{verdict}");
    assert_eq!((&explained["queue"]["dispatch"], needs.len()), (&Value::Null, 1));
    let dry = afk.afk(&["poll", "--dry-run"]);
    assert_eq!(dry.code, 3, "{}", dry.stdout);
    assert!(!dry.stdout.contains("would dispatch") && dry.stdout.contains("cannot be started"), "{}", dry.stdout);
    let status = afk.afk(&["status"]);
    assert_eq!(status.code, 3, "{}", status.stdout);
    assert!(!status.stdout.contains("goes next") && status.stdout.contains("nowhere.git"), "{}", status.stdout);
}

#[test]
fn what_the_last_poll_ran_into_is_told_until_one_succeeds() {
    let afk = Installation::new();
    afk.armed(1);
    // It is there, and git finds no repository in it: only who tries can tell.
    fs::create_dir(afk.path("empty.git")).expect("a folder");
    afk.settings("git    = \"greeter.git\"", "git    = \"empty.git\"");
    let before = afk.explain("1").stdout;
    assert!(before.contains("WOULD BE DISPATCHED at the next poll"), "{before}");
    assert_eq!(afk.afk(&["poll"]).code, 3);
    let after = afk.explain("1").stdout;
    assert!(after.contains("WOULD BE TRIED AGAIN at the next poll, as number 1 of it: the last poll, at "), "{after}");
    assert!(after.contains("git could not read"), "{after}");
    let status = afk.afk(&["status"]).stdout;
    assert!(status.contains("is tried again in the next poll; the last one failed: git could not read"), "{status}");
    assert!(status.contains("last poll could not: greeter#1: not dispatched: git could not read"), "{status}");
    let dry = afk.afk(&["poll", "--dry-run"]).stdout;
    assert!(dry.contains("would try again  greeter#1"), "{dry}");
}

#[test]
fn every_gate_that_denies_says_what_would_have_to_happen() {
    let afk = Installation::new();
    // number, what is the matter, body, verdict, needs
    let who = "somebody with permission admin, maintain or write in greeter";
    let cases = [
        (
            2,
            format!("{ARMED}{}", event("ada", "labeled", "paused")),
            "",
            "NOT DISPATCHED: hold fired",
            vec!["a person takes paused off".to_owned()],
        ),
        (
            3,
            format!("{ARMED}{}{}", event("ada", "labeled", "paused"), event("ada", "labeled", "ready-for-human")),
            "",
            "NOT DISPATCHED: hold fired",
            vec!["a person takes ready-for-human and paused off".to_owned()],
        ),
        (
            4,
            event("mallory", "labeled", "ready-for-agent"),
            "",
            "NOT DISPATCHED: trust fired",
            vec![format!("{who} takes ready-for-agent off and puts it back")],
        ),
        (
            5,
            format!("{ARMED}{}", event("mallory", "edited", "")),
            "",
            "NOT DISPATCHED: unchanged fired",
            vec![format!("{who} reads the text as it is now, then takes ready-for-agent off and puts it back")],
        ),
        (
            6,
            format!("blocked_by = [\"#2\"]\n{ARMED}"),
            "Blocked by #3 and acme/lib#7.\n",
            "NOT DISPATCHED: blocked-by fired",
            vec![
                "#2 is closed, or no longer named as a blocker (blocked_by)".to_owned(),
                "#3 is closed, or no longer named as a blocker (body, line 2)".to_owned(),
                "acme/lib#7 is closed, or no longer named as a blocker (body, line 2)".to_owned(),
            ],
        ),
        (
            7,
            format!("{}{}", event("mallory", "labeled", "ready-for-agent"), event("ada", "labeled", "paused")),
            "Blocked by #2.\n",
            "NOT DISPATCHED: hold fired; trust, blocked-by deny too",
            vec![
                "a person takes paused off".to_owned(),
                format!("{who} takes ready-for-agent off and puts it back"),
                "#2 is closed, or no longer named as a blocker (body, line 2)".to_owned(),
            ],
        ),
    ];
    for (number, matter, body, _, _) in &cases {
        afk.issue(*number, "something", matter, body);
    }
    for (number, _, _, verdict, needs) in &cases {
        let explained = afk.explained(&number.to_string());
        let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
        assert_eq!(verdict_and_needs(&explained), (*verdict, needs), "#{number}");
        for gate in explained["queue"]["gates"].as_array().expect("gates") {
            let helped = !gate["remedies"].as_array().expect("remedies").is_empty();
            assert_eq!(gate["verdict"] == "deny", helped, "a remedy for each gate that denies and no other: {gate}");
        }
    }
}

#[test]
fn an_issue_that_waits_for_a_slot_is_told_who_has_it_until_when_and_who_goes_first() {
    let afk = Installation::new();
    for number in 1..=3 {
        afk.armed(number);
    }
    afk.issue(4, "urgent", &format!("{ARMED}{}", event("ada", "labeled", "priority:1")), "");
    afk.happens(1, "ada", "labeled", "priority:0");
    let before = afk.explained("2");
    assert_eq!(before["queue"]["fired"], "slot");
    assert_eq!(verdict_and_needs(&before).1, ["#1 goes first, and its run ends"]);

    afk.poll();

    filtered(&afk, || {
        assert_snapshot!(afk.explain("2").stdout, @r#"
    greeter#2  issue 2
    policy policies/afk.toml, revision [revision] · facts read [time]

    NOT DISPATCHED: repo-lock fired

         gate  verdict  evidence  policy line
         allowlist  pass  greeter matches "greeter"  63
         hold  pass  labels: ready-for-agent  68
         in-flight  pass  no run in flight  73
      >  repo-lock  DENY  1 of 1 slots taken: #1, working, since [time]  78
         trust  pass  @ada applied ready-for-agent, has `admin` (granted)  83
         once  pass  armed [time], no run for this arming yet  88
         unchanged  pass  text never edited  93
         blocked-by  pass  blocked by nothing  98

    To be dispatched, all of this must happen:
      1. the run of #1 ends: by itself, at the latest [time] (row overdue, line 189)

    Then its place in greeter is 2nd of 3: #4 (priority 1) goes first, #3 (priority 100) after it.
    "#)
    });
}

#[test]
fn with_the_kill_switch_on_it_says_so_first_and_then_what_would_be_decided() {
    let afk = Installation::new();
    afk.armed(1);
    afk.policy("kill_switch = false", "kill_switch = true");
    let said = afk.explain("1");
    assert_eq!(said.code, 0, "{}", said.stderr);
    filtered(&afk, || {
        assert_snapshot!(said.stdout, @r#"
    greeter#1  issue 1
    policy policies/afk.toml, revision [revision] · facts read [time]

    kill switch is on: kill_switch is true (policies/afk.toml, line 7); with it off this would be decided:

    WOULD BE DISPATCHED at the next poll, as number 1 of it

        gate  verdict  evidence  policy line
        allowlist  pass  greeter matches "greeter"  63
        hold  pass  labels: ready-for-agent  68
        in-flight  pass  no run in flight  73
        repo-lock  pass  0 of 1 slots taken  78
        trust  pass  @ada applied ready-for-agent, has `admin` (granted)  83
        once  pass  armed [time], no run for this arming yet  88
        unchanged  pass  text never edited  93
        blocked-by  pass  blocked by nothing  98

    To be dispatched, all of this must happen:
      1. the kill switch is turned off: kill_switch is true (policies/afk.toml, line 7)

    Then its place in greeter is 1st of 1.
    "#)
    });
}

#[test]
fn with_an_empty_allowlist_it_says_where_to_enrol_the_repository() {
    let afk = Installation::new();
    afk.armed(1);
    afk.policy("allowlist   = [\"greeter\"]", "allowlist   = []");
    let (verdict, needs) = (afk.explained("1"), ["greeter is enrolled: put it on allowlist (line 8)"]);
    assert_eq!(verdict_and_needs(&verdict), ("NOT DISPATCHED: allowlist fired", needs.to_vec()));
}

#[test]
fn a_denied_repository_and_one_that_nobody_knows_are_answered_too() {
    let afk = Installation::new();
    afk.armed(1);
    afk.policy("denylist    = []", "denylist    = [\"greeter\"]");
    let denied = afk.explained("1");
    assert_eq!(
        verdict_and_needs(&denied),
        ("NOT DISPATCHED: allowlist fired", vec!["greeter is not denied: take \"greeter\" off denylist (line 9)"])
    );
    let unknown = afk.explained("acme/pay#3");
    assert_eq!(unknown["answer"], "missing");
    assert_eq!(unknown["verdict"], "NOT DISPATCHED: acme/pay is not enrolled, and the tracker does not list it");
}

#[test]
fn a_paused_repository_says_why_and_in_which_line() {
    let afk = Installation::new();
    afk.armed(1);
    afk.policy("[[gates]]", "[repos.greeter]\npaused = \"release week\"\n\n[[gates]]");
    let explained = afk.explained("1");
    let (verdict, needs) = verdict_and_needs(&explained);
    assert!(verdict.starts_with("NOT DISPATCHED: paused: greeter is paused: release week"), "{verdict}");
    assert!(needs[0].contains("is taken out of the policy (line 63): release week"), "{needs:?}");
}

#[test]
fn remedies_follow_from_conditions_and_not_from_the_names_of_gates() {
    let afk = Installation::new();
    afk.armed(1);
    afk.policy(
        "[[gates]]",
        "[[gates]]\nname    = \"sized\"\nrequire = { any = [{ labels = { has_any = [\"size/S\", \"size/M\"] } }, { priority = { lt = 10 } }] }\nmessage = \"no size\"\n\n\
         [[gates]]\nname    = \"awake\"\nrequire = { armed_for = { gte = \"10000d\" }, not = { number = 1 } }\nmessage = \"too early\"\n\n[[gates]]",
    );
    let explained = afk.explained("1");
    let (_, needs) = verdict_and_needs(&explained);
    assert_eq!(
        needs[0],
        "one of: a person puts size/S or size/M on; or `priority < 10` becomes true (line 64; priority is 100)"
    );
    assert!(needs[1].starts_with("time passes until armed_for >= 10000d, at "), "{needs:?}");
    assert_eq!(needs[2], "`number = 1` stops being true (line 69; number is 1)");
}

#[test]
fn what_cannot_be_established_denies_and_says_why() {
    let afk = Installation::new();
    afk.armed(1);
    fs::create_dir_all(afk.path("data")).expect("a folder");
    fs::write(afk.path("data/runs"), "not a folder").expect("a file");
    let explained = afk.explained("1");
    let once = &explained["queue"]["gates"][5];
    assert_eq!((&once["gate"], &once["verdict"]), (&json!("once"), &json!("unknown")));
    let why = once["remedies"][0].as_str().expect("a remedy");
    assert!(why.starts_with("`already_run` can be established: executor `toy`: "), "{why}");
    let fact = &explained["queue"]["facts"]["already_run"];
    assert!(fact["value"].is_null() && fact["why"].is_string(), "{fact}");
    assert!(!explained["problems"].as_array().expect("problems").is_empty());
}

#[test]
fn an_issue_that_is_not_armed_closed_or_not_there_is_answered() {
    let afk = Installation::new();
    afk.issue(1, "not armed", &event("ada", "labeled", "bug"), "");
    afk.issue(2, "closed", &format!("{ARMED}{}", event("ada", "closed", "completed")), "");
    for (issue, expected) in [("1", "not_armed"), ("2", "closed"), ("9", "missing")] {
        assert_eq!(afk.explained(issue)["answer"], expected, "{issue}");
    }
    filtered(&afk, || {
        assert_snapshot!(afk.explain("1").stdout, @r"
        greeter#1  not armed
        policy policies/afk.toml, revision [revision] · facts read [time]

        NOT ARMED: it does not carry ready-for-agent

        To be dispatched, all of this must happen:
          1. somebody with permission admin, maintain or write in greeter puts ready-for-agent on
        ");
        assert_snapshot!(afk.explain("2").stdout, @r"
        greeter#2  closed
        policy policies/afk.toml, revision [revision] · facts read [time]

        NOT DISPATCHED: it is closed by a person; only open issues are taken

        To be dispatched, all of this must happen:
          1. a person opens the issue again
        ");
        assert_snapshot!(afk.explain("9").stdout, @r"
        greeter#9
        policy policies/afk.toml, revision [revision] · facts read [time]

        NO SUCH ISSUE: it was deleted or moved away, or never was
        ");
    });
}

#[test]
fn an_issue_may_be_named_by_number_name_address_or_the_checkout_one_stands_in() {
    let afk = Installation::new();
    afk.armed(1);
    let address = afk.path("issues/0001.md").display().to_string();
    for name in ["1", "#1", "greeter#1", "Greeter#1", "issues/0001.md", &address] {
        assert_eq!(afk.explained(name)["issue"], "greeter#1", "{name}");
    }
    // The same number of another repository is another issue.
    for name in ["acme/greeter#1", "https://forge.example/acme/greeter/issues/1"] {
        assert_eq!(afk.explained(name)["issue"], "acme/greeter#1", "{name}");
    }

    afk.settings("[executors.toy]", "[repos.other]\nissues = \"other\"\ngit = \"other.git\"\n\n[executors.toy]");
    fs::create_dir(afk.path("other")).expect("a folder");
    afk.policy("allowlist   = [\"greeter\"]", "allowlist   = [\"greeter\", \"other\"]");
    let ambiguous = afk.explain("1");
    assert_eq!(ambiguous.code, 2);
    assert_snapshot!(ambiguous.stderr, @r"
    error: `1` could be an issue of several repositories
      help: write `greeter#1`
      help: write `other#1`
    ");
    git(afk.home.path(), &["clone", "-q", "greeter.git", "checkout"]);
    let said = afk.afk_in(&afk.path("checkout"), &["explain", "--issue", "1"]);
    assert!(said.stdout.starts_with("greeter#1  issue 1\n"), "{}{}", said.stdout, said.stderr);

    let nonsense = afk.explain("forty-two");
    assert_eq!((nonsense.code, nonsense.stdout.as_str()), (2, ""));
}

#[test]
fn a_broken_policy_is_shown_with_its_findings() {
    let afk = Installation::new();
    afk.policy("version = 1", "version = 1\nverison = 2");
    let said = afk.explain("1");
    assert_eq!(said.code, 1);
    assert!(
        said.stdout.contains("error[unknown-key]") && said.stdout.contains("nothing is decided by it"),
        "{}",
        said.stdout
    );
}

#[test]
fn texts_of_an_issue_cannot_drive_the_terminal() {
    let afk = Installation::new();
    afk.issue(1, "red \\u001b[31m \\u202e alert", ARMED, "");
    for said in [afk.explain("1"), afk.afk(&["status"])] {
        assert!(said.stdout.contains("greeter#1"), "{}", said.stdout);
        assert!(!said.stdout.contains(['\u{1b}', '\u{202e}']), "{}", said.stdout);
    }
}

#[test]
fn looking_changes_nothing_and_waits_for_no_tick() {
    let afk = Installation::new();
    afk.armed(1);
    fs::create_dir_all(afk.path("data")).expect("a folder");
    let lock = fs::File::create(afk.path("data/lock")).expect("a file");
    lock.lock().expect("the lock of a tick");
    let before = fs::read_to_string(afk.path("issues/0001.md")).expect("an issue");
    assert_eq!((afk.explain("1").code, afk.afk(&["status"]).code), (0, 0));
    assert_eq!(fs::read_to_string(afk.path("issues/0001.md")).expect("an issue"), before);
    assert!(!afk.path("issues/0001.comments").exists() && !afk.path("data/runs").exists());
}

#[test]
fn a_run_at_work_shows_every_row_of_its_state_and_what_comes_by_itself() {
    let afk = Installation::new();
    afk.armed(1);
    afk.poll();
    let said = afk.look_until("1", "agent running");
    filtered(&afk, || {
        assert_snapshot!(said, @r"
    greeter#1  issue 1
    policy policies/afk.toml, revision [revision] · facts read [time]

    WORKING: Agent at work, nothing pushed yet. Next thing to happen by itself: row overdue to frozen, at [time].
    run [run] · working since [time] · dispatched [time] · armed by @ada · 0 corrections

      facts  agent running, quiet [long] · pushed no · ci none · corrections 0 · cost unknown: executor `toy` reports none

        row  state would be  lacks  by itself at  line
        taken-back  released  held = true (is false)  -  117
        withdrawn  released  issue = closed or gone (is open)  -  125
        pushed  verifying  pushed = true (is false)  -  135
        over-budget  frozen  cost_usd > 100 (unknown: executor `toy` reports none)  -  181
        overdue  frozen  age >= 1d (is [long])  [time]  189
        unreachable  frozen  agent = unknown (is running), quiet >= 2m (is [long])  -  197
        needs-input  needs-human  agent = waiting (is running), quiet >= 1m (is [long])  -  207
        never-started  needs-human  agent = starting (is running), quiet >= 1m (is [long])  -  215
        stalled  needs-human  quiet >= 1d (is [long])  [time]  223
        gave-up  needs-human  agent = idle or failed or gone (is running), quiet >= 1s (is [long])  -  231
        cannot-tell  needs-human  agent = idle or failed or gone (is running), quiet >= 1d (is [long])  -  239

    To take it back yourself: take ready-for-agent off, or add paused; or afk stop --issue greeter#1
    ")
    });
}

#[test]
fn a_run_is_followed_from_red_to_corrected_to_landed() {
    let afk = Installation::new();
    afk.toy_agent();
    afk.policy("settle_time          = \"1s\"", "settle_time          = \"2s\"");
    afk.armed(1);
    afk.poll();
    let verifying = afk.watch_until("1", "VERIFYING: Pushed, waiting for CI (");
    assert!(verifying.contains("> "), "a row is due or marked: {verifying}");
    afk.watch_until("1", "ci red (test: red: `test`)");
    // The kill switch holds a turn back; the run goes on for the rest.
    afk.policy("kill_switch = false", "kill_switch = true");
    let held = afk.watch_until("1", "is HELD");
    assert!(held.contains("Row fix-forward matches and is HELD: the kill switch is on."), "{held}");
    afk.policy("kill_switch = true", "kill_switch = false");
    let fixing = afk.watch_until("1", "FIXING: CI was red, the agent is correcting it (");
    assert!(fixing.contains(" · 1 correction\n"), "{fixing}");
    let done = afk.watch_until("1", "DONE: Landed");
    filtered(&afk, || {
        assert_snapshot!(done, @r"
    greeter#1  issue 1
    policy policies/afk.toml, revision [revision] · facts read [time]

    DONE: Landed. The run ended [time]
    run [run] · dispatched [time] · commit [commit] · corrections: 1

    To let an agent try again, all of this must happen:
      1. a person opens the issue again
      2. somebody with permission admin, maintain or write in greeter puts ready-for-agent on
    ")
    });
    assert_eq!(afk.explained("1")["ended"]["outcome"], "success");
}

#[test]
fn a_run_handed_to_a_person_says_why_and_how_to_let_an_agent_try_again() {
    let afk = Installation::new();
    afk.agent(PUSHES_NOTHING);
    afk.armed(1);
    afk.poll();
    let said = afk.watch_until("1", "NEEDS-HUMAN");
    filtered(&afk, || {
        assert_snapshot!(said, @r"
    greeter#1  issue 1
    policy policies/afk.toml, revision [revision] · facts read [time]

    NEEDS-HUMAN: Handed to a person before anything was pushed (the agent ended (idle) and pushed nothing). The run ended [time]
    run [run] · dispatched [time] · no commit · corrections: 0
    what its agent said last is in the comment that handed the issue over

    To let an agent try again, all of this must happen:
      1. a person takes ready-for-human off
      2. somebody with permission admin, maintain or write in greeter puts ready-for-agent on
    ")
    });
    // As it says; the earlier run does not stand in the way of the new arming.
    afk.happens(1, "ada", "unlabeled", "ready-for-human");
    afk.happens(1, "ada", "labeled", "ready-for-agent");
    assert_eq!(afk.explained("1")["verdict"], "WOULD BE DISPATCHED at the next poll, as number 1 of it");
}

#[test]
fn a_run_that_froze_says_so() {
    let afk = Installation::new();
    afk.toy_agent();
    afk.policy("fix_forward_attempts = 5", "fix_forward_attempts = 0");
    afk.armed(1);
    afk.poll();
    let said = afk.watch_until("1", "FROZEN");
    assert!(said.contains("FROZEN: Left as it is for a person (CI is red after 0 corrections and "), "{said}");
}

#[test]
fn a_run_that_a_person_takes_back_is_ending_until_its_agent_has_ended() {
    let afk = Installation::new();
    // An agent that does not obey is killed, but not at once.
    afk.agent("#!/bin/sh\ntrap '' TERM\ncat >/dev/null\nwhile :; do sleep 0.1; done\n");
    afk.armed(1);
    afk.poll();
    afk.look_until("1", "agent running");
    afk.happens(1, "ada", "unlabeled", "ready-for-agent");
    let due = afk.explain("1").stdout;
    assert!(due.contains("Next: row taken-back to released, at the next watch."), "{due}");
    afk.watch();
    let ending = afk.explained("1");
    assert_eq!(ending["runs"][0]["standing"], "ending", "{ending}");
    assert!(
        ending["verdict"].as_str().expect("a sentence").starts_with("RELEASED: the run has ended, its agent has not"),
        "{ending}"
    );
    // Armed again meanwhile: the gates are told as well.
    afk.happens(1, "ada", "labeled", "ready-for-agent");
    let both = afk.explain("1").stdout;
    assert!(both.contains("RELEASED: ") && both.contains("NOT DISPATCHED: in-flight fired"), "{both}");
    afk.happens(1, "ada", "unlabeled", "ready-for-agent");
    afk.watch_until("1", "RELEASED: A person took the issue back. The run ended");
}

#[test]
fn an_arming_that_had_its_run_is_told_which_and_how_to_get_another() {
    let afk = Installation::new();
    afk.policy("stand-down     = [{ remove_label = \"ready\" }, \"interrupt\"]", "stand-down     = [\"interrupt\"]");
    afk.armed(1);
    afk.poll();
    afk.look_until("1", "agent running");
    afk.happens(1, "ada", "labeled", "paused");
    afk.watch_until("1", "hold fired");
    afk.happens(1, "ada", "unlabeled", "paused");
    afk.watch_until("1", "NOT DISPATCHED: once fired");
    let explained = afk.explained("1");
    let who = "somebody with permission admin, maintain or write in greeter";
    let need = format!("{who} takes ready-for-agent off and puts it back: a new arming gets a new run");
    assert_eq!(verdict_and_needs(&explained), ("NOT DISPATCHED: once fired", vec![need.as_str()]));
    let evidence = explained["queue"]["gates"][5]["evidence"][0].as_str().expect("a sentence");
    assert!(evidence.contains(", and that arming had run "), "{evidence}");
}

#[test]
fn effects_that_remain_are_named_with_when_they_are_given_up() {
    let afk = Installation::new();
    afk.agent(PUSHES_NOTHING);
    // A doorbell that nobody answers.
    fs::write(afk.path("url"), "http://127.0.0.1:9/").expect("a file");
    afk.settings("kind = \"terminal\"", "kind = \"webhook\"\nurl = { file = \"url\" }");
    afk.policy("effect_timeout       = \"1m\"", "effect_timeout       = \"1h\"");
    afk.armed(1);
    afk.poll();
    let said = afk.watch_until("1", "remaining of");
    assert!(said.contains("Finishing row gave-up, then needs-human."), "{said}");
    assert!(
        said.contains("remaining of gave-up (the agent ended (idle) and pushed nothing): ring `needs-human`"),
        "{said}"
    );
    assert!(said.contains(", given up at "), "{said}");
}

#[test]
fn a_lock_without_record_or_agent_is_told_apart_from_one_nobody_can_explain() {
    let afk = Installation::new();
    afk.armed(1);
    afk.poll();
    afk.look_until("1", "agent running");
    fs::remove_dir_all(afk.path("issues/0001.comments")).expect("the record");
    let adopted = afk.explained("1");
    assert_eq!(adopted["runs"][0]["standing"], "adopt");
    afk.afk(&["stop"]);
    afk.afk(&["stop", "--undo"]);
    fs::rename(afk.path("data/runs"), afk.path("data/elsewhere")).expect("the runs");
    let rebuilt = afk.explained("1");
    assert_eq!(rebuilt["runs"][0]["standing"], "rebuild");
    fs::write(afk.path("data/runs"), "not a folder").expect("a file");
    let unclear = afk.explained("1");
    assert_eq!(unclear["runs"][0]["standing"], "unclear");
    let said = unclear["runs"][0]["waits_for"].as_str().expect("a sentence");
    assert!(said.starts_with("locked, and nobody can tell what by while an executor cannot be asked"), "{said}");
    fs::remove_file(afk.path("data/runs")).expect("a file");
    fs::rename(afk.path("data/elsewhere"), afk.path("data/runs")).expect("the runs");
}

#[test]
fn what_cannot_be_read_is_said_once_and_the_exit_code_says_it_too() {
    let afk = Installation::new();
    afk.armed(1);
    fs::write(afk.path("issues/0001.md"), "no front matter").expect("a file");
    let said = afk.explain("1");
    assert_eq!(said.code, 3, "{}", said.stdout);
    assert!(said.stdout.contains("CANNOT BE READ: "), "{}", said.stdout);
    assert!(!said.stdout.contains("could not be read"), "{}", said.stdout);
}

#[test]
fn the_kill_switch_is_among_what_has_to_happen_also_where_nothing_is_queued() {
    let afk = Installation::new();
    afk.issue(1, "not armed", "", "");
    afk.policy("kill_switch = false", "kill_switch = true");
    afk.policy("allowlist   = [\"greeter\"]", "allowlist   = [\"other\"]");
    let explained = afk.explained("greeter#1");
    let (_, needs) = verdict_and_needs(&explained);
    assert_eq!(needs.len(), 3, "{needs:?}");
    assert!(needs[0].starts_with("the kill switch is turned off: kill_switch is true"), "{needs:?}");
    assert!(needs[1].starts_with("greeter is enrolled: put it on allowlist"), "{needs:?}");
}

#[test]
fn who_leaves_out_the_option_is_told_what_to_write() {
    let afk = Installation::new();
    for (bare, said) in [("1", "write `afk explain --issue 1`"), ("dead-row", "write `afk explain --code dead-row`")] {
        let refused = afk.afk(&["explain", bare]);
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
}
