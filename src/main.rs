//! The `afk` command.

fn main() {}
