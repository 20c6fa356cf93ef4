//! What afk does for its users, with the real binary, real git and real processes: a folder of Markdown issues, a bare
//! repository, an agent and CI as commands.

#[path = "../installation/mod.rs"]
mod installation;

mod agents;
mod faults;
mod life;
mod people;
mod queue;
mod switches;
