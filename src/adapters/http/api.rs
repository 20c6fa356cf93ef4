//! Calls to an API with a token: the same manners towards every server.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue, LOCATION};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, Semaphore};

use super::Http;
use super::limits::Quiet;
use super::remembered::Remembered;
use super::sending::{BODY_LIMIT, Server, shown};
use crate::ports::{PortError, PortResult};

pub use super::call::{Answer, Call};
pub use super::manners::{Cost, Manners};
pub use super::opened::Opened;

/// The most that all pages of one list may have.
const LIST_LIMIT: usize = 4 * BODY_LIMIT;
/// The most pages of one list.
const MOST_PAGES: usize = 100;

/// Where a token comes from; asked before each request, so that a rotated one counts at once.
#[async_trait(?Send)]
pub trait Credential {
    /// The token.
    ///
    /// # Errors
    /// When there is none, and what to do about it.
    async fn token(&self) -> PortResult<SecretString>;

    /// Where it comes from, in words that may be shown and kept: the variable `TOKEN`. Never the token.
    fn source(&self) -> String;

    /// What the token was granted, where its server said so when it gave the token.
    fn granted(&self) -> Option<Granted> {
        None
    }

    /// The server refused the token. Gives whether the next one may be another.
    fn refused(&self) -> bool {
        false
    }
}

/// What a token was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// From permission to level, in the server's words.
    pub permissions: BTreeMap<String, String>,
    /// Where a person changes that, below the address of what people see.
    pub page: String,
}

/// One address of a server with an API.
#[derive(Clone)]
pub struct Api {
    pub(super) base: Url,
    pub(super) server: Rc<Server>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, base) = (&self.server.name, self.base.as_str());
        out.debug_struct("Api").field("name", name).field("base", &base).finish_non_exhaustive()
    }
}

impl Api {
    /// An API below `base`, by its `name` for errors, with headers that every request carries. With the manners that
    /// are right for anybody.
    pub fn new(
        name: impl Into<String>,
        base: Url,
        headers: &[(&'static str, &'static str)],
        credential: Rc<dyn Credential>,
        http: Rc<Http>,
    ) -> Self {
        Self::with_manners(name, base, headers, credential, http, Manners::default())
    }

