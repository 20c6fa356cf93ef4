//! Where agents of T3 Code work.

use std::path::{Path, PathBuf};

use super::memory::{RunDirectory, without};
use crate::adapters::command::Workspaces;
use crate::adapters::confined::Directory;
use crate::adapters::git::directory_name;
use crate::ports::{Assignment, PortError, PortResult};

/// Where the projects of repositories are.
#[derive(Debug)]
pub enum Places<W> {
    /// On the server's own machine, where somebody has put them: a repository `owner/name` lies at `owner/name`.
    There(PathBuf),
    /// On this machine: afk makes each project its checkout, and each run a clone.
    Here {
        /// The folder of the checkouts.
        checkouts: PathBuf,
        /// What makes them.
        workspaces: W,
    },
}

impl<W: Workspaces> Places<W> {
    /// The folder of a repository's project.
    ///
    /// # Errors
    /// It is not the name of a repository.
    pub fn root(&self, repo: &str) -> PortResult<String> {
        // No such name leads out of the folder.
        directory_name(repo)?;
        let (Self::There(checkouts) | Self::Here { checkouts, .. }) = self;
        text(&checkouts.join(repo))
    }

    /// Makes what a run needs on this machine, as far as it is not there; gives the folder that the agent works in,
    /// where that is not the project's own.
    ///
    /// # Errors
    /// The repository cannot be cloned.
    pub async fn prepare(&self, directory: &RunDirectory, assignment: &Assignment) -> PortResult<Option<String>> {
        let Self::Here { checkouts, workspaces } = self else { return Ok(None) };
        let Assignment { issue, default_branch, base, .. } = assignment;
        let name = directory_name(&issue.repo)?;
        let checkout = checkouts.join(&issue.repo);
        let folder = Directory::make(checkouts)?;
        {
            let _lock = folder.lock(&format!(".{name}.lock")).await?;
            if !checkout.exists() {
                let half = without(&folder, &format!(".{name}.partial"))?;
                workspaces.fresh_clone(&issue.repo, default_branch, base, &half).await?;
                if let Some(owner) = checkout.parent() {
                    Directory::make(owner)?;
                }
                rename(&half, &checkout)?;
            }
        }
        if let Some(half) = directory.half_workspace()? {
            workspaces.fresh_clone(&issue.repo, default_branch, base, &half).await?;
            rename(&half, &directory.workspace())?;
        }
        text(&directory.workspace()).map(Some)
    }

    /// What a person can do about a folder that the server does not have.
    pub fn remedy(&self, repo: &str, root: &str) -> String {
        match self {
            Self::There(_) => format!("clone {repo} to `{root}` on the machine that T3 Code runs on"),
            Self::Here { .. } => format!(
                "`{root}` is on this machine; where T3 Code runs on another or in a container, say in `checkouts` where \
                 its clones are"
            ),
        }
    }
}

fn rename(from: &Path, to: &Path) -> PortResult<()> {
    std::fs::rename(from, to).map_err(|error| PortError::invalid(format!("cannot make `{}`: {error}", to.display())))
}

fn text(path: &Path) -> PortResult<String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| PortError::refused(format!("`{}` is not UTF-8; choose another directory", path.display())))
}
