//! The supervisor of one turn: a process in a session of its own that starts the agent, drains its output, ends it
//! when asked, ends what it leaves behind, and writes down how it went. It outlives the tick that started it.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chrono::Utc;
use rustix::process::{Pid, WaitId, WaitIdOptions};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;

use super::log::BoundedLog;
use super::output::{OutputReader, Stream};
use super::processes::{self, Family, RUN_VARIABLE};
use super::run::{
    EXIT, Exit, LOCK, ORDER, OUTPUT, PROGRESS, PROMPT, RunDirectory, STARTED, Started, Turn, TurnDirectory, Why,
};
use crate::adapters::confined::{Directory, DirectoryLock};
use crate::ports::{PortError, PortResult};

/// How often a request to interrupt is looked for, and progress written down.
const BEAT: Duration = Duration::from_millis(200);
/// How often an ending agent is looked at.
const ENDING_BEAT: Duration = Duration::from_millis(20);
/// How long the lock is tried for; whoever only looks at it holds it for a moment.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// How long after KILL a process may still be there before it is given up on.
const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// How long output is waited for when everybody who could write it has ended.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// Runs one turn to its end: what `afk supervise TURN_DIRECTORY` does. Does nothing when the turn was begun before.
/// Whether nothing went wrong on the way.
///
/// Synchronous, and to be called from a process that does nothing else: it makes itself the leader of a session.
pub fn supervise(turn_directory: &Path) -> bool {
    let result = run(turn_directory);
    if let Err(error) = &result {
        // Standard error is `supervisor.log`, which the waiting executor reads.
        let _ = writeln!(io::stderr(), "{error}");
    }
    result.is_ok()
}

fn run(turn_directory: &Path) -> Result<(), Box<dyn Error>> {
    // Fails only for the leader of a group, which has left its starter's already.
    let _ = rustix::process::setsid();
    let path = turn_directory.canonicalize()?;
    let id = path.file_name().and_then(|name| Uuid::try_parse(name.to_str()?).ok());
    let (Some(id), Some(run_path)) = (id, path.parent().and_then(Path::parent)) else {
        return Err(format!("`{}` is not the directory of a turn", path.display()).into());
    };
    let run_directory = RunDirectory(Directory::open(run_path)?);
    let missing = || PortError::not_found(format!("`{}` has no order to run", path.display()));
    let directory = run_directory.turn(id)?.ok_or_else(missing)?;
    let turn: Turn = directory.0.read_json(ORDER)?.ok_or_else(missing)?;
    let Some(lock) = take_lock(&run_directory, &directory)? else { return Ok(()) };

    if directory.is_interrupted()? {
        let message = "interrupted before it began".to_owned();
        return Ok(write_exit(&directory, Why::Interrupted, None, false, Some(message))?);
    }
    processes::adopt_orphans();
    processes::end_strays(turn.run, run_directory.0.path());
    let output = directory.0.empty_file(OUTPUT)?;
    directory.0.put_json(STARTED, &Started { at: Utc::now(), supervisor: std::process::id() })?;
    // From here on the turn counts as begun, so that it must end in an exit record.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(drive(&run_directory, &directory, &turn, output));
    // A thread may still wait for an agent that even KILL did not end.
    runtime.shutdown_background();
    drop(lock);
    result
}

