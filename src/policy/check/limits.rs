//! `[limits]`: counts, amounts and durations that other rules refer to, and the three that afk itself reads.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::condition::Quantity;
use super::super::duration;
use super::super::facts::{FactName, IssueFact, Kind, RunFact};
use super::super::finding::Code;
use super::super::source::Located;
use super::names::check_snake_case;
use super::reader::{Field, Name, Reader};
use super::reference::{Written, written};
use super::report::{Report, nearest};
use super::tree::{Entry, Node, Table, Value};

const MAX_LIMITS: usize = 256;
/// What afk itself reads.
const REQUIRED: [&str; 3] = ["settle_time", "effect_timeout", "edit_window"];

/// The policy with every limit of 0 as 1; `None` where there is no such limit.
pub fn switched_on<'t>(root: &Table<'t>) -> Option<Table<'t>> {
    let is_off = |table: &Table| {
        let limits = table.table("limits").map(|limits| limits.values());
        limits.into_iter().flatten().any(|entry| matches!(entry.node.value, Value::Int(0) | Value::Number(0.0)))
    };
    let of_repos = root.table("repos").map(|repos| repos.values().filter_map(Entry::table));
    if !is_off(root) && !of_repos.into_iter().flatten().any(is_off) {
        return None;
    }
    let switch_on = |table: &mut Table| {
        for entry in table.table_mut("limits").into_iter().flat_map(|limits| limits.values_mut()) {
            entry.node.value = match entry.node.value {
                Value::Int(0) => Value::Int(1),
                Value::Number(0.0) => Value::Number(1.0),
                _ => continue,
            };
        }
    };
    let mut root = root.clone();
    switch_on(&mut root);
    for entry in root.table_mut("repos").into_iter().flat_map(|repos| repos.values_mut()) {
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

/// Reads `[limits]` of the policy `root`, whose rules say by the facts they compare it with what a limit has to be.
pub fn read(root: &Table, field: &Field<'_>) -> Option<Limits> {
    let table = field.table()?;
    if table.len() > MAX_LIMITS {
        field.too_many("[limits]", table.len(), MAX_LIMITS);
        return None;
    }
    let uses = uses(root);
    let mut all = BTreeMap::new();
    let mut sound = true;
    for (name, entry) in table.in_order() {
        let field =
            Field { name: Name::under("limits", name), node: &entry.node, span: entry.span(), report: field.report };
        // A slip in the name of a limit that other rules rely on shows there, as a reference that leads nowhere.
        let named = check_snake_case("limit", name, entry.key, field.report);
        match limit(&field, uses.get(name).map_or(&[], Vec::as_slice)).filter(|_| named) {
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
fn misspelt<'a>(table: &'a Table<'a>, name: &str) -> Option<&'a Entry<'a>> {
    let free = table.keys().into_iter().filter(|key| !REQUIRED.contains(key));
    table.get(nearest(name, free)?)
}

/// Limits that nothing refers to: somebody believes that they bound something. In `[limits]` that is a warning; one that
/// an override has alone is a slip of the pen, and the repository would go by another limit than was meant.
pub fn judge_unused(root: &Table, report: &Report) {
    let mut used: BTreeSet<&str> = REQUIRED.into();
    root.values().for_each(|entry| referred(&entry.node, &mut used));
    let own = table_under(root, "limits");
    let repos = table_under(root, "repos").into_iter().flat_map(|repos| repos.values());
    let limits = repos.filter_map(Entry::table).filter_map(|table| table_under(table, "limits")).chain(own);
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

fn table_under<'a>(table: &'a Table<'a>, key: &str) -> Option<&'a Table<'a>> {
    match &table.get(key)?.node.value {
        Value::Table(table) => Some(table),
        _ => None,
    }
}

/// Adds the limits that a value refers to, be it as `$limits.name` or as `{limits.name}` in a sentence.
fn referred<'a>(node: &'a Node<'a>, used: &mut BTreeSet<&'a str>) {
    match &node.value {
        // Nearly every text says nothing of limits, which is quickly seen.
        Value::Text(text) if !text.contains("limits.") => {}
        Value::Text(text) => {
            used.extend(text.strip_prefix("$limits."));
            let holes = text.split('{').skip(1).filter_map(|rest| rest.strip_prefix("limits.")?.split_once('}'));
            used.extend(holes.map(|(name, _)| name));
        }
        Value::List(nodes) => nodes.iter().for_each(|node| referred(node, used)),
        Value::Table(table) => table.values().for_each(|entry| referred(&entry.node, used)),
        _ => {}
    }
}

/// What a limit has to be, and the fact that is compared with it; `None`: afk itself reads it.
type Use = (Kind, Option<&'static str>);

/// Where limits are used that a fact is compared with, by name.
fn uses<'a>(root: &'a Table<'a>) -> BTreeMap<&'a str, Vec<Use>> {
    let mut uses = BTreeMap::from(REQUIRED.map(|name| (name, vec![(Kind::Duration, None)])));
    for rules in ["gates", "transitions", "progress"] {
        if let Some(entry) = root.get(rules) {
            note_uses(&entry.node, &mut Vec::new(), &mut uses);
        }
    }
    uses
}

/// A key, and the fact that it is, once somebody asked.
type Key<'a> = (&'a str, OnceCell<Option<(&'static str, Kind)>>);

/// `keys` lead to the node; the innermost that is a fact is what a limit in it is compared with.
fn note_uses<'a>(node: &'a Node<'a>, keys: &mut Vec<Key<'a>>, uses: &mut BTreeMap<&'a str, Vec<Use>>) {
    match &node.value {
        Value::Text(text) => {
            if let Written::Reference(path) = written(text)
                && let Some(name) = path.strip_prefix("limits.")
                && let Some((fact, kind)) =
                    keys.iter().rev().find_map(|(key, fact)| *fact.get_or_init(|| quantity_fact(key)))
            {
                uses.entry(name).or_default().push((kind, Some(fact)));
            }
        }
        Value::List(nodes) => nodes.iter().for_each(|node| note_uses(node, keys, uses)),
        Value::Table(table) => {
            for (key, entry) in table.iter() {
                keys.push((key, OnceCell::new()));
                note_uses(&entry.node, keys, uses);
                keys.pop();
            }
        }
        _ => {}
    }
}

/// The fact of that name, where it is one that is compared with limits.
fn quantity_fact(name: &str) -> Option<(&'static str, Kind)> {
    let spec = IssueFact::named(name).map(FactName::spec).or_else(|| RunFact::named(name).map(FactName::spec))?;
    matches!(spec.kind, Kind::Int | Kind::Number | Kind::Duration).then_some((spec.name, spec.kind))
}

/// Whether the value is of a type that a fact of this type can be compared with.
fn fits(kind: Kind, value: &Value) -> bool {
    match value {
        Value::Int(_) => matches!(kind, Kind::Int | Kind::Number),
        Value::Number(_) => kind == Kind::Number,
        Value::Text(text) => kind == Kind::Duration && duration::parse(text).is_ok(),
        _ => false,
    }
}

/// Reports a limit that is nowhere of use as it is written. Where it fits one of its uses, the others are wrong.
fn is_of_no_use(field: &Field<'_>, uses: &[Use]) -> bool {
    let value = &field.node.value;
    let [(kind, fact), ..] = uses else { return false };
    if matches!(value, Value::Broken) || uses.iter().any(|(kind, _)| fits(*kind, value)) {
        return false;
    }
    let wanted = match kind {
        Kind::Duration => "a duration",
        Kind::Int => "a whole number",
        _ => "an amount",
    };
    let wanted = match fact {
        Some(fact) => format!("{wanted}, for `{fact}` is compared with it"),
        None => wanted.to_owned(),
    };
    let instead = match (kind, value) {
        (Kind::Duration, Value::Int(number)) => format!("write \"{number}s\", \"{number}m\" or \"{number}h\""),
        (Kind::Duration, Value::Text(text)) => {
            format!("write \"{}\"", shortened(text).as_deref().unwrap_or("45m"))
        }
        (Kind::Duration, _) => "write \"45m\"".to_owned(),
        (Kind::Int, _) => "write a whole number, without quotes".to_owned(),
        _ => "write a number, without quotes".to_owned(),
    };
    field.mismatch(&wanted, &instead);
    true
}

/// `45 minutes` as a policy writes it.
fn shortened(text: &str) -> Option<String> {
    let unit = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(unit)?;
    let short = format!("{number}{}", unit.trim_start().chars().next()?.to_ascii_lowercase());
    duration::parse(&short).is_ok().then_some(short)
}

fn limit(field: &Field<'_>, uses: &[Use]) -> Option<Quantity> {
    if is_of_no_use(field, uses) {
        return None;
    }
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
