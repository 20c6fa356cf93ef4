//! `[limits]`: counts, amounts and durations that other rules refer to, and the three that afk itself reads.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::condition::Quantity;
use super::super::duration;
use super::super::finding::Code;
use super::super::source::Located;
use super::names::{check_snake_case, is_snake_case};
use super::reader::{Field, Name, Reader};
use super::report::{Report, nearest};
use super::tree::{Entry, Node, Table, Value};

const MAX_LIMITS: usize = 256;
/// What afk itself reads.
const REQUIRED: [&str; 3] = ["settle_time", "effect_timeout", "edit_window"];

/// The policy with every limit of 0 as 1; `None` where there is no such limit.
pub fn switched_on(root: &Table) -> Option<Table> {
    let is_off = |table: &Table| {
        let limits = table.table("limits").map(|limits| limits.entries.values());
        limits.into_iter().flatten().any(|entry| matches!(entry.node.value, Value::Int(0) | Value::Number(0.0)))
    };
    let of_repos = root.table("repos").map(|repos| repos.entries.keys().filter_map(|name| repos.table(name)));
    if !is_off(root) && !of_repos.into_iter().flatten().any(is_off) {
        return None;
    }
    let switch_on = |table: &mut Table| {
        for entry in table.table_mut("limits").into_iter().flat_map(|limits| limits.entries.values_mut()) {
            entry.node.value = match entry.node.value {
                Value::Int(0) => Value::Int(1),
                Value::Number(0.0) => Value::Number(1.0),
                _ => continue,
            };
        }
    };
    let mut root = root.clone();
    switch_on(&mut root);
    for entry in root.table_mut("repos").into_iter().flat_map(|repos| repos.entries.values_mut()) {
        if let Value::Table(table) = &mut entry.node.value {
            switch_on(table);
        }
    }
    Some(root)
}

/// `[limits]`, and the three that afk itself reads.
pub struct Limits {
    pub all: BTreeMap<String, Located<Quantity>>,
    pub settle_time: Duration,
    pub effect_timeout: Duration,
    pub edit_window: Duration,
}

/// Reads `[limits]`.
pub fn read(field: &Field<'_>) -> Option<Limits> {
    let table = field.table()?;
    if table.entries.len() > MAX_LIMITS {
        field.too_many("[limits]", table.entries.len(), MAX_LIMITS);
        return None;
    }
    let mut all = BTreeMap::new();
    let mut sound = true;
    for (name, entry) in table.in_order() {
        let field =
            Field { name: Name::under("limits", name), node: &entry.node, span: entry.span(), report: field.report };
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
            if table.get(name).is_none()
                && let Some(entry) = misspelt(table, name)
            {
                let message = format!("`[limits]` lacks `{name}`");
                let label = format!("did you mean `{name}`?");
                field.report.error(Code::MissingKey, entry.key, message, label);
                return None;
            }
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

/// The limit that was probably meant to be the required one of that name.
fn misspelt<'a>(table: &'a Table, name: &str) -> Option<&'a Entry> {
    let free = table.entries.keys().map(String::as_str).filter(|key| !REQUIRED.contains(key));
    table.get(nearest(name, free)?)
}

/// Limits that nothing refers to: somebody believes that they bound something. In `[limits]` that is a warning; one that
/// an override has alone is a slip of the pen, and the repository would go by another limit than was meant.
pub fn judge_unused(root: &Table, report: &Report) {
    let mut used: BTreeSet<&str> = REQUIRED.into();
    root.entries.values().for_each(|entry| referred(&entry.node, &mut used));
    let own = table_under(root, "limits");
    let repos = table_under(root, "repos").into_iter().flat_map(|repos| repos.entries.values());
    let overrides =
        repos.filter_map(|entry| if let Value::Table(table) = &entry.node.value { Some(table) } else { None });
    let limits = overrides.filter_map(|table| table_under(table, "limits")).chain(own);
    for (name, entry) in limits.flat_map(Table::in_order).filter(|(name, _)| !used.contains(name)) {
        let meant = report.has_room().then(|| nearest(name, used.iter().copied())).flatten();
        if own.is_none_or(|own| own.get(name).is_none()) {
            let message = format!("`limits.{name}` overrides nothing: `[limits]` has no such limit");
            let label = meant.map_or("remove it".to_owned(), |meant| format!("did you mean `{meant}`?"));
            report.error(Code::UnknownName, entry.key, message, label);
            continue;
        }
        let message = format!("nothing refers to `limits.{name}`");
        let label = match meant {
            Some(meant) => format!("did you mean `{meant}`? else remove it, or use it as \"$limits.{name}\""),
            None => format!("remove it, or use it as \"$limits.{name}\""),
        };
        report.warning(Code::UnusedLimit, entry.key, message, label);
    }
}

fn table_under<'a>(table: &'a Table, key: &str) -> Option<&'a Table> {
    match &table.get(key)?.node.value {
        Value::Table(table) => Some(table),
        _ => None,
    }
}

/// Adds the limits that a value refers to, be it as `$limits.name` or as `{limits.name}` in a sentence.
fn referred<'a>(node: &'a Node, used: &mut BTreeSet<&'a str>) {
    match &node.value {
        Value::Text(text) => {
            used.extend(text.strip_prefix("$limits."));
            let holes = text.split('{').skip(1).filter_map(|rest| rest.strip_prefix("limits.")?.split_once('}'));
            used.extend(holes.map(|(name, _)| name));
        }
        Value::List(nodes) => nodes.iter().for_each(|node| referred(node, used)),
        Value::Table(table) => table.entries.values().for_each(|entry| referred(&entry.node, used)),
        _ => {}
    }
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
