//! What a tick may spend, and what it says it has spent.

use afk::adapters::http::api::{Cost, Manners};
use afk::adapters::installation::{Installation, TickKind};
use pretty_assertions::assert_eq;
use serde_json::json;
use wiremock::Mock;
use wiremock::matchers::header_exists;

use crate::server::{Place, answer, left, read, unreachable, write};

const RESET: &str = "2026-11-22T12:34:00Z";

#[tokio::test]
async fn a_tick_that_has_spent_its_requests_reads_no_more_and_finishes_what_it_began() {
    let place = Place::new().await;
    place.answers("GET", "/thing", answer(200).set_body_json(1)).await;
    place.answers("POST", "/thing", answer(201).set_body_json(2)).await;
    let api = place.api_with(Manners { requests: 2, ..place.manners() });
    read(&api).await.unwrap();
    read(&api).await.unwrap();
    let spent = "github: 2 requests were sent, which is all that one tick may (`requests_per_tick`); nothing more is read \
                 until the next one";
    assert_eq!(read(&api).await, unreachable(spent));
    assert_eq!(write(&api).await, Ok(json!(2)));
    assert_eq!(place.asked().await, 3);
}

#[tokio::test]
async fn what_has_not_changed_is_not_charged_to_the_tick() {
    let place = Place::new().await;
    Mock::given(header_exists("if-none-match")).respond_with(answer(304)).mount(&place.server).await;
    place.answers("GET", "/thing", answer(200).insert_header("etag", "\"1\"").set_body_json(1)).await;
    let api = place.api_with(Manners { requests: 2, ..place.manners() });
    for _ in 0..5 {
        read(&api).await.unwrap();
    }
    assert_eq!(api.cost(), Cost { requests: 5, unchanged: 4, ..Cost::default() });
}

#[tokio::test]
async fn the_reserve_is_left_to_people() {
    let place = Place::new().await;
    place.answers_once("GET", "/thing", left(answer(200).set_body_json(1), 501, RESET)).await;
    place.answers("GET", "/thing", left(answer(200).set_body_json(1), 500, RESET)).await;
    place.answers("POST", "/thing", left(answer(201).set_body_json(2), 499, RESET)).await;
    let api = place.api_with(Manners { reserve: 500, ..place.manners() });
    read(&api).await.unwrap();
    read(&api).await.unwrap();
    let kept = "github: 500 requests are left of the hourly limit, and 500 are kept for people (`reserve`); nothing more is \
                read until 12:34Z";
    assert_eq!(read(&api).await, unreachable(kept));
    assert_eq!(write(&api).await, Ok(json!(2)));
    place.time.later(34 * 60);
    assert_eq!(read(&api).await, Ok(json!(1)));
}

#[tokio::test]
async fn a_reserve_above_the_limit_keeps_half_of_it_and_not_all() {
    let place = Place::new().await;
    let of_60 =
        |left_over| left(answer(200).set_body_json(1), left_over, RESET).insert_header("x-ratelimit-limit", "60");
    place.answers_once("GET", "/thing", of_60(31)).await;
    place.answers("GET", "/thing", of_60(30)).await;
    let api = place.api_with(Manners { reserve: 500, ..place.manners() });
    read(&api).await.unwrap();
    read(&api).await.unwrap();
    let said = read(&api).await.unwrap_err().message;
    assert!(said.contains("30 requests are left of the hourly limit, and 30 are kept for people"), "{said}");
}

#[test]
fn what_a_tick_cost_is_said_in_words() {
    let cost = |requests, unchanged, points, remaining| Cost {
        requests,
        unchanged,
        points,
        remaining,
        limit: remaining,
        ..Cost::default()
    };
    for (cost, words) in [
        (cost(0, 0, 0, None), "0 requests"),
        (cost(1, 0, 1, None), "1 request, 1 point"),
        (cost(7, 3, 4, Some(4991)), "7 requests (3 unchanged), 4 points, 4991 of 4991 left"),
    ] {
        assert_eq!(cost.to_string(), words);
    }
    let executors = [("t3".to_owned(), 3), ("toy".to_owned(), 1)].into();
    let both = Cost { requests: 12, executors, ..Cost::default() };
    assert_eq!(both.to_string(), "12 requests, t3: 3 requests, toy: 1 request");
    assert_eq!(Cost { requests: 0, ..both }.to_string(), "t3: 3 requests, toy: 1 request");
}

#[test]
fn a_heartbeat_of_an_older_afk_is_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let old = r#"{ "tick": "poll", "at": "2026-11-22T12:00:00Z", "revision": null, "result": "ok", "calls": 3 }"#;
    std::fs::write(folder.path().join("heartbeat-poll.json"), old).unwrap();
    let installation = Installation::new(folder.path());
    let mut heartbeat = installation.heartbeat(TickKind::Poll).unwrap().unwrap();
    assert_eq!((heartbeat.calls, heartbeat.cost.clone()), (3, None));
    heartbeat.cost = Some(Cost { requests: 7, points: 4, ..Cost::default() });
    installation.beat(&heartbeat).unwrap();
    assert_eq!(installation.heartbeat(TickKind::Poll), Ok(Some(heartbeat)));
}
