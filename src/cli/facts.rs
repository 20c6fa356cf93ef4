//! `afk facts`: the catalogue of facts.

use clap::Args;
use serde_json::{Value, json};

use super::exit::{ExitStatus, Failure};
use super::output::{FAINT, Output, STRONG};
use super::{Format, FormatArguments};
use crate::policy::PROMPT_NAMES;
use crate::policy::facts::{FactName, FactSpec, IssueFact, Kind, Members, RunFact};

/// List the facts that rules may read, and the names that prompts may use
///
/// Gates read the facts of an issue; transitions and the checklist read the facts of a run.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// How the result is written.
    #[command(flatten)]
    pub format: FormatArguments,
}

/// Runs it.
///
/// # Errors
/// Never.
pub fn run(arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    match arguments.format.format {
        Format::Json => {
            let facts: Vec<Value> = documents::<IssueFact>().chain(documents::<RunFact>()).collect();
            let prompts: Vec<Value> = PROMPT_NAMES
                .iter()
                .map(|name| json!({ "name": name.name, "meaning": name.meaning, "corrective_only": name.corrective }))
                .collect();
            out.json(&json!({ "facts": facts, "prompt_names": prompts }));
        }
        Format::Human => {
            out.line(format_args!(
                "{STRONG}ISSUE FACTS{STRONG:#}: gates read them, as they are at the start of the tick"
            ));
            table::<IssueFact>(out);
            out.line(format_args!("\n{STRONG}RUN FACTS{STRONG:#}: transitions and the checklist read them"));
            table::<RunFact>(out);
            out.line(format_args!("\n{STRONG}PROMPT NAMES{STRONG:#}: prompt files write them as {{{{ name }}}}"));
            for name in PROMPT_NAMES {
                let only = if name.corrective { " (only in corrective turns)" } else { "" };
                out.line(format_args!("  {STRONG}{:18}{STRONG:#}  {}{only}", name.name, name.meaning));
            }
        }
    }
    Ok(ExitStatus::Done)
}

fn table<F: FactName>(out: &mut Output) {
    for fact in F::ALL {
        let spec = fact.spec();
        let known = if spec.always { "always known" } else { "may be unknown" };
        out.line(format_args!(
            "  {STRONG}{:18}{STRONG:#}  {:8}  {known:14}  {}",
            spec.name,
            spec.kind.name(),
            spec.meaning
        ));
        let values = values(spec).map(|words| format!("{}; ", words.join(", "))).unwrap_or_default();
        out.line(format_args!("  {:46}{FAINT}{values}from: {}{FAINT:#}", "", spec.source));
    }
}

fn documents<F: FactName>() -> impl Iterator<Item = Value> {
    F::ALL.iter().map(|fact| {
        let spec = fact.spec();
        json!({
            "name": spec.name,
            "scope": F::SCOPE,
            "type": spec.kind.name(),
            "values": values(spec),
            "always_known": spec.always,
            "meaning": spec.meaning,
            "source": spec.source,
        })
    })
}

/// The words that are possible, where the catalogue lists them.
fn values(spec: &FactSpec) -> Option<&'static [&'static str]> {
    match spec.kind {
        Kind::Enum(words) | Kind::Set(Members::Words(words)) => Some(words),
        _ => None,
    }
}

const AFTER_HELP: &str = "\
Exit codes:
  0  printed
  2  the command line is wrong

Examples:
  afk facts
  afk facts --format json";
