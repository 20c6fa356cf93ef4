//! `$table.key`: a value defined once, resolved for the repository at hand.

use std::cell::Cell;

use super::super::finding::Code;
use super::super::source::Span;
use super::prompts::PromptFiles;
use super::report::{Report, nearest, quoted};
use super::tree::{Node, Table, Value};

/// Values that conditions may hold in all, overrides counted each: keeps hostile files from multiplying lists.
pub const MAX_VALUES: usize = 500_000;

/// What one reading of the policy has at hand.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The whole policy, overrides of the repository at hand laid over it.
    pub root: &'a Table,
    /// The text, for pointing into sentences.
    pub text: &'a str,
    pub report: &'a Report,
    pub prompts: &'a PromptFiles<'a>,
    pub doorbells: Option<&'a [String]>,
    /// What is left of [`MAX_VALUES`].
    pub budget: &'a Cell<usize>,
}

impl<'a> Scope<'a> {
    /// What `$path` leads to: a scalar or a list of the policy.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub fn resolve(&self, path: &str) -> Result<&'a Node, (String, String)> {
        let lost = |label: String| (format!("{} leads nowhere", quoted(&format!("${path}"))), label);
        let mut table = self.root;
        let mut rest = path;
        loop {
            let (key, further) = match rest.split_once('.') {
                Some((key, further)) => (key, Some(further)),
                None => (rest, None),
            };
            let Some(entry) = table.get(key) else {
                let label = match nearest(key, table.entries.keys().map(String::as_str)) {
                    Some(candidate) => {
                        let before = path.strip_suffix(rest).unwrap_or_default();
                        let after = further.map(|further| format!(".{further}")).unwrap_or_default();
                        format!("did you mean \"${before}{candidate}{after}\"?")
                    }
                    None => "name a value of the policy, such as \"$limits.run_timeout\"; \"$$\" writes a dollar sign"
                        .to_owned(),
                };
                return Err(lost(label));
            };
            match (&entry.node.value, further) {
                (Value::Table(_), None) => {
                    return Err((
                        format!("{} is a table, not a value", quoted(&format!("${path}"))),
                        "name one of its keys".to_owned(),
                    ));
                }
                (Value::Table(inner), Some(further)) => {
                    table = inner;
                    rest = further;
                }
                (_, Some(_)) => return Err(lost(format!("`{key}` has no keys"))),
                (_, None) => return Ok(&entry.node),
            }
        }
    }

    /// Counts a value of a condition; `false` once there are too many.
    pub fn spend(&self, count: usize, span: Span) -> bool {
        match self.budget.get().checked_sub(count) {
            Some(left) => {
                self.budget.set(left);
                true
            }
            None => {
                self.report.error(
                    Code::TooLarge,
                    Span { start: span.start, end: span.start },
                    format!("the conditions of this policy hold more than {MAX_VALUES} values, overrides counted each"),
                    "drop what is not needed",
                );
                self.budget.set(0);
                false
            }
        }
    }
}

/// A text as a condition means it: a reference, or a literal with `$$` for a dollar sign.
pub enum Written<'t> {
    /// `$table.key`, without the dollar sign.
    Reference(&'t str),
    /// As it stands.
    Literal(String),
}

/// Tells references from literals.
pub fn written(text: &str) -> Written<'_> {
    match text.strip_prefix('$') {
        Some(rest) if rest.starts_with('$') => Written::Literal(rest.to_owned()),
        Some(path) => Written::Reference(path),
        None => Written::Literal(text.to_owned()),
    }
}
