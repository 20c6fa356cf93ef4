//! `afk doctor`: whether this installation could do its work, and what to mend before it is switched on.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

mod checks;
mod reach;
mod t3;

use checks::Examination;

use super::exit::{ExitStatus, Failure};
use super::findings::counted;
use super::output::{BAD, FAINT, GOOD, Output, WARN, printable};
use super::wiring::{self, Access};
use super::{Format, FormatArguments, Installed, tick};
use crate::adapters::policy_file;
use crate::settings::TrackerSettings;

/// Look whether everything that a tick needs is there, and say how to mend what is not
///
/// Asks the tracker, the executors and the judges, and changes nothing unless told to. Works while the kill switch is
/// on, and that is when it is most useful.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Create the labels of the policy that a repository lacks
    #[arg(long)]
    pub fix: bool,
    /// Ring every doorbell once
    #[arg(long)]
    pub ring: bool,
    /// Which policy, of which installation.
    #[command(flatten)]
    pub installed: Installed,
    /// How the result is written.
    #[command(flatten)]
    pub format: FormatArguments,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  nothing is in the way; notes do not count
  1  something has to be mended first
  2  the command line is wrong
  4  could not run: the settings are missing or wrong

Examples:
  afk doctor                    before the kill switch is turned off, and whenever nothing happens
  afk doctor --fix --ring       create missing labels, and hear whether the doorbells ring";

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// As it should be.
    Ok,
    /// Good to know; nothing has to be done.
    Note,
    /// Was not looked at, or not yet.
    Skipped,
    /// Has to be mended.
    Fail,
}

/// What was found of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Symptom {
    /// What it is about: `tracker`, `labels`.
    pub about: &'static str,
    /// How it stands.
    pub health: Health,
    /// In a few words.
    pub what: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Runs it.
///
/// # Errors
/// When the settings are missing or wrong, or there is no world to ask.
pub fn run(arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    let (policy_path, settings_path) = (&arguments.installed.policy.policy, &arguments.installed.settings.settings);
    let mut settings = wiring::settings(settings_path)?;
    if let TrackerSettings::Github(github) = &mut settings.tracker {
        // Every repository is looked at; what is reserved for people stays reserved.
        github.requests_per_tick = u64::MAX;
    }
    let loaded = policy_file::load(policy_path, &wiring::installed(&settings));
    let changes = arguments.fix || arguments.ring;
    let world = wiring::world(&settings, policy_path, if changes { Access::Beside } else { Access::ReadOnly })?;
    let mut examination = Examination::new(&settings, &world, &loaded);
    examination.policy(policy_path);
    examination.reach([policy_path, settings_path]);
    let is_there = examination.data();
    let all = async {
        if !is_there {
            return;
        }
        examination.edges(arguments.fix).await;
        examination.doorbells(arguments.ring).await;
    };
    let deadline = settings.tick_deadline;
    let finished = tick::runtime()?.block_on(async { tokio::time::timeout(deadline, all).await });
    let mut symptoms = examination.symptoms;
    if finished.is_err() {
        symptoms.push(Symptom {
            about: "doctor",
            health: Health::Fail,
            what: format!("not all was looked at within {} s (`tick_deadline`)", deadline.as_secs()),
            remedy: Some(
                "mend what is above and look again; where it is slow for want of nothing else, raise \
                          `tick_deadline` in the settings"
                    .to_owned(),
            ),
        });
    }
    let failures = symptoms.iter().filter(|symptom| symptom.health == Health::Fail).count();
    match arguments.format.format {
        Format::Json => out.json(&serde_json::json!({ "failures": failures, "symptoms": symptoms })),
        Format::Human => write(&symptoms, failures, out),
    }
    Ok(if failures == 0 { ExitStatus::Done } else { ExitStatus::Findings })
}

fn write(symptoms: &[Symptom], failures: usize, out: &mut Output) {
    let width = symptoms.iter().map(|symptom| symptom.about.len()).max().unwrap_or(0);
    for Symptom { about, health, what, remedy } in symptoms {
        let (style, word) = match health {
            Health::Ok => (GOOD, "ok"),
            Health::Note => (WARN, "note"),
            Health::Skipped => (FAINT, "-"),
            Health::Fail => (BAD, "FAIL"),
        };
        let mut line = format!("{about:<width$}  {style}{word:<4}{style:#}  {}", printable(what));
        if let Some(remedy) = remedy {
            let _ = write!(line, "\n{:indent$}→ {}", "", printable(remedy), indent = width + 8);
        }
        out.line(line);
    }
    match failures {
        0 => out.line("nothing is in the way"),
        _ => out.line(counted(failures, "failure")),
    }
}
