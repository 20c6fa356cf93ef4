//! What policies say besides gates and rows, key by key; and what of gates and rows was changed without effect.
//!
//! Every key is told apart here by name, so that one that is added to the language cannot be forgotten.

use std::collections::{BTreeMap, BTreeSet};

use super::areas::Area;
use super::{Direction, Item, Place, Remark, Report, TooLarge, gates, words};
use crate::policy::sentence::{Part, Placeholder, Sentence};
use crate::policy::{
    AgentChoice, Dispatch, LabelRole, Labels, Landing, Located, Notification, OrderBy, OrderKey, Policy, Priority,
    Prompt, RepoPattern, Rules, Span, Stage, StageSource, Trust,
};
use crate::verify::diagram::Diagrams;
use crate::verify::repos::RepoClasses;

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
                let what = format!("`{name}` is waived: {}", crate::text::clean_line(&waiver.reason, 200));
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
    enrolled(report, diagrams)?;
    for (word, these, others) in [("gone", old, new), ("new", new, old)] {
        for (pattern, _) in &these.overrides {
            if others.overrides.iter().all(|(other, _)| other != pattern) {
                report.remark(format!("`[repos.\"{pattern}\"]` is {word}"));
            }
        }
    }
    Ok(())
}

/// Which repositories are enrolled, one item for each entry of a list that decides it.
fn enrolled(report: &mut Report<'_>, diagrams: &mut Diagrams) -> Result<(), TooLarge> {
    let (old, new) = (report.old, report.new);
    let lists = [&old.allowlist.value, &old.denylist.value, &new.allowlist.value, &new.denylist.value];
    // Each pattern is a list of its own, so that each has its item.
    let patterns: Vec<Vec<RepoPattern>> = lists.into_iter().flatten().map(|pattern| vec![pattern.clone()]).collect();
    let too_large = TooLarge { scope: None };
    let Some(classes) = RepoClasses::new(diagrams, &patterns, None, &[]) else { return Err(too_large) };
    // Every class is held against every pattern.
    let work = classes.len().saturating_mul(patterns.len()).div_euclid(16);
    if !diagrams.spend(u32::try_from(work).unwrap_or(u32::MAX)) {
        return Err(too_large);
    }
    let matching = |list: &Located<Vec<RepoPattern>>, repo: &str| {
        // The narrowest says most.
        let matching = list.value.iter().filter(|pattern| pattern.matches(repo));
        matching.max_by_key(|pattern| (pattern.is_exact(), pattern.to_string().len())).cloned()
    };
    let mut idle = Vec::new();
    for repo in (0..classes.len()).filter_map(|class| classes.witness(class)) {
        let item = match (old.enrolled(&repo), new.enrolled(&repo)) {
            (false, true) => match (matching(&old.allowlist, &repo), matching(&new.allowlist, &repo)) {
                (None, Some(pattern)) => {
                    let place = report.in_new(entry(new, &new.allowlist, &pattern));
                    item(Direction::Looser, format!("issues in `{pattern}` may be dispatched"), place)
                }
                _ => {
                    let Some(pattern) = matching(&old.denylist, &repo) else { continue };
                    let place = report.in_new(new.denylist.span);
                    let what = format!("issues in `{pattern}` may be dispatched: it is no longer on the denylist");
                    item(Direction::Looser, what, place)
                }
            },
            (true, false) => match matching(&new.denylist, &repo) {
                Some(pattern) => {
                    let place = report.in_new(entry(new, &new.denylist, &pattern));
                    let what = format!("issues in `{pattern}` are no longer dispatched: it is on the denylist");
                    item(Direction::Tighter, what, place)
                }
                None => {
                    let Some(pattern) = matching(&old.allowlist, &repo) else { continue };
                    let place = report.in_new(new.allowlist.span);
                    let what = format!("issues in `{pattern}` are no longer dispatched: it is not on the allowlist");
                    item(Direction::Tighter, what, place)
                }
            },
            // On no list that would let it pass: a line of defence, all the same.
            _ => {
                let (was, is) = (matching(&old.denylist, &repo), matching(&new.denylist, &repo));
                match (was, is) {
                    (Some(pattern), None) => idle.push((Direction::Looser, pattern)),
                    (None, Some(pattern)) => idle.push((Direction::Tighter, pattern)),
                    _ => {}
                }
                continue;
            }
        };
        report.add(item);
    }
    for (direction, pattern) in idle {
        let named = format!("issues in `{pattern}` ");
        if report.difference.items.iter().any(|item| item.direction == direction && item.what.starts_with(&named)) {
            continue;
        }
        let (word, policy) = if direction == Direction::Looser { ("no longer", new) } else { ("now", old) };
        let listed = if policy.allowlist.value.is_empty() { "nothing" } else { "it" };
        let not = if policy.allowlist.value.is_empty() { "" } else { "not " };
        let was = if direction == Direction::Looser { "is" } else { "was" };
        let what = format!(
            "`{pattern}` is {word} on the denylist: that changes nothing today, as {listed} {was} {not}on the allowlist"
        );
        let span = match direction {
            Direction::Looser => new.denylist.span,
            _ => entry(new, &new.denylist, &pattern),
        };
        let place = report.in_new(span);
        report.add(item(direction, what, place));
    }
    for (name, was, is) in [("allowlist", &old.allowlist, &new.allowlist), ("denylist", &old.denylist, &new.denylist)] {
        let only = |these: &Located<Vec<RepoPattern>>, others: &Located<Vec<RepoPattern>>| -> Vec<RepoPattern> {
            these.value.iter().filter(|one| !others.value.contains(one)).cloned().collect()
        };
        for (word, patterns) in [("gone from", only(was, is)), ("new on", only(is, was))] {
            for pattern in patterns {
                let named = format!("`{pattern}`");
                if !report.difference.items.iter().any(|item| item.what.contains(&named)) {
                    report.remark(format!("{named} is {word} the {name}"));
                }
            }
        }
    }
    Ok(())
}

