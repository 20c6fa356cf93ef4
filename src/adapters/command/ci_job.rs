//! One CI job in its directory, and the process that sees it to its end: `afk ci-job DIRECTORY`.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, setsid};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::process::Child;
use tokio::time::Instant;

use crate::adapters::confined::{Directory, DirectoryLock};
use crate::adapters::git;
use crate::ports::{PortError, PortResult};
use crate::text::{clean_line, tail};

/// What the supervisor holds while it lives.
const LOCK: &str = "lock";
/// What the command and everything it starts hold too: a killed supervisor leaves them behind.
const COMMAND_LOCK: &str = "command.lock";
const JOB: &str = "job.json";
const RESULT: &str = "result.json";
const LOG: &str = "log";
/// How often the command was started, a number.
const STARTS: &str = "starts";
/// Why the last supervisor could not start the command.
const PROBLEM: &str = "problem";
const CLONE: &str = "clone";

/// How often the command is started, the first time included.
const MOST_STARTS: u32 = 2;
/// How much of the output is kept, from its end, in bytes.
const LOG_SIZE: usize = 1024 * 1024;
/// How much of the log people and agents are shown, in bytes.
const TAIL_SIZE: usize = 8 * 1024;
/// The largest of the small files, in bytes.
const MOST: u64 = 1024 * 1024;
/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(5);
/// How long output is awaited that processes outside the group may still hold open.
const LAST_OUTPUT: Duration = Duration::from_secs(1);
/// How often the log is written while the command runs.
const LOG_INTERVAL: Duration = Duration::from_secs(2);

/// What to do. Values of the environment are not in here: the supervisor inherits them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Where the clone comes from.
    pub mirror: PathBuf,
    /// What is judged.
    pub commit: String,
    /// The argv.
    pub command: Vec<String>,
    /// The variables that the command may see, by name.
    pub environment: Vec<String>,
    /// How long it may take.
    pub timeout_seconds: u64,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The command ended with 0.
    pub green: bool,
    /// How it ended, and the end of the log, cleaned; at most 8 KiB.
    pub log_tail: String,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// A supervisor, or what one left behind, is at work.
    Running,
    /// It has a result, which will not change.
    Ended(Outcome),
    /// Nobody is at work, and it may be started.
    Startable {
        /// Why the last supervisor could not start the command, if it could not.
        problem: Option<String>,
    },
}

/// The directory of a job.
#[derive(Debug)]
pub struct JobDirectory(Directory);

impl JobDirectory {
    /// Opens the directory of a job below `root`, making it where there is none.
    ///
    /// # Errors
    /// It cannot be made, or something on the way is a link.
    pub fn make(root: &Path, place: &[&str]) -> PortResult<Self> {
        let mut directory = Directory::make(root)?;
        for name in place {
            directory = directory.make_subdirectory(name)?;
        }
        Ok(Self(directory))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where people find the log.
    pub fn log_path(&self) -> PathBuf {
        self.0.path_of(LOG)
    }

    /// How far the job is.
    ///
    /// # Errors
    /// The directory cannot be read, or its result makes no sense.
    pub fn state(&self) -> PortResult<JobState> {
        // A result counts only once nobody is at work: a command could write one while it runs.
        let Some(_lock) = self.0.try_lock(LOCK)? else { return Ok(JobState::Running) };
        if let Some(outcome) = self.0.read_json(RESULT)? {
            return Ok(JobState::Ended(outcome));
        }
        let Some(_command) = self.0.try_lock(COMMAND_LOCK)? else { return Ok(JobState::Running) };
        if self.starts()? >= MOST_STARTS {
            let log = self.0.read(LOG, MOST)?.map(|log| log.bytes).unwrap_or_default();
            let outcome = Outcome {
                green: false,
                log_tail: report("the job ended without a result, twice", &String::from_utf8_lossy(&log)),
            };
            self.0.put_json(RESULT, &outcome)?;
            return Ok(JobState::Ended(outcome));
        }
        let problem = self.0.read(PROBLEM, MOST)?;
        let problem = problem.map(|text| clean_line(&String::from_utf8_lossy(&text.bytes), 600));
        Ok(JobState::Startable { problem: problem.filter(|text| !text.is_empty()) })
    }

    /// Says what to do.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn prepare(&self, job: &Job) -> PortResult<()> {
        self.0.put_json(JOB, job)
    }

    fn starts(&self) -> PortResult<u32> {
        Ok(self.0.read_json(STARTS)?.unwrap_or(0))
    }
}

/// How it ended, and the end of the log.
fn report(sentence: &str, log: &str) -> String {
    let room = TAIL_SIZE.saturating_sub(sentence.len() + 1);
    format!("{}\n{sentence}", tail(log, room).trim_end())
}

/// Sees a job to its end: what `afk ci-job DIRECTORY` does. Says nothing on any output; the directory tells. Whether
/// nothing went wrong on the way.
pub fn run_ci_job(directory: &Path) -> bool {
    // A session of its own: what ends the tick's does not end the job. It fails only where that is so already.
    let _ = setsid();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.is_ok_and(|runtime| runtime.block_on(supervise(directory)).is_ok())
}

