//! `[[ci.stages]]`: who says that a commit is green.

use super::super::finding::Code;
use super::super::rules::{Stage, StageSource};
use super::installed;
use super::names::Names;
use super::reader::{Field, Reader};
use super::reference::Scope;
use super::tree::{Table, Value};

const MAX_STAGES: usize = 32;
const MAX_CHECKS: usize = 256;

/// The names under `[[ci.stages]]`, also of stages that are in error otherwise.
pub fn names(root: &Table) -> Vec<String> {
    let Some(Value::Table(ci)) = root.get("ci").map(|entry| &entry.node.value) else {
        return Vec::new();
    };
    let Some(Value::List(stages)) = ci.get("stages").map(|entry| &entry.node.value) else {
        return Vec::new();
    };
    stages.iter().take(MAX_STAGES).filter_map(|stage| name_of(&stage.value)).map(str::to_owned).collect()
}

/// What `name = "…"` says in a table.
pub fn name_of<'a>(value: &'a Value<'a>) -> Option<&'a str> {
    let Value::Table(table) = value else { return None };
    match &table.get("name")?.node.value {
        Value::Text(name) => Some(name),
        _ => None,
    }
}

/// `[ci]`.
pub fn read(scope: Scope<'_>, field: &Field<'_>) -> Option<Vec<Stage>> {
    let report = field.report;
    let reader = Reader::new("`[ci]`", field.table()?, field.node.span, &["stages"], report);
    let list = reader.required("stages", "[[ci.stages]]")?;
    let elements = list.list(MAX_STAGES)?;
    if elements.is_empty() {
        list.out_of_range("`ci.stages` is empty, so no run could ever be judged", "write at least one [[ci.stages]]");
        return None;
    }
    let mut names = Names::new("stage", report);
    let stages: Vec<Option<Stage>> = elements.iter().map(|element| stage(scope, element, &mut names)).collect();
    stages.into_iter().collect()
}

fn stage<'a>(scope: Scope<'_>, field: &Field<'a>, names: &mut Names<'a>) -> Option<Stage> {
    #[derive(Clone, Copy)]
    enum Source {
        Checks,
        Command,
    }
    let known = ["name", "source", "require", "command"];
    let reader = Reader::new("this stage", field.table()?, field.node.span, &known, field.report);
    let name = reader.required("name", "name = \"build\"").and_then(|field| {
        let name = field.line()?;
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
                .and_then(|field| {
                    let (name, span) = (field.line()?, field.node.span);
                    let known = scope.installed.commands.as_ref();
                    installed::has(known, ("CI command", "ci"), Code::MissingCommand, name, span, field.report)
                        .then_some(name)
                })
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
            let names = field.texts(MAX_CHECKS)?;
            Some(Some(names.into_iter().map(|name| name.value).collect()))
        }
        _ => {
            field.mismatch("\"all\" or a list of check names", "write \"all\" or [\"build\", \"test\"]");
            None
        }
    }
}
