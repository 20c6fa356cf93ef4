//! How the recorded servers came into the state that they were recorded in.

use serde_json::{Value, json};

use crate::stage::Stage;
use crate::t3_fake::contract::Recording;
use crate::t3_fake::{Phase, State};

/// Brings the fake into the state of a recording; `false` where nobody knows how.
pub fn prepare(stage: &Stage, recording: &Recording) -> bool {
    let name = recording.name.as_str();
    match name.split_once('-').map_or((name, ""), |(kind, rest)| (kind, rest)) {
        ("snapshot" | "shell" | "thread", "empty" | "endpoint-absent") => true,
        ("snapshot" | "shell" | "thread", what) => situation(stage, recording, what),
        ("dispatch", _) => command(stage, recording),
        ("error", _) if !recording.request["body"]["commandId"].is_null() => command(stage, recording),
        ("auth", "token-exchange") | ("error", "token-exchange-scope-not-granted") => pair(stage),
        ("error", "token-exchange-credential-used") => {
            pair(stage);
            let path = recording.request["path"].as_str().unwrap();
            let (headers, body) = stage.request(recording);
            let first = stage.send("POST", path, &headers, &body);
            // The credential is gone, and named all the same.
            let credential = body.split("subject_token=").nth(1).unwrap().split('&').next().unwrap().to_owned();
            stage.spent(credential);
            first.status == 200
        }
        _ => true,
    }
}

