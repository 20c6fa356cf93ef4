//! Names of the policy that the settings of the installation must have.

use super::super::finding::Code;
use super::super::pattern::RepoPattern;
use super::super::source::Span;
use super::reader::Field;
use super::report::{Report, clipped, nearest, one_of, quoted};
use super::tree::Value;

/// What a name of the policy stands for, and under which table the settings have it.
pub type Kind = (&'static str, &'static str);

/// Reports a name that the settings do not have; `false` then. Where no settings are at hand nothing is checked.
pub fn has(
    known: Option<&Vec<String>>,
    (what, section): Kind,
    code: Code,
    name: &str,
    span: Span,
    report: &Report,
) -> bool {
    let Some(known) = known else { return true };
    let found = known.iter().any(|known| known == name);
    if !found {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let message = format!("the settings have no {what} {}", quoted(name));
        let label = match nearest(name, known.iter().copied()) {
            _ if !report.has_room() => String::new(),
            Some(meant) => format!("did you mean `{meant}`?"),
            None if known.is_empty() => format!("add `[{section}.{}]` to the settings", clipped(name)),
            None => {
                let name = clipped(name);
                format!("add `[{section}.{name}]` to the settings, or correct the name; there is {}", one_of(&known))
            }
        };
        report.error(code, span, message, label);
    }
    found
}

/// Warns of entries of the allowlist that match no repository of the settings.
pub fn warn_of_unmatched(allowlist: &Field<'_>, repositories: &[String]) {
    let Value::List(entries) = &allowlist.node.value else { return };
    for entry in entries {
        // What is wrong by itself has been reported.
        let Value::Text(text) = &entry.value else { continue };
        let Ok(pattern) = RepoPattern::parse(text) else { continue };
        if !allowlist.report.has_room() || repositories.iter().any(|repository| pattern.matches(repository)) {
            continue;
        }
        let names = || repositories.iter().map(String::as_str);
        let last_part = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        let by_last_part = RepoPattern::parse(&last_part(text)).ok();
        let by_last_part = by_last_part.and_then(|part| names().find(|name| part.matches(&last_part(name))));
        let label = match by_last_part.or_else(|| nearest(text, names())) {
            Some(name) => format!("did you mean `{name}`?"),
            None if repositories.is_empty() => "the settings have no repository; add it under [repos]".to_owned(),
            None => format!("add it under [repos] of the settings; there is {}", one_of(&names().collect::<Vec<_>>())),
        };
        let message = format!("{} matches no repository of the settings", quoted(text));
        allowlist.report.warning(Code::UnmatchedAllowlist, entry.span, message, label);
    }
}
