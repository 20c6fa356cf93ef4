//! GitHub, in the cloud or Enterprise: issues, commits in pull requests, and checks. `docs/github.md` says why what is
//! asked of which API.

mod blockers;
pub mod checks;
pub mod code;
mod comments;
pub mod credential;
mod fold;
mod issues;
mod logs;
mod memory;
mod owners;
mod permission;
mod probe;
mod reading;
mod server;
mod setup;
mod shelf;
mod tracker;
mod writes;

use std::rc::Rc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::http::Http;
use super::http::api::{Answer, Api, Call, Credential, Manners};
use crate::ports::{PortError, PortErrorDetail, PortResult};
use crate::text::clean_line;
use credential::HEADERS;
pub use server::Server;
pub use tracker::GithubTracker;

/// The kind of error of a question that the server gave up on, wherever it was in it.
const TOO_HEAVY: &str = "RESOURCE_LIMITS_EXCEEDED";

/// What every adapter of GitHub asks through.
#[derive(Debug, Clone)]
pub struct Github {
    /// The REST API.
    pub rest: Rc<Api>,
    /// The GraphQL API, at its own address.
    pub graphql: Rc<Api>,
}

/// An answer of GraphQL; errors may come with status 200, beside data or instead of it.
#[derive(Debug, Deserialize)]
struct GraphqlAnswer {
    #[serde(default)]
    data: Value,
    #[serde(default)]
    errors: Vec<GraphqlError>,
}

/// One error of GraphQL.
#[derive(Debug, Clone, Deserialize)]
pub struct GraphqlError {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: String,
    /// Which part of the data is missing.
    #[serde(default)]
    path: Vec<Value>,
    #[serde(default)]
    extensions: Value,
}

impl GraphqlError {
    /// Whether a part of the data is missing because there is no such thing.
    pub fn is_missing(&self, path: &[&str]) -> bool {
        self.kind.as_deref() == Some("NOT_FOUND")
            && self.path.len() == path.len()
            && self.path.iter().zip(path).all(|(part, wanted)| part == wanted)
    }

    /// Whether the server does not know a field that was asked for.
    fn is_undefined(&self, field: &str) -> bool {
        self.extensions["code"] == "undefinedField" && self.extensions["fieldName"] == field
    }

    /// Whether the path of the missing part has this word in it.
    fn is_within(&self, part: &str) -> bool {
        self.path.iter().any(|step| step == part)
    }
}

impl From<&GraphqlError> for PortError {
    fn from(error: &GraphqlError) -> Self {
        let message = format!("github: GraphQL answered: {}", clean_line(&error.message, 300));
        match error.kind.as_deref() {
            Some("NOT_FOUND") => PortError::not_found(message),
            Some("FORBIDDEN" | "INSUFFICIENT_SCOPES") => PortError::refused(message).with(PortErrorDetail::Forbidden),
            Some(TOO_HEAVY) => PortError::unreachable(message).with(PortErrorDetail::TooMuch),
            _ => PortError::unreachable(message),
        }
    }
}

/// What GraphQL answered: data, errors, or both.
#[derive(Debug)]
pub struct Reply {
    /// `null` where there is none.
    pub data: Value,
    /// What is missing in it, and why.
    pub errors: Vec<GraphqlError>,
    /// The answer, for its headers.
    pub answer: Answer,
}

impl Github {
    /// The APIs of a server.
    pub fn new(server: &Server, credential: Rc<dyn Credential>, http: Rc<Http>, manners: Manners) -> Self {
        let rest = Api::with_manners("github", server.rest.clone(), &HEADERS, credential, http, manners);
        let graphql = rest.at(server.graphql.clone());
        Self { rest: Rc::new(rest), graphql: Rc::new(graphql) }
    }

    /// Asks GraphQL, for callers that can tell which part is missing.
    ///
    /// # Errors
    /// As [`Api::send`]; when the question was too heavy; and when there is neither data nor an error.
    pub async fn ask(&self, document: &str, variables: Value) -> PortResult<Reply> {
        let call = Call::ask(json!({ "query": document, "variables": variables }));
        let answer = self.graphql.send(&call).await?;
        let GraphqlAnswer { data, errors } = answer.json("github")?;
        if let Some(points) = data.pointer("/rateLimit/cost").and_then(Value::as_u64) {
            self.graphql.spent_points(points);
        }
        if let Some(error) = errors.iter().find(|error| error.kind.as_deref() == Some(TOO_HEAVY)) {
            return Err(error.into());
        }
        if data.is_null() && errors.is_empty() {
            return Err(PortError::invalid("github: GraphQL answered neither data nor errors"));
        }
        Ok(Reply { data, errors, answer })
    }

    /// Asks GraphQL. Partial data is no data: a missing part must not look like an empty one.
    ///
    /// # Errors
    /// As [`Github::ask`], and whatever the answer says went wrong.
    pub async fn query<T: DeserializeOwned>(&self, document: &str, variables: Value) -> PortResult<(T, Answer)> {
        let reply = self.ask(document, variables).await?;
        match reply.errors.first() {
            None => Ok((parse(reply.data)?, reply.answer)),
            Some(error) => Err(error.into()),
        }
    }
}

/// Reads a part of an answer.
fn parse<T: DeserializeOwned>(data: Value) -> PortResult<T> {
    serde_json::from_value(data).map_err(|error| {
        PortError::invalid(format!("github: the answer makes no sense: {}", clean_line(&error.to_string(), 300)))
    })
}

/// Owner and name of a repository.
///
/// # Errors
/// It is not named `owner/name`.
fn parts(repo: &str) -> PortResult<(&str, &str)> {
    match repo.split_once('/') {
        Some((owner, name)) if !owner.is_empty() && !name.is_empty() && !name.contains('/') => Ok((owner, name)),
        _ => Err(PortError::refused(format!(
            "`{}` is no repository of GitHub; write `owner/name`",
            clean_line(repo, 100)
        ))),
    }
}

/// Whether a server gave up on a question that a smaller one might get an answer to.
fn was_too_much(error: &PortError) -> bool {
    error.detail == Some(PortErrorDetail::TooMuch)
}
