//! `afk completions`: completion scripts for shells.

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;

use super::exit::{ExitStatus, Failure};
use super::output::Output;
use super::{Cli, Common};

/// Print the completion script of a shell
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// Runs it.
///
/// # Errors
/// Never.
pub fn run(arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    // Without what afk starts itself, which clap would offer too.
    let whole = Cli::command();
    let offered = whole.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut command = Common::augment_args(Command::new("afk").version(env!("CARGO_PKG_VERSION"))).subcommands(offered);
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "afk", &mut script);
    out.text(String::from_utf8_lossy(&script));
    Ok(ExitStatus::Done)
}

const AFTER_HELP: &str = "\
Exit codes:
  0  printed
  2  the command line is wrong

Examples:
  afk completions bash > ~/.local/share/bash-completion/completions/afk
  afk completions zsh > ~/.zfunc/_afk";
