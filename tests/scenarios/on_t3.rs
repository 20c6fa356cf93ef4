//! T3 Code as an executor of the suite: a server on this machine whose providers run the same toy agents.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::installation::{Agent, Forge, InstallationOf, Lost, Runner, Threads};
use crate::t3_fake::contract::Contract;
use crate::t3_fake::{Fake, Fault, Generation, TOKEN, Trouble};

/// The fake of a generation, in the process of the test.
pub struct T3<const V0_0_27: bool> {
    pub fake: Fake,
}

/// A current server.
pub type Main = T3<false>;
/// The release that many still run.
pub type Old = T3<true>;

impl<const V0_0_27: bool> Runner for T3<V0_0_27> {
    fn new() -> Self {
        Self { fake: Fake::start_blocking(if V0_0_27 { Generation::V0_0_27 } else { Generation::Main }) }
    }

    fn set_up<F: Forge>(made: InstallationOf<F, Self>) -> InstallationOf<F, Self> {
        let uri = made.runner.fake.uri();
        made.replace_executor(&format!(
            "kind = \"t3\"\nurl = \"{uri}\"\ntoken = {{ variable = \"AFK_T3_TOKEN\" }}\nprovider = \"claudeAgent\"\n"
        ));
        made.runner.fake.agent(&made.path("agent.sh"));
        made.variable("AFK_T3_TOKEN", TOKEN)
    }

    fn grace<F: Forge>(afk: &InstallationOf<F, Self>, grace: Duration) {
        afk.runner.fake.state().grace = grace;
    }

    fn agents<F: Forge>(afk: &InstallationOf<F, Self>) -> Vec<Agent> {
        let state = afk.runner.fake.state();
        let agent = |thread: &crate::t3_fake::Thread| {
            let said = |role: &'static str| thread.messages.iter().filter(move |message| message.role == role);
            Agent {
                run: thread.id.clone(),
                turns: thread.begun,
                live: thread.live,
                prompts: said("user").map(|message| message.text.clone()).collect(),
                workspace: state.directory(thread),
                output_bytes: said("assistant").map(|message| message.text.len() as u64).sum(),
            }
        };
        let mut agents: Vec<Agent> = state.threads.iter().map(agent).collect();
        agents.sort_by(|one, other| one.run.cmp(&other.run));
        agents
    }

    fn clear<F: Forge>(afk: &InstallationOf<F, Self>) {
        afk.runner.fake.state().clear();
    }

    /// Whatever a test was about, all that afk asked and all that it was answered was seen with a real server.
    fn end(&self) {
        let log = self.fake.log();
        let generation = self.fake.state().generation;
        if let Some(contract) = Contract::open(generation) {
            assert_eq!(contract.violations(&log), Vec::<String>::new());
        }
    }
}

impl<const V0_0_27: bool> Threads for T3<V0_0_27> {
    fn person(&self, command: &Value) -> u16 {
        self.fake.person(command)
    }

    fn activities(&self, thread: &str) -> Vec<Value> {
        let mut state = self.fake.state();
        let activities = state.thread(thread).map(|thread| thread.activities.clone()).unwrap_or_default();
        activities.iter().map(|activity| json!({ "kind": activity.kind, "payload": activity.payload })).collect()
    }

    fn is_archived(&self, thread: &str) -> bool {
        self.fake.state().thread(thread).is_some_and(|thread| thread.archived_at.is_some())
    }

    fn sent(&self, command: &str) -> usize {
        self.fake.log().iter().filter(|exchange| exchange.command.as_deref() == Some(command)).count()
    }

    fn projects(&self) -> usize {
        self.fake.state().projects.len()
    }

    fn loses(&self, lost: Lost, command: &str, times: usize) {
        let fault = match lost {
            Lost::Request => Fault::LostBefore,
            Lost::Answer => Fault::LostAfter,
            Lost::Half => Fault::Truncated,
            Lost::BadGateway => Fault::BadGateway,
        };
        self.fake.trouble(Trouble { fault, what: command.to_owned(), times });
    }

    fn loses_nothing(&self) {
        self.fake.state().troubles.clear();
    }

    fn token_counts(&self, counts: bool) {
        let life = if counts { TimeDelta::days(30) } else { TimeDelta::seconds(-1) };
        self.fake.state().tokens[0].expires_at = Utc::now() + life;
    }
}
