//! Who armed an issue, when, and whether that counts.

use chrono::{DateTime, Utc};

use crate::engine::identity::RunId;
use crate::policy::facts::Observed;
use crate::policy::{Labels, Rules};
use crate::ports::{Comment, Edit, Issue, LabelEvent, PortResult};

use super::world::Tick;

/// The newest time somebody applied *ready*, with no later removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arming {
    /// The opaque token of the tracker.
    pub token: String,
    /// The run it gets.
    pub run: RunId,
    /// When.
    pub at: DateTime<Utc>,
    /// By whom; `None` for a deleted account.
    pub by: Option<String>,
}

/// The arming that stands, by the events of an issue, oldest first.
pub fn newest(events: &[LabelEvent], labels: &Labels) -> Option<Arming> {
    let ready = events.iter().rfind(|event| event.is_of(&labels.ready.value))?;
    ready.added.then(|| of_event(ready))
}

/// The arming that an event is.
pub fn of_event(event: &LabelEvent) -> Arming {
    Arming { token: event.arming.clone(), run: RunId::of_arming(&event.arming), at: event.at, by: event.by.clone() }
}

/// Whether a login may arm issues of a repository, and the evidence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// The fact `trusted`.
    pub fact: Observed<bool>,
    /// `has `write` (granted)`.
    pub evidence: String,
}

/// Decides trust by `[trust]`, from a permission that is asked for now. Neither afk nor an agent is ever trusted,
/// whatever the policy says.
pub async fn trust(tick: &Tick<'_>, afk: &str, rules: &Rules, repo: &str, login: Option<&str>) -> Trusted {
    trust_by(tick, afk, rules, repo, login, false).await
}

/// The same for somebody who did something to an issue; where that is remembered, their permission may be so too.
pub async fn trust_in(tick: &Tick<'_>, afk: &str, issue: &Issue, login: Option<&str>) -> Trusted {
    let repo = &issue.reference.repo;
    trust_by(tick, afk, tick.policy.rules(repo), repo, login, issue.remembered).await
}

async fn trust_by(
    tick: &Tick<'_>,
    afk: &str,
    rules: &Rules,
    repo: &str,
    login: Option<&str>,
    remembered: bool,
) -> Trusted {
    let known = |fact, evidence: String| Trusted { fact: Observed::Known(fact), evidence };
    let Some(login) = login else {
        return known(false, "the account is deleted".to_owned());
    };
    let is = |other: &str| other.eq_ignore_ascii_case(login);
    if is(afk) {
        return known(false, "afk itself is never trusted".to_owned());
    }
    if tick.world.agent_logins.iter().any(|agent| is(agent)) {
        return known(false, "an agent is never trusted".to_owned());
    }
    if rules.trust.logins.iter().any(|trusted| is(trusted)) {
        return known(true, "is listed in trust.logins".to_owned());
    }
    match tick.permission(repo, login, remembered).await {
        Ok(permission) => {
            let trusted = rules.trust.permissions.iter().any(|enough| enough.eq_ignore_ascii_case(&permission));
            let evidence = match permission.as_str() {
                "none" => "has `none`: nobody granted any".to_owned(),
                _ => format!("has `{permission}` (granted)"),
            };
            known(trusted, evidence)
        }
        Err(error) => Trusted { evidence: error.message.clone(), fact: Observed::Unknown(error.message) },
    }
}

/// The comments of people who may arm issues, oldest first.
///
/// # Errors
/// When the comments cannot be read.
pub async fn trusted_comments(tick: &Tick<'_>, afk: &str, issue: &Issue) -> PortResult<Vec<Comment>> {
    let rules = tick.policy.rules(&issue.reference.repo);
    let mut trusted = Vec::new();
    for comment in tick.world.tracker.comments(&issue.reference).await? {
        let author = comment.author.as_deref();
        // A permission that cannot be read keeps the comment out, not the issue.
        if trust(tick, afk, rules, &issue.reference.repo, author).await.fact.known() == Some(&true) {
            trusted.push(comment);
        }
    }
    Ok(trusted)
}

/// Whether anybody but the armer edited the text since the armer read it.
pub fn edited_since(arming: &Arming, edits: &[Edit], rules: &Rules) -> bool {
    let window = chrono::TimeDelta::from_std(rules.edit_window).unwrap_or(chrono::TimeDelta::MAX);
    let read_at = arming.at.checked_sub_signed(window).unwrap_or(DateTime::<Utc>::MIN_UTC);
    edits.iter().any(|edit| {
        let by_armer = match (&edit.by, &arming.by) {
            (Some(editor), Some(armer)) => editor.eq_ignore_ascii_case(armer),
            _ => false,
        };
        !by_armer && edit.at > read_at
    })
}
