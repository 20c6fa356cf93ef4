//! What runs brought to the default branch: however many runs a repository has, git is started a few times.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::history::{MOST_COMMITS, changed_by, log_with_messages};
use super::process::git;
use super::{GitMirrors, is_commit};
use crate::engine::identity::RunId;
use crate::ports::{Head, PortResult, RunCommit, RunCommits, RunRange};

/// How far back the default branch is searched where the base of a run is not known, in commits or merges of it.
const SEARCHED: usize = 5000;
/// How many commits are named that mention the issue without the run's line.
const MOST_MENTIONS: usize = 20;

impl GitMirrors {
    /// The commits of a run on the default branch, as the mirror has them; it must have `head`. Those that were read
    /// with others' ([`GitMirrors::read_landed`]) at the same head are not read again.
    ///
    /// # Errors
    /// Git fails.
    pub async fn landed(&self, range: &RunRange, head: &Head) -> PortResult<RunCommits> {
        let expected = self.expected.borrow_mut().remove(&range.run);
        if let Some((_, _, found)) = expected.filter(|(of, at, _)| of == range && at == head) {
            return Ok(found);
        }
        let mut found = self.landed_of_all(&range.repo, &[range], head).await?;
        Ok(found.pop().unwrap_or_default())
    }

    /// What was read of a run with others', at whatever head.
    pub(super) fn expected(&self, range: &RunRange) -> Option<RunCommits> {
        let expected = self.expected.borrow_mut().remove(&range.run);
        expected.filter(|(of, _, _)| of == range).map(|(_, _, found)| found)
    }

    /// Reads the commits of several runs of one repository together, and keeps them until they are asked for.
    ///
    /// # Errors
    /// Git fails. Perhaps for one of them alone.
    pub async fn read_landed(&self, repo: &str, ranges: &[&RunRange], head: &Head) -> PortResult<()> {
        let found = self.landed_of_all(repo, ranges, head).await?;
        let mut expected = self.expected.borrow_mut();
        for (range, found) in ranges.iter().zip(found) {
            expected.insert(range.run, ((*range).clone(), head.clone(), found));
        }
        Ok(())
    }

    async fn landed_of_all(&self, repo: &str, ranges: &[&RunRange], head: &Head) -> PortResult<Vec<RunCommits>> {
        let mirror = self.clone_source(repo)?.mirror;
        let is_unmoved = |range: &RunRange| range.base.as_deref() == Some(&head.commit);
        let moved: Vec<&RunRange> = ranges.iter().copied().filter(|range| !is_unmoved(range)).collect();
        if moved.is_empty() {
            return Ok(vec![RunCommits::default(); ranges.len()]);
        }
        let known = known(&mirror, moved.iter().filter_map(|range| range.base.as_deref()).collect()).await?;
        let base_of = |range: &RunRange| known.get(range.base.as_deref()?).copied();
        let long_ago = match moved.iter().all(|range| base_of(range).is_some()) {
            true => None,
            false => long_ago(&mirror, &head.commit).await?,
        };
        let start_of = |range: &RunRange| base_of(range).or(long_ago.as_deref());
        let starts: BTreeSet<Option<&str>> = moved.iter().map(|range| start_of(range)).collect();
        let history = History::read(&mirror, &head.commit, &starts).await?;

        let mut patterns: Vec<String> = Vec::new();
        for range in &moved {
            // Git matches messages line by line.
            patterns.push(format!("--grep=^AFK-Run: {}[[:space:]]*$", range.run));
            if base_of(range).is_some() {
                patterns.push(format!("--grep=(^|[^[:alnum:]_/&#])#{}([^0-9]|$)", range.number));
            }
        }
        let mut revisions = vec!["--extended-regexp", "--end-of-options", head.commit.as_str()];
        let before = history.common.as_ref().map(|common| format!("^{common}"));
        revisions.extend(before.as_deref());
        revisions.push("--");
        patterns.sort();
        patterns.dedup();
        let which: Vec<&str> = patterns.iter().map(String::as_str).chain(revisions).collect();
        let marked = log_with_messages(&mirror, &which).await?;

        let mut paths: Option<BTreeMap<String, Vec<String>>> = None;
        let mut all = Vec::new();
        for range in ranges {
            if is_unmoved(range) {
                all.push(RunCommits::default());
                continue;
            }
            let start = start_of(range);
            let since: Vec<&(RunCommit, String)> =
                marked.iter().filter(|(commit, _)| !history.is_before(&commit.sha, start)).collect();
            let (own, others): (Vec<_>, Vec<_>) =
                since.into_iter().partition(|(_, message)| has_line(message, range.run));
            let mut commits: Vec<RunCommit> = own.iter().map(|(commit, _)| commit.clone()).collect();
            commits.drain(..commits.len().saturating_sub(MOST_COMMITS));
            if !commits.is_empty() && paths.is_none() {
                let any_run = |message: &str| moved.iter().any(|range| has_line(message, range.run));
                let of_runs = marked.iter().filter(|(_, message)| any_run(message));
                paths = Some(changed_by(&mirror, of_runs.map(|(commit, _)| commit.sha.as_str())).await?);
            }
            for commit in &mut commits {
                commit.paths = paths.as_ref().and_then(|paths| paths.get(&commit.sha)).cloned().unwrap_or_default();
            }
            let mentioning = others.iter().rev().filter(|(_, message)| mentions(message, range.number));
            let mentions = match base_of(range) {
                Some(_) => mentioning.take(MOST_MENTIONS).map(|(commit, _)| commit.sha.clone()).collect(),
                None => Vec::new(),
            };
            // All of them are on the default branch, where alone they were looked for.
            all.push(RunCommits { landed: !commits.is_empty(), commits, mentions, ..RunCommits::default() });
        }
        Ok(all)
    }
}

