//! CI as GitHub reports it: check runs and commit statuses, which know nothing of each other.

use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::fold::{Check, Fold, Source, Standing, fold};
use super::logs::{Logs, TAIL, job_id};
use super::{Github, parts};
use crate::adapters::git::{GitMirrors, is_commit};
use crate::adapters::http::Http;
use crate::adapters::http::api::Call;
use crate::policy::{Stage, StageSource};
use crate::ports::{Ci, FailedJob, PortError, PortErrorKind, PortResult, StageVerdict};
use crate::text::{clean_line, tail};

/// How many newer commits are asked where a commit has no verdict.
const MOST_DESCENDANTS: usize = 10;
/// The most failed jobs that are named.
const MOST_JOBS: usize = 20;
/// Check runs and commit statuses as CI.
#[derive(Debug, Clone)]
pub struct GithubChecks {
    github: Github,
    mirrors: Rc<GitMirrors>,
    logs: Logs,
}

#[derive(Debug, Deserialize)]
struct CheckRuns {
    check_runs: Vec<CheckRun>,
}

#[derive(Debug, Deserialize)]
struct CheckRun {
    id: u64,
    name: String,
    status: String,
    conclusion: Option<String>,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    html_url: Option<String>,
    details_url: Option<String>,
    #[serde(default)]
    output: Output,
    app: Option<App>,
    check_suite: Option<Suite>,
}

#[derive(Debug, Default, Deserialize)]
struct Output {
    title: Option<String>,
    summary: Option<String>,
    text: Option<String>,
}

#[derive(Debug, Deserialize)]
struct App {
    id: u64,
    slug: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Suite {
    id: u64,
}

#[derive(Debug, Deserialize)]
struct CombinedStatus {
    statuses: Vec<Status>,
    total_count: usize,
}

#[derive(Debug, Deserialize)]
struct Status {
    id: u64,
    context: String,
    state: String,
    description: Option<String>,
    target_url: Option<String>,
    updated_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize)]
struct WorkflowRuns {
    workflow_runs: Vec<WorkflowRun>,
}

#[derive(Debug, Deserialize)]
struct WorkflowRun {
    check_suite_id: Option<u64>,
    workflow_id: u64,
    event: String,
}

/// What reports on one commit.
struct Reports {
    checks: Vec<Check>,
    /// Of each check, what a person is shown when it failed.
    jobs: Vec<FailedJob>,
    /// The server's time.
    now: DateTime<Utc>,
}

impl GithubChecks {
    /// The checks of a GitHub. `mirrors` tell what came after a commit; logs are read through `http` from `log_hosts`:
    /// names of hosts, `*.` for any below one.
    pub fn new(github: Github, mirrors: Rc<GitMirrors>, http: Rc<Http>, log_hosts: Vec<String>) -> Self {
        let logs = Logs::new(github.clone(), http, log_hosts);
        Self { github, mirrors, logs }
    }

    async fn judge(
        &self,
        repo: &str,
        commit: &str,
        require: Option<&[String]>,
        settle_time: Duration,
    ) -> PortResult<Judged> {
        let reports = self.read(repo, commit).await?;
        Ok(match fold(&reports.checks, require, settle_time, reports.now) {
            Fold::None => Judged::Verdict(StageVerdict::None),
            Fold::NoVerdict(why) => Judged::Cancelled(why),
            Fold::Pending(why) => Judged::Verdict(StageVerdict::Pending(why)),
            Fold::Green => Judged::Verdict(StageVerdict::Green),
            Fold::Red(failed) => {
                let with_jobs = reports.checks.iter().zip(&reports.jobs);
                let jobs = with_jobs.filter(|(check, _)| failed.iter().any(|failed| std::ptr::eq(*failed, *check)));
                Judged::Verdict(StageVerdict::Red(jobs.map(|(_, job)| job.clone()).take(MOST_JOBS).collect()))
            }
        })
    }

    async fn read(&self, repo: &str, commit: &str) -> PortResult<Reports> {
        let (owner, name) = parts(repo)?;
        let path = |what| ["repos", owner, name, "commits", commit, what];
        let runs: Vec<CheckRuns> =
            self.list(&path("check-runs"), &[("filter", "latest")]).await.map_err(|error| match error.kind {
                PortErrorKind::Refused => {
                    PortError::refused(format!("{}{}", error.message, self.github.how_to_read_checks(&error)))
                }
                _ => error,
            })?;
        let runs: Vec<CheckRun> = runs.into_iter().flat_map(|page| page.check_runs).collect();
        let workflows = self.workflows(owner, name, commit, &runs).await?;
        let all = [("per_page", "100")];
        let answer = self.github.rest.send(&Call::get(&path("status")).query(&all)).await?;
        let combined: CombinedStatus = answer.json("github")?;
        let mut statuses = combined.statuses;
        if combined.total_count > statuses.len() {
            let pages: Vec<CombinedStatus> = self.list(&path("status"), &[]).await?;
            statuses = pages.into_iter().flat_map(|page| page.statuses).collect();
        }
        let (mut checks, mut jobs) = (Vec::new(), Vec::new());
        for run in runs {
            checks.push(Check {
                source: source(&run, &workflows),
                id: run.id,
                standing: Standing::of_run(&run.status, run.conclusion.as_deref()),
                changed_at: run.started_at.max(run.completed_at),
                name: run.name.clone(),
            });
            jobs.push(job_of_run(run));
        }
        for status in statuses {
            checks.push(Check {
                source: Source::Status,
                id: status.id,
                standing: Standing::of_status(&status.state),
                changed_at: status.updated_at,
                name: status.context.clone(),
            });
            jobs.push(FailedJob {
                name: status.context,
                url: status.target_url,
                log_tail: tail(&status.description.unwrap_or_default(), TAIL),
            });
        }
        Ok(Reports { checks, jobs, now: answer.date().unwrap_or_else(Utc::now) })
    }

