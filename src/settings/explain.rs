//! What a failed extraction means to the person who wrote the settings.

use figment::Figment;
use figment::error::{Actual, Kind};
use figment::providers::Serialized;
use figment::value::{Dict, Value};

use super::Settings;
use super::load::{DEFAULT_FILE, Layers, SettingsError, sentence};

/// How a secret is named.
const SECRET: &str = "`{ variable = \"NAME\" }` or `{ file = \"PATH\" }`";

impl Layers {
    /// The sentence for an error of figment.
    pub(super) fn explain(&self, figment: &Figment, error: figment::Error) -> SettingsError {
        let mut keys = pinpoint(figment, &error);
        let name = |keys: &[String]| keys.join(".");
        match &error.kind {
            Kind::UnknownField(field, known) => {
                if keys.last() != Some(field) {
                    keys.push(field.clone());
                }
                let help = suggest(field, known);
                let help = match self.variable(&keys) {
                    Some(variable) if !help.ends_with('?') => format!(
                        "; if it holds a secret, name it in the settings: `{{ variable = \"{variable}\" }}`; else unset it"
                    ),
                    _ => help,
                };
                sentence(&self.place_of(&keys), &format!("`{}` is no setting{help}", name(&keys)))
            }
            Kind::MissingField(field) if keys.is_empty() => {
                let file = match &self.file {
                    Some(file) => file.path.display().to_string(),
                    None => format!("a file `{DEFAULT_FILE}` here, or name one with `--settings`"),
                };
                sentence("settings", &format!("nothing is said about `{field}`; add `[{field}]` to {file}"))
            }
            Kind::MissingField(field) => sentence(&self.place_of(&keys), &format!("`{}` lacks `{field}`", name(&keys))),
            // What stands there may be the secret itself.
            Kind::UnknownVariant(_, ["variable", "file"]) => sentence(
                &self.place_of(&keys),
                &format!("`{}` should be {SECRET}; a secret is never in the settings", name(&keys)),
            ),
            // Both of them, or none.
            Kind::InvalidType(Actual::Map, expected) | Kind::InvalidValue(Actual::Map, expected)
                if expected == "map with a single key" =>
            {
                sentence(&self.place_of(&keys), &format!("`{}` should be either {SECRET}", name(&keys)))
            }
            Kind::UnknownVariant(word, known) => sentence(
                &self.place_of(&keys),
                &format!("`{}`: `{word}` is not possible here{}", name(&keys), suggest(word, known)),
            ),
            Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
                let expected = match expected.as_str() {
                    "a map" => "a table",
                    "a sequence" => "a list",
                    "u64" => "a whole number, 0 or more",
                    other => other,
                };
                let what = format!("`{}` should be {expected}, and is {}", name(&keys), found_word(found));
                sentence(&self.place_of(&keys), &what)
            }
            other => sentence(&self.place_of(&keys), &format!("`{}`: {other}", name(&keys))),
        }
    }
}

/// The keys that an error is about. Below a `kind` an error only names the table, so the key is the one without which
/// the error would be another.
fn pinpoint(figment: &Figment, error: &figment::Error) -> Vec<String> {
    let mut keys = error.path.clone();
    if matches!(error.kind, Kind::UnknownField(..) | Kind::MissingField(_)) {
        return keys;
    }
    let Ok(all) = figment.extract::<Dict>() else { return keys };
    let Some(Value::Dict(_, table)) = keys.iter().try_fold(Value::from(all.clone()), |value, key| match value {
        Value::Dict(_, mut table) => table.remove(key),
        _ => None,
    }) else {
        return keys;
    };
    for (key, value) in &table {
        // Without its `kind` every table is another.
        let suspect = match &error.kind {
            Kind::UnknownVariant(word, _) => value.as_str().is_none_or(|text| text == word),
            _ => key != "kind",
        };
        if !suspect {
            continue;
        }
        let mut path = keys.clone();
        path.push(key.clone());
        let without = Figment::from(Serialized::globals(without(all.clone(), &path)));
        let same = without
            .extract::<Settings>()
            .err()
            .is_some_and(|other| other.kind == error.kind && other.path == error.path);
        if !same {
            keys.push(key.clone());
            break;
        }
    }
    keys
}

fn without(mut table: Dict, keys: &[String]) -> Dict {
    match keys {
        [] => {}
        [key] => {
            table.remove(key);
        }
        [key, rest @ ..] => {
            if let Some(Value::Dict(tag, inner)) = table.remove(key) {
                table.insert(key.clone(), Value::Dict(tag, without(inner, rest)));
            }
        }
    }
    table
}

/// Strings are not repeated: one may be a secret in the wrong place.
fn found_word(found: &Actual) -> String {
    match found {
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(number) => format!("the number {number}"),
        Actual::Signed(number) => format!("the number {number}"),
        Actual::Float(number) => format!("the number {number}"),
        Actual::Str(_) => "a string".to_owned(),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// The known word that was probably meant, or all of them.
pub(super) fn suggest(word: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        .filter(|(distance, known)| *distance <= (known.len() / 3).max(1))
        .min();
    match near {
        Some((_, known)) => format!("; did you mean `{known}`?"),
        None if known.is_empty() => String::new(),
        None => format!("; possible are `{}`", known.join("`, `")),
    }
}
