//! What a code means, as a page of Markdown: `docs/diagnostics.md` and the help of SARIF rules.

use std::fmt::Write as _;

use crate::policy::Code;
use crate::policy::finding::Within;

/// What, why and how to mend, with the example.
pub fn page(code: Code) -> String {
    let example = code.example();
    let shown = |text: &str| match example.within {
        Within::Policy { .. } => format!("```toml\n{text}\n```"),
        Within::Shell => format!("```sh\n{text}\n```"),
        Within::Words => format!("{}.", capitalised(text)),
    };
    let given = if example.given.is_empty() { String::new() } else { format!(" Where {}:", example.given) };
    let mut page = format!("{}.\n\n", capitalised(code.what()));
    let _ = write!(page, "**Why it matters.** {}.\n\n", capitalised(code.why()));
    let _ = write!(page, "**How to mend it.** {}.\n\n", capitalised(code.mend()));
    let _ = write!(page, "**For example.**{given}\n\n{}\n\n", shown(example.broken));
    let _ = writeln!(page, "Mended:\n\n{}", shown(example.mended));
    page
}

/// With a capital letter, as sentences begin.
pub fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}
