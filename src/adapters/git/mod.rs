//! git, read only through afk's own bare mirrors. afk never runs git in a clone that somebody else has written to.

mod forge;
mod history;
mod landed;
mod process;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use async_trait::async_trait;

use super::confined::Directory;
use crate::adapters::command::Workspaces;
use crate::engine::identity::RunId;
use crate::policy::{Landing, RepoPattern};
use crate::ports::{Code, Head, PortError, PortResult, RunCommits, RunRange};
use crate::text::clean_line;
pub use forge::Forge;
pub use landed::for_each_repo;
use process::{git, git_with, without_credentials};

/// The lock of a mirror: fetches and clones wait for each other.
const LOCK: &str = "afk.lock";
/// Written last when a mirror is made.
const COMPLETE: &str = "afk-mirror";

/// Bare mirrors of the repositories of the settings, and of those of a code host.
#[derive(Debug, Clone)]
pub struct GitMirrors {
    root: PathBuf,
    remotes: BTreeMap<String, String>,
    forge: Option<Forge>,
    /// What was read of several runs together, until it is asked for.
    expected: Rc<RefCell<BTreeMap<RunId, Expected>>>,
}

/// Of which run, at which head, and what was found.
type Expected = (RunRange, Head, RunCommits);

/// Where clones of a repository come from, and where they push to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneSource {
    /// The directory of afk's own bare mirror.
    pub mirror: PathBuf,
    /// The real remote.
    pub remote: String,
}

/// The name of the directory that belongs to a repository: one for each, whatever its spelling.
///
/// # Errors
/// It is not the name of a repository.
pub fn directory_name(repo: &str) -> PortResult<String> {
    match RepoPattern::parse(repo) {
        // No name of a repository has a plus in it.
        Ok(pattern) if pattern.is_exact() => Ok(repo.to_ascii_lowercase().replace('/', "+")),
        _ => Err(PortError::invalid(format!("`{}` is not the name of a repository", clean_line(repo, 100)))),
    }
}

