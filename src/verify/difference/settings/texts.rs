//! What people and agents are told.

use std::collections::BTreeMap;

use super::{Sayings, changed};
use crate::policy::sentence::{Part, Placeholder, Sentence};
use crate::policy::{Notification, Prompt, Rules};
use crate::verify::difference::words::shown;
use crate::verify::difference::{Remark, words};

impl Sayings<'_, '_> {
    /// What people and agents are told.
    pub fn texts(&mut self) {
        let (old, new) = (self.area.old, self.area.new);
        for gate in &new.gates {
            let was = old.gates.iter().find(|one| one.name == gate.name);
            if let Some(was) = was.filter(|was| was.message != gate.message) {
                let what = format!("message of gate `{}`", gate.name);
                self.text(changed(&what, &sentence(&was.message), &sentence(&gate.message)));
            }
        }
        let list = |rules: &Rules| -> Vec<String> {
            let lines = rules.checklist.iter();
            lines.map(|item| format!("{}: {}", item.title, words::condition(&item.when))).collect()
        };
        if list(old) != list(new) {
            self.text("the checklist of the progress comment".to_owned());
        }
        self.named("comment", &old.comments, &new.comments, sentence);
        self.named("notification", &old.notify, &new.notify, notification);
        for (name, prompt) in &new.prompts {
            let was = old.prompts.get(name);
            if let Some(what) = prompt_changed(name, was, prompt) {
                let is_unproven = was.is_none_or(|was| was.template != prompt.template);
                let lines = was.map_or_else(Vec::new, |was| changed_lines(&was.template, &prompt.template));
                self.report.remarked(Remark { what, is_unproven, is_text: false, lines });
            }
        }
        for name in old.prompts.keys().filter(|name| !new.prompts.contains_key(*name)) {
            self.remark(format!("prompt `{name}` is gone"));
        }
    }

    fn named<T: PartialEq>(
        &mut self,
        what: &str,
        old: &BTreeMap<String, T>,
        new: &BTreeMap<String, T>,
        say: impl Fn(&T) -> String,
    ) {
        for (name, now) in new {
            match old.get(name) {
                None => self.text(format!("{what} `{name}` is new")),
                Some(was) if was != now => {
                    let (before, after) = (say(was), say(now));
                    if before != after {
                        self.text(changed(&format!("{what} `{name}`"), &before, &after));
                    }
                }
                Some(_) => {}
            }
        }
        for name in old.keys().filter(|name| !new.contains_key(*name)) {
            self.text(format!("{what} `{name}` is gone"));
        }
    }
}

/// A sentence as the policy writes it, constants filled in.
pub fn sentence(sentence: &Sentence) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Placeholder(placeholder) => format!("{{{}}}", name(*placeholder)),
    };
    sentence.parts.iter().map(part).collect()
}

fn name(placeholder: Placeholder) -> &'static str {
    use crate::policy::facts::FactName;
    match placeholder {
        Placeholder::Issue(fact) => fact.spec().name,
        Placeholder::Run(fact) => fact.spec().name,
        Placeholder::Reason => "reason",
        Placeholder::ArmedBy => "armed_by",
        Placeholder::Ref => "ref",
        Placeholder::Title => "title",
        Placeholder::Url => "url",
    }
}

fn notification(notification: &Notification) -> String {
    let Notification { title, body, urgency, tags, to } = notification;
    let to = to.as_ref().map_or("every doorbell".to_owned(), |to| {
        to.iter().map(|one| one.value.as_str()).collect::<Vec<_>>().join(", ")
    });
    let body = if body == title { String::new() } else { format!(" / {}", sentence(body)) };
    let tags = if tags.is_empty() { String::new() } else { format!(", tags {}", tags.join(", ")) };
    format!("{}{body} ({}, to {to}{tags})", sentence(title), urgency.word())
}

/// The lines that are gone and those that are new, each with its sign.
fn changed_lines(old: &str, new: &str) -> Vec<String> {
    let only = |sign: &str, these: &str, others: &str| -> Vec<String> {
        let mut left: Vec<&str> = others.lines().collect();
        let mut only = Vec::new();
        for line in these.lines() {
            match left.iter().position(|other| *other == line) {
                Some(place) => {
                    left.swap_remove(place);
                }
                None => only.push(format!("{sign} {}", crate::text::clean_line(line, 300))),
            }
        }
        only
    };
    // What is new first: it may be all there is room for.
    let mut lines = only("+", new, old);
    lines.extend(only("-", old, new));
    lines
}

/// How a prompt was changed: what an agent makes of it, nobody can prove.
fn prompt_changed(name: &str, old: Option<&Prompt>, new: &Prompt) -> Option<String> {
    let Some(old) = old else { return Some(format!("prompt `{name}` is new: `{}`", shown(&new.path.value))) };
    if old.template == new.template {
        return (old.path.value != new.path.value)
            .then(|| changed(&format!("prompt `{name}`, the same text"), &old.path.value, &new.path.value));
    }
    let lines = |text: &str| {
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        for line in text.lines() {
            let count = lines.entry(line.to_owned()).or_default();
            *count = count.saturating_add(1);
        }
        lines
    };
    let (was, is) = (lines(&old.template), lines(&new.template));
    let more = |these: &BTreeMap<String, usize>, others: &BTreeMap<String, usize>| -> usize {
        these.iter().map(|(line, count)| count.saturating_sub(others.get(line).copied().unwrap_or(0))).sum()
    };
    Some(format!("prompt `{}`: +{} −{} lines", shown(&new.path.value), more(&is, &was), more(&was, &is)))
}
