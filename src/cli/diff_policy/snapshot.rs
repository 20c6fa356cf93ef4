//! Today's issues and runs, as `afk poll --dry-run --format json` wrote them. All of it is untrusted: it may have come a
//! long way.

use std::path::Path;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{Arguments, Shape};
use crate::adapters::confined::read_file;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::looking::Looking;
use crate::cli::output::Output;
use crate::cli::{Format, queue};
use crate::engine::select::Candidate;
use crate::policy::facts::{FactName, Given, IssueFact, IssueFacts, Kind, Observed, RunFact, RunFacts};
use crate::policy::{Policy, RepoPattern, duration};
use crate::text::clean_line;
use crate::ticks::survey::survey;

/// The largest snapshot, in bytes.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// The most issues, runs, and members of a set.
const MAX_ENTRIES: usize = 100_000;

/// What was there.
#[derive(Debug)]
pub struct Snapshot {
    /// The policy that it was read under.
    pub revision: Option<String>,
    /// When it was read.
    pub at: Option<DateTime<Utc>>,
    /// The armed issues.
    pub issues: Vec<Candidate>,
    /// The repository of every run in flight.
    pub in_flight: Vec<String>,
    /// The runs in flight of which the facts were read.
    pub runs: Vec<Resting>,
    /// What could not be read, each with what it is about.
    pub problems: Vec<String>,
}

/// A run between two ticks.
#[derive(Debug)]
pub struct Resting {
    /// The number of its issue.
    pub number: i64,
    /// Its state.
    pub state: String,
    /// What rows read.
    pub facts: RunFacts,
    /// A row is being carried out: what comes next is decided already.
    pub pending: bool,
}

/// Reads a snapshot from a file. The inner `Err` says why there is nothing in it: the poll was switched off.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read(path: &Path) -> Result<Result<Snapshot, String>, Failure> {
    let wrong = |message: String| {
        Failure::could_not_run(format!("snapshot `{}`: {message}", path.display()))
            .help("`afk poll --dry-run --format json > snapshot.json` writes one")
    };
    let bytes = read_file(path, MAX_BYTES).map_err(|error| wrong(error.to_string()))?;
    let document: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(format!("not JSON: {error}")))?;
    if let Some(why) = document.get("switched_off").and_then(Value::as_str) {
        return Ok(Err(format!("the snapshot was taken while nothing was read: {}", clean_line(why, 200))));
    }
    of_document(&document).map(Ok).map_err(wrong)
}

/// Reads today from the installation under both policies, without changing anything. The inner `Err` is the status to
/// end with.
///
/// # Errors
/// When settings are wrong, or the tracker cannot be asked.
pub fn live(
    arguments: &Arguments,
    old: &Policy,
    new: &Policy,
    out: &mut Output,
) -> Result<Result<(Snapshot, Snapshot), ExitStatus>, Failure> {
    let format = if arguments.format == Shape::Json { Format::Json } else { Format::Human };
    let mut looking = match Looking::open(&arguments.policy, &arguments.settings, format, out)? {
        Ok(looking) => looking,
        Err(status) => return Ok(Err(status)),
    };
    let mut under = |policy: &Policy| {
        looking.policy = policy.clone();
        looking.policy.kill_switch.value = false;
        // Through the very document, so that both ways show the same.
        let document = looking.look(async |tick| {
            let survey = survey(tick, None).await?;
            let runs = queue::runs(tick, &survey.fleet).await;
            Ok(Value::Object(queue::snapshot(tick.policy, &survey, runs, tick.started)))
        })?;
        of_document(&document).map_err(|message| Failure::could_not_run(format!("today's state: {message}")))
    };
    Ok(Ok((under(old)?, under(new)?)))
}

fn of_document(document: &Value) -> Result<Snapshot, String> {
    let object = document.as_object().ok_or("it is not an object")?;
    let issues = list(object, "issues")?
        .iter()
        .enumerate()
        .map(|(index, issue)| self::issue(issue).map_err(|error| format!("issue {}: {error}", index + 1)));
    let issues = issues.collect::<Result<_, _>>()?;
    let in_flight = list(object, "in_flight")?.iter().map(repository).collect::<Result<_, _>>()?;
    let runs = list(object, "runs")?;
    let runs = runs
        .iter()
        .enumerate()
        .map(|(index, run)| self::run(run).map_err(|error| format!("run {}: {error}", index + 1)));
    let revision = object.get("revision").and_then(Value::as_str).map(str::to_owned);
    let problems = object.get("problems").and_then(Value::as_array).into_iter().flatten();
    let problems = problems.take(MAX_ENTRIES).filter_map(Value::as_str).map(|one| clean_line(one, 500)).collect();
    let runs = runs.collect::<Result<_, _>>()?;
    Ok(Snapshot { revision, at: time(object, "at")?, issues, in_flight, runs, problems })
}

fn list<'v>(object: &'v Map<String, Value>, key: &str) -> Result<&'v [Value], String> {
    match object.get(key) {
        Some(Value::Array(values)) if values.len() <= MAX_ENTRIES => Ok(values),
        Some(Value::Array(_)) => Err(format!("`{key}` has more than {MAX_ENTRIES} entries")),
        Some(_) => Err(format!("`{key}` is not a list")),
        None => Err(format!("it has no `{key}`; it may be of another command, or of an older afk")),
    }
}

