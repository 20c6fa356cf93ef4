//! Servers that ask to be left alone.

use std::rc::Rc;
use std::time::Duration;

use afk::adapters::github::Github;
use afk::adapters::http::api::{Api, Call};
use afk::adapters::http::manners::Pace;
use afk::ports::PortErrorKind;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::server::{Place, answer, left, read, said, unreachable, write};

const ONE: &str = "2026-11-22T12:34:00Z";

#[tokio::test]
async fn a_short_while_is_waited_for_also_by_a_write_which_was_clearly_not_done() {
    let place = Place::new().await;
    for verb in ["GET", "POST"] {
        let slow = said(429, "You have exceeded a secondary rate limit").insert_header("retry-after", "7");
        place.answers_once(verb, "/thing", slow).await;
        place.answers(verb, "/thing", answer(200).set_body_json(1)).await;
    }
    assert_eq!(read(&place.api()).await, Ok(json!(1)));
    assert_eq!(write(&place.api()).await, Ok(json!(1)));
    assert_eq!((place.asked().await, place.time.waited()), (4, vec![7000, 1000, 6000]));
}

#[tokio::test]
async fn a_server_that_says_so_again_and_again_is_left_alone_after_the_third_time() {
    let place = Place::new().await;
    place.answers("POST", "/thing", said(403, "slow down").insert_header("retry-after", "3")).await;
    assert_eq!(write(&place.api()).await, unreachable("github asks to be left alone until 12:00Z: slow down"));
    assert_eq!(place.asked().await, 3);
}

#[tokio::test]
async fn a_longer_while_is_remembered_and_the_next_process_does_not_even_ask() {
    for retry_after in ["2040", "Sun, 22 Nov 2026 12:34:00 GMT"] {
        let place = Place::new().await;
        let limited = said(403, "You have exceeded a secondary rate limit").insert_header("retry-after", retry_after);
        place.answers_once("GET", "/thing", limited).await;
        place.answers("GET", "/thing", answer(200).set_body_json(1)).await;
        place.answers("POST", "/thing", answer(200).set_body_json(1)).await;
        assert_eq!(
            read(&place.api()).await,
            unreachable("github asks to be left alone until 12:34Z: You have exceeded a secondary rate limit")
        );
        let alone = unreachable("github asks to be left alone until 12:34Z");
        assert_eq!((read(&place.api()).await, write(&place.api()).await), (alone.clone(), alone));
        assert_eq!((place.asked().await, place.time.waited()), (1, vec![]));
        place.time.later(2040);
        assert_eq!(read(&place.api()).await, Ok(json!(1)));
    }
}

#[tokio::test]
async fn a_limit_that_is_used_up_is_there_again_at_its_reset_by_the_servers_clock() {
    let place = Place::new().await;
    // The server is an hour ahead of us.
    let used_up =
        said(403, "API rate limit exceeded for user ID 1.").insert_header("date", "Sun, 22 Nov 2026 13:00:00 GMT");
    place.answers_once("GET", "/thing", left(used_up, 0, "2026-11-22T13:34:00Z")).await;
    place.answers("GET", "/thing", answer(200).set_body_json(1)).await;
    assert_eq!(
        read(&place.api()).await,
        unreachable("github asks to be left alone until 12:34Z: API rate limit exceeded for user ID 1.")
    );
    assert_eq!(read(&place.api()).await, unreachable("github asks to be left alone until 12:34Z"));
    place.time.later(34 * 60);
    assert_eq!(read(&place.api()).await, Ok(json!(1)));
}

#[tokio::test]
async fn the_answer_that_takes_the_last_request_is_enough_to_stop() {
    let place = Place::new().await;
    place.answers("GET", "/thing", left(answer(200).set_body_json(1), 0, ONE)).await;
    assert_eq!(read(&place.api()).await, Ok(json!(1)));
    assert_eq!(read(&place.api()).await, unreachable("github asks to be left alone until 12:34Z"));
    assert_eq!(place.asked().await, 1);
}

#[tokio::test]
async fn a_limit_that_is_used_up_at_one_address_is_none_at_another() {
    let place = Place::new().await;
    place.answers("GET", "/thing", left(answer(200).set_body_json(1), 0, ONE)).await;
    place.answers("POST", "/graphql", left(answer(200).set_body_json(json!({"data": 2})), 4000, ONE)).await;
    let rest = place.api();
    let graphql = rest.at(format!("{}/graphql", place.server.uri()).parse().unwrap());
    read(&rest).await.unwrap();
    assert_eq!(read(&rest).await.unwrap_err().kind, PortErrorKind::Unreachable);
    graphql.send(&Call::ask(json!({}))).await.unwrap();
    let cost = graphql.cost();
    assert_eq!((cost.requests, cost.remaining, cost.limit), (2, Some(0), Some(5000)));
    assert_eq!(cost, rest.cost());
}

