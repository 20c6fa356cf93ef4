//! Findings as people and programs read them.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use super::output::{Output, is_hostile, printable};
use crate::adapters::policy_file::Loaded;
use crate::policy::{Code, Finding, Severity, Source};

pub mod github;
pub mod page;
mod place;
pub mod sarif;

/// How many findings are drawn; the rest is counted. The other formats have all.
pub const DRAWN: usize = 100;
/// How much of a line is drawn on each side of the marked place, in characters.
const CONTEXT: usize = 160;
/// How many lines of a place are drawn.
const LINES: usize = 6;

/// Draws errors and warnings as rustc does, in the order of the file.
pub fn draw(loaded: &Loaded, out: &mut Output) {
    out.text(drawings(loaded, DRAWN));
}

/// The same as a text, at most so many of them.
pub fn drawings(loaded: &Loaded, most: usize) -> String {
    let findings: Vec<&Finding> =
        in_order(loaded).into_iter().filter(|finding| finding.severity != Severity::Note).collect();
    let renderer = Renderer::styled().decor_style(DecorStyle::Ascii).term_width(200);
    let mut drawn = String::new();
    for finding in findings.iter().take(most) {
        let _ = writeln!(drawn, "{}\n", drawing(finding, source_of(loaded, finding), &renderer));
    }
    if let Some(more) = findings.len().checked_sub(most).filter(|more| *more > 0) {
        let _ = writeln!(drawn, "... and {more} more findings; `--format json` lists all\n");
    }
    drawn
}

/// A finding in sentences, each a line of its own.
fn sentences(finding: &Finding) -> String {
    let parts = [&finding.message, &finding.label].into_iter().chain(&finding.help);
    let parts: Vec<&str> = parts.map(String::as_str).filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

/// Findings as JSON, in the order of the file.
pub fn documents(loaded: &Loaded) -> Vec<Value> {
    in_order(loaded).iter().map(|finding| document(finding, source_of(loaded, finding))).collect()
}

/// How many findings are that bad.
pub fn count(findings: &[Finding], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

/// "1 error", "2 errors".
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn in_order(loaded: &Loaded) -> Vec<&Finding> {
    let mut findings: Vec<&Finding> = loaded.checked.findings.iter().collect();
    // The policy before its prompts, and things about no place in particular last.
    findings.sort_by_key(|finding| {
        (finding.file != loaded.source.name, finding.file.as_str(), finding.span == Default::default(), finding.span)
    });
    findings
}

fn source_of<'a>(loaded: &'a Loaded, finding: &Finding) -> &'a Source {
    loaded.checked.prompts.iter().find(|prompt| prompt.name == finding.file).unwrap_or(&loaded.source)
}

fn document(finding: &Finding, source: &Source) -> Value {
    let (line, column) = source.line_and_column(finding.span.start);
    let (end_line, end_column) = source.line_and_column(finding.span.end);
    json!({
        "code": finding.code.name(),
        "severity": finding.severity.word(),
        "message": finding.message,
        "file": source.name,
        "line": line,
        "column": column,
        "end": { "line": end_line, "column": end_column },
        "label": finding.label,
        "help": finding.help,
    })
}

fn drawing(finding: &Finding, source: &Source, renderer: &Renderer) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut group = Group::with_title(level.primary_title(printable(&finding.message)).id(finding.code.name()));
    let (line, column) = source.line_and_column(finding.span.start);
    let name = printable(&source.name);
    // A file that could not be read has no place to show, and its name is in the message; an empty one has no line.
    if source.text.is_empty() {
        if finding.code != Code::Unreadable {
            group = group.element(Origin::path(name).line(line).char_column(column));
            group = group.element(Level::HELP.message(printable(&finding.label)));
        }
    } else {
        let view = View::of(&source.text, finding.span.start..finding.span.end);
        let mut snippet = Snippet::source(view.text)
            .line_start(line)
            .fold(false)
            .annotation(AnnotationKind::Primary.span(view.span).label(printable(&finding.label)));
        if view.cut {
            // What is drawn does not begin where the line does, so the place is said apart from it.
            group = group.element(Origin::path(name).line(line).char_column(column));
        } else {
            snippet = snippet.path(name);
        }
        group = group.element(snippet);
    }
    for help in &finding.help {
        group = group.element(Level::HELP.message(printable(help)));
    }
    renderer.render(&[group])
}

/// The part of a text that is drawn: whole lines where they are short, safe to print, with the marked place in it.
struct View {
    text: String,
    span: Range<usize>,
    /// Whether the beginning of the line is left out.
    cut: bool,
}

impl View {
    fn of(text: &str, span: Range<usize>) -> Self {
        let start = floor(text, span.start);
        let end = floor(text, span.end.max(span.start)).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        // A place of many lines is drawn up to its first few.
        let end = text[start..end].match_indices('\n').nth(LINES - 1).map_or(end, |(newline, _)| start + newline);
        let line_end = text[end..].find('\n').map_or(text.len(), |newline| end + newline);

        let before: Vec<char> = text[line_start..start].chars().collect();
        let marked: Vec<char> = text[start..end].chars().collect();
        let after: Vec<char> = text[end..line_end].chars().collect();
        let skipped = before.len().saturating_sub(CONTEXT);
        let mut view = View { text: String::new(), span: 0..0, cut: skipped > 0 };
        if view.cut {
            view.text.push('…');
        }
        view.push(&before[skipped..]);
        view.span.start = view.text.len();
        view.push(&marked[..marked.len().min(LINES * CONTEXT)]);
        view.span.end = view.text.len();
        view.push(&after[..after.len().min(CONTEXT)]);
        if after.len() > CONTEXT || marked.len() > LINES * CONTEXT {
            view.text.push('…');
        }
        view
    }

    fn push(&mut self, letters: &[char]) {
        // One character stands for one, so that the marks stay under what they mark.
        self.text.extend(letters.iter().map(|letter| match letter {
            '\r' => ' ',
            letter if is_hostile(*letter) => '\u{fffd}',
            letter => *letter,
        }));
    }
}

fn floor(text: &str, byte: usize) -> usize {
    text.floor_char_boundary(byte.min(text.len()))
}
