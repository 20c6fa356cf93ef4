//! Commands as CI, over real git and real processes.

#[path = "support/git.rs"]
mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use afk::adapters::command::ci::CommandCi;
use afk::adapters::git::GitMirrors;
use afk::policy::{Located, Span, Stage, StageSource};
use afk::ports::{Ci, PortErrorKind, StageVerdict};
use afk::settings::CiCommand;
use pretty_assertions::assert_eq;
use support::Repository;

const AFK: &str = env!("CARGO_BIN_EXE_afk");

struct World {
    repository: Repository,
    ci: CommandCi,
    commit: String,
}

fn stage(command: &str) -> Stage {
    Stage {
        name: Located { value: "build".to_owned(), span: Span::default() },
        source: StageSource::Command { command: command.to_owned() },
    }
}

impl World {
    /// A commit with this script as `ci.sh`.
    fn new(script: &str) -> Self {
        Self::with(script, Duration::from_secs(60), &[])
    }

    fn with(script: &str, timeout: Duration, environment: &[&str]) -> Self {
        let repository = Repository::new();
        std::fs::write(repository.work().join("ci.sh"), format!("#!/bin/sh\n{script}\n")).expect("a script");
        std::fs::set_permissions(repository.work().join("ci.sh"), std::fs::Permissions::from_mode(0o755))
            .expect("mode");
        let commit = repository.commit("ci", &[]);
        repository.push();
        let remotes = BTreeMap::from([("acme/app".to_owned(), repository.remote())]);
        let mirrors = Rc::new(GitMirrors::new(repository.path("mirrors"), remotes));
        let command = CiCommand {
            command: vec!["./ci.sh".to_owned()],
            timeout,
            environment: environment.iter().map(ToString::to_string).collect(),
        };
        let commands = BTreeMap::from([("check".to_owned(), command)]);
        let ci = CommandCi::new(repository.path("ci"), mirrors, commands, PathBuf::from(AFK));
        Self { repository, ci, commit }
    }

    fn with_command(&self, command: CiCommand) -> CommandCi {
        let remotes = BTreeMap::from([("acme/app".to_owned(), self.repository.remote())]);
        let mirrors = Rc::new(GitMirrors::new(self.repository.path("mirrors"), remotes));
        let commands = BTreeMap::from([("check".to_owned(), command)]);
        CommandCi::new(self.repository.path("ci"), mirrors, commands, PathBuf::from(AFK))
    }

    fn directory(&self) -> PathBuf {
        self.repository.path("ci/acme+app").join(&self.commit).join("build")
    }

    async fn ask(&self) -> StageVerdict {
        self.ci.verdict("acme/app", &self.commit, &stage("check"), Duration::ZERO).await.expect("an answer")
    }

