//! See Cargo.toml.
#![allow(unused_imports, dead_code, reason = "the edges use the rest")]

#[path = "../../../src/engine/mod.rs"]
pub mod engine;
#[path = "../../../src/policy/mod.rs"]
pub mod policy;
#[path = "../../../src/text.rs"]
pub mod text;
