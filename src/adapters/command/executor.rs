//! The executor's own side: brings runs up, asks them to stop, and reports on them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use tokio::process::{Child, Command};
use tokio::time::Instant;
use uuid::Uuid;

use super::Workspaces;
use super::listing::{begun_turns, describe, progress};
use super::processes;
use super::program;
use super::run::{
    ENSURE_LOCK, HALF_WORKSPACE, INTERRUPT, LOCK, MANIFEST, Manifest, ORDER, PROMPT, RunDirectory, SUPERVISOR_LOG,
    Turn, TurnDirectory, WORKSPACE,
};
use crate::adapters::confined::DirectoryLock;
use crate::adapters::runs;
use crate::engine::identity::RunId;
use crate::policy::facts::AgentStatus;
use crate::ports::{AgentReport, Assignment, Executor, PortError, PortResult, Roster};
use crate::settings::CommandExecutorSettings;
use crate::text;

/// How often something that is about to happen is looked for.
const POLL: Duration = Duration::from_millis(10);
/// How long a supervisor may take to begin.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// The most that is shown of a supervisor's complaint.
const COMPLAINT_LIMIT: usize = 500;

/// Runs agents as processes of this machine; see [`super`].
#[derive(Debug)]
pub struct CommandExecutor<W> {
    root: PathBuf,
    name: String,
    controller: String,
    settings: CommandExecutorSettings,
    workspaces: W,
    supervise: PathBuf,
}

impl<W: Workspaces> CommandExecutor<W> {
    /// An executor that keeps its runs below `root` (absolute), goes by `name` in the settings, works for
    /// `controller`, and starts `supervise` (the `afk` binary) as `supervise supervise TURN_DIRECTORY`.
    pub fn new(
        root: PathBuf,
        name: String,
        controller: String,
        settings: CommandExecutorSettings,
        workspaces: W,
        supervise: PathBuf,
    ) -> Self {
        Self { root, name, controller, settings, workspaces, supervise }
    }

    /// The directory of a run; `None` when there is none yet.
    fn directory(&self, run: RunId) -> PortResult<Option<RunDirectory>> {
        Ok(runs::find(&self.root, run)?.map(RunDirectory))
    }

    /// The manifest of one of this executor's runs; `None` when there is none yet.
    fn manifest(&self, run: RunId, directory: &RunDirectory) -> PortResult<Option<Manifest>> {
        let Some(manifest) = directory.0.read_json::<Manifest>(MANIFEST)? else { return Ok(None) };
        if manifest.assignment.run != run {
            return Err(PortError::invalid(format!("`{}` is of another run", directory.0.path_of(MANIFEST).display())));
        }
        if manifest.controller != self.controller || manifest.executor != self.name {
            return Err(PortError::refused(format!(
                "run {run} belongs to the executor `{}` of the installation `{}`",
                text::clean_line(&manifest.executor, 100),
                text::clean_line(&manifest.controller, 100)
            )));
        }
        Ok(Some(manifest))
    }

    /// Whether a run belongs to another executor of the same installation, which lists it itself.
    fn is_of_a_sibling(&self, run: RunId, directory: &RunDirectory) -> bool {
        let manifest = directory.0.read_json::<Manifest>(MANIFEST);
        manifest.ok().flatten().is_some_and(|manifest| {
            manifest.assignment.run == run && manifest.controller == self.controller && manifest.executor != self.name
        })
    }

