//! What policies say besides gates and rows, key by key; and what of gates and rows was changed without effect.
//!
//! Every key is told apart here by name, so that one that is added to the language cannot be forgotten.

mod agent;
mod limits;
mod repositories;
mod roles;
mod rules;
mod texts;

use std::collections::BTreeSet;

use super::areas::Area;
use super::words::{self, shown};
use super::{Direction, Item, Place, Remark, Report, TooLarge};
use crate::policy::{Located, Policy, RepoPattern, Rules, Span};
use crate::verify::diagram::Diagrams;

/// What one policy says for all repositories.
pub fn compare_policies(report: &mut Report<'_>, diagrams: &mut Diagrams) -> Result<(), TooLarge> {
    let (old, new) = (report.old, report.new);
    let Policy {
        source: _,
        revision: _,
        kill_switch,
        allowlist: _,
        denylist: _,
        base: _,
        overrides: _,
        waivers,
        switched_on: _,
        overlay: _,
    } = new;
    if kill_switch.value != old.kill_switch.value {
        let (direction, what) = match kill_switch.value {
            true => (Direction::Tighter, "the kill switch is on: nothing is dispatched, no turn is sent"),
            false => (Direction::Looser, "the kill switch is off: issues may be dispatched, turns may be sent"),
        };
        let place = report.in_new(kill_switch.span);
        report.add(item(direction, what.to_owned(), place));
    }
    for waiver in waivers {
        let name = &waiver.invariant.value;
        match old.waivers.iter().find(|one| one.invariant.value == *name) {
            None => {
                let what = format!("`{name}` is waived: `{}`", shown(&waiver.reason));
                let place = report.in_new(waiver.invariant.span);
                report.add(item(Direction::Looser, what, place));
            }
            Some(was) if was.reason != waiver.reason => {
                report.remark(changed(&format!("reason for waiving `{name}`"), &was.reason, &waiver.reason));
            }
            Some(_) => {}
        }
    }
    for waiver in &old.waivers {
        let name = &waiver.invariant.value;
        if new.waivers.iter().all(|one| one.invariant.value != *name) {
            let place = report.in_old(waiver.invariant.span);
            report.add(item(Direction::Tighter, format!("`{name}` is no longer waived"), place));
        }
    }
    repositories::enrolled(report, diagrams)?;
    for (word, these, others) in [("gone", old, new), ("new", new, old)] {
        for (pattern, _) in &these.overrides {
            if others.overrides.iter().all(|(other, _)| other != pattern) {
                report.remark(format!("`[repos.\"{pattern}\"]` is {word}"));
            }
        }
    }
    Ok(())
}

/// What the rules of an area say besides gates and rows. `named` was said already.
pub fn compare<'p>(area: &Area<'p>, named: &BTreeSet<String>, report: &mut Report<'p>) {
    let Rules {
        paused,
        labels,
        trust,
        priority,
        dispatch,
        limits,
        settle_time: _,
        effect_timeout: _,
        edit_window: _,
        agent,
        stages,
        protect,
        gates: _,
        states: _,
        transitions: _,
        actions: _,
        checklist: _,
        comments: _,
        notify: _,
        prompts: _,
    } = area.new;
    let old = area.old;
    let mut said = Sayings { area, report };
    said.paused(old.paused.as_ref(), paused.as_ref());
    said.labels(&old.labels, labels, named);
    said.trust(&old.trust, trust);
    said.priority(&old.priority, priority);
    said.dispatch(&old.dispatch, dispatch, named);
    said.limits(&old.limits, limits, named);
    said.agent(&old.agent, agent);
    said.stages(&old.stages, stages);
    said.protected(old.protect.patterns(), protect.patterns());
    said.rules(named);
    said.texts();
}

fn item(direction: Direction, what: String, place: Place) -> Item {
    Item { direction, what, scopes: Vec::new(), details: Vec::new(), sample: None, place }
}

/// From so many entries of one list on, what is done alike to them is one change.
const MANY: usize = 6;

/// What is done to entries of one list, each written and with its place: an item for each while they are few.
fn items(direction: Direction, entries: &[(String, Place)], sentence: impl Fn(&str, bool) -> String) -> Vec<Item> {
    match entries.first() {
        Some((_, place)) if entries.len() >= MANY => {
            let names: Vec<String> = entries.iter().map(|(name, _)| name.clone()).collect();
            let what = sentence(&words::few(&names), false);
            // Those that the sentence names, and each of the others.
            let (named, others) = names.split_at_checked(3).unwrap_or((&names, &[]));
            let details = std::iter::once(named.join(", ")).chain(others.iter().cloned()).collect();
            vec![Item { details, ..item(direction, what, *place) }]
        }
        _ => entries.iter().map(|(name, place)| item(direction, sentence(name, true), *place)).collect(),
    }
}

