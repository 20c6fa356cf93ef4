//! The counter where requests are handed in: who is it, may they, and does the answer get through.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use wiremock::{Match, Request, Respond, ResponseTemplate};

use super::auth::{self, Caller, trace};
use super::faults::{Fault, befalls};
use super::state::{Receipt, State};
use super::{Shared, commands, lock, shapes};

/// A request and its answer.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    /// Of a dispatch: the type of the command.
    pub command: Option<String>,
    /// The body, where it is JSON.
    pub body: Option<Value>,
    pub status: u16,
    pub content_type: Option<String>,
    /// The answer, where it is JSON.
    pub answer: Option<Value>,
    /// The answer was spoilt on its way.
    pub spoilt: bool,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub content_type: Option<&'static str>,
    pub body: String,
}

impl Reply {
    pub fn json(status: u16, body: Value) -> Self {
        Self { status, content_type: Some("application/json"), body: body.to_string() }
    }

    fn text(status: u16, content_type: &'static str, body: &str) -> Self {
        Self { status, content_type: Some(content_type), body: body.to_owned() }
    }

    /// No body, and no content type.
    pub fn empty(status: u16) -> Self {
        Self { status, content_type: None, body: String::new() }
    }

    /// A refusal whose reason is in the server's log, and nowhere else.
    pub fn dispatch_failed() -> Self {
        let reason = "orchestration_dispatch_failed";
        let body = json!({ "_tag": "EnvironmentInternalError", "code": "internal_error", "reason": reason, "traceId": trace() });
        Self::json(500, body)
    }

    pub fn request_invalid(reason: &str) -> Self {
        let body = json!({ "_tag": "EnvironmentRequestInvalidError", "code": "invalid_request", "reason": reason, "traceId": trace() });
        Self::json(400, body)
    }

    /// Any path that nobody knows: v0.0.27 was recorded with its web UI, main without.
    fn unknown(state: &State) -> Self {
        if state.is_main() {
            return Self::text(503, "text/plain", "No static directory configured and no dev URL set.");
        }
        Self::text(
            200,
            "text/html; charset=utf-8",
            "<!doctype html>\n<html><head><title>T3 Code</title></head></html>\n",
        )
    }
}

/// Serves requests one by one.
#[derive(Debug, Clone)]
pub struct Desk {
    state: Shared,
    /// The answer to the request that was served and is not lost.
    answer: Arc<Mutex<Option<ResponseTemplate>>>,
}

impl Desk {
    pub fn new(state: Shared) -> Self {
        Self { state, answer: Arc::default() }
    }

    /// Serves a request; nothing where the answer is lost.
    fn serve(&self, request: &Request) -> Option<ResponseTemplate> {
        let path = request.url.path().to_owned();
        let body: Option<Value> = serde_json::from_slice(&request.body).ok();
        let command = body.as_ref().and_then(|body| body["type"].as_str()).map(str::to_owned);
        let fault = befalls(&mut lock(&self.state).troubles, &path, command.as_deref());
        let mut reply = match &fault {
            Some(Fault::LostBefore | Fault::Silent) => Reply::empty(0),
            Some(Fault::BadGateway) => Reply::text(502, "text/html", "<html><h1>502 Bad Gateway</h1></html>"),
            Some(Fault::Refused) => {
                let receipt = Receipt { sequence: None, aggregate: String::new() };
                let id = body.as_ref().and_then(|body| body["commandId"].as_str()).unwrap_or_default();
                lock(&self.state).receipts.insert(id.to_owned(), receipt);
                Reply::dispatch_failed()
            }
            _ => self.answer(request, &path, body.as_ref()),
        };
        let state = &mut *lock(&self.state);
        if let Some((drift, mut body)) = state.drift.zip(serde_json::from_str(&reply.body).ok()) {
            drift(&mut reply.status, &mut body);
            reply.body = body.to_string();
        }
        state.log.push(Exchange {
            method: request.method.to_string(),
            path,
            query: request.url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
            command,
            body,
            status: reply.status,
            content_type: reply.content_type.map(str::to_owned),
            answer: serde_json::from_str(&reply.body).ok(),
            spoilt: fault.is_some(),
        });
        let mut template = ResponseTemplate::new(if reply.status == 0 { 500 } else { reply.status });
        template = template.insert_header("date", state.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string());
        if let Some(kind) = reply.content_type {
            let bytes = match fault {
                Some(Fault::Truncated) => reply.body.as_bytes()[..reply.body.len() / 2].to_vec(),
                _ => reply.body.into_bytes(),
            };
            template = template.set_body_raw(bytes, kind);
        }
        match fault {
            Some(Fault::LostBefore | Fault::LostAfter) => None,
            Some(Fault::Silent) => Some(template.set_delay(Duration::from_hours(1))),
            Some(Fault::Slow(delay)) => Some(template.set_delay(delay)),
            _ => Some(template),
        }
    }