    /// Nobody else changes the run while the answer lives. Waits for whoever does; the caller bounds the wait.
    async fn exclusively(&self, directory: &RunDirectory) -> PortResult<DirectoryLock> {
        loop {
            if let Some(lock) = directory.0.try_lock(ENSURE_LOCK)? {
                return Ok(lock);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The clone, complete or not there: a crash on the way leaves no half of it in use.
    async fn make_workspace(&self, directory: &RunDirectory, assignment: &Assignment) -> PortResult<()> {
        if directory.0.exists(WORKSPACE)? {
            return Ok(());
        }
        let half = directory.0.path_of(HALF_WORKSPACE);
        if directory.0.exists(HALF_WORKSPACE)? {
            std::fs::remove_dir_all(&half).map_err(|error| broken(&half, &error))?;
        }
        let Assignment { issue, default_branch, base, .. } = assignment;
        self.workspaces.fresh_clone(&issue.repo, default_branch, base, &half).await?;
        std::fs::rename(&half, directory.workspace()).map_err(|error| broken(&half, &error))
    }

    /// Begins a turn that was not begun yet, and waits until it is.
    async fn begin(
        &self,
        directory: &RunDirectory,
        manifest: &Manifest,
        id: Uuid,
        template: &[String],
        prompt: &str,
        session: &str,
    ) -> PortResult<()> {
        let turn = directory.make_turn(id)?;
        if !directory.0.is_locked(LOCK)? {
            let earlier = directory.turns()?;
            let number = earlier.iter().filter(|(other, _)| *other != id).count().saturating_add(1);
            let prompt_file = turn.0.path_of(PROMPT);
            let workspace = directory.workspace();
            let run = manifest.assignment.run.to_string();
            let values = [
                ("prompt", prompt),
                ("prompt_file", &*prompt_file.to_string_lossy()),
                ("model", &*manifest.assignment.model),
                ("runtime_mode", &*manifest.assignment.runtime_mode),
                ("run", &*run),
                ("workspace", &*workspace.to_string_lossy()),
                ("session", session),
            ];
            let order = Turn {
                run: manifest.assignment.run,
                number,
                argv: template.iter().map(|argument| fill(argument, &values)).collect(),
                prompt_on_stdin: !uses(template, "prompt") && !uses(template, "prompt_file"),
                settings: self.settings.clone(),
            };
            turn.0.put(PROMPT, prompt.as_bytes())?;
            turn.0.put_json(ORDER, &order)?;
            let supervisor = self.start_supervisor(&turn)?;
            return wait_for_start(directory, &turn, Some(supervisor)).await;
        }
        // A supervisor that somebody started and did not wait for.
        wait_for_start(directory, &turn, None).await
    }

    fn start_supervisor(&self, turn: &TurnDirectory) -> PortResult<Child> {
        let stderr = turn.0.empty_file(SUPERVISOR_LOG)?;
        // The agent, the same user, can read its parent's environment: afk's own secrets must not be in it.
        let environment = self.settings.environment.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        Command::new(&self.supervise)
            .env_clear()
            .envs(environment)
            .arg("supervise")
            .arg(turn.0.path())
            .current_dir(turn.0.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .map_err(|error| {
                PortError::refused(format!("could not start the supervisor `{}`: {error}", self.supervise.display()))
            })
    }

    /// One run as people and ticks see it; `None` when it is not one of this executor's.
    fn report(&self, run: RunId) -> PortResult<Option<AgentReport>> {
        let Some(directory) = self.directory(run)? else { return Ok(None) };
        let manifest = match self.manifest(run, &directory) {
            Ok(Some(manifest)) => manifest,
            // The manifest is written first, so somebody took it away.
            Ok(None) if directory.0.is_locked(LOCK)? => {
                return Err(PortError::invalid(format!("run {run} is at work and has no manifest")));
            }
            // Nothing was brought up yet, or it is another executor's.
            Ok(None) => return Ok(None),
            Err(error) if self.is_of_a_sibling(run, &directory) => {
                tracing::trace!(%run, "{error}");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut report = AgentReport {
            run,
            issue: manifest.assignment.issue.clone(),
            turns: Vec::new(),
            status: AgentStatus::Unknown,
            last_activity: None,
            milestones: Some(Vec::new()),
            cost_usd: None,
            last_words: None,
            link: None,
            assignment: Some(manifest.assignment),
        };
        if let Err(error) = describe(&directory, &mut report) {
            tracing::warn!(%run, "the directory of the run is broken, so its agent is unknown: {error}");
            report.status = AgentStatus::Unknown;
        }
        Ok(Some(report))
    }
}

#[async_trait(?Send)]
impl<W: Workspaces> Executor for CommandExecutor<W> {
    async fn can_start(&self) -> PortResult<()> {
        // Both, before an agent costs money: one that cannot be resumed cannot be sent back when CI is red.
        for (what, argv) in [("starts", &self.settings.start), ("resumes with", &self.settings.resume)] {
            if let Some(name) = argv.first().filter(|name| !name.contains('{') && !program::exists(name)) {
                return Err(PortError::refused(format!(
                    "executor `{}` {what} `{}`, which cannot be found or run here",
                    self.name,
                    text::clean_line(name, 200)
                )));
            }
        }
        Ok(())
    }

    async fn list(&self) -> PortResult<Roster> {
        let mut roster = Roster::default();
        for run in runs::in_use(&self.root)? {
            match self.report(run) {
                Ok(report) => roster.agents.extend(report),
                Err(error) => {
                    tracing::warn!(%run, "nobody can tell how its agent is: {error}");
                    roster.unreadable.push((run, error));
                }
            }
        }
        roster.agents.sort_by_key(|report| report.run);
        Ok(roster)
    }

    async fn ensure(&self, assignment: &Assignment) -> PortResult<()> {
        let run = assignment.run;
        let directory = RunDirectory(runs::make(&self.root, run)?);
        let _lock = self.exclusively(&directory).await?;
        let manifest = match self.manifest(run, &directory)? {
            Some(manifest) => manifest,
            None => {
                let manifest = Manifest {
                    controller: self.controller.clone(),
                    executor: self.name.clone(),
                    assignment: assignment.clone(),
                };
                directory.0.put_json(MANIFEST, &manifest)?;
                manifest
            }
        };
        if let Some(first) = directory.turn(manifest.assignment.turn)?
            && (first.accepted()? || first.is_interrupted()?)
        {
            return Ok(());
        }
        self.make_workspace(&directory, &manifest.assignment).await?;
        let Assignment { turn, prompt, .. } = &manifest.assignment;
        self.begin(&directory, &manifest, *turn, &self.settings.start, prompt, "").await
    }

    async fn turn(&self, run: RunId, turn: Uuid, prompt: &str) -> PortResult<()> {
        let unknown = || PortError::not_found(format!("the executor `{}` knows no run {run}", self.name));
        let directory = self.directory(run)?.ok_or_else(unknown)?;
        let _lock = self.exclusively(&directory).await?;
        let manifest = self.manifest(run, &directory)?.ok_or_else(unknown)?;
        if directory.accepted(turn)? {
            return Ok(());
        }
        if directory.0.is_locked(LOCK)? {
            return Err(PortError::refused(format!("the agent of run {run} is still at work on a turn")));
        }
        let earlier = begun_turns(&directory)?;
        if earlier.is_empty() {
            return Err(PortError::refused(format!("run {run} has not had its first turn")));
        }
        let session = earlier.iter().rev().find_map(|(_, turn)| progress(turn).session);
        if session.is_none() && uses(&self.settings.resume, "session") {
            return Err(PortError::refused(format!(
                "the agent of run {run} never told its session id, which `resume` of the executor `{}` needs",
                self.name
            )));
        }
        let session = session.unwrap_or_default();
        self.begin(&directory, &manifest, turn, &self.settings.resume, prompt, &session).await
    }

    async fn interrupt(&self, run: RunId) -> PortResult<()> {
        let Some(directory) = self.directory(run)? else { return Ok(()) };
        let _lock = self.exclusively(&directory).await?;
        let Some(manifest) = self.manifest(run, &directory)? else { return Ok(()) };
        let first = manifest.assignment.turn;
        let target = if directory.0.is_locked(LOCK)? {
            // Turns do not overlap, so the last one is the one at work.
            directory.turns()?.pop().map(|(_, turn)| turn)
        } else if directory.accepted(first)? {
            // Nothing is left of it but what its supervisor could not end.
            processes::end_strays(run, directory.0.path());
            return Ok(());
        } else {
            // Not begun, and never to begin.
            None
        };
        target.map_or_else(|| directory.make_turn(first), Ok)?.0.put(INTERRUPT, b"")
    }

    async fn dismiss(&self, run: RunId) -> PortResult<()> {
        let Some(directory) = self.directory(run)? else { return Ok(()) };
        if directory.0.is_locked(LOCK)? {
            return Err(PortError::refused(format!("the agent of run {run} is still at work")));
        }
        runs::dismiss(&self.root, run)
    }
}

/// Waits until a turn counts as begun, so that the next listing shows it. Without a supervisor of its own it waits
/// for the one that holds the lock.
async fn wait_for_start(
    directory: &RunDirectory,
    turn: &TurnDirectory,
    mut supervisor: Option<Child>,
) -> PortResult<()> {
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        // Looked at before the turn is: one that ended may have begun it.
        let ended = match &mut supervisor {
            Some(child) => child.try_wait().map_err(|error| broken(turn.0.path(), &error))?.is_some(),
            None => !directory.0.is_locked(LOCK)?,
        };
        if turn.accepted()? {
            return Ok(());
        }
        if ended {
            let complaint = turn.0.read(SUPERVISOR_LOG, 64 * 1024).ok().flatten().map(|log| log.bytes);
            let complaint = String::from_utf8_lossy(&complaint.unwrap_or_default()).into_owned();
            let complaint = text::clean_line(&complaint, COMPLAINT_LIMIT);
            return Err(PortError::unreachable(format!("the supervisor ended before the turn began: {complaint}")));
        }
        if Instant::now() >= deadline {
            return Err(PortError::unreachable(format!(
                "the supervisor did not begin `{}` within {} s",
                turn.0.path().display(),
                START_PATIENCE.as_secs()
            )));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn broken(path: &Path, error: &io::Error) -> PortError {
    PortError::invalid(text::clean_line(&format!("`{}`: {error}", path.display()), COMPLAINT_LIMIT))
}

/// Whether an argv has a place for a value.
fn uses(template: &[String], name: &str) -> bool {
    let place = format!("{{{name}}}");
    template.iter().any(|argument| argument.contains(&place))
}

/// Puts values in their places, in one pass: a place inside a value is no place.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let place = after.split_once('}').and_then(|(name, after)| {
            values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value, after))
        });
        match place {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn places_are_filled_once_and_other_braces_stay() {
        let values = [("prompt", "say {model} {prompt}"), ("model", "opus")];
        for (template, filled) in [
            ("{prompt}", "say {model} {prompt}"),
            ("--model={model}", "--model=opus"),
            ("{model}{model}", "opusopus"),
            ("{\"a\": {\"b\": \"{model}\"}}", "{\"a\": {\"b\": \"opus\"}}"),
            ("{unknown}", "{unknown}"),
            ("{", "{"),
            ("{{model}", "{opus"),
            ("{model", "{model"),
            ("", ""),
        ] {
            assert_eq!(fill(template, &values), filled, "{template}");
        }
    }
}
