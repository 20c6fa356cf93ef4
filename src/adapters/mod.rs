//! The edges: one file or folder each, obeying the traits of [`crate::ports`].

pub mod blocked_by;
pub mod clock;
pub mod command;
pub mod confined;
pub mod doorbell;
pub mod git;
pub mod github;
pub mod guarded;
pub mod http;
pub mod installation;
pub mod local;
pub mod ntfy;
pub mod policy_file;
pub mod policy_revision;
pub mod runs;
pub mod slack;
pub mod stages;
pub mod t3;
pub mod terminal;
pub mod webhook;
