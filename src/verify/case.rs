//! Examples as test cases: what `afk test-policy` runs, written as an operator would.

use std::fmt::Write;

use super::domain::Chosen;
use super::space::Example;
use crate::policy::duration;
use crate::policy::facts::{FactName, RunFact};

/// An input, and what is said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The input.
    pub example: Example,
    /// The state of the run and what happens to it; `None`: an issue, which must not be dispatched and is.
    pub run: Option<(String, Expected)>,
}

/// What this policy does with a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// Nothing.
    Wait,
    /// This row takes effect.
    Row(String),
    /// This row is held.
    Held(String),
    /// These rows without effects are taken.
    Path(Vec<String>),
}

impl Case {
    /// The case in TOML.
    pub fn write(&self) -> String {
        let mut text = String::from("[[cases]]\n");
        let _ = writeln!(text, "name   = {}", quoted(&self.name));
        let repo = quoted(&self.example.repo);
        match &self.run {
            None => {
                let listed = if self.example.allowlisted { repo.as_str() } else { "" };
                let _ = writeln!(text, "policy = {{ kill_switch = false, allowlist = [{listed}] }}");
                let number = self.example.facts.iter().any(|(fact, _)| *fact == "number");
                let number = if number { String::new() } else { ", number = 1".to_owned() };
                let _ = writeln!(text, "issues = [{{ repo = {repo}{number}{} }}]", self.facts());
                let _ = writeln!(text, "expect.dispatch = []  # this policy dispatches it");
            }
            Some((state, expected)) => {
                let enrolled = if self.example.allowlisted { "" } else { ", enrolled = false" };
                let state = quoted(state);
                let _ = writeln!(
                    text,
                    "policy = {{ kill_switch = false, allowlist = [{}] }}",
                    if self.example.allowlisted { repo.as_str() } else { "" }
                );
                let _ = writeln!(text, "run    = {{ state = {state}, repo = {repo}{enrolled}{} }}", self.facts());
                let expected = match expected {
                    Expected::Wait => "row = \"wait\"".to_owned(),
                    Expected::Row(row) => format!("row = {}", quoted(row)),
                    Expected::Held(row) => format!("held = {}", quoted(row)),
                    Expected::Path(rows) => {
                        let rows: Vec<String> = rows.iter().map(|row| quoted(row)).collect();
                        format!("path = [{}]", rows.join(", "))
                    }
                };
                let _ = writeln!(text, "expect = {{ {expected} }}  # what this policy does");
            }
        }
        text
    }

    fn facts(&self) -> String {
        facts(&self.example, self.run.is_some()).iter().map(|(fact, value)| format!(", {fact} = {value}")).collect()
    }
}

/// The facts that a test case has to write, with their values.
pub fn facts(example: &Example, is_run: bool) -> Vec<(&'static str, String)> {
    let given = |wanted: &str| example.facts.iter().any(|(fact, _)| *fact == wanted);
    let mut facts: Vec<_> = example.facts.iter().map(|(fact, chosen)| (*fact, written(chosen))).collect();
    // In a test case `landed` follows `pushed` where it is not given.
    let landed = RunFact::Landed.spec().name;
    if is_run && given(RunFact::Pushed.spec().name) && !given(landed) {
        facts.push((landed, "false".to_owned()));
    }
    facts
}

impl Example {
    /// Sets a count, whether or not it is harmless.
    pub fn set(&mut self, fact: &'static str, value: i128) {
        let Ok(value) = i64::try_from(value) else { return };
        self.facts.retain(|(name, _)| *name != fact);
        if value != 0 {
            self.facts.push((fact, Chosen::Int(value)));
        }
    }

    /// Raises a number that lies beyond every constant of the policy, so that nobody takes it for one of them.
    pub fn raise(&mut self, fact: &'static str, value: Chosen) {
        let is_higher = |known: &Chosen| match (known, &value) {
            (Chosen::Int(known), Chosen::Int(value)) => known >= value,
            (Chosen::Seconds(known), Chosen::Seconds(value)) => known >= value,
            _ => false,
        };
        match self.facts.iter_mut().find(|(name, _)| *name == fact) {
            Some((_, known)) if is_higher(known) => {}
            Some((_, known)) => *known = value,
            None => self.facts.push((fact, value)),
        }
    }
}

/// A value as a test case writes it.
pub fn written(chosen: &Chosen) -> String {
    match chosen {
        Chosen::Unknown => "{ unknown = true }".to_owned(),
        Chosen::Bool(value) => value.to_string(),
        Chosen::Int(value) => value.to_string(),
        Chosen::Number(value) => format!("{value:?}"),
        Chosen::Seconds(seconds) => quoted(&duration::format(std::time::Duration::from_secs(*seconds))),
        Chosen::Text(text) => quoted(text),
        Chosen::Set(members) => {
            let members: Vec<String> = members.iter().map(|member| quoted(member)).collect();
            format!("[{}]", members.join(", "))
        }
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    // What JSON escapes, TOML reads alike; it only wants one letter more escaped.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
