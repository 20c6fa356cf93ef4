//! What becomes of afk's calls when a T3 Code server, or whatever answers in its place, does not behave.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use afk::adapters::http::Http;
use afk::adapters::http::api::Credential;
use afk::adapters::t3::command::Command;
use afk::adapters::t3::server::{DispatchError, T3Server};
use afk::adapters::t3::status::status;
use afk::policy::facts::AgentStatus;
use afk::ports::{PortErrorDetail, PortErrorKind, PortResult};
use async_trait::async_trait;
use chrono::Utc;
use pretty_assertions::assert_eq;
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::matchers::{any, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const TOKEN: &str = "t3_secret_abc";
const SHELL: &str = "/api/orchestration/shell";
const SNAPSHOT: &str = "/api/orchestration/snapshot";

/// A token that is another one each time.
#[derive(Default)]
struct Rotated(Cell<u32>);

#[async_trait(?Send)]
impl Credential for Rotated {
    async fn token(&self) -> PortResult<SecretString> {
        self.0.set(self.0.get() + 1);
        Ok(format!("{TOKEN}{}", self.0.get()).into())
    }
    fn source(&self) -> String {
        "the variable `AFK_T3_TOKEN`".to_owned()
    }
}

fn client(address: &str, timeout: Duration) -> T3Server {
    let http = Rc::new(Http::new(timeout));
    T3Server::new("t3", address.parse().unwrap(), Rc::new(Rotated::default()), http)
}

async fn served() -> (MockServer, T3Server) {
    let server = MockServer::start().await;
    let client = client(&server.uri(), Duration::from_secs(20));
    (server, client)
}

fn archive() -> Command {
    Command::ThreadArchive { command_id: Uuid::nil(), thread_id: Uuid::nil() }
}

fn page() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw("<!doctype html>", "text/html; charset=utf-8")
}

fn listing(threads: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "snapshotSequence": 1, "projects": [], "threads": threads }))
}

async fn given(server: &MockServer, at: &str, answer: ResponseTemplate) {
    Mock::given(path(at)).respond_with(answer).mount(server).await;
}

#[tokio::test]
async fn a_server_that_cannot_list_live_threads_alone_is_asked_for_all() {
    let nothing = "No static directory configured and no dev URL set.";
    for without in [page(), ResponseTemplate::new(503).set_body_raw(nothing, "text/plain"), ResponseTemplate::new(404)]
    {
        let (server, client) = served().await;
        given(&server, SHELL, without).await;
        given(&server, SNAPSHOT, listing(json!([{ "id": "a", "deletedAt": "2026-11-22T12:00:00Z" }]))).await;
        let listing = client.listing().await.unwrap();
        assert!(listing.whole && listing.threads[0].deleted);
    }
    let (server, client) = served().await;
    given(&server, SHELL, listing(json!([{ "id": "a" }]))).await;
    let listing = client.listing().await.unwrap();
    assert!(!listing.whole && !listing.threads[0].deleted);
    assert_eq!(server.received_requests().await.unwrap().len(), 1, "one listing, one request");
}

#[tokio::test]
async fn what_is_no_t3_server_at_all_is_unreachable() {
    for (answer, why) in [
        (page(), "is this the address of a T3 Code server?"),
        (ResponseTemplate::new(502).set_body_raw("bad gateway", "text/html"), "answered 502 Bad Gateway"),
        (ResponseTemplate::new(503).set_body_raw("down", "text/plain"), "answered 503 Service Unavailable"),
        (ResponseTemplate::new(500), "answered 500 Internal Server Error"),
    ] {
        let (server, client) = served().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let sent = match client.dispatch(&archive()).await {
            Err(DispatchError::Failed(error)) => error,
            other => panic!("{other:?}"),
        };
        for error in [
            client.listing().await.unwrap_err(),
            client.session().await.unwrap_err(),
            client.environment().await.unwrap_err(),
            sent,
        ] {
            assert_eq!(error.kind, PortErrorKind::Unreachable, "{error}");
            assert!(error.message.contains(why), "{error}");
        }
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_waited_for_no_longer_than_agreed() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let client = client(&address, Duration::from_millis(300));
    let begun = Instant::now();
    assert_eq!(client.listing().await.unwrap_err().kind, PortErrorKind::Unreachable);
    let sent = client.dispatch(&archive()).await;
    assert!(
        matches!(&sent, Err(DispatchError::Failed(error)) if error.kind == PortErrorKind::Unreachable),
        "it may have taken effect: {sent:?}"
    );
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// A server that writes one answer, piece by piece, and holds none of it.
fn write_once(write: impl FnOnce(&mut TcpStream) -> std::io::Result<()> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).unwrap();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
        // The client hangs up when it has had enough.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| write(&mut stream));
    });
    address
}

