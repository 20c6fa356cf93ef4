//! The state machine as a reader wants to see it: one arrow between two states, however many rows lie on it, and rows
//! of every active state drawn once.

use crate::policy::{Rules, RunOutcome, State, Transition};
use crate::text::clean_line;

/// How much of a title is drawn, in bytes.
const MAX_TITLE: usize = 120;

/// What is drawn.
#[derive(Debug)]
pub struct Machine {
    /// Said above the picture; `None`: nothing.
    pub title: Option<String>,
    /// In the order of the policy.
    pub states: Vec<Node>,
    /// In the order of their first rows, those of every active state last.
    pub arrows: Vec<Arrow>,
}

/// A state.
#[derive(Debug)]
pub struct Node {
    /// Its name: kebab-case.
    pub name: String,
    /// The operator's words, in one bounded line.
    pub title: String,
    /// Runs start here.
    pub initial: bool,
    /// How a run that reaches it has ended.
    pub outcome: Option<RunOutcome>,
    /// The run that is asked about stands here.
    pub here: bool,
}

/// All rows between two states.
#[derive(Debug)]
pub struct Arrow {
    /// Where it starts.
    pub from: Origin,
    /// The name of the state it leads to.
    pub to: String,
    /// Its rows by what they do, in the order of their first rows.
    pub groups: Vec<Group>,
    /// One of its rows is the next to be taken.
    pub next: bool,
}

/// Rows of one arrow that do the same.
#[derive(Debug)]
pub struct Group {
    /// One line a row: its number in the order in which rows are tried, and its name.
    pub rows: Vec<String>,
    /// What they do.
    pub action: Option<String>,
}

/// Where an arrow starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In one state.
    State(String),
    /// In whichever active state.
    AnyActive,
}

/// Where a run stands.
#[derive(Debug, Default)]
pub struct Mark {
    /// What is to be said about it.
    pub title: String,
    /// The state it is in, if it is in any.
    pub state: Option<String>,
    /// The row that is next, and when it is.
    pub next: Option<(String, String)>,
}

impl Arrow {
    /// What stands on it, line by line: rows, and behind a slash what they do, as in UML.
    pub fn lines(&self) -> Vec<String> {
        let lines = self.groups.iter().flat_map(|group| match (&group.action, group.rows.as_slice()) {
            (Some(action), [row]) => vec![format!("{row} / {action}")],
            (Some(action), rows) => rows.iter().cloned().chain([format!("/ {action}")]).collect(),
            (None, rows) => rows.to_vec(),
        });
        lines.collect()
    }
}

impl Machine {
    /// The machine of some rules, with the place of a run in it.
    pub fn of(rules: &Rules, mark: &Mark) -> Self {
        let here = mark.state.as_deref().map(|name| {
            // A state that the policy no longer has goes on from the initial one.
            rules.state(name).or_else(|| rules.initial_state()).map_or(name, |state| state.name.as_str())
        });
        let node = |state: &State| Node {
            name: state.name.clone(),
            title: clean_line(&state.title, MAX_TITLE),
            initial: state.initial,
            outcome: state.outcome,
            here: here == Some(state.name.as_str()),
        };
        Self {
            title: Some(clean_line(&mark.title, 2 * MAX_TITLE)).filter(|title| !title.is_empty()),
            states: rules.states.iter().map(node).collect(),
            arrows: arrows(rules, mark),
        }
    }

    /// Whether an arrow starts in whichever active state.
    pub fn has_any_active(&self) -> bool {
        self.arrows.iter().any(|arrow| arrow.from == Origin::AnyActive)
    }
}

fn arrows(rules: &Rules, mark: &Mark) -> Vec<Arrow> {
    let mut arrows: Vec<Arrow> = Vec::new();
    for (index, row) in rules.transitions.iter().enumerate() {
        let when = mark.next.as_ref().filter(|(next, _)| *next == row.name).map(|(_, when)| when);
        let line = line(index + 1, row, when.map(String::as_str));
        for from in origins(rules, row) {
            let index = arrows.iter().position(|arrow| arrow.from == from && arrow.to == row.to).unwrap_or_else(|| {
                arrows.push(Arrow { from, to: row.to.clone(), groups: Vec::new(), next: false });
                arrows.len() - 1
            });
            let arrow = &mut arrows[index];
            arrow.next |= when.is_some();
            match arrow.groups.iter_mut().find(|group| group.action == row.action) {
                Some(group) => group.rows.push(line.clone()),
                None => arrow.groups.push(Group { rows: vec![line.clone()], action: row.action.clone() }),
            }
        }
    }
    // Drawn last they cross the least: they lead to where all the others lead.
    arrows.sort_by_key(|arrow| arrow.from == Origin::AnyActive);
    arrows
}

/// `27 fix-forward`
fn line(number: usize, row: &Transition, when: Option<&str>) -> String {
    let line = format!("{number} {}", row.name);
    when.map_or(line.clone(), |when| format!("▶ {line} ({})", clean_line(when, MAX_TITLE)))
}

fn origins(rules: &Rules, row: &Transition) -> Vec<Origin> {
    let mut active = rules.states.iter().filter(|state| state.outcome.is_none());
    if row.from.len() > 1 && active.all(|state| row.from.contains(&state.name)) {
        return vec![Origin::AnyActive];
    }
    row.from.iter().cloned().map(Origin::State).collect()
}
