//! The tables that hold values: labels, trust, priority, dispatch, agent, protected paths.

use std::collections::BTreeMap;

use super::super::finding::Code;
use super::super::pattern::{LabelPattern, ProtectedPaths, RepoPattern};
use super::super::rules::{AgentChoice, Dispatch, Labels, Landing, OrderBy, OrderKey, Priority, Trust};
use super::super::source::{Located, Span};
use super::installed;
use super::reader::{Field, Name, Reader};
use super::reference::Scope;
use super::report::{quoted, suggestion};

const MAX_LEVELS: usize = 256;
const MAX_LIST: usize = 10_000;
const MAX_PATHS: usize = 1_000;

/// `allowlist` or `denylist`.
pub fn repositories(field: &Field<'_>) -> Option<Located<Vec<RepoPattern>>> {
    let patterns: Vec<Option<RepoPattern>> = field
        .list(MAX_LIST)?
        .iter()
        .map(|element| match RepoPattern::parse(element.filled_text()?) {
            Ok(pattern) => Some(pattern),
            Err(why) => {
                element.out_of_range(why, "write \"owner/name\", \"owner/*\", or a \"name\" of the local tracker");
                None
            }
        })
        .collect();
    Some(field.located(patterns.into_iter().collect::<Option<_>>()?))
}

/// `[labels]`.
pub fn labels(field: &Field<'_>) -> Option<Labels> {
    const ROLES: [&str; 4] = ["ready", "in_progress", "human", "paused"];
    let report = field.report;
    let reader = Reader::new("`[labels]`", field.table()?, field.node.span, &ROLES, report);
    let [ready, in_progress, human, paused] =
        ROLES.map(|role| reader.required(role, &format!("{role} = \"…\"")).and_then(|field| label(&field)));
    let mut earlier: Vec<(&str, &Located<String>)> = Vec::new();
    let mut distinct = true;
    for (role, label) in ROLES.iter().zip([&ready, &in_progress, &human, &paused]) {
        let Some(label) = label else { continue };
        if let Some((other, _)) = earlier.iter().find(|(_, other)| other.value.eq_ignore_ascii_case(&label.value)) {
            let message = format!("{} plays two roles, `{other}` and `{role}`", quoted(&label.value));
            report.error(Code::Duplicate, label.span, message, "choose another label; letter case does not count");
            distinct = false;
        }
        earlier.push((role, label));
    }
    let labels = Labels { ready: ready?, in_progress: in_progress?, human: human?, paused: paused? };
    distinct.then_some(labels)
}

fn label(field: &Field<'_>) -> Option<Located<String>> {
    let text = field.filled_text()?;
    if text.chars().count() > 50 || text.contains(',') || text.chars().any(char::is_control) || text.trim() != text {
        let message = format!("{} cannot be a label everywhere", quoted(text));
        field.out_of_range(message, "at most 50 characters; no commas, control characters or white space around it");
        return None;
    }
    Some(field.located(text.to_owned()))
}

/// The permissions there are, and whether each lets people change the repository.
const PERMISSIONS: [(&str, (&str, bool)); 5] = [
    ("admin", ("admin", true)),
    ("maintain", ("maintain", true)),
    ("write", ("write", true)),
    ("triage", ("triage", false)),
    ("read", ("read", false)),
];

fn permission(field: &Field<'_>) -> Option<String> {
    let (word, writes) = field.word(&PERMISSIONS)?;
    if !writes {
        let message = format!(
            "whoever has only `{word}` may arm issues, and an armed issue is an instruction to an agent that writes"
        );
        let label = "remove it, or name the people under `logins`";
        field.report.warning(Code::OpenTrust, field.node.span, message, label);
    }
    Some(word.to_owned())
}

/// `[trust]`.
pub fn trust(field: &Field<'_>) -> Option<Trust> {
    let reader = Reader::new("`[trust]`", field.table()?, field.node.span, &["permissions", "logins"], field.report);
    let permissions =
        reader.required("permissions", "permissions = [\"admin\", \"maintain\", \"write\"]").and_then(|field| {
            let words: Vec<Option<String>> = field.list(PERMISSIONS.len())?.iter().map(permission).collect();
            words.into_iter().collect::<Option<Vec<String>>>()
        });
    let logins = match reader.optional("logins") {
        Some(field) => field.texts(MAX_LIST).map(|logins| logins.into_iter().map(|login| login.value).collect()),
        None => Some(Vec::new()),
    };
    Some(Trust { permissions: permissions?, logins: logins? })
}

/// `[priority]`.
pub fn priority(field: &Field<'_>) -> Option<Priority> {
    let known = ["label", "levels", "default", "order"];
    let reader = Reader::new("`[priority]`", field.table()?, field.node.span, &known, field.report);
    let label = reader.required("label", "label = \"priority:{n}\"").and_then(|field| {
        LabelPattern::parse(field.line()?).map_err(|why| field.out_of_range(why, "write \"priority:{n}\"")).ok()
    });
    let levels = match reader.optional("levels") {
        Some(field) => levels(&field),
        None => Some(BTreeMap::new()),
    };
    let default = reader.required("default", "default = 100").and_then(|field| field.int());
    let order = reader.required("order", "order = [\"priority\", \"number\"]").and_then(|field| order(&field));
    Some(Priority { label: label?, levels: levels?, default: default?, order: order? })
}

