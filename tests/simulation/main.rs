//! A simulated world with crashes at every step: proof that afk never doubles, loses or strands work.
//!
//! A **life** is that of a whole fleet: issues, people, agents, CI, and afk's own two ticks, over the very ports that
//! the adapters implement, in one thread and without real time. It follows from its seed alone. `docs/simulation.md`
//! says what the world can do and how a life is lived again.

mod chance;
mod defects;
mod edges;
mod effects;
mod invariants;
mod life;
mod lives;
mod people;
mod policies;
mod regressions;
mod script;
mod shrink;
mod truth;
