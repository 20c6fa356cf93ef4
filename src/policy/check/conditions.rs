//! Conditions: every fact exists, every value has the fact's type, no `$` is left.

use super::super::condition::{Comparison, Condition, Matcher, Quantity, Test};
use super::super::duration;
use super::super::facts::{FactName, IssueFact, Kind, Members, RunFact};
use super::super::finding::Code;
use super::super::pattern::RepoPattern;
use super::super::source::Span;
use super::reference::{Lost, Scope, Written, written};
use super::report::{clipped, nearest, one_of, quoted, suggestion};
use super::tree::{Entry, Node, Table, Value};

/// Conditions inside conditions.
const MAX_NESTING: usize = 32;

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

/// Reads conditions over the facts of one scope.
pub struct Conditions<'a> {
    pub scope: Scope<'a>,
    /// The names of `[[ci.stages]]`.
    pub stages: &'a [String],
}

impl<'a> Conditions<'a> {
    /// Reads a condition; `None` when something in it was wrong and has been reported.
    pub fn read<F: FactName>(&self, node: &'a Node) -> Option<Condition<F>> {
        self.nested(node, 1)
    }

    fn nested<F: FactName>(&self, node: &'a Node, depth: usize) -> Option<Condition<F>> {
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
        let parts: Vec<Option<Vec<Condition<F>>>> =
            table.in_order().into_iter().map(|(key, entry)| self.entry(key, entry, depth)).collect();
        let parts: Option<Vec<Vec<Condition<F>>>> = parts.into_iter().collect();
        let mut parts: Vec<Condition<F>> = parts?.into_iter().flatten().collect();
        match parts.len() {
            1 => parts.pop(),
            _ => Some(Condition::All(parts)),
        }
    }

    fn entry<F: FactName>(&self, key: &str, entry: &'a Entry, depth: usize) -> Option<Vec<Condition<F>>> {
        let deeper = depth.saturating_add(1);
        if !self.scope.spend(1, entry.key) {
            return None;
        }
        match key {
            "any" => Some(vec![Condition::Any(self.parts(key, entry, deeper)?)]),
            "all" => Some(vec![Condition::All(self.parts(key, entry, deeper)?)]),
            "not" => Some(vec![Condition::Not(Box::new(self.nested(&entry.node, deeper)?))]),
            _ => {
                let fact = self.fact::<F>(key, entry.key)?;
                let fact_reader = FactReader { conditions: self, name: fact.spec().name, kind: fact.spec().kind };
                let span = entry.span();
                let matchers = fact_reader.matchers(&entry.node)?;
                Some(matchers.into_iter().map(|matcher| Condition::Test(Test { fact, matcher, span })).collect())
            }
        }
    }

    fn parts<F: FactName>(&self, key: &str, entry: &'a Entry, depth: usize) -> Option<Vec<Condition<F>>> {
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

    fn error(&self, code: Code, span: Span, message: impl Into<String>, label: impl Into<String>) {
        self.scope.report.error(code, span, message, label);
    }
}

/// A value of a condition with its reference followed.
struct Resolved<'a> {
    /// The value itself.
    node: &'a Node,
    /// A literal without its doubled dollar sign, where it is a text.
    text: Option<String>,
    /// Where the condition writes it.
    span: Span,
    /// How the condition writes it, where that is a reference.
    reference: Option<&'a str>,
}

/// Reads what one fact is compared with.
struct FactReader<'c, 'a> {
    conditions: &'c Conditions<'a>,
    name: &'static str,
    kind: Kind,
}

