//! Doorbells that ring by one request: how an answer is understood, and how long a failure keeps them quiet.

mod waits;

use std::rc::Rc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};

use super::http::limits::retry_after;
use super::http::{Http, describe};
use crate::ports::{Clock, Notice, Notifier, PortError, PortResult};
use crate::settings::{SecretSource, address};

pub use waits::Waits;

/// Far above what a doorbell answers.
const BODY_LIMIT: usize = 64 * 1024;

/// How one kind of doorbell speaks.
pub trait Channel {
    /// The request that rings. Secrets are read here, afresh.
    ///
    /// # Errors
    /// When a secret cannot be read or is not what it should be.
    fn request(&self, client: &Client, notice: &Notice, now: DateTime<Utc>) -> PortResult<RequestBuilder>;

    /// Whether an answer says that it rang.
    ///
    /// # Errors
    /// What it says instead.
    fn judge(&self, answer: &Answer, now: DateTime<Utc>) -> Result<(), Failure>;
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The beginning of the body. It may repeat a secret, and is never shown.
    pub body: Vec<u8>,
    retry_at: Option<DateTime<Utc>>,
}

/// A ring that failed.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: PortError,
    /// What it concerns.
    pub hold: Hold,
}

/// What a failure keeps from ringing for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// This notice: the next one may fare better.
    Notice,
    /// All of them: nobody is there, or too many came.
    Doorbell,
    /// All of them, and the server said how long.
    DoorbellUntil(DateTime<Utc>),
}

impl Answer {
    async fn read(mut response: Response, now: DateTime<Utc>) -> Self {
        let wait = retry_after(response.headers(), now).and_then(|wait| TimeDelta::from_std(wait).ok());
        let retry_at = wait.and_then(|wait| now.checked_add_signed(wait));
        let (status, mut body) = (response.status(), Vec::new());
        // A body that breaks off is judged as far as it came: the status was there.
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > BODY_LIMIT {
                break;
            }
        }
        Self { status, body, retry_at }
    }

    /// What the status alone says; `word` is the server's own for it, `help` what to do.
    ///
    /// # Errors
    /// Refused for every clear no, unreachable for what may pass.
    pub fn judge(&self, word: Option<&str>, help: Option<&str>) -> Result<(), Failure> {
        let status = self.status;
        if status.is_success() {
            return Ok(());
        }
        if status.is_redirection() {
            return Err(self.refusal(word, Some("redirects are not followed, give the address it moved to")));
        }
        match status {
            StatusCode::TOO_MANY_REQUESTS => Err(self.too_many(word)),
            StatusCode::SERVICE_UNAVAILABLE if self.retry_at.is_some() => Err(self.too_many(word)),
            StatusCode::GONE => Err(self.refusal(word, help.or(Some("it is gone for good, give another address")))),
            StatusCode::REQUEST_TIMEOUT => Err(self.passing(word)),
            _ if status.is_client_error() => Err(self.refusal(word, help)),
            _ => Err(self.passing(word)),
        }
    }

    /// A clear no.
    pub fn refusal(&self, word: Option<&str>, help: Option<&str>) -> Failure {
        let help = help.map(|help| format!("; {help}")).unwrap_or_default();
        Failure { error: PortError::refused(format!("{}{help}", self.in_words(word))), hold: Hold::Notice }
    }

    /// A failure that may pass.
    pub fn passing(&self, word: Option<&str>) -> Failure {
        Failure { error: PortError::unreachable(self.in_words(word)), hold: Hold::Notice }
    }

    /// Too many came: as long as the server says, all have to wait.
    pub fn too_many(&self, word: Option<&str>) -> Failure {
        Failure { hold: self.retry_at.map_or(Hold::Doorbell, Hold::DoorbellUntil), ..self.passing(word) }
    }

    fn in_words(&self, word: Option<&str>) -> String {
        let word = word.map(|word| format!(" (`{word}`)")).unwrap_or_default();
        format!("answered {}{word}", self.status)
    }
}

/// A doorbell that rings by one request.
pub struct HttpDoorbell {
    name: String,
    channel: Box<dyn Channel>,
    http: Rc<Http>,
    waits: Rc<Waits>,
    clock: Rc<dyn Clock>,
}

impl std::fmt::Debug for HttpDoorbell {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("HttpDoorbell").field("name", &self.name).finish_non_exhaustive()
    }
}

impl HttpDoorbell {
    /// A doorbell by its `name` in the settings, under which it remembers in `waits` what failed.
    pub fn new(
        name: String,
        channel: Box<dyn Channel>,
        http: Rc<Http>,
        waits: Rc<Waits>,
        clock: Rc<dyn Clock>,
    ) -> Self {
        Self { name, channel, http, waits, clock }
    }

    async fn send(&self, request: RequestBuilder, now: DateTime<Utc>) -> Result<(), Failure> {
        match request.send().await {
            Ok(response) => self.channel.judge(&Answer::read(response, now).await, now),
            Err(error) if error.is_builder() => Err(Failure {
                error: PortError::refused(format!("cannot be asked: {}", describe(error))),
                hold: Hold::Notice,
            }),
            Err(error) => Err(Failure {
                error: PortError::unreachable(format!("did not answer: {}", describe(error))),
                hold: Hold::Doorbell,
            }),
        }
    }
}

#[async_trait(?Send)]
impl Notifier for HttpDoorbell {
    async fn ring(&self, notice: &Notice) -> PortResult<()> {
        let now = self.clock.now();
        self.waits.check(&self.name, notice.id, now)?;
        let request = self.channel.request(self.http.client()?, notice, now)?;
        let rang = self.send(request, now).await;
        self.waits.remember(&self.name, notice.id, &rang, self.clock.now());
        rang.map_err(|failure| failure.error)
    }
}

/// A secret, read afresh.
///
/// # Errors
/// Where it should be, when it cannot be read.
pub fn read(source: &SecretSource) -> PortResult<SecretString> {
    source.read().map_err(|error| PortError::refused(error.to_string()))
}

/// A secret that is an address.
///
/// # Errors
/// When it cannot be read, or a secret may not travel there.
pub fn read_address(source: &SecretSource) -> PortResult<Url> {
    address::parse(read(source)?.expose_secret())
        .ok_or_else(|| PortError::refused(format!("{source} holds no https address (http on this machine only)")))
}

/// An address that people can follow, in a form that ends no markup around it.
pub fn web(address: &str) -> Option<String> {
    let url = Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    Some(url.as_str().replace('|', "%7C").replace('<', "%3C").replace('>', "%3E"))
}
