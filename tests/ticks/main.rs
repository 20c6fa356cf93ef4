//! The ticks over a world in memory: what they do in every order of events, with every call failing.

mod dispatch;
mod pull_requests;
mod records;
mod runs;
mod world;
