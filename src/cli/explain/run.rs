//! Where a run stands: what it waits for, what happens next by itself and when, and every row of its state.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::words::{self, Cell, after, effect, is, lacks, moment, needs, shown, shown_end};
use crate::cli::output::{BAD, FAINT, GOOD, Output, STRONG, WARN};
use crate::cli::queue;
use crate::engine::evaluate::Verdict;
use crate::engine::step::{Advance, Circumstances, End, Machine, Step, due_in, trace};
use crate::policy::duration::since;
use crate::policy::facts::{Facts, Observed, Reading, RunFact};
use crate::policy::{Rules, Transition};
use crate::ticks::facts::{self, RunView};
use crate::ticks::fleet::{Fleet, Run, Standing};
use crate::ticks::progress::{self, short_commit, verdict_in_words};
use crate::ticks::record::Record;
use crate::ticks::watch::held_in_words;
use crate::ticks::world::Tick;

/// A run in flight, as people are told about it.
#[derive(Debug, Serialize)]
pub struct RunStory {
    /// `owner/name#N`.
    pub issue: String,
    /// The title of the issue; `null` where this look did not read it.
    pub title: Option<String>,
    /// The run; `null` where nothing tells.
    pub run: Option<String>,
    /// What label, record and agent come to: `active`, `ending`, `unclear`, …
    pub standing: &'static str,
    /// The state it is in; `null` without a record.
    pub state: Option<String>,
    /// Since when it is in that state.
    pub since: Option<DateTime<Utc>>,
    /// When it was dispatched.
    pub dispatched_at: Option<DateTime<Utc>>,
    /// Who armed the issue.
    pub armed_by: Option<String>,
    /// Corrective turns that were accepted.
    pub attempts: Option<u32>,
    /// Where people watch the agent.
    pub link: Option<String>,
    /// What it waits for, or what is wrong.
    pub waits_for: String,
    /// The agent, in few words.
    pub agent: String,
    /// The next thing to happen by itself; `null`: nothing, or nobody can tell.
    pub next: Option<Next>,
    /// The row whose effects are being carried out.
    pub pending: Option<Pending>,
    /// The facts in few words.
    pub evidence: Vec<String>,
    /// Every fact; `null` with a `why` where unknown.
    pub facts: Value,
    /// Every row that applies to its state, in file order.
    pub rows: Vec<Row>,
    /// What else is to be known.
    pub notes: Vec<String>,
    /// How a person takes it back.
    pub take_back: Option<String>,
    /// Its agent does not end; a person has to say that it is gone.
    pub stuck: bool,
    /// When `afk stop` asked its agent to end; `null`: it did not.
    pub stopped_at: Option<DateTime<Utc>>,
}

/// What happens next.
#[derive(Debug, Serialize)]
pub struct Next {
    /// The row.
    pub row: String,
    /// The state it leads to.
    pub to: String,
    /// When, if nothing else happens; in the past or present: at the next watch.
    pub at: DateTime<Utc>,
    /// The row matches already.
    pub due: bool,
    /// Why it may not take effect; `null` where it may.
    pub held: Option<&'static str>,
    /// The line of the policy.
    pub line: usize,
}

/// A row whose effects are being carried out.
#[derive(Debug, Serialize)]
pub struct Pending {
    /// The row.
    pub row: String,
    /// The state it leads to.
    pub to: String,
    /// Why.
    pub reason: Option<String>,
    /// What remains.
    pub remaining: Vec<String>,
    /// Since when the first of them fails.
    pub failing_since: Option<DateTime<Utc>>,
    /// When it is given up.
    pub given_up_at: Option<DateTime<Utc>>,
}

/// A row of the table of transitions.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub row: String,
    /// The state it leads to.
    pub to: String,
    /// It matches.
    pub matches: bool,
    /// What it lacks.
    pub lacks: Vec<String>,
    /// When it would match if only time passes; `null`: never by itself.
    pub by_itself_at: Option<DateTime<Utc>>,
    /// The line of the policy.
    pub line: usize,
}