#[tokio::test]
async fn who_names_no_time_is_left_alone_for_a_minute_then_for_two_and_for_16_at_most() {
    let place = Place::new().await;
    place.answers("GET", "/thing", said(403, "You have triggered an abuse detection mechanism.")).await;
    for minutes in [1, 2, 4, 8, 16, 16] {
        let until = place.time.now() + Duration::from_secs(minutes * 60);
        let message = format!(
            "github asks to be left alone until {}: You have triggered an abuse detection mechanism.",
            until.format("%H:%MZ")
        );
        assert_eq!(read(&place.api()).await, unreachable(&message));
        place.time.later(minutes * 60);
    }
    // After a while without trouble it begins anew.
    place.time.later(600);
    let error = read(&place.api()).await.unwrap_err();
    assert!(error.message.contains("until 12:58Z"), "{error}");
}

#[tokio::test]
async fn a_server_out_of_its_mind_is_asked_again_after_two_hours() {
    let place = Place::new().await;
    place.answers_once("GET", "/thing", answer(429).insert_header("retry-after", "18446744073709551615")).await;
    place.answers("GET", "/thing", answer(200).set_body_json(1)).await;
    assert_eq!(read(&place.api()).await, unreachable("github asks to be left alone until 14:00Z"));
    place.time.later(7200);
    assert_eq!(read(&place.api()).await, Ok(json!(1)));
}

#[tokio::test]
async fn a_plain_no_is_not_taken_for_a_limit() {
    let place = Place::new().await;
    place.answers("GET", "/thing", left(said(403, "Resource not accessible by integration"), 4000, ONE)).await;
    assert_eq!(read(&place.api()).await.unwrap_err().kind, PortErrorKind::Refused);
    assert_eq!(read(&place.api()).await.unwrap_err().kind, PortErrorKind::Refused);
}

#[tokio::test]
async fn a_server_at_work_on_itself_is_waited_for_as_it_asks() {
    let place = Place::new().await;
    place.answers_once("GET", "/thing", answer(503).insert_header("retry-after", "4")).await;
    place.answers("GET", "/thing", answer(200).set_body_json(1)).await;
    place.answers("POST", "/thing", said(503, "maintenance").insert_header("retry-after", "900")).await;
    assert_eq!(read(&place.api()).await, Ok(json!(1)));
    assert_eq!(place.time.waited(), [4000]);
    // It may have been done: the write is not repeated, and nobody asks any more.
    assert_eq!(
        write(&place.api()).await,
        unreachable("github: POST /thing: answered 503 Service Unavailable: maintenance")
    );
    assert_eq!(read(&place.api()).await, unreachable("github asks to be left alone until 12:15Z"));
}

async fn viewer(api: &Api) -> Result<Value, String> {
    let github = Github { rest: Rc::new(api.clone()), graphql: Rc::new(api.clone()) };
    github
        .query("query Viewer { viewer { login } }", json!({}))
        .await
        .map(|(data, _)| data)
        .map_err(|error| error.message)
}

fn graphql_limit(errors: Value) -> ResponseTemplate {
    answer(200).set_body_json(json!({ "errors": errors }))
}

#[tokio::test]
async fn graphql_says_with_status_200_that_a_limit_is_used_up() {
    let place = Place::new().await;
    let used_up = graphql_limit(json!([{ "type": "RATE_LIMITED", "message": "API rate limit exceeded" }]));
    place.answers("POST", "/", left(used_up, 0, ONE)).await;
    let refused = Err("github asks to be left alone until 12:34Z: API rate limit exceeded".to_owned());
    assert_eq!(viewer(&place.api()).await, refused);
    assert_eq!(viewer(&place.api()).await, Err("github asks to be left alone until 12:34Z".to_owned()));
    assert_eq!(place.asked().await, 1);
}

#[tokio::test]
async fn graphql_that_is_asked_too_fast_is_asked_again_when_it_says_so() {
    let place = Place::new().await;
    let too_fast = graphql_limit(json!([{ "message": "You have exceeded a secondary rate limit." }]));
    place.answers_once("POST", "/", too_fast.insert_header("retry-after", "5")).await;
    place.answers("POST", "/", answer(200).set_body_json(json!({ "data": { "viewer": { "login": "afk" } } }))).await;
    assert_eq!(viewer(&place.api()).await, Ok(json!({ "viewer": { "login": "afk" } })));
    assert_eq!(place.time.waited(), [5000]);
}

#[tokio::test]
async fn graphql_that_repeats_somebodys_text_about_limits_is_not_limited() {
    let place = Place::new().await;
    let text = "Could not resolve to a Repository with the name 'acme/rate limit'.";
    place.answers("POST", "/", graphql_limit(json!([{ "type": "NOT_FOUND", "message": text }]))).await;
    assert_eq!(viewer(&place.api()).await, Err(format!("github: GraphQL answered: {text}")));
}
