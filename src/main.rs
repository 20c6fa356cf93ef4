//! The `afk` command.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [command, turn_directory] if command == "supervise" => {
            afk::adapters::command::supervise(Path::new(turn_directory))
        }
        _ => ExitCode::from(2),
    }
}