impl RunStory {
    /// Reads where a run stands. `switched_off`: the kill switch is on, in any of its forms.
    pub async fn of(tick: &Tick<'_>, fleet: &Fleet, run: &Run, switched_off: bool) -> Self {
        let mut story = Self::of_record(tick, fleet, run);
        let Some(record) = run.record().filter(|_| run.standing == Standing::Active) else { return story };
        let view = facts::read(tick, fleet, run, record).await;
        for remark in &view.remarks {
            tick.problem(&run.reference, remark);
        }
        story.tell(tick, record, &view, switched_off);
        story
    }

    /// What is known without reading facts.
    fn of_record(tick: &Tick<'_>, fleet: &Fleet, run: &Run) -> Self {
        let record = run.record();
        let agent = run.agent.as_ref().map(|(_, report)| report);
        let stuck = stuck(tick, run);
        let mut notes = Vec::new();
        let stopped_at = record.and_then(|record| fleet.stopped_at(record));
        let is_live = agent.is_some_and(crate::ports::AgentReport::is_live);
        notes.extend(stopped_at.map(|at| {
            let at = moment(at, tick.world.clock.now());
            match is_live {
                true => format!("`afk stop` asked its agent to end, {at}; it has not ended yet"),
                false => format!("`afk stop` ended its agent, {at}"),
            }
        }));
        if let Some(record) = record {
            if record.rebuilt {
                notes.push("its record was lost and written anew; what it does not say is unknown".to_owned());
            }
            notes.extend(record.given_up.iter().map(|given_up| format!("given up: {}", shown(given_up))));
        }
        if !tick.policy.enrolled(&run.reference.repo) {
            notes.push(format!(
                "{} is not enrolled any more: the run is followed to its end, and gets no further turn",
                shown(&run.reference.repo)
            ));
        }
        Self {
            issue: run.reference.to_string(),
            title: run.issue.as_ref().map(|issue| shown(&issue.title)),
            run: run.id().map(|run| run.to_string()),
            standing: run.standing.word(),
            state: record.map(|record| record.state.clone()),
            since: record.map(|record| record.since),
            dispatched_at: record.map(|record| record.dispatched_at),
            armed_by: record.and_then(|record| record.armed_by.as_deref()).map(shown),
            attempts: record.map(|record| record.attempts),
            link: agent.and_then(|agent| agent.link.as_deref()).map(shown),
            waits_for: what_standing_means(tick, fleet, run, stuck),
            agent: agent_in_words(fleet, run),
            next: None,
            pending: None,
            evidence: Vec::new(),
            facts: Value::Null,
            rows: Vec::new(),
            notes,
            take_back: None,
            stuck,
            stopped_at,
        }
    }

    fn tell(&mut self, tick: &Tick<'_>, record: &Record, view: &RunView, switched_off: bool) {
        let rules = tick.policy.rules(&record.repo);
        let now = tick.world.clock.now();
        let circumstances = Circumstances { kill_switch: switched_off, enrolled: tick.policy.enrolled(&record.repo) };
        let machine = tick.machines.of(&record.repo);
        let advanced = machine.advance(&record.state, &view.facts, circumstances);
        if advanced.restarted {
            self.notes.push(format!(
                "the policy has no state `{}` any more; the run goes on from the initial state",
                shown(&record.state)
            ));
        }
        self.waits_for = rules.state(&record.state).map_or("", |state| state.title.as_str()).to_owned();
        if let Some(commit) = &view.record.commit {
            self.waits_for.push_str(&format!(" ({})", short_commit(commit)));
        }
        let asked = if self.stopped_at.is_some() { ", asked to end" } else { "" };
        self.agent = format!("{}{asked}, quiet {}", view.facts.agent.word(), duration(view.facts.quiet));
        let words = view.agent.as_ref().filter(|agent| !agent.is_live()).and_then(|agent| agent.last_words.as_deref());
        if let Some(words) = words.map(shown_end).filter(|words| !words.is_empty()) {
            self.notes.push(format!("the end of what the agent said: {words}"));
        }
        self.notes.extend(progress::unjudged(rules, view));
        self.evidence = evidence(view, now);
        self.facts = queue::facts(&view.facts);
        self.rows = rows(tick, rules, record, view, now);
        self.pending = record.pending.as_ref().map(|pending| {
            let failing_since = pending.remaining.iter().filter_map(|effect| effect.first_tried).min();
            Pending {
                row: pending.row.clone(),
                to: pending.to.clone(),
                reason: pending.reason.as_deref().map(shown),
                remaining: pending.remaining.iter().map(|pending| effect(&pending.effect, &rules.labels)).collect(),
                failing_since,
                given_up_at: failing_since.and_then(|since| after(since, rules.effect_timeout)),
            }
        });
        self.next = match record.pending {
            Some(_) => None,
            None => next(tick, machine, &advanced, view, circumstances, now),
        };
        self.take_back = Some(take_back(rules, record));
    }
}

