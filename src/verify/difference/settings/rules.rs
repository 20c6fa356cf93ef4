//! Gates, states, rows and actions that were changed, and with them no decision.

use std::collections::BTreeSet;

use super::texts::sentence;
use super::{Sayings, changed};
use crate::policy::facts::{FactName, IssueFact};
use crate::policy::sentence::Sentence;
use crate::policy::{Condition, Gate, Rules, Span, Transition};
use crate::verify::difference::causes::Change;
use crate::verify::difference::{gates, words};

impl Sayings<'_, '_> {
    /// Gates, states, rows and actions that were changed, and with them no decision.
    pub fn rules(&mut self, named: &BTreeSet<String>) {
        let (old, new) = (self.area.old, self.area.new);
        let renamed = self.renamed(named);
        for gate in
            new.gates.iter().chain(old.gates.iter().filter(|gate| new.gates.iter().all(|one| one.name != gate.name)))
        {
            let name = &gate.name;
            if named.contains(&format!("gate:{name}")) || renamed.contains(&format!("gate:{name}")) {
                continue;
            }
            match gates::change(self.area, self.report, name) {
                Some(Change::Gone) => self.remark(format!("gate `{name}` is gone")),
                Some(Change::New) => self.remark(format!("gate `{name}` is new")),
                Some(Change::Constants(paths)) => {
                    let unsaid: Vec<String> = paths.into_iter().filter(|path| !named.contains(path)).collect();
                    if !unsaid.is_empty() {
                        self.remark(format!("gate `{name}` compares with other values of {}", words::list(&unsaid)));
                    }
                }
                Some(Change::Rewritten(how)) => self.remark(format!("gate `{name}`: it {how}")),
                None => self.written("gate", name, of_gate(&old.gates, name), of_gate(&new.gates, name)),
            }
        }
        let order = |rules: &Rules, other: &Rules| -> Vec<String> {
            let names = rules.gates.iter().map(|gate| gate.name.clone());
            names.filter(|name| other.gates.iter().any(|one| one.name == *name)).collect()
        };
        if order(old, new) != order(new, old) {
            self.remark("the order of the gates: another may be named as the one that denies".to_owned());
        }
        let order = |rules: &Rules, other: &Rules| -> Vec<String> {
            let names = rules.transitions.iter().map(|row| row.name.clone());
            names.filter(|name| other.transition(name).is_some()).collect()
        };
        if order(old, new) != order(new, old) && !named.contains("order") {
            self.remark("the order of the rows: another may be named as the one that is taken".to_owned());
        }
        let named: BTreeSet<String> = named.union(&renamed).cloned().collect();
        let named = &named;
        self.rows(named);
        self.states_and_actions(named);
    }

    /// Says which rules only have another name; as what they are named.
    fn renamed(&mut self, named: &BTreeSet<String>) -> BTreeSet<String> {
        let (old, new) = (self.area.old, self.area.new);
        let mut pairs: Vec<(&str, &String, &String)> = Vec::new();
        let gone = |gate: &&Gate| new.gates.iter().all(|one| one.name != gate.name);
        for gate in old.gates.iter().filter(gone) {
            let is_like = |one: &&Gate| {
                old.gates.iter().all(|gate| gate.name != one.name)
                    && words::condition(&one.require) == words::condition(&gate.require)
            };
            pairs.extend(new.gates.iter().find(is_like).map(|one| ("gate", &gate.name, &one.name)));
        }
        for row in old.transitions.iter().filter(|row| new.transition(&row.name).is_none()) {
            let is_like = |one: &&Transition| {
                old.transition(&one.name).is_none()
                    && (&one.from, &one.to, &one.action) == (&row.from, &row.to, &row.action)
                    && words::condition(&one.when) == words::condition(&row.when)
            };
            pairs.extend(new.transitions.iter().find(is_like).map(|one| ("row", &row.name, &one.name)));
        }
        let mut renamed = BTreeSet::new();
        for (kind, was, is) in pairs {
            let keys = [format!("{kind}:{was}"), format!("{kind}:{is}")];
            // The second rule that is like a renamed one is a new one.
            if keys.iter().all(|key| !named.contains(key) && !renamed.contains(key)) {
                self.remark(format!("{kind} `{was}` is called `{is}` now"));
                renamed.extend(keys);
            }
        }
        renamed
    }

