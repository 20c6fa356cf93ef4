//! What afk understands of every exchange that was recorded with real T3 Code servers, of both generations. A recording
//! that no table names fails, and so does a row without a recording.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use afk::adapters::http::Http;
use afk::adapters::http::api::Credential;
use afk::adapters::t3::command::{Command, InteractionMode, ModelSelection, UserMessage};
use afk::adapters::t3::server::{DispatchError, Listing, T3Server};
use afk::adapters::t3::status::{Asked, Before, Reading, status};
use afk::adapters::t3::wire::Thread;
use afk::policy::facts::AgentStatus;
use afk::ports::{PortError, PortErrorDetail, PortErrorKind, PortResult};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use pretty_assertions::assert_eq;
use secrecy::SecretString;
use serde_json::Value;
use uuid::Uuid;
use wiremock::matchers::{any, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const GENERATIONS: [&str; 2] = ["v0.0.27", "main-2026-08-22"];
/// What threads are understood as: `recording | thread | asked | v0.0.27 | main`, below the situations of the facts.
const THREADS: &str = include_str!("threads.txt");
/// What everything else is understood as: `recording | v0.0.27 | main`.
const ANSWERS: &str = include_str!("answers.txt");
/// Situations that only last for moments: `status` has them in its own table.
const NOT_RECORDED: [&str; 2] = ["session starting", "just ended, checkpoint not taken (about 0.3 to 1.5 s)"];

#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
fn shared() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/contracts");
    let contracts = std::env::var_os("AFK_CONTRACTS").map_or_else(beside, PathBuf::from);
    if contracts.join("t3").is_dir() {
        return Some(contracts);
    }
    let in_ci = ["CI", "AFK_CONTRACTS"].into_iter().any(|name| std::env::var_os(name).is_some());
    assert!(!in_ci, "CI must hold afk to what T3 Code was seen to say: there is no {}/t3", contracts.display());
    eprintln!("SKIPPED: nothing is held to recordings of T3 Code, for there are none in {}", contracts.display());
    None
}

/// Every recording of a generation, by its name.
fn recordings(generation: &str) -> BTreeMap<String, Value> {
    let Some(contracts) = shared() else { return BTreeMap::new() };
    let files = std::fs::read_dir(contracts.join("t3").join(generation)).unwrap();
    let files = files.map(|file| file.unwrap().path());
    files
        .map(|file| {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap())
        })
        .collect()
}

/// The rows of a table: cells, without comments.
fn rows(table: &str) -> Vec<Vec<&str>> {
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split('|').map(str::trim).collect()).collect()
}

struct Token;

#[async_trait(?Send)]
impl Credential for Token {
    async fn token(&self) -> PortResult<SecretString> {
        Ok("TOKEN".into())
    }
    fn source(&self) -> String {
        "the variable `AFK_T3_TOKEN`".to_owned()
    }
}

/// A server that can be made to answer as another did, and a client of it.
struct Stage {
    server: MockServer,
    client: T3Server,
}

impl Stage {
    async fn set() -> Self {
        let server = MockServer::start().await;
        let http = Rc::new(Http::new(Duration::from_secs(10)));
        let client = T3Server::new("t3", server.uri().parse().unwrap(), Rc::new(Token), http);
        Self { server, client }
    }

    /// Gives a recorded answer where it was given.
    async fn replay(&self, recording: &Value) {
        let asked = recording["request"]["path"].as_str().unwrap();
        let asked = asked.split('?').next().unwrap();
        self.server.reset().await;
        Mock::given(path(asked)).respond_with(answer(recording)).mount(&self.server).await;
    }
}

/// The recorded answer, byte for byte as far as a parser can tell.
fn answer(recording: &Value) -> ResponseTemplate {
    let response = &recording["response"];
    let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
    let body = match &response["body"] {
        Value::String(text) => text.clone(),
        body => body.to_string(),
    };
    match response["headers"]["content-type"].as_str() {
        Some(kind) => ResponseTemplate::new(status).set_body_raw(body, kind),
        None => ResponseTemplate::new(status),
    }
}

