//! The facts that a case writes, in the types of the catalogue.

use crate::policy::check::reader::{Field, Name};
use crate::policy::check::report::{nearest, quoted, suggestion};
use crate::policy::check::tree::{Entry, Table, Value};
use crate::policy::facts::{FactName, Given, Kind, Members};
use crate::policy::{Code, RepoPattern, Rules, duration};

const MAX_MEMBERS: usize = 1000;

/// Reads every fact of a table and hands it to `set`; keys of `others` are no facts and are read elsewhere. `None`: one
/// was wrong, and has been reported.
pub fn read<F: FactName>(
    field: &Field<'_>,
    others: &[&str],
    rules: &Rules,
    mut set: impl FnMut(F, Given),
) -> Option<()> {
    let mut sound = Some(());
    for (name, entry) in field.table()?.in_order() {
        if others.contains(&name) {
            continue;
        }
        let fact = Field { name: Name::of(name), node: &entry.node, span: entry.span(), report: field.report };
        match F::named(name) {
            Some(spec) => match value(spec, &fact, rules) {
                Some(value) => set(spec, value),
                None => sound = None,
            },
            None => {
                unknown::<F>(name, entry, others, field);
                sound = None;
            }
        }
    }
    sound
}

fn unknown<F: FactName>(name: &str, entry: &Entry, others: &[&str], field: &Field<'_>) {
    let known = F::ALL.iter().map(|fact| fact.spec().name).chain(others.iter().copied());
    let message = format!("there is no {} fact {}", F::SCOPE, quoted(name));
    let label = match nearest(name, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "`afk facts` lists all of them".to_owned(),
    };
    field.report.error(Code::UnknownName, entry.key, message, label);
}

/// The value of one fact, of its type; `{ unknown = true }` where it may be unknown.
fn value<F: FactName>(fact: F, field: &Field<'_>, rules: &Rules) -> Option<Given> {
    let spec = fact.spec();
    if let Value::Table(table) = &field.node.value {
        return unknown_value(table, field, spec.always);
    }
    Some(match spec.kind {
        Kind::Bool => Given::Bool(field.bool()?),
        Kind::Int => Given::Int(field.int()?),
        Kind::Number => Given::Number(number(field)?),
        Kind::Duration => Given::Duration(length(field)?),
        Kind::Repo => Given::Text(repository(field)?),
        Kind::Login => Given::Text(field.filled_text()?.to_owned()),
        Kind::Enum(words) => Given::Text(word(field, words)?),
        Kind::Set(members) => Given::Set(set(field, members, rules)?),
    })
}

fn unknown_value(table: &Table, field: &Field<'_>, always: bool) -> Option<Given> {
    let is_unknown =
        table.len() == 1 && table.get("unknown").is_some_and(|entry| matches!(entry.node.value, Value::Bool(true)));
    if !is_unknown {
        let message = format!("{} takes a value, or `{{ unknown = true }}`; this is another table", field.name);
        field.report.error(Code::TypeMismatch, field.node.span, message, "write the value itself");
        None
    } else if always {
        let message = format!("{} always has a value, so it can never be unknown", field.name);
        field.report.error(Code::OutOfRange, field.node.span, message, "write a value, or leave it out");
        None
    } else {
        Some(Given::Unknown("the case says so".to_owned()))
    }
}

fn number(field: &Field<'_>) -> Option<f64> {
    match field.node.value {
        Value::Number(number) => Some(number),
        // Whole numbers that people write are exact in this type.
        Value::Int(number) => i32::try_from(number).ok().map(f64::from).or_else(|| {
            field.out_of_range(format!("{} is too large", field.name), "write it with a decimal point");
            None
        }),
        _ => {
            field.mismatch("a number", "write a number, such as 101.0");
            None
        }
    }
}

fn length(field: &Field<'_>) -> Option<std::time::Duration> {
    let Value::Text(text) = &field.node.value else {
        field.mismatch("a duration", "write \"90s\", \"45m\", \"2h\", \"1d\" or \"1h30m\"");
        return None;
    };
    duration::parse(text)
        .map_err(|_| {
            let message = format!("{} is a duration; {}", field.name, field.node.described());
            let label = "write \"90s\", \"45m\", \"2h\", \"1d\" or \"1h30m\"";
            field.report.error(Code::TypeMismatch, field.node.span, message, label);
        })
        .ok()
}

/// One repository, written as a whole.
pub fn repository(field: &Field<'_>) -> Option<String> {
    let text = field.filled_text()?;
    match RepoPattern::parse(text) {
        Ok(pattern) if pattern.is_exact() => Some(text.to_owned()),
        _ => {
            let message = format!("{} is not one repository", quoted(text));
            field.out_of_range(message, "write \"owner/name\", or a bare \"name\"");
            None
        }
    }
}

fn word(field: &Field<'_>, words: &'static [&'static str]) -> Option<String> {
    let words: Vec<(&str, &str)> = words.iter().map(|word| (*word, *word)).collect();
    field.word(&words).map(str::to_owned)
}

fn set(field: &Field<'_>, members: Members, rules: &Rules) -> Option<Vec<String>> {
    let stages: Vec<&str> = rules.stages.iter().map(|stage| stage.name.value.as_str()).collect();
    let (what, known) = match members {
        Members::Free => ("", None),
        Members::Stages => ("no stage of the policy", Some(stages.as_slice())),
        Members::Words(words) => ("none of its words", Some(words)),
    };
    let mut sound = true;
    let mut set = Vec::new();
    for member in field.texts(MAX_MEMBERS)? {
        match known {
            Some(known) if !known.contains(&member.value.as_str()) => {
                let message = format!("{} of {} is {what}", quoted(&member.value), field.name);
                let label = suggestion(field.report, &member.value, known);
                field.report.error(Code::UnknownName, member.span, message, label);
                sound = false;
            }
            _ => set.push(member.value),
        }
    }
    sound.then_some(set)
}

/// A name that must be one of `known`; `what` it is one of, for the message.
pub fn name(field: &Field<'_>, what: &str, known: &[&str]) -> Option<String> {
    let text = field.text()?;
    if known.contains(&text) {
        return Some(text.to_owned());
    }
    let label = match nearest(text, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("the policy has no such {what}, or no longer; name another, or remove the expectation"),
    };
    field.report.error(Code::UnknownName, field.node.span, format!("there is no {what} {}", quoted(text)), label);
    None
}
