//! Providers: they take the turns of a thread one by one, each with a real agent process in the thread's directory.
//!
//! An agent that ends with 0 is done, with 3 or by a signal it died, and with anything else it failed, in the last words of its
//! standard error. What it says is its messages: the first line is one, at once, and the rest another, at the end. A line
//! `t3: approval COMMAND` asks for leave, `t3: question TEXT` asks a person, and the answers come as files `1`, `2`, … of
//! the directory `T3_ANSWERS`.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::commands::TEXT_LIMIT;
use super::state::{Asked, Phase, RunningAgent, Session, State, is_git};
use super::turns::{self, End};
use super::{Shared, lock};

/// How often something that is about to happen is looked for.
const LOOK: Duration = Duration::from_millis(3);
/// The most of a message that is kept: a model's words are bounded too.
const MESSAGE_LIMIT: usize = 100_000;

/// Gets the turns of a thread going, unless somebody is at it.
pub fn wake(shared: &Shared, state: &mut State, thread_id: &str) {
    let life = state.life;
    let Some(thread) = state.thread(thread_id) else { return };
    if thread.busy || thread.queue.is_empty() {
        return;
    }
    thread.busy = true;
    let provider = Provider { shared: shared.clone(), life, thread: thread_id.to_owned() };
    thread::spawn(move || provider.work());
}

/// The worker of one thread, in one life of the server.
struct Provider {
    shared: Shared,
    life: u64,
    thread: String,
}

impl Provider {
    /// Does something to the state, while the server lives.
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> Option<T> {
        let mut state = lock(&self.shared);
        (state.life == self.life).then(|| act(&mut state))
    }

    /// Waits while turns are held here, and the time that it takes.
    fn pass(&self, phase: Phase, time: Duration) -> Option<()> {
        thread::sleep(time);
        while self.with(|state| state.hold == Some(phase))? {
            thread::sleep(LOOK);
        }
        Some(())
    }

    fn work(&self) {
        while let Some(true) = self.turn() {}
    }

    /// One turn; `false` when there is none, `None` when the server is gone.
    fn turn(&self) -> Option<bool> {
        let step = self.with(|state| state.step)?;
        self.pass(Phase::Accepted, step)?;
        let asked = self.with(|state| {
            let thread = state.thread(&self.thread)?;
            let asked = thread.queue.pop_front().filter(|_| !thread.is_put_away());
            thread.busy = asked.is_some();
            thread.live = asked.is_some();
            asked
        })?;
        let Some(asked) = asked else { return Some(false) };
        if self.with(|state| self.cannot_start(state))? {
            return self.rests();
        }
        let (main, ready) = self.with(|state| {
            let ready = state.thread(&self.thread).and_then(|thread| thread.session.as_ref());
            let ready = ready.is_some_and(|session| session.status == "ready");
            if !ready {
                turns::set_session(state, &self.thread, "starting", None, None);
            }
            (state.is_main(), ready)
        })?;
        if !ready {
            self.pass(Phase::Starting, step)?;
            if !main {
                self.with(|state| turns::set_session(state, &self.thread, "ready", None, None))?;
            }
        }
        self.pass(Phase::Ready, step)?;
        if self.with(|state| self.is_refused(state, &asked))? {
            return self.rests();
        }
        self.run(&asked)?;
        Some(true)
    }

    /// No agent is at work for the moment.
    fn rests(&self) -> Option<bool> {
        self.with(|state| state.thread(&self.thread).map(|thread| thread.live = false))?;
        Some(true)
    }

