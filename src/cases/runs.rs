//! A case of one run: how far it goes in one tick.

use super::Difference;
use super::coverage::Covered;
use super::facts;
use super::file::{Played, Setting};
use super::keys::reader;
use super::trace::{self, Trace};
use crate::engine::step::{Advance, Circumstances, End};
use crate::policy::check::machine::{effect, effect_name};
use crate::policy::check::reader::{Field, Reader};
use crate::policy::check::tree::{Entry, Node, Table, Value};
use crate::policy::facts::{Given, RunFact, RunFacts};
use crate::policy::rules::{CloseReason, Effect, LabelRole};
use crate::policy::{Code, Rules, Span, Transition};

/// The repository of a run that names none.
const REPO: &str = "acme/app";
/// What `row` is where no row is due.
const WAIT: &str = "wait";
const MAX_PATH: usize = 256;

/// What is expected of a tick.
struct Expected {
    one: Vec<(&'static str, String, Span)>,
    path: Option<(Vec<String>, Span)>,
    effects: Option<(Vec<Effect>, Span)>,
}

/// Runs the case; `None` where it cannot be run, which has been reported.
pub fn play(setting: Setting<'_, '_>, run: &Field<'_>, expect: &Field<'_>, covered: &mut Covered) -> Option<Played> {
    let table = run.table()?;
    let keys = Reader { what: "this run", table, span: run.node.span, report: run.report };
    let repo = keys.optional("repo").map_or_else(|| Some(REPO.to_owned()), |field| facts::repository(&field));
    let rules = setting.policy.rules(repo.as_deref().unwrap_or(REPO));
    let states: Vec<&str> = rules.states.iter().map(|state| state.name.as_str()).collect();
    let state = keys
        .required("state", "state = \"…\": a state of the policy")
        .and_then(|field| facts::name(&field, "state", &states));
    let enrolled = keys.optional("enrolled").map_or(Some(true), |field| field.bool());
    let run = read(run, repo.as_deref().unwrap_or(REPO), rules);
    let expected = expected(expect, rules);
    let (state, facts, expected) = (state?, run?, expected?);
    repo?;

    let circumstances = Circumstances { kill_switch: setting.policy.kill_switch.value, enrolled: enrolled? };
    let advanced = setting.machines.of(&facts.repo).advance(&state, &facts, circumstances);
    let held = match advanced.end {
        End::Held(row, _) => Some(row),
        _ => None,
    };
    covered.rows.extend(taken(&advanced).into_iter().chain(held).map(|row| row.name.clone()));
    let trace = Trace::Run(trace::run(setting.policy, rules, &state, &facts, circumstances.enrolled, &advanced));
    Some((differences(&advanced, &expected, rules), trace))
}

fn read(field: &Field<'_>, repo: &str, rules: &Rules) -> Option<RunFacts> {
    let labels = &rules.labels;
    let mut run = RunFacts::harmless(repo, &labels.ready.value, &labels.in_progress.value);
    let mut landed = false;
    facts::read(field, &["state", "enrolled", "repo"], rules, |fact: RunFact, value: Given| {
        landed |= fact == RunFact::Landed;
        run.set(fact, value);
    })?;
    if !landed {
        run.landed = run.pushed.clone();
    }
    Some(run)
}

/// The rows taken in the tick, the one with effects last.
fn taken<'p>(advanced: &Advance<'p>) -> Vec<&'p Transition> {
    let last = match advanced.end {
        End::Act(row) => Some(row),
        _ => None,
    };
    advanced.path.iter().copied().chain(last).collect()
}

fn expected(expect: &Field<'_>, rules: &Rules) -> Option<Expected> {
    const KEYS: [&str; 6] = ["row", "to", "action", "held", "path", "effects"];
    let keys = reader("what a run is expected to do", expect.table()?, expect.node.span, &KEYS, expect.report);
    let mut sound = keys.table.keys().iter().all(|key| KEYS.contains(key));
    let rows: Vec<&str> = rules.transitions.iter().map(|row| row.name.as_str()).collect();
    let rows_and_wait: Vec<&str> = rows.iter().copied().chain([WAIT]).collect();
    let states: Vec<&str> = rules.states.iter().map(|state| state.name.as_str()).collect();
    let actions: Vec<&str> = rules.actions.keys().map(String::as_str).collect();
    let mut one = Vec::new();
    for (key, what, known) in [
        ("row", "row", &rows_and_wait),
        ("to", "state", &states),
        ("action", "action", &actions),
        ("held", "row", &rows),
    ] {
        let Some(field) = keys.optional(key) else { continue };
        match facts::name(&field, what, known) {
            Some(name) => one.push((key, name, field.span)),
            None => sound = false,
        }
    }
    let mut path = None;
    if let Some(field) = keys.optional("path") {
        let elements = field.list(MAX_PATH)?;
        let names: Vec<Option<String>> = elements.iter().map(|element| facts::name(element, "row", &rows)).collect();
        path = Some((names.into_iter().collect::<Option<Vec<String>>>()?, field.span));
    }
    let mut effects = None;
    if let Some(field) = keys.optional("effects") {
        let names = names(rules);
        let elements = field.list(MAX_PATH)?;
        let read: Vec<Option<Effect>> = elements.iter().map(|element| effect(&names, element)).collect();
        effects = Some((read.into_iter().collect::<Option<Vec<Effect>>>()?, field.span));
    }
    if sound && one.is_empty() && path.is_none() && effects.is_none() {
        let message = "the case expects nothing, so it could never fail";
        expect.report.error(
            Code::MissingKey,
            expect.node.span,
            message,
            "add `row`, `to`, `action`, `held`, `path` or `effects`",
        );
        return None;
    }
    sound.then_some(Expected { one, path, effects })
}

