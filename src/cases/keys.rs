//! The keys of test files; every other is an error.

use crate::policy::Code;
use crate::policy::Span;
use crate::policy::check::reader::Reader;
use crate::policy::check::report::{Report, nearest, one_of, quoted};
use crate::policy::check::rules::ROOT_KEYS;
use crate::policy::check::tree::Table;

/// Reads a table of a test file that may only have the keys `known`; complains about every other.
pub fn reader<'a>(what: &'a str, table: &'a Table<'a>, span: Span, known: &[&str], report: &'a Report) -> Reader<'a> {
    for (key, entry) in table.in_order() {
        if known.contains(&key) {
            continue;
        }
        let message = format!("{what} has no key {}", quoted(key));
        let label = match nearest(key, known.iter().copied()) {
            _ if !report.has_room() => String::new(),
            Some(meant) => format!("did you mean `{meant}`?"),
            None if ROOT_KEYS.contains(&key) && known.contains(&"policy") => {
                format!("to change the policy for a test, write it under `policy`: policy = {{ {key} = … }}")
            }
            None => format!("remove it; known here: {}", one_of(known).replace(" or ", ", ")),
        };
        report.error(Code::UnknownKey, entry.key, message, label);
    }
    Reader { what, table, span, report }
}
