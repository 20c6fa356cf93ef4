//! A crash at every call to an edge leads to the outcome of the uninterrupted life.
//!
//! A life is first lived without a crash: poll, then watch until the run is over, with a copy of the installation
//! before each tick, while no process is at work. Then, for each tick and each call N that it made to the outside
//! (tracker, git, CI, executor, doorbell), the installation is put back, and the tick aborted after call N, as by a
//! power cut (`AFK_TEST_CRASH`, in debug builds only). After it afk goes on as if nothing had happened, and must arrive
//! where the first life did: one agent, as many turns, the same labels in the same order, one progress comment, no
//! second escalation, no lock.
//!
//! Between two calls nothing outside changes, so that a crash before call N is the crash after call N - 1; only the first
//! call of a tick is also crashed before. `AFK_TEST_CRASH_SWEEP=full` crashes before every call all the same.

mod installation;

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use installation::{Installation, Outcome, Ran};
use pretty_assertions::assert_eq;

/// The most ticks that a life may take.
const MOST_TICKS: usize = 12;
/// How many installations are at work at once; they wait for processes most of the time.
const WORKERS: usize = 4;

/// What a person does.
type Act = fn(&Installation);

/// A life, and where in it the crashes happen.
struct Life {
    agent: &'static str,
    policy: &'static [(&'static str, &'static str)],
    /// The first tick that is crashed; those before are crashed in another life.
    from: usize,
    /// What people do, before the tick of this number, which is none that comes after a crash.
    person: Option<(usize, Act)>,
    /// The agent ends only when asked to: nothing ever stands still, so lives are replayed, and not put back.
    hangs: bool,
}

impl Life {
    fn installation(&self) -> Installation {
        Installation::armed().agent(self.agent).hasty().policy(self.policy)
    }

    /// What happens before a tick: processes come to rest, people act.
    fn prepare(&self, afk: &Installation, tick: usize) {
        self.settle(afk);
        if let Some((_, act)) = self.person.filter(|(when, _)| *when == tick) {
            act(afk);
        }
    }

    fn settle(&self, afk: &Installation) {
        if self.hangs {
            // Time for an agent that was asked to end; one that was not goes on.
            afk.wait_at_most(Duration::from_millis(400), || !afk.is_at_work());
        } else {
            afk.wait_until_quiet();
        }
    }

    fn tick(afk: &Installation, tick: usize, variables: &[(&str, &str)]) -> Ran {
        afk.afk_with(&[if tick == 0 { "poll" } else { "watch" }], variables)
    }

    fn is_over(afk: &Installation) -> bool {
        let issue = afk.issue(1);
        issue.outcome().is_some() && !issue.has("agent-in-progress")
    }

    /// Lives it without a crash: the outcome, and how many calls each tick made.
    fn live(&self, afk: &Installation) -> (Outcome, Vec<u64>) {
        let mut calls = Vec::new();
        while !Self::is_over(afk) {
            let tick = calls.len();
            assert!(tick < MOST_TICKS, "the life does not end: {:#?}", afk.issue(1));
            self.prepare(afk, tick);
            if !self.hangs {
                afk.save(&tick.to_string());
            }
            let ran = Self::tick(afk, tick, &[]);
            assert_eq!(ran.code, Some(0), "{ran}");
            calls.push(afk.calls_of_the_last(if tick == 0 { "poll" } else { "watch" }));
        }
        (afk.outcome(), calls)
    }

    /// An installation just before a tick.
    fn before(&self, afk: Installation, tick: usize) -> Installation {
        if self.hangs {
            drop(afk);
            let afk = self.installation();
            for earlier in 0..tick {
                self.prepare(&afk, earlier);
                assert_eq!(Self::tick(&afk, earlier, &[]).code, Some(0));
            }
            self.prepare(&afk, tick);
            afk
        } else {
            afk.restore(&tick.to_string());
            afk
        }
    }

    /// Crashes a tick at a call, goes on to the end, and says what is different then.
    fn crash(&self, afk: &Installation, tick: usize, knob: &str, expected: &Outcome) -> Result<(), String> {
        let mut said = String::new();
        let ran = Self::tick(afk, tick, &[("AFK_TEST_CRASH", knob)]);
        write!(said, "{ran}").unwrap();
        if ran.code.is_some() {
            return Err(format!("did not crash: {said}"));
        }
        for next in tick + 1..tick + MOST_TICKS {
            if Self::is_over(afk) {
                break;
            }
            self.settle(afk);
            for command in if next == tick + 1 { &["poll", "watch"][..] } else { &["watch"] } {
                let ran = afk.afk(&[command]);
                write!(said, "{command}: {ran}").unwrap();
                if ran.code != Some(0) {
                    return Err(format!("complained after the crash\n{said}"));
                }
                self.settle(afk);
            }
        }
        let ran = afk.poll();
        write!(said, "poll: {ran}").unwrap();
        if !Self::is_over(afk) || ran.code != Some(0) {
            return Err(format!("did not end: {:#?}\n{said}", afk.issue(1)));
        }
        self.settle(afk);
        let outcome = afk.outcome();
        if outcome == *expected {
            Ok(())
        } else {
            Err(format!("{}\n{said}", pretty_assertions::Comparison::new(&outcome, expected)))
        }
    }

