//! Carrying out a row: its effects in order, each safe to repeat. The caller writes the record before the first and
//! after the last.

use chrono::{DateTime, Utc};

use crate::engine::identity::Purpose;
use crate::engine::pending::{PendingEffect, PendingRow};
use crate::policy::sentence::Placeholder;
use crate::policy::{Effect, LabelRole, Rules};
use crate::ports::{FailedJob, Notice, PortError, PortErrorKind, PortResult, StageVerdict};
use crate::text::{self, harmless, harmless_end};

use super::facts::RunView;
use super::fleet::{Fleet, Run};
use super::progress;
use super::record::{Record, Sending};
use super::world::Tick;
use super::{arming, brief};

/// A run whose row takes effect.
pub struct Enactment<'a, 'w> {
    /// The tick.
    pub tick: &'a Tick<'w>,
    /// Who is who.
    pub fleet: &'a Fleet,
    /// What is known of the run.
    pub view: &'a RunView,
}

impl std::fmt::Debug for Enactment<'_, '_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Enactment").field("run", &self.view.record.run).finish_non_exhaustive()
    }
}

impl Enactment<'_, '_> {
    /// Carries out what remains of the pending row of `record`. A failing effect does not hold back those after it,
    /// except a first `close` or `turn`; one that has failed for `limits.effect_timeout` is given up, loudly.
    pub async fn carry_out(&self, run: &Run, record: &mut Record) {
        let Some(mut pending) = record.pending.take() else { return };
        let effect_timeout = self.rules(record).effect_timeout;
        let mut unfinished = Vec::new();
        let mut queue = std::mem::take(&mut pending.remaining).into_iter();
        while let Some(mut effect) = queue.next() {
            let now = self.now();
            effect.first_tried.get_or_insert(now);
            match self.attempt(run, record, &pending, &mut effect).await {
                Ok(()) => {}
                Err(error) => {
                    let what = in_words(&effect.effect);
                    self.tick.problem(&run.reference, format!("{what}: {error}"));
                    if effect.is_overdue(now, effect_timeout) {
                        self.give_up(record, &effect, &what);
                        continue;
                    }
                    let holds_back = effect.holds_back();
                    unfinished.push(effect);
                    if holds_back {
                        unfinished.extend(queue);
                        break;
                    }
                }
            }
        }
        pending.remaining = unfinished;
        record.pending = Some(pending);
    }

    fn give_up(&self, record: &mut Record, effect: &PendingEffect, what: &str) {
        self.tick.problem(record.reference(), format!("{what}: given up after limits.effect_timeout"));
        // Bounded: the record has to stay small, and the log has them all.
        if record.given_up.len() < 5 {
            record.given_up.push(what.to_owned());
        }
        if matches!(effect.effect, Effect::Turn(_)) {
            record.told = Some(record.subject().to_owned());
            record.sending = None;
        }
    }

    async fn attempt(
        &self,
        run: &Run,
        record: &mut Record,
        pending: &PendingRow,
        effect: &mut PendingEffect,
    ) -> PortResult<()> {
        let tracker = &self.tick.world.tracker;
        let (issue, rules) = (&run.reference, self.rules(record));
        let labels = &rules.labels;
        // On an issue that is gone there is nothing left to write to.
        let gone_is_done = |result: PortResult<()>| match result {
            Err(error) if error.kind == PortErrorKind::NotFound && self.view.is_gone() => Ok(()),
            result => result,
        };
        match &effect.effect {
            Effect::Reopen => gone_is_done(tracker.reopen(issue).await),
            Effect::Close(reason) => tracker.close(issue, *reason).await,
            Effect::AddLabel(role) => gone_is_done(tracker.add_label(issue, labels.of(*role)).await),
            Effect::RemoveLabel(LabelRole::Ready) => gone_is_done(self.disarm(run, record).await),
            Effect::RemoveLabel(role) => gone_is_done(tracker.remove_label(issue, labels.of(*role)).await),
            Effect::Interrupt => self.interrupt(record).await,
            Effect::Turn(prompt) => self.turn(record, prompt).await,
            Effect::Comment(name) => gone_is_done(self.comment(run, record, pending, name).await),
            Effect::Notify(kind) => self.notify(record, pending, kind, &mut effect.rung).await,
        }
    }

