//! What people are told: the checklist, comments, notifications.

use std::collections::BTreeMap;

use super::super::facts::RunFact;
use super::super::finding::Code;
use super::super::rules::{ChecklistItem, Notification, Urgency};
use super::super::sentence::Sentence;
use super::super::source::Located;
use super::conditions::Conditions;
use super::installed;
use super::machine::rows_without_reason;
use super::names::Names;
use super::reader::{Field, Name, Reader};
use super::reference::Scope;
use super::sentences::{self, Place};

const MAX_CHECKLIST: usize = 64;
const MAX_TEXTS: usize = 256;

/// `[progress]`.
pub fn progress<'a>(field: &Field<'a>, conditions: &Conditions<'a>) -> Option<Vec<ChecklistItem>> {
    let reader = Reader::new("`[progress]`", field.table()?, field.node.span, &["checklist"], field.report);
    let Some(field) = reader.optional("checklist") else {
        return Some(Vec::new());
    };
    let items: Vec<Option<ChecklistItem>> =
        field.list(MAX_CHECKLIST)?.iter().map(|element| item(element, conditions)).collect();
    items.into_iter().collect()
}

fn item<'a>(field: &Field<'a>, conditions: &Conditions<'a>) -> Option<ChecklistItem> {
    let reader = Reader::new("this line", field.table()?, field.node.span, &["title", "when"], field.report);
    let title = reader.required("title", "title = \"…\"").and_then(|field| field.filled_text());
    let when = reader.required("when", "when = { … }").and_then(|field| conditions.read::<RunFact>(field.node));
    Some(ChecklistItem { title: title?.to_owned(), when: when? })
}

/// `[comments]`.
pub fn comments(scope: Scope<'_>, field: &Field<'_>) -> Option<BTreeMap<String, Sentence>> {
    let table = field.table()?;
    if table.len() > MAX_TEXTS {
        field.too_many("[comments]", table.len(), MAX_TEXTS);
        return None;
    }
    let without_reason = rows_without_reason(scope.root, "comment");
    let mut names = Names::new("comment", field.report);
    let mut comments = BTreeMap::new();
    let mut sound = true;
    for (name, entry) in table.in_order() {
        let named = names.add(name, entry.key);
        let field =
            Field { name: Name::under("comments", name), node: &entry.node, span: entry.span(), report: field.report };
        let place = Place::Told { without_reason: without_reason.get(name).copied() };
        match sentences::read(scope, &field, place).filter(|_| named) {
            Some(sentence) => {
                comments.insert(name.to_owned(), sentence);
            }
            None => sound = false,
        }
    }
    sound.then_some(comments)
}

/// `[notify.KIND]`.
pub fn notifications(scope: Scope<'_>, field: &Field<'_>) -> Option<BTreeMap<String, Notification>> {
    let table = field.table()?;
    if table.len() > MAX_TEXTS {
        field.too_many("[notify]", table.len(), MAX_TEXTS);
        return None;
    }
    let without_reason = rows_without_reason(scope.root, "notify");
    let mut names = Names::new("notification", field.report);
    let mut notifications = BTreeMap::new();
    let mut sound = true;
    for (kind, entry) in table.in_order() {
        let named = names.add(kind, entry.key);
        let field =
            Field { name: Name::under("notify", kind), node: &entry.node, span: entry.span(), report: field.report };
        let place = Place::Told { without_reason: without_reason.get(kind).copied() };
        match notification(scope, &field, place).filter(|_| named) {
            Some(notification) => {
                notifications.insert(kind.to_owned(), notification);
            }
            None => sound = false,
        }
    }
    sound.then_some(notifications)
}

fn notification(scope: Scope<'_>, field: &Field<'_>, place: Place<'_>) -> Option<Notification> {
    const URGENCIES: [(&str, Urgency); 3] =
        [("low", Urgency::Low), ("normal", Urgency::Normal), ("high", Urgency::High)];
    let known = ["title", "body", "urgency", "tags", "to"];
    let reader = Reader::new("this notification", field.table()?, field.node.span, &known, field.report);
    let title = reader.required("title", "title = \"…\"").and_then(|field| sentences::read(scope, &field, place));
    let body = match reader.optional("body") {
        Some(field) => sentences::read(scope, &field, place),
        None => title.clone(),
    };
    let urgency = reader.optional("urgency").map_or(Some(Urgency::Normal), |field| field.word(&URGENCIES));
    let tags = match reader.optional("tags") {
        Some(field) => field.texts(MAX_CHECKLIST).map(|tags| tags.into_iter().map(|tag| tag.value).collect()),
        None => Some(Vec::new()),
    };
    let to = match reader.optional("to") {
        Some(field) => doorbells(scope, &field).map(Some),
        None => Some(None),
    };
    Some(Notification { title: title?, body: body?, urgency: urgency?, tags: tags?, to: to? })
}

fn doorbells(scope: Scope<'_>, field: &Field<'_>) -> Option<Vec<Located<String>>> {
    let names = field.texts(MAX_CHECKLIST)?;
    if names.is_empty() {
        field.out_of_range("`to` is empty, so nobody would be told", "name doorbells, or leave it out for every one");
        return None;
    }
    let known = scope.installed.doorbells.as_ref();
    let mut sound = true;
    for name in &names {
        sound &= installed::has(
            known,
            ("doorbell", "doorbells"),
            Code::MissingDoorbell,
            &name.value,
            name.span,
            field.report,
        );
    }
    sound.then_some(names)
}
