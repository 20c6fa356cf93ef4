//! GitHub as a wiremock server, with nothing in it yet.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::rc::Rc;
use std::time::Duration;

use afk::adapters::github::{Github, Server};
use afk::adapters::http::Http;
use afk::adapters::http::api::{Credential, Manners};
use afk::ports::PortResult;
use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::Value;
use wiremock::matchers::{body_partial_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

pub const TOKEN: &str = "token-of-afk";

struct Token;

#[async_trait(?Send)]
impl Credential for Token {
    async fn token(&self) -> PortResult<SecretString> {
        Ok(TOKEN.to_owned().into())
    }

    fn source(&self) -> String {
        "the test".to_owned()
    }
}

pub fn http() -> Rc<Http> {
    Rc::new(Http::new(Duration::from_secs(5)))
}

/// The adapters' way to a server.
pub fn github(server: &MockServer) -> Github {
    let server = Server::new(&server.uri()).expect("an address");
    Github::new(&server, Rc::new(Token), http(), Manners::default())
}

/// What GraphQL answers to a question with these variables.
pub async fn answers(server: &MockServer, variables: Value, data: Value) {
    Mock::given(method("POST"))
        .and(path("/graphql"))
        .and(header("authorization", format!("Bearer {TOKEN}")))
        .and(body_partial_json(serde_json::json!({ "variables": variables })))
        .respond_with(ResponseTemplate::new(200).set_body_json(serde_json::json!({ "data": data })))
        .mount(server)
        .await;
}
