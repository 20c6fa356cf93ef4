//! As much of a T3 Code server as bringing a run up needs: it takes each command id once, each project and thread id once,
//! and fails where a test says so.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

pub const TOKEN: &str = "S3CRET";

/// What happens to a command instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It never arrives.
    LostBefore,
    /// It takes effect, and the answer is lost.
    LostAfter,
    /// 500, without any effect; its id stays refused.
    Refused,
    /// It took effect, and the server says 500.
    RefusedAfter,
    /// It is accepted, and nothing comes of it yet.
    Unheeded,
    /// 400 with nothing to read.
    Malformed,
    /// 403: the token may only look.
    Forbidden,
}

#[derive(Debug, Default)]
pub struct State {
    /// v0.0.27: one listing with everything in it.
    pub old: bool,
    pub projects: Vec<Value>,
    pub threads: Vec<Value>,
    /// The commands that arrived, in order.
    pub commands: Vec<Value>,
    /// The paths that were asked.
    pub asked: Vec<String>,
    /// By the type of the command.
    pub faults: BTreeMap<String, VecDeque<Fault>>,
    /// What the server says of the token: 401 everywhere.
    pub locked_out: bool,
    pub scopes: Vec<&'static str>,
    pub expires_at: Option<&'static str>,
    /// How far the server's clock is ahead of the true time.
    pub ahead: chrono::TimeDelta,
    /// Where the server is not called `env-1`.
    pub environment: Option<String>,
    accepted: BTreeMap<String, u64>,
    refused: Vec<String>,
}

impl State {
    pub fn fail(&mut self, kind: &str, faults: &[Fault]) {
        self.faults.insert(kind.to_owned(), faults.iter().copied().collect());
    }

    /// The commands of a type.
    pub fn sent(&self, kind: &str) -> Vec<Value> {
        self.commands.iter().filter(|command| command["type"] == kind).cloned().collect()
    }

    pub fn thread(&mut self) -> &mut Value {
        self.threads.last_mut().expect("a thread")
    }

    /// The newest turn is at work.
    pub fn run(&mut self, turn: &str) {
        let thread = self.thread();
        thread["latestTurn"] = json!({ "turnId": turn, "state": "running" });
        thread["session"] =
            json!({ "status": "running", "activeTurnId": turn, "updatedAt": "2026-11-22T12:00:05.000Z" });
    }

    /// The newest turn has ended.
    pub fn end(&mut self, turn: &str) {
        let thread = self.thread();
        thread["latestTurn"] = json!({ "turnId": turn, "state": "completed" });
        thread["session"] = json!({ "status": "ready", "activeTurnId": null, "updatedAt": "2026-11-22T12:01:00.000Z" });
        let said = json!({ "id": format!("said-{turn}"), "role": "assistant", "turnId": turn,
            "text": "AFK-Milestone: tests_red\nDone.", "createdAt": "2026-11-22T12:00:59.000Z" });
        thread["messages"].as_array_mut().expect("messages").push(said);
    }

    fn dispatch(&mut self, command: &Value) -> ResponseTemplate {
        self.commands.push(command.clone());
        let kind = command["type"].as_str().unwrap_or_default().to_owned();
        let id = command["commandId"].as_str().unwrap_or_default().to_owned();
        let fault = self.faults.get_mut(&kind).and_then(VecDeque::pop_front);
        match fault {
            Some(Fault::LostBefore) => return ResponseTemplate::new(502),
            Some(Fault::Malformed) => return ResponseTemplate::new(400),
            Some(Fault::Forbidden) => {
                return ResponseTemplate::new(403).set_body_json(json!({ "_tag": "EnvironmentScopeRequiredError",
                    "code": "insufficient_scope", "requiredScope": "orchestration:operate", "traceId": "t" }));
            }
            _ => {}
        }
        if fault == Some(Fault::Unheeded) {
            self.accepted.insert(id.clone(), self.commands.len() as u64);
        }
        if let Some(sequence) = self.accepted.get(&id) {
            return ResponseTemplate::new(200).set_body_json(json!({ "sequence": sequence }));
        }
        if fault == Some(Fault::Refused) || self.refused.contains(&id) || !self.apply(&kind, command) {
            self.refused.push(id);
            return refusal();
        }
        match fault {
            Some(Fault::RefusedAfter) => {
                self.refused.push(id);
                refusal()
            }
            Some(Fault::LostAfter) => {
                self.accepted.insert(id, self.commands.len() as u64);
                ResponseTemplate::new(502)
            }
            _ => {
                self.accepted.insert(id, self.commands.len() as u64);
                ResponseTemplate::new(200).set_body_json(json!({ "sequence": self.commands.len() }))
            }
        }
    }

