//! What one installation keeps in its data directory beside mirrors, runs and CI jobs: the tick lock, the word of
//! `afk stop` and `afk abandon`, and the heartbeat of each tick.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::confined::{Directory, DirectoryLock};
use super::http::api::Cost;
use crate::engine::identity::RunId;
use crate::ports::{IssueRef, PortError, PortResult};

/// An [`Identity`].
const IDENTITY: &str = "installation.json";

/// A list of [`Leftover`].
const LEFTOVERS: &str = "leftovers.json";

/// The data directory.
#[derive(Debug, Clone)]
pub struct Installation {
    data: PathBuf,
}

/// Whose data directory it is.
#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    /// The settings file.
    settings: PathBuf,
}

/// What tells it from every other, on whichever machine.
#[derive(Debug, Serialize, Deserialize)]
struct Identity {
    id: Uuid,
}

/// What people told afk on this machine, by `afk stop` and `afk abandon`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Orders {
    /// The kill switch, since when.
    #[serde(default)]
    pub stopped_at: Option<DateTime<Utc>>,
    /// Runs that a person stopped one by one.
    #[serde(default)]
    pub stopped_runs: BTreeSet<RunId>,
    /// Agents that `afk stop` asked to end, and when first.
    #[serde(default)]
    pub stopped_agents: BTreeMap<RunId, DateTime<Utc>>,
    /// Runs whose agent a person knows to be gone.
    #[serde(default)]
    pub abandoned: BTreeSet<RunId>,
}

/// Which tick a heartbeat is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TickKind {
    /// Selects and dispatches.
    Poll,
    /// Follows runs.
    Watch,
}

impl TickKind {
    /// The word of output and file names.
    pub fn word(self) -> &'static str {
        match self {
            TickKind::Poll => "poll",
            TickKind::Watch => "watch",
        }
    }
}

/// What a tick leaves behind for `status`, and for the next tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Which tick.
    pub tick: TickKind,
    /// When it ended.
    pub at: DateTime<Utc>,
    /// The policy revision; `None` in the mark that a first poll leaves before it is over.
    pub revision: Option<String>,
    /// One line: what came of it.
    pub result: String,
    /// What could not be done.
    #[serde(default)]
    pub problems: Vec<String>,
    /// How many calls it made to the edges.
    pub calls: u64,
    /// What the servers of tracker and executors were asked; `None` where there are none.
    #[serde(default)]
    pub cost: Option<Cost>,
    /// The issues in flight when it ended: a hint where to look, never the truth.
    #[serde(default)]
    pub in_flight: Vec<IssueRef>,
}

/// An ended run whose agent is still to be put away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// The run.
    pub run: RunId,
    /// Its issue.
    pub issue: IssueRef,
    /// The name of its executor in the settings.
    pub executor: String,
    /// Whether its session goes out of people's way.
    pub archive: bool,
    /// Since when that fails.
    #[serde(default)]
    pub failing_since: Option<DateTime<Utc>>,
    /// When its lock was released.
    #[serde(default)]
    pub noted_at: DateTime<Utc>,
}

/// An alarm, remembered so that each doorbell rings once per fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Tells the fault from others.
    pub digest: String,
    /// The doorbells that have rung.
    pub rung: BTreeSet<String>,
}

