//! What a server says when it does not do what it was asked, in words for people.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::ports::{PortError, PortErrorDetail};
use crate::text::clean_line;

/// The most that is said of what a server answered.
const SAID: usize = 300;
/// The most that is said of one header.
const SAID_OF_HEADER: usize = 100;

/// The server's own words: one line, bounded; without the token, should it repeat it.
pub fn words(body: &[u8], token: &SecretString) -> String {
    #[derive(Default, Deserialize)]
    struct Body {
        #[serde(default)]
        message: String,
        #[serde(default)]
        errors: serde_json::Value,
    }
    let body: Body = serde_json::from_slice(body).unwrap_or_default();
    let mut words = body.message;
    for error in body.errors.as_array().into_iter().flatten().take(3) {
        let field = |name: &str| error.get(name).and_then(serde_json::Value::as_str);
        let reason = error.as_str().or_else(|| field("message")).or_else(|| field("code")).unwrap_or_default();
        match field("field") {
            Some(field) => words.push_str(&format!("; {field}: {reason}")),
            None => words.push_str(&format!("; {reason}")),
        }
    }
    clean_line(&words.replace(token.expose_secret(), "(the token)"), SAID)
}

/// The error for an answer that is no success. `what` was asked with a token of `source`; `said` are the server's words.
pub fn error(what: &str, status: StatusCode, headers: &HeaderMap, said: &str, source: &str) -> PortError {
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    let answered = format!("{what}: answered {status}{said}");
    match status {
        StatusCode::UNAUTHORIZED => {
            PortError::refused(format!("{what}: the token was refused{said}; it comes from {source}"))
        }
        StatusCode::FORBIDDEN => {
            PortError::refused(format!("{answered}{}", missing(headers))).with(PortErrorDetail::Forbidden)
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => PortError::not_found(answered),
        // A gateway ends what takes too long.
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            PortError::unreachable(answered).with(PortErrorDetail::TooMuch)
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => PortError::unreachable(answered),
        _ if status.is_client_error() => PortError::refused(answered),
        _ if status.is_server_error() => PortError::unreachable(answered),
        _ => PortError::invalid(answered),
    }
}

/// What the token lacks, as far as the server tells.
fn missing(headers: &HeaderMap) -> String {
    let header = |name: &str| {
        let text = clean_line(headers.get(name)?.to_str().ok()?, SAID_OF_HEADER);
        (!text.is_empty()).then_some(text)
    };
    let mut missing = String::new();
    if let Some(permissions) = header("x-accepted-github-permissions") {
        missing.push_str(&format!("; it takes the permission `{permissions}`"));
    }
    if let Some(accepted) = header("x-accepted-oauth-scopes") {
        missing.push_str(&format!("; it takes one of the scopes `{accepted}`"));
    }
    if let Some(scopes) = header("x-oauth-scopes") {
        missing.push_str(&format!("; the token has the scopes `{scopes}`"));
    }
    missing
}
