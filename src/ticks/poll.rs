//! poll: which armed issues may be taken now, and taking them.

use crate::engine::identity::Purpose;
use crate::ports::{Assignment, PortError, PortResult};

use super::fleet::{Fleet, Run, Standing};
use super::record::Record;
use super::survey::{Armed, Survey, survey};
use super::world::Tick;
use super::{arming, brief, progress, repair};

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
        match dispatch(tick, fleet, armed).await {
            Ok(run) => fleet.runs.extend(run),
            Err(error) => tick.problem(&armed.issue.reference, format!("not dispatched: {error}")),
        }
    }
    Ok(survey)
}

/// Whether a run in a repository could be started and judged: its agent is there, and so is every judge. Asked before
/// an agent costs money, and by every command that foretells a poll; so it touches nothing, a mirror neither.
///
/// # Errors
/// The first thing that is missing.
async fn can_run(tick: &Tick<'_>, repo: &str) -> PortResult<()> {
    let rules = tick.policy.rules(repo);
    tick.world.executor(&rules.agent.executor.value)?.can_start().await?;
    for stage in &rules.stages {
        tick.world.ci.can_judge(repo, stage).await?;
    }
    Ok(())
}

/// Says of every issue that the next poll would take whether its run could be started.
pub async fn foretell(tick: &Tick<'_>, survey: &Survey) {
    for armed in survey.dispatched() {
        if let Err(error) = can_run(tick, &armed.issue.reference.repo).await {
            tick.problem(&armed.issue.reference, format!("it would not be dispatched: {error}"));
        }
    }
}

/// Starts the agent first, then takes the lock, then writes the record: a dispatch that fails leaves no lock behind,
/// and one that is cut short is adopted, because the executor knows the run. `None`: the kill switch came in between.
async fn dispatch(tick: &Tick<'_>, fleet: &Fleet, armed: &Armed) -> PortResult<Option<Run>> {
    let world = tick.world;
    let issue = &armed.issue;
    let rules = tick.policy.rules(&issue.reference.repo);
    let arming = armed.arming.as_ref().ok_or_else(|| PortError::invalid("no event tells who armed it"))?;
    let name = &rules.agent.executor.value;
    let executor = world.executor(name)?;
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
    executor.ensure(&assignment).await?;
    let gates = rules.gates.len();
    let detail = format!("{gates} of {gates} gates pass; run {}, executor `{name}`", arming.run.short());
    tick.event(&issue.reference, "dispatched", detail);

    let mut run = Run {
        reference: issue.reference.clone(),
        issue: Some(issue.clone()),
        labelled: false,
        recorded: None,
        agent: None,
        standing: Standing::Active,
    };
    repair::lock(tick, &mut run).await?;
    progress::save(tick, &mut run, record, None).await?;
    Ok(Some(run))
}

fn switched_off(tick: &Tick<'_>, armed: &Armed) -> bool {
    let why = (tick.world.kill_switch)();
    if let Some(why) = &why {
        tick.event(&armed.issue.reference, "not dispatched", format!("the kill switch is on: {why}"));
    }
    why.is_some()
}
