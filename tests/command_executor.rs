//! The command executor with real processes: bringing runs up, talking to them, stopping them, listing them.

mod command_support;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use afk::policy::facts::AgentStatus;
use afk::ports::{Executor, PortErrorKind};
use afk::settings::AgentOutput;
use command_support::{World, eventually, git, is_alive, json, number_in, report, shell, until};
use pretty_assertions::assert_eq;
use uuid::Uuid;

#[tokio::test]
async fn an_agent_that_exits_0_is_idle_and_its_last_words_are_kept() {
    let world = World::new();
    let executor = world.executor(shell("echo AFK-Milestone: worktree; echo all done"));
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let report = until(&executor, assignment.run, AgentStatus::Idle).await;
    assert_eq!(report.issue, assignment.issue);
    assert_eq!(report.turns, [assignment.turn]);
    assert_eq!(report.milestones.unwrap(), ["worktree"]);
    assert_eq!(report.last_words.as_deref(), Some("AFK-Milestone: worktree\nall done"));
    assert_eq!(report.cost_usd, None);
    assert!(report.last_activity.is_some());
    assert_eq!(report.assignment, Some(assignment));
}

#[tokio::test]
async fn an_agent_that_exits_otherwise_has_failed() {
    let world = World::new();
    let executor = world.executor(shell("echo oh no >&2; exit 3"));
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let report = until(&executor, assignment.run, AgentStatus::Failed).await;
    assert_eq!(report.last_words.as_deref(), Some("oh no"));
    let exit = json(&world.first_turn(&assignment).join("exit.json"));
    assert_eq!((exit["why"].as_str(), exit["code"].as_i64()), (Some("exited"), Some(3)));
}

#[tokio::test]
async fn an_agent_that_cannot_be_started_has_failed_and_says_why() {
    let world = World::new();
    let mut settings = shell("");
    // It is there, and what it needs to be run is not.
    let agent = world.path("agent");
    std::fs::write(&agent, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&agent, std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = agent.display().to_string();
    settings.start = vec![program.clone()];
    let executor = world.executor(settings);
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let report = until(&executor, assignment.run, AgentStatus::Failed).await;
    let words = report.last_words.unwrap();
    assert!(words.starts_with(&format!("could not start `{program}`: ")), "{words}");
}

#[tokio::test]
async fn whether_the_agents_program_is_there_can_be_asked_without_starting_it() {
    let world = World::new();
    let mut settings = shell("");
    for program in ["no-such-agent", "/no/such/agent"] {
        settings.start = vec![program.to_owned()];
        let error = world.executor(settings.clone()).can_start().await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Refused);
        assert!(error.message.contains(program), "{error}");
    }
    for program in ["sh", "/bin/sh"] {
        settings.start = vec![program.to_owned()];
        world.executor(settings.clone()).can_start().await.unwrap();
    }
}

#[tokio::test]
async fn the_agent_works_in_a_clone_at_the_base_on_the_default_branch_and_reads_the_prompt() {
    let world = World::new();
    let executor = world.executor(shell("cat; git rev-parse HEAD --abbrev-ref HEAD; pwd"));
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let report = until(&executor, assignment.run, AgentStatus::Idle).await;
    let workspace = world.run(assignment.run).join("workspace").canonicalize().unwrap();
    let expected = format!("mend it\n{}\nmain\n{}", world.base, workspace.display());
    assert_eq!(report.last_words.unwrap(), expected);
}

#[tokio::test]
async fn places_in_the_argv_are_filled_and_never_seen_by_a_shell() {
    let world = World::new();
    let mut settings = shell("");
    settings.start = ["/bin/echo", "{prompt}", "--model={model}", "{runtime_mode}", "{run}", "{prompt_file}"]
        .map(str::to_owned)
        .to_vec();
    let executor = world.executor(settings);
    let mut assignment = world.assignment("1");
    assignment.prompt = "$(touch pwned) `touch pwned`; {model} *".to_owned();
    executor.ensure(&assignment).await.unwrap();
    let report = until(&executor, assignment.run, AgentStatus::Idle).await;
    let prompt_file = world.first_turn(&assignment).join("prompt.md");
    assert_eq!(
        report.last_words.unwrap(),
        format!(
            "$(touch pwned) `touch pwned`; {{model}} * --model=opus full-access {} {}",
            assignment.run,
            prompt_file.display()
        )
    );
    assert!(!world.run(assignment.run).join("workspace/pwned").exists());
}

