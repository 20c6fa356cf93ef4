//! How long doorbells that failed keep quiet, remembered in the data directory: each tick may be a process of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Failure, Hold};
use crate::adapters::confined::Directory;
use crate::ports::{PortError, PortErrorKind, PortResult};

const FILE: &str = "doorbells.json";
/// The waits after failures in a row, in minutes; the last one goes on. The first tries are those of the next ticks.
const MINUTES: [i64; 7] = [0, 0, 1, 2, 4, 8, LONGEST];
/// What answers with a clear no waits as long at once.
const LONGEST: i64 = 15;
/// No server makes afk wait for longer, and what is older says nothing any more.
const MEMORY: TimeDelta = TimeDelta::days(1);

/// What is remembered of failures.
#[derive(Debug)]
pub struct Waits {
    data: PathBuf,
}

/// A doorbell, or one notice at a doorbell, that failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Wait {
    failures: usize,
    until: DateTime<Utc>,
    why: String,
}

impl Wait {
    /// One that ends later than any can is of a clock that was wrong.
    fn holds(&self, now: DateTime<Utc>) -> bool {
        now < self.until && self.until <= now + MEMORY
    }
}

type Table = BTreeMap<String, Wait>;

impl Waits {
    /// In the data directory.
    pub fn new(data: PathBuf) -> Self {
        Self { data }
    }

    /// Whether a notice may be tried now.
    ///
    /// # Errors
    /// Why it may not, and from when on it may: what failed the last time, which is as true as if it were tried.
    pub fn check(&self, doorbell: &str, notice: Uuid, now: DateTime<Utc>) -> PortResult<()> {
        let table = self.read();
        let waiting = [doorbell.to_owned(), key(doorbell, notice)].iter().find_map(|key| {
            let wait = table.get(key)?;
            wait.holds(now).then(|| format!("{}; tried again after {}", wait.why, wait.until.format("%F %T UTC")))
        });
        waiting.map_or(Ok(()), |why| Err(PortError::unreachable(why)))
    }

    /// Remembers what came of a try. What cannot be remembered is tried again sooner.
    pub fn remember(&self, doorbell: &str, notice: Uuid, rang: &Result<(), Failure>, now: DateTime<Utc>) {
        let mut table = self.read();
        let before = table.len();
        table.retain(|_, wait| wait.until > now - MEMORY && wait.until <= now + MEMORY);
        match rang {
            Ok(()) => {
                table.remove(doorbell);
                table.remove(&key(doorbell, notice));
                if table.len() == before {
                    return;
                }
            }
            Err(failure) => {
                let key = if failure.hold == Hold::Notice { key(doorbell, notice) } else { doorbell.to_owned() };
                let failures = table.get(&key).map_or(0, |wait| wait.failures) + 1;
                let minutes = match failure.error.kind {
                    PortErrorKind::Refused => LONGEST,
                    _ => MINUTES[failures.min(MINUTES.len()) - 1],
                };
                let until = match failure.hold {
                    Hold::DoorbellUntil(until) => until.min(now + MEMORY),
                    Hold::Notice | Hold::Doorbell => now + TimeDelta::minutes(minutes),
                };
                table.insert(key, Wait { failures, until, why: failure.error.message.clone() });
            }
        }
        if let Err(error) = Directory::make(&self.data).and_then(|data| data.put_json(FILE, &table)) {
            tracing::warn!("{error}");
        }
    }

    /// Forgets every failure: somebody says that it is mended.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub fn forget(&self) -> PortResult<()> {
        Directory::find(&self.data)?.map_or(Ok(()), |data| data.put_json(FILE, &Table::new()))
    }

    /// A file that cannot be read is as good as none.
    fn read(&self) -> Table {
        Directory::find(&self.data)
            .and_then(|data| data.map_or(Ok(None), |data| data.read_json(FILE)))
            .ok()
            .flatten()
            .unwrap_or_default()
    }
}

fn key(doorbell: &str, notice: Uuid) -> String {
    format!("{doorbell}/{notice}")
}
