//! What is asked of an API, and what it answers.

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, LINK};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::limits;
use crate::ports::{PortError, PortResult};
use crate::text::clean_line;

/// The most that is said of an answer that makes no sense.
const SAID: usize = 300;

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
    /// Changes something: never sent twice, unless the server clearly did nothing.
    pub writes: bool,
    /// Where it is sent on to is the answer, not what lies there.
    pub(super) asks_where: bool,
}

impl<'a> Call<'a> {
    /// A call that only reads.
    pub fn get(path: &'a [&'a str]) -> Self {
        Self { method: Method::GET, path, query: &[], body: None, writes: false, asks_where: false }
    }

    /// A call that writes.
    pub fn write(method: Method, path: &'a [&'a str], body: Option<Value>) -> Self {
        Self { method, path, query: &[], body, writes: true, asks_where: false }
    }

    /// A call that only reads although it is posted: a query of GraphQL, to the base address itself.
    pub fn ask(body: Value) -> Self {
        Self { method: Method::POST, path: &[], query: &[], body: Some(body), writes: false, asks_where: false }
    }

    /// With a query.
    #[must_use]
    pub fn query(self, query: &'a [(&'a str, &'a str)]) -> Self {
        Self { query, ..self }
    }

    /// Whether the answer can be compared with an earlier one, and redirects can be followed.
    pub(super) fn is_get(&self) -> bool {
        self.method == Method::GET
    }

    /// Whether a server that fails so may be asked again. A question of GraphQL that took too long (502, 504) takes as
    /// long again, and every timeout is charged: who asked has to ask for less.
    pub(super) fn may_be_repeated(&self, status: StatusCode) -> bool {
        let too_heavy = matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT);
        !self.writes && status.is_server_error() && (self.is_get() || !too_heavy)
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
    /// The server says that nothing has changed since it gave this body.
    pub unchanged: bool,
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
        limits::date(&self.headers)
    }

    /// The address of the next page, as the header `Link` gives it (RFC 8288); nobody has looked yet where it leads.
    pub(super) fn next(&self) -> Option<&str> {
        self.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).find_map(next_of)
    }
}

/// The next page that a `Link` names.
pub(super) fn next_of(mut text: &str) -> Option<&str> {
    loop {
        let (_, rest) = text.split_once('<')?;
        let (target, rest) = rest.split_once('>')?;
        // Parameters go on to the next link.
        let parameters = rest.split_once('<').map_or(rest, |(parameters, _)| parameters);
        let is_next = parameters.split([';', ',']).any(|parameter| {
            parameter.trim().split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("rel")
                    && value.trim().trim_matches('"').split_ascii_whitespace().any(|rel| rel == "next")
            })
        });
        if is_next {
            return Some(target);
        }
        text = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn the_next_page_is_found_wherever_it_stands_in_the_header() {
        for (link, next) in [
            (
                r#"<https://a.test/x?page=2>; rel="next", <https://a.test/x?page=9>; rel="last""#,
                Some("https://a.test/x?page=2"),
            ),
            (r#"<https://a.test/1>; rel="prev", <https://a.test/3>; rel="next""#, Some("https://a.test/3")),
            (r#"<https://a.test/x?a=1,2;3>;title="b";REL="last next""#, Some("https://a.test/x?a=1,2;3")),
            ("</2>; rel=next", Some("/2")),
            (r#"<https://a.test/1>; rel="prev""#, None),
            (r#"<https://a.test/1>; title="next""#, None),
            ("rel=\"next\"", None),
            ("<", None),
            ("", None),
        ] {
            assert_eq!(next_of(link), next, "{link}");
        }
    }
}
