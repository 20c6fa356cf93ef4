//! The webhook doorbell.

use std::time::Duration;

use afk::adapters::webhook::Webhook;
use afk::ports::{Notifier, PortErrorKind};
use afk::settings::SecretSource;
use pretty_assertions::assert_eq;
use serde_json::json;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{Place, notice};

fn webhook(url: SecretSource) -> Webhook {
    Webhook { url, secret: None }
}

#[tokio::test]
async fn a_notice_is_posted_whole_and_signed() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/in/T0KEN"))
        .and(header("content-type", "application/json"))
        .and(header("X-Afk-Event-Id", "00000000-0000-0000-0000-000000000001"))
        .and(header("X-Afk-Timestamp", "2026-03-04T12:00:00Z"))
        .and(header("user-agent", concat!("afk/", env!("CARGO_PKG_VERSION"))))
        .respond_with(ResponseTemplate::new(202))
        .expect(1)
        .mount(&server)
        .await;
    let place = Place::new();
    let url = place.secret("url", &format!("{}/in/T0KEN\n", server.uri()));
    let secret = Some(place.secret("key", "It's a Secret to Everybody\n"));
    place.bell(Webhook { url, secret }).ring(&notice()).await.unwrap();

    let request = &server.received_requests().await.unwrap()[0];
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        body,
        json!({
            "id": "00000000-0000-0000-0000-000000000001",
            "sent_at": "2026-03-04T12:00:00Z",
            "kind": "frozen",
            "title": "acme/app#7: CI is red",
            "body": "line one\nline two",
            "urgency": "high",
            "tags": ["ci"],
            "issue": "acme/app#7",
            "url": "https://git.example.com/acme/app/issues/7",
            "link": "https://agents.example.com/7",
            "run": "00000000-0000-0000-0000-000000000002",
            "revision": "3f9c1e2a",
        })
    );
    // Computed by another program over the bytes that came: openssl dgst -sha256 -hmac.
    let raw = place.path("body");
    std::fs::write(&raw, &request.body).unwrap();
    let openssl = std::process::Command::new("openssl")
        .args(["dgst", "-sha256", "-r", "-hmac", "It's a Secret to Everybody"])
        .arg(&raw)
        .output()
        .unwrap();
    let expected = String::from_utf8(openssl.stdout).unwrap();
    let expected = expected.split_whitespace().next().unwrap();
    assert_eq!(request.headers["x-afk-signature-256"].to_str().unwrap(), format!("sha256={expected}"));
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).expect(1).mount(&server).await;
    let place = Place::new();
    let url = place.secret("url", &server.uri());
    place.bell(webhook(url)).ring(&notice()).await.unwrap();
    let request = &server.received_requests().await.unwrap()[0];
    assert!(!request.headers.contains_key("x-afk-signature-256"));
}

#[tokio::test]
async fn failures_are_told_apart_and_none_gives_the_address_away() {
    let server = MockServer::start().await;
    for (status, kind) in [
        (400, PortErrorKind::Refused),
        (404, PortErrorKind::Refused),
        (410, PortErrorKind::Refused),
        (429, PortErrorKind::Unreachable),
        (500, PortErrorKind::Unreachable),
        (503, PortErrorKind::Unreachable),
    ] {
        server.reset().await;
        let answer = ResponseTemplate::new(status).set_body_string("Cannot POST /in/T0KEN");
        Mock::given(method("POST")).respond_with(answer).expect(1).mount(&server).await;
        let place = Place::new();
        let url = place.secret("url", &format!("{}/in/T0KEN", server.uri()));
        let error = place.bell(webhook(url)).ring(&notice()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{status}");
        assert!(error.message.contains(&format!("answered {status}")), "{error}");
        assert!(!error.message.contains("T0KEN") && !error.message.contains("127.0.0.1"), "{error}");
    }
}

#[tokio::test]
async fn a_redirect_is_refused_and_nothing_is_sent_on() {
    let server = MockServer::start().await;
    let elsewhere = MockServer::start().await;
    for status in [301, 302, 307, 308] {
        server.reset().await;
        let answer = ResponseTemplate::new(status).insert_header("location", elsewhere.uri());
        Mock::given(method("POST")).respond_with(answer).expect(1).mount(&server).await;
        let place = Place::new();
        let url = place.secret("url", &server.uri());
        let error = place.bell(webhook(url)).ring(&notice()).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Refused);
        assert!(error.message.contains("redirects are not followed"), "{error}");
    }
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_no_more_than_the_timeout() {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_delay(Duration::from_secs(60));
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    let place = Place::new();
    let url = place.secret("url", &format!("{}/in/T0KEN", server.uri()));
    let error = place.named("ops", webhook(url), Duration::from_millis(200)).ring(&notice()).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unreachable);
    assert!(!error.message.contains("T0KEN") && !error.message.contains("127.0.0.1"), "{error}");
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable_and_the_address_stays_secret() {
    let place = Place::new();
    let url = place.secret("url", "http://127.0.0.1:1/in/T0KEN");
    let error = place.bell(webhook(url)).ring(&notice()).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unreachable);
    assert!(!error.message.contains("T0KEN"), "{error}");
}

#[tokio::test]
async fn what_is_no_address_is_refused_and_not_shown() {
    let place = Place::new();
    for text in [
        "hunter2",
        "file:///etc/passwd",
        "ftp://example.com/T0KEN",
        "http://example.com/T0KEN",
        "http://127.0.0.1.example.com/T0KEN",
    ] {
        let url = place.secret("url", text);
        let error = place.bell(webhook(url)).ring(&notice()).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Refused);
        assert!(error.message.contains("holds no https address"), "{error}");
        assert!(!error.message.contains(text), "{error}");
    }
    let missing = SecretSource::File(place.path("missing"));
    let error = place.bell(webhook(missing)).ring(&notice()).await.unwrap_err();
    assert!(error.message.contains("cannot be read"), "{error}");
}

#[tokio::test]
async fn a_rotated_address_counts_at_once() {
    let old = MockServer::start().await;
    let new = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).expect(1).mount(&old).await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).expect(1).mount(&new).await;
    let place = Place::new();
    let url = place.secret("url", &old.uri());
    let doorbell = place.bell(webhook(url));
    doorbell.ring(&notice()).await.unwrap();
    place.secret("url", &new.uri());
    doorbell.ring(&notice()).await.unwrap();
}
