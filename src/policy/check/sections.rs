//! The tables that hold values: labels, trust, priority, dispatch, limits, agent, CI, protected paths.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::condition::Quantity;
use super::super::duration;
use super::super::finding::Code;
use super::super::pattern::{LabelPattern, ProtectedPaths, RepoPattern};
use super::super::rules::{
    AgentChoice, Dispatch, Labels, Landing, OrderBy, OrderKey, Priority, Stage, StageSource, Trust,
};
use super::super::source::{Located, Span};
use super::reader::{Field, Reader, check_kebab_case, check_snake_case, is_snake_case};
use super::report::{Report, quoted, suggestion};
use super::tree::{Table, Value};

const MAX_LIMITS: usize = 256;
const MAX_STAGES: usize = 32;
const MAX_LIST: usize = 10_000;
const MAX_PATHS: usize = 1_000;

/// `allowlist` or `denylist`.
pub fn repositories(field: &Field<'_>) -> Option<Located<Vec<RepoPattern>>> {
    let patterns: Vec<Option<RepoPattern>> = field
        .texts(MAX_LIST)?
        .into_iter()
        .map(|text| match RepoPattern::parse(&text.value) {
            Ok(pattern) => Some(pattern),
            Err(why) => {
                field.report.error(Code::OutOfRange, text.span, why, "write \"owner/name\" or \"owner/*\"");
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

/// `[trust]`.
pub fn trust(field: &Field<'_>) -> Option<Trust> {
    const PERMISSIONS: [(&str, &str); 5] =
        [("admin", "admin"), ("maintain", "maintain"), ("write", "write"), ("triage", "triage"), ("read", "read")];
    let reader = Reader::new("`[trust]`", field.table()?, field.node.span, &["permissions", "logins"], field.report);
    let permissions =
        reader.required("permissions", "permissions = [\"admin\", \"maintain\", \"write\"]").and_then(|field| {
            let words: Vec<Option<String>> =
                field.list(PERMISSIONS.len())?.iter().map(|word| word.word(&PERMISSIONS).map(str::to_owned)).collect();
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
        LabelPattern::parse(field.filled_text()?).map_err(|why| field.out_of_range(why, "write \"priority:{n}\"")).ok()
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
    if table.entries.len() > MAX_LIMITS {
        too_many(field, "priority.levels", table.entries.len(), MAX_LIMITS);
        return None;
    }
    let mut levels = BTreeMap::new();
    let mut sound = true;
    for (label, entry) in table.in_order() {
        let level = Field {
            name: quoted(&format!("priority.levels.{label}")),
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

/// `[limits]`, and the three that afk itself reads.
pub struct Limits {
    pub all: BTreeMap<String, Located<Quantity>>,
    pub settle_time: Duration,
    pub effect_timeout: Duration,
    pub edit_window: Duration,
}

/// Reads `[limits]`.
pub fn limits(field: &Field<'_>) -> Option<Limits> {
    let table = field.table()?;
    if table.entries.len() > MAX_LIMITS {
        too_many(field, "[limits]", table.entries.len(), MAX_LIMITS);
        return None;
    }
    let mut all = BTreeMap::new();
    let mut sound = true;
    for (name, entry) in table.in_order() {
        let field = Field {
            name: quoted(&format!("limits.{name}")),
            node: &entry.node,
            span: entry.span(),
            report: field.report,
        };
        // A slip in the name of a limit that other rules rely on shows there, as a reference that leads nowhere.
        check_snake_case("limit", name, entry.key, field.report);
        match limit(&field).filter(|_| is_snake_case(name)) {
            Some(quantity) => {
                all.insert(name.to_owned(), field.located(quantity));
            }
            None => sound = false,
        }
    }
    let reader = Reader { what: "`[limits]`", table, span: field.node.span, report: field.report };
    let [settle_time, effect_timeout, edit_window] =
        [("settle_time", "2m"), ("effect_timeout", "1h"), ("edit_window", "2m")].map(|(name, example)| {
            let field = reader.required(name, &format!("{name} = \"{example}\""))?;
            match all.get(name).map(|limit| limit.value) {
                Some(Quantity::Duration(length)) => Some(length),
                Some(_) => {
                    field.mismatch("a duration", &format!("write \"{example}\""));
                    None
                }
                None => None,
            }
        });
    let limits = Limits { all, settle_time: settle_time?, effect_timeout: effect_timeout?, edit_window: edit_window? };
    sound.then_some(limits)
}

fn limit(field: &Field<'_>) -> Option<Quantity> {
    match &field.node.value {
        Value::Int(number) if *number < 0 => {
            field.out_of_range(format!("{} is negative", field.name), "write 0 or more");
            None
        }
        Value::Int(number) => Some(Quantity::Int(*number)),
        Value::Number(number) if *number < 0.0 => {
            field.out_of_range(format!("{} is negative", field.name), "write 0 or more");
            None
        }
        Value::Number(number) => Some(Quantity::Number(*number)),
        Value::Text(text) => match duration::parse(text) {
            Ok(length) if length.is_zero() => {
                field.out_of_range(format!("{} is no time at all", field.name), "write a duration above zero");
                None
            }
            Ok(length) => Some(Quantity::Duration(length)),
            Err(_) => {
                let message = format!("{} is a count, an amount or a duration; {}", field.name, field.node.described());
                let label = "write 5, 100.0, \"45m\" or \"1h30m\"";
                field.report.error(Code::TypeMismatch, field.node.span, message, label);
                None
            }
        },
        _ => {
            field.mismatch("a count, an amount or a duration", "write 5, 100.0, \"45m\" or \"1h30m\"");
            None
        }
    }
}

/// `[agent]`.
pub fn agent(field: &Field<'_>) -> Option<AgentChoice> {
    const LANDINGS: [(&str, Landing); 2] = [("push", Landing::Push), ("pull_request", Landing::PullRequest)];
    let known = ["executor", "model", "runtime_mode", "landing"];
    let reader = Reader::new("`[agent]`", field.table()?, field.node.span, &known, field.report);
    let text = |key: &str, example: &str| {
        let field = reader.required(key, example)?;
        field.filled_text().map(|text| field.located(text.to_owned()))
    };
    let executor = text("executor", "executor = \"…\", the name of an executor in the settings");
    let model = text("model", "model = \"…\", handed to the executor");
    let runtime_mode = text("runtime_mode", "runtime_mode = \"full-access\"");
    let landing = reader.required("landing", "landing = \"push\"").and_then(|field| field.word(&LANDINGS));
    Some(AgentChoice { executor: executor?, model: model?.value, runtime_mode: runtime_mode?.value, landing: landing? })
}

/// The names under `[[ci.stages]]`, also of stages that are in error otherwise.
pub fn stage_names(root: &Table) -> Vec<String> {
    let Some(Value::Table(ci)) = root.get("ci").map(|entry| &entry.node.value) else {
        return Vec::new();
    };
    let Some(Value::List(stages)) = ci.get("stages").map(|entry| &entry.node.value) else {
        return Vec::new();
    };
    stages.iter().take(MAX_STAGES).filter_map(|stage| name_of(&stage.value)).map(str::to_owned).collect()
}

/// What `name = "…"` says in a table.
pub fn name_of(value: &Value) -> Option<&str> {
    let Value::Table(table) = value else { return None };
    match &table.get("name")?.node.value {
        Value::Text(name) => Some(name),
        _ => None,
    }
}

/// `[ci]`.
pub fn ci(field: &Field<'_>) -> Option<Vec<Stage>> {
    let report = field.report;
    let reader = Reader::new("`[ci]`", field.table()?, field.node.span, &["stages"], report);
    let list = reader.required("stages", "[[ci.stages]]")?;
    let elements = list.list(MAX_STAGES)?;
    if elements.is_empty() {
        list.out_of_range("`ci.stages` is empty, so no run could ever be judged", "write at least one [[ci.stages]]");
        return None;
    }
    let mut names = Names::new("stage", report);
    let stages: Vec<Option<Stage>> = elements.iter().map(|element| stage(element, &mut names)).collect();
    stages.into_iter().collect()
}

fn stage(field: &Field<'_>, names: &mut Names<'_>) -> Option<Stage> {
    #[derive(Clone, Copy)]
    enum Source {
        Checks,
        Command,
    }
    let known = ["name", "source", "require", "command"];
    let reader = Reader::new("this stage", field.table()?, field.node.span, &known, field.report);
    let name = reader.required("name", "name = \"build\"").and_then(|field| {
        let name = field.filled_text()?;
        names.add(name, field.node.span).then(|| field.located(name.to_owned()))
    });
    let source = reader.required("source", "source = \"checks\", or source = \"command\"")?;
    let misplaced = |key: &str, home: &str| {
        let Some(field) = reader.optional(key) else { return true };
        let message = format!("`{key}` means nothing to this source");
        let label = format!("remove it; it belongs to source = \"{home}\"");
        field.report.error(Code::UnknownKey, field.span, message, label);
        false
    };
    let source = match source.word(&[("checks", Source::Checks), ("command", Source::Command)])? {
        Source::Checks => {
            let clean = misplaced("command", "command");
            let require = reader.required("require", "require = \"all\", or the names that must be green");
            require
                .and_then(|field| required_checks(&field))
                .filter(|_| clean)
                .map(|require| StageSource::Checks { require })
        }
        Source::Command => {
            let clean = misplaced("require", "checks");
            let command = reader.required("command", "command = \"…\", a name under [ci] of the settings");
            command
                .and_then(|field| field.filled_text())
                .filter(|_| clean)
                .map(|command| StageSource::Command { command: command.to_owned() })
        }
    };
    Some(Stage { name: name?, source: source? })
}

/// `None` inside: all of them.
fn required_checks(field: &Field<'_>) -> Option<Option<Vec<String>>> {
    match &field.node.value {
        Value::Text(text) if text == "all" => Some(None),
        Value::List(nodes) if nodes.is_empty() => {
            field.out_of_range("`require` is empty, so nothing would have to be green", "write \"all\", or the names");
            None
        }
        Value::List(_) => {
            let names = field.texts(MAX_LIMITS)?;
            Some(Some(names.into_iter().map(|name| name.value).collect()))
        }
        _ => {
            field.mismatch("\"all\" or a list of check names", "write \"all\" or [\"build\", \"test\"]");
            None
        }
    }
}

/// `[protect]`.
pub fn protect(field: &Field<'_>) -> Option<ProtectedPaths> {
    let reader = Reader::new("`[protect]`", field.table()?, field.node.span, &["paths"], field.report);
    let Some(field) = reader.optional("paths") else {
        return Some(ProtectedPaths::default());
    };
    let paths = field.texts(MAX_PATHS)?;
    let patterns: Vec<String> = paths.iter().map(|path| path.value.clone()).collect();
    match ProtectedPaths::parse(&patterns) {
        Ok(protected) => Some(protected),
        Err((index, why)) => {
            let span = paths.get(index).map_or(field.node.span, |path| path.span);
            field.report.error(Code::OutOfRange, span, why, "write it like \".github/**\"");
            None
        }
    }
}

/// Says that a table has too many entries.
pub fn too_many(field: &Field<'_>, what: &str, count: usize, most: usize) {
    let message = format!("`{what}` has {count} entries; this build takes at most {most}");
    field.report.error(Code::TooLarge, field.node.span, message, format!("at most {most}"));
}

/// Names of one kind that the operator chose: kebab-case and unique.
pub struct Names<'a> {
    what: &'static str,
    seen: Vec<String>,
    report: &'a Report,
}

impl<'a> Names<'a> {
    pub fn new(what: &'static str, report: &'a Report) -> Self {
        Self { what, seen: Vec::new(), report }
    }

    /// Takes a name in; `false` when it is wrong and has been reported.
    pub fn add(&mut self, name: &str, span: Span) -> bool {
        check_kebab_case(self.what, name, span, self.report);
        if self.seen.iter().any(|seen| seen == name) {
            let message = format!("two {}s are called {}", self.what, quoted(name));
            self.report.error(Code::Duplicate, span, message, "rename one of them");
            return false;
        }
        self.seen.push(name.to_owned());
        super::reader::is_kebab_case(name)
    }
}