    /// Takes *ready* off, unless somebody has put it on anew for another run: that arming is not this run's to undo.
    async fn disarm(&self, run: &Run, record: &Record) -> PortResult<()> {
        let tracker = &self.tick.world.tracker;
        let labels = &self.rules(record).labels;
        let events = tracker.label_events(&run.reference).await?;
        if arming::newest(&events, labels).is_some_and(|arming| arming.run != record.run) {
            self.tick.event(&run.reference, "armed again", "the ready label stays, for another run");
            return Ok(());
        }
        tracker.remove_label(&run.reference, &labels.ready.value).await
    }

    async fn interrupt(&self, record: &mut Record) -> PortResult<()> {
        record.interrupted_at.get_or_insert(self.now());
        interrupt(self.tick, self.fleet, record).await
    }

    /// Sends the corrective turn that [`Record::sending`] describes.
    async fn turn(&self, record: &mut Record, prompt: &str) -> PortResult<()> {
        let issue = self.view.issue.as_ref().ok_or_else(|| PortError::not_found("the issue cannot be read"))?;
        let rules = self.rules(record);
        let template = rules
            .prompts
            .get(prompt)
            .ok_or_else(|| PortError::refused(format!("the policy has no prompt `{prompt}` any more")))?;
        let executor = self.tick.world.executor(&record.executor)?;
        let sending = match &record.sending {
            Some(sending) if sending.commit == record.subject() => sending.clone(),
            _ => Sending { commit: record.subject().to_owned(), n: 0, first_tried: self.now() },
        };
        record.sending = Some(sending.clone());
        let turn = record.run.derive(Purpose::CorrectiveTurn { red_commit: &sending.commit }, sending.n);
        if self.view.agent.as_ref().is_some_and(|agent| agent.turns.contains(&turn)) {
            // It had this very turn: one commit never gets two, and none counts twice.
            record.told = Some(sending.commit);
            record.sending = None;
            return Ok(());
        }
        let said = arming::trusted_comments(self.tick, &self.fleet.afk, issue).await?;
        let brief = brief::again(issue, &said, record);
        let failures = self.failures_with_logs(record).await;
        let text = brief::corrective_prompt(self.tick, template, record, issue, &brief, &failures);
        let text = text.map_err(PortError::invalid)?;
        // Last of all: what was read since may have taken minutes.
        if let Some(why) = (self.tick.world.kill_switch)() {
            return Err(PortError::refused(format!("the kill switch is on: {why}")));
        }
        match executor.turn(record.run, turn, &text).await {
            Ok(()) => {
                accept_turn(record, turn, self.now());
                Ok(())
            }
            Err(error) => {
                // A clear no had no effect, so the next try is a new one; a lost answer keeps its id.
                if error.kind == PortErrorKind::Refused {
                    record.sending = Some(Sending { n: sending.n + 1, ..sending });
                }
                Err(error)
            }
        }
    }

    /// The failed jobs of the newest commit; a log that cannot be read does not hold back the turn.
    async fn failures_with_logs(&self, record: &Record) -> Vec<FailedJob> {
        let ci = &self.tick.world.ci;
        let mut failures = Vec::new();
        for (name, verdict) in &self.view.stages {
            let Ok(StageVerdict::Red(jobs)) = verdict else { continue };
            let stage = self.rules(record).stages.iter().find(|stage| stage.name.value == *name);
            let with_logs = match stage {
                Some(stage) => ci.with_logs(&record.repo, stage, jobs.clone()).await.ok(),
                None => None,
            };
            failures.extend(with_logs.unwrap_or_else(|| jobs.clone()));
        }
        failures
    }

