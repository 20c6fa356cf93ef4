//! Failures, repetitions, pages, redirects, and answers that have not changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use afk::adapters::http::api::{Call, Manners};
use afk::ports::PortErrorKind;
use afk::settings::SecretSource;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wiremock::matchers::{header, header_exists, method, path, query_param};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::server::{Place, answer, cost, read, refused, said, unreachable, write};

#[tokio::test]
async fn a_read_that_fails_is_repeated_twice_each_time_later() {
    let place = Place::new().await;
    place.answers("GET", "/thing", said(503, "No server is available")).await;
    let api = place.api();
    assert_eq!(
        read(&api).await,
        unreachable("github: GET /thing: answered 503 Service Unavailable: No server is available")
    );
    assert_eq!((place.asked().await, place.time.waited()), (3, vec![250, 500]));
    assert_eq!(api.cost(), cost(3, 0));
}

#[tokio::test]
async fn a_read_that_fails_once_is_read_all_the_same() {
    let place = Place::new().await;
    place.answers_once("GET", "/thing", answer(502).set_body_string("<html>Bad Gateway</html>")).await;
    place.answers("GET", "/thing", answer(200).set_body_json(7)).await;
    assert_eq!(read(&place.api()).await, Ok(json!(7)));
}

#[tokio::test]
async fn a_write_is_never_repeated_when_nobody_knows_whether_it_was_done() {
    for status in [500, 502, 503, 504] {
        let place = Place::new().await;
        place.answers("POST", "/thing", answer(status).set_body_string("<html><b>Oops</b></html>")).await;
        let error = write(&place.api()).await.unwrap_err();
        assert_eq!((error.kind, place.asked().await), (PortErrorKind::Unreachable, 1), "{status}");
        assert!(!error.message.contains('<'), "{error}");
    }
}

#[tokio::test]
async fn a_question_to_graphql_that_was_too_heavy_is_not_asked_again() {
    for (status, times) in [(502, 1), (504, 1), (500, 3), (503, 3)] {
        let place = Place::new().await;
        place.answers("POST", "/", answer(status)).await;
        let error = place.api().send(&Call::ask(json!({ "query": "{ viewer { login } }" }))).await.unwrap_err();
        assert_eq!((error.kind, place.asked().await), (PortErrorKind::Unreachable, times), "{status}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let place = Place::new().await;
    let late = Duration::from_secs(30);
    place.answers("GET", "/thing", answer(200).set_delay(late)).await;
    place.answers("POST", "/thing", answer(201).set_delay(late)).await;
    let api = place.api();
    assert_eq!(read(&api).await.unwrap_err().kind, PortErrorKind::Unreachable);
    assert_eq!(write(&api).await.unwrap_err().kind, PortErrorKind::Unreachable);
    assert_eq!(api.cost().requests, 4);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let place = Place::new().await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let api = place.api_at(&format!("http://{nobody}/"), place.source(), place.manners());
    let error = read(&api).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unreachable);
    assert!(error.message.starts_with("github: GET /thing: no answer from 127.0.0.1: "), "{error}");
}

#[tokio::test]
async fn half_an_answer_is_none() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1, 2").await;
        }
    });
    let place = Place::new().await;
    let api = place.api_at(&format!("http://{address}/"), place.source(), place.manners());
    assert_eq!(write(&api).await.unwrap_err().kind, PortErrorKind::Unreachable);
    assert_eq!(read(&api).await.unwrap_err().kind, PortErrorKind::Unreachable);
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_it() {
    let place = Place::new().await;
    place.answers("GET", "/thing", answer(200).set_body_bytes(vec![b' '; 17 * 1024 * 1024])).await;
    let error = read(&place.api()).await.unwrap_err();
    assert_eq!((error.kind, place.asked().await), (PortErrorKind::Invalid, 1));
    assert!(error.message.contains("more than 16777216 bytes"), "{error}");
}

#[tokio::test]
async fn what_has_not_changed_is_remembered_by_the_next_process_and_costs_nothing() {
    let place = Place::new().await;
    Mock::given(method("GET"))
        .and(header("if-none-match", "W/\"a1\""))
        .respond_with(answer(304))
        .mount(&place.server)
        .await;
    place.answers("GET", "/thing", answer(200).insert_header("etag", "W/\"a1\"").set_body_json(["x"])).await;
    let api = place.api();
    assert_eq!(read(&api).await, Ok(json!(["x"])));
    assert_eq!(api.cost(), cost(1, 0));
    let next = place.api();
    let again = next.send(&Call::get(&["thing"])).await.unwrap();
    assert_eq!((again.unchanged, again.json::<Value>("thing"), next.cost()), (true, Ok(json!(["x"])), cost(1, 1)));
    // Another question is another answer, and so is another's.
    let other = next.send(&Call::get(&["thing"]).query(&[("page", "2")])).await.unwrap();
    assert!(!other.unchanged);
    std::fs::write(place.memory().join("token2"), "other").unwrap();
    let source = SecretSource::File(place.memory().join("token2"));
    let other = place.api_at(&place.server.uri(), source, place.manners());
    assert!(!other.send(&Call::get(&["thing"])).await.unwrap().unchanged);
}

