//! What a checked policy comes to: defaults, overrides, references, sentences, durations, patterns, prompts.

use std::path::Path;
use std::time::Duration;

use afk::policy::facts::IssueFact;
use afk::policy::sentence::{Part, Placeholder};
use afk::policy::{
    Checked, Comparison, Condition, InstalledNames, LabelPattern, Matcher, Policy, ProtectedPaths, Quantity,
    RepoPattern, Severity, StageSource, Surroundings, check, duration, render_prompt,
};
use pretty_assertions::assert_eq;
use proptest::prelude::*;

fn minimal() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies/good/minimal.toml")).unwrap()
}

fn judge(text: &str) -> Checked {
    let prompt = |path: &str| Ok(format!("{path}: resolve {{{{ ref }}}}."));
    check(text, "policy.toml", &Surroundings { prompt: &prompt, installed: &InstalledNames::default() })
}

fn policy(text: &str) -> Policy {
    let checked = judge(text);
    checked.policy.unwrap_or_else(|| panic!("{:#?}", checked.findings))
}

fn with(addition: &str) -> Policy {
    policy(&format!("{}{addition}", minimal()))
}

fn first_gate(require: &str) -> Condition<IssueFact> {
    let old = "{ repo = { in = \"$allowlist\", not_in = \"$denylist\" }, trusted = true }";
    policy(&minimal().replace(old, require)).base.gates[0].require.clone()
}

fn matcher(require: &str) -> Matcher {
    match first_gate(require) {
        Condition::Test(test) => test.matcher,
        other => panic!("{other:?}"),
    }
}

fn messages(text: &str) -> Vec<String> {
    let findings = judge(text).findings;
    findings
        .into_iter()
        .filter(|f| f.severity == Severity::Error)
        .map(|f| format!("{} / {}", f.message, f.label))
        .collect()
}

#[test]
fn what_may_be_left_out_has_the_documented_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies/good/without-what-may-be-left-out.toml");
    let policy = policy(&std::fs::read_to_string(path).unwrap());
    assert_eq!(policy.denylist.value, []);
    assert_eq!(policy.base.trust.logins, Vec::<String>::new());
    assert!(policy.base.priority.levels.is_empty());
    assert_eq!(policy.base.protect.patterns(), Vec::<String>::new());
    assert_eq!(policy.base.checklist, []);
    assert_eq!(policy.waivers, []);
    let notification = &policy.base.notify["frozen"];
    assert_eq!(notification.body, notification.title);
    assert_eq!(notification.urgency.word(), "normal");
    assert_eq!(notification.to, None);
}

#[test]
fn an_exact_name_wins_over_its_owner_key_by_key() {
    let policy = with(
        r#"
[repos."acme/app"]
limits.attempts = 3
priority.default = -7

[repos."acme/*"]
limits.attempts = 4
limits.settle_time = "9m"
agent.model = "large"
protect.paths = ["a", "b"]
"#,
    );
    let limits = |repo: &str| {
        let rules = policy.rules(repo);
        (rules.limits["attempts"].value, rules.settle_time.as_secs() / 60, rules.priority.default)
    };
    assert_eq!(limits("acme/app"), (Quantity::Int(3), 9, -7));
    assert_eq!(limits("ACME/App"), (Quantity::Int(3), 9, -7));
    assert_eq!(limits("acme/web"), (Quantity::Int(4), 9, 100));
    assert_eq!(limits("other/app"), (Quantity::Int(5), 2, 100));
    assert_eq!(policy.rules("acme/app").agent.model, "large");
    assert_eq!(policy.rules("acme/app").protect.patterns(), ["a", "b"]);
    assert_eq!(policy.rules("other/app").protect.patterns(), [".github/**"]);
}

#[test]
fn references_resolve_for_the_repository_at_hand() {
    let policy = with("\n[repos.\"acme/app\"]\nlimits.attempts = 3\n");
    let bound = |repo: &str| {
        let row = policy.rules(repo).transition("fix-forward").unwrap();
        let Condition::All(parts) = &row.when else { panic!("{row:?}") };
        let Condition::Test(test) = &parts[1] else { panic!("{row:?}") };
        test.matcher.clone()
    };
    assert_eq!(bound("acme/app"), Matcher::Compare(Comparison::Lt, Quantity::Int(3)));
    assert_eq!(bound("acme/web"), Matcher::Compare(Comparison::Lt, Quantity::Int(5)));
}