    /// Writes a comment once; it is found again by its id.
    async fn comment(&self, run: &Run, record: &Record, pending: &PendingRow, name: &str) -> PortResult<()> {
        let tracker = &self.tick.world.tracker;
        let id = record.run.derive(Purpose::Comment { decision: pending.decision, name }, 0);
        let marker = format!("<!-- afk-comment:{id} -->");
        let written = tracker
            .comments(&run.reference)
            .await?
            .iter()
            .any(|comment| comment.body.contains(&marker) && self.fleet.is_afk(comment.author.as_deref()));
        if written {
            return Ok(());
        }
        let rules = self.rules(record);
        let sentence = rules
            .comments
            .get(name)
            .ok_or_else(|| PortError::refused(format!("the policy has no comment `{name}` any more")))?;
        let said = pending.say(sentence, |placeholder| self.name(record, placeholder));
        let body = format!("{said}\n{}\n{marker}", self.evidence(rules, record));
        tracker.create_comment(&run.reference, &body).await.map(drop)
    }

    /// What a person needs to go on: jobs, commits, the agent's last words, how to try again.
    fn evidence(&self, rules: &Rules, record: &Record) -> String {
        let mut lines = String::new();
        if let Some(at) = self.fleet.stopped_at(record) {
            lines.push_str(&format!("\n- `afk stop` ended its agent, {}", progress::time(at)));
        }
        for given_up in &record.given_up {
            lines.push_str(&format!("\n- Given up, since it kept failing: {}", harmless(given_up, 300)));
        }
        for job in self.view.failures().iter().take(5) {
            let at = record.commit.as_deref().map_or("", progress::short_commit);
            let link = job.url.as_deref().map(|url| format!(", {}", harmless(url, 300))).unwrap_or_default();
            lines.push_str(&format!("\n- Red on `{at}`: `{}`{link}", harmless(&job.name, 80)));
        }
        if let Some(unjudged) = progress::unjudged(rules, self.view) {
            lines.push_str(&format!("\n- {unjudged}"));
        }
        if let Some(commits) = progress::commits(self.view) {
            lines.push_str(&format!("\n- Commits of the run: {commits}"));
        }
        if let Some(pull_request) = progress::pull_request(record, self.view) {
            lines.push_str(&format!("\n- Pull request: {pull_request}"));
        }
        let mentions: Vec<String> = self
            .view
            .commits
            .iter()
            .flat_map(|commits| &commits.mentions)
            .take(5)
            .map(|sha| format!("`{}`", progress::short_commit(sha)))
            .collect();
        if !mentions.is_empty() {
            lines.push_str(&format!(
                "\n- They mention the issue without the run's line, and were not counted: {}",
                mentions.join(", ")
            ));
        }
        if self.view.commits.as_ref().is_some_and(|commits| commits.commits.is_empty()) {
            lines.push_str(&format!(
                "\n- Only commits with the line `AFK-Run: {}` count as the run's; whatever was pushed without it was not judged",
                record.run
            ));
        }
        if let Some(words) = self
            .view
            .agent
            .as_ref()
            .and_then(|agent| agent.last_words.as_deref())
            .filter(|words| !words.trim().is_empty())
        {
            lines.push_str(&format!("\n- The agent's last words: `{}`", harmless_end(words, 400)));
        }
        let labels = &rules.labels;
        format!(
            "{lines}\n\nIf the work is fine as it is: close the issue. To let an agent try again: {}.",
            progress::try_again(labels)
        )
    }

