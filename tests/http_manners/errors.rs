//! What people are told when a server says no.

use afk::adapters::http::api::Call;
use afk::ports::{PortErrorDetail, PortErrorKind, PortResult};
use afk::settings::SecretSource;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::server::{Place, TOKEN, answer, read, refused, said, write};

#[tokio::test]
async fn the_servers_own_words_are_told() {
    let place = Place::new().await;
    let invalid = json!({
        "message": "Validation Failed",
        "errors": [{ "resource": "Label", "field": "name", "code": "already_exists" }, "and more"],
    });
    place.answers("POST", "/thing", answer(422).set_body_json(invalid)).await;
    assert_eq!(
        write(&place.api()).await,
        refused(
            "github: POST /thing: answered 422 Unprocessable Entity: Validation Failed; name: already_exists; and more"
        )
    );
}

#[tokio::test]
async fn what_is_not_there_is_told_apart_from_a_no() {
    for status in [404, 410] {
        let place = Place::new().await;
        place.answers("GET", "/thing", said(status, "Not Found")).await;
        let error = read(&place.api()).await.unwrap_err();
        assert_eq!((error.kind, place.asked().await), (PortErrorKind::NotFound, 1));
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_named_by_where_it_comes_from() {
    let place = Place::new().await;
    place.answers("GET", "/thing", said(401, "Bad credentials")).await;
    let file = place.memory().join("token");
    assert_eq!(
        read(&place.api()).await,
        refused(&format!(
            "github: GET /thing: the token was refused: Bad credentials; it comes from the file `{}`",
            file.display()
        ))
    );
    assert_eq!(place.asked().await, 1);
}

#[tokio::test]
async fn a_token_that_may_not_is_told_what_it_lacks() {
    let place = Place::new().await;
    let fine_grained = said(403, "Resource not accessible by personal access token");
    place.answers("POST", "/thing", fine_grained.insert_header("x-accepted-github-permissions", "issues=write")).await;
    let classic = said(403, "Must have admin rights").insert_header("x-accepted-oauth-scopes", "admin:org");
    place.answers("GET", "/thing", classic.insert_header("x-oauth-scopes", "repo, workflow")).await;
    assert_eq!(
        write(&place.api()).await,
        forbidden(
            "github: POST /thing: answered 403 Forbidden: Resource not accessible by personal access token; it takes the \
             permission `issues=write`"
        )
    );
    assert_eq!(
        read(&place.api()).await,
        forbidden(
            "github: GET /thing: answered 403 Forbidden: Must have admin rights; it takes one of the scopes `admin:org`; the \
             token has the scopes `repo, workflow`"
        )
    );
}

/// A clear no, for want of a permission.
fn forbidden(message: &str) -> PortResult<Value> {
    refused(message).map_err(|error| error.with(PortErrorDetail::Forbidden))
}

#[tokio::test]
async fn no_error_tells_the_token_a_query_or_what_a_terminal_would_obey() {
    let place = Place::new().await;
    let hostile = format!("\u{1b}[2Jyour token is {TOKEN}\r\n{}", "so ".repeat(10_000));
    place.answers("GET", "/thing", said(400, &hostile)).await;
    let call = Call::get(&["thing"]);
    let error = place.api().send(&call.query(&[("access_token", "abc")])).await.unwrap_err();
    assert!(error.message.contains("your token is (the token) so so"), "{error}");
    assert!(error.message.len() < 500 && !error.message.contains(['\u{1b}', '\n']), "{error:?}");
    assert!(!error.message.contains("abc"), "{error}");
}

#[tokio::test]
async fn a_token_goes_nowhere_unprotected() {
    let place = Place::new().await;
    let api = place.api_at("http://github.example.com/api?x=1", place.source(), place.manners());
    assert_eq!(
        read(&api).await,
        refused(
            "github: `http://github.example.com/api/thing` is not https, and a token would be open to anybody on the way"
        )
    );
    assert_eq!(api.cost().requests, 0);
}

#[tokio::test]
async fn a_rotated_token_counts_at_once() {
    let place = Place::new().await;
    place.answers("GET", "/thing", answer(200).set_body_json(1)).await;
    let api = place.api();
    read(&api).await.unwrap();
    std::fs::write(place.memory().join("token"), "the-new-one\n").unwrap();
    read(&api).await.unwrap();
    let asked = place.server.received_requests().await.unwrap();
    let shown: Vec<_> = asked.iter().map(|request| request.headers["authorization"].to_str().unwrap()).collect();
    assert_eq!(shown, [format!("Bearer {TOKEN}"), "Bearer the-new-one".to_owned()]);
}

#[tokio::test]
async fn without_a_token_nothing_is_asked() {
    let place = Place::new().await;
    let missing = SecretSource::Variable("AFK_TEST_NO_SUCH_TOKEN".to_owned());
    let api = place.api_at(&place.server.uri(), missing, place.manners());
    assert_eq!(
        read(&api).await,
        refused(
            "the variable `AFK_TEST_NO_SUCH_TOKEN`, which should hold a secret, is not set; export it where afk runs, or name another one in the settings"
        )
    );
    std::fs::write(place.memory().join("token"), "two\nlines").unwrap();
    assert_eq!(read(&place.api()).await.unwrap_err().kind, PortErrorKind::Refused);
    assert_eq!(place.asked().await, 0);
}
