//! Names that the operator chooses: written the usual way, and unique.

use super::super::finding::Code;
use super::super::source::Span;
use super::report::{Report, quoted};

/// Names of one kind that the operator chose: kebab-case and unique.
pub struct Names<'a> {
    what: &'static str,
    seen: Vec<&'a str>,
    report: &'a Report,
}

impl<'a> Names<'a> {
    pub fn new(what: &'static str, report: &'a Report) -> Self {
        Self { what, seen: Vec::new(), report }
    }

    /// Takes a name in; `false` when it is wrong and has been reported.
    pub fn add(&mut self, name: &'a str, span: Span) -> bool {
        let sound = check_kebab_case(self.what, name, span, self.report);
        if self.seen.contains(&name) {
            let message = format!("two {}s are called {}", self.what, quoted(name));
            self.report.error(Code::Duplicate, span, message, "rename one of them");
            return false;
        }
        self.seen.push(name);
        sound
    }
}

/// Checks a name that the operator chooses: kebab-case, not too long.
fn is_kebab_case(name: &str) -> bool {
    is_cased(name, '-')
}

/// Checks a key that the operator chooses: snake_case, not too long.
fn is_snake_case(name: &str) -> bool {
    is_cased(name, '_')
}

fn is_cased(name: &str, joint: char) -> bool {
    let mut before = joint;
    name.len() <= 64
        && name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.chars().all(|letter| {
            let after_joint = std::mem::replace(&mut before, letter) == joint;
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || (letter == joint && !after_joint)
        })
        && before != joint
}

/// The name in the usual writing, as a suggestion.
fn recased(name: &str, joint: char) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for letter in name.chars().take(64) {
        let boundary = !letter.is_ascii_alphanumeric() || (letter.is_ascii_uppercase() && !word.is_empty());
        if boundary && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if letter.is_ascii_alphanumeric() {
            word.push(letter.to_ascii_lowercase());
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words.join(&joint.to_string())
}

/// Reports a name that is not kebab-case; whether it is.
fn check_kebab_case(what: &str, name: &str, span: Span, report: &Report) -> bool {
    let sound = is_kebab_case(name);
    if !sound {
        not_cased(what, name, span, report, "kebab-case", '-', is_kebab_case);
    }
    sound
}

/// Reports a key that is not snake_case; whether it is.
pub fn check_snake_case(what: &str, name: &str, span: Span, report: &Report) -> bool {
    let sound = is_snake_case(name);
    if !sound {
        not_cased(what, name, span, report, "snake_case", '_', is_snake_case);
    }
    sound
}

fn not_cased(what: &str, name: &str, span: Span, report: &Report, case: &str, joint: char, fits: fn(&str) -> bool) {
    let better = recased(name, joint);
    let label = if fits(&better) {
        format!("write \"{better}\"")
    } else {
        "begin with a letter; lower-case letters, digits and single joints, at most 64".to_owned()
    };
    report.error(Code::ReservedName, span, format!("{what} {} is not {case}", quoted(name)), label);
}
