//! Policies and facts built in code, so that the engine is tested without the parser. Spans are all zero.

#![allow(dead_code, unused_imports, reason = "the benchmark uses half of it")]

use std::collections::BTreeMap;
use std::time::Duration;

use afk::engine::select::Candidate;
use afk::engine::step::{Circumstances, Machine, Step};
use afk::policy::facts::{
    AgentStatus, CiStatus, FactName, IssueFact, IssueFacts, IssueStatus, Observed, PullRequestStatus, RunFact, RunFacts,
};
use afk::policy::sentence::{Part, Placeholder, Sentence};
use afk::policy::*;

pub use Observed::{Known, NotRead, Unknown};

/// The next row of a run in a state of that name.
pub fn step<'p>(machine: &Machine<'p>, state: &str, facts: &RunFacts, circumstances: Circumstances) -> Step<'p> {
    machine.state(state).map_or(Step::Wait, |state| machine.step(state, facts, circumstances))
}

pub fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

pub fn hours(count: u64) -> Duration {
    minutes(count * 60)
}

pub fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

pub fn located<T>(value: T) -> Located<T> {
    Located { value, span: Span::default() }
}

pub fn patterns(texts: &[&str]) -> Vec<RepoPattern> {
    texts.iter().map(|text| RepoPattern::parse(text).unwrap()).collect()
}

pub fn repos(texts: &[&str]) -> RepoList {
    RepoList::new(patterns(texts), false, false)
}

// Conditions.

pub fn test<F>(fact: F, matcher: Matcher) -> Condition<F> {
    Condition::Test(Test { fact, matcher, span: Span::default() })
}

pub fn is<F>(fact: F, wanted: bool) -> Condition<F> {
    test(fact, Matcher::Is(wanted))
}

pub fn one_of<F>(fact: F, words: &[&str]) -> Condition<F> {
    test(fact, Matcher::OneOf(strings(words)))
}

pub fn at_least<F>(fact: F, bound: Duration) -> Condition<F> {
    test(fact, Matcher::Compare(Comparison::Gte, Quantity::Duration(bound)))
}

pub fn below<F>(fact: F, bound: i64) -> Condition<F> {
    test(fact, Matcher::Compare(Comparison::Lt, Quantity::Int(bound)))
}

pub fn all<F>(parts: Vec<Condition<F>>) -> Condition<F> {
    Condition::All(parts)
}

pub fn any<F>(parts: Vec<Condition<F>>) -> Condition<F> {
    Condition::Any(parts)
}

pub fn not<F>(part: Condition<F>) -> Condition<F> {
    Condition::Not(Box::new(part))
}

/// A sentence with issue facts in braces.
pub fn message(text: &str) -> Sentence {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap();
        parts.push(Part::Text(before.to_owned()));
        parts.push(Part::Placeholder(Placeholder::Issue(IssueFact::named(name).unwrap())));
        rest = after;
    }
    parts.push(Part::Text(rest.to_owned()));
    Sentence { parts }
}

pub fn gate(name: &str, require: Condition<IssueFact>, text: &str) -> Gate {
    Gate { name: name.to_owned(), require, message: message(text), span: Span::default() }
}

/// The eight gates of the shipped policy.
pub fn shipped_gates(allowlist: &[RepoPattern], denylist: &[RepoPattern], slots: i64) -> Vec<Gate> {
    let listed = all(vec![
        test(IssueFact::Repo, Matcher::In(RepoList::new(allowlist.to_vec(), true, false))),
        test(IssueFact::Repo, Matcher::NotIn(RepoList::new(denylist.to_vec(), false, true))),
    ]);
    let hold = test(IssueFact::Labels, Matcher::HasNone(strings(&["ready-for-human", "paused"])));
    vec![
        gate("allowlist", listed, "{repo} is not enrolled"),
        gate("hold", hold, "a person holds this issue: it carries {labels}"),
        gate("in-flight", is(IssueFact::HasRun, false), "a run of this issue is still in flight"),
        gate("repo-lock", below(IssueFact::InFlightInRepo, slots), "{in_flight_in_repo} slots of {repo} are taken"),
        gate("trust", is(IssueFact::Trusted, true), "armed by {armed_by}, who may not arm issues in {repo}"),
        gate("once", is(IssueFact::AlreadyRun, false), "this arming already had its run"),
        gate("unchanged", is(IssueFact::EditedSinceArmed, false), "edited after {armed_by} armed it"),
        gate("blocked-by", test(IssueFact::OpenBlockers, Matcher::Empty(true)), "blocked by {open_blockers}"),
    ]
}

