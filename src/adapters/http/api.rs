//! Calls to an API with a token: the same manners towards every server.

use std::cell::RefCell;
use std::rc::Rc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Http, describe};
use crate::ports::{PortError, PortResult};
use crate::text::clean_line;

/// Far above any page of any API.
const BODY_LIMIT: usize = 16 * 1024 * 1024;
/// The most that is said of what a server answered.
const SAID: usize = 300;

/// Where a token comes from; asked before each request, so that a rotated one counts at once.
#[async_trait(?Send)]
pub trait Credential {
    /// The token.
    ///
    /// # Errors
    /// When there is none, and what to do about it.
    async fn token(&self) -> PortResult<SecretString>;
}

/// What calls to one server have cost so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Requests sent.
    pub requests: u64,
    /// Those answered by "not modified", which do not count against the limit.
    pub unchanged: u64,
    /// Points of GraphQL.
    pub points: u64,
    /// What the server said is left of the limit.
    pub remaining: Option<u64>,
    /// The limit.
    pub limit: Option<u64>,
}

/// One call.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// The method.
    pub method: Method,
    /// Segments below the base address, not encoded.
    pub path: &'a [&'a str],
    /// The query, not encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// The body, as JSON.
    pub body: Option<Value>,
}

impl<'a> Call<'a> {
    /// A call that only reads.
    pub fn get(path: &'a [&'a str]) -> Self {
        Self { method: Method::GET, path, query: &[], body: None }
    }

    /// A call that writes.
    pub fn write(method: Method, path: &'a [&'a str], body: Option<Value>) -> Self {
        Self { method, path, query: &[], body }
    }

    /// With a query.
    #[must_use]
    pub fn query(self, query: &'a [(&'a str, &'a str)]) -> Self {
        Self { query, ..self }
    }
}

/// What a server answered with success.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status, 2xx.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, bounded.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body.
    ///
    /// # Errors
    /// It is not the JSON that was expected.
    pub fn json<T: DeserializeOwned>(&self, what: &str) -> PortResult<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            PortError::invalid(format!("{what}: the answer makes no sense: {}", clean_line(&error.to_string(), SAID)))
        })
    }

    /// The server's clock.
    pub fn date(&self) -> Option<DateTime<Utc>> {
        let date = self.headers.get(reqwest::header::DATE)?.to_str().ok()?;
        DateTime::parse_from_rfc2822(date).ok().map(|date| date.to_utc())
    }
}

/// A server with an API.
pub struct Api {
    name: String,
    base: Url,
    headers: HeaderMap,
    credential: Rc<dyn Credential>,
    http: Rc<Http>,
    cost: RefCell<Cost>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Api").field("name", &self.name).field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Api {
    /// An API below `base`, by its `name` for errors, with headers that every request carries.
    pub fn new(
        name: impl Into<String>,
        base: Url,
        headers: &[(&'static str, &'static str)],
        credential: Rc<dyn Credential>,
        http: Rc<Http>,
    ) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        Self { name: name.into(), base, headers, credential, http, cost: RefCell::default() }
    }

    /// What was spent so far.
    pub fn cost(&self) -> Cost {
        self.cost.borrow().clone()
    }

    /// Adds points that an answer of GraphQL names.
    pub fn spent_points(&self, points: u64) {
        self.cost.borrow_mut().points += points;
    }

    /// One call.
    ///
    /// # Errors
    /// Not found for 404 and 410, refused for any other 4xx, unreachable for everything that may have taken effect.
    pub async fn send(&self, call: &Call<'_>) -> PortResult<Answer> {
        let (what, answer) = self.exchange(call).await?;
        let status = answer.status;
        if status.is_success() {
            return Ok(answer);
        }
        let message = format!("{what}: answered {status}");
        Err(match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => PortError::not_found(message),
            _ if status.is_client_error() => PortError::refused(message),
            _ => PortError::unreachable(message),
        })
    }

    /// Where a call is sent on to. Nobody goes there: the token is for this server alone.
    ///
    /// # Errors
    /// As [`Api::send`], and when it is not sent on.
    pub async fn location(&self, call: &Call<'_>) -> PortResult<Url> {
        let (what, answer) = self.exchange(call).await?;
        let location = answer.headers.get(reqwest::header::LOCATION).and_then(|location| location.to_str().ok());
        match location.map(|location| self.base.join(location)) {
            Some(Ok(place)) if answer.status.is_redirection() => Ok(place),
            _ => Err(PortError::invalid(format!("{what}: answered {}, and not where to go", answer.status))),
        }
    }

    async fn exchange(&self, call: &Call<'_>) -> PortResult<(String, Answer)> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| PortError::invalid(format!("{}: `{}` is no address", self.name, self.base)))?
            .pop_if_empty()
            .extend(call.path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        let what = format!("{}: {} {}", self.name, call.method, clean_line(url.path(), SAID));
        let token = self.credential.token().await?;
        let mut request = self
            .http
            .client()?
            .request(call.method.clone(), url)
            .headers(self.headers.clone())
            .bearer_auth(token.expose_secret());
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        self.cost.borrow_mut().requests += 1;
        let unreachable =
            |error: reqwest::Error| PortError::unreachable(format!("{what}: no answer: {}", describe(error)));
        let mut response = request.send().await.map_err(unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > BODY_LIMIT {
                return Err(PortError::invalid(format!("{what}: the answer has more than {BODY_LIMIT} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((what, Answer { status, headers, body }))
    }

    /// Every page of a list, where a page is more than an array.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub async fn pages_of<P: DeserializeOwned>(&self, call: &Call<'_>) -> PortResult<Vec<P>> {
        Ok(vec![self.send(call).await?.json(&self.name)?])
    }

    /// Every item of a list, page by page.
    ///
    /// # Errors
    /// As [`Api::send`]; and when there are more pages than anybody could want.
    pub async fn pages<T: DeserializeOwned>(&self, call: &Call<'_>) -> PortResult<Vec<T>> {
        self.send(call).await?.json(&self.name)
    }
}
