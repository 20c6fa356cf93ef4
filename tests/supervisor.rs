//! The supervisor with real processes: floods, orphans, signals, crashes.

mod command_support;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use afk::policy::facts::AgentStatus;
use afk::ports::Executor;
use afk::settings::AgentOutput;
use command_support::{AFK, World, eventually, git, is_alive, json, number_in, report, shell, until};
use pretty_assertions::assert_eq;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::json;
use uuid::Uuid;

fn signal(process: i32, signal: Signal) {
    kill_process(Pid::from_raw(process).unwrap(), signal).unwrap();
}

fn supervisor_of(turn: &Path) -> i32 {
    i32::try_from(json(&turn.join("started.json"))["supervisor"].as_i64().unwrap()).unwrap()
}

/// A turn as the executor prepares it, for a supervisor that is started by hand.
fn prepared_turn(world: &World, script: &str) -> PathBuf {
    let run = world.assignment("1").run;
    let directory = world.run(run);
    let turn = directory.join("turns").join(Uuid::from_u128(1).to_string());
    std::fs::create_dir_all(&turn).unwrap();
    std::fs::create_dir(directory.join("workspace")).unwrap();
    std::fs::write(turn.join("prompt.md"), "mend it\n").unwrap();
    let order = json!({
        "run": run, "number": 1, "argv": ["/bin/sh", "-c", script], "prompt_on_stdin": true, "settings": shell(script),
    });
    std::fs::write(turn.join("turn.json"), order.to_string()).unwrap();
    turn
}

#[tokio::test]
async fn a_flood_of_output_neither_blocks_the_agent_nor_fills_the_disk() {
    let world = World::new();
    let line = "x".repeat(1023);
    let mut settings = shell(&format!(
        "echo begin; yes {line} | head -c 1024000000; echo AFK-Milestone: tests_green; yes error | head -c 48000000 >&2; sleep 0.5; echo end"
    ));
    settings.output_limit_bytes = 100_000;
    let executor = world.executor(settings);
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let report = until(&executor, assignment.run, AgentStatus::Idle).await;
    assert!(report.last_words.unwrap().ends_with("end"));
    assert_eq!(report.milestones.unwrap(), ["tests_green"]);
    let log = std::fs::read_to_string(world.first_turn(&assignment).join("output.log")).unwrap();
    assert!(log.len() <= 100_000, "{} bytes", log.len());
    assert!(log.starts_with("begin\nxxx"));
    assert!(log.ends_with("error\nend\n"));
    assert!(log.contains("[afk left out"));
}

#[tokio::test]
async fn the_result_line_is_read_though_the_log_has_no_room_for_what_came_before() {
    let world = World::new();
    let mut settings = shell(
        r#"yes '{"type":"user","message":{}}' | head -c 3000000; printf '%03000000d\n' 0
        echo '{"type":"result","subtype":"success","is_error":false,"result":"landed","session_id":"s","total_cost_usd":1.5}'"#,
    );
    settings.output = AgentOutput::Claude;
    settings.output_limit_bytes = 1_000;
    let executor = world.executor(settings);
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let report = until(&executor, assignment.run, AgentStatus::Idle).await;
    assert_eq!((report.last_words.as_deref(), report.cost_usd), (Some("landed"), Some(1.5)));
    let log = std::fs::metadata(world.first_turn(&assignment).join("output.log")).unwrap();
    assert!(log.len() <= 1_000);
}

#[tokio::test]
async fn children_that_outlive_the_agent_are_ended_with_it() {
    let world = World::new();
    let executor = world.executor(shell(
        "sleep 1000 & echo $! > ../child
         (trap '' TERM; while :; do sleep 1; done) & echo $! > ../stubborn
         exit 0",
    ));
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    until(&executor, assignment.run, AgentStatus::Idle).await;
    for child in ["child", "stubborn"] {
        let child = number_in(&world.run(assignment.run).join(child)).unwrap();
        assert!(!is_alive(child));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn children_that_began_a_session_of_their_own_are_ended_too() {
    let world = World::new();
    let executor = world.executor(shell(
        "setsid sh -c 'trap \"\" TERM HUP; echo $$ > ../daemon; cd /; setsid sleep 1000 & exec sleep 1000' > /dev/null 2>&1 < /dev/null &
         while ! test -s ../daemon; do sleep 0.05; done",
    ));
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    until(&executor, assignment.run, AgentStatus::Idle).await;
    let daemon = number_in(&world.run(assignment.run).join("daemon")).unwrap();
    assert!(!is_alive(daemon));
    // Its own children too.
    let mark = format!("AFK_RUN={}", assignment.run);
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
        let ours =
            std::fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(world.directory.path()));
        assert!(!(ours && String::from_utf8_lossy(&environment).contains(&mark)), "{process:?} is left");
    }
}

#[tokio::test]
async fn a_supervisor_that_is_told_to_end_ends_its_agent_first() {
    let world = World::new();
    let executor = world.executor(shell("echo $$ > ../agent; exec sleep 1000"));
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let agent = world.run(assignment.run).join("agent");
    eventually("the agent writes its id", || number_in(&agent).is_some()).await;
    signal(supervisor_of(&world.first_turn(&assignment)), Signal::TERM);
    until(&executor, assignment.run, AgentStatus::Failed).await;
    assert!(!is_alive(number_in(&agent).unwrap()));
    let exit = json(&world.first_turn(&assignment).join("exit.json"));
    assert_eq!(exit["why"], "terminated");
}