/// Its agent was asked to stop for longer than an effect is tried, and is still there.
fn stuck(tick: &Tick<'_>, run: &Run) -> bool {
    run.standing == Standing::Ending
        && run.record().is_some_and(|record| {
            let patience = tick.policy.rules(&record.repo).effect_timeout;
            record.interrupted_at.is_some_and(|first| since(first, tick.world.clock.now()) >= patience)
        })
}

fn what_standing_means(tick: &Tick<'_>, fleet: &Fleet, run: &Run, stuck: bool) -> String {
    let now = tick.world.clock.now();
    let unasked: Vec<String> =
        fleet.unasked.iter().map(|(name, why)| format!("executor `{name}`: {}", shown(why))).collect();
    let unreadable = run.id().and_then(|run| fleet.unreadable_agents.get(&run)).map(|why| shown(why));
    let unasked: Vec<String> = unasked.into_iter().chain(unreadable).collect();
    match run.standing {
        Standing::Active => String::new(),
        Standing::Adopt => {
            "its executor knows an agent of it, and there is no record: the next tick writes lock and record, and follows it".to_owned()
        }
        Standing::Rebuild => {
            "it carries the lock, and there is neither a record nor an agent: the next tick writes the record anew, and the policy decides".to_owned()
        }
        Standing::Release => "the run has ended; the next watch releases the lock".to_owned(),
        Standing::Ending => {
            let asked = run.record().and_then(|record| record.interrupted_at);
            let asked = asked.map_or("not asked to stop yet".to_owned(), |at| format!("asked to stop since {}", moment(at, now)));
            let run = run.id().map(|run| run.to_string()).unwrap_or_default();
            match stuck {
                true => format!("the run has ended and its agent does not ({asked}); if you know that it is gone: afk abandon {run}"),
                false => format!("the run has ended, its agent has not ({asked}); the repository stays locked until it does"),
            }
        }
        Standing::Unclear if run.record().is_some() => format!(
            "the run has ended; only its lock is left, until its executor can be asked whether the agent has ended ({})",
            unasked.join("; ")
        ),
        Standing::Unclear => format!(
            "locked, and nobody can tell what by while an executor cannot be asked; nothing is done to it until it can ({})",
            unasked.join("; ")
        ),
        Standing::Unreadable => {
            let about = format!("{}: ", run.reference);
            let report = tick.report.borrow();
            let why: Vec<String> =
                report.problems.iter().filter_map(|problem| problem.strip_prefix(&about)).map(shown).collect();
            format!("locked, and its record cannot be read; nothing is done to it until it can ({})", why.join("; "))
        }
        Standing::Finished => "over".to_owned(),
    }
}

fn agent_in_words(fleet: &Fleet, run: &Run) -> String {
    match (&run.agent, run.record()) {
        (Some((_, agent)), _) => agent.status.word().to_owned(),
        (None, Some(record)) => {
            match fleet.unasked.get(&record.executor).or(fleet.unreadable_agents.get(&record.run)) {
                Some(why) => format!("unknown: {}", shown(why)),
                None => "gone".to_owned(),
            }
        }
        (None, None) => "unknown".to_owned(),
    }
}

