//! The difference as a comment on a pull request: one that is found again by its first line and edited on every push.

use super::source::Source;
use super::today::{Change, Today};
use super::{Comparison, broken, judged};
use crate::cli::findings::counted;
use crate::policy::{Severity, short_revision};
use crate::text::{clean_line, harmless};
use crate::verify::difference::{Direction, Item, Place};

/// What a forge takes in one comment, in bytes; GitHub counts 65,536 characters.
const MOST: usize = 65_536;
/// What is kept for the sentence about a cut and for the last line.
const RESERVED: usize = 1_024;
/// How many changes stand in the table at least; those that are looser all do, as far as there is room.
const ROWS: usize = 10;
/// The room for the rows of one table that is not folded, in bytes.
const TABLE: usize = 20_000;
/// How many changed lines of a prompt are shown.
const PROMPT_LINES: usize = 100;
/// The longest cell, in bytes.
const CELL: usize = 1_500;

/// The whole comment.
pub fn comment(comparison: &Comparison<'_>) -> String {
    let mut comment = Comment::default();
    comment.add(&[marker(&comparison.new.source)]);
    comment.add(&[heading(comparison), String::new()]);
    let (old, new) = (short_revision(&comparison.old.value.revision), short_revision(&comparison.new.value.revision));
    comment.add(&[format!("`{old}` → `{new}` · {}", cell(&judged(comparison))), String::new()]);
    let changes = changes(comparison);
    let looser = comparison.difference.count(Direction::Looser);
    let (shown, more) = changes.split_at(fitting(&changes, looser.max(ROWS)));
    let mut listed = comment.table(&CHANGES, shown);
    let mut more_of_today = Vec::new();
    match &comparison.today {
        Some(Ok(today)) => more_of_today = of_today(today, &mut comment),
        Some(Err(why)) => {
            comment.add(&[format!("**Today** is not compared: {}", cell(why)), String::new()]);
        }
        None => {}
    }
    if let Some(drawn) = &comparison.wrong {
        comment.fold_fenced("What is wrong with the new policy, with an example", &block(drawn));
    }
    for remark in comparison.difference.also.iter().filter(|remark| remark.is_unproven) {
        comment.add(&[
            format!("⚠ {}. **Not proven:** what an agent does with a prompt", cell(&remark.what)),
            String::new(),
        ]);
        if !remark.lines.is_empty() {
            let lines = remark.lines.iter().take(PROMPT_LINES).map(|line| harmless(line, 300));
            let lines: Vec<String> = std::iter::once("```diff".to_owned()).chain(lines).collect();
            let first =
                if remark.lines.len() > PROMPT_LINES { format!("the first {PROMPT_LINES} of ") } else { String::new() };
            comment.fold_fenced(&format!("Changed lines of the prompt ({first}{})", remark.lines.len()), &lines);
        }
    }
    if !more.is_empty() {
        listed += comment.folded_table(&left_out(comparison, shown.len()), &CHANGES, more);
    }
    for (noun, rows) in more_of_today {
        comment.folded_table(&format!("{} decided differently", counted(rows.len(), noun)), &TODAY, &rows);
    }
    if let Some(Ok(today)) = &comparison.today
        && !today.untold.is_empty()
    {
        let untold = today.untold.iter().map(|untold| format!("- {}: {}", code(&untold.reference), cell(&untold.why)));
        let title = format!("What cannot be told of today ({})", today.untold.len());
        comment.fold(&title, &untold.collect::<Vec<_>>());
    }
    let also = comparison.difference.also.iter().filter(|remark| !remark.is_unproven);
    let also: Vec<String> = also.map(|remark| format!("- {}", cell(&remark.what))).collect();
    if !also.is_empty() {
        comment.fold(&format!("Also changed, without any effect on decisions ({})", also.len()), &also);
    }
    if let Some(today) =
        comparison.today.as_ref().and_then(|today| today.as_ref().ok()).filter(|today| !today.changes.is_empty())
    {
        let traces = today
            .changes
            .iter()
            .map(|change| format!("{}   {}", harmless(&change.reference, 200), harmless(&change.trace, 2_000)));
        let traces: Vec<String> = std::iter::once("```text".to_owned()).chain(traces).collect();
        comment.fold_fenced(&format!("Full traces of the {} decided differently", today.changes.len()), &traces);
    }
    let reproduce = format!("afk diff-policy {} {}", comparison.old.source.shown(), comparison.new.source.shown());
    let missing = (changes.len() - listed, changes.len());
    comment.finish(
        missing,
        &format!(
            "<sub>afk {} · reproduce: {} · revisions are of policy and prompts</sub>",
            env!("CARGO_PKG_VERSION"),
            code(&reproduce)
        ),
    )
}