    /// Rings every doorbell that has not rung for this yet.
    async fn notify(
        &self,
        record: &Record,
        pending: &PendingRow,
        kind: &str,
        rung: &mut Vec<String>,
    ) -> PortResult<()> {
        let rules = self.rules(record);
        let notification = rules
            .notify
            .get(kind)
            .ok_or_else(|| PortError::refused(format!("the policy has no notification `{kind}` any more")))?;
        let say = |sentence| pending.say(sentence, |placeholder| self.name(record, placeholder));
        let notice = Notice {
            id: record.run.derive(Purpose::Notification { decision: pending.decision, kind }, 0),
            kind: kind.to_owned(),
            title: text::clean_line(&say(&notification.title), 300),
            body: text::clean_block(&say(&notification.body), 2_000),
            urgency: notification.urgency,
            tags: notification.tags.clone(),
            issue: record.reference(),
            url: self.view.issue.as_ref().map(|issue| issue.url.clone()).unwrap_or_default(),
            link: self.view.agent.as_ref().and_then(|agent| agent.link.clone()),
            run: record.run,
            revision: record.revision.clone(),
        };
        let bells = &self.tick.world.doorbells;
        let wanted: Vec<&String> = match &notification.to {
            Some(names) => names.iter().map(|name| &name.value).collect(),
            None => bells.keys().collect(),
        };
        if wanted.is_empty() {
            tracing::warn!(issue = %notice.issue, "no doorbell is configured; nobody hears: {}", notice.title);
        }
        let mut failed = Vec::new();
        for name in wanted {
            if rung.contains(name) {
                continue;
            }
            let rang = match bells.get(name) {
                Some(bell) => bell.ring(&notice).await,
                None => Err(PortError::refused("it is not in the settings")),
            };
            match rang {
                Ok(()) => rung.push(name.clone()),
                Err(error) => failed.push(format!("doorbell `{name}`: {error}")),
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(PortError::unreachable(failed.join("; "))) }
    }

    /// What a sentence may name beside facts and reason.
    fn name(&self, record: &Record, placeholder: Placeholder) -> Option<String> {
        let issue = self.view.issue.as_ref();
        match placeholder {
            Placeholder::ArmedBy => record.armed_by.as_deref().map(|login| harmless(login, 60)),
            Placeholder::Ref => Some(record.reference().to_string()),
            Placeholder::Title => issue.map(|issue| harmless(&issue.title, 200)),
            Placeholder::Url => issue.map(|issue| text::clean_line(&issue.url, 500)),
            Placeholder::Issue(_) | Placeholder::Run(_) | Placeholder::Reason => None,
        }
    }

    fn rules(&self, record: &Record) -> &Rules {
        self.tick.policy.rules(&record.repo)
    }

    fn now(&self) -> DateTime<Utc> {
        self.tick.world.clock.now()
    }
}

/// Writes down that the executor has a corrective turn.
pub fn accept_turn(record: &mut Record, turn: uuid::Uuid, now: DateTime<Utc>) {
    record.attempts += 1;
    record.told = Some(record.sending.take().map_or_else(|| record.subject().to_owned(), |sending| sending.commit));
    record.turn = turn;
    record.turn_at = now;
    // Whatever it was told before, it is at work again.
    record.interrupted_at = None;
}

/// Asks the agent of a run to stop, where it may still be alive.
///
/// # Errors
/// When the executor cannot be asked, or refuses.
pub async fn interrupt(tick: &Tick<'_>, fleet: &Fleet, record: &Record) -> PortResult<()> {
    if fleet.orders.abandoned.contains(&record.run) {
        return Ok(());
    }
    match tick.world.executor(&record.executor)?.interrupt(record.run).await {
        // An agent that the executor does not know has nothing to stop.
        Err(error) if error.kind == PortErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn in_words(effect: &Effect) -> String {
    let role = |role: &LabelRole| match role {
        LabelRole::Ready => "ready",
        LabelRole::InProgress => "in_progress",
        LabelRole::Human => "human",
        LabelRole::Paused => "paused",
    };
    match effect {
        Effect::Reopen => "reopen the issue".to_owned(),
        Effect::Interrupt => "interrupt the agent".to_owned(),
        Effect::Close(_) => "close the issue".to_owned(),
        Effect::AddLabel(label) => format!("add the {} label", role(label)),
        Effect::RemoveLabel(label) => format!("remove the {} label", role(label)),
        Effect::Turn(prompt) => format!("send the agent `{prompt}`"),
        Effect::Comment(name) => format!("write the comment `{name}`"),
        Effect::Notify(kind) => format!("ring the doorbells for `{kind}`"),
    }
}
