//! afk: an away-from-keyboard control plane.

pub mod adapters;
pub mod engine;
pub mod policy;
pub mod ports;
pub mod settings;
pub mod text;
