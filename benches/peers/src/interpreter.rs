//! afk itself: the shipped policy, switched on for half of the repositories. `select` makes a full trace; of a run, the
//! place of its row in the policy is noted.

use afk::engine::select::{Candidate, Decision, Outcome, select};
use afk::engine::step::{Circumstances, Machine, StateIndex, Step};
use afk::policy::facts::RunFacts;
use afk::policy::{InstalledNames, Policy, Surroundings, check};

use crate::{Engine, world};

/// A checked policy, and its state machine once a run is decided on.
pub struct Afk {
    policy: &'static Policy,
    machine: Option<Machine<'static>>,
}

impl Engine for Afk {
    type Issues = Vec<Candidate>;
    type Runs = Vec<(StateIndex, RunFacts)>;
    type Decisions = Vec<Decision>;

    fn prepare() -> Self {
        let listed = world::allowlist().join("\", \"");
        let edits = [
            ("kill_switch = true", "kill_switch = false".to_owned()),
            ("allowlist   = []", format!("allowlist = [\"{listed}\"]")),
            ("max_in_flight  = 8", format!("max_in_flight = {}", world::MAX_IN_FLIGHT)),
            ("max_per_tick   = 4", format!("max_per_tick = {}", world::MAX_PER_TICK)),
        ];
        let (mut text, mut rest) = (String::new(), include_str!("../../../policies/afk.toml"));
        for (shipped, edited) in &edits {
            let (before, after) = rest.split_once(shipped).expect("a line of the shipped policy");
            text.extend([before, edited]);
            rest = after;
        }
        text.push_str(rest);
        let prompt = |path: &str| match path {
            "prompts/implement.md" => Ok(include_str!("../../../policies/prompts/implement.md").to_owned()),
            _ => Ok(include_str!("../../../policies/prompts/fix-forward.md").to_owned()),
        };
        let surroundings = Surroundings { prompt: &prompt, installed: &InstalledNames::default() };
        let checked = check(&text, "afk.toml", &surroundings);
        let policy = Box::leak(Box::new(checked.policy.unwrap_or_else(|| panic!("{:?}", checked.findings))));
        Self { policy, machine: None }
    }

    fn issues(issues: Vec<Candidate>) -> Self::Issues {
        issues
    }

    fn runs(&mut self, runs: Vec<(&'static str, RunFacts)>) -> Self::Runs {
        let machine = self.machine.get_or_insert_with(|| Machine::new(&self.policy.base));
        runs.into_iter().map(|(state, facts)| (machine.state(state).expect("a state"), facts)).collect()
    }

    fn select(&mut self, issues: &Self::Issues, in_flight: &[String]) -> Vec<Decision> {
        select(self.policy, issues, in_flight)
    }

    fn outcomes(decisions: Vec<Decision>) -> Vec<Outcome> {
        decisions.into_iter().map(|decision| decision.outcome).collect()
    }

    fn step(&mut self, runs: &Self::Runs) -> Vec<Option<usize>> {
        let circumstances = Circumstances { kill_switch: false, enrolled: true };
        let machine = self.machine.get_or_insert_with(|| Machine::new(&self.policy.base));
        runs.iter()
            .map(|(state, facts)| match machine.step(*state, facts, circumstances) {
                Step::Wait => None,
                Step::Row(row) | Step::Held(row, _) => Some(row.span.start),
            })
            .collect()
    }

    fn row(&self, step: usize) -> usize {
        self.policy.base.transitions.iter().position(|row| row.span.start == step).expect("a row of the policy")
    }
}
