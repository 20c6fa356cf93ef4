//! Values taken out of the tree with their types checked; every refusal says what to write instead.

use std::fmt;

use super::super::finding::Code;
use super::super::source::{Located, Span};
use super::report::{Report, nearest, one_of, quoted};
use super::syntax::LISTS;
use super::tree::{Node, Table, Value};

/// The keys of each table of the language, for "belongs under".
const HOMES: &[(&str, &[&str])] = &[
    ("the policy", &["version", "kill_switch", "allowlist", "denylist"]),
    ("`[labels]`", &["ready", "in_progress", "human", "paused"]),
    ("`[trust]`", &["permissions", "logins"]),
    ("`[dispatch]`", &["slots_per_repo", "max_in_flight", "max_per_tick"]),
    (
        "`[limits]`",
        &[
            "settle_time",
            "effect_timeout",
            "edit_window",
            "fix_forward_attempts",
            "fix_forward_time",
            "start_timeout",
            "input_timeout",
            "stall_timeout",
            "unreachable_timeout",
            "verdict_timeout",
            "run_timeout",
            "budget_usd",
        ],
    ),
    ("`[agent]`", &["executor", "model", "runtime_mode", "landing", "archive"]),
    ("`[priority]`", &["label", "levels", "default", "order"]),
    ("`[protect]`", &["paths"]),
    ("`[ci]`", &["stages"]),
    ("`[progress]`", &["checklist"]),
    ("`[prompts]`", &["implement", "fix_forward"]),
    ("a `[[gates]]` entry", &["require", "message"]),
    ("a `[[transitions]]` entry", &["from", "when", "to", "do", "reason"]),
];

/// Reads one table.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// How messages call it: "`[limits]`", "this gate".
    pub what: &'a str,
    pub table: &'a Table<'a>,
    /// Where a missing key is reported.
    pub span: Span,
    pub report: &'a Report,
}

impl<'a> Reader<'a> {
    /// Reads a table that may only have the keys `known`; complains about every other.
    pub fn new(what: &'a str, table: &'a Table<'a>, span: Span, known: &[&str], report: &'a Report) -> Self {
        let reader = Self { what, table, span, report };
        for (key, entry) in table.iter() {
            if !known.contains(&key) {
                reader.unknown_key(key, entry.key, known);
            }
        }
        reader
    }

    fn unknown_key(&self, key: &str, span: Span, known: &[&str]) {
        let message = format!("{} has no key {}", self.what, quoted(key));
        if !self.report.has_room() {
            return self.report.error(Code::UnknownKey, span, message, "");
        }
        if key == "extends" {
            let help = vec!["copy what you need into it".to_owned()];
            let label = "one file is the whole policy; nothing is inherited";
            return self.report.error_with_help(Code::UnknownKey, span, message, label, help);
        }
        // A name that is right elsewhere is a key in the wrong place, rather than a slip of the pen.
        let home = HOMES.iter().find(|(_, keys)| keys.contains(&key)).map(|(home, _)| *home);
        let label = match (home, nearest(key, known.iter().copied())) {
            (Some("the policy"), _) => format!("`{key}` belongs at the top of the file, above the first table"),
            (Some(home), _) if home != self.what => format!("`{key}` belongs under {home}"),
            (_, Some(candidate)) => format!("did you mean `{candidate}`?"),
            (_, None) => format!("remove it; known here: {}", one_of(known).replace(" or ", ", ")),
        };
        self.report.error(Code::UnknownKey, span, message, label);
    }

    /// The value under a key, if there is one.
    pub fn optional(&self, key: &'a str) -> Option<Field<'a>> {
        let entry = self.table.get(key)?;
        Some(Field { name: Name::of(key), node: &entry.node, span: entry.span(), report: self.report })
    }

    /// The value under a key that must be there; `example` shows how.
    pub fn required(&self, key: &'a str, example: &str) -> Option<Field<'a>> {
        let field = self.optional(key);
        if field.is_none() {
            let message = format!("{} lacks `{key}`", self.what);
            self.report.error(Code::MissingKey, self.span, message, format!("add {example}"));
        }
        field
    }
}

/// How messages call a value. Put into words only for a message: nearly every value is right.
#[derive(Clone, Copy)]
pub struct Name<'a> {
    /// The keys that lead to it, those not needed empty.
    path: [&'a str; 3],
    /// Of how many lists, one in the other, it is an element.
    lists: usize,
}

impl<'a> Name<'a> {
    /// A key.
    pub fn of(key: &'a str) -> Self {
        Self { path: [key, "", ""], lists: 0 }
    }

    /// A key in a table.
    pub fn under(table: &'a str, key: &'a str) -> Self {
        Self { path: [table, key, ""], lists: 0 }
    }

    /// A key in a table of a table.
    pub fn far_under(table: &'a str, inner: &'a str, key: &'a str) -> Self {
        Self { path: [table, inner, key], lists: 0 }
    }
}

/// In backticks, or "an entry of …".
impl fmt::Display for Name<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.path.into_iter().filter(|key| !key.is_empty()).collect();
        (0..self.lists).try_for_each(|_| out.write_str("an entry of "))?;
        out.write_str(&quoted(&keys.join(".")))
    }
}

