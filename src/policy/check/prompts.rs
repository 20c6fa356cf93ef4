//! `[prompts]`: files beside the policy, checked as templates.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::super::finding::{Code, Finding, Severity};
use super::super::prompt::{PROMPT_NAMES, faults};
use super::super::rules::Prompt;
use super::super::source::{Located, Source, Span};
use super::names::check_snake_case;
use super::reader::{Field, Name};
use super::reference::Scope;
use super::report::{nearest, quoted};

const MAX_PROMPTS: usize = 64;
const MAX_PROMPT_BYTES: usize = 256 * 1024;

type ReadPrompt<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// The prompt files of a policy; each is read once.
pub struct PromptFiles<'a> {
    read: ReadPrompt<'a>,
    files: RefCell<BTreeMap<String, Result<String, String>>>,
}

impl<'a> PromptFiles<'a> {
    /// Reads through this function.
    pub fn new(read: ReadPrompt<'a>) -> Self {
        Self { read, files: RefCell::default() }
    }

    fn get(&self, path: &str) -> Result<String, String> {
        if let Some(known) = self.files.borrow().get(path) {
            return known.clone();
        }
        let read = (self.read)(path);
        self.files.borrow_mut().insert(path.to_owned(), read.clone());
        read
    }

    /// Every file that could be read, by path.
    pub fn sources(self) -> Vec<Source> {
        let files = self.files.into_inner().into_iter();
        files.filter_map(|(name, text)| text.ok().map(|text| Source { name, text })).collect()
    }
}

/// Reads `[prompts]`.
pub fn read(scope: Scope<'_>, field: &Field<'_>) -> Option<BTreeMap<String, Prompt>> {
    let table = field.table()?;
    if table.len() > MAX_PROMPTS {
        let message = format!("`[prompts]` has {} entries; this build takes at most {MAX_PROMPTS}", table.len());
        scope.report.error(Code::TooLarge, field.node.span, message, format!("at most {MAX_PROMPTS}"));
        return None;
    }
    let mut sound = true;
    if table.get("implement").is_none() {
        let label = "add implement = \"prompts/implement.md\": what an agent is told at dispatch";
        scope.report.error(Code::MissingKey, field.node.span, "`[prompts]` lacks `implement`", label);
        sound = false;
    }
    let mut prompts = BTreeMap::new();
    for (name, entry) in table.in_order() {
        check_snake_case("prompt", name, entry.key, scope.report);
        let field =
            Field { name: Name::under("prompts", name), node: &entry.node, span: entry.span(), report: scope.report };
        match prompt(scope, name, &field) {
            Some(prompt) => {
                prompts.insert(name.to_owned(), prompt);
            }
            None => sound = false,
        }
    }
    sound.then_some(prompts)
}

fn prompt(scope: Scope<'_>, name: &str, field: &Field<'_>) -> Option<Prompt> {
    let path = field.filled_text()?;
    if path.starts_with('/') {
        field.out_of_range(
            format!("prompt {} is an absolute path", quoted(path)),
            "write it relative to the policy file",
        );
        return None;
    }
    let missing =
        |message: String, label: &str| scope.report.error(Code::MissingPrompt, field.node.span, message, label);
    let template = match scope.prompts.get(path) {
        Ok(template) => template,
        Err(why) => {
            missing(
                format!("prompt {} cannot be read: {why}", quoted(path)),
                "create it, or correct the path, which is relative to the policy file",
            );
            return None;
        }
    };
    if template.len() > MAX_PROMPT_BYTES {
        let message = format!(
            "prompt {} has {} bytes; this build takes at most {MAX_PROMPT_BYTES}",
            quoted(path),
            template.len()
        );
        scope.report.error(Code::TooLarge, field.node.span, message, "shorten it");
        return None;
    }
    if template.trim().is_empty() {
        missing(format!("prompt {} is empty", quoted(path)), "write what the agent is told");
        return None;
    }
    // What a turn sends is corrective; what a dispatch sends is not; what both send may only use what both have.
    let first = name == "implement";
    let found = faults(&template, |known| !known.corrective || !first);
    for fault in &found {
        let span = place(&template, fault.name.as_deref(), fault.line);
        let (message, label) = match &fault.name {
            None => (fault.message.clone(), "mend the template".to_owned()),
            Some(name) => {
                let only_corrective = PROMPT_NAMES.iter().any(|known| known.name == name);
                let label = if only_corrective {
                    format!("`{name}` exists only in prompts of corrective turns, and this one starts the run")
                } else {
                    let known = PROMPT_NAMES.iter().filter(|known| !first || !known.corrective).map(|known| known.name);
                    match nearest(name, known.clone()) {
                        Some(candidate) => format!("did you mean `{{{{ {candidate} }}}}`?"),
                        None => format!("known here: {}", known.collect::<Vec<_>>().join(", ")),
                    }
                };
                (format!("there is no {} in this prompt", quoted(name)), label)
            }
        };
        scope.report.add(Finding {
            code: Code::BadTemplate,
            severity: Severity::Error,
            message,
            file: path.to_owned(),
            span,
            label,
            help: fault.name.iter().map(|_| "`afk facts` lists the names that prompts may use".to_owned()).collect(),
        });
    }
    found.is_empty().then(|| Prompt { path: Located { value: path.to_owned(), span: field.node.span }, template })
}

/// Where a fault of a template is: the name inside braces, else its line.
fn place(template: &str, name: Option<&str>, line: Option<usize>) -> Span {
    if let Some(name) = name {
        let mut from = 0;
        while let Some(found) = template.get(from..).and_then(|rest| rest.find(name)) {
            let start = from.saturating_add(found);
            let end = start.saturating_add(name.len());
            let before = template.get(..start).unwrap_or_default();
            let inside = before.rfind('{').is_some_and(|open| before.rfind('}').is_none_or(|close| close < open));
            if inside {
                return Span { start, end };
            }
            from = end;
        }
    }
    let mut start: usize = 0;
    for (index, text) in template.split_inclusive('\n').enumerate() {
        let end = start.saturating_add(text.trim_end().len());
        if Some(index.saturating_add(1)) == line {
            return Span { start, end };
        }
        start = start.saturating_add(text.len());
    }
    Span::default()
}
