//! The `afk` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    afk::cli::main()
}
