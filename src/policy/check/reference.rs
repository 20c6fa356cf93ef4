//! `$table.key`: a value defined once, resolved for the repository at hand.

use std::cell::Cell;

use super::super::InstalledNames;
use super::super::finding::Code;
use super::super::source::Span;
use super::prompts::PromptFiles;
use super::report::{Report, clipped, nearest, quoted};
use super::tree::{Node, Table, Value};

/// Values that conditions may hold in all, overrides counted each: keeps hostile files from multiplying lists.
pub const MAX_VALUES: usize = 500_000;

/// What one reading of the policy has at hand.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The whole policy, overrides of the repository at hand laid over it.
    pub root: &'a Table<'a>,
    /// The text, for pointing into sentences.
    pub text: &'a str,
    pub report: &'a Report,
    pub prompts: &'a PromptFiles<'a>,
    pub installed: &'a InstalledNames,
    /// What is left of [`MAX_VALUES`]; `None` once it was exceeded.
    pub budget: &'a Cell<Option<usize>>,
}

/// Keys that are missed where they should stand; a reference to them need not complain again.
const REQUIRED: &[&str] = &[
    "allowlist",
    "labels.ready",
    "labels.in_progress",
    "labels.human",
    "labels.paused",
    "trust.permissions",
    "priority.label",
    "priority.default",
    "priority.order",
    "dispatch.slots_per_repo",
    "dispatch.max_in_flight",
    "dispatch.max_per_tick",
    "limits.settle_time",
    "limits.effect_timeout",
    "limits.edit_window",
    "agent.executor",
    "agent.model",
    "agent.runtime_mode",
    "agent.landing",
];

/// Why a reference cannot be followed.
pub enum Lost {
    /// What it leads to is in error itself, and has been reported there.
    Reported,
    /// It is wrong itself.
    Here {
        /// What is wrong.
        message: String,
        /// What to write instead.
        label: String,
    },
}

impl<'a> Scope<'a> {
    /// What `$path` leads to: a scalar or a list of the policy.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub fn resolve(&self, path: &str) -> Result<&'a Node<'a>, Lost> {
        let here = |what: &str, label: String| {
            Err(Lost::Here { message: format!("{} {what}", quoted(&format!("${path}"))), label })
        };
        let mut table = self.root;
        let mut rest = path;
        loop {
            let (key, further) = match rest.split_once('.') {
                Some((key, further)) => (key, Some(further)),
                None => (rest, None),
            };
            let Some(entry) = table.get(key) else {
                return Err(self.missing(path, rest, table));
            };
            if self.report.concerns(entry.node.span) {
                return Err(Lost::Reported);
            }
            match (&entry.node.value, further) {
                (Value::Table(_), None) => {
                    return here("is a table, not a value", "name one of its keys".to_owned());
                }
                (Value::Table(inner), Some(further)) => {
                    table = inner;
                    rest = further;
                }
                (_, Some(_)) => {
                    return here("leads nowhere", format!("{} has no keys", quoted(key)));
                }
                (_, None) => return Ok(&entry.node),
            }
        }
    }

    fn missing(&self, path: &str, rest: &str, table: &Table) -> Lost {
        let (first, _) = path.split_once('.').unwrap_or((path, ""));
        let of_required_table = REQUIRED.iter().any(|required| required.split('.').next() == Some(first));
        if REQUIRED.contains(&path) || (of_required_table && self.root.get(first).is_none()) {
            return Lost::Reported;
        }
        let (key, further) = rest.split_once('.').map_or((rest, None), |(key, further)| (key, Some(further)));
        let label = match nearest(key, table.keys()) {
            Some(candidate) => {
                let before = path.strip_suffix(rest).unwrap_or_default();
                let after = further.map(|further| format!(".{further}")).unwrap_or_default();
                let meant = format!("\"${}{candidate}{}\"", clipped(before), clipped(&after));
                format!("did you mean {meant}? one of the two is misspelt")
            }
            None => {
                "name a value of the policy, such as \"$limits.run_timeout\"; \"$$\" writes a dollar sign".to_owned()
            }
        };
        Lost::Here { message: format!("{} leads nowhere", quoted(&format!("${path}"))), label }
    }

    /// Counts values of a condition or sentence; `false` once there are too many.
    pub fn spend(&self, count: usize, span: Span) -> bool {
        // Nothing left has been reported: `None`.
        let Some(left) = self.budget.get() else { return false };
        let rest = left.checked_sub(count);
        if rest.is_none() {
            let message =
                format!("the rules of this policy hold more than {MAX_VALUES} values, overrides counted each");
            self.report.error(Code::TooLarge, span, message, "at this place; drop what is not needed");
        }
        self.budget.set(rest);
        rest.is_some()
    }
}

/// A text as a condition means it: a reference, or a literal with `$$` for a dollar sign.
pub enum Written<'t> {
    /// `$table.key`, without the dollar sign.
    Reference(&'t str),
    /// As it stands.
    Literal(&'t str),
}

/// Tells references from literals.
pub fn written(text: &str) -> Written<'_> {
    match text.strip_prefix('$') {
        Some(rest) if rest.starts_with('$') => Written::Literal(rest),
        Some(path) => Written::Reference(path),
        None => Written::Literal(text),
    }
}
