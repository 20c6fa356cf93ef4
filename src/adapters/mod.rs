//! The edges: one file or folder each, obeying the traits of [`crate::ports`].

pub mod command;
pub mod guarded;
pub mod http;
pub mod installation;
pub mod policy_file;
pub mod terminal;
pub mod webhook;
