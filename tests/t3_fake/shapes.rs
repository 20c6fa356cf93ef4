//! What is shown of what the server knows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Map, Value, json};

use super::projects;
use super::state::{Activity, Checkpoint, Message, Project, Session, State, Thread};

/// `GET /api/orchestration/snapshot`: everything, the deleted and the archived too. main leaves the bodies out.
pub fn snapshot(state: &State) -> Value {
    let bodies = !state.is_main();
    json!({
        "snapshotSequence": state.sequence,
        "projects": state.projects.iter().map(|known| project(state, known, false)).collect::<Vec<_>>(),
        "threads": state.threads.iter().map(|known| thread(state, known, bodies)).collect::<Vec<_>>(),
        "updatedAt": state.updated_at,
    })
}

/// `GET /api/orchestration/shell`, of main: nothing deleted, nothing archived, no bodies, and who waits for a person.
pub fn shell(state: &State) -> Value {
    let projects = state.projects.iter().filter(|project| project.deleted_at.is_none());
    let threads = state.threads.iter().filter(|thread| !thread.is_put_away());
    let threads = threads.map(|known| {
        let mut shown = thread(state, known, false);
        let fields = shown.as_object_mut().unwrap();
        for body in ["messages", "proposedPlans", "activities", "checkpoints", "deletedAt"] {
            fields.shift_remove(body);
        }
        let last = known.messages.iter().rev().find(|message| message.role == "user").map(|message| &message.at);
        let waits = |requested, resolved| known.is_in_flight() && !known.pending(requested, resolved).is_empty();
        fields.insert("latestUserMessageAt".to_owned(), json!(last));
        fields.insert("hasPendingApprovals".to_owned(), json!(waits("approval.requested", "approval.resolved")));
        fields.insert("hasPendingUserInput".to_owned(), json!(waits("user-input.requested", "user-input.resolved")));
        fields.insert("hasActionableProposedPlan".to_owned(), json!(false));
        fields.insert("backgroundLiveness".to_owned(), Value::Null);
        fields.insert("planProgress".to_owned(), Value::Null);
        shown
    });
    json!({
        "snapshotSequence": state.sequence,
        "projects": projects.map(|known| project(state, known, true)).collect::<Vec<_>>(),
        "threads": threads.collect::<Vec<_>>(),
        "updatedAt": state.updated_at,
    })
}

/// `GET /api/orchestration/threads/ID`, of main: one thread with its bodies, or with those of its newest turns.
pub fn detail(state: &State, known: &Thread, turns: Option<usize>) -> Value {
    let mut shown = json!({ "snapshotSequence": state.sequence, "thread": thread(state, known, true) });
    if let Some(turns) = turns {
        let asked: Vec<usize> =
            known.messages.iter().enumerate().filter(|(_, message)| message.role == "user").map(|(at, _)| at).collect();
        let first = asked.len().saturating_sub(turns);
        let before: Vec<&str> = known.messages.iter().filter_map(|message| message.turn.as_deref()).collect();
        let kept: Vec<&str> = known
            .checkpoints
            .iter()
            .skip(first)
            .map(|checkpoint| checkpoint.turn.as_str())
            .chain(known.latest_turn.as_ref().map(|turn| turn.id.as_str()))
            .collect();
        let old = |turn: Option<&str>| turn.is_some_and(|turn| before.contains(&turn) && !kept.contains(&turn));
        let keeps = |at: usize, message: &Message| match message.role {
            "user" => asked.iter().position(|asked| *asked == at).is_some_and(|place| place >= first),
            _ => !old(message.turn.as_deref()),
        };
        let messages = known.messages.iter().enumerate().filter(|(at, message)| keeps(*at, message));
        shown["thread"]["messages"] = messages.map(|(_, known)| message(known)).collect();
        let activities = known.activities.iter().filter(|activity| !old(activity.turn.as_deref()));
        shown["thread"]["activities"] = activities.map(activity).collect();
        let more = first > 0;
        shown["page"] = json!({
            "beforeCursor": more.then(|| STANDARD_NO_PAD.encode(format!("{} {first}", known.id))),
            "hasMore": more,
            "snapshotSequence": state.sequence,
            "threadSequence": state.sequence,
        });
    }
    shown
}

