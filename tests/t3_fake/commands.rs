//! Commands: which are refused, and what the others do at once. What they set going is the providers' matter.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::desk::Reply;
use super::state::{Asked, Message, Project, Receipt, State, Thread, id, stamp};
use super::{Shared, fields, lock, projects, provider, turns};

/// The most characters that a turn takes, in UTF-16; found out only when the provider is called.
pub const TEXT_LIMIT: usize = 120_000;

/// `POST /api/orchestration/dispatch`, by somebody who may.
pub fn dispatch(shared: &Shared, command: &Value) -> Reply {
    let mut guard = lock(shared);
    let state = &mut *guard;
    if !fields::are_right(state.generation, command) {
        return Reply::empty(400);
    }
    // Roots are looked at before anything is recorded.
    let root = match root(state, command) {
        Ok(root) => root,
        Err(refusal) => return refusal,
    };
    let command_id = word(command, "commandId");
    let aggregate = command.get("threadId").or_else(|| command.get("projectId")).map(trimmed).unwrap_or_default();
    if let Some(receipt) = state.receipts.get(&command_id) {
        let other = state.is_main() && receipt.aggregate != aggregate;
        return match receipt.sequence.filter(|_| !other) {
            Some(sequence) => accepted(sequence),
            None => Reply::dispatch_failed(),
        };
    }
    let done = carry_out(state, command, root);
    let sequence = done.map(|()| state.sequence);
    state.receipts.insert(command_id, Receipt { sequence, aggregate: aggregate.clone() });
    let Some(sequence) = sequence else { return Reply::dispatch_failed() };
    if command["type"] == "thread.turn.start" {
        provider::wake(shared, state, &aggregate);
    }
    accepted(sequence)
}

fn accepted(sequence: u64) -> Reply {
    Reply::json(200, json!({ "sequence": sequence }))
}

fn trimmed(value: &Value) -> String {
    value.as_str().unwrap_or_default().trim().to_owned()
}

fn word(command: &Value, field: &str) -> String {
    trimmed(&command[field])
}

/// The root that a command names, made where it asks for that.
fn root(state: &State, command: &Value) -> Result<Option<PathBuf>, Reply> {
    if !matches!(command["type"].as_str(), Some("project.create" | "project.meta.update")) {
        return Ok(None);
    }
    let Some(wanted) = command["workspaceRoot"].as_str() else { return Ok(None) };
    match projects::root(&state.home, wanted, command["createWorkspaceRootIfMissing"] == true) {
        Some(root) => Ok(Some(root)),
        None => Err(Reply::request_invalid("invalid_command")),
    }
}

/// Does what is asked; `None` where the state of things forbids it.
fn carry_out(state: &mut State, command: &Value, root: Option<PathBuf>) -> Option<()> {
    let kind = command["type"].as_str()?;
    // main stamps everything with its own time; v0.0.27 believes the client.
    let at = match command["createdAt"].as_str() {
        Some(at) if !state.is_main() => at.to_owned(),
        _ => stamp(state.now()),
    };
    if kind.starts_with("project.") {
        return project(state, kind, command, root, at);
    }
    if kind == "thread.create" {
        return create_thread(state, command, at);
    }
    let thread_id = word(command, "threadId");
    state.thread(&thread_id)?;
    match kind {
        "thread.turn.start" => start_turn(state, &thread_id, command, at),
        "thread.turn.interrupt" => {
            state.event_at(at.clone());
            turns::interrupt(state, &thread_id, command["turnId"].as_str(), &at);
            Some(())
        }
        "thread.session.stop" => {
            state.event_at(at);
            turns::stop_session(state, &thread_id);
            Some(())
        }
        "thread.approval.respond" | "thread.user-input.respond" => {
            state.event_at(at);
            turns::answer(state, &thread_id, command);
            Some(())
        }
        _ => change_thread(state, &thread_id, kind, command),
    }
}

fn project(state: &mut State, kind: &str, command: &Value, root: Option<PathBuf>, at: String) -> Option<()> {
    let project_id = word(command, "projectId");
    match kind {
        "project.create" => {
            let root = root?;
            let twin = state.projects.iter().any(|other| other.root == root && other.deleted_at.is_none());
            if state.project(&project_id).is_some() || (twin && state.is_main()) {
                return None;
            }
            let at = state.event_at(at);
            state.projects.push(Project {
                id: project_id,
                title: word(command, "title"),
                root,
                model: command.get("defaultModelSelection").cloned().unwrap_or(Value::Null),
                scripts: json!([]),
                created_at: at.clone(),
                updated_at: at,
                deleted_at: None,
            });
        }
        "project.meta.update" => {
            state.project(&project_id)?;
            let now = state.event();
            let project = state.project(&project_id)?;
            project.updated_at = now;
            if command.get("title").is_some() {
                project.title = word(command, "title");
            }
            if let Some(root) = root {
                project.root = root;
            }
            if let Some(model) = command.get("defaultModelSelection") {
                project.model = model.clone();
            }
            if let Some(scripts) = command.get("scripts") {
                project.scripts = scripts.clone();
            }
        }
        _ => {
            state.project(&project_id)?;
            let of_it = |thread: &&mut Thread| thread.project == project_id && thread.deleted_at.is_none();
            let count = state.threads.iter_mut().filter(of_it).count();
            if count > 0 && command["force"] != true {
                return None;
            }
            for _ in 0..count {
                state.event();
            }
            let now = state.event();
            for thread in state.threads.iter_mut().filter(of_it) {
                thread.deleted_at = Some(now.clone());
                thread.updated_at.clone_from(&now);
            }
            let project = state.project(&project_id)?;
            project.deleted_at = Some(now.clone());
            project.updated_at = now;
        }
    }
    Some(())
}

