//! What `afk doctor` looks at, one method each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::Utc;
use uuid::Uuid;

use super::{Health, Symptom, reach, t3};
use crate::adapters::confined::Directory;
use crate::adapters::doorbell::Waits;
use crate::adapters::installation::TickKind;
use crate::adapters::policy_file::Loaded;
use crate::cli::explain::words::moment;
use crate::cli::findings::counted;
use crate::cli::queue::none_enrolled;
use crate::cli::wiring;
use crate::engine::identity::RunId;
use crate::policy::facts::RunFact;
use crate::policy::{Finding, Policy, Severity, StageSource, Urgency, short_revision};
use crate::ports::{IssueRef, Notice, PortError, PortErrorKind};
use crate::settings::{AgentOutput, ExecutorSettings, Settings, TrackerSettings};
use crate::ticks::world::{MAX_SKEW_SECONDS, World};

/// What access was judged by and what that does not show, with the repositories where it is so.
type Seen = BTreeMap<(String, Option<(String, String)>), Vec<String>>;

/// One look at an installation.
pub struct Examination<'a> {
    settings: &'a Settings,
    world: &'a World,
    loaded: &'a Loaded,
    policy: Option<&'a Policy>,
    /// What was found so far, in order.
    pub symptoms: Vec<Symptom>,
}

impl<'a> Examination<'a> {
    /// Begins.
    pub fn new(settings: &'a Settings, world: &'a World, loaded: &'a Loaded) -> Self {
        Self { settings, world, loaded, policy: loaded.checked.policy.as_ref(), symptoms: Vec::new() }
    }

    fn say(&mut self, about: &'static str, health: Health, what: impl Into<String>) {
        self.symptoms.push(Symptom { about, health, what: what.into(), remedy: None });
    }

    fn fail(&mut self, about: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        let remedy = Some(remedy.into());
        self.symptoms.push(Symptom { about, health: Health::Fail, what: what.into(), remedy });
    }

    fn note(&mut self, about: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        let remedy = Some(remedy.into());
        self.symptoms.push(Symptom { about, health: Health::Note, what: what.into(), remedy });
    }

    /// The policy, its kill switch, and when the last ticks were.
    pub fn policy(&mut self, path: &Path) {
        let error = |finding: &&Finding| finding.severity == Severity::Error;
        let errors = self.loaded.checked.findings.iter().filter(error).count();
        let Some(policy) = self.policy else {
            let what = format!("{} has {}", path.display(), counted(errors, "error"));
            return self.fail("policy", what, "afk check-policy");
        };
        self.say("policy", Health::Ok, format!("{}, revision {}", path.display(), short_revision(&policy.revision)));
        match wiring::kill_switch(policy, &self.world.installation) {
            Ok(None) => self.say("switch", Health::Ok, "the kill switch is off"),
            Ok(Some(why)) => self.say("switch", Health::Note, format!("nothing is dispatched: {why}")),
            Err(failure) => self.fail("switch", failure.message, failure.help.join("; ")),
        }
        let now = self.world.clock.now();
        let mut beats = Vec::new();
        for kind in [TickKind::Poll, TickKind::Watch] {
            match self.world.installation.heartbeat(kind) {
                Ok(Some(beat)) => beats.push(format!("last {} {}: {}", kind.word(), moment(beat.at, now), beat.result)),
                Ok(None) => beats.push(format!("never ran {}", kind.word())),
                Err(error) => self.fail("ticks", error.message, "delete the broken file; afk writes it anew"),
            }
        }
        self.say("ticks", Health::Note, beats.join(", "));
    }

    /// Whether agents can change what decides about them.
    pub fn reach(&mut self, files: [&Path; 2]) {
        let found = reach::within_reach(files, self.loaded, self.settings);
        if found.is_empty() {
            self.say("reach", Health::Ok, "no agent works where the policy, its prompts or the settings lie");
        }
        for (what, remedy) in found {
            self.fail("reach", what, remedy);
        }
    }

    /// Where afk keeps what it needs: without it no mirror can be made, and no run.
    pub fn data(&mut self) -> bool {
        match Directory::make(&self.settings.data) {
            Ok(_) => true,
            Err(error) => {
                self.fail("data", error.message, "see `data` of the settings, and AFK_DATA in the environment");
                false
            }
        }
    }

