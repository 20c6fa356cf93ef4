//! The logs of failed jobs of GitHub Actions.
//!
//! They lie on another server, behind an address that is signed and lasts a minute. It is followed without the token,
//! and only to the hosts of the settings: whatever an answer says, nothing secret leaves, and afk reaches into no other
//! network.

use std::rc::Rc;

use chrono::DateTime;
use reqwest::Url;

use super::{Github, parts};
use crate::adapters::http::api::Call;
use crate::adapters::http::{Http, describe, is_private};
use crate::ports::{FailedJob, PortError, PortResult};
use crate::text::{clean_line, tail};

/// The most logs that are read for one verdict.
const MOST_LOGS: usize = 5;
/// The most that is read of one log, and what is kept of its end, in bytes.
const LOG_LIMIT: usize = 64 * 1024 * 1024;
const LOG_KEPT: usize = 256 * 1024;
/// The most that is shown of one, in bytes.
pub const TAIL: usize = 8192;

/// Where logs are read from.
#[derive(Debug, Clone)]
pub struct Logs {
    github: Github,
    http: Rc<Http>,
    hosts: Vec<String>,
}

impl Logs {
    /// Logs are read through `http` from `hosts`: names of hosts, `*.` for any below one.
    pub fn new(github: Github, http: Rc<Http>, hosts: Vec<String>) -> Self {
        Self { github, http, hosts }
    }

    /// Failed jobs with the ends of their logs. One that cannot be read leaves its job as it was.
    pub async fn of(&self, repo: &str, mut jobs: Vec<FailedJob>) -> Vec<FailedJob> {
        let of_actions =
            jobs.iter_mut().filter_map(|job| Some((job.url.as_deref().and_then(job_id)?, job))).take(MOST_LOGS);
        // All of them have the time of one call, which is three requests: a slow one must not lose the others.
        let time = self.http.timeout() / 2;
        for (id, job) in of_actions {
            match tokio::time::timeout(time, self.read(repo, id)).await {
                Ok(Ok(log)) if !log.is_empty() => job.log_tail = log,
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::warn!(job = job.name, "{error}"),
                Err(_) => tracing::warn!(job = job.name, "github: the log was not there within {} s", time.as_secs()),
            }
        }
        jobs
    }

    /// The end of the log of a job of GitHub Actions.
    async fn read(&self, repo: &str, job: u64) -> PortResult<String> {
        let (owner, name) = parts(repo)?;
        let id = job.to_string();
        let place =
            self.github.rest.location(&Call::get(&["repos", owner, name, "actions", "jobs", &id, "logs"])).await?;
        let host = place.host_str().unwrap_or_default();
        if !may_hold_logs(&place, &self.hosts) {
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

/// The job of GitHub Actions that an address shows: `…/actions/runs/1/job/2`.
pub fn job_id(url: &str) -> Option<u64> {
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
