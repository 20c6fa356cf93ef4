//! afk: an away-from-keyboard control plane.

pub mod adapters;
pub mod cli;
pub mod engine;
pub mod policy;
pub mod ports;
pub mod schema;
pub mod settings;
pub mod text;
pub mod ticks;
