//! Whatever becomes of a request to GitHub, a run ends as it would have: nothing is written twice, nobody is started
//! twice, and no alert is lost.
//!
//! A life is first lived without an outage, with a copy of everything before each tick. Then, for each request of each
//! tick, everything is put back, the request goes wrong, and afk goes on as if nothing had happened.
//!
//! What only reads is met by one fault each, in turn; `AFK_TEST_OUTAGES=full` lets every request meet every fault.

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use super::Installation;
use crate::github_fake::{Exchange, Fault, Trouble};
use crate::installation::Outcome;

/// The most ticks that a life may take.
const MOST_TICKS: usize = 12;
/// How many installations are at work at once; they wait for processes most of the time.
const WORKERS: usize = 4;

/// Faults of a request that changes something.
const OF_WRITES: &[Fault] =
    &[Fault::LostBefore, Fault::LostAfter, Fault::BadGatewayAfter, Fault::Truncated, Fault::Duplicated];
/// Faults of a request that only looks.
const OF_READS: &[Fault] = &[Fault::LostBefore, Fault::Truncated, Fault::BadGateway];

/// Whether the run is over, by its first record: of what the network wrote twice, afk goes on with that one.
fn is_over(afk: &Installation) -> bool {
    let issue = afk.issue(1);
    issue.records().first().is_some_and(|record| !record["outcome"].is_null()) && !issue.has("agent-in-progress")
}

fn command(tick: usize) -> &'static str {
    if tick == 0 { "poll" } else { "watch" }
}

/// Lives without an outage: what becomes of the issue, and what each tick asked.
fn live(afk: &Installation) -> (Outcome, Vec<Vec<Exchange>>) {
    let mut asked = Vec::new();
    while !is_over(afk) {
        let tick = asked.len();
        assert!(tick < MOST_TICKS, "the life does not end: {:#?}", afk.issue(1));
        afk.wait_until_quiet();
        afk.save(&tick.to_string());
        afk.forge.fake.take_log();
        let ran = afk.afk(&[command(tick)]);
        assert_eq!(ran.code, Some(0), "{ran}");
        asked.push(afk.forge.fake.log());
    }
    (afk.outcome(), asked)
}

/// Puts everything back to before a tick, lets a request of it go wrong, and goes on to the end: what is different then.
fn outage(afk: &Installation, tick: usize, call: usize, fault: &Fault, expected: &Outcome) -> Result<(), String> {
    afk.restore(&tick.to_string());
    afk.forge.fake.trouble(Trouble::at(fault.clone(), call));
    let ran = afk.afk(&[command(tick)]);
    let mut said = format!("{}: {ran}", command(tick));
    if !matches!(ran.code, Some(0 | 3 | 4)) {
        return Err(said);
    }
    afk.forge.fake.state().troubles.clear();
    for _ in 0..MOST_TICKS {
        afk.wait_until_quiet();
        // A poll in between starts nothing that is under way.
        for command in ["poll", "watch"] {
            if !is_over(afk) {
                let ran = afk.afk(&[command]);
                write!(said, "{command}: {ran}").unwrap();
                afk.wait_until_quiet();
            }
        }
    }
    let ran = afk.poll();
    write!(said, "poll: {ran}").unwrap();
    if !is_over(afk) || ran.code != Some(0) {
        return Err(format!("did not end: {:#?}\n{said}", afk.issue(1)));
    }
    afk.wait_until_quiet();
    if *fault == Fault::Duplicated {
        forget_twins(afk);
    }
    let (outcome, expected) = (in_any_order(afk.outcome()), in_any_order(expected.clone()));
    if outcome == expected {
        Ok(())
    } else {
        Err(format!("{}\n{said}", pretty_assertions::Comparison::new(&outcome, &expected)))
    }
}

/// What the network wrote twice is there twice, and nobody but the network is to blame: takes one twin off.
fn forget_twins(afk: &Installation) {
    let mut state = afk.forge.fake.state();
    let comments = &mut state.issue(0, 1).comments;
    let twin = (1..comments.len()).find(|&place| {
        let (this, before) = (&comments[place].body, &comments[place - 1].body);
        this == before || this.starts_with("This is a copy of the progress comment")
    });
    if let Some(twin) = twin {
        comments.remove(twin);
    }
}

