//! `afk graph`: the state machine of the policy, to look at.

use clap::{Args, ValueEnum};

use super::exit::{ExitStatus, Failure};
use super::explain::words::moment;
use super::explain::{self, Explanation};
use super::output::Output;
use super::{Format, PolicyArguments, SettingsArguments, findings};
use crate::adapters::policy_file;
use crate::policy::InstalledNames;
use machine::{Machine, Mark};

pub mod dot;
pub mod machine;
pub mod mermaid;

/// Draw the states of a run and the rows between them
///
/// Mermaid is shown by GitHub and Forgejo in a Markdown block that starts with ```mermaid; DOT is for Graphviz. Each row
/// carries the number of its place in the file, in which order rows are tried, and its action behind a slash. There is
/// one machine for all repositories: overrides change limits and prompts, never rows.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Marks where the run of this issue stands, and the row that is next: `42`, `owner/name#42` or its address
    #[arg(long, value_name = "ISSUE")]
    pub issue: Option<String>,
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyArguments,
    /// Which installation; only read with `--issue`.
    #[command(flatten)]
    pub settings: SettingsArguments,
    /// The language of the drawing
    #[arg(long, value_enum, default_value_t = Language::Mermaid, value_name = "FORMAT", help_heading = "Output")]
    pub format: Language,
}

/// The language of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// A `stateDiagram-v2`.
    Mermaid,
    /// A `digraph`.
    Dot,
}

/// Runs it.
///
/// # Errors
/// With `--issue`, when the settings are wrong or the world cannot be read.
pub fn run(arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    let machine = match &arguments.issue {
        Some(issue) => {
            let asked = explain::of_issue(issue, &arguments.policy, &arguments.settings, Format::Human, out)?;
            match asked {
                Ok((looking, explanation)) => Machine::of(&looking.policy.base, &mark(&explanation)),
                Err(status) => return Ok(status),
            }
        }
        None => {
            let loaded = policy_file::load_unproven(&arguments.policy.policy, &InstalledNames::default());
            match &loaded.checked.policy {
                Some(policy) => Machine::of(&policy.base, &Mark::default()),
                None => {
                    findings::draw(&loaded, out);
                    return Ok(ExitStatus::Findings);
                }
            }
        }
    };
    out.text(match arguments.format {
        Language::Mermaid => mermaid::draw(&machine),
        Language::Dot => dot::draw(&machine),
    });
    Ok(ExitStatus::Done)
}

/// Where the issue stands, as `explain` tells it.
fn mark(explanation: &Explanation) -> Mark {
    let title = format!("{} {}", explanation.issue, explanation.verdict);
    let now = explanation.read_at;
    if let Some(run) = explanation.runs.first() {
        let pending = run.pending.as_ref().map(|pending| (pending.row.clone(), "being carried out".to_owned()));
        let next = run.next.as_ref().map(|next| {
            let when = match (next.held, next.due) {
                (Some(why), _) => format!("held: {why}"),
                (None, true) => "at the next watch".to_owned(),
                (None, false) => format!("at {}, if nothing else happens", moment(next.at, now)),
            };
            (next.row.clone(), when)
        });
        return Mark { title, state: run.state.clone(), next: pending.or(next) };
    }
    // An issue that is armed again waits for a run of its own, wherever the last one ended.
    let ended = explanation.ended.as_ref().filter(|_| explanation.queue.is_none());
    Mark { title, state: ended.map(|ended| ended.state.clone()), next: None }
}

const AFTER_HELP: &str = "\
Exit codes:
  0  drawn; an issue without a run is drawn without a mark, and the title says why
  1  the policy is wrong
  2  the text names no issue or could mean several
  4  could not run

Examples:
  afk graph --issue acme/app#42
  afk graph --format dot | dot -Tsvg > policy.svg";
