//! States, actions and rows: a run starts somewhere, and every row leads from one place to another.

use std::collections::BTreeMap;

use super::super::facts::RunFact;
use super::super::finding::Code;
use super::super::rules::{CloseReason, Effect, LabelRole, RunOutcome, State, Transition};
use super::super::source::{Located, Span};
use super::conditions::Conditions;
use super::names::Names;
use super::reader::{Field, Name, Reader};
use super::reference::Scope;
use super::report::{quoted, suggestion};
use super::sentences::{self, Place};
use super::tree::{Table, Value};

const MAX_STATES: usize = 64;
const MAX_TRANSITIONS: usize = 256;
const MAX_ACTIONS: usize = 256;
const MAX_EFFECTS: usize = 16;

/// A table of the policy, whether or not what it holds is sound.
fn table_of<'a>(root: &'a Table<'a>, name: &str) -> Option<&'a Table<'a>> {
    match &root.get(name)?.node.value {
        Value::Table(table) => Some(table),
        _ => None,
    }
}

/// `[states]`.
pub fn states(field: &Field<'_>) -> Option<Vec<State>> {
    let table = field.table()?;
    let report = field.report;
    if table.len() > MAX_STATES {
        field.too_many("[states]", table.len(), MAX_STATES);
        return None;
    }
    let mut names = Names::new("state", report);
    let states: Vec<Option<State>> = table
        .in_order()
        .into_iter()
        .map(|(name, entry)| {
            let named = names.add(name, entry.key);
            let field = Field { name: Name::under("states", name), node: &entry.node, span: entry.span(), report };
            state(name, entry.key, &field).filter(|_| named)
        })
        .collect();
    let states: Vec<State> = states.into_iter().collect::<Option<_>>()?;
    let mut initial = states.iter().filter(|state| state.initial);
    match (initial.next(), initial.next()) {
        (None, _) => {
            let label = "add `initial = true` to the state where runs start";
            report.error(Code::BadMachine, field.node.span, "no state is `initial`", label);
            return None;
        }
        (Some(first), Some(second)) => {
            let message = format!("both `{}` and `{}` are `initial`", first.name, second.name);
            report.error(Code::BadMachine, second.span, message, "a run starts in exactly one state");
            return None;
        }
        (Some(first), None) if first.outcome.is_some() => {
            let message =
                format!("`{}` is `initial` and has an `outcome`, so a run would end where it starts", first.name);
            report.error(Code::BadMachine, first.span, message, "remove one of the two");
            return None;
        }
        (Some(_), None) => {}
    }
    Some(states)
}

fn state(name: &str, key: Span, field: &Field<'_>) -> Option<State> {
    const OUTCOMES: [(&str, RunOutcome); 3] =
        [("success", RunOutcome::Success), ("human", RunOutcome::Human), ("cancelled", RunOutcome::Cancelled)];
    let reader = Reader::new("this state", field.table()?, key, &["title", "initial", "outcome"], field.report);
    let title = reader.required("title", "title = \"…\", shown to people").and_then(|field| field.filled_text());
    let initial = reader.optional("initial").map_or(Some(false), |field| field.bool());
    let outcome = reader.optional("outcome").map_or(Some(None), |field| field.word(&OUTCOMES).map(Some));
    Some(State { name: name.to_owned(), title: title?.to_owned(), initial: initial?, outcome: outcome?, span: key })
}

/// `[actions]`.
pub fn actions(root: &Table, field: &Field<'_>) -> Option<BTreeMap<String, Vec<Located<Effect>>>> {
    let table = field.table()?;
    let report = field.report;
    if table.len() > MAX_ACTIONS {
        field.too_many("[actions]", table.len(), MAX_ACTIONS);
        return None;
    }
    let mut names = Names::new("action", report);
    let mut actions = BTreeMap::new();
    let mut sound = true;
    for (name, entry) in table.in_order() {
        let named = names.add(name, entry.key);
        let field = Field { name: Name::under("actions", name), node: &entry.node, span: entry.span(), report };
        match effects(root, &field).filter(|_| named) {
            Some(effects) => {
                actions.insert(name.to_owned(), effects);
            }
            None => sound = false,
        }
    }
    sound.then_some(actions)
}

