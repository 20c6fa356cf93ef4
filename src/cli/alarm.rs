//! The alarm of a policy that cannot be used while agents are live: nobody follows them until it can.

use std::path::Path;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::exit::Failure;
use super::wiring::{self, Access};
use crate::adapters::installation::Installation;
use crate::adapters::policy_file::Loaded;
use crate::policy::Urgency;
use crate::ports::{AgentReport, Notice};
use crate::settings::Settings;
use crate::ticks::record::hex;

/// Rings every doorbell, once per fault, where agents run on under a policy that cannot be used. An executor that
/// cannot be asked, and a doorbell that does not ring, hold back no other.
///
/// # Errors
/// When there is no world to ask, or it cannot be remembered that it rang.
pub async fn ring(settings: &Settings, policy: &Path, loaded: &Loaded) -> Result<(), Failure> {
    let world = wiring::world(settings, policy, Access::Full)?;
    let findings =
        loaded.checked.findings.iter().map(|finding| format!("{}: {}", finding.code.name(), finding.message));
    let findings: Vec<String> = findings.collect();
    let digest = hex(&Sha256::digest(findings.join("\n").as_bytes()));
    if world.installation.alarm().ok().flatten().as_ref() == Some(&digest) {
        return Ok(());
    }
    let mut live = Vec::new();
    for executor in world.executors.values() {
        let agents = executor.list().await.unwrap_or_default().agents;
        live.extend(agents.into_iter().filter(AgentReport::is_live));
    }
    let Some(first) = live.first() else { return Ok(()) };
    let notice = Notice {
        id: Uuid::new_v5(&Uuid::NAMESPACE_URL, digest.as_bytes()),
        kind: "policy-broken".to_owned(),
        title: format!(
            "[POLICY] {} cannot be used, and {} agents run on without anybody following them",
            policy.display(),
            live.len()
        ),
        body: findings.join("\n").chars().take(2_000).collect(),
        urgency: Urgency::High,
        tags: Vec::new(),
        issue: first.issue.clone(),
        url: String::new(),
        run: first.run,
        revision: String::new(),
    };
    let mut rang = world.doorbells.is_empty();
    for (name, bell) in &world.doorbells {
        match bell.ring(&notice).await {
            Ok(()) => rang = true,
            Err(error) => tracing::error!("doorbell `{name}`: {error}"),
        }
    }
    if rang {
        world.installation.set_alarm(Some(&digest))?;
    }
    Ok(())
}

/// A policy that can be used again may ring again when it breaks.
pub fn forget(installation: &Installation) {
    if let Err(error) = installation.set_alarm(None) {
        tracing::warn!("{error}");
    }
}
