//! From the gates' word on each issue to who is dispatched: one slot a repository, then the limits. What the engines
//! that only judge one issue at a time (cedar, regorus) leave to the program around them, and what the function by
//! hand does itself.

use std::collections::HashMap;

use afk::engine::select::{Candidate, CapacityLimit, Outcome};

use crate::world::{MAX_IN_FLIGHT, MAX_PER_TICK};

/// `gate` names the gate that fired, if one did. One pass keeps the best of each repository.
pub fn select(
    issues: &[Candidate],
    in_flight: &[String],
    mut gate: impl FnMut(usize, &Candidate) -> Option<usize>,
) -> Vec<Outcome> {
    let key = |index: usize| {
        let facts = &issues[index].facts;
        (facts.priority.known().copied().unwrap_or(i64::MAX), facts.number, facts.repo.as_str())
    };
    // `None`: taken by a run in flight.
    let mut best: HashMap<&str, Option<usize>> = in_flight.iter().map(|repo| (repo.as_str(), None)).collect();
    let mut outcomes = Vec::with_capacity(issues.len());
    let mut eligible = Vec::new();
    for (index, issue) in issues.iter().enumerate() {
        match gate(index, issue) {
            Some(gate) => outcomes.push(Outcome::Gate(gate)),
            None => {
                let slot = best.entry(&issue.facts.repo).or_insert(Some(index));
                if let Some(leader) = slot
                    && key(index) < key(*leader)
                {
                    *leader = index;
                }
                eligible.push(index);
                outcomes.push(Outcome::Slot(None));
            }
        }
    }
    let mut winners: Vec<usize> = best.values().copied().flatten().collect();
    winners.sort_unstable_by_key(|index| key(*index));
    let room = MAX_IN_FLIGHT.saturating_sub(in_flight.len());
    for (taken, index) in winners.into_iter().enumerate() {
        outcomes[index] = if taken < room.min(MAX_PER_TICK) {
            Outcome::Dispatch(taken + 1)
        } else if room <= MAX_PER_TICK {
            Outcome::Capacity(CapacityLimit::MaxInFlight)
        } else {
            Outcome::Capacity(CapacityLimit::MaxPerTick)
        };
    }
    for index in eligible {
        let best = best[issues[index].facts.repo.as_str()];
        if best != Some(index) {
            outcomes[index] = match best.map(|best| outcomes[best]) {
                Some(Outcome::Capacity(limit)) => Outcome::Capacity(limit),
                _ => Outcome::Slot(best),
            };
        }
    }
    outcomes
}