    fn answer(&self, request: &Request, path: &str, body: Option<&Value>) -> Reply {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let caller = Caller::of(state, header("authorization"));
        let may = |scope: &str| caller.refusal(scope);
        let is_main = state.is_main();
        let post = request.method.as_str() == "POST";
        match (post, path) {
            (false, "/.well-known/t3/environment") => Reply::json(200, environment(state)),
            (false, "/api/auth/session") => auth::session(state, &caller),
            (true, "/api/auth/pairing-token") => {
                may("access:write").unwrap_or_else(|| auth::pair(state, body.unwrap_or(&Value::Null)))
            }
            (true, "/api/auth/websocket-ticket") => may("").unwrap_or_else(|| {
                let expires = super::state::stamp(state.now() + chrono::TimeDelta::minutes(5));
                Reply::json(200, json!({ "ticket": super::state::id(), "expiresAt": expires }))
            }),
            (true, "/oauth/token") => auth::exchange(state, &form(request)),
            (false, "/api/orchestration/snapshot") => {
                may("orchestration:read").unwrap_or_else(|| Reply::json(200, shapes::snapshot(state)))
            }
            (false, "/api/orchestration/shell") if is_main => {
                may("orchestration:read").unwrap_or_else(|| Reply::json(200, shapes::shell(state)))
            }
            (false, _) if is_main && path.starts_with("/api/orchestration/threads/") => {
                may("orchestration:read").unwrap_or_else(|| thread(state, request, path))
            }
            (true, "/api/orchestration/dispatch") => {
                if let Some(refusal) = may("orchestration:operate") {
                    return refusal;
                }
                let kind = header("content-type").split(';').next().unwrap_or_default().trim();
                if kind != "application/json" {
                    let mut refusal = Reply::text(415, "text/plain", "Unsupported content-type: ");
                    refusal.body.push_str(kind);
                    return refusal;
                }
                let Some(command) = body else {
                    let malformed = !request.body.is_empty() && !is_main;
                    return Reply::empty(if malformed { 500 } else { 400 });
                };
                drop(guard);
                commands::dispatch(&self.state, command)
            }
            _ => Reply::unknown(state),
        }
    }
}

fn thread(state: &State, request: &Request, path: &str) -> Reply {
    let id = path.rsplit('/').next().unwrap_or_default();
    let known = state.threads.iter().find(|thread| thread.id == id && thread.deleted_at.is_none());
    let Some(known) = known else {
        let body = json!({ "_tag": "EnvironmentResourceNotFoundError", "code": "not_found", "reason": "thread_not_found", "traceId": trace() });
        return Reply::json(404, body);
    };
    let turns = request.url.query_pairs().find(|(name, _)| name == "turnLimit");
    let turns = turns.and_then(|(_, value)| value.parse().ok());
    Reply::json(200, shapes::detail(state, known, turns))
}

fn environment(state: &State) -> Value {
    let (version, capabilities) = if state.is_main() {
        let capabilities = json!({
            "repositoryIdentity": true,
            "connectionProbe": true,
            "pullRequests": true,
            "threadSettlement": true,
            "threadSnooze": true,
            "threadPinning": true,
            "threadPinReorder": true,
            "threadTitleRegeneration": true,
            "agentActivityPublishing": false,
        });
        ("0.0.33", capabilities)
    } else {
        ("0.0.27", json!({ "repositoryIdentity": true }))
    };
    json!({
        "environmentId": state.environment,
        "label": "vm",
        "platform": { "os": "linux", "arch": "x64" },
        "serverVersion": version,
        "capabilities": capabilities,
    })
}

fn form(request: &Request) -> Vec<(String, String)> {
    // The address parser knows how to decode a form.
    let mut url = request.url.clone();
    url.set_query(Some(&String::from_utf8_lossy(&request.body)));
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// Whether the answer is lost; where it is not, it is kept for [`Respond::respond`].
impl Match for Desk {
    fn matches(&self, request: &Request) -> bool {
        let answer = self.serve(request);
        let is_lost = answer.is_none();
        *self.answer.lock().unwrap() = answer;
        is_lost
    }
}

impl Respond for Desk {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        self.answer.lock().unwrap().take().unwrap()
    }
}

/// Makes the server close the connection.
pub fn lost() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionReset)
}
