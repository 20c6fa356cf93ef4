//! What an issue's text says it is blocked by. Pure.
//!
//! Read as blocking: "blocked by #3", "Blocked by: #3, acme/lib#7 and #9", addresses of issues, and a heading or line
//! "Blocked by" with a list. Not read: negations ("no longer blocked by #3"), issues that are merely mentioned, code,
//! quotations, struck-out text and HTML comments. In doubt an issue is blocked: that is visible and easily mended.

use std::ops::Range;

/// An issue that a text says has to be closed first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// Which.
    pub target: Target,
    /// On which line of the text, counted from 1.
    pub line: usize,
}

/// How an issue is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `#3`: of the same repository.
    Here(u64),
    /// `acme/lib#7`, or `lib#7`.
    Repo {
        /// As written.
        repo: String,
        /// The number.
        number: u64,
    },
    /// `https://forge.example/acme/lib/issues/7`.
    Url {
        /// With its port, where it has one.
        host: String,
        /// `acme/lib`.
        repo: String,
        /// The number.
        number: u64,
    },
    /// An item of a list under "Blocked by" that names no issue at all.
    Text(String),
}

impl Target {
    /// Reads `#3`, `acme/lib#7` or the address of an issue, and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        match reference_at(text, 0) {
            Some((target, end)) if end == text.len() => Some(target),
            _ => None,
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Here(number) => write!(out, "#{number}"),
            Target::Repo { repo, number } => write!(out, "{repo}#{number}"),
            Target::Url { host, repo, number } => write!(out, "https://{host}/{repo}/issues/{number}"),
            Target::Text(text) => out.write_str(text),
        }
    }
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

/// The text with everything blanked that says nothing to readers of its prose; bytes and lines keep their places.
fn without_silent_parts(markdown: &str) -> String {
    let mut out = String::with_capacity(markdown.len());
    let mut fence: Option<(char, usize)> = None;
    let mut in_comment = false;
    let (mut after_blank, mut in_list) = (true, false);
    for line in markdown.split_inclusive('\n') {
        let trimmed = line.trim_start_matches(' ');
        let indent = line.len() - trimmed.len();
        let blank = trimmed.trim().is_empty();
        if let Some((letter, length)) = fence {
            let run = trimmed.chars().take_while(|next| *next == letter).count();
            if !in_comment && run >= length && trimmed[run..].trim().is_empty() {
                fence = None;
            }
            push_blanked(&mut out, line);
            continue;
        }
        if !in_comment {
            let letter = trimmed.chars().next().unwrap_or(' ');
            let run = trimmed.chars().take_while(|next| *next == letter).count();
            let item = list_marker(line).is_some();
            let code = !in_list && after_blank && !blank && (indent >= 4 || trimmed.starts_with('\t'));
            let was_after_blank = after_blank;
            after_blank = blank || code;
            if !blank && !code {
                in_list = item || (in_list && (indent > 0 || !was_after_blank));
            }
            if matches!(letter, '`' | '~') && run >= 3 && !(letter == '`' && trimmed[run..].contains('`')) {
                fence = Some((letter, run));
                push_blanked(&mut out, line);
                continue;
            }
            if code || (letter == '>' && indent < 4) {
                push_blanked(&mut out, line);
                continue;
            }
        }
        let mut rest = line;
        while !rest.is_empty() {
            let (part, end) = if in_comment {
                rest.split_at(rest.find("-->").map_or(rest.len(), |at| at + 3))
            } else {
                rest.split_at(rest.find("<!--").unwrap_or(rest.len()))
            };
            if in_comment {
                push_blanked(&mut out, part);
                in_comment = !part.ends_with("-->");
            } else {
                out.push_str(part);
                in_comment = !end.is_empty();
            }
            rest = end;
        }
    }
    let out = blank_between(&out, '`', 1);
    blank_between(&out, '~', 2)
}

