//! What the mirrors know of commits: which a pull request has or was merged as, what they change, and what came after them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::DateTime;

use super::process::git;
use super::{GitMirrors, is_commit};
use crate::engine::identity::RunId;
use crate::ports::{PortError, PortResult, RunCommit};
use crate::text::clean_line;

/// The most commits one run may have; the newest count.
pub(super) const MOST_COMMITS: usize = 5000;

impl GitMirrors {
    /// The commits of a run between the default branch and the head of its pull request, and that head, whoever's line it
    /// has: a merge would bring it, so it is what has to be judged. The newest carries every path that the pull request
    /// changes.
    ///
    /// # Errors
    /// Git fails, or the mirror has not got them.
    pub async fn proposed(&self, repo: &str, run: RunId, default: &str, head: &str) -> PortResult<Vec<RunCommit>> {
        let mirror = self.clone_source(repo)?.mirror;
        let mut commits = commits_of_run(&mirror, run, &format!("{default}..{head}")).await?;
        read_paths(&mirror, &mut commits).await?;
        if commits.last().is_some_and(|newest| newest.sha != head) {
            commits.extend(log(&mirror, &["--max-count=1", "--end-of-options", head, "--"]).await?);
        }
        if let Some(newest) = commits.last_mut() {
            add_paths(&mut newest.paths, changed(&mirror, &format!("{default}...{head}")).await?);
        }
        Ok(commits)
    }

    /// The commit that a pull request was merged as, with every path that the merge brought; `head` is the last commit
    /// of the pull request, where it is known still.
    ///
    /// # Errors
    /// Git fails, or the default branch has not got the commit.
    pub async fn merged(&self, repo: &str, commit: &str, default: &str, head: Option<&str>) -> PortResult<RunCommit> {
        let mirror = self.clone_source(repo)?.mirror;
        let contained = ["merge-base", "--is-ancestor", commit, default];
        if !self.has(repo, commit).await? || !git(Some(&mirror), &contained, "").await?.success {
            return Err(PortError::unreachable(format!(
                "a pull request of {repo} was merged as `{}`, which its default branch has not got",
                clean_line(commit, 80)
            )));
        }
        let mut found = log(&mirror, &["--max-count=1", "--end-of-options", commit, "--"]).await?;
        let mut found = found.pop().ok_or_else(|| PortError::invalid(format!("git does not show `{commit}`")))?;
        // A merge is compared with what the branch was before. The rebased commits before the last are only in `head`.
        found.paths = changed(&mirror, &format!("{commit}^1..{commit}")).await?;
        if let Some(head) = head {
            add_paths(&mut found.paths, changed(&mirror, &format!("{commit}^1...{head}")).await?);
        }
        Ok(found)
    }

    /// What came after a commit on its branch, nearest first: on the default branch, or else on that of a run. What
    /// other branches were made of it does not count, merged or not.
    ///
    /// # Errors
    /// Git fails.
    pub async fn descendants(&self, repo: &str, commit: &str) -> PortResult<Vec<String>> {
        let mirror = self.clone_source(repo)?.mirror;
        let mirror = Some(mirror.as_path());
        if !self.has(repo, commit).await? {
            return Ok(Vec::new());
        }
        let default = git(mirror, &["symbolic-ref", "HEAD"], "").await?.or_fail("find the default branch")?;
        let default = String::from_utf8_lossy(&default).trim().to_owned();
        let contains = format!("--contains={commit}");
        let branches = ["for-each-ref", &contains, "--format=%(refname)", "--", &default, "refs/heads/afk/"];
        let branches = git(mirror, &branches, "").await?.or_fail("find the branches of a commit")?;
        let branches = String::from_utf8_lossy(&branches).into_owned();
        let branch = branches.lines().find(|branch| *branch == default).or_else(|| branches.lines().next());
        let Some(branch) = branch else { return Ok(Vec::new()) };
        let range = format!("{commit}..{branch}");
        let list = async |what: &str| {
            let what = ["rev-list", "--topo-order", "--reverse", what, "--end-of-options", &range, "--"];
            let listed = git(mirror, &what, "").await?.or_fail("read what came after a commit")?;
            Ok::<_, PortError>(String::from_utf8_lossy(&listed).lines().map(str::to_owned).collect::<Vec<_>>())
        };
        let after: BTreeSet<String> = list("--ancestry-path").await?.into_iter().collect();
        Ok(list("--first-parent").await?.into_iter().filter(|commit| after.contains(commit)).collect())
    }
}

