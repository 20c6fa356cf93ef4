//! Text to tree: bounds first, then every syntax error of the file at once.

use toml::de::DeTable;

use super::super::finding::{Code, Finding, Severity};
use super::super::source::Span;
use super::MAX_POLICY_BYTES;
use super::report::{Report, clipped, quoted};
use super::scan::scan;
use super::tree::{self, Table};

/// A file as a tree.
pub struct Parsed {
    pub root: Table,
    /// Whether the tree is what the file says; otherwise it is what could be saved of it.
    pub sound: bool,
}

/// Parses; `None` when the text cannot be parsed at all.
pub fn parse(text: &str, report: &Report) -> Option<Parsed> {
    if text.len() > MAX_POLICY_BYTES {
        let message = format!("the policy has {} bytes; this build takes at most {MAX_POLICY_BYTES}", text.len());
        report.error(Code::TooLarge, Span::default(), message, "a policy is read by people; shorten it");
        return None;
    }
    let scan = scan(text);
    if let Some(span) = scan.too_deep {
        let message = "brackets or dotted keys nest deeper than this build takes";
        report.error(Code::TooLarge, span, message, "close a bracket, or write it flatter");
        return None;
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut sound = true;
    for (index, error) in errors.iter().enumerate() {
        if !report.has_room() {
            report.leave_out(errors.len().saturating_sub(index));
            sound = false;
            break;
        }
        let range = error.span().unwrap_or(0..0);
        let span = Span { start: range.start, end: range.end };
        if error.message() == "duplicate key" {
            let key = text.get(range).unwrap_or_default();
            report.error(Code::Duplicate, span, format!("{} is written twice", quoted(key)), "remove one of the two");
            continue;
        }
        sound = false;
        let (label, help) = advice(text, span);
        report.error_with_help(Code::Syntax, span, clipped_message(error.message()), label, help);
    }
    if sound {
        for (span, why) in scan.not_toml_1_0 {
            report.error(Code::Syntax, span, "this is not TOML 1.0, so other tools could not read the file", why);
        }
    }
    Some(Parsed { root: tree::read(document.into_inner(), report), sound })
}

fn clipped_message(message: &str) -> String {
    let (what, rest) = message.split_once(", expected ").unwrap_or((message, ""));
    if rest.is_empty() { clipped(what) } else { format!("{}, expected {}", clipped(what), clipped(rest)) }
}

/// Help for mistakes that are easy to name.
fn advice(text: &str, span: Span) -> (String, Vec<String>) {
    let before = text.get(..span.start).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
    // A line may be the whole megabyte; a header is not.
    let line: String =
        text.get(start..).unwrap_or_default().chars().take(200).take_while(|letter| *letter != '\n').collect();
    let line = line.trim();
    if let Some(name) = line.strip_prefix("[repos.").map(|rest| rest.trim_end_matches(']'))
        && !name.contains('"')
        && !name.contains('\'')
    {
        let name = clipped(name);
        return (format!("write [repos.\"{name}\"], in quotes"), Vec::new());
    }
    if text.get(span.start..span.end).is_some_and(|shown| shown.contains('\0')) {
        return ("remove the NUL byte".to_owned(), Vec::new());
    }
    ("mend this first".to_owned(), vec!["https://toml.io/en/v1.0.0 describes the format".to_owned()])
}

/// Takes over the findings that hold whatever a syntax error elsewhere has hidden: those about one value, on a line
/// that has no syntax error itself.
pub fn keep_independent(text: &str, findings: Vec<Finding>, report: &Report) {
    let line = |at: usize| text.get(..at).unwrap_or_default().matches('\n').count();
    let broken: Vec<usize> = report.spans().into_iter().map(|span| line(span.start)).collect();
    for finding in findings {
        let of_one_value = matches!(
            finding.code,
            Code::TypeMismatch | Code::OutOfRange | Code::WrongMatcher | Code::ReservedName | Code::LockEffect
        );
        if of_one_value && finding.severity == Severity::Error && !broken.contains(&line(finding.span.start)) {
            report.add(finding);
        }
    }
}
