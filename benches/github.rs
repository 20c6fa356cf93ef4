//! What ticks over GitHub cost, against the fake with 50 ms before every answer: `cargo bench --bench github`. Every armed
//! issue is denied by a costly gate (half were armed by somebody who may not, half are blocked), and the agent of every
//! run in flight is at work; the default branch of every other one has moved since. `-- 200x50x100` takes that size
//! alone: repositories, armed issues in each, runs in all.

#![allow(clippy::print_stdout, reason = "the table is the result")]

#[path = "../tests/github_fake/mod.rs"]
mod github_fake;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use afk::adapters::confined::{Directory, DirectoryLock};
use afk::adapters::policy_file;
use afk::engine::identity::{Purpose, RunId};
use afk::policy::{InstalledNames, Policy};
use afk::ports::{Assignment, IssueRef};
use afk::settings::{ExecutorSettings, Settings};
use afk::ticks::record::{Record, Seal};
use chrono::{TimeDelta, Utc};
use github_fake::{Fake, Permission, TOKEN};
use serde_json::json;

const LATENCY: Duration = Duration::from_millis(50);
/// A poll of 200 repositories with 50 armed issues each that finds nothing new may cost this much.
const MOST_COUNTED: usize = 10;
const MOST_TIME: Duration = Duration::from_secs(3);
const MOST_MEMORY: u64 = 64 * 1024;

/// How much there is.
#[derive(Clone, Copy)]
struct Size {
    repos: usize,
    /// In each repository.
    armed: u64,
    /// In all.
    runs: usize,
}

/// What one tick came to.
struct Tick {
    rest: usize,
    unchanged: usize,
    graphql: usize,
    points: u64,
    /// How often git was started.
    git: usize,
    took: Duration,
    /// Of the processor, without what the fake takes.
    worked: Duration,
    /// The most memory it held at a time, in KiB.
    memory: u64,
}

impl Tick {
    /// Requests that count against a limit.
    fn counted(&self) -> usize {
        self.rest + self.graphql
    }
}

impl Size {
    /// `200x50x100`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('x');
        let parsed = size(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        parts.next().is_none().then_some(parsed)
    }
}

const fn size(repos: usize, armed: u64, runs: usize) -> Size {
    Size { repos, armed, runs }
}

fn main() {
    let all = [
        size(100, 10, 0),
        size(300, 10, 0),
        size(1000, 10, 0),
        size(100, 50, 0),
        size(100, 100, 0),
        size(200, 50, 0),
        size(100, 10, 50),
        size(100, 10, 200),
        size(100, 10, 500),
        size(1000, 100, 500),
    ];
    let asked: Vec<Size> = std::env::args().skip(1).filter_map(|argument| Size::parse(&argument)).collect();
    println!("| repos | armed each | runs | tick | REST | 304 | GraphQL | points | git | wall | processor | memory |");
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    let sizes = if asked.is_empty() { all.as_slice() } else { asked.as_slice() };
    let quiet: Vec<(Size, Tick)> = sizes.iter().map(|size| (*size, measure(*size))).collect();
    let armed = quiet.iter().filter(|(size, _)| size.repos <= 200 && size.runs == 0);
    for (_, poll) in armed.clone().filter(|(size, _)| size.repos == 200 && size.armed == 50) {
        assert!(poll.counted() <= MOST_COUNTED, "{} requests count", poll.counted());
        assert!(poll.took < MOST_TIME, "{:?}", poll.took);
        assert!(poll.memory < MOST_MEMORY, "{} KiB", poll.memory);
    }
    for (_, poll) in armed {
        assert!(
            poll.counted() <= MOST_COUNTED,
            "{} requests: they must not grow with the armed issues",
            poll.counted()
        );
    }
}

