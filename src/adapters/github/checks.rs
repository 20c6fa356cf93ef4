//! CI as GitHub reports it: check runs and commit statuses, which know nothing of each other.
//!
//! Logs of GitHub Actions lie on another server, behind an address that is signed and lasts a minute. It is followed
//! without the token, and only to the hosts of the settings: whatever an answer says, nothing secret leaves, and afk
//! reaches into no other network.

use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::fold::{Check, Fold, Source, Standing, fold};
use super::{Github, parts};
use crate::adapters::git::{GitMirrors, is_commit};
use crate::adapters::http::api::Call;
use crate::adapters::http::{Http, describe, is_private};
use crate::policy::{Stage, StageSource};
use crate::ports::{Ci, FailedJob, PortError, PortErrorKind, PortResult, StageVerdict};
use crate::text::{clean_line, tail};

/// How many newer commits are asked where a commit has no verdict.
const MOST_DESCENDANTS: usize = 10;
/// The most failed jobs that are named.
const MOST_JOBS: usize = 20;
/// The most logs that are read for one verdict.
const MOST_LOGS: usize = 5;
/// The most that is read of one log, and what is kept of its end, in bytes.
const LOG_LIMIT: usize = 64 * 1024 * 1024;
const LOG_KEPT: usize = 256 * 1024;
const TAIL: usize = 8192;

/// Check runs and commit statuses as CI.
#[derive(Debug, Clone)]
pub struct GithubChecks {
    github: Github,
    mirrors: Rc<GitMirrors>,
    http: Rc<Http>,
    log_hosts: Vec<String>,
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
        Self { github, mirrors, http, log_hosts }
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

