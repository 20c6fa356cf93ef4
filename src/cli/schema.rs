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
/// Never.
pub fn run(_arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    out.json(&crate::schema::schema());
    Ok(ExitStatus::Done)
}

const AFTER_HELP: &str = "\
Exit codes:
  0  printed
  2  the command line is wrong

Examples:
  afk schema > schema/afk-policy.schema.json
  afk schema | jq '.properties | keys'";
