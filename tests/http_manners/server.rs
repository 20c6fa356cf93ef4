//! A server to be polite to, and a client whose time passes only when it waits.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use afk::adapters::github::credential::TokenCredential;
use afk::adapters::http::Http;
use afk::adapters::http::api::{Api, Call, Cost, Manners};
use afk::adapters::http::manners::Pace;
use afk::ports::{PortError, PortResult};
use afk::settings::SecretSource;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// Noon, when every test begins.
pub const NOON: &str = "2026-11-22T12:00:00Z";
/// The same, as servers write it.
pub const NOON_HERE: &str = "Sun, 22 Nov 2026 12:00:00 GMT";
pub const TOKEN: &str = "ghp_secret1234567890";

/// Time that passes when somebody waits, and at no other moment.
pub struct Still {
    now: Cell<DateTime<Utc>>,
    pub waits: RefCell<Vec<Duration>>,
}

impl Still {
    pub fn later(&self, seconds: u64) {
        self.now.set(self.now.get() + Duration::from_secs(seconds));
    }

    /// How long was waited, in milliseconds.
    pub fn waited(&self) -> Vec<u128> {
        self.waits.borrow().iter().map(Duration::as_millis).collect()
    }
}

#[async_trait(?Send)]
impl Pace for Still {
    fn now(&self) -> DateTime<Utc> {
        self.now.get()
    }
    async fn pause(&self, time: Duration) {
        self.waits.borrow_mut().push(time);
        self.now.set(self.now.get() + time);
        tokio::task::yield_now().await;
    }
    fn chance(&self) -> f64 {
        0.0
    }
}

/// A server, and the folder that outlives a process.
pub struct Place {
    pub server: MockServer,
    pub folder: TempDir,
    pub time: Rc<Still>,
}

impl Place {
    pub async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("token"), TOKEN).unwrap();
        let time = Rc::new(Still { now: Cell::new(NOON.parse().unwrap()), waits: RefCell::default() });
        Self { server: MockServer::start().await, folder, time }
    }

    pub fn source(&self) -> SecretSource {
        SecretSource::File(self.folder.path().join("token"))
    }

    pub fn memory(&self) -> &Path {
        self.folder.path()
    }

    pub fn manners(&self) -> Manners {
        Manners { memory: Some(self.memory().join("http")), pace: self.time.clone(), ..Manners::default() }
    }

    /// What a new process would have.
    pub fn api(&self) -> Api {
        self.api_with(self.manners())
    }

    pub fn api_with(&self, manners: Manners) -> Api {
        self.api_at(&self.server.uri(), self.source(), manners)
    }

    pub fn api_at(&self, address: &str, token: SecretSource, manners: Manners) -> Api {
        let credential = Rc::new(TokenCredential::new(token));
        let http = Rc::new(Http::new(Duration::from_millis(500)));
        let headers = [("accept", "application/json")];
        Api::with_manners("github", address.parse().unwrap(), &headers, credential, http, manners)
    }

    /// Answers so, always.
    pub async fn answers(&self, verb: &str, at: &str, response: ResponseTemplate) {
        Mock::given(method(verb)).and(path(at)).respond_with(response).mount(&self.server).await;
    }

    /// Answers so once, before what comes later.
    pub async fn answers_once(&self, verb: &str, at: &str, response: ResponseTemplate) {
        Mock::given(method(verb)).and(path(at)).respond_with(response).up_to_n_times(1).mount(&self.server).await;
    }

    /// How many requests came.
    pub async fn asked(&self) -> usize {
        self.server.received_requests().await.unwrap().len()
    }
}

/// An answer of a server whose clock says noon.
pub fn answer(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status).insert_header("date", NOON_HERE)
}

pub fn said(status: u16, message: &str) -> ResponseTemplate {
    answer(status).set_body_json(json!({ "message": message, "documentation_url": "https://docs.test" }))
}

/// What is left of 5,000, until a time.
pub fn left(response: ResponseTemplate, remaining: u64, reset: &str) -> ResponseTemplate {
    let reset: DateTime<Utc> = reset.parse().unwrap();
    response
        .insert_header("x-ratelimit-limit", "5000")
        .insert_header("x-ratelimit-remaining", remaining.to_string())
        .insert_header("x-ratelimit-reset", reset.timestamp().to_string())
}

pub async fn read(api: &Api) -> PortResult<Value> {
    api.send(&Call::get(&["thing"])).await?.json("thing")
}

pub async fn write(api: &Api) -> PortResult<Value> {
    api.send(&Call::write(Method::POST, &["thing"], Some(json!({ "body": "text" })))).await?.json("thing")
}

pub fn unreachable(message: &str) -> PortResult<Value> {
    Err(PortError::unreachable(message))
}

pub fn refused(message: &str) -> PortResult<Value> {
    Err(PortError::refused(message))
}

pub fn cost(requests: u64, unchanged: u64) -> Cost {
    Cost { requests, unchanged, ..Cost::default() }
}