#[tokio::test]
async fn an_agent_sees_the_variables_it_was_given_and_no_others() {
    let world = World::new();
    let mut settings = shell("/usr/bin/env");
    settings.environment = vec!["CARGO_PKG_NAME".to_owned(), "NOT_SET_ANYWHERE".to_owned()];
    let executor = world.executor(settings);
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let report = until(&executor, assignment.run, AgentStatus::Idle).await;
    let words = report.last_words.unwrap();
    // What a shell sets by itself.
    let own = ["PWD=", "OLDPWD=", "SHLVL=", "_="];
    let mut seen: Vec<&str> = words.lines().filter(|line| !own.iter().any(|own| line.starts_with(own))).collect();
    seen.sort_unstable();
    assert_eq!(seen, [format!("AFK_RUN={}", assignment.run), "CARGO_PKG_NAME=afk".to_owned()]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_agent_cannot_read_the_environment_of_its_supervisor() {
    let world = World::new();
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let executor = world.executor(shell("tr '\\0' '\\n' < /proc/$PPID/environ || echo refused"));
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let report = until(&executor, assignment.run, AgentStatus::Idle).await;
    let words = report.last_words.unwrap();
    if rustix::process::geteuid().is_root() {
        let skipped = "skipped: root may read everything, so that nothing is refused; checking only what it finds";
        std::io::Write::write_all(&mut std::io::stderr(), format!("{skipped}\n").as_bytes()).unwrap();
        assert!(words.starts_with("PATH=") && words.lines().count() == 1, "{words}");
    } else {
        assert!(words.contains("Permission denied") && words.lines().any(|line| line == "refused"), "{words}");
    }
}

#[tokio::test]
async fn ensuring_a_run_again_starts_nothing_again() {
    let world = World::new();
    let executor = world.executor(shell("echo begun >> ../begun"));
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    executor.ensure(&assignment).await.unwrap();
    until(&executor, assignment.run, AgentStatus::Idle).await;
    executor.ensure(&assignment).await.unwrap();
    let report = report(&executor, assignment.run).await;
    assert_eq!(report.status, AgentStatus::Idle);
    assert_eq!(std::fs::read_to_string(world.run(assignment.run).join("begun")).unwrap(), "begun\n");
}

#[tokio::test]
async fn a_run_that_is_ensured_by_many_at_once_starts_once() {
    let world = World::new();
    let settings = shell("echo begun >> ../begun; sleep 1");
    let executors: Vec<_> = (0..4).map(|_| world.executor(settings.clone())).collect();
    let assignment = world.assignment("1");
    let (a, b, c, d) = tokio::join!(
        executors[0].ensure(&assignment),
        executors[1].ensure(&assignment),
        executors[2].ensure(&assignment),
        executors[3].ensure(&assignment),
    );
    for result in [a, b, c, d] {
        result.unwrap();
    }
    until(&executors[0], assignment.run, AgentStatus::Idle).await;
    assert_eq!(std::fs::read_to_string(world.run(assignment.run).join("begun")).unwrap(), "begun\n");
}

#[tokio::test]
async fn a_run_that_was_ensured_is_listed_as_running_at_once() {
    let world = World::new();
    let executor = world.executor(shell("exec sleep 1000"));
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    assert_eq!(report(&executor, assignment.run).await.status, AgentStatus::Running);
    executor.interrupt(assignment.run).await.unwrap();
    until(&executor, assignment.run, AgentStatus::Failed).await;
}

#[tokio::test]
async fn a_run_that_was_left_half_way_is_brought_up_from_there() {
    let world = World::new();
    let executor = world.executor(shell("test -e README.md"));
    let assignment = world.assignment("1");
    // A crash in the middle of the clone, before any turn.
    let mut nowhere = assignment.clone();
    nowhere.issue.repo = "acme/gone".to_owned();
    let error = executor.ensure(&nowhere).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::NotFound);
    assert_eq!(report(&executor, assignment.run).await.status, AgentStatus::Starting);
    let manifest = world.run(assignment.run).join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap().replace("acme/gone", "acme/app");
    std::fs::write(&manifest, text).unwrap();
    let half = world.run(assignment.run).join("workspace.partial");
    std::fs::create_dir(&half).unwrap();
    std::fs::write(half.join("rubbish"), "").unwrap();

    executor.ensure(&assignment).await.unwrap();
    until(&executor, assignment.run, AgentStatus::Idle).await;
    assert!(!world.run(assignment.run).join("workspace/rubbish").exists());
}

#[tokio::test]
async fn an_agent_that_hangs_and_ignores_term_is_killed_when_interrupted() {
    let world = World::new();
    let executor = world.executor(shell("trap '' TERM; echo $$ > ../agent; while :; do sleep 1; done"));
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let file = world.run(assignment.run).join("agent");
    eventually("the agent writes its id", || number_in(&file).is_some()).await;
    executor.interrupt(assignment.run).await.unwrap();
    until(&executor, assignment.run, AgentStatus::Failed).await;
    assert!(!is_alive(number_in(&file).unwrap()));
    let exit = json(&world.first_turn(&assignment).join("exit.json"));
    assert_eq!((exit["why"].as_str(), exit["signal"].as_i64()), (Some("interrupted"), Some(9)));

    executor.ensure(&assignment).await.unwrap();
    executor.interrupt(assignment.run).await.unwrap();
    assert_eq!(report(&executor, assignment.run).await.status, AgentStatus::Failed);
}

#[tokio::test]
async fn an_interrupted_agent_may_tidy_up() {
    let world = World::new();
    let executor = world.executor(shell("trap 'echo tidied up; exit 0' TERM; echo here; while :; do sleep 0.1; done"));
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let log = world.first_turn(&assignment).join("output.log");
    eventually("the agent is there", || std::fs::read_to_string(&log).is_ok_and(|log| log == "here\n")).await;
    executor.interrupt(assignment.run).await.unwrap();
    // It exits with 0, and was interrupted all the same.
    let report = until(&executor, assignment.run, AgentStatus::Failed).await;
    assert!(report.last_words.as_deref().is_some_and(|words| words.contains("tidied up")), "{report:?}");
}

#[tokio::test]
async fn a_run_that_is_interrupted_before_its_agent_began_never_begins() {
    let world = World::new();
    let executor = world.executor(shell("touch ../begun"));
    let assignment = world.assignment("1");
    let mut nowhere = assignment.clone();
    nowhere.issue.repo = "acme/gone".to_owned();
    executor.ensure(&nowhere).await.unwrap_err();
    executor.interrupt(assignment.run).await.unwrap();
    executor.ensure(&assignment).await.unwrap();
    assert_eq!(report(&executor, assignment.run).await.status, AgentStatus::Failed);
    assert!(!world.run(assignment.run).join("begun").exists());
}

#[tokio::test]
async fn interrupting_what_is_not_there_does_nothing() {
    let world = World::new();
    let executor = world.executor(shell("true"));
    executor.interrupt(world.assignment("1").run).await.unwrap();
    assert_eq!(executor.list().await.unwrap().agents, []);
}

#[tokio::test]
async fn a_correction_goes_to_the_same_session_in_the_same_clone() {
    let world = World::new();
    let script = r#"printf '%s\n' '{"type":"system","subtype":"init","session_id":"abc-1"}' \
        '{"type":"assistant","message":{"content":[{"type":"text","text":"AFK-Milestone: tests_red\nfirst"}]}}' \
        '{"type":"result","subtype":"success","is_error":false,"result":"did it","session_id":"abc-1","total_cost_usd":0.25}'
        touch mine"#;
    let mut settings = shell(script);
    settings.output = AgentOutput::Claude;
    settings.resume = vec![
        "/bin/sh".to_owned(),
        "-c".to_owned(),
        r#"cat >&2; test -e mine && printf '{"type":"result","subtype":"success","is_error":false,"result":"resumed %s","total_cost_usd":0.5}\n' "$0""#.to_owned(),
        "{session}".to_owned(),
    ];
    let executor = world.executor(settings);
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let first = until(&executor, assignment.run, AgentStatus::Idle).await;
    assert_eq!(first.last_words.as_deref(), Some("did it"));
    assert_eq!(first.milestones.unwrap(), ["tests_red"]);

    let correction = Uuid::from_u128(7);
    executor.turn(assignment.run, correction, "CI is red\n").await.unwrap();
    executor.turn(assignment.run, correction, "CI is red\n").await.unwrap();
    let second = until(&executor, assignment.run, AgentStatus::Idle).await;
    executor.turn(assignment.run, correction, "CI is red\n").await.unwrap();
    assert_eq!(second.turns, [assignment.turn, correction]);
    assert_eq!(second.last_words.as_deref(), Some("resumed abc-1"));
    assert_eq!(second.cost_usd, Some(0.75));
    assert_eq!(second.milestones.unwrap(), ["tests_red"]);
}

#[tokio::test]
async fn a_correction_waits_for_the_turn_at_work() {
    let world = World::new();
    let executor = world.executor(shell("exec sleep 1000"));
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let error = executor.turn(assignment.run, Uuid::from_u128(7), "CI is red").await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Refused);
    assert!(error.message.contains("still at work"), "{error}");
    executor.interrupt(assignment.run).await.unwrap();
    until(&executor, assignment.run, AgentStatus::Failed).await;
    assert_eq!(report(&executor, assignment.run).await.turns, [assignment.turn]);
}