/// The line by which a comment is found again.
fn marker(new: &Source) -> String {
    let name = new.path().unwrap_or("afk.toml");
    let name: String = name.chars().filter(|letter| !matches!(letter, '<' | '>')).collect();
    format!("<!-- afk-diff-policy: {} -->", clean_line(&name.replace("--", "-"), 200))
}

/// The whole comment where one of the policies has errors: `drawn` shows them.
pub fn unusable(new: &Source, said: &str, drawn: &str) -> String {
    let mut comment = Comment::default();
    comment.add(&[marker(new), format!("### Policy change: ❌ {}", cell(said)), String::new()]);
    comment.add_closed(&block(drawn), &["```"]);
    comment.finish((0, 0), &format!("<sub>afk {}</sub>", env!("CARGO_PKG_VERSION")))
}

/// Drawn findings as lines of a code block that is still open.
fn block(drawn: &str) -> Vec<String> {
    let plain = anstream::adapter::strip_str(drawn).to_string();
    let lines = plain.trim_end().lines().map(|line| {
        let indent = line.len() - line.trim_start().len();
        format!("{}{}", " ".repeat(indent.min(100)), harmless(line, 1_000).trim_start())
    });
    std::iter::once("```text".to_owned()).chain(lines).collect()
}

fn heading(comparison: &Comparison<'_>) -> String {
    let count = |direction| comparison.difference.count(direction);
    let mut parts = Vec::new();
    for direction in [Direction::Looser, Direction::Tighter, Direction::Different] {
        if count(direction) > 0 {
            parts.push(format!("{} {} {}", sign(direction), count(direction), direction.word()));
        }
    }
    let errors = broken(&comparison.proofs, Severity::Error);
    if !errors.is_empty() {
        parts.insert(0, format!("❌ breaks {}", errors.join(", ")));
    } else if parts.is_empty() {
        let texts = if comparison.difference.tells_otherwise() { ", texts changed" } else { "" };
        parts.push(format!("✅ no decision changes{texts}"));
    }
    let warnings = broken(&comparison.proofs, Severity::Warning);
    if !warnings.is_empty() {
        parts.push(format!("⚠ warning: {}", warnings.join(", ")));
    }
    match comparison.difference.unproven() {
        0 => {}
        count => parts.push(format!("⚠ {} changed (not proven)", counted(count, "prompt"))),
    }
    let said = parts.join(", ");
    format!("### Policy change: {said}")
}

/// Columns of a table.
type Head = [&'static str; 2];
const CHANGES: Head = ["| | what changes, over every possible input | smallest example | line |", "|---|---|---|---|"];
const TODAY: Head = ["| issue | before | after |", "|---|---|---|"];

/// A row for each change: looser ones first, and of those that go one way first what holds for every repository.
fn changes(comparison: &Comparison<'_>) -> Vec<String> {
    let mut items: Vec<&Item> = comparison.difference.items.iter().collect();
    items.sort_by_key(|item| (item.direction, !item.scopes.is_empty()));
    let rows = items.iter().map(|item| {
        let scopes: Vec<String> = item.scopes.iter().map(|scope| code(scope)).collect();
        let scope = if scopes.is_empty() { String::new() } else { format!("in {}: ", scopes.join(", ")) };
        let example = item.sample.as_ref().map_or_else(String::new, |sample| cell(&sample.line()));
        let (sign, line) = (sign(item.direction), line(comparison, item.place));
        format!("| {sign} | {scope}{} | {example} | {line} |", cell(&item.what))
    });
    rows.collect()
}

fn sign(direction: Direction) -> &'static str {
    match direction {
        Direction::Looser => "🔓",
        Direction::Tighter => "🔒",
        Direction::Different => "🔀",
    }
}