fn effects(root: &Table, field: &Field<'_>) -> Option<Vec<Located<Effect>>> {
    let elements = field.list(MAX_EFFECTS)?;
    if elements.is_empty() {
        field.out_of_range(format!("{} has no effect", field.name), "remove the action, and `do` where it stands");
        return None;
    }
    let effects: Vec<Option<Located<Effect>>> =
        elements.iter().map(|element| effect(root, element).map(|effect| element.located(effect))).collect();
    let effects: Vec<Located<Effect>> = effects.into_iter().collect::<Option<_>>()?;
    in_order(&effects, field).then_some(effects)
}

fn in_order(effects: &[Located<Effect>], field: &Field<'_>) -> bool {
    let last = effects.len().saturating_sub(1);
    let mut sound = true;
    for (index, effect) in effects.iter().enumerate() {
        let name = effect_name(&effect.value);
        let (wrong, label) = match effect.value {
            Effect::Close(_) | Effect::Turn(_) => (index > 0, "only the first effect may close or send a turn"),
            Effect::Interrupt => (index < last, "it ends the agent: put it last"),
            _ => (false, ""),
        };
        let earlier = effects.get(..index).unwrap_or_default();
        if earlier.iter().any(|before| before.value == effect.value) {
            let message = format!("`{name}` stands twice in {}", field.name);
            field.report.error(Code::EffectOrder, effect.span, message, "remove one of the two");
            sound = false;
        } else if wrong {
            let message = format!("`{name}` stands in the wrong place in {}", field.name);
            field.report.error(Code::EffectOrder, effect.span, message, label);
            sound = false;
        }
    }
    sound
}

/// The key of an effect.
pub fn effect_name(effect: &Effect) -> &'static str {
    match effect {
        Effect::Reopen => "reopen",
        Effect::Interrupt => "interrupt",
        Effect::Close(_) => "close",
        Effect::AddLabel(_) => "add_label",
        Effect::RemoveLabel(_) => "remove_label",
        Effect::Turn(_) => "turn",
        Effect::Comment(_) => "comment",
        Effect::Notify(_) => "notify",
    }
}

/// One effect; `root` has the tables whose names it may use.
pub fn effect(root: &Table, field: &Field<'_>) -> Option<Effect> {
    const WORDS: [&str; 2] = ["reopen", "interrupt"];
    const KEYS: [&str; 6] = ["close", "add_label", "remove_label", "turn", "comment", "notify"];
    const REASONS: [(&str, CloseReason); 2] =
        [("completed", CloseReason::Completed), ("not_planned", CloseReason::NotPlanned)];
    let report = field.report;
    let table = match &field.node.value {
        Value::Text(word) if word == "reopen" => return Some(Effect::Reopen),
        Value::Text(word) if word == "interrupt" => return Some(Effect::Interrupt),
        Value::Text(word) => {
            let message = format!("{} is not an effect on its own", quoted(word));
            let label = if KEYS.contains(&word.as_ref()) {
                format!("write {{ {word} = … }}")
            } else {
                suggestion(report, word, &WORDS)
            };
            report.error(Code::UnknownName, field.node.span, message, label);
            return None;
        }
        Value::Table(table) => table,
        _ => {
            field.mismatch("an effect", "write \"reopen\", \"interrupt\" or { comment = \"…\" }");
            return None;
        }
    };
    if table.len() != 1 {
        let message = format!("an effect has one key; this one has {}", table.len());
        report.error(Code::TypeMismatch, field.node.span, message, "write one table for each effect");
        return None;
    }
    let reader = Reader::new("an effect", table, field.node.span, &KEYS, report);
    let key = KEYS.iter().find(|key| table.get(key).is_some())?;
    let value = reader.optional(key)?;
    match *key {
        "close" => value.word(&REASONS).map(Effect::Close),
        "add_label" => role(&value).map(Effect::AddLabel),
        "remove_label" => role(&value).map(Effect::RemoveLabel),
        "turn" => named(root, &value, "prompts", Code::MissingPrompt).map(Effect::Turn),
        "comment" => named(root, &value, "comments", Code::UnknownName).map(Effect::Comment),
        _ => named(root, &value, "notify", Code::UnknownName).map(Effect::Notify),
    }
}