    /// What an instance that cannot work leaves behind; v0.0.27 often no session at all.
    fn cannot_start(&self, state: &mut State) -> bool {
        let main = state.is_main();
        let missing = !state.agent.is_file();
        let program = state.agent.clone();
        let Some(thread) = state.thread(&self.thread) else { return true };
        let instance = thread.model["instanceId"].as_str().unwrap_or_default().to_owned();
        let known = ["claudeAgent", "codex", "cursor", "grok", "opencode"].contains(&instance.as_str());
        let id = &self.thread;
        let detail = if !known {
            format!(
                "Thread '{id}' references unknown provider instance '{instance}'. The instance is not configured in this build."
            )
        } else if !matches!(instance.as_str(), "claudeAgent" | "codex") {
            format!(
                "ProviderValidationError: Provider validation failed in ProviderService.startSession: Provider instance '{instance}' is disabled in T3 Code settings."
            )
        } else if missing && instance == "codex" {
            format!(
                "ProviderAdapterProcessError: Provider adapter process error (codex) for thread {id}: Failed to spawn Codex App Server process for command: {} app-server",
                program.display()
            )
        } else if missing {
            format!("ProviderAdapterSessionNotFoundError: Unknown claudeAgent adapter thread: {id}")
        } else {
            return false;
        };
        let provider = known.then(|| instance.clone());
        let session = |status, error: String| Session {
            status,
            provider,
            instance: instance.clone(),
            active_turn: None,
            last_error: Some(error),
            updated_at: String::new(),
        };
        let is_claude = known && instance == "claudeAgent";
        let said = if main {
            "Claude runtime stream failed.".to_owned()
        } else {
            format!(
                "Provider adapter process error (claudeAgent) for thread {id}: Claude Code native binary not found at {}. Please ensure Claude Code is installed via native installer or specify a valid path with options.pathToClaudeCodeExecutable.",
                program.display()
            )
        };
        let session = match (is_claude, main) {
            (true, _) => Some(session("stopped", said.clone())),
            (false, true) => Some(session("error", detail.clone())),
            (false, false) => None,
        };
        turns::refuse(state, id, &detail, session);
        for _ in 0..if is_claude { 2 } else { 0 } {
            // Long ones are cut.
            let shown =
                said.char_indices().nth(177).map_or_else(|| said.clone(), |(at, _)| format!("{}...", &said[..at]));
            let payload = serde_json::json!({ "message": shown });
            turns::note(state, id, None, ("error", "runtime.error", "Runtime error", payload));
        }
        true
    }

    /// A provider that says no to this turn; the session stays.
    fn is_refused(&self, state: &mut State, asked: &Asked) -> bool {
        let main = state.is_main();
        let too_long = asked.text.encode_utf16().count() > TEXT_LIMIT;
        let detail = match state.refusal.clone() {
            _ if too_long => {
                "ProviderValidationError: Provider validation failed in ProviderService.sendTurn".to_owned()
            }
            Some(refusal) => refusal,
            None => return false,
        };
        let status = if main && !too_long { "error" } else { "ready" };
        let session = state.thread(&self.thread).and_then(|thread| thread.session.clone());
        let session =
            session.map(|session| Session { status, last_error: (!too_long).then(|| detail.clone()), ..session });
        turns::refuse(state, &self.thread, &detail, session);
        true
    }

    /// The turn itself, from the start of its agent to its checkpoint.
    fn run(&self, asked: &Asked) -> Option<()> {
        let answers = tempfile::tempdir().unwrap();
        let (mut child, turn, git) = self.with(|state| {
            let thread = state.thread(&self.thread)?.clone();
            let directory = state.directory(&thread);
            let run = [&asked.text].into_iter().chain(thread.messages.iter().map(|message| &message.text));
            let run = run.filter_map(|text| run_of(text)).next().unwrap_or_default();
            let mut command = Command::new(&state.agent);
            command.arg(if thread.begun == 0 { "start" } else { "resume" }).current_dir(&directory).env_clear();
            command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
            command.env("AFK_RUN", run).env("T3_ANSWERS", answers.path()).process_group(0);
            command.env("T3_RUNTIME_MODE", &thread.runtime_mode);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let turn = turns::begin(state, &self.thread, asked);
            let child = match command.spawn() {
                Ok(child) => child,
                Err(error) => {
                    let said = format!("cannot start {} in {}: {error}", state.agent.display(), directory.display());
                    turns::end(state, &self.thread, &turn, &End::Error(said));
                    let thread = state.thread(&self.thread)?;
                    (thread.live, thread.busy) = (false, false);
                    return None;
                }
            };
            state.thread(&self.thread)?.agent = Some(RunningAgent {
                group: Pid::from_child(&child),
                turn: turn.clone(),
                interrupted: false,
                stopped: false,
                told: None,
                answers: answers.path().to_owned(),
            });
            Some((child, turn, is_git(&directory)))
        })??;
        let end = self.follow(&mut child, &turn, &asked.text);
        let checkpoint = self.with(|state| {
            turns::end(state, &self.thread, &turn, &end);
            let thread = state.thread(&self.thread)?;
            (thread.agent, thread.live) = (None, false);
            Some(state.checkpoint)
        })??;
        let codex =
            self.with(|state| state.thread(&self.thread).map(|thread| thread.model["instanceId"] == "codex"))??;
        let phases = [Phase::Ended, Phase::Placeholder];
        for (status, phase) in end.checkpoints(codex).iter().zip(phases).filter(|_| git) {
            self.pass(phase, checkpoint)?;
            self.with(|state| turns::checkpoint(state, &self.thread, &turn, status, &asked.at))?;
        }
        Some(())
    }

