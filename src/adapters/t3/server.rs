//! Calls to one T3 Code server.

use std::rc::Rc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use uuid::Uuid;

use super::command::Command;
use super::loose::items;
use super::stream;
use super::wire::{Project, Thread};
use crate::adapters::http::Http;
use crate::adapters::http::api::{Api, Call, Credential, Manners, Opened};
use crate::ports::{PortError, PortErrorDetail, PortErrorKind, PortResult};
use crate::text::clean_line;

/// What makes a new token, on the machine that T3 runs on.
pub const MINT: &str = "t3 auth session issue --token-only";
/// Far above any answer that is no listing.
const BODY_LIMIT: usize = 64 * 1024;

/// A T3 Code server.
#[derive(Debug, Clone)]
pub struct T3Server {
    api: Api,
    /// Where the token comes from.
    source: String,
}

/// What T3 shows of its projects and threads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Projects.
    pub projects: Vec<Project>,
    /// Threads.
    pub threads: Vec<Thread>,
    /// It shows archived and deleted ones too.
    pub whole: bool,
    /// How far T3's clock is ahead of this machine's, where it says so.
    pub clock: Option<TimeDelta>,
}

/// Why a command was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DispatchError {
    /// Nothing was recorded: mended, it may be sent under the same id.
    Malformed(PortError),
    /// Recorded as refused, and refused for good under this id. What it was for may be there all the same.
    Refused(PortError),
    /// Anything else. Where it is [`crate::ports::PortErrorKind::Unreachable`], it may have taken effect.
    Failed(PortError),
}

/// What T3 makes of the token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// T3 knows it.
    pub authenticated: bool,
    /// What it may do.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Until when.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
}

/// Which server it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Environment {
    /// Part of every link; untrusted.
    #[serde(rename = "environmentId")]
    pub id: String,
    /// Its version; untrusted.
    #[serde(rename = "serverVersion")]
    pub version: String,
}

impl T3Server {
    /// The server at an address, by its name for errors.
    pub fn new(name: impl Into<String>, url: Url, credential: Rc<dyn Credential>, http: Rc<Http>) -> Self {
        // It limits nobody, and what is sent to it are the steps of one run in their order.
        let manners = Manners { write_interval: Duration::ZERO, ..Manners::default() };
        let source = credential.source();
        Self { api: Api::with_manners(name, url, &[("accept", "application/json")], credential, http, manners), source }
    }

    /// How many requests were sent to it so far.
    pub fn requests(&self) -> u64 {
        self.api.cost().requests
    }

