//! A command of the settings as CI: once for each commit and stage, in a clean clone, detached from the tick.
//!
//! Everything about a job is in its directory `<root>/<repository>/<commit>/<stage>/`; `job.json` says what to do,
//! `result.json` how it ended, `log` holds the end of its output. A job lives as long as its lock is held. One that
//! died without a result (a reboot) is started once more; a second death is red. A command that cannot be started is
//! no verdict: nobody can tell what the commit is worth, and it is tried again.
//!
//! The command runs code that an agent wrote, as the user that afk runs as: it can see and change what that user can.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;

use super::ci_job::{Job, JobDirectory, JobState, Outcome};
use super::program;
use crate::adapters::git::{GitMirrors, directory_name, is_commit};
use crate::policy::{Stage, StageSource};
use crate::ports::{Ci, FailedJob, PortError, PortResult, StageVerdict};
use crate::settings::CiCommand;
use crate::text::clean_line;

/// Commands as CI.
#[derive(Debug, Clone)]
pub struct CommandCi {
    root: PathBuf,
    mirrors: Rc<GitMirrors>,
    commands: BTreeMap<String, CiCommand>,
    supervisor: PathBuf,
    starts: bool,
}

impl CommandCi {
    /// CI below `root` with the commands of the settings; `supervisor` is the afk binary, whose hidden subcommand
    /// `ci-job` outlives the tick.
    pub fn new(
        root: PathBuf,
        mirrors: Rc<GitMirrors>,
        commands: BTreeMap<String, CiCommand>,
        supervisor: PathBuf,
    ) -> Self {
        Self { root, mirrors, commands, supervisor, starts: true }
    }

    /// Only looks: a job that has not been started stays so, and is pending.
    #[must_use]
    pub fn without_starting(self) -> Self {
        Self { starts: false, ..self }
    }

    fn command(&self, stage: &Stage) -> PortResult<&CiCommand> {
        let StageSource::Command { command } = &stage.source else {
            return Err(PortError::refused(format!(
                "stage `{}` asks the forge for its checks, and this installation has none; write `source = \"command\"`",
                stage.name.value
            )));
        };
        let found = self.commands.get(command).filter(|found| !found.command.is_empty()).ok_or_else(|| {
            PortError::not_found(format!(
                "the settings have no command for stage `{}`; add `command = [\"./ci.sh\"]` under [ci.{command}]",
                stage.name.value
            ))
        })?;
        // A relative path lies in the commit; anything else is this machine's.
        match found.command.first() {
            Some(name) if in_the_commit(name).is_none() && !program::exists(name) => {
                let what = if name.contains('/') { "is not there or not executable" } else { "is not on afk's PATH" };
                let name = clean_line(name, 100);
                Err(PortError::refused(format!("stage `{}` needs `{name}`, which {what}", stage.name.value)))
            }
            _ => Ok(found),
        }
    }

    /// Looks for a program of the repository where agents begin: on its default branch.
    async fn is_in_the_repository(&self, repo: &str, stage: &Stage, program: &str) -> PortResult<()> {
        let Some(path) = in_the_commit(program).filter(|path| !path.split('/').any(|part| part == "..")) else {
            return Ok(());
        };
        let mut lack = self.mirrors.why_no_program(repo, &path).await?;
        if lack.is_some() && self.starts {
            self.mirrors.refresh(repo).await?;
            lack = self.mirrors.why_no_program(repo, &path).await?;
        }
        match lack {
            None => Ok(()),
            Some(lack) => Err(PortError::refused(format!(
                "stage `{}` needs `{}`, which {lack} on the default branch of {repo}",
                stage.name.value,
                clean_line(program, 100)
            ))),
        }
    }

    /// Starts the supervisor and forgets it. One that finds another at work, or a result, ends by itself.
    fn start(&self, directory: &Path, command: &CiCommand) -> PortResult<()> {
        let mut supervisor = tokio::process::Command::new(&self.supervisor);
        supervisor.arg("ci-job").arg(directory).current_dir(directory).env_clear();
        // git needs PATH; the command gets only what is named.
        for name in command.environment.iter().map(String::as_str).chain(["PATH"]) {
            if let Some(value) = std::env::var_os(name) {
                supervisor.env(name, value);
            }
        }
        supervisor.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        supervisor.spawn().map(drop).map_err(|error| {
            PortError::unreachable(format!("cannot start `{} ci-job`: {error}", self.supervisor.display()))
        })
    }
}

#[async_trait(?Send)]
impl Ci for CommandCi {
    async fn can_judge(&self, repo: &str, stage: &Stage) -> PortResult<()> {
        match self.command(stage)?.command.first() {
            Some(program) => self.is_in_the_repository(repo, stage, program).await,
            None => Ok(()),
        }
    }

    async fn verdict(
        &self,
        repo: &str,
        commit: &str,
        stage: &Stage,
        _settle_time: Duration,
    ) -> PortResult<StageVerdict> {
        let command = self.command(stage)?;
        if !is_commit(commit) {
            return Err(PortError::invalid(format!("`{}` is not the name of a commit", clean_line(commit, 80))));
        }
        let name = clean_line(&command.command.join(" "), 100);
        let root = std::path::absolute(&self.root)
            .map_err(|error| PortError::unreachable(format!("cannot find `{}`: {error}", self.root.display())))?;
        let place = [&directory_name(repo)?, commit, &stage.name.value];
        let directory = JobDirectory::make(&root, &place)?;
        let problem = match directory.state()? {
            JobState::Ended(Outcome { green: true, .. }) => return Ok(StageVerdict::Green),
            JobState::Ended(outcome) => {
                let url = Some(directory.log_path().display().to_string());
                let failed = FailedJob { name: stage.name.value.clone(), url, log_tail: outcome.log_tail };
                return Ok(StageVerdict::Red(vec![failed]));
            }
            JobState::Running => return Ok(StageVerdict::Pending(format!("`{name}` is running"))),
            JobState::Startable { problem: Some(problem) } if !self.starts => {
                return Err(PortError::unreachable(problem));
            }
            JobState::Startable { problem: None } if !self.starts => {
                return Ok(StageVerdict::Pending(format!("`{name}` is not started yet")));
            }
            JobState::Startable { problem } => problem,
        };
        if !self.mirrors.has(repo, commit).await? {
            self.mirrors.refresh(repo).await?;
            if !self.mirrors.has(repo, commit).await? {
                return Err(PortError::not_found(format!("no branch of {repo} has the commit {commit}")));
            }
        }
        let mirror = self.mirrors.clone_source(repo)?.mirror;
        let mirror = std::path::absolute(&mirror)
            .map_err(|error| PortError::unreachable(format!("cannot find `{}`: {error}", mirror.display())))?;
        directory.prepare(&Job {
            mirror,
            commit: commit.to_owned(),
            command: command.command.clone(),
            environment: command.environment.clone(),
            timeout_seconds: command.timeout.as_secs(),
        })?;
        self.start(directory.path(), command)?;
        match problem {
            // It is tried again, and said meanwhile.
            Some(problem) => Err(PortError::unreachable(problem)),
            None => Ok(StageVerdict::Pending(format!("`{name}` was started"))),
        }
    }
}

/// The path below the root of a clone of a program that the clone has to bring.
fn in_the_commit(program: &str) -> Option<String> {
    if !program.contains('/') || program.starts_with('/') {
        return None;
    }
    let parts: Vec<&str> = program.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    Some(parts.join("/"))
}
