//! Text to tree: bounds first, then the first syntax error of every line at once.

use std::cell::LazyCell;

use toml::de::DeTable;

use super::super::duration;
use super::super::finding::{Code, Finding, Severity};
use super::super::source::Span;
use super::MAX_POLICY_BYTES;
use super::report::{Report, clipped, quoted};
use super::scan::{Unclosed, scan};
use super::tree::{self, Table, Value};

/// What the parser says of a key that is there already.
const DUPLICATE: &str = "duplicate key";

/// How git begins a conflict.
const CONFLICT: &str = "<<<<<<< ";
/// What is a list of tables, each with a header of its own.
pub const LISTS: [&str; 4] = ["gates", "transitions", "waivers", "ci.stages"];

/// A file as a tree.
pub struct Parsed<'t> {
    pub root: Table<'t>,
    /// Whether the tree is what the file says; otherwise it is what could be saved of it.
    pub sound: bool,
}

/// Parses; `None` when the text cannot be parsed at all.
pub fn parse<'t>(text: &'t str, report: &Report) -> Option<Parsed<'t>> {
    if text.len() > MAX_POLICY_BYTES {
        let message = format!("the file has {} bytes; this build takes at most {MAX_POLICY_BYTES}", text.len());
        report.error(Code::TooLarge, Span::default(), message, "it is read by people; shorten it");
        return None;
    }
    let scan = scan(text);
    if let Some(span) = scan.too_deep {
        let message = "brackets or dotted keys nest deeper than this build takes";
        report.error(Code::TooLarge, span, message, "close a bracket, or write it flatter");
        return None;
    }
    let (mut document, mut errors) = DeTable::parse_recoverable(text);
    let broken_syntax = errors.iter().any(|error| error.message() != DUPLICATE);
    let unclosed = scan.unclosed.filter(|_| broken_syntax);
    if let Some(Unclosed { bracket, what, end, statement }) = &unclosed {
        // Whatever the parser makes of the rest is this mistake once more, so nothing behind it is judged.
        (document, errors) = DeTable::parse_recoverable(text.get(..*statement).unwrap_or_default());
        let message = format!("the {what} that is opened here is not closed");
        let help = "what stands behind it is judged once it is closed".to_owned();
        report.error_with_help(Code::Syntax, *bracket, message, format!("its `{end}` is missing"), vec![help]);
    }
    errors.sort_by_key(|error| error.span().map(|range| range.start));
    let lines = LazyCell::new(|| Lines::new(text));
    let mut sound = unclosed.is_none();
    let mut broken = None;
    let mut conflict = false;
    let mut lists = Vec::new();
    let mut repeated = 0;
    for (index, error) in errors.iter().enumerate() {
        if !report.has_room() {
            report.leave_out(errors.len().saturating_sub(index));
            sound = false;
            break;
        }
        let range = error.span().unwrap_or(0..0);
        let span = Span { start: range.start, end: range.end };
        // Whatever follows on the line is most likely the same mistake once more.
        let line = lines.line(span.start);
        if broken == Some(line) {
            continue;
        }
        let statement = line_at(text, span.start);
        if statement.starts_with(CONFLICT) {
            let message = "this is a merge conflict that nobody resolved";
            let label = "keep what is right of the two sides, and remove the lines of `<`, `=` and `>`";
            report.error(Code::Syntax, Span { end: span.start.saturating_add(CONFLICT.len()), ..span }, message, label);
            (sound, broken, conflict) = (false, Some(line), true);
            continue;
        }
        if conflict
            && (statement.starts_with("=======") || statement.starts_with(">>>>>>>") || error.message() == DUPLICATE)
        {
            continue;
        }
        if error.message() == DUPLICATE {
            if span.start < repeated {
                continue;
            }
            if statement.trim_start().starts_with('[') {
                // Its keys meet those of its namesake.
                let after = text.get(span.end..).unwrap_or_default();
                repeated = span.end.saturating_add(after.find("\n[").unwrap_or(after.len()));
            }
            if let Some(name) = LISTS.iter().find(|name| is_header(statement, name)) {
                lists.push((name, span));
                continue;
            }
            let key = text.get(range).unwrap_or_default();
            report.error(Code::Duplicate, span, format!("{} is written twice", quoted(key)), "remove one of the two");
            continue;
        }
        sound = false;
        broken = Some(line);
        let (what, expected) = error.message().split_once(", expected ").unwrap_or((error.message(), ""));
        if let Some((span, what, label)) = unquoted(text, span, what) {
            report.error(Code::Syntax, span, what, label);
            continue;
        }
        let (label, help) = advice(text, span, expected);
        report.error_with_help(Code::Syntax, span, clipped(what), label, help);
    }
    if sound {
        for (span, why) in scan.not_toml_1_0 {
            report.error(Code::Syntax, span, "this is not TOML 1.0, so other tools could not read the file", why);
        }
        let root = tree::read(document.into_inner(), report);
        for (name, span) in lists {
            // One with a single bracket is said where it is read.
            if !matches!(list_of_tables(&root, name), Some(Value::Table(_))) {
                report.error(Code::Duplicate, span, format!("`{name}` is written twice"), "remove one of the two");
            }
        }
        return Some(Parsed { root, sound });
    }
    let aside = report.aside();
    let root = tree::read(document.into_inner(), &aside);
    keep_independent(text, aside.finish(), report);
    Some(Parsed { root, sound })
}

