//! A doorbell that posts a JSON document.

use std::fmt::Write;
use std::rc::Rc;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::CONTENT_TYPE;
use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::Sha256;
use uuid::Uuid;

use super::http::{self, Http};
use crate::policy::Urgency;
use crate::ports::{Notice, Notifier, PortError, PortResult};
use crate::settings::SecretSource;

/// Posts notices to one address. The address is a secret: it is read on each use and named in no error.
#[derive(Debug)]
pub struct WebhookDoorbell {
    name: String,
    url: SecretSource,
    secret: Option<SecretSource>,
    http: Rc<Http>,
}

/// What is posted.
#[derive(Serialize)]
struct Document<'a> {
    id: Uuid,
    kind: &'a str,
    title: &'a str,
    body: &'a str,
    urgency: Urgency,
    tags: &'a [String],
    issue: String,
    url: &'a str,
    run: Uuid,
    revision: &'a str,
}

impl WebhookDoorbell {
    /// A doorbell by its `name` in the settings, for its errors; with a `secret` the body is signed.
    pub fn new(name: String, url: SecretSource, secret: Option<SecretSource>, http: Rc<Http>) -> Self {
        Self { name, url, secret, http }
    }

    fn read(&self, source: &SecretSource) -> PortResult<SecretString> {
        source.read().map_err(|error| PortError::refused(format!("doorbell `{}`: {error}", self.name)))
    }
}

#[async_trait(?Send)]
impl Notifier for WebhookDoorbell {
    async fn ring(&self, notice: &Notice) -> PortResult<()> {
        let name = &self.name;
        let url = Url::parse(self.read(&self.url)?.expose_secret())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| {
                PortError::refused(format!("doorbell `{name}`: {} holds no http or https address", self.url))
            })?;
        let document = Document {
            id: notice.id,
            kind: &notice.kind,
            title: &notice.title,
            body: &notice.body,
            urgency: notice.urgency,
            tags: &notice.tags,
            issue: notice.issue.to_string(),
            url: &notice.url,
            run: notice.run.0,
            revision: &notice.revision,
        };
        let body = serde_json::to_vec(&document)
            .map_err(|error| PortError::invalid(format!("doorbell `{name}`: the notice is no JSON: {error}")))?;
        let mut request = self
            .http
            .client()?
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("X-Afk-Event-Id", notice.id.to_string());
        if let Some(secret) = &self.secret {
            request = request.header("X-Afk-Signature-256", signature(&self.read(secret)?, &body)?);
        }
        // The answer's body may repeat the address, and is not read at all.
        let answer = request.body(body).send().await.map_err(|error| {
            PortError::unreachable(format!("doorbell `{name}` did not answer: {}", http::describe(error)))
        })?;
        let status = answer.status();
        let message = format!("doorbell `{name}` answered {status}");
        match status {
            _ if status.is_success() => Ok(()),
            _ if status.is_redirection() => {
                Err(PortError::refused(format!("{message}; redirects are not followed, give the address it moved to")))
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(PortError::unreachable(message)),
            _ if status.is_client_error() => Err(PortError::refused(message)),
            _ => Err(PortError::unreachable(message)),
        }
    }
}

/// `sha256=` and the HMAC of the body in lower-case hex, as GitHub writes it.
fn signature(secret: &SecretString, body: &[u8]) -> PortResult<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .map_err(|error| PortError::invalid(format!("the secret is no key: {error}")))?;
    mac.update(body);
    let mut signature = String::from("sha256=");
    for byte in mac.finalize().into_bytes() {
        // Writing to a string does not fail.
        let _ = write!(signature, "{byte:02x}");
    }
    Ok(signature)
}
