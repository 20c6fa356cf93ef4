//! Labels, and who may arm issues with them.

use std::collections::BTreeSet;

use super::{Sayings, only};
use crate::policy::facts::RunFact;
use crate::policy::{LabelRole, Labels, Located, Transition, Trust, pattern};
use crate::verify::difference::words::shown;
use crate::verify::difference::{Direction, words};

impl Sayings<'_, '_> {
    pub fn labels(&mut self, old: &Labels, new: &Labels, named: &BTreeSet<String>) {
        let Labels { ready, in_progress, human, paused } = new;
        for (role, new) in [
            (LabelRole::Ready, ready),
            (LabelRole::InProgress, in_progress),
            (LabelRole::Human, human),
            (LabelRole::Paused, paused),
        ] {
            let was = old.of(role);
            if !pattern::same(was, &new.value) {
                self.held(role, was, new);
            }
            let key = format!("labels.{}", words::role(role));
            if *was == new.value || named.contains(&key) {
                continue;
            }
            let effect = match role {
                LabelRole::Ready => {
                    "issues are armed by another label; those that carry the old one are no longer seen"
                }
                LabelRole::InProgress => "runs in flight are locked by another label",
                LabelRole::Human => "issues that wait for a person carry another label",
                LabelRole::Paused => "people hold issues back by another label",
            };
            let (was, is) = words::both(was, &new.value);
            let what = format!("`{key}` is `{is}` (was `{was}`): {effect}");
            self.at(Direction::Different, what, new.span);
        }
    }

    /// What a person did to the label by hand, and by that to a run at work.
    fn held(&mut self, role: LabelRole, was: &str, new: &Located<String>) {
        let (doing, undone) = match role {
            LabelRole::InProgress => return,
            LabelRole::Ready => ("taking", " off an issue"),
            LabelRole::Human | LabelRole::Paused => ("putting", " on an issue"),
        };
        let asks = |row: &&Transition| {
            let mut asks = false;
            row.when.each_test(&mut |test| asks |= test.fact == RunFact::Held);
            asks
        };
        let rows: Vec<String> =
            self.area.new.transitions.iter().filter(asks).map(|row| format!("`{}`", row.name)).collect();
        if rows.is_empty() {
            return;
        }
        let noun = if rows.len() == 1 { "row" } else { "rows" };
        let what = format!(
            "{doing} `{}`{undone} no longer holds its run ({noun} {}); `{}` does now",
            shown(was),
            words::few(&rows),
            shown(&new.value)
        );
        self.at(Direction::Looser, what, new.span);
    }

    pub fn trust(&mut self, old: &Trust, new: &Trust) {
        let Trust { permissions, logins } = new;
        for (key, old, new, holder) in [
            ("permissions", &old.permissions, permissions, "with the permission"),
            ("logins", &old.logins, logins, "called"),
        ] {
            let place = self.key("trust", key);
            self.entries(Direction::Looser, only(new, old), place, |names, _| {
                format!("people {holder} {names} may arm issues")
            });
            self.entries(Direction::Tighter, only(old, new), place, |names, _| {
                format!("people {holder} {names} may no longer arm issues")
            });
        }
    }
}
