//! What an issue's text says it is blocked by. Pure.
//!
//! Read as blocking: "blocked by #3", "Blocked by: #3, acme/lib#7 and #9", addresses of issues, and a heading or line
//! "Blocked by" with a list. Not read: negations ("no longer blocked by #3"), issues that are merely mentioned, code,
//! quotations, struck-out text and HTML comments. In doubt an issue is blocked: that is visible and easily mended.

mod silent;
mod target;

use std::ops::Range;

use silent::without_silent_parts;
pub use target::Target;
use target::{is_word, reference_at};

/// An issue that a text says has to be closed first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// Which.
    pub target: Target,
    /// On which line of the text, counted from 1.
    pub line: usize,
}

/// How many blockers one text may name; what it names beyond them blocks as one.
const MOST: usize = 200;
/// How far a sentence, or a code span, is followed, in bytes.
const REACH: usize = 1000;
/// How far before "blocked by" a negation may stand, in bytes.
const LOOK_BACK: usize = 100;

/// Everything that a Markdown text says its issue is blocked by, in the order of the text, each once.
pub fn blocked_by(markdown: &str) -> Vec<Mention> {
    let text = without_silent_parts(markdown);
    let lower = text.to_ascii_lowercase();
    let mut found: Vec<(Target, usize)> = Vec::new();
    let mut add = |target: Target, at: usize| {
        if found.len() < MOST && !found.iter().any(|(known, _)| *known == target) {
            found.push((target, at));
            if found.len() == MOST {
                found.push((Target::Text(format!("more than {MOST} issues")), at));
            }
        }
    };
    let mut from = 0;
    while let Some(phrase) = next_phrase(&lower, from) {
        from = phrase.end;
        if is_negated(upto(&text, phrase.start)) {
            continue;
        }
        match what_follows(&text, &phrase) {
            Follows::Section(range) => {
                from = range.end;
                section(&text, range, &mut add);
            }
            Follows::List(range) => {
                from = range.end;
                items(&text, range, &mut add);
            }
            Follows::Sentence => {
                let next = next_phrase(&lower, phrase.end).map_or(text.len(), |next| next.start);
                sentence(&text, phrase.end..next, &mut add);
            }
        }
    }
    found.into_iter().map(|(target, at)| Mention { target, line: text[..at].matches('\n').count() + 1 }).collect()
}

/// The last bytes before a place.
fn upto(text: &str, end: usize) -> &str {
    let mut start = end.saturating_sub(LOOK_BACK);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..end]
}

/// The first bytes from a place on.
fn from(text: &str, start: usize) -> &str {
    let mut end = start.saturating_add(REACH).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[start..end]
}

/// The next "blocked by", as words of their own.
fn next_phrase(lower: &str, from: usize) -> Option<Range<usize>> {
    let mut at = from;
    while let Some(found) = lower[at..].find("blocked") {
        let start = at + found;
        at = start + "blocked".len();
        let gap = lower[at..].len() - lower[at..].trim_start_matches([' ', '\t', '\n', '\r', '-', '_', '*']).len();
        let by = at + gap;
        let words = gap > 0
            && lower[by..].starts_with("by")
            && !lower[by + 2..].starts_with(is_word)
            && !lower[..start].ends_with(is_word)
            && !lower[at..by].contains("\n\n");
        if words {
            return Some(start..by + 2);
        }
    }
    None
}

/// Whether the words before "blocked by", in the same clause, take it back.
fn is_negated(before: &str) -> bool {
    // A line ends a clause too: "Status: not started" says nothing about the "Blocked by: #3" below it.
    let ends = |letter: char| matches!(letter, '.' | ',' | ';' | ':' | '!' | '?' | '|' | '(' | '\n' | '–' | '—');
    let clause = before.rsplit(ends).next().unwrap_or_default();
    let clause = clause.rsplit(" - ").next().unwrap_or_default();
    for word in clause.split_whitespace().rev().take(5) {
        let word = word.trim_matches(|letter: char| !letter.is_alphanumeric()).to_lowercase().replace('’', "'");
        match word.as_str() {
            "not" | "no" | "never" | "neither" | "nor" | "nothing" | "nobody" | "without" => return true,
            // "We can't start, blocked by #3", commas forgotten.
            "can't" | "cannot" | "couldn't" => return false,
            "and" | "but" | "because" | "since" | "as" | "so" | "while" | "until" | "when" | "if" | "still" => {
                return false;
            }
            _ if word.ends_with("n't") => return true,
            _ => {}
        }
    }
    false
}