/// How many rows stand in a table that is not folded: at most so many, and no more than there is room for.
fn fitting(rows: &[String], most: usize) -> usize {
    let mut bytes = 0;
    let fits = |row: &&String| {
        bytes += row.len();
        bytes <= TABLE
    };
    rows.iter().take(most).take_while(fits).count()
}

/// How many changes are folded, and of which kinds.
fn left_out(comparison: &Comparison<'_>, shown: usize) -> String {
    let mut before = shown;
    let mut kinds = Vec::new();
    for direction in [Direction::Looser, Direction::Tighter, Direction::Different] {
        let all = comparison.difference.count(direction);
        let left = all.saturating_sub(before);
        before = before.saturating_sub(all);
        if left > 0 {
            kinds.push(format!("{left} {}", direction.word()));
        }
    }
    let total = counted(comparison.difference.items.len() - shown, "more change");
    format!("{total}: {}", kinds.join(", "))
}

fn line(comparison: &Comparison<'_>, place: Place) -> String {
    match comparison.links.to(place) {
        Some(address) => format!("[{}]({address})", place.line),
        None if place.is_old => format!("{} (old)", place.line),
        None => place.line.to_string(),
    }
}

/// What becomes of today; gives the rows that there is no room for, with what they are of.
fn of_today(today: &Today, comment: &mut Comment) -> Vec<(&'static str, Vec<String>)> {
    let at = today.at.map_or(String::new(), |at| format!("snapshot of {}: ", at.format("%Y-%m-%d %H:%MZ")));
    let read = format!("{at}{}, {}", counted(today.issues, "armed issue"), counted(today.runs, "run"));
    let is = |count: usize, noun: &str| match count {
        0 if today.is_whole() => format!("no {noun} is decided differently"),
        0 => format!("no {noun} is known to be decided differently"),
        1 => format!("1 {noun} is decided differently"),
        many => format!("{many} {noun}s are decided differently"),
    };
    let mut more = Vec::new();
    for (noun, of_runs) in [("issue", false), ("run", true)] {
        let rows: Vec<String> = today.of(of_runs).map(row).collect();
        let title = if of_runs { "Runs in flight".to_owned() } else { format!("**Today** ({read})") };
        comment.add(&[format!("{title}: {}", is(rows.len(), noun)), String::new()]);
        let (shown, folded) = rows.split_at(fitting(&rows, usize::MAX));
        comment.table(&TODAY, shown);
        if !folded.is_empty() {
            more.push((if of_runs { "more run" } else { "more issue" }, folded.to_vec()));
        }
    }
    let mut notes: Vec<String> = today.unseen.iter().map(|unseen| cell(unseen)).collect();
    notes.extend(today.hours_old.map(|hours| format!("the snapshot is {hours} hours old")));
    if !today.untold.is_empty() {
        notes.push(format!("of {} it cannot be told", today.untold.len()));
    }
    if !notes.is_empty() {
        comment.add(&[format!("⚠ {}", notes.join("; ")), String::new()]);
    }
    more
}

fn row(change: &Change) -> String {
    format!("| {} | {} | {} |", code(&change.reference), cell(&change.before), cell(&change.after))
}