/// An effect that failed holds the others back no more than a person who is quicker; only the lock comes off last.
fn in_any_order(mut outcome: Outcome) -> Outcome {
    if let Some((_, others)) = outcome.events.split_last_mut() {
        others.sort();
    }
    outcome
}

/// One worker's part of the outages.
fn sweep(worker: usize, agent: &str, from: usize, everything: bool) -> Vec<String> {
    let afk = Installation::armed().agent(agent).hasty();
    let (expected, asked) = live(&afk);
    let mut cases = Vec::new();
    for (tick, asked) in asked.iter().enumerate().skip(if everything { 0 } else { from }) {
        for (place, exchange) in asked.iter().enumerate() {
            let writes = exchange.method != "GET" && exchange.path != "/graphql";
            let faults: Vec<&Fault> = if writes || everything {
                OF_WRITES.iter().collect()
            } else {
                OF_READS.iter().skip(place % OF_READS.len()).take(1).collect()
            };
            let what = format!("{} {}", exchange.method, exchange.path);
            cases.extend(faults.into_iter().map(|fault| (tick, place + 1, fault, what.clone())));
        }
    }
    assert!(cases.len() > WORKERS, "nothing was asked: {asked:?}");
    let mut failures = Vec::new();
    for (tick, call, fault, what) in cases.into_iter().skip(worker).step_by(WORKERS) {
        if let Err(difference) = outage(&afk, tick, call, fault, &expected) {
            failures.push(format!("━━ tick {tick}, request {call} ({what}): {fault:?}\n{difference}"));
        }
    }
    failures
}

/// Of a life whose first ticks another one has too, the outages begin after them.
#[track_caller]
fn ends_as_it_would_have(agent: &'static str, from: usize) {
    let everything = std::env::var("AFK_TEST_OUTAGES").is_ok_and(|sweep| sweep == "full");
    let failures: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..WORKERS).map(|worker| scope.spawn(move || sweep(worker, agent, from, everything))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(failures.is_empty(), "{} outages changed the outcome:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_run_that_is_escalated_ends_the_same_whatever_becomes_of_a_request() {
    ends_as_it_would_have("idle", 0);
}

#[test]
fn a_run_that_is_closed_ends_the_same_whatever_becomes_of_a_request() {
    ends_as_it_would_have("right", 1);
}

#[test]
fn a_github_that_answers_too_late_is_not_waited_for() {
    let afk = Installation::armed().settings(&[("data = \"data\"", "data = \"data\"\ncall_timeout = \"1s\"\n#")]);
    afk.forge.fake.trouble(Trouble {
        fault: Fault::Slow(Duration::from_secs(60)),
        method: "",
        path: "/graphql",
        after: 0,
        times: usize::MAX,
    });
    let started = std::time::Instant::now();
    let ran = afk.poll();
    assert!(matches!(ran.code, Some(3 | 4)), "{ran}");
    assert!(started.elapsed() < Duration::from_secs(30) && afk.agents().is_empty(), "{ran}");
}

#[test]
fn a_github_that_wants_to_be_left_alone_is_and_nothing_is_started_on_half_of_an_answer() {
    for path in ["/graphql", "/permission", "/comments"] {
        let afk = Installation::armed().agent("idle");
        let trouble = Trouble { fault: Fault::SecondaryLimit(3600), method: "", path, after: 0, times: usize::MAX };
        afk.forge.fake.trouble(trouble);
        for _ in 0..2 {
            let ran = afk.poll();
            assert!(!ran.stdout.contains("  dispatched  ") && afk.agents().is_empty(), "{path}: {ran}");
        }
        let refused = afk.forge.fake.log().iter().filter(|exchange| exchange.status == 403).count();
        assert_eq!(refused, 1, "asked again although told to wait: {path}");
        assert!(!afk.issue(1).has("agent-in-progress"), "{path}");
    }
}
