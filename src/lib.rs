//! afk: an away-from-keyboard control plane.

pub mod adapters;
pub mod cli;
pub mod engine;
pub mod policy;
pub mod ports;
pub mod settings;
