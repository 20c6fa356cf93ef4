//! The executor of T3 Code: each step of bringing a run up again, turns, interrupts, archiving, and what is listed.

mod server;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::MutexGuard;
use std::time::Duration;

use afk::adapters::command::Workspaces;
use afk::adapters::http::Http;
use afk::adapters::http::api::Credential;
use afk::adapters::t3::{Parts, T3Executor};
use afk::engine::identity::{Purpose, RunId, project};
use afk::policy::facts::AgentStatus;
use afk::ports::{AgentReport, Assignment, Clock, Executor, IssueRef, PortErrorKind, PortResult, Roster};
use afk::settings::{SecretSource, T3ExecutorSettings};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use pretty_assertions::assert_eq;
use secrecy::SecretString;
use serde_json::{Value, json};
use server::{Fault, State, T3, TOKEN};
use tempfile::TempDir;
use uuid::Uuid;
use wiremock::MockServer;

const CONTROLLER: &str = "afk at /srv/afk";
const CHECKOUTS: &str = "/srv/work";
const TURN: &str = "thread.turn.start";

struct Token;

#[async_trait(?Send)]
impl Credential for Token {
    async fn token(&self) -> PortResult<SecretString> {
        Ok(TOKEN.into())
    }
    fn source(&self) -> String {
        "the variable `T3`".to_owned()
    }
}

/// Makes folders, and remembers which.
#[derive(Clone, Default)]
struct Clones(Rc<RefCell<Vec<PathBuf>>>);

#[async_trait(?Send)]
impl Workspaces for Clones {
    async fn fresh_clone(&self, repo: &str, _branch: &str, _commit: &str, into: &Path) -> PortResult<()> {
        assert_eq!(repo, "acme/api");
        std::fs::create_dir(into).expect("a new folder");
        self.0.borrow_mut().push(into.to_owned());
        Ok(())
    }
}

struct At(Cell<DateTime<Utc>>);

impl Clock for At {
    fn now(&self) -> DateTime<Utc> {
        self.0.get()
    }
}

struct World {
    server: MockServer,
    t3: T3,
    folder: TempDir,
    clones: Clones,
    clock: Rc<At>,
    http: Rc<Http>,
    checkouts: Option<&'static str>,
}

impl World {
    async fn new() -> Self {
        let (server, t3) = server::start().await;
        let clock = Rc::new(At(Cell::new("2026-11-22T12:00:00Z".parse().unwrap())));
        let folder = TempDir::new().unwrap();
        let http = Rc::new(Http::new(Duration::from_secs(10)));
        Self { server, t3, folder, clones: Clones::default(), clock, http, checkouts: Some(CHECKOUTS) }
    }

    /// The executor of a new process.
    fn executor(&self) -> T3Executor<Clones> {
        self.executor_of(CONTROLLER, true)
    }

