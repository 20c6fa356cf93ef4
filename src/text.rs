//! Untrusted text made fit for people: titles, comments, logs, an agent's words.
//!
//! What goes: terminal escapes, control characters, and everything that is invisible or reorders what is read
//! (zero-width, bidi, tag, filler and variation characters). What comes out is bounded in bytes.

/// One line, the beginning of it: line breaks, tabs and runs of blanks become one blank. At most `max` bytes.
pub fn clean_line(text: &str, max: usize) -> String {
    let visible = visible(text);
    let words: Vec<&str> = visible.split_whitespace().collect();
    head(words.join(" "), max)
}

/// As [`clean_line`], with an ellipsis where it was cut.
pub fn line(text: &str, max: usize) -> String {
    let whole = clean_line(text, usize::MAX);
    if whole.len() <= max { whole } else { head(whole, max.saturating_sub('…'.len_utf8())) + "…" }
}

/// One line as [`clean_line`] makes it, the end of it, with an ellipsis where it was cut. At most `max` bytes.
pub fn line_end(text: &str, max: usize) -> String {
    let whole = clean_line(text, usize::MAX);
    if whole.len() <= max {
        return whole;
    }
    let start = whole.len().saturating_sub(max.saturating_sub('…'.len_utf8()));
    format!("…{}", whole[whole.ceil_char_boundary(start)..].trim_start())
}

/// Several lines, the beginning of them: line breaks (also `\r\n` and `\r`) and tabs stay. At most `max` bytes.
pub fn clean_block(text: &str, max: usize) -> String {
    head(visible(text), max)
}

/// Several lines, the end of them, cleaned as [`clean_block`] does. At most `max` bytes.
pub fn tail(text: &str, max: usize) -> String {
    let visible = visible(text);
    let mut start = visible.len().saturating_sub(max);
    while !visible.is_char_boundary(start) {
        start += 1;
    }
    visible[start..].to_owned()
}

/// Untrusted text for a line of a comment: one line, bounded, pinging nobody, ending no table cell and no code span, and opening no HTML. At most `max` bytes.
pub fn harmless(text: &str, max: usize) -> String {
    head(without_markup(&clean_line(text, max)), max)
}

/// As [`harmless`], the end of the text, with an ellipsis where it was cut.
pub fn harmless_end(text: &str, max: usize) -> String {
    line_end(&without_markup(&clean_line(text, usize::MAX)), max)
}

fn without_markup(line: &str) -> String {
    line.replace('@', "＠").replace('|', "¦").replace('`', "'").replace('<', "‹").replace('>', "›")
}

fn head(mut text: String, max: usize) -> String {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '\u{1b}' => skip_escape(&mut rest),
            '\u{9b}' => skip_control_sequence(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => skip_control_string(&mut rest),
            '\r' => {
                if rest.peek() != Some(&'\n') {
                    out.push('\n');
                }
            }
            '\u{85}' | '\u{2028}' | '\u{2029}' => out.push('\n'),
            '\n' | '\t' => out.push(letter),
            _ if letter.is_control() || is_invisible(letter) => {}
            _ => out.push(letter),
        }
    }
    out
}

type Letters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// What follows ESC (ECMA-48).
fn skip_escape(rest: &mut Letters<'_>) {
    match rest.peek() {
        Some('[') => {
            rest.next();
            skip_control_sequence(rest);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            rest.next();
            skip_control_string(rest);
        }
        _ => {
            while rest.next_if(|letter| matches!(letter, ' '..='/')).is_some() {}
            rest.next_if(|letter| matches!(letter, '0'..='~'));
        }
    }
}

/// Parameters, intermediates, and the final character.
fn skip_control_sequence(rest: &mut Letters<'_>) {
    while rest.next_if(|letter| matches!(letter, ' '..='?')).is_some() {}
    rest.next_if(|letter| matches!(letter, '@'..='~'));
}

