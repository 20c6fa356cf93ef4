//! §2 and §3: what conditions mean, and what follows from a fact that is not known.

use afk::engine::evaluate::Verdict::{Fails, Holds, NotRead as Unasked, Unknown as Open};
use afk::engine::evaluate::{Verdict, describe, evaluate, lacking};
use afk::policy::facts::{AgentStatus, CiStatus, Facts, IssueFact, RunFact};
use afk::policy::{Comparison, Condition, Matcher, Quantity};
use pretty_assertions::assert_eq;

use crate::builder::*;

fn of_issue(condition: &Condition<IssueFact>) -> Verdict {
    evaluate(condition, &issue("acme/app", 7).facts)
}

fn sets(matcher: Matcher) -> Verdict {
    let facts = with(issue("acme/app", 7), |facts| facts.labels = Known(strings(&["Bug", "priority:1"]))).facts;
    evaluate(&test(IssueFact::Labels, matcher), &facts)
}

#[test]
fn empty_lists_of_parts() {
    assert_eq!(of_issue(&all(vec![])), Holds);
    assert_eq!(of_issue(&any(vec![])), Fails);
    assert_eq!(of_issue(&not(all(vec![]))), Fails);
    assert_eq!(of_issue(&not(any(vec![]))), Holds);
}

#[test]
fn equals_and_one_of() {
    let mut facts = run();
    facts.agent = AgentStatus::Failed;
    for (condition, verdict) in [
        (is(RunFact::Pushed, false), Holds),
        (is(RunFact::Pushed, true), Fails),
        (one_of(RunFact::Agent, &["failed"]), Holds),
        (one_of(RunFact::Agent, &["idle", "failed"]), Holds),
        (one_of(RunFact::Agent, &["idle", "gone"]), Fails),
        (one_of(RunFact::Agent, &[]), Fails),
        (test(RunFact::Attempts, Matcher::OneOfQuantities(vec![Quantity::Int(3), Quantity::Int(0)])), Holds),
        (test(RunFact::Attempts, Matcher::OneOfQuantities(vec![Quantity::Int(3)])), Fails),
    ] {
        assert_eq!(evaluate(&condition, &facts), verdict, "{condition:?}");
    }
}

#[test]
fn comparisons_of_quantities() {
    use Comparison::{Eq, Gt, Gte, Lt, Lte, Ne};
    // Below, at, and above the bound.
    for (comparison, verdicts) in [
        (Lt, [Holds, Fails, Fails]),
        (Lte, [Holds, Holds, Fails]),
        (Gt, [Fails, Fails, Holds]),
        (Gte, [Fails, Holds, Holds]),
        (Eq, [Fails, Holds, Fails]),
        (Ne, [Holds, Fails, Holds]),
    ] {
        for (step, verdict) in [4_u8, 5, 6].into_iter().zip(verdicts) {
            let mut facts = run();
            facts.attempts = i64::from(step) - 10;
            facts.cost_usd = Known(f64::from(step) / 2.0);
            facts.age = minutes(u64::from(step));
            for (fact, bound) in [
                (RunFact::Attempts, Quantity::Int(-5)),
                (RunFact::CostUsd, Quantity::Number(2.5)),
                (RunFact::Age, Quantity::Duration(minutes(5))),
            ] {
                let condition = test(fact, Matcher::Compare(comparison, bound));
                assert_eq!(evaluate(&condition, &facts), verdict, "{condition:?} over step {step}");
            }
        }
    }
}

#[test]
fn a_cost_that_is_not_a_number_is_unknown_in_every_comparison() {
    let mut facts = run();
    facts.cost_usd = Known(f64::NAN);
    for comparison in [Comparison::Lt, Comparison::Lte, Comparison::Gt, Comparison::Gte, Comparison::Eq, Comparison::Ne]
    {
        let condition = test(RunFact::CostUsd, Matcher::Compare(comparison, Quantity::Number(100.0)));
        assert_eq!(evaluate(&condition, &facts), Open);
        assert_eq!(evaluate(&not(condition), &facts), Open);
    }
}

