//! `afk doctor`: what has to be mended before an installation could do its work.

mod installation;

use installation::{Installation, Ran};
use pretty_assertions::assert_eq;

fn line<'a>(ran: &'a Ran, about: &str) -> Vec<&'a str> {
    ran.stdout.lines().filter(|line| line.split_whitespace().next() == Some(about)).collect()
}

#[test]
fn an_installation_that_could_work_has_no_failures_and_nothing_was_done() {
    let afk = Installation::armed();
    let ran = afk.afk(&["doctor"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.ends_with("nothing is in the way\n"), "{ran}");
    for (about, what) in [
        ("policy", "revision"),
        ("switch", "the kill switch is off"),
        ("reach", "no agent works where"),
        ("tracker", "as afk"),
        ("repos", "1 enrolled"),
        ("executor", "could start an agent"),
        ("doorbells", "configured, not rung"),
    ] {
        assert!(line(&ran, about).iter().any(|line| line.contains(what)), "{about}: {ran}");
    }
    assert_eq!((afk.agents().len(), afk.invocations().len()), (0, 0));
    assert_eq!(afk.issue(1).events, ["ada +ready-for-agent"]);
}

#[test]
fn what_is_broken_is_named_with_what_to_do_and_the_exit_code_says_so() {
    for (file, before, after, about, what) in [
        ("policies/afk.toml", "kill_switch = false", "kill_switch = 7", "policy", "1 error"),
        ("afk.settings.toml", "./agent.sh", "./nowhere.sh", "executor", "nowhere.sh"),
        ("afk.settings.toml", "greeter.git", "nowhere.git", "git", "nowhere.git"),
        ("afk.settings.toml", "[ci.test]", "[ci.other]", "policy", "error"),
        (
            "afk.settings.toml",
            "[tracker]\n",
            "[identity]\nagents = [\"afk\"]\n\n[tracker]\n",
            "identity",
            "afk's own login",
        ),
    ] {
        let afk = Installation::armed();
        afk.edit(file, &[(before, after)]);
        let ran = afk.afk(&["doctor"]);
        assert_eq!(ran.code, Some(1), "{after}: {ran}");
        let lines = line(&ran, about);
        assert!(lines.iter().any(|line| line.contains("FAIL") && line.contains(what)), "{after}: {ran}");
    }
}

#[test]
fn nothing_is_called_in_order_that_a_poll_would_refuse() {
    for (file, before, after, about, what) in [
        ("afk.settings.toml", "issues = \"issues\"", "issues = \"isues\"", "access", "isues` does not exist"),
        ("afk.settings.toml", "issues = \"issues\"", "issues = \"ci.sh\"", "access", "it is not a folder"),
        (
            "policies/afk.toml",
            "landing      = \"push\"",
            "landing      = \"pull_request\"",
            "landing",
            "knows no pull requests",
        ),
        ("afk.settings.toml", "[\"./agent.sh\", \"resume\"]", "[\"./nowhere.sh\"]", "executor", "resumes with `"),
        (
            "policies/afk.toml",
            "allowlist   = [\"greeter\"]",
            "allowlist   = [\"acme/greeter\"]",
            "repos",
            "\"acme/greeter\"",
        ),
        ("policies/afk.toml", "denylist    = []", "denylist    = [\"g*\"]", "repos", "denylist = [\"g*\"]"),
    ] {
        let afk = Installation::armed();
        afk.write("ci.sh", "");
        afk.edit(file, &[(before, after)]);
        let ran = afk.afk(&["doctor"]);
        assert_eq!(ran.code, Some(1), "{after}: {ran}");
        let lines = line(&ran, about);
        assert!(lines.iter().any(|line| line.contains("FAIL") && line.contains(what)), "{after}: {ran}");
        assert!(!ran.stdout.contains("nothing is in the way"), "{ran}");
        if about == "repos" {
            let poll = afk.poll();
            assert!(poll.stdout.contains("no repository is enrolled") && poll.stdout.contains(what), "{poll}");
            assert!(!poll.stdout.contains("no issue is armed"), "{poll}");
        }
    }
}

#[test]
fn what_was_found_in_time_is_shown_and_the_rest_is_a_failure() {
    // It takes calls, and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/greeter.git", silent.local_addr().unwrap());
    let afk = Installation::armed();
    afk.edit(
        "afk.settings.toml",
        &[("greeter.git", &address), ("[tracker]\n", "tick_deadline = \"2s\"\n\n[tracker]\n")],
    );
    // Each call has a part of the time, so it takes several to use it up.
    afk.write("address", &address);
    let bells: String = (0..6)
        .map(|bell| format!("[doorbells.bell-{bell}]\nkind = \"webhook\"\nurl = {{ file = \"address\" }}\n"))
        .collect();
    afk.edit("afk.settings.toml", &[("[doorbells.terminal]\n", &format!("{bells}[doorbells.terminal]\n"))]);
    let ran = afk.afk(&["doctor", "--ring"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(line(&ran, "tracker").iter().any(|line| line.contains("as afk")), "{ran}");
    let doctor = line(&ran, "doctor");
    assert!(
        doctor.iter().any(|line| line.contains("FAIL") && line.contains("not all was looked at within 2 s")),
        "{ran}"
    );
}

#[test]
fn a_policy_that_agents_push_to_unseen_is_within_their_reach() {
    let afk = Installation::armed();
    let clone = afk.path("checkout");
    installation::git(&afk.root(), &["clone", "--quiet", "greeter.git", "checkout"]);
    std::fs::create_dir(clone.join("policies")).unwrap();
    installation::copy(&afk.path("policies"), &clone.join("policies"));
    installation::git(&clone, &["add", "--all"]);
    installation::git(
        &clone,
        &["-c", "user.name=ada", "-c", "user.email=ada@localhost", "commit", "--quiet", "--message", "Add the policy"],
    );
    let protected = afk.afk(&["doctor", "--policy", "checkout/policies/afk.toml"]);
    assert_eq!(protected.code, Some(0), "{protected}");
    afk.edit("checkout/policies/afk.toml", &[("\"policies/**\", ", "")]);
    let open = afk.afk(&["doctor", "--policy", "checkout/policies/afk.toml"]);
    assert_eq!(open.code, Some(1), "{open}");
    let reach = line(&open, "reach");
    assert!(reach.iter().any(|line| line.contains("agents push to greeter, where `policies/afk.toml` lies")), "{open}");
}

#[test]
fn doorbells_ring_only_when_asked_for() {
    let afk = Installation::armed();
    let silent = afk.afk(&["doctor"]);
    assert!(!silent.stderr.contains("this doorbell rings"), "{silent}");
    let rung = afk.afk(&["doctor", "--ring"]);
    assert!(rung.stderr.contains("afk doctor: this doorbell rings"), "{rung}");
    assert!(line(&rung, "doorbells").iter().all(|line| line.contains("ok")), "{rung}");
}

#[test]
fn a_doorbell_that_does_not_ring_is_named_and_tried_again_each_time_it_is_asked_for() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let afk = Installation::armed()
        .settings(&[(
            "[doorbells.terminal]",
            "[doorbells.ops]\nkind = \"webhook\"\nurl = { variable = \"OPS_URL\" }\n\n[doorbells.terminal]",
        )])
        .variable("OPS_URL", format!("http://{address}/S3CRET"));
    for _ in 0..5 {
        let rung = afk.afk(&["doctor", "--ring"]);
        assert_eq!(rung.code, Some(1), "{rung}");
        let lines = line(&rung, "doorbells");
        assert!(lines.iter().any(|line| line.contains("`ops`: did not answer")), "{rung}");
        assert!(lines.iter().any(|line| line.contains("`terminal` rang")), "{rung}");
        assert!(!rung.stdout.contains("tried again after") && !rung.stdout.contains("S3CRET"), "{rung}");
    }
}

#[test]
fn a_program_gets_one_json_document() {
    let ran = Installation::armed().afk(&["doctor", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["failures"], 0, "{ran}");
    assert_eq!(document["symptoms"][0]["about"], "policy");
    assert_eq!(document["symptoms"][0]["health"], "ok");
}

#[test]
fn a_judge_that_the_repository_does_not_have_is_found_before_an_agent_costs_money() {
    let afk = Installation::armed().settings(&[("[\"sh\", \"ci.sh\"]", "[\"./run-testz.sh\"]")]);
    let lack = "needs `./run-testz.sh`, which does not exist on the default branch of greeter";
    let ran = afk.afk(&["doctor"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(line(&ran, "ci").iter().any(|line| line.contains("FAIL") && line.contains(lack)), "{ran}");
    let poll = afk.poll();
    assert!(poll.code == Some(3) && poll.stdout.contains(lack), "{poll}");
    assert_eq!(afk.agents().len(), 0);
    let explained = afk.afk(&["explain", "--issue", "1"]);
    assert!(explained.stdout.contains(lack), "{explained}");
}

#[test]
fn only_the_user_that_runs_afk_can_enter_the_data_directory_whatever_ran_first() {
    use std::os::unix::fs::PermissionsExt;
    let afk = Installation::armed().variable("AFK_DATA", "somewhere/data");
    afk.afk(&["doctor"]);
    for folder in ["somewhere/data", "somewhere/data/mirrors", "somewhere/data/mirrors/greeter.git"] {
        let mode = std::fs::metadata(afk.path(folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{folder}: {mode:o}");
    }
}

#[test]
fn a_data_directory_that_cannot_be_made_is_not_taken_for_a_broken_repository() {
    let afk = Installation::armed();
    afk.write("not-a-folder", "");
    let ran = afk.afk_with(&["doctor"], &[("AFK_DATA", &afk.path("not-a-folder/data").display().to_string())]);
    assert!(!ran.stdout.contains("see `git` under"), "{ran}");
    assert!(format!("{ran}").contains("not-a-folder"), "{ran}");
    assert!(!ran.stdout.contains("nothing is in the way"), "{ran}");
}
