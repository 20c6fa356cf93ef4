//! The edges: one file or folder each, obeying the traits of [`crate::ports`].

pub mod blocked_by;
pub mod clock;
pub mod command;
pub mod confined;
pub mod git;
pub mod local;
