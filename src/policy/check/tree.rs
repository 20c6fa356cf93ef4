//! The policy file as a tree of values that know where they stand, and how one tree is laid over another.

use std::borrow::Cow;

use toml::de::{DeTable, DeValue};

use super::super::finding::Code;
use super::super::source::Span;
use super::report::{Report, quoted};

/// A value and where it stands, in the text `'t`, whose words it borrows.
#[derive(Debug, Clone)]
pub struct Node<'t> {
    pub span: Span,
    pub value: Value<'t>,
}

/// What TOML can hold.
#[derive(Debug, Clone)]
pub enum Value<'t> {
    Text(Cow<'t, str>),
    Int(i64),
    Number(f64),
    Bool(bool),
    Date,
    List(Vec<Node<'t>>),
    Table(Table<'t>),
    /// Could not be read, and has been reported.
    Broken,
}

/// Values by key. Most tables have one to five, and there are hundreds: a list is the smallest thing that holds them.
#[derive(Debug, Clone, Default)]
pub struct Table<'t> {
    /// In the order of the keys, each there once.
    entries: Vec<(Cow<'t, str>, Entry<'t>)>,
}

impl<'t> FromIterator<(Cow<'t, str>, Entry<'t>)> for Table<'t> {
    /// Of two entries under one key the first stays.
    fn from_iter<I: IntoIterator<Item = (Cow<'t, str>, Entry<'t>)>>(entries: I) -> Self {
        let mut entries: Vec<(Cow<'t, str>, Entry<'t>)> = entries.into_iter().collect();
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        entries.dedup_by(|later, earlier| later.0 == earlier.0);
        Self { entries }
    }
}

/// A value under a key.
#[derive(Debug, Clone)]
pub struct Entry<'t> {
    /// Where the key stands.
    pub key: Span,
    pub node: Node<'t>,
}

impl<'t> Entry<'t> {
    /// Key and value.
    pub fn span(&self) -> Span {
        Span { start: self.key.start.min(self.node.span.start), end: self.node.end().max(self.key.end) }
    }

    /// The value, where it is a table.
    pub fn table(&self) -> Option<&Table<'t>> {
        if let Value::Table(table) = &self.node.value { Some(table) } else { None }
    }
}

impl<'t> Table<'t> {
    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Where a key is, or where it belongs.
    fn place(&self, key: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(known, _)| known.as_ref().cmp(key))
    }

    pub fn get(&self, key: &str) -> Option<&Entry<'t>> {
        self.entries.get(self.place(key).ok()?).map(|(_, entry)| entry)
    }

    fn get_mut(&mut self, key: &str) -> Option<&mut Entry<'t>> {
        let place = self.place(key).ok()?;
        self.entries.get_mut(place).map(|(_, entry)| entry)
    }

    /// Puts an entry under a key where there is none.
    pub fn insert_missing(&mut self, key: &'t str, entry: Entry<'t>) {
        if let Err(place) = self.place(key) {
            self.entries.insert(place, (Cow::Borrowed(key), entry));
        }
    }

    pub fn remove(&mut self, key: &str) -> Option<Entry<'t>> {
        let place = self.place(key).ok()?;
        Some(self.entries.remove(place).1)
    }

    /// The table under a key.
    pub fn table(&self, key: &str) -> Option<&Table<'t>> {
        self.get(key)?.table()
    }

    /// The table under a key.
    pub fn table_mut(&mut self, key: &str) -> Option<&mut Table<'t>> {
        if let Value::Table(table) = &mut self.get_mut(key)?.node.value { Some(table) } else { None }
    }

    /// The entries in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry<'t>)> {
        self.entries.iter().map(|(key, entry)| (key.as_ref(), entry))
    }

    /// The entries without their keys.
    pub fn values(&self) -> impl Iterator<Item = &Entry<'t>> {
        self.entries.iter().map(|(_, entry)| entry)
    }

    /// The entries without their keys.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Entry<'t>> {
        self.entries.iter_mut().map(|(_, entry)| entry)
    }

    /// The entries as the file has them.
    pub fn in_order(&self) -> Vec<(&str, &Entry<'t>)> {
        let mut entries: Vec<(&str, &Entry<'t>)> = self.iter().collect();
        entries.sort_by_key(|(_, entry)| entry.key);
        entries
    }

    /// The keys.
    pub fn keys(&self) -> Vec<&str> {
        self.iter().map(|(key, _)| key).collect()
    }

    /// Moves everything by that many bytes, as if so much text stood before it.
    pub fn moved(&mut self, by: usize) {
        for entry in self.values_mut() {
            entry.key = entry.key.moved(by);
            entry.node.moved(by);
        }
    }

    /// Whether both hold the same, wherever it stands.
    pub fn says_the_same(&self, other: &Table<'_>) -> bool {
        let same = |(one, other): ((&str, &Entry<'_>), (&str, &Entry<'_>))| {
            one.0 == other.0 && one.1.node.says_the_same(&other.1.node)
        };
        self.len() == other.len() && self.iter().zip(other.iter()).all(same)
    }

    /// Lays another table over this one: tables merge deeply, everything else is replaced.
    pub fn overlay(&mut self, over: &Table<'t>) {
        let mut missing = Vec::new();
        for (key, entry) in &over.entries {
            match (self.get_mut(key), &entry.node.value) {
                (Some(Entry { node: Node { value: Value::Table(below), .. }, .. }), Value::Table(above)) => {
                    below.overlay(above);
                }
                (Some(below), _) => *below = entry.clone(),
                (None, _) => missing.push((key.clone(), entry.clone())),
            }
        }
        // All at once: a hostile file has many.
        self.entries.append(&mut missing);
        self.entries.sort_by(|one, other| one.0.cmp(&other.0));
    }
}

