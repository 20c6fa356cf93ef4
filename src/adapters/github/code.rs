//! Commits on GitHub: git says what they are, through afk's mirrors; GraphQL says what the pull request of a run is,
//! and whether a mirror is behind at all.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::probe::{aliased, aliased_part, names};
use super::reading::PageInfo;
use super::{Github, parse, parts};
use crate::adapters::git::{GitMirrors, for_each_repo, is_commit};
use crate::policy::Landing;
use crate::policy::facts::PullRequestStatus;
use crate::ports::{Code, Head, PortError, PortResult, RunCommits, RunRange};
use crate::text::clean_line;

const HEAD: &str = include_str!("head.graphql");
const PULL_REQUESTS: &str = include_str!("pull_requests.graphql");
/// What is asked about several repositories at once, and how many they are.
const HEADS: &str = include_str!("heads.graphql");
const AT_ONCE: usize = 100;
/// The most pages of pull requests that are read of one branch: forks may give as many as they like its name.
const MOST_PAGES: usize = 20;

/// GitHub as a code host.
#[derive(Debug, Clone)]
pub struct GithubCode {
    github: Github,
    mirrors: Rc<GitMirrors>,
    /// What was asked about several at once.
    expected: Rc<RefCell<BTreeMap<Wanted, Repository>>>,
    /// By repository.
    mirrored: Rc<RefCell<BTreeMap<String, Mirrored>>>,
}

/// The head that GitHub told last, and the one that the mirror was found at, or brought to.
type Mirrored = (Option<Head>, Head);

/// A repository, and the branch whose pull requests are wanted.
type Wanted = (String, Option<String>);

