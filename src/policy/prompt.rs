//! Prompts: files that agents are given, templates with strict names.

use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde::Serialize;

/// A name that prompts may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptName {
    /// Written `{{ name }}`.
    pub name: &'static str,
    /// One sentence for people.
    pub meaning: &'static str,
    /// Whether it exists only in prompts of corrective turns.
    pub corrective: bool,
}

const fn always(name: &'static str, meaning: &'static str) -> PromptName {
    PromptName { name, meaning, corrective: false }
}

const fn corrective(name: &'static str, meaning: &'static str) -> PromptName {
    PromptName { name, meaning, corrective: true }
}

/// Every name that prompts may use.
pub const PROMPT_NAMES: &[PromptName] = &[
    always("ref", "the issue, `owner/name#N`"),
    always("repo", "the repository, `owner/name`"),
    always("issue", "the number of the issue"),
    always("url", "the address of the issue"),
    always("run", "the run id, for the line `AFK-Run: …` of every commit"),
    always("default_branch", "the branch that work lands on"),
    always("branch", "the branch of this run, `afk/<run id>`"),
    always("landing", "how work lands: `push` or `pull_request`"),
    always("brief", "title and body as they were approved, fenced as data"),
    corrective("commit", "the commit that CI found red"),
    corrective("attempt", "which corrective turn this is, counted from 1"),
    corrective("max_attempts", "how many corrective turns there may be, or `unknown`"),
    corrective("failures", "the failed jobs with the ends of their logs, fenced as data"),
];

/// Steps a template may take: far beyond any prompt, and the end of every endless one.
const FUEL: u64 = 100_000;

/// Fills a prompt in. `values` holds the names of [`PROMPT_NAMES`] that the occasion has.
///
/// # Errors
/// A sentence: the template is wrong, names what does not exist, or does not come to an end.
pub fn render_prompt(template: &str, values: &impl Serialize) -> Result<String, String> {
    environment().render_str(template, minijinja::value::Serde(values)).map_err(|error| sentence(&error))
}

fn environment<'t>() -> Environment<'t> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(32);
    environment
}

fn sentence(error: &minijinja::Error) -> String {
    let what = match error.kind() {
        ErrorKind::OutOfFuel => "the template does not come to an end; leave loops out".to_owned(),
        kind => match error.detail() {
            Some(detail) => format!("{kind}: {detail}"),
            None => kind.to_string(),
        },
    };
    match error.line() {
        Some(line) => format!("{what} (line {line})"),
        None => what,
    }
}

/// Something wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TemplateFault {
    /// One sentence.
    pub message: String,
    /// The name at fault, where it is about one.
    pub name: Option<String>,
    /// The line, counted from 1.
    pub line: Option<usize>,
}

/// Everything wrong with a template that may use the names which `allowed` admits.
pub(super) fn faults(template: &str, allowed: impl Fn(&PromptName) -> bool) -> Vec<TemplateFault> {
    let environment = environment();
    let fault = |error: &minijinja::Error| TemplateFault { message: sentence(error), name: None, line: error.line() };
    let compiled = match environment.template_from_str(template) {
        Ok(compiled) => compiled,
        Err(error) => return vec![fault(&error)],
    };
    let known: Vec<&str> = PROMPT_NAMES.iter().filter(|name| allowed(name)).map(|name| name.name).collect();
    let mut used: Vec<String> = compiled.undeclared_variables(false).into_iter().collect();
    used.sort();
    used.retain(|name| !known.contains(&name.as_str()));
    if !used.is_empty() {
        let fault = |name: String| TemplateFault { message: String::new(), name: Some(name), line: None };
        return used.into_iter().map(fault).collect();
    }
    // Attributes, filters and endless loops only show when it runs; both ways of landing are tried.
    ["push", "pull_request"]
        .iter()
        .filter_map(|landing| {
            let values: std::collections::BTreeMap<&str, &str> =
                known.iter().map(|name| (*name, if *name == "landing" { landing } else { "1" })).collect();
            compiled.render(&values).err().map(|error| fault(&error))
        })
        .take(1)
        .collect()
}