impl Installation {
    /// In a data directory, which is created when it is first written to.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self { data: data.into() }
    }

    /// A path in the data directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    /// Refuses the data directory of another installation: what one does to its agents, the other would take for its
    /// own. With `own`, an unowned one is taken.
    ///
    /// # Errors
    /// When it belongs to other settings, or cannot be read or written.
    pub fn belongs_to(&self, settings: &Path, own: bool) -> PortResult<()> {
        let owner: Option<Owner> = self.read("owner.json")?;
        match owner {
            Some(owner) if owner.settings == settings => Ok(()),
            Some(owner) => Err(PortError::refused(format!(
                "`{}` belongs to the settings `{}`, not to `{}`; give each installation a `data` directory of its own, or \
                 delete `owner.json` there if the settings have moved",
                self.data.display(),
                owner.settings.display(),
                settings.display()
            ))),
            None if own => {
                Directory::make(&self.data)?.put_json("owner.json", &Owner { settings: settings.to_path_buf() })
            }
            None => Ok(()),
        }
    }

    /// What tells this installation from every other, in whatever several of them share: random, and written once. With
    /// `own`, an installation that has none gets one.
    ///
    /// # Errors
    /// It cannot be read, so that nobody can tell whose agents are whose, or cannot be written.
    pub fn identity(&self, own: bool) -> PortResult<Uuid> {
        let known: Option<Identity> = self.read(IDENTITY)?;
        match known {
            Some(identity) => Ok(identity.id),
            // Nothing is its own yet.
            None if !own => Ok(Uuid::nil()),
            None => {
                let identity = serde_json::to_vec(&Identity { id: Uuid::new_v4() })
                    .map_err(|error| PortError::invalid(error.to_string()))?;
                // Whoever comes first decides.
                Directory::make(&self.data)?.create(IDENTITY, &identity)?;
                self.identity(false)
            }
        }
    }

    /// Takes the one lock for every command that changes anything; `None` when another command holds it.
    ///
    /// # Errors
    /// When the data directory cannot be written to.
    pub fn lock(&self) -> PortResult<Option<DirectoryLock>> {
        Directory::make(&self.data)?.try_lock("lock")
    }

    /// What people told afk here.
    ///
    /// # Errors
    /// When the file is there and cannot be read: then nobody knows, and the caller treats the kill switch as on.
    pub fn orders(&self) -> PortResult<Orders> {
        Ok(self.read("orders.json")?.unwrap_or_default())
    }

    /// Changes the orders. Needs no tick lock: it has one of its own, so that `afk stop` never waits for a tick.
    ///
    /// # Errors
    /// When the file cannot be read or written, or another command keeps its lock.
    pub async fn give_orders(&self, change: impl FnOnce(&mut Orders)) -> PortResult<()> {
        let data = Directory::make(&self.data)?;
        let _lock = data.lock("orders.lock").await?;
        let mut orders = self.orders()?;
        change(&mut orders);
        data.put_json("orders.json", &orders)
    }

    /// The last heartbeat of a tick; `None` before the first.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn heartbeat(&self, tick: TickKind) -> PortResult<Option<Heartbeat>> {
        self.read(&format!("heartbeat-{}.json", tick.word()))
    }

    /// Leaves a heartbeat.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn beat(&self, heartbeat: &Heartbeat) -> PortResult<()> {
        Directory::make(&self.data)?.put_json(&format!("heartbeat-{}.json", heartbeat.tick.word()), heartbeat)
    }

    /// Remembers where to look before a run is dispatched: a crash right after may leave nothing else that leads to
    /// it, if its agent is quick to end.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn expect(&self, issue: &IssueRef, now: DateTime<Utc>) -> PortResult<()> {
        let mut heartbeat = self.heartbeat(TickKind::Poll).ok().flatten().unwrap_or_else(|| Heartbeat {
            tick: TickKind::Poll,
            at: now,
            revision: None,
            result: "not over yet".to_owned(),
            problems: Vec::new(),
            calls: 0,
            cost: None,
            in_flight: Vec::new(),
        });
        if heartbeat.in_flight.contains(issue) {
            return Ok(());
        }
        heartbeat.in_flight.push(issue.clone());
        self.beat(&heartbeat)
    }

    /// The ended runs whose agents are still to be put away.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn leftovers(&self) -> PortResult<Vec<Leftover>> {
        Ok(self.read(LEFTOVERS)?.unwrap_or_default())
    }

    /// Remembers them, where there are others than before.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_leftovers(&self, leftovers: &[Leftover]) -> PortResult<()> {
        if self.leftovers().is_ok_and(|known| known == leftovers) {
            return Ok(());
        }
        Directory::make(&self.data)?.put_json(LEFTOVERS, &leftovers)
    }

    /// The alarm that was rung last because the policy cannot be used.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn alarm(&self) -> PortResult<Option<Alarm>> {
        self.read("alarm.json")
    }

    /// Remembers, or forgets, the alarm that was rung.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_alarm(&self, alarm: Option<&Alarm>) -> PortResult<()> {
        Directory::make(&self.data)?.put_json("alarm.json", &alarm)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> PortResult<Option<T>> {
        Directory::find(&self.data)?.map_or(Ok(None), |data| data.read_json(name))
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::{assert_eq, assert_ne};

    use super::*;

    #[test]
    fn an_installation_has_one_identity_that_no_other_has_and_looking_makes_none() {
        let folder = tempfile::tempdir().unwrap();
        let installation = |name: &str| Installation::new(folder.path().join(name));
        assert_eq!(installation("one").identity(false), Ok(Uuid::nil()));
        assert!(!folder.path().join("one").exists());
        let identity = installation("one").identity(true).unwrap();
        assert_eq!(installation("one").identity(true), Ok(identity));
        assert_eq!(installation("one").identity(false), Ok(identity));
        assert_ne!(installation("two").identity(true), Ok(identity));
        // Nobody can tell whose the agents are, then.
        std::fs::write(folder.path().join("one").join(IDENTITY), "{").unwrap();
        assert!(installation("one").identity(true).is_err());
    }
}