enum Follows {
    /// The phrase is a heading; this is what it heads.
    Section(Range<usize>),
    /// The phrase ends its line, and a list follows.
    List(Range<usize>),
    /// The sentence goes on.
    Sentence,
}

fn what_follows(text: &str, phrase: &Range<usize>) -> Follows {
    let line_start = text[..phrase.start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[phrase.end..].find('\n').map_or(text.len(), |newline| phrase.end + newline + 1);
    let bare = text[phrase.end..line_end].trim_matches([' ', '\t', '\r', '\n', ':', '*', '_', '#', '-', '–', '—']);
    if !bare.is_empty() {
        return Follows::Sentence;
    }
    let before = text[line_start..phrase.start].trim_start();
    let is_heading = before.starts_with('#') && before.trim_matches(['#', ' ', '\t', '*', '_']).is_empty();
    let next_line = text[line_end..].lines().next().unwrap_or_default().trim();
    let underlined = next_line.len() >= 2
        && (next_line.chars().all(|letter| letter == '=') || next_line.chars().all(|letter| letter == '-'));
    if is_heading || underlined {
        let start = if underlined { line_end + text[line_end..].find('\n').unwrap_or(0) } else { line_end };
        return Follows::Section(start..end_of_section(text, start));
    }
    let end = end_of_list(text, line_end);
    if end > line_end { Follows::List(line_end..end) } else { Follows::Sentence }
}

fn end_of_section(text: &str, start: usize) -> usize {
    let mut at = start;
    for line in text[start..].split_inclusive('\n') {
        if is_heading(line) {
            return at;
        }
        at += line.len();
    }
    text.len()
}

fn is_heading(line: &str) -> bool {
    let content = line.trim_start_matches(' ');
    let level = content.chars().take_while(|letter| *letter == '#').count();
    (1..=6).contains(&level) && content[level..].starts_with([' ', '\t', '\r', '\n'])
}

/// Where the list ends that starts here, after blank lines at most; `start` where none does.
fn end_of_list(text: &str, start: usize) -> usize {
    let (mut at, mut end) = (start, start);
    for line in text[start..].split_inclusive('\n') {
        at += line.len();
        if list_marker(line).is_some() || (end > start && line.starts_with([' ', '\t']) && !line.trim().is_empty()) {
            end = at;
        } else if !line.trim().is_empty() {
            break;
        }
    }
    end
}

/// The length of a list marker with its indentation.
fn list_marker(line: &str) -> Option<usize> {
    let trimmed = line.trim_start_matches([' ', '\t']);
    let digits = trimmed.chars().take_while(char::is_ascii_digit).count();
    let marker = match trimmed[digits..].chars().next()? {
        '-' | '*' | '+' if digits == 0 => 1,
        '.' | ')' if (1..=9).contains(&digits) => digits + 1,
        _ => return None,
    };
    let blank = trimmed[marker..].starts_with([' ', '\t']);
    blank.then_some(line.len() - trimmed.len() + marker)
}

/// What a heading "Blocked by" heads: lists, and references in its prose.
fn section(text: &str, range: Range<usize>, add: &mut impl FnMut(Target, usize)) {
    let mut at = range.start;
    while at < range.end {
        let line_end = text[at..range.end].find('\n').map_or(range.end, |newline| at + newline + 1);
        let line = &text[at..line_end];
        if list_marker(line).is_some() {
            let end = end_of_list(text, at).min(range.end);
            items(text, at..end, add);
            at = end;
        } else {
            if !takes_back(line) {
                references(text, at..line_end, add);
            }
            at = line_end;
        }
    }
}

/// The items of a list under "Blocked by". One without any reference blocks by its words.
fn items(text: &str, range: Range<usize>, add: &mut impl FnMut(Target, usize)) {
    let mut at = range.start;
    let mut starts = Vec::new();
    for line in text[range.clone()].split_inclusive('\n') {
        if let Some(marker) = list_marker(line) {
            starts.push(at + marker);
        }
        at += line.len();
    }
    for (index, start) in starts.iter().enumerate() {
        let next = starts.get(index + 1).copied().unwrap_or(range.end);
        // The next item's marker is not part of this one.
        let end = if next == range.end { next } else { text[..next].rfind('\n').map_or(next, |newline| newline + 1) };
        let item = &text[*start..end];
        let mut words = item.trim();
        let ticked = words.starts_with("[x]") || words.starts_with("[X]");
        for mark in ["[ ]", "[x]", "[X]"] {
            words = words.strip_prefix(mark).unwrap_or(words).trim_start();
        }
        if takes_back(words) {
            continue;
        }
        let mut found = false;
        references(text, *start..end, &mut |target, at| {
            found = true;
            add(target, at);
        });
        if !found && !ticked && words.chars().any(char::is_alphanumeric) {
            add(Target::Text(crate::text::clean_line(words, 100)), *start);
        }
    }
}

/// Whether what comes after "blocked by" starts with saying that there is nothing.
fn takes_back(text: &str) -> bool {
    let reference = text.char_indices().map(|(at, _)| at).find(|at| reference_at(text, *at).is_some());
    let mut words = text[..reference.unwrap_or(text.len())]
        .split(|letter: char| !(is_word(letter) || letter == '/'))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase);
    match words.next().as_deref() {
        Some("none" | "nothing" | "nobody" | "nil" | "n/a" | "na") => true,
        // "no longer #3", but not "no parser yet (#3)".
        Some("no" | "not" | "never") => {
            reference.is_none()
                || words.all(|word| {
                    matches!(
                        word.as_str(),
                        "longer" | "more" | "any" | "anymore" | "one" | "other" | "issue" | "issues" | "blocked" | "by"
                    )
                })
        }
        _ => false,
    }
}