#[tokio::test]
async fn a_correction_without_the_session_it_needs_is_refused() {
    let world = World::new();
    let mut settings = shell("true");
    settings.resume.push("{session}".to_owned());
    let executor = world.executor(settings);
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    until(&executor, assignment.run, AgentStatus::Idle).await;
    let error = executor.turn(assignment.run, Uuid::from_u128(7), "CI is red").await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Refused);
    assert!(error.message.contains("never told its session id"), "{error}");
}

#[tokio::test]
async fn a_correction_for_a_run_that_is_not_there_is_not_found() {
    let world = World::new();
    let executor = world.executor(shell("true"));
    let error = executor.turn(world.assignment("1").run, Uuid::from_u128(7), "CI is red").await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::NotFound);
}

#[tokio::test]
async fn only_the_runs_of_this_executor_and_controller_are_listed_and_touched() {
    let world = World::new();
    let mine = world.executor(shell("true"));
    let assignment = world.assignment("1");
    mine.ensure(&assignment).await.unwrap();
    until(&mine, assignment.run, AgentStatus::Idle).await;
    for other in
        [world.executor_of("afk@there", "shell", shell("true")), world.executor_of("afk@here", "other", shell("true"))]
    {
        assert_eq!(other.list().await.unwrap().agents, []);
        assert_eq!(other.ensure(&assignment).await.unwrap_err().kind, PortErrorKind::Refused);
        assert_eq!(other.interrupt(assignment.run).await.unwrap_err().kind, PortErrorKind::Refused);
    }
}