/// Calls something for each repository with its runs, a few repositories at a time.
pub async fn for_each_repo(ranges: &[RunRange], call: impl AsyncFn(&str, &[&RunRange])) {
    let mut repos: BTreeMap<String, Vec<&RunRange>> = BTreeMap::new();
    for range in ranges {
        repos.entry(range.repo.to_ascii_lowercase()).or_default().push(range);
    }
    let left = RefCell::new(repos.into_iter());
    let work = async || {
        loop {
            let next = left.borrow_mut().next();
            let Some((repo, ranges)) = next else { break };
            call(&repo, &ranges).await;
        }
    };
    tokio::join!(work(), work(), work(), work());
}

/// How the commits since several starts hang together.
struct History {
    /// A commit that lies before all starts, and is one or an ancestor of each; nothing before it was read.
    common: Option<String>,
    /// Of each start what was read of it and the commits before it.
    before: BTreeMap<String, BTreeSet<String>>,
}

impl History {
    async fn read(mirror: &Path, head: &str, starts: &BTreeSet<Option<&str>>) -> PortResult<Self> {
        let commits: Vec<&str> = starts.iter().copied().flatten().collect();
        if let ([only], 1) = (commits.as_slice(), starts.len()) {
            return Ok(Self { common: Some((*only).to_owned()), before: BTreeMap::new() });
        }
        if commits.is_empty() {
            return Ok(Self { common: None, before: BTreeMap::new() });
        }
        // Where one is looked for in the whole history, or they have no beginning in common, all of it is read.
        let mut common = None;
        if commits.len() == starts.len() {
            let what = [["merge-base", "--octopus"].as_slice(), &commits].concat();
            let answer = git(Some(mirror), &what, "").await?;
            let found = String::from_utf8_lossy(&answer.output).trim().to_owned();
            common = Some(found).filter(|commit| answer.success && is_commit(commit));
        }
        let without = common.as_ref().map(|common| format!("^{common}"));
        let which = ["rev-list", "--parents", "--end-of-options", head];
        let what = [which.as_slice(), &commits, without.as_deref().as_slice(), &["--"]].concat();
        let listed = git(Some(mirror), &what, "").await?.or_fail("read the history of the default branch")?;
        let listed = String::from_utf8_lossy(&listed);
        let mut parents: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for line in listed.lines() {
            let mut names = line.split(' ');
            parents.extend(names.next().map(|commit| (commit, names.collect())));
        }
        let mut before = BTreeMap::new();
        for start in commits {
            let (mut reached, mut next) = (BTreeSet::new(), vec![start]);
            while let Some(commit) = next.pop() {
                if let Some(parents) = parents.get(commit)
                    && reached.insert(commit.to_owned())
                {
                    next.extend(parents);
                }
            }
            before.insert(start.to_owned(), reached);
        }
        Ok(Self { common, before })
    }

    /// Whether a commit is a start, or lies before it. Of what was read only.
    fn is_before(&self, commit: &str, start: Option<&str>) -> bool {
        start.and_then(|start| self.before.get(start)).is_some_and(|before| before.contains(commit))
    }
}

/// Those of the commits that the mirror has.
async fn known<'c>(mirror: &Path, commits: BTreeSet<&'c str>) -> PortResult<BTreeSet<&'c str>> {
    let commits: BTreeSet<&str> = commits.into_iter().filter(|commit| is_commit(commit)).collect();
    if commits.is_empty() {
        return Ok(commits);
    }
    let input: String = commits.iter().map(|commit| format!("{commit}\n")).collect();
    let what = ["cat-file", "--batch-check=%(objectname) %(objecttype)", "--buffer"];
    let listed = git(Some(mirror), &what, &input).await?.or_fail("look for the commits that runs began at")?;
    let listed = String::from_utf8_lossy(&listed);
    let there: BTreeSet<&str> = listed.lines().filter_map(|line| line.strip_suffix(" commit")).collect();
    Ok(commits.into_iter().filter(|commit| there.contains(commit)).collect())
}

/// The commit after which a run whose base is lost is looked for; `None`: the branch is not that old.
async fn long_ago(mirror: &Path, head: &str) -> PortResult<Option<String>> {
    let skip = format!("--skip={SEARCHED}");
    let what = ["rev-list", "--first-parent", "--max-count=1", &skip, "--end-of-options", head, "--"];
    let output = git(Some(mirror), &what, "").await?.or_fail("read the history of the default branch")?;
    Ok(Some(String::from_utf8_lossy(&output).trim().to_owned()).filter(|commit| is_commit(commit)))
}

/// Whether a message has the line of a run.
fn has_line(message: &str, run: RunId) -> bool {
    let run = run.to_string();
    let of_line = |line: &str| {
        let rest = line.strip_prefix("AFK-Run: ").and_then(|rest| rest.strip_prefix(run.as_str()));
        rest.is_some_and(|rest| rest.chars().all(|letter| letter.is_ascii_whitespace() || letter == '\x0b'))
    };
    message.split('\n').any(of_line)
}

/// Whether a message mentions an issue of its own repository: `#7`, and neither `app#7` nor `#71`.
fn mentions(message: &str, number: u64) -> bool {
    let mention = format!("#{number}");
    message.match_indices(&mention).any(|(at, found)| {
        let before = message.get(..at).and_then(|before| before.chars().next_back());
        let after = message.get(at + found.len()..).and_then(|after| after.chars().next());
        let part_of_a_name = |letter: char| letter.is_ascii_alphanumeric() || "_/&#".contains(letter);
        !before.is_some_and(part_of_a_name) && !after.is_some_and(|letter| letter.is_ascii_digit())
    })
}
