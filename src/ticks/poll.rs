//! poll: which armed issues may be taken now, and taking them.

use std::collections::BTreeMap;

use crate::adapters::installation::TickKind;
use crate::engine::identity::Purpose;
use crate::policy::facts::IssueStatus;
use crate::ports::{Assignment, Issue, PortError, PortResult};

use super::arming::Arming;
use super::fleet::{Fleet, Run, Standing};
use super::record::Record;
use super::survey::{Armed, Hindrance, Survey, survey};
use super::world::Tick;
use super::{arming, brief, progress, repair};

/// How a problem begins that kept a run from being started; the next tick reads it.
const NOT_DISPATCHED: &str = "not dispatched";

/// One poll: observe, adopt, select, dispatch. The kill switch is read again before each dispatch.
///
/// # Errors
/// When the tracker or the installation as a whole cannot be asked. What fails for one issue is in the tick's report.
pub async fn poll(tick: &Tick<'_>) -> PortResult<Survey> {
    let mut survey = survey(tick, None).await?;
    let chosen: Vec<Armed> = survey.dispatched().into_iter().cloned().collect();
    let fleet = &mut survey.fleet;
    let mut runs = std::mem::take(&mut fleet.runs);
    for run in &mut runs {
        if let Err(error) = repair::repair(tick, fleet, run).await {
            tick.problem(&run.reference, error);
        }
    }
    fleet.runs = runs;
    for armed in &chosen {
        if switched_off(tick, armed) {
            break;
        }
        let reference = &armed.issue.reference;
        let (assignment, record) = match prepare(tick, fleet, armed).await {
            Ok(Some(prepared)) => prepared,
            Ok(None) => continue,
            Err(error) => {
                tick.problem(reference, format!("{NOT_DISPATCHED}: {error}"));
                continue;
            }
        };
        let mut run = Run {
            reference: reference.clone(),
            issue: Some(armed.issue.clone()),
            labelled: false,
            recorded: None,
            agent: None,
            standing: Standing::Unclear,
        };
        if let Err(error) = begin(tick, &mut run, &assignment, record).await {
            let what = match run.standing {
                Standing::Active => {
                    "its agent is at work, and that could not be written down; the next tick tries again"
                }
                _ => NOT_DISPATCHED,
            };
            tick.problem(reference, format!("{what}: {error}"));
        }
        // Also where a call failed: it may have taken effect, and the next tick has to look there.
        fleet.runs.push(run);
    }
    Ok(survey)
}

/// Whether a run in a repository could be started, land and be judged: its agent is there, and so is every judge. Asked before
/// an agent costs money, and by every command that foretells a poll; so it touches nothing, a mirror neither.
///
/// # Errors
/// The first thing that is missing.
async fn can_run(tick: &Tick<'_>, repo: &str) -> PortResult<()> {
    let rules = tick.policy.rules(repo);
    tick.world.executor(&rules.agent.executor.value)?.can_start().await?;
    tick.world.code.can_land(repo, rules.agent.landing).await?;
    for stage in &rules.stages {
        tick.world.ci.can_judge(repo, stage).await?;
    }
    Ok(())
}

/// Finds out, of every issue that the next poll would take, what stands in the way of its run: what is missing, and
/// otherwise what the last poll ran into.
pub async fn foretell(tick: &Tick<'_>, survey: &mut Survey) {
    let last = tick.world.installation.heartbeat(TickKind::Poll).ok().flatten();
    let mut hindered = BTreeMap::new();
    for armed in survey.dispatched() {
        let reference = &armed.issue.reference;
        let failed = last.as_ref().and_then(|last| {
            let about = format!("{reference}: {NOT_DISPATCHED}: ");
            let why = last.problems.iter().find_map(|problem| problem.strip_prefix(&about))?;
            Some(Hindrance::FailedAt(last.at, why.to_owned()))
        });
        let hindrance = match can_run(tick, &reference.repo).await {
            Ok(()) => failed,
            Err(error) => Some(Hindrance::CannotStart(error.message)),
        };
        hindered.extend(hindrance.map(|hindrance| (reference.clone(), hindrance)));
    }
    survey.hindered = hindered;
}

