//! Small words that `explain` and `status` share: times, what something lacks, tables.

use anstyle::Style;
use chrono::{DateTime, Datelike, Utc};

use crate::engine::evaluate::{Verdict, describe, evaluate};
use crate::policy::facts::{FactName, Facts, Reading};
use crate::policy::sentence::in_words;
use crate::policy::{Condition, Effect, Test};
use crate::text::{clean_line, line_end};

/// How much of a title, a label or an error is shown, in bytes.
const SHOWN: usize = 300;

/// Untrusted text in one bounded line.
pub fn shown(text: &str) -> String {
    clean_line(text, SHOWN)
}

/// The end of an untrusted text in one bounded line.
pub fn shown_end(text: &str) -> String {
    line_end(text, SHOWN)
}

/// A time as short as it can be told from `now`: `14:02:11Z`, `11-23 13:21Z`, `2025-12-31 08:00Z`.
pub fn moment(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let format = if at.date_naive() == now.date_naive() {
        "%H:%M:%SZ"
    } else if at.year() == now.year() {
        "%m-%d %H:%MZ"
    } else {
        "%Y-%m-%d %H:%MZ"
    };
    at.format(format).to_string()
}

/// `now` and a length of time, where that is a date at all.
pub fn after(now: DateTime<Utc>, by: std::time::Duration) -> Option<DateTime<Utc>> {
    now.checked_add_signed(chrono::TimeDelta::from_std(by).ok()?)
}

/// `2nd`.
pub fn ordinal(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// What has to change for one test to hold, or not to, as the flag says.
pub type Leaf<'a, N> = &'a dyn Fn(&Test<N>, bool) -> Vec<String>;

/// What has to change for a condition to hold, all of it; nothing where it holds. `leaf` says it for one test, and
/// whether that test should hold. Where one of several suffices, they are one text.
pub fn needs<F: Facts>(condition: &Condition<F::Name>, facts: &F, leaf: Leaf<'_, F::Name>) -> Vec<String>
where
    F::Name: FactName,
{
    let mut needs = gather(condition, facts, true, leaf);
    let mut seen = std::collections::BTreeSet::new();
    needs.retain(|need| seen.insert(need.clone()));
    needs
}

fn gather<F: Facts>(condition: &Condition<F::Name>, facts: &F, wanted: bool, leaf: Leaf<'_, F::Name>) -> Vec<String> {
    let settled = if wanted { Verdict::Holds } else { Verdict::Fails };
    if evaluate(condition, facts) == settled {
        return Vec::new();
    }
    match condition {
        Condition::Test(test) => leaf(test, wanted),
        Condition::Not(part) => gather(part, facts, !wanted, leaf),
        Condition::All(parts) | Condition::Any(parts) => {
            let all = matches!(condition, Condition::All(_)) == wanted;
            let needs = parts.iter().map(|part| gather(part, facts, wanted, leaf));
            if all {
                return needs.flatten().collect();
            }
            let ways: Vec<String> = needs.map(|needs| needs.join(" and ")).collect();
            match ways.as_slice() {
                [] => vec!["the policy is changed: an empty `any` never holds".to_owned()],
                [only] => vec![only.clone()],
                _ => vec![format!("one of: {}", ways.join("; or "))],
            }
        }
    }
}

/// Every test of a condition, in the order of the file.
pub fn tests<N: Copy>(condition: &Condition<N>) -> Vec<&Test<N>> {
    match condition {
        Condition::Test(test) => vec![test],
        Condition::Not(part) => tests(part),
        Condition::All(parts) | Condition::Any(parts) => parts.iter().flat_map(tests).collect(),
    }
}

/// A test that is not as it should be, and what its fact is: `ci = green (is pending)`.
pub fn lacks<F: Facts>(test: &Test<F::Name>, wanted: bool, facts: &F) -> String
where
    F::Name: FactName,
{
    let not = if wanted { "" } else { "not " };
    format!("{not}{} ({})", shown(&describe(test)), is(facts.read(test.fact)))
}

/// `is pending`, `unknown: …`.
pub fn is(reading: Reading<'_>) -> String {
    match reading {
        Reading::Unknown(why) => format!("unknown: {}", shown(why)),
        Reading::NotRead => "not read".to_owned(),
        Reading::Bool(value) => format!("is {value}"),
        known => format!("is {}", shown(&in_words(known).unwrap_or_default())),
    }
}

/// An effect, for people.
pub fn effect(effect: &Effect, labels: &crate::policy::Labels) -> String {
    match effect {
        Effect::Reopen => "open the issue again".to_owned(),
        Effect::Interrupt => "stop the agent".to_owned(),
        Effect::Close(_) => "close the issue".to_owned(),
        Effect::AddLabel(role) => format!("put {} on", labels.of(*role)),
        Effect::RemoveLabel(role) => format!("take {} off", labels.of(*role)),
        Effect::Turn(prompt) => format!("send the turn `{prompt}`"),
        Effect::Comment(name) => format!("write the comment `{name}`"),
        Effect::Notify(kind) => format!("ring `{kind}`"),
    }
}

/// A cell of a table.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// In a style.
    pub fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), style: Style::new() }
    }
}

/// How wide the one column may be that wraps, in characters.
const WRAPPED: usize = 72;

/// Lines of columns, as wide as their longest cell; the text of column `wraps` goes on in the next line where it is long.
pub fn table(rows: &[Vec<Cell>], wraps: usize, indent: &str) -> String {
    let lines_of =
        |column: usize, cell: &Cell| if column == wraps { wrap(&cell.text) } else { vec![cell.text.clone()] };
    let rows: Vec<Vec<(Style, Vec<String>)>> = rows
        .iter()
        .map(|row| row.iter().enumerate().map(|(column, cell)| (cell.style, lines_of(column, cell))).collect())
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let lines = rows.iter().filter_map(|row| row.get(column)).flat_map(|(_, lines)| lines);
            lines.map(|line| line.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut drawn = String::new();
    for row in &rows {
        for line in 0..row.iter().map(|(_, lines)| lines.len()).max().unwrap_or(0) {
            let mut pieces = indent.to_owned();
            for ((style, lines), width) in row.iter().zip(&widths) {
                let text = lines.get(line).map_or("", String::as_str);
                let blank = " ".repeat(width.saturating_sub(text.chars().count()) + 2);
                match text.is_empty() {
                    true => pieces.push_str(&blank),
                    false => pieces.push_str(&format!("{style}{text}{style:#}{blank}")),
                }
            }
            drawn.push_str(pieces.trim_end());
            drawn.push('\n');
        }
    }
    drawn
}

fn wrap(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WRAPPED {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