    /// A rule that is written otherwise and means the same.
    fn written<F: FactName>(
        &mut self,
        kind: &str,
        name: &str,
        old: Option<(&Condition<F>, Span)>,
        new: Option<(&Condition<F>, Span)>,
    ) {
        let (Some((old, _)), Some((new, span))) = (old, new) else { return };
        if words::written(old, &self.report.old.source) == words::written(new, &self.report.new.source) {
            return;
        }
        let line = self.report.new.line(span);
        self.remark(format!("a rule is written otherwise and means the same today: {kind} `{name}` (line {line})"));
    }

    fn rows(&mut self, named: &BTreeSet<String>) {
        let (old, new) = (self.area.old, self.area.new);
        for row in &new.transitions {
            let told = named.contains(&format!("row:{}", row.name));
            let Some(was) = old.transition(&row.name) else {
                if !told {
                    self.remark(format!("row `{}` is new", row.name));
                }
                continue;
            };
            let (before, after) = (words::condition(&was.when), words::condition(&row.when));
            if !told && before != after {
                self.remark(format!("row `{}`: it {}", row.name, words::change(&was.when, &row.when)));
            }
            if before == after {
                let (was, is) = ((&was.when, was.span), (&row.when, row.span));
                self.written("row", &row.name, Some(was), Some(is));
            }
            let is_renamed = named.contains(&format!("states-of-row:{}", row.name));
            if !told && !is_renamed && (was.from != row.from || was.to != row.to) {
                self.remark(format!("row `{}` leads from or to other states", row.name));
            }
            if !told && was.action != row.action {
                self.remark(format!("row `{}` names another action", row.name));
            }
            let say = |reason: &Option<Sentence>| reason.as_ref().map_or("none".to_owned(), sentence);
            if was.reason != row.reason {
                let what = changed(&format!("reason of row `{}`", row.name), &say(&was.reason), &say(&row.reason));
                self.text(what);
            }
        }
        for row in old.transitions.iter().filter(|row| new.transition(&row.name).is_none()) {
            if !named.contains(&format!("row:{}", row.name)) {
                self.remark(format!("row `{}` is gone", row.name));
            }
        }
    }

    fn states_and_actions(&mut self, named: &BTreeSet<String>) {
        let (old, new) = (self.area.old, self.area.new);
        for state in &new.states {
            match old.state(&state.name) {
                None if named.contains(&format!("state:{}", state.name)) => {}
                None => self.remark(format!("state `{}` is new", state.name)),
                Some(was) => {
                    if was.title != state.title {
                        self.text(changed(&format!("title of state `{}`", state.name), &was.title, &state.title));
                    }
                    if was.outcome.is_some() != state.outcome.is_some() {
                        self.remark(format!("state `{}` ends a run in another way", state.name));
                    }
                }
            }
        }
        let is_gone = |name: &str| new.state(name).is_none() && !named.contains(&format!("state:{name}"));
        for state in old.states.iter().filter(|state| is_gone(&state.name)) {
            self.remark(format!("state `{}` is gone", state.name));
        }
        let names: BTreeSet<&String> = old.actions.keys().chain(new.actions.keys()).collect();
        for name in names.into_iter().filter(|name| !named.contains(&format!("action:{name}"))) {
            let effects = |rules: &Rules| {
                rules.actions.get(name).map(|effects| words::effects(effects.iter().map(|effect| &effect.value)))
            };
            match (effects(old), effects(new)) {
                (Some(old), Some(new)) if old != new => self.remark(changed(&format!("action `{name}`"), &old, &new)),
                (Some(_), None) => self.remark(format!("action `{name}` is gone")),
                (None, Some(_)) => self.remark(format!("action `{name}` is new")),
                _ => {}
            }
        }
    }
}

fn of_gate<'g>(gates: &'g [Gate], name: &str) -> Option<(&'g Condition<IssueFact>, Span)> {
    gates.iter().find(|gate| gate.name == name).map(|gate| (&gate.require, gate.span))
}