fn pair(stage: &Stage) -> bool {
    let headers = [("authorization", "Bearer token-of-afk"), ("content-type", "application/json")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let body = json!({ "label": "reader", "scopes": ["orchestration:read"] }).to_string();
    stage.send("POST", "/api/auth/pairing-token", &headers, &body).status == 200
}

/// What has to be there for a command, and what must not.
fn command(stage: &Stage, recording: &Recording) -> bool {
    let body = match &recording.request["body"] {
        // Written out where it is sent.
        Value::String(_) => json!({ "type": "thread.turn.start", "threadId": "long" }),
        body => body.clone(),
    };
    let (_, what) = recording.name.split_once('-').unwrap();
    let project = body.get("projectId").cloned().unwrap_or_else(|| json!("of-the-test"));
    let thread = &body["threadId"];
    let makes_project = body["type"] == "project.create";
    let makes_thread = body["type"] == "thread.create";
    match what {
        "project-create-same-workspace-root" => stage.project(&json!("the-first"), "work/repo"),
        "same-command-id-again" => assert_eq!(stage.fake.person(&stage.mine(&body)), 200),
        "same-command-id-other-payload" => {
            let mut first = stage.mine(&body);
            first["projectId"] = json!("the-first");
            assert_eq!(stage.fake.person(&first), 200);
        }
        "rejected-command-id-again" => {
            assert_eq!(stage.fake.person(&body), 500);
            // The cause is gone, the refusal stays.
            stage.project(&project, "work/repo");
        }
        "thread-create-unknown-project" => {}
        "project-id-exists" => stage.project(&project, "work/own-wt"),
        _ if makes_project => {}
        _ => stage.project(&project, "work/repo"),
    }
    let exists = ["thread-id-exists", "thread-id-of-deleted-thread-again"].contains(&what);
    let unknown = ["turn-start-unknown-thread", "turn-start-bootstrap-over-http"].contains(&what);
    if !thread.is_null() && (exists || !makes_thread) && !unknown {
        stage.thread(thread, &project);
    }
    if ["project-delete-not-empty", "project-delete-force"].contains(&what) {
        stage.thread(&json!("in-it"), &project);
    }
    let of_it = json!({ "threadId": thread });
    match what {
        "thread-id-of-deleted-thread-again" | "turn-start-on-deleted-thread" | "thread-delete-twice" => {
            stage.does("thread.delete", of_it);
        }
        "thread-archive-twice" | "turn-start-on-archived-thread" | "thread-unarchive" => {
            stage.does("thread.archive", of_it);
        }
        "turn-start-while-running" => {
            stage.turn(thread, "[stub:hang]");
            stage.runs(thread);
        }
        _ => {}
    }
    true
}

/// What the newest thread of a listing went through.
fn situation(stage: &Stage, recording: &Recording, what: &str) -> bool {
    let body = &recording.response["body"];
    let Some(recorded) = body.get("thread").cloned().or_else(|| newest_of(body)) else {
        if let Some(project) = body["projects"].get(0) {
            stage.project(&project["id"], "work/repo");
        }
        return true;
    };
    let id = &recorded["id"];
    let no_git = ["no-git", "non-git", "crashed-codex"].iter().any(|part| what.contains(part));
    stage.project(&recorded["projectId"], if no_git { "work/plain" } else { "work/repo" });
    let fields = ["title", "modelSelection", "runtimeMode", "interactionMode", "branch", "projectId", "createdAt"];
    let mut fields: Value = fields.iter().map(|field| ((*field).to_owned(), recorded[*field].clone())).collect();
    fields["threadId"] = id.clone();
    let worktree = recorded["worktreePath"].as_str();
    fields["worktreePath"] = json!(worktree.map(|path| stage.here(path)));
    let change = |act: fn(&mut State)| act(&mut stage.fake.state());
    if what == "turn-accepted-but-not-started" || what == "after-turn-start" {
        change(|state| state.hold = Some(Phase::Accepted));
    }
    stage.does("thread.create", fields);
    let turn = |text: &str| stage.turn(id, text);
    let plays = |text: &str| {
        stage.turn(id, text);
        stage.settled(id);
    };
    match what {
        "after-thread-create" => {}
        "after-turn-start" => turn("Say hello [stub:slow seconds=2]"),
        "turn-accepted-but-not-started" => turn("[stub:complete]"),
        "running-turn" => {
            turn("Say hello [stub:slow seconds=2]");
            stage.runs(id);
        }
        "completed-turn" | "windowed" | "completed-follow-up" => {
            turn("Say hello [stub:slow seconds=2]");
            turn("Second message while the first runs [stub:complete]");
            stage.go();
            stage.settled(id);
            if what == "completed-follow-up" {
                plays("And again [stub:commit file=a.txt message=\"feat: a\"]");
            }
        }
        "completed-in-worktree" => plays("work there [stub:commit file=b.txt message=\"feat: b\"]"),
        "completed-turn-no-git-claudeAgent" | "completed-turn-no-git-codex" => plays("[stub:complete delay=800]"),
        "after-bootstrap-ignored" => plays("boot [stub:complete]"),
        "deleted-thread" => {
            plays("boot [stub:complete]");
            stage.does("thread.delete", json!({ "threadId": id }));
        }
        "archived-thread" => {
            plays("work there [stub:commit file=b.txt message=\"feat: b\"]");
            stage.does("thread.checkpoint.revert", json!({ "threadId": id, "turnCount": 0 }));
            stage.does("thread.archive", json!({ "threadId": id }));
        }
        "after-project-delete-force" => {
            // Only main keeps the time of the server, so that there the thread that was deleted last is the newest.
            if recorded["deletedAt"].is_string() {
                stage.does("project.delete", json!({ "projectId": recorded["projectId"], "force": true }));
            }
        }
        "errored-turn" => plays("[stub:error message=\"model overloaded\"]"),
        "errored-turn-no-git" => plays("[stub:error]"),
        "provider-crashed" => plays("[stub:crash delay=900]"),
        "provider-crashed-codex" => plays("[stub:crash delay=700]"),
        "turn-refused-by-provider" => {
            change(|state| state.refusal = Some("stub: turn rejected".to_owned()));
            plays("[stub:reject]");
        }
        "unknown-provider-instance" | "disabled-provider-instance" => plays("hello"),
        "provider-cli-missing-claudeAgent" => {
            change(|state| state.agent = "/nonexistent/claude".into());
            plays("hello");
        }
        "provider-cli-missing-codex" => {
            change(|state| state.agent = "/nonexistent/codex".into());
            plays("hello");
        }
        "turn-text-too-long" => plays(&format!("[stub:complete]{}", "x".repeat(120_000 - 14))),
        "interrupted-turn" | "interrupted-turn-when-stopped" => {
            stage.deaf();
            if recording.response["body"].get("thread").is_none() && stage.is_old() {
                // Recorded before the placeholder gave way to a checkpoint.
                change(|state| state.hold = Some(Phase::Placeholder));
            }
            turn("[stub:hang stop=2500]");
            stage.interrupt(id, true);
            if what == "interrupted-turn-when-stopped" {
                stage.go();
                stage.wait(id, |thread| !thread.checkpoints.is_empty());
                if !stage.is_old() {
                    stage.settled(id);
                }
            }
        }
        _ if what.starts_with("interrupted-turn-at-once-") => {
            stage.deaf();
            turn("[stub:hang]");
            stage.interrupt(id, true);
            if recorded["session"]["status"] == "ready" {
                stage.go();
                stage.settled(id);
            }
        }
        "interrupted-turn-settled-as-completed" => {
            turn("[stub:hang]");
            stage.interrupt(id, true);
            stage.settled(id);
        }
        _ if what.starts_with("interrupted-turn-later-") => {
            turn("[stub:hang]");
            stage.interrupt(id, true);
            stage.settled(id);
        }
        "interrupted-without-turn-id" => {
            turn("[stub:hang]");
            stage.interrupt(id, false);
            stage.settled(id);
        }
        "mid-turn-after-assistant-message" | "session-stopped" => {
            turn("[stub:hang say=\"Still thinking\"]");
            stage.wait(id, |thread| thread.messages.len() == 2);
            if what == "session-stopped" {
                stage.does("thread.session.stop", json!({ "threadId": id }));
                stage.settled(id);
            }
        }
        "pending-approval" | "approval-answered" => {
            turn("[stub:approve command=\"rm -rf build\"]");
            stage.wait(id, |thread| !thread.activities.is_empty());
            if what == "approval-answered" {
                stage.answers(id, "thread.approval.respond");
                stage.settled(id);
            }
        }
        "pending-user-input" | "user-input-answered" => {
            turn("[stub:ask question=\"Which colour?\"]");
            stage.wait(id, |thread| !thread.activities.is_empty());
            if what == "user-input-answered" {
                stage.answers(id, "thread.user-input.respond");
                stage.settled(id);
            }
        }
        "after-server-restart-running" => {
            turn("[stub:hang]");
            stage.runs(id);
            stage.fake.restart();
        }
        "after-server-restart-approval" => {
            turn("[stub:approve]");
            stage.wait(id, |thread| !thread.activities.is_empty());
            stage.fake.restart();
        }
        _ => return false,
    }
    true
}

fn newest_of(body: &Value) -> Option<Value> {
    let thread = crate::stage::newest(body);
    (!thread.is_null()).then_some(thread)
}
