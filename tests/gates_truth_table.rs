//! The shipped gates, read from the shipped file: every combination of trust, allowlist, blockers, lock and kill switch,
//! each fact also unknown, is dispatched only where all of them allow it.

use std::path::Path;

use afk::engine::select::{Candidate, Outcome, fired, select};
use afk::policy::facts::{IssueFacts, Observed};
use afk::policy::{Policy, Surroundings, check};
use pretty_assertions::assert_eq;
use std::time::Duration;

/// The shipped policy with its two switches as they are wanted.
fn shipped(killed: bool, listed: bool) -> Policy {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/afk.toml");
    let mut text = std::fs::read_to_string(&path).unwrap();
    for (before, after) in [
        ("kill_switch = true", if killed { "kill_switch = true" } else { "kill_switch = false" }),
        ("allowlist   = []", if listed { "allowlist   = [\"acme/*\"]" } else { "allowlist   = [\"other/app\"]" }),
    ] {
        assert!(text.contains(before), "{before}");
        text = text.replacen(before, after, 1);
    }
    let prompt =
        |name: &str| std::fs::read_to_string(path.parent().unwrap().join(name)).map_err(|error| error.to_string());
    check(&text, "afk.toml", &Surroundings { prompt: &prompt, doorbells: None }).policy.unwrap()
}

/// An issue that nothing speaks against.
fn welcome() -> IssueFacts {
    use Observed::Known;
    IssueFacts {
        repo: "acme/app".to_owned(),
        number: 1,
        labels: Known(vec!["ready-for-agent".to_owned()]),
        armed_by: Known("ada".to_owned()),
        trusted: Known(true),
        author: Known("ada".to_owned()),
        author_trusted: Known(true),
        assignees: Known(Vec::new()),
        priority: Known(0),
        open_blockers: Known(Vec::new()),
        has_run: Known(false),
        already_run: Known(false),
        in_flight_in_repo: Known(0),
        in_flight: Known(0),
        edited_since_armed: Known(false),
        age: Known(Duration::ZERO),
        armed_for: Known(Duration::ZERO),
    }
}

/// Yes, no, and an answer that nobody could get.
const ANSWERS: [Option<bool>; 3] = [Some(true), Some(false), None];

fn observed<T>(answer: Option<bool>, value: impl FnOnce(bool) -> T) -> Observed<T> {
    match answer {
        Some(answer) => Observed::Known(value(answer)),
        None => Observed::Unknown("it answered 403".to_owned()),
    }
}

#[test]
fn an_issue_is_dispatched_only_where_trust_allowlist_blockers_lock_and_kill_switch_all_allow_it() {
    let mut dispatched = 0;
    for (killed, listed) in [(false, false), (false, true), (true, false), (true, true)] {
        let policy = shipped(killed, listed);
        for trusted in ANSWERS {
            for blocked in ANSWERS {
                for locked in ANSWERS {
                    let case = format!(
                        "killed {killed}, listed {listed}, trusted {trusted:?}, blocked {blocked:?}, locked {locked:?}"
                    );
                    let facts = IssueFacts {
                        trusted: observed(trusted, |trusted| trusted),
                        open_blockers: observed(
                            blocked,
                            |blocked| {
                                if blocked { vec!["#99".to_owned()] } else { Vec::new() }
                            },
                        ),
                        in_flight_in_repo: observed(locked, i64::from),
                        ..welcome()
                    };
                    let candidate = Candidate { facts, armed_at: None, created_at: None };
                    let decisions = select(&policy, std::slice::from_ref(&candidate), &[]);

                    // In file order: a gate known to deny fires before one that cannot tell.
                    let gates = [
                        ("allowlist", Some(listed)),
                        ("repo-lock", locked.map(|locked| !locked)),
                        ("trust", trusted),
                        ("blocked-by", blocked.map(|blocked| !blocked)),
                    ];
                    let first = |answer| gates.iter().find(|(_, passes)| *passes == answer).map(|(gate, _)| *gate);
                    let expected = if killed { Some("kill-switch") } else { first(Some(false)).or(first(None)) };
                    assert_eq!(fired(&policy, &candidate, &decisions[0]), expected, "{case}");
                    assert_eq!(decisions[0].outcome == Outcome::Dispatch(1), expected.is_none(), "{case}");
                    dispatched += usize::from(expected.is_none());
                }
            }
        }
    }
    assert_eq!(dispatched, 1, "one combination of them all");
}
