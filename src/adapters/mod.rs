//! The edges: one file or folder each, obeying the traits of [`crate::ports`].

pub mod command;
pub mod guarded;
pub mod installation;
pub mod policy_file;
