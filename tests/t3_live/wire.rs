//! Between afk and somebody's server: every exchange is passed on as it is, kept, and held against the recorded contract.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;
use wiremock::{Match, Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::installation::Lost;
use crate::t3_fake::Exchange;
use crate::t3_fake::contract::Contract;
use crate::upstream::{Answer, Upstream};

/// Activities that T3 Code itself brings about. What else an agent does is its provider's matter.
const OWN_ACTIVITIES: [&str; 4] = ["approval.", "user-input.", "checkpoint.", "provider."];

/// The wire that an installation has to its server.
#[derive(Debug)]
pub struct Wire {
    server: MockServer,
    shared: Arc<Shared>,
    token: String,
}

#[derive(Debug)]
struct Shared {
    upstream: Upstream,
    wrong_token: AtomicBool,
    /// What is lost, of which command, and how often.
    loses: Mutex<Option<(Lost, String, usize)>>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    log: Vec<Exchange>,
    /// The turns that threads have shown.
    turns: BTreeMap<String, BTreeSet<String>>,
    /// Requests that got no answer.
    unanswered: Vec<String>,
}

impl Wire {
    pub fn new(url: Url, token: String) -> Self {
        let upstream = Upstream::new(url);
        let (wrong_token, loses, seen) = (AtomicBool::new(false), Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { upstream, wrong_token, loses, seen });
        let passing = Passing { shared: shared.clone(), answer: Arc::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let server = runtime.block_on(async {
            let server = MockServer::builder().disable_request_recording().start().await;
            // A mock that only fails cannot answer, and one that answers cannot fail: the first passes the request on, and
            // takes over where the answer is lost.
            let lost = |_: &Request| std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            Mock::given(passing.clone()).respond_with_err(lost).with_priority(1).mount(&server).await;
            Mock::given(wiremock::matchers::any()).respond_with(passing).with_priority(2).mount(&server).await;
            server
        });
        Self { server, shared, token }
    }

    /// Where afk finds the server.
    pub fn uri(&self) -> String {
        self.server.uri()
    }

    /// What is lost of afk's requests from now on, of which command, and how often.
    pub fn loses(&self, what: Option<(Lost, String, usize)>) {
        *self.shared.loses.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// From now on, whatever token afk sends is a wrong one.
    pub fn spoil_token(&self, spoil: bool) {
        self.shared.wrong_token.store(spoil, Ordering::SeqCst);
    }

    /// Somebody else than afk asks, with the right token; judged all the same. Gives status and answer.
    pub fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value), String> {
        let mut headers = HeaderMap::new();
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.token)).map_err(|error| error.to_string())?;
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let answer = self.shared.pass(method, path, headers, body)?;
        Ok((answer.status, serde_json::from_slice(&answer.body).unwrap_or_default()))
    }

    pub fn dispatch(&self, command: &Value) -> Result<u16, String> {
        Ok(self.ask(Method::POST, "/api/orchestration/dispatch", Some(command))?.0)
    }

    /// Everything that was asked so far.
    pub fn log(&self) -> Vec<Exchange> {
        self.shared.seen().log.clone()
    }

    /// How many turns a thread has shown.
    pub fn turns(&self, thread: &str) -> usize {
        self.shared.seen().turns.get(thread).map_or(0, BTreeSet::len)
    }

    /// The commands of a type that were accepted, oldest first and each once.
    pub fn accepted(&self, kind: &str) -> Vec<Value> {
        let mut ids = BTreeSet::new();
        let seen = self.shared.seen();
        let of_kind = seen.log.iter().filter(|exchange| exchange.command.as_deref() == Some(kind));
        let accepted = of_kind.filter(|exchange| (200..300).contains(&exchange.status));
        let bodies = accepted.filter_map(|exchange| exchange.body.clone());
        bodies.filter(|body| ids.insert(body["commandId"].to_string())).collect()
    }

    /// The ids that accepted commands of a type made.
    pub fn made(&self, kind: &str, id: &str) -> Vec<String> {
        self.accepted(kind).iter().filter_map(|command| command[id].as_str().map(str::to_owned)).collect()
    }

    /// What of everything that was said was never seen with a recorded server.
    pub fn drift(&self, contract: &Contract) -> Vec<String> {
        let (projects, threads) = (self.made("project.create", "projectId"), self.made("thread.create", "threadId"));
        let mut log = self.log();
        // What was refused for its looks was to be seen refused; afk would have stumbled over it.
        for exchange in log.iter_mut().filter(|exchange| exchange.status == 400) {
            exchange.command = None;
        }
        for answer in log.iter_mut().filter_map(|exchange| exchange.answer.as_mut()) {
            keep_own(answer, &projects, &threads);
        }
        let mut found = contract.violations(&log);
        found.extend(self.shared.seen().unanswered.iter().cloned());
        found
    }
}