async fn supervise(path: &Path) -> PortResult<()> {
    let directory = JobDirectory(Directory::open(path)?);
    // Whoever looks at the job holds the lock for a moment.
    let _lock = directory.0.lock(LOCK).await?;
    let Some(command_lock) = directory.0.try_lock(COMMAND_LOCK)? else { return Ok(()) };
    let starts = directory.starts()?;
    if directory.0.read(RESULT, MOST)?.is_some() || starts >= MOST_STARTS {
        return Ok(());
    }
    let prepared = make_clone(&directory, &command_lock).await;
    let problem = prepared.as_ref().err().map(ToString::to_string).unwrap_or_default();
    directory.0.put(PROBLEM, problem.as_bytes())?;
    let job = prepared?;
    directory.0.put_json(STARTS, &(starts + 1))?;
    let outcome = match run(&directory, &job).await {
        Ok(outcome) => outcome,
        Err(problem) => {
            directory.0.put(PROBLEM, problem.as_bytes())?;
            return directory.0.put_json(STARTS, &starts);
        }
    };
    directory.0.put_json(RESULT, &outcome)?;
    if outcome.green {
        // Nobody looks at it any more.
        let _ = std::fs::remove_dir_all(path.join(CLONE));
    }
    Ok(())
}

async fn make_clone(directory: &JobDirectory, command_lock: &DirectoryLock) -> PortResult<Job> {
    let job: Job = directory
        .0
        .read_json(JOB)?
        .ok_or_else(|| PortError::not_found(format!("`{}` has no {JOB}", directory.path().display())))?;
    command_lock.share_with_children()?;
    let clone = directory.0.path_of(CLONE);
    match std::fs::remove_dir_all(&clone) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(PortError::unreachable(format!("cannot remove `{}`: {error}", clone.display())));
        }
        _ => {}
    }
    git::clone(&job.mirror, None, &job.commit, &clone).await?;
    Ok(job)
}

/// Runs the command.
///
/// # Errors
/// It cannot be started: it said nothing about the commit.
async fn run(directory: &JobDirectory, job: &Job) -> Result<Outcome, String> {
    let name = clean_line(&job.command.join(" "), 200);
    let mut log = Tail::default();
    let (child, reader) = start(directory, job).map_err(|error| {
        format!("CI cannot start `{name}` in the clone of {}: {error}", clean_line(&job.commit, 12))
    })?;
    let (green, sentence) = match follow(directory, job, child, reader, &mut log).await {
        Ok((green, sentence)) => (green, sentence),
        Err(error) => (false, format!("lost sight of `{name}`: {error}")),
    };
    let text = log.text();
    // People are sent to the log: an empty one would leave them without the reason.
    let kept = if text.is_empty() { &sentence } else { &text };
    let _ = directory.0.put(LOG, kept.as_bytes());
    Ok(Outcome { green, log_tail: report(&sentence, &text) })
}

fn start(directory: &JobDirectory, job: &Job) -> std::io::Result<(Child, std::io::PipeReader)> {
    let [program, arguments @ ..] = job.command.as_slice() else {
        return Err(std::io::Error::other("there is no command"));
    };
    let (reader, writer) = std::io::pipe()?;
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).current_dir(directory.0.path_of(CLONE)).env_clear().env("CI", "true").process_group(0);
    for name in &job.environment {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    // With the command goes our end of the pipe: what is left are the writers of the job.
    command.spawn().map(|child| (child, reader))
}

async fn follow(
    directory: &JobDirectory,
    job: &Job,
    mut child: Child,
    reader: std::io::PipeReader,
    log: &mut Tail,
) -> std::io::Result<(bool, String)> {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let signal = |signal| group.is_some_and(|group| kill_process_group(group, signal).is_ok());
    let mut output = tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into())?;
    let mut open = true;
    let mut buffer = vec![0; 64 * 1024];

    let limit = Duration::from_secs(job.timeout_seconds);
    let mut deadline = Instant::now() + limit;
    let mut told = None;
    let mut next_log = Instant::now() + LOG_INTERVAL;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            read = output.read(&mut buffer), if open => match read {
                Ok(length) if length > 0 => log.push(&buffer[..length]),
                _ => open = false,
            },
            () = tokio::time::sleep_until(deadline) => {
                let next = if told.is_none() { Signal::TERM } else { Signal::KILL };
                signal(next);
                told = Some(next);
                deadline = Instant::now() + GRACE;
            }
            () = tokio::time::sleep_until(next_log) => {
                let _ = directory.0.put(LOG, log.text().as_bytes());
                next_log = Instant::now() + LOG_INTERVAL;
            }
        }
    };
    // What it started and left behind.
    signal(Signal::KILL);
    let end = Instant::now() + LAST_OUTPUT;
    while let (true, Ok(Ok(length))) = (open, tokio::time::timeout_at(end, output.read(&mut buffer)).await) {
        log.push(&buffer[..length]);
        open = length > 0;
    }
    let sentence = match (told, status.code()) {
        (Some(_), _) => format!("the command took longer than {} s and was ended", limit.as_secs()),
        (None, Some(code)) => format!("the command ended with exit code {code}"),
        (None, None) => format!("the command was ended from outside: {status}"),
    };
    Ok((told.is_none() && status.success(), sentence))
}

/// The end of an output.
#[derive(Default)]
struct Tail {
    bytes: VecDeque<u8>,
    dropped: bool,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(LOG_SIZE)..];
        let over = (self.bytes.len() + bytes.len()).saturating_sub(LOG_SIZE);
        self.dropped |= over > 0;
        self.bytes.drain(..over);
        self.bytes.extend(bytes);
    }

    fn text(&mut self) -> String {
        let text = String::from_utf8_lossy(self.bytes.make_contiguous());
        // Half an escape or character may stand where the output was cut.
        let text = match text.split_once('\n') {
            Some((_, rest)) if self.dropped => rest,
            _ => &text,
        };
        tail(text, LOG_SIZE)
    }
}
