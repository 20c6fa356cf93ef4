//! One call on its way: requests, their answers, and what is done about those that are no success.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, IF_NONE_MATCH, LOCATION};
use reqwest::{RequestBuilder, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::{Mutex, Semaphore};

use super::api::{Api, Credential};
use super::call::{Answer, Call};
use super::limits::{self, Limited, Pool, Quiet};
use super::manners::{Cost, Manners};
use super::remembered::{Entry, Key, Remembered};
use super::{Http, describe, is_private, refusal};
use crate::ports::{PortError, PortErrorDetail, PortErrorKind, PortResult};
use crate::text::clean_line;

/// Far above any page of any API.
pub(super) const BODY_LIMIT: usize = 16 * 1024 * 1024;
const MOST_REDIRECTS: u32 = 3;
/// How often a call is repeated.
const MOST_REPETITIONS: u32 = 2;
/// The most that is said of an address.
const SAID: usize = 300;

/// What all addresses of a server share: they answer to one token, and count together.
pub(super) struct Server {
    pub(super) name: String,
    pub(super) headers: HeaderMap,
    pub(super) credential: Rc<dyn Credential>,
    pub(super) http: Rc<Http>,
    pub(super) manners: Manners,
    pub(super) cost: RefCell<Cost>,
    /// What is left, by the address: GraphQL has a limit of its own.
    pub(super) pools: RefCell<BTreeMap<Url, Pool>>,
    pub(super) quiet: Quiet,
    pub(super) remembered: Remembered,
    pub(super) permits: Semaphore,
    /// Writes go one after the other; when the last one ended.
    pub(super) last_write: Mutex<Option<DateTime<Utc>>>,
}

/// A call on its way.
struct Trip {
    url: Url,
    redirects: u32,
    repetitions: u32,
    /// Another token was tried.
    renewed: bool,
}

/// What came of one request.
enum Step {
    Done(Answer),
    /// To be sent again, after this pause.
    Again(Duration),
}

/// An answer, whatever it says.
struct Raw {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Api {
    pub(super) async fn go(&self, call: &Call<'_>, url: Url) -> PortResult<Answer> {
        self.is_safe(&url)?;
        let Server { manners, last_write, .. } = &*self.server;
        let mut last_write = if call.writes { Some(last_write.lock().await) } else { None };
        let mut trip = Trip { url, redirects: 0, repetitions: 0, renewed: false };
        loop {
            self.after(last_write.as_deref().copied().flatten()).await;
            self.may_ask(call).await?;
            let step = self.ask(call, &mut trip).await;
            if let Some(last) = last_write.as_deref_mut() {
                *last = Some(manners.pace.now());
            }
            match step? {
                Step::Done(answer) => return Ok(answer),
                Step::Again(pause) => self.pause(pause).await,
            }
        }
    }

    pub(super) fn is_safe(&self, url: &Url) -> PortResult<()> {
        if is_private(url) {
            return Ok(());
        }
        let wrong = "is not https, and a token would be open to anybody on the way";
        Err(PortError::refused(format!("{}: `{}` {wrong}", self.server.name, shown(url.as_str()))))
    }

    /// Waits for the pause between two writes.
    pub(super) async fn after(&self, last_write: Option<DateTime<Utc>>) {
        let Manners { pace, write_interval, .. } = &self.server.manners;
        if let Some(last) = last_write {
            let since = pace.now().signed_duration_since(last).to_std().unwrap_or_default();
            self.pause(write_interval.saturating_sub(since)).await;
        }
    }

    async fn pause(&self, time: Duration) {
        if !time.is_zero() {
            self.server.manners.pace.pause(time).await;
        }
    }

    /// Whether the server may be asked now; waits a little where that suffices.
    pub(super) async fn may_ask(&self, call: &Call<'_>) -> PortResult<()> {
        let Server { manners, quiet, .. } = &*self.server;
        let now = manners.pace.now();
        if let Some(until) = [self.whole(), self.one()].iter().filter_map(|whom| quiet.until(whom, now)).max() {
            let wait = until.signed_duration_since(now).to_std().unwrap_or_default();
            if wait > manners.patience {
                return Err(self.asks_to_be_left_alone(until, ""));
            }
            self.pause(wait + Duration::from_secs(1).mul_f64(manners.pace.chance())).await;
        }
        // A write finishes what was begun and paid for; without it the next tick would have to find out and do it anyway.
        if call.writes { Ok(()) } else { self.is_within_budget() }
    }

    fn is_within_budget(&self) -> PortResult<()> {
        let Server { name, manners, cost, pools, .. } = &*self.server;
        let spent = cost.borrow().counted();
        if spent >= manners.requests {
            return Err(PortError::unreachable(format!(
                "{name}: {spent} requests were sent, which is all that one tick may (`requests_per_tick`); nothing more is \
                 read until the next one"
            )));
        }
        // What is left is known from the first answer on; so each tick in want asks once.
        let pool = pools.borrow().get(&self.base).cloned().unwrap_or_default();
        let now = manners.pace.now();
        // Where the limit is lower than whoever set the reserve thought, all of it would be kept, for ever.
        let reserve = pool.limit.map_or(manners.reserve, |limit| manners.reserve.min(limit / 2));
        match pool.remaining {
            Some(left) if left <= reserve && reserve > 0 && pool.reset.is_none_or(|at| at > now) => {
                let until = pool.reset.map(|at| format!(" until {}", clock(at, now))).unwrap_or_default();
                Err(PortError::unreachable(format!(
                    "{name}: {left} requests are left of the hourly limit, and {reserve} are kept for people (`reserve`); \
                     nothing more is read{until}"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Sends one request, and judges the answer.
    async fn ask(&self, call: &Call<'_>, trip: &mut Trip) -> PortResult<Step> {
        let Server { manners, credential, remembered, cost, .. } = &*self.server;
        let what = self.what(call, &trip.url);
        let token = credential.token().await?;
        let source = credential.source();
        let accept = self.server.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let address = trip.url.clone();
        let key = Key { address: address.as_str(), accept, asker: &source };
        let known = if call.is_get() { remembered.find(&key) } else { None };
        let raw = match self.exchange(call, &trip.url, &token, known.as_ref()).await {
            Err(error)
                if error.kind == PortErrorKind::Unreachable && may_be_repeated(call, &error) && trip.may_repeat() =>
            {
                return Ok(Step::Again(self.backoff(trip)));
            }
            other => other?,
        };
        let Raw { status, mut headers, body } = raw;
        tracing::debug!(request = what, status = status.as_u16());
        self.note_limits(&headers);
        if status == StatusCode::NOT_MODIFIED
            && let Some(known) = known
        {
            cost.borrow_mut().unchanged += 1;
            remembered.used(&key);
            known.complete(&mut headers);
            let body = known.body.into_bytes();
            return Ok(Step::Done(Answer { status: StatusCode::OK, headers, body, unchanged: true }));
        }
        if status.is_success() {
            if !call.writes
                && !call.is_get()
                && let Some(said) = limit_in(&body)
            {
                let limited = Limited::by(&headers, manners.pace.now());
                return self.wait_for(limited, &headers, &clean_line(&said, SAID), trip);
            }
            if call.is_get()
                && let Some(entry) = Entry::of(&key, &headers, &body)
            {
                remembered.keep(&key, &entry);
            }
            return Ok(Step::Done(Answer { status, headers, body, unchanged: false }));
        }
        if matches!(status.as_u16(), 301 | 302 | 307 | 308) {
            if call.asks_where && matches!(status, StatusCode::FOUND | StatusCode::TEMPORARY_REDIRECT) {
                return Ok(Step::Done(Answer { status, headers, body, unchanged: false }));
            }
            return self.follow(call, &headers, trip, &what);
        }
        if status == StatusCode::UNAUTHORIZED && !trip.renewed && credential.refused() {
            trip.renewed = true;
            return Ok(Step::Again(Duration::ZERO));
        }
        let said = refusal::words(&body, &token);
        if let Some(limited) = Limited::of(status, &headers, &said, manners.pace.now()) {
            return self.wait_for(limited, &headers, &said, trip);
        }
        if status.is_server_error() {
            if let Some(pause) = limits::retry_after(&headers, manners.pace.now()) {
                let step = self.wait_for(Limited::TooFast(Some(pause)), &headers, &said, trip);
                if !call.writes {
                    return step;
                }
            } else if call.may_be_repeated(status) && trip.may_repeat() {
                return Ok(Step::Again(self.backoff(trip)));
            }
        }
        Err(refusal::error(&what, status, &headers, &said, &source))
    }

    /// One request and its answer; reads no more of it than is bearable.
    async fn exchange(
        &self,
        call: &Call<'_>,
        url: &Url,
        token: &SecretString,
        known: Option<&Entry>,
    ) -> PortResult<Raw> {
        let what = self.what(call, url);
        let request = self.request(call, url, token, known)?;
        // The semaphore is never closed.
        let _permit = self.server.permits.acquire().await.ok();
        self.server.cost.borrow_mut().requests += 1;
        let lost = |error| lost(&what, error);
        let mut response = request.send().await.map_err(lost)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > BODY_LIMIT {
                return Err(too_much(&what, BODY_LIMIT));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Raw { status, headers, body })
    }

    /// A request with everything that it has to carry.
    pub(super) fn request(
        &self,
        call: &Call<'_>,
        url: &Url,
        token: &SecretString,
        known: Option<&Entry>,
    ) -> PortResult<RequestBuilder> {
        let Server { headers, http, credential, .. } = &*self.server;
        let what = self.what(call, url);
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).map_err(|_| {
            PortError::refused(format!("{what}: what {} gives has characters that no token has", credential.source()))
        })?;
        bearer.set_sensitive(true);
        let mut request = http.client()?.request(call.method.clone(), url.clone());
        request = request.headers(headers.clone()).header(AUTHORIZATION, bearer);
        if let Some(known) = known {
            request = request.header(IF_NONE_MATCH, &known.etag);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        Ok(request)
    }

    /// A read is followed to where a thing of this server has moved; a write is not: who decided it named another place.
    fn follow(&self, call: &Call<'_>, headers: &HeaderMap, trip: &mut Trip, what: &str) -> PortResult<Step> {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let target = trip.url.join(location).map_err(|_| location.to_owned()).and_then(|url| self.here(url.as_str()));
        let refused = |place: &str, why: &str| {
            Err(PortError::refused(format!("{what}: it has moved to `{}`; {why}", shown(place))))
        };
        match target {
            Err(elsewhere) => refused(&elsewhere, "that is another server, which gets no token"),
            Ok(url) if !call.is_get() => refused(
                url.as_str(),
                "nothing is written there: name the repository in settings and policy as it is called now",
            ),
            Ok(url) if trip.redirects >= MOST_REDIRECTS => refused(url.as_str(), "it was sent on too often"),
            Ok(url) => {
                trip.redirects += 1;
                trip.url = url;
                Ok(Step::Again(Duration::ZERO))
            }
        }
    }

    /// The server is to be left alone. A short while of that is waited for before the call is sent again.
    fn wait_for(&self, limited: Limited, headers: &HeaderMap, said: &str, trip: &mut Trip) -> PortResult<Step> {
        let Server { manners, quiet, .. } = &*self.server;
        let now = manners.pace.now();
        let until = match limited {
            Limited::UsedUp => {
                let reset = Pool::of(headers, now).and_then(|pool| pool.reset).map(|at| at.signed_duration_since(now));
                // One that is over did not help.
                quiet.leave_alone(&self.one(), reset.filter(|away| *away > TimeDelta::zero()), now)
            }
            Limited::TooFast(pause) => {
                let pause = pause.map(|pause| TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX));
                quiet.leave_alone(&self.whole(), pause, now)
            }
        };
        let pause = until.signed_duration_since(now).to_std().unwrap_or_default();
        if pause <= manners.patience && trip.may_repeat() {
            trip.repetitions += 1;
            return Ok(Step::Again(Duration::ZERO));
        }
        Err(self.asks_to_be_left_alone(until, said))
    }

    /// Takes down what is left; an answer that took the last of it saves the next call from being refused.
    fn note_limits(&self, headers: &HeaderMap) {
        let Server { manners, pools, quiet, .. } = &*self.server;
        let now = manners.pace.now();
        let Some(pool) = Pool::of(headers, now) else { return };
        if let (Some(0), Some(reset)) = (pool.remaining, pool.reset) {
            quiet.leave_alone(&self.one(), Some(reset.signed_duration_since(now)), now);
        }
        pools.borrow_mut().insert(self.base.clone(), pool);
    }

    /// The pause before the next repetition.
    fn backoff(&self, trip: &mut Trip) -> Duration {
        let Manners { backoff, pace, .. } = &self.server.manners;
        let pause = *backoff * 2_u32.pow(trip.repetitions);
        trip.repetitions += 1;
        pause.mul_f64(0.5 + pace.chance() / 2.0)
    }

    pub(super) fn asks_to_be_left_alone(&self, until: DateTime<Utc>, said: &str) -> PortError {
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        let until = clock(until, self.server.manners.pace.now());
        PortError::unreachable(format!("{} asks to be left alone until {until}{said}", self.server.name))
    }

    /// An address that a server gave, if it is one of the same server; else the address.
    pub(super) fn here(&self, address: &str) -> Result<Url, String> {
        let url = self.base.join(address).map_err(|_| address.to_owned())?;
        if url.origin() == self.base.origin() { Ok(url) } else { Err(url.into()) }
    }

    /// What a limit of the whole server is remembered by: another token has other limits.
    pub(super) fn whole(&self) -> String {
        format!("{} by {}", self.base.origin().ascii_serialization(), self.server.credential.source())
    }

    /// What the limit of this address is remembered by.
    fn one(&self) -> String {
        format!("{} by {}", shown(self.base.as_str()), self.server.credential.source())
    }

    /// What is asked, for errors: without the query, which may hold secrets.
    pub(super) fn what(&self, call: &Call<'_>, url: &Url) -> String {
        format!("{}: {} {}", self.server.name, call.method, clean_line(url.path(), SAID))
    }
}

/// The error for what got no answer.
pub(super) fn lost(what: &str, error: reqwest::Error) -> PortError {
    // One that nobody listens to is not too heavy.
    let was_slow = error.is_timeout() && !error.is_connect();
    // A mistyped address shows in its host; the rest of it may be a secret.
    let host = error.url().and_then(Url::host_str).map(|host| format!(" from {host}")).unwrap_or_default();
    let error = PortError::unreachable(format!("{what}: no answer{host}: {}", describe(error)));
    if was_slow { error.with(PortErrorDetail::TooMuch) } else { error }
}

/// The error for an answer that nobody can hold.
pub(super) fn too_much(what: &str, limit: usize) -> PortError {
    PortError::invalid(format!("{what}: the answer has more than {limit} bytes")).with(PortErrorDetail::TooMuch)
}

/// Whether what got no answer may be sent again. A question that took too long takes as long again.
fn may_be_repeated(call: &Call<'_>, error: &PortError) -> bool {
    !call.writes && (call.is_get() || error.detail != Some(PortErrorDetail::TooMuch))
}

impl Trip {
    fn may_repeat(&self) -> bool {
        self.repetitions < MOST_REPETITIONS
    }
}

/// What GraphQL says of a limit, with status 200.
fn limit_in(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        errors: Vec<Fault>,
    }
    #[derive(Deserialize)]
    struct Fault {
        r#type: Option<String>,
        #[serde(default)]
        message: String,
    }
    let body: Body = serde_json::from_slice(body).ok()?;
    let about_limits = |fault: &Fault| match fault.r#type.as_deref() {
        Some(kind) => kind.starts_with("RATE_LIMIT"),
        None => limits::is_about_limits(&fault.message),
    };
    body.errors.into_iter().find(about_limits).map(|fault| fault.message)
}

/// An address for people: bounded, without user and query, which may hold secrets.
pub(super) fn shown(address: &str) -> String {
    let place = Url::parse(address).map(|url| format!("{}{}", url.origin().ascii_serialization(), url.path()));
    clean_line(&place.unwrap_or_else(|_| address.split(['?', '#']).next().unwrap_or_default().to_owned()), SAID)
}

/// `12:34Z`, with the day where it is another one.
fn clock(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let format = if at.date_naive() == now.date_naive() { "%H:%MZ" } else { "%Y-%m-%d %H:%MZ" };
    at.format(format).to_string()
}
