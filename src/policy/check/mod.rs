//! From text to a checked policy, or to everything that is wrong with it.

mod conditions;
mod gates;
mod installed;
mod limits;
pub(crate) mod machine;
mod matchers;
mod names;
mod operands;
mod overlaid;
mod overrides;
mod prompts;
pub(crate) mod reader;
mod reference;
pub(crate) mod report;
mod revision;
pub(crate) mod rules;
mod scan;
mod sections;
mod sentences;
mod stages;
pub(crate) mod syntax;
mod texts;
pub(crate) mod tree;
mod waivers;

use std::cell::Cell;

use super::finding::{Code, Finding, Severity};
use super::pattern::RepoPattern;
use super::rules::{Fragments, Policy, Rules, Waiver};
use super::source::{Located, Source, Span};
use super::{Checked, Surroundings};
pub(crate) use overlaid::Overlaid;
use prompts::PromptFiles;
use reader::{Field, Name, Reader};
use reference::Scope;
use report::Report;
use tree::{Entry, Node, Table, Value};

/// The longest policy there may be, in bytes.
pub const MAX_POLICY_BYTES: usize = 1024 * 1024;

/// Reads and judges a policy. `name` is what findings call the file; nothing is read but what `surroundings` gives.
pub fn check(text: &str, name: &str, surroundings: &Surroundings<'_>) -> Checked {
    let report = Report::new(name);
    let prompts = PromptFiles::new(surroundings.prompt);
    let (mut sound, mut fragments, mut switched_on) = (None, None, None);
    match syntax::parse(text, &report) {
        Some(parsed) if parsed.sound => {
            let again = limits::switched_on(&parsed.root);
            match read(text, parsed.root, surroundings, &prompts, &report) {
                Ok(read) => {
                    sound = Some(read);
                    let again = again.map(|root| read_again(text, root, surroundings, &prompts, &report));
                    switched_on = again.flatten();
                }
                Err(rest) => fragments = rest,
            }
        }
        Some(parsed) => {
            // What stands elsewhere is judged all the same, but not what the broken place may have swallowed.
            let aside = report.aside();
            let _ = read(text, parsed.root, surroundings, &prompts, &aside);
            syntax::keep_independent(text, aside.finish(), &report);
        }
        None => {}
    }
    let prompts = prompts.sources();
    let policy = sound.map(|sound| {
        let source = Source { name: name.to_owned(), text: text.to_owned() };
        report_what_it_does(&sound, &source, &report);
        let switched_on = switched_on.map(|read| Box::new(read.into_policy(source.clone(), &prompts)));
        Policy { switched_on, ..sound.into_policy(source, &prompts) }
    });
    Checked { policy, fragments, findings: report.finish(), prompts }
}

/// Reads a policy that differs from one without errors in a few values.
fn read_again(
    text: &str,
    root: Table,
    surroundings: &Surroundings<'_>,
    prompts: &PromptFiles<'_>,
    report: &Report,
) -> Option<Read> {
    read(text, root, surroundings, prompts, &report.aside()).ok()
}

struct Read {
    kill_switch: Located<bool>,
    allowlist: Located<Vec<RepoPattern>>,
    denylist: Located<Vec<RepoPattern>>,
    base: Rules,
    overrides: Vec<(RepoPattern, Rules)>,
    waivers: Vec<Waiver>,
}

impl Read {
    fn into_policy(self, source: Source, prompts: &[Source]) -> Policy {
        let prompts = prompts.iter().map(|file| (file.name.as_str(), file.text.as_str()));
        Policy {
            revision: revision::revision(&source.text, prompts),
            source,
            kill_switch: self.kill_switch,
            allowlist: self.allowlist,
            denylist: self.denylist,
            base: self.base,
            overrides: self.overrides,
            waivers: self.waivers,
            switched_on: None,
            overlay: None,
        }
    }
}

