//! What turns do to threads, in each generation as it was recorded.

use std::fs;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::state::{Activity, Asked, Checkpoint, Message, Session, State, Thread, Turn, id};

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Completed,
    /// The agent said that it failed, in these words.
    Error(String),
    /// Its process died; the end of its complaints.
    Crashed(String),
    /// It was told to end, by the turn's id.
    Interrupted,
    /// It was told to end without one, which counts as a completion.
    Asked,
    /// Its session was stopped.
    Stopped,
}

/// Changes a thread, at a new event's time. Nothing is recorded of one that was archived or deleted.
pub fn change(state: &mut State, thread: &str, act: impl FnOnce(&mut Thread, &str)) {
    if state.thread(thread).is_none_or(|thread| thread.is_put_away()) {
        return;
    }
    let now = state.event();
    if let Some(thread) = state.thread(thread) {
        thread.updated_at.clone_from(&now);
        act(thread, &now);
    }
}

fn instance(thread: &Thread) -> String {
    thread.model["instanceId"].as_str().unwrap_or_default().to_owned()
}

fn is_codex(thread: &Thread) -> bool {
    instance(thread) == "codex"
}

pub fn set_session(state: &mut State, thread: &str, status: &'static str, turn: Option<&str>, error: Option<String>) {
    change(state, thread, |thread, now| {
        thread.session = Some(Session {
            status,
            provider: Some(instance(thread)),
            instance: instance(thread),
            active_turn: turn.map(str::to_owned),
            last_error: error,
            updated_at: now.to_owned(),
        });
    });
}

/// The provider has taken a turn; gives the id that it has from now on.
pub fn begin(state: &mut State, thread: &str, asked: &Asked) -> String {
    let turn = id();
    set_session(state, thread, "running", Some(&turn), None);
    change(state, thread, |thread, _| {
        thread.latest_turn = Some(Turn {
            id: turn.clone(),
            state: "running",
            requested_at: asked.at.clone(),
            completed_at: None,
            assistant_message: None,
        });
        thread.begun += 1;
    });
    turn
}

/// A message of the agent's is finished. v0.0.27 takes that for the end of the turn.
pub fn say(state: &mut State, thread: &str, turn: &str, text: &str) {
    let main = state.is_main();
    change(state, thread, |thread, now| {
        let prefix = if is_codex(thread) { "msg_" } else { "" };
        let message = format!("assistant:{prefix}{}", id());
        thread.messages.push(Message {
            id: message.clone(),
            role: "assistant",
            text: text.to_owned(),
            turn: Some(turn.to_owned()),
            at: now.to_owned(),
        });
        if let Some(latest) = thread.latest_turn.as_mut().filter(|latest| latest.id == turn) {
            latest.assistant_message = Some(message);
            if !main && latest.state == "running" {
                latest.state = "completed";
                latest.completed_at = Some(now.to_owned());
            }
        }
    });
}

pub fn note(state: &mut State, thread: &str, turn: Option<&str>, activity: (&'static str, &'static str, &str, Value)) {
    let (tone, kind, summary, payload) = activity;
    change(state, thread, |thread, now| {
        thread.activities.push(Activity {
            id: id(),
            tone,
            kind,
            summary: summary.to_owned(),
            payload,
            turn: turn.map(str::to_owned),
            at: now.to_owned(),
        });
    });
}

/// The agent asks for leave.
pub fn ask_approval(state: &mut State, thread: &str, turn: &str, command: &str) {
    let payload = json!({
        "requestId": id(),
        "requestKind": "command",
        "requestType": "command_execution_approval",
        "detail": format!("Bash: {command}"),
    });
    note(state, thread, Some(turn), ("approval", "approval.requested", "Command approval requested", payload));
}

/// The agent asks a question.
pub fn ask_question(state: &mut State, thread: &str, turn: &str, question: &str) {
    let payload = json!({
        "requestId": id(),
        "questions": [{
            "id": question,
            "header": "Colour",
            "question": question,
            "options": [{ "label": "red", "description": "Red" }, { "label": "blue", "description": "Blue" }],
            "multiSelect": false,
        }],
    });
    note(state, thread, Some(turn), ("info", "user-input.requested", "User input requested", payload));
}

