//! `[limits]`: counts, amounts and durations that other rules refer to, and the three that afk itself reads.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::condition::Quantity;
use super::super::duration;
use super::super::finding::Code;
use super::super::source::Located;
use super::names::{check_snake_case, is_snake_case};
use super::reader::{Field, Reader};
use super::report::quoted;
use super::tree::Value;

const MAX_LIMITS: usize = 256;

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
