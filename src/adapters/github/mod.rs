//! GitHub, in the cloud or Enterprise: issues, commits in pull requests, and checks.

pub mod credential;

use std::rc::Rc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::http::api::{Answer, Api, Call};
use crate::ports::{PortError, PortResult};
use crate::text::clean_line;

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
struct GraphqlAnswer<T> {
    data: Option<T>,
    #[serde(default)]
    errors: Vec<GraphqlError>,
}

#[derive(Debug, Deserialize)]
struct GraphqlError {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: String,
}

impl Github {
    /// Asks GraphQL. Partial data is no data: a missing part must not look like an empty one.
    ///
    /// # Errors
    /// As [`Api::send`], and whatever the answer says went wrong.
    pub async fn query<T: DeserializeOwned>(&self, document: &str, variables: Value) -> PortResult<(T, Answer)> {
        let call = Call::ask(json!({ "query": document, "variables": variables }));
        let answer = self.graphql.send(&call).await?;
        let read: GraphqlAnswer<T> = answer.json("github")?;
        match (read.data, read.errors.first()) {
            (Some(data), None) => Ok((data, answer)),
            (_, Some(error)) => {
                let message = format!("github: GraphQL answered: {}", clean_line(&error.message, 300));
                Err(match error.kind.as_deref() {
                    Some("NOT_FOUND") => PortError::not_found(message),
                    Some("FORBIDDEN" | "INSUFFICIENT_SCOPES") => PortError::refused(message),
                    _ => PortError::unreachable(message),
                })
            }
            (None, None) => Err(PortError::invalid("github: GraphQL answered neither data nor errors")),
        }
    }
}