/// The whole policy; of one in error what could be read of it, where that is enough to prove something.
fn read(
    text: &str,
    mut root: Table,
    surroundings: &Surroundings<'_>,
    prompts: &PromptFiles<'_>,
    report: &Report,
) -> Result<Read, Option<Box<Fragments>>> {
    let version = version(&root, report);
    with_default_lists(&mut root);
    let top = Reader::new("the policy", &root, Span::default(), &rules::ROOT_KEYS, report);
    let kill_switch = top.required("kill_switch", "kill_switch = true").and_then(|field| {
        let on = field.bool()?;
        Some(Located { value: on, span: field.span })
    });
    let allowlist = top.required("allowlist", "allowlist = []").and_then(|field| sections::repositories(&field));
    let denylist = top.optional("denylist").and_then(|field| sections::repositories(&field));
    if let (Some(field), Some(repositories)) = (top.optional("allowlist"), &surroundings.installed.repositories) {
        installed::warn_of_unmatched(&field, repositories);
    }
    if let Some(allowlist) = &allowlist {
        overrides::warn_of_unmatched(&root, &allowlist.value, report);
    }
    let waivers = top.optional("waivers").map_or(Some(Vec::new()), |field| waivers::read(&field));

    let budget = Cell::new(Some(reference::MAX_VALUES));
    let scope = Scope { root: &root, text, report, prompts, installed: surroundings.installed, budget: &budget };
    let base = rules::read(scope, None);
    let overrides: Vec<(RepoPattern, rules::Sections)> = overrides::read(&root, text.len(), report)
        .into_iter()
        .map(|one| (one.pattern, rules::read(Scope { root: &one.root, ..scope }, one.paused)))
        .collect();
    // A reference in error may have meant the limit.
    if !report.has_errors() {
        limits::judge_unused(&root, report);
    }
    if report.has_errors() {
        let fragments = || {
            let of = |(pattern, sections): (RepoPattern, rules::Sections)| (pattern, sections.fragment());
            Some(Box::new(Fragments {
                denylist: denylist?.value,
                waivers: waivers?,
                base: base.fragment(),
                overrides: overrides.into_iter().map(of).collect(),
            }))
        };
        return Err(fragments());
    }
    let whole = || {
        version?;
        let of = |(pattern, sections): (RepoPattern, rules::Sections)| Some((pattern, sections.whole()?));
        Some(Read {
            kill_switch: kill_switch?,
            allowlist: allowlist?,
            denylist: denylist?,
            base: base.whole()?,
            overrides: overrides.into_iter().map(of).collect::<Option<_>>()?,
            waivers: waivers?,
        })
    };
    whole().ok_or(None)
}

/// Lists that may be left out, so that `"$denylist"` leads somewhere all the same.
fn with_default_lists(root: &mut Table) {
    let empty = || Entry { key: Span::default(), node: Node { span: Span::default(), value: Value::List(Vec::new()) } };
    root.insert_missing("denylist", empty());
    for (table, key) in [("trust", "logins"), ("protect", "paths")] {
        if let Some(table) = root.table_mut(table) {
            table.insert_missing(key, empty());
        }
    }
}

fn version(root: &Table, report: &Report) -> Option<()> {
    let Some(entry) = root.get("version") else {
        let message = "the policy does not say which `version` of the file format it is written in";
        report.error(Code::UnsupportedVersion, Span::default(), message, "add `version = 1`");
        return None;
    };
    let node = &entry.node;
    let message = match &node.value {
        Value::Int(1) => return Some(()),
        Value::Int(other) => format!("this build reads version 1 of the file format; this is version {other}"),
        Value::Text(_) => format!("`version` is the number of the file format; {}", node.described()),
        Value::Number(_) => format!("`version` is a whole number; {}", node.described()),
        _ => {
            let field = Field { name: Name::of("version"), node, span: entry.span(), report };
            field.mismatch("the number of the file format", "write version = 1");
            return None;
        }
    };
    let help = "`version` counts the file format, not your revisions of it; those are git's business".to_owned();
    report.error_with_help(Code::UnsupportedVersion, node.span, message, "write version = 1", vec![help]);
    None
}

/// A policy without errors may still do nothing, and says so.
fn report_what_it_does(read: &Read, source: &Source, report: &Report) {
    let line = |span: Span| source.line_and_column(span.start).0;
    let mut why = Vec::new();
    if read.kill_switch.value {
        why.push((read.kill_switch.span, format!("kill_switch is true (line {})", line(read.kill_switch.span))));
    }
    if read.allowlist.value.is_empty() {
        why.push((read.allowlist.span, format!("allowlist is empty (line {})", line(read.allowlist.span))));
    }
    let dispatch = &read.base.dispatch;
    for (key, limit) in [("max_in_flight", &dispatch.max_in_flight), ("max_per_tick", &dispatch.max_per_tick)] {
        if limit.value == 0 {
            why.push((limit.span, format!("{key} is 0 (line {})", line(limit.span))));
        }
    }
    // An override may give the one repository that counts its slots.
    let slots = |rules: &Rules| rules.dispatch.slots_per_repo.value;
    if slots(&read.base) == 0 && read.overrides.iter().all(|(_, rules)| slots(rules) == 0) {
        let span = dispatch.slots_per_repo.span;
        why.push((span, format!("slots_per_repo is 0 (line {})", line(span))));
    }
    let Some((span, _)) = why.first() else { return };
    let span = *span;
    let reasons: Vec<String> = why.into_iter().map(|(_, reason)| reason).collect();
    report.add(Finding {
        code: Code::DispatchesNothing,
        severity: Severity::Note,
        message: format!("this policy dispatches nothing: {}", reasons.join(", ")),
        file: source.name.clone(),
        span,
        label: String::new(),
        help: Vec::new(),
    });
}