#[test]
fn sets_compare_without_ascii_case() {
    for (matcher, verdict) in [
        (Matcher::HasAny(strings(&["bUG"])), Holds),
        (Matcher::HasAny(strings(&["docs", "PRIORITY:1"])), Holds),
        (Matcher::HasAny(strings(&["docs"])), Fails),
        (Matcher::HasAny(vec![]), Fails),
        (Matcher::HasAll(strings(&["bug", "Priority:1"])), Holds),
        (Matcher::HasAll(strings(&["bug", "docs"])), Fails),
        (Matcher::HasAll(vec![]), Holds),
        (Matcher::HasNone(strings(&["docs", "bu"])), Holds),
        (Matcher::HasNone(strings(&["docs", "BUG"])), Fails),
        (Matcher::HasNone(vec![]), Holds),
        (Matcher::Empty(true), Fails),
        (Matcher::Empty(false), Holds),
    ] {
        assert_eq!(sets(matcher.clone()), verdict, "{matcher:?}");
    }
    assert_eq!(of_issue(&test(IssueFact::OpenBlockers, Matcher::Empty(true))), Holds);
}

#[test]
fn logins_and_repositories_compare_without_ascii_case() {
    let facts = issue("Acme/App", 7).facts;
    for (condition, verdict) in [
        (one_of(IssueFact::ArmedBy, &["MARA"]), Holds),
        (one_of(IssueFact::Repo, &["acme/app"]), Holds),
        (test(IssueFact::Repo, Matcher::In(repos(&["acme/app"]))), Holds),
        (test(IssueFact::Repo, Matcher::In(repos(&["ACME/*"]))), Holds),
        (test(IssueFact::Repo, Matcher::In(repos(&["acme/ap", "other/*"]))), Fails),
        (test(IssueFact::Repo, Matcher::In(repos(&[]))), Fails),
        (test(IssueFact::Repo, Matcher::NotIn(repos(&["acme/a*"]))), Fails),
        (test(IssueFact::Repo, Matcher::NotIn(repos(&["acme/b*"]))), Holds),
        (test(IssueFact::Repo, Matcher::NotIn(repos(&[]))), Holds),
    ] {
        assert_eq!(evaluate(&condition, &facts), verdict, "{condition:?}");
    }
}

/// Conditions on `trusted`, in the four readings it may have.
fn four() -> [(Condition<IssueFact>, Verdict); 4] {
    [
        (is(IssueFact::HasRun, false), Holds),
        (is(IssueFact::HasRun, true), Fails),
        (is(IssueFact::Trusted, true), Open),
        (is(IssueFact::AuthorTrusted, true), Unasked),
    ]
}

fn partly_known() -> afk::policy::facts::IssueFacts {
    with(issue("acme/app", 7), |facts| {
        facts.trusted = Unknown("the tracker answered 403".to_owned());
        facts.author_trusted = NotRead;
    })
    .facts
}

#[test]
fn a_comparison_with_an_unknown_fact_is_neither_true_nor_false_and_so_is_its_not() {
    let facts = partly_known();
    for (condition, verdict) in four() {
        assert_eq!(evaluate(&condition, &facts), verdict);
        assert_eq!(evaluate(&not(condition), &facts), !verdict);
    }
    assert_eq!([!Holds, !Fails, !Open, !Unasked], [Fails, Holds, Open, Unasked]);
}

#[test]
fn every_unknown_matcher_is_unknown() {
    let mut facts = run();
    facts.pushed = Unknown("no".to_owned());
    facts.labels = Unknown("no".to_owned());
    facts.priority = NotRead;
    facts.issue = NotRead;
    for (condition, verdict) in [
        (is(RunFact::Pushed, false), Open),
        (test(RunFact::Labels, Matcher::HasNone(vec![])), Open),
        (test(RunFact::Labels, Matcher::Empty(true)), Open),
        (test(RunFact::CostUsd, Matcher::Compare(Comparison::Gt, Quantity::Number(1.0))), Open),
        (below(RunFact::Priority, 5), Unasked),
        (one_of(RunFact::Issue, &["open"]), Unasked),
    ] {
        assert_eq!(evaluate(&condition, &facts), verdict, "{condition:?}");
    }
}

