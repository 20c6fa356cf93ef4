//! The T3 Code executor: agents that run in T3 Code, on v0.0.27 and on current servers.

pub mod server;
pub mod status;
mod stream;
pub mod wire;