/// What the agent is given, and the record of it. `None`: something came in between, and an event says what.
async fn prepare(tick: &Tick<'_>, fleet: &Fleet, armed: &Armed) -> PortResult<Option<(Assignment, Record)>> {
    let world = tick.world;
    let issue = &armed.issue;
    let rules = tick.policy.rules(&issue.reference.repo);
    let arming = armed.arming.as_ref().ok_or_else(|| PortError::invalid("no event tells who armed it"))?;
    let name = &rules.agent.executor.value;
    let template =
        rules.prompts.get("implement").ok_or_else(|| PortError::invalid("the policy has no prompt `implement`"))?;
    can_run(tick, &issue.reference.repo).await?;
    let head = world.code.head(&issue.reference.repo).await?;
    let brief = brief::brief(issue, &arming::trusted_comments(tick, &fleet.afk, issue).await?);
    if brief.had_hidden_parts {
        tick.event(
            &issue.reference,
            "hidden text",
            "the issue has parts that a reader cannot see; the agent is not shown them",
        );
    }
    if let Some(why) = changed_since(tick, issue, arming).await? {
        tick.event(
            &issue.reference,
            "not dispatched",
            format!("{why} while it was prepared; the next poll decides anew"),
        );
        return Ok(None);
    }
    world.installation.expect(&issue.reference, world.clock.now())?;
    let mut assignment = Assignment {
        run: arming.run,
        issue: issue.reference.clone(),
        arming: arming.token.clone(),
        armed_by: arming.by.clone(),
        dispatched_at: tick.started,
        base: head.commit,
        default_branch: head.branch,
        model: rules.agent.model.clone(),
        runtime_mode: rules.agent.runtime_mode.clone(),
        turn: arming.run.derive(Purpose::FirstTurn, 0),
        prompt: String::new(),
        brief_sha256: brief.sha256.clone(),
    };
    let record = Record::of_dispatch(tick.policy, name, &assignment);
    assignment.prompt = brief::first_prompt(template, &record, issue, &brief).map_err(PortError::invalid)?;
    // Once more: what was read since may have taken minutes.
    if switched_off(tick, armed) {
        return Ok(None);
    }
    Ok(Some((assignment, record)))
}

/// What became different about an issue since it was chosen, which may have been minutes ago.
async fn changed_since(tick: &Tick<'_>, chosen: &Issue, arming: &Arming) -> PortResult<Option<&'static str>> {
    let tracker = &tick.world.tracker;
    let Some(issue) = tracker.issue(&chosen.reference).await? else { return Ok(Some("the issue was deleted")) };
    let events = tracker.label_events(&chosen.reference).await?;
    let labels = &tick.policy.rules(&chosen.reference.repo).labels;
    let armed = arming::newest(&events, labels).is_some_and(|newest| newest.token == arming.token)
        && issue.has_label(&labels.ready.value);
    let put_on = |label: &str| issue.has_label(label) && !chosen.has_label(label);
    Ok(if issue.status != IssueStatus::Open {
        Some("the issue was closed")
    } else if !armed {
        Some("the issue was disarmed, or armed anew,")
    } else if put_on(&labels.human.value) || put_on(&labels.paused.value) {
        Some("the issue was put on hold")
    } else if (&issue.title, &issue.body) != (&chosen.title, &chosen.body) {
        Some("the issue was edited")
    } else {
        None
    })
}

/// Starts the agent first, then takes the lock, then writes the record: a dispatch that fails leaves no lock behind,
/// and one that is cut short is adopted, because the executor knows the run.
async fn begin(tick: &Tick<'_>, run: &mut Run, assignment: &Assignment, record: Record) -> PortResult<()> {
    let name = record.executor.clone();
    tick.world.executor(&name)?.ensure(assignment).await?;
    let gates = tick.policy.rules(&run.reference.repo).gates.len();
    let detail = format!("{gates} of {gates} gates pass; run {}, executor `{name}`", assignment.run.short());
    tick.event(&run.reference, "dispatched", detail);
    run.standing = Standing::Active;
    repair::lock(tick, run).await?;
    progress::save(tick, run, record, None).await
}

fn switched_off(tick: &Tick<'_>, armed: &Armed) -> bool {
    let why = (tick.world.kill_switch)();
    if let Some(why) = &why {
        tick.event(&armed.issue.reference, "not dispatched", format!("the kill switch is on: {why}"));
    }
    why.is_some()
}