fn project(state: &State, project: &Project, is_shell: bool) -> Value {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    put("id", json!(project.id));
    put("title", json!(project.title));
    put("workspaceRoot", json!(project.root));
    if is_shell || !state.is_main() {
        put("repositoryIdentity", projects::repository(&project.root));
    }
    put("defaultModelSelection", project.model.clone());
    if state.is_main() {
        put("defaultThreadEnvMode", Value::Null);
        put("faviconPath", Value::Null);
    }
    put("scripts", project.scripts.clone());
    put("createdAt", json!(project.created_at));
    put("updatedAt", json!(project.updated_at));
    if !is_shell {
        put("deletedAt", json!(project.deleted_at));
    }
    Value::Object(shown)
}

fn thread(state: &State, thread: &Thread, bodies: bool) -> Value {
    let turn = thread.latest_turn.as_ref().map(|turn| {
        json!({
            "turnId": turn.id,
            "state": turn.state,
            "requestedAt": turn.requested_at,
            "startedAt": turn.requested_at,
            "completedAt": turn.completed_at,
            "assistantMessageId": turn.assistant_message,
        })
    });
    let mut shown = json!({
        "id": thread.id,
        "projectId": thread.project,
        "title": thread.title,
        "modelSelection": thread.model,
        "runtimeMode": thread.runtime_mode,
        "interactionMode": thread.interaction_mode,
        "branch": thread.branch,
        "worktreePath": thread.worktree,
        "latestTurn": turn,
        "createdAt": thread.created_at,
        "updatedAt": thread.updated_at,
        "archivedAt": thread.archived_at,
    });
    let fields = shown.as_object_mut().unwrap();
    if state.is_main() {
        for name in [
            "settledOverride",
            "settledAt",
            "snoozedUntil",
            "snoozedAt",
            "pinnedAt",
            "pinOrderKey",
            "titleRegeneration",
        ] {
            fields.insert(name.to_owned(), Value::Null);
        }
    }
    fields.insert("deletedAt".to_owned(), json!(thread.deleted_at));
    let list = |items: Vec<Value>| if bodies { Value::Array(items) } else { json!([]) };
    fields.insert("messages".to_owned(), list(thread.messages.iter().map(message).collect()));
    fields.insert("proposedPlans".to_owned(), json!([]));
    fields.insert("activities".to_owned(), list(thread.activities.iter().map(activity).collect()));
    let checkpoints = thread.checkpoints.iter().map(|known| checkpoint(&thread.id, known)).collect();
    fields.insert("checkpoints".to_owned(), list(checkpoints));
    fields.insert("session".to_owned(), json!(thread.session.as_ref().map(|known| session(thread, known))));
    shown
}

fn session(thread: &Thread, session: &Session) -> Value {
    json!({
        "threadId": thread.id,
        "status": session.status,
        "providerName": session.provider,
        "providerInstanceId": session.instance,
        "runtimeMode": thread.runtime_mode,
        "activeTurnId": session.active_turn,
        "lastError": session.last_error,
        "updatedAt": session.updated_at,
    })
}

fn message(message: &Message) -> Value {
    let mut shown = json!({ "id": message.id, "role": message.role, "text": message.text });
    let fields = shown.as_object_mut().unwrap();
    if message.role == "user" {
        fields.insert("attachments".to_owned(), json!([]));
    }
    fields.insert("turnId".to_owned(), json!(message.turn));
    fields.insert("streaming".to_owned(), json!(false));
    fields.insert("createdAt".to_owned(), json!(message.at));
    fields.insert("updatedAt".to_owned(), json!(message.at));
    shown
}

fn activity(activity: &Activity) -> Value {
    json!({
        "id": activity.id,
        "tone": activity.tone,
        "kind": activity.kind,
        "summary": activity.summary,
        "payload": activity.payload,
        "turnId": activity.turn,
        "createdAt": activity.at,
    })
}

fn checkpoint(thread: &str, checkpoint: &Checkpoint) -> Value {
    json!({
        "turnId": checkpoint.turn,
        "checkpointTurnCount": checkpoint.count,
        "checkpointRef": format!("refs/t3/checkpoints/{}/turn/{}", STANDARD_NO_PAD.encode(thread), checkpoint.count),
        "status": checkpoint.status,
        "files": [],
        "assistantMessageId": checkpoint.assistant_message,
        "completedAt": checkpoint.at,
    })
}
