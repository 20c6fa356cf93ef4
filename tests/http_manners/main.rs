//! The manners of every call to an API, against a real HTTP server and with a clock that nobody waits for.

mod app;
mod budget;
mod errors;
mod limits;
mod server;
mod waits;
