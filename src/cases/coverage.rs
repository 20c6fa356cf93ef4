//! Which gates fired and which rows matched, over all cases.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::policy::Policy;

/// The names of what cases touched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Covered {
    /// Gates that fired: the first that denied an issue.
    pub gates: BTreeSet<String>,
    /// Rows that were taken or held.
    pub rows: BTreeSet<String>,
}

/// How much of a policy its tests touch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Every gate, in file order.
    pub gates: Vec<Rule>,
    /// Every row, in file order.
    pub rows: Vec<Rule>,
}

/// A gate or a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Its line in the policy.
    pub line: usize,
    /// Whether a case touches it.
    pub covered: bool,
}

impl Coverage {
    /// Over everything that test files touched.
    pub fn of<'a>(policy: &Policy, covered: impl IntoIterator<Item = &'a Covered>) -> Self {
        let mut all = Covered::default();
        for one in covered {
            all.gates.extend(one.gates.iter().cloned());
            all.rows.extend(one.rows.iter().cloned());
        }
        let rule = |name: &String, span, covered: &BTreeSet<String>| Rule {
            name: name.clone(),
            line: policy.line(span),
            covered: covered.contains(name),
        };
        Self {
            gates: policy.base.gates.iter().map(|gate| rule(&gate.name, gate.span, &all.gates)).collect(),
            rows: policy.base.transitions.iter().map(|row| rule(&row.name, row.span, &all.rows)).collect(),
        }
    }

    /// Gates and rows together, rounded down: 100 is all of them.
    pub fn percent(&self) -> usize {
        let all = self.gates.iter().chain(&self.rows);
        let covered = all.clone().filter(|rule| rule.covered).count();
        covered.saturating_mul(100).checked_div(all.count()).unwrap_or(100)
    }
}
