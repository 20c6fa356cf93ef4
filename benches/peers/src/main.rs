//! Builds and runs every engine as a program of its own, holds their decisions against each other, and prints one table.
//! See docs/performance.md of afk.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// The program, what it is, and what it notes while it selects.
const ENGINES: [(&str, &str, &str); 6] = [
    ("by-hand", "by hand", "no trace"),
    ("by-hand-traced", "by hand", "full trace"),
    ("afk", "afk", "full trace"),
    ("rego-machine", "regorus, register VM", "no trace"),
    ("rego-interpreter", "regorus, interpreter", "no trace"),
    ("cedar", "cedar-policy", "trace of denials"),
];
/// What is built together: the programs of one engine, and those that need none.
const BUILDS: [&[&str]; 3] = [
    &["--bin=nothing", "--bin=by-hand", "--bin=by-hand-traced", "--bin=afk"],
    &["--features=regorus", "--bin=rego-machine", "--bin=rego-interpreter"],
    &["--features=cedar-policy", "--bin=cedar"],
];
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// In each of three turns; the fastest counts.
const ROUNDS: usize = 10;
/// For how many decisions instructions are counted.
const COUNTED: usize = 1_000;
const STARTS: usize = 300;

#[derive(Clone)]
struct Measured {
    time: Duration,
    kilobytes: usize,
    digest: String,
}

fn main() {
    let programs = build();
    println!("| work | engine | items | time | an item | against by hand | peak memory |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for work in ["select", "step"] {
        for size in SIZES {
            for ((_, name, trace), (measured, ratio)) in ENGINES.iter().zip(in_turns(&programs, work, size)) {
                // Of a run only the row is asked, so the function by hand is the same with a trace and without.
                let name = match (work, *trace) {
                    ("select", trace) => format!("{name}, {trace}"),
                    (_, "full trace") if *name == "by hand" => continue,
                    _ => (*name).to_owned(),
                };
                let time = measured.time.as_secs_f64();
                println!(
                    "| {work} | {name} | {size} | {:.3} ms | {:.0} ns | {ratio:.2} | {:.1} MB |",
                    time * 1e3,
                    time * 1e9 / size as f64,
                    measured.kilobytes as f64 / 1e3,
                );
            }
        }
    }

    let nothing_counted = instructions(&programs.join("nothing"), &[], false);
    println!(
        "\n| engine | size, stripped | process time of a start and one decision | the same, instructions | select, an item | step, an item |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for (program, name, trace) in ENGINES {
        let start = start(&programs, program);
        let program = programs.join(program);
        let counted = |work| match instructions(&program, &[work, &COUNTED.to_string(), "1"], true) {
            Some(counted) => format!("{}", counted / COUNTED as u64),
            None => "no valgrind".to_owned(),
        };
        let started = match (instructions(&program, &[], false), nothing_counted) {
            (Some(all), Some(nothing)) => format!("{:.2} M", (all - nothing) as f64 / 1e6),
            _ => "no valgrind".to_owned(),
        };
        println!(
            "| {name}, {trace} | {:.2} MB | {:.2} ms | {started} | {} | {} |",
            stripped(&program) as f64 / 1e6,
            start.as_secs_f64() * 1e3,
            counted("select"),
            counted("step"),
        );
    }
}

/// The folder of the programs. Each engine is built apart: in one build cargo gives a crate that two engines use, such as
/// the one of regular expressions, what either of them asks of it, and both would load it.
fn build() -> PathBuf {
    for wanted in BUILDS {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--release", "--locked", "--manifest-path"]);
        cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).args(wanted);
        assert!(cargo.status().expect("cargo starts").success(), "{wanted:?} cannot be built");
    }
    std::env::current_exe().expect("a path").parent().expect("a folder").with_file_name("release")
}

/// The best of three turns, so that a busy moment of the machine meets every engine, and how many times it takes what the
/// first takes.
fn in_turns(programs: &Path, work: &str, size: usize) -> Vec<(Measured, f64)> {
    let mut best: Vec<Option<Measured>> = vec![None; ENGINES.len()];
    for _ in 0..3 {
        for ((program, ..), best) in ENGINES.iter().zip(&mut best) {
            let now = measure(&programs.join(program), work, size, ROUNDS);
            if best.as_ref().is_none_or(|best| now.time < best.time) {
                *best = Some(now);
            }
        }
    }
    let best: Vec<Measured> = best.into_iter().flatten().collect();
    assert!(best.iter().all(|one| one.digest == best[0].digest), "they decide differently: {work}, {size}");
    let by_hand = best[0].time.as_secs_f64();
    best.into_iter().map(|one| (one.clone(), one.time.as_secs_f64() / by_hand)).collect()
}

fn measure(program: &Path, work: &str, size: usize, rounds: usize) -> Measured {
    let output =
        Command::new(program).args([work, &size.to_string(), &rounds.to_string()]).output().expect("it starts");
    assert!(output.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    let line = String::from_utf8(output.stdout).expect("digits");
    let mut words = line.split_whitespace();
    let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).expect("a number");
    let (time, kilobytes) = (Duration::from_nanos(number()), number() as usize);
    Measured { time, kilobytes, digest: words.next().expect("a digest").to_owned() }
}

/// What a process that prepares the policy and takes one decision spends over one that does nothing, from its start until
/// it has ended: the least of each, in turns, so that a busy moment of the machine meets both.
fn start(programs: &Path, program: &str) -> Duration {
    let least = |program: &str, least: Duration| {
        let before = spent_by_children();
        assert!(Command::new(programs.join(program)).stdout(Stdio::null()).status().expect("it starts").success());
        least.min(spent_by_children() - before)
    };
    let all = (0..STARTS)
        .fold((Duration::MAX, Duration::MAX), |(one, nothing), _| (least(program, one), least("nothing", nothing)));
    all.0.saturating_sub(all.1)
}

/// Processor time, of the programs and of the system for them.
fn spent_by_children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("Linux");
    let microseconds = [usage.user_time(), usage.system_time()].map(|time| time.num_microseconds());
    Duration::from_micros(microseconds.iter().sum::<i64>() as u64)
}

/// By callgrind; of the whole process, or only of what the clock would see.
fn instructions(program: &Path, arguments: &[&str], only_timed: bool) -> Option<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    if only_timed {
        command.args(["--collect-atstart=no", "--toggle-collect=*peers*time*"]);
    }
    let output = command.arg(program).args(arguments).output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    said.lines().find_map(|line| line.split_once("Collected : ")).and_then(|(_, count)| count.trim().parse().ok())
}

fn stripped(program: &Path) -> u64 {
    let copy = program.with_extension("stripped");
    assert!(Command::new("strip").arg("-o").arg(&copy).arg(program).status().expect("binutils").success());
    std::fs::metadata(copy).expect("what strip wrote").len()
}
