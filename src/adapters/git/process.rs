//! One way to run git: with no configuration but our own, no hooks, no prompts, nothing of afk's environment, bounded
//! in output and time. When the call ends, in whatever way, every process it started ends.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::ports::{PortError, PortResult};
use crate::text::clean_line;

/// The longest a single git command may take; fetching and cloning included.
const TIMEOUT: Duration = Duration::from_secs(600);
/// The most that is read of what git answers, in bytes.
const MOST_OUTPUT: u64 = 64 * 1024 * 1024;
const MOST_ERROR: u64 = 64 * 1024;

/// Configuration that holds whatever a repository says.
const CONFIGURATION: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.pager=cat",
    "core.editor=true",
    "core.askPass=true",
    "credential.helper=",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "gc.autoDetach=false",
    "maintenance.autoDetach=false",
    "log.showSignature=false",
];

/// What remotes over ssh need of afk's environment.
const PASSED_ON: &[&str] = &["PATH", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND"];

/// What git answered.
#[derive(Debug)]
pub struct Answer {
    /// Its exit code was 0.
    pub success: bool,
    /// Standard output, whole.
    pub output: Vec<u8>,
    /// Standard error, cleaned, in one line.
    pub error: String,
}

impl Answer {
    /// The output, where git succeeded.
    ///
    /// # Errors
    /// Git failed; `what` says at what.
    pub fn or_fail(self, what: &str) -> PortResult<Vec<u8>> {
        if self.success {
            Ok(self.output)
        } else {
            Err(PortError::unreachable(format!("git could not {what}: {}", self.error)))
        }
    }
}

/// Ends the process group when the call ends: git leaves its transports behind when it is killed alone.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs git on a repository, `None` for none, with something to read on standard input.
///
/// # Errors
/// Git cannot be started, took too long, or answered more than can be read.
pub async fn git(directory: Option<&Path>, arguments: &[&str], input: &str) -> PortResult<Answer> {
    git_with(directory, arguments, input, &[]).await
}

/// [`git`] with more configuration: keys with their values, which may be secrets. Given by the environment, where no
/// list of processes shows them.
///
/// # Errors
/// As [`git`].
pub async fn git_with(
    directory: Option<&Path>,
    arguments: &[&str],
    input: &str,
    configuration: &[(String, String)],
) -> PortResult<Answer> {
    let mut command = Command::new("git");
    command.env_clear();
    for name in PASSED_ON {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    if std::env::var_os("GIT_SSH_COMMAND").is_none() {
        command.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes");
    }
    command.envs([
        ("LC_ALL", "C"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_NO_REPLACE_OBJECTS", "1"),
        ("GIT_PAGER", "cat"),
    ]);
    command.env("GIT_CONFIG_COUNT", configuration.len().to_string());
    for (index, (key, value)) in configuration.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{index}"), key).env(format!("GIT_CONFIG_VALUE_{index}"), value);
    }
    for entry in CONFIGURATION {
        command.args(["-c", entry]);
    }
    if let Some(directory) = directory {
        command.arg("--git-dir").arg(directory);
    }
    command.args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    tracing::debug!(command = arguments.first(), "git");
    let mut child = command
        .spawn()
        .map_err(|error| PortError::unreachable(format!("cannot start `git`: {error}; is it installed?")))?;
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
    let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut output = Vec::new();
    let mut error = Vec::new();
    let conversation = async {
        let write = async {
            if let Some(mut stdin) = stdin.take() {
                // Git may end before it has read everything; its exit code tells.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        let read_output = async {
            match stdout {
                Some(stdout) => stdout.take(MOST_OUTPUT + 1).read_to_end(&mut output).await,
                None => Ok(0),
            }
        };
        let read_error = async {
            match stderr {
                Some(mut stderr) => {
                    let read = (&mut stderr).take(MOST_ERROR).read_to_end(&mut error).await;
                    tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await.and(read)
                }
                None => Ok(0),
            }
        };
        let ((), read, _) = tokio::join!(write, read_output, read_error);
        if read.map_err(|error| PortError::unreachable(format!("cannot read what git says: {error}")))?
            > usize::try_from(MOST_OUTPUT).unwrap_or(usize::MAX)
        {
            return Err(PortError::invalid(format!(
                "`git {}` answered more than {MOST_OUTPUT} bytes",
                arguments.first().copied().unwrap_or_default()
            )));
        }
        child.wait().await.map_err(|error| PortError::unreachable(format!("cannot wait for git: {error}")))
    };
    let status = tokio::time::timeout(TIMEOUT, conversation).await.map_err(|_| {
        PortError::unreachable(format!(
            "`git {}` did not end in {} s",
            arguments.first().copied().unwrap_or_default(),
            TIMEOUT.as_secs()
        ))
    })??;
    // It has ended by itself, and its number may soon be somebody else's.
    group.0 = None;
    Ok(Answer {
        success: status.success(),
        output,
        error: without_credentials(&clean_line(&String::from_utf8_lossy(&error), 600)),
    })
}

/// An address without the user and password in it.
pub fn without_credentials(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(scheme) = rest.find("://") {
        let (before, authority) = rest.split_at(scheme + 3);
        out.push_str(before);
        let end = authority
            .find(|letter: char| letter == '/' || letter.is_whitespace() || letter == '\'')
            .unwrap_or(authority.len());
        let host = authority[..end].rfind('@').map_or(0, |at| at + 1);
        rest = &authority[host..];
    }
    out.push_str(rest);
    out
}