pub fn by(order: OrderBy) -> OrderKey {
    OrderKey { by: order, descending: false }
}

pub fn descending(order: OrderBy) -> OrderKey {
    OrderKey { by: order, descending: true }
}

/// Rules without gates, states or rows; one slot a repository, no other limit.
pub fn rules() -> Rules {
    Rules {
        paused: None,
        labels: Labels {
            ready: located("ready-for-agent".to_owned()),
            in_progress: located("agent-in-progress".to_owned()),
            human: located("ready-for-human".to_owned()),
            paused: located("paused".to_owned()),
        },
        trust: Trust { permissions: strings(&["admin", "maintain", "write"]), logins: Vec::new() },
        priority: Priority {
            label: LabelPattern::parse("priority:{n}").unwrap(),
            levels: BTreeMap::new(),
            default: 100,
            order: vec![by(OrderBy::Priority), by(OrderBy::Number)],
        },
        dispatch: Dispatch {
            slots_per_repo: located(1),
            max_in_flight: located(usize::MAX),
            max_per_tick: located(usize::MAX),
        },
        limits: BTreeMap::new(),
        settle_time: minutes(2),
        effect_timeout: hours(1),
        edit_window: minutes(2),
        agent: AgentChoice {
            executor: located("command".to_owned()),
            model: "model".to_owned(),
            runtime_mode: "full-access".to_owned(),
            landing: Landing::Push,
            archive: false,
        },
        stages: Vec::new(),
        protect: ProtectedPaths::default(),
        gates: Vec::new(),
        states: Vec::new(),
        transitions: Vec::new(),
        actions: BTreeMap::new(),
        checklist: Vec::new(),
        comments: BTreeMap::new(),
        notify: BTreeMap::new(),
        prompts: BTreeMap::new(),
    }
}

/// A policy that is on, over these rules.
pub fn policy(base: Rules) -> Policy {
    Policy {
        source: Source::default(),
        revision: String::new(),
        kill_switch: located(false),
        allowlist: located(Vec::new()),
        denylist: located(Vec::new()),
        base,
        overrides: Vec::new(),
        waivers: Vec::new(),
        switched_on: None,
        overlay: None,
    }
}

/// The gates of the shipped policy, with `acme/*` on the allowlist but for `acme/secret`.
pub fn shipped() -> Policy {
    let (allowlist, denylist) = (patterns(&["acme/*"]), patterns(&["acme/secret"]));
    let mut shipped = policy(Rules { gates: shipped_gates(&allowlist, &denylist, 1), ..rules() });
    shipped.allowlist = located(allowlist);
    shipped.denylist = located(denylist);
    shipped
}

/// An armed issue that no gate of the shipped policy denies.
pub fn issue(repo: &str, number: i64) -> Candidate {
    Candidate {
        facts: IssueFacts {
            repo: repo.to_owned(),
            number,
            labels: Known(strings(&["ready-for-agent"])),
            armed_by: Known("mara".to_owned()),
            trusted: Known(true),
            author: Known("ola".to_owned()),
            author_trusted: Known(true),
            assignees: Known(Vec::new()),
            priority: Known(0),
            open_blockers: Known(Vec::new()),
            has_run: Known(false),
            already_run: Known(false),
            in_flight_in_repo: Known(0),
            in_flight: Known(0),
            edited_since_armed: Known(false),
            age: Known(hours(2)),
            armed_for: Known(hours(1)),
        },
        armed_at: None,
        created_at: None,
    }
}

pub fn with(mut candidate: Candidate, change: impl FnOnce(&mut IssueFacts)) -> Candidate {
    change(&mut candidate.facts);
    candidate
}

