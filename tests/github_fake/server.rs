//! The counter where requests are handed in: who is it, may they ask that much, and does the answer get through.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wiremock::{Match, Request, Respond, ResponseTemplate};

use super::faults::{Fault, befalls};
use super::limits::Resource;
use super::log::Exchange;
use super::state::State;
use super::{git, graphql, routes};

/// Serves requests one by one.
#[derive(Debug, Clone)]
pub struct Desk {
    state: Arc<Mutex<State>>,
    /// The answer to the request that was served and is not lost.
    answer: Arc<Mutex<Option<ResponseTemplate>>>,
    latency: Duration,
}

/// A request, taken apart.
#[derive(Debug)]
pub struct Asked {
    pub method: String,
    /// Below the base address, not decoded.
    pub path: String,
    /// Decoded.
    pub segments: Vec<String>,
    pub query: Vec<(String, String)>,
    /// `None` where there is none, `Err` where it is not JSON.
    pub body: Option<Result<Value, ()>>,
    /// `/api/v3` on Enterprise.
    pub prefix: &'static str,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub body: Option<Value>,
    pub headers: Vec<(&'static str, String)>,
    pub points: u64,
}

impl Reply {
    pub fn json(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), headers: Vec::new(), points: 0 }
    }

    /// A refusal in GitHub's form.
    pub fn refusal(status: u16, message: &str) -> Self {
        let documentation = "https://docs.github.com/rest";
        Self::json(
            status,
            json!({ "message": message, "documentation_url": documentation, "status": status.to_string() }),
        )
    }

    /// 422 about one field.
    pub fn invalid(resource: &str, field: &str, code: &str, message: &str) -> Self {
        let error = json!({ "resource": resource, "field": field, "code": code, "message": message });
        let mut refusal = Self::refusal(422, "Validation Failed");
        refusal.body.as_mut().unwrap()["errors"] = json!([error]);
        refusal
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Asked {
    fn of(request: &Request) -> Self {
        let path = request.url.path();
        let prefix = if path == "/api/graphql" {
            "/api"
        } else if path.starts_with("/api/v3/") {
            "/api/v3"
        } else {
            ""
        };
        let path = path[prefix.len()..].to_owned();
        // The address parser knows how to decode a query; a path is decoded as one part of it.
        let decode = |segment: &str| {
            let mut url = request.url.clone();
            url.set_query(Some(&format!("x={}", segment.replace('+', "%2B").replace('&', "%26"))));
            url.query_pairs().next().unwrap().1.into_owned()
        };
        Self {
            method: request.method.to_string(),
            segments: path.trim_start_matches('/').split('/').map(decode).collect(),
            path,
            query: request.url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
            body: (!request.body.is_empty()).then(|| serde_json::from_slice(&request.body).map_err(drop)),
            prefix,
        }
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn is_graphql(&self) -> bool {
        self.path == "/graphql"
    }

    fn writes(&self) -> bool {
        self.method != "GET" && !self.is_graphql()
    }
}

impl Desk {
    pub fn new(state: Arc<Mutex<State>>, latency: Duration) -> Self {
        Self { state, answer: Arc::default(), latency }
    }

    /// Serves a request; nothing where the answer is lost.
    fn serve(&self, request: &Request) -> Option<ResponseTemplate> {
        let state = &mut *self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let asked = Asked::of(request);
        let fault = befalls(&mut state.troubles, &asked.method, &asked.path);
        let caller = Caller::of(state, request);
        let before = match &fault {
            Some(Fault::LostBefore) => Some(Reply::refusal(0, "lost")),
            Some(Fault::BadGateway) => Some(Reply { status: 502, body: None, headers: Vec::new(), points: 0 }),
            Some(Fault::NotFound) => Some(Reply::refusal(404, "Not Found")),
            Some(Fault::PrimaryLimit) => {
                let now = state.now();
                state.limits.exhaust(&caller.token, asked.resource(), now);
                None
            }
            Some(Fault::SecondaryLimit(wait)) => Some(secondary_limit(*wait)),
            _ => None,
        };
        let reply = before.unwrap_or_else(|| {
            git::notice_pushes(state);
            let reply = answer(state, &caller, &asked, request);
            if fault == Some(Fault::Duplicated) {
                answer(state, &caller, &asked, request);
            }
            reply
        });
        state.log.push(Exchange {
            method: asked.method.clone(),
            path: asked.path.clone(),
            query: asked.query.clone(),
            body: asked.body.clone().and_then(Result::ok).filter(|_| !state.short_log),
            login: caller.login.clone(),
            status: reply.status,
            answer: if state.short_log { None } else { reply.body.clone() },
            points: reply.points,
            spoilt: fault.is_some(),
        });
        let now = state.now();
        let window = state.limits.window(&caller.token, asked.resource(), now);
        let mut template = ResponseTemplate::new(if reply.status == 0 { 500 } else { reply.status })
            .set_delay(self.latency)
            .insert_header("date", now.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
            .insert_header("x-github-request-id", format!("FA4E:{}", state.log.len()))
            .insert_header("x-ratelimit-limit", window.limit.to_string())
            .insert_header("x-ratelimit-remaining", window.remaining().to_string())
            .insert_header("x-ratelimit-used", window.used.to_string())
            .insert_header("x-ratelimit-reset", window.reset.timestamp().to_string())
            .insert_header("x-ratelimit-resource", asked.resource().name());
        for (name, value) in &reply.headers {
            template = template.insert_header(*name, value.clone());
        }
        let text = reply.body.as_ref().map(Value::to_string).unwrap_or_default();
        template = match (&fault, reply.status) {
            (Some(Fault::LostBefore | Fault::LostAfter), _) => return None,
            (Some(Fault::BadGatewayAfter), _) => bad_gateway(ResponseTemplate::new(502)),
            (_, 502) => bad_gateway(template),
            (Some(Fault::Truncated), _) => {
                template.set_body_raw(text.as_bytes()[..text.len() / 2].to_vec(), "application/json; charset=utf-8")
            }
            (Some(Fault::Nonsense(body)), _) => {
                ResponseTemplate::new(200).set_body_raw(body.clone(), "application/json; charset=utf-8")
            }
            (_, 204 | 304) => template,
            _ => template.set_body_raw(text, "application/json; charset=utf-8"),
        };
        if let Some(Fault::Slow(delay)) = fault {
            template = template.set_delay(delay);
        }
        Some(template)
    }
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

/// Who asks.
struct Caller {
    token: String,
    login: Option<String>,
}

impl Caller {
    fn of(state: &State, request: &Request) -> Self {
        let header = request.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = header.strip_prefix("Bearer ").or_else(|| header.strip_prefix("token ")).unwrap_or_default();
        Self { token: token.to_owned(), login: state.tokens.get(token).cloned() }
    }
}

impl Asked {
    fn resource(&self) -> Resource {
        if self.is_graphql() { Resource::Graphql } else { Resource::Rest }
    }
}

fn answer(state: &mut State, caller: &Caller, asked: &Asked, request: &Request) -> Reply {
    let now = state.now();
    if request.headers.get("user-agent").is_none() {
        return Reply::refusal(
            403,
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.",
        );
    }
    let Some(login) = &caller.login else {
        let why = if caller.token.is_empty() { "Requires authentication" } else { "Bad credentials" };
        return Reply::refusal(401, why);
    };
    let resource = asked.resource();
    if asked.path != "/rate_limit" && state.limits.window(&caller.token, resource, now).remaining() == 0 {
        return primary_limit(state, login, asked);
    }
    let content = asked.writes() && asked.method == "POST";
    if state.limits.hurry(&caller.token, if asked.writes() { 5 } else { 1 }, content, now) {
        return secondary_limit(60);
    }
    if matches!(asked.body, Some(Err(()))) {
        return Reply::refusal(400, "Problems parsing JSON");
    }
    if asked.is_graphql() {
        let reply = graphql::answer(state, caller.login.as_deref().unwrap(), &caller.token, asked);
        state.limits.spend(&caller.token, resource, reply.points, now);
        return reply;
    }
    let mut reply = routes::answer(state, login, &caller.token, asked);
    if let Some(scopes) = state.scopes.get(&caller.token) {
        reply = reply.header("x-oauth-scopes", scopes.clone());
    }
    if asked.method == "GET" && reply.status == 200 {
        let mut digest = Sha256::new();
        digest.update(reply.body.as_ref().unwrap().to_string());
        let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let etag = format!("W/\"{digest}\"");
        let known = request.headers.get("if-none-match").and_then(|value| value.to_str().ok());
        if known == Some(etag.as_str()) {
            reply = Reply { status: 304, body: None, headers: Vec::new(), points: 0 };
        }
        reply = reply.header("etag", etag);
    }
    if reply.status != 304 && asked.path != "/rate_limit" {
        state.limits.spend(&caller.token, resource, 1, now);
    }
    reply
}

fn primary_limit(state: &State, login: &str, asked: &Asked) -> Reply {
    let id = state.users[&login.to_lowercase()].id;
    let message = format!("API rate limit exceeded for user ID {id}.");
    if asked.is_graphql() {
        Reply::json(200, json!({ "errors": [{ "type": "RATE_LIMITED", "message": message }] }))
    } else {
        Reply::refusal(403, &message)
    }
}

fn secondary_limit(wait: u64) -> Reply {
    let message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    Reply::refusal(403, message).header("retry-after", wait.to_string())
}

fn bad_gateway(template: ResponseTemplate) -> ResponseTemplate {
    let page = "<html>\n<head><title>502 Bad Gateway</title></head>\n<body><h1>Unicorn!</h1></body>\n</html>\n";
    template.set_body_raw(page, "text/html")
}