fn levels(field: &Field<'_>) -> Option<BTreeMap<String, i64>> {
    let table = field.table()?;
    if table.len() > MAX_LEVELS {
        field.too_many("priority.levels", table.len(), MAX_LEVELS);
        return None;
    }
    let mut levels = BTreeMap::new();
    let mut sound = true;
    for (label, entry) in table.in_order() {
        let level = Field {
            name: Name::far_under("priority", "levels", label),
            node: &entry.node,
            span: entry.span(),
            report: field.report,
        };
        match level.int() {
            Some(number) if levels.insert(label.to_ascii_lowercase(), number).is_none() => {}
            Some(_) => {
                let message = format!("label {} has two levels", quoted(label));
                field.report.error(Code::Duplicate, entry.key, message, "remove one; letter case does not count");
                sound = false;
            }
            None => sound = false,
        }
    }
    sound.then_some(levels)
}

fn order(field: &Field<'_>) -> Option<Vec<OrderKey>> {
    const KEYS: [(&str, OrderBy); 4] = [
        ("priority", OrderBy::Priority),
        ("number", OrderBy::Number),
        ("armed_at", OrderBy::ArmedAt),
        ("created_at", OrderBy::CreatedAt),
    ];
    let mut order: Vec<OrderKey> = Vec::new();
    let mut sound = true;
    for element in field.list(16)? {
        let Some(text) = element.text() else {
            sound = false;
            continue;
        };
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        match KEYS.iter().find(|(key, _)| *key == name) {
            Some((_, by)) if order.iter().any(|key| key.by == *by) => {
                let message = format!("`{name}` is in the order twice");
                field.report.error(Code::Duplicate, element.node.span, message, "remove it; the first one decides");
                sound = false;
            }
            Some((_, by)) => order.push(OrderKey { by: *by, descending }),
            None => {
                let message = format!("issues cannot be ordered by {}", quoted(text));
                let label = suggestion(field.report, name, &KEYS.map(|(key, _)| key));
                field.report.error(Code::UnknownName, element.node.span, message, label);
                sound = false;
            }
        }
    }
    sound.then_some(order)
}

/// `[dispatch]`.
pub fn dispatch(field: &Field<'_>) -> Option<Dispatch> {
    const KEYS: [&str; 3] = ["slots_per_repo", "max_in_flight", "max_per_tick"];
    let reader = Reader::new("`[dispatch]`", field.table()?, field.node.span, &KEYS, field.report);
    let [slots, in_flight, per_tick] = KEYS.map(|key| {
        let field = reader.required(key, &format!("{key} = 1"))?;
        field.count().map(|count| field.located(count))
    });
    Some(Dispatch { slots_per_repo: slots?, max_in_flight: in_flight?, max_per_tick: per_tick? })
}

/// `[agent]`.
pub fn agent(scope: Scope<'_>, field: &Field<'_>) -> Option<AgentChoice> {
    const LANDINGS: [(&str, Landing); 2] = [("push", Landing::Push), ("pull_request", Landing::PullRequest)];
    let known = ["executor", "model", "runtime_mode", "landing", "archive"];
    let reader = Reader::new("`[agent]`", field.table()?, field.node.span, &known, field.report);
    let text = |key: &str, example: &str| {
        let field = reader.required(key, example)?;
        field.line().map(|text| field.located(text.to_owned()))
    };
    let executor = text("executor", "executor = \"…\", the name of an executor in the settings").filter(|name| {
        let known = scope.installed.executors.as_ref();
        installed::has(known, ("executor", "executors"), Code::MissingExecutor, &name.value, name.span, field.report)
    });
    let model = text("model", "model = \"…\", handed to the executor");
    let runtime_mode = text("runtime_mode", "runtime_mode = \"full-access\"");
    let landing = reader.required("landing", "landing = \"push\"").and_then(|field| field.word(&LANDINGS));
    let archive = reader.optional("archive").map_or(Some(false), |field| field.bool());
    Some(AgentChoice {
        executor: executor?,
        model: model?.value,
        runtime_mode: runtime_mode?.value,
        landing: landing?,
        archive: archive?,
    })
}

/// `[protect]`.
pub fn protect(field: &Field<'_>) -> Option<ProtectedPaths> {
    let reader = Reader::new("`[protect]`", field.table()?, field.node.span, &["paths"], field.report);
    let Some(field) = reader.optional("paths") else {
        return Some(ProtectedPaths::default());
    };
    let paths = field.texts(MAX_PATHS)?;
    // Where `paths` is left out, an empty list stands in, which nobody wrote.
    if paths.is_empty() && field.node.span != Span::default() {
        let message = "no path is protected: an agent may change what judges it, and still be closed as green";
        let label = "name what judges it: paths = [\".github/**\", \"policies/**\", \"Makefile\"]";
        field.report.warning(Code::NothingProtected, field.node.span, message, label);
    }
    let patterns: Vec<String> = paths.iter().map(|path| path.value.clone()).collect();
    match ProtectedPaths::parse(&patterns) {
        Ok(protected) => Some(protected),
        Err(wrong) => {
            for (index, why) in wrong {
                let span = paths.get(index).map_or(field.node.span, |path| path.span);
                field.report.error(
                    Code::OutOfRange,
                    span,
                    why,
                    "write it like \".github/**\", which is everything in that folder",
                );
            }
            None
        }
    }
}
