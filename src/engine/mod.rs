//! The engine: facts and policy in, decisions and rows out. Pure: no clock, file, network, async or logging.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::as_conversions,
        clippy::arithmetic_side_effects
    )
)]

pub mod evaluate;
pub mod identity;
pub mod order;
pub mod pending;
mod plan;
mod rows;
pub mod select;
pub mod step;
mod table;
mod trace;