/// Prints what the ticks cost one after the other; gives the poll that found nothing new.
fn measure(size: Size) -> Tick {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let fake = runtime.block_on(Fake::with_latency(LATENCY));
    fake.state().short_log = true;
    let folder = tempfile::tempdir().expect("a directory");
    populate(&fake, size);
    install(folder.path(), &fake, size);
    let _at_work = runs(folder.path(), &fake, size);
    let later = || fake.state().ahead += TimeDelta::seconds(5);
    let tick = |name: &str, command: &str| {
        // What was written in the last two seconds may change again within the same second.
        later();
        let tick = run(command, folder.path(), &fake);
        println!(
            "| {} | {} | {} | {name} | {} | {} | {} | {} | {} | {:.2} s | {:.2} s | {:.0} MiB |",
            size.repos,
            size.armed,
            size.runs,
            tick.rest,
            tick.unchanged,
            tick.graphql,
            tick.points,
            tick.git,
            tick.took.as_secs_f64(),
            tick.worked.as_secs_f64(),
            tick.memory as f64 / 1024.0
        );
        tick
    };
    tick("first poll", "poll");
    if size.runs > 0 {
        tick("first watch", "watch");
        tick("second watch", "watch");
        tick("watch, nothing new", "watch");
    }
    tick("second poll", "poll");
    let quiet = tick("poll, nothing new", "poll");
    {
        let mut state = fake.state();
        let repo = state.at(&name(size.repos / 2));
        state.comment(repo, 1, "mallory", "And?");
    }
    tick("poll, one change", "poll");
    quiet
}

fn name(number: usize) -> String {
    format!("owner-{}/service-{number}", number % 7)
}

/// Nothing in it can be dispatched, and only costly facts say so.
fn populate(fake: &Fake, Size { repos, armed, .. }: Size) {
    for number in 0..repos {
        let repo = fake.repo(&name(number));
        let mut state = fake.state();
        state.grant(repo, "ada", Permission::Admin.role());
        // Long ago.
        state.ahead = TimeDelta::hours(-1);
        let blocker = armed + 1;
        state.open(repo, blocker, "ada", "What blocks the others", "");
        for issue in 1..=armed {
            let body =
                "It happens on every second start. Steps, expectation and what was seen instead follow.\n".repeat(10);
            state.open(repo, issue, "ada", "Something is wrong", &body);
            if issue % 2 == 0 {
                state.issue(repo, issue).blocked_by.push((repo, blocker));
            }
            state.label(repo, issue, if issue % 2 == 0 { "ada" } else { "mallory" }, "ready-for-agent");
        }
        state.ahead = TimeDelta::zero();
    }
    // The first poll of the largest size alone takes more than a token may in an hour.
    let limits = &mut fake.state().limits;
    (limits.rest, limits.graphql, limits.points_a_minute) = (1_000_000, 1_000_000, u64::MAX);
    limits.content_a_minute = usize::MAX;
}

