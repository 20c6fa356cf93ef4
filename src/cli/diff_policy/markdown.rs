//! The difference as a comment on a pull request: one that is found again by its first line and edited on every push.

use super::source::Source;
use super::today::{Change, Today};
use super::{Comparison, broken, judged};
use crate::cli::findings::counted;
use crate::policy::short_revision;
use crate::text::{clean_line, harmless};
use crate::verify::difference::{Direction, Item, Place};

/// What a forge takes in one comment, in bytes; GitHub counts 65,536 characters.
const MOST: usize = 65_536;
/// What is kept for the sentence about a cut and for the last line.
const RESERVED: usize = 1_024;
/// How many changes stand in the table; the others are folded.
const ROWS: usize = 10;
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
    let items: Vec<&Item> = comparison.difference.items.iter().collect();
    let (shown, folded) = items.split_at(items.len().min(ROWS));
    if !shown.is_empty() {
        comment.add(&table(comparison, shown));
    }
    if !folded.is_empty() {
        let title = format!("{} more changes", folded.len());
        comment.fold(&title, &table(comparison, folded));
    }
    match &comparison.today {
        Some(Ok(today)) => {
            comment.add(&of_today(today));
            if !today.untold.is_empty() {
                let untold = today
                    .untold
                    .iter()
                    .map(|untold| format!("- `{}`: {}", harmless(&untold.reference, 200), cell(&untold.why)));
                let title = format!("What cannot be told of today ({})", today.untold.len());
                comment.fold(&title, &untold.collect::<Vec<_>>());
            }
        }
        Some(Err(why)) => comment.add(&[format!("**Today** is not compared: {}", cell(why)), String::new()]),
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
            comment.fold_fenced(&format!("Changed lines of the prompt ({})", remark.lines.len()), &lines);
        }
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
    comment.finish(&format!(
        "<sub>afk {} · reproduce: `{}` · revisions are of policy and prompts</sub>",
        env!("CARGO_PKG_VERSION"),
        harmless(&reproduce, 400)
    ))
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
    comment.finish(&format!("<sub>afk {}</sub>", env!("CARGO_PKG_VERSION")))
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
    for (direction, sign) in [(Direction::Looser, "🔓"), (Direction::Tighter, "🔒"), (Direction::Different, "🔀")]
    {
        if count(direction) > 0 {
            parts.push(format!("{sign} {} {}", count(direction), direction.word()));
        }
    }
    let broken = broken(&comparison.proofs);
    if !broken.is_empty() {
        parts.insert(0, format!("❌ breaks {}", broken.join(", ")));
    } else if parts.is_empty() {
        parts.push("✅ no decision changes".to_owned());
    }
    match comparison.difference.unproven() {
        0 => {}
        count => parts.push(format!("⚠ {} changed (not proven)", counted(count, "prompt"))),
    }
    let said = parts.join(", ");
    format!("### Policy change: {said}")
}

fn table(comparison: &Comparison<'_>, items: &[&Item]) -> Vec<String> {
    let mut lines = vec![
        "| | what changes, over every possible input | smallest example | line |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    lines.extend(items.iter().map(|item| {
        let sign = match item.direction {
            Direction::Looser => "🔓",
            Direction::Tighter => "🔒",
            Direction::Different => "🔀",
        };
        let scopes: Vec<String> = item.scopes.iter().map(|scope| format!("`{}`", harmless(scope, 200))).collect();
        let scope = if scopes.is_empty() { String::new() } else { format!("in {}: ", scopes.join(", ")) };
        let example = item.sample.as_ref().map_or_else(String::new, |sample| cell(&sample.line()));
        format!("| {sign} | {scope}{} | {example} | {} |", cell(&item.what), line(comparison, item.place))
    }));
    lines.push(String::new());
    lines
}

fn line(comparison: &Comparison<'_>, place: Place) -> String {
    match comparison.links.to(place) {
        Some(address) => format!("[{}]({address})", place.line),
        None if place.is_old => format!("{} (old)", place.line),
        None => place.line.to_string(),
    }
}

