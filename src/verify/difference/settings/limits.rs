//! The order of issues, how many go at a time, and limits.

use std::collections::{BTreeMap, BTreeSet};

use super::{Sayings, changed};
use crate::policy::{Dispatch, Located, OrderBy, OrderKey, Priority, Quantity};
use crate::verify::difference::{Direction, words};

impl Sayings<'_, '_> {
    pub fn priority(&mut self, old: &Priority, new: &Priority) {
        let Priority { label, levels, default, order } = new;
        let mut how = Vec::new();
        if *label != old.label {
            how.push(("label", "`priority.label` is another pattern".to_owned()));
        }
        if *levels != old.levels {
            how.push(("levels", "`priority.levels` are others".to_owned()));
        }
        if *default != old.default {
            how.push(("default", format!("`priority.default` is {default} (was {})", old.default)));
        }
        if *order != old.order {
            how.push(("order", format!("by {} (was {})", keys_of(order), keys_of(&old.order))));
        }
        for (key, how) in how {
            let place = self.key("priority", key);
            self.item(Direction::Different, format!("issues are ordered differently: {how}"), place);
        }
    }

    pub fn dispatch(&mut self, old: &Dispatch, new: &Dispatch, named: &BTreeSet<String>) {
        let Dispatch { slots_per_repo, max_in_flight, max_per_tick } = new;
        for (key, old, new, what) in [
            ("slots_per_repo", &old.slots_per_repo, slots_per_repo, "runs at a time in one repository"),
            ("max_in_flight", &old.max_in_flight, max_in_flight, "runs at a time everywhere"),
            ("max_per_tick", &old.max_per_tick, max_per_tick, "new runs in one tick"),
        ] {
            if old.value == new.value || named.contains(&format!("dispatch.{key}")) {
                continue;
            }
            let direction = if new.value > old.value { Direction::Looser } else { Direction::Tighter };
            self.at(direction, format!("up to {} {what} (was {})", new.value, old.value), new.span);
        }
    }

    pub fn limits(
        &mut self,
        old: &BTreeMap<String, Located<Quantity>>,
        new: &BTreeMap<String, Located<Quantity>>,
        named: &BTreeSet<String>,
    ) {
        for (name, limit) in new {
            let key = format!("limits.{name}");
            let Some(was) = old.get(name) else {
                self.remark(format!("`{key}` is new: {}", words::quantity(limit.value)));
                continue;
            };
            if was.value == limit.value {
                continue;
            }
            let (before, after) = (words::quantity(was.value), words::quantity(limit.value));
            let is_named = named.contains(&key);
            match name.as_str() {
                // Shapes a fact: rows and gates never compare with it.
                "edit_window" => {
                    // An edit inside of the window was not what the armer read.
                    let (direction, effect) = if self.area.new.edit_window > self.area.old.edit_window {
                        (Direction::Tighter, "more")
                    } else {
                        (Direction::Looser, "fewer")
                    };
                    let what =
                        format!("`{key}` is {after} (was {before}): {effect} edits before arming hold issues back");
                    self.at(direction, what, limit.span);
                }
                "effect_timeout" => {
                    let what = format!("an effect that keeps failing is given up after {after} (was {before})");
                    self.at(Direction::Different, what, limit.span);
                }
                _ if is_named => {}
                _ => self.remark(changed(&format!("`{key}`"), &before, &after)),
            }
        }
        for name in old.keys().filter(|name| !new.contains_key(*name)) {
            self.remark(format!("`limits.{name}` is gone"));
        }
    }
}

fn keys_of(order: &[OrderKey]) -> String {
    let key = |key: &OrderKey| {
        let name = match key.by {
            OrderBy::Priority => "priority",
            OrderBy::Number => "number",
            OrderBy::ArmedAt => "armed_at",
            OrderBy::CreatedAt => "created_at",
        };
        format!("{}{name}", if key.descending { "-" } else { "" })
    };
    order.iter().map(key).collect::<Vec<_>>().join(", ")
}