/// Runs whose agents are at work, in as many repositories as there are. Their locks are held by what is given.
fn runs(root: &Path, fake: &Fake, size: Size) -> Vec<DirectoryLock> {
    let policy = policy_file::load(&root.join("policies/afk.toml"), &InstalledNames::default()).checked.policy;
    let policy: Policy = policy.expect("the policy");
    let host = fake.uri().replace("http://", "");
    let seal = Seal::new(host, Vec::new());
    let base = git_output(&root.join("app.git"), &["rev-parse", "main"]);
    let data = root.join("data").canonicalize().expect("the data directory");
    let settings = Settings::load(Some(&root.join("afk.settings.toml")), &[]).expect("settings");
    let ExecutorSettings::Command(toy) = &settings.executors["toy"] else { panic!("the toy is a command") };
    let mut locks = Vec::new();
    for index in 0..size.runs {
        let mut state = fake.state();
        let repo = state.at(&name(index % size.repos));
        state.repos[repo].git = Some(root.join(remote(index % size.repos)));
        let number = size.armed + 2 + (index / size.repos) as u64;
        state.ahead = TimeDelta::minutes(-5);
        state.open(repo, number, "ada", "Being worked on", "");
        state.label(repo, number, "ada", "ready-for-agent");
        state.label(repo, number, "afk", "agent-in-progress");
        let issue = IssueRef { repo: name(index % size.repos), number };
        let arming = format!("bench/{issue}");
        let run = RunId::of_arming(&arming);
        let assignment = Assignment {
            run,
            issue: issue.clone(),
            arming,
            armed_by: Some("ada".to_owned()),
            dispatched_at: Utc::now() - TimeDelta::minutes(1),
            base: base.clone(),
            default_branch: "main".to_owned(),
            model: "m".to_owned(),
            runtime_mode: "r".to_owned(),
            turn: run.derive(Purpose::FirstTurn, 0),
            prompt: "Do it.".to_owned(),
            brief_sha256: "0".repeat(64),
        };
        let record = Record::of_dispatch(&policy, "toy", &assignment);
        let body = format!("At work.\n{}", seal.write(&record).expect("a record"));
        state.comment(repo, number, "afk", &body);
        state.ahead = TimeDelta::zero();
        let directory = Directory::make(&data.join("runs").join(run.to_string())).expect("a run");
        let controller = format!("afk at {}", data.display());
        let manifest = json!({ "controller": controller, "executor": "toy", "assignment": assignment });
        directory.put_json("manifest.json", &manifest).expect("a manifest");
        let turn =
            directory.make_subdirectory("turns").and_then(|turns| turns.make_subdirectory(&record.turn.to_string()));
        let turn = turn.expect("a turn");
        let order = json!({ "run": run, "number": 1, "argv": ["x"], "prompt_on_stdin": false, "settings": toy });
        turn.put_json("turn.json", &order).expect("a turn");
        turn.put_json("started.json", &json!({ "at": Utc::now(), "supervisor": 1 })).expect("a turn");
        // As the supervisor of an agent at work does.
        locks.push(directory.try_lock("lock").expect("a lock").expect("a free lock"));
    }
    locks
}

fn git_output(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(directory).args(arguments).output().expect("git");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The quickstart's policy, with every repository on its allowlist.
fn install(root: &Path, fake: &Fake, size: Size) {
    let quickstart = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
    let policy = fs::read_to_string(quickstart.join("policies/afk.toml")).expect("the policy");
    let names: Vec<String> = (0..size.repos).map(|number| format!("\"{}\"", name(number))).collect();
    let policy = policy.replace("[\"greeter\"]   ", &format!("[{}]", names.join(", ")));
    // What is in flight must not be what denies.
    let policy = policy.replace("max_in_flight  = 8", "max_in_flight  = 10000");
    let policy = policy.replace("slots_per_repo = 1 ", "slots_per_repo = 9 ");
    fs::create_dir_all(root.join("policies/prompts")).expect("a directory");
    fs::write(root.join("policies/afk.toml"), policy).expect("the policy");
    for prompt in ["implement.md", "fix-forward.md"] {
        let path = Path::new("policies/prompts").join(prompt);
        fs::copy(quickstart.join(&path), root.join(&path)).expect("a prompt");
    }
    let settings = fs::read_to_string(quickstart.join("afk.settings.toml")).expect("the settings");
    let (before, rest) = settings.split_once("[tracker]\n").expect("a tracker");
    let (_, after) = rest.split_once("[executors.toy]\n").expect("an executor");
    let url = fake.uri();
    let tracker = format!(
        "[tracker]\nkind = \"github\"\nurl = \"{url}\"\ntoken = {{ variable = \"AFK_GITHUB_TOKEN\" }}\nrequests_per_tick = 50000\n"
    );
    let with_runs = size.repos.min(size.runs);
    let repos = (0..with_runs).map(|number| format!("[repos.\"{}\"]\ngit = \"{}\"\n", name(number), remote(number)));
    let repos: String = repos.collect();
    let before = format!("tick_deadline = \"1h\"\n{before}");
    fs::write(root.join("afk.settings.toml"), format!("{before}{tracker}\n{repos}\n[executors.toy]\n{after}"))
        .expect("settings");
    fs::create_dir_all(root.join("data")).expect("a directory");
    let seed = root.join("seed");
    fs::create_dir_all(&seed).expect("a directory");
    git_output(&seed, &["init", "--quiet", "--initial-branch=main"]);
    git_output(
        &seed,
        &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty", "--message", "Begin"],
    );
    let remote = |name: &str| {
        git_output(root, &["init", "--quiet", "--bare", "--initial-branch=main", name]);
        git_output(&seed, &["push", "--quiet", &format!("../{name}"), "main"]);
    };
    remote("app.git");
    let later =
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty", "--message", "Go on"];
    git_output(&seed, &later);
    remote("moved.git");
    // A git that counts how often it is started.
    let counting = root.join("bin/git");
    fs::create_dir_all(root.join("bin")).expect("a directory");
    let found = Command::new("sh").args(["-c", "command -v git"]).output().expect("a shell").stdout;
    let script = format!(
        "#!/bin/sh\nprintf x >> '{}'\nexec {} \"$@\"\n",
        root.join("started").display(),
        String::from_utf8_lossy(&found).trim()
    );
    fs::write(&counting, script).expect("a script");
    fs::set_permissions(&counting, fs::Permissions::from_mode(0o755)).expect("permissions");
}

/// Where the commits of a repository are. In every other one somebody pushed since its runs began.
fn remote(number: usize) -> &'static str {
    if number.is_multiple_of(2) { "app.git" } else { "moved.git" }
}

