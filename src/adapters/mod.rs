//! The edges: one file or folder each, obeying the traits of [`crate::ports`].

pub mod command;
pub mod http;
pub mod terminal;
pub mod webhook;