/// The threads of a recording.
async fn threads(stage: &Stage, recording: &Value) -> Vec<Thread> {
    stage.replay(recording).await;
    let client = &stage.client;
    let asked = recording["request"]["path"].as_str().unwrap();
    let asked = asked.split('?').next().unwrap();
    match asked.rsplit('/').next().unwrap() {
        "snapshot" => client.everything().await.unwrap().threads,
        "shell" => {
            let Listing { threads, whole, .. } = client.listing().await.unwrap();
            assert!(!whole, "the shell leaves archived and deleted threads out");
            threads
        }
        id => vec![client.thread(id.parse().unwrap()).await.unwrap().unwrap()],
    }
}

/// A turn that was accepted when the thread moved last, and that is looked at so many seconds later.
fn asked(thread: &Thread, before: Before, interrupted: bool) -> (Asked, DateTime<Utc>) {
    let accepted = thread.updated_at.unwrap();
    let message = thread.messages.asked.last().map_or(Uuid::nil(), |(id, _)| *id);
    (Asked { message, accepted: Some(accepted), before, interrupted }, accepted)
}

fn written(reading: &Reading) -> String {
    let word = match reading.status {
        AgentStatus::Starting => "starting",
        AgentStatus::Running => "running",
        AgentStatus::Waiting => "waiting",
        AgentStatus::Idle => "idle",
        AgentStatus::Failed => "failed",
        AgentStatus::Gone => "gone",
        AgentStatus::Unknown => "unknown",
    };
    let words = reading.words.as_ref().map(|words| format!(": {words}")).unwrap_or_default();
    let strange = reading.strange.as_ref().map(|strange| format!(" ({strange})")).unwrap_or_default();
    format!("{word}{words}{strange}")
}

/// A cell that ends in `…` says how it begins.
fn is_as_written(cell: &str, what: &str) -> bool {
    cell.strip_suffix('…').map_or(cell == what, |beginning| what.starts_with(beginning))
}

