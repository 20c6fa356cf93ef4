//! The command line: one file a subcommand, each an `Arguments` and a `run`.
//!
//! Results go to standard output through [`output::Output`] and nothing else; logs and errors go to standard error.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub mod abandon;
pub mod alarm;
pub mod check_policy;
pub mod ci_job;
pub mod completions;
pub mod demo;
pub mod diff_policy;
pub mod doctor;
pub mod exit;
pub mod explain;
pub mod facts;
pub mod findings;
pub mod graph;
pub mod init;
pub mod issue;
pub mod logs;
pub mod looking;
pub mod output;
pub mod poll;
pub mod queue;
pub mod schema;
pub mod serve;
pub mod status;
pub mod stop;
pub mod supervise;
pub mod test_policy;
pub mod tick;
pub mod watch;
pub mod wiring;

use exit::{ExitStatus, Failure};
use output::Output;

use crate::adapters::installation::TickKind;

const AFTER_HELP: &str = "\
Exit codes:
  0  did it or answered it (issues denied and switches off included)
  1  findings: the policy is wrong, or its tests fail
  2  the command line is wrong
  3  some items were skipped, the rest was done
  4  could not run
  5  another tick holds the lock

Examples:
  afk demo                      watch a whole run, from issue to closed, in a throwaway directory
  afk explain --issue 42        why issue 42 is or is not taken

Start with `afk demo`, then `afk init` in a repository of your own.";

/// An away-from-keyboard control plane: one reviewed policy file decides which issues an unattended coding agent may
/// take, and drives each run to its end.
#[derive(Debug, Parser)]
#[command(name = "afk", version, after_help = AFTER_HELP, max_term_width = 110, propagate_version = true)]
pub struct Cli {
    /// What every subcommand takes.
    #[command(flatten)]
    pub common: Common,
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// What every subcommand takes.
#[derive(Debug, Args)]
pub struct Common {
    /// When to use colours; `auto` is on a terminal only, and never where NO_COLOR is set
    #[arg(long, global = true, value_enum, default_value_t = ColorWhen::Auto, value_name = "WHEN", help_heading = "Output")]
    pub color: ColorWhen,
    /// Say more on standard error; twice or three times for more still
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
    /// How the log on standard error is written
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT", help_heading = "Output")]
    pub log_format: LogFormat,
}

/// Which policy.
#[derive(Debug, Args)]
pub struct PolicyArguments {
    /// The policy file
    #[arg(long, value_name = "FILE", env = "AFK_POLICY", hide_env_values = true, default_value = "policies/afk.toml")]
    pub policy: PathBuf,
}

/// Which installation.
#[derive(Debug, Args)]
pub struct SettingsArguments {
    /// The settings of this installation: addresses, directories, commands, doorbells
    #[arg(
        long,
        value_name = "FILE",
        env = "AFK_SETTINGS",
        hide_env_values = true,
        default_value = crate::settings::DEFAULT_FILE
    )]
    pub settings: PathBuf,
}

/// Which policy, of which installation.
#[derive(Debug, Args)]
pub struct Installed {
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyArguments,
    /// Which installation.
    #[command(flatten)]
    pub settings: SettingsArguments,
}

/// How the result is written.
#[derive(Debug, Args)]
pub struct FormatArguments {
    /// `human` for reading, `json` for one JSON document
    #[arg(long, value_enum, default_value_t = Format::Human, value_name = "FORMAT", help_heading = "Output")]
    pub format: Format,
}

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For reading.
    Human,
    /// One JSON document.
    Json,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal.
    Auto,
    /// Also into files and pipes.
    Always,
    /// Nowhere.
    Never,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for reading.
    Text,
    /// One JSON object a line.
    Json,
}

/// The subcommands, in the order a newcomer meets them.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "each is described by its `Arguments`, which is also its help")]
pub enum Command {
    Demo(demo::Arguments),
    Init(init::Arguments),
    Doctor(doctor::Arguments),
    CheckPolicy(check_policy::Arguments),
    TestPolicy(test_policy::Arguments),
    DiffPolicy(diff_policy::Arguments),
    Explain(explain::Arguments),
    Status(status::Arguments),
    Poll(poll::Arguments),
    Watch(watch::Arguments),
    Serve(serve::Arguments),
    Stop(stop::Arguments),
    Abandon(abandon::Arguments),
    Graph(graph::Arguments),
    Facts(facts::Arguments),
    Schema(schema::Arguments),
    Completions(completions::Arguments),
    #[command(hide = true)]
    Supervise(supervise::Arguments),
    #[command(hide = true)]
    CiJob(ci_job::Arguments),
}

impl Command {
    fn run(&self, out: &mut Output) -> Result<ExitStatus, Failure> {
        match self {
            Command::Demo(arguments) => demo::run(arguments, out),
            Command::Init(arguments) => init::run(arguments, out),
            Command::Doctor(arguments) => doctor::run(arguments, out),
            Command::CheckPolicy(arguments) => check_policy::run(arguments, out),
            Command::TestPolicy(arguments) => test_policy::run(arguments, out),
            Command::DiffPolicy(arguments) => diff_policy::run(arguments, out),
            Command::Explain(arguments) => explain::run(arguments, out),
            Command::Status(arguments) => status::run(arguments, out),
            Command::Poll(arguments) => tick::run(TickKind::Poll, &arguments.tick, out),
            Command::Watch(arguments) => tick::run(TickKind::Watch, &arguments.tick, out),
            Command::Serve(arguments) => serve::run(arguments, out),
            Command::Stop(arguments) => stop::run(arguments, out),
            Command::Abandon(arguments) => abandon::run(arguments, out),
            Command::Graph(arguments) => graph::run(arguments, out),
            Command::Facts(arguments) => facts::run(arguments, out),
            Command::Schema(arguments) => schema::run(arguments, out),
            Command::Completions(arguments) => completions::run(arguments, out),
            Command::Supervise(arguments) => supervise::run(arguments, out),
            Command::CiJob(arguments) => ci_job::run(arguments, out),
        }
    }
}

/// Reads the command line, does what it says, and gives the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Also `--help` and `--version`, which are no errors: clap knows the stream and the code of each.
        Err(error) => {
            let mut out = Output::new(ColorWhen::Auto);
            let text = error.render().ansi().to_string();
            if error.use_stderr() {
                out.complaint(&text);
                return ExitStatus::Usage.into();
            }
            out.text(text);
            return out.finish().unwrap_or(ExitStatus::Done).into();
        }
    };
    logs::start(&cli.common);
    let mut out = Output::new(cli.common.color);
    let status = cli.command.run(&mut out).unwrap_or_else(|failure| {
        out.failure(&failure);
        failure.status
    });
    out.finish().unwrap_or(status).into()
}
