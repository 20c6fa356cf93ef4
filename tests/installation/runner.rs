//! Where the agents of an installation run: what the suite does to every executor alike.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{Agent, Forge, InstallationOf};

/// An executor under test. The settings call it `toy`, whatever it is.
pub trait Runner: Sized {
    fn new() -> Self;

    /// Where the installation is made.
    fn folder(&self) -> TempDir {
        tempfile::tempdir().unwrap()
    }

    /// Turns the quickstart, whose agents are processes of afk's own, into an installation with this executor.
    fn set_up<F: Forge>(made: InstallationOf<F, Self>) -> InstallationOf<F, Self>;

    /// Tells its agents what to do from now on, beyond the program that the installation has for it.
    fn agent<F: Forge>(_: &InstallationOf<F, Self>, _: &str) {}

    /// What is written into policy or settings, in the time that its agents take.
    fn in_its_time(&self, text: &str) -> String {
        text.to_owned()
    }

    /// How long anything may take that is waited for.
    fn patience(&self) -> Duration {
        Duration::from_secs(40)
    }

    /// How long to wait between two ticks.
    fn interval(&self) -> Duration {
        Duration::from_millis(60)
    }

    /// How long an agent lives on that was told to end, from the next turn on.
    fn grace<F: Forge>(afk: &InstallationOf<F, Self>, grace: Duration);

    /// Every agent, ended ones too, by the ids of their runs.
    fn agents<F: Forge>(afk: &InstallationOf<F, Self>) -> Vec<Agent>;

    /// Tells every agent to end, at the end of a test.
    fn clear<F: Forge>(afk: &InstallationOf<F, Self>);

    /// Looks back at the end of a test that went well.
    fn end(&self);
}

/// What becomes of a request on its way to a server and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// It never arrives.
    Request,
    /// It takes effect, and no answer comes.
    Answer,
    /// It takes effect, and half of the answer comes.
    Half,
    /// It never arrives, and a proxy answers with 502.
    BadGateway,
}

/// A server of T3 Code under test, whoever runs it: what people and operators do to it, and what it shows.
pub trait Threads: Runner {
    /// A person sends a command in the web UI; gives the status of the answer.
    fn person(&self, command: &Value) -> u16;

    /// The activities of a thread, each with its `kind` and `payload`.
    fn activities(&self, thread: &str) -> Vec<Value>;

    fn is_archived(&self, thread: &str) -> bool;

    /// How often a command was sent.
    fn sent(&self, command: &str) -> usize;

    /// How many projects were made for afk.
    fn projects(&self) -> usize;

    /// What becomes of the next requests, those of a type of command or, where that is empty, all.
    fn loses(&self, lost: Lost, command: &str, times: usize);

    /// Nothing is lost any more.
    fn loses_nothing(&self);

    /// Whether the token that afk has counts, from now on.
    fn token_counts(&self, counts: bool);
}

/// The executor of the quickstart: agents are commands.
#[derive(Debug)]
pub struct Processes;

impl Runner for Processes {
    fn new() -> Self {
        Self
    }

    fn set_up<F: Forge>(made: InstallationOf<F, Self>) -> InstallationOf<F, Self> {
        made.settings(&[("[executors.toy]\n", "[executors.toy]\ngrace = \"1s\"\n")])
    }

    fn grace<F: Forge>(afk: &InstallationOf<F, Self>, grace: Duration) {
        let grace = format!("grace = \"{}s\"", grace.as_secs());
        afk.edit("afk.settings.toml", &[("grace = \"1s\"", &grace)]);
    }

    fn agents<F: Forge>(afk: &InstallationOf<F, Self>) -> Vec<Agent> {
        let runs = fs::read_dir(afk.path("data/runs")).into_iter().flatten();
        let mut agents: Vec<Agent> = runs.map(|run| agent(&run.unwrap().path())).collect();
        agents.sort_by(|one, other| one.run.cmp(&other.run));
        agents
    }

    fn clear<F: Forge>(afk: &InstallationOf<F, Self>) {
        for run in fs::read_dir(afk.path("data/runs")).into_iter().flatten().flatten() {
            for turn in turns(&run.path()) {
                if !turn.join("exit.json").exists() {
                    let _ = fs::write(turn.join("interrupt"), "");
                }
            }
        }
    }

    fn end(&self) {}
}

/// What afk keeps of an agent.
fn agent(directory: &std::path::Path) -> Agent {
    let turns = turns(directory);
    let read = |turn: &PathBuf| {
        let order: Value = serde_json::from_slice(&fs::read(turn.join("turn.json")).ok()?).ok()?;
        Some((order["number"].as_u64()?, fs::read_to_string(turn.join("prompt.md")).ok()?))
    };
    let mut prompts: Vec<(u64, String)> = turns.iter().filter_map(read).collect();
    prompts.sort();
    Agent {
        run: directory.file_name().unwrap().to_str().unwrap().to_owned(),
        turns: turns.iter().filter(|turn| turn.join("started.json").exists()).count(),
        live: is_locked(&directory.join("lock")),
        prompts: prompts.into_iter().map(|(_, prompt)| prompt).collect(),
        workspace: directory.join("workspace"),
        output_bytes: turns.iter().map(|turn| fs::metadata(turn.join("output.log")).map_or(0, |file| file.len())).sum(),
    }
}

fn turns(directory: &std::path::Path) -> Vec<PathBuf> {
    fs::read_dir(directory.join("turns")).into_iter().flatten().flatten().map(|turn| turn.path()).collect()
}

pub fn is_locked(path: &std::path::Path) -> bool {
    match File::open(path) {
        Ok(file) => matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)),
        Err(_) => false,
    }
}
