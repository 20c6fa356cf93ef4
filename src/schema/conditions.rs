//! Conditions in the schema: one matcher per fact of the catalogue, by its type.

use serde_json::{Map, Value, json};

use super::{DOTS, EXACT_REPO, definition, described, list, table};
use crate::policy::facts::{FactName, FactSpec, Kind, Members};

/// Defines the condition over the facts of one scope.
pub fn define<F: FactName>(definitions: &mut Map<String, Value>) {
    let name = format!("{}_condition", F::SCOPE);
    let mut entries = Map::new();
    for fact in F::ALL {
        entries.insert(fact.spec().name.to_owned(), described(&hover(fact.spec()), matcher(fact.spec().kind)));
    }
    entries.insert("any".into(), list("Holds when at least one of these does.", definition(&name)));
    entries.insert("all".into(), list("Holds when all of these do.", definition(&name)));
    entries.insert("not".into(), described("Holds when this does not; unknown stays unknown.", definition(&name)));
    let description = format!("A condition over the facts of the {}. Every entry must hold; `{{}}` holds.", F::SCOPE);
    definitions.insert(name, table(&description, &[], entries.into()).into());
}

fn hover(spec: &FactSpec) -> String {
    let unknown = if spec.always { "always known" } else { "may be unknown" };
    format!("{} ({}, {unknown}; from: {}).", spec.meaning, spec.kind.name(), spec.source)
}

fn matcher(kind: Kind) -> Value {
    let text = || json!({ "type": "string" });
    match kind {
        Kind::Bool => either(vec![json!({ "type": "boolean" }), definition("reference")]),
        Kind::Int => quantity(json!({ "type": "integer" })),
        Kind::Number => quantity(json!({ "type": "number" })),
        Kind::Duration => quantity(definition("duration")),
        Kind::Login => one_of(text()),
        Kind::Repo => {
            let patterns = || {
                either(vec![
                    definition("reference"),
                    json!({ "type": "array", "items": either(vec![definition("repo_pattern"), definition("reference")]) }),
                ])
            };
            let mut forms = forms_of(json!({ "type": "string", "pattern": EXACT_REPO, "not": { "pattern": DOTS } }));
            forms.push(comparisons(json!({
                "in": described("The repository matches one of these patterns.", patterns()),
                "not_in": described("The repository matches none of these patterns.", patterns()),
            })));
            either(forms)
        }
        Kind::Enum(words) => one_of(json!({ "type": "string", "enum": words })),
        Kind::Set(members) => set(match members {
            Members::Free => text(),
            Members::Stages => definition("name"),
            Members::Words(words) => json!({ "type": "string", "enum": words }),
        }),
    }
}

/// Equals, or one of.
fn one_of(value: Value) -> Value {
    either(forms_of(value))
}

fn forms_of(value: Value) -> Vec<Value> {
    let element = either(vec![value.clone(), definition("reference")]);
    vec![value, definition("reference"), json!({ "type": "array", "items": element })]
}

/// Equals, one of, or compares.
fn quantity(value: Value) -> Value {
    let operand = |meaning: &str| described(meaning, either(vec![value.clone(), definition("reference")]));
    let mut forms = forms_of(value.clone());
    forms.push(comparisons(json!({
        "lt": operand("Less than."),
        "lte": operand("At most."),
        "gt": operand("More than."),
        "gte": operand("At least."),
        "eq": operand("Equal."),
        "ne": operand("Not equal."),
    })));
    either(forms)
}

fn set(member: Value) -> Value {
    let member = either(vec![member, definition("reference")]);
    let one = |meaning: &str| described(meaning, member.clone());
    let many = |meaning: &str| {
        described(meaning, either(vec![json!({ "type": "array", "items": member }), definition("reference")]))
    };
    comparisons(json!({
        "has": one("Holds this one."),
        "lacks": one("Does not hold this one."),
        "has_any": many("Holds at least one of these."),
        "has_all": many("Holds all of these."),
        "has_none": many("Holds none of these."),
        "empty": { "description": "Holds nothing, or (`false`) something.", "type": "boolean" },
    }))
}

/// A table of matchers, all of which must hold.
fn comparisons(matchers: Value) -> Value {
    let mut comparisons = table("Every matcher must hold.", &[], matchers);
    comparisons.insert("minProperties".into(), 1.into());
    comparisons.into()
}

fn either(forms: Vec<Value>) -> Value {
    json!({ "anyOf": forms })
}
