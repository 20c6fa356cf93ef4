//! `afk serve`: poll and watch on an interval.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::{ExitStatus, Failure};
use super::output::Output;
use super::tick::{self, Performed, Request};
use super::{Installed, findings, wiring};
use crate::adapters::installation::TickKind;
use crate::policy::Finding;
use crate::policy::duration::since;

/// Poll and watch on the intervals of the settings, until it is told to stop
///
/// SIGTERM and Ctrl-C end it cleanly, after the tick at hand. The policy is read again at every tick. Agents live on while
/// it is stopped.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Which policy, of which installation.
    #[command(flatten)]
    pub installed: Installed,
}

/// Runs it.
///
/// # Errors
/// When the settings cannot be used. A tick that fails is told, and the next one tries again.
pub fn run(arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    let settings = wiring::settings(&arguments.installed.settings.settings)?;
    let runtime = tick::runtime()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let mut schedules = [
        Schedule::new(TickKind::Poll, settings.poll_interval),
        Schedule::new(TickKind::Watch, settings.watch_interval),
    ];
    out.line("serving; Ctrl-C or SIGTERM ends it after the tick at hand, agents live on");
    loop {
        for schedule in &mut schedules {
            if schedule.is_due() {
                schedule.tick(arguments, out);
            }
            if runtime.block_on(signals.came_within(Duration::ZERO)) {
                return Ok(ExitStatus::Done);
            }
        }
        let pause = schedules.iter().map(Schedule::until_due).min().unwrap_or_default();
        let before = Utc::now();
        if runtime.block_on(signals.came_within(pause)) {
            return Ok(ExitStatus::Done);
        }
        let overslept = since(before, Utc::now()).saturating_sub(pause);
        schedules.iter_mut().for_each(|schedule| schedule.overslept(overslept));
    }
}

/// When one kind of tick is due.
struct Schedule {
    kind: TickKind,
    interval: Duration,
    /// When the last one ended, by the wall clock, which goes on while the machine sleeps.
    last: Option<DateTime<Utc>>,
    /// The next one only looks.
    only_looks: bool,
    /// The fault of the policy that was told last, so that each is told once.
    told: Option<Vec<Finding>>,
}

impl Schedule {
    fn new(kind: TickKind, interval: Duration) -> Self {
        Self { kind, interval, last: None, only_looks: false, told: None }
    }

    fn until_due(&self) -> Duration {
        self.until_due_at(Utc::now())
    }

    fn until_due_at(&self, now: DateTime<Utc>) -> Duration {
        match self.last {
            // A clock that was set back must not be waited for.
            Some(last) if last <= now => self.interval.saturating_sub(since(last, now)),
            _ => Duration::ZERO,
        }
    }

    fn is_due(&self) -> bool {
        self.until_due().is_zero()
    }

    /// After a long gap (a suspended machine) every clock in the world has jumped: the first tick only looks.
    /// Only a pause that took too long tells of one: a tick of the other kind may take long as well.
    fn overslept(&mut self, by: Duration) {
        self.only_looks |= by > self.interval.saturating_mul(3);
    }

    fn tick(&mut self, arguments: &Arguments, out: &mut Output) {
        let only_looks = std::mem::take(&mut self.only_looks);
        let request = Request::new(self.kind, &arguments.installed, only_looks);
        match tick::perform(request) {
            Ok(Performed::Ran { report, .. }) => {
                if request.dry_run {
                    out.line(format_args!("{}: nothing was done for a while; this tick only looks", self.kind.word()));
                }
                tick::write_events(&report, out);
                tick::write_problems(&report, out);
            }
            Ok(Performed::SwitchedOff(policy, why)) => {
                tracing::info!(revision = %policy.revision, "{}: switched off: {why}", self.kind.word());
            }
            Ok(Performed::BrokenPolicy(loaded)) => {
                if self.told.as_ref() != Some(&loaded.checked.findings) {
                    findings::draw(&loaded, out);
                    out.line(format_args!(
                        "{}: the policy cannot be used, and nothing is done until it can",
                        self.kind.word()
                    ));
                }
                self.told = Some(loaded.checked.findings);
                self.last = Some(Utc::now());
                return;
            }
            Err(failure) => out.failure(&failure),
        }
        self.told = None;
        self.last = Some(Utc::now());
    }
}

/// What asks a server to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure::could_not_run(format!("cannot listen for signals: {error}")));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn came_within(&mut self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => true,
            _ = self.interrupt.recv() => true,
            () = tokio::time::sleep(pause) => false,
        }
    }
}

const AFTER_HELP: &str = "\
Exit codes:
  0  stopped as asked
  2  the command line is wrong
  4  could not run

Examples:
  afk serve
  afk -v --log-format json serve";

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn a_tick_is_due_after_its_interval_and_whenever_the_clock_was_set_back() {
        let ended: DateTime<Utc> = "2026-11-22T12:00:00Z".parse().unwrap();
        let mut schedule = Schedule::new(TickKind::Poll, Duration::from_secs(60));
        assert_eq!(schedule.until_due_at(ended), Duration::ZERO);
        schedule.last = Some(ended);
        for (seconds, left) in [(0, 60), (20, 40), (60, 0), (600, 0), (-1, 0), (-31_536_000, 0)] {
            let now = ended + chrono::TimeDelta::seconds(seconds);
            assert_eq!(schedule.until_due_at(now), Duration::from_secs(left), "{seconds}");
        }
    }

    #[test]
    fn only_the_first_tick_after_a_long_sleep_only_looks() {
        let mut schedule = Schedule::new(TickKind::Poll, Duration::from_secs(60));
        schedule.overslept(Duration::from_secs(180));
        assert!(!schedule.only_looks);
        schedule.overslept(Duration::from_secs(181));
        schedule.overslept(Duration::ZERO);
        assert!(schedule.only_looks);
    }
}