/// The most memory that this process ever had, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

const MIB: usize = 1024 * 1024;

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_snapshot_of_57_megabytes_is_read_in_much_less_memory() {
    let address = write_once(|stream| {
        stream.write_all(
            br#"{"projects":[],"threads":[{"id":"a","title":"x","messages":[{"role":"user","id":"m","text":""#,
        )?;
        let piece = vec![b'y'; MIB];
        for _ in 0..40 {
            stream.write_all(&piece)?;
        }
        stream.write_all(br#""}"#)?;
        let words = "z".repeat(4096);
        for turn in 0..4352 {
            write!(
                stream,
                r#",{{"role":"assistant","turnId":"t{turn}","createdAt":"2026-11-22T12:00:00Z","text":"{words}{turn}"}}"#
            )?;
        }
        stream.write_all(br#"],"session":null}],"updatedAt":null}"#)
    });
    let listing = client(&address, Duration::from_secs(60)).everything().await.unwrap();
    let last = listing.threads[0].messages.last.clone().unwrap();
    assert_eq!(last.turn.as_deref(), Some("t4351"));
    assert!(last.words.ends_with("z4351") && last.words.len() <= 2048, "{}", last.words.len());
    assert!(peak() < 50 * MIB, "{} MiB", peak() / MIB);
}

#[tokio::test]
async fn a_snapshot_without_an_end_is_given_up() {
    let address = write_once(|stream| {
        stream.write_all(br#"{"projects":[],"threads":[{"id":"a","title":""#)?;
        let piece = vec![b'y'; MIB];
        loop {
            stream.write_all(&piece)?;
        }
    });
    let error = client(&address, Duration::from_secs(120)).everything().await.unwrap_err();
    assert_eq!((error.kind, error.detail), (PortErrorKind::Invalid, Some(PortErrorDetail::TooMuch)));
    assert!(error.message.ends_with(
        "the answer has more than 256 MiB; delete old threads in T3 Code, or update it: newer servers list them without \
         what was said"
    ));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    let address = write_once(|stream| stream.write_all(br#"{"projects":[],"threads":[{"id":"a"}"#));
    let error = client(&address, Duration::from_secs(20)).everything().await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unreachable);
    assert!(error.message.ends_with(": the answer breaks off"), "{error}");
}

#[tokio::test]
async fn the_token_is_read_again_for_every_request() {
    let (server, client) = served().await;
    Mock::given(any()).respond_with(listing(json!([]))).mount(&server).await;
    client.listing().await.unwrap();
    client.everything().await.unwrap();
    let _ = client.dispatch(&archive()).await;
    let sent: Vec<_> = server.received_requests().await.unwrap();
    let sent: Vec<_> = sent.iter().map(|request| request.headers["authorization"].to_str().unwrap()).collect();
    assert_eq!(sent, ["Bearer t3_secret_abc1", "Bearer t3_secret_abc2", "Bearer t3_secret_abc3"]);
}

#[tokio::test]
async fn nothing_is_followed_to_another_place() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = MockServer::start().await;
        let (server, client) = served().await;
        for there in [format!("{}/x?token={TOKEN}1", elsewhere.uri()), "/login".to_owned()] {
            server.reset().await;
            let moved = ResponseTemplate::new(status).insert_header("location", there.as_str());
            Mock::given(any()).respond_with(moved).mount(&server).await;
            let error = client.listing().await.unwrap_err();
            assert_eq!(error.kind, PortErrorKind::Refused, "{error}");
            assert!(error.message.contains("it has moved to `") && !error.message.contains(TOKEN), "{error}");
            assert!(matches!(client.dispatch(&archive()).await, Err(DispatchError::Failed(_))));
            assert_eq!(server.received_requests().await.unwrap().len(), 2, "neither is repeated");
        }
        assert_eq!(elsewhere.received_requests().await.unwrap().len(), 0);
    }
}

#[tokio::test]
async fn a_token_stays_secret_whatever_the_server_repeats() {
    let repeated = format!("got {TOKEN}1, \u{1b}[31m{}", "x".repeat(5000));
    for status in [200, 400, 401, 403, 404, 500] {
        for body in [
            json!({ "code": "internal_error", "reason": repeated, "requiredScope": repeated, "traceId": repeated }),
            json!({ "projects": repeated, "threads": [], "sequence": repeated, "authenticated": repeated }),
        ] {
            // Each asks with its first token.
            let server = MockServer::start().await;
            Mock::given(any()).respond_with(ResponseTemplate::new(status).set_body_json(&body)).mount(&server).await;
            let client = || client(&server.uri(), Duration::from_secs(20));
            let listed = client().listing().await.unwrap_err().message;
            let session = client().session().await.unwrap_err().message;
            let sent = format!("{:?}", client().dispatch(&archive()).await.unwrap_err());
            for said in [listed, session, sent, format!("{:?}", client())] {
                assert!(!said.contains(TOKEN) && !said.contains('\u{1b}') && said.len() < 1500, "{status}: {said}");
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_asks_to_be_left_alone_is_left_alone() {
    let (server, client) = served().await;
    let busy = ResponseTemplate::new(503).insert_header("retry-after", "600");
    Mock::given(any()).respond_with(busy).mount(&server).await;
    for _ in 0..3 {
        let error = client.listing().await.unwrap_err();
        assert!(error.message.starts_with("t3 asks to be left alone until "), "{error}");
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_newer_servers_add_is_tolerated() {
    let (server, client) = served().await;
    let session = json!({ "status": "hibernating", "activeTurnId": null, "lastError": null, "mood": ["new"] });
    let turn = json!({ "turnId": "t", "state": "pondering", "depth": 3 });
    let threads = json!([
        { "id": "a", "session": session, "latestTurn": null, "novelty": { "deep": [1, 2] }, "settledAt": 7 },
        { "id": "b", "session": { "status": "ready" }, "latestTurn": turn },
        { "id": "not-a-uuid", "session": null, "latestTurn": null, "updatedAt": "yesterday", "messages": [{ "role": "oracle" }, { "id": "mine" }],
          "activities": [{ "kind": "comet.seen", "payload": { "requestId": 3, "detail": { "a": 1 } } }] },
    ]);
    given(&server, SHELL, listing(threads)).await;
    let threads = client.listing().await.unwrap().threads;
    let read: Vec<_> = threads.iter().map(|thread| status(thread, None, Utc::now())).collect();
    assert_eq!(
        read.iter().map(|read| read.status).collect::<Vec<_>>(),
        [AgentStatus::Unknown, AgentStatus::Unknown, AgentStatus::Starting]
    );
    assert_eq!(
        read.into_iter().filter_map(|read| read.strange).collect::<Vec<_>>(),
        [
            "the state of its session is `hibernating`, which afk does not know",
            "the state of its turn is `pondering`, which afk does not know"
        ]
    );
}

#[tokio::test]
async fn how_far_the_clocks_are_apart_is_told() {
    let (server, client) = served().await;
    let long_ago = listing(json!([])).insert_header("date", "Sun, 22 Nov 2020 12:00:00 GMT");
    given(&server, SHELL, long_ago).await;
    assert!(client.listing().await.unwrap().clock.unwrap().num_days() < -365);
}
