//! What `afk check-policy` of the shipped policy costs, in this process and as a process of its own, beside processes
//! that do nothing: `cargo bench --bench check`.

#![allow(clippy::print_stdout, reason = "the table is the result")]

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use afk::adapters::policy_file;
use afk::policy::InstalledNames;
use afk::schema::Validator;
use afk::verify;

const ROUNDS: usize = 301;

fn main() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/afk.toml");
    let load = || policy_file::load_unproven(&shipped, &InstalledNames::default());
    let loaded = load();
    let policy = loaded.checked.policy.as_ref().expect("the shipped policy is sound");
    let text = &loaded.source.text;
    let validator = Validator::new().expect("the schema is a schema");
    assert_eq!(validator.judge(text).expect("the shipped policy is TOML"), None);

    println!("in this process, median of {ROUNDS}");
    row("read, parse and check", median(|| time(load)));
    row("prove", median(|| time(|| verify::prove(black_box(policy)))));
    row("read and compile the schema", median(|| time(Validator::new)));
    row("hold the policy against it", median(|| time(|| validator.judge(black_box(text)))));

    println!("as a process, median of {ROUNDS}");
    let afk = env!("CARGO_BIN_EXE_afk");
    let shipped = shipped.to_str().expect("a path in UTF-8");
    for (program, arguments) in [
        ("/bin/true", &[][..]),
        (afk, &["--version"]),
        (afk, &["explain", "--code", "syntax"]),
        // Reads, parses and checks, without schema and proofs.
        (afk, &["graph", "--policy", shipped]),
        (afk, &["check-policy", shipped]),
    ] {
        let name = Path::new(program).file_name().expect("a program").display().to_string();
        let shown: Vec<&str> = arguments.iter().map(|word| word.rsplit('/').next().unwrap_or(word)).collect();
        row(&format!("{name} {}", shown.join(" ")), median(|| process(program, arguments)));
    }
}

fn row(what: &str, milliseconds: f64) {
    println!("  {what:<36}  {milliseconds:>7.3} ms");
}

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    let result = black_box(work());
    let took = start.elapsed();
    drop(result);
    took
}

/// From the start of a process until it has ended.
fn process(program: &str, arguments: &[&str]) -> Duration {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    time(|| assert!(command.status().expect("a program that starts").success(), "{program} {arguments:?}"))
}

/// In milliseconds.
fn median(mut run: impl FnMut() -> Duration) -> f64 {
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| run()).collect();
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1_000.0
}