/// Leaves what people and their agents have on the server to them: they do what nobody recorded.
fn keep_own(answer: &mut Value, projects: &[String], threads: &[String]) {
    let keep = |list: Option<&mut Vec<Value>>, ids: &[String]| {
        let is_own = |item: &Value| item["id"].as_str().is_none_or(|id| ids.iter().any(|own| own == id));
        if let Some(list) = list {
            list.retain(is_own);
        }
    };
    keep(answer.get_mut("projects").and_then(Value::as_array_mut), projects);
    keep(answer.get_mut("threads").and_then(Value::as_array_mut), threads);
    for thread in shown(answer) {
        if let Some(activities) = thread.get_mut("activities").and_then(Value::as_array_mut) {
            activities.retain(|activity| {
                activity["kind"].as_str().is_none_or(|kind| OWN_ACTIVITIES.iter().any(|own| kind.starts_with(own)))
            });
        }
    }
}

/// The threads of an answer.
fn shown(answer: &mut Value) -> Vec<&mut Value> {
    let Some(fields) = answer.as_object_mut() else { return Vec::new() };
    let lists = fields.iter_mut().filter(|(name, _)| ["threads", "thread"].contains(&name.as_str()));
    lists
        .flat_map(|(_, value)| match value {
            Value::Array(threads) => threads.iter_mut().collect(),
            thread => vec![thread],
        })
        .collect()
}

/// The turns that a thread shows.
fn turns_of(thread: &Value) -> BTreeSet<String> {
    let lists = ["messages", "activities", "checkpoints"].map(|list| thread[list].as_array());
    let items = lists.into_iter().flatten().flatten().map(|item| &item["turnId"]);
    let turns = items.chain([&thread["latestTurn"]["turnId"], &thread["session"]["activeTurnId"]]);
    turns.filter_map(|turn| turn.as_str().map(str::to_owned)).collect()
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a request on, and keeps what was said.
    fn pass(&self, method: Method, path: &str, headers: HeaderMap, body: Vec<u8>) -> Result<Answer, String> {
        let asked: Option<Value> = serde_json::from_slice(&body).ok();
        let answer = self.upstream.send(method.clone(), path, headers, body);
        let mut seen = self.seen();
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                seen.unanswered.push(format!("{method} {path} got no answer: {error}"));
                return Err(error);
            }
        };
        let mut said: Option<Value> = serde_json::from_slice(&answer.body).ok();
        for thread in said.as_mut().map(shown).unwrap_or_default() {
            let id = thread["id"].as_str().unwrap_or_default().to_owned();
            seen.turns.entry(id).or_default().extend(turns_of(thread));
        }
        seen.log.push(Exchange {
            method: method.to_string(),
            path: path.split('?').next().unwrap_or_default().to_owned(),
            query: Vec::new(),
            command: asked.as_ref().and_then(|body| body["type"].as_str()).map(str::to_owned),
            body: asked,
            status: answer.status,
            content_type: answer.content_type.clone(),
            answer: said,
            spoilt: false,
        });
        Ok(answer)
    }
}

/// The end of the wire that afk speaks to.
#[derive(Debug, Clone)]
struct Passing {
    shared: Arc<Shared>,
    /// To the request that was passed on and is not lost.
    answer: Arc<Mutex<Option<ResponseTemplate>>>,
}

impl Shared {
    /// What becomes of a request; it is used up by that.
    fn befalls(&self, body: &[u8]) -> Option<Lost> {
        let mut loses = self.loses.lock().unwrap_or_else(PoisonError::into_inner);
        let (lost, command, times) = loses.as_mut()?;
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        if !command.is_empty() && body["type"] != command.as_str() {
            return None;
        }
        let lost = *lost;
        *times -= 1;
        loses.take_if(|(_, _, times)| *times == 0);
        Some(lost)
    }
}

impl Passing {
    /// The answer; none where it is lost.
    fn answer(&self, request: &Request) -> Option<ResponseTemplate> {
        let lost = self.shared.befalls(&request.body);
        match lost {
            Some(Lost::Request) => return None,
            Some(Lost::BadGateway) => {
                return Some(
                    ResponseTemplate::new(502).set_body_raw("<html><h1>502 Bad Gateway</h1></html>", "text/html"),
                );
            }
            _ => {}
        }
        let mut headers = HeaderMap::new();
        for name in [ACCEPT, AUTHORIZATION, CONTENT_TYPE] {
            if let Some(value) = request.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        if self.shared.wrong_token.load(Ordering::SeqCst) {
            headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer not-a-token-of-this-server"));
        }
        let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let path = format!("{}{query}", request.url.path());
        // What the server does not answer is kept, and afk hears of it as it would without a wire in between.
        let mut answer = self.shared.pass(request.method.clone(), &path, headers, request.body.clone()).ok()?;
        match lost {
            Some(Lost::Answer) => return None,
            Some(_) => answer.body.truncate(answer.body.len() / 2),
            None => {}
        }
        let mut template = ResponseTemplate::new(answer.status);
        if let Some(date) = answer.date {
            template = template.insert_header("date", date);
        }
        Some(match answer.content_type {
            Some(kind) => template.set_body_raw(answer.body, &kind),
            None => template.set_body_bytes(answer.body),
        })
    }
}

/// Whether the answer is lost; where it is not, it is kept for [`Respond::respond`].
impl Match for Passing {
    fn matches(&self, request: &Request) -> bool {
        let answer = self.answer(request);
        let is_lost = answer.is_none();
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
        is_lost
    }
}

impl Respond for Passing {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap()
    }
}