#[tokio::test]
async fn a_run_whose_supervisor_was_killed_has_failed_and_is_not_started_again() {
    let world = World::new();
    let executor = world.executor(shell("echo $$ >> ../agent; exec sleep 1000"));
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let agent = world.run(assignment.run).join("agent");
    eventually("the agent writes its id", || number_in(&agent).is_some()).await;
    signal(supervisor_of(&world.first_turn(&assignment)), Signal::KILL);
    until(&executor, assignment.run, AgentStatus::Failed).await;
    executor.ensure(&assignment).await.unwrap();
    assert_eq!(report(&executor, assignment.run).await.status, AgentStatus::Failed);
    // Interrupting it ends what is left of it, where that can be found.
    executor.interrupt(assignment.run).await.unwrap();
    if cfg!(target_os = "linux") {
        eventually("the agent ends", || !is_alive(number_in(&agent).unwrap())).await;
    } else {
        signal(number_in(&agent).unwrap(), Signal::KILL);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_correction_after_a_crash_ends_the_old_agent_first() {
    let world = World::new();
    let mut settings = shell("echo $$ > ../agent; exec sleep 1000");
    settings.resume = vec!["/bin/true".into()];
    let executor = world.executor(settings);
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let agent = world.run(assignment.run).join("agent");
    eventually("the agent writes its id", || number_in(&agent).is_some()).await;
    signal(supervisor_of(&world.first_turn(&assignment)), Signal::KILL);
    until(&executor, assignment.run, AgentStatus::Failed).await;
    assert!(is_alive(number_in(&agent).unwrap()));
    executor.turn(assignment.run, Uuid::from_u128(7), "again").await.unwrap();
    assert!(!is_alive(number_in(&agent).unwrap()));
    until(&executor, assignment.run, AgentStatus::Idle).await;
}

#[tokio::test]
async fn an_agent_outlives_the_tick_that_started_it() {
    let world = World::new();
    let turn = prepared_turn(&world, "while ! test -e ../go; do sleep 0.05; done; cat");
    // A tick: it leads a group, starts the supervisor, and is killed with its whole group.
    let mut tick = Command::new("/bin/sh")
        .args(["-c", "\"$0\" supervise \"$1\" & wait", AFK])
        .arg(&turn)
        .process_group(0)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the turn begins", || turn.join("started.json").exists()).await;
    kill_process_group(Pid::from_child(&tick), Signal::KILL).unwrap();
    tick.wait().unwrap();
    std::fs::write(world.run(world.assignment("1").run).join("go"), "").unwrap();
    eventually("the turn ends", || turn.join("exit.json").exists()).await;
    assert_eq!(json(&turn.join("exit.json"))["success"], true);
    assert_eq!(std::fs::read_to_string(turn.join("output.log")).unwrap(), "mend it\n");
}

#[tokio::test]
async fn a_turn_is_supervised_once_however_often_it_is_asked_for() {
    let world = World::new();
    let turn = prepared_turn(&world, "echo begun >> ../begun; sleep 0.5");
    let supervise = || Command::new(AFK).arg("supervise").arg(&turn).stdin(Stdio::null()).spawn().unwrap();
    let mut supervisors = [supervise(), supervise(), supervise()];
    for supervisor in &mut supervisors {
        assert!(supervisor.wait().unwrap().success());
    }
    assert!(supervise().wait().unwrap().success());
    let begun = world.run(world.assignment("1").run).join("begun");
    assert_eq!(std::fs::read_to_string(begun).unwrap(), "begun\n");
}

#[tokio::test]
async fn a_turn_that_began_and_has_no_end_is_never_begun_again() {
    let world = World::new();
    let turn = prepared_turn(&world, "touch ../begun");
    // The supervisor died right after it took the turn.
    std::fs::write(turn.join("started.json"), r#"{"at":"2026-11-22T14:00:00Z","supervisor":1}"#).unwrap();
    assert!(Command::new(AFK).arg("supervise").arg(&turn).status().unwrap().success());
    assert!(!world.run(world.assignment("1").run).join("begun").exists());
}

#[tokio::test]
async fn a_turn_that_makes_no_sense_is_refused_with_a_sentence() {
    let world = World::new();
    let turn = prepared_turn(&world, "true");
    std::fs::write(turn.join("turn.json"), "{}").unwrap();
    let output = Command::new(AFK).arg("supervise").arg(&turn).output().unwrap();
    assert!(!output.status.success());
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("turn.json") && complaint.contains("missing field"), "{complaint}");
}

#[tokio::test]
async fn ending_takes_no_longer_than_it_must() {
    let world = World::new();
    let mut settings = shell("exec sleep 1000");
    settings.grace = Duration::from_secs(50);
    let executor = world.executor(settings);
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let asked = Instant::now();
    executor.interrupt(assignment.run).await.unwrap();
    until(&executor, assignment.run, AgentStatus::Failed).await;
    assert!(asked.elapsed() < Duration::from_secs(30), "the whole grace was waited for");
}

#[test]
fn the_repository_of_these_tests_is_real() {
    let world = World::new();
    assert_eq!(git(&world.path("origin.git"), &["rev-parse", "main"]), world.base);
}
