//! The exchanges that were recorded with real servers, and what was said held against them: what afk sends has the members
//! that were seen to be accepted, and what the fake answers has the shape of what a real server answered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::Generation;
use super::desk::Exchange;

/// One recorded exchange.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The name of its file, without the ending.
    pub name: String,
    pub note: String,
    pub request: Value,
    pub response: Value,
    /// Of a WebSocket.
    pub frames: Value,
}

/// Where the contracts of the project lie.
fn directory() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/contracts");
    std::env::var_os("AFK_CONTRACTS").map_or_else(beside, PathBuf::from)
}

/// Everything that was recorded of a generation, in the order of its names; `None`, and that is said, where it is not
/// there.
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
pub fn recordings(generation: Generation) -> Option<Vec<Recording>> {
    let folder = directory().join("t3").join(generation.folder());
    let Ok(entries) = std::fs::read_dir(&folder) else {
        let in_ci = ["CI", "AFK_CONTRACTS"].into_iter().any(|name| std::env::var_os(name).is_some());
        assert!(!in_ci, "CI must hold the fake to the recordings: there is no {}", folder.display());
        eprintln!("SKIPPED: nothing is held to recordings of T3, for there is no {}", folder.display());
        return None;
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let recordings = paths.iter().map(|path| {
        let mut whole: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        Recording {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            note: whole["note"].as_str().unwrap_or_default().to_owned(),
            request: whole["request"].take(),
            response: whole["response"].take(),
            frames: whole["frames"].take(),
        }
    });
    Some(recordings.collect())
}

/// What was not recorded of a generation and the fake says all the same: there is no cursor where there is nothing before,
/// the facts say that a session of v0.0.27 can be starting, and that main resolves questions as v0.0.27 does.
const GUESSED: [(&str, &str); 3] = [("beforeCursor", "null"), ("status", "starting"), ("kind", "user-input.resolved")];

/// What the values of fields were seen to be, by name, wherever they stand: a thread is the same thing in every listing.
#[derive(Debug, Default)]
struct Elsewhere {
    kinds: BTreeMap<String, BTreeSet<&'static str>>,
    words: BTreeMap<String, BTreeSet<String>>,
}

impl Elsewhere {
    fn learn(&mut self, name: &str, value: &Value) {
        self.kinds.entry(name.to_owned()).or_default().insert(kind(value));
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| self.learn(name, value)),
            Value::Array(items) => items.iter().for_each(|item| self.learn("", item)),
            Value::String(word) if WORDS.contains(&name) => {
                self.words.entry(name.to_owned()).or_default().insert(word.clone());
            }
            _ => {}
        }
    }

    fn has_kind(&self, name: &str, value: &Value) -> bool {
        self.kinds.get(name).is_some_and(|kinds| kinds.contains(kind(value)))
    }

    fn has_word(&self, name: &str, word: &str) -> bool {
        self.words.get(name).is_some_and(|words| words.contains(word))
    }
}

/// What the values at one place look like.
#[derive(Debug, Default)]
struct Shape {
    kinds: BTreeSet<&'static str>,
    objects: usize,
    /// Each with how many of the objects have it.
    fields: BTreeMap<String, (Shape, usize)>,
    /// Elements by what tells them apart.
    items: BTreeMap<String, Shape>,
    words: BTreeSet<String>,
}

/// Fields whose values are words of the contract.
const WORDS: [&str; 10] =
    ["state", "status", "kind", "tone", "role", "_tag", "code", "reason", "requestKind", "providerName"];
/// Objects whose keys are anybody's.
const FREE: [&str; 1] = ["answers"];

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What tells an element of a list from others: the kind of an activity, the role of a message.
fn discriminator(value: &Value) -> String {
    ["kind", "role"].into_iter().find_map(|field| value[field].as_str()).unwrap_or_default().to_owned()
}

impl Shape {
    fn learn(&mut self, name: &str, value: &Value) {
        self.kinds.insert(kind(value));
        match value {
            Value::Object(fields) if !FREE.contains(&name) => {
                self.objects += 1;
                for (field, value) in fields {
                    let (shape, count) = self.fields.entry(field.clone()).or_default();
                    shape.learn(field, value);
                    *count += 1;
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.items.entry(discriminator(item)).or_default().learn("", item);
                }
            }
            Value::String(word) if WORDS.contains(&name) => drop(self.words.insert(word.clone())),
            _ => {}
        }
    }