    /// The tracker, then everything else that is asked repository by repository, then the executors.
    pub async fn edges(&mut self, fix: bool) {
        let mut enrolled = Vec::new();
        if let Some(afk) = self.tracker().await {
            self.identity(&afk);
            enrolled = self.repositories().await;
            let mut seen = BTreeMap::new();
            for repo in &enrolled {
                self.repository(repo, &afk, fix, &mut seen).await;
            }
            self.seen(seen);
        }
        self.executors(&enrolled).await;
    }

    async fn tracker(&mut self) -> Option<String> {
        let asked = async { Ok::<_, PortError>((self.world.tracker.login().await?, self.world.tracker.now().await?)) };
        let (login, now) = match asked.await {
            Ok(answer) => answer,
            Err(error) => {
                let remedy = tracker_remedy(&self.settings.tracker, error.kind);
                self.fail("tracker", error.message, remedy);
                return None;
            }
        };
        let left = (self.world.cost)().and_then(|cost| cost.remaining.zip(cost.limit));
        let left = left.map(|(left, limit)| format!(", {} of {} requests left", grouped(left), grouped(limit)));
        let name = wiring::tracker_name(self.settings);
        self.say("tracker", Health::Ok, format!("{name} as {login}{}", left.unwrap_or_default()));
        let skew = now.signed_duration_since(Utc::now()).num_milliseconds();
        let (size, side) = (skew.unsigned_abs(), if skew > 0 { "behind" } else { "ahead of" });
        let what = format!("{}.{} s {side} the tracker", size / 1000, size % 1000 / 100);
        if skew.abs() > MAX_SKEW_SECONDS * 1000 {
            self.fail("clock", what, "set the clock of this machine; ages and waits are wrong until then");
        } else {
            self.say("clock", Health::Ok, what);
        }
        Some(login)
    }

    fn identity(&mut self, afk: &str) {
        let agents = &self.settings.identity.agents;
        if agents.iter().any(|agent| agent.eq_ignore_ascii_case(afk)) {
            let what = format!("agents use `{afk}`, which is afk's own login: they could write its records");
            self.fail("identity", what, "give agents a login of their own, and name it in [identity] agents");
        } else if agents.is_empty() {
            let remedy = "where agents have a login on the tracker, name it there: it never arms";
            self.note("identity", "[identity] agents is empty", remedy);
        } else {
            self.say("identity", Health::Ok, format!("afk is {afk}, agents are {}", agents.join(", ")));
        }
        if self.settings.identity.record_keys.is_empty() {
            let remedy = "set [identity] record_keys before the first run (`openssl rand -hex 32`)";
            self.note("identity", format!("records are not signed: whoever is {afk} can write them"), remedy);
        }
    }

    async fn repositories(&mut self) -> Vec<String> {
        let Some(policy) = self.policy else { return Vec::new() };
        let listed = match self.world.tracker.repos(&policy.allowlist.value).await {
            Ok(listed) => {
                for (_, error) in listed.unreadable {
                    self.fail("repos", error.message, "see `allowlist` of the policy");
                }
                listed.names
            }
            Err(error) => {
                self.fail("repos", error.message, "see `allowlist` of the policy");
                return Vec::new();
            }
        };
        let enrolled: Vec<String> = listed.into_iter().filter(|repo| policy.enrolled(repo)).collect();
        match enrolled.len() {
            0 if policy.allowlist.value.is_empty() => {
                self.note("repos", none_enrolled(policy), "name some in `allowlist` of the policy");
            }
            0 => {
                let remedy = match &self.settings.tracker {
                    TrackerSettings::Local { .. } => {
                        let names: Vec<&str> = self.settings.repos.keys().map(String::as_str).collect();
                        format!("the settings have {}: write the very name into `allowlist`", names.join(", "))
                    }
                    TrackerSettings::Github(_) => "see `allowlist` and `denylist` of the policy".to_owned(),
                };
                self.fail("repos", none_enrolled(policy), remedy);
            }
            count => self.say("repos", Health::Ok, format!("{count} enrolled")),
        }
        enrolled
    }

