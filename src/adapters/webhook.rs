//! A doorbell that posts a JSON document.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat, Utc};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::Sha256;
use uuid::Uuid;

use super::doorbell::{Answer, Channel, Failure, read, read_address};
use crate::policy::Urgency;
use crate::ports::{Notice, PortError, PortResult};
use crate::settings::SecretSource;

/// Posts notices to one address. The address is a secret: it is read on each use and named in no error.
#[derive(Debug)]
pub struct Webhook {
    /// Where to.
    pub url: SecretSource,
    /// Signs the body.
    pub secret: Option<SecretSource>,
}

/// What is posted.
#[derive(Serialize)]
struct Document<'a> {
    id: Uuid,
    /// In the signed body, so that nobody can send an old one again.
    sent_at: &'a str,
    kind: &'a str,
    title: &'a str,
    body: &'a str,
    urgency: Urgency,
    tags: &'a [String],
    issue: String,
    url: &'a str,
    link: Option<&'a str>,
    run: Uuid,
    revision: &'a str,
}

impl Channel for Webhook {
    fn request(&self, client: &Client, notice: &Notice, now: DateTime<Utc>) -> PortResult<RequestBuilder> {
        let url = read_address(&self.url)?;
        let sent_at = now.to_rfc3339_opts(SecondsFormat::Secs, true);
        let document = Document {
            id: notice.id,
            sent_at: &sent_at,
            kind: &notice.kind,
            title: &notice.title,
            body: &notice.body,
            urgency: notice.urgency,
            tags: &notice.tags,
            issue: notice.issue.to_string(),
            url: &notice.url,
            link: notice.link.as_deref(),
            run: notice.run.0,
            revision: &notice.revision,
        };
        let body = serde_json::to_vec(&document)
            .map_err(|error| PortError::invalid(format!("the notice is no JSON: {error}")))?;
        let mut request = client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("X-Afk-Event-Id", notice.id.to_string())
            .header("X-Afk-Timestamp", &sent_at);
        if let Some(secret) = &self.secret {
            request = request.header("X-Afk-Signature-256", signature(&read(secret)?, &body)?);
        }
        Ok(request.body(body))
    }

    fn judge(&self, answer: &Answer, _now: DateTime<Utc>) -> Result<(), Failure> {
        answer.judge(None, None)
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
