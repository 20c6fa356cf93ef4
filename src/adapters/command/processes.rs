//! The processes of a run: everything that the agent started, also what left its group or outlived it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, WaitOptions};

use crate::engine::identity::RunId;

/// The variable that marks every process of a run.
pub const RUN_VARIABLE: &str = "AFK_RUN";

/// Makes orphans among the agent's descendants this process's children, also those that began a session of their
/// own. Without it (not on Linux) only the agent's group can be ended.
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
        tracing::warn!("processes that leave the agent's group may outlive it: {error}");
    }
}

/// The agent, which leads a process group, and whatever it left to this process.
#[derive(Debug)]
pub struct Family {
    agent: Pid,
    asked: BTreeSet<i32>,
}

impl Family {
    /// The agent must not be reaped before [`Family::is_gone`]: its id stands for the group.
    pub fn new(agent: Pid) -> Self {
        Self { agent, asked: BTreeSet::new() }
    }

    /// Asks the group and every orphan to end, each once.
    pub fn ask(&mut self) {
        if self.asked.insert(self.agent.as_raw_pid()) {
            // It may have ended already.
            let _ = rustix::process::kill_process_group(self.agent, Signal::TERM);
        }
        for orphan in self.orphans() {
            if self.asked.insert(orphan.as_raw_pid()) {
                let _ = rustix::process::kill_process(orphan, Signal::TERM);
            }
        }
    }

    /// Ends the group and every orphan. What they leave behind are the next orphans: repeat until it is gone.
    pub fn kill(&self) {
        let _ = rustix::process::kill_process_group(self.agent, Signal::KILL);
        for orphan in self.orphans() {
            let _ = rustix::process::kill_process(orphan, Signal::KILL);
        }
    }

    /// Whether nothing but the agent's own remains is left; `agent_ended` says that the agent itself has.
    pub fn is_gone(&self, agent_ended: bool) -> bool {
        if !agent_ended {
            return false;
        }
        if cfg!(target_os = "linux") {
            self.orphans().is_empty()
        } else {
            // Nothing tells who is left in the group, so nobody may be.
            let _ = rustix::process::kill_process_group(self.agent, Signal::KILL);
            true
        }
    }

    /// This process's living children but for the agent. Only this process can reap them, so their ids stay theirs.
    fn orphans(&self) -> Vec<Pid> {
        let me = rustix::process::getpid();
        let mut orphans = Vec::new();
        for process in all() {
            if process.parent != me.as_raw_pid() || process.id == self.agent {
                continue;
            }
            if process.dead {
                let _ = rustix::process::waitpid(Some(process.id), WaitOptions::NOHANG);
            } else {
                orphans.push(process.id);
            }
        }
        orphans
    }
}

/// Ends what is left of a run whose supervisor died without ending it, as far as it can be found: processes that
/// have its mark and are in its directory. Both, since another installation may know a run of the same name.
pub fn end_strays(run: RunId, directory: &Path) {
    let mark = format!("{RUN_VARIABLE}={run}");
    let me = rustix::process::getpid();
    let Ok(directory) = directory.canonicalize() else { return };
    for process in all() {
        let own = PathBuf::from(format!("/proc/{}", process.id));
        let inside = || std::fs::read_link(own.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&directory));
        let marked = || {
            std::fs::read(own.join("environ"))
                .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes()))
        };
        if process.id != me && !process.dead && inside() && marked() {
            tracing::warn!("ending process {} of run {run}, which outlived its supervisor", process.id);
            let _ = rustix::process::kill_process(process.id, Signal::KILL);
        }
    }
}

struct Process {
    id: Pid,
    parent: i32,
    dead: bool,
}

/// Every process, where there is `/proc`.
fn all() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw)?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // `id (name) state parent …`; the name may hold anything, parentheses too.
            let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
            let dead = matches!(fields.next()?, "Z" | "X");
            Some(Process { id, parent: fields.next()?.parse().ok()?, dead })
        })
        .collect()
}
