//! The ticks: read the world, ask the engine, carry out what it decided. Level, not edge: each tick looks at
//! everything and does what is due, so that losing any tick costs time, never correctness.

pub mod arming;
pub mod brief;
pub mod effects;
pub mod facts;
pub mod fleet;
mod leftovers;
pub mod poll;
pub mod progress;
pub mod record;
pub mod repair;
pub mod survey;
pub mod watch;
pub mod world;
