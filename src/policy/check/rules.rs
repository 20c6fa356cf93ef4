//! One reading of the whole policy: for repositories without overrides, and once more for each override.

use std::collections::BTreeMap;

use super::super::finding::Code;
use super::super::rules::Rules;
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

/// Reads everything that may differ between repositories. Every section is read, whatever the others came to.
pub fn read(scope: Scope<'_>, paused: Option<Located<String>>) -> Option<Rules> {
    let root = Reader { what: "the policy", table: scope.root, span: Span::default(), report: scope.report };
    let required = |key: &str, example: &str| root.required(key, example);
    let labels = required("labels", "[labels]").and_then(|field| sections::labels(&field));
    let trust = required("trust", "[trust]").and_then(|field| sections::trust(&field));
    let priority = required("priority", "[priority]").and_then(|field| sections::priority(&field));
    let dispatch = required("dispatch", "[dispatch]").and_then(|field| sections::dispatch(&field));
    let limits = required("limits", "[limits]").and_then(|field| limits::read(&field));
    let agent = required("agent", "[agent]").and_then(|field| sections::agent(&field));
    let ci = required("ci", "[[ci.stages]]").and_then(|field| stages::read(&field));
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

    let limits = limits?;
    let gates = gates?;
    if gates.is_empty() {
        let message = "`gates` is empty, so every armed issue would be dispatched";
        scope.report.error(
            Code::OutOfRange,
            root.optional("gates")?.node.span,
            message,
            "write at least one [[gates]]",
        );
        return None;
    }
    Some(Rules {
        paused,
        labels: labels?,
        trust: trust?,
        priority: priority?,
        dispatch: dispatch?,
        limits: limits.all,
        settle_time: limits.settle_time,
        effect_timeout: limits.effect_timeout,
        edit_window: limits.edit_window,
        agent: agent?,
        stages: ci?,
        protect: protect?,
        gates,
        states: states?,
        transitions: transitions?,
        actions: actions?,
        checklist: checklist?,
        comments: comments?,
        notify: notify?,
        prompts: prompts?,
    })
}

fn or_empty<T>(
    field: Option<Field<'_>>,
    read: impl FnOnce(&Field<'_>) -> Option<BTreeMap<String, T>>,
) -> Option<BTreeMap<String, T>> {
    field.map_or_else(|| Some(BTreeMap::new()), |field| read(&field))
}
