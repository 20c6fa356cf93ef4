//! What must hold in every life, checked on what is true and not on what afk says: when a call is about to be made,
//! when it takes effect, and when everything has calmed down.
//!
//! **On what was true when it was read** means: a tick reads the facts that it decides by one after the other, while
//! the world goes on. So each fact by itself must have been true at some moment between the beginning of the tick and
//! the call that acts on it, or at the moment that a stale answer showed.

use std::collections::BTreeSet;

use afk::engine::identity::RunId;
use afk::policy::facts::AgentStatus;
use afk::policy::{Effect, RunOutcome};
use afk::ports::{Assignment, IssueRef, Notice, StageVerdict};
use afk::ticks::record::{Found, Record};
use chrono::TimeDelta;

use crate::truth::{
    AFK, Agent, BELLS, Card, Eye, FORGER, HUMAN, IN_PROGRESS, PAUSED, READY, ROBOT, TickId, Truth, Write,
};

type Holds = Result<(), String>;

fn demand(holds: bool, otherwise: impl FnOnce() -> String) -> Holds {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn hold(truth: &mut Truth, invariant: &'static str, holds: Holds) {
    if let Err(detail) = holds {
        truth.violate(invariant, detail);
    }
}

/// What two ticks at once cannot keep where nothing, or not the same thing, locks one of them out.
pub const WITHOUT_A_LOCK: [&str; 3] = ["live agents fit the slots", "one progress comment a run", "rings once"];

/// A tick is about to make a call that changes the world.
pub fn of_call(truth: &mut Truth, tick: TickId, write: &Write) {
    let Some(eye) = truth.eyes.get(&tick) else { return };
    match write {
        Write::Ensure { assignment } => {
            let begun = truth.agents.get(&assignment.run).is_some_and(|agent| !agent.turns.is_empty());
            if begun {
                return;
            }
            let off = nothing_begins_while_switched_off(truth, eye, &assignment.issue);
            let approved = truth.approved.contains(&assignment.run);
            let rested = dispatched_on_what_was_true(truth, eye, assignment, approved);
            truth.approved.insert(assignment.run);
            hold(truth, "nothing begins while the kill switch is on", off);
            hold(truth, "dispatched on what was true when it was read", rested);
        }
        Write::Turn { run, turn } => {
            let Some(agent) = truth.agents.get(run) else { return };
            if agent.turns.contains(turn) {
                return;
            }
            let issue = agent.assignment.issue.clone();
            let off = nothing_begins_while_switched_off(truth, eye, &issue);
            let (red, bounded, ours) = if eye.policy.shipped {
                (
                    a_turn_answers_a_red_commit(eye, *run),
                    corrections_are_bounded(eye, agent.turns.len(), &issue),
                    nothing_is_sent_to_what_was_taken_back(eye, &agent.assignment),
                )
            } else {
                (Ok(()), Ok(()), Ok(()))
            };
            let enrolled = truth.policy_of(eye).enrolled(&issue.repo);
            let enrolled = demand(enrolled, || format!("{issue} is not enrolled any more, and is sent a turn"));
            hold(truth, "nothing begins while the kill switch is on", off);
            hold(truth, "no turn where nothing is enrolled", enrolled);
            hold(truth, "a turn answers a red commit", red);
            hold(truth, "corrections are bounded", bounded);
            hold(truth, "nothing is sent to what was taken back", ours);
        }
        Write::Close { issue } => {
            let green = closed_only_on_green(truth, eye, issue);
            let ours = if eye.policy.shipped { no_close_of_what_was_taken_back(truth, eye, issue) } else { Ok(()) };
            hold(truth, "closed only on green", green);
            hold(truth, "nothing is closed that was taken back", ours);
        }
        Write::AddLabel { issue, label } if label == IN_PROGRESS => {
            let agent = locked_only_where_an_agent_is(truth, issue);
            hold(truth, "locked only where an agent is", agent);
        }
        Write::RemoveLabel { issue, label } if label == IN_PROGRESS => {
            let ended = unlocked_only_when_the_agent_has_ended(truth, eye, issue);
            hold(truth, "unlocked only when the agent has ended", ended);
        }
        Write::RemoveLabel { issue, label } if label == READY => {
            let had_its_run = no_arming_is_lost(truth, eye, issue);
            hold(truth, "no arming is lost", had_its_run);
        }
        Write::Ring { bell, notice } => {
            let once = rings_once(truth, bell, notice);
            hold(truth, "rings once", once);
        }
        _ => {}
    }
}

/// An agent was begun. `tick` is `None` where the executor did so after it had let the call fail: no design can hold a
/// slot for that, so only what does not depend on it is asked.
pub fn of_start(truth: &mut Truth, tick: Option<TickId>, assignment: &Assignment) {
    let once = one_run_per_arming(truth, assignment, tick.is_none());
    hold(truth, "one run per arming", once);
    truth.started.insert(assignment.run, assignment.clone());
    truth.runs_of_armings.insert(assignment.arming.clone(), assignment.run);
    let Some(eye) = tick.and_then(|tick| truth.eyes.get(&tick)) else { return };
    let slots = truth.policy_of(eye).rules(&assignment.issue.repo).dispatch.slots_per_repo.value;
    let within = live_agents_fit_the_slots(truth, assignment, slots);
    hold(truth, "live agents fit the slots", within);
}

/// A turn was accepted that is not the first.
pub fn of_turn(truth: &mut Truth, tick: Option<TickId>, run: RunId) {
    let Some(eye) = tick.and_then(|tick| truth.eyes.get(&tick)) else { return };
    let Some(agent) = truth.agents.get(&run).cloned() else { return };
    let commit = eye.newest.get(&run).cloned().unwrap_or_default();
    // The policy may have got stricter while both were at work.
    let slots = truth.policies.iter().map(|policy| policy.off.rules(&agent.assignment.issue.repo));
    let slots = slots.map(|rules| rules.dispatch.slots_per_repo.value).max().unwrap_or(0);
    let within = live_agents_fit_the_slots(truth, &agent.assignment, slots);
    hold(truth, "live agents fit the slots", within);
    let first = truth.turns_about.insert((run, commit.clone()));
    let blamed = truth.accounts.get(&run).is_some_and(|account| account.tracker_faults > 0);
    let once = demand(first || blamed, || format!("a second turn about {commit} of {}", agent.assignment.issue));
    hold(truth, "one turn per red commit", once);
}

/// A comment was written. Only records matter, and of several of one run only the oldest: afk goes by that one.
pub fn of_record(truth: &mut Truth, tick: Option<TickId>, issue: &IssueRef, comment: &str, body: &str, created: bool) {
    let Some(Found::Valid(record)) = truth.seal.read(issue, body) else { return };
    let run = record.run;
    let account = truth.accounts.entry(run).or_default();
    let counts = account.comment.get_or_insert_with(|| comment.to_owned()) == comment;
    if tick.is_none() {
        account.tracker_faults += 1;
        account.overtaken |= counts && account.record.is_some();
    }
    let trusted = no_record_is_trusted_that_afk_did_not_write(truth, issue, body, &record);
    hold(truth, "no record is trusted that afk did not write", trusted);
    if created {
        let one = one_progress_comment(truth, issue, run);
        hold(truth, "one progress comment a run", one);
    }
    let eye = tick.and_then(|tick| truth.eyes.get(&tick));
    let silence = eye.map_or(Ok(()), |eye| nothing_is_concluded_from_silence(truth, eye, &record));
    hold(truth, "nothing is concluded from silence", silence);
    if !counts {
        return;
    }
    let account = truth.accounts.entry(run).or_default();
    // A row that begins with a close, of which nothing was done, and that another was chosen for, promises nothing.
    let dropped = account.record.as_ref().and_then(|before| before.pending.as_ref()).is_some_and(|before| {
        let kept = record.pending.as_ref().is_some_and(|pending| pending.row == before.row);
        before.unseen_close().is_some() && !kept && record.state != before.to
    });
    if dropped {
        account.owed.clear();
    }
    let mut pending = record.pending.iter().flat_map(|pending| &pending.remaining);
    account.intends_to_close |= pending.any(|pending| matches!(pending.effect, Effect::Close(_)));
    for effect in record.pending.iter().flat_map(|pending| &pending.remaining) {
        if let Effect::Notify(kind) = &effect.effect {
            account.owed.insert(kind.clone());
        }
    }
    account.record = Some((*record).clone());
    if record.outcome.is_some() {
        let told = an_ended_run_rang(truth, &record);
        hold(truth, "an ended run rang", told);
        let counted = attempts_are_turns(truth, &record);
        hold(truth, "attempts are turns", counted);
    }
    truth.tell(|| format!("      the record of {issue} says {}", state_in_words(&record)));
}

fn state_in_words(record: &Record) -> String {
    let pending = record.pending.as_ref().map(|pending| format!(", doing {}", pending.row)).unwrap_or_default();
    let end = match record.outcome {
        Some(RunOutcome::Success) => ", a success",
        Some(RunOutcome::Human) => ", for a person",
        Some(RunOutcome::Cancelled) => ", taken back",
        None => "",
    };
    format!("{}{end}, {} corrections, agent {}{pending}", record.state, record.attempts, record.agent.word())
}

/// No agent is started and no turn sent while the kill switch is on in any form, at the moment afk asks for it.
fn nothing_begins_while_switched_off(truth: &Truth, eye: &Eye, issue: &IssueRef) -> Holds {
    demand(truth.switched_off(eye.installation).is_none(), || format!("{issue}, although the kill switch is on"))
}

/// Nothing unlisted, closed, untrusted, held, edited or blocked is dispatched. One that was cut short is brought up
/// later by its trusted text, if it is still wanted.
fn dispatched_on_what_was_true(truth: &Truth, eye: &Eye, assignment: &Assignment, approved: bool) -> Holds {
    let issue = &assignment.issue;
    let policy = truth.policy_of(eye);
    let window = TimeDelta::from_std(policy.rules(&issue.repo).edit_window).unwrap();
    demand(policy.enrolled(&issue.repo), || format!("{issue} is not enrolled"))?;
    demand(eye.ever(issue, Card::is_open), || format!("{issue} is not open"))?;
    demand(eye.ever(issue, |card| card.armed().is_some_and(|event| event.arming == assignment.arming)), || {
        format!("{issue} is not armed by {}", assignment.arming)
    })?;
    let held = |card: &Card| card.issue.labels.iter().any(|label| label == HUMAN || label == PAUSED);
    demand(eye.ever(issue, |card| !held(card)), || format!("a person holds {issue}"))?;
    if approved {
        return Ok(());
    }
    let armed = |card: &Card| card.events.iter().find(|event| event.arming == assignment.arming).cloned();
    let event = eye.first(issue, armed).ok_or_else(|| format!("{issue} was never armed so"))?;
    let by = event.by.unwrap_or_default();
    let trusted = by != AFK
        && by != ROBOT
        && eye.permissions.iter().any(|permissions| {
            permissions.get(&by).is_some_and(|level| ["admin", "maintain", "write"].contains(&level.as_str()))
        });
    demand(trusted, || format!("{issue} was armed by {by}"))?;
    let edited = |card: &Card| {
        card.edits.iter().any(|edit| edit.by.as_deref() != Some(by.as_str()) && edit.at > event.at - window)
    };
    let looked_at = eye.policy.shipped;
    demand(!looked_at || eye.ever(issue, |card| !edited(card)), || format!("{issue} was edited after {by} armed it"))?;
    let closed = |number: &u64| {
        let blocker = IssueRef { repo: issue.repo.clone(), number: *number };
        !eye.start.cards.contains_key(&blocker)
            || eye.ever(&blocker, |card| !card.is_open())
            || !truth.cards.contains_key(&blocker)
    };
    demand(eye.ever(issue, |card| card.blocked_by.iter().all(closed)), || format!("{issue} is blocked"))
}

/// One arming gets at most one run, under one id; one issue at most one live agent.
fn one_run_per_arming(truth: &Truth, assignment: &Assignment, by_itself: bool) -> Holds {
    let issue = &assignment.issue;
    if let Some(run) = truth.runs_of_armings.get(&assignment.arming) {
        demand(*run == assignment.run, || format!("{issue} got two runs for one arming"))?;
        // Begun again: only where nothing was left that told of the first time.
        // And where the executor forgot it, and then got to a call that it had let fail, nobody asked for that.
        let again = truth.accounts.contains_key(run) && !by_itself;
        demand(!again, || format!("{issue} got its run a second time for one arming"))?;
    }
    let other = truth.agents.values().find(|agent| {
        agent.works() && agent.assignment.issue == *issue && agent.assignment.run != assignment.run && !agent.late
    });
    let abandoned = other.is_some_and(|agent| truth.abandoned.contains(&agent.assignment.run));
    demand(other.is_none() || abandoned, || format!("{issue} has two live agents"))
}

/// At most `slots_per_repo` agents live in a repository. Not counted: one that a person declared gone, and one that
/// the executor brought up only after it had let the call fail.
fn live_agents_fit_the_slots(truth: &Truth, assignment: &Assignment, slots: usize) -> Holds {
    let repo = &assignment.issue.repo;
    let live: Vec<String> = truth
        .agents
        .values()
        .filter(|agent| agent.works() && agent.assignment.issue.repo == *repo && !agent.late)
        .filter(|agent| !truth.abandoned.contains(&agent.assignment.run))
        .map(|agent| agent.assignment.issue.to_string())
        .collect();
    demand(live.len() <= slots, || format!("{} live in {repo}, which has {slots} slots", live.join(", ")))
}

/// A corrective turn is sent only where the run's newest commit was read to be red.
fn a_turn_answers_a_red_commit(eye: &Eye, run: RunId) -> Holds {
    let verdicts = eye.newest.get(&run).and_then(|newest| eye.verdicts.get(newest));
    let red = verdicts.is_some_and(|verdicts| verdicts.iter().any(|verdict| matches!(verdict, StageVerdict::Red(_))));
    demand(red, || format!("run {} got a turn, and its newest commit is not red", run.short()))
}

/// A run gets no more corrective turns than the policy allows.
fn corrections_are_bounded(eye: &Eye, turns: usize, issue: &IssueRef) -> Holds {
    let most = eye.policy.attempts;
    demand(turns <= most, || format!("{issue} is sent correction {turns}, and {most} are allowed"))
}

/// Once a person has taken a run back, the next tick sends it nothing and closes nothing.
fn nothing_is_sent_to_what_was_taken_back(eye: &Eye, assignment: &Assignment) -> Holds {
    let taken_back = eye.start.cards.get(&assignment.issue).is_some_and(|card| {
        let armed = card.events.iter().position(|event| event.arming == assignment.arming);
        card.events.iter().skip(armed.map_or(usize::MAX, |armed| armed + 1)).any(|event| {
            let person = event.by.as_deref() != Some(AFK);
            let held =
                event.added && event.at >= assignment.dispatched_at && (event.label == HUMAN || event.label == PAUSED);
            person && (held || (!event.added && event.label == READY))
        })
    });
    demand(!taken_back || !eye.stale.is_empty(), || format!("a person had taken {} back", assignment.issue))
}

/// afk closes an issue only after it wrote that down, and only in a tick that read green on the newest commit of its
/// run, whatever was decided before; or that saw it closed already.
fn closed_only_on_green(truth: &Truth, eye: &Eye, issue: &IssueRef) -> Holds {
    let mut runs = truth.started.iter().filter(|(_, of)| of.issue == *issue);
    let green = runs.any(|(run, _)| {
        let verdicts = eye.newest.get(run).and_then(|newest| eye.verdicts.get(newest));
        verdicts.is_some_and(|verdicts| verdicts.iter().all(|verdict| *verdict == StageVerdict::Green))
    });
    let closed = eye.ever(issue, |card| !card.is_open());
    let mut accounts = truth.accounts.values();
    let written = accounts.any(|account| {
        account.intends_to_close && account.record.as_ref().is_some_and(|record| record.reference() == *issue)
    });
    demand(written, || format!("{issue} is closed, and that was not written down before"))?;
    demand(green || closed, || format!("{issue} is closed without green on the newest commit"))
}

/// The runs of the issue that still go on, or are all that it has had, were not taken back.
fn no_close_of_what_was_taken_back(truth: &Truth, eye: &Eye, issue: &IssueRef) -> Holds {
    if eye.ever(issue, |card| !card.is_open()) {
        return Ok(());
    }
    let mut runs = truth.started.values().filter(|of| of.issue == *issue);
    let ours = runs.any(|assignment| nothing_is_sent_to_what_was_taken_back(eye, assignment).is_ok());
    demand(ours, || format!("a person had taken {issue} back"))
}

/// The lock goes on only where an agent was started or a run goes on: no phantom locks.
fn locked_only_where_an_agent_is(truth: &Truth, issue: &IssueRef) -> Holds {
    let begun = truth.started.iter().filter(|(_, of)| of.issue == *issue).any(|(run, _)| {
        let account = truth.accounts.get(run);
        account.is_none_or(|account| {
            account.tracker_faults > 0 || account.record.as_ref().is_none_or(|record| record.outcome.is_none())
        })
    });
    let goes_on = truth.accounts.values().filter_map(|account| account.record.as_ref());
    let goes_on = goes_on.into_iter().any(|record| record.reference() == *issue && record.outcome.is_none());
    demand(begun || goes_on, || format!("{issue} is locked, and there is no agent"))
}

/// The lock goes off only when the agent has ended, or `limits.effect_timeout` after it was first told to.
fn unlocked_only_when_the_agent_has_ended(truth: &Truth, eye: &Eye, issue: &IssueRef) -> Holds {
    let timeout = TimeDelta::from_std(truth.policy_of(eye).rules(&issue.repo).effect_timeout).unwrap();
    let live = truth.agents.values().filter(|agent| agent.works() && agent.assignment.issue == *issue && !agent.late);
    for agent in live {
        let run = agent.assignment.run;
        let given_up = truth.told_to_end.get(&run).is_some_and(|at| truth.machine_time() - *at >= timeout);
        demand(given_up || truth.abandoned.contains(&run) || !eye.stale.is_empty(), || {
            format!("{issue} is unlocked, and its agent works")
        })?;
    }
    Ok(())
}

/// afk takes *ready* off only where the arming that stands had its run: who arms an issue again, also while a run of it
/// goes on, asks for another one.
fn no_arming_is_lost(truth: &Truth, eye: &Eye, issue: &IssueRef) -> Holds {
    let had_its_run = |card: &Card| {
        card.armed().is_none_or(|event| {
            let run = RunId::of_arming(&event.arming);
            truth.started.contains_key(&run) || truth.accounts.contains_key(&run)
        })
    };
    demand(eye.ever(issue, had_its_run), || format!("{issue} was armed again, and is disarmed without a run"))
}

/// A doorbell rings a second time only after a crash, a failure or a lost answer between the ring and its record.
fn rings_once(truth: &Truth, bell: &str, notice: &Notice) -> Holds {
    let again = truth.rings.iter().any(|ring| ring.bell == bell && ring.run == notice.run && !ring.excused);
    let blamed = truth.accounts.get(&notice.run).is_some_and(|account| account.tracker_faults > 0);
    demand(!again || blamed, || format!("{bell} rings again for {}", notice.issue))
}

/// An agent counts as gone only where its executor answered and did not show it, or a person said so.
fn nothing_is_concluded_from_silence(truth: &Truth, eye: &Eye, record: &Record) -> Holds {
    let shown = eye.start.agents.contains_key(&record.run) && truth.agents.contains_key(&record.run);
    let gone = record.agent == AgentStatus::Gone && !truth.abandoned.contains(&record.run) && eye.stale.is_empty();
    demand(!(shown && gone), || format!("the agent of {} counts as gone", record.reference()))
}

/// Only a comment of afk's own login under its own key counts as a record.
fn no_record_is_trusted_that_afk_did_not_write(truth: &Truth, issue: &IssueRef, body: &str, record: &Record) -> Holds {
    demand(!body.contains(FORGER), || format!("what a forger wrote on {issue} is taken over"))?;
    let known = truth.started.contains_key(&record.run)
        || truth.cards.get(issue).is_some_and(|card| card.events.iter().any(|event| event.arming == record.arming));
    demand(known, || format!("{issue} has a record of a run that never was"))
}

/// One progress comment a run, and no more; except as often as the tracker itself doubles one or hides it.
fn one_progress_comment(truth: &Truth, issue: &IssueRef, run: RunId) -> Holds {
    let id = run.to_string();
    let comments = truth.cards.get(issue).map(|card| card.comments.as_slice()).unwrap_or_default();
    let progress = comments.iter().filter(|comment| {
        comment.author.as_deref() == Some(AFK)
            && !comment.body.contains(FORGER)
            && comment.body.contains(&id)
            && matches!(truth.seal.read(issue, &comment.body), Some(Found::Valid(_)))
    });
    let count = progress.count();
    let blamed = truth.accounts.get(&run).map_or(0, |account| account.tracker_faults);
    demand(count <= 1 + blamed, || format!("{issue} has {count} progress comments of one run"))
}

/// A run ends only after every notification that its decision promised has rung at every doorbell, or was given up.
fn an_ended_run_rang(truth: &Truth, record: &Record) -> Holds {
    let account = &truth.accounts[&record.run];
    let given_up = record.given_up.iter().any(|what| what.starts_with("ring"));
    for bell in BELLS.iter().filter(|_| !account.owed.is_empty() && !given_up) {
        let rang = truth.rings.iter().any(|ring| ring.bell == *bell && ring.run == record.run);
        demand(rang, || format!("{} ended, and {bell} never rang", record.reference()))?;
    }
    Ok(())
}

/// A record never counts more corrections than the agent was sent.
fn attempts_are_turns(truth: &Truth, record: &Record) -> Holds {
    let Some(agent) = truth.agents.get(&record.run) else { return Ok(()) };
    let turns = agent.turns.len().saturating_sub(1);
    demand(record.attempts as usize <= turns, || {
        format!("{} counts {} corrections of {turns}", record.reference(), record.attempts)
    })
}

/// How many watches a run may take to end and be unlocked, once its bound has passed and the world is well again.
pub const TICKS_TO_END: usize = 6;

/// The world is well again, every bound has passed, and [`TICKS_TO_END`] watches are over.
pub fn of_calm(truth: &mut Truth) {
    let ended = every_run_has_ended(truth);
    hold(truth, "every run has ended", ended);
    let unlocked = no_lock_is_left(truth);
    hold(truth, "no lock is left behind", unlocked);
    let followed = no_agent_is_forgotten(truth);
    hold(truth, "no agent is forgotten", followed);
}

/// Every run whose issue is still there came to its end. Not asked of a record that the tracker put back to an older
/// text after a newer one: when its lock is off nobody looks there, until the issue is armed again.
fn every_run_has_ended(truth: &Truth) -> Holds {
    for (issue, card) in &truth.cards {
        let (records, _) = truth.seal.read_all(issue, AFK, &card.comments);
        for record in records.into_iter().map(|recorded| recorded.record) {
            if truth.accounts.get(&record.run).is_some_and(|account| account.overtaken) {
                continue;
            }
            let shown = (record.outcome.is_some(), record.pending.is_none());
            demand(shown == (true, true), || format!("{issue} is {} for ever", state_in_words(&record)))?;
        }
    }
    Ok(())
}

/// No issue carries the lock, except where a person put it there. A lock that a person hid by renaming its label, and
/// showed again, is that person's where nothing is enrolled any more, or nobody can list the repository: nothing leads afk
/// there once nothing of it is in flight.
fn no_lock_is_left(truth: &Truth) -> Holds {
    for (issue, card) in &truth.cards {
        let locked = card.issue.labels.iter().any(|label| label == IN_PROGRESS);
        let enrolled = truth.policy.is_some_and(|policy| policy.off.enrolled(&issue.repo));
        let listed = enrolled && truth.broken.as_ref() != Some(&issue.repo);
        let by_rename = truth.unveiled.contains(issue) && !listed;
        let mut events = card.events.iter().filter(|event| event.label == IN_PROGRESS);
        let event = events.rfind(|event| event.added).filter(|_| !by_rename);
        let by_afk = event.is_some_and(|event| event.by.as_deref() == Some(AFK));
        demand(!locked || !by_afk, || format!("{issue} is locked for ever"))?;
    }
    Ok(())
}

/// No agent works on that nobody follows, except one that does not obey.
fn no_agent_is_forgotten(truth: &Truth) -> Holds {
    let stray = truth
        .agents
        .values()
        .find(|agent| agent.works() && !agent.stubborn && !truth.abandoned.contains(&agent.assignment.run));
    demand(stray.is_none(), || format!("the agent of {} works on for ever", stray.unwrap().assignment.issue))
}

/// Where a repository is free and an issue may be dispatched, the next poll starts an agent. `but`: not asked of these
/// repositories, each of which may hold one more run that counts as in flight.
pub fn work_goes_on(truth: &mut Truth, started_before: usize, but: &BTreeSet<String>) {
    let Some(policy) = truth.policy.map(|policy| &policy.off) else { return };
    // What a lock or an agent that does not end occupies, whoever put it there.
    let locks = truth.cards.iter().filter(|(_, card)| card.issue.labels.iter().any(|label| label == IN_PROGRESS));
    let agents = truth.agents.values().filter(|agent| agent.works() || agent.ghost);
    let mut busy: BTreeSet<&IssueRef> = agents.map(|agent| &agent.assignment.issue).collect();
    busy.extend(locks.map(|(issue, _)| issue));
    let dispatch = &policy.base.dispatch;
    let started = truth.dispatches - started_before;
    let mut missed = None;
    if started < dispatch.max_per_tick.value && busy.len() + but.len() < dispatch.max_in_flight.value {
        let free = |repo: &str| !busy.iter().any(|issue| issue.repo == repo);
        missed = truth
            .cards
            .iter()
            .filter(|(issue, _)| policy.enrolled(&issue.repo) && free(&issue.repo))
            .filter(|(issue, _)| truth.broken.as_ref() != Some(&issue.repo) && !but.contains(&issue.repo))
            .find(|(issue, card)| may_be_dispatched(truth, issue, card))
            .map(|(issue, _)| issue.to_string());
    }
    let holds = demand(missed.is_none(), || format!("{} waits, and nothing stands in its way", missed.unwrap()));
    hold(truth, "work goes on", holds);
}

/// Repositories with a record that the tracker put back to an older text after a newer one. It says that the run goes on;
/// only when the issue is armed again does a poll find it, and the next watch ends it.
pub fn overtaken(truth: &Truth) -> BTreeSet<String> {
    let overtaken = truth.accounts.values().filter(|account| account.overtaken);
    overtaken.filter_map(|account| account.record.as_ref()).map(|record| record.repo.clone()).collect()
}

/// A dispatch that was cut short before its agent began counts as the run of its arming, once afk called it off because
/// nobody wanted it when it was found, or a person declared it gone: it may never begin.
fn was_called_off(truth: &Truth, run: RunId) -> bool {
    let told_to_end = |agent: &Agent| agent.turns.is_empty() && agent.status == AgentStatus::Failed;
    truth.abandoned.contains(&run) || truth.agents.get(&run).is_some_and(|agent| told_to_end(agent))
}

fn may_be_dispatched(truth: &Truth, issue: &IssueRef, card: &Card) -> bool {
    let carries = |wanted: &str| card.issue.labels.iter().any(|label| label == wanted);
    let Some(event) = card.armed() else { return false };
    let by = event.by.as_deref().unwrap_or_default();
    let level = truth.permissions.get(by).map_or("none", String::as_str);
    let after = card.events.iter().skip_while(|later| later.arming != event.arming);
    let locked_since = after.into_iter().any(|later| later.added && later.label == IN_PROGRESS);
    card.is_open()
        && carries(READY)
        && !carries(HUMAN)
        && !carries(PAUSED)
        && ![AFK, ROBOT].contains(&by)
        && ["admin", "maintain", "write"].contains(&level)
        && !locked_since
        && !truth.runs_of_armings.contains_key(&event.arming)
        && !was_called_off(truth, RunId::of_arming(&event.arming))
        && card.edits.iter().all(|edit| edit.by.as_deref() == Some(by) || edit.at < event.at - TimeDelta::minutes(3))
        && card.blocked_by.iter().all(|number| {
            let blocker = IssueRef { repo: issue.repo.clone(), number: *number };
            truth.cards.get(&blocker).is_none_or(|blocker| !blocker.is_open())
        })
}

impl Eye {
    /// Every version of an issue that a read of this tick may have shown.
    fn versions_of<'a>(&'a self, issue: &'a IssueRef) -> impl Iterator<Item = &'a Card> {
        let moments = std::iter::once(&self.start).chain(&self.stale);
        let known = moments.filter_map(|moment| moment.cards.get(issue));
        known.chain(self.versions.iter().filter(move |(of, _)| of == issue).map(|(_, card)| card)).map(|card| &**card)
    }

    fn ever(&self, issue: &IssueRef, holds: impl Fn(&Card) -> bool) -> bool {
        self.versions_of(issue).any(holds)
    }

    fn first<T>(&self, issue: &IssueRef, find: impl Fn(&Card) -> Option<T>) -> Option<T> {
        self.versions_of(issue).find_map(find)
    }
}
