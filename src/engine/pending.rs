//! A row whose effects are being carried out: the intention, written down before the first effect, so that a crash
//! never changes a decision already made.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::policy::duration::since;
use crate::policy::facts::{FactName, Facts, RunFact};
use crate::policy::sentence::{Part, Placeholder, Sentence, in_words};
use crate::policy::{Effect, Rules, Transition};

/// The most that is kept of a reason, in bytes: the record it stands in has to stay small.
const MAX_REASON: usize = 600;

/// A chosen row and what of it remains to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingRow {
    /// The how-manieth row with effects of this run; part of the ids of its comments and notifications.
    pub decision: u32,
    /// The row's name.
    pub row: String,
    /// The state it leads to.
    pub to: String,
    /// Its reason, already said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The facts that its comments and notifications name, in words, as they were when it was chosen.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// In order.
    pub remaining: Vec<PendingEffect>,
}

/// An effect not yet seen to have succeeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingEffect {
    /// What is to be done.
    pub effect: Effect,
    /// When it was first tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_tried: Option<DateTime<Utc>>,
    /// The doorbells that have rung already, of a notification to several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rung: Vec<String>,
}

impl PendingRow {
    /// The intention to take a row.
    pub fn new(rules: &Rules, row: &Transition, facts: &impl Facts<Name = RunFact>, decision: u32) -> Self {
        let effects: Vec<Effect> = rules.effects(row).iter().map(|effect| effect.value.clone()).collect();
        let mut values = BTreeMap::new();
        for fact in effects.iter().flat_map(|effect| sentences(rules, effect)).flat_map(run_facts) {
            if let Some(words) = in_words(facts.read(fact)) {
                values.insert(fact.spec().name.to_owned(), words);
            }
        }
        Self {
            decision,
            row: row.name.clone(),
            to: row.to.clone(),
            reason: row.reason.as_ref().map(|reason| crate::text::clean_line(&reason.of_run(facts), MAX_REASON)),
            values,
            remaining: effects
                .into_iter()
                .map(|effect| PendingEffect { effect, first_tried: None, rung: Vec::new() })
                .collect(),
        }
    }

    /// The prompt of a turn that is still to be accepted. Such a row is chosen anew from fresh facts.
    pub fn unsent_turn(&self) -> Option<&str> {
        self.remaining.iter().find_map(|pending| match &pending.effect {
            Effect::Turn(prompt) => Some(prompt.as_str()),
            _ => None,
        })
    }

    /// The first `close`, not yet seen to have succeeded: nothing of the row was carried out before it. While the issue
    /// is not seen to be closed, such a row is chosen anew from fresh facts.
    pub fn unseen_close(&self) -> Option<&PendingEffect> {
        self.remaining.first().filter(|pending| matches!(pending.effect, Effect::Close(_)))
    }

    /// Says a sentence with the values as they were when the row was chosen. `other` knows the issue's own names.
    pub fn say(&self, sentence: &Sentence, other: impl Fn(Placeholder) -> Option<String>) -> String {
        sentence.say(|placeholder| match placeholder {
            Placeholder::Run(fact) => self.values.get(fact.spec().name).cloned(),
            Placeholder::Reason => self.reason.clone(),
            _ => other(placeholder),
        })
    }
}

impl PendingEffect {
    /// Whether it holds back the effects after it while it fails: only a `close` or a `turn` does.
    pub fn holds_back(&self) -> bool {
        matches!(self.effect, Effect::Close(_) | Effect::Turn(_))
    }

    /// Whether it has failed for so long that it is given up.
    pub fn is_overdue(&self, now: DateTime<Utc>, effect_timeout: Duration) -> bool {
        self.first_tried.is_some_and(|first| since(first, now) >= effect_timeout)
    }
}

/// The sentences that an effect says.
fn sentences<'p>(rules: &'p Rules, effect: &Effect) -> Vec<&'p Sentence> {
    match effect {
        Effect::Comment(name) => rules.comments.get(name).into_iter().collect(),
        Effect::Notify(kind) => {
            rules.notify.get(kind).map(|notice| vec![&notice.title, &notice.body]).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

fn run_facts(sentence: &Sentence) -> impl Iterator<Item = RunFact> + '_ {
    sentence.parts.iter().filter_map(|part| match part {
        Part::Placeholder(Placeholder::Run(fact)) => Some(*fact),
        _ => None,
    })
}
