//! Who does the work, and what judges it.

use super::{Sayings, only};
use crate::policy::{AgentChoice, Landing, Stage, StageSource};
use crate::verify::difference::words::shown;
use crate::verify::difference::{Direction, words};

impl Sayings<'_, '_> {
    pub fn agent(&mut self, old: &AgentChoice, new: &AgentChoice) {
        let AgentChoice { executor, model, runtime_mode, landing, archive } = new;
        if executor.value != old.executor.value {
            let (was, is) = words::both(&old.executor.value, &executor.value);
            let what = format!("agents are started by executor `{is}` (was `{was}`)");
            self.at(Direction::Different, what, executor.span);
        }
        for (key, old, new) in [("model", &old.model, model), ("runtime_mode", &old.runtime_mode, runtime_mode)] {
            if old != new {
                let place = self.key("agent", key);
                let (was, is) = words::both(old, new);
                self.item(Direction::Different, format!("`agent.{key}` is `{is}` (was `{was}`)"), place);
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
        if *archive != old.archive {
            let what = if *archive { "are put away" } else { "stay" };
            let place = self.key("agent", "archive");
            self.item(Direction::Different, format!("sessions of agents {what} once their runs have ended"), place);
        }
    }

    pub fn stages(&mut self, old: &[Stage], new: &[Stage]) {
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

    pub fn protected(&mut self, old: &[String], new: &[String]) {
        let place = self.key("protect", "paths");
        let verb = |is_one| if is_one { ("is", "it") } else { ("are", "them") };
        self.entries(Direction::Looser, only(old, new), place, |names, is_one| {
            let (is, it) = verb(is_one);
            format!("{names} {is} no longer protected: runs that change {it} are judged by CI alone")
        });
        self.entries(Direction::Tighter, only(new, old), place, |names, is_one| {
            let (is, it) = verb(is_one);
            format!("{names} {is} protected: runs that change {it} wait for a person")
        });
        if old != new && old.iter().all(|one| new.contains(one)) && new.iter().all(|one| old.contains(one)) {
            self.remark("the order of `protect.paths`".to_owned());
        }
    }
}

fn source(source: &StageSource) -> String {
    match source {
        StageSource::Checks { require: None } => "all checks of the forge".to_owned(),
        StageSource::Checks { require: Some(names) } => {
            let names: Vec<String> = names.iter().map(|name| shown(name)).collect();
            format!("the checks {}", words::list(&names))
        }
        StageSource::Command { command } => format!("command `{}`", shown(command)),
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