#[tokio::test]
async fn every_recorded_thread_is_understood_as_the_facts_say() {
    let stage = Stage::set().await;
    let mut wrong = Vec::new();
    for (generation, column) in GENERATIONS.into_iter().zip(3..) {
        let recordings = recordings(generation);
        for row in rows(THREADS) {
            let [name, title, how] = [row[0], row[1], row[2]];
            let cell = row[column];
            if cell == "-" || recordings.is_empty() {
                continue;
            }
            let place = format!("{generation}/{name}, `{title}`, {how}");
            let recording = recordings.get(name).unwrap_or_else(|| panic!("{place}: there is no such recording"));
            let listed = threads(&stage, recording).await;
            if title == "-" {
                assert_eq!((cell, listed.len()), ("no threads", 0), "{place}");
                continue;
            }
            let Some(thread) = listed.into_iter().find(|thread| thread.title == title) else {
                assert_eq!(cell, "not listed", "{place}");
                continue;
            };
            let (asked, accepted) = match how.strip_prefix("late ").unwrap_or(how).split_once(' ') {
                Some(("after", earlier)) => {
                    let earlier = threads(&stage, &recordings[earlier]).await;
                    let earlier = earlier.iter().find(|earlier| earlier.id == thread.id).unwrap();
                    asked(&thread, Before::of(earlier), false)
                }
                _ => asked(&thread, Before::default(), how == "interrupted"),
            };
            let known = (how != "forgotten").then_some(&asked);
            let seconds = if how.starts_with("late") { 61 } else { 5 };
            let is = written(&status(&thread, known, accepted + TimeDelta::seconds(seconds)));
            if !is_as_written(cell, &is) {
                wrong.push(format!("{place}: should be `{cell}`, is `{is}`"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// A command of a type that a recording has, or that its answer could be one to.
fn command(recording: &Value) -> Command {
    let body = &recording["request"]["body"];
    let id = |name: &str| body[name].as_str().and_then(|id| id.parse().ok()).unwrap_or(Uuid::nil());
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let maybe = |name: &str| body[name].as_str().map(str::to_owned);
    let (command_id, thread_id) = (id("commandId"), id("threadId"));
    let created_at = body["createdAt"].as_str().and_then(|at| at.parse().ok()).unwrap_or_default();
    match body["type"].as_str().unwrap_or_default() {
        "project.create" => Command::ProjectCreate {
            command_id,
            project_id: id("projectId"),
            title: text("title"),
            workspace_root: text("workspaceRoot"),
            created_at,
        },
        "thread.turn.start" => Command::TurnStart {
            command_id,
            thread_id,
            message: UserMessage::new(
                body["message"]["messageId"].as_str().unwrap().parse().unwrap(),
                body["message"]["text"].as_str().unwrap(),
            ),
            runtime_mode: text("runtimeMode"),
            interaction_mode: InteractionMode::Default,
            created_at,
        },
        "thread.turn.interrupt" => {
            Command::TurnInterrupt { command_id, thread_id, turn_id: text("turnId"), created_at }
        }
        "thread.archive" => Command::ThreadArchive { command_id, thread_id },
        _ => Command::ThreadCreate {
            command_id,
            thread_id,
            project_id: text("projectId"),
            title: text("title"),
            model_selection: ModelSelection {
                instance_id: body["modelSelection"]["instanceId"].as_str().unwrap_or_default().to_owned(),
                model: body["modelSelection"]["model"].as_str().unwrap_or_default().to_owned(),
            },
            runtime_mode: text("runtimeMode"),
            interaction_mode: InteractionMode::Default,
            branch: maybe("branch"),
            worktree_path: maybe("worktreePath"),
            created_at,
        },
    }
}

fn kind(error: &PortError) -> &'static str {
    match (error.kind, error.detail) {
        (_, Some(PortErrorDetail::Unauthorized)) => "unauthorized",
        (_, Some(PortErrorDetail::Forbidden)) => "forbidden",
        (_, Some(PortErrorDetail::TooMuch)) => "too much",
        (PortErrorKind::Unreachable, None) => "unreachable",
        (PortErrorKind::Refused, None) => "refused",
        (PortErrorKind::NotFound, None) => "not found",
        (PortErrorKind::Invalid, None) => "invalid",
    }
}

/// The words after what was asked; traces differ in every recording.
fn said(error: &PortError) -> String {
    let words = error.message.splitn(3, ": ").nth(2).unwrap_or_default();
    let words = words.split_once(" (trace `").map_or(words, |(words, trace)| {
        assert_eq!(trace.len(), "b63302a5609e5dd622ce4283ec526e5e`)".len(), "{trace}");
        words
    });
    format!("{}: {words}", kind(error))
}

/// What afk understands of an exchange that shows no threads.
async fn understood(stage: &Stage, recording: &Value) -> String {
    stage.replay(recording).await;
    let Stage { server, client } = stage;
    let request = &recording["request"];
    match (request["method"].as_str().unwrap(), request["path"].as_str().unwrap()) {
        ("POST", "/api/orchestration/dispatch") => match client.dispatch(&command(recording)).await {
            Ok(sequence) => format!("recorded {sequence}"),
            Err(DispatchError::Malformed(error)) => format!("malformed, {}", said(&error)),
            Err(DispatchError::Refused(error)) => format!("for good, {}", said(&error)),
            Err(DispatchError::Failed(error)) => format!("failed, {}", said(&error)),
        },
        ("GET", "/api/orchestration/snapshot") => said(&client.everything().await.unwrap_err()),
        ("GET", "/api/auth/session") => {
            let session = client.session().await.unwrap();
            let until = session.expires_at.map_or("-".to_owned(), |at| at.format("%Y-%m-%d").to_string());
            format!("{}, {} scopes, {until}", session.authenticated, session.scopes.len())
        }
        ("GET", "/.well-known/t3/environment") => {
            let environment = client.environment().await.unwrap();
            format!("{} {}", environment.version, environment.id)
        }
        ("GET", asked) if asked.starts_with("/api/orchestration/threads/") => {
            let id = asked.rsplit('/').next().unwrap().parse().unwrap();
            match client.thread(id).await {
                Ok(thread) => format!("thread: {}", thread.is_some()),
                Err(error) => said(&error),
            }
        }
        // What a server answers where it knows no such read, whatever the read.
        ("GET", _) => {
            server.reset().await;
            Mock::given(path("/api/orchestration/snapshot"))
                .respond_with(
                    ResponseTemplate::new(200).set_body_json(serde_json::json!({ "projects": [], "threads": [] })),
                )
                .with_priority(1)
                .mount(server)
                .await;
            Mock::given(any()).respond_with(answer(recording)).mount(server).await;
            let listing = client.listing().await.unwrap();
            assert!(listing.whole, "read from the snapshot");
            let sent = client.dispatch(&command(recording)).await;
            assert!(matches!(sent, Err(DispatchError::Failed(error)) if error.kind == PortErrorKind::Unreachable));
            "the snapshot is read instead".to_owned()
        }
        other => panic!("afk sends no {other:?}"),
    }
}

#[tokio::test]
async fn every_other_recorded_answer_is_understood() {
    let stage = Stage::set().await;
    let mut wrong = Vec::new();
    for (generation, column) in GENERATIONS.into_iter().zip(1..) {
        let recordings = recordings(generation);
        for row in rows(ANSWERS) {
            let (name, cell) = (row[0], row[column]);
            if matches!(cell, "-" | "not used") || recordings.is_empty() {
                continue;
            }
            let recording = recordings.get(name).unwrap_or_else(|| panic!("{generation}/{name}: no such recording"));
            let is = understood(&stage, recording).await;
            if !is_as_written(cell, &is) {
                wrong.push(format!("{generation}/{name}: should be `{cell}`, is `{is}`"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn no_recording_is_without_a_row_and_no_row_without_a_recording() {
    for (generation, behind) in GENERATIONS.into_iter().zip(0..) {
        let recordings = recordings(generation);
        if recordings.is_empty() {
            continue;
        }
        let mut named: BTreeSet<&str> = BTreeSet::new();
        for (table, first) in [(THREADS, 3), (ANSWERS, 1)] {
            let all = rows(table);
            named.extend(all.iter().filter(|row| row[first + behind] != "-").map(|row| row[0]));
        }
        assert_eq!(named, recordings.keys().map(String::as_str).collect(), "{generation}");
    }
}

#[test]
fn every_situation_of_the_facts_has_a_row() {
    let Some(contracts) = shared() else { return };
    let facts = std::fs::read_to_string(contracts.join("../facts/t3.md")).unwrap();
    let (_, table) = facts.split_once("| situation | v0.0.27 | main |\n").unwrap();
    let table = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let situations: BTreeSet<&str> = table.map(|line| line.split('|').nth(1).unwrap().trim()).collect();
    let covered = THREADS.lines().filter_map(|line| line.strip_prefix("# ")).chain(NOT_RECORDED).collect();
    assert_eq!(situations, covered);
}

#[test]
fn what_afk_sends_is_what_was_recorded() {
    for generation in GENERATIONS {
        let recordings = recordings(generation);
        let mut types = BTreeSet::new();
        for (name, recording) in &recordings {
            let body = &recording["request"]["body"];
            // Whatever was accepted, of the types that afk sends, with nothing in it that afk never sends.
            let is_accepted = recording["response"]["status"] == 200 && body["type"].is_string();
            let unusual = ["dispatch-extra-fields", "dispatch-created-at-not-iso", "dispatch-non-uuid-ids"];
            let never = ["no-interaction-mode", "bootstrap", "no-turn-id", "nothing-running", "2mb", "-chars"];
            if !is_accepted || unusual.contains(&name.as_str()) || never.iter().any(|part| name.contains(part)) {
                continue;
            }
            let command = command(recording);
            if body["type"] != command.name() {
                continue;
            }
            let mut recorded = body.clone();
            // A root that is missing is a refusal, and not to be made.
            recorded.as_object_mut().unwrap().remove("createWorkspaceRootIfMissing");
            assert_eq!(serde_json::to_value(&command).unwrap(), recorded, "{generation}/{name}");
            types.insert(command.name());
        }
        if !recordings.is_empty() {
            let all =
                ["project.create", "thread.archive", "thread.create", "thread.turn.interrupt", "thread.turn.start"];
            assert_eq!(types, BTreeSet::from(all), "{generation}");
        }
    }
}