#[test]
fn lists_are_replaced_and_a_paused_repository_says_why() {
    let policy = with(
        "\n[repos.\"acme/app\"]\npaused = \"moving\"\n[[repos.\"acme/app\".ci.stages]]\nname = \"own\"\nsource = \"command\"\ncommand = \"test\"\n",
    );
    let rules = policy.rules("acme/app");
    assert_eq!(rules.stages.len(), 1);
    assert_eq!(rules.stages[0].source, StageSource::Command { command: "test".to_owned() });
    assert_eq!(rules.paused.as_ref().unwrap().value, "moving");
    assert!(policy.base.paused.is_none());
}

#[test]
fn an_error_in_an_override_is_reported_once() {
    let text = format!(
        "{}\n[repos.\"acme/*\"]\nlimits.attempts = -1\n[repos.\"acme/a\"]\npaused = \"x\"\n[repos.\"acme/b\"]\npaused = \"x\"\n",
        minimal()
    );
    assert_eq!(messages(&text), ["`limits.attempts` is negative / write 0 or more"]);
}

#[test]
fn matchers_come_out_as_they_were_written() {
    assert_eq!(
        matcher("{ labels = { has = \"$labels.human\" } }"),
        Matcher::HasAny(vec!["ready-for-human".to_owned()])
    );
    assert_eq!(matcher("{ labels = { lacks = \"$$x\" } }"), Matcher::HasNone(vec!["$x".to_owned()]));
    assert_eq!(matcher("{ trusted = true }"), Matcher::Is(true));
    assert_eq!(matcher("{ open_blockers = { empty = true } }"), Matcher::Empty(true));
    assert_eq!(matcher("{ number = 7 }"), Matcher::OneOfQuantities(vec![Quantity::Int(7)]));
    assert_eq!(
        matcher("{ age = { lt = \"1h30m\" } }"),
        Matcher::Compare(Comparison::Lt, Quantity::Duration(Duration::from_secs(5400)))
    );
    assert_eq!(first_gate("{}"), Condition::All(vec![]));
    assert_eq!(first_gate("{ any = [] }"), Condition::Any(vec![]));
    assert!(matches!(first_gate("{ number = { gte = 1, lt = 5 } }"), Condition::All(parts) if parts.len() == 2));
    assert!(matches!(first_gate("{ not = { trusted = false } }"), Condition::Not(_)));
}

#[test]
fn the_span_of_a_test_is_its_entry_in_the_file() {
    let policy = policy(&minimal());
    let Condition::Test(test) = &policy.base.gates[1].require else { panic!() };
    assert_eq!(
        &policy.source.text[test.span.start..test.span.end],
        "labels = { has_none = [\"$labels.human\", \"$labels.paused\"] }"
    );
    let gate = policy.base.gates[1].span;
    assert_eq!(&policy.source.text[gate.start..gate.end], "name    = \"free\"");
}

#[test]
fn a_type_error_names_the_type_and_what_to_write() {
    let text = minimal().replace("when = { ci = \"green\" }", "when = { red_for = { lt = 60 } }");
    assert_eq!(messages(&text), ["`red_for` is a duration; `60` is a number / write \"60s\", \"60m\" or \"60h\""]);
    let text = minimal().replace("ci = \"green\"", "ci = \"gren\"");
    assert_eq!(messages(&text), ["`ci` is never `gren` / did you mean `green`?"]);
    let text = minimal().replace("max_per_tick   = 4", "max_per_tick   = 4\nstall_timeout = \"45m\"");
    assert_eq!(messages(&text), ["`[dispatch]` has no key `stall_timeout` / `stall_timeout` belongs under `[limits]`"]);
    let text = minimal().replace("$limits.attempts", "$limits.atempts");
    let meant = "`$limits.atempts` leads nowhere / did you mean \"$limits.attempts\"? one of the two is misspelt";
    assert_eq!(messages(&text), [meant]);
}

#[test]
fn a_syntax_error_says_what_to_write_where_that_is_known() {
    let limit =
        |value: &str| messages(&minimal().replace("settle_time    = \"2m\"", &format!("settle_time = {value}")));
    assert_eq!(limit("2m"), ["a text stands in double quotes / write \"2m\""]);
    let digits =
        "this is neither a number nor a text in quotes / a number has digits only, a text stands in double quotes";
    assert_eq!(limit("2.5m"), [digits]);
    assert_eq!(limit("45min"), [digits]);
    assert_eq!(limit(""), ["there is no value / write it here"]);
    assert_eq!(limit("\"2m"), ["invalid basic string / write `\"` here"]);
    assert_eq!(limit("02"), ["unexpected leading zero / remove this"]);
    assert_eq!(limit("= 2"), ["extra `=` / remove this"]);

    let marked = |value: &str| {
        let text = minimal().replace("settle_time    = \"2m\"", &format!("settle_time = {value} # é"));
        let span = judge(&text).findings[0].span;
        text[span.start..span.end].to_owned()
    };
    assert_eq!([marked("2m"), marked("2.5m"), marked("1h30m")], ["2m", "2.5m", "1h30m"]);
}

