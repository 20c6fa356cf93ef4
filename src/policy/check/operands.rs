//! What a fact is compared with: references followed, values of the fact's type.

use super::super::condition::Quantity;
use super::super::duration;
use super::super::facts::{Kind, Members};
use super::super::finding::Code;
use super::super::pattern::RepoPattern;
use super::super::source::Span;
use super::matchers::FactReader;
use super::reference::{Lost, Written, written};
use super::report::{clipped, quoted, suggestion};
use super::tree::{Node, Value};

/// A value of a condition with its reference followed.
pub struct Resolved<'a> {
    /// The value itself.
    pub node: &'a Node<'a>,
    /// A literal without its doubled dollar sign, where it is a text.
    pub text: Option<&'a str>,
    /// Where the condition writes it.
    pub span: Span,
    /// How the condition writes it, where that is a reference.
    pub reference: Option<&'a str>,
}

impl<'a> FactReader<'_, 'a> {
    /// Follows a reference.
    pub fn resolve(&self, node: &'a Node<'a>) -> Option<Resolved<'a>> {
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
                        Value::Text(text) => Some(text.as_ref()),
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
    pub fn members(&self, value: Resolved<'a>) -> Option<Vec<Resolved<'a>>> {
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
                    text: if let Value::Text(text) = &node.value { Some(text.as_ref()) } else { None },
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

    pub fn quantity(&self, value: &Resolved<'a>) -> Option<Quantity> {
        let quantity = match (self.kind, &value.node.value) {
            (Kind::Int, Value::Int(number)) => Some(Quantity::Int(*number)),
            (Kind::Number, Value::Number(number)) => Some(Quantity::Number(*number)),
            (Kind::Number, Value::Int(number)) => whole_number(*number).map(Quantity::Number),
            (Kind::Duration, Value::Text(_)) => {
                let text = value.text.unwrap_or_default();
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
    pub fn word(&self, value: &Resolved<'a>) -> Option<String> {
        let Some(text) = value.text else {
            self.mismatch(value, &self.how());
            return None;
        };
        match self.kind {
            Kind::Enum(words) => self.known(text, words, "is never", value.span),
            Kind::Repo => match RepoPattern::parse(text) {
                Ok(pattern) if pattern.is_exact() => Some(text.to_owned()),
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
            _ => self.line(text, value.span),
        }
    }

    /// A text that may be in the set.
    pub fn member(&self, value: &Resolved<'a>) -> Option<String> {
        let Some(text) = value.text else {
            let message = format!("`{}` is a set of texts; {}", self.name, described(value));
            self.conditions.error(Code::TypeMismatch, value.span, message, "write it in double quotes");
            return None;
        };
        match self.kind {
            Kind::Set(Members::Words(words)) => self.known(text, words, "never holds", value.span),
            Kind::Set(Members::Stages) => {
                let stages: Vec<&str> = self.conditions.stages.iter().map(String::as_str).collect();
                self.known(text, &stages, "never holds", value.span)
            }
            _ => self.line(text, value.span),
        }
    }

    /// A label or a login, in one line.
    fn line(&self, text: &str, span: Span) -> Option<String> {
        if text.chars().any(char::is_control) {
            let message = format!("{} holds control characters, which no `{}` does", quoted(text), self.name);
            self.conditions.error(Code::OutOfRange, span, message, "write it in one line, without them");
            return None;
        }
        Some(text.to_owned())
    }

    /// One of the words that the fact knows.
    fn known(&self, text: &str, words: &[&str], verb: &str, span: Span) -> Option<String> {
        if words.contains(&text) {
            return Some(text.to_owned());
        }
        let message = format!("`{}` {verb} {}", self.name, quoted(text));
        let label = suggestion(self.conditions.scope.report, text, words);
        self.conditions.error(Code::UnknownName, span, message, label);
        None
    }

    pub fn mismatch(&self, value: &Resolved<'a>, instead: &str) {
        let message = format!("`{}` is {}; {}", self.name, self.article(), described(value));
        match value.reference {
            Some(_) => {
                self.conditions.error(Code::BadReference, value.span, message, format!("refer to {}", self.article()))
            }
            None => self.conditions.error(Code::TypeMismatch, value.span, message, instead),
        }
    }
}

/// The value, and where it comes from, for a message.
pub fn described(value: &Resolved<'_>) -> String {
    match value.reference {
        Some(reference) => format!("{} leads to a value that is not: {}", quoted(reference), value.node.described()),
        None => value.node.described(),
    }
}

/// An integer as an amount; exact up to 2^53, far beyond any amount of money.
fn whole_number(number: i64) -> Option<f64> {
    number.to_string().parse().ok()
}
