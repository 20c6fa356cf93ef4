//! Which armed issues may be dispatched now, in which order, and why the others may not.

use chrono::{DateTime, Utc};

use crate::policy::facts::IssueFacts;

/// An armed issue, as `select` sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// What gates read.
    pub facts: IssueFacts,
    /// For `order`: when the *ready* label was applied; unknown comes last.
    pub armed_at: Option<DateTime<Utc>>,
    /// For `order`: when the issue was opened.
    pub created_at: Option<DateTime<Utc>>,
}

/// What was decided on one issue, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What happens to it.
    pub outcome: Outcome,
    /// Every gate's verdict.
    pub trace: GateTrace,
    /// Its place among the eligible issues of its repository, counted from 1; `None` for issues that a gate denies.
    pub place_in_repo: Option<usize>,
}

/// What happens to an armed issue in this tick. Issues are named by their index in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is dispatched, as the n-th of this tick, counted from 1.
    Dispatch(usize),
    /// It would be dispatched, but for facts that nobody has read yet: read them and select again.
    Unread,
    /// This gate fired; the verdict in the trace says whether it denied or could not be established.
    Gate(usize),
    /// The repository's last slot went to the issue of this index, or to runs in flight (`None`).
    Slot(Option<usize>),
    /// A limit of the whole installation cut it off.
    Capacity(CapacityLimit),
    /// The kill switch is on.
    KillSwitch,
    /// `[repos]` pauses its repository.
    Paused,
}

/// Which limit cut the tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapacityLimit {
    /// `dispatch.max_in_flight`.
    MaxInFlight,
    /// `dispatch.max_per_tick`.
    MaxPerTick,
}

/// The verdicts of up to [`GateTrace::CAPACITY`] gates on one issue, packed, so that a full trace costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct GateTrace(u128);

impl GateTrace {
    /// How many gates fit; a policy with more is refused as too large.
    pub const CAPACITY: usize = 64;
}