    /// Whether it may be done; then it is.
    fn apply(&mut self, kind: &str, command: &Value) -> bool {
        let project = |id: &Value| self.projects.iter().find(|project| project["id"] == *id);
        let live = |value: &Value| value["deletedAt"].is_null();
        match kind {
            "project.create" => {
                let root = &command["workspaceRoot"];
                let twin = self.projects.iter().any(|project| project["workspaceRoot"] == *root && live(project));
                if project(&command["projectId"]).is_some() || (twin && !self.old) {
                    return false;
                }
                self.projects.push(json!({ "id": command["projectId"], "title": command["title"],
                    "workspaceRoot": root, "deletedAt": null }));
            }
            "thread.create" => {
                let known = self.threads.iter().any(|thread| thread["id"] == command["threadId"]);
                if known || !project(&command["projectId"]).is_some_and(live) {
                    return false;
                }
                let mut thread = command.clone();
                thread["id"] = command["threadId"].clone();
                thread["updatedAt"] = command["createdAt"].clone();
                for empty in ["latestTurn", "session", "archivedAt", "deletedAt"] {
                    thread[empty] = Value::Null;
                }
                thread["messages"] = json!([]);
                thread["activities"] = json!([]);
                self.threads.push(thread);
            }
            _ => {
                let Some(thread) = self.threads.iter_mut().find(|thread| thread["id"] == command["threadId"]) else {
                    return false;
                };
                match kind {
                    "thread.turn.start" => {
                        let message = json!({ "id": command["message"]["messageId"], "role": "user",
                            "text": command["message"]["text"], "createdAt": command["createdAt"] });
                        thread["messages"].as_array_mut().expect("messages").push(message);
                    }
                    "thread.archive" if !thread["archivedAt"].is_null() => return false,
                    "thread.archive" => thread["archivedAt"] = json!("2026-11-22T12:30:00.000Z"),
                    _ => {}
                }
            }
        }
        true
    }

    fn read(&self, path: &str) -> ResponseTemplate {
        let whole = |threads: &[Value]| json!({ "projects": self.projects, "threads": threads });
        match path {
            "/.well-known/t3/environment" => {
                let id = self.environment.as_deref().unwrap_or("env-1");
                ResponseTemplate::new(200).set_body_json(json!({ "environmentId": id, "serverVersion": "0.0.33" }))
            }
            "/api/auth/session" if self.locked_out => {
                ResponseTemplate::new(200).set_body_json(json!({ "authenticated": false }))
            }
            "/api/auth/session" => ResponseTemplate::new(200).set_body_json(json!({ "authenticated": true,
                "scopes": self.scopes, "expiresAt": self.expires_at })),
            _ if self.locked_out => ResponseTemplate::new(401).set_body_json(json!({
                "_tag": "EnvironmentAuthInvalidError", "code": "auth_invalid", "reason": "invalid_credential",
                "traceId": "t" })),
            "/api/orchestration/snapshot" if self.old => ResponseTemplate::new(200).set_body_json(whole(&self.threads)),
            "/api/orchestration/snapshot" => {
                let light: Vec<Value> = self.threads.iter().map(light).collect();
                ResponseTemplate::new(200).set_body_json(whole(&light))
            }
            _ if self.old => ResponseTemplate::new(200).set_body_raw("<html>", "text/html"),
            "/api/orchestration/shell" => {
                let shown = |value: &&Value| value["archivedAt"].is_null() && value["deletedAt"].is_null();
                let threads: Vec<Value> = self.threads.iter().filter(shown).map(light).collect();
                let projects: Vec<&Value> = self.projects.iter().filter(shown).collect();
                ResponseTemplate::new(200).set_body_json(json!({ "projects": projects, "threads": threads }))
            }
            path => {
                let id = path.rsplit('/').next().unwrap_or_default();
                match self.threads.iter().find(|thread| thread["id"] == id && thread["deletedAt"].is_null()) {
                    Some(thread) => ResponseTemplate::new(200).set_body_json(json!({ "thread": thread })),
                    None => ResponseTemplate::new(404).set_body_json(json!({
                        "code": "not_found", "reason": "thread_not_found", "traceId": "t" })),
                }
            }
        }
    }
}

fn light(thread: &Value) -> Value {
    let mut thread = thread.clone();
    if !thread.is_object() {
        return thread;
    }
    thread["messages"] = json!([]);
    thread["activities"] = json!([]);
    thread
}

fn refusal() -> ResponseTemplate {
    ResponseTemplate::new(500).set_body_json(json!({ "_tag": "EnvironmentInternalError", "code": "internal_error",
        "reason": "orchestration_dispatch_failed", "traceId": "t" }))
}

#[derive(Debug, Clone, Default)]
pub struct T3(pub Arc<Mutex<State>>);

impl Respond for T3 {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock().expect("the state");
        let path = request.url.path();
        assert!(
            path == "/.well-known/t3/environment" || request.headers["authorization"] == format!("Bearer {TOKEN}"),
            "{path} was asked without the token"
        );
        let answer = if request.method.as_str() == "POST" && !state.locked_out {
            state.dispatch(&request.body_json().expect("JSON"))
        } else if request.method.as_str() == "POST" {
            state.read("/locked")
        } else {
            state.asked.push(path.to_owned());
            state.read(path)
        };
        let date = chrono::Utc::now() + state.ahead;
        answer.insert_header("date", date.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
    }
}

/// A server.
pub async fn start() -> (MockServer, T3) {
    let (server, t3) = (MockServer::start().await, T3::default());
    t3.0.lock().expect("the state").scopes = vec!["orchestration:read", "orchestration:operate"];
    Mock::given(any()).respond_with(t3.clone()).mount(&server).await;
    (server, t3)
}