/// Words of the policy, of its authors and of trackers, as one line: the one way that any of them takes into Markdown.
///
/// What lies between backticks is code. Of the rest only plain words and numbers stay prose, and all else becomes code
/// as well, in which no forge knows links, mentions, references or HTML. So it does not matter who wrote the backticks.
fn cell(text: &str) -> String {
    let text = clean_line(text, CELL).replace('@', "＠").replace('|', "¦");
    let pieces: Vec<&str> = text.split('`').collect();
    // An open backtick would swallow what follows.
    let is_paired = pieces.len() % 2 == 1;
    let mut out = String::new();
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 && !is_paired {
            out.push('\'');
        }
        if is_paired && index % 2 == 1 {
            push_code(&mut out, if piece.is_empty() { " " } else { piece });
            continue;
        }
        for (index, word) in piece.split(' ').enumerate() {
            if index > 0 {
                out.push(' ');
            }
            let inner = word.trim_start_matches(OPENING).trim_end_matches(CLOSING);
            let (before, after) = word.split_once(inner).unwrap_or_default();
            out.push_str(before);
            if is_prose(inner) {
                out.push_str(inner);
            } else {
                push_code(&mut out, inner);
            }
            out.push_str(after);
        }
    }
    out
}

/// What may stand before a word of prose.
const OPENING: [char; 7] = ['(', '"', '\'', '+', '−', '→', '·'];
/// What may stand behind one.
const CLOSING: [char; 9] = [')', '"', '\'', ',', '.', ':', ';', '%', '…'];

/// Whether no forge could make anything of a word: letters with hyphens, or a number with its unit. Hexadecimal digits
/// could be a revision.
fn is_prose(word: &str) -> bool {
    let number = word.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let is_number = number.ends_with(|digit: char| digit.is_ascii_digit())
        && number.chars().all(|letter| letter.is_ascii_digit() || letter == '.');
    let is_word = word.split('-').all(|part| !part.is_empty() && part.chars().all(char::is_alphabetic));
    let is_revision = word.len() >= 7 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    word.is_empty() || ((is_number || is_word) && !is_revision)
}

/// Appends code, to code that stands right before it where there is some: two fences side by side would be a longer one.
fn push_code(out: &mut String, code: &str) {
    if !out.ends_with('`') {
        out.push('`');
    } else {
        out.pop();
    }
    out.push_str(&code.replace('<', "‹").replace('>', "›"));
    out.push('`');
}

/// A name, all of it as code.
fn code(name: &str) -> String {
    format!("`{}`", harmless(name, 400))
}

/// A comment that never grows beyond what the forge takes.
#[derive(Debug, Default)]
struct Comment {
    text: String,
    is_cut: bool,
}

impl Comment {
    /// Adds lines, whole ones, as many as fit; gives how many those are.
    fn add(&mut self, lines: &[String]) -> usize {
        self.add_closed(lines, &[])
    }

    fn add_closed(&mut self, lines: &[String], end: &[&str]) -> usize {
        let closing: usize = end.iter().map(|line| line.len() + 1).sum();
        let mut added = 0;
        for line in lines {
            if self.is_cut || self.text.len() + line.len() + 1 + closing + RESERVED > MOST {
                self.is_cut = true;
                break;
            }
            self.text.push_str(line);
            self.text.push('\n');
            added += 1;
        }
        for line in end {
            self.text.push_str(line);
            self.text.push('\n');
        }
        added
    }

    /// Adds a table, where it has rows; gives how many rows did fit.
    fn table(&mut self, head: &Head, rows: &[String]) -> usize {
        if rows.is_empty() {
            return 0;
        }
        self.add(&head.map(str::to_owned));
        let added = self.add(rows);
        self.add(&[String::new()]);
        added
    }

    fn folded_table(&mut self, title: &str, head: &Head, rows: &[String]) -> usize {
        let lines: Vec<String> = head.map(str::to_owned).into_iter().chain(rows.iter().cloned()).collect();
        self.fold(title, &lines).saturating_sub(head.len())
    }

    fn fold(&mut self, title: &str, lines: &[String]) -> usize {
        self.folded(title, lines, &["", "</details>"])
    }

    fn fold_fenced(&mut self, title: &str, lines: &[String]) {
        self.folded(title, lines, &["```", "", "</details>"]);
    }

