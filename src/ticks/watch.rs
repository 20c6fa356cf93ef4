//! watch: where each run in flight stands, what is due, and doing it.

use crate::adapters::installation::Orders;
use crate::engine::identity::Purpose;
use crate::engine::pending::PendingRow;
use crate::engine::step::{Advance, Circumstances, End, HeldBy};
use crate::policy::duration::since;
use crate::policy::facts::{AgentStatus, IssueStatus, Observed, RunFacts};
use crate::policy::{Effect, Rules, RunOutcome};
use crate::ports::{PortError, PortErrorKind, PortResult};
use crate::text::clean_line;

use super::effects::{Enactment, accept_turn, interrupt};
use super::facts::{self, RunView};
use super::fleet::{AgentPresence, Fleet, Run, Standing, observe};
use super::leftovers;
use super::progress::{retire_twins, save, short_commit, verdict_in_words};
use super::record::{Record, Sending};
use super::repair;
use super::world::Tick;

/// One watch: observe, repair, then drive every run in flight; each fails alone.
///
/// # Errors
/// When the tracker or the installation as a whole cannot be asked. What fails for one run is in the tick's report.
pub async fn watch(tick: &Tick<'_>) -> PortResult<Fleet> {
    let mut fleet = observe(tick).await?;
    expect(tick, &fleet).await;
    // Each in its turn, while the fleet shows how the others stand.
    for _ in 0..fleet.runs.len() {
        let mut run = fleet.runs.remove(0);
        if let Err(error) = follow(tick, &fleet, &mut run).await {
            tick.problem(&run.reference, error);
        }
        fleet.runs.push(run);
    }
    leftovers::put_away(tick, &fleet).await;
    Ok(fleet)
}

/// What [`watch`] would do, without doing it.
///
/// # Errors
/// As [`watch`].
pub async fn look(tick: &Tick<'_>) -> PortResult<Fleet> {
    let fleet = observe(tick).await?;
    expect(tick, &fleet).await;
    for run in &fleet.runs {
        let Some(record) = run.record().filter(|_| run.standing == Standing::Active) else {
            tick.event(&run.reference, "would repair", run.standing.word());
            continue;
        };
        let view = facts::read(tick, &fleet, run, record).await;
        for remark in &view.remarks {
            tick.problem(&run.reference, remark);
        }
        let advanced = advance(tick, record, &view.facts);
        let path: Vec<&str> = advanced.path.iter().map(|row| row.name.as_str()).collect();
        let decided = record.pending.as_ref().filter(|pending| !is_open_to_choice(pending, &view));
        let what = match (decided, advanced.end) {
            (Some(pending), _) => format!("would finish {}", pending.row),
            (None, End::Act(row)) => format!("would take {} to {}", row.name, row.to),
            (None, End::Held(row, why)) => format!("holds {}: {}", row.name, held_in_words(why)),
            (None, End::Wait | End::Circle) => "waits".to_owned(),
        };
        let passing = if path.is_empty() { String::new() } else { format!(", passing {}", path.join(", ")) };
        tick.event(&run.reference, format!("{}: {what}{passing}", record.state), String::new());
    }
    Ok(fleet)
}

/// Says whose commits are about to be asked for. Where that fails, they are asked for one by one.
async fn expect(tick: &Tick<'_>, fleet: &Fleet) {
    let active = fleet.runs.iter().filter(|run| run.standing == Standing::Active);
    let ranges: Vec<_> = active.filter_map(Run::record).map(facts::range).collect();
    if ranges.len() > 1
        && let Err(error) = tick.world.code.expect(&ranges).await
    {
        tracing::debug!(%error, "asked one by one");
    }
}

async fn follow(tick: &Tick<'_>, fleet: &Fleet, run: &mut Run) -> PortResult<()> {
    if fleet.orders.stopped_at.is_some()
        && let Err(error) = end_agent_on_stop(tick, run).await
    {
        // The run has its own end still.
        tick.problem(&run.reference, error);
    }
    repair::repair(tick, fleet, run).await?;
    if matches!(run.standing, Standing::Active | Standing::Release | Standing::Ending) {
        retire_twins(tick, run).await;
    }
    match run.standing {
        Standing::Active => drive(tick, fleet, run).await,
        Standing::Release | Standing::Ending => release(tick, fleet, run).await,
        Standing::Unclear => Err(PortError::unreachable(match run.record().map(|record| &record.state) {
            Some(state) => format!(
                "{state}, and over; only its lock is left, until its executor can be asked whether the agent has ended"
            ),
            None => "locked; its executor cannot be asked, so nothing is done to it".to_owned(),
        })),
        // Said already, or over.
        Standing::Unreadable | Standing::Finished | Standing::Adopt | Standing::Rebuild => Ok(()),
    }
}

