//! Every id that leaves afk is derived from the arming, so that doing a thing twice is doing it once.
//!
//! The namespace and the purposes below may never change: a changed one would start every run in flight again.

use uuid::Uuid;

/// The namespace of runs: `uuid5(URL, "https://afk.dev/run")`, written out so that nothing can move it.
const NAMESPACE: Uuid = Uuid::from_u128(0x9a29_6db6_8d75_5842_abf1_c964_973d_9a60);

/// The id of a run, and of its agent: derived from the arming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct RunId(pub Uuid);

impl RunId {
    /// The run of an arming. `arming` is the opaque token of the tracker: host, immutable repository id, issue, label
    /// event id.
    pub fn of_arming(arming: &str) -> Self {
        Self(Uuid::new_v5(&NAMESPACE, arming.as_bytes()))
    }

    /// An id for something the run does. `n` moves only after a refusal whose effect was disproved.
    pub fn derive(self, purpose: Purpose<'_>, n: u32) -> Uuid {
        let name = match purpose {
            Purpose::FirstTurn => format!("turn:implement:{n}"),
            Purpose::CorrectiveTurn { red_commit } => format!("turn:{red_commit}:{n}"),
            Purpose::Comment { decision, name } => format!("comment:{decision}:{name}:{n}"),
            Purpose::Notification { decision, kind } => format!("notify:{decision}:{kind}:{n}"),
            Purpose::Command { what } => format!("command:{what}:{n}"),
        };
        Uuid::new_v5(&self.0, name.as_bytes())
    }

    /// The branch of a run that lands by pull request.
    pub fn branch(self) -> String {
        format!("afk/{self}")
    }

    /// The first eight hex digits: how people are shown it.
    pub fn short(self) -> String {
        self.0.simple().to_string().chars().take(8).collect()
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(out)
    }
}

/// The id of a repository's project at an executor that keeps one for each. `n` moves only after a refusal whose effect
/// was disproved.
pub fn project(controller: &str, repo: &str, n: u32) -> Uuid {
    let of_controller = Uuid::new_v5(&NAMESPACE, format!("controller:{controller}").as_bytes());
    Uuid::new_v5(&of_controller, format!("project:{}:{n}", repo.to_ascii_lowercase()).as_bytes())
}

/// What a derived id is for.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// The turn that starts the agent.
    FirstTurn,
    /// A corrective turn: one per red commit.
    CorrectiveTurn {
        /// The commit that is red; `none` for a turn before any commit.
        red_commit: &'a str,
    },
    /// A comment that a row writes.
    Comment {
        /// The how-manieth row with effects of this run it belongs to; written down before the first effect.
        decision: u32,
        /// The name under `[comments]`.
        name: &'a str,
    },
    /// A notification that a row sends.
    Notification {
        /// The how-manieth row with effects of this run it belongs to; written down before the first effect.
        decision: u32,
        /// The kind under `[notify]`.
        kind: &'a str,
    },
    /// A command to an executor that takes each of its commands once.
    Command {
        /// What it does: `thread`, `turn:<turn>`, `interrupt:<turn>`, `archive`.
        what: &'a str,
    },
}