/// Somebody answers. An answer to nothing is accepted all the same.
pub fn answer(state: &mut State, thread_id: &str, command: &Value) {
    let is_approval = command["type"] == "thread.approval.respond";
    let (requested, resolved) = if is_approval {
        ("approval.requested", "approval.resolved")
    } else {
        ("user-input.requested", "user-input.resolved")
    };
    let request = &command["requestId"];
    let Some(thread) = state.thread(thread_id) else { return };
    let pending = thread.pending(requested, resolved);
    let found = pending.into_iter().find(|activity| activity.payload["requestId"] == *request).cloned();
    let Some((asked, agent)) = found.zip(thread.agent.clone()) else {
        if is_approval {
            let request = request.as_str().unwrap_or_default();
            let said = format!(
                "Stale pending approval request: {request}. Provider callback state does not survive app restarts or recovered sessions. Restart the turn to continue."
            );
            let payload = json!({ "detail": said, "requestId": request });
            let failed = ("error", "provider.approval.respond.failed", "Provider approval response failed", payload);
            note(state, thread_id, None, failed);
        }
        return;
    };
    let answered = thread.activities.iter().filter(|activity| activity.kind.ends_with(".resolved")).count();
    if is_approval {
        let mut payload = asked.payload;
        payload.as_object_mut().unwrap().remove("detail");
        payload["decision"] = command["decision"].clone();
        note(state, thread_id, asked.turn.as_deref(), ("approval", resolved, "Approval resolved", payload));
    } else {
        let payload = json!({ "requestId": request, "answers": command["answers"] });
        note(state, thread_id, asked.turn.as_deref(), ("info", resolved, "User input submitted", payload));
    }
    let words = if is_approval { &command["decision"] } else { &command["answers"] };
    let words = words.as_str().map_or_else(|| words.to_string(), str::to_owned);
    let _ = fs::write(agent.answers.join((answered + 1).to_string()), words);
}

/// Asked to end. With the turn's id that is recorded at once, whatever the agent does.
pub fn interrupt(state: &mut State, thread_id: &str, turn: Option<&str>, at: &str) {
    let Some(thread) = state.thread(thread_id) else { return };
    let Some(agent) = thread.agent.as_mut().filter(|agent| turn.is_none_or(|turn| turn == agent.turn)) else { return };
    agent.interrupted |= turn.is_some();
    agent.told.get_or_insert_with(Instant::now);
    let _ = rustix::process::kill_process_group(agent.group, Signal::TERM);
    if let Some(latest) = thread.latest_turn.as_mut().filter(|latest| Some(latest.id.as_str()) == turn) {
        latest.state = "interrupted";
        latest.completed_at = Some(at.to_owned());
    }
}

pub fn stop_session(state: &mut State, thread_id: &str) {
    let Some(thread) = state.thread(thread_id) else { return };
    if let Some(agent) = &mut thread.agent {
        agent.stopped = true;
        let _ = rustix::process::kill_process_group(agent.group, Signal::KILL);
    } else if thread.session.is_some() {
        set_session(state, thread_id, "stopped", None, None);
    }
}

