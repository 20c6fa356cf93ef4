//! The alarm of a policy that cannot be used while agents are live: nobody follows them until it can.

use std::collections::BTreeSet;
use std::path::Path;

use uuid::Uuid;

use super::exit::Failure;
use super::wiring::{self, Access};
use crate::adapters::installation::{Alarm, Installation};
use crate::adapters::policy_file::Loaded;
use crate::policy::Urgency;
use crate::ports::{AgentReport, Notice};
use crate::settings::Settings;
use crate::text::clean_block;
use crate::ticks::record::sha256;

/// Rings every doorbell, each once per fault, where agents run on under a policy that cannot be used. An executor that
/// cannot be asked, and a doorbell that does not ring, hold back no other.
///
/// # Errors
/// When there is no world to ask, or it cannot be remembered that it rang.
pub async fn ring(settings: &Settings, policy: &Path, loaded: &Loaded) -> Result<(), Failure> {
    let world = wiring::world(settings, policy, Access::Beside)?;
    let findings =
        loaded.checked.findings.iter().map(|finding| format!("{}: {}", finding.code.name(), finding.message));
    let findings: Vec<String> = findings.collect();
    let digest = sha256(&findings.join("\n"));
    let known = world.installation.alarm().ok().flatten().filter(|alarm| alarm.digest == digest);
    let mut alarm = known.unwrap_or_else(|| Alarm { digest, rung: BTreeSet::new() });
    if world.doorbells.keys().all(|name| alarm.rung.contains(name)) {
        return Ok(());
    }
    let mut live = Vec::new();
    for executor in world.executors.values() {
        let agents = executor.list().await.unwrap_or_default().agents;
        live.extend(agents.into_iter().filter(AgentReport::is_live));
    }
    let Some(first) = live.first() else { return Ok(()) };
    let notice = Notice {
        id: Uuid::new_v5(&Uuid::NAMESPACE_URL, alarm.digest.as_bytes()),
        kind: "policy-broken".to_owned(),
        title: format!(
            "[POLICY] {} cannot be used, and {} agents run on without anybody following them",
            policy.display(),
            live.len()
        ),
        body: clean_block(&findings.join("\n"), 2_000),
        urgency: Urgency::High,
        tags: Vec::new(),
        issue: first.issue.clone(),
        url: String::new(),
        link: first.link.clone(),
        run: first.run,
        revision: String::new(),
    };
    for (name, bell) in &world.doorbells {
        if alarm.rung.contains(name) {
            continue;
        }
        match bell.ring(&notice).await {
            Ok(()) => drop(alarm.rung.insert(name.clone())),
            Err(error) => tracing::error!("doorbell `{name}`: {error}"),
        }
    }
    world.installation.set_alarm(Some(&alarm))?;
    Ok(())
}

/// A policy that can be used again may ring again when it breaks.
pub fn forget(installation: &Installation) {
    if let Err(error) = installation.set_alarm(None) {
        tracing::warn!("{error}");
    }
}