    async fn repository(&mut self, repo: &str, afk: &str, fix: bool, seen: &mut Seen) {
        let Some(policy) = self.policy else { return };
        let (tracker, rules) = (&self.world.tracker, policy.rules(repo));
        match tracker.access(repo).await {
            Ok(access) if access.shortcomings.is_empty() => {
                if let Some(judged_by) = access.judged_by {
                    let unseen = access.unseen.map(|unseen| (unseen.what, unseen.remedy));
                    seen.entry((judged_by, unseen)).or_default().push(repo.to_owned());
                }
                self.privileges(repo, afk).await;
            }
            Ok(access) => access.shortcomings.into_iter().for_each(|lack| self.fail("access", lack.what, lack.remedy)),
            Err(error) => {
                return self.fail(
                    "access",
                    error.message,
                    format!("let afk's login see {repo}, or take it off the list"),
                );
            }
        }
        let labels = &rules.labels;
        let wanted =
            [&labels.ready, &labels.in_progress, &labels.human, &labels.paused].map(|label| label.value.clone());
        match tracker.missing_labels(repo, &wanted).await {
            Ok(missing) if missing.is_empty() => {}
            Ok(missing) if !fix => {
                self.fail("labels", format!("{repo} lacks {}", missing.join(", ")), "afk doctor --fix");
            }
            Ok(missing) => {
                for label in missing {
                    match tracker.create_label(repo, &label).await {
                        Ok(()) => self.say("labels", Health::Ok, format!("created {label} in {repo}")),
                        Err(error) => self.fail("labels", error.message, format!("create {label} in {repo} by hand")),
                    }
                }
            }
            Err(error) => {
                self.fail(
                    "labels",
                    error.message,
                    format!("let afk's login read the labels of {repo} (`Issues: read and write`)"),
                );
            }
        }
        if let Err(error) = self.world.code.head(repo).await {
            let section = format!("[repos.\"{repo}\"] of the settings");
            let remedy = match (&self.settings.tracker, self.settings.repos.contains_key(repo)) {
                (TrackerSettings::Github(_), true) => {
                    format!(
                        "see `git` under {section}; without the section git reads by https, with the tracker's token"
                    )
                }
                (TrackerSettings::Github(_), false) => {
                    format!(
                        "let afk's account read it (`Contents: read`), or name another address by `git` under {section}"
                    )
                }
                (TrackerSettings::Local { .. }, _) => format!("see `git` under {section}"),
            };
            self.fail("git", error.message, remedy);
        } else if let Err(error) = self.world.code.can_land(repo, rules.agent.landing).await {
            self.fail("landing", error.message, "nothing is started where it cannot land: see [agent] of the policy");
        }
        for stage in &rules.stages {
            if let Err(error) = self.world.ci.can_judge(repo, stage).await {
                let remedy = match &stage.source {
                    StageSource::Checks { .. } => {
                        "grant it, or let a command judge (`source = \"command\"`)".to_owned()
                    }
                    StageSource::Command { .. } => "see [ci] of the settings".to_owned(),
                };
                self.fail(
                    "ci",
                    format!("{repo}: {}", error.message),
                    format!("{remedy}: nothing is started without a judge"),
                );
            }
        }
    }

    /// What was looked at, and that nothing was tried; alike repositories are one line.
    fn seen(&mut self, seen: Seen) {
        for ((judged_by, unseen), repos) in seen {
            let repos = match repos.as_slice() {
                [repo] => repo.clone(),
                repos => format!("{} repositories", repos.len()),
            };
            let what = format!("{repos}: {judged_by}; nothing was written to try it");
            match unseen {
                None => self.say("access", Health::Ok, what),
                Some((unseen, remedy)) => self.symptoms.push(Symptom {
                    about: "access",
                    health: Health::Skipped,
                    what: format!("{what}; {unseen}"),
                    remedy: Some(remedy),
                }),
            }
        }
    }

    /// Whether granted permissions can be read at all, and nobody has more than is needed.
    async fn privileges(&mut self, repo: &str, afk: &str) {
        let settings = self.settings;
        let agents = settings.identity.agents.iter().filter(|agent| !agent.eq_ignore_ascii_case(afk));
        for login in std::iter::once(afk).chain(agents.map(String::as_str)) {
            let is_afk = login == afk;
            match self.world.tracker.permission(repo, login).await {
                Ok(role) if role == "admin" => {
                    let what = format!(
                        "{login} is admin of {repo}, which is more than {}",
                        if is_afk { "afk needs" } else { "an agent needs" }
                    );
                    self.note("access", what, "give it `write`");
                }
                Ok(_) => {}
                Err(error) if is_afk => {
                    let remedy = format!("without it nobody is trusted in {repo}; let afk's account read permissions");
                    self.fail("access", error.message, remedy);
                }
                Err(error) => self.note("access", error.message, "see [identity] agents of the settings"),
            }
        }
    }