fn role(field: &Field<'_>) -> Option<LabelRole> {
    const ROLES: [(&str, LabelRole); 3] =
        [("ready", LabelRole::Ready), ("human", LabelRole::Human), ("paused", LabelRole::Paused)];
    if field.text()? == "in_progress" {
        let message = format!("{} touches the label *in_progress*, which is afk's own lock", field.name);
        let label = "remove the effect; entering a terminal state releases the lock";
        field.report.error(Code::LockEffect, field.node.span, message, label);
        return None;
    }
    field.word(&ROLES)
}

/// A name that a table of the policy must have.
fn named(root: &Table, field: &Field<'_>, table: &str, code: Code) -> Option<String> {
    let name = field.text()?;
    let entries = table_of(root, table);
    if entries.is_some_and(|entries| entries.get(name).is_some()) {
        return Some(name.to_owned());
    }
    let known = entries.map(Table::keys).unwrap_or_default();
    let message = format!("{} names {}, which `[{table}]` does not have", field.name, quoted(name));
    let label = suggestion(field.report, name, &known);
    field.report.error(code, field.node.span, message, label);
    None
}

/// What rows may refer to. States in error count as existing, and are asked nothing.
struct Places<'a> {
    table: Option<&'a Table<'a>>,
    states: Option<&'a [State]>,
}

impl Places<'_> {
    fn outcome(&self, name: &str) -> Option<RunOutcome> {
        self.states?.iter().find(|state| state.name == name)?.outcome
    }
}

/// `[[transitions]]`. Without sound `states` the rows are still read, for what else is wrong with them.
pub fn transitions<'a>(
    scope: Scope<'a>,
    field: &Field<'a>,
    states: Option<&[State]>,
    conditions: &Conditions<'a>,
) -> Option<Vec<Transition>> {
    let places = Places { table: table_of(scope.root, "states"), states };
    let mut names = Names::new("row", field.report);
    let elements = field.list(MAX_TRANSITIONS)?;
    let rows: Vec<Option<Transition>> =
        elements.iter().map(|element| row(scope, element, &places, &mut names, conditions)).collect();
    rows.into_iter().collect()
}

fn row<'a>(
    scope: Scope<'a>,
    field: &Field<'a>,
    places: &Places<'_>,
    names: &mut Names<'a>,
    conditions: &Conditions<'a>,
) -> Option<Transition> {
    let report = field.report;
    let known = ["name", "from", "when", "to", "do", "reason"];
    let reader = Reader::new("this row", field.table()?, field.node.span, &known, report);
    let name = reader.required("name", "name = \"…\"").and_then(|field| {
        let name = field.filled_text()?;
        if name == "wait" {
            let message = "no row may be called `wait`: it is what results say when no row matches";
            report.error(Code::ReservedName, field.node.span, message, "choose another name");
            return None;
        }
        names.add(name, field.node.span).then_some((name, field.span))
    });
    let from = reader.required("from", "from = [\"…\"], or from = \"*\"").and_then(|field| from(&field, places));
    let when = reader.required("when", "when = { … }").and_then(|field| conditions.read::<RunFact>(field.node));
    let to = reader.required("to", "to = \"…\"");
    let target = to.as_ref().and_then(|field| state_name(field, places));
    let action = match reader.optional("do") {
        Some(field) => named(scope.root, &field, "actions", Code::UnknownName).map(Some),
        None => Some(None),
    };
    let reason = match reader.optional("reason") {
        Some(field) => sentences::read(scope, &field, Place::Reason).map(Some),
        None => Some(None),
    };
    let outcome = target.and_then(|name| places.outcome(name));
    if let (Some(to), Some(target), Some(RunOutcome::Human | RunOutcome::Cancelled)) = (&to, target, outcome)
        && reader.optional("reason").is_none()
    {
        let message = format!("a row into `{target}` needs a `reason`: a person will ask why");
        report.error(Code::BadMachine, to.node.span, message, "add `reason = \"…\"` to the row");
        return None;
    }
    let (name, span) = name?;
    let from = from?;
    if let (Some(to), Some(target), Some(None)) = (&to, target, &action)
        && from.iter().any(|state| state == target)
    {
        let message =
            format!("row `{name}` leads from `{target}` to `{target}` and does nothing: it would turn in a circle");
        report.error(Code::BadMachine, to.node.span, message, "name another state, or give the row effects with `do`");
        return None;
    }
    Some(Transition {
        name: name.to_owned(),
        from,
        when: when?,
        to: target?.to_owned(),
        action: action?,
        reason: reason?,
        span,
    })
}