    fn violations(&self, known: &Elsewhere, at: &str, name: &str, value: &Value, found: &mut Vec<String>) {
        let here = self.kinds.contains(kind(value));
        if !here && !known.has_kind(name, value) && !GUESSED.contains(&(name, kind(value))) {
            found.push(format!("{at} is {}, and was only seen as {:?}", kind(value), self.kinds));
            return;
        }
        match value {
            Value::Object(fields) if !FREE.contains(&name) => {
                for (field, value) in fields {
                    match self.fields.get(field) {
                        Some((shape, _)) => shape.violations(known, &format!("{at}.{field}"), field, value, found),
                        None => found.push(format!("{at}.{field} was never seen")),
                    }
                }
                let always = self.fields.iter().filter(|(_, (_, count))| *count == self.objects);
                found.extend(
                    always
                        .filter(|(field, _)| !fields.contains_key(*field))
                        .map(|(field, _)| format!("{at}.{field} was always there")),
                );
            }
            Value::Array(items) => {
                for item in items {
                    let key = discriminator(item);
                    match self.items.get(&key) {
                        Some(shape) => shape.violations(known, &format!("{at}[{key}]"), "", item, found),
                        None if GUESSED.contains(&("kind", &key)) => {}
                        None => found.push(format!("{at}[{key}] was never seen")),
                    }
                }
            }
            Value::String(word)
                if WORDS.contains(&name) && !self.words.contains(word) && !known.has_word(name, word) =>
            {
                found.push(format!("{at} is {word:?}, and was only seen as {:?}", self.words));
            }
            _ => {}
        }
    }
}

/// The shapes of all recordings of a generation.
#[derive(Debug)]
pub struct Contract {
    /// Answers, by request and status.
    answers: BTreeMap<String, Shape>,
    types: BTreeMap<String, BTreeSet<Option<String>>>,
    /// Commands that were not refused for their looks, by type.
    commands: BTreeMap<String, Shape>,
    elsewhere: Elsewhere,
}

/// Refusals look alike wherever they come from.
fn place(method: &str, path: &str, status: u64) -> String {
    match path.split('?').next().unwrap_or_default() {
        _ if status >= 400 => status.to_string(),
        path if path.starts_with("/api/orchestration/threads/") => format!("{method} thread {status}"),
        path => format!("{method} {path} {status}"),
    }
}

static V0_0_27: LazyLock<Option<Contract>> = LazyLock::new(|| Contract::read(Generation::V0_0_27));
static MAIN: LazyLock<Option<Contract>> = LazyLock::new(|| Contract::read(Generation::Main));

impl Contract {
    /// That of a generation; `None`, and that is said, where there are no recordings.
    pub fn open(generation: Generation) -> Option<&'static Self> {
        match generation {
            Generation::V0_0_27 => V0_0_27.as_ref(),
            Generation::Main => MAIN.as_ref(),
        }
    }

    fn read(generation: Generation) -> Option<Self> {
        let mut contract = Self {
            answers: BTreeMap::new(),
            types: BTreeMap::new(),
            commands: BTreeMap::new(),
            elsewhere: Elsewhere::default(),
        };
        let recordings = recordings(generation)?;
        for recording in &recordings {
            contract.elsewhere.learn("", &recording.response["body"]);
            contract.elsewhere.learn("", &recording.frames);
        }
        for recording in recordings.iter().filter(|recording| recording.request.is_object()) {
            let Recording { request, response, .. } = recording;
            let status = response["status"].as_u64().unwrap();
            let place = place(request["method"].as_str().unwrap(), request["path"].as_str().unwrap(), status);
            let kind = response["headers"]["content-type"].as_str().map(str::to_owned);
            contract.types.entry(place.clone()).or_default().insert(kind);
            if !response["body"].is_string() {
                contract.answers.entry(place).or_default().learn("", &response["body"]);
            }
            // What is refused for its looks gets no body.
            let command = request["body"]["type"].as_str().filter(|_| response["body"].is_object());
            // What was sent to see whether it is dropped is no example.
            if let Some(command) = command.filter(|_| recording.name != "dispatch-extra-fields") {
                contract.commands.entry(command.to_owned()).or_default().learn("", &request["body"]);
            }
        }
        Some(contract)
    }

    /// What of the exchanges was never seen with a real server.
    pub fn violations(&self, log: &[Exchange]) -> Vec<String> {
        let mut found: Vec<String> =
            log.iter().filter(|exchange| !exchange.spoilt).flat_map(|exchange| self.judge(exchange)).collect();
        found.sort();
        found.dedup();
        found
    }

    /// The same, of what the server said alone.
    pub fn answers_violations(&self, log: &[Exchange]) -> Vec<String> {
        log.iter().flat_map(|exchange| self.judge_answer(exchange)).collect()
    }

    fn judge(&self, exchange: &Exchange) -> Vec<String> {
        let mut found = self.judge_answer(exchange);
        if let (Some(command), Some(body)) = (&exchange.command, &exchange.body) {
            match self.commands.get(command) {
                Some(shape) => shape.violations(&self.elsewhere, command, "", body, &mut found),
                None => found.push(format!("{command} was never accepted")),
            }
        }
        found
    }

    fn judge_answer(&self, exchange: &Exchange) -> Vec<String> {
        let mut found = Vec::new();
        let place = place(&exchange.method, &exchange.path, exchange.status.into());
        // Where there is nothing else, there is the web UI, or its absence.
        let unknown = format!("GET /api/orchestration/nothing {}", exchange.status);
        match self.types.get(&place).or_else(|| self.types.get(&unknown)) {
            Some(types) if types.contains(&exchange.content_type) => {}
            known => found.push(format!("{place} came as {:?}, and was seen as {known:?}", exchange.content_type)),
        }
        if let (Some(shape), Some(answer)) = (self.answers.get(&place), &exchange.answer) {
            shape.violations(&self.elsewhere, &place, "", answer, &mut found);
        }
        found
    }
}

