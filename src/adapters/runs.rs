//! The directories of runs: one for each, named by the run's id alone, below a folder of their own. Beside that folder
//! lies `ended`, with an empty file for each run of which nothing will be asked any more: its directory stays, for people
//! to look at, and is not read again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::confined::Directory;
use crate::engine::identity::RunId;
use crate::ports::PortResult;

/// The directory of a run below the root of all of them; `None` when there is none yet.
///
/// # Errors
/// It cannot be opened, or is something else.
pub fn find(root: &Path, run: RunId) -> PortResult<Option<Directory>> {
    let Some(root) = Directory::find(root)? else { return Ok(None) };
    root.subdirectory(&run.to_string())
}

/// The same, made where there is none: only its owner may enter it, whatever the root allows.
///
/// # Errors
/// As [`find`], or it cannot be made.
pub fn make(root: &Path, run: RunId) -> PortResult<Directory> {
    let made = Directory::make(&root.join(run.to_string()))?;
    Ok(find(root, run)?.unwrap_or(made))
}

/// Every run that has a directory and was not dismissed.
///
/// # Errors
/// The folder cannot be read.
pub fn in_use(root: &Path) -> PortResult<Vec<RunId>> {
    let runs = named(root)?;
    let dismissed = dismissed(root)?;
    Ok(runs.difference(&dismissed).copied().collect())
}

/// Every run that was dismissed.
///
/// # Errors
/// The folder cannot be read.
pub fn dismissed(root: &Path) -> PortResult<BTreeSet<RunId>> {
    named(&ended(root))
}

/// Nothing will be asked of a run any more.
///
/// # Errors
/// That cannot be written down.
pub fn dismiss(root: &Path, run: RunId) -> PortResult<()> {
    Directory::make(&ended(root))?.put(&run.to_string(), b"")
}

fn ended(root: &Path) -> PathBuf {
    root.with_file_name("ended")
}

fn named(folder: &Path) -> PortResult<BTreeSet<RunId>> {
    let Some(folder) = Directory::find(folder)? else { return Ok(BTreeSet::new()) };
    Ok(folder.names()?.iter().filter_map(|name| Uuid::try_parse(name).ok()).map(RunId).collect())
}