/// The agent has ended. In v0.0.27 there is no turn until its checkpoint is taken.
pub fn end(state: &mut State, thread_id: &str, turn: &str, end: &End) {
    let main = state.is_main();
    let Some(thread) = state.thread(thread_id) else { return };
    let codex = is_codex(thread);
    let used = 1920 * thread.begun;
    let (status, error) = match end {
        End::Completed | End::Interrupted | End::Asked => ("ready", None),
        End::Error(said) => ("error", Some(said.clone())),
        End::Crashed(_) if codex => ("stopped", None),
        End::Crashed(_) if main => ("stopped", Some("Claude runtime stream failed.".to_owned())),
        End::Crashed(_) => {
            let said = "Claude Code process exited with code 3";
            let said = format!("Provider adapter process error (claudeAgent) for thread {thread_id}: {said}");
            ("stopped", Some(said))
        }
        End::Stopped => ("stopped", None),
    };
    set_session(state, thread_id, status, None, error.clone());
    change(state, thread_id, |thread, now| {
        if !main {
            thread.latest_turn = None;
        } else if let Some(latest) = &mut thread.latest_turn {
            latest.state = match end {
                End::Completed | End::Asked => "completed",
                End::Error(_) => "error",
                End::Crashed(_) if !codex => "error",
                End::Crashed(_) | End::Interrupted | End::Stopped => "interrupted",
            };
            latest.completed_at = Some(now.to_owned());
        }
    });
    match (end, error) {
        (End::Crashed(said), _) if codex && !main => {
            note(state, thread_id, None, ("info", "runtime.warning", said, json!({ "message": said })));
        }
        (End::Error(_) | End::Crashed(_), Some(said)) => {
            let failed = ("error", "runtime.error", "Runtime error", json!({ "message": said }));
            note(state, thread_id, Some(turn), failed);
        }
        _ => {}
    }
    let window = ("info", "context-window.updated", "Context window updated");
    match end {
        End::Stopped | End::Crashed(_) => {}
        End::Completed if codex => {
            let payload = json!({
                "usedTokens": 1320, "maxTokens": 200_000, "inputTokens": 1200, "cachedInputTokens": 600,
                "outputTokens": 120, "reasoningOutputTokens": 0, "lastUsedTokens": 1320, "lastInputTokens": 1200,
                "lastCachedInputTokens": 600, "lastOutputTokens": 120, "lastReasoningOutputTokens": 0,
                "compactsAutomatically": true,
            });
            note(state, thread_id, None, (window.0, window.1, window.2, payload));
        }
        _ if codex => {}
        _ => {
            let payload = json!({
                "usedTokens": used, "lastUsedTokens": used, "inputTokens": used / 16 * 15,
                "outputTokens": used / 16, "maxTokens": 200_000,
            });
            note(state, thread_id, Some(turn), (window.0, window.1, window.2, payload));
        }
    }
}

/// The checkpoint of a turn in a git repository, which settles an interrupted turn as a completed one.
pub fn checkpoint(state: &mut State, thread_id: &str, turn: &str, status: &'static str, requested_at: &str) {
    let count = state.thread(thread_id).map_or(0, |thread| thread.begun);
    let payload = json!({ "turnCount": count, "status": status });
    note(state, thread_id, Some(turn), ("info", "checkpoint.captured", "Checkpoint captured", payload));
    change(state, thread_id, |thread, now| {
        let of_turn = |message: &&Message| message.turn.as_deref() == Some(turn);
        let said = thread.messages.iter().rev().find(of_turn).map(|message| message.id.clone());
        let said = said.unwrap_or_else(|| format!("assistant:{turn}"));
        thread.checkpoints.retain(|other| other.turn != turn);
        thread.checkpoints.push(Checkpoint {
            turn: turn.to_owned(),
            count,
            status,
            assistant_message: said.clone(),
            at: now.to_owned(),
        });
        thread.latest_turn = Some(Turn {
            id: turn.to_owned(),
            state: if status == "error" { "error" } else { "completed" },
            requested_at: requested_at.to_owned(),
            completed_at: Some(now.to_owned()),
            assistant_message: Some(said),
        });
    });
}

impl End {
    /// What a checkpoint says of it, one after the other: a turn that was cut off gets a placeholder first.
    pub fn checkpoints(&self, codex: bool) -> &'static [&'static str] {
        match self {
            Self::Completed => &["ready"],
            Self::Interrupted | Self::Asked => &["missing", "ready"],
            Self::Crashed(_) if codex => &[],
            Self::Error(_) | Self::Crashed(_) => &["error"],
            Self::Stopped => &[],
        }
    }
}

/// The provider takes no turn: an instance that nobody knows or that is disabled, or one that says no.
pub fn refuse(state: &mut State, thread_id: &str, detail: &str, session: Option<Session>) {
    let payload = json!({ "detail": detail });
    note(state, thread_id, None, ("error", "provider.turn.start.failed", "Provider turn start failed", payload));
    change(state, thread_id, |thread, now| {
        if let Some(session) = session {
            thread.session = Some(Session { updated_at: now.to_owned(), ..session });
        }
    });
}
