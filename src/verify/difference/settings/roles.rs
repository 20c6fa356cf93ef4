//! Labels, and who may arm issues with them.

use std::collections::BTreeSet;

use super::Sayings;
use crate::policy::{LabelRole, Labels, Trust};
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
            let what = format!("`{key}` is `{}` (was `{}`): {effect}", shown(&new.value), shown(was));
            self.at(Direction::Different, what, new.span);
        }
    }

    pub fn trust(&mut self, old: &Trust, new: &Trust) {
        let Trust { permissions, logins } = new;
        for (key, old, new, holder) in [
            ("permissions", &old.permissions, permissions, "with the permission"),
            ("logins", &old.logins, logins, "called"),
        ] {
            let place = self.key("trust", key);
            for added in new.iter().filter(|one| !old.contains(one)) {
                self.item(Direction::Looser, format!("people {holder} `{}` may arm issues", shown(added)), place);
            }
            for gone in old.iter().filter(|one| !new.contains(one)) {
                self.item(
                    Direction::Tighter,
                    format!("people {holder} `{}` may no longer arm issues", shown(gone)),
                    place,
                );
            }
        }
    }
}