pub fn urgent(repo: &str, number: i64, priority: i64) -> Candidate {
    with(issue(repo, number), |facts| facts.priority = Known(priority))
}

/// A run whose agent is at work and has pushed nothing.
pub fn run() -> RunFacts {
    RunFacts {
        repo: "acme/app".to_owned(),
        labels: Known(strings(&["agent-in-progress", "ready-for-agent"])),
        priority: Known(0),
        agent: AgentStatus::Running,
        pushed: Known(false),
        landed: Known(false),
        pull_request: Known(PullRequestStatus::None),
        touched_protected: Known(false),
        ci: CiStatus::None,
        green_stages: Known(Vec::new()),
        attempts: 0,
        told: false,
        age: Duration::ZERO,
        quiet: Duration::ZERO,
        verdict_wait: Duration::ZERO,
        red_for: Duration::ZERO,
        issue: Known(IssueStatus::Open),
        held: Known(false),
        milestones: Known(Vec::new()),
        cost_usd: Unknown("the executor reports none".to_owned()),
    }
}

pub fn state(name: &str) -> State {
    State { name: name.to_owned(), title: name.to_owned(), initial: false, outcome: None, span: Span::default() }
}

pub fn row(name: &str, from: &[&str], when: Condition<RunFact>, to: &str, action: Option<&str>) -> Transition {
    Transition {
        name: name.to_owned(),
        from: strings(from),
        when,
        to: to.to_owned(),
        action: action.map(ToOwned::to_owned),
        reason: None,
        span: Span::default(),
    }
}

/// A small machine with every kind of row: without effects, closing, with a turn, freezing.
pub fn machine() -> Rules {
    let settled = || at_least(RunFact::Quiet, minutes(2));
    let ended = || one_of(RunFact::Agent, &["idle", "failed"]);
    let every = ["working", "verifying", "fixing"];
    let effects = |list: &[Effect]| list.iter().cloned().map(located).collect::<Vec<_>>();
    Rules {
        states: vec![
            State { initial: true, ..state("working") },
            state("verifying"),
            state("fixing"),
            State { outcome: Some(RunOutcome::Success), ..state("done") },
            State { outcome: Some(RunOutcome::Human), ..state("frozen") },
        ],
        transitions: vec![
            row("pushed", &["working"], is(RunFact::Pushed, true), "verifying", None),
            row(
                "corrected",
                &["fixing"],
                any(vec![one_of(RunFact::Ci, &["none", "pending", "green"]), is(RunFact::Told, false)]),
                "verifying",
                None,
            ),
            row(
                "landed",
                &["verifying"],
                all(vec![is(RunFact::Landed, true), one_of(RunFact::Ci, &["green"]), ended(), settled()]),
                "done",
                Some("close"),
            ),
            row("overdue", &every, at_least(RunFact::Age, hours(24)), "frozen", Some("freeze")),
            row(
                "fix-forward",
                &["verifying"],
                all(vec![
                    one_of(RunFact::Ci, &["red"]),
                    is(RunFact::Told, false),
                    ended(),
                    settled(),
                    below(RunFact::Attempts, 5),
                ]),
                "fixing",
                Some("fix-forward"),
            ),
            row(
                "freeze",
                &["verifying"],
                all(vec![one_of(RunFact::Ci, &["red"]), ended(), settled()]),
                "frozen",
                Some("freeze"),
            ),
            row("stalled", &["working"], at_least(RunFact::Quiet, minutes(45)), "frozen", Some("freeze")),
        ],
        actions: BTreeMap::from([
            ("close".to_owned(), effects(&[Effect::Close(CloseReason::Completed)])),
            ("fix-forward".to_owned(), effects(&[Effect::Turn("fix_forward".to_owned())])),
            ("freeze".to_owned(), effects(&[Effect::AddLabel(LabelRole::Human), Effect::Interrupt])),
        ]),
        checklist: vec![
            ChecklistItem { title: "Pushed".to_owned(), when: is(RunFact::Pushed, true) },
            ChecklistItem { title: "CI green".to_owned(), when: one_of(RunFact::Ci, &["green"]) },
        ],
        ..rules()
    }
}
