//! Commands as agents and as CI: real processes in clones of their own.

pub mod ci;
pub mod ci_job;