fn from(field: &Field<'_>, places: &Places<'_>) -> Option<Vec<String>> {
    let active = || {
        let states = places.states.unwrap_or_default().iter();
        states.filter(|state| state.outcome.is_none()).map(|state| state.name.clone()).collect()
    };
    match &field.node.value {
        Value::Text(text) if text == "*" => return Some(active()),
        Value::Text(text) => {
            field.mismatch("a list of states, or \"*\" for every active one", &format!("write from = [{text:?}]"));
            return None;
        }
        Value::List(nodes) if nodes.is_empty() => {
            field.out_of_range("`from` is empty, so the row never matches", "name the states, or write \"*\"");
            return None;
        }
        _ => {}
    }
    let mut names: Vec<String> = Vec::new();
    let mut sound = true;
    for element in field.list(MAX_STATES)? {
        let Some(name) = state_name(&element, places) else {
            sound = false;
            continue;
        };
        if places.outcome(name).is_some() {
            let message = format!("`{name}` is terminal: no row can start there");
            field.report.error(Code::BadMachine, element.node.span, message, "name active states only");
            sound = false;
        }
        if names.iter().any(|known| known == name) {
            field.report.error(
                Code::Duplicate,
                element.node.span,
                format!("`{name}` stands twice in `from`"),
                "remove one of the two",
            );
            sound = false;
        }
        names.push(name.to_owned());
    }
    sound.then_some(names)
}

fn state_name<'a>(field: &Field<'a>, places: &Places<'_>) -> Option<&'a str> {
    let name = field.text()?;
    if places.table.is_some_and(|states| states.get(name).is_some()) {
        return Some(name);
    }
    // Without `[states]` there is one thing to mend, and it has been reported.
    let known = places.table?.keys();
    let label = match name {
        "*" => "write from = \"*\", without brackets".to_owned(),
        _ => suggestion(field.report, name, &known),
    };
    field.report.error(Code::UnknownName, field.node.span, format!("there is no state {}", quoted(name)), label);
    None
}

/// For each name under `effect` ("comment", "notify"), a row without a reason that leads there.
pub fn rows_without_reason<'a>(root: &'a Table<'a>, effect: &str) -> BTreeMap<&'a str, &'a str> {
    let mut found = BTreeMap::new();
    let Some(Value::List(rows)) = root.get("transitions").map(|entry| &entry.node.value) else {
        return found;
    };
    let Some(Value::Table(actions)) = root.get("actions").map(|entry| &entry.node.value) else {
        return found;
    };
    for row in rows.iter().take(MAX_TRANSITIONS) {
        let Value::Table(row) = &row.value else { continue };
        let text = |key: &str| match row.get(key).map(|entry| &entry.node.value) {
            Some(Value::Text(text)) => Some(text.as_ref()),
            _ => None,
        };
        if row.get("reason").is_some() {
            continue;
        }
        let Some(Value::List(effects)) = text("do").and_then(|name| actions.get(name)).map(|entry| &entry.node.value)
        else {
            continue;
        };
        for node in effects.iter().take(MAX_EFFECTS) {
            if let Value::Table(table) = &node.value
                && table.len() == 1
                && let Some(Value::Text(name)) = table.get(effect).map(|entry| &entry.node.value)
            {
                found.insert(name.as_ref(), text("name").unwrap_or("without a name"));
            }
        }
    }
    found
}
