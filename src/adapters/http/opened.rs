//! Answers that are taken as they come: whatever their status, and however large.

use chrono::TimeDelta;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};

use super::api::{Api, Call};
use super::limits::{date, retry_after};
use super::sending::{Server, lost, shown, too_much};
use crate::ports::{PortError, PortResult};
use crate::text::clean_line;

/// The most that is said of what a server answered.
const SAID: usize = 300;

/// An answer of which no more than the head was read.
#[derive(Debug)]
pub struct Opened {
    /// Any but a redirect.
    pub status: StatusCode,
    headers: HeaderMap,
    /// How far the server's clock is ahead of ours, where it says so; to the second.
    pub ahead: Option<TimeDelta>,
    /// What was asked of whom, for errors.
    pub what: String,
    response: Response,
    token: SecretString,
}

impl Api {
    /// Sends one call once, and gives what was answered. For servers whose refusals say more than [`Api::send`] hears,
    /// and for answers that are too large to hold. It counts, and leaves the server alone, as every other call does.
    ///
    /// # Errors
    /// Unreachable where nothing was answered and while the server is to be left alone; refused for a redirect.
    pub async fn open(&self, call: &Call<'_>) -> PortResult<Opened> {
        let url = self.address(call)?;
        self.is_safe(&url)?;
        let Server { credential, manners, last_write, cost, quiet, .. } = &*self.server;
        let mut last_write = if call.writes { Some(last_write.lock().await) } else { None };
        self.after(last_write.as_deref().copied().flatten()).await;
        self.may_ask(call).await?;
        let what = self.what(call, &url);
        let token = credential.token().await?;
        let request = self.request(call, &url, &token, None)?;
        cost.borrow_mut().requests += 1;
        let sent = request.send().await;
        if let Some(last) = last_write.as_deref_mut() {
            *last = Some(manners.pace.now());
        }
        let response = sent.map_err(|error| lost(&what, error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        tracing::debug!(request = what, status = status.as_u16());
        if status.is_redirection() {
            let place = headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let wrong = "the token goes nowhere but to the address in the settings";
            return Err(PortError::refused(format!("{what}: it has moved to `{}`; {wrong}", shown(place))));
        }
        let now = manners.pace.now();
        let pause = retry_after(&headers, now).filter(|_| !status.is_success());
        if status == StatusCode::TOO_MANY_REQUESTS || pause.is_some() {
            let pause = pause.map(|pause| TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX));
            return Err(self.asks_to_be_left_alone(quiet.leave_alone(&self.whole(), pause, now), ""));
        }
        let ahead = date(&headers).map(|theirs| theirs.signed_duration_since(now));
        Ok(Opened { status, headers, ahead, what, response, token })
    }
}

impl Opened {
    /// Whether the body says that it is JSON.
    pub fn is_json(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json")
    }

    /// The next piece of the body.
    ///
    /// # Errors
    /// Unreachable when the answer breaks off.
    pub async fn chunk(&mut self) -> PortResult<Option<Vec<u8>>> {
        let chunk = self.response.chunk().await.map_err(|error| lost(&self.what, error))?;
        Ok(chunk.map(|chunk| chunk.to_vec()))
    }

    /// All of the body.
    ///
    /// # Errors
    /// When the answer breaks off, or has more than so many bytes.
    pub async fn body(&mut self, limit: usize) -> PortResult<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if body.len() + chunk.len() > limit {
                return Err(too_much(&self.what, limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The server's words, for people: one line, bounded; without the token, should it repeat it.
    pub fn words(&self, said: &str) -> String {
        clean_line(&said.replace(self.token.expose_secret(), "(the token)"), SAID)
    }
}
