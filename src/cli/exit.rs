//! How a command ends.

use std::process::ExitCode;

use crate::ports::PortError;

/// The exit codes, the same for every subcommand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// Did or answered it; "denied" and "switched off" are answers.
    Done,
    /// The policy has errors, or its tests fail.
    Findings,
    /// The command line is wrong.
    Usage,
    /// Some items were skipped, the rest was done.
    Partial,
    /// Could not run.
    CouldNotRun,
    /// Another tick holds the lock.
    Locked,
    /// `diff-policy --exit-code`: decisions change, and none is looser.
    DecisionsChange,
    /// `diff-policy --exit-code`: something is looser.
    Looser,
}

impl ExitStatus {
    /// The number the shell sees.
    pub fn code(self) -> u8 {
        match self {
            ExitStatus::Done => 0,
            ExitStatus::Findings => 1,
            ExitStatus::Usage => 2,
            ExitStatus::Partial => 3,
            ExitStatus::CouldNotRun => 4,
            ExitStatus::Locked => 5,
            ExitStatus::DecisionsChange => 10,
            ExitStatus::Looser => 11,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        ExitCode::from(status.code())
    }
}

/// Why a command gives up, for the person who reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How the command ends.
    pub status: ExitStatus,
    /// What happened and where: lower case, no full stop, the user's words in backticks.
    pub message: String,
    /// What to do about it, each a line of its own.
    pub help: Vec<String>,
}

impl Failure {
    /// The command cannot do its work.
    pub fn could_not_run(message: impl Into<String>) -> Self {
        Self { status: ExitStatus::CouldNotRun, message: message.into(), help: Vec::new() }
    }

    /// The command line asks for something that does not exist.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { status: ExitStatus::Usage, message: message.into(), help: Vec::new() }
    }

    /// Another tick holds the lock.
    pub fn locked(message: impl Into<String>) -> Self {
        Self { status: ExitStatus::Locked, message: message.into(), help: Vec::new() }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, line: impl Into<String>) -> Self {
        self.help.push(line.into());
        self
    }
}

/// An edge without which the command can do nothing.
impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self::could_not_run(error.message)
    }
}
