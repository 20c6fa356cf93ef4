//! What the commands that only look share: the policy, why it is switched off if it is, and a world that refuses to be
//! changed. No lock is taken, so a look never waits for a tick.

use std::path::Path;

use serde_json::json;

use super::exit::{ExitStatus, Failure};
use super::explain::words::shown;
use super::output::{Output, STRONG};
use super::wiring::{self, Access};
use super::{Format, PolicyArguments, SettingsArguments, findings, tick};
use crate::adapters::policy_file;
use crate::policy::{InstalledNames, Policy};
use crate::ports::{AgentReport, PortResult};
use crate::settings::Settings;
use crate::ticks::world::{Tick, World};

/// An installation to look at.
#[derive(Debug)]
pub struct Looking {
    /// The policy with its kill switch off, so that the queue shows what would be decided.
    pub policy: Policy,
    /// Why the kill switch is on, in whichever form; `None` when it is off.
    pub kill_switch: Option<String>,
    /// The settings.
    pub settings: Settings,
    /// The edges, read-only.
    pub world: World,
}

/// The live agents, which a broken policy leaves to themselves, and what could not be asked.
fn agents_at_work(settings: &Path, policy: &Path) -> (Vec<AgentReport>, Vec<String>) {
    let asked = || -> Result<_, Failure> {
        let world = wiring::world(&wiring::settings(settings)?, policy, Access::ReadOnly)?;
        let (mut live, mut untold) = (Vec::new(), Vec::new());
        for (name, executor) in &world.executors {
            match tick::runtime()?.block_on(executor.list()) {
                Ok(roster) => {
                    live.extend(roster.agents.into_iter().filter(AgentReport::is_live));
                    let unreadable = roster.unreadable.iter();
                    untold.extend(unreadable.map(|(run, why)| format!("run {}: {}", run.short(), shown(&why.message))));
                }
                Err(error) => untold.push(format!("executor `{name}`: {}", shown(&error.message))),
            }
        }
        Ok((live, untold))
    };
    asked().unwrap_or_else(|failure| (Vec::new(), vec![shown(&failure.message)]))
}

impl Looking {
    /// Reads policy and settings. The inner `Err` is the status to end with: the policy cannot be used, and the reader
    /// has been told so.
    ///
    /// # Errors
    /// When the settings are wrong.
    pub fn open(
        policy: &PolicyArguments,
        settings: &SettingsArguments,
        format: Format,
        out: &mut Output,
    ) -> Result<Result<Self, ExitStatus>, Failure> {
        let path = &policy.policy;
        let settings_file = settings.settings.clone();
        // First without settings: what is wrong with the policy is told even where they are missing.
        let loaded = policy_file::load(path, &InstalledNames::default());
        let (loaded, settings) = match loaded.checked.policy {
            None => (loaded, None),
            Some(_) => {
                let settings = wiring::settings(&settings.settings)?;
                (policy_file::load(path, &wiring::doorbells(&settings)), Some(settings))
            }
        };
        let (Some(mut policy), Some(settings)) = (loaded.checked.policy.clone(), settings) else {
            let (agents, untold) = agents_at_work(&settings_file, path);
            match format {
                Format::Json => out.json(&json!({
                    "error": "the policy cannot be used",
                    "findings": findings::documents(&loaded),
                    "agents": agents.iter().map(|agent| json!({
                        "issue": agent.issue.to_string(),
                        "run": agent.run.to_string(),
                        "agent": agent.status.word(),
                    })).collect::<Vec<_>>(),
                    "problems": untold,
                })),
                Format::Human => {
                    findings::draw(&loaded, out);
                    out.line("the policy cannot be used: the kill switch counts as on, and nothing is decided by it");
                    for agent in &agents {
                        out.line(format_args!(
                            "{STRONG}{}{STRONG:#}: agent of run {} is {}, and nobody follows it until the policy can be used; `afk stop` ends it",
                            shown(&agent.issue.to_string()),
                            agent.run,
                            agent.status.word()
                        ));
                    }
                    for problem in &untold {
                        out.line(format_args!("whether agents are at work is not known: {problem}"));
                    }
                }
            }
            return Ok(Err(ExitStatus::Findings));
        };
        let world = wiring::world(&settings, path, Access::ReadOnly)?;
        let kill_switch = wiring::kill_switch(&policy, &world.installation)?;
        policy.kill_switch.value = false;
        Ok(Ok(Self { policy, kill_switch, settings, world }))
    }

    /// Looks, within the deadline of a tick.
    ///
    /// # Errors
    /// When the tracker as a whole cannot be asked, or the deadline passes.
    pub fn look<T>(&self, look: impl AsyncFnOnce(&Tick<'_>) -> PortResult<T>) -> Result<T, Failure> {
        let all = async {
            let tick = Tick::begin(&self.policy, &self.world).await?;
            look(&tick).await
        };
        let deadline = self.settings.tick_deadline;
        let answer = tick::runtime()?
            .block_on(async { tokio::time::timeout(deadline, all).await })
            .map_err(|_| Failure::could_not_run(format!("no answer within {} s", deadline.as_secs())))?;
        Ok(answer?)
    }
}