/// The commits whose message has the line of the run, oldest first.
async fn commits_of_run(mirror: &Path, run: RunId, revisions: &str) -> PortResult<Vec<RunCommit>> {
    // Git matches messages line by line.
    let line = format!("--grep=^AFK-Run: {run}[[:space:]]*$");
    let count = format!("--max-count={MOST_COMMITS}");
    log(mirror, &["--extended-regexp", &line, &count, "--end-of-options", revisions, "--"]).await
}

/// The commits that `git log` gives, oldest first, without their paths.
async fn log(mirror: &Path, which: &[&str]) -> PortResult<Vec<RunCommit>> {
    let commits = log_as("%H%x00%ct%x00%s", mirror, which).await?;
    Ok(commits.into_iter().map(|(commit, _)| commit).collect())
}

/// [`log`] with the whole message of each.
pub(super) async fn log_with_messages(mirror: &Path, which: &[&str]) -> PortResult<Vec<(RunCommit, String)>> {
    log_as("%H%x00%ct%x00%s%x00%B", mirror, which).await
}

async fn log_as(fields: &str, mirror: &Path, which: &[&str]) -> PortResult<Vec<(RunCommit, String)>> {
    let log = ["log", "-z", "--topo-order", "--reverse", "--encoding=UTF-8", "--no-color"];
    let format = format!("--format=tformat:{fields}");
    let what = [log.as_slice(), &[format.as_str()], which].concat();
    let output = git(Some(mirror), &what, "").await?.or_fail("read the commits of the run")?;
    let with_message = fields.ends_with("%B");
    let mut fields = output.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let mut commits = Vec::new();
    while let (Some(sha), Some(time), Some(subject)) = (fields.next(), fields.next(), fields.next()) {
        let message = if with_message { fields.next().unwrap_or_default().into_owned() } else { String::new() };
        let at = time.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let (true, Some(at)) = (is_commit(&sha), at) else {
            return Err(PortError::invalid("git lists the commits of the run in a way that makes no sense"));
        };
        let subject = clean_line(&subject, 300);
        commits.push((RunCommit { sha: sha.into_owned(), at, subject, paths: Vec::new() }, message));
    }
    Ok(commits)
}

/// Fills in the paths that commits change.
async fn read_paths(mirror: &Path, commits: &mut [RunCommit]) -> PortResult<()> {
    let mut paths = changed_by(mirror, commits.iter().map(|commit| commit.sha.as_str())).await?;
    for commit in commits {
        commit.paths = paths.remove(&commit.sha).unwrap_or_default();
    }
    Ok(())
}

/// The paths that each commit changes, in order: compared with every parent; a rename changes both names.
pub(super) async fn changed_by(
    mirror: &Path,
    commits: impl Iterator<Item = &str>,
) -> PortResult<BTreeMap<String, Vec<String>>> {
    let input: String = commits.map(|commit| format!("{commit}\n")).collect();
    if input.is_empty() {
        return Ok(BTreeMap::new());
    }
    let what = ["diff-tree", "--stdin", "-z", "-r", "-m", "--root", "--raw", "--no-renames", "--no-color"];
    let output = git(Some(mirror), &what, &input).await?.or_fail("read what the commits of the run change")?;
    let mut paths: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut commit = None;
    let mut fields = output.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    while let Some(field) = fields.next() {
        // A field that starts with a colon describes the path after it, so no path can be taken for a commit.
        if field.starts_with(':') {
            if let (Some(commit), Some(path)) = (&commit, fields.next()) {
                paths.entry(String::clone(commit)).or_default().insert(path.into_owned());
            }
        } else if let Some(sha) = field.split_whitespace().next() {
            commit = Some(sha.to_owned());
        }
    }
    Ok(paths.into_iter().map(|(commit, paths)| (commit, paths.into_iter().collect())).collect())
}

/// The paths that differ, of two commits as `git diff` takes them; a rename changes both names.
async fn changed(mirror: &Path, commits: &str) -> PortResult<Vec<String>> {
    let diff = ["diff", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--no-color", "--ignore-submodules=none"];
    let what = [diff.as_slice(), &["--end-of-options", commits, "--"]].concat();
    let output = git(Some(mirror), &what, "").await?.or_fail("read what the pull request changes")?;
    let paths = output.split(|byte| *byte == 0).filter(|path| !path.is_empty());
    Ok(paths.map(|path| String::from_utf8_lossy(path).into_owned()).collect())
}

fn add_paths(paths: &mut Vec<String>, more: Vec<String>) {
    let all: BTreeSet<String> = paths.drain(..).chain(more).collect();
    paths.extend(all);
}