    /// One worker's part of the crashes.
    fn sweep(&self, worker: usize, everything: bool) -> Vec<String> {
        let mut afk = self.installation();
        let (expected, calls) = self.live(&afk);
        let mut cases = Vec::new();
        for (tick, calls) in calls.iter().enumerate().skip(self.from) {
            cases.push((tick, "before:1".to_owned()));
            cases.extend((1..=*calls).map(|call| (tick, format!("after:{call}"))));
            if everything {
                cases.extend((2..=*calls).map(|call| (tick, format!("before:{call}"))));
            }
        }
        assert!(cases.len() > WORKERS, "nothing to crash: {calls:?}");
        let mut failures = Vec::new();
        for (tick, knob) in cases.into_iter().skip(worker).step_by(WORKERS) {
            afk = self.before(afk, tick);
            if let Err(difference) = self.crash(&afk, tick, &knob, &expected) {
                failures.push(format!("━━ tick {tick} of {calls:?}, crashed {knob}\n{difference}"));
            }
        }
        failures
    }

    /// Crashes everywhere.
    #[track_caller]
    fn survives_every_crash(&self) {
        let everything = std::env::var("AFK_TEST_CRASH_SWEEP").is_ok_and(|sweep| sweep == "full");
        let failures: Vec<String> = thread::scope(|scope| {
            let workers: Vec<_> =
                (0..WORKERS).map(|worker| scope.spawn(move || self.sweep(worker, everything))).collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
        });
        assert!(failures.is_empty(), "{} crashes changed the outcome:\n{}", failures.len(), failures.join("\n"));
    }
}

#[test]
fn a_run_that_is_red_corrected_and_closed_survives_a_crash_at_every_call() {
    let life = Life { agent: "red_then_right", policy: &[], from: 0, person: None, hangs: false };
    life.survives_every_crash();
}

#[test]
fn a_run_that_is_frozen_survives_a_crash_at_every_call() {
    // A commit closed the issue meanwhile, so that there is something to reopen.
    let closed_by_push: Act = |afk| afk.person("afk").closes(1);
    let life = Life {
        agent: "wrong",
        policy: &[("attempts = 5", "attempts = 0")],
        from: 2,
        person: Some((1, closed_by_push)),
        hangs: false,
    };
    life.survives_every_crash();
}

#[test]
fn a_run_that_a_person_takes_back_under_a_live_agent_survives_a_crash_at_every_call() {
    let paused: Act = |afk| afk.person("leo").labels(1, "paused");
    let life = Life { agent: "hangs", policy: &[], from: 1, person: Some((1, paused)), hangs: true };
    life.survives_every_crash();
}

#[test]
fn a_poll_that_takes_two_issues_takes_each_once_whatever_call_it_crashes_at() {
    let two_armed = || {
        let afk = Installation::armed().agent("idle").policy(&[("slots_per_repo = 1", "slots_per_repo = 2")]);
        afk.write_issue(2, "Another one", "Greet ada by name.");
        afk.arm(2, "ada");
        afk.save("armed");
        afk
    };
    let afk = two_armed();
    assert_eq!(afk.poll().code, Some(0));
    let calls = afk.calls_of_the_last("poll");
    afk.wait_until_quiet();

    thread::scope(|scope| {
        for worker in 0..WORKERS {
            scope.spawn(move || {
                let afk = two_armed();
                for call in (1..=calls).skip(worker).step_by(WORKERS) {
                    let crashed = afk.afk_with(&["poll"], &[("AFK_TEST_CRASH", &format!("after:{call}"))]);
                    assert_eq!(crashed.code, None, "did not crash after call {call}: {crashed}");
                    let ran = afk.poll();
                    assert_eq!(ran.code, Some(0), "{ran}");
                    afk.wait_until_quiet();
                    let agents = afk.agents();
                    assert!(agents.len() == 2 && agents.iter().all(|agent| agent.turns == 1), "{call}: {agents:#?}");
                    assert_eq!(afk.invocations().len(), 2, "crashed after call {call}: {ran}");
                    for issue in [afk.issue(1), afk.issue(2)] {
                        assert!(issue.has("agent-in-progress") && issue.comments.len() == 1, "{call}: {issue:#?}");
                    }
                    afk.restore("armed");
                }
            });
        }
    });
}