/// Those that the other list does not have, to be shown.
fn only(these: &[String], others: &[String]) -> Vec<String> {
    let others: BTreeSet<&String> = others.iter().collect();
    these.iter().filter(|one| !others.contains(one)).map(|one| shown(one)).collect()
}

fn changed(what: &str, old: &str, new: &str) -> String {
    let (old, new) = words::both(old, new);
    format!("{what}: `{old}` → `{new}`")
}

struct Sayings<'s, 'p> {
    area: &'s Area<'p>,
    report: &'s mut Report<'p>,
}

impl Sayings<'_, '_> {
    /// What is done to entries of one list: an item for each while they are few.
    fn entries(
        &mut self,
        direction: Direction,
        names: Vec<String>,
        place: Place,
        sentence: impl Fn(&str, bool) -> String,
    ) {
        let entries: Vec<(String, Place)> = names.into_iter().map(|name| (format!("`{name}`"), place)).collect();
        for item in items(direction, &entries, sentence) {
            self.report.add(Item { scopes: self.area.scopes(), ..item });
        }
    }

    fn item(&mut self, direction: Direction, what: String, place: Place) {
        self.report.add(Item { scopes: self.area.scopes(), ..item(direction, what, place) });
    }

    fn at(&mut self, direction: Direction, what: String, span: Span) {
        let place = self.report.in_new(span);
        self.item(direction, what, place);
    }

    fn remark(&mut self, what: String) {
        self.remarked(what, false);
    }

    /// What people are told.
    fn text(&mut self, what: String) {
        self.remarked(what, true);
    }

    fn remarked(&mut self, what: String, is_text: bool) {
        let scope = self.area.scope.as_ref().map_or(String::new(), |scope| format!("in `{scope}`: "));
        // What is said of every repository holds for this one, too.
        if !self.report.difference.also.iter().any(|one| one.what == what) {
            let what = format!("{scope}{what}");
            self.report.remarked(Remark { what, is_unproven: false, is_text, lines: Vec::new() });
        }
    }

    /// The line of a key that has no place of its own: the first below the header of its table.
    fn key(&self, table: &str, key: &str) -> Place {
        let text = &self.report.new.source.text;
        if let Some(place) = self.area.scope.as_ref().and_then(|scope| self.key_of(scope, table, key)) {
            return place;
        }
        let mut inside = false;
        let dotted = format!("{table}.{key}");
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.starts_with('[') {
                inside = line.trim_start_matches('[').starts_with(table);
            }
            let name = line.split('=').next().unwrap_or_default().trim();
            if (inside && name == key) || name == dotted {
                return Place { is_old: false, line: index.saturating_add(1) };
            }
        }
        Place { is_old: false, line: 1 }
    }

    /// The line of a key below `[repos]`, where it is overridden.
    fn key_of(&self, scope: &RepoPattern, table: &str, key: &str) -> Option<Place> {
        let mut below = None;
        for (index, line) in self.report.new.source.text.lines().enumerate() {
            let line = line.trim();
            if let Some(header) = line.strip_prefix('[') {
                let plain = header.to_ascii_lowercase().replace('\'', "\"");
                below = plain
                    .strip_prefix(&format!("repos.\"{scope}\""))
                    .map(|rest| rest.split(']').next().unwrap_or_default().trim_start_matches('.').to_owned());
                continue;
            }
            let Some(inside) = &below else { continue };
            let name = line.split('=').next().unwrap_or_default().trim();
            let whole = if inside.is_empty() { name.to_owned() } else { format!("{inside}.{name}") };
            // `agent = { model = "m" }` has all its keys in one line.
            if whole == format!("{table}.{key}") || (whole == table && line.contains(key)) {
                return Some(Place { is_old: false, line: index.saturating_add(1) });
            }
        }
        None
    }

    fn paused(&mut self, old: Option<&Located<String>>, new: Option<&Located<String>>) {
        match (old, new) {
            (None, Some(why)) => {
                let what = format!("paused, nothing is dispatched: `{}`", shown(&why.value));
                self.at(Direction::Tighter, what, why.span);
            }
            (Some(why), None) => {
                let place = self.report.in_old(why.span);
                self.item(Direction::Looser, "no longer paused: issues may be dispatched".to_owned(), place);
            }
            (Some(old), Some(new)) if old.value != new.value => {
                self.remark(changed("why it is paused", &old.value, &new.value));
            }
            _ => {}
        }
    }
}
