//! The machine as DOT, for Graphviz.

use std::fmt::Write;

use super::machine::{Machine, Node, Origin};
use crate::policy::RunOutcome;

/// A `digraph`.
pub fn draw(machine: &Machine) -> String {
    let mut out = String::from("digraph afk {\n    graph [fontname=\"sans-serif\"");
    if let Some(title) = &machine.title {
        let _ = write!(out, ", labelloc=t, label=\"{}\"", text(title));
    }
    out.push_str(
        "]\n    node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"sans-serif\"]\n    \
         edge [fontname=\"sans-serif\", fontsize=10]\n\n    \
         \"[start]\" [shape=point, width=0.2, fillcolor=black, label=\"\"]\n",
    );
    for state in &machine.states {
        let _ = writeln!(out, "    \"{}\" [{}]", text(&state.name), attributes(state));
    }
    if machine.has_any_active() {
        out.push_str("    \"[any]\" [label=\"any active state\", style=\"rounded,dashed\"]\n");
    }
    out.push('\n');
    for state in machine.states.iter().filter(|state| state.initial) {
        let _ = writeln!(out, "    \"[start]\" -> \"{}\"", text(&state.name));
    }
    for arrow in &machine.arrows {
        let from = match &arrow.from {
            Origin::State(name) => text(name),
            Origin::AnyActive => "[any]".to_owned(),
        };
        // Each line ends with `\l`: set flush left.
        let lines: String = arrow.lines().iter().map(|line| text(line) + "\\l").collect();
        let next = if arrow.next { ", color=\"#0969da\", penwidth=2" } else { "" };
        let _ = writeln!(out, "    \"{from}\" -> \"{}\" [label=\"{lines}\"{next}]", text(&arrow.to));
    }
    out.push_str("}\n");
    out
}

fn attributes(state: &Node) -> String {
    let here = if state.here { "▶ " } else { "" };
    let name_and_title = format!("{here}{}\\n{}", text(&state.name), text(&state.title));
    let (label, fill) = match state.outcome {
        None => (name_and_title, ""),
        Some(outcome) => (
            format!("{name_and_title}\\n({})", outcome.word()),
            match outcome {
                RunOutcome::Success => ", peripheries=2, fillcolor=\"#dafbe1\"",
                RunOutcome::Human => ", peripheries=2, fillcolor=\"#fff8c5\"",
                RunOutcome::Cancelled => ", peripheries=2, fillcolor=\"#eaeef2\"",
            },
        ),
    };
    let mark = if state.here { ", color=\"#0969da\", penwidth=3" } else { "" };
    format!("label=\"{label}\"{fill}{mark}")
}

/// Text inside of a quoted string of DOT: a backslash starts an escape there, and an ampersand an HTML entity.
fn text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('&', "&amp;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_can_neither_end_its_string_nor_be_an_escape_or_an_entity() {
        assert_eq!(text(r#"a "b" \N \"#), r#"a \"b\" \\N \\"#);
        assert_eq!(text("<b>&lt;</b>"), "<b>&amp;lt;</b>");
    }
}