/// One value and how messages call it.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    /// What messages call it.
    pub name: Name<'a>,
    pub node: &'a Node<'a>,
    /// Key and value.
    pub span: Span,
    pub report: &'a Report,
}

impl<'a> Field<'a> {
    /// Reports that the value has the wrong type.
    pub fn mismatch(&self, wanted: &str, instead: &str) {
        if !matches!(self.node.value, Value::Broken) {
            let message = format!("{} is {wanted}; {}", self.name, self.node.described());
            self.report.error(Code::TypeMismatch, self.node.span, message, instead);
        }
    }

    /// Reports a value of the right type that makes no sense.
    pub fn out_of_range(&self, message: impl Into<String>, instead: &str) {
        self.report.error(Code::OutOfRange, self.node.span, message, instead);
    }

    /// Reports that a table has too many entries.
    pub fn too_many(&self, what: &str, count: usize, most: usize) {
        let message = format!("`{what}` has {count} entries; this build takes at most {most}");
        self.report.error(Code::TooLarge, self.node.span, message, format!("at most {most}"));
    }

    /// Puts the place to a value.
    pub fn located<T>(&self, value: T) -> Located<T> {
        Located { value, span: self.node.span }
    }

    /// An element of this list.
    fn element(&self, node: &'a Node<'a>) -> Field<'a> {
        let name = Name { lists: self.name.lists.saturating_add(1), ..self.name };
        Field { name, node, span: node.span, report: self.report }
    }

    pub fn bool(&self) -> Option<bool> {
        match self.node.value {
            Value::Bool(value) => Some(value),
            _ => {
                self.mismatch("a bool", "write true or false");
                None
            }
        }
    }

    pub fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            _ => {
                self.mismatch("a text", "write it in double quotes");
                None
            }
        }
    }

    /// A text with something in it.
    pub fn filled_text(&self) -> Option<&'a str> {
        let text = self.text()?;
        if text.trim().is_empty() {
            self.out_of_range(format!("{} is empty", self.name), "write a text");
            return None;
        }
        if text.contains('\0') {
            self.out_of_range(format!("{} holds a NUL character", self.name), "remove it");
            return None;
        }
        Some(text)
    }

    /// A text with something in it, and without line breaks or other control characters: a name, a login, a label.
    pub fn line(&self) -> Option<&'a str> {
        let text = self.filled_text()?;
        if text.chars().any(char::is_control) {
            self.out_of_range(format!("{} holds control characters", self.name), "write it in one line, without them");
            return None;
        }
        Some(text)
    }

    pub fn int(&self) -> Option<i64> {
        match self.node.value {
            Value::Int(number) => Some(number),
            _ => {
                self.mismatch("a whole number", "write a whole number, without quotes");
                None
            }
        }
    }

    /// A whole number that is not negative.
    pub fn count(&self) -> Option<usize> {
        let number = self.int()?;
        let count = usize::try_from(number).ok();
        if count.is_none() {
            self.out_of_range(
                format!("{} counts something; `{number}` is negative", self.name),
                "write 0 or more; 0 switches it off",
            );
        }
        count
    }

    pub fn table(&self) -> Option<&'a Table<'a>> {
        match &self.node.value {
            Value::Table(table) => Some(table),
            _ => {
                self.mismatch("a table", "write it as a table: { … }");
                None
            }
        }
    }

    /// A list of at most `most` elements.
    pub fn list(&self, most: usize) -> Option<Vec<Field<'a>>> {
        match &self.node.value {
            Value::List(nodes) if nodes.len() > most => {
                let name = &self.name;
                let message = format!("{name} has {} entries; this build takes at most {most}", nodes.len());
                self.report.error(Code::TooLarge, self.node.span, message, format!("at most {most}"));
                None
            }
            Value::List(nodes) => Some(nodes.iter().map(|node| self.element(node)).collect()),
            _ => {
                let name = self.name.to_string();
                let tables = LISTS.iter().find(|list| list.rsplit('.').next() == Some(name.trim_matches('`')));
                match (tables, &self.node.value) {
                    (Some(list), Value::Table(_)) => {
                        let instead = format!("write [[{list}]], in two brackets, above each of them");
                        self.mismatch("a list of tables", &instead);
                    }
                    _ => self.mismatch("a list", "write it in brackets: [ … ]"),
                }
                None
            }
        }
    }

    /// A list of texts in one line each, with something in them.
    pub fn texts(&self, most: usize) -> Option<Vec<Located<String>>> {
        let texts: Vec<Option<Located<String>>> = self
            .list(most)?
            .iter()
            .map(|element| element.line().map(|text| element.located(text.to_owned())))
            .collect();
        texts.into_iter().collect()
    }

    /// One of some words.
    pub fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let message = format!("{} cannot be {}", self.name, quoted(text));
            let label = super::report::suggestion(self.report, text, &known);
            self.report.error(Code::UnknownName, self.node.span, message, label);
        }
        found
    }
}
