//! The parts of a Markdown text that say nothing to readers of its prose: code, quotations, struck-out text, HTML
//! comments.

use super::list_marker;

/// The text with everything blanked that says nothing to readers of its prose; bytes and lines keep their places.
pub(super) fn without_silent_parts(markdown: &str) -> String {
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
        let near = super::from(from, run);
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
