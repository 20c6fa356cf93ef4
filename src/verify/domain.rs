//! The values of one fact, counted: words, ranges between numbers, classes of repositories, logins.

use super::diagram::Value;
use super::line::Line;
use super::repos::RepoClasses;
use crate::policy::facts::Reading;
use crate::policy::{Matcher, pattern};

/// How the values of a fact are counted; one more stands for unknown where the fact does not always have a value.
#[derive(Debug, Clone)]
pub enum Domain {
    /// `false`, `true`.
    Bool,
    Words(&'static [&'static str]),
    Line(Line),
    /// The ones that the policy names, in lower case, then any other.
    Logins(Vec<String>),
    Repos(RepoClasses),
}

impl Domain {
    /// How many values, without "unknown"; `None`: more than can be counted.
    pub fn size(&self) -> Option<Value> {
        match self {
            Domain::Bool => Some(2),
            Domain::Words(words) => Value::try_from(words.len()).ok(),
            Domain::Line(line) => Value::try_from(line.len()).ok(),
            Domain::Logins(names) => Value::try_from(names.len().checked_add(1)?).ok(),
            Domain::Repos(classes) => Value::try_from(classes.len()).ok(),
        }
    }

    /// Whether a comparison holds for a value.
    pub fn matches(&self, value: Value, matcher: &Matcher) -> bool {
        let Ok(index) = usize::try_from(value) else { return false };
        match (self, matcher) {
            (Domain::Bool, Matcher::Is(wanted)) => *wanted == (value == 1),
            (Domain::Words(words), Matcher::OneOf(wanted)) => {
                words.get(index).is_some_and(|word| wanted.iter().any(|one| pattern::same(one, word)))
            }
            (Domain::Logins(names), Matcher::OneOf(wanted)) => {
                names.get(index).is_some_and(|name| wanted.iter().any(|one| pattern::same(one, name)))
            }
            (Domain::Repos(classes), matcher) => classes.matches(index, matcher),
            (Domain::Line(line), matcher) => line.matches(index, matcher),
            _ => false,
        }
    }

    /// The value that a reading falls under.
    pub fn value(&self, reading: Reading<'_>) -> Value {
        let index = match (self, reading) {
            (Domain::Bool, Reading::Bool(value)) => usize::from(value),
            (Domain::Words(words), Reading::Text(text)) => words.iter().position(|word| *word == text).unwrap_or(0),
            (Domain::Logins(names), Reading::Text(text)) => {
                names.iter().position(|name| pattern::same(name, text)).unwrap_or(names.len())
            }
            (Domain::Line(line), reading) => line.index(reading),
            _ => 0,
        };
        Value::try_from(index).unwrap_or(0)
    }

    /// A value as an example says it.
    pub fn chosen(&self, value: Value) -> Chosen {
        let Ok(index) = usize::try_from(value) else { return Chosen::Unknown };
        match self {
            Domain::Bool if value < 2 => Chosen::Bool(value == 1),
            Domain::Bool => Chosen::Unknown,
            Domain::Words(words) => words.get(index).map_or(Chosen::Unknown, |word| Chosen::Text((*word).to_owned())),
            Domain::Logins(names) if index == names.len() => {
                Chosen::Text(unlike("somebody", |name| names.iter().any(|one| one == name)))
            }
            Domain::Logins(names) => names.get(index).cloned().map_or(Chosen::Unknown, Chosen::Text),
            Domain::Repos(classes) => classes.witness(index).map_or(Chosen::Unknown, Chosen::Text),
            Domain::Line(line) => line.chosen(index).unwrap_or(Chosen::Unknown),
        }
    }
}

/// A name that is not taken.
pub fn unlike(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut name = name.to_owned();
    while taken(&name) {
        name.push_str("-else");
    }
    name
}

/// The value of a fact in an example.
#[derive(Debug, Clone, PartialEq)]
pub enum Chosen {
    /// Could not be established.
    Unknown,
    /// As conditions write it.
    Bool(bool),
    /// A count.
    Int(i64),
    /// An amount.
    Number(f64),
    /// Whole seconds.
    Seconds(u64),
    /// A word, login or repository.
    Text(String),
    /// A set.
    Set(Vec<String>),
}