fn references(text: &str, range: Range<usize>, add: &mut impl FnMut(Target, usize)) {
    let mut at = range.start;
    while at < range.end {
        match reference_at(text, at) {
            Some((target, end)) => {
                add(target, at);
                at = after_link(text, end);
            }
            None => at += text[at..].chars().next().map_or(1, char::len_utf8),
        }
    }
}

/// The list of references that a sentence goes on with after "blocked by": words may lead up to it ("the work in #3"),
/// only commas and the like may part it.
fn sentence(text: &str, range: Range<usize>, add: &mut impl FnMut(Target, usize)) {
    let mut at = range.start;
    let mut found = false;
    let mut first_word = true;
    let mut reach = at + from(text, at).len();
    while at < reach.min(range.end) {
        if let Some((target, end)) = reference_at(text, at) {
            add(target, at);
            found = true;
            reach = end + from(text, end).len();
            at = after_link(text, end);
            continue;
        }
        let rest = &text[at..];
        let letter = rest.chars().next().unwrap_or(' ');
        if rest.starts_with("\n\n") || rest.starts_with("\r\n\r\n") {
            return;
        }
        if letter == '\n' {
            let next_line = &rest[1..];
            if list_marker(next_line).is_some() || is_heading(next_line) {
                return;
            }
        }
        if let Some(inside) = rest.strip_prefix('(').filter(|_| found) {
            at += inside
                .find([')', '\n'])
                .map_or(rest.len(), |end| end + 1 + usize::from(inside[end..].starts_with(')')));
            continue;
        }
        if letter == '[' && reference_at(text, at + 1).is_none() {
            // The words of a link: its address is what counts.
            let line = rest.lines().next().unwrap_or_default();
            at += line.find("](").map_or(1, |end| end + 2);
            continue;
        }
        if is_word(letter) {
            let length = rest.find(|letter: char| !is_word(letter) && letter != '/').unwrap_or(rest.len());
            let word = rest[..length].to_lowercase();
            let parts_a_list = matches!(word.as_str(), "and" | "or" | "issue" | "issues" | "also" | "by");
            if (found && !parts_a_list) || (first_word && takes_back(&text[at..reach.min(range.end)])) {
                return;
            }
            first_word = false;
            at += length;
            continue;
        }
        let ends = matches!(letter, ';' | '!' | '?')
            || (letter == '.' && rest[1..].chars().next().is_none_or(char::is_whitespace));
        if ends {
            return;
        }
        at += letter.len_utf8();
    }
}

/// Past `](…)`, so that `[#3](https://…/issues/3)` is one reference.
fn after_link(text: &str, end: usize) -> usize {
    match text[end..].strip_prefix("](") {
        Some(address) => end + 2 + address.find([')', '\n']).unwrap_or(address.len()),
        None => end,
    }
}

#[cfg(test)]
mod tests;
