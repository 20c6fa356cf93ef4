//! afk: an away-from-keyboard control plane. One reviewed policy file decides which issues an unattended coding agent
//! may take, and drives each run to its end.
//!
//! The layers, each of which knows only those above it:
//!
//! - [`policy`] turns the text of a policy into checked rules, or into findings. [`schema`] derives its JSON Schema.
//! - [`engine`] turns rules and facts into decisions: [`engine::select`] which issues are dispatched, [`engine::step`]
//!   what is next for a run.
//! - [`cases`] runs the tests beside a policy over the engine. These layers are pure: no clock, file, network, async or
//!   logging, and they never panic.
//! - [`ports`] are the traits of the edges, [`adapters`] obey them, [`settings`] say which ones an installation has.
//! - [`ticks`] read the facts, ask the engine, and carry out what it decided.
//! - [`cli`] has one file a subcommand, and puts an installation together in [`cli::wiring`].
//!
//! Start with [`ticks::poll`] and [`ticks::watch`], the two things that afk does; `docs/how-it-works.md` tells why they
//! do it so. Issue texts, logs and agents' words are untrusted: [`text`] makes them fit to be shown.

pub mod adapters;
pub mod cases;
pub mod cli;
pub mod engine;
pub mod policy;
pub mod ports;
pub mod schema;
pub mod settings;
pub mod text;
pub mod ticks;
pub mod verify;
