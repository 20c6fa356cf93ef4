//! The difference for a terminal.

use super::today::Today;
use super::{Comparison, judged};
use crate::cli::findings::counted;
use crate::cli::output::{BAD, FAINT, GOOD, Output, STRONG, WARN, printable};
use crate::policy::short_revision;
use crate::verify::difference::{Direction, Item, Place};

/// How many details of a change are shown; JSON has all.
const DETAILS: usize = 4;

/// How many changed lines of a prompt are shown.
const PROMPT_LINES: usize = 20;
/// How many issues of which nothing can be told are shown.
const UNTOLD: usize = 20;

/// Writes it.
pub fn write(comparison: &Comparison<'_>, out: &mut Output) {
    let difference = &comparison.difference;
    for item in &difference.items {
        write_item(comparison, item, out);
    }
    match difference.unproven() {
        _ if !difference.items.is_empty() => {}
        0 if difference.tells_otherwise() => {
            out.line(format_args!("{GOOD}no decision changes{GOOD:#}, texts changed: people are told other things"));
        }
        0 => out.line(format_args!("{GOOD}no decision changes{GOOD:#}: the two policies are equal in meaning")),
        count => out.line(format_args!(
            "{WARN}no decision changes, but {} changed{WARN:#}: what an agent does with a prompt is not proven",
            counted(count, "prompt")
        )),
    }
    match &comparison.today {
        Some(Ok(today)) => write_today(today, out),
        Some(Err(why)) => {
            let why = format!("not compared: {why}");
            out.line(format_args!("{STRONG}today{STRONG:#}    {}", printable(&why)));
        }
        None => {}
    }
    for remark in &difference.also {
        let unproven = if remark.is_unproven { "; not proven: what an agent does with a prompt" } else { "" };
        out.line(format_args!("{FAINT}also{FAINT:#}     {}{unproven}", printable(&remark.what)));
        for line in remark.lines.iter().take(PROMPT_LINES) {
            out.line(format_args!("           {FAINT}{}{FAINT:#}", printable(line)));
        }
    }
    let count = |direction| difference.count(direction);
    let mut parts = Vec::new();
    for direction in [Direction::Looser, Direction::Tighter, Direction::Different] {
        if count(direction) > 0 {
            parts.push(format!("{} {}", count(direction), direction.word()));
        }
    }
    let (old, new) = (short_revision(&comparison.old.value.revision), short_revision(&comparison.new.value.revision));
    let unproven = match difference.unproven() {
        0 => String::new(),
        count => format!("; {} changed, which is not proven", counted(count, "prompt")),
    };
    // Where nothing changes, the first line has said so.
    let decided = if parts.is_empty() { "compared".to_owned() } else { format!("{},", parts.join(", ")) };
    out.line(format_args!("{STRONG}{old} → {new}{STRONG:#}: {decided} over every possible input{unproven}"));
    out.line(format_args!("{}", printable(&judged(comparison))));
}

fn write_item(comparison: &Comparison<'_>, item: &Item, out: &mut Output) {
    let (style, word) = match item.direction {
        Direction::Looser => (BAD, "LOOSER"),
        Direction::Tighter => (GOOD, "TIGHTER"),
        Direction::Different => (WARN, "CHANGED"),
    };
    let scope = if item.scopes.is_empty() { String::new() } else { format!("in {}: ", item.scopes.join(", ")) };
    let (what, place) = (format!("{scope}{}", item.what), place(comparison, item.place));
    out.line(format_args!("{style}{word:<7}{style:#}  {}  {FAINT}{}{FAINT:#}", printable(&what), printable(&place)));
    if let Some(sample) = &item.sample {
        out.line(format_args!("           for example {}", printable(&sample.line())));
    }
    // The first is a part of the sentence.
    for detail in item.details.iter().skip(1).take(DETAILS) {
        out.line(format_args!("           {FAINT}{}{FAINT:#}", printable(detail)));
    }
    if let Some(more) = item.details.len().checked_sub(DETAILS + 1).filter(|more| *more > 0) {
        out.line(format_args!("           {FAINT}and {more} more; `--format json` lists all{FAINT:#}"));
    }
}

fn place(comparison: &Comparison<'_>, place: Place) -> String {
    let file = if place.is_old { comparison.old } else { comparison.new };
    format!("{}:{}", file.source.shown(), place.line)
}

fn write_today(today: &Today, out: &mut Output) {
    for change in &today.changes {
        let line = format!("{}  {} → {}", change.reference, change.before, change.after);
        out.line(format_args!("{STRONG}today{STRONG:#}    {}", printable(&line)));
        if !change.trace.is_empty() {
            out.line(format_args!("           {FAINT}{}{FAINT:#}", printable(&change.trace)));
        }
    }
    let read = format!("{}, {}", counted(today.issues, "armed issue"), counted(today.runs, "run"));
    for untold in today.untold.iter().take(UNTOLD) {
        let line = format!("{}: {}", untold.reference, untold.why);
        out.line(format_args!("{WARN}today{WARN:#}    {}", printable(&line)));
    }
    if let Some(more) = today.untold.len().checked_sub(UNTOLD).filter(|more| *more > 0) {
        out.line(format_args!("           {FAINT}and {more} more; `--format json` lists all{FAINT:#}"));
    }
    let decided = decided(today.changes.len(), today.is_whole());
    let untold = match today.untold.len() {
        0 => String::new(),
        count => format!("; of {count} it cannot be told"),
    };
    out.line(format_args!("{STRONG}today{STRONG:#}    of {read}, {decided}{untold}"));
    for unseen in &today.unseen {
        out.line(format_args!("           {}", printable(unseen)));
    }
    if let Some(hours) = today.hours_old {
        out.line(format_args!("{WARN}today{WARN:#}    the snapshot is {hours} hours old"));
    }
}

/// How many are decided differently; "none" only where everything was seen.
fn decided(count: usize, is_whole: bool) -> String {
    match count {
        0 if is_whole => "none is decided differently".to_owned(),
        0 => "none is known to be decided differently".to_owned(),
        1 => "1 is decided differently".to_owned(),
        many => format!("{many} are decided differently"),
    }
}
