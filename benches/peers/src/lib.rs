//! The same decisions by several engines: see docs/performance.md of afk. Each engine is a program of its own, so that its
//! size, its memory and its start are its own; `src/main.rs` runs them all and prints the table.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::hint::black_box;
use std::time::{Duration, Instant};

use afk::engine::select::{Candidate, Outcome};
use afk::policy::facts::RunFacts;

#[cfg(feature = "cedar-policy")]
pub mod cedar;
mod contest;
pub mod hand;
pub mod interpreter;
#[cfg(feature = "regorus")]
pub mod rego;
pub mod world;

/// What is compared. Policies are compiled and inputs are put into the engine's own form before the clock runs.
pub trait Engine: Sized {
    /// Issues in the form that the engine reads.
    type Issues;
    /// Runs in the form that the engine reads.
    type Runs;
    /// What [`Engine::select`] makes.
    type Decisions;

    /// Reads and compiles the policy.
    fn prepare() -> Self;
    /// Brings issues into its form.
    fn issues(issues: Vec<Candidate>) -> Self::Issues;
    /// Brings runs into its form.
    fn runs(&mut self, runs: Vec<(&'static str, RunFacts)>) -> Self::Runs;
    /// Decides on every issue.
    fn select(&mut self, issues: &Self::Issues, in_flight: &[String]) -> Self::Decisions;
    /// What it decided.
    fn outcomes(decisions: Self::Decisions) -> Vec<Outcome>;
    /// The row of every run, in the engine's own terms.
    fn step(&mut self, runs: &Self::Runs) -> Vec<Option<usize>>;
    /// The number of a row, from 0.
    fn row(&self, step: usize) -> usize {
        step
    }
}

/// The program of one engine: `start` prepares and decides on one issue; `select SIZE ROUNDS` and `step SIZE ROUNDS`
/// print nanoseconds of the fastest round, peak memory in kB, and a digest of the decisions.
pub fn run<E: Engine>() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize| arguments[index].parse::<usize>().expect("a number");
    let mut engine = E::prepare();
    match arguments.first().map(String::as_str) {
        Some("select") => {
            let (issues, busy) = (E::issues(world::issues(number(1))), world::busy());
            let outcomes = E::outcomes(engine.select(&issues, &busy));
            let words: Vec<String> = outcomes.iter().map(|outcome| format!("{outcome:?}")).collect();
            report(number(2), &words, || engine.select(black_box(&issues), black_box(&busy)));
        }
        Some("step") => {
            let runs = engine.runs(world::runs(number(1)));
            let steps = engine.step(&runs);
            let rows: Vec<_> = steps.into_iter().map(|step| step.map(|step| engine.row(step))).collect();
            report(number(2), &rows, || engine.step(black_box(&runs)));
        }
        _ => {
            let issues = E::issues(world::issues(1));
            let _ = black_box(E::outcomes(engine.select(&issues, &world::busy())));
        }
    }
}

fn report<T>(rounds: usize, decided: &impl Hash, mut work: impl FnMut() -> T) {
    let mut digest = DefaultHasher::new();
    decided.hash(&mut digest);
    let fastest = (0..rounds).map(|_| time(&mut || drop(black_box(work())))).min().unwrap_or_default();
    println!("{} {} {:016x}", fastest.as_nanos(), peak_kilobytes(), digest.finish());
}

/// Not inlined, so that callgrind can count what is inside.
#[inline(never)]
fn time(work: &mut dyn FnMut()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn peak_kilobytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("kB")
}