fn time(object: &Map<String, Value>, key: &str) -> Result<Option<DateTime<Utc>>, String> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => match DateTime::parse_from_rfc3339(text) {
            Ok(time) => Ok(Some(time.to_utc())),
            Err(_) => Err(format!("`{key}` is not a time")),
        },
        Some(_) => Err(format!("`{key}` is not a time")),
    }
}

fn repository(value: &Value) -> Result<String, String> {
    let text = value.as_str().ok_or("a repository is not a text")?;
    match RepoPattern::parse(text) {
        Ok(pattern) if pattern.is_exact() => Ok(text.to_owned()),
        _ => Err(format!("`{}` is not a repository", clean_line(text, 100))),
    }
}

fn issue(value: &Value) -> Result<Candidate, String> {
    let object = value.as_object().ok_or("not an object")?;
    let facts = facts_of(object)?;
    let repo = repository(facts.get("repo").ok_or("its facts have no `repo`")?)?;
    let number = facts.get("number").and_then(Value::as_i64).ok_or("its facts have no `number`")?;
    let mut read = unread(repo, number);
    for fact in IssueFact::ALL {
        if let Some(value) = given(*fact, facts)?
            && !read.set(*fact, value)
        {
            return Err(format!("fact `{}` cannot be unknown", fact.spec().name));
        }
    }
    Ok(Candidate { facts: read, armed_at: time(object, "armed_at")?, created_at: time(object, "created_at")? })
}

fn unread(repo: String, number: i64) -> IssueFacts {
    IssueFacts {
        repo,
        number,
        labels: Observed::NotRead,
        armed_by: Observed::NotRead,
        trusted: Observed::NotRead,
        author: Observed::NotRead,
        author_trusted: Observed::NotRead,
        assignees: Observed::NotRead,
        priority: Observed::NotRead,
        open_blockers: Observed::NotRead,
        has_run: Observed::NotRead,
        already_run: Observed::NotRead,
        in_flight_in_repo: Observed::NotRead,
        in_flight: Observed::NotRead,
        edited_since_armed: Observed::NotRead,
        age: Observed::NotRead,
        armed_for: Observed::NotRead,
    }
}

fn run(value: &Value) -> Result<Resting, String> {
    let object = value.as_object().ok_or("not an object")?;
    let facts = facts_of(object)?;
    let repo = repository(facts.get("repo").ok_or("its facts have no `repo`")?)?;
    let number = object.get("number").and_then(Value::as_i64).ok_or("it has no `number`")?;
    let state = object.get("state").and_then(Value::as_str).ok_or("it has no `state`")?;
    let mut read = RunFacts::harmless(&repo, "", "");
    for fact in RunFact::ALL {
        let name = fact.spec().name;
        // What is left out would be harmless, and that nobody said.
        let value = given(*fact, facts)?.unwrap_or(Given::Unknown("not read".to_owned()));
        if !read.set(*fact, value) {
            return Err(format!("fact `{name}` has no value"));
        }
    }
    let pending = object.get("pending").and_then(Value::as_bool).unwrap_or(false);
    Ok(Resting { number, state: clean_line(state, 100), facts: read, pending })
}

fn facts_of(object: &Map<String, Value>) -> Result<&Map<String, Value>, String> {
    object.get("facts").and_then(Value::as_object).ok_or_else(|| "it has no `facts`".to_owned())
}

/// The value of a fact, of its type; `None` where it was not read.
fn given<F: FactName>(fact: F, facts: &Map<String, Value>) -> Result<Option<Given>, String> {
    let spec = fact.spec();
    let wrong = || format!("fact `{}` is no {}", spec.name, spec.kind.name());
    let Some(value) = facts.get(spec.name) else { return Ok(None) };
    if let Some(unknown) = value.as_object() {
        let why = unknown.get("why").and_then(Value::as_str).unwrap_or("unknown");
        return Ok((why != "not read").then(|| Given::Unknown(clean_line(why, 500))));
    }
    let text = || value.as_str().map(|text| clean_line(text, 300)).ok_or_else(wrong);
    Ok(Some(match spec.kind {
        Kind::Bool => Given::Bool(value.as_bool().ok_or_else(wrong)?),
        Kind::Int => Given::Int(value.as_i64().ok_or_else(wrong)?),
        Kind::Number => Given::Number(value.as_f64().filter(|number| number.is_finite()).ok_or_else(wrong)?),
        Kind::Duration => Given::Duration(duration::parse(&text()?).map_err(|_| wrong())?),
        Kind::Repo => Given::Text(repository(value)?),
        Kind::Login => Given::Text(text()?),
        Kind::Enum(words) => Given::Text(text().ok().filter(|word| words.contains(&word.as_str())).ok_or_else(wrong)?),
        Kind::Set(_) => {
            let members = value.as_array().filter(|members| members.len() <= MAX_ENTRIES).ok_or_else(wrong)?;
            let members = members.iter().map(|one| one.as_str().map(|text| clean_line(text, 300)).ok_or_else(wrong));
            Given::Set(members.collect::<Result<_, _>>()?)
        }
    }))
}
