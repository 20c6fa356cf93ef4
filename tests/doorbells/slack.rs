//! The Slack doorbell, both ways in.

use afk::adapters::slack::Slack;
use afk::ports::{Notice, Notifier, PortErrorKind};
use afk::settings::SlackSettings;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::{Place, notice};

const WEBHOOK: &str = "/services/T0/B0/S3CRETkey";
const TOKEN: &str = "xoxb-S3CRET";

/// Slack, as far as doorbells need it: it refuses what Slack refuses, in Slack's words and ways.
async fn slack() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path(WEBHOOK))
        .respond_with(|request: &Request| match refusal(request) {
            Some(word) => ResponseTemplate::new(400).set_body_string(word),
            None => ResponseTemplate::new(200).set_body_string("ok"),
        })
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path("/api/chat.postMessage"))
        .respond_with(|request: &Request| {
            let message: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let token = request.headers.get("authorization").and_then(|value| value.to_str().ok());
            let word = match (token, message["channel"].as_str()) {
                (None, _) => Some("not_authed"),
                (Some(token), _) if token != format!("Bearer {TOKEN}") => Some("invalid_auth"),
                (_, Some("C0PRIVATE")) => Some("not_in_channel"),
                (_, Some("C0OPS")) => refusal(request),
                _ => Some("channel_not_found"),
            };
            // Status 200 also where it refuses.
            ResponseTemplate::new(200).set_body_json(match word {
                Some(word) => json!({ "ok": false, "error": word }),
                None => json!({ "ok": true, "channel": "C0OPS", "ts": "1503435956.000247", "message": message }),
            })
        })
        .mount(&server)
        .await;
    server
}

fn refusal(request: &Request) -> Option<&'static str> {
    let type_ = request.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Ok(message) = serde_json::from_slice::<Value>(&request.body) else { return Some("invalid_payload") };
    let blocks = message["blocks"].as_array().cloned().unwrap_or_default();
    let texts = blocks.iter().flat_map(|block| {
        let elements = block["elements"].as_array().cloned().unwrap_or_default();
        elements.into_iter().chain([block["text"].clone()]).filter_map(|text| text["text"].as_str().map(str::to_owned))
    });
    match message["text"].as_str() {
        _ if !type_.starts_with("application/json") => Some("invalid_payload"),
        None | Some("") => Some("no_text"),
        _ if texts.into_iter().any(|text| text.is_empty() || text.chars().count() > 3000) => Some("invalid_blocks"),
        _ => None,
    }
}

fn by_webhook(place: &Place, server: &MockServer) -> Slack {
    Slack(SlackSettings::Webhook(place.secret("webhook", &format!("{}{WEBHOOK}\n", server.uri()))))
}

fn as_app(place: &Place, server: &MockServer, token: &str, channel: &str) -> Slack {
    let url = format!("{}/api", server.uri()).parse().unwrap();
    Slack(SlackSettings::App { token: place.secret("token", token), channel: channel.to_owned(), url })
}

/// What the server was sent last.
async fn sent(server: &MockServer) -> Value {
    serde_json::from_slice(&server.received_requests().await.unwrap().last().unwrap().body).unwrap()
}

#[tokio::test]
async fn a_webhook_is_given_a_message_that_leads_to_issue_and_agent() {
    let (place, server) = (Place::new(), slack().await);
    place.bell(by_webhook(&place, &server)).ring(&notice()).await.unwrap();
    assert_eq!(
        sent(&server).await,
        json!({
            "text": "acme/app#7: CI is red",
            "blocks": [
                { "type": "section", "text": {
                    "type": "mrkdwn", "text": "*acme/app#7: CI is red*\nline one\nline two", "verbatim": true,
                } },
                { "type": "context", "elements": [ {
                    "type": "mrkdwn",
                    "text": "<https://git.example.com/acme/app/issues/7|acme/app#7> · <https://agents.example.com/7|agent>",
                    "verbatim": true,
                } ] },
            ],
            "unfurl_links": false,
            "unfurl_media": false,
        })
    );
}

#[tokio::test]
async fn an_app_posts_the_same_to_its_channel() {
    let (place, server) = (Place::new(), slack().await);
    place.bell(by_webhook(&place, &server)).ring(&notice()).await.unwrap();
    let mut expected = sent(&server).await;
    expected["channel"] = json!("C0OPS");
    place.bell(as_app(&place, &server, TOKEN, "C0OPS")).ring(&notice()).await.unwrap();
    assert_eq!(sent(&server).await, expected);
}