#[test]
fn two_parts_in_all_and_any() {
    let facts = partly_known();
    let rank_all = |verdict| [Fails, Open, Unasked, Holds].iter().position(|one| *one == verdict);
    let rank_any = |verdict| [Holds, Unasked, Open, Fails].iter().position(|one| *one == verdict);
    for (left, first) in four() {
        for (right, second) in four() {
            let (both, either) = (all(vec![left.clone(), right.clone()]), any(vec![left.clone(), right]));
            let in_all = if rank_all(first) < rank_all(second) { first } else { second };
            let in_any = if rank_any(first) < rank_any(second) { first } else { second };
            assert_eq!(evaluate(&both, &facts), in_all, "all of {first:?} and {second:?}");
            assert_eq!(evaluate(&either, &facts), in_any, "any of {first:?} and {second:?}");
        }
    }
}

#[test]
fn conditions_nest() {
    let condition = all(vec![
        any(vec![is(IssueFact::HasRun, true), not(is(IssueFact::Trusted, false))]),
        not(all(vec![is(IssueFact::HasRun, false), any(vec![])])),
    ]);
    assert_eq!(of_issue(&condition), Holds);
}

fn lacks<F: Facts>(condition: &Condition<F::Name>, facts: &F) -> Vec<String> {
    lacking(condition, facts).into_iter().map(describe).collect()
}

#[test]
fn what_a_condition_lacks_is_named_and_what_holds_is_not() {
    let mut facts = run();
    facts.ci = CiStatus::Pending;
    let condition = all(vec![
        is(RunFact::Pushed, false),
        one_of(RunFact::Ci, &["green"]),
        any(vec![one_of(RunFact::Agent, &["idle", "failed"]), at_least(RunFact::Age, hours(24))]),
        any(vec![one_of(RunFact::Agent, &["running"]), is(RunFact::Told, true)]),
        not(one_of(RunFact::Ci, &["pending"])),
        not(any(vec![is(RunFact::Told, true), is(RunFact::Held, false)])),
        test(RunFact::CostUsd, Matcher::Compare(Comparison::Gt, Quantity::Number(100.0))),
    ]);
    assert_eq!(
        lacks(&condition, &facts),
        ["ci = green", "agent = idle or failed", "age >= 1d", "ci = pending", "held = false", "cost_usd > 100"]
    );
    assert_eq!(lacks(&any(vec![is(RunFact::Told, true), is(RunFact::Pushed, false)]), &facts), Vec::<String>::new());
}

#[test]
fn tests_read_as_the_policy_writes_them() {
    let names = strings(&["paused", "x"]);
    for (matcher, text) in [
        (Matcher::HasAny(names.clone()), "labels has_any [paused, x]"),
        (Matcher::HasAll(names.clone()), "labels has_all [paused, x]"),
        (Matcher::HasNone(names), "labels has_none [paused, x]"),
        (Matcher::Empty(true), "labels empty"),
        (Matcher::Empty(false), "labels not empty"),
    ] {
        assert_eq!(lacks(&test(IssueFact::Labels, matcher), &partly_unlabelled()), [text]);
    }
    for (comparison, text) in [
        (Comparison::Lt, "priority < 2"),
        (Comparison::Lte, "priority <= 2"),
        (Comparison::Gt, "priority > 2"),
        (Comparison::Gte, "priority >= 2"),
        (Comparison::Eq, "priority = 2"),
        (Comparison::Ne, "priority != 2"),
    ] {
        let condition = test(IssueFact::Priority, Matcher::Compare(comparison, Quantity::Int(2)));
        assert_eq!(lacks(&condition, &partly_unlabelled()), [text]);
    }
    let named = repos(&["acme/app", "acme/lib*"]);
    let facts = issue("other/app", 1).facts;
    assert_eq!(lacks(&test(IssueFact::Repo, Matcher::In(named.clone())), &facts), ["repo in [acme/app, acme/lib*]"]);
    assert_eq!(
        lacks(&not(test(IssueFact::Repo, Matcher::NotIn(named))), &facts),
        ["repo not_in [acme/app, acme/lib*]"]
    );
}

fn partly_unlabelled() -> afk::policy::facts::IssueFacts {
    with(issue("acme/app", 7), |facts| {
        facts.labels = Unknown("no".to_owned());
        facts.priority = NotRead;
    })
    .facts
}
