//! The `afk` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    // An agent running as the same user could otherwise read the tokens in afk's environment and memory.
    #[cfg(target_os = "linux")]
    if rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).is_err() {
        return ExitCode::FAILURE;
    }
    afk::cli::main()
}