#[tokio::test]
async fn hostile_text_mentions_nobody_links_nowhere_and_fits() {
    let (place, server) = (Place::new(), slack().await);
    let hostile = Notice {
        title: "<!channel> & <https://evil.example|click>".to_owned(),
        body: "<@U123> ".repeat(800),
        url: "https://git.example.com/7?a=1&b=<x|y>".to_owned(),
        link: Some("javascript:alert(1)".to_owned()),
        ..notice()
    };
    place.bell(by_webhook(&place, &server)).ring(&hostile).await.unwrap();
    let message = sent(&server).await;
    assert_eq!(message["text"], "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;");
    let section = message["blocks"][0]["text"]["text"].as_str().unwrap();
    assert!(!section.contains(['<', '>']) && section.ends_with('…'), "{section}");
    // Slack looks for no mentions and addresses in what is left.
    assert_eq!(message["blocks"][0]["text"]["verbatim"], true);
    let context = message["blocks"][1]["elements"][0]["text"].as_str().unwrap();
    assert_eq!(context, "<https://git.example.com/7?a=1&amp;b=%3Cx%7Cy%3E|acme/app#7>");
}

#[tokio::test]
async fn an_address_that_is_none_is_not_linked() {
    let (place, server) = (Place::new(), slack().await);
    let local = Notice { url: "issues/0007.md".to_owned(), link: None, body: notice().title, ..notice() };
    place.bell(by_webhook(&place, &server)).ring(&local).await.unwrap();
    let message = sent(&server).await;
    assert_eq!(message["blocks"][0]["text"]["text"], "*acme/app#7: CI is red*");
    assert_eq!(message["blocks"][1]["elements"][0]["text"], "acme/app#7");
}

#[tokio::test]
async fn what_slack_refuses_with_status_200_did_not_ring() {
    let server = slack().await;
    for (token, channel, word, help) in [
        ("xoxb-old", "C0OPS", "invalid_auth", "put its token in place"),
        (TOKEN, "C0GONE", "channel_not_found", "give the channel's id"),
        (TOKEN, "C0PRIVATE", "not_in_channel", "invite the app"),
    ] {
        let place = Place::new();
        let error = place.bell(as_app(&place, &server, token, channel)).ring(&notice()).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Refused, "{error}");
        assert!(error.message.contains(&format!("(`{word}`)")) && error.message.contains(help), "{error}");
        assert!(!error.message.contains("xoxb"), "{error}");
    }
}

#[tokio::test]
async fn an_app_tells_what_passes_from_what_does_not() {
    let server = MockServer::start().await;
    let json = |body: Value| ResponseTemplate::new(200).set_body_json(body);
    for (answer, kind) in [
        (json(json!({ "ok": false, "error": "ratelimited" })), PortErrorKind::Unreachable),
        (json(json!({ "ok": false, "error": "internal_error" })), PortErrorKind::Unreachable),
        (json(json!({ "ok": false, "error": "token_revoked" })), PortErrorKind::Refused),
        (json(json!({ "ok": false, "error": "is_archived" })), PortErrorKind::Refused),
        (json(json!({ "ok": false })), PortErrorKind::Refused),
        (ResponseTemplate::new(200).set_body_string("<html>Sign in</html>"), PortErrorKind::Refused),
        (ResponseTemplate::new(502).set_body_string("<html>Bad gateway</html>"), PortErrorKind::Unreachable),
        (ResponseTemplate::new(429).insert_header("retry-after", "30"), PortErrorKind::Unreachable),
    ] {
        server.reset().await;
        Mock::given(method("POST")).respond_with(answer).expect(1).mount(&server).await;
        let place = Place::new();
        let error = place.bell(as_app(&place, &server, TOKEN, "C0OPS")).ring(&notice()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(!error.message.contains("html") && !error.message.contains("xoxb"), "{error}");
    }
}

#[tokio::test]
async fn a_webhook_that_was_taken_back_says_so_and_not_where_it_was() {
    let server = MockServer::start().await;
    for (status, body, said) in [
        (403, "action_prohibited", "answered 403 Forbidden (`action_prohibited`); the webhook was taken back"),
        (404, "channel_not_found", "answered 404 Not Found (`channel_not_found`); give the channel's id"),
        (404, "no_service", "answered 404 Not Found (`no_service`); the webhook was taken back"),
        (410, "channel_is_archived", "answered 410 Gone (`channel_is_archived`); the channel is archived"),
        (404, "no such S3CRETkey", "answered 404 Not Found; if it stays so, make a new incoming webhook"),
    ] {
        server.reset().await;
        let answer = ResponseTemplate::new(status).set_body_string(body);
        Mock::given(method("POST")).respond_with(answer).expect(1).mount(&server).await;
        let place = Place::new();
        let error = place.bell(by_webhook(&place, &server)).ring(&notice()).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Refused);
        assert!(error.message.starts_with(said), "{error}");
        assert!(!error.message.contains("S3CRET") && !error.message.contains("127.0.0.1"), "{error}");
    }
}
