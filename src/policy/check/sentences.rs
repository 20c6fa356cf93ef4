//! Sentences with `{name}`: every placeholder exists where it stands; constants are written out here.

use super::super::facts::{FactName, IssueFact, RunFact};
use super::super::finding::Code;
use super::super::sentence::{Part, Placeholder, Sentence};
use super::super::source::Span;
use super::reader::Field;
use super::reference::{Lost, Scope};
use super::report::{nearest, quoted};
use super::tree::{Node, Value};

/// Where a sentence stands, which decides the names it may use.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// The `message` of a gate.
    Message,
    /// The `reason` of a row.
    Reason,
    /// A comment or notification. Holds the name of a row that leads there without a reason, if one does.
    Told { without_reason: Option<&'a str> },
}

/// Reads a sentence; `None` when something in it was wrong and has been reported.
pub fn read(scope: Scope<'_>, field: &Field<'_>, place: Place<'_>) -> Option<Sentence> {
    let text = field.filled_text()?;
    let mut reader = Reader { scope, field, place, parts: Vec::new(), plain: String::new(), sound: true };
    reader.run(text);
    reader.sound.then_some(Sentence { parts: reader.parts })
}

struct Reader<'a, 'f> {
    scope: Scope<'a>,
    field: &'f Field<'f>,
    place: Place<'f>,
    parts: Vec<Part>,
    plain: String,
    sound: bool,
}

impl Reader<'_, '_> {
    fn run(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from_brace) = rest.split_at(at);
            self.plain.push_str(before);
            if let Some(after) = from_brace.strip_prefix("{{") {
                self.plain.push('{');
                rest = after;
            } else if let Some(after) = from_brace.strip_prefix("}}") {
                self.plain.push('}');
                rest = after;
            } else if let Some((name, after)) = from_brace.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
                self.hole(name);
                rest = after;
            } else {
                let brace: String = from_brace.chars().take(1).collect();
                self.wrong(
                    &brace,
                    format!("a single `{brace}` in a sentence"),
                    format!("double it, `{brace}{brace}`, to write one"),
                );
                rest = from_brace.get(1..).unwrap_or_default();
            }
        }
        self.plain.push_str(rest);
        self.flush();
    }

    fn flush(&mut self) {
        if !self.plain.is_empty() {
            self.parts.push(Part::Text(std::mem::take(&mut self.plain)));
        }
    }

    fn hole(&mut self, name: &str) {
        if let Some(placeholder) = self.placeholder(name) {
            if let (Placeholder::Reason, Place::Told { without_reason: Some(row) }) = (placeholder, self.place) {
                let message = format!("row `{row}` leads here and has no `reason`");
                self.wrong("{reason}", message, format!("give `{row}` a reason, or say it without {{reason}}"));
            }
            self.flush();
            return self.parts.push(Part::Placeholder(placeholder));
        }
        if name.contains('.') {
            match self.scope.resolve(name).map(constant) {
                Ok(Some(text)) => {
                    if self.scope.spend(text.len().div_euclid(32), self.field.node.span) {
                        self.plain.push_str(&text);
                    } else {
                        self.sound = false;
                    }
                }
                Ok(None) => self.wrong(
                    &format!("{{{name}}}"),
                    format!("{} is no value that can be said", quoted(&format!("{{{name}}}"))),
                    "name a text, a number or a list of them".to_owned(),
                ),
                Err(Lost::Reported) => self.sound = false,
                Err(Lost::Here { label, .. }) => self.wrong(
                    &format!("{{{name}}}"),
                    format!("{} leads nowhere", quoted(&format!("{{{name}}}"))),
                    label.replace('$', "").replace('"', "`"),
                ),
            }
            return;
        }
        let names = self.names();
        let label = match nearest(name.trim(), names.iter().copied()) {
            Some(candidate) => format!("did you mean {{{candidate}}}?"),
            None => format!("known here: {}; double a brace to write one", names.join(", ")),
        };
        self.wrong(&format!("{{{name}}}"), format!("there is no {} here", quoted(&format!("{{{name}}}"))), label);
    }

    fn placeholder(&self, name: &str) -> Option<Placeholder> {
        match self.place {
            Place::Message => IssueFact::named(name).map(Placeholder::Issue),
            Place::Reason => RunFact::named(name).map(Placeholder::Run),
            Place::Told { .. } => match name {
                "reason" => Some(Placeholder::Reason),
                "armed_by" => Some(Placeholder::ArmedBy),
                "ref" => Some(Placeholder::Ref),
                "title" => Some(Placeholder::Title),
                "url" => Some(Placeholder::Url),
                _ => RunFact::named(name).map(Placeholder::Run),
            },
        }
    }

    fn names(&self) -> Vec<&'static str> {
        let run = RunFact::ALL.iter().map(|fact| fact.spec().name);
        match self.place {
            Place::Message => IssueFact::ALL.iter().map(|fact| fact.spec().name).collect(),
            Place::Reason => run.collect(),
            Place::Told { .. } => ["reason", "armed_by", "ref", "title", "url"].into_iter().chain(run).collect(),
        }
    }

    /// Reports something wrong with a piece of the sentence, and points at the piece where the file shows it.
    fn wrong(&mut self, piece: &str, message: String, label: String) {
        self.sound = false;
        let whole = self.field.node.span;
        let shown = self.scope.text.get(whole.start..whole.end).unwrap_or_default();
        let span = shown.find(piece).map_or(whole, |at| {
            let start = whole.start.saturating_add(at);
            Span { start, end: start.saturating_add(piece.len()) }
        });
        self.scope.report.error(Code::BadTemplate, span, message, label);
    }
}

/// A value of the policy in words.
fn constant(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some((if *value { "yes" } else { "no" }).to_owned()),
        Value::List(nodes) if nodes.is_empty() => Some("none".to_owned()),
        Value::List(nodes) => {
            let words: Option<Vec<&str>> = nodes
                .iter()
                .map(|node| if let Value::Text(text) = &node.value { Some(text.as_ref()) } else { None })
                .collect();
            words.map(|words| words.join(", "))
        }
        Value::Date | Value::Table(_) | Value::Broken => None,
    }
}
