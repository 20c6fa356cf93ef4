//! `[[waivers]]`: safety invariants that the operator gives up, with a reason.

use super::super::finding::Code;
use super::super::rules::{SAFETY_INVARIANTS, Waiver};
use super::reader::{Field, Reader};
use super::report::{quoted, suggestion};

/// Reads the waivers.
pub fn read(field: &Field<'_>) -> Option<Vec<Waiver>> {
    let report = field.report;
    let mut waivers: Vec<Waiver> = Vec::new();
    let mut sound = true;
    for element in field.list(SAFETY_INVARIANTS.len())? {
        let Some(waiver) = waiver(&element) else {
            sound = false;
            continue;
        };
        if waivers.iter().any(|earlier| earlier.invariant.value == waiver.invariant.value) {
            let message = format!("`{}` is waived twice", waiver.invariant.value);
            report.error(Code::Duplicate, waiver.invariant.span, message, "remove one of the two");
            sound = false;
        }
        waivers.push(waiver);
    }
    sound.then_some(waivers)
}

fn waiver(field: &Field<'_>) -> Option<Waiver> {
    let report = field.report;
    let reader = Reader::new("this waiver", field.table()?, field.node.span, &["invariant", "reason"], report);
    let missing = |key: &str, label: &str| {
        report.error(Code::BadWaiver, field.node.span, format!("this waiver lacks `{key}`"), label);
    };
    let invariant = match reader.optional("invariant") {
        None => {
            missing("invariant", "add invariant = \"…\"");
            None
        }
        Some(field) => field.text().and_then(|name| {
            if SAFETY_INVARIANTS.contains(&name) {
                return Some(field.located(name.to_owned()));
            }
            let message = format!("{} is not a safety invariant", quoted(name));
            report.error(Code::BadWaiver, field.node.span, message, suggestion(report, name, &SAFETY_INVARIANTS));
            None
        }),
    };
    let reason = match reader.optional("reason") {
        None => {
            missing("reason", "add reason = \"…\": why this policy may do without");
            None
        }
        Some(field) => field.text().and_then(|reason| {
            if reason.trim().is_empty() {
                report.error(
                    Code::BadWaiver,
                    field.node.span,
                    "the reason of a waiver is empty",
                    "say why this policy may do without",
                );
                return None;
            }
            Some(reason.to_owned())
        }),
    };
    Some(Waiver { invariant: invariant?, reason: reason? })
}