#[test]
fn a_line_gives_one_syntax_error_and_other_lines_theirs() {
    let row = "when = { ci = \"red\", attempts = { lt = \"$limits.attempts\" } }";
    let text = minimal().replace(row, &row.replace(',', "")).replace("title = \"Landed\",", "title = \"Landed\"");
    assert_eq!(messages(&text), ["missing comma between key-value pairs / write `,` here"; 2]);
    let bare = minimal().replace("ci = \"red\", attempts", "pushed = true attempts");
    assert_eq!(messages(&bare), ["missing comma between key-value pairs / write `,` here"]);
    // The line goes on after the quote that is missing here, and everything there is a slip of its own.
    let quote = minimal().replace("title = \"Landed\"", "title = \"Landed");
    assert_eq!(messages(&quote).len(), 1);
}

#[test]
fn an_entry_that_is_wrong_is_spoken_of_alone_and_does_not_hide_the_others() {
    let allowed = |list: &str| messages(&minimal().replace("[\"acme/app\"]", list));
    let refused = "is not a repository; write `owner/name`, `owner/*` or `owner/prefix*` / write \"owner/name\", \"owner/*\", or a \"name\" of the local tracker";
    assert_eq!(
        allowed("[\"acme/**\", \"\", \"a*b/c\", 7]"),
        [
            format!("`acme/**` {refused}"),
            "an entry of `allowlist` is empty / write a text".to_owned(),
            format!("`a*b/c` {refused}"),
            "an entry of `allowlist` is a text; `7` is a number / write it in double quotes".to_owned(),
        ]
    );
    let granted = |list: &str| messages(&minimal().replace("[\"admin\", \"write\"]", list));
    assert_eq!(
        granted("[\"boss\", \"wirte\"]"),
        [
            "an entry of `permissions` cannot be `boss` / write `admin`, `maintain`, `write`, `triage` or `read`",
            "an entry of `permissions` cannot be `wirte` / did you mean `write`?",
        ]
    );
}

#[test]
fn a_misspelt_limit_is_named_where_it_stands() {
    let required = |name: &str| messages(&minimal().replace("settle_time ", name));
    assert_eq!(required("setle_time "), ["`[limits]` lacks `settle_time` / did you mean `settle_time`?"]);
    assert_eq!(required("patience "), ["`[limits]` lacks `settle_time` / add settle_time = \"2m\""]);
}

#[test]
fn a_limit_that_nothing_refers_to_is_a_warning() {
    let warnings = |text: &str| -> Vec<String> {
        let findings = judge(text).findings.into_iter().filter(|finding| finding.severity == Severity::Warning);
        findings.map(|finding| format!("{} {}", finding.code.name(), finding.message)).collect()
    };
    // As conditions, sentences and overrides refer to them.
    let used = r#"age = { gte = "$limits.budget" }"#;
    let with = |limit: &str| minimal().replace("attempts       = 5", &format!("attempts = 5\n{limit}"));
    let text = with("budget = \"1d\"").replace("age = { gte = \"24h\" }", used);
    assert_eq!(warnings(&text), Vec::<String>::new());
    let text = with("budget_usd = 9.5").replace("not finished after {age}", "{age}, for {limits.budget_usd} at most");
    assert_eq!(warnings(&text), Vec::<String>::new());

    assert_eq!(warnings(&with("budget_usd = 9.5")), ["unused-limit nothing refers to `limits.budget_usd`"]);
    let misspelt = with("atempts = 3");
    assert_eq!(warnings(&misspelt), ["unused-limit nothing refers to `limits.atempts`"]);
    let mut labels = judge(&misspelt).findings.into_iter().map(|finding| finding.label);
    assert!(labels.any(|label| label.starts_with("did you mean `attempts`?")));
}

