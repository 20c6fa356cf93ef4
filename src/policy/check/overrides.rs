//! `[repos."owner/name"]`: the policy once more for one repository, with other values in some places.

use super::super::finding::Code;
use super::super::pattern::RepoPattern;
use super::super::source::{Located, Span};
use super::reader::{Field, Name, Reader};
use super::report::{Report, clipped, nearest, quoted};
use super::rules::ROOT_KEYS;
use super::tree::{Entry, Node, Table, Value};

const MAX_OVERRIDES: usize = 256;
/// The policy is read once more for each override; this bounds the bytes read in all.
const MAX_READ_AGAIN: usize = 8 * 1024 * 1024;
/// Entries of the allowlist that are looked through for what was meant.
const MAX_NAMES: usize = 500;
const KEYS: [&str; 9] = ["limits", "dispatch", "priority", "agent", "ci", "prompts", "notify", "protect", "paused"];

/// One override: which repositories, and the whole policy as it holds for them.
pub struct Override<'t> {
    pub pattern: RepoPattern,
    pub root: Table<'t>,
    pub paused: Option<Located<String>>,
}

struct Raw<'a> {
    pattern: RepoPattern,
    table: &'a Table<'a>,
}

/// Reads `[repos]`: exact names before patterns.
pub fn read<'a>(root: &'a Table<'a>, policy_bytes: usize, report: &'a Report) -> Vec<Override<'a>> {
    let Some(entry) = root.get("repos") else { return Vec::new() };
    let field = Field { name: Name::of("repos"), node: &entry.node, span: entry.span(), report };
    let Some(table) = field.table() else { return Vec::new() };
    let count = table.len();
    if count > MAX_OVERRIDES {
        field.too_many("[repos]", count, MAX_OVERRIDES);
        return Vec::new();
    }
    if count.saturating_mul(policy_bytes) > MAX_READ_AGAIN {
        let message = format!("{count} overrides of a policy of {policy_bytes} bytes are more than this build takes");
        report.error(
            Code::TooLarge,
            field.node.span,
            message,
            "shorten the policy, or group repositories as \"owner/*\"",
        );
        return Vec::new();
    }
    let mut raw: Vec<Raw<'_>> =
        table.in_order().into_iter().filter_map(|(name, entry)| one(name, entry, report)).collect();
    for (index, second) in raw.iter().enumerate() {
        let mut earlier = raw.iter().take(index);
        if earlier.any(|first| first.pattern == second.pattern) {
            let message = format!("{} is overridden twice", quoted(&second.pattern.to_string()));
            report.error(
                Code::Duplicate,
                key_span(table, second),
                message,
                "merge the two; letter case does not count",
            );
        }
    }
    raw.sort_by_key(|one| !one.pattern.is_exact());
    raw.iter()
        .map(|one| {
            let mut merged = root.clone();
            if one.pattern.is_exact() {
                let name = one.pattern.to_string();
                for wide in raw.iter().filter(|other| !other.pattern.is_exact() && other.pattern.matches(&name)) {
                    merged.overlay(wide.table);
                }
            }
            merged.overlay(one.table);
            // `paused` stands beside the tables in an override, and nowhere else.
            let paused = merged.remove("paused").and_then(|entry| match entry.node.value {
                Value::Text(value) => Some(Located { value: value.into_owned(), span: entry.node.span }),
                _ => None,
            });
            Override { pattern: one.pattern.clone(), root: merged, paused }
        })
        .collect()
}

