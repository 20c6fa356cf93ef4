//! Gates, states, rows and actions that were changed, and with them no decision.

use std::collections::BTreeSet;

use super::texts::sentence;
use super::{Sayings, changed};
use crate::policy::Rules;
use crate::policy::sentence::Sentence;
use crate::verify::difference::causes::Change;
use crate::verify::difference::{gates, words};

impl Sayings<'_, '_> {
    /// Gates, states, rows and actions that were changed, and with them no decision.
    pub fn rules(&mut self, named: &BTreeSet<String>) {
        let (old, new) = (self.area.old, self.area.new);
        for gate in
            new.gates.iter().chain(old.gates.iter().filter(|gate| new.gates.iter().all(|one| one.name != gate.name)))
        {
            let name = &gate.name;
            if named.contains(&format!("gate:{name}")) {
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
                None => {}
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
        self.rows(named);
        self.states_and_actions(named);
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
                self.remark(what);
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
                        self.remark(changed(&format!("title of state `{}`", state.name), &was.title, &state.title));
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