/// What is due now, or the first thing that comes by itself.
fn next(
    tick: &Tick<'_>,
    machine: &Machine<'_>,
    advanced: &Advance<'_>,
    view: &RunView,
    circumstances: Circumstances,
    now: DateTime<Utc>,
) -> Option<Next> {
    let next = |row: &Transition, at, held| Next {
        row: row.name.clone(),
        to: row.to.clone(),
        at,
        due: at <= now,
        held,
        line: tick.policy.line(row.span),
    };
    match (advanced.path.first(), advanced.end) {
        (Some(row), _) => Some(next(row, now, None)),
        (None, End::Act(row)) => Some(next(row, now, None)),
        (None, End::Held(row, why)) => Some(next(row, now, Some(held_in_words(why)))),
        (None, End::Wait | End::Circle) => {
            let (left, step) = machine.next_due(&advanced.state, &view.facts, circumstances)?;
            let at = after(now, left)?;
            match step {
                Step::Wait => None,
                Step::Row(row) => Some(next(row, at, None)),
                Step::Held(row, why) => Some(next(row, at, Some(held_in_words(why)))),
            }
        }
    }
}

fn rows(tick: &Tick<'_>, rules: &Rules, record: &Record, view: &RunView, now: DateTime<Utc>) -> Vec<Row> {
    trace(rules, &record.state, &view.facts)
        .into_iter()
        .filter(|traced| traced.applies)
        .map(|traced| Row {
            row: traced.row.name.clone(),
            to: traced.row.to.clone(),
            matches: traced.verdict == Verdict::Holds,
            lacks: needs(&traced.row.when, &view.facts, &|test, wanted| vec![lacks(test, wanted, &view.facts)]),
            by_itself_at: due_in(traced.row, &view.facts).and_then(|left| after(now, left)),
            line: tick.policy.line(traced.row.span),
        })
        .collect()
}

/// The facts that people ask for first.
fn evidence(view: &RunView, now: DateTime<Utc>) -> Vec<String> {
    let facts = &view.facts;
    let mut said = vec![format!("agent {}, quiet {}", facts.agent.word(), duration(facts.quiet))];
    let commit = match (&view.record.commit, view.record.commit_at) {
        (Some(commit), Some(at)) => format!(" ({}, seen {})", short_commit(commit), moment(at, now)),
        _ => String::new(),
    };
    said.push(format!("pushed {}{commit}", value(facts, RunFact::Pushed)));
    let stages: Vec<String> = view
        .stages
        .iter()
        .map(|(name, verdict)| match verdict {
            Ok(verdict) => format!("{name}: {}", verdict_in_words(verdict)),
            Err(error) => format!("{name}: unknown: {}", shown(&error.message)),
        })
        .collect();
    let stages = if stages.is_empty() { String::new() } else { format!(" ({})", stages.join(", ")) };
    said.push(format!("ci {}{stages}", facts.ci.word()));
    said.push(format!("corrections {}", facts.attempts));
    said.push(format!("cost {}", value(facts, RunFact::CostUsd)));
    if let Observed::Known(milestones) = &facts.milestones
        && !milestones.is_empty()
    {
        said.push(format!("milestones {}", shown(&milestones.join(", "))));
    }
    said
}

fn value(facts: &impl Facts<Name = RunFact>, fact: RunFact) -> String {
    if let Reading::Bool(value) = facts.read(fact) {
        return (if value { "yes" } else { "no" }).to_owned();
    }
    let said = is(facts.read(fact));
    said.strip_prefix("is ").unwrap_or(&said).to_owned()
}

fn duration(duration: std::time::Duration) -> String {
    crate::policy::duration::format(duration)
}

/// How a person takes the run back: by the labels, where a row of its state obeys them; by `afk stop` in any case.
fn take_back(rules: &Rules, record: &Record) -> String {
    let obeyed = rules
        .transitions
        .iter()
        .filter(|row| row.from.contains(&record.state))
        .any(|row| words::tests(&row.when).iter().any(|test| test.fact == RunFact::Held));
    let labels = if obeyed {
        format!("take {} off, or add {}; or ", rules.labels.ready.value, rules.labels.paused.value)
    } else {
        String::new()
    };
    format!("{labels}afk stop --issue {}", record.reference())
}

