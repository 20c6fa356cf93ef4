//! How an API is treated: how much is asked of it, how fast, and how long afk waits for it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Time and waiting, injected.
#[async_trait(?Send)]
pub trait Pace {
    /// Now.
    fn now(&self) -> DateTime<Utc>;
    /// Waits.
    async fn pause(&self, time: Duration);
    /// Anything from 0 to 1: many callers must not come back at the same moment.
    fn chance(&self) -> f64;
}

/// The time of this machine.
#[derive(Debug, Clone, Copy)]
pub struct SystemPace;

#[async_trait(?Send)]
impl Pace for SystemPace {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn chance(&self) -> f64 {
        // Each state has keys of its own, from the system's randomness.
        f64::from((RandomState::new().build_hasher().finish() >> 32) as u32) / f64::from(u32::MAX)
    }
}

/// How one server is treated.
#[derive(Clone)]
pub struct Manners {
    /// Requests that count against a limit, in all; when they are spent, nothing more is read.
    pub requests: u64,
    /// What is left of the server's own limit for people who share it; when no more than this is left, nothing more is
    /// read.
    pub reserve: u64,
    /// Requests in flight at a time.
    pub at_once: usize,
    /// Between two writes at least.
    pub write_interval: Duration,
    /// Before the first repetition of a read that failed; the second waits twice as long.
    pub backoff: Duration,
    /// A server that asks to be left alone for no longer than this is waited for; for longer, the call fails.
    pub patience: Duration,
    /// Where answers, and how long servers want to be left alone, are remembered for the next process; `None`: nowhere.
    pub memory: Option<PathBuf>,
    /// Whether answers are added to that memory; a process that only looks leaves no trace.
    pub keeps: bool,
    /// Time and waiting.
    pub pace: Rc<dyn Pace>,
}

impl Default for Manners {
    /// Without a budget and without a memory. GitHub asks for a second between two writes: it allows 80 a minute.
    fn default() -> Self {
        Self {
            requests: u64::MAX,
            reserve: 0,
            at_once: 4,
            write_interval: Duration::from_secs(1),
            backoff: Duration::from_millis(500),
            patience: Duration::from_secs(10),
            memory: None,
            keeps: true,
            pace: Rc::new(SystemPace),
        }
    }
}

impl std::fmt::Debug for Manners {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Manners")
            .field("requests", &self.requests)
            .field("reserve", &self.reserve)
            .field("memory", &self.memory)
            .field("keeps", &self.keeps)
            .finish_non_exhaustive()
    }
}

/// What calls to one server have cost so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Requests sent.
    pub requests: u64,
    /// Those answered by "not modified", which do not count against the limit.
    pub unchanged: u64,
    /// Points of GraphQL.
    pub points: u64,
    /// What the server said is left of the limit; of several limits, the one that is used up first.
    pub remaining: Option<u64>,
    /// The limit.
    pub limit: Option<u64>,
    /// Requests sent to other servers, by the name of their executor; they count against no limit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub executors: BTreeMap<String, u64>,
}

impl Cost {
    /// Requests that counted against the limit.
    pub fn counted(&self) -> u64 {
        self.requests.saturating_sub(self.unchanged)
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counted = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let others: Vec<String> =
            self.executors.iter().map(|(name, count)| format!("{name}: {}", counted(*count, "request"))).collect();
        let others = others.join(", ");
        if self.requests == 0 && !others.is_empty() {
            return out.write_str(&others);
        }
        out.write_str(&counted(self.requests, "request"))?;
        if self.unchanged > 0 {
            write!(out, " ({} unchanged)", self.unchanged)?;
        }
        if self.points > 0 {
            write!(out, ", {}", counted(self.points, "point"))?;
        }
        if let (Some(remaining), Some(limit)) = (self.remaining, self.limit) {
            write!(out, ", {remaining} of {limit} left")?;
        }
        if others.is_empty() { Ok(()) } else { write!(out, ", {others}") }
    }
}
