//! The findings of one check: collected, never repeated, bounded.

use std::cell::RefCell;
use std::collections::HashSet;

use super::super::finding::{Code, Finding, Severity};
use super::super::source::Span;

/// More findings than this help nobody, and a hostile file could give millions.
pub const MAX_FINDINGS: usize = 200;
/// Characters of a message or a label.
const LONGEST_MESSAGE: usize = 500;
/// Characters of the user's words in a message.
const LONGEST_QUOTE: usize = 60;

/// Collects findings.
pub struct Report {
    file: String,
    collected: RefCell<Collected>,
}

#[derive(Default)]
struct Collected {
    findings: Vec<Finding>,
    seen: HashSet<(Code, String, Span, String)>,
    places: HashSet<Span>,
    left_out: usize,
}

impl Report {
    /// An empty report on a policy file of that name.
    pub fn new(file: &str) -> Self {
        Self { file: file.to_owned(), collected: RefCell::default() }
    }

    /// An empty report on the same file.
    pub fn aside(&self) -> Self {
        Self::new(&self.file)
    }

    /// An error in the policy.
    pub fn error(&self, code: Code, span: Span, message: impl Into<String>, label: impl Into<String>) {
        self.error_with_help(code, span, message, label, Vec::new());
    }

    /// An error in the policy that needs more than a label.
    pub fn error_with_help(
        &self,
        code: Code,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        help: Vec<String>,
    ) {
        self.add(Finding {
            code,
            severity: Severity::Error,
            message: message.into(),
            file: self.file.clone(),
            span,
            label: label.into(),
            help,
        });
    }

    /// Usable, and probably not what was meant.
    pub fn warning(&self, code: Code, span: Span, message: impl Into<String>, label: impl Into<String>) {
        self.add(Finding {
            code,
            severity: Severity::Warning,
            message: message.into(),
            file: self.file.clone(),
            span,
            label: label.into(),
            help: Vec::new(),
        });
    }

    /// Anything; what was said before is not said again.
    pub fn add(&self, mut finding: Finding) {
        finding.message = cleaned(&finding.message, LONGEST_MESSAGE);
        finding.label = cleaned(&finding.label, LONGEST_MESSAGE);
        let mut collected = self.collected.borrow_mut();
        if finding.file == self.file {
            collected.places.insert(finding.span);
        }
        let key = (finding.code, finding.file.clone(), finding.span, finding.message.clone());
        if !collected.seen.insert(key) {
            return;
        }
        if collected.findings.len() < MAX_FINDINGS {
            collected.findings.push(finding);
        } else {
            collected.left_out = collected.left_out.saturating_add(1);
        }
    }

    /// Counts findings that nobody will see.
    pub fn leave_out(&self, count: usize) {
        let mut collected = self.collected.borrow_mut();
        collected.left_out = collected.left_out.saturating_add(count);
    }

    /// Whether another finding would be shown; where not, no time is spent on suggestions.
    pub fn has_room(&self) -> bool {
        self.collected.borrow().findings.len() < MAX_FINDINGS
    }

    /// Whether something was found at just this place, so that whatever refers to it need not complain again.
    pub fn concerns(&self, span: Span) -> bool {
        self.collected.borrow().places.contains(&span)
    }

    /// Whether an error was found.
    pub fn has_errors(&self) -> bool {
        self.collected.borrow().findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Where something was found so far.
    pub fn spans(&self) -> Vec<Span> {
        self.collected.borrow().findings.iter().map(|finding| finding.span).collect()
    }

    /// Everything found, in the order of the file, prompts last.
    pub fn finish(self) -> Vec<Finding> {
        let Collected { mut findings, left_out, .. } = self.collected.into_inner();
        findings.sort_by(|one, other| {
            (one.file != self.file, &one.file, one.span.start, one.span.end).cmp(&(
                other.file != self.file,
                &other.file,
                other.span.start,
                other.span.end,
            ))
        });
        if left_out > 0 {
            findings.push(Finding {
                code: Code::TooLarge,
                severity: Severity::Note,
                message: format!("{left_out} more findings are not shown"),
                file: self.file,
                span: Span::default(),
                label: String::new(),
                help: vec!["mend the ones above first; many of the others may have the same cause".to_owned()],
            });
        }
        findings
    }
}

/// Text of the user in a message: in backticks, bounded, without control characters.
pub fn quoted(text: &str) -> String {
    format!("`{}`", clipped(text))
}

/// Text of the user, bounded and without control characters.
pub fn clipped(text: &str) -> String {
    cleaned(text, LONGEST_QUOTE)
}

fn cleaned(text: &str, longest: usize) -> String {
    let mut shown: String = text.chars().take(longest).flat_map(shown_letter).collect();
    if text.chars().nth(longest).is_some() {
        shown.push('…');
    }
    shown
}

fn shown_letter(letter: char) -> impl Iterator<Item = char> {
    let hidden = letter.is_control();
    letter.escape_default().filter(move |_| hidden).chain((!hidden).then_some(letter))
}

/// The candidate that was probably meant.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let length = word.chars().count();
    if length > 64 {
        return None;
    }
    let plain = |text: &str| text.to_ascii_lowercase().replace('_', "-");
    let word = plain(word);
    candidates
        .into_iter()
        .take(500)
        .map(|candidate| (strsim::osa_distance(&word, &plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= length.div_euclid(3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean", or else the list of what there is.
pub fn suggestion(report: &Report, word: &str, candidates: &[&str]) -> String {
    if !report.has_room() {
        return String::new();
    }
    match nearest(word, candidates.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None if candidates.is_empty() => "there is none to name".to_owned(),
        None => format!("write {}", one_of(candidates)),
    }
}

/// "`a`, `b` or `c`", at most a dozen of them.
pub fn one_of(words: &[&str]) -> String {
    let shown: Vec<String> = words.iter().take(12).map(|word| quoted(word)).collect();
    if words.len() > shown.len() {
        return format!("one of {}, …", shown.join(", "));
    }
    match shown.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".to_owned(),
    }
}
