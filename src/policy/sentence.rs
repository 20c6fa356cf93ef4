//! Sentences for people with `{name}` placeholders, checked when the policy is.

use super::facts::{Facts, IssueFact, Reading, RunFact};

/// A text with holes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sentence {
    /// In order.
    pub parts: Vec<Part>,
}

/// A piece of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// As it stands; constants such as `{limits.run_timeout}` are already written out.
    Text(String),
    /// Filled in when it is said.
    Placeholder(Placeholder),
}

/// What may stand in braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// A fact of the issue, in gate messages.
    Issue(IssueFact),
    /// A fact of the run, in reasons, comments and notifications.
    Run(RunFact),
    /// The reason of the row, in comments and notifications.
    Reason,
    /// Who armed the issue.
    ArmedBy,
    /// `owner/name#N`.
    Ref,
    /// The title of the issue.
    Title,
    /// The address of the issue.
    Url,
}

impl Sentence {
    /// Says it. `value` gives the text of a placeholder, `None` where it is unknown: then the word `unknown` stands
    /// there, and an `@` before it is dropped, so that nobody called `unknown` is ever pinged.
    pub fn say(&self, mut value: impl FnMut(Placeholder) -> Option<String>) -> String {
        let mut said = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => said.push_str(text),
                Part::Placeholder(placeholder) => match value(*placeholder) {
                    Some(text) => said.push_str(&text),
                    None => {
                        said.truncate(said.trim_end_matches('@').len());
                        said.push_str("unknown");
                    }
                },
            }
        }
        said
    }

    /// Says a gate's message over the facts of an issue.
    pub fn of_issue(&self, facts: &impl Facts<Name = IssueFact>) -> String {
        self.say(|placeholder| match placeholder {
            Placeholder::Issue(fact) => in_words(facts.read(fact)),
            _ => None,
        })
    }

    /// Says a row's reason over the facts of a run.
    pub fn of_run(&self, facts: &impl Facts<Name = RunFact>) -> String {
        self.say(|placeholder| match placeholder {
            Placeholder::Run(fact) => in_words(facts.read(fact)),
            _ => None,
        })
    }
}

/// The most that a sentence quotes of a fact, in bytes: what it says is kept in records.
const MAX_VALUE: usize = 120;

/// A reading as people are told it; `None` where it is unknown. Words that others chose (labels, logins) are made
/// harmless: sentences end up in comments and notifications.
pub fn in_words(reading: Reading<'_>) -> Option<String> {
    Some(match reading {
        Reading::Bool(value) => (if value { "yes" } else { "no" }).to_owned(),
        Reading::Int(value) => value.to_string(),
        Reading::Number(value) => format!("{value:.2}"),
        Reading::Duration(value) => super::duration::format(value),
        Reading::Text(value) => crate::text::harmless(value, MAX_VALUE),
        Reading::Set([]) => "none".to_owned(),
        Reading::Set(values) => crate::text::harmless(&values.join(", "), MAX_VALUE),
        Reading::Unknown(_) | Reading::NotRead => return None,
    })
}