/// Where an entry of a list stands.
fn entry(policy: &Policy, list: &Located<Vec<RepoPattern>>, pattern: &RepoPattern) -> Span {
    let text = policy.source.text.get(list.span.start..list.span.end).unwrap_or_default().to_ascii_lowercase();
    let wanted = pattern.to_string();
    let found = ['"', '\''].iter().find_map(|quote| text.find(&format!("{quote}{wanted}{quote}")));
    let start = list.span.start.saturating_add(found.unwrap_or(0));
    Span { start, end: start.saturating_add(wanted.len()) }
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

fn changed(what: &str, old: &str, new: &str) -> String {
    // A backtick in them would end the code that they are shown as, and bring their links to life.
    let shown = |text: &str| crate::text::clean_line(text, 200).replace('`', "'");
    format!("{what}: `{}` → `{}`", shown(old), shown(new))
}

struct Sayings<'s, 'p> {
    area: &'s Area<'p>,
    report: &'s mut Report<'p>,
}

impl Sayings<'_, '_> {
    fn item(&mut self, direction: Direction, what: String, place: Place) {
        self.report.add(Item { scopes: self.area.scopes(), ..item(direction, what, place) });
    }

    fn at(&mut self, direction: Direction, what: String, span: Span) {
        let place = self.report.in_new(span);
        self.item(direction, what, place);
    }

    fn remark(&mut self, what: String) {
        let scope = self.area.scope.as_ref().map_or(String::new(), |scope| format!("in `{scope}`: "));
        // What is said of every repository holds for this one, too.
        if !self.report.difference.also.iter().any(|one| one.what == what) {
            self.report.remark(format!("{scope}{what}"));
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
                let why_shown = crate::text::clean_line(&why.value, 200);
                self.at(Direction::Tighter, format!("paused, nothing is dispatched: {why_shown}"), why.span);
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

    fn labels(&mut self, old: &Labels, new: &Labels, named: &BTreeSet<String>) {
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
            let what = format!("`{key}` is {} (was {was}): {effect}", new.value);
            self.at(Direction::Different, what, new.span);
        }
    }

    fn trust(&mut self, old: &Trust, new: &Trust) {
        let Trust { permissions, logins } = new;
        for (key, old, new, holder) in [
            ("permissions", &old.permissions, permissions, "with the permission"),
            ("logins", &old.logins, logins, "called"),
        ] {
            let place = self.key("trust", key);
            for added in new.iter().filter(|one| !old.contains(one)) {
                self.item(Direction::Looser, format!("people {holder} `{added}` may arm issues"), place);
            }
            for gone in old.iter().filter(|one| !new.contains(one)) {
                self.item(Direction::Tighter, format!("people {holder} `{gone}` may no longer arm issues"), place);
            }
        }
    }

    fn priority(&mut self, old: &Priority, new: &Priority) {
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

    fn dispatch(&mut self, old: &Dispatch, new: &Dispatch, named: &BTreeSet<String>) {
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

    fn limits(
        &mut self,
        old: &BTreeMap<String, Located<crate::policy::Quantity>>,
        new: &BTreeMap<String, Located<crate::policy::Quantity>>,
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

    fn agent(&mut self, old: &AgentChoice, new: &AgentChoice) {
        let AgentChoice { executor, model, runtime_mode, landing } = new;
        if executor.value != old.executor.value {
            let what = format!("agents are started by executor `{}` (was `{}`)", executor.value, old.executor.value);
            self.at(Direction::Different, what, executor.span);
        }
        for (key, old, new) in [("model", &old.model, model), ("runtime_mode", &old.runtime_mode, runtime_mode)] {
            if old != new {
                let place = self.key("agent", key);
                self.item(Direction::Different, format!("`agent.{key}` is `{new}` (was `{old}`)"), place);
            }
        }
        if *landing != old.landing {
            let (direction, what) = match landing {
                Landing::Push => (Direction::Looser, "agents push to the default branch (was: open a pull request)"),
                Landing::PullRequest => {
                    (Direction::Tighter, "agents open a pull request (was: push to the default branch)")
                }
            };
            let place = self.key("agent", "landing");
            self.item(direction, what.to_owned(), place);
        }
    }

    fn stages(&mut self, old: &[Stage], new: &[Stage]) {
        for stage in new {
            let name = &stage.name.value;
            match old.iter().find(|one| one.name.value == *name) {
                None => {
                    let what = format!("CI is green only when stage `{name}` is, too: {}", source(&stage.source));
                    self.at(Direction::Tighter, what, stage.name.span);
                }
                Some(was) if was.source != stage.source => {
                    let direction = stricter(&was.source, &stage.source);
                    let (before, after) = (source(&was.source), source(&stage.source));
                    let what = format!("stage `{name}` asks for {after} (was {before})");
                    self.at(direction, what, stage.name.span);
                }
                Some(_) => {}
            }
        }
        for stage in old.iter().filter(|one| new.iter().all(|other| other.name.value != one.name.value)) {
            let place = self.report.in_old(stage.name.span);
            let what = format!("CI is green without stage `{}`: it is gone", stage.name.value);
            self.item(Direction::Looser, what, place);
        }
        let names = |stages: &[Stage], others: &[Stage]| -> Vec<String> {
            let names = stages.iter().map(|stage| stage.name.value.clone());
            names.filter(|name| others.iter().any(|one| one.name.value == *name)).collect()
        };
        if names(old, new) != names(new, old) {
            self.remark("the order of `[[ci.stages]]`".to_owned());
        }
    }

    fn protected(&mut self, old: &[String], new: &[String]) {
        let place = self.key("protect", "paths");
        for gone in old.iter().filter(|one| !new.contains(one)) {
            let what = format!("`{gone}` is no longer protected: runs that change it are judged by CI alone");
            self.item(Direction::Looser, what, place);
        }
        for added in new.iter().filter(|one| !old.contains(one)) {
            self.item(
                Direction::Tighter,
                format!("`{added}` is protected: runs that change it wait for a person"),
                place,
            );
        }
        if old != new && old.iter().all(|one| new.contains(one)) && new.iter().all(|one| old.contains(one)) {
            self.remark("the order of `protect.paths`".to_owned());
        }
    }

    /// Gates, states, rows and actions that were changed, and with them no decision.
    fn rules(&mut self, named: &BTreeSet<String>) {
        let (old, new) = (self.area.old, self.area.new);
        for gate in
            new.gates.iter().chain(old.gates.iter().filter(|gate| new.gates.iter().all(|one| one.name != gate.name)))
        {
            let name = &gate.name;
            if named.contains(&format!("gate:{name}")) {
                continue;
            }
            match gates::change(self.area, self.report, name) {
                Some(super::causes::Change::Gone) => self.remark(format!("gate `{name}` is gone")),
                Some(super::causes::Change::New) => self.remark(format!("gate `{name}` is new")),
                Some(super::causes::Change::Constants(paths)) => {
                    let unsaid: Vec<String> = paths.into_iter().filter(|path| !named.contains(path)).collect();
                    if !unsaid.is_empty() {
                        self.remark(format!("gate `{name}` compares with other values of {}", words::list(&unsaid)));
                    }
                }
                Some(super::causes::Change::Rewritten(how)) => self.remark(format!("gate `{name}`: it {how}")),
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

    /// What people and agents are told.
    fn texts(&mut self) {
        let (old, new) = (self.area.old, self.area.new);
        for gate in &new.gates {
            let was = old.gates.iter().find(|one| one.name == gate.name);
            if let Some(was) = was.filter(|was| was.message != gate.message) {
                let what = format!("message of gate `{}`", gate.name);
                self.remark(changed(&what, &sentence(&was.message), &sentence(&gate.message)));
            }
        }
        let list = |rules: &Rules| -> Vec<String> {
            let lines = rules.checklist.iter();
            lines.map(|item| format!("{}: {}", item.title, words::condition(&item.when))).collect()
        };
        if list(old) != list(new) {
            self.remark("the checklist of the progress comment".to_owned());
        }
        self.named("comment", &old.comments, &new.comments, sentence);
        self.named("notification", &old.notify, &new.notify, notification);
        for (name, prompt) in &new.prompts {
            let was = old.prompts.get(name);
            if let Some(what) = prompt_changed(name, was, prompt) {
                let is_unproven = was.is_none_or(|was| was.template != prompt.template);
                let lines = was.map_or_else(Vec::new, |was| changed_lines(&was.template, &prompt.template));
                self.report.remarked(Remark { what, is_unproven, lines });
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
                None => self.remark(format!("{what} `{name}` is new")),
                Some(was) if was != now => {
                    let (before, after) = (say(was), say(now));
                    if before != after {
                        self.remark(changed(&format!("{what} `{name}`"), &before, &after));
                    }
                }
                Some(_) => {}
            }
        }
        for name in old.keys().filter(|name| !new.contains_key(*name)) {
            self.remark(format!("{what} `{name}` is gone"));
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

fn source(source: &StageSource) -> String {
    match source {
        StageSource::Checks { require: None } => "all checks of the forge".to_owned(),
        StageSource::Checks { require: Some(names) } => format!("the checks {}", words::list(names)),
        StageSource::Command { command } => format!("command `{command}`"),
    }
}

/// Whether a stage asks for less or for more; neither can be told of different kinds.
fn stricter(old: &StageSource, new: &StageSource) -> Direction {
    let (StageSource::Checks { require: Some(old) }, StageSource::Checks { require: Some(new) }) = (old, new) else {
        return match (old, new) {
            (StageSource::Checks { require: None }, StageSource::Checks { require: Some(_) }) => Direction::Looser,
            (StageSource::Checks { require: Some(_) }, StageSource::Checks { require: None }) => Direction::Tighter,
            _ => Direction::Different,
        };
    };
    match (old.iter().all(|one| new.contains(one)), new.iter().all(|one| old.contains(one))) {
        (true, false) => Direction::Tighter,
        (false, true) => Direction::Looser,
        _ => Direction::Different,
    }
}

/// A sentence as the policy writes it, constants filled in.
fn sentence(sentence: &Sentence) -> String {
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
    let Some(old) = old else { return Some(format!("prompt `{name}` is new: `{}`", new.path.value)) };
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
    Some(format!("prompt `{}`: +{} −{} lines", new.path.value, more(&is, &was), more(&was, &is)))
}