impl Node<'_> {
    fn says_the_same(&self, other: &Node<'_>) -> bool {
        match (&self.value, &other.value) {
            (Value::Text(one), Value::Text(other)) => one == other,
            (Value::Int(one), Value::Int(other)) => one == other,
            (Value::Number(one), Value::Number(other)) => one == other,
            (Value::Bool(one), Value::Bool(other)) => one == other,
            (Value::List(one), Value::List(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.says_the_same(other))
            }
            (Value::Table(one), Value::Table(other)) => one.says_the_same(other),
            _ => false,
        }
    }

    fn moved(&mut self, by: usize) {
        self.span = self.span.moved(by);
        match &mut self.value {
            Value::List(nodes) => nodes.iter_mut().for_each(|node| node.moved(by)),
            Value::Table(table) => table.moved(by),
            _ => {}
        }
    }

    /// The article and name of its type.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "a text",
            Value::Int(_) | Value::Number(_) => "a number",
            Value::Bool(_) => "a bool",
            Value::Date => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Broken => "broken",
        }
    }

    /// What it is, for a message: "`60` is a number".
    pub fn described(&self) -> String {
        match &self.value {
            Value::Text(text) => format!("{} is a text", quoted(&format!("\"{text}\""))),
            Value::Int(number) => format!("`{number}` is a number"),
            Value::Number(number) => format!("`{number:?}` is a number"),
            Value::Bool(value) => format!("`{value}` is a bool"),
            _ => format!("this is {}", self.kind()),
        }
    }

    /// The last byte that belongs to it; the entries of a table may stand far behind its header.
    fn end(&self) -> usize {
        match &self.value {
            Value::Table(table) => table.values().map(|entry| entry.node.end()).fold(self.span.end, usize::max),
            _ => self.span.end,
        }
    }
}

fn span(range: std::ops::Range<usize>) -> Span {
    Span { start: range.start, end: range.end }
}

/// The tree of a parsed document. Its depth was bounded before it was parsed.
pub fn read<'t>(table: DeTable<'t>, report: &Report) -> Table<'t> {
    table
        .into_iter()
        .map(|(key, value)| {
            let place = span(key.span());
            let node = node(value.span(), value.into_inner(), report);
            (key.into_inner(), Entry { key: place, node })
        })
        .collect()
}

fn node<'t>(range: std::ops::Range<usize>, value: DeValue<'t>, report: &Report) -> Node<'t> {
    let span = span(range);
    let value = match value {
        DeValue::String(text) => Value::Text(text),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => Value::Int(number),
            Err(_) => {
                let message = format!("{} does not fit into 64 bits", quoted(integer.as_str()));
                report.error(Code::OutOfRange, span, message, "write a smaller number");
                Value::Broken
            }
        },
        DeValue::Float(float) => match float.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Value::Number(number),
            _ => {
                let message = format!("{} is not a finite number", quoted(float.as_str()));
                report.error(Code::OutOfRange, span, message, "write a number, such as 100.0");
                Value::Broken
            }
        },
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(items) => {
            Value::List(items.into_iter().map(|item| node(item.span(), item.into_inner(), report)).collect())
        }
        DeValue::Table(table) => Value::Table(read(table, report)),
    };
    Node { span, value }
}