fn of_today(today: &Today) -> Vec<String> {
    let at = today.at.map_or(String::new(), |at| format!("snapshot of {}: ", at.format("%Y-%m-%d %H:%MZ")));
    let read = format!("{at}{}, {}", counted(today.issues, "armed issue"), counted(today.runs, "run"));
    let (issues, runs): (Vec<&Change>, Vec<&Change>) = (today.of(false).collect(), today.of(true).collect());
    let is = |count: usize, noun: &str| match count {
        0 if today.is_whole() => format!("no {noun} is decided differently"),
        0 => format!("no {noun} is known to be decided differently"),
        1 => format!("1 {noun} is decided differently"),
        many => format!("{many} {noun}s are decided differently"),
    };
    let mut lines = vec![format!("**Today** ({read}): {}", is(issues.len(), "issue")), String::new()];
    lines.extend(rows(&issues));
    lines.push(format!("Runs in flight: {}", is(runs.len(), "run")));
    lines.push(String::new());
    lines.extend(rows(&runs));
    let mut notes: Vec<String> = today.unseen.iter().map(|unseen| cell(unseen)).collect();
    notes.extend(today.hours_old.map(|hours| format!("the snapshot is {hours} hours old")));
    if !today.untold.is_empty() {
        notes.push(format!("of {} it cannot be told", today.untold.len()));
    }
    if !notes.is_empty() {
        lines.extend([format!("⚠ {}", notes.join("; ")), String::new()]);
    }
    lines
}

fn rows(changes: &[&Change]) -> Vec<String> {
    if changes.is_empty() {
        return Vec::new();
    }
    let mut lines = vec!["| issue | before | after |".to_owned(), "|---|---|---|".to_owned()];
    lines.extend(changes.iter().map(|change| {
        let (before, after) = (harmless(&change.before, 300), harmless(&change.after, 300));
        format!("| `{}` | {} | {} |", harmless(&change.reference, 200), plain(&before), plain(&after))
    }));
    lines.push(String::new());
    lines
}

/// Words of the policy in a cell: code spans stay, nothing else means anything to Markdown.
fn cell(text: &str) -> String {
    let text = clean_line(text, CELL).replace('@', "＠").replace('|', "¦");
    let mut out = String::new();
    // Between backticks everything stands for itself; an open one would swallow the rest of the cell.
    let pieces: Vec<&str> = text.split('`').collect();
    let is_even = pieces.len() % 2 == 1;
    for (index, piece) in pieces.iter().enumerate() {
        let is_code = is_even && index % 2 == 1;
        if index > 0 {
            out.push(if is_even { '`' } else { '\'' });
        }
        if is_code {
            out.push_str(&piece.replace('<', "‹").replace('>', "›"));
        } else {
            out.push_str(&plain(piece));
        }
    }
    out
}

/// Text that means nothing to Markdown or HTML.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '*' | '_' | '[' | ']' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(letter);
            }
            '@' => out.push('＠'),
            letter => out.push(letter),
        }
    }
    out
}

/// A comment that never grows beyond what the forge takes.
#[derive(Debug, Default)]
struct Comment {
    text: String,
    is_cut: bool,
}

impl Comment {
    /// Adds lines, whole ones, as many as fit.
    fn add(&mut self, lines: &[String]) {
        self.add_closed(lines, &[]);
    }

    fn add_closed(&mut self, lines: &[String], end: &[&str]) {
        let closing: usize = end.iter().map(|line| line.len() + 1).sum();
        for line in lines {
            if self.is_cut || self.text.len() + line.len() + 1 + closing + RESERVED > MOST {
                self.is_cut = true;
                break;
            }
            self.text.push_str(line);
            self.text.push('\n');
        }
        for line in end {
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    fn fold(&mut self, title: &str, lines: &[String]) {
        self.folded(title, lines, &["", "</details>"]);
    }

    fn fold_fenced(&mut self, title: &str, lines: &[String]) {
        self.folded(title, lines, &["```", "", "</details>"]);
    }

    fn folded(&mut self, title: &str, lines: &[String], end: &[&str]) {
        let open = format!("<details><summary>{title}</summary>");
        let first = lines.first().map_or(0, String::len);
        if self.is_cut || self.text.len() + open.len() + first + 64 + RESERVED > MOST {
            self.is_cut = true;
            return;
        }
        self.add(&[open, String::new()]);
        self.add_closed(lines, end);
        self.add(&[String::new()]);
    }

    fn finish(mut self, last: &str) -> String {
        if self.is_cut {
            self.text.push_str("\n**Cut here:** a comment takes no more; the command below says all of it.\n");
        }
        self.text.push('\n');
        self.text.push_str(last);
        self.text.push('\n');
        self.text
    }
}
