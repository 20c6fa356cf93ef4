//! Command CI.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use crate::adapters::git::GitMirrors;
use crate::ports::{Ci, PortError, PortResult, StageVerdict};
use crate::settings::CiCommand;

/// Placeholder.
#[derive(Debug)]
pub struct CommandCi;

impl CommandCi {
    /// Placeholder.
    pub fn new(
        _root: PathBuf,
        _mirrors: Rc<GitMirrors>,
        _commands: BTreeMap<String, CiCommand>,
        _afk: PathBuf,
    ) -> Self {
        Self
    }
    /// Placeholder.
    #[must_use]
    pub fn without_starting(self) -> Self {
        self
    }
}

#[async_trait::async_trait(?Send)]
impl Ci for CommandCi {
    async fn verdict(&self, _repo: &str, _commit: &str, _stage: &crate::policy::Stage) -> PortResult<StageVerdict> {
        Err(PortError::refused("not there yet"))
    }
}
