//! A program that does nothing: the rest of a start is what an engine adds.

fn main() {}
