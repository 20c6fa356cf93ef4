//! What polling GitHub costs: 200 repositories, each with 50 armed issues that a costly gate denies (half were armed by
//! somebody who may not, half are blocked), 50 ms before every answer: `cargo bench --bench github`.

#![allow(clippy::print_stdout, reason = "the table is the result")]

#[path = "../tests/github_fake/mod.rs"]
mod github_fake;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use github_fake::{Fake, Permission, TOKEN};

const REPOS: usize = 200;
const LATENCY: Duration = Duration::from_millis(50);
/// A poll that finds nothing new may cost this much.
const MOST_COUNTED: usize = 10;
const MOST_TIME: Duration = Duration::from_secs(3);
const MOST_MEMORY: u64 = 64 * 1024;

/// What one poll came to.
struct Poll {
    rest: usize,
    unchanged: usize,
    graphql: usize,
    points: u64,
    took: Duration,
    /// The most memory it held at a time, in KiB.
    memory: u64,
}

impl Poll {
    /// Requests that count against a limit.
    fn counted(&self) -> usize {
        self.rest + self.graphql
    }
}

fn main() {
    println!(
        "{:>6} {:<9} {:>4} {:>4} {:>7} {:>6} {:>8} {:>9}",
        "armed", "poll", "REST", "304", "GraphQL", "points", "time", "memory"
    );
    let mut quiet = Vec::new();
    for armed in [10, 50, 100] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let fake = runtime.block_on(Fake::with_latency(LATENCY));
        populate(&fake, armed);
        let folder = tempfile::tempdir().expect("a directory");
        install(folder.path(), &fake);
        for name in ["first", "second", "third", "nothing"] {
            // What was written in the last two seconds may change again within the same second.
            if name == "second" {
                std::thread::sleep(Duration::from_secs(3));
            }
            let poll = poll(folder.path(), &fake);
            println!(
                "{armed:>6} {name:<9} {:>4} {:>4} {:>7} {:>6} {:>6.2} s {:>5.1} MiB",
                poll.rest,
                poll.unchanged,
                poll.graphql,
                poll.points,
                poll.took.as_secs_f64(),
                poll.memory as f64 / 1024.0
            );
            if name == "nothing" {
                quiet.push(poll);
            }
        }
    }
    for poll in &quiet {
        assert!(poll.counted() <= MOST_COUNTED, "{} requests count", poll.counted());
        assert!(poll.took < MOST_TIME, "{:?}", poll.took);
        assert!(poll.memory < MOST_MEMORY, "{} KiB", poll.memory);
        assert_eq!(poll.counted(), quiet[0].counted(), "requests must not grow with the number of armed issues");
    }
}

fn name(number: usize) -> String {
    format!("owner-{}/service-{number}", number % 7)
}

/// Nothing in it can be dispatched, and only costly facts say so.
fn populate(fake: &Fake, armed: u64) {
    for number in 0..REPOS {
        let repo = fake.repo(&name(number));
        let mut state = fake.state();
        state.grant(repo, "ada", Permission::Admin.role());
        // Long ago.
        state.ahead = chrono::TimeDelta::hours(-1);
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
        state.ahead = chrono::TimeDelta::zero();
    }
    fake.state().limits.points_a_minute = u64::MAX;
}

/// The quickstart's policy, with every repository on its allowlist.
fn install(root: &Path, fake: &Fake) {
    let quickstart = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
    let policy = fs::read_to_string(quickstart.join("policies/afk.toml")).expect("the policy");
    let names: Vec<String> = (0..REPOS).map(|number| format!("\"{}\"", name(number))).collect();
    let policy = policy.replace("[\"greeter\"]   ", &format!("[{}]", names.join(", ")));
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
        "[tracker]\nkind = \"github\"\nurl = \"{url}\"\ntoken = {{ variable = \"AFK_GITHUB_TOKEN\" }}\nrequests_per_tick = 5000\n"
    );
    fs::write(root.join("afk.settings.toml"), format!("{before}{tracker}\n[executors.toy]\n{after}"))
        .expect("settings");
}

fn poll(root: &Path, fake: &Fake) -> Poll {
    fake.take_log();
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_afk"))
        .arg("poll")
        .current_dir(root)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("AFK_GITHUB_TOKEN", TOKEN)
        .stdin(Stdio::null())
        .stdout(fs::File::create(root.join("said")).expect("a file"))
        .stderr(fs::File::create(root.join("complained")).expect("a file"))
        .spawn()
        .expect("afk");
    // The high-water mark is gone with the process, so it is read while it lives.
    let mut memory = 0;
    let status = loop {
        if let Some(status) = child.try_wait().expect("afk") {
            break status;
        }
        memory = peak(child.id()).unwrap_or(memory);
        std::thread::sleep(Duration::from_millis(5));
    };
    let took = started.elapsed();
    let said = fs::read_to_string(root.join("said")).expect("what it said");
    let complained = fs::read_to_string(root.join("complained")).expect("what it complained of");
    let end: String = said.lines().rev().take(8).map(|line| format!("{line}\n")).collect();
    assert!(status.success(), "{status}: {end}{complained:.2000}");
    assert!(!said.contains("  dispatched  "), "{end}");
    let log = fake.take_log();
    let (graphql, rest): (Vec<_>, Vec<_>) = log.iter().partition(|exchange| exchange.path == "/graphql");
    Poll {
        rest: rest.iter().filter(|exchange| exchange.counts()).count(),
        unchanged: rest.iter().filter(|exchange| exchange.status == 304).count(),
        graphql: graphql.len(),
        points: graphql.iter().map(|exchange| exchange.points).sum(),
        took,
        memory,
    }
}

/// `VmHWM` of a process, in KiB.
fn peak(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
