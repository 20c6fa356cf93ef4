//! Edits of a policy, drawn by chance.

use proptest::prelude::*;

use super::*;
use crate::policy::facts::{FactName, IssueFact, RunFact};
use crate::policy::{Condition, Matcher, Quantity, RepoList, RepoPattern, Rules, Test};

/// An edit of the rules, by numbers that are taken modulo what there is.
#[derive(Debug, Clone, Copy)]
pub enum Edit {
    DropGate(usize),
    NegateGate(usize),
    DropRow(usize),
    MoveRow(usize, usize),
    DropPart(usize, usize),
    NegatePart(usize, usize),
    Double(usize),
    Action(usize, usize),
    From(usize, usize),
    To(usize, usize),
    DropEffect(usize),
    Spare(usize, usize),
    SpareRow(usize, usize),
}

/// Repositories that edits speak of.
pub const LISTS: [&[&str]; 4] = [&[], &["other/*"], &["acme/app"], &["other/app", "acme/*"]];

fn list(index: usize, is_denylist: bool) -> RepoList {
    let patterns = LISTS[index % LISTS.len()].iter().map(|one| RepoPattern::parse(one).unwrap()).collect();
    RepoList::new(patterns, false, is_denylist)
}

fn repo_in<F: FactName>(fact: F, index: usize) -> Condition<F> {
    Condition::Test(Test { fact, matcher: Matcher::In(list(index, false)), span: Span::default() })
}

/// The policy with this denylist.
pub fn denying(policy: &Policy, index: usize) -> Policy {
    let mut policy = policy.clone();
    policy.denylist.value = list(index, true).patterns().to_vec();
    for gate in &mut policy.base.gates {
        gate.require = causes::under(&gate.require, &policy.denylist.value);
    }
    policy
}

pub fn apply(rules: &mut Rules, edit: Edit) {
    let rows = rules.transitions.len();
    match edit {
        Edit::DropGate(gate) => {
            rules.gates.remove(gate % rules.gates.len());
        }
        Edit::NegateGate(gate) => {
            let count = rules.gates.len();
            let gate = &mut rules.gates[gate % count];
            gate.require = Condition::Not(Box::new(gate.require.clone()));
        }
        Edit::DropRow(row) => {
            rules.transitions.remove(row % rows);
        }
        Edit::MoveRow(row, to) => {
            let row = rules.transitions.remove(row % rows);
            rules.transitions.insert(to % rows, row);
        }
        Edit::DropPart(row, part) => {
            if let Condition::All(parts) = &mut rules.transitions[row % rows].when {
                parts.remove(part % parts.len());
            }
        }
        Edit::NegatePart(row, part) => {
            if let Condition::All(parts) = &mut rules.transitions[row % rows].when {
                let count = parts.len();
                parts[part % count] = Condition::Not(Box::new(parts[part % count].clone()));
            }
        }
        Edit::Double(row) => double(&mut rules.transitions[row % rows].when),
        Edit::Action(row, action) => {
            let names: Vec<String> = rules.actions.keys().cloned().collect();
            let row = &mut rules.transitions[row % rows];
            if row.action.is_some() {
                row.action = Some(names[action % names.len()].clone());
            }
        }
        Edit::From(row, state) => {
            let states = ["working", "verifying", "fixing"];
            let row = &mut rules.transitions[row % rows];
            let state = states[state % 3].to_owned();
            match row.from.iter().position(|one| *one == state) {
                Some(index) => {
                    row.from.remove(index);
                }
                None if row.to != state => row.from.push(state),
                None => {}
            }
        }
        Edit::To(row, state) => {
            let row = &mut rules.transitions[row % rows];
            if row.action.is_some() {
                row.to = rules.states[state % rules.states.len()].name.clone();
            }
        }
        Edit::Spare(gate, repos) => {
            let count = rules.gates.len();
            let gate = &mut rules.gates[gate % count];
            gate.require = Condition::Any(vec![gate.require.clone(), repo_in(IssueFact::Repo, repos)]);
        }
        Edit::SpareRow(row, repos) => {
            let row = &mut rules.transitions[row % rows];
            let spared = Condition::Not(Box::new(repo_in(RunFact::Repo, repos)));
            row.when = Condition::All(vec![row.when.clone(), spared]);
        }
        Edit::DropEffect(action) => {
            let count = rules.actions.len();
            let effects = rules.actions.values_mut().nth(action % count).unwrap();
            effects.pop();
        }
    }
}

fn double(condition: &mut Condition<RunFact>) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter_mut().for_each(double),
        Condition::Not(part) => double(part),
        Condition::Test(test) => match &mut test.matcher {
            Matcher::Compare(_, Quantity::Duration(bound)) => *bound *= 2,
            Matcher::Compare(_, Quantity::Int(bound)) => *bound *= 2,
            Matcher::OneOf(words) if words.len() > 1 => {
                words.pop();
            }
            _ => {}
        },
    }
}

pub fn edits() -> impl Strategy<Value = Edit> {
    let number = 0..100_usize;
    prop_oneof![
        number.clone().prop_map(Edit::DropGate),
        number.clone().prop_map(Edit::NegateGate),
        number.clone().prop_map(Edit::DropRow),
        (number.clone(), number.clone()).prop_map(|(row, to)| Edit::MoveRow(row, to)),
        (number.clone(), number.clone()).prop_map(|(row, part)| Edit::DropPart(row, part)),
        (number.clone(), number.clone()).prop_map(|(row, part)| Edit::NegatePart(row, part)),
        number.clone().prop_map(Edit::Double),
        (number.clone(), number.clone()).prop_map(|(row, action)| Edit::Action(row, action)),
        (number.clone(), number.clone()).prop_map(|(row, state)| Edit::From(row, state)),
        (number.clone(), number.clone()).prop_map(|(row, state)| Edit::To(row, state)),
        (number.clone(), number.clone()).prop_map(|(gate, repos)| Edit::Spare(gate, repos)),
        (number.clone(), number.clone()).prop_map(|(row, repos)| Edit::SpareRow(row, repos)),
        number.prop_map(Edit::DropEffect),
    ]
}