#[test]
fn an_entry_of_the_allowlist_that_matches_no_installed_repository_is_a_warning() {
    let warned = |list: &str, repositories: &[&str]| -> Vec<String> {
        let prompt = |_: &str| Ok("Resolve {{ ref }}.".to_owned());
        let repositories = Some(repositories.iter().map(|name| (*name).to_owned()).collect());
        let installed = InstalledNames { repositories, ..InstalledNames::default() };
        let text = minimal().replace("[\"acme/app\"]", list).replace("kill_switch = true", "kill_switch = false");
        let checked = check(&text, "policy.toml", &Surroundings { prompt: &prompt, installed: &installed });
        assert!(checked.policy.is_some(), "{:?}", checked.findings);
        checked.findings.into_iter().map(|finding| format!("{} / {}", finding.message, finding.label)).collect()
    };
    let known = ["acme/app", "acme/web-shop", "greeter"];
    assert_eq!(warned("[\"acme/app\", \"ACME/*\", \"acme/web-*\", \"greeter\"]", &known), Vec::<String>::new());
    let entries = "[\"app\", \"me/greeter\", \"web*\", \"acme/ap\", \"other/*\"]";
    assert_eq!(
        warned(entries, &known),
        [
            "`app` matches no repository of the settings / did you mean `acme/app`?",
            "`me/greeter` matches no repository of the settings / did you mean `greeter`?",
            "`web*` matches no repository of the settings / did you mean `acme/web-shop`?",
            "`acme/ap` matches no repository of the settings / did you mean `acme/app`?",
            "`other/*` matches no repository of the settings / add it under [repos] of the settings; there is `acme/app`, \
             `acme/web-shop` or `greeter`",
        ]
    );
    let none =
        "`acme/app` matches no repository of the settings / the settings have no repository; add it under [repos]";
    assert_eq!(warned("[\"acme/app\"]", &[]), [none]);
}

#[test]
fn a_row_may_lead_back_to_its_state_when_it_does_something() {
    let row = "\n[[transitions]]\nname = \"again\"\nfrom = [\"working\"]\nwhen = { landed = true }\nto = \"working\"\n";
    assert_eq!(
        messages(&format!("{}{row}", minimal())),
        ["row `again` leads from `working` to `working` and does nothing: it would turn in a circle / \
          name another state, or give the row effects with `do`"]
    );
    assert_eq!(messages(&format!("{}{row}do = \"fix-forward\"\n", minimal())), Vec::<String>::new());
}

#[test]
fn constants_of_sentences_are_written_out_and_braces_doubled() {
    let text = minimal()
        .replace("it carries {labels}", "{{x}} {labels.human} {dispatch.slots_per_repo} {trust.permissions} {labels}");
    let parts = policy(&text).base.gates[1].message.parts.clone();
    assert_eq!(
        parts,
        [
            Part::Text("{x} ready-for-human 1 admin, write ".to_owned()),
            Part::Placeholder(Placeholder::Issue(IssueFact::Labels)),
        ]
    );
}

#[test]
fn nobody_called_unknown_is_ever_pinged() {
    let text = minimal().replace("@{armed_by} {reason}", "@{armed_by}, @{title}: @@{url} {reason}");
    let comment = policy(&text).base.comments["frozen"].clone();
    let said = |armed_by: Option<&str>| {
        comment.say(|placeholder| match placeholder {
            Placeholder::ArmedBy => armed_by.map(str::to_owned),
            Placeholder::Title => Some("a title".to_owned()),
            _ => None,
        })
    };
    assert_eq!(said(Some("mara")), "@mara, @a title: unknown unknown");
    assert_eq!(said(None), "unknown, @a title: unknown unknown");
}

#[test]
fn a_policy_that_is_on_and_enrols_somebody_has_nothing_to_say() {
    let text = minimal().replace("kill_switch = true", "kill_switch = false");
    assert_eq!(judge(&text).findings, []);
}

#[test]
fn the_revision_changes_with_the_text_and_with_every_prompt() {
    let text = minimal();
    let revision = |text: &str, said: &'static str| {
        let prompt = move |_: &str| Ok(said.to_owned());
        check(text, "p", &Surroundings { prompt: &prompt, installed: &InstalledNames::default() })
            .policy
            .unwrap()
            .revision
    };
    assert_eq!(revision(&text, "a"), revision(&text, "a"));
    assert_ne!(revision(&text, "a"), revision(&text, "b"));
    assert_ne!(revision(&text, "a"), revision(&format!("{text}#"), "a"));
}

