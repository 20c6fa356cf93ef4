//! One reading of the whole policy: for repositories without overrides, and once more for each override.

use std::collections::BTreeMap;

use super::super::pattern::ProtectedPaths;
use super::super::rules::{
    AgentChoice, ChecklistItem, Dispatch, Effect, Fragment, Gate, Labels, Notification, Priority, Prompt, Rules, Stage,
    State, Transition, Trust,
};
use super::super::sentence::Sentence;
use super::super::source::{Located, Span};
use super::conditions::Conditions;
use super::reader::{Field, Reader};
use super::reference::Scope;
use super::{gates, limits, machine, prompts, sections, stages, texts};

/// The keys at the top of the file.
pub const ROOT_KEYS: [&str; 22] = [
    "version",
    "kill_switch",
    "allowlist",
    "denylist",
    "labels",
    "trust",
    "priority",
    "dispatch",
    "limits",
    "agent",
    "ci",
    "protect",
    "repos",
    "gates",
    "states",
    "transitions",
    "actions",
    "progress",
    "comments",
    "notify",
    "prompts",
    "waivers",
];

/// What each section came to; where one is in error, the others are there all the same.
pub struct Sections {
    paused: Option<Located<String>>,
    labels: Option<Labels>,
    trust: Option<Trust>,
    priority: Option<Priority>,
    dispatch: Option<Dispatch>,
    limits: Option<limits::Limits>,
    agent: Option<AgentChoice>,
    stages: Option<Vec<Stage>>,
    protect: Option<ProtectedPaths>,
    gates: Option<Vec<Gate>>,
    states: Option<Vec<State>>,
    transitions: Option<Vec<Transition>>,
    actions: Option<BTreeMap<String, Vec<Located<Effect>>>>,
    checklist: Option<Vec<ChecklistItem>>,
    comments: Option<BTreeMap<String, Sentence>>,
    notify: Option<BTreeMap<String, Notification>>,
    prompts: Option<BTreeMap<String, Prompt>>,
}

/// Reads everything that may differ between repositories. Every section is read, whatever the others came to.
pub fn read(scope: Scope<'_>, paused: Option<Located<String>>) -> Sections {
    let root = Reader { what: "the policy", table: scope.root, span: Span::default(), report: scope.report };
    let required = |key: &'static str, example: &str| root.required(key, example);
    let labels = required("labels", "[labels]").and_then(|field| sections::labels(&field));
    let trust = required("trust", "[trust]").and_then(|field| sections::trust(&field));
    let priority = required("priority", "[priority]").and_then(|field| sections::priority(&field));
    let dispatch = required("dispatch", "[dispatch]").and_then(|field| sections::dispatch(&field));
    let limits = required("limits", "[limits]").and_then(|field| limits::read(scope.root, &field));
    let agent = required("agent", "[agent]").and_then(|field| sections::agent(scope, &field));
    let stages = required("ci", "[[ci.stages]]").and_then(|field| stages::read(scope, &field));
    let protect = root.optional("protect").map_or_else(|| Some(Default::default()), |field| sections::protect(&field));

    let stage_names = stages::names(scope.root);
    let conditions = Conditions { scope, stages: &stage_names };
    let gates = required("gates", "[[gates]]").and_then(|field| gates::read(scope, &field, &conditions));
    let states = required("states", "[states]").and_then(|field| machine::states(&field));
    let transitions = required("transitions", "[[transitions]]")
        .and_then(|field| machine::transitions(scope, &field, states.as_deref(), &conditions));
    let actions = or_empty(root.optional("actions"), |field| machine::actions(scope.root, field));
    let checklist = root.optional("progress").map_or(Some(Vec::new()), |field| texts::progress(&field, &conditions));
    let comments = or_empty(root.optional("comments"), |field| texts::comments(scope, field));
    let notify = or_empty(root.optional("notify"), |field| texts::notifications(scope, field));
    let prompts = required("prompts", "[prompts]").and_then(|field| prompts::read(scope, &field));
    Sections {
        paused,
        labels,
        trust,
        priority,
        dispatch,
        limits,
        agent,
        stages,
        protect,
        gates,
        states,
        transitions,
        actions,
        checklist,
        comments,
        notify,
        prompts,
    }
}

impl Sections {
    /// The rules, where nothing is in error.
    pub fn whole(self) -> Option<Rules> {
        let limits = self.limits?;
        Some(Rules {
            paused: self.paused,
            labels: self.labels?,
            trust: self.trust?,
            priority: self.priority?,
            dispatch: self.dispatch?,
            limits: limits.all,
            settle_time: limits.settle_time,
            effect_timeout: limits.effect_timeout,
            edit_window: limits.edit_window,
            agent: self.agent?,
            stages: self.stages?,
            protect: self.protect?,
            gates: self.gates?,
            states: self.states?,
            transitions: self.transitions?,
            actions: self.actions?,
            checklist: self.checklist?,
            comments: self.comments?,
            notify: self.notify?,
            prompts: self.prompts?,
        })
    }

    /// What the proofs can work with.
    pub fn fragment(self) -> Fragment {
        Fragment {
            labels: self.labels,
            slots_per_repo: self.dispatch.map(|dispatch| dispatch.slots_per_repo.value),
            gates: self.gates,
            stages: self.stages,
            states: self.states,
            transitions: self.transitions,
            actions: self.actions,
        }
    }
}

fn or_empty<T>(
    field: Option<Field<'_>>,
    read: impl FnOnce(&Field<'_>) -> Option<BTreeMap<String, T>>,
) -> Option<BTreeMap<String, T>> {
    field.map_or_else(|| Some(BTreeMap::new()), |field| read(&field))
}
