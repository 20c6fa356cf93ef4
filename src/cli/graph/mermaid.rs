//! The machine as Mermaid, which forges render inside of Markdown.

use std::fmt::Write;

use super::machine::{Machine, Node, Origin};
use crate::policy::RunOutcome;

/// A `stateDiagram-v2`.
pub fn draw(machine: &Machine) -> String {
    let mut out = String::new();
    if let Some(title) = &machine.title {
        // Mermaid shows it as it is; a string of JSON is one of YAML.
        let _ = writeln!(out, "---\ntitle: {}\n---", serde_json::Value::from(title.as_str()));
    }
    out.push_str("stateDiagram-v2\n");
    for state in &machine.states {
        let here = if state.here { "▶ " } else { "" };
        let _ = writeln!(out, "    state \"{here}{}\" as {}", text(&state.name), id(&state.name));
        let _ = writeln!(out, "    {}: {}", id(&state.name), text(&state.title));
    }
    out.push('\n');
    for state in machine.states.iter().filter(|state| state.initial) {
        let _ = writeln!(out, "    [*] --> {}", id(&state.name));
    }
    // Named late it stands beside the states that lead into the others, and its arrows cross none.
    let mut any_active = machine.has_any_active().then_some("    state \"any active state\" as any_active\n");
    for arrow in &machine.arrows {
        let from = match &arrow.from {
            Origin::State(name) => id(name),
            Origin::AnyActive => {
                out.push_str(any_active.take().unwrap_or_default());
                "any_active".to_owned()
            }
        };
        let lines: Vec<String> = arrow.lines().iter().map(|line| text(line)).collect();
        let _ = writeln!(out, "    {from} --> {}: {}", id(&arrow.to), lines.join("<br/>"));
    }
    for state in &machine.states {
        if let Some(outcome) = state.outcome {
            let _ = writeln!(out, "    {} --> [*]: {}", id(&state.name), outcome.word());
        }
    }
    out.push_str(&styles(machine));
    out
}

/// Colours that can be read on a light and on a dark page: each with the colour of its text.
fn styles(machine: &Machine) -> String {
    let of = |outcome| move |state: &Node| state.outcome == Some(outcome) && !state.here;
    let mut out = String::new();
    let mut style = |class: &str, style: &str, states: Vec<String>| {
        if !states.is_empty() {
            let start = if out.is_empty() { "\n" } else { "" };
            let _ = writeln!(out, "{start}    classDef {class} {style}\n    class {} {class}", states.join(","));
        }
    };
    let named = |which: &dyn Fn(&Node) -> bool| -> Vec<String> {
        machine.states.iter().filter(|state| which(state)).map(|state| id(&state.name)).collect()
    };
    style("success", "fill:#dafbe1,stroke:#1a7f37,color:#1f2328", named(&of(RunOutcome::Success)));
    style("human", "fill:#fff8c5,stroke:#9a6700,color:#1f2328", named(&of(RunOutcome::Human)));
    style("cancelled", "fill:#eaeef2,stroke:#59636e,color:#1f2328", named(&of(RunOutcome::Cancelled)));
    style("here", "fill:#ddf4ff,stroke:#0969da,stroke-width:3px,color:#1f2328", named(&|state| state.here));
    let any = machine.has_any_active().then(|| "any_active".to_owned());
    style("anyActive", "stroke-dasharray:4", any.into_iter().collect());
    out
}

/// An id that is no word of Mermaid, whatever the state is called. Names are kebab-case, and ids may hold no `-`.
fn id(name: &str) -> String {
    format!("s_{}", name.replace('-', "_"))
}

/// Text as Mermaid shows it and nothing more: whatever could mean something to Mermaid, Markdown or HTML is written as
/// the entity code of its character.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for letter in text.chars() {
        // `--` would be the start of an arrow.
        if letter.is_alphanumeric() || matches!(letter, ' ' | ',' | '.' | '/' | '▶') || (letter == '-' && before != '-')
        {
            out.push(letter);
        } else {
            let _ = write!(out, "#{};", u32::from(letter));
        }
        before = letter;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_mermaid_could_take_for_its_own_is_left_in_a_text() {
        for (written, shown) in [
            ("Agent at work, nothing pushed yet", "Agent at work, nothing pushed yet"),
            ("a \"b\" \\n", "a #34;b#34; #92;n"),
            ("a: b; #c", "a#58; b#59; #35;c"),
            ("<b>&amp;</b>", "#60;b#62;#38;amp#59;#60;/b#62;"),
            ("a --> b", "a -#45;#62; b"),
            ("%%{init}%% `x` [*]", "#37;#37;#123;init#125;#37;#37; #96;x#96; #91;#42;#93;"),
            ("Ünï 🦀", "Ünï #129408;"),
        ] {
            assert_eq!(text(written), shown);
        }
    }
}
