//! That the live tests fail where they have to, leave nothing behind, and run where the environment says.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::rc::Rc;

use serde_json::{Value, json};

use crate::FOUND;
use crate::installation::{InstallationOf, Local};
use crate::live::{Old, Yours};
use crate::somebody::{CHECKOUTS, FOLDER, MODEL, PROVIDER, TOKEN_FILE, TOKEN_VARIABLE, URL, next_is};
use crate::t3_fake::contract::recordings;
use crate::t3_fake::{Fake, Generation, TOKEN};

/// How a server answers otherwise than the recorded ones.
type Drift = fn(&mut u16, &mut Value);

/// Calls something for every object of an answer.
fn every(value: &mut Value, act: &mut impl FnMut(&mut serde_json::Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            act(fields);
            fields.values_mut().for_each(|value| every(value, act));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| every(item, act)),
        _ => {}
    }
}

fn sessions_are_busy(_: &mut u16, body: &mut Value) {
    every(body, &mut |fields| {
        if fields.get("status").is_some_and(|status| status == "running") {
            fields.insert("status".to_owned(), json!("busy"));
        }
    });
}

fn commands_are_created(status: &mut u16, body: &mut Value) {
    if body.get("sequence").is_some() {
        *status = 201;
    }
}

fn threads_have_a_colour(_: &mut u16, body: &mut Value) {
    every(body, &mut |fields| {
        if fields.contains_key("worktreePath") {
            fields.insert("colour".to_owned(), json!("red"));
        }
    });
}

fn threads_have_no_session(_: &mut u16, body: &mut Value) {
    every(body, &mut |fields| drop(fields.remove("providerInstanceId")));
}

/// What is found when a run is begun on a fake that answers otherwise than recorded.
fn found_on(generation: Generation, drift: Drift) -> Vec<String> {
    let fake = Rc::new(Fake::start_blocking(generation));
    fake.state().drift = Some(drift);
    next_is(fake);
    let failed = catch_unwind(AssertUnwindSafe(|| match generation {
        Generation::Main => live::<Yours>(),
        Generation::V0_0_27 => live::<Old>(),
    }));
    assert!(failed.is_err(), "a server that answers otherwise than recorded went through");
    FOUND.with(|found| found.borrow_mut().split_off(0))
}

fn live<R: crate::installation::Runner>() {
    let afk = InstallationOf::<Local, R>::armed().agent("hangs").hasty();
    afk.dispatch();
    afk.wait_until("at work", || afk.agent_of_run().turns == 1);
    afk.watch();
}

#[test]
fn a_server_that_answers_otherwise_than_recorded_fails_the_test() {
    if recordings(Generation::Main).is_none() {
        return;
    }
    let drifts: [(Drift, &str); 4] = [
        (sessions_are_busy, "session.status is \"busy\""),
        (commands_are_created, "POST /api/orchestration/dispatch 201 came as"),
        (threads_have_a_colour, ".colour was never seen"),
        (threads_have_no_session, "session.providerInstanceId was always there"),
    ];
    for (at, (drift, words)) in drifts.into_iter().enumerate() {
        let generation = if at == 0 { Generation::V0_0_27 } else { Generation::Main };
        let found = found_on(generation, drift);
        assert!(found.iter().any(|line| line.contains(words)), "{words}: {found:#?}");
    }
}

#[track_caller]
fn is_clean(fake: &Fake) {
    let state = fake.state();
    let threads = state.threads.iter().filter(|thread| thread.deleted_at.is_none() || thread.agent.is_some());
    assert_eq!(threads.map(|thread| &thread.id).collect::<Vec<_>>(), Vec::<&String>::new());
    let projects = state.projects.iter().filter(|project| project.deleted_at.is_none());
    assert_eq!(projects.map(|project| project.title.as_str()).collect::<Vec<_>>(), ["of a person"]);
}

/// A fake with a project of a person, and one that an earlier run left behind.
fn used(generation: Generation) -> (Rc<Fake>, tempfile::TempDir) {
    let fake = Rc::new(Fake::start_blocking(generation));
    let folder = tempfile::tempdir().unwrap();
    for (title, root) in
        [("of a person", "work".to_owned()), ("left behind", format!("{FOLDER}1-abc/checkouts/greeter"))]
    {
        let root = folder.path().join(root);
        let create = json!({
            "type": "project.create", "commandId": title, "projectId": title, "title": title, "workspaceRoot": root,
            "createWorkspaceRootIfMissing": true, "createdAt": "2026-11-22T13:55:38.971Z",
        });
        assert_eq!(fake.person(&create), 200);
    }
    (fake, folder)
}

#[test]
fn a_test_that_fails_in_mid_run_leaves_nothing_on_the_server() {
    let (fake, folder) = used(Generation::Main);
    next_is(fake.clone());
    let failed = catch_unwind(|| {
        let afk = InstallationOf::<Local, Yours>::armed().agent("hangs").hasty();
        assert_eq!(afk.runner.somebody().sweep().len(), 1);
        afk.dispatch();
        afk.wait_until("at work", || afk.agent_of_run().turns == 1);
        panic!("as a scenario that fails does");
    });
    assert!(failed.is_err());
    is_clean(&fake);
    assert!(!folder.path().join(format!("{FOLDER}1-abc")).exists());
}

#[test]
fn the_server_that_the_environment_names_is_the_one_and_what_was_left_there_is_removed() {
    // Nobody's server is tried where nothing is there to hold it against.
    if recordings(Generation::Main).is_none() {
        return;
    }
    let (fake, _folder) = used(Generation::Main);
    fake.agent(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/t3_live/provider.sh"));
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in [CHECKOUTS, MODEL, PROVIDER, TOKEN_FILE] {
        command.env_remove(name);
    }
    let ran = command
        .args(["--exact", "yours::life::an_agent_that_is_right_at_once_needs_no_second_turn"])
        .env(URL, fake.uri())
        .env(TOKEN_VARIABLE, TOKEN)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    let state = fake.state();
    assert_eq!((state.threads.len(), state.projects.len()), (1, 3), "it was lived elsewhere");
    drop(state);
    is_clean(&fake);
}