#[derive(Debug, Deserialize)]
struct RepositoryAnswer {
    repository: Option<Repository>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repository {
    default_branch_ref: Option<Branch>,
    #[serde(default)]
    pull_requests: PullRequests,
}

#[derive(Debug, Clone, Deserialize)]
struct Branch {
    name: String,
    target: Option<Object>,
}

#[derive(Debug, Clone, Deserialize)]
struct Object {
    oid: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullRequests {
    #[serde(default)]
    page_info: PageInfo,
    #[serde(default)]
    nodes: Vec<Option<PullRequest>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullRequest {
    number: u64,
    url: String,
    state: String,
    is_draft: bool,
    is_cross_repository: bool,
    base_ref_name: String,
    head_ref_oid: String,
    merge_commit: Option<Object>,
}

impl Branch {
    fn head(self) -> Option<Head> {
        Some(Head { branch: self.name, commit: self.target?.oid })
    }
}

impl PullRequest {
    fn status(&self) -> PortResult<PullRequestStatus> {
        match self.state.as_str() {
            "OPEN" if self.is_draft => Ok(PullRequestStatus::Draft),
            "OPEN" => Ok(PullRequestStatus::Open),
            "MERGED" => Ok(PullRequestStatus::Merged),
            "CLOSED" => Ok(PullRequestStatus::Closed),
            other => Err(PortError::invalid(format!(
                "github: pull request {} is in a state that afk does not know: `{}`",
                self.number,
                clean_line(other, 60)
            ))),
        }
    }
}

impl GithubCode {
    /// The code host that `github` is, read through `mirrors`.
    pub fn new(github: Github, mirrors: Rc<GitMirrors>) -> Self {
        Self { github, mirrors, expected: Rc::default(), mirrored: Rc::default() }
    }

    /// The default branch where there is one, and the pull requests of a branch, newest first. `expected`: the first
    /// answer, where it is there already.
    async fn ask(
        &self,
        repo: &str,
        branch: Option<&str>,
        mut expected: Option<Repository>,
    ) -> PortResult<(Option<Head>, Vec<PullRequest>)> {
        let (owner, name) = parts(repo)?;
        let (document, mut variables) = match branch {
            Some(branch) => (PULL_REQUESTS, json!({ "owner": owner, "name": name, "branch": branch })),
            None => (HEAD, json!({ "owner": owner, "name": name })),
        };
        let (mut pull_requests, mut pages) = (Vec::new(), 0_usize);
        let default_branch = loop {
            let repository = match expected.take() {
                Some(repository) => repository,
                None => {
                    let (answer, _) = self.github.query::<RepositoryAnswer>(document, variables.clone()).await?;
                    answer
                        .repository
                        .ok_or_else(|| PortError::not_found(format!("github: there is no repository {repo}")))?
                }
            };
            pull_requests.extend(repository.pull_requests.nodes.into_iter().flatten());
            pages += 1;
            match repository.pull_requests.page_info {
                PageInfo { has_next_page: false, .. } => break repository.default_branch_ref,
                PageInfo { end_cursor: Some(after), .. } if pages < MOST_PAGES => variables["after"] = json!(after),
                _ => {
                    return Err(PortError::invalid(format!(
                        "github: {repo} has more pull requests from branches called `{}` than afk reads: which is the \
                         run's is not known",
                        clean_line(branch.unwrap_or_default(), 60)
                    )));
                }
            }
        };
        Ok((default_branch.and_then(Branch::head), pull_requests))
    }

    /// The default branch, with a mirror that has its newest commit; `told`: as GitHub tells it.
    async fn mirrored(&self, repo: &str, told: Option<Head>) -> PortResult<Head> {
        let name = repo.to_ascii_lowercase();
        let known = self.mirrored.borrow().get(&name).filter(|(of, _)| *of == told).map(|(_, head)| head.clone());
        if let Some(head) = known {
            return Ok(head);
        }
        let head = match &told {
            Some(head) if self.mirrors.is_at(repo, head).await? => head.clone(),
            // Behind, or empty, which git tells too.
            _ => self.mirrors.refresh(repo).await?,
        };
        self.mirrored.borrow_mut().insert(name, (told, head.clone()));
        Ok(head)
    }

    fn expected(&self, repo: &str, branch: Option<&str>) -> Option<Repository> {
        self.expected.borrow().get(&(repo.to_ascii_lowercase(), branch.map(str::to_owned))).cloned()
    }

    /// Asks about several repositories, and branches of theirs, at once. What cannot be told so is asked for one by one.
    async fn ask_at_once(&self, wanted: &[Wanted]) -> PortResult<()> {
        let with_branch = wanted.iter().any(|(_, branch)| branch.is_some());
        let selection = if with_branch {
            "...Headed pullRequests(headRefName: $branch{index}, first: 100, orderBy: { field: CREATED_AT, direction: DESC }) \
             { ...Proposed }"
        } else {
            "...Headed"
        };
        let branches: Vec<String> = match with_branch {
            true => (0..wanted.len()).map(|index| format!("$branch{index}: String!")).collect(),
            false => Vec::new(),
        };
        let mut document = aliased("Heads", &branches.join(", "), wanted.len(), selection);
        let fragments = HEADS.split("\n\n").filter(|fragment| with_branch || fragment.contains("Headed"));
        document.extend(fragments);
        let mut variables = names(wanted.iter().map(|(repo, _)| repo.as_str()))?;
        for (index, (_, branch)) in wanted.iter().enumerate().filter(|_| with_branch) {
            variables.insert(format!("branch{index}"), json!(branch));
        }
        let reply = self.github.ask(&document, Value::Object(variables)).await?;
        for (index, of) in wanted.iter().enumerate() {
            if let Ok(repository) = aliased_part(&reply, index).and_then(parse::<Repository>) {
                self.expected.borrow_mut().insert(of.clone(), repository);
            }
        }
        Ok(())
    }

    /// Whether the mirror has the head of a pull request, fetched where it is missing. GitHub keeps it under the
    /// number, also when the branch was deleted after the merge.
    async fn fetch(&self, repo: &str, pull_request: &PullRequest) -> PortResult<bool> {
        let head = &pull_request.head_ref_oid;
        if !is_commit(head) {
            return Err(PortError::invalid(format!("github: `{}` is not the name of a commit", clean_line(head, 80))));
        }
        if self.mirrors.has(repo, head).await? {
            return Ok(true);
        }
        self.mirrors.fetch_reference(repo, &format!("refs/pull/{}/head", pull_request.number)).await?;
        self.mirrors.has(repo, head).await
    }

    async fn by_pull_request(&self, range: &RunRange) -> PortResult<RunCommits> {
        let repo = &range.repo;
        let branch = range.run.branch();
        let expected = self.expected(repo, Some(&branch));
        let (head, pull_requests) = self.ask(repo, Some(&branch), expected).await?;
        let head = self.mirrored(repo, head).await?;
        let mut found = self.mirrors.landed(range, &head).await?;
        let Some(pull_request) = of_the_run(&pull_requests, &head.branch) else { return Ok(found) };
        found.pull_request = pull_request.status()?;
        found.pull_request_url = Some(clean_line(&pull_request.url, 500));
        if found.pull_request == PullRequestStatus::Merged {
            // The merge tells what was brought, whether its parts are known still or not.
            let known = self.fetch(repo, pull_request).await.unwrap_or(false);
            let last = known.then_some(pull_request.head_ref_oid.as_str());
            let merge = pull_request.merge_commit.as_ref().ok_or_else(|| {
                PortError::unreachable(format!(
                    "github: what pull request {} was merged as is not known",
                    pull_request.number
                ))
            })?;
            let merge = self.mirrors.merged(repo, &merge.oid, &head.commit, last).await?;
            found.commits.retain(|commit| commit.sha != merge.sha);
            found.commits.push(merge);
            found.landed = true;
            return Ok(found);
        }
        if !self.fetch(repo, pull_request).await? {
            return Err(PortError::unreachable(format!(
                "github: the head of pull request {} of {repo} cannot be fetched, it may have just moved",
                pull_request.number
            )));
        }
        let proposed = self.mirrors.proposed(repo, range.run, &head.commit, &pull_request.head_ref_oid).await?;
        found.landed &= proposed.is_empty();
        found.commits.extend(proposed);
        Ok(found)
    }
}

/// The branch whose pull requests are asked for.
fn branch_of(range: &RunRange) -> Option<String> {
    match range.landing {
        Landing::Push => None,
        Landing::PullRequest => Some(range.run.branch()),
    }
}

/// Whether nothing came after the commit that a run began at.
fn is_unmoved(range: &RunRange, head: &Head) -> bool {
    range.base.as_deref() == Some(&head.commit)
}

/// The pull request of a run: from its own branch, never from a fork, where anybody may give a branch that name; into
/// the default branch. One that is open goes before one that was merged, and that before one that was closed.
fn of_the_run<'a>(pull_requests: &'a [PullRequest], default_branch: &str) -> Option<&'a PullRequest> {
    let own = pull_requests
        .iter()
        .filter(|pull_request| !pull_request.is_cross_repository && pull_request.base_ref_name == default_branch);
    // The first of equal ones, which is the newest.
    own.min_by_key(|pull_request| match pull_request.state.as_str() {
        "MERGED" => 1,
        "CLOSED" => 2,
        _ => 0,
    })
}

#[async_trait(?Send)]
impl Code for GithubCode {
    async fn head(&self, repo: &str) -> PortResult<Head> {
        let (head, _) = self.ask(repo, None, None).await?;
        self.mirrored(repo, head).await
    }

