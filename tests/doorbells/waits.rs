//! How doorbells that failed are tried again.

use std::time::Duration;

use afk::adapters::doorbell::HttpDoorbell;
use afk::adapters::webhook::Webhook;
use afk::ports::{Notice, Notifier, PortErrorKind};
use pretty_assertions::assert_eq;
use uuid::Uuid;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{Place, notice};

fn other() -> Notice {
    Notice { id: Uuid::from_u128(9), ..notice() }
}

/// The doorbell of a tick: what it knows of earlier ones is in the data directory.
fn bell(place: &Place, server: &MockServer) -> HttpDoorbell {
    place.bell(Webhook { url: place.secret("url", &server.uri()), secret: None })
}

async fn answers(server: &MockServer, answer: ResponseTemplate) {
    server.reset().await;
    Mock::given(method("POST")).respond_with(answer).mount(server).await;
}

async fn asked(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

#[tokio::test]
async fn what_may_pass_is_tried_each_tick_at_first_and_then_ever_more_seldom() {
    let (place, server) = (Place::new(), MockServer::start().await);
    answers(&server, ResponseTemplate::new(500)).await;
    let mut minutes = Vec::new();
    for minute in 0..75 {
        let before = asked(&server).await;
        let error = bell(&place, &server).ring(&notice()).await.unwrap_err();
        assert!(error.message.starts_with("answered 500"), "it is said each time: {error}");
        assert_eq!(error.kind, PortErrorKind::Unreachable);
        if asked(&server).await > before {
            minutes.push(minute);
        }
        place.later(1);
    }
    assert_eq!(minutes, [0, 1, 2, 3, 5, 9, 17, 32, 47, 62]);
}

#[tokio::test]
async fn a_clear_no_is_not_asked_again_soon_and_holds_back_no_other_notice() {
    let (place, server) = (Place::new(), MockServer::start().await);
    answers(&server, ResponseTemplate::new(404)).await;
    bell(&place, &server).ring(&notice()).await.unwrap_err();
    answers(&server, ResponseTemplate::new(200)).await;
    place.later(14);
    let error = bell(&place, &server).ring(&notice()).await.unwrap_err();
    assert!(error.message.contains("answered 404") && error.message.contains("tried again after"), "{error}");
    bell(&place, &server).ring(&other()).await.unwrap();
    place.later(1);
    bell(&place, &server).ring(&notice()).await.unwrap();
    assert_eq!(asked(&server).await, 2);
}

#[tokio::test]
async fn too_many_notices_wait_all_together_as_long_as_the_server_says() {
    let (place, server) = (Place::new(), MockServer::start().await);
    for status in [429, 503] {
        answers(&server, ResponseTemplate::new(status).insert_header("retry-after", "120")).await;
        bell(&place, &server).ring(&notice()).await.unwrap_err();
        place.later(1);
        for notice in [notice(), other()] {
            bell(&place, &server).ring(&notice).await.unwrap_err();
        }
        assert_eq!(asked(&server).await, 1);
        answers(&server, ResponseTemplate::new(200)).await;
        place.later(1);
        for notice in [notice(), other()] {
            bell(&place, &server).ring(&notice).await.unwrap();
        }
    }
}

#[tokio::test]
async fn no_server_makes_afk_wait_for_longer_than_a_day() {
    let (place, server) = (Place::new(), MockServer::start().await);
    answers(&server, ResponseTemplate::new(429).insert_header("retry-after", "99999999999")).await;
    bell(&place, &server).ring(&notice()).await.unwrap_err();
    answers(&server, ResponseTemplate::new(200)).await;
    place.later(24 * 60);
    bell(&place, &server).ring(&notice()).await.unwrap();
}

#[tokio::test]
async fn where_nobody_answers_a_tick_with_many_notices_loses_little_time() {
    let (place, server) = (Place::new(), MockServer::start().await);
    answers(&server, ResponseTemplate::new(200).set_delay(Duration::from_secs(60))).await;
    for number in 0..30 {
        let webhook = Webhook { url: place.secret("url", &server.uri()), secret: None };
        let bell = place.named("ops", webhook, Duration::from_millis(50));
        bell.ring(&Notice { id: Uuid::from_u128(number), ..notice() }).await.unwrap_err();
    }
    assert_eq!(asked(&server).await, 3);
}

#[tokio::test]
async fn a_doorbell_that_waits_keeps_no_other_from_ringing() {
    let (place, server) = (Place::new(), MockServer::start().await);
    answers(&server, ResponseTemplate::new(429).insert_header("retry-after", "600")).await;
    bell(&place, &server).ring(&notice()).await.unwrap_err();
    answers(&server, ResponseTemplate::new(200)).await;
    let webhook = Webhook { url: place.secret("url", &server.uri()), secret: None };
    place.named("other", webhook, Duration::from_secs(2)).ring(&notice()).await.unwrap();
}

#[tokio::test]
async fn a_secret_that_is_mended_counts_at_once_and_a_memory_that_is_broken_holds_nothing_back() {
    let (place, server) = (Place::new(), MockServer::start().await);
    answers(&server, ResponseTemplate::new(200)).await;
    let webhook = Webhook { url: place.secret("url", "no address"), secret: None };
    place.bell(webhook).ring(&notice()).await.unwrap_err();
    bell(&place, &server).ring(&notice()).await.unwrap();

    answers(&server, ResponseTemplate::new(404)).await;
    bell(&place, &server).ring(&notice()).await.unwrap_err();
    std::fs::write(place.path("data/doorbells.json"), "{").unwrap();
    answers(&server, ResponseTemplate::new(200)).await;
    bell(&place, &server).ring(&notice()).await.unwrap();
}

#[tokio::test]
async fn what_is_remembered_holds_no_secret_and_is_forgotten_once_it_rang() {
    let (place, server) = (Place::new(), MockServer::start().await);
    answers(&server, ResponseTemplate::new(404)).await;
    let url = place.secret("url", &format!("{}/S3CRET", server.uri()));
    place.bell(Webhook { url: url.clone(), secret: None }).ring(&notice()).await.unwrap_err();
    let memory = std::fs::read_to_string(place.path("data/doorbells.json")).unwrap();
    assert!(memory.contains("answered 404") && !memory.contains("S3CRET"), "{memory}");

    answers(&server, ResponseTemplate::new(200)).await;
    place.later(15);
    place.bell(Webhook { url, secret: None }).ring(&notice()).await.unwrap();
    assert_eq!(std::fs::read_to_string(place.path("data/doorbells.json")).unwrap().trim(), "{}");
}

#[tokio::test]
async fn a_clock_that_was_wrong_keeps_no_doorbell_quiet_for_years() {
    let (place, server) = (Place::new(), MockServer::start().await);
    answers(&server, ResponseTemplate::new(404)).await;
    place.later(10 * 365 * 24 * 60);
    bell(&place, &server).ring(&notice()).await.unwrap_err();
    place.later(-10 * 365 * 24 * 60);
    answers(&server, ResponseTemplate::new(200)).await;
    bell(&place, &server).ring(&notice()).await.unwrap();
}
