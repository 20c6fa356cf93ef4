//! The lives that are lived: fixed ones, fresh ones, one again, and those of defective afks.

#![expect(clippy::print_stdout, reason = "what was lived is told to whoever asks with --nocapture")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::defects::Defect;
use crate::life::{Lived, live};
use crate::script::{Apart, FLEET, SMALL, Script, Size};
use crate::shrink::{in_fresh, shrink};

/// How many of the fixed lives there are in `cargo test`.
const FIXED: u64 = 300;
/// How many fresh ones, unless `AFK_SIMULATION_LIVES` says so.
const FRESH: u64 = 30;
/// After so many lives other changed policies are drawn.
const LIVES_A_DRAW: u64 = 500;
/// So many failing lives are enough for one run.
const ENOUGH: usize = 20;

/// Where installations are kept: in memory where the system has a place for that.
pub fn scratch() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

fn size() -> Size {
    match std::env::var("AFK_SIMULATION_SIZE").as_deref() {
        Ok("fleet") => FLEET,
        _ => SMALL,
    }
}

fn policies() -> Option<u64> {
    variable("AFK_SIMULATION_POLICIES")
}

/// What lives have in common.
#[derive(Debug, Clone, Copy)]
struct Kind {
    size: Size,
    /// The first seed of the changed policies.
    policies: u64,
    apart: Apart,
}

impl Kind {
    /// Of the fixed lives.
    const FIXED: Self = Self { size: SMALL, policies: 0, apart: Apart::ByItsLock };

    /// That of the life at this place among many: the more there are, the more policies they try.
    fn at(self, place: u64) -> Self {
        Self { policies: self.policies + place / LIVES_A_DRAW * 1_000, ..self }
    }

    fn script(self, seed: u64) -> Script {
        Script { apart: self.apart, ..Script::of(seed, self.size, self.policies) }
    }

    /// The command that lives one of them again.
    fn replay(self, seed: u64) -> String {
        let size = if self.size.repos == FLEET.repos { "AFK_SIMULATION_SIZE=fleet " } else { "" };
        let known = Apart::ALL.iter().find(|(_, apart)| *apart == self.apart && *apart != Apart::ByItsLock);
        let apart = known.map_or(String::new(), |(name, _)| format!("AFK_SIMULATION_APART={name} "));
        format!(
            "AFK_SIMULATION_POLICIES={} AFK_SIMULATION_SEED={seed} {size}{apart}cargo test --test simulation replay -- \
             --nocapture",
            self.policies
        )
    }
}

/// Lives these seeds, on two threads. Fails with every one that breaks an invariant, up to [`ENOUGH`], and makes the first
/// of them short.
fn live_all(seeds: std::ops::Range<u64>, kind: Kind) -> BTreeMap<String, usize> {
    let began = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let (lives, ticks, dispatches) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let endings = Mutex::new(BTreeMap::new());
    let broken = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        let worker = || {
            let folder = scratch();
            while broken.lock().unwrap().len() < ENOUGH {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    return;
                }
                let kind = kind.at(seed - seeds.start);
                let script = kind.script(seed);
                let lived = in_fresh(folder.path(), 0, |folder| live(&script, folder, false, None));
                lives.fetch_add(1, Ordering::Relaxed);
                ticks.fetch_add(lived.ticks, Ordering::Relaxed);
                dispatches.fetch_add(lived.dispatches, Ordering::Relaxed);
                for (ending, times) in lived.endings {
                    *endings.lock().unwrap().entry(ending).or_insert(0) += times;
                }
                if let Some(violation) = lived.violation {
                    broken.lock().unwrap().insert(seed, (kind, violation.invariant));
                }
            }
        };
        scope.spawn(worker);
        scope.spawn(worker);
    });
    let (endings, broken) = (endings.into_inner().unwrap(), broken.into_inner().unwrap());
    println!("{endings:?}");
    println!(
        "{} lives of {} issues over {} repositories: {} ticks, {} agents started, {:.1} s",
        lives.into_inner(),
        kind.size.issues,
        kind.size.repos,
        ticks.into_inner(),
        dispatches.into_inner(),
        began.elapsed().as_secs_f64()
    );
    for (seed, (kind, invariant)) in &broken {
        println!("`{invariant}` does not hold: {}", kind.replay(*seed));
    }
    if let Some((seed, (kind, _))) = broken.first_key_value() {
        panic!("{}", report(*seed, *kind));
    }
    endings
}

/// A life that breaks an invariant, as short as it gets, and how to live it again.
fn report(seed: u64, kind: Kind) -> String {
    let folder = scratch();
    let script = kind.script(seed);
    let lived = in_fresh(folder.path(), 0, |folder| live(&script, folder, true, None));
    let Some(violation) = lived.violation else { return format!("seed {seed} breaks nothing") };
    let short = shrink(&script, violation.invariant, folder.path());
    let told = in_fresh(folder.path(), 0, |folder| live(&short, folder, true, None));
    format!(
        "`{}` does not hold in the life of seed {seed}\n\n{}\n\npolicy {} of {}, steps: {:?}\n\nlive it again: {}\n",
        violation.invariant,
        told.story.join("\n"),
        short.policy,
        short.policies,
        short.steps,
        kind.replay(seed)
    )
}