    async fn expect(&self, ranges: &[RunRange]) -> PortResult<()> {
        let (mut heads, mut branches) = (Vec::new(), Vec::new());
        for range in ranges.iter().filter(|range| parts(&range.repo).is_ok()) {
            let wanted = (range.repo.to_ascii_lowercase(), branch_of(range));
            match range.landing {
                Landing::Push => heads.push(wanted),
                Landing::PullRequest => branches.push(wanted),
            }
        }
        heads.sort();
        heads.dedup();
        for chunk in heads.chunks(AT_ONCE).chain(branches.chunks(AT_ONCE)) {
            self.ask_at_once(chunk).await?;
        }
        for_each_repo(ranges, async |repo, ranges| {
            let told = |range: &&&RunRange| {
                let repository = self.expected(repo, branch_of(range).as_deref())?;
                repository.default_branch_ref?.head()
            };
            let Some(head) = ranges.iter().find_map(|range| told(&range)) else { return };
            let read = async {
                // What nothing came after takes no mirror.
                let mut moved = ranges.to_vec();
                moved.retain(|range| range.landing != Landing::Push || !is_unmoved(range, &head));
                if moved.is_empty() {
                    return Ok(());
                }
                let head = self.mirrored(repo, Some(head)).await?;
                self.mirrors.read_landed(repo, &moved, &head).await
            };
            if let Err(error) = read.await {
                tracing::debug!(repo, %error, "each run is asked about alone");
            }
        })
        .await;
        Ok(())
    }

    async fn run_commits(&self, range: &RunRange) -> PortResult<RunCommits> {
        match range.landing {
            Landing::Push => {
                let (head, _) = self.ask(&range.repo, None, self.expected(&range.repo, None)).await?;
                if head.as_ref().is_some_and(|head| is_unmoved(range, head)) {
                    return Ok(RunCommits::default());
                }
                let head = self.mirrored(&range.repo, head).await?;
                self.mirrors.landed(range, &head).await
            }
            Landing::PullRequest => self.by_pull_request(range).await,
        }
    }

    async fn can_land(&self, repo: &str, _landing: Landing) -> PortResult<()> {
        parts(repo).map(drop)
    }
}