/// Where the lines of a text begin, for looking up many places.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// Counted from 0.
    fn line(&self, at: usize) -> usize {
        self.0.partition_point(|newline| *newline < at)
    }
}

/// The text from the beginning of the line at a place.
fn line_at(text: &str, at: usize) -> &str {
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline.saturating_add(1));
    text.get(start..).unwrap_or_default()
}

/// Whether a line is the header of a table, or of an entry of a list, of this name.
fn is_header(line: &str, name: &str) -> bool {
    let inner = line.trim_start().trim_start_matches('[').strip_prefix(name);
    line.trim_start().starts_with('[') && inner.is_some_and(|rest| rest.starts_with(']'))
}

/// What stands where a list of tables should.
fn list_of_tables<'a>(root: &'a Table<'a>, name: &str) -> Option<&'a Value<'a>> {
    let (table, key) = match name.split_once('.') {
        Some((table, key)) => (root.table(table)?, key),
        None => (root, name),
    };
    table.get(key).map(|entry| &entry.node.value)
}

/// What is wrong with a value that stands without quotes: where, what, and what to write instead.
fn unquoted(text: &str, span: Span, what: &str) -> Option<(Span, &'static str, String)> {
    const NO_QUOTES: &str = "this is neither a number nor a text in quotes";
    let after = text.get(span.start..).unwrap_or_default();
    if what == "invalid float" {
        // `2.5m` is marked where it stops being a number.
        let ends = |letter: char| letter.is_whitespace() || ",]}#=".contains(letter);
        let before = text.get(..span.start).unwrap_or_default();
        let start = span.start.saturating_sub(before.rsplit(ends).next().map_or(0, str::len));
        let end = span.start.saturating_add(after.split(ends).next().map_or(0, str::len));
        let label = "a number has digits only, a text stands in double quotes";
        return Some((Span { start, end }, NO_QUOTES, label.to_owned()));
    }
    if what != "string values must be quoted" {
        return None;
    }
    let marked = text.get(span.start..span.end).unwrap_or_default();
    let next = text.get(span.end..).unwrap_or_default().trim_start_matches(' ');
    Some(match marked.split_once(' ') {
        None if marked.is_empty() => (span, "there is no value", "write it here".to_owned()),
        None if duration::parse(marked).is_ok() || marked.starts_with(char::is_alphabetic) => {
            (span, "a text stands in double quotes", format!("write \"{}\"", clipped(marked)))
        }
        None => (span, NO_QUOTES, "a number has digits only, a text stands in double quotes".to_owned()),
        // `{ landed = true agent = … }`: the parser takes the next key for a part of the value.
        Some((value, _)) if next.starts_with('=') => {
            let start = span.start.saturating_add(value.len());
            let end = start.saturating_add(1);
            (Span { start, end }, "missing comma between key-value pairs", "write `,` here".to_owned())
        }
        Some(_) => (span, NO_QUOTES, "quotes around a text, or `,` between values, are missing".to_owned()),
    })
}

/// What to write instead, where that is known.
fn advice(text: &str, span: Span, expected: &str) -> (String, Vec<String>) {
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
    let marked = text.get(span.start..span.end).unwrap_or_default();
    if marked.contains('\0') {
        return ("remove the NUL byte".to_owned(), Vec::new());
    }
    let label = match expected {
        "nothing" => "remove this".to_owned(),
        "" => "not TOML 1.0".to_owned(),
        one if one.matches('`').count() == 2 && one.starts_with('`') && one.ends_with('`') => {
            format!("write {} here", clipped(one))
        }
        _ => format!("expected {}", clipped(expected)),
    };
    (label, vec!["https://toml.io/en/v1.0.0 describes the format".to_owned()])
}

/// Takes over the findings that hold whatever a syntax error elsewhere has hidden: those about one value, on a line
/// that has no syntax error itself.
pub fn keep_independent(text: &str, findings: Vec<Finding>, report: &Report) {
    let lines = Lines::new(text);
    let broken: Vec<usize> = report.spans().into_iter().map(|span| lines.line(span.start)).collect();
    for finding in findings {
        let of_one_value = matches!(
            finding.code,
            Code::TypeMismatch | Code::OutOfRange | Code::WrongMatcher | Code::ReservedName | Code::LockEffect
        );
        // What the parser put in the place of something broken stands nowhere.
        let stands = finding.span != Span::default();
        if of_one_value
            && stands
            && finding.severity == Severity::Error
            && !broken.contains(&lines.line(finding.span.start))
        {
            report.add(finding);
        }
    }
}