/// `afk stop` ends live agents, also those that were out of reach when it was said.
async fn end_agent_on_stop(tick: &Tick<'_>, run: &Run) -> PortResult<()> {
    let Some((name, agent)) = run.agent.as_ref().filter(|(_, agent)| agent.is_live()) else { return Ok(()) };
    let Some(executor) = tick.world.executors.get(name) else { return Ok(()) };
    executor.interrupt(agent.run).await?;
    tick.event(&run.reference, "interrupted", "`afk stop` is in force");
    let (stopped, now) = (agent.run, tick.world.clock.now());
    let note = |orders: &mut Orders| {
        orders.stopped_agents.entry(stopped).or_insert(now);
    };
    tick.world.installation.give_orders(note).await
}

/// A row sees only that the agent has ended; people are to hear, at the doorbell too, that one of them ended it.
fn say_who_stopped_it(tick: &Tick<'_>, fleet: &Fleet, record: &mut Record) {
    let rules = rules(tick, record);
    let was_stopped = fleet.stopped_at(record).is_some();
    let Some(pending) = record.pending.as_mut().filter(|_| was_stopped) else { return };
    let outcome = rules.state(&pending.to).and_then(|state| state.outcome);
    if let (Some(RunOutcome::Human | RunOutcome::Cancelled), Some(reason)) = (outcome, &mut pending.reason) {
        reason.push_str("; `afk stop` ended it");
    }
}

/// Finishes the pending row of a run, or reads its facts, takes the rows that match, and carries out the first with
/// effects.
async fn drive(tick: &Tick<'_>, fleet: &Fleet, run: &mut Run) -> PortResult<()> {
    let Some(mut record) = run.record().cloned() else { return Ok(()) };
    // Before the facts are read: they tell of the turn, too.
    settle_lost_turn(tick, run, &mut record);
    let mut view = facts::read(tick, fleet, run, &record).await;
    for remark in &view.remarks {
        tick.problem(&run.reference, remark);
    }
    let lock = &rules(tick, &record).labels.in_progress.value;
    if view.issue.as_ref().is_some_and(|issue| !issue.has_label(lock)) {
        // Taking the lock off is no order: `held` is. Reported, and put back.
        tick.problem(
            &run.reference,
            "its lock label was missing and is put back; to stop the run, take the ready label off",
        );
        run.labelled = false;
        repair::lock(tick, run).await?;
    }
    tell_news(tick, run, &record, &view);
    let mut record = view.record.clone();
    record.revision.clone_from(&tick.policy.revision);
    let mut due = record.pending.is_some();
    if record.pending.as_ref().is_none_or(|pending| is_open_to_choice(pending, &view)) {
        due = decide(tick, run, &mut record, &mut view);
        if due {
            say_who_stopped_it(tick, fleet, &mut record);
            // The intention, before the first effect.
            save(tick, run, record.clone(), Some(&view)).await?;
        }
    }
    if due {
        view.record = record.clone();
        Enactment { tick, fleet, view: &view }.carry_out(run, &mut record).await;
        finish(tick, run, &mut record);
    }
    view.facts.attempts = i64::from(record.attempts);
    let ended = record.outcome.is_some();
    save(tick, run, record, Some(&view)).await?;
    if ended { release(tick, fleet, run).await } else { Ok(()) }
}

/// Says what is new since the last tick: a commit, a verdict.
fn tell_news(tick: &Tick<'_>, run: &Run, before: &Record, view: &RunView) {
    let now = &view.record;
    if now.commit != before.commit
        && let Some(commit) = view.commits.iter().flat_map(|commits| &commits.commits).next_back()
    {
        let subject = clean_line(&commit.subject, 100);
        tick.event(&run.reference, "pushed", format!("{} {subject}", short_commit(&commit.sha)));
    }
    let decided = |record: &Record| record.commit.is_some() && record.undecided_since.is_none();
    if decided(now) && (!decided(before) || now.commit != before.commit) {
        let stages = view.stages.iter().filter_map(|(name, verdict)| Some((name, verdict.as_ref().ok()?)));
        let verdicts: Vec<String> =
            stages.map(|(name, verdict)| format!("{name} {}", verdict_in_words(verdict))).collect();
        tick.event(&run.reference, format!("CI {}", view.facts.ci.word()), verdicts.join(", "));
    }
}