fn create_thread(state: &mut State, command: &Value, at: String) -> Option<()> {
    let thread_id = word(command, "threadId");
    // The id of a deleted one cannot be used again either.
    if state.thread(&thread_id).is_some() {
        return None;
    }
    let project = state.project(&word(command, "projectId")).filter(|project| project.deleted_at.is_none())?.id.clone();
    let at = state.event_at(at);
    let text = |field: &str| command[field].as_str().map(str::to_owned);
    state.threads.push(Thread {
        id: thread_id,
        project,
        title: word(command, "title"),
        model: command["modelSelection"].clone(),
        runtime_mode: word(command, "runtimeMode"),
        interaction_mode: text("interactionMode").unwrap_or_else(|| "default".to_owned()),
        branch: text("branch"),
        worktree: text("worktreePath"),
        latest_turn: None,
        session: None,
        created_at: at.clone(),
        updated_at: at,
        archived_at: None,
        deleted_at: None,
        settled: false,
        messages: Vec::new(),
        activities: Vec::new(),
        checkpoints: Vec::new(),
        queue: std::collections::VecDeque::new(),
        busy: false,
        live: false,
        agent: None,
        begun: 0,
    });
    Some(())
}

/// Recorded, on an archived or deleted thread as well; whether it starts is another matter. `bootstrap` is dropped.
fn start_turn(state: &mut State, thread_id: &str, command: &Value, at: String) -> Option<()> {
    state.event_at(at.clone());
    state.event_at(at.clone());
    let thread = state.thread(thread_id)?;
    let message_id = trimmed(&command["message"]["messageId"]);
    let text = command["message"]["text"].as_str()?.to_owned();
    // A message of the same id is replaced.
    thread.messages.retain(|message| message.id != message_id);
    let message = Message { id: message_id.clone(), role: "user", text: text.clone(), turn: None, at: at.clone() };
    thread.messages.push(message);
    thread.runtime_mode = word(command, "runtimeMode");
    thread.interaction_mode = word(command, "interactionMode");
    if let Some(model) = command.get("modelSelection") {
        thread.model = model.clone();
    }
    thread.updated_at.clone_from(&at);
    // A model names what has no name of its own.
    if thread.title == "New thread" || command["titleSeed"] == thread.title.as_str() {
        thread.title = "What a model calls it".to_owned();
    }
    if !thread.is_put_away() {
        thread.live = true;
        thread.queue.push_back(Asked { message: message_id, text, at });
    }
    Some(())
}

fn change_thread(state: &mut State, thread_id: &str, kind: &str, command: &Value) -> Option<()> {
    let thread = state.thread(thread_id)?;
    if (kind == "thread.archive" && thread.archived_at.is_some())
        || (kind == "thread.unarchive" && thread.archived_at.is_none())
        || (command.get("regenerateTitle").is_some() && command.get("title").is_some())
    {
        return None;
    }
    let now = state.event();
    let thread = state.thread(thread_id)?;
    thread.updated_at.clone_from(&now);
    match kind {
        "thread.archive" => thread.archived_at = Some(now),
        "thread.unarchive" => thread.archived_at = None,
        "thread.delete" => thread.deleted_at = Some(now),
        "thread.runtime-mode.set" => thread.runtime_mode = word(command, "runtimeMode"),
        "thread.interaction-mode.set" => thread.interaction_mode = word(command, "interactionMode"),
        "thread.checkpoint.revert" => {
            thread.messages.clear();
            thread.activities.clear();
            thread.checkpoints.clear();
            thread.latest_turn = None;
        }
        "thread.meta.update" => {
            let text = |field: &str| command.get(field).map(|value| value.as_str().map(str::to_owned));
            if let Some(Some(title)) = text("title") {
                thread.title = title;
            }
            if let Some(branch) = text("branch") {
                thread.branch = branch;
            }
            if let Some(worktree) = text("worktreePath") {
                thread.worktree = worktree;
            }
            if let Some(model) = command.get("modelSelection") {
                thread.model = model.clone();
            }
        }
        // Settled, snoozed and pinned: how people sort their lists.
        _ => {}
    }
    Some(())
}