    /// Hears an agent out, and waits for its end.
    fn follow(&self, child: &mut Child, turn: &str, text: &str) -> End {
        let (mut stdin, stdout, stderr) =
            (child.stdin.take().unwrap(), child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let text = text.to_owned();
        // An agent need not read what it is told.
        thread::spawn(move || stdin.write_all(text.as_bytes()));
        let complaints = thread::spawn(move || {
            let mut said = Vec::new();
            let _ = BufReader::new(stderr).read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        });
        let hearer = Self { shared: self.shared.clone(), life: self.life, thread: self.thread.clone() };
        let of = turn.to_owned();
        let words = thread::spawn(move || hearer.hear(BufReader::new(stdout), &of));
        let group = Pid::from_child(child);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            let patience = self.with(|state| {
                let grace = state.grace;
                let agent = state.thread(&self.thread).and_then(|thread| thread.agent.as_ref());
                agent.and_then(|agent| agent.told).is_none_or(|told| told.elapsed() < grace)
            });
            if patience != Some(true) {
                let _ = rustix::process::kill_process_group(group, Signal::KILL);
            }
            thread::sleep(LOOK);
        };
        // Whoever is left would keep its pipes open.
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
        let rest = words.join().unwrap_or_default();
        let complaints = complaints.join().unwrap_or_default();
        if !rest.trim().is_empty() {
            self.with(|state| turns::say(state, &self.thread, turn, rest.trim()));
        }
        self.ended(status, &complaints)
    }

    fn ended(&self, status: ExitStatus, complaints: &str) -> End {
        let agent = self.with(|state| state.thread(&self.thread).and_then(|thread| thread.agent.clone())).flatten();
        let last = complaints.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
        match agent {
            Some(agent) if agent.stopped => End::Stopped,
            Some(agent) if agent.interrupted => End::Interrupted,
            Some(agent) if agent.told.is_some() => End::Asked,
            _ if status.success() => End::Completed,
            _ if status.code() == Some(3) || status.signal().is_some() => End::Crashed(last.to_owned()),
            _ => End::Error(last.to_owned()),
        }
    }

    /// Listens to an agent; gives what is left to say at the end.
    fn hear(&self, output: impl BufRead, turn: &str) -> String {
        let mut rest = String::new();
        let mut is_first = true;
        for line in output.split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            let said = match line.strip_prefix("t3: ").and_then(|line| line.split_once(' ')) {
                Some(("approval", command)) => {
                    self.with(|state| turns::ask_approval(state, &self.thread, turn, command))
                }
                Some(("question", question)) => {
                    self.with(|state| turns::ask_question(state, &self.thread, turn, question))
                }
                _ if is_first && !line.trim().is_empty() => {
                    is_first = false;
                    self.with(|state| turns::say(state, &self.thread, turn, &line))
                }
                _ => {
                    rest.push_str(&line);
                    rest.push('\n');
                    if rest.len() > 2 * MESSAGE_LIMIT {
                        let cut = (MESSAGE_LIMIT..).find(|at| rest.is_char_boundary(*at)).unwrap_or(0);
                        rest.drain(..cut);
                    }
                    Some(())
                }
            };
            if said.is_none() {
                break;
            }
        }
        rest
    }
}

/// The run that a prompt is about, as an agent reads it there.
fn run_of(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("AFK-Run: ")?;
    after.get(..36)
}
