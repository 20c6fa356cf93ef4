//! GitHub as a wiremock server, with nothing in it yet.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::rc::Rc;
use std::time::Duration;

use afk::adapters::github::Github;
use afk::adapters::http::Http;
use afk::adapters::http::api::{Api, Credential};
use afk::ports::PortResult;
use async_trait::async_trait;
use reqwest::Url;
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
}

pub fn http() -> Rc<Http> {
    Rc::new(Http::new(Duration::from_secs(5)))
}

/// The adapters' way to a server.
pub fn github(server: &MockServer) -> Github {
    let address = |path: &str| Url::parse(&format!("{}{path}", server.uri())).unwrap();
    let api = |base| Rc::new(Api::new("github", base, &[], Rc::new(Token), http()));
    Github { rest: api(address("/")), graphql: api(address("/graphql")) }
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