/// A turn whose acceptance was not seen: the executor's listing tells, in whichever tick it can be asked again. If it
/// has the turn, the turn counts, and its row is finished; if not, the row is chosen anew from fresh facts, with the
/// same id.
fn settle_lost_turn(tick: &Tick<'_>, run: &Run, record: &mut Record) {
    let sent = record.sending.as_ref().and_then(|sending| {
        // An earlier try may be the one that got through.
        (0..=sending.n)
            .map(|n| record.run.derive(Purpose::CorrectiveTurn { red_commit: &sending.commit }, n))
            .find(|turn| run.agent.as_ref().is_some_and(|(_, agent)| agent.turns.contains(turn)))
    });
    let unsent = record.pending.as_mut().filter(|pending| pending.unsent_turn().is_some());
    match (sent, unsent) {
        (Some(turn), unsent) => {
            if let Some(pending) = unsent {
                pending.remaining.retain(|effect| !matches!(effect.effect, Effect::Turn(_)));
            }
            let commit = record.sending.as_ref().map(|sending| &sending.commit);
            if record.told.as_ref() == commit {
                // Counted before: the policy answers a commit once more that turned red again, and one never gets two.
                record.sending = None;
            } else {
                accept_turn(record, turn, tick.world.clock.now());
            }
        }
        (None, Some(pending)) => {
            record.decisions = pending.decision.saturating_sub(1);
            record.pending = None;
        }
        (None, None) => {}
    }
}

/// Whether a pending row is chosen anew: it begins with a `close`, and the issue was not closed by it. It may have been
/// written down long ago, when the commit was the newest, and green, and nobody had taken the run back.
fn is_open_to_choice(pending: &PendingRow, view: &RunView) -> bool {
    pending.unseen_close().is_some() && view.facts.issue != Observed::Known(IssueStatus::ClosedByPush)
}

/// Takes rows without effects, and makes the first with effects the pending row; whether there is one to carry out.
fn decide(tick: &Tick<'_>, run: &Run, record: &mut Record, view: &mut RunView) -> bool {
    let rules = rules(tick, record);
    let facts = &view.facts;
    let advanced = advance(tick, record, facts);
    if advanced.restarted {
        tick.problem(
            &run.reference,
            format!("the policy has no state `{}` any more; the run goes on from the initial state", record.state),
        );
        enter(tick, record, rules.initial_state().map_or("", |state| state.name.as_str()));
    }
    for row in &advanced.path {
        let from = record.state.clone();
        enter(tick, record, &row.to);
        tick.event(
            &run.reference,
            format!("{from} → {}", row.to),
            format!("row {}, line {}", row.name, tick.policy.line(row.span)),
        );
        end_if_terminal(rules, record, row.reason.as_ref().map(|reason| reason.of_run(facts)));
    }
    // A row that is held keeps it. Nothing that carries the decision's number was sent.
    let before = if matches!(advanced.end, End::Held(..)) { None } else { record.pending.take() };
    if let Some(pending) = &before {
        record.decisions = pending.decision.saturating_sub(1);
    }
    match advanced.end {
        End::Wait => {}
        End::Act(row) => {
            record.decisions += 1;
            let mut pending = PendingRow::new(rules, row, facts, record.decisions);
            // A close that keeps failing is given up in the end, however often its row is chosen.
            if let (Some(tried), Some(close)) =
                (before.as_ref().and_then(PendingRow::unseen_close), pending.remaining.first_mut())
                && close.effect == tried.effect
            {
                close.first_tried = tried.first_tried;
            }
            record.pending = Some(pending);
            if rules.effects(row).iter().any(|effect| matches!(effect.value, Effect::Turn(_))) {
                let subject = record.subject().to_owned();
                let now = tick.world.clock.now();
                match record.sending.as_ref().filter(|sending| sending.commit == subject) {
                    // As of a close: it is given up in the end.
                    Some(sending) => {
                        let turns = record.pending.iter_mut().flat_map(|pending| &mut pending.remaining);
                        for turn in turns.filter(|effect| matches!(effect.effect, Effect::Turn(_))) {
                            turn.first_tried = Some(sending.first_tried);
                        }
                    }
                    None => record.sending = Some(Sending { commit: subject, n: 0, first_tried: now }),
                }
            }
        }
        End::Held(row, why) => {
            let why = held_in_words(why);
            tick.event(&run.reference, "held", format!("row {} matches, but {why}", row.name));
        }
        End::Circle => tick.problem(&run.reference, "rows without effects lead in a circle; the policy is wrong"),
    }
    matches!(advanced.end, End::Act(_))
}

/// Why a row that matches is not taken, for people.
pub fn held_in_words(why: HeldBy) -> &'static str {
    match why {
        HeldBy::KillSwitch => "the kill switch is on",
        HeldBy::HeldUnknown => "whether a person holds the run cannot be established",
        HeldBy::IssueUnknown => "whether the issue is still open cannot be established",
    }
}

