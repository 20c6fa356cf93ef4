//! A policy with other values in some places, as test cases ask for: laid over, and checked once more as a whole.

use std::cell::Cell;

use super::super::Surroundings;
use super::super::finding::{Code, Finding, Severity};
use super::super::rules::Policy;
use super::super::source::{Source, Span};
use super::prompts::PromptFiles;
use super::report::{Report, quoted};
use super::syntax;
use super::tree::{Entry, Node, Table, Value};

/// The bytes that a test file may have read again in all: the policy once for each table laid over it, or
/// once for each override then.
const MAX_READ_AGAIN: usize = 8 * 1024 * 1024;

/// A policy as its text has it, for tables of a test file to be laid over.
pub(crate) struct Overlaid<'a> {
    policy: &'a Source,
    test: &'a Source,
    surroundings: &'a Surroundings<'a>,
    root: Table<'a>,
    /// How often reading the policy reads it again.
    overrides: usize,
    left: Cell<usize>,
}

impl<'a> Overlaid<'a> {
    /// `None`: the policy is in error by itself.
    pub(crate) fn new(policy: &'a Source, test: &'a Source, surroundings: &'a Surroundings<'a>) -> Option<Self> {
        let report = Report::new(&policy.name);
        let root = syntax::parse(&policy.text, &report).filter(|parsed| parsed.sound)?.root;
        let overrides = overrides_in(&root);
        Some(Self { policy, test, surroundings, root, overrides, left: Cell::new(MAX_READ_AGAIN) })
    }

    /// Checks the policy with tables of the test file laid over it, the later over the earlier: tables merge deeply,
    /// scalars and lists are replaced, lists of tables (gates, rows, stages, actions) stay as they are.
    ///
    /// # Errors
    /// What is wrong with the result, in places of the test file. What only shows elsewhere in the policy is reported at
    /// `place`; so is that the test file has more read than this build takes.
    pub(crate) fn check(&self, layers: &[&Table], place: Span) -> Result<Policy, Vec<Finding>> {
        let (policy, test) = (self.policy, self.test);
        let own = Report::new(&test.name);
        let report = Report::new(&policy.name);
        let added = layers.iter().map(|layer| overrides_in(layer)).fold(self.overrides, usize::saturating_add).max(1);
        let Some(left) = self.left.get().checked_sub(policy.text.len().saturating_mul(added)) else {
            self.left.set(0);
            let message = format!(
                "the cases have this policy of {} bytes read again more often than this build does",
                policy.text.len()
            );
            own.error(Code::TooLarge, place, message, "give cases the same `policy`, or split the test file in two");
            return Err(own.finish());
        };
        self.left.set(left);
        let mut root = self.root.clone();
        for layer in layers {
            refuse_lists_of_tables(layer, Some(&root), "", &own);
        }
        if own.has_errors() {
            return Err(own.finish());
        }
        // The test file stands behind the policy, so that every place is one in the text of both.
        let start = policy.text.len();
        for layer in layers {
            let mut layer = Table::clone(layer);
            layer.moved(start);
            root.overlay(&layer);
        }
        let both = format!("{}{}", policy.text, test.text);
        let prompts = PromptFiles::new(self.surroundings.prompt);
        let read = super::read(&both, root, self.surroundings, &prompts, &report);
        let prompts = prompts.sources();
        for finding in report.finish() {
            let laid_over = finding.file == policy.name && finding.span.start >= start;
            let back = |byte: usize| byte.saturating_sub(start);
            // A warning on what a test writes is an error: it names something that has no effect.
            match finding.severity {
                Severity::Error | Severity::Warning if laid_over => own.add(Finding {
                    severity: Severity::Error,
                    file: test.name.clone(),
                    span: Span { start: back(finding.span.start), end: back(finding.span.end) },
                    ..finding
                }),
                Severity::Error => {
                    let shown = if finding.file == policy.name {
                        policy.place(finding.span.start)
                    } else {
                        finding.file.clone()
                    };
                    own.error_with_help(
                        finding.code,
                        place,
                        format!("with this laid over it, the policy is wrong: {}", finding.message),
                        finding.label,
                        vec![format!("the place in the policy is {shown}")],
                    );
                }
                Severity::Warning | Severity::Note => {}
            }
        }
        match read.ok().filter(|_| !own.has_errors()) {
            Some(read) => Ok(Policy { overlay: Some(test.clone()), ..read.into_policy(policy.clone(), &prompts) }),
            None => Err(own.finish()),
        }
    }
}

/// How many overrides tables have.
fn overrides_in(table: &Table) -> usize {
    match table.get("repos").map(|entry| &entry.node.value) {
        Some(Value::Table(repos)) => repos.len(),
        _ => 0,
    }
}

/// Lists of tables have an order that decides; a test that replaced them would test another policy.
fn refuse_lists_of_tables(over: &Table, below: Option<&Table>, path: &str, report: &Report) {
    for (key, entry) in over.in_order() {
        let below = below.and_then(|below| below.get(key));
        let path = format!("{path}{key}");
        match (&entry.node.value, below.map(|entry| &entry.node.value)) {
            (Value::Table(table), Some(Value::Table(below))) => {
                refuse_lists_of_tables(table, Some(below), &format!("{path}."), report);
            }
            (Value::Table(table), None) => refuse_lists_of_tables(table, None, &format!("{path}."), report),
            (over, below) if holds_tables(over) || below.is_some_and(holds_tables) => refuse(&path, entry, report),
            _ => {}
        }
    }
}

fn holds_tables(value: &Value) -> bool {
    let is_table = |node: &Node| matches!(node.value, Value::Table(_));
    matches!(value, Value::List(nodes) if nodes.iter().any(is_table))
}

fn refuse(path: &str, entry: &Entry, report: &Report) {
    let message = format!("{} is a list of tables, which a test may not replace", quoted(path));
    let label = "tests lay over single values and plain lists; change a list of tables in the policy";
    report.error(Code::OutOfRange, entry.key, message, label);
}
