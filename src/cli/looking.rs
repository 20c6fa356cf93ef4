//! What the commands that only look share: the policy, why it is switched off if it is, and a world that refuses to be
//! changed. No lock is taken, so a look never waits for a tick.

use serde_json::json;

use super::exit::{ExitStatus, Failure};
use super::output::Output;
use super::wiring::{self, Access};
use super::{Format, PolicyArguments, SettingsArguments, findings, tick};
use crate::adapters::policy_file;
use crate::policy::{InstalledNames, Policy};
use crate::ports::PortResult;
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
            match format {
                Format::Json => {
                    out.json(&json!({ "error": "the policy cannot be used", "findings": findings::documents(&loaded) }))
                }
                Format::Human => {
                    findings::draw(&loaded, out);
                    out.line("the policy cannot be used: the kill switch counts as on, and nothing is decided by it");
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