#[tokio::test]
async fn nothing_that_is_kept_holds_the_token() {
    let place = Place::new().await;
    place.answers("GET", "/thing", answer(200).insert_header("etag", "\"1\"").set_body_json(1)).await;
    place.answers("POST", "/thing", answer(429).insert_header("retry-after", "600")).await;
    let api = place.api();
    read(&api).await.unwrap();
    write(&api).await.unwrap_err();
    let mut files = 0;
    for folder in [place.memory().join("http"), place.memory().join("http/answers")] {
        for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(!text.contains(crate::server::TOKEN), "{}", file.display());
            files += 1;
        }
    }
    assert_eq!(files, 2);
}

#[tokio::test]
async fn a_broken_memory_is_no_memory() {
    let place = Place::new().await;
    place.answers("GET", "/thing", answer(200).insert_header("etag", "\"1\"").set_body_json(1)).await;
    read(&place.api()).await.unwrap();
    let answers = place.memory().join("http/answers");
    for file in std::fs::read_dir(&answers).unwrap() {
        std::fs::write(file.unwrap().path(), "{\"version\": 1, \"key\"").unwrap();
    }
    std::fs::write(place.memory().join("http/left-alone.json"), "][").unwrap();
    assert_eq!(read(&place.api()).await, Ok(json!(1)));
    std::fs::remove_dir_all(&answers).unwrap();
    std::fs::write(&answers, "a file in the way").unwrap();
    assert_eq!(read(&place.api()).await, Ok(json!(1)));
    let asked = place.server.received_requests().await.unwrap();
    assert!(asked.iter().all(|request| !request.headers.contains_key("if-none-match")));
}

#[tokio::test]
async fn a_list_is_read_to_its_last_page_also_when_no_page_has_changed() {
    let place = Place::new().await;
    let next = format!("<{}/thing?per_page=2&page=2>; rel=\"next\"", place.server.uri());
    Mock::given(header_exists("if-none-match")).respond_with(answer(304)).mount(&place.server).await;
    Mock::given(query_param("page", "2"))
        .respond_with(answer(200).insert_header("etag", "\"2\"").set_body_json([3]))
        .mount(&place.server)
        .await;
    let first = answer(200).insert_header("etag", "\"1\"").insert_header("link", next.as_str());
    place.answers("GET", "/thing", first.set_body_json([1, 2])).await;
    for unchanged in [0, 2] {
        let api = place.api();
        let items: Vec<u32> = api.pages(&Call::get(&["thing"]).query(&[("per_page", "2")])).await.unwrap();
        assert_eq!((items, api.cost()), (vec![1, 2, 3], cost(2, unchanged)));
    }
}

#[tokio::test]
async fn a_list_that_grew_by_a_page_is_read_to_its_end_although_its_first_page_has_not_changed() {
    for says_so in [true, false] {
        let place = Place::new().await;
        let list = async || -> Vec<u32> {
            place.api().pages(&Call::get(&["thing"]).query(&[("per_page", "2")])).await.unwrap()
        };
        let whole = || answer(200).insert_header("etag", "\"1\"").set_body_json([1, 2]);
        place.answers("GET", "/thing", whole()).await;
        assert_eq!(list().await, [1, 2]);

        place.server.reset().await;
        let next = format!("<{}/thing?per_page=2&page=2>; rel=\"next\"", place.server.uri());
        let not_modified = if says_so { answer(304).insert_header("link", next.as_str()) } else { answer(304) };
        Mock::given(query_param("page", "2")).respond_with(answer(200).set_body_json([3])).mount(&place.server).await;
        Mock::given(header_exists("if-none-match")).respond_with(not_modified).mount(&place.server).await;
        place.answers("GET", "/thing", whole().insert_header("link", next.as_str())).await;
        assert_eq!(list().await, [1, 2, 3], "the answer that nothing changed names the next page: {says_so}");
    }
}