fn run(command: &str, root: &Path, fake: &Fake) -> Tick {
    fake.take_log();
    fs::write(root.join("started"), "").expect("a file");
    let path = std::env::var("PATH").unwrap_or_default();
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_afk"))
        .arg(command)
        .current_dir(root)
        .env_clear()
        .env("PATH", format!("{}:{path}", root.join("bin").display()))
        .env("AFK_GITHUB_TOKEN", TOKEN)
        .stdin(Stdio::null())
        .stdout(fs::File::create(root.join("said")).expect("a file"))
        .stderr(fs::File::create(root.join("complained")).expect("a file"))
        .spawn()
        .expect("afk");
    let process = PathBuf::from(format!("/proc/{}", child.id()));
    // The high-water mark is gone with the process, so it is read while it lives.
    let (mut memory, mut worked) = (0, Duration::ZERO);
    let status = loop {
        if let Some(status) = child.try_wait().expect("afk") {
            break status;
        }
        memory = peak(&process).unwrap_or(memory);
        worked = processor(&process).unwrap_or(worked);
        std::thread::sleep(Duration::from_millis(5));
    };
    let took = started.elapsed();
    let said = fs::read_to_string(root.join("said")).expect("what it said");
    let complained = fs::read_to_string(root.join("complained")).expect("what it complained of");
    let end: String = said.lines().rev().take(8).map(|line| format!("{line}\n")).collect();
    // A fake that runs ahead is reported, and that is all that may go wrong.
    let skipped: Vec<&str> = said.lines().filter(|line| line.contains("skipped")).collect();
    assert!(status.code().is_some_and(|code| code == 0 || code == 3), "{status}: {end}{complained:.2000}");
    assert!(!said.contains(" → "), "no run moves: {end}");
    assert!(skipped.iter().all(|line| line.contains("clock")), "{skipped:?}");
    assert!(!said.contains("  dispatched  "), "{end}");
    let log = fake.take_log();
    let (graphql, rest): (Vec<_>, Vec<_>) = log.iter().partition(|exchange| exchange.path == "/graphql");
    Tick {
        rest: rest.iter().filter(|exchange| exchange.counts()).count(),
        unchanged: rest.iter().filter(|exchange| exchange.status == 304).count(),
        graphql: graphql.len(),
        points: graphql.iter().map(|exchange| exchange.points).sum(),
        git: fs::read(root.join("started")).expect("what git left").len(),
        took,
        worked,
        memory,
    }
}

/// `VmHWM` of a process, in KiB.
fn peak(process: &Path) -> Option<u64> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// What a process took of the processor, in hundredths of a second as Linux counts them.
fn processor(process: &Path) -> Option<Duration> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(ticks * 10))
}
