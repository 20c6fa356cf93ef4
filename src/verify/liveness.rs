//! Rules that do nothing: gates that never fire, rows that never match, states that no run reaches.

use std::collections::{BTreeMap, BTreeSet};

use super::diagram::{Diagrams, Region};
use super::findings::Report;
use super::issues::Gates;
use super::machine::{End, Machine};
use super::runs::listed;
use super::{Breach, Subject};
use crate::policy::{Code, Span};

/// What does something for at least one repository, by its place in the policy; and what shadows the rest.
#[derive(Debug, Default)]
pub struct Alive {
    gates: BTreeSet<usize>,
    rows: BTreeSet<usize>,
    states: BTreeSet<usize>,
    /// Gates that fire where a dead one would.
    before_gates: BTreeMap<usize, BTreeSet<usize>>,
    /// Rows that are taken where a dead one would be.
    before_rows: BTreeMap<usize, BTreeSet<usize>>,
}

impl Alive {
    /// Adds what the gates of one scope do.
    pub fn of_gates(&mut self, diagrams: &mut Diagrams, gates: &Gates<'_>) {
        for (gate, fires) in gates.fires.iter().enumerate() {
            if fires.is_empty() {
                let shadows = gates.shadows(diagrams, gate);
                self.before_gates.entry(gate).or_default().extend(shadows);
            } else {
                self.gates.insert(gate);
            }
        }
    }

    /// Adds what the rows of one scope do.
    pub fn of_machine(&mut self, diagrams: &mut Diagrams, machine: &Machine<'_>) {
        for (_, tick) in machine.all_ticks() {
            self.rows.extend(&tick.path);
            if let End::Act(row) | End::Held(row) = tick.end {
                self.rows.insert(row);
            }
        }
        self.states.extend(machine.visited.iter().enumerate().filter(|(_, visited)| **visited).map(|(state, _)| state));
        for (row, truth) in machine.truths.iter().enumerate().filter(|(row, _)| !self.rows.contains(row)) {
            for state in (0..machine.ticks.len()).filter(|state| machine.rests(*state)) {
                let choices = machine.choices(state).iter();
                let before: Vec<usize> =
                    choices.map(|(choice, _)| *choice).take_while(|choice| *choice != row).collect();
                if before.len() == machine.choices(state).len() {
                    continue;
                }
                let matches = diagrams.and(machine.within(state), truth.holds);
                let shadows = shadows(diagrams, machine, matches, before);
                self.before_rows.entry(row).or_default().extend(shadows);
            }
        }
    }
}

/// Of the rows before one those that take what it would match, as few and as early as possible.
fn shadows(diagrams: &mut Diagrams, machine: &Machine<'_>, matches: Region, before: Vec<usize>) -> Vec<usize> {
    let mut kept = before.clone();
    for candidate in before.into_iter().rev() {
        let others: Vec<usize> = kept.iter().copied().filter(|other| *other != candidate).collect();
        let mut rest = matches;
        for truth in others.iter().filter_map(|row| machine.truths.get(*row)) {
            rest = diagrams.without(rest, truth.holds);
        }
        if rest.is_empty() {
            kept = others;
        }
    }
    kept
}

/// Reports what is dead; what `revived` would bring to life is only switched off.
pub fn report(subject: &Subject<'_>, alive: &Alive, revived: Option<&Alive>, report: &mut Report<'_>) {
    let (gates_readable, runs_readable) = subject.readable();
    let Some(base) = subject.areas.first() else { return };
    let line = |span: Span| subject.source.line_and_column(span.start).0;
    let revived_by =
        |part: fn(&Alive) -> &BTreeSet<usize>, index| revived.is_some_and(|all| part(all).contains(&index));

    if let Some(rules) = base.gates.filter(|_| gates_readable) {
        for (index, gate) in rules.gates.iter().enumerate().filter(|(index, _)| !alive.gates.contains(index)) {
            let shadows = alive.before_gates.get(&index).into_iter().flatten();
            let shadows: Vec<(&str, usize)> = shadows
                .filter_map(|one| rules.gates.get(*one))
                .map(|one| (one.name.as_str(), line(one.span)))
                .collect();
            let breach = Breach {
                message: format!("gate `{}` can never fire", gate.name),
                span: gate.span,
                label: shadowed(&shadows, "it holds for every issue"),
                cases: Vec::new(),
                notes: Vec::new(),
            };
            report.idle(Code::DeadGate, breach, revived_by(|all| &all.gates, index));
        }
    }

    let Some(rules) = base.runs.filter(|_| runs_readable) else { return };
    let reached = |name: &String| {
        rules.states.iter().enumerate().any(|(index, state)| state.name == *name && alive.states.contains(&index))
    };
    for (index, row) in rules.transitions.iter().enumerate().filter(|(index, _)| !alive.rows.contains(index)) {
        // That no run gets to where a row starts from is said of the state.
        if !row.from.iter().any(reached) {
            continue;
        }
        let shadows = alive.before_rows.get(&index).into_iter().flatten();
        let shadows: Vec<(&str, usize)> = shadows
            .filter_map(|one| rules.transitions.get(*one))
            .map(|one| (one.name.as_str(), line(one.span)))
            .collect();
        let breach = Breach {
            message: format!("row `{}` can never match", row.name),
            span: row.span,
            label: shadowed(&shadows, "its condition holds for no run"),
            cases: Vec::new(),
            notes: Vec::new(),
        };
        report.idle(Code::DeadRow, breach, revived_by(|all| &all.rows, index));
    }

    for (index, state) in rules.states.iter().enumerate().filter(|(index, _)| !alive.states.contains(index)) {
        let leading: Vec<&str> =
            rules.transitions.iter().filter(|row| row.to == state.name).map(|row| row.name.as_str()).collect();
        let label = match leading.as_slice() {
            [] => "no row leads here".to_owned(),
            rows => format!("{} would lead here, but never does", listed(rows)),
        };
        let breach = Breach {
            message: format!("no run can reach the state `{}`", state.name),
            span: state.span,
            label,
            cases: Vec::new(),
            notes: Vec::new(),
        };
        report.idle(Code::UnreachableState, breach, revived_by(|all| &all.states, index));
    }
}

fn shadowed(by: &[(&str, usize)], otherwise: &str) -> String {
    if by.is_empty() {
        return otherwise.to_owned();
    }
    let named: Vec<String> = by.iter().map(|(name, line)| format!("`{name}` (line {line})")).collect();
    format!("shadowed by {}", named.join(", "))
}
