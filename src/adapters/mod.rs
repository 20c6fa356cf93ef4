//! The edges: one file or folder each, obeying the traits of [`crate::ports`].

pub mod policy_file;