#[test]
fn prompts_are_filled_in_strictly() {
    let values = serde_json::json!({ "ref": "acme/app#1", "landing": "push", "brief": "{{ url }} {% raw %}" });
    assert_eq!(render_prompt("{{ ref }}: {{ brief }}", &values).unwrap(), "acme/app#1: {{ url }} {% raw %}");
    assert_eq!(render_prompt("{% if landing == \"push\" %}a{% else %}b{% endif %}", &values).unwrap(), "a");
    assert!(render_prompt("{{ url }}", &values).is_err());
    assert!(render_prompt("{{ ref", &values).is_err());
    assert!(render_prompt("{% include \"/etc/passwd\" %}", &values).is_err());
}

#[test]
fn durations_are_read_as_people_write_them() {
    for (text, seconds) in [("90s", 90), ("45m", 2_700), ("2h", 7_200), ("1d", 86_400), ("1h30m", 5_400), ("0s", 0)] {
        assert_eq!(duration::parse(text), Ok(Duration::from_secs(seconds)), "{text}");
    }
    for text in
        ["", "s", "90", "90 s", "-5m", "1.5h", "30m1h", "5m5m", "1w", "1h30", "99999999999999999999s", "40000d", "٣s"]
    {
        assert!(duration::parse(text).is_err(), "{text}");
    }
}

#[test]
fn repository_patterns_never_reach_further_than_written() {
    for (pattern, repo, matches) in [
        ("acme/app", "ACME/App", true),
        ("acme/app", "acme/apps", false),
        ("acme/*", "acme/app", true),
        ("acme/*", "acme2/app", false),
        ("acme/*", "acme/a/b", false),
        ("acme/web-*", "acme/web-1", true),
        ("acme/web-*", "acme/webs", false),
        ("app", "app", true),
        ("app*", "apps", true),
        ("app*", "app/x", false),
    ] {
        assert_eq!(RepoPattern::parse(pattern).unwrap().matches(repo), matches, "{pattern} {repo}");
    }
    for pattern in
        ["*", "*/app", "acme/", "/app", "a/b/c", "acme/a*b", "acme/**", "", "acme/ app", "../app", "acme/..", "/*"]
    {
        assert!(RepoPattern::parse(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn priority_labels_carry_a_signed_integer() {
    let pattern = LabelPattern::parse("priority:{n}").unwrap();
    for (label, number) in [
        ("priority:1", Some(1)),
        ("Priority:-2", Some(-2)),
        ("priority:+1", None),
        ("priority:", None),
        ("priority:1x", None),
        ("priority:99999999999999999999", None),
        ("é", None),
    ] {
        assert_eq!(pattern.number(label), number, "{label}");
    }
    assert!(LabelPattern::parse("{n}").is_err() && LabelPattern::parse("p{n}{n}").is_err());
}

#[test]
fn protected_paths_are_anchored_and_a_star_stops_at_a_slash() {
    let paths = |patterns: &[&str]| {
        ProtectedPaths::parse(&patterns.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
    };
    let protected = paths(&[".github/**", "*.yml", "**/AGENTS.md"]);
    for (path, matches) in [
        (".github/workflows/ci.yml", true),
        ("sub/.github/x", false),
        ("ci.yml", true),
        ("sub/ci.yml", false),
        ("AGENTS.md", true),
        ("a/b/AGENTS.md", true),
        ("AGENTS.md.bak", false),
    ] {
        assert_eq!(protected.matches(path), matches, "{path}");
    }
}

#[test]
fn protected_paths_that_are_compiled_late_do_compile() {
    let braces = format!("{{{}}}", vec!["a*b"; 1_000].join(","));
    for pattern in ["?".repeat(4_000), "[!a-cx-z]".repeat(450), "**/a".repeat(1_000), "é*".repeat(1_300), braces] {
        let protected = ProtectedPaths::parse(std::slice::from_ref(&pattern)).unwrap();
        assert!(!protected.matches("README.md"), "{pattern}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_duration_written_is_the_duration_read(seconds in 0u64..3_000_000_000) {
        let length = Duration::from_secs(seconds);
        prop_assert_eq!(duration::parse(&duration::format(length)), Ok(length));
    }

    #[test]
    fn reading_durations_and_patterns_never_panics(text in "\\PC{0,20}") {
        let _ = duration::parse(&text);
        let _ = LabelPattern::parse("p{n}é").unwrap().number(&text);
        if let Ok(pattern) = RepoPattern::parse(&text) {
            let _ = pattern.matches("acme/app");
            prop_assert_eq!(RepoPattern::parse(&pattern.to_string()), Ok(pattern));
        }
    }
}