/// The tables of the policy whose names effects may use.
fn names<'r>(rules: &'r Rules) -> Table<'r> {
    let node = |value| Node { span: Span::default(), value };
    let entry = |value| Entry { key: Span::default(), node: node(value) };
    let table = |names: Vec<&'r String>| {
        entry(Value::Table(names.into_iter().map(|name| (name.into(), entry(Value::Bool(true)))).collect()))
    };
    let tables = [
        ("prompts", rules.prompts.keys().collect()),
        ("comments", rules.comments.keys().collect()),
        ("notify", rules.notify.keys().collect()),
    ];
    tables.map(|(name, names)| (name.into(), table(names))).into_iter().collect()
}

/// Effects in words, in their order.
fn in_words(effects: &[Effect]) -> String {
    let word = |effect: &Effect| {
        let of = match effect {
            Effect::Reopen | Effect::Interrupt => return effect_name(effect).to_owned(),
            Effect::Close(CloseReason::Completed) => "completed",
            Effect::Close(CloseReason::NotPlanned) => "not_planned",
            Effect::AddLabel(LabelRole::Ready) | Effect::RemoveLabel(LabelRole::Ready) => "ready",
            Effect::AddLabel(LabelRole::InProgress) | Effect::RemoveLabel(LabelRole::InProgress) => "in_progress",
            Effect::AddLabel(LabelRole::Human) | Effect::RemoveLabel(LabelRole::Human) => "human",
            Effect::AddLabel(LabelRole::Paused) | Effect::RemoveLabel(LabelRole::Paused) => "paused",
            Effect::Turn(name) | Effect::Comment(name) | Effect::Notify(name) => name,
        };
        format!("{} {of}", effect_name(effect))
    };
    if effects.is_empty() { "none".to_owned() } else { effects.iter().map(word).collect::<Vec<_>>().join(", ") }
}

fn differences(advanced: &Advance<'_>, expected: &Expected, rules: &Rules) -> Vec<Difference> {
    let taken = taken(advanced);
    let last = taken.last();
    let (held, acts) = match advanced.end {
        End::Held(row, _) => (Some(row), None),
        End::Act(row) => (None, Some(row)),
        End::Wait | End::Circle => (None, None),
    };
    let mut differences = Vec::new();
    for (key, wanted, span) in &expected.one {
        let actual = match *key {
            "row" => match (last, held) {
                (Some(row), _) => row.name.clone(),
                (None, Some(row)) => format!("none: {} is held", row.name),
                (None, None) => WAIT.to_owned(),
            },
            "to" => acts.map_or(&advanced.state, |row| &row.to).clone(),
            "action" => acts.and_then(|row| row.action.clone()).unwrap_or_else(|| "none".to_owned()),
            _ => held.map_or_else(|| "none".to_owned(), |row| row.name.clone()),
        };
        if actual != *wanted {
            differences.push(Difference { what: (*key).to_owned(), expected: wanted.clone(), actual, span: *span });
        }
    }
    if let Some((wanted, span)) = &expected.effects {
        let effects = acts.and_then(|row| rules.actions.get(row.action.as_ref()?)).map_or(&[][..], Vec::as_slice);
        let actual: Vec<Effect> = effects.iter().map(|effect| effect.value.clone()).collect();
        if actual != *wanted {
            differences.push(Difference {
                what: "effects".to_owned(),
                expected: in_words(wanted),
                actual: in_words(&actual),
                span: *span,
            });
        }
    }
    if let Some((wanted, span)) = &expected.path {
        let actual: Vec<&str> = taken.iter().map(|row| row.name.as_str()).collect();
        if actual != *wanted {
            let names = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
            differences.push(Difference {
                what: "path".to_owned(),
                expected: names(&wanted),
                actual: names(&actual),
                span: *span,
            });
        }
    }
    differences
}