impl<'a> FactReader<'_, 'a> {
    fn matchers(&self, node: &'a Node) -> Option<Vec<Matcher>> {
        match &node.value {
            Value::Broken => None,
            Value::Table(table) => self.table(table, node.span),
            _ => Some(vec![self.equality(node)?]),
        }
    }

    fn equality(&self, node: &'a Node) -> Option<Matcher> {
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

    fn table(&self, table: &'a Table, span: Span) -> Option<Vec<Matcher>> {
        if table.entries.is_empty() {
            self.wrong(span, format!("`{}` is compared with nothing", self.name), &self.how());
            return None;
        }
        let matchers: Vec<Option<Matcher>> =
            table.in_order().into_iter().map(|(key, entry)| self.matcher(key, entry)).collect();
        matchers.into_iter().collect()
    }

    fn matcher(&self, key: &str, entry: &'a Entry) -> Option<Matcher> {
        let known = self.known();
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
    fn known(&self) -> Vec<&'static str> {
        match self.kind {
            Kind::Int | Kind::Number | Kind::Duration => COMPARISONS.iter().map(|(name, _)| *name).collect(),
            Kind::Set(_) => SET_MATCHERS.to_vec(),
            Kind::Repo => REPO_MATCHERS.to_vec(),
            Kind::Bool | Kind::Login | Kind::Enum(_) => Vec::new(),
        }
    }

    /// What to write for a fact of this type.
    fn how(&self) -> String {
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

    fn article(&self) -> String {
        let kind = self.kind.name();
        let article = if kind.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
        format!("{article} {kind}")
    }

    /// Follows a reference.
    fn resolve(&self, node: &'a Node) -> Option<Resolved<'a>> {
        let Value::Text(text) = &node.value else {
            return match node.value {
                Value::Broken => None,
                _ => Some(Resolved { node, text: None, span: node.span, reference: None }),
            };
        };
        match written(text) {
            Written::Literal(literal) => Some(Resolved { node, text: Some(literal), span: node.span, reference: None }),
            Written::Reference(path) => match self.conditions.scope.resolve(path) {
                Ok(Node { value: Value::Broken, .. }) => None,
                Ok(target) => {
                    let literal = match &target.value {
                        // A long text defined once and used a thousand times is a long text a thousand times.
                        Value::Text(text) if !self.conditions.scope.spend(text.len().div_euclid(32), node.span) => {
                            return None;
                        }
                        Value::Text(text) => Some(text.clone()),
                        _ => None,
                    };
                    Some(Resolved { node: target, text: literal, span: node.span, reference: Some(text) })
                }
                Err(Lost::Reported) => None,
                Err(Lost::Here { message, label }) => {
                    self.conditions.error(Code::BadReference, node.span, message, label);
                    None
                }
            },
        }
    }

    /// The members of a list, or the one scalar.
    fn members(&self, value: Resolved<'a>) -> Option<Vec<Resolved<'a>>> {
        let Value::List(nodes) = &value.node.value else {
            return Some(vec![value]);
        };
        if !self.conditions.scope.spend(nodes.len(), value.span) {
            return None;
        }
        let members: Vec<Option<Resolved<'a>>> = nodes
            .iter()
            .map(|node| match value.reference {
                Some(_) if self.conditions.scope.report.concerns(node.span) => None,
                // What a reference leads to is meant as it stands, and reported where the reference is.
                Some(_) => Some(Resolved {
                    node,
                    text: if let Value::Text(text) = &node.value { Some(text.clone()) } else { None },
                    span: value.span,
                    reference: value.reference,
                }),
                None => {
                    let member = self.resolve(node)?;
                    if member.reference.is_some() && matches!(member.node.value, Value::List(_)) {
                        let message =
                            format!("{} is a list inside a list", quoted(member.reference.unwrap_or_default()));
                        let label = "write it without the brackets around it";
                        self.conditions.error(Code::BadReference, member.span, message, label);
                        return None;
                    }
                    Some(member)
                }
            })
            .collect();
        members.into_iter().collect()
    }

    fn quantity(&self, value: &Resolved<'a>) -> Option<Quantity> {
        let quantity = match (self.kind, &value.node.value) {
            (Kind::Int, Value::Int(number)) => Some(Quantity::Int(*number)),
            (Kind::Number, Value::Number(number)) => Some(Quantity::Number(*number)),
            (Kind::Number, Value::Int(number)) => whole_number(*number).map(Quantity::Number),
            (Kind::Duration, Value::Text(_)) => {
                let text = value.text.as_deref().unwrap_or_default();
                match duration::parse(text) {
                    Ok(length) => Some(Quantity::Duration(length)),
                    // A reference is judged by type below; a literal deserves the parser's own words.
                    Err(why) if value.reference.is_none() => {
                        let message =
                            format!("`{}` is a duration; {}", self.name, why.split(';').next().unwrap_or_default());
                        let label = "write \"90s\", \"45m\", \"2h\", \"1d\" or \"1h30m\"";
                        self.conditions.error(Code::TypeMismatch, value.span, message, label);
                        return None;
                    }
                    Err(_) => None,
                }
            }
            _ => None,
        };
        if quantity.is_none() {
            let instead = match (self.kind, &value.node.value) {
                (Kind::Duration, Value::Int(number)) => {
                    format!("write \"{number}s\", \"{number}m\" or \"{number}h\"")
                }
                (Kind::Duration, _) => "write \"90s\", \"45m\", \"2h\", \"1d\" or \"1h30m\"".to_owned(),
                (Kind::Int, _) => "write a whole number, without quotes".to_owned(),
                _ => "write a number, without quotes".to_owned(),
            };
            self.mismatch(value, &instead);
        }
        quantity
    }

    /// A text that the fact may equal.
    fn word(&self, value: &Resolved<'a>) -> Option<String> {
        let Some(text) = &value.text else {
            self.mismatch(value, &self.how());
            return None;
        };
        match self.kind {
            Kind::Enum(words) => self.known_word(text, words, value.span),
            Kind::Repo => match RepoPattern::parse(text) {
                Ok(pattern) if pattern.is_exact() => Some(text.clone()),
                Ok(_) => {
                    let message = format!("{} is a pattern, and equality wants one repository", quoted(text));
                    self.wrong(
                        value.span,
                        message,
                        &format!("write {} = {{ in = [\"{}\"] }}", self.name, clipped(text)),
                    );
                    None
                }
                Err(why) => {
                    self.conditions.error(Code::OutOfRange, value.span, why, "write \"owner/name\"");
                    None
                }
            },
            _ => Some(text.clone()),
        }
    }

    fn known_word(&self, text: &str, words: &[&str], span: Span) -> Option<String> {
        if let Some(word) = words.iter().find(|word| **word == text) {
            return Some((*word).to_owned());
        }
        let message = format!("`{}` is never {}", self.name, quoted(text));
        let label = suggestion(self.conditions.scope.report, text, words);
        self.conditions.error(Code::UnknownName, span, message, label);
        None
    }

    fn patterns(&self, key: &str, node: &'a Node) -> Option<Vec<RepoPattern>> {
        let value = self.resolve(node)?;
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
                let Some(text) = &member.text else {
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
        patterns.into_iter().collect()
    }

    /// The one text that `has` and `lacks` take.
    fn single_member(&self, key: &str, for_lists: &str, node: &'a Node) -> Option<String> {
        let value = self.resolve(node)?;
        if matches!(value.node.value, Value::List(_)) {
            let message = format!("`{key}` takes one text; {}", described(&value));
            self.wrong(value.span, message, &format!("write {for_lists} = [ … ]"));
            return None;
        }
        self.member(&value)
    }

    /// The list that `has_any`, `has_all` and `has_none` take.
    fn member_list(&self, key: &str, node: &'a Node) -> Option<Vec<String>> {
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

    /// A text that may be in the set.
    fn member(&self, value: &Resolved<'a>) -> Option<String> {
        let Some(text) = &value.text else {
            let message = format!("`{}` is a set of texts; {}", self.name, described(value));
            self.conditions.error(Code::TypeMismatch, value.span, message, "write it in double quotes");
            return None;
        };
        match self.kind {
            Kind::Set(Members::Words(words)) => self.known_member(text, words, value.span),
            Kind::Set(Members::Stages) => {
                let stages: Vec<&str> = self.conditions.stages.iter().map(String::as_str).collect();
                self.known_member(text, &stages, value.span)
            }
            _ => Some(text.clone()),
        }
    }

    fn known_member(&self, text: &str, words: &[&str], span: Span) -> Option<String> {
        if let Some(word) = words.iter().find(|word| **word == text) {
            return Some((*word).to_owned());
        }
        let message = format!("`{}` never holds {}", self.name, quoted(text));
        let label = suggestion(self.conditions.scope.report, text, words);
        self.conditions.error(Code::UnknownName, span, message, label);
        None
    }

    fn wrong(&self, span: Span, message: String, label: &str) {
        self.conditions.error(Code::WrongMatcher, span, message, label);
    }

    fn mismatch(&self, value: &Resolved<'a>, instead: &str) {
        let message = format!("`{}` is {}; {}", self.name, self.article(), described(value));
        match value.reference {
            Some(_) => {
                self.conditions.error(Code::BadReference, value.span, message, format!("refer to {}", self.article()))
            }
            None => self.conditions.error(Code::TypeMismatch, value.span, message, instead),
        }
    }
}

fn described(value: &Resolved<'_>) -> String {
    match value.reference {
        Some(reference) => format!("{} leads to a value that is not: {}", quoted(reference), value.node.described()),
        None => value.node.described(),
    }
}

/// An integer as an amount; exact up to 2^53, far beyond any amount of money.
fn whole_number(number: i64) -> Option<f64> {
    number.to_string().parse().ok()
}