    /// The workflow of each suite of GitHub Actions. Check runs do not name theirs, so it is asked only where one name
    /// is in several suites.
    async fn workflows(
        &self,
        owner: &str,
        name: &str,
        commit: &str,
        runs: &[CheckRun],
    ) -> PortResult<Vec<WorkflowRun>> {
        let ambiguous = runs.iter().any(|run| {
            run.is_of_actions()
                && runs
                    .iter()
                    .any(|other| other.is_of_actions() && other.name == run.name && other.suite_id() != run.suite_id())
        });
        if !ambiguous {
            return Ok(Vec::new());
        }
        let path = ["repos", owner, name, "actions", "runs"];
        match self.list::<WorkflowRuns>(&path, &[("head_sha", commit)]).await {
            Ok(pages) => Ok(pages.into_iter().flat_map(|page| page.workflow_runs).collect()),
            // Without that permission each suite stands for itself.
            Err(error) if matches!(error.kind, PortErrorKind::Refused | PortErrorKind::NotFound) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Every page of a list that is an object.
    async fn list<P: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> PortResult<Vec<P>> {
        let query = [query, &[("per_page", "100")]].concat();
        self.github.rest.pages_of(&Call::get(path).query(&query)).await
    }
}

/// What one commit came to.
enum Judged {
    Verdict(StageVerdict),
    /// No verdict; why.
    Cancelled(String),
}

impl CheckRun {
    fn is_of_actions(&self) -> bool {
        self.app.as_ref().is_some_and(|app| app.slug.as_deref() == Some("github-actions"))
    }

    fn suite_id(&self) -> u64 {
        self.check_suite.as_ref().map_or(0, |suite| suite.id)
    }
}

fn source(run: &CheckRun, workflows: &[WorkflowRun]) -> Source {
    let app = run.app.as_ref().map_or(0, |app| app.id);
    if !run.is_of_actions() {
        return Source::Run { app, workflow: 0, event: String::new() };
    }
    let known = workflows.iter().find(|workflow| workflow.check_suite_id == Some(run.suite_id()));
    Source::Run {
        app,
        workflow: known.map_or_else(|| run.suite_id(), |workflow| workflow.workflow_id),
        event: known.map_or_else(String::new, |workflow| workflow.event.clone()),
    }
}

fn job_of_run(run: CheckRun) -> FailedJob {
    let Output { title, summary, text } = run.output;
    let said: Vec<String> = [title, summary, text].into_iter().flatten().collect();
    // Where a job of GitHub Actions is, its log is, too.
    let urls = [run.details_url, run.html_url];
    let of_job = urls.iter().flatten().find(|url| job_id(url).is_some()).cloned();
    let [details, html] = urls;
    FailedJob { name: run.name, url: of_job.or(html).or(details), log_tail: tail(&said.join("\n"), TAIL) }
}

#[async_trait(?Send)]
impl Ci for GithubChecks {
    async fn can_judge(&self, repo: &str, _stage: &Stage) -> PortResult<()> {
        self.github.can_read_checks(repo).await
    }

    async fn verdict(
        &self,
        repo: &str,
        commit: &str,
        stage: &Stage,
        settle_time: Duration,
    ) -> PortResult<StageVerdict> {
        let StageSource::Checks { require } = &stage.source else {
            return Err(PortError::refused(format!("stage `{}` is none of GitHub's", stage.name.value)));
        };
        if !is_commit(commit) {
            return Err(PortError::invalid(format!("`{}` is not the name of a commit", clean_line(commit, 80))));
        }
        let require = require.as_deref();
        let cancelled = match self.judge(repo, commit, require, settle_time).await? {
            Judged::Verdict(verdict) => return Ok(verdict),
            Judged::Cancelled(why) => why,
        };
        for newer in self.mirrors.descendants(repo, commit).await?.iter().take(MOST_DESCENDANTS) {
            match self.judge(repo, newer, require, settle_time).await? {
                // Not the last of what was pushed together, or cancelled itself.
                Judged::Verdict(StageVerdict::None) | Judged::Cancelled(_) => {}
                Judged::Verdict(verdict) => return Ok(verdict),
            }
        }
        Ok(StageVerdict::Pending(format!("{cancelled}; nothing newer on the branch is judged yet")))
    }

    async fn with_logs(&self, repo: &str, _stage: &Stage, jobs: Vec<FailedJob>) -> PortResult<Vec<FailedJob>> {
        Ok(self.logs.of(repo, jobs).await)
    }
}