/// Up to the terminator; or to the end of the line, so that one that never ends cannot hide what follows.
fn skip_control_string(rest: &mut Letters<'_>) {
    while let Some(letter) = rest.next_if(|letter| !matches!(letter, '\n' | '\r')) {
        match letter {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' if rest.next_if_eq(&'\\').is_some() => return,
            _ => {}
        }
    }
}

/// Characters that show nothing, or change the order in which others are read.
pub fn is_invisible(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}' // soft hyphen
            | '\u{34f}' // combining grapheme joiner
            | '\u{61c}' // Arabic letter mark
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers
            | '\u{17b4}' | '\u{17b5}' // Khmer inherent vowels
            | '\u{180b}'..='\u{180f}' // Mongolian selectors
            | '\u{200b}'..='\u{200f}' // zero width, direction marks
            | '\u{202a}'..='\u{202e}' // bidi embeddings and overrides
            | '\u{2060}'..='\u{206f}' // word joiner, isolates, invisible operators
            | '\u{fe00}'..='\u{fe0f}' // variation selectors, which can carry hidden bytes
            | '\u{feff}' // byte order mark
            | '\u{fff0}'..='\u{fffb}' // unassigned, interlinear annotation
            | '\u{1bca0}'..='\u{1bca3}' // shorthand format controls
            | '\u{1d173}'..='\u{1d17a}' // musical format controls
            | '\u{e0000}'..='\u{e0fff}' // tags and more variation selectors
    )
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_removed_and_what_people_read_stays() {
        for (dirty, clean) in [
            ("plain Ünï\tcode 🦀", "plain Ünï\tcode 🦀"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;http://evil\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}]0;never ends\nthe next line", "\nthe next line"),
            ("\u{9b}2Jgone", "gone"),
            ("\u{1b}(Bset \u{1b}cfull reset", "set full reset"),
            ("\u{1b}", ""),
            ("bell\u{7} back\u{8}space nul\u{0} del\u{7f}", "bell backspace nul del"),
            ("one\r\ntwo\rthree\u{2028}four", "one\ntwo\nthree\nfour"),
            ("a\u{200b}b\u{202e}c\u{2066}d\u{feff}e\u{e0041}f\u{e0101}g", "abcdefg"),
        ] {
            assert_eq!(clean_block(dirty, usize::MAX), clean, "{dirty:?}");
        }
    }

    #[test]
    fn a_line_has_no_breaks_and_no_runs_of_blanks() {
        assert_eq!(clean_line("  fix\r\n\tthe \u{200b} thing\n", 100), "fix the thing");
    }

    #[test]
    fn cuts_keep_whole_characters() {
        assert_eq!(clean_line("häh", 2), "h");
        assert_eq!((line("whole", 5).as_str(), line("not whole", 6).as_str()), ("whole", "not…"));
        assert_eq!((line_end("whole", 5).as_str(), line_end("not whole", 8).as_str()), ("whole", "…whole"));
        assert_eq!((line_end("äöü", 6).as_str(), line_end("äöüä", 6).as_str()), ("äöü", "…ä"));
        assert_eq!((harmless_end("hm `@ada`", 9).as_str(), harmless_end("ok", 9).as_str()), ("…ada'", "ok"));
        assert_eq!(clean_block("äöü", 4), "äö");
        assert_eq!(tail("äöü", 3), "ü");
        assert_eq!(tail("short", 100), "short");
    }

    proptest! {
        #[test]
        fn nothing_invisible_gets_through_and_the_bound_holds(text in any::<String>(), max in 0_usize..64) {
            for cleaned in [clean_line(&text, max), line(&text, max.max(3)), line_end(&text, max.max(3)), clean_block(&text, max), tail(&text, max)] {
                prop_assert!(cleaned.len() <= max.max(3));
                prop_assert!(cleaned.chars().all(|letter| matches!(letter, '\n' | '\t')
                    || !(letter.is_control() || is_invisible(letter))));
            }
            prop_assert!(!clean_line(&text, max).contains(['\n', '\t']));
        }
    }
}