#[tokio::test]
async fn a_run_that_is_over_is_not_read_again_and_stays_for_people_to_look_at() {
    let world = World::new();
    let executor = world.executor(shell("echo done"));
    let (over, other) = (world.assignment("1"), world.assignment("2"));
    for assignment in [&over, &other] {
        executor.ensure(assignment).await.unwrap();
        until(&executor, assignment.run, AgentStatus::Idle).await;
    }
    for _ in 0..2 {
        executor.dismiss(over.run).await.unwrap();
    }
    // It would be said, if anybody looked.
    std::fs::write(world.run(over.run).join("manifest.json"), "{").unwrap();
    let roster = executor.list().await.unwrap();
    assert_eq!((roster.agents.len(), roster.agents[0].run, roster.unreadable), (1, other.run, vec![]));
    assert!(world.run(over.run).join("workspace").is_dir() && world.first_turn(&over).join("output.log").is_file());
}

#[tokio::test]
async fn a_run_whose_agent_is_at_work_is_not_dismissed() {
    let world = World::new();
    let executor = world.executor(shell("sleep 60"));
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    assert_eq!(executor.dismiss(assignment.run).await.unwrap_err().kind, PortErrorKind::Refused);
    report(&executor, assignment.run).await;
    executor.interrupt(assignment.run).await.unwrap();
    until(&executor, assignment.run, AgentStatus::Failed).await;
}