    async fn executors(&mut self, enrolled: &[String]) {
        let Some(policy) = self.policy else { return };
        let all = std::iter::once(&policy.base).chain(policy.overrides.iter().map(|(_, rules)| rules));
        let used: BTreeMap<&str, _> = all.map(|rules| (rules.agent.executor.value.as_str(), rules)).collect();
        for (name, rules) in used {
            let can_start = match self.world.executor(name) {
                Ok(executor) => executor.can_start().await,
                Err(error) => Err(error),
            };
            match can_start {
                Ok(()) => match self.settings.executors.get(name) {
                    Some(ExecutorSettings::T3(t3)) => {
                        let here = enrolled.iter().filter(|repo| policy.rules(repo).agent.executor.value == name);
                        let here: Vec<&str> = here.map(String::as_str).collect();
                        self.symptoms
                            .extend(t3::symptoms(self.settings, name, t3, &here, self.world.clock.now()).await);
                    }
                    _ => self.say("executor", Health::Ok, format!("`{name}` could start an agent")),
                },
                Err(error) => self.fail("executor", error.message, format!("see [executors.{name}] of the settings")),
            }
            let reports_cost = match self.settings.executors.get(name) {
                Some(ExecutorSettings::Command(command)) => command.output == AgentOutput::Claude,
                Some(ExecutorSettings::T3(_)) => false,
                None => true,
            };
            let by_cost: BTreeSet<&str> = rules
                .transitions
                .iter()
                .filter(|row| {
                    let mut tests_cost = false;
                    row.when.each_test(&mut |test| tests_cost |= test.fact == RunFact::CostUsd);
                    tests_cost
                })
                .map(|row| row.name.as_str())
                .collect();
            if !reports_cost && !by_cost.is_empty() {
                let rows = by_cost.into_iter().collect::<Vec<_>>().join("`, `");
                let what = format!("`{name}` reports no cost: row `{rows}` never fires by it");
                self.note("cost", what, "rely on `limits.run_timeout` and `limits.fix_forward_attempts`, or use an agent that tells what it costs");
            }
        }
    }

    /// The doorbells, which are rung only when asked for.
    pub async fn doorbells(&mut self, ring: bool) {
        let names: Vec<&str> = self.world.doorbells.keys().map(String::as_str).collect();
        if names.is_empty() {
            return self.note(
                "doorbells",
                "none: nobody is told when a run needs a person",
                "see [doorbells] of the settings",
            );
        }
        if !ring {
            let what = format!("{}: configured, not rung", names.join(", "));
            let remedy = Some("afk doctor --ring".to_owned());
            return self.symptoms.push(Symptom { about: "doorbells", health: Health::Skipped, what, remedy });
        }
        // Who asks has mended them, or wants to see what is wrong now.
        if let Err(error) = Waits::new(self.settings.data.clone()).forget() {
            self.fail("doorbells", error.message, "see `data` of the settings");
        }
        for (name, bell) in &self.world.doorbells {
            match bell.ring(&trial()).await {
                Ok(()) => self.say("doorbells", Health::Ok, format!("`{name}` rang")),
                Err(error) => self.fail(
                    "doorbells",
                    format!("`{name}`: {error}"),
                    format!("see [doorbells.{name}] of the settings"),
                ),
            }
        }
    }
}

/// A number as people read it: 4,991.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a doorbell is given on trial.
fn trial() -> Notice {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"afk doctor --ring");
    Notice {
        id,
        kind: "doctor".to_owned(),
        title: "afk doctor: this doorbell rings".to_owned(),
        body: "Somebody asked whether you would hear it. Nothing has to be done.".to_owned(),
        urgency: Urgency::Low,
        tags: Vec::new(),
        issue: IssueRef { repo: "afk".to_owned(), number: 0 },
        url: String::new(),
        link: None,
        run: RunId(id),
        revision: String::new(),
    }
}

/// Where to look when the tracker as a whole does not answer.
fn tracker_remedy(tracker: &TrackerSettings, kind: PortErrorKind) -> &'static str {
    match (tracker, kind) {
        (TrackerSettings::Local { .. }, _) => "see [tracker] of the settings",
        (TrackerSettings::Github(_), PortErrorKind::Refused) => {
            "see `token` or `app` under [tracker] of the settings; docs/github.md of afk says which token it takes"
        }
        (TrackerSettings::Github(_), PortErrorKind::Unreachable) => {
            "afk asks again by itself; if it stays so, see `url` under [tracker] of the settings, and the network here"
        }
        (TrackerSettings::Github(_), PortErrorKind::NotFound | PortErrorKind::Invalid) => {
            "see `url` under [tracker] of the settings: that of an Enterprise server ends in `/api/v3`"
        }
    }
}
