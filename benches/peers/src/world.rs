//! The same issues and runs for every engine, every time: a linear congruential generator. Every fact is known.

use std::time::Duration;

use afk::engine::select::Candidate;
use afk::policy::facts::{AgentStatus, CiStatus, IssueFacts, IssueStatus, Observed, PullRequestStatus, RunFacts};

use Observed::Known;

/// `dispatch.max_in_flight`.
#[allow(dead_code, reason = "not every benchmark needs all of this")]
pub const MAX_IN_FLIGHT: usize = 64;
/// `dispatch.max_per_tick`.
#[allow(dead_code, reason = "not every benchmark needs all of this")]
pub const MAX_PER_TICK: usize = 32;

/// One of 200 repositories of seven owners.
fn repo(index: usize) -> String {
    format!("owner-{}/service-{index}", index % 7)
}

/// Half of them.
pub fn allowlist() -> Vec<String> {
    (0..200).step_by(2).map(repo).collect()
}

/// Where a run is in flight: ten of those.
pub fn busy() -> Vec<String> {
    (2..200).step_by(20).map(repo).collect()
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn once_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// Armed issues.
pub fn issues(size: usize) -> Vec<Candidate> {
    let (busy, mut chance) = (busy(), Chance(42));
    (1..=size)
        .map(|number| {
            let repo = repo(chance.below(200) as usize);
            let priority = chance.below(10) as i64;
            let mut labels = vec!["bug".to_owned(), "ready-for-agent".to_owned(), format!("priority:{priority}")];
            if chance.once_in(20) {
                labels.push("paused".to_owned());
            }
            let facts = IssueFacts {
                labels: Known(labels),
                trusted: Known(!chance.once_in(10)),
                priority: Known(priority),
                open_blockers: Known(if chance.once_in(10) { vec!["#1".to_owned()] } else { Vec::new() }),
                already_run: Known(chance.once_in(20)),
                edited_since_armed: Known(chance.once_in(20)),
                in_flight_in_repo: Known(i64::from(busy.contains(&repo))),
                age: Known(Duration::from_secs(7_200)),
                armed_for: Known(Duration::from_secs(3_600)),
                ..IssueFacts::harmless(&repo, number as i64, "ready-for-agent")
            };
            Candidate { facts, armed_at: None, created_at: None }
        })
        .collect()
}

/// Runs in flight, each with its state.
pub fn runs(size: usize) -> Vec<(&'static str, RunFacts)> {
    let (listed, mut chance) = (allowlist(), Chance(7));
    let minutes = |count: u64| Duration::from_secs(60 * count);
    (0..size)
        .map(|_| {
            let state = chance.one_of(&["working", "verifying", "verifying", "fixing"]);
            let repo = &listed[chance.below(100) as usize];
            let facts = RunFacts {
                agent: chance.one_of(&[
                    AgentStatus::Starting,
                    AgentStatus::Running,
                    AgentStatus::Running,
                    AgentStatus::Running,
                    AgentStatus::Waiting,
                    AgentStatus::Idle,
                    AgentStatus::Failed,
                    AgentStatus::Gone,
                    AgentStatus::Unknown,
                ]),
                pushed: Known(state != "working" || chance.once_in(4)),
                landed: Known(chance.once_in(2)),
                pull_request: Known(chance.one_of(&[
                    PullRequestStatus::None,
                    PullRequestStatus::Draft,
                    PullRequestStatus::Open,
                    PullRequestStatus::Closed,
                ])),
                touched_protected: Known(chance.once_in(20)),
                ci: chance.one_of(&[
                    CiStatus::None,
                    CiStatus::Pending,
                    CiStatus::Green,
                    CiStatus::Green,
                    CiStatus::Red,
                    CiStatus::Unknown,
                ]),
                attempts: chance.below(7) as i64,
                told: chance.once_in(2),
                age: minutes(chance.below(25 * 60)),
                quiet: minutes(chance.below(150)),
                verdict_wait: minutes(chance.below(150)),
                red_for: minutes(chance.below(90)),
                issue: Known(if chance.once_in(50) { IssueStatus::Closed } else { IssueStatus::Open }),
                held: Known(chance.once_in(50)),
                cost_usd: Known(chance.below(102) as f64),
                ..RunFacts::harmless(repo, "ready-for-agent", "agent-in-progress")
            };
            (state, facts)
        })
        .collect()
}