    async fn decided(&self) -> StageVerdict {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.ask().await {
                StageVerdict::Pending(how) => assert!(Instant::now() < deadline, "still pending: {how}"),
                verdict => return verdict,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn log_tail(&self) -> String {
        match self.decided().await {
            StageVerdict::Red(jobs) => jobs.into_iter().map(|job| job.log_tail).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// How often the script ran, where it notes that in `ran`.
    fn runs(&self) -> usize {
        std::fs::read_to_string(self.repository.path("ran")).map_or(0, |text| text.lines().count())
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} never came true");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_alive(pid: &str) -> bool {
    // A zombie does not count: nobody may be there to reap it.
    let state = Command::new("ps").args(["-o", "stat=", "-p", pid.trim()]).output().expect("ps runs");
    let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

/// A script line that notes in `ran`, beside everything, that it ran.
const NOTE: &str = "echo x >> ../../../../../ran";

#[tokio::test]
async fn a_commit_is_judged_once_and_in_its_own_clean_clone() {
    let world = World::new(&format!(
        "{NOTE}; test -f README.md && test -z \"$(git status --porcelain)\" && git rev-parse HEAD && ! git remote get-url origin"
    ));
    assert_eq!(world.ask().await, StageVerdict::Pending("`./ci.sh` was started".to_owned()));
    assert_eq!(world.decided().await, StageVerdict::Green);
    assert_eq!(world.ask().await, StageVerdict::Green);
    assert_eq!(world.runs(), 1);
    let log = std::fs::read_to_string(world.directory().join("log")).expect("a log");
    assert!(log.contains(&world.commit), "{log}");
}

#[tokio::test]
async fn a_red_verdict_brings_the_end_of_the_log_cleaned() {
    let world = World::new("printf '\\033[31mFAILED\\033[0m test_greet\\r\\n\\007expected hi, ada\\n' >&2; exit 3");
    let StageVerdict::Red(jobs) = world.decided().await else { panic!("not red") };
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].name, "build");
    assert_eq!(jobs[0].url, Some(world.directory().join("log").display().to_string()));
    assert_eq!(jobs[0].log_tail, "FAILED test_greet\nexpected hi, ada\nthe command ended with exit code 3");
}

#[tokio::test]
async fn a_flood_of_output_neither_blocks_nor_fills_the_disk() {
    let world = World::new("yes 'this line comes again and again' | head -c 30000000; echo; echo THE END; exit 1");
    let tail = world.log_tail().await;
    assert!(tail.ends_with("THE END\nthe command ended with exit code 1"), "{tail}");
    assert!(tail.len() <= 8 * 1024);
    let log = std::fs::metadata(world.directory().join("log")).expect("a log").len();
    assert!(log <= 1024 * 1024, "{log}");
}

#[tokio::test]
async fn the_command_sees_only_the_variables_that_are_named() {
    let world = World::with("env | sort; exit 1", Duration::from_secs(60), &["PATH", "AFK_TEST_UNSET"]);
    let tail = world.log_tail().await;
    let mut names: Vec<&str> = tail.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    // The shell's own.
    names.retain(|name| !matches!(*name, "PWD" | "OLDPWD" | "SHLVL" | "_"));
    assert_eq!(names, ["CI", "PATH"]);
    assert!(tail.contains("CI=true"));
    let job = std::fs::read_to_string(world.directory().join("job.json")).expect("a job");
    assert!(!job.contains(&std::env::var("PATH").expect("a PATH")), "no value is written down");
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_ended_with_all_its_children() {
    let world = World::with(
        "trap '' TERM; (trap '' TERM; echo $$ > ../pids; sh -c 'trap \"\" TERM; echo $$ >> ../pids; exec sleep 300') & \
         while true; do sleep 1; done",
        Duration::from_secs(1),
        &["PATH"],
    );
    let tail = world.log_tail().await;
    assert!(tail.contains("took longer than 1 s and was ended"), "{tail}");
    let pids = std::fs::read_to_string(world.directory().join("pids")).expect("pids");
    wait_until("the end of the group", || !pids.lines().any(is_alive));
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_ended_and_does_not_hold_the_verdict() {
    let world = World::with("sleep 300 & echo $! > ../pid", Duration::from_secs(60), &["PATH"]);
    assert_eq!(world.decided().await, StageVerdict::Green);
    let pid = std::fs::read_to_string(world.directory().join("pid")).expect("a pid");
    wait_until("the end of what was left behind", || !is_alive(&pid));
}

#[tokio::test]
async fn a_job_lives_in_a_session_of_its_own() {
    let world = World::with("ps -o sid= -p $$ > ../session", Duration::from_secs(60), &["PATH"]);
    assert_eq!(world.decided().await, StageVerdict::Green);
    let theirs = std::fs::read_to_string(world.directory().join("session")).expect("a session");
    // Asked of `ps` like theirs: in a container the leader of our session may lie outside, and its id then reads 0.
    let ours =
        Command::new("ps").args(["-o", "sid=", "-p", &std::process::id().to_string()]).output().expect("ps runs");
    let ours = String::from_utf8(ours.stdout).expect("text");
    assert!(!theirs.trim().is_empty() && !ours.trim().is_empty());
    assert_ne!(theirs.trim(), ours.trim(), "what ends the tick's session must not end the job");
}

#[tokio::test]
async fn many_askers_at_once_start_one_job() {
    let world = World::new(NOTE);
    world.ask().await;
    let supervisors: Vec<_> = (0..6)
        .map(|_| Command::new(AFK).arg("ci-job").arg(world.directory()).stdin(Stdio::null()).spawn().expect("afk"))
        .collect();
    assert_eq!(world.decided().await, StageVerdict::Green);
    for mut supervisor in supervisors {
        supervisor.wait().expect("it ends");
    }
    assert_eq!(world.runs(), 1);
}

/// Kills the supervisor of the job, found by its argument.
fn kill_supervisor(directory: &Path) {
    let processes = Command::new("ps").args(["-A", "-o", "pid=,args="]).output().expect("ps runs");
    let processes = String::from_utf8_lossy(&processes.stdout).into_owned();
    let marker = format!("ci-job {}", directory.display());
    for line in processes.lines().filter(|line| line.contains(&marker)) {
        let pid = line.split_whitespace().next().expect("a pid");
        let _ = Command::new("kill").args(["-KILL", pid]).status();
    }
}

#[tokio::test]
async fn a_job_that_died_is_started_once_more_and_then_it_is_red() {
    // The first `wait` for `go` never ends by itself.
    let world = World::with(
        &format!("{NOTE}; echo working; while ! test -e ../go; do sleep 0.05; done"),
        Duration::from_secs(60),
        &["PATH"],
    );
    for death in 1..=2 {
        world.ask().await;
        wait_until("the command runs", || world.runs() == death);
        kill_supervisor(&world.directory());
        // What it left behind still runs: nothing is started beside it.
        wait_until("the supervisor is gone", || {
            let lock = std::fs::File::open(world.directory().join("lock")).expect("a lock");
            lock.try_lock().is_ok()
        });
        for _ in 0..5 {
            assert_eq!(world.ask().await, StageVerdict::Pending("`./ci.sh` is running".to_owned()));
        }
        assert_eq!(world.runs(), death);
        std::fs::write(world.directory().join("go"), "").expect("go");
        wait_until("the command ends", || {
            let lock = std::fs::File::open(world.directory().join("command.lock")).expect("a lock");
            lock.try_lock().is_ok()
        });
        std::fs::remove_file(world.directory().join("go")).expect("removed");
    }
    assert!(world.log_tail().await.ends_with("the job ended without a result, twice"));
    assert_eq!(world.runs(), 2);
}

#[tokio::test]
async fn a_clone_made_by_half_is_made_again() {
    let world = World::new("test -f README.md");
    std::fs::create_dir_all(world.directory().join("clone/.git")).expect("half a clone");
    std::fs::write(world.directory().join("clone/ci.sh"), "exit 1").expect("half a clone");
    assert_eq!(world.decided().await, StageVerdict::Green);
}

#[tokio::test]
async fn a_result_that_the_command_writes_itself_does_not_count() {
    let forged = "{\"green\":true,\"log_tail\":\"\"}";
    let world = World::with(
        &format!("printf '%s' '{forged}' > ../result.json; while ! test -e ../go; do sleep 0.05; done; exit 1"),
        Duration::from_secs(60),
        &["PATH"],
    );
    world.ask().await;
    wait_until("the forged result", || world.directory().join("result.json").exists());
    assert!(matches!(world.ask().await, StageVerdict::Pending(_)));
    std::fs::write(world.directory().join("go"), "").expect("go");
    assert!(matches!(world.decided().await, StageVerdict::Red(_)));
}

#[tokio::test]
async fn a_command_that_cannot_be_started_is_no_verdict_and_says_why_until_it_can() {
    let world = World::new("exit 0");
    std::fs::remove_file(world.repository.work().join("ci.sh")).expect("removed");
    let commit = world.repository.commit("CI is in the way", &[]);
    world.repository.push();
    let world = World { commit, ..world };
    let reason = "CI cannot start `./ci.sh` in the clone of";
    let mut complaints = 0;
    // More often than a job that dies is started.
    while complaints < 4 {
        match world.ci.verdict("acme/app", &world.commit, &stage("check"), Duration::ZERO).await {
            Err(error) => {
                assert!(error.message.contains(reason) && error.message.contains("No such file"), "{error}");
                complaints += 1;
            }
            Ok(verdict) => assert!(matches!(verdict, StageVerdict::Pending(_)), "{verdict:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    wait_until("nobody is at work", || {
        let lock = std::fs::File::open(world.directory().join("lock")).expect("a lock");
        lock.try_lock().is_ok()
    });
    let looking = world.ci.clone().without_starting();
    let error = looking.verdict("acme/app", &world.commit, &stage("check"), Duration::ZERO).await.expect_err("no word");
    assert!(error.message.contains(reason), "{error}");

    // The settings are mended: the same commit is judged.
    let mended =
        CiCommand { command: vec!["true".to_owned()], timeout: Duration::from_secs(60), environment: Vec::new() };
    let world = World { ci: world.with_command(mended), ..world };
    let deadline = Instant::now() + Duration::from_secs(30);
    while world.ci.verdict("acme/app", &world.commit, &stage("check"), Duration::ZERO).await != Ok(StageVerdict::Green)
    {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn no_agent_is_started_for_a_command_that_the_default_branch_does_not_have() {
    let world = World::new("exit 0");
    world.ci.can_judge("acme/app", &stage("check")).await.expect("nobody has looked at the repository yet");
    world.ask().await;
    world.ci.can_judge("acme/app", &stage("check")).await.expect("it is there");
    let of = |program: &str| {
        let command = vec![program.to_owned()];
        let command = CiCommand { command, timeout: Duration::from_secs(60), environment: Vec::new() };
        let ci = world.with_command(command);
        async move { ci.can_judge("acme/app", &stage("check")).await.map_err(|error| error.message) }
    };
    for (program, what) in [
        ("./cii.sh", "stage `build` needs `./cii.sh`, which does not exist on the default branch of acme/app"),
        ("ci/sh", "which does not exist on the default branch"),
        ("./README.md", "which is not executable on the default branch"),
        ("/nowhere/ci.sh", "which is not there or not executable"),
    ] {
        let error = of(program).await.expect_err(program);
        assert!(error.contains(what), "{program}: {error}");
    }
    for program in ["ci.sh/../ci.sh", ".//ci.sh", "/bin/sh"] {
        of(program).await.expect(program);
    }

    // What is pushed later counts without anybody deleting the mirror.
    std::fs::rename(world.repository.work().join("ci.sh"), world.repository.work().join("cii.sh")).expect("renamed");
    world.repository.commit("the right name", &[]);
    world.repository.push();
    of("./cii.sh").await.expect("it is there now");
}

#[tokio::test]
async fn what_cannot_be_judged_is_an_error_and_never_a_colour() {
    let world = World::new("exit 0");
    let error =
        world.ci.verdict("acme/app", &world.commit, &stage("nope"), Duration::ZERO).await.expect_err("no command");
    assert!(error.message.contains("under [ci.nope]"), "{error}");
    let checks = Stage { source: StageSource::Checks { require: None }, ..stage("check") };
    let error = world.ci.verdict("acme/app", &world.commit, &checks, Duration::ZERO).await.expect_err("no forge");
    assert_eq!(error.kind, PortErrorKind::Refused);
    for commit in ["../../x", "HEAD", ""] {
        let error = world.ci.verdict("acme/app", commit, &stage("check"), Duration::ZERO).await.expect_err(commit);
        assert_eq!(error.kind, PortErrorKind::Invalid);
    }
    let error = world
        .ci
        .verdict("acme/app", &"0".repeat(40), &stage("check"), Duration::ZERO)
        .await
        .expect_err("no such commit");
    assert_eq!(error.kind, PortErrorKind::NotFound);
    std::os::unix::fs::symlink("/tmp", world.repository.path("ci/acme+app").join(&world.commit)).expect("a link");
    let error = world.ci.verdict("acme/app", &world.commit, &stage("check"), Duration::ZERO).await.expect_err("a link");
    assert_eq!(error.kind, PortErrorKind::Invalid);
}

#[tokio::test]
async fn a_job_that_cannot_begin_is_an_error_and_tried_again() {
    let world = World::new("exit 0");
    world.ci.verdict("acme/app", &"0".repeat(40), &stage("check"), Duration::ZERO).await.expect_err("fills the mirror");
    let objects = world.repository.path("mirrors/acme+app.git/objects");
    let link = world.repository.path("mirrors/acme+app.git/objects/link");
    // git refuses to clone objects through a link.
    std::os::unix::fs::symlink(&objects, &link).expect("a link");
    world.ask().await;
    wait_until("a problem", || world.directory().join("problem").exists());
    let deadline = Instant::now() + Duration::from_secs(30);
    let error = loop {
        match world.ci.verdict("acme/app", &world.commit, &stage("check"), Duration::ZERO).await {
            Err(error) => break error,
            Ok(verdict) => assert!(matches!(verdict, StageVerdict::Pending(_)) && Instant::now() < deadline),
        }
    };
    assert!(error.message.contains("git could not clone the mirror"), "{error}");
    std::fs::remove_file(&link).expect("removed");
    let deadline = Instant::now() + Duration::from_secs(30);
    while world.ci.verdict("acme/app", &world.commit, &stage("check"), Duration::ZERO).await != Ok(StageVerdict::Green)
    {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
