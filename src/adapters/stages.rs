//! Stages, each judged by its own source: a command of the settings, or the checks of the forge.

use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;

use crate::adapters::command::ci::CommandCi;
use crate::policy::{Stage, StageSource};
use crate::ports::{Ci, FailedJob, PortResult, StageVerdict};

/// Both sources of verdicts.
pub struct Stages {
    command: CommandCi,
    checks: Option<Rc<dyn Ci>>,
}

impl std::fmt::Debug for Stages {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Stages").field("command", &self.command).finish_non_exhaustive()
    }
}

impl Stages {
    /// Commands, and the forge's checks where it has any. Without them their stages are refused.
    pub fn new(command: CommandCi, checks: Option<Rc<dyn Ci>>) -> Self {
        Self { command, checks }
    }

    fn of(&self, stage: &Stage) -> &dyn Ci {
        match (&stage.source, &self.checks) {
            (StageSource::Checks { .. }, Some(checks)) => &**checks,
            _ => &self.command,
        }
    }
}

#[async_trait(?Send)]
impl Ci for Stages {
    async fn can_judge(&self, repo: &str, stage: &Stage) -> PortResult<()> {
        self.of(stage).can_judge(repo, stage).await
    }

    async fn verdict(
        &self,
        repo: &str,
        commit: &str,
        stage: &Stage,
        settle_time: Duration,
    ) -> PortResult<StageVerdict> {
        self.of(stage).verdict(repo, commit, stage, settle_time).await
    }

    async fn with_logs(&self, repo: &str, stage: &Stage, jobs: Vec<FailedJob>) -> PortResult<Vec<FailedJob>> {
        self.of(stage).with_logs(repo, stage, jobs).await
    }
}