    /// Every thread that is neither archived nor deleted; from a server that cannot list those alone, every thread.
    ///
    /// # Errors
    /// When the server cannot be reached or lets nobody read, and when its answer is too large or makes no sense.
    pub async fn listing(&self) -> PortResult<Listing> {
        let shell = self.api.open(&Call::get(&["api", "orchestration", "shell"])).await?;
        // A server that does not know this call answers with the page of its web UI, or with a 503 where it has none.
        let knows = shell.is_json() || matches!(shell.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if knows { self.read_listing(shell, false).await } else { self.everything().await }
    }

    /// Every thread, archived and deleted ones too.
    ///
    /// # Errors
    /// As [`T3Server::listing`].
    pub async fn everything(&self) -> PortResult<Listing> {
        let snapshot = self.api.open(&Call::get(&["api", "orchestration", "snapshot"])).await?;
        self.read_listing(snapshot, true).await
    }

    async fn read_listing(&self, opened: Opened, whole: bool) -> PortResult<Listing> {
        #[derive(Deserialize)]
        struct Body {
            #[serde(deserialize_with = "items")]
            projects: Vec<Project>,
            #[serde(deserialize_with = "items")]
            threads: Vec<Thread>,
        }
        let mut opened = self.granted(opened).await?;
        let Body { mut projects, threads } = stream::parse(&mut opened).await?;
        projects.retain(|project: &Project| !project.id.is_empty());
        Ok(Listing { projects, threads, whole, clock: opened.ahead })
    }

    /// One thread with what was said in its newest turn; `None` where there is no such thread, or the server shows none
    /// by itself (v0.0.27: its listing has all of them in full).
    ///
    /// # Errors
    /// As [`T3Server::listing`].
    pub async fn thread(&self, id: Uuid) -> PortResult<Option<Thread>> {
        #[derive(Deserialize)]
        struct Body {
            thread: Thread,
        }
        let id = id.to_string();
        let path = ["api", "orchestration", "threads", &id];
        let opened = self.api.open(&Call::get(&path).query(&[("turnLimit", "1")])).await?;
        if opened.status == StatusCode::OK && !opened.is_json() {
            return Ok(None);
        }
        let mut opened = match self.granted(opened).await {
            Err(error) if error.kind == PortErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let Body { thread } = stream::parse(&mut opened).await?;
        Ok(Some(thread))
    }

    /// Sends a command and gives its place in T3's order of events. Accepted means written down, not done.
    ///
    /// # Errors
    /// See [`DispatchError`].
    pub async fn dispatch(&self, command: &Command) -> Result<u64, DispatchError> {
        #[derive(Deserialize)]
        struct Accepted {
            sequence: u64,
        }
        let body = serde_json::to_value(command)
            .map_err(|error| DispatchError::Malformed(PortError::invalid(error.to_string())))?;
        let call = Call::write(Method::POST, &["api", "orchestration", "dispatch"], Some(body));
        let mut opened = self.api.open(&call).await.map_err(DispatchError::Failed)?;
        if opened.status == StatusCode::OK && opened.is_json() {
            let body = opened.body(BODY_LIMIT).await.map_err(may_have_worked)?;
            return serde_json::from_slice(&body).map(|Accepted { sequence }| sequence).map_err(|error| {
                let wrong = format!("{}: the answer makes no sense: {}", opened.what, opened.words(&error.to_string()));
                may_have_worked(PortError::invalid(wrong))
            });
        }
        let name = command.name();
        let refusal = Refusal::read(opened).await.map_err(may_have_worked)?;
        match refusal.status.as_u16() {
            400 | 413 | 415 | 422 => {
                let why = if refusal.reason.is_empty() { not_understood(command) } else { not_usable(command) };
                Err(DispatchError::Malformed(PortError::refused(format!(
                    "{}: T3 Code does not take `{name}`: {why}{}",
                    refusal.what,
                    refusal.in_its_log()
                ))))
            }
            500 if refusal.code == "internal_error" => Err(DispatchError::Refused(PortError::refused(format!(
                "{}: T3 Code refused `{name}`, and says why only in its log{}",
                refusal.what,
                refusal.in_its_log()
            )))),
            _ => Err(DispatchError::Failed(refusal.error(&self.source))),
        }
    }

    /// What T3 makes of the token.
    ///
    /// # Errors
    /// When the server cannot be reached, or is no T3 Code server.
    pub async fn session(&self) -> PortResult<Session> {
        self.read(&["api", "auth", "session"]).await
    }

    /// Which server it is.
    ///
    /// # Errors
    /// When the server cannot be reached, or is no T3 Code server.
    pub async fn environment(&self) -> PortResult<Environment> {
        self.read(&[".well-known", "t3", "environment"]).await
    }

    async fn read<T: for<'de> Deserialize<'de>>(&self, path: &[&str]) -> PortResult<T> {
        let mut opened = self.granted(self.api.open(&Call::get(path)).await?).await?;
        let body = opened.body(BODY_LIMIT).await?;
        serde_json::from_slice(&body).map_err(|error| {
            let why = opened.words(&error.to_string());
            PortError::invalid(format!("{}: the answer makes no sense: {why}", opened.what))
        })
    }

    /// An answer to read, or why there is none.
    async fn granted(&self, opened: Opened) -> PortResult<Opened> {
        if opened.status == StatusCode::OK && opened.is_json() {
            return Ok(opened);
        }
        Err(Refusal::read(opened).await?.error(&self.source))
    }
}

/// Whatever became of the answer, the command may have been taken.
fn may_have_worked(error: PortError) -> DispatchError {
    DispatchError::Failed(PortError::unreachable(error.message))
}

/// What of a command that T3 does not understand somebody has set. T3 itself says nothing about it.
fn not_understood(command: &Command) -> String {
    let unknown = |mode: &str| {
        format!(
            "perhaps it does not know the runtime mode `{}`, or is of a version that afk does not know",
            shown(mode)
        )
    };
    match command {
        Command::ThreadCreate { runtime_mode, .. } | Command::TurnStart { runtime_mode, .. } => unknown(runtime_mode),
        Command::ProjectCreate { .. } | Command::TurnInterrupt { .. } | Command::ThreadArchive { .. } => {
            "it may be of a version that afk does not know".to_owned()
        }
    }
}

/// What T3 understands and cannot use.
fn not_usable(command: &Command) -> String {
    match command {
        Command::ProjectCreate { workspace_root, .. } => {
            format!("`{}` has to be a folder that exists on the machine that T3 Code runs on", shown(workspace_root))
        }
        _ => "it calls it invalid".to_owned(),
    }
}

fn shown(text: &str) -> String {
    clean_line(text, 200)
}

/// An answer that is not what was asked for.
struct Refusal {
    what: String,
    status: StatusCode,
    /// The body is an object, as T3's own refusals are.
    is_json: bool,
    code: String,
    reason: String,
    scope: String,
    trace: String,
}

impl Refusal {
    /// Reads what T3 says of it; what does not come from T3 is told by the status alone.
    async fn read(mut opened: Opened) -> PortResult<Self> {
        #[derive(Default, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        struct Body {
            code: String,
            reason: String,
            required_scope: String,
            trace_id: String,
        }
        let (status, what) = (opened.status, opened.what.clone());
        // The page of a web UI may be of any size, and nothing follows from it.
        let said = if opened.is_json() { opened.body(BODY_LIMIT).await? } else { Vec::new() };
        let body: Option<Body> = serde_json::from_slice(&said).ok();
        let is_json = body.is_some();
        let Body { code, reason, required_scope, trace_id } = body.unwrap_or_default();
        let [code, reason, scope, trace] = [code, reason, required_scope, trace_id].map(|said| opened.words(&said));
        Ok(Self { what, status, is_json, code, reason, scope, trace })
    }

    /// Where T3 says more.
    fn in_its_log(&self) -> String {
        if self.trace.is_empty() { String::new() } else { format!(" (trace `{}`)", self.trace) }
    }

    /// What it means wherever nothing more is known. `source`: where the token comes from.
    fn error(&self, source: &str) -> PortError {
        let Self { what, status, reason, scope, .. } = self;
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        let answered = format!("{what}: answered {status}{reason}{}", self.in_its_log());
        match *status {
            StatusCode::UNAUTHORIZED if self.reason == "missing_credential" => PortError::refused(format!(
                "{what}: T3 Code got no token, although one was sent: something on the way takes the header \
                 `authorization` away"
            ))
            .with(PortErrorDetail::Unauthorized),
            StatusCode::UNAUTHORIZED => PortError::refused(format!(
                "{what}: the token is wrong, was revoked, or has expired; it comes from {source}. `{MINT}` on the machine \
                 that T3 Code runs on makes another"
            ))
            .with(PortErrorDetail::Unauthorized),
            StatusCode::FORBIDDEN if !scope.is_empty() => PortError::refused(format!(
                "{what}: the token lacks the scope `{scope}`; it comes from {source}. `{MINT}` on the machine that T3 Code \
                 runs on makes one that has every scope"
            ))
            .with(PortErrorDetail::Forbidden),
            StatusCode::FORBIDDEN => PortError::refused(answered).with(PortErrorDetail::Forbidden),
            StatusCode::NOT_FOUND if self.is_json => PortError::not_found(answered),
            StatusCode::REQUEST_TIMEOUT => PortError::unreachable(answered),
            _ if status.is_client_error() => PortError::refused(answered),
            _ if status.is_success() => PortError::unreachable(format!(
                "{what}: answered with a page and not with JSON; is this the address of a T3 Code server?"
            )),
            _ => PortError::unreachable(answered),
        }
    }
}