#[tokio::test]
async fn a_broken_run_costs_no_other_run_its_place_in_the_listing() {
    let world = World::new();
    let executor = world.executor(shell("true"));
    let (good, unreadable, foreign, odd) =
        (world.assignment("1"), world.assignment("2"), world.assignment("3"), world.assignment("4"));
    for assignment in [&good, &unreadable, &foreign, &odd] {
        executor.ensure(assignment).await.unwrap();
        until(&executor, assignment.run, AgentStatus::Idle).await;
    }
    std::fs::write(world.run(unreadable.run).join("manifest.json"), "{").unwrap();
    std::fs::copy(world.run(good.run).join("manifest.json"), world.run(foreign.run).join("manifest.json")).unwrap();
    std::fs::remove_file(world.run(odd.run).join("lock")).unwrap();
    symlink("/dev/zero", world.run(odd.run).join("lock")).unwrap();
    std::fs::create_dir(world.root().join("not-a-run")).unwrap();
    std::fs::create_dir(world.root().join(Uuid::nil().to_string())).unwrap();
    std::fs::write(world.root().join(Uuid::max().to_string()), "").unwrap();

    let roster = executor.list().await.unwrap();
    let mut listed: Vec<_> = roster.agents.iter().map(|report| (report.run, report.status)).collect();
    for run in [unreadable.run, foreign.run] {
        assert!(roster.unreadable.iter().any(|(unreadable, _)| *unreadable == run), "{roster:?}");
    }
    listed.sort_by_key(|(run, _)| *run != good.run);
    assert_eq!(listed, [(good.run, AgentStatus::Idle), (odd.run, AgentStatus::Unknown)]);
}