/// Whether a text is the full name of a commit.
pub fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl GitMirrors {
    /// Mirrors below `root` of the repositories in `remotes`, by name.
    pub fn new(root: PathBuf, remotes: BTreeMap<String, String>) -> Self {
        Self { root, remotes, forge: None, expected: Rc::default() }
    }

    /// With a code host, which has every repository that is not among the remotes.
    #[must_use]
    pub fn with_forge(self, forge: Forge) -> Self {
        Self { forge: Some(forge), ..self }
    }

    /// Where clones of a repository come from, and where they push to. Says nothing about the mirror being there.
    ///
    /// # Errors
    /// The settings do not have the repository, and there is no code host that could.
    pub fn clone_source(&self, repo: &str) -> PortResult<CloneSource> {
        let mirror = self.root.join(format!("{}.git", directory_name(repo)?));
        let named = self.remotes.iter().find(|(name, _)| name.eq_ignore_ascii_case(repo));
        let remote = match (named, &self.forge) {
            (Some((_, remote)), _) => remote.clone(),
            (None, Some(forge)) => forge.remote(repo)?,
            (None, None) => {
                let repo = clean_line(repo, 100);
                return Err(PortError::not_found(format!(
                    "the settings do not say where `{repo}` is; add `git = \"…\"` under [repos.\"{repo}\"]"
                )));
            }
        };
        Ok(CloneSource { mirror, remote })
    }

    /// What git needs to be told to read a remote: a token, where the code host has it.
    async fn access(&self, remote: &str) -> PortResult<Vec<(String, String)>> {
        match &self.forge {
            Some(forge) => forge.access(remote).await,
            None => Ok(Vec::new()),
        }
    }

    /// Brings the mirror of a repository up to date and gives its default branch.
    ///
    /// # Errors
    /// The remote cannot be read, or has no default branch with a commit.
    pub async fn refresh(&self, repo: &str) -> PortResult<Head> {
        let source = self.clone_source(repo)?;
        make_mirror(&source.mirror).await?;
        let _lock = Directory::open(&source.mirror)?.lock(LOCK).await?;
        let place = without_credentials(&source.remote);
        let mirror = Some(source.mirror.as_path());
        let access = self.access(&source.remote).await?;
        let what = ["ls-remote", "--symref", "--", &source.remote, "HEAD"];
        let listed = git_with(mirror, &what, "", &access).await?;
        let branch = default_branch(&listed.or_fail(&format!("read `{place}`"))?).ok_or_else(|| {
            PortError::refused(format!("`{place}` has no default branch with a commit; push a first commit to it"))
        })?;
        let fetch = ["fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head"];
        let what = [fetch.as_slice(), &["--", &source.remote, "+refs/heads/*:refs/heads/*"]].concat();
        git_with(mirror, &what, "", &access).await?.or_fail(&format!("fetch from `{place}`"))?;
        let reference = format!("refs/heads/{branch}");
        git(mirror, &["symbolic-ref", "HEAD", &reference], "").await?.or_fail("set the default branch")?;
        let commit =
            git(mirror, &["rev-parse", "--verify", "--end-of-options", &format!("{reference}^{{commit}}")], "")
                .await?
                .or_fail(&format!("find the branch `{}`", clean_line(&branch, 100)))?;
        let commit = String::from_utf8_lossy(&commit).trim().to_owned();
        if !is_commit(&commit) {
            return Err(PortError::invalid(format!("git gave `{}` for a commit", clean_line(&commit, 100))));
        }
        Ok(Head { branch, commit })
    }

    /// Whether the mirror of a repository has this default branch at this very commit, so that nothing is to be fetched.
    ///
    /// # Errors
    /// The settings do not have the repository, or git cannot be run.
    pub async fn is_at(&self, repo: &str, head: &Head) -> PortResult<bool> {
        let mirror = self.clone_source(repo)?.mirror;
        if !mirror.join(COMPLETE).exists() {
            return Ok(false);
        }
        let branch = format!("refs/heads/{}", head.branch);
        let what = ["for-each-ref", "--format=%(HEAD)%(objectname)%(refname)", "--", &branch];
        let known = git(Some(&mirror), &what, "").await?;
        let known = String::from_utf8_lossy(&known.output).trim_end().to_owned();
        Ok(known == format!("*{}{branch}", head.commit))
    }

    /// Fetches one reference of the remote that is no branch, and keeps it under its own name.
    ///
    /// # Errors
    /// The remote does not have it, or cannot be read.
    pub async fn fetch_reference(&self, repo: &str, reference: &str) -> PortResult<()> {
        let source = self.clone_source(repo)?;
        make_mirror(&source.mirror).await?;
        let _lock = Directory::open(&source.mirror)?.lock(LOCK).await?;
        let fetch = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", &source.remote];
        let kept = format!("+{reference}:{reference}");
        let what = [fetch.as_slice(), &[kept.as_str()]].concat();
        let place = without_credentials(&source.remote);
        let access = self.access(&source.remote).await?;
        git_with(Some(&source.mirror), &what, "", &access)
            .await?
            .or_fail(&format!("fetch `{reference}` from `{place}`"))
            .map(drop)
    }

    /// Whether the mirror of a repository has a commit, as it is.
    ///
    /// # Errors
    /// The settings do not have the repository, or git cannot be run.
    pub async fn has(&self, repo: &str, commit: &str) -> PortResult<bool> {
        let mirror = self.clone_source(repo)?.mirror;
        if !is_commit(commit) || !mirror.join(COMPLETE).exists() {
            return Ok(false);
        }
        Ok(git(Some(&mirror), &["cat-file", "-e", &format!("{commit}^{{commit}}")], "").await?.success)
    }

    /// Why a program at a path below the root of a repository could not be run in a clone of the default branch, as the
    /// mirror has it; `None` where it could, where there is no mirror yet, or where a link leads out of the repository.
    ///
    /// # Errors
    /// The settings do not have the repository, or git cannot be run.
    pub async fn why_no_program(&self, repo: &str, path: &str) -> PortResult<Option<&'static str>> {
        let mirror = self.clone_source(repo)?.mirror;
        if !mirror.join(COMPLETE).exists()
            || !git(Some(&mirror), &["rev-parse", "--verify", "-q", "HEAD"], "").await?.success
        {
            return Ok(None);
        }
        let look = ["cat-file", "--batch-check=%(objecttype)", "--follow-symlinks"];
        let found = git(Some(&mirror), &look, &format!("HEAD:{path}\n")).await?.or_fail("look for a program")?;
        if !(found.starts_with(b"blob") || found.starts_with(b"symlink")) {
            return Ok(Some("does not exist"));
        }
        let listed = git(Some(&mirror), &["ls-tree", "HEAD", "--", path], "").await?.or_fail("look for a program")?;
        Ok(listed.starts_with(b"100644").then_some("is not executable"))
    }

    /// A clone with objects of its own, whose `origin` is the real remote, with a commit or branch checked out.
    ///
    /// # Errors
    /// There is no such commit or branch, or the clone cannot be made; what is half made is the caller's to remove.
    pub async fn fresh_clone(&self, repo: &str, revision: &str, into: &Path) -> PortResult<()> {
        let source = self.clone_source(repo)?;
        if !(is_commit(revision) && self.has(repo, revision).await?) {
            self.refresh(repo).await?;
        }
        clone(&source.mirror, Some(&source.remote), revision, into).await
    }
}

