//! `select` with the full trace of the eight shipped gates, beside the same selection written by hand, over the same
//! issues in the same process: `cargo bench --bench select`.

#![allow(clippy::print_stdout, reason = "the table is the result")]

#[path = "../tests/engine/builder.rs"]
mod builder;

use std::collections::{HashMap, HashSet};
use std::hint::black_box;
use std::time::{Duration, Instant};

use afk::engine::select::{Candidate, CapacityLimit, Outcome, select};
use afk::policy::facts::Observed;
use afk::policy::{Policy, RepoPattern, Rules};
use builder::{Known, located, policy, rules, shipped_gates, strings, urgent, with};

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const ROUNDS: usize = 101;
const REPOS: usize = 200;
const MAX_IN_FLIGHT: usize = 64;
const MAX_PER_TICK: usize = 32;

fn main() {
    let repos: Vec<String> = (0..REPOS).map(|index| format!("owner-{}/service-{index}", index % 7)).collect();
    let listed: Vec<&str> = repos.iter().step_by(2).map(String::as_str).collect();
    let busy: Vec<String> = repos.iter().skip(2).step_by(20).cloned().collect();
    let policy = shipped_policy(&listed);
    let allowlist: HashSet<&str> = listed.into_iter().collect();

    println!("{:>8}  {:>15}  {:>10}  {:>6}", "issues", "by hand (ms)", "afk (ms)", "ratio");
    for size in SIZES {
        let issues = issues(size, &repos, &busy);
        let decisions = select(&policy, &issues, &busy);
        let outcomes = by_hand(&allowlist, &issues, &busy);
        assert_eq!(decisions.len(), outcomes.len());
        for (decision, outcome) in decisions.iter().zip(&outcomes) {
            assert_eq!(decision.outcome, *outcome, "both must decide the same: {:?}", decision.trace);
        }
        assert!(outcomes.contains(&Outcome::Dispatch(MAX_PER_TICK)), "the limits must be reached");

        let (mut hand, mut afk) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            hand.push(time(|| by_hand(black_box(&allowlist), black_box(&issues), black_box(&busy))));
            afk.push(time(|| select(black_box(&policy), black_box(&issues), black_box(&busy))));
        }
        let (hand, afk) = (median(hand), median(afk));
        println!("{size:>8}  {hand:>15.3}  {afk:>10.3}  {:>6.2}", afk / hand);
    }
}

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    let result = black_box(work());
    let took = start.elapsed();
    drop(result);
    took
}

/// In milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1_000.0
}

fn shipped_policy(listed: &[&str]) -> Policy {
    let allowlist: Vec<RepoPattern> = builder::patterns(listed);
    let mut policy = policy(Rules { gates: shipped_gates(&allowlist, &[], 1), ..rules() });
    policy.allowlist = located(allowlist);
    policy.base.dispatch.max_in_flight = located(MAX_IN_FLIGHT);
    policy.base.dispatch.max_per_tick = located(MAX_PER_TICK);
    policy
}

/// The same issues in every run of the benchmark: a linear congruential generator.
fn issues(size: usize, repos: &[String], busy: &[String]) -> Vec<Candidate> {
    let mut seed: u64 = 42;
    let mut below = |bound: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % bound
    };
    (1..=size)
        .map(|number| {
            let repo = &repos[below(REPOS as u64) as usize];
            let priority = below(10) as i64;
            with(urgent(repo, number as i64, priority), |facts| {
                facts.labels = Known(strings(&["bug", "ready-for-agent", &format!("priority:{priority}")]));
                facts.trusted = Known(below(10) != 0);
                facts.open_blockers = Known(if below(10) == 0 { strings(&["#1"]) } else { Vec::new() });
                facts.in_flight_in_repo = Known(i64::from(busy.contains(repo)));
            })
        })
        .collect()
}

/// What one would write who knows these eight gates, and nothing else, by heart. It notes only the gate that fired.
fn by_hand(allowlist: &HashSet<&str>, issues: &[Candidate], in_flight: &[String]) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(issues.len());
    let mut eligible = Vec::new();
    for (index, issue) in issues.iter().enumerate() {
        match fired(allowlist, issue) {
            Some(gate) => outcomes.push(Outcome::Gate(gate)),
            None => {
                let facts = &issue.facts;
                let priority = facts.priority.known().copied().unwrap_or(i64::MAX);
                eligible.push((priority, facts.number, facts.repo.as_str(), index));
                outcomes.push(Outcome::Slot(None));
            }
        }
    }

    eligible.sort_unstable();
    let mut behind: HashMap<&str, Outcome> =
        in_flight.iter().map(|repo| (repo.as_str(), Outcome::Slot(None))).collect();
    let mut dispatched = 0;
    for (_, _, repo, index) in eligible {
        outcomes[index] = if let Some(behind) = behind.get(repo) {
            *behind
        } else {
            let (outcome, next) = if in_flight.len() + dispatched >= MAX_IN_FLIGHT {
                let cut_off = Outcome::Capacity(CapacityLimit::MaxInFlight);
                (cut_off, cut_off)
            } else if dispatched >= MAX_PER_TICK {
                let cut_off = Outcome::Capacity(CapacityLimit::MaxPerTick);
                (cut_off, cut_off)
            } else {
                dispatched += 1;
                (Outcome::Dispatch(dispatched), Outcome::Slot(Some(index)))
            };
            behind.insert(repo, next);
            outcome
        };
    }
    outcomes
}

fn fired(allowlist: &HashSet<&str>, issue: &Candidate) -> Option<usize> {
    let facts = &issue.facts;
    if !allowlist.contains(facts.repo.as_str()) {
        return Some(0);
    }
    let mut unknown = None;
    match &facts.labels {
        Observed::Known(labels) if labels.iter().any(|label| label == "ready-for-human" || label == "paused") => {
            return Some(1);
        }
        Observed::Known(_) => {}
        _ => unknown = unknown.or(Some(1)),
    }
    match facts.has_run {
        Observed::Known(true) => return Some(2),
        Observed::Known(false) => {}
        _ => unknown = unknown.or(Some(2)),
    }
    match facts.in_flight_in_repo {
        Observed::Known(count) if count >= 1 => return Some(3),
        Observed::Known(_) => {}
        _ => unknown = unknown.or(Some(3)),
    }
    match facts.trusted {
        Observed::Known(false) => return Some(4),
        Observed::Known(true) => {}
        _ => unknown = unknown.or(Some(4)),
    }
    match facts.already_run {
        Observed::Known(true) => return Some(5),
        Observed::Known(false) => {}
        _ => unknown = unknown.or(Some(5)),
    }
    match facts.edited_since_armed {
        Observed::Known(true) => return Some(6),
        Observed::Known(false) => {}
        _ => unknown = unknown.or(Some(6)),
    }
    match &facts.open_blockers {
        Observed::Known(blockers) if !blockers.is_empty() => return Some(7),
        Observed::Known(_) => {}
        _ => unknown = unknown.or(Some(7)),
    }
    unknown
}