/// Warns of overrides for repositories that the allowlist does not enrol.
pub fn warn_of_unmatched(root: &Table, allowlist: &[RepoPattern], report: &Report) {
    let Some(table) = root.table("repos").filter(|_| !allowlist.is_empty()) else { return };
    for (name, entry) in table.in_order() {
        let Ok(pattern) = RepoPattern::parse(name) else { continue };
        if !report.has_room() || allowlist.iter().any(|enrolled| enrolled.meets(&pattern)) {
            continue;
        }
        let enrolled: Vec<String> = allowlist.iter().take(MAX_NAMES).map(RepoPattern::to_string).collect();
        let label = match nearest(name, enrolled.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "add it to the allowlist, or remove the override".to_owned(),
        };
        let message =
            format!("{} matches no entry of the allowlist", quoted(&format!("[repos.\"{}\"]", clipped(name))));
        report.warning(Code::UnmatchedOverride, entry.key, message, label);
    }
}

fn key_span(table: &Table, raw: &Raw<'_>) -> Span {
    table
        .values()
        .find(|entry| matches!(&entry.node.value, Value::Table(table) if std::ptr::eq(table, raw.table)))
        .map_or(Span::default(), |entry| entry.key)
}

fn one<'a>(name: &'a str, entry: &'a Entry<'a>, report: &'a Report) -> Option<Raw<'a>> {
    let field = Field { name: Name::under("repos", name), node: &entry.node, span: entry.span(), report };
    let table = field.table()?;
    if let Some((inner, below)) = unquoted(name, table) {
        let message = format!("`repos.{}.{}` is a table in a table, not a repository", clipped(name), clipped(inner));
        let label = format!("write [repos.\"{}/{}\"], in quotes", clipped(name), clipped(inner));
        report.error(Code::UnknownKey, below.key, message, label);
        return None;
    }
    let what = format!("`[repos.\"{}\"]`", clipped(name));
    let reader = Reader::new(&what, table, entry.key, &KEYS, report);
    let partly = |key: &str, allowed: &str| {
        if let Some(Entry { node: Node { value: Value::Table(table), .. }, .. }) = reader.table.get(key) {
            for (inner, entry) in table.in_order().into_iter().filter(|(inner, _)| *inner != allowed) {
                let message = format!("`{key}.{}` cannot be overridden for one repository", clipped(inner));
                report.error(Code::UnknownKey, entry.key, message, format!("only `{key}.{allowed}` can"));
            }
        }
    };
    partly("dispatch", "slots_per_repo");
    partly("priority", "default");
    for key in KEYS.iter().filter(|key| **key != "paused") {
        if let Some(field) = reader.optional(key) {
            // A scalar here would replace the whole table below it.
            let field = Field { name: Name::far_under("repos", name, key), ..field };
            field.table()?;
        }
    }
    if let Some(field) = reader.optional("paused") {
        match field.node.value {
            Value::Bool(false) => field.mismatch("the reason of a pause", "remove it: nothing is paused without it"),
            Value::Bool(true) => field.mismatch("the reason of a pause", "write why: paused = \"release week\""),
            _ => return field.filled_text().and_then(|_| parsed(name, entry, table, report)),
        }
        return None;
    }
    parsed(name, entry, table, report)
}

fn parsed<'a>(name: &str, entry: &Entry, table: &'a Table<'a>, report: &Report) -> Option<Raw<'a>> {
    match RepoPattern::parse(name) {
        Ok(pattern) if pattern.is_exact() || pattern.to_string().ends_with("/*") => Some(Raw { pattern, table }),
        Ok(_) => {
            let message =
                format!("{} cannot be overridden: too many patterns could match one repository", quoted(name));
            report.error(Code::OutOfRange, entry.key, message, "write \"owner/name\" or \"owner/*\"");
            None
        }
        Err(why) => {
            report.error(Code::OutOfRange, entry.key, why, "write \"owner/name\" or \"owner/*\"");
            None
        }
    }
}

/// `[repos.acme.app]`: what was meant as one name became two keys.
fn unquoted<'a>(name: &str, table: &'a Table<'a>) -> Option<(&'a str, &'a Entry<'a>)> {
    let strange = |(key, entry): &(&str, &Entry)| {
        !ROOT_KEYS.contains(key) && matches!(entry.node.value, Value::Table(_)) && !name.contains('/')
    };
    table.in_order().into_iter().find(strange)
}