fn push_blanked(out: &mut String, text: &str) {
    out.extend(text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
}

/// Blanks what stands between two runs of the same length of a letter, in one paragraph.
fn blank_between(text: &str, letter: char, least: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(letter) {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let run = from.chars().take_while(|next| *next == letter).count();
        let near = self::from(from, run);
        let paragraph = near.find("\n\n").map_or(near, |end| &near[..end]);
        match closing_run(paragraph, letter, run).filter(|_| run >= least) {
            Some(end) => {
                push_blanked(&mut out, &from[..run + end]);
                rest = &from[run + end..];
            }
            None => {
                out.push_str(&from[..run]);
                rest = &from[run..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn closing_run(text: &str, letter: char, length: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find(letter) {
        at += found;
        let run = text[at..].chars().take_while(|next| *next == letter).count();
        at += run;
        if run == length {
            return Some(at);
        }
    }
    None
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

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric()
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

/// A reference that starts exactly here, and where it ends.
fn reference_at(text: &str, at: usize) -> Option<(Target, usize)> {
    let before = text[..at].chars().next_back();
    if before.is_some_and(|letter| is_word(letter) || matches!(letter, '_' | '-' | '.' | '/' | '#' | '&' | '@')) {
        return None;
    }
    let rest = &text[at..];
    for scheme in ["https://", "http://"] {
        if let Some(address) = rest.strip_prefix(scheme) {
            let (target, length) = address_of_issue(address)?;
            return Some((target, at + scheme.len() + length));
        }
    }
    let name =
        rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '/')))?;
    let (repo, rest) = rest.split_at(name);
    let (number, length) = number_at(rest.strip_prefix('#')?)?;
    let plausible = repo.split('/').count() <= 2 && repo.split('/').all(|part| !part.is_empty());
    let target = match repo {
        "" => Target::Here(number),
        _ if plausible => Target::Repo { repo: repo.to_owned(), number },
        _ => return None,
    };
    Some((target, at + name + 1 + length))
}

/// `forge.example/acme/lib/issues/7`: the target, and its length.
fn address_of_issue(address: &str) -> Option<(Target, usize)> {
    let end = address
        .find(|letter: char| letter.is_whitespace() || matches!(letter, ')' | ']' | '>' | '"' | '<' | ',' | '*'))
        .unwrap_or(address.len());
    let whole = address[..end].trim_end_matches(['.', ':', ';', '!', '?']);
    let path = whole.split(['#', '?']).next().unwrap_or_default();
    let mut parts = path.split('/');
    let (host, owner, name) = (parts.next()?, parts.next()?, parts.next()?);
    let kind = parts.next().and_then(|part| if part == "-" { parts.next() } else { Some(part) })?;
    let number = parts.next()?.parse().ok()?;
    let is_issue = matches!(kind, "issues" | "pull" | "pulls" | "merge_requests" | "work_items");
    let repo = format!("{owner}/{name}");
    (is_issue && !host.is_empty()).then(|| (Target::Url { host: host.to_owned(), repo, number }, whole.len()))
}

fn number_at(text: &str) -> Option<(u64, usize)> {
    let length = text.chars().take_while(char::is_ascii_digit).count();
    let goes_on = text[length..].starts_with(|letter: char| is_word(letter) || letter == '_');
    // A number beyond all counting names no issue that exists, and so an open one.
    (length > 0 && !goes_on).then(|| (text[..length].parse().unwrap_or(u64::MAX), length))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    fn names(text: &str) -> Vec<String> {
        blocked_by(text).iter().map(|mention| mention.target.to_string()).collect()
    }

    #[test]
    fn what_people_write_when_an_issue_waits_for_another() {
        for (text, expected) in [
            ("Blocked by #3", vec!["#3"]),
            ("blocked by: #3, acme/lib#7", vec!["#3", "acme/lib#7"]),
            ("**Blocked by:** #3 and #4.", vec!["#3", "#4"]),
            ("_blocked by_ #3 & #4 / #5", vec!["#3", "#4", "#5"]),
            ("BLOCKED-BY: lib#7", vec!["lib#7"]),
            ("This is blocked by issue #3 (the parser, see #8), #4 too.", vec!["#3", "#4"]),
            ("blocked by the parser work in #3", vec!["#3"]),
            ("Blocked by #3. Related: #9", vec!["#3"]),
            ("Blocked by #3, see #9 for why", vec!["#3"]),
            ("Blocked\nby #3,\n#4", vec!["#3", "#4"]),
            ("Blocked by:\n#3", vec!["#3"]),
            (
                "Blocked by [#3](https://x.example/acme/app/issues/3) and [that](https://x.example/acme/lib/issues/7)",
                vec!["#3", "https://x.example/acme/lib/issues/7"],
            ),
            (
                "blocked by https://forge.example:3000/acme/lib/issues/7#comment-1.",
                vec!["https://forge.example:3000/acme/lib/issues/7"],
            ),
            (
                "blocked by <https://gitlab.example/acme/lib/-/issues/7>",
                vec!["https://gitlab.example/acme/lib/issues/7"],
            ),
            ("| Blocked by | #3 |", vec!["#3"]),
            ("Not done yet, and blocked by #3", vec!["#3"]),
            ("It does not work because it is blocked by #3", vec!["#3"]),
            ("Blocked by #3.\n\nAlso blocked by #3 and #4", vec!["#3", "#4"]),
            ("- blocked by #3\n- see #4", vec!["#3"]),
            ("Status: not started\nBlocked by: #3", vec!["#3"]),
            ("We can't start yet - blocked by #3", vec!["#3"]),
            ("No progress \u{2014} blocked by #3", vec!["#3"]),
            ("We can't go on while blocked by #3", vec!["#3"]),
            ("blocked by not having the parser (#3)", vec!["#3"]),
            ("blocked by no one, see #4", vec!["#4"]),
            ("blocked by #99999999999999999999", vec!["#18446744073709551615"]),
        ] {
            assert_eq!(names(text), expected, "{text}");
        }
    }

    #[test]
    fn a_heading_with_a_list_blocks() {
        for (text, expected) in [
            ("## Blocked by\n\n- #3\n- [ ] acme/lib#7: the parser\n\n## Notes\n- #9\n", vec!["#3", "acme/lib#7"]),
            ("## Blocked by:\r\n* #3\r\n* #4\r\n# Other\r\n* #5", vec!["#3", "#4"]),
            ("**Blocked by**\n1. #3\n2. the parser\n   (#4)\n\nSee #9", vec!["#3", "#4"]),
            ("Blocked by\n==========\n\n#3 and #4\n", vec!["#3", "#4"]),
            ("Blocked by\n---\n- #3\n", vec!["#3"]),
            ("### Blocked by\n\n_No response_\n\n### Else\n#3", vec![]),
            ("## Blocked by\n- none\n- N/A\n- no longer #3\n- Not #4\n", vec![]),
            ("## Blocked by\n- No parser yet (#3)\n- not started: #4\n- TBD\n", vec!["#3", "#4", "TBD"]),
            ("## Blocked by\n- the review by legal\n- [x] the design\n", vec!["the review by legal"]),
            ("## Blocked by #3 ##\n- #4", vec!["#3"]),
        ] {
            assert_eq!(names(text), expected.iter().map(ToString::to_string).collect::<Vec<_>>(), "{text}");
        }
    }

    #[test]
    fn what_blocks_nothing() {
        for text in [
            "not blocked by #3",
            "This is no longer blocked by #3",
            "It isn't blocked by #3; it isn\u{2019}t really blocked by #4",
            "never blocked by #3",
            "unblocked by #3",
            "#3 and acme/lib#7 are related",
            "blocked by nothing, see #4",
            "blocked by no other issue",
            "Blocked by none (#3 is done)",
            "requests are blocked by the firewall",
            "`blocked by #3`",
            "```\nblocked by #3\n```",
            "~~~~\nblocked by #3\n~~~\nblocked by #4",
            "text\n\n    blocked by #3\n",
            "> blocked by #3",
            "<!-- blocked by #3\n\nblocked by #4 -->",
            "~~blocked by #3~~",
            "## Not blocked by\n- #3",
            "stonewallblocked by #3",
            "blocked byte #3",
            "blocked by a#b/c#d",
            "",
        ] {
            assert_eq!(names(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_only_looks_silent_still_blocks() {
        for text in [
            "<!-- a fence\n```\n-->\nBlocked by #3",
            "`` ` `` blocked by #3 ` alone",
            "- item\n\n    Blocked by #3",
            "```\ncode\n```\nBlocked by #3",
            "~once~ blocked by #3",
        ] {
            assert_eq!(names(text), ["#3"], "{text}");
        }
    }

    #[test]
    fn the_line_is_told() {
        assert_eq!(
            blocked_by("one\n```\n#1\n```\nblocked by #3,\n#4"),
            [Mention { target: Target::Here(3), line: 5 }, Mention { target: Target::Here(4), line: 6 }]
        );
    }

    #[test]
    fn a_text_made_to_take_for_ever_does_not() {
        let started = std::time::Instant::now();
        for piece in
            ["blocked by ", "- blocked by\n", "# blocked by\n", "`", "` `` ", "not ", "blocked by #1, #2, ", "<!--"]
        {
            let text = piece.repeat(256 * 1024 / piece.len());
            blocked_by(&text);
        }
        let numbers: String = (0..100_000).map(|number| format!("#{number}, ")).collect();
        let mentions = blocked_by(&format!("blocked by {numbers}"));
        assert_eq!(mentions.len(), MOST + 1);
        assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(
            text in "(blocked by|[#`~<>*_ \\-\n(\\[\\]):,.|]|acme/lib|[0-9]|<!--|-->|https://|ä|not|  ){0,60}"
        ) {
            let lines = text.matches('\n').count() + 1;
            for mention in blocked_by(&text) {
                prop_assert!(mention.line <= lines);
            }
        }

        #[test]
        fn a_named_target_reads_back(number in 0_u64..1_000_000, repo in "[a-z]{1,5}(/[a-z.-]{0,4}[a-z])?") {
            for target in [Target::Here(number), Target::Repo { repo, number }] {
                prop_assert_eq!(Target::parse(&target.to_string()), Some(target));
            }
        }
    }
}