#[tokio::test]
async fn the_next_page_that_not_modified_names_goes_before_the_one_that_was_remembered() {
    let place = Place::new().await;
    let link = |page: u32| format!("<{}/thing?page={page}>; rel=\"next\"", place.server.uri());
    for (page, items) in [("2", [2]), ("3", [3])] {
        Mock::given(query_param("page", page))
            .respond_with(answer(200).set_body_json(items))
            .mount(&place.server)
            .await;
    }
    let not_modified = answer(304).insert_header("link", link(3).as_str());
    Mock::given(header_exists("if-none-match")).respond_with(not_modified).mount(&place.server).await;
    let whole = answer(200).insert_header("etag", "\"1\"").insert_header("link", link(2).as_str());
    place.answers("GET", "/thing", whole.set_body_json([1])).await;
    for expected in [[1, 2], [1, 3]] {
        assert_eq!(place.api().pages::<u32>(&Call::get(&["thing"])).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_list_that_goes_on_at_another_server_is_an_error_and_the_token_stays_here() {
    let elsewhere = MockServer::start().await;
    let place = Place::new().await;
    let next = format!("<{}/thing?token=abc>; rel=\"next\"", elsewhere.uri());
    place.answers("GET", "/thing", answer(200).insert_header("link", next.as_str()).set_body_json([1])).await;
    let error = place.api().pages::<u32>(&Call::get(&["thing"])).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Invalid);
    assert!(error.message.contains(&format!("the next page lies at `{}/thing`", elsewhere.uri())), "{error}");
    assert_eq!(elsewhere.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_list_without_end_is_given_up() {
    let place = Place::new().await;
    place
        .answers("GET", "/thing", answer(200).insert_header("link", "</thing>; rel=\"next\"").set_body_json([1]))
        .await;
    let error = place.api().pages::<u32>(&Call::get(&["thing"])).await.unwrap_err();
    assert_eq!((error.kind, place.asked().await), (PortErrorKind::Invalid, 100));
}

#[tokio::test]
async fn a_read_follows_what_has_moved() {
    for status in [301, 302, 307, 308] {
        let place = Place::new().await;
        let moved = answer(status).insert_header("location", format!("{}/repositories/9", place.server.uri()).as_str());
        place.answers("GET", "/thing", moved).await;
        place.answers("GET", "/repositories/9", answer(200).set_body_json(9)).await;
        assert_eq!(read(&place.api()).await, Ok(json!(9)));
    }
}

#[tokio::test]
async fn a_read_is_sent_on_three_times_at_most() {
    let place = Place::new().await;
    place.answers("GET", "/thing", answer(301).insert_header("location", "/thing")).await;
    let error = read(&place.api()).await.unwrap_err();
    assert_eq!((error.kind, place.asked().await), (PortErrorKind::Refused, 4));
    assert!(error.message.contains("sent on too often"), "{error}");
}

#[tokio::test]
async fn nothing_follows_to_another_server() {
    let elsewhere = MockServer::start().await;
    let place = Place::new().await;
    let there = format!("{}/log?sig=secret", elsewhere.uri());
    place.answers("GET", "/thing", answer(302).insert_header("location", there.as_str())).await;
    assert_eq!(
        read(&place.api()).await,
        refused(&format!(
            "github: GET /thing: it has moved to `{}/log`; that is another server, which gets no token",
            elsewhere.uri()
        ))
    );
    assert_eq!(elsewhere.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn where_a_log_lies_is_told_and_nobody_goes_there() {
    let elsewhere = MockServer::start().await;
    let place = Place::new().await;
    let there = format!("{}/log?sig=abc", elsewhere.uri());
    place.answers("GET", "/thing", answer(301).insert_header("location", "/moved")).await;
    place.answers("GET", "/moved", answer(302).insert_header("location", there.as_str())).await;
    place.answers("GET", "/log", answer(200)).await;
    let api = place.api();
    assert_eq!(api.location(&Call::get(&["thing"])).await.map(|url| url.to_string()), Ok(there));
    assert_eq!(api.location(&Call::get(&["log"])).await.unwrap_err().kind, PortErrorKind::Invalid);
    assert_eq!(elsewhere.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_write_to_a_renamed_repository_is_refused_and_names_the_new_address() {
    let place = Place::new().await;
    place.answers("POST", "/thing", answer(307).insert_header("location", "/repositories/9")).await;
    assert_eq!(
        write(&place.api()).await,
        refused(&format!(
            "github: POST /thing: it has moved to `{}/repositories/9`; nothing is written there: name the repository in \
             settings and policy as it is called now",
            place.server.uri()
        ))
    );
    assert_eq!(place.asked().await, 1);
}

#[tokio::test]
async fn between_two_writes_lies_a_second_and_reads_wait_for_nobody() {
    let place = Place::new().await;
    place.answers("GET", "/thing", answer(200).set_body_json(1)).await;
    place.answers("POST", "/thing", answer(201).set_body_json(1)).await;
    let api = place.api();
    write(&api).await.unwrap();
    read(&api).await.unwrap();
    assert_eq!(place.time.waited(), [0; 0]);
    write(&api).await.unwrap();
    place.time.later(5);
    write(&api).await.unwrap();
    assert_eq!(place.time.waited(), [1000]);
    // However they are written: no two at a time.
    let _ = tokio::join!(write(&api), write(&api), write(&api));
    assert_eq!(place.time.waited(), [1000, 1000, 1000, 1000]);
}

/// Counts how many requests it works on at a time.
struct Busy {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Respond for Busy {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let counter = self.now.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(40));
            counter.fetch_sub(1, Ordering::SeqCst);
        });
        ResponseTemplate::new(200).set_body_json(1).set_delay(Duration::from_millis(60))
    }
}

#[tokio::test]
async fn few_requests_are_in_flight_at_a_time() {
    let place = Place::new().await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    Mock::given(path("/thing")).respond_with(Busy { now, most: most.clone() }).mount(&place.server).await;
    let api = place.api_with(Manners { at_once: 2, ..place.manners() });
    let _ = tokio::join!(read(&api), read(&api), read(&api), read(&api), read(&api), read(&api));
    assert_eq!((most.load(Ordering::SeqCst), api.cost().requests), (2, 6));
}