#[tokio::test]
async fn an_agent_that_replaces_its_records_by_links_makes_afk_write_and_read_nothing_else() {
    let world = World::new();
    let secret = world.path("secret");
    std::fs::write(&secret, r#"{"last_words":"the secret","milestones":["worktree"]}"#).unwrap();
    let script = format!(
        "cd ../turns/*/; sleep 0.5; for record in output.log exit.json progress.json; do ln -sf {} $record; done",
        secret.display()
    );
    let executor = world.executor(shell(&script));
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let report = until(&executor, assignment.run, AgentStatus::Idle).await;
    assert_eq!(report.milestones, Some(Vec::new()));
    assert_eq!(report.last_words, None);
    assert!(std::fs::read_to_string(&secret).unwrap().contains("the secret"));
    let exit = world.first_turn(&assignment).join("exit.json");
    assert!(exit.symlink_metadata().unwrap().is_file());

    // The same, done when the supervisor is gone.
    std::fs::remove_file(&exit).unwrap();
    symlink(&secret, &exit).unwrap();
    let report = command_support::report(&executor, assignment.run).await;
    assert_eq!(report.status, AgentStatus::Failed);
}

#[tokio::test]
async fn an_agent_that_edits_the_configuration_and_hooks_of_its_clone_runs_nothing_in_afk() {
    let world = World::new();
    let pwned = world.path("pwned");
    let script = format!(
        "git config core.fsmonitor 'touch {0}'; git config core.sshCommand 'touch {0}'; git config alias.rev-parse '!touch {0}'
         for hook in post-checkout pre-commit reference-transaction; do printf '#!/bin/sh\\ntouch {0}\\n' > .git/hooks/$hook; chmod +x .git/hooks/$hook; done",
        pwned.display()
    );
    let mut settings = shell(&script);
    settings.resume = vec!["/bin/true".to_owned()];
    let executor = world.executor(settings);
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    until(&executor, assignment.run, AgentStatus::Idle).await;
    executor.turn(assignment.run, Uuid::from_u128(7), "again").await.unwrap();
    until(&executor, assignment.run, AgentStatus::Idle).await;
    executor.ensure(&assignment).await.unwrap();
    executor.list().await.unwrap();
    executor.interrupt(assignment.run).await.unwrap();
    assert!(!pwned.exists());
    // The trap does work.
    let _ = std::process::Command::new("git")
        .arg("status")
        .current_dir(world.run(assignment.run).join("workspace"))
        .output();
    eventually("git falls into the trap", || pwned.exists()).await;
}

#[tokio::test]
async fn what_the_agent_pushed_is_on_the_remote() {
    let world = World::new();
    let executor = world.executor(shell(
        "git -c user.name=a -c user.email=a@example.com commit -q --allow-empty -m done && git push -q origin main",
    ));
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    until(&executor, assignment.run, AgentStatus::Idle).await;
    assert_eq!(git(&world.path("origin.git"), &["log", "-1", "--format=%s", "main"]), "done");
}

#[tokio::test]
async fn last_words_are_fit_to_be_shown() {
    let world = World::new();
    let executor = world.executor(shell(r"printf '\033[31mred\033[0m \033]0;title\007words\n'"));
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let report = until(&executor, assignment.run, AgentStatus::Idle).await;
    assert_eq!(report.last_words.as_deref(), Some("red words"));
}

#[tokio::test]
async fn codex_is_read_by_its_own_events() {
    let world = World::new();
    let mut settings = shell(
        r#"printf '%s\n' '{"type":"thread.started","thread_id":"t-1"}' '{"type":"turn.started"}' 'not json' '{"type":"new.thing","x":[1]}' \
        '{"type":"item.completed","item":{"id":"1","type":"agent_message","text":"AFK-Milestone: tests_green\nAFK-Milestone: nonsense\nsaid"}}' "$END""#,
    );
    settings.output = AgentOutput::Codex;
    for (number, (end, status, words)) in [
        (r#"{"type":"turn.completed","usage":{}}"#, AgentStatus::Idle, "said"),
        (r#"{"type":"turn.failed","error":{"message":"no quota"}}"#, AgentStatus::Failed, "no quota"),
        (r#"{"type":"turn.started"}"#, AgentStatus::Failed, "said"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut settings = settings.clone();
        settings.start =
            vec!["/bin/sh".into(), "-c".into(), settings.start[2].replace("\"$END\"", &format!("'{end}'"))];
        let executor = world.executor(settings);
        let assignment = world.assignment(&number.to_string());
        executor.ensure(&assignment).await.unwrap();
        let report = until(&executor, assignment.run, status).await;
        assert_eq!(report.milestones.as_ref().unwrap().as_slice(), ["tests_green"], "{end}");
        assert!(report.last_words.as_deref().is_some_and(|last| last.ends_with(words)), "{end}: {report:?}");
    }
}

#[tokio::test]
async fn an_agent_that_says_nothing_of_its_result_has_failed() {
    let world = World::new();
    for (number, output) in [AgentOutput::Claude, AgentOutput::Codex].into_iter().enumerate() {
        let mut settings = shell("echo hello");
        settings.output = output;
        let executor = world.executor(settings);
        let assignment = world.assignment(&number.to_string());
        executor.ensure(&assignment).await.unwrap();
        until(&executor, assignment.run, AgentStatus::Failed).await;
    }
}

#[tokio::test]
async fn progress_is_seen_while_the_agent_works() {
    let world = World::new();
    let executor = world.executor(shell("echo AFK-Milestone: worktree; sleep 1000"));
    let assignment = world.assignment("1");
    executor.ensure(&assignment).await.unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while report(&executor, assignment.run).await.milestones.unwrap().is_empty() {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(report(&executor, assignment.run).await.status, AgentStatus::Running);
    executor.interrupt(assignment.run).await.unwrap();
    until(&executor, assignment.run, AgentStatus::Failed).await;
}