/// Whether an answer says the same as a recorded one, but for ids, times and places of machines.
pub fn differences(at: &str, recorded: &Value, given: &Value, found: &mut Vec<String>) {
    match (recorded, given) {
        (Value::Object(recorded), Value::Object(given)) => {
            let names: BTreeSet<&String> = recorded.keys().chain(given.keys()).collect();
            let of = |fields: &Map<String, Value>, name: &str| fields.get(name).cloned();
            for name in names {
                let at = format!("{at}.{name}");
                match (of(recorded, name), of(given, name)) {
                    (Some(recorded), Some(given)) => differences(&at, &recorded, &given, found),
                    (recorded, given) => found.push(format!("{at}: {recorded:?} was recorded, {given:?} given")),
                }
            }
        }
        (Value::Array(recorded), Value::Array(given)) => {
            // The order of a list is not the order of events.
            let sorted = |items: &[Value]| {
                let mut items = items.to_vec();
                items.sort_by_key(|item| {
                    (discriminator(item), item["payload"]["status"].to_string(), item["text"].to_string())
                });
                items
            };
            if recorded.len() != given.len() {
                found.push(format!("{at}: {recorded:?} was recorded, {given:?} given"));
                return;
            }
            for (at_item, (recorded, given)) in sorted(recorded).iter().zip(&sorted(given)).enumerate() {
                differences(&format!("{at}[{at_item}]"), recorded, given, found);
            }
        }
        (Value::String(recorded), Value::String(given)) => {
            let (recorded, given) = (scrubbed(recorded), scrubbed(given));
            // A recording that was cut says how it went on.
            let cut = recorded.split_once(" …").or_else(|| recorded.split_once('<'));
            let same = match cut {
                Some((start, _)) => given.starts_with(start.trim_end()),
                None => recorded == given,
            };
            if !same {
                found.push(format!("{at}: {recorded:?} was recorded, {given:.300?} given"));
            }
        }
        _ if recorded == given => {}
        _ => found.push(format!("{at}: {recorded} was recorded, {given} given")),
    }
}

/// Without ids, times and hashes.
fn scrubbed(text: &str) -> String {
    if chrono::DateTime::parse_from_rfc3339(text).is_ok() {
        return "TIME".to_owned();
    }
    let is_id = |word: &str| word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let mut out = String::new();
    let mut word = String::new();
    for letter in text.chars().chain(['\0']) {
        if letter.is_ascii_alphanumeric() || letter == '-' {
            word.push(letter);
            continue;
        }
        out.push_str(if is_id(&word) { "ID" } else { &word });
        word.clear();
        out.push(letter);
    }
    out.pop();
    // The name of a checkpoint holds the thread's id in base 64.
    match out.strip_prefix("refs/t3/checkpoints/").and_then(|rest| rest.split_once('/')) {
        Some((_, turn)) => format!("refs/t3/checkpoints/ID/{turn}"),
        None => out,
    }
}