/// Makes a clone from a mirror that is there already; see [`GitMirrors::fresh_clone`]. Without a remote it has no
/// `origin` at all: for what must not push.
///
/// # Errors
/// There is no such commit or branch, or the clone cannot be made.
pub async fn clone(mirror: &Path, remote: Option<&str>, revision: &str, into: &Path) -> PortResult<()> {
    let _lock = Directory::open(mirror)?.lock(LOCK).await?;
    let (mirror, target) = (utf8(mirror)?, utf8(into)?);
    let clone = ["clone", "--quiet", "--no-hardlinks", "--no-checkout", "--no-tags", "--template="];
    let what = [clone.as_slice(), &["--", mirror, target]].concat();
    git(None, &what, "").await?.or_fail("clone the mirror")?;
    // Fresh, and nobody else's yet: afk may still run git in it.
    let remote_branch = format!("refs/remotes/origin/{revision}");
    let checkout = if is_commit(revision) {
        vec!["-C", target, "checkout", "--quiet", "--force", "--detach", revision]
    } else {
        vec!["-C", target, "checkout", "--quiet", "--force", "-B", revision, "--track", &remote_branch]
    };
    let checked_out = git(None, &checkout, "").await?;
    if !checked_out.success {
        let revision = clean_line(revision, 100);
        return Err(PortError::not_found(format!("git could not check out `{revision}`: {}", checked_out.error)));
    }
    let origin = match remote {
        Some(remote) => vec!["-C", target, "remote", "set-url", "origin", "--", remote],
        None => vec!["-C", target, "remote", "remove", "origin"],
    };
    git(None, &origin, "").await?.or_fail("set the remote of the clone").map(|_| ())
}

async fn make_mirror(mirror: &Path) -> PortResult<()> {
    if mirror.join(COMPLETE).exists() {
        return Ok(());
    }
    let directory = Directory::make(mirror)?;
    let _lock = directory.lock(LOCK).await?;
    git(None, &["init", "--quiet", "--bare", "--template=", "--", utf8(mirror)?], "")
        .await?
        .or_fail(&format!("make the mirror `{}`", mirror.display()))?;
    directory.put(COMPLETE, b"afk reads this repository only through this mirror; it may be deleted at any time\n")
}

fn utf8(path: &Path) -> PortResult<&str> {
    path.to_str()
        .ok_or_else(|| PortError::refused(format!("`{}` is not UTF-8; choose another directory", path.display())))
}

/// The branch that `HEAD` names, where it has a commit.
fn default_branch(listing: &[u8]) -> Option<String> {
    let listing = std::str::from_utf8(listing).ok()?;
    let mut branch = None;
    let mut has_commit = false;
    for line in listing.lines() {
        match line.split_once('\t')? {
            (reference, "HEAD") if reference.starts_with("ref: ") => {
                branch = reference.strip_prefix("ref: refs/heads/").map(str::to_owned);
            }
            (commit, "HEAD") => has_commit = is_commit(commit),
            _ => {}
        }
    }
    branch.filter(|_| has_commit)
}

#[async_trait(?Send)]
impl Code for GitMirrors {
    async fn head(&self, repo: &str) -> PortResult<Head> {
        self.refresh(repo).await
    }

    async fn expect(&self, ranges: &[RunRange]) -> PortResult<()> {
        for_each_repo(ranges, async |repo, ranges| {
            let read = async { self.read_landed(repo, ranges, &self.refresh(repo).await?).await };
            if let Err(error) = read.await {
                tracing::debug!(repo, %error, "each run is asked about alone");
            }
        })
        .await;
        Ok(())
    }

    async fn run_commits(&self, range: &RunRange) -> PortResult<RunCommits> {
        self.can_land(&range.repo, range.landing).await?;
        if let Some(found) = self.expected(range) {
            return Ok(found);
        }
        let head = self.refresh(&range.repo).await?;
        self.landed(range, &head).await
    }

    async fn can_land(&self, repo: &str, landing: Landing) -> PortResult<()> {
        let remote = self.clone_source(repo)?.remote;
        // An address tells only when it is asked; a folder shows whether it is there.
        if Path::new(&remote).is_absolute() && !Path::new(&remote).exists() {
            return Err(PortError::not_found(format!(
                "`{}` does not exist: see `git` under [repos.\"{}\"] of the settings",
                clean_line(&remote, 200),
                clean_line(repo, 100)
            )));
        }
        match landing {
            Landing::Push => Ok(()),
            Landing::PullRequest => Err(PortError::refused(format!(
                "git alone knows no pull requests; write `landing = \"push\"` for {repo}, or use a tracker that has them"
            ))),
        }
    }
}

#[async_trait(?Send)]
impl Workspaces for GitMirrors {
    async fn fresh_clone(&self, repo: &str, branch: &str, commit: &str, into: &Path) -> PortResult<()> {
        GitMirrors::fresh_clone(self, repo, commit, into).await?;
        let target = utf8(into)?;
        let upstream = format!("--set-upstream-to=origin/{branch}");
        for step in [vec!["checkout", "--quiet", "-B", branch, commit], vec!["branch", "--quiet", &upstream, branch]] {
            let step = [["-C", target].as_slice(), &step].concat();
            git(None, &step, "").await?.or_fail(&format!("check out `{}`", clean_line(branch, 100)))?;
        }
        Ok(())
    }
}
