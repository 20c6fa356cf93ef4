//! Conditions: what they are made of, and that every fact exists.

use super::super::condition::{Condition, Test};
use super::super::facts::{FactName, IssueFact, RunFact};
use super::super::finding::Code;
use super::super::source::Span;
use super::matchers::FactReader;
use super::reference::Scope;
use super::report::{nearest, quoted};
use super::tree::{Entry, Node, Value};

/// Conditions inside conditions.
const MAX_NESTING: usize = 32;

/// Reads conditions over the facts of one scope.
pub struct Conditions<'a> {
    pub scope: Scope<'a>,
    /// The names of `[[ci.stages]]`.
    pub stages: &'a [String],
}

impl<'a> Conditions<'a> {
    /// Reads a condition; `None` when something in it was wrong and has been reported.
    pub fn read<F: FactName>(&self, node: &'a Node<'a>) -> Option<Condition<F>> {
        self.nested(node, 1)
    }

    fn nested<F: FactName>(&self, node: &'a Node<'a>, depth: usize) -> Option<Condition<F>> {
        if depth > MAX_NESTING {
            let message = format!("conditions nest deeper than {MAX_NESTING} levels here");
            self.error(Code::TooLarge, node.span, message, "split the rule in two");
            return None;
        }
        let table = match &node.value {
            Value::Table(table) => table,
            Value::Broken => return None,
            _ => {
                let message = format!("a condition is a table; {}", node.described());
                self.error(Code::TypeMismatch, node.span, message, "write { fact = value }");
                return None;
            }
        };
        let mut parts = Vec::with_capacity(table.len());
        let mut sound = true;
        for (key, entry) in table.in_order() {
            sound &= self.entry(key, entry, depth, &mut parts).is_some();
        }
        match parts.len() {
            _ if !sound => None,
            1 => parts.pop(),
            _ => Some(Condition::All(parts)),
        }
    }

    /// Adds what one key says to the conditions that must all hold.
    fn entry<F: FactName>(
        &self,
        key: &str,
        entry: &'a Entry<'a>,
        depth: usize,
        all: &mut Vec<Condition<F>>,
    ) -> Option<()> {
        let deeper = depth.saturating_add(1);
        if !self.scope.spend(1, entry.key) {
            return None;
        }
        match key {
            "any" => all.push(Condition::Any(self.parts(key, entry, deeper)?)),
            "all" => all.push(Condition::All(self.parts(key, entry, deeper)?)),
            "not" => all.push(Condition::Not(Box::new(self.nested(&entry.node, deeper)?))),
            _ => {
                let fact = self.fact::<F>(key, entry.key)?;
                let fact_reader = FactReader { conditions: self, name: fact.spec().name, kind: fact.spec().kind };
                let span = entry.span();
                let matchers = fact_reader.matchers(&entry.node)?;
                all.extend(matchers.into_iter().map(|matcher| Condition::Test(Test { fact, matcher, span })));
            }
        }
        Some(())
    }

    fn parts<F: FactName>(&self, key: &str, entry: &'a Entry<'a>, depth: usize) -> Option<Vec<Condition<F>>> {
        match &entry.node.value {
            Value::List(nodes) => {
                let parts: Vec<Option<Condition<F>>> = nodes.iter().map(|node| self.nested(node, depth)).collect();
                parts.into_iter().collect()
            }
            Value::Broken => None,
            _ => {
                let message = format!("`{key}` takes a list of conditions; {}", entry.node.described());
                self.error(Code::TypeMismatch, entry.node.span, message, format!("write {key} = [{{ … }}, {{ … }}]"));
                None
            }
        }
    }

    fn fact<F: FactName>(&self, key: &str, span: Span) -> Option<F> {
        let found = F::named(key);
        if found.is_none() {
            let message = format!("there is no {} fact {}", F::SCOPE, quoted(key));
            let elsewhere = IssueFact::named(key).is_some() || RunFact::named(key).is_some();
            let names: Vec<&str> = F::ALL.iter().map(|fact| fact.spec().name).chain(["any", "all", "not"]).collect();
            let label = if elsewhere && F::SCOPE == IssueFact::SCOPE {
                format!("`{key}` is known of runs only; gates read issue facts")
            } else if elsewhere {
                format!("`{key}` is known of issues only; rows and the checklist read run facts")
            } else {
                match nearest(key, names) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => "`afk facts` lists them".to_owned(),
                }
            };
            self.error(Code::UnknownName, span, message, label);
        }
        found
    }

    pub fn error(&self, code: Code, span: Span, message: impl Into<String>, label: impl Into<String>) {
        self.scope.report.error(code, span, message, label);
    }
}