    /// [`Api::new`], with manners of one's own.
    pub fn with_manners(
        name: impl Into<String>,
        base: Url,
        headers: &[(&'static str, &'static str)],
        credential: Rc<dyn Credential>,
        http: Rc<Http>,
        manners: Manners,
    ) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let server = Server {
            name: name.into(),
            headers,
            credential,
            http,
            cost: RefCell::default(),
            pools: RefCell::default(),
            quiet: Quiet::new(manners.memory.clone()),
            remembered: Remembered::new(manners.memory.as_ref().map(|folder| folder.join("answers")), manners.keeps),
            permits: Semaphore::new(manners.at_once.max(1)),
            last_write: Mutex::default(),
            manners,
        };
        Self { base, server: Rc::new(server) }
    }

    /// The same server at another address, as GraphQL has one beside REST: one token, one budget, one cost.
    #[must_use]
    pub fn at(&self, base: Url) -> Self {
        Self { base, server: self.server.clone() }
    }

    /// What was spent so far, at all addresses of this server.
    pub fn cost(&self) -> Cost {
        let pools = self.server.pools.borrow();
        let least = pools.values().min_by_key(|pool| pool.remaining).cloned().unwrap_or_default();
        Cost { remaining: least.remaining, limit: least.limit, ..self.server.cost.borrow().clone() }
    }

    /// What the token was granted, where its server said so when it gave the token.
    pub fn granted(&self) -> Option<Granted> {
        self.server.credential.granted()
    }

    /// Whether so much of the budget is spent that nothing long should be begun: the last quarter is for what was decided
    /// by what was read before. Gives the error to say so.
    pub fn has_spent_most(&self) -> Option<PortError> {
        let Server { name, manners, cost, .. } = &*self.server;
        let most = manners.requests - manners.requests / 4;
        (cost.borrow().counted() >= most).then(|| {
            PortError::unreachable(format!(
                "{name}: not read in this tick, whose {} requests (`requests_per_tick`) are spent, but for a quarter that \
                 is kept for what was read before; the next tick goes on here",
                manners.requests
            ))
        })
    }

    /// Adds points that an answer of GraphQL names.
    pub fn spent_points(&self, points: u64) {
        self.server.cost.borrow_mut().points += points;
    }

    /// One call. Reads that fail are repeated, twice at most. A write is repeated only where the server has clearly not
    /// done it: over a limit, or with a token that has ended.
    ///
    /// # Errors
    /// Not found for 404 and 410, refused for any other 4xx and a path that no address can have, unreachable for everything that may have taken effect and
    /// while the server is to be left alone.
    pub async fn send(&self, call: &Call<'_>) -> PortResult<Answer> {
        self.go(call, self.address(call)?).await
    }

    /// Where a call goes.
    pub(super) fn address(&self, call: &Call<'_>) -> PortResult<Url> {
        // An address drops them without a word, and leads elsewhere.
        if let Some(step) = call.path.iter().find(|step| matches!(**step, "" | "." | "..")) {
            return Err(PortError::refused(format!("{}: `{step}` cannot be part of an address", self.server.name)));
        }
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| PortError::invalid(format!("{}: `{}` is no address", self.server.name, self.base)))?
            .pop_if_empty()
            .extend(call.path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        Ok(url)
    }

    /// Where a read is sent on to, as the logs of a job are to some storage. Nobody goes there: the token is for this
    /// server alone. A thing that has moved within the server is followed.
    ///
    /// # Errors
    /// As [`Api::send`], and when it is not sent on.
    pub async fn location(&self, call: &Call<'_>) -> PortResult<Url> {
        let answer = self.send(&Call { asks_where: true, ..call.clone() }).await?;
        let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        match location.map(|location| self.base.join(location)) {
            Some(Ok(place)) if answer.status.is_redirection() => Ok(place),
            _ => {
                let wrong = format!("answered {}, and not where to go", answer.status);
                Err(PortError::invalid(format!("{}: {wrong}", self.what(call, &self.base))))
            }
        }
    }

    /// Every item of a list, page by page.
    ///
    /// # Errors
    /// As [`Api::pages_of`].
    pub async fn pages<T: DeserializeOwned>(&self, call: &Call<'_>) -> PortResult<Vec<T>> {
        let mut items = Vec::new();
        for page in self.pages_of::<Vec<T>>(call).await? {
            items.extend(page);
        }
        Ok(items)
    }

    /// Every page of a list, where a page is more than an array. Follows the addresses that the server gives.
    ///
    /// # Errors
    /// As [`Api::send`]; and when the next page lies on another server, or there are more pages than anybody could want.
    pub async fn pages_of<P: DeserializeOwned>(&self, call: &Call<'_>) -> PortResult<Vec<P>> {
        let mut answer = self.send(call).await?;
        let (mut pages, mut bytes) = (Vec::new(), 0);
        loop {
            bytes += answer.body.len();
            pages.push(answer.json(&self.server.name)?);
            let Some(next) = answer.next() else { return Ok(pages) };
            let next = self.here(next).map_err(|url| {
                let wrong = format!("the next page lies at `{}`, which gets no token", shown(&url));
                PortError::invalid(format!("{}: {wrong}", self.what(call, &self.base)))
            })?;
            if pages.len() >= MOST_PAGES || bytes > LIST_LIMIT {
                let wrong = format!("the list goes on after {} pages, {bytes} bytes", pages.len());
                return Err(PortError::invalid(format!("{}: {wrong}", self.what(call, &next))));
            }
            answer = self.go(call, next).await?;
        }
    }
}