    /// The end of the log of a job of GitHub Actions.
    async fn log(&self, repo: &str, job: u64) -> PortResult<String> {
        let (owner, name) = parts(repo)?;
        let id = job.to_string();
        let place =
            self.github.rest.location(&Call::get(&["repos", owner, name, "actions", "jobs", &id, "logs"])).await?;
        let host = place.host_str().unwrap_or_default();
        if !may_hold_logs(&place, &self.log_hosts) {
            return Err(PortError::refused(format!(
                "github: the log lies on `{}`, which `log_hosts` does not have",
                clean_line(host, 100)
            )));
        }
        let lost = |error| PortError::unreachable(format!("github: the log cannot be read: {}", describe(error)));
        let mut response = self.http.client()?.get(place).send().await.map_err(lost)?;
        if !response.status().is_success() {
            return Err(PortError::unreachable(format!("github: the log cannot be read: {}", response.status())));
        }
        let (mut end, mut read) = (Vec::new(), 0_usize);
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            read += chunk.len();
            if read > LOG_LIMIT {
                let limit = LOG_LIMIT / (1024 * 1024);
                let cut = format!("\n[the log goes on: only its first {limit} MiB were read, this is not its end]");
                let kept = tail(&end_of_log(&String::from_utf8_lossy(&end)), TAIL - cut.len());
                return Ok(kept + &cut);
            }
            end.extend_from_slice(&chunk);
            if end.len() > 2 * LOG_KEPT {
                end.drain(..end.len() - LOG_KEPT);
            }
        }
        Ok(end_of_log(&String::from_utf8_lossy(&end)))
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

/// The job of GitHub Actions that an address shows: `…/actions/runs/1/job/2`.
fn job_id(url: &str) -> Option<u64> {
    let url = Url::parse(url).ok()?;
    let segments: Vec<&str> = url.path_segments()?.collect();
    match segments.as_slice() {
        [_, _, "actions", "runs", _, "job", job] => job.parse().ok(),
        _ => None,
    }
}

/// Whether logs may be fetched from an address: https (or this machine), and a host of the settings.
fn may_hold_logs(place: &Url, hosts: &[String]) -> bool {
    let host = place.host_str().unwrap_or_default();
    let listed = hosts.iter().any(|pattern| match pattern.strip_prefix("*.") {
        Some(domain) => {
            let below = host.len().checked_sub(domain.len()).and_then(|cut| host.get(..cut).zip(host.get(cut..)));
            below.is_some_and(|(below, rest)| {
                rest.eq_ignore_ascii_case(domain) && below.len() > 1 && below.ends_with('.')
            })
        }
        None => host.eq_ignore_ascii_case(pattern),
    });
    listed && is_private(place)
}

/// The end of a log of GitHub Actions as far as it tells why a job failed: without the time before each line, and
/// without the cleaning up after the last error.
fn end_of_log(log: &str) -> String {
    let line = |line: &str| {
        let (time, rest) = line.split_once(' ').unwrap_or(("", line));
        if DateTime::parse_from_rfc3339(time).is_ok() { rest.to_owned() } else { line.to_owned() }
    };
    let mut lines: Vec<String> = log.trim_start_matches('\u{feff}').lines().map(line).collect();
    if let Some(last) = lines.iter().rposition(|line| line.starts_with("##[error]")) {
        lines.truncate(last + 1);
    }
    tail(lines.join("\n").trim_end(), TAIL)
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

    async fn with_logs(&self, repo: &str, _stage: &Stage, mut jobs: Vec<FailedJob>) -> PortResult<Vec<FailedJob>> {
        let of_actions =
            jobs.iter_mut().filter_map(|job| Some((job.url.as_deref().and_then(job_id)?, job))).take(MOST_LOGS);
        // All of them have the time of one call, which is three requests: a slow one must not lose the others.
        let time = self.http.timeout() / 2;
        for (id, job) in of_actions {
            match tokio::time::timeout(time, self.log(repo, id)).await {
                Ok(Ok(log)) if !log.is_empty() => job.log_tail = log,
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::warn!(job = job.name, "{error}"),
                Err(_) => tracing::warn!(job = job.name, "github: the log was not there within {} s", time.as_secs()),
            }
        }
        Ok(jobs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn logs_are_fetched_from_the_hosts_of_the_settings_only() {
        let hosts = ["*.blob.core.windows.net".to_owned(), "logs.example.com".to_owned(), "127.0.0.1".to_owned()];
        for (address, allowed) in [
            ("https://productionresults.blob.core.windows.net/x?sig=1", true),
            ("https://PRODUCTION.Blob.Core.Windows.Net/x", true),
            ("https://logs.example.com/x", true),
            ("http://127.0.0.1:9/x", true),
            ("http://logs.example.com/x", false),
            ("http://a.blob.core.windows.net/x", false),
            ("https://blob.core.windows.net/x", false),
            ("https://.blob.core.windows.net/x", false),
            ("https://evilblob.core.windows.net/x", false),
            ("https://blob.core.windows.net.evil.example/x", false),
            ("https://a.logs.example.com/x", false),
            ("https://169.254.169.254/latest/meta-data", false),
            ("https://logs.example.com@evil.example/x", false),
            ("file:///etc/passwd", false),
        ] {
            let allowed_now = Url::parse(address).is_ok_and(|url| may_hold_logs(&url, &hosts));
            assert_eq!(allowed_now, allowed, "{address}");
        }
    }

    #[test]
    fn the_job_is_found_in_its_address() {
        for (url, job) in [
            ("https://github.com/acme/app/actions/runs/1/job/22", Some(22)),
            ("https://github.com/acme/app/actions/runs/1/job/22?pr=7", Some(22)),
            ("https://github.com/acme/app/runs/22", None),
            ("https://github.com/acme/app/actions/runs/1/job/22/../../x", None),
            ("https://github.com/acme/app/actions/runs/1/job/-2", None),
            ("https://ci.example.com/job/22", None),
            ("no address", None),
        ] {
            assert_eq!(job_id(url), job, "{url}");
        }
    }

    #[test]
    fn the_end_of_a_log_is_what_failed_and_not_what_was_cleaned_up_after_it() {
        let log = "\u{feff}2026-11-22T12:00:00.1234567Z ##[group]Run cargo test\n\
                   2026-11-22T12:00:01.1234567Z test it_greets ... \u{1b}[31mFAILED\u{1b}[0m\n\
                   \x20 a line of its own\n\
                   2026-11-22T12:00:02.1234567Z ##[error]Process completed with exit code 101.\n\
                   2026-11-22T12:00:03.1234567Z Post job cleanup.\n";
        let end = "##[group]Run cargo test\ntest it_greets ... FAILED\n  a line of its own\n##[error]Process completed with exit code 101.";
        assert_eq!(end_of_log(log), end);
        assert!(end_of_log(&"x".repeat(100_000)).len() <= TAIL);
        assert_eq!(end_of_log(""), "");
    }
}
