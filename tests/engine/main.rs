//! The pure engine, in the operator's words: policy-language.md §2 to §5 and the derived ids.

mod builder;
mod conditions;
mod dispatch;
mod identity;
mod properties;
mod runs;