    fn folded(&mut self, title: &str, lines: &[String], end: &[&str]) -> usize {
        let open = format!("<details><summary>{title}</summary>");
        let first = lines.first().map_or(0, String::len);
        if self.is_cut || self.text.len() + open.len() + first + 64 + RESERVED > MOST {
            self.is_cut = true;
            return 0;
        }
        self.add(&[open, String::new()]);
        let added = self.add_closed(lines, end);
        self.add(&[String::new()]);
        added
    }

    /// The whole of it; `missing` of so many changes are not in it.
    fn finish(mut self, (missing, all): (usize, usize), last: &str) -> String {
        if self.is_cut {
            let missing =
                if missing > 0 { format!("{missing} of {all} changes are left out; ") } else { String::new() };
            let cut = format!("\n**Cut here:** a comment takes no more; {missing}the command below says all of it.\n");
            self.text.push_str(&cut);
        }
        self.text.push('\n');
        self.text.push_str(last);
        self.text.push('\n');
        self.text
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_and_code_stay_and_all_else_becomes_code() {
        for (written, shown) in [
            ("red CI gets up to 8 corrective turns (was 5)", "red CI gets up to 8 corrective turns (was 5)"),
            ("a run may take up to 1h (was 1.5): `x`, `y`", "a run may take up to 1h (was 1.5): `x`, `y`"),
            ("prompt `a/b.md`: +1 −0 lines", "prompt `a/b.md`: +1 −0 lines"),
            ("in `a`: `b` (→ frozen) becomes fix-forward", "in `a`: `b` (→ frozen) becomes fix-forward"),
            ("agent model is `` (was `m`)", "agent model is ` ` (was `m`)"),
            ("ask @ada #1 acme/app#2 GH-3 !4", "ask `＠ada` `#1` `acme/app#2` `GH-3` `!4`"),
            ("see https://evil.example/x, www.evil.example.", "see `https://evil.example/x`, `www.evil.example`."),
            ("[x](http://e) ![y](z) <b>", "`[x](http://e`) `![y](z`) `‹b›`"),
            ("*a* _b_ ~~c~~ :tada: $d$ | e", "`*a*` `_b_` `~~c~~` `:tada`: `$d$` `¦` e"),
            ("since deadbee and 1234567, not decided", "since `deadbee` and `1234567`, not decided"),
            ("# x", "`#` x"),
            // Backticks of an author: whatever they turn out to enclose.
            ("label is `x` @ada `y`", "label is `x` `＠ada` `y`"),
            ("label is `x`#1`y`", "label is `x#1y`"),
            ("label is `x` @ada", "label is `x` `＠ada`"),
            ("label is `x @ada", "label is 'x `＠ada`"),
        ] {
            assert_eq!(cell(written), shown, "{written}");
        }
    }

    /// What is neither code nor the markup of the comment itself.
    fn prose(line: &str) -> String {
        let pieces: Vec<&str> = line.split('`').collect();
        assert_eq!(pieces.len() % 2, 1, "a fence is left open: {line}");
        assert!(!line.contains("``"), "a fence is longer: {line}");
        pieces.into_iter().step_by(2).collect::<Vec<_>>().join("\u{0}")
    }

    proptest! {
        #[test]
        fn no_text_comes_to_life(text in "([a-f@#!/:.|<>`*_~$\\[\\]()\\\\ 0-9-]|www[.]|http|&amp;|\n){0,40}") {
            let shown = cell(&text);
            let live = |letter: char| !(letter.is_alphanumeric() || " ()\"'+−→·,.:;%…-\u{0}".contains(letter));
            let prose = prose(&shown);
            prop_assert!(!prose.contains(live), "{shown}");
            // A period within a word makes an address of it, and digits behind a hyphen a reference.
            let letters: Vec<char> = prose.chars().collect();
            for near in letters.windows(3) {
                prop_assert!(!(near[0].is_alphabetic() && near[1] == '.' && near[2].is_alphanumeric()), "{shown}");
                prop_assert!(!(near[0].is_alphabetic() && near[1] == '-' && near[2].is_numeric()), "{shown}");
            }
            prop_assert!(!shown.contains(['@', '|', '<', '>', '\n']), "{shown}");
        }
    }
}
