//! Where the issues of an installation are: what the suite does to every tracker alike.

use super::{InstallationOf, Issue, Runner};

/// What somebody does to an issue.
#[derive(Debug, Clone, Copy)]
pub enum Act<'a> {
    Label(&'a str),
    Unlabel(&'a str),
    Close,
    /// As `Closes #N` does on its way to the default branch, in the name of whoever pushed.
    CloseByCommit,
    /// Adds a paragraph.
    Edit(&'a str),
    Delete,
    Comment(&'a str),
    LoseComments,
}

/// A tracker under test, with people who use it.
pub trait Forge: Sized {
    fn new() -> Self;

    /// Turns the quickstart, whose issues are gone, into an installation with this tracker. ada is an admin, and
    /// mallory may read.
    fn set_up<R: Runner>(made: InstallationOf<Self, R>) -> InstallationOf<Self, R>;

    /// A repository that has its git already; gives its entry in the settings.
    fn add_repository<R: Runner>(afk: &InstallationOf<Self, R>, repo: &str) -> String;

    /// What the quickstart's policy and settings say, as they say it with this tracker.
    fn localized(text: &str) -> String {
        text.to_owned()
    }

    fn grant<R: Runner>(afk: &InstallationOf<Self, R>, login: &str, permission: &str);

    /// Opens an issue, or replaces it.
    fn write_issue<R: Runner>(afk: &InstallationOf<Self, R>, repo: &str, number: u64, title: &str, body: &str);

    fn act<R: Runner>(afk: &InstallationOf<Self, R>, login: &str, repo: &str, number: u64, act: Act<'_>);

    fn issue<R: Runner>(afk: &InstallationOf<Self, R>, repo: &str, number: u64) -> Issue;

    /// Keeps what is outside of the installation's directory.
    fn save(&self, name: &str);

    fn restore(&self, name: &str);

    /// Looks back at the end of a test that went well.
    fn end(&self);
}