#[test]
fn the_fixed_lives_keep_every_invariant() {
    let endings = live_all(0..FIXED, Kind::FIXED);
    // A world in which nothing happens proves nothing.
    for ending in ["done", "in-review", "needs-human", "frozen", "released", "correction"] {
        let times = endings.get(ending).copied().unwrap_or(0);
        assert!(times >= 10, "{ending} was seen {times} times: {endings:?}");
    }
}

/// The numbers printed are the first seeds of the lives and of the changed policies. A life replays by its own seed, and
/// that of the policies.
#[test]
fn fresh_lives_keep_every_invariant() {
    let lives = variable("AFK_SIMULATION_LIVES").unwrap_or(FRESH);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let first = variable("AFK_SIMULATION_FIRST").unwrap_or(now * 1_000_000);
    let kind = Kind { size: size(), policies: policies().unwrap_or(now), apart: Apart::ByItsLock };
    println!("fresh lives from seed {first} on, changed policies from seed {} on", kind.policies);
    live_all(first..first + lives, kind);
}

/// Without the lock of the installation, two pollers and two watchers go on call by call in any order.
/// They may ring twice, write a second progress comment, and fill a slot twice; nothing worse.
#[test]
fn two_ticks_at_once_without_a_lock_double_no_run_and_lose_none() {
    live_together(Apart::Not);
}

/// Two installations over one tracker and one executor, each with its own lock, heartbeats and orders: no more than that.
#[test]
fn two_installations_over_one_executor_double_no_run_and_lose_none() {
    live_together(Apart::ByTwoLocks);
}

fn live_together(apart: Apart) {
    let lives = variable("AFK_SIMULATION_LIVES").unwrap_or(FRESH);
    let first = variable("AFK_SIMULATION_FIRST").unwrap_or(0);
    live_all(first..first + lives, Kind { policies: policies().unwrap_or(0), apart, ..Kind::FIXED });
}

#[test]
fn a_few_lives_of_a_fleet_keep_every_invariant() {
    live_all(0..10, Kind { size: FLEET, ..Kind::FIXED });
}

/// `AFK_SIMULATION_POLICIES=0 AFK_SIMULATION_SEED=123 cargo test --test simulation replay -- --nocapture`
#[test]
fn replay() {
    let Some(seed) = variable("AFK_SIMULATION_SEED") else { return };
    let apart = std::env::var("AFK_SIMULATION_APART").unwrap_or_else(|_| "lock".to_owned());
    let apart =
        Apart::ALL.iter().find(|(name, _)| *name == apart).expect("AFK_SIMULATION_APART is none or two-locks").1;
    let kind = Kind { size: size(), policies: policies().unwrap_or(0), apart };
    let (folder, script) = (scratch(), kind.script(seed));
    let lived: Lived = in_fresh(folder.path(), 0, |folder| live(&script, folder, true, None));
    println!("{}\n", lived.story.join("\n"));
    if lived.violation.is_some() {
        panic!("{}", report(seed, kind));
    }
}

#[test]
fn a_life_follows_from_its_seed_alone() {
    let folder = scratch();
    for seed in 0..5 {
        let script = Kind::FIXED.script(seed);
        let story = || in_fresh(folder.path(), 0, |folder| live(&script, folder, true, None)).story;
        pretty_assertions::assert_eq!(story(), story());
    }
}

/// Every deliberate defect is caught, within so many lives.
#[test]
fn every_deliberate_defect_is_caught() {
    const MOST: u64 = 300;
    let next = AtomicUsize::new(0);
    let caught: Vec<(usize, String)> = std::thread::scope(|scope| {
        let worker = || {
            let folder = scratch();
            let mut caught = Vec::new();
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some(defect) = Defect::ALL.get(place).copied() else { return caught };
                let found = (0..MOST).find_map(|seed| {
                    let script = Kind::FIXED.script(seed);
                    let lived = in_fresh(folder.path(), 0, |folder| live(&script, folder, false, Some(defect)));
                    lived.violation.map(|violation| (seed + 1, violation.invariant))
                });
                caught.push((
                    place,
                    match found {
                        Some((lives, invariant)) => {
                            format!("{:>4} lives  an afk that {}: {invariant}", lives, defect.in_words())
                        }
                        None => format!("NOT CAUGHT  an afk that {}", defect.in_words()),
                    },
                ));
            }
        };
        let workers = [scope.spawn(worker), scope.spawn(worker)];
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let mut lines = caught;
    lines.sort();
    let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
    println!("{}", lines.join("\n"));
    assert!(!lines.iter().any(|line| line.starts_with("NOT")), "\n{}", lines.join("\n"));
}