    fn executor_of(&self, controller: &str, keeps: bool) -> T3Executor<Clones> {
        T3Executor::new(Parts {
            folder: self.folder.path().join("t3"),
            name: "t3".to_owned(),
            controller: controller.to_owned(),
            settings: T3ExecutorSettings {
                url: self.server.uri().parse().unwrap(),
                token: SecretSource::Variable("T3".to_owned()),
                provider: "claudeAgent".to_owned(),
                checkouts: self.checkouts.map(PathBuf::from),
            },
            credential: Rc::new(Token),
            http: self.http.clone(),
            workspaces: self.clones.clone(),
            clock: self.clock.clone(),
            keeps,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.t3.0.lock().unwrap()
    }

    fn forget(&self) {
        std::fs::remove_dir_all(self.folder.path().join("t3")).unwrap();
    }

    fn later(&self, seconds: i64) {
        self.clock.0.set(self.clock.now() + chrono::TimeDelta::seconds(seconds));
    }

    async fn the_agent(&self) -> AgentReport {
        let mut roster = self.executor().list().await.unwrap();
        assert_eq!((roster.agents.len(), roster.unreadable.len()), (1, 0), "{roster:?}");
        roster.agents.remove(0)
    }

    /// What came of it all: one project, one thread, one first turn, and no more.
    fn came_to_one_of_each(&self) {
        let state = self.state();
        let live = |values: &[Value]| values.iter().filter(|value| value["deletedAt"].is_null()).count();
        assert_eq!((live(&state.projects), state.threads.len()), (1, 1));
        let prompts = state.threads[0]["messages"].as_array().unwrap();
        assert_eq!(prompts.iter().filter(|message| message["role"] == "user").count(), 1, "{prompts:?}");
    }
}

fn assignment() -> Assignment {
    let run = RunId::of_arming("arming");
    Assignment {
        run,
        issue: IssueRef { repo: "acme/api".to_owned(), number: 42 },
        arming: "arming".to_owned(),
        armed_by: Some("ada".to_owned()),
        dispatched_at: "2026-11-22T12:00:00Z".parse().unwrap(),
        base: "1234".to_owned(),
        default_branch: "main".to_owned(),
        model: "claude-sonnet-4-6".to_owned(),
        runtime_mode: "full-access".to_owned(),
        turn: run.derive(Purpose::FirstTurn, 0),
        prompt: "Do it.".to_owned(),
        brief_sha256: "ab".to_owned(),
    }
}

fn correction(n: u32) -> Uuid {
    assignment().run.derive(Purpose::CorrectiveTurn { red_commit: "9ab3c1d" }, n)
}

#[tokio::test(flavor = "current_thread")]
async fn a_run_becomes_a_project_a_thread_and_a_turn() {
    let world = World::new().await;
    world.executor().ensure(&assignment()).await.unwrap();
    world.came_to_one_of_each();
    let state = world.state();
    let run = assignment().run;
    let command = |what: &str| run.derive(Purpose::Command { what }, 0).to_string();
    let at = "2026-11-22T12:00:00.000Z";
    assert_eq!(
        state.commands,
        [
            json!({ "type": "project.create", "commandId": command("project"), "createdAt": at, "title": "acme/api",
                "projectId": project(CONTROLLER, "acme/api", 0), "workspaceRoot": "/srv/work/acme/api" }),
            json!({ "type": "thread.create", "commandId": command("thread"), "createdAt": at, "threadId": run,
                "projectId": project(CONTROLLER, "acme/api", 0), "title": "acme/api#42",
                "branch": format!("afk/{run}@{CONTROLLER}"),
                "worktreePath": null, "runtimeMode": "full-access", "interactionMode": "default",
                "modelSelection": { "instanceId": "claudeAgent", "model": "claude-sonnet-4-6" } }),
            json!({ "type": TURN, "commandId": command(&format!("turn:{}", assignment().turn)), "createdAt": at,
                "threadId": run, "runtimeMode": "full-access", "interactionMode": "default",
                "message": { "messageId": assignment().turn, "role": "user", "text": "Do it.", "attachments": [] } }),
        ]
    );
    assert_eq!(state.asked, ["/api/orchestration/shell"]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_run_that_is_up_is_not_asked_for_again() {
    let world = World::new().await;
    world.executor().ensure(&assignment()).await.unwrap();
    world.executor().ensure(&assignment()).await.unwrap();
    assert_eq!(world.state().commands.len(), 3);
}

#[tokio::test(flavor = "current_thread")]
async fn whatever_is_lost_on_the_way_another_try_brings_up_the_same_run() {
    for old in [false, true] {
        for kind in ["project.create", "thread.create", TURN] {
            for fault in [Fault::LostBefore, Fault::LostAfter] {
                for forgets in [false, true] {
                    let world = World::new().await;
                    world.state().old = old;
                    world.state().fail(kind, &[fault]);
                    let error = world.executor().ensure(&assignment()).await.unwrap_err();
                    assert_eq!(error.kind, PortErrorKind::Unreachable, "{kind} {fault:?}");
                    if forgets {
                        world.forget();
                    }
                    world.executor().ensure(&assignment()).await.unwrap();
                    world.came_to_one_of_each();
                }
            }
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_goes_again_after_a_lost_answer_is_the_very_same_command() {
    for kind in ["project.create", "thread.create", TURN] {
        let world = World::new().await;
        world.state().fail(kind, &[Fault::LostBefore]);
        world.executor().ensure(&assignment()).await.unwrap_err();
        world.later(90);
        world.executor().ensure(&assignment()).await.unwrap();
        let sent = world.state().sent(kind);
        assert_eq!((sent.len(), &sent[0]), (2, &sent[1]));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_refused_command_goes_again_under_another_id_once_its_effect_is_disproved() {
    for old in [false, true] {
        for kind in ["project.create", "thread.create", TURN] {
            for forgets in [false, true] {
                let world = World::new().await;
                world.state().old = old;
                world.state().fail(kind, &[Fault::Refused, Fault::LostBefore]);
                world.executor().ensure(&assignment()).await.unwrap_err();
                if forgets {
                    // Then the refused id is tried once more, in vain.
                    world.forget();
                }
                world.executor().ensure(&assignment()).await.unwrap();
                world.came_to_one_of_each();
                let mut ids: Vec<String> =
                    world.state().sent(kind).iter().map(|sent| sent["commandId"].to_string()).collect();
                ids.sort();
                ids.dedup();
                assert_eq!(ids.len(), 2, "{kind}: {ids:?}");
            }
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_refused_command_that_took_effect_is_not_sent_again() {
    for old in [false, true] {
        for kind in ["project.create", "thread.create", TURN] {
            let world = World::new().await;
            world.state().old = old;
            world.state().fail(kind, &[Fault::RefusedAfter]);
            world.executor().ensure(&assignment()).await.unwrap();
            world.came_to_one_of_each();
            assert_eq!(world.state().sent(kind).len(), 1);
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_command_that_is_always_refused_is_given_up_and_wedges_nothing() {
    for kind in ["project.create", "thread.create", TURN] {
        let world = World::new().await;
        world.state().fail(kind, &[Fault::Refused; 3]);
        let error = world.executor().ensure(&assignment()).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Refused);
        world.executor().ensure(&assignment()).await.unwrap();
        world.came_to_one_of_each();
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_t3_code_does_not_understand_keeps_its_id_until_it_is_mended() {
    for kind in ["project.create", "thread.create", TURN] {
        let world = World::new().await;
        world.state().fail(kind, &[Fault::Malformed]);
        let error = world.executor().ensure(&assignment()).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Refused, "{error}");
        world.executor().ensure(&assignment()).await.unwrap();
        world.came_to_one_of_each();
        let sent = world.state().sent(kind);
        assert_eq!(sent[0]["commandId"], sent[1]["commandId"]);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_folder_that_is_missing_on_the_server_is_said_with_what_to_do() {
    let world = World::new().await;
    world.state().fail("project.create", &[Fault::Malformed]);
    let error = world.executor().ensure(&assignment()).await.unwrap_err();
    assert!(
        error.message.contains("clone acme/api to `/srv/work/acme/api` on the machine that T3 Code runs on"),
        "{error}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_project_that_is_there_is_used() {
    let world = World::new().await;
    world.state().projects.push(json!({ "id": "theirs", "title": "api", "workspaceRoot": "/srv/work/acme/api/" }));
    world.executor().ensure(&assignment()).await.unwrap();
    assert_eq!(world.state().threads[0]["projectId"], "theirs");
    assert_eq!(world.state().sent("project.create").len(), 0);
}

#[tokio::test(flavor = "current_thread")]
async fn of_twins_afk_s_own_project_is_used() {
    let world = World::new().await;
    let own = project(CONTROLLER, "acme/api", 0).to_string();
    for id in ["a-twin", &own, "z-twin"] {
        world.state().projects.push(json!({ "id": id, "workspaceRoot": "/srv/work/acme/api" }));
    }
    world.executor().ensure(&assignment()).await.unwrap();
    assert_eq!(world.state().threads[0]["projectId"], *own);
}

#[tokio::test(flavor = "current_thread")]
async fn a_project_that_somebody_deleted_is_made_again_under_another_id() {
    for old in [false, true] {
        let world = World::new().await;
        let own = project(CONTROLLER, "acme/api", 0);
        world.state().old = old;
        world
            .state()
            .projects
            .push(json!({ "id": own, "workspaceRoot": "/srv/work/acme/api", "deletedAt": "2026-11-22T11:00:00.000Z" }));
        world.executor().ensure(&assignment()).await.unwrap();
        assert_eq!(world.state().threads[0]["projectId"], json!(project(CONTROLLER, "acme/api", 1)));
        world.came_to_one_of_each();
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_project_deleted_between_two_tries_is_made_again() {
    for old in [false, true] {
        let world = World::new().await;
        world.state().old = old;
        world.state().fail("thread.create", &[Fault::LostBefore]);
        world.executor().ensure(&assignment()).await.unwrap_err();
        world.state().projects[0]["deletedAt"] = json!("2026-11-22T12:00:01.000Z");
        world.executor().ensure(&assignment()).await.unwrap();
        world.came_to_one_of_each();
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_thread_that_somebody_put_away_before_its_turn_is_not_begun() {
    for (field, word) in [("archivedAt", "archived"), ("deletedAt", "deleted")] {
        for old in [false, true] {
            let world = World::new().await;
            world.state().old = old;
            world.state().fail(TURN, &[Fault::LostBefore]);
            world.executor().ensure(&assignment()).await.unwrap_err();
            world.state().thread()[field] = json!("2026-11-22T12:00:01.000Z");
            let error = world.executor().ensure(&assignment()).await.unwrap_err();
            assert!(error.message.contains(&format!("somebody has {word} the thread")), "{error}");
            assert_eq!(world.state().sent(TURN).len(), 1);
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn on_this_machine_each_run_gets_a_clone_of_its_own() {
    let world = World { checkouts: None, ..World::new().await };
    let folder = world.folder.path().join("t3");
    let run = assignment().run.to_string();
    world.state().fail("thread.create", &[Fault::LostBefore]);
    world.executor().ensure(&assignment()).await.unwrap_err();
    world.executor().ensure(&assignment()).await.unwrap();
    assert_eq!(world.clones.0.borrow().len(), 2, "one for the project, one for the run");
    let (root, workspace) = (folder.join("checkouts/acme/api"), folder.join("runs").join(&run).join("workspace"));
    assert!(root.is_dir() && workspace.is_dir());
    assert_eq!(world.state().projects[0]["workspaceRoot"], json!(root));
    assert_eq!(world.state().threads[0]["worktreePath"], json!(workspace));
}

#[tokio::test(flavor = "current_thread")]
async fn a_clone_that_a_crash_left_half_made_is_thrown_away() {
    let world = World { checkouts: None, ..World::new().await };
    let run = world.folder.path().join("t3/runs").join(assignment().run.to_string());
    std::fs::create_dir_all(run.join("workspace.partial/half")).unwrap();
    std::fs::create_dir_all(world.folder.path().join("t3/checkouts/.acme+api.partial/half")).unwrap();
    world.executor().ensure(&assignment()).await.unwrap();
    assert!(run.join("workspace").is_dir() && !run.join("workspace/half").exists());
}

#[tokio::test(flavor = "current_thread")]
async fn a_correction_goes_to_the_same_thread_once() {
    let world = World::new().await;
    world.executor().ensure(&assignment()).await.unwrap();
    world.state().run("t-1");
    let run = assignment().run;
    let error = world.executor().turn(run, correction(0), "Mend it.").await.unwrap_err();
    assert_eq!((error.kind, world.state().sent(TURN).len()), (PortErrorKind::Refused, 1), "it is at work");
    world.state().end("t-1");
    world.executor().turn(run, correction(0), "Mend it.").await.unwrap();
    world.executor().turn(run, correction(0), "Mend it, please.").await.unwrap();
    let sent = world.state().sent(TURN);
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1]["message"]["text"], "Mend it.");
    assert_eq!(sent[1]["message"]["messageId"], json!(correction(0)));
    let agent = world.the_agent().await;
    assert_eq!(agent.turns, [assignment().turn, correction(0)]);
    assert_eq!(agent.status, AgentStatus::Starting, "T3 Code still shows the turn before");
}

#[tokio::test(flavor = "current_thread")]
async fn a_correction_whose_answer_was_lost_is_not_sent_twice_even_while_it_runs() {
    for old in [false, true] {
        for forgets in [false, true] {
            let world = World::new().await;
            world.state().old = old;
            world.executor().ensure(&assignment()).await.unwrap();
            world.state().end("t-1");
            world.state().fail(TURN, &[Fault::LostAfter]);
            let run = assignment().run;
            world.executor().turn(run, correction(0), "Mend it.").await.unwrap_err();
            world.state().run("t-2");
            if forgets {
                world.forget();
            }
            world.executor().turn(run, correction(0), "Mend it.").await.unwrap();
            assert_eq!(world.state().sent(TURN).len(), 2);
            let agent = world.the_agent().await;
            assert_eq!((agent.turns.last(), agent.status), (Some(&correction(0)), AgentStatus::Running));
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_listing_learns_of_a_turn_whose_answer_was_lost() {
    for old in [false, true] {
        let world = World::new().await;
        world.state().old = old;
        world.state().fail(TURN, &[Fault::LostAfter]);
        world.executor().ensure(&assignment()).await.unwrap_err();
        world.state().run("t-1");
        assert_eq!(world.executor_of(CONTROLLER, false).list().await.unwrap().agents[0].turns, [assignment().turn]);
        assert_eq!(world.the_agent().await.turns, [assignment().turn]);
        let asked = world.state().asked.len();
        world.the_agent().await;
        assert_eq!(world.state().asked.len() - asked, if old { 3 } else { 2 }, "it was remembered");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn no_turn_goes_to_a_thread_that_is_not_there_any_more() {
    for (field, kind) in [("archivedAt", PortErrorKind::Refused), ("deletedAt", PortErrorKind::Refused)] {
        let world = World::new().await;
        world.executor().ensure(&assignment()).await.unwrap();
        world.state().end("t-1");
        world.state().thread()[field] = json!("2026-11-22T12:00:01.000Z");
        let error = world.executor().turn(assignment().run, correction(0), "Mend it.").await.unwrap_err();
        assert_eq!((error.kind, world.state().sent(TURN).len()), (kind, 1));
    }
    let world = World::new().await;
    let error = world.executor().turn(assignment().run, correction(0), "Mend it.").await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::NotFound);
}

#[tokio::test(flavor = "current_thread")]
async fn a_text_that_is_too_long_is_shortened_in_its_middle() {
    let world = World::new().await;
    let prompt = format!("Do it.\n{}\nThen stop.", "x".repeat(200_000));
    world.executor().ensure(&Assignment { prompt, ..assignment() }).await.unwrap();
    let sent = world.state().sent(TURN);
    let text = sent[0]["message"]["text"].as_str().unwrap();
    assert!(text.starts_with("Do it.") && text.ends_with("Then stop.") && text.len() <= 120_010, "{}", text.len());
}

#[tokio::test(flavor = "current_thread")]
async fn an_interrupt_names_the_turn_at_work_and_is_asked_again_under_another_id() {
    let world = World::new().await;
    world.executor().ensure(&assignment()).await.unwrap();
    world.state().run("t-1");
    let run = assignment().run;
    world.state().fail("thread.turn.interrupt", &[Fault::LostBefore]);
    world.executor().interrupt(run).await.unwrap_err();
    for _ in 0..2 {
        world.executor().interrupt(run).await.unwrap();
    }
    let sent = world.state().sent("thread.turn.interrupt");
    let id = |n| json!(run.derive(Purpose::Command { what: "interrupt:t-1" }, n));
    assert_eq!(sent.iter().map(|sent| &sent["commandId"]).collect::<Vec<_>>(), [&id(0), &id(0), &id(1)]);
    assert!(sent.iter().all(|sent| sent["turnId"] == "t-1"));
    assert!(world.state().sent("thread.session.stop").is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn nothing_is_interrupted_that_has_ended() {
    let world = World::new().await;
    world.executor().interrupt(assignment().run).await.unwrap();
    world.executor().ensure(&assignment()).await.unwrap();
    world.state().run("t-1");
    world.state().end("t-1");
    world.executor().interrupt(assignment().run).await.unwrap();
    assert!(world.state().sent("thread.turn.interrupt").is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn an_agent_that_is_coming_up_is_interrupted_later() {
    let world = World::new().await;
    world.executor().ensure(&assignment()).await.unwrap();
    world.state().thread()["session"] = json!({ "status": "starting", "activeTurnId": null });
    let error = world.executor().interrupt(assignment().run).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unreachable, "{error}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_first_turn_that_was_stopped_before_it_was_sent_is_never_sent() {
    let world = World::new().await;
    world.state().fail("thread.create", &[Fault::LostBefore]);
    world.executor().ensure(&assignment()).await.unwrap_err();
    assert_eq!(world.the_agent().await.status, AgentStatus::Starting);
    world.executor().interrupt(assignment().run).await.unwrap();
    world.executor().ensure(&assignment()).await.unwrap();
    assert!(world.state().sent(TURN).is_empty());
    assert_eq!(world.the_agent().await.status, AgentStatus::Failed);
}

#[tokio::test(flavor = "current_thread")]
async fn a_thread_is_archived_once_its_agent_has_ended_and_not_before() {
    for old in [false, true] {
        let world = World::new().await;
        world.state().old = old;
        world.executor().ensure(&assignment()).await.unwrap();
        world.state().run("t-1");
        let run = assignment().run;
        assert_eq!(world.executor().archive(run).await.unwrap_err().kind, PortErrorKind::Refused);
        assert!(world.state().sent("thread.archive").is_empty());
        world.state().end("t-1");
        world.executor().archive(run).await.unwrap();
        world.executor().archive(run).await.unwrap();
        assert_eq!(world.state().sent("thread.archive").len(), 1);
        assert_eq!(world.the_agent().await.status, AgentStatus::Gone);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_archiving_that_was_refused_is_looked_at() {
    let run = assignment().run;
    for (fault, done) in [(Fault::RefusedAfter, true), (Fault::Refused, false)] {
        let world = World::new().await;
        world.executor().ensure(&assignment()).await.unwrap();
        world.state().end("t-1");
        world.state().fail("thread.archive", &[fault]);
        assert_eq!(world.executor().archive(run).await.is_ok(), done);
        world.executor().archive(run).await.unwrap();
        let sent = world.state().sent("thread.archive");
        assert_eq!(sent.len(), if done { 1 } else { 2 });
        assert!(done || sent[0]["commandId"] != sent[1]["commandId"]);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_report_leads_back_to_the_issue_and_to_where_people_watch() {
    let world = World::new().await;
    world.executor().ensure(&assignment()).await.unwrap();
    world.state().run("t-1");
    let agent = world.the_agent().await;
    assert_eq!(agent.assignment, Some(assignment()));
    assert_eq!((agent.issue.to_string(), agent.status), ("acme/api#42".to_owned(), AgentStatus::Running));
    assert_eq!(agent.link, Some(format!("{}/env-1/{}", world.server.uri(), assignment().run)));
    assert_eq!((agent.milestones, agent.last_words, agent.cost_usd), (None, None, None));
}

#[tokio::test(flavor = "current_thread")]
async fn what_an_agent_left_behind_is_read_once_after_its_turn() {
    for old in [false, true] {
        let world = World::new().await;
        world.state().old = old;
        world.executor().ensure(&assignment()).await.unwrap();
        world.state().run("t-1");
        world.state().end("t-1");
        for _ in 0..2 {
            let agent = world.the_agent().await;
            assert_eq!(agent.status, AgentStatus::Idle);
            assert_eq!(agent.milestones, Some(vec!["tests_red".to_owned()]));
            assert!(agent.last_words.unwrap().ends_with("Done."));
        }
        let read = world.state().asked.iter().filter(|path| path.contains("/threads/")).count();
        assert_eq!(read, usize::from(!old));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn one_listing_does_for_any_number_of_runs() {
    let world = World::new().await;
    let executor = world.executor();
    for number in 1..=20 {
        let run = RunId::of_arming(&number.to_string());
        let issue = IssueRef { number, ..assignment().issue };
        let turn = run.derive(Purpose::FirstTurn, 0);
        executor.ensure(&Assignment { run, issue, turn, ..assignment() }).await.unwrap();
        world.state().run(&format!("t-{number}"));
    }
    world.state().asked.clear();
    let roster = world.executor().list().await.unwrap();
    assert_eq!(roster.agents.len(), 20);
    assert_eq!(world.state().asked, ["/api/orchestration/shell", "/.well-known/t3/environment"]);
}

#[tokio::test(flavor = "current_thread")]
async fn runs_that_are_over_cost_nothing_but_their_place_in_the_listing() {
    for (old, archived) in [(false, false), (false, true), (true, false), (true, true)] {
        let world = World::new().await;
        world.state().old = old;
        let executor = world.executor();
        for number in 1..=10 {
            let run = RunId::of_arming(&number.to_string());
            let issue = IssueRef { number, ..assignment().issue };
            let turn = run.derive(Purpose::FirstTurn, 0);
            executor.ensure(&Assignment { run, issue, turn, ..assignment() }).await.unwrap();
            world.state().end(&format!("t-{number}"));
            if archived {
                executor.archive(run).await.unwrap();
            }
            executor.dismiss(run).await.unwrap();
            // It would be said, if anybody looked.
            let memory = world.folder.path().join("t3/runs").join(run.to_string()).join("run.json");
            std::fs::remove_file(&memory).unwrap();
            std::fs::create_dir(&memory).unwrap();
        }
        world.state().asked.clear();
        assert_eq!(world.executor().list().await.unwrap(), Roster::default());
        let listing = if old { "/api/orchestration/snapshot" } else { "/api/orchestration/shell" };
        let asked: Vec<String> = world.state().asked.drain(..).collect();
        assert_eq!(asked.iter().filter(|path| !path.ends_with("/shell") || !old).collect::<Vec<_>>(), [listing]);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_thread_is_put_away_once_a_listing_shows_that_it_is() {
    for old in [false, true] {
        let world = World::new().await;
        world.state().old = old;
        world.executor().ensure(&assignment()).await.unwrap();
        world.state().end("t-1");
        world.state().fail("thread.archive", &[Fault::Unheeded]);
        let run = assignment().run;
        let error = world.executor().archive(run).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Unreachable, "{error}");
        assert_eq!(world.the_agent().await.status, AgentStatus::Idle);
        // It is seen later.
        world.state().thread()["archivedAt"] = json!("2026-11-22T12:31:00.000Z");
        world.executor().archive(run).await.unwrap();
        assert_eq!(world.state().sent("thread.archive").len(), 1);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_thread_that_is_gone_costs_one_snapshot_and_is_then_known_to_be() {
    for field in ["archivedAt", "deletedAt"] {
        let world = World::new().await;
        world.executor().ensure(&assignment()).await.unwrap();
        world.state().end("t-1");
        world.state().thread()[field] = json!("2026-11-22T12:00:01.000Z");
        for _ in 0..3 {
            assert_eq!(world.the_agent().await.status, AgentStatus::Gone);
        }
        let snapshots = world.state().asked.iter().filter(|path| path.ends_with("/snapshot")).count();
        assert_eq!(snapshots, 1);
        world.state().thread()[field] = Value::Null;
        assert_eq!(world.the_agent().await.status, AgentStatus::Idle, "it was brought back");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_run_that_everybody_forgot_is_found_by_its_thread() {
    for old in [false, true] {
        let world = World::new().await;
        world.state().old = old;
        world.executor().ensure(&assignment()).await.unwrap();
        world.state().run("t-1");
        world.forget();
        for _ in 0..2 {
            let agent = world.the_agent().await;
            assert_eq!((agent.run, agent.issue.to_string()), (assignment().run, "acme/api#42".to_owned()));
            assert_eq!((agent.assignment, agent.status), (None, AgentStatus::Running));
            assert_eq!(agent.turns, [assignment().turn]);
        }
        let read = world.state().asked.iter().filter(|path| path.contains("/threads/")).count();
        assert_eq!(read, usize::from(!old));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_broken_on_disk_counts_as_forgotten() {
    let world = World::new().await;
    world.executor().ensure(&assignment()).await.unwrap();
    world.state().run("t-1");
    let file = world.folder.path().join("t3/runs").join(assignment().run.to_string()).join("run.json");
    std::fs::write(file, "{").unwrap();
    assert_eq!(world.the_agent().await.status, AgentStatus::Running);
}

#[tokio::test(flavor = "current_thread")]
async fn threads_of_people_are_not_listed_whatever_they_are_called() {
    let world = World::new().await;
    world.executor().ensure(&assignment()).await.unwrap();
    world.state().run("t-1");
    world.forget();
    let thread = world.state().threads.remove(0);
    let run = assignment().run.to_string();
    for (id, branch) in [
        ("mine", json!("afk/mine")),
        (&*Uuid::nil().to_string(), thread["branch"].clone()),
        (&*run, json!("main")),
        (&*run, json!(format!("afk/{run}-2"))),
        (&*run, Value::Null),
    ] {
        let mut thread = thread.clone();
        (thread["id"], thread["branch"]) = (json!(id), branch);
        world.state().threads = vec![thread];
        assert_eq!(world.executor().list().await.unwrap(), Roster::default());
    }
}

/// The same data path and the same settings, on another machine.
const ANOTHER: &str = "another afk";

#[tokio::test(flavor = "current_thread")]
async fn two_installations_that_share_everything_but_their_identity_leave_each_other_s_agents_alone() {
    for (old, persons) in [(false, false), (false, true), (true, false), (true, true)] {
        let world = World::new().await;
        world.state().old = old;
        if persons {
            // A person has made the project that both would use.
            world.state().projects.push(json!({ "id": "theirs", "workspaceRoot": "/srv/work/acme/api" }));
        }
        world.executor_of(ANOTHER, true).ensure(&assignment()).await.unwrap();
        world.state().run("t-1");
        world.forget();
        let commands = world.state().commands.len();
        let (executor, run) = (world.executor(), assignment().run);

        let roster = executor.list().await.unwrap();
        assert_eq!((roster.agents, roster.unreadable), (vec![], vec![]));
        let [(there, error)] = &roster.elsewhere[..] else { panic!("{:?}", roster.elsewhere) };
        assert_eq!(*there, run);
        assert!(error.message.contains("of the installation `another afk` of afk"), "{error}");

        // Not even where both have the same run to do.
        for _ in 0..2 {
            executor.ensure(&assignment()).await.unwrap_err();
        }
        executor.turn(run, correction(0), "Mend it.").await.unwrap_err();
        executor.interrupt(run).await.unwrap_err();
        world.state().end("t-1");
        executor.archive(run).await.unwrap_err();
        assert_eq!(world.state().commands.len(), commands);
        let roster = executor.list().await.unwrap();
        assert_eq!((roster.agents.len(), roster.unreadable.len()), (0, 1), "{roster:?}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_project_that_another_installation_has_made_is_not_used() {
    for old in [false, true] {
        let world = World::new().await;
        world.state().old = old;
        let theirs = project(ANOTHER, "acme/api", 0);
        world.state().projects.push(json!({ "id": theirs, "workspaceRoot": "/srv/work/acme/api" }));
        let error = world.executor().ensure(&assignment()).await.unwrap_err();
        assert!(error.message.contains("was made by another installation of afk"), "{error}");
        assert_eq!(world.state().commands, Vec::<Value>::new());
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_installation_that_crashed_and_comes_back_goes_on_with_its_own_agents() {
    for forgets in [false, true] {
        let world = World::new().await;
        world.state().projects.push(json!({ "id": "theirs", "workspaceRoot": "/srv/work/acme/api" }));
        world.state().fail(TURN, &[Fault::LostAfter]);
        world.executor().ensure(&assignment()).await.unwrap_err();
        world.state().run("t-1");
        if forgets {
            world.forget();
        }
        let agent = world.the_agent().await;
        assert_eq!((agent.run, agent.status), (assignment().run, AgentStatus::Running));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_forgotten_thread_that_was_renamed_is_said() {
    let world = World::new().await;
    world.executor().ensure(&assignment()).await.unwrap();
    world.state().run("t-1");
    world.state().thread()["title"] = json!("Fix the\u{1b}[2J greeting");
    assert_eq!(world.the_agent().await.issue.number, 42, "what is remembered counts");
    world.forget();
    let roster = world.executor().list().await.unwrap();
    let [(run, error)] = &roster.unreadable[..] else { panic!("{roster:?}") };
    assert_eq!(*run, assignment().run);
    assert!(error.message.contains("is called `Fix the greeting`, which is no issue"), "{error}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_process_that_only_looks_leaves_no_trace() {
    let world = World::new().await;
    world.executor().ensure(&assignment()).await.unwrap();
    world.state().end("t-1");
    world.forget();
    let looking = world.executor_of(CONTROLLER, false);
    looking.can_start().await.unwrap();
    assert_eq!(looking.list().await.unwrap().agents.len(), 1);
    assert!(!world.folder.path().join("t3").exists());
}

#[tokio::test(flavor = "current_thread")]
async fn a_token_that_ended_is_said_with_its_end() {
    let world = World::new().await;
    world.state().expires_at = Some("2026-11-22T13:00:00.000Z");
    world.executor().can_start().await.unwrap();
    world.state().locked_out = true;
    let error = world.executor().list().await.unwrap_err();
    assert!(error.message.contains("was good until 2026-11-22T13:00:00Z, so somebody has revoked it"), "{error}");
    world.later(7200);
    for error in [world.executor().list().await.unwrap_err(), world.executor().can_start().await.unwrap_err()] {
        assert!(error.message.contains("expired at 2026-11-22T13:00:00Z"), "{error}");
        assert!(!error.message.contains(TOKEN), "{error}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_token_that_was_never_seen_is_only_called_refused() {
    let world = World::new().await;
    world.state().locked_out = true;
    let error = world.executor().can_start().await.unwrap_err();
    assert!(error.message.contains("the variable `T3`") && error.message.contains("t3 auth session issue"), "{error}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_token_without_a_scope_cannot_start_an_agent() {
    let world = World::new().await;
    world.state().scopes = vec!["orchestration:read"];
    let error = world.executor().can_start().await.unwrap_err();
    assert!(error.message.contains("lacks the scope `orchestration:operate`"), "{error}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_turn_whose_answer_was_lost_is_not_forgotten_when_it_may_not_be_sent_again() {
    let world = World::new().await;
    world.state().fail(TURN, &[Fault::LostAfter, Fault::Forbidden]);
    for _ in 0..2 {
        world.executor().ensure(&assignment()).await.unwrap_err();
    }
    world.state().run("t-1");
    world.state().end("t-1");
    let agent = world.the_agent().await;
    assert_eq!((agent.turns, agent.status), (vec![assignment().turn], AgentStatus::Idle));
}

#[tokio::test(flavor = "current_thread")]
async fn a_first_turn_that_was_stopped_is_never_sent_although_everything_was_forgotten() {
    let world = World::new().await;
    world.state().fail(TURN, &[Fault::LostBefore]);
    world.executor().ensure(&assignment()).await.unwrap_err();
    world.forget();
    world.executor().interrupt(assignment().run).await.unwrap();
    world.executor().ensure(&assignment()).await.unwrap();
    assert_eq!(world.state().sent(TURN).len(), 1);
    let agent = world.the_agent().await;
    assert_eq!((agent.status, agent.assignment), (AgentStatus::Failed, Some(assignment())));
}

#[tokio::test(flavor = "current_thread")]
async fn an_agent_whose_subagents_go_on_after_its_turn_is_told_to_stop() {
    let world = World::new().await;
    world.executor().ensure(&assignment()).await.unwrap();
    world.state().end("t-1");
    world.state().thread()["backgroundLiveness"] = json!("working");
    assert_eq!(world.the_agent().await.status, AgentStatus::Running);
    world.executor().turn(assignment().run, correction(0), "Mend it.").await.unwrap_err();
    world.executor().archive(assignment().run).await.unwrap_err();
    world.executor().interrupt(assignment().run).await.unwrap();
    assert_eq!(world.state().sent("thread.turn.interrupt")[0]["turnId"], "t-1");
}

#[tokio::test(flavor = "current_thread")]
async fn a_turn_that_t3_code_has_and_does_not_show_yet_is_not_called_stopped() {
    let world = World::new().await;
    world.executor().ensure(&assignment()).await.unwrap();
    let error = world.executor().interrupt(assignment().run).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unreachable, "{error}");
    world.later(60);
    world.executor().interrupt(assignment().run).await.unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn a_thread_in_a_state_that_afk_does_not_know_is_not_archived() {
    let world = World::new().await;
    world.executor().ensure(&assignment()).await.unwrap();
    world.state().end("t-1");
    world.state().thread()["session"]["status"] = json!("dreaming");
    let error = world.executor().archive(assignment().run).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Refused);
    assert!(world.state().sent("thread.archive").is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn a_thread_that_is_never_to_begin_is_archived() {
    let world = World::new().await;
    world.state().fail(TURN, &[Fault::LostBefore]);
    world.executor().ensure(&assignment()).await.unwrap_err();
    let run = assignment().run;
    world.executor().archive(run).await.unwrap_err();
    world.executor().interrupt(run).await.unwrap();
    world.executor().archive(run).await.unwrap();
    assert_eq!(world.state().sent("thread.archive").len(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn a_run_whose_thread_vanished_before_the_answer_to_its_turn_came_does_not_start_for_ever() {
    let world = World::new().await;
    world.state().fail(TURN, &[Fault::LostAfter]);
    world.executor().ensure(&assignment()).await.unwrap_err();
    world.state().thread()["deletedAt"] = json!("2026-11-22T12:00:01.000Z");
    for _ in 0..2 {
        assert_eq!(world.the_agent().await.status, AgentStatus::Gone);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn runs_whose_newest_turn_was_never_settled_do_not_keep_a_newer_one_from_being_read() {
    let world = World::new().await;
    let executor = world.executor();
    for number in 1..=20 {
        let run = RunId::of_arming(&number.to_string());
        let issue = IssueRef { number, ..assignment().issue };
        let turn = run.derive(Purpose::FirstTurn, 0);
        executor.ensure(&Assignment { run, issue, turn, ..assignment() }).await.unwrap();
        world.state().end(&format!("t-{number}"));
        world.state().fail(TURN, &[Fault::LostBefore]);
        executor
            .turn(run, run.derive(Purpose::CorrectiveTurn { red_commit: "9ab3c1d" }, 0), "Mend it.")
            .await
            .unwrap_err();
    }
    world.later(3600);
    executor.ensure(&assignment()).await.unwrap();
    world.state().end("t-new");
    let roster = world.executor().list().await.unwrap();
    let agent = roster.agents.iter().find(|agent| agent.run == assignment().run).unwrap();
    assert!(agent.last_words.as_deref().is_some_and(|words| words.ends_with("Done.")), "{agent:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn an_agent_was_not_quiet_before_it_had_its_turn_whatever_the_server_s_clock_says() {
    let world = World::new().await;
    world.state().ahead = chrono::TimeDelta::hours(1);
    world.executor().ensure(&assignment()).await.unwrap();
    world.later(30);
    // T3 Code stamps the thread with the time of the command, which is this machine's.
    let quiet = world.clock.now() - world.the_agent().await.last_activity.unwrap();
    assert_eq!(quiet.num_seconds(), 30);
}

#[tokio::test(flavor = "current_thread")]
async fn a_server_whose_name_is_none_gets_no_links() {
    for id in ["", "..", "a/b", "x) [click](https://evil.example", &"x".repeat(10_000)] {
        let world = World::new().await;
        world.state().environment = Some(id.to_owned());
        world.executor().ensure(&assignment()).await.unwrap();
        assert_eq!(world.the_agent().await.link, None, "{id}");
    }
}

/// Threads that no server should show.
fn odd_threads() -> Vec<Value> {
    let with = |fields: Value| {
        let mut thread = json!({ "id": "odd", "session": null, "latestTurn": null, "messages": [], "activities": [] });
        thread.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        thread
    };
    vec![
        json!(null),
        json!(7),
        json!("odd"),
        json!([[]]),
        json!({}),
        json!({ "title": "no id" }),
        with(json!({ "id": 7 })),
        with(json!({ "latestTurn": { "turnId": "t-1" } })),
        with(json!({ "latestTurn": { "state": "running" } })),
        with(json!({ "latestTurn": "t-1" })),
        with(json!({ "session": {} })),
        with(json!({ "session": { "status": 7, "activeTurnId": {}, "lastError": [] } })),
        with(json!({ "session": ["ready"], "title": null, "projectId": 7, "branch": [], "worktreePath": {} })),
        with(json!({ "hasPendingApprovals": "no", "hasPendingUserInput": null, "backgroundLiveness": true })),
        with(json!({ "messages": null, "activities": { "kind": "tool.started" } })),
        with(json!({ "messages": [null, 7, []], "activities": ["tool.started", null] })),
        with(json!({ "updatedAt": 7, "messages": [{ "id": 7, "role": null, "text": null, "turnId": {} }],
            "activities": [{ "kind": "tool.started", "payload": null }, { "kind": "tool.started", "payload": "text" },
                { "kind": null, "payload": [1], "turnId": 7 }] })),
    ]
}

#[tokio::test(flavor = "current_thread")]
async fn a_stranger_s_thread_that_makes_no_sense_hides_no_agent() {
    for old in [false, true] {
        let world = World::new().await;
        world.state().old = old;
        world.executor().ensure(&assignment()).await.unwrap();
        world.state().run("t-1");
        for odd in odd_threads() {
            world.state().threads.insert(0, odd.clone());
            assert_eq!(world.the_agent().await.status, AgentStatus::Running, "{odd}");
            world.state().threads.remove(0);
        }
        world.state().threads.splice(0..0, odd_threads());
        world.state().projects.extend([json!(null), json!({}), json!({ "id": 7, "workspaceRoot": null })]);
        assert_eq!(world.the_agent().await.status, AgentStatus::Running);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_agent_whose_own_thread_makes_no_sense_is_unknown_and_not_stopped_or_put_away_blindly() {
    for (field, odd) in [
        ("session", json!({ "activeTurnId": null })),
        ("session", json!("ready")),
        ("latestTurn", json!({ "turnId": "t-1" })),
        ("latestTurn", json!({ "state": "completed" })),
    ] {
        let world = World::new().await;
        world.executor().ensure(&assignment()).await.unwrap();
        world.state().end("t-1");
        world.state().thread()[field] = odd.clone();
        let agent = world.the_agent().await;
        assert_eq!((agent.status, agent.turns), (AgentStatus::Unknown, vec![assignment().turn]), "{field} {odd}");
        let run = assignment().run;
        world.executor().turn(run, correction(0), "Mend it.").await.unwrap_err();
        world.executor().archive(run).await.unwrap_err();
        let error = world.executor().interrupt(run).await.unwrap_err();
        assert!(error.message.contains("in a way that afk does not understand"), "{error}");
        assert_eq!(world.state().commands.len(), 3, "{field} {odd}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_agent_whose_thread_lost_its_id_is_not_gone() {
    for (old, branch) in [(false, true), (false, false), (true, true), (true, false)] {
        let world = World::new().await;
        world.state().old = old;
        world.executor().ensure(&assignment()).await.unwrap();
        world.state().run("t-1");
        world.state().thread()["id"] = Value::Null;
        if !branch {
            world.state().thread()["branch"] = Value::Null;
        }
        for _ in 0..2 {
            let roster = world.executor().list().await.unwrap();
            let [(run, error)] = &roster.unreadable[..] else { panic!("{roster:?}") };
            assert_eq!((roster.agents.len(), *run), (0, assignment().run));
            assert!(error.message.contains("without an id"), "{error}");
        }
        world.state().thread()["branch"] = json!("main");
        assert_eq!(world.the_agent().await.status, AgentStatus::Gone, "it is somebody else's");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_agent_whose_thread_was_put_away_at_work_is_not_gone_until_it_is_seen_ended() {
    for field in ["archivedAt", "deletedAt"] {
        for old in [false, true] {
            let world = World::new().await;
            world.state().old = old;
            world.executor().ensure(&assignment()).await.unwrap();
            world.state().run("t-1");
            world.state().thread()[field] = json!("2026-11-22T12:00:06.000Z");
            for _ in 0..2 {
                let agent = world.the_agent().await;
                assert_eq!(agent.status, AgentStatus::Unknown);
                assert!(agent.last_words.unwrap().contains("archived or deleted while its agent was at work"));
            }
            // It may hear it all the same.
            world.executor().interrupt(assignment().run).await.unwrap();
            assert_eq!(world.state().sent("thread.turn.interrupt")[0]["turnId"], "t-1");
            world.state().thread()["session"] = json!({ "status": "stopped", "activeTurnId": null });
            assert_eq!(world.the_agent().await.status, AgentStatus::Gone);
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn of_two_processes_at_once_one_starts_the_run_and_one_sends_a_turn() {
    for old in [false, true] {
        let world = World::new().await;
        world.state().old = old;
        let (one, two) = (world.executor(), world.executor());
        let first = assignment();
        let (left, right) = tokio::join!(one.ensure(&first), two.ensure(&first));
        left.unwrap();
        right.unwrap();
        world.came_to_one_of_each();
        world.state().run("t-1");
        world.state().end("t-1");
        let run = first.run;
        let (a, b) = tokio::join!(one.turn(run, correction(0), "a"), two.turn(run, correction(1), "b"));
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
        assert_eq!(world.state().sent(TURN).len(), 2);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let world = World { checkouts: None, ..World::new().await };
    world.state().expires_at = Some("2026-11-22T13:00:00.000Z");
    world.executor().can_start().await.unwrap();
    world.executor().ensure(&assignment()).await.unwrap();
    let mut folders = vec![world.folder.path().join("t3")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let mode = path.metadata().unwrap().permissions().mode() & 0o077;
            assert!(mode == 0 || path.ends_with("workspace") || path.ends_with("api"), "{path:?} {mode:o}");
            if path.is_dir() {
                folders.push(path);
            } else {
                assert!(!std::fs::read_to_string(&path).unwrap().contains(TOKEN));
            }
        }
    }
}
