//! The `afk` command.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [subcommand, directory] if subcommand == "ci-job" => {
            afk::adapters::command::ci_job::run_ci_job(Path::new(directory))
        }
        _ => ExitCode::from(2),
    }
}