/// The lock of the run; `None` when the turn was begun already.
fn take_lock(run_directory: &RunDirectory, directory: &TurnDirectory) -> PortResult<Option<DirectoryLock>> {
    let deadline = std::time::Instant::now() + LOCK_PATIENCE;
    loop {
        let lock = run_directory.0.try_lock(LOCK)?;
        if directory.accepted()? {
            return Ok(None);
        }
        if lock.is_some() {
            return Ok(lock);
        }
        if std::time::Instant::now() >= deadline {
            return Err(PortError::refused("another turn of this run is still supervised"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn write_exit(
    directory: &TurnDirectory,
    why: Why,
    status: Option<std::process::ExitStatus>,
    success: bool,
    message: Option<String>,
) -> PortResult<()> {
    let code = status.and_then(|status| status.code());
    let signal = status.and_then(|status| status.signal());
    directory.0.put_json(EXIT, &Exit { at: Utc::now(), why, code, signal, success, message })
}

/// Starts the agent: in the clone, leading a group of its own, seeing only the variables that it was given.
fn start(run_directory: &RunDirectory, directory: &TurnDirectory, turn: &Turn) -> Result<Child, String> {
    let Some((program, arguments)) = turn.argv.split_first() else {
        return Err("the argv of the agent is empty".to_owned());
    };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(run_directory.workspace()).process_group(0).env_clear();
    for name in &turn.settings.environment {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env(RUN_VARIABLE, turn.run.to_string());
    if turn.prompt_on_stdin {
        let prompt = directory.0.file(PROMPT).map_err(|error| error.message)?;
        command.stdin(prompt.ok_or("the prompt of the agent is gone")?);
    } else {
        command.stdin(Stdio::null());
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(|error| format!("could not start `{program}`: {error}"))
}

/// How the agent is brought to its end, once it is to end.
struct Ending {
    why: Why,
    kill_at: Instant,
    give_up_at: Instant,
}

async fn drive(
    run_directory: &RunDirectory,
    directory: &TurnDirectory,
    turn: &Turn,
    log: File,
) -> Result<(), Box<dyn Error>> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    let mut child = match start(run_directory, directory, turn) {
        Ok(child) => child,
        Err(message) => return Ok(write_exit(directory, Why::NotStarted, None, false, Some(message))?),
    };
    let Some(agent) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
        return Err("the agent has no process id".into());
    };
    let mut family = Family::new(agent);
    let mut output = child.stdout.take().map(ChildStdout::from_std).transpose()?;
    let mut error = child.stderr.take().map(ChildStderr::from_std).transpose()?;
    // Only looks, so that the agent's id stays its own until its whole family has ended.
    let mut ended = tokio::task::spawn_blocking(move || {
        rustix::process::waitid(WaitId::Pid(agent), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
    });
    let mut agent_ended = false;
    let mut ending: Option<Ending> = None;
    let mut record = Recorder::new(directory, turn, log);
    let mut output_buffer = vec![0; 64 * 1024];
    let mut error_buffer = vec![0; 64 * 1024];
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);

    let why = loop {
        let mut end = None;
        tokio::select! {
            read = read(&mut output, &mut output_buffer) => record.take(Stream::Output, read),
            read = read(&mut error, &mut error_buffer) => record.take(Stream::Error, read),
            _ = &mut ended, if !agent_ended => {
                agent_ended = true;
                end = Some(Why::Exited);
            }
            _ = terminated.recv() => end = Some(Why::Terminated),
            _ = interrupted.recv() => end = Some(Why::Terminated),
            _ = hung_up.recv() => end = Some(Why::Terminated),
            _ = beat.tick() => {
                record.flush();
                if ending.is_none() && directory.is_interrupted().unwrap_or(false) {
                    end = Some(Why::Interrupted);
                }
            }
        }
        if let Some(why) = end
            && ending.is_none()
        {
            let kill_at = Instant::now() + turn.settings.grace;
            ending = Some(Ending { why, kill_at, give_up_at: kill_at + KILL_PATIENCE });
            beat = tokio::time::interval(ENDING_BEAT);
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        if let Some(ending) = &ending {
            if family.is_gone(agent_ended) || Instant::now() >= ending.give_up_at {
                break ending.why;
            } else if Instant::now() >= ending.kill_at {
                family.kill();
            } else {
                family.ask();
            }
        }
    };

    // Whatever is still in the pipes.
    let deadline = Instant::now() + DRAIN_PATIENCE;
    while output.is_some() || error.is_some() {
        tokio::select! {
            read = read(&mut output, &mut output_buffer) => record.take(Stream::Output, read),
            read = read(&mut error, &mut error_buffer) => record.take(Stream::Error, read),
            () = tokio::time::sleep_until(deadline) => break,
        }
    }
    let status = if agent_ended { Some(child.wait()?) } else { None };
    let success = record.finish(status.and_then(|status| status.code())) && why == Why::Exited;
    let message = (!agent_ended).then(|| format!("process {} did not end, not even on KILL", child.id()));
    Ok(write_exit(directory, why, status, success, message)?)
}

/// The next piece of a stream; an ended one is taken away, and never answers.
async fn read<'a>(stream: &mut Option<impl AsyncRead + Unpin>, buffer: &'a mut [u8]) -> &'a [u8] {
    let Some(open) = stream else { return std::future::pending().await };
    match open.read(buffer).await {
        Ok(count) if count > 0 => buffer.get(..count).unwrap_or_default(),
        _ => {
            *stream = None;
            &[]
        }
    }
}

/// Keeps what the agent says: the bounded log for people, and what the log means for afk.
struct Recorder<'a> {
    directory: &'a TurnDirectory,
    reader: OutputReader,
    written: super::output::Progress,
    log: BoundedLog,
}

impl<'a> Recorder<'a> {
    fn new(directory: &'a TurnDirectory, turn: &Turn, log: File) -> Self {
        Self {
            directory,
            reader: OutputReader::new(turn.settings.output),
            written: super::output::Progress::default(),
            log: BoundedLog::new(log, turn.settings.output_limit_bytes),
        }
    }

    fn take(&mut self, stream: Stream, bytes: &[u8]) {
        self.reader.read(stream, bytes);
        self.log.push(bytes);
    }

    /// A full disk must not stop the agent, nor its output from being drained: what cannot be written is tried again
    /// at the next beat.
    fn flush(&mut self) {
        let progress = self.reader.progress();
        if progress != self.written {
            match self.directory.0.put_json(PROGRESS, &progress) {
                Ok(()) => self.written = progress,
                Err(error) => tracing::warn!("could not write down the agent's progress: {error}"),
            }
        }
        self.log.flush();
    }

    fn finish(&mut self, code: Option<i32>) -> bool {
        self.reader.end();
        self.flush();
        self.reader.succeeded(code)
    }
}
