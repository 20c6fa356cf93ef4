//! Everything a tick needs: the policy, the edges, and what people told this installation.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use chrono::{DateTime, Timelike, Utc};

use crate::adapters::http::api::Cost;
use crate::adapters::installation::Installation;
use crate::engine::step::Machines;
use crate::policy::Policy;
use crate::ports::{Ci, Clock, Code, Executor, Notifier, PortError, PortResult, Tracker};

use super::record::Seal;

/// The edges of one installation.
pub struct World {
    /// Where issues are.
    pub tracker: Rc<dyn Tracker>,
    /// Where commits are.
    pub code: Rc<dyn Code>,
    /// Who judges commits.
    pub ci: Rc<dyn Ci>,
    /// Who runs agents, by the name of the settings.
    pub executors: BTreeMap<String, Rc<dyn Executor>>,
    /// Who rings people, by the name of the settings.
    pub doorbells: BTreeMap<String, Rc<dyn Notifier>>,
    /// This machine's time.
    pub clock: Rc<dyn Clock>,
    /// Signs and checks records.
    pub seal: Seal,
    /// The logins that agents use.
    pub agent_logins: Vec<String>,
    /// The data directory.
    pub installation: Installation,
    /// Reads every form of the kill switch anew: why it is on, or `None`. Asked again before each dispatch and turn.
    pub kill_switch: Box<dyn Fn() -> Option<String>>,
    /// How many calls were made to the edges so far.
    pub calls: Rc<std::cell::Cell<u64>>,
    /// What servers were asked so far: the tracker's, and the executors'; `None` where there are none.
    pub cost: Box<dyn Fn() -> Option<Cost>>,
}

impl World {
    /// The executor of that name.
    ///
    /// # Errors
    /// Refused when the settings do not have it.
    pub fn executor(&self, name: &str) -> PortResult<&dyn Executor> {
        self.executors.get(name).map(|executor| &**executor).ok_or_else(|| {
            PortError::refused(format!(
                "the settings have no executor `{name}`; add `[executors.{name}]`, or name another in `[agent]` of the \
                 policy"
            ))
        })
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("World").field("executors", &self.executors.keys()).finish_non_exhaustive()
    }
}

/// One tick: the policy it obeys, the world it works in, and what it has to report.
#[derive(Debug)]
pub struct Tick<'w> {
    /// The policy, read once. Its kill switch is on if any form of it was at the start.
    pub policy: &'w Policy,
    /// The edges.
    pub world: &'w World,
    /// When it began, by the tracker's clock, in whole seconds as its events are.
    pub started: DateTime<Utc>,
    /// What happened, for people.
    pub report: RefCell<Report>,
    /// The policy's state machines, for all runs of the tick.
    pub machines: Machines<'w>,
    permissions: RefCell<BTreeMap<(String, String, bool), PortResult<String>>>,
}

/// A tracker's clock may differ from ours by this much before it is reported.
pub const MAX_SKEW_SECONDS: i64 = 60;

/// What a tick says when it is over.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// What it did, in order.
    pub events: Vec<Event>,
    /// What it could not do; any of these makes the exit code 3.
    pub problems: Vec<String>,
}

/// One thing that a tick did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Event {
    /// The issue it is about.
    pub issue: String,
    /// What happened: `dispatched`, `verifying → fixing`.
    pub what: String,
    /// More about it.
    pub detail: String,
}

impl<'w> Tick<'w> {
    /// Begins a tick over a world, by a policy.
    ///
    /// # Errors
    /// When the tracker cannot tell the time: then it can be asked nothing else either.
    pub async fn begin(policy: &'w Policy, world: &'w World) -> PortResult<Self> {
        let now = world.tracker.now().await?;
        let started = now.with_nanosecond(0).unwrap_or(now);
        let tick = Self {
            policy,
            world,
            started,
            report: RefCell::default(),
            machines: Machines::new(policy),
            permissions: RefCell::default(),
        };
        let skew = now.signed_duration_since(world.clock.now()).num_seconds();
        if skew.abs() > MAX_SKEW_SECONDS {
            tick.problem(
                "clock",
                format!("the tracker's clock differs from this machine's by {skew} s; mend one of them"),
            );
        }
        Ok(tick)
    }

    /// The granted permission of a login, asked once a tick; `remembered`: one of an earlier tick will do, for an issue
    /// that is itself remembered.
    ///
    /// # Errors
    /// Those of [`Tracker::permission`].
    pub async fn permission(&self, repo: &str, login: &str, remembered: bool) -> PortResult<String> {
        let key = (repo.to_ascii_lowercase(), login.to_ascii_lowercase(), remembered);
        if let Some(known) = self.permissions.borrow().get(&key) {
            return known.clone();
        }
        let answer = if remembered {
            self.world.tracker.remembered_permission(repo, login).await
        } else {
            self.world.tracker.permission(repo, login).await
        };
        self.permissions.borrow_mut().insert(key, answer.clone());
        answer
    }

    /// Says that something happened.
    pub fn event(&self, issue: impl std::fmt::Display, what: impl Into<String>, detail: impl Into<String>) {
        let event = Event { issue: issue.to_string(), what: what.into(), detail: detail.into() };
        tracing::info!(issue = event.issue, detail = event.detail, "{}", event.what);
        self.report.borrow_mut().events.push(event);
    }

    /// Says that something could not be done.
    pub fn problem(&self, about: impl std::fmt::Display, error: impl std::fmt::Display) {
        let problem = format!("{about}: {error}");
        let problems = &mut self.report.borrow_mut().problems;
        if !problems.contains(&problem) {
            tracing::info!("{problem}");
            problems.push(problem);
        }
    }

    /// Says what could not be done of several things; where the same went wrong with many, it is said once.
    pub fn problems(&self, failures: impl IntoIterator<Item = (String, String)>) {
        let mut by_error: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (about, error) in failures {
            by_error.entry(error).or_default().push(about);
        }
        for (error, about) in by_error {
            match about.as_slice() {
                [first, more @ ..] if more.len() > 2 => {
                    self.problem(format_args!("{first} and {} more", more.len()), error);
                }
                few => few.iter().for_each(|about| self.problem(about, &error)),
            }
        }
    }

    /// What happened so far.
    pub fn into_report(self) -> Report {
        self.report.into_inner()
    }
}
