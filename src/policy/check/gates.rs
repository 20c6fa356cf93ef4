//! `[[gates]]`: what must hold before an issue is dispatched.

use super::super::facts::IssueFact;
use super::super::finding::Code;
use super::super::rules::Gate;
use super::conditions::Conditions;
use super::names::Names;
use super::reader::{Field, Reader};
use super::reference::Scope;
use super::report::quoted;
use super::sentences::{self, Place};

const MAX_GATES: usize = 64;
/// What results say fired where no gate did.
const RESERVED: [&str; 4] = ["kill-switch", "paused", "slot", "capacity"];

/// Reads the gates.
pub fn read<'a>(scope: Scope<'a>, field: &Field<'a>, conditions: &Conditions<'a>) -> Option<Vec<Gate>> {
    let mut names = Names::new("gate", field.report);
    if field.list(MAX_GATES)?.is_empty() {
        let message = "`gates` is empty, so every armed issue would be dispatched";
        field.report.error(Code::OutOfRange, field.node.span, message, "write at least one [[gates]]");
        return None;
    }
    let gates: Vec<Option<Gate>> =
        field.list(MAX_GATES)?.iter().map(|element| gate(scope, element, &mut names, conditions)).collect();
    gates.into_iter().collect()
}

fn gate<'a>(scope: Scope<'a>, field: &Field<'a>, names: &mut Names<'a>, conditions: &Conditions<'a>) -> Option<Gate> {
    let known = ["name", "require", "message"];
    let reader = Reader::new("this gate", field.table()?, field.node.span, &known, field.report);
    let name = reader.required("name", "name = \"…\"").and_then(|field| {
        let name = field.filled_text()?;
        if RESERVED.contains(&name) {
            let message = format!("no gate may be called {}: afk itself says so in results", quoted(name));
            field.report.error(Code::ReservedName, field.node.span, message, "choose another name");
            return None;
        }
        names.add(name, field.node.span).then_some((name, field.span))
    });
    let require =
        reader.required("require", "require = { … }").and_then(|field| conditions.read::<IssueFact>(field.node));
    let message = reader
        .required("message", "message = \"…\", said when it denies")
        .and_then(|field| sentences::read(scope, &field, Place::Message));
    let (name, span) = name?;
    Some(Gate { name: name.to_owned(), require: require?, message: message?, span })
}
