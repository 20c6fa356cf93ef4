//! Matchers: which of them the type of a fact takes, and what each is given.

use super::super::condition::{Comparison, Matcher, Quantity, RepoList};
use super::super::facts::Kind;
use super::super::finding::Code;
use super::super::pattern::RepoPattern;
use super::super::source::Span;
use super::conditions::Conditions;
use super::operands::described;
use super::report::{nearest, one_of, quoted};
use super::tree::{Entry, Node, Table, Value};

const COMPARISONS: &[(&str, Comparison)] = &[
    ("lt", Comparison::Lt),
    ("lte", Comparison::Lte),
    ("gt", Comparison::Gt),
    ("gte", Comparison::Gte),
    ("eq", Comparison::Eq),
    ("ne", Comparison::Ne),
];
const SET_MATCHERS: &[&str] = &["has", "lacks", "has_any", "has_all", "has_none", "empty"];
const REPO_MATCHERS: &[&str] = &["in", "not_in"];

/// Reads what one fact is compared with.
pub struct FactReader<'c, 'a> {
    pub conditions: &'c Conditions<'a>,
    pub name: &'static str,
    pub kind: Kind,
}

impl<'a> FactReader<'_, 'a> {
    pub fn matchers(&self, node: &'a Node<'a>) -> Option<Vec<Matcher>> {
        match &node.value {
            Value::Broken => None,
            Value::Table(table) => self.table(table, node.span),
            _ => Some(vec![self.equality(node)?]),
        }
    }

    fn equality(&self, node: &'a Node<'a>) -> Option<Matcher> {
        let value = self.resolve(node)?;
        let is_list = matches!(value.node.value, Value::List(_));
        match self.kind {
            Kind::Set(_) => {
                let matcher = if is_list { "has_any" } else { "has" };
                let message = format!("`{}` is a set, and equality on a set would never hold", self.name);
                self.wrong(value.span, message, &format!("write {} = {{ {matcher} = … }}", self.name));
                None
            }
            Kind::Bool => match value.node.value {
                Value::Bool(truth) => Some(Matcher::Is(truth)),
                _ => {
                    self.mismatch(&value, "write true or false");
                    None
                }
            },
            Kind::Int | Kind::Number | Kind::Duration => {
                let quantities: Vec<Option<Quantity>> =
                    self.members(value)?.iter().map(|member| self.quantity(member)).collect();
                Some(Matcher::OneOfQuantities(quantities.into_iter().collect::<Option<_>>()?))
            }
            Kind::Repo | Kind::Login | Kind::Enum(_) => {
                let words: Vec<Option<String>> = self.members(value)?.iter().map(|member| self.word(member)).collect();
                Some(Matcher::OneOf(words.into_iter().collect::<Option<_>>()?))
            }
        }
    }

    fn table(&self, table: &'a Table<'a>, span: Span) -> Option<Vec<Matcher>> {
        if table.len() == 0 {
            self.wrong(span, format!("`{}` is compared with nothing", self.name), &self.how());
            return None;
        }
        let matchers: Vec<Option<Matcher>> =
            table.in_order().into_iter().map(|(key, entry)| self.matcher(key, entry)).collect();
        matchers.into_iter().collect()
    }

    fn matcher(&self, key: &str, entry: &'a Entry<'a>) -> Option<Matcher> {
        let known = self.taken();
        if !known.contains(&key) {
            let elsewhere = COMPARISONS.iter().any(|(name, _)| *name == key)
                || SET_MATCHERS.contains(&key)
                || REPO_MATCHERS.contains(&key);
            if elsewhere {
                let message = format!("`{key}` cannot be asked of `{}`, which is {}", self.name, self.article());
                self.wrong(entry.key, message, &self.how());
            } else {
                let message = format!("there is no matcher {}", quoted(key));
                let label = match nearest(key, known.iter().copied()) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => self.how(),
                };
                self.conditions.error(Code::UnknownKey, entry.key, message, label);
            }
            return None;
        }
        if let Some((_, comparison)) = COMPARISONS.iter().find(|(name, _)| *name == key) {
            let value = self.resolve(&entry.node)?;
            return Some(Matcher::Compare(*comparison, self.quantity(&value)?));
        }
        match key {
            "in" => Some(Matcher::In(self.patterns(key, &entry.node)?)),
            "not_in" => Some(Matcher::NotIn(self.patterns(key, &entry.node)?)),
            "has" => Some(Matcher::HasAny(vec![self.single_member(key, "has_any", &entry.node)?])),
            "lacks" => Some(Matcher::HasNone(vec![self.single_member(key, "has_none", &entry.node)?])),
            "has_any" => Some(Matcher::HasAny(self.member_list(key, &entry.node)?)),
            "has_all" => Some(Matcher::HasAll(self.member_list(key, &entry.node)?)),
            "has_none" => Some(Matcher::HasNone(self.member_list(key, &entry.node)?)),
            _ => {
                let value = self.resolve(&entry.node)?;
                match value.node.value {
                    Value::Bool(empty) => Some(Matcher::Empty(empty)),
                    _ => {
                        let message = format!("`empty` takes a bool; {}", described(&value));
                        self.conditions.error(Code::TypeMismatch, value.span, message, "write true or false");
                        None
                    }
                }
            }
        }
    }

    /// The matchers that the type takes.
    fn taken(&self) -> Vec<&'static str> {
        match self.kind {
            Kind::Int | Kind::Number | Kind::Duration => COMPARISONS.iter().map(|(name, _)| *name).collect(),
            Kind::Set(_) => SET_MATCHERS.to_vec(),
            Kind::Repo => REPO_MATCHERS.to_vec(),
            Kind::Bool | Kind::Login | Kind::Enum(_) => Vec::new(),
        }
    }

    /// What to write for a fact of this type.
    pub fn how(&self) -> String {
        let name = self.name;
        match self.kind {
            Kind::Bool => format!("write {name} = true or {name} = false"),
            Kind::Int => format!("write {name} = 1, or {name} = {{ gte = 1, lt = 5 }}"),
            Kind::Number => format!("write {name} = {{ gt = 10.0 }}"),
            Kind::Duration => format!("write {name} = {{ gte = \"45m\" }}"),
            Kind::Repo => format!("write {name} = {{ in = [\"acme/*\"] }}"),
            Kind::Login => format!("write {name} = \"mara\", or a list of logins"),
            Kind::Enum(words) => {
                format!("write {name} = one of {}, or a list of them", one_of(words).replace('`', "\""))
            }
            Kind::Set(_) => format!("write {name} = {{ has = \"x\" }}; also lacks, has_any, has_all, has_none, empty"),
        }
    }

    pub fn article(&self) -> String {
        let kind = self.kind.name();
        let article = if kind.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
        format!("{article} {kind}")
    }

    fn patterns(&self, key: &str, node: &'a Node<'a>) -> Option<RepoList> {
        let value = self.resolve(node)?;
        let is_allowlist = value.reference == Some("$allowlist");
        let is_denylist = value.reference == Some("$denylist");
        if !matches!(value.node.value, Value::List(_)) {
            let message = format!("`{key}` takes a list; {}", described(&value));
            let label = format!("write {key} = [\"acme/app\", \"acme/web-*\"], or {key} = \"$allowlist\"");
            self.conditions.error(Code::TypeMismatch, value.span, message, label);
            return None;
        }
        let patterns: Vec<Option<RepoPattern>> = self
            .members(value)?
            .iter()
            .map(|member| {
                let Some(text) = member.text else {
                    self.mismatch(member, "write \"owner/name\"");
                    return None;
                };
                match RepoPattern::parse(text) {
                    Ok(pattern) => Some(pattern),
                    Err(why) => {
                        self.conditions.error(
                            Code::OutOfRange,
                            member.span,
                            why,
                            "write \"owner/name\" or \"owner/*\"",
                        );
                        None
                    }
                }
            })
            .collect();
        Some(RepoList::new(patterns.into_iter().collect::<Option<_>>()?, is_allowlist, is_denylist))
    }

    /// The one text that `has` and `lacks` take.
    fn single_member(&self, key: &str, for_lists: &str, node: &'a Node<'a>) -> Option<String> {
        let value = self.resolve(node)?;
        if matches!(value.node.value, Value::List(_)) {
            let message = format!("`{key}` takes one text; {}", described(&value));
            self.wrong(value.span, message, &format!("write {for_lists} = [ … ]"));
            return None;
        }
        self.member(&value)
    }

    /// The list that `has_any`, `has_all` and `has_none` take.
    fn member_list(&self, key: &str, node: &'a Node<'a>) -> Option<Vec<String>> {
        let value = self.resolve(node)?;
        if !matches!(value.node.value, Value::List(_)) {
            let message = format!("`{key}` takes a list; {}", described(&value));
            let label = match key {
                "has_none" => "write it in brackets: [ … ]; for one, `lacks` is shorter",
                _ => "write it in brackets: [ … ]; for one, `has` is shorter",
            };
            self.wrong(value.span, message, label);
            return None;
        }
        let members: Vec<Option<String>> = self.members(value)?.iter().map(|member| self.member(member)).collect();
        members.into_iter().collect()
    }

    pub fn wrong(&self, span: Span, message: String, label: &str) {
        self.conditions.error(Code::WrongMatcher, span, message, label);
    }
}
