//! The T3 Code executor: agents as threads of a T3 Code server, on v0.0.27 and on current servers.
//!
//! A run is a thread whose id is the run's. Everything that is asked of the server has a derived id, so that asking twice
//! is asking once. What is remembered of it:
//!
//! ```text
//! <data>/t3/<name>/
//!   token.json               until when the token holds, so that a later refusal can be explained
//!   checkouts/<owner>/<name> the project's own clone, where the server runs on this machine
//!   runs/<run id>/
//!     lock                   held while somebody changes the run
//!     run.json               see [`memory`]
//!     workspace/             the agent's clone, complete or not there, where the server runs on this machine
//! ```

mod bring_up;
pub mod command;
mod executor;
mod loose;
pub mod memory;
mod places;
mod roster;
pub mod server;
pub mod status;
mod stream;
mod token;
pub mod wire;

pub use executor::{Parts, SCOPES, T3Executor};
