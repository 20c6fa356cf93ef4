//! `afk explain --code`: what a finding means, why it matters, how to mend it.

use serde_json::{Value, json};

use crate::cli::Format;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::output::{FAINT, Output, STRONG};
use crate::policy::Code;
use crate::policy::finding::Example;

/// Explains one code, or lists all.
pub fn run(name: Option<&str>, format: Format, out: &mut Output) -> Result<ExitStatus, Failure> {
    let Some(name) = name else {
        list(format, out);
        return Ok(ExitStatus::Done);
    };
    let code = Code::named(&name.to_ascii_lowercase()).ok_or_else(|| unknown(name))?;
    match format {
        Format::Json => out.json(&document(code)),
        Format::Human => {
            out.line(format_args!("{STRONG}{}{STRONG:#}: {}", code.name(), code.what()));
            out.line(format_args!("  {FAINT}why{FAINT:#}   {}", code.why()));
            out.line(format_args!("  {FAINT}mend{FAINT:#}  {}", code.mend()));
            example(&code.example(), out);
        }
    }
    Ok(ExitStatus::Done)
}

/// Whether there is such a code.
pub fn exists(name: &str) -> bool {
    Code::named(&name.to_ascii_lowercase()).is_some()
}

fn example(example: &Example, out: &mut Output) {
    let given = if example.given.is_empty() { String::new() } else { format!(", where {}", example.given) };
    for (title, text) in [(format!("for example{given}"), example.broken), ("mended".to_owned(), example.mended)] {
        out.line(format_args!("\n  {FAINT}{title}:{FAINT:#}"));
        for line in text.lines() {
            out.line(if line.is_empty() { String::new() } else { format!("    {line}") });
        }
    }
}

fn list(format: Format, out: &mut Output) {
    match format {
        Format::Json => out.json(&Code::ALL.iter().copied().map(document).collect::<Vec<_>>()),
        Format::Human => {
            let width = Code::ALL.iter().map(|code| code.name().len()).max().unwrap_or_default();
            for code in Code::ALL {
                out.line(format_args!("{STRONG}{:width$}{STRONG:#}  {}", code.name(), code.what()));
            }
        }
    }
}

fn document(code: Code) -> Value {
    let example = code.example();
    json!({
        "code": code.name(),
        "what": code.what(),
        "why": code.why(),
        "mend": code.mend(),
        "example": { "given": example.given, "broken": example.broken, "mended": example.mended },
    })
}

fn unknown(name: &str) -> Failure {
    let failure = Failure::usage(format!("there is no code `{name}`"));
    let near = Code::ALL
        .iter()
        .map(|code| (strsim::damerau_levenshtein(code.name(), name), code.name()))
        .min()
        .filter(|(distance, near)| *distance <= near.len() / 3);
    match near {
        Some((_, near)) => failure.help(format!("did you mean `{near}`?")),
        None => failure.help("`afk explain --code` lists all of them"),
    }
}