/// Enters the state of a pending row of which nothing remains.
fn finish(tick: &Tick<'_>, run: &Run, record: &mut Record) {
    let Some(pending) = record.pending.take_if(|pending| pending.remaining.is_empty()) else { return };
    let rules = rules(tick, record);
    let from = record.state.clone();
    let line = rules.transition(&pending.row).map(|row| format!(", line {}", tick.policy.line(row.span)));
    enter(tick, record, &pending.to);
    let reason = pending.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    tick.event(
        &run.reference,
        format!("{from} → {}", pending.to),
        format!("row {}{}{reason}", pending.row, line.unwrap_or_default()),
    );
    end_if_terminal(rules, record, pending.reason);
}

fn enter(tick: &Tick<'_>, record: &mut Record, state: &str) {
    if record.state != state {
        record.since = tick.world.clock.now();
    }
    state.clone_into(&mut record.state);
}

fn end_if_terminal(rules: &Rules, record: &mut Record, reason: Option<String>) {
    record.outcome = rules.state(&record.state).and_then(|state| state.outcome);
    record.reason = record.outcome.and(reason).map(|reason| clean_line(&reason, 300));
}

/// Releases the lock of an ended run, last of all, and only once its agent is seen to have ended or was given up.
async fn release(tick: &Tick<'_>, fleet: &Fleet, run: &mut Run) -> PortResult<()> {
    let Some(mut record) = run.record().cloned() else { return Ok(()) };
    let label = &rules(tick, &record).labels.in_progress.value;
    let mut live = match fleet.presence(record.run, Some(&record.executor)) {
        AgentPresence::Live => true,
        AgentPresence::None | AgentPresence::Ended => false,
        AgentPresence::Unasked => {
            return Err(PortError::unreachable(
                "ended; its executor cannot be asked whether the agent has, so it stays locked",
            ));
        }
    };
    let effect_timeout = rules(tick, &record).effect_timeout;
    let now = tick.world.clock.now();
    // One that no row told to end may go on for a while, and not for ever: a turn may have reached it late.
    let due = record.interrupted_at.is_some() || since(record.since, now) >= effect_timeout;
    if live && due {
        let asked = interrupt(tick, fleet, &record).await;
        let first = *record.interrupted_at.get_or_insert(now);
        // However long ago the run has ended: nobody is given up who was not told for as long.
        save(tick, run, record.clone(), None).await?;
        if since(first, now) < effect_timeout {
            asked?;
        } else {
            tick.problem(
                &run.reference,
                format!("its agent does not end; if you know that it is gone: afk abandon {}", record.run),
            );
            live = false;
        }
    }
    if live {
        tick.event(&run.reference, "ending", "the run is over, its agent is not; the repository stays locked");
        return Ok(());
    }
    if run.agent.as_ref().is_some_and(|(_, agent)| agent.status == AgentStatus::Failed) {
        // An agent that ended badly may have left processes behind; they must not outlive the lock.
        interrupt(tick, fleet, &record).await?;
    }
    // Before the lock goes, which leads here; done, or tried, when everything else is.
    if let Err(error) = leftovers::note(tick, &record) {
        tick.problem(&run.reference, format!("its agent is not put away: {error}"));
    }
    // A record that the tracker put back to an older text may end once more while a later run is at work.
    let another = fleet.runs.iter().any(|other| other.reference == run.reference && other.standing.goes_on());
    if !another {
        match tick.world.tracker.remove_label(&run.reference, label).await {
            Err(error) if error.kind != PortErrorKind::NotFound => return Err(error),
            _ => {}
        }
        run.labelled = false;
    }
    if fleet.presence(record.run, Some(&record.executor)) != AgentPresence::Live {
        run.standing = Standing::Finished;
    }
    let outcome = match record.outcome {
        Some(RunOutcome::Success) => "success",
        Some(RunOutcome::Human) => "handed to a person",
        Some(RunOutcome::Cancelled) => "taken back",
        None => "",
    };
    let what = if another { "over; the lock is another run's" } else { "over" };
    tick.event(&run.reference, what, format!("{}, {outcome}", record.state));
    Ok(())
}

/// What rows do not read: the kill switch, and whether the repository is still enrolled.
fn circumstances(tick: &Tick<'_>, record: &Record) -> Circumstances {
    Circumstances { kill_switch: tick.policy.kill_switch.value, enrolled: tick.policy.enrolled(&record.repo) }
}

/// How far a run goes in this tick.
pub fn advance<'p>(tick: &Tick<'p>, record: &Record, facts: &RunFacts) -> Advance<'p> {
    tick.machines.of(&record.repo).advance(&record.state, facts, circumstances(tick, record))
}

fn rules<'t>(tick: &'t Tick<'_>, record: &Record) -> &'t Rules {
    tick.policy.rules(&record.repo)
}
