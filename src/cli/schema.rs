//! `afk schema`: the JSON Schema of the policy.

use clap::Args;

use super::exit::{ExitStatus, Failure};
use super::output::Output;

/// Print the JSON Schema of the policy, for editors
///
/// For completion and hover text, save it and name it in the first line of the policy:
/// `#:schema ../schema/afk-policy.schema.json`
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {}

/// Runs it.
///
/// # Errors
/// When it cannot do its work.
pub fn run(_arguments: &Arguments, _out: &mut Output) -> Result<ExitStatus, Failure> {
    // TO BE FILLED IN: the engine behind this command is not part of this build yet.
    Err(Failure::could_not_run("`afk schema` is not built yet"))
}

const AFTER_HELP: &str = "\
Exit codes:
  0  printed
  2  the command line is wrong

Examples:
  afk schema > schema/afk-policy.schema.json
  afk schema | jq '.properties | keys'";