/// Draws it.
pub fn draw(story: &RunStory, now: DateTime<Utc>, out: &mut Output) {
    let state = shown(story.state.as_deref().unwrap_or(story.standing)).to_uppercase();
    let by_itself = match (&story.next, &story.pending) {
        (_, Some(pending)) => format!(" Finishing row {}, then {}.", shown(&pending.row), shown(&pending.to)),
        (Some(next), _) => match (next.held, next.due) {
            (Some(why), true) => format!(" Row {} matches and is HELD: {why}.", next.row),
            (Some(why), false) => {
                format!(" Next by itself: row {} at {}, HELD then: {why}.", next.row, moment(next.at, now))
            }
            (None, true) => format!(" Next: row {} to {}, at the next watch.", next.row, next.to),
            (None, false) => {
                format!(
                    " Next thing to happen by itself: row {} to {}, at {}.",
                    next.row,
                    next.to,
                    moment(next.at, now)
                )
            }
        },
        (None, None) if story.standing == "active" && !story.rows.is_empty() => {
            " Nothing happens by itself.".to_owned()
        }
        _ => String::new(),
    };
    let dot = if story.waits_for.is_empty() || by_itself.is_empty() { "" } else { "." };
    out.line(format_args!("{STRONG}{state}{STRONG:#}: {}{dot}{by_itself}", story.waits_for));
    let mut about = Vec::new();
    about.extend(story.run.as_ref().map(|run| format!("run {run}")));
    about.extend(
        story
            .since
            .map(|since| format!("{} since {}", shown(story.state.as_deref().unwrap_or("")), moment(since, now))),
    );
    about.extend(story.dispatched_at.map(|at| format!("dispatched {}", moment(at, now))));
    about.extend(story.armed_by.as_ref().map(|login| format!("armed by @{login}")));
    about.extend(story.attempts.map(|attempts| crate::cli::findings::counted(attempts as usize, "correction")));
    about.extend(story.link.clone());
    if !about.is_empty() {
        out.line(format_args!("{FAINT}{}{FAINT:#}", about.join(" · ")));
    }
    for note in &story.notes {
        out.line(format_args!("{WARN}note{WARN:#}: {note}"));
    }
    if let Some(pending) = &story.pending {
        let reason = pending.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let since = pending.failing_since.map(|at| format!("; tried since {}", moment(at, now))).unwrap_or_default();
        let until = pending.given_up_at.map(|at| format!(", given up at {}", moment(at, now))).unwrap_or_default();
        out.line(format_args!("remaining of {}{reason}: {}{since}{until}", pending.row, pending.remaining.join(", ")));
    }
    if !story.evidence.is_empty() {
        out.line(format_args!("\n  facts  {}", story.evidence.join(" · ")));
    }
    if !story.rows.is_empty() {
        let head = ["", "row", "state would be", "lacks", "by itself at", "line"];
        let mut table = vec![head.into_iter().map(|title| Cell::styled(title, FAINT)).collect::<Vec<_>>()];
        let first = story.rows.iter().position(|row| row.matches);
        for (index, row) in story.rows.iter().enumerate() {
            let at = match (row.matches, row.by_itself_at) {
                (true, _) => Cell::styled("now", GOOD),
                (false, Some(at)) => moment(at, now).into(),
                (false, None) => "-".into(),
            };
            table.push(vec![
                if first == Some(index) { Cell::styled(">", BAD) } else { Cell::default() },
                row.row.as_str().into(),
                row.to.as_str().into(),
                if row.matches { "-".into() } else { row.lacks.join(", ").into() },
                at,
                row.line.to_string().into(),
            ]);
        }
        out.text(format_args!("\n{}", words::table(&table, 3, "  ")));
    }
    if let Some(take_back) = &story.take_back {
        out.line(format_args!("\nTo take it back yourself: {take_back}"));
    }
}
