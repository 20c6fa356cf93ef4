//! Whether anything changed: one question for up to a hundred repositories at once.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::memory::{Fingerprint, ListKey};
use super::{Github, GraphqlError, Reply, parse, parts};
use crate::ports::{PortError, PortResult};
use crate::text::clean_line;

/// How many repositories one question is about.
const AT_ONCE: usize = 100;
/// Changes within one second carry the same time, and what was read may lag behind: a list that changed more recently
/// than this before it was probed is not trusted to be as it was.
const SETTLED: TimeDelta = TimeDelta::seconds(2);

/// What a repository says of one list.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The immutable id of the repository.
    pub id: u64,
    /// Of the list.
    pub fingerprint: Fingerprint,
    /// The server's clock.
    pub at: DateTime<Utc>,
}

impl Probe {
    /// Whether the list would show another fingerprint after any change from now on.
    pub fn is_settled(&self) -> bool {
        self.fingerprint.newest.is_none_or(|(_, changed)| self.at.signed_duration_since(changed) >= SETTLED)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probed {
    database_id: u64,
    name_with_owner: String,
    issues: Issues,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Issues {
    total_count: u64,
    nodes: Vec<Newest>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Newest {
    number: u64,
    updated_at: DateTime<Utc>,
}

/// The question about several repositories at once. Their names are variables, never text of it.
pub fn aliased(operation: &str, more: &str, count: usize, selection: &str) -> String {
    let declared: String = (0..count).map(|index| format!(", $owner{index}: String!, $name{index}: String!")).collect();
    let asked: String = (0..count)
        .map(|index| {
            let selection = selection.replace("{index}", &index.to_string());
            format!("  r{index}: repository(owner: $owner{index}, name: $name{index}) {{ {selection} }}\n")
        })
        .collect();
    format!(
        "query {operation}({}) {{\n{asked}  rateLimit {{ cost }}\n}}\n",
        format!("{more}{declared}").trim_start_matches(", ")
    )
}

/// The variables of an aliased question.
pub fn names<'a>(repos: impl IntoIterator<Item = &'a str>) -> PortResult<Map<String, Value>> {
    let mut variables = Map::new();
    for (index, repo) in repos.into_iter().enumerate() {
        let (owner, name) = parts(repo)?;
        variables.insert(format!("owner{index}"), json!(owner));
        variables.insert(format!("name{index}"), json!(name));
    }
    Ok(variables)
}

/// The data of one alias, or what went wrong with it.
pub fn aliased_part(reply: &Reply, index: usize) -> PortResult<Value> {
    let alias = format!("r{index}");
    let is_of_this = |error: &&GraphqlError| error.path.first().is_some_and(|part| *part == *alias);
    if let Some(error) = reply.errors.iter().find(is_of_this) {
        return Err(error.into());
    }
    match reply.data.get(&alias) {
        Some(Value::Null) | None => Err(PortError::invalid("github: GraphQL left out a part of its answer")),
        Some(part) => Ok(part.clone()),
    }
}

/// An aliased question was answered at all: what went wrong is about single aliases.
///
/// # Errors
/// What went wrong with all of it.
pub fn expect_parts(reply: &Reply) -> PortResult<()> {
    let is_alias =
        |part: &Value| part.as_str().and_then(|part| part.strip_prefix('r')?.parse::<usize>().ok()).is_some();
    match reply.errors.iter().find(|error| !error.path.first().is_some_and(is_alias)) {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// A repository that is now called otherwise.
///
/// # Errors
/// It is: policies are by name, so somebody has to decide.
pub fn expect_name(asked: &str, is: &str) -> PortResult<()> {
    if asked.eq_ignore_ascii_case(is) {
        return Ok(());
    }
    let is = clean_line(is, 150);
    Err(PortError::refused(format!(
        "github: {asked} is called {is} now; write `{is}` in the policy, for its rules are by name"
    )))
}

/// A repository that cannot be read is not one without issues.
pub fn unreadable_repository(repo: &str, why: &PortError) -> PortError {
    PortError::refused(format!("{}: there is no repository {repo}, or afk's account may not read it", why.message))
}

impl Github {
    /// Probes one list of each of several repositories.
    pub async fn probe(&self, repos: &[String], label: &str, key: &ListKey) -> BTreeMap<String, PortResult<Probe>> {
        let mut found = BTreeMap::new();
        let mut waiting: Vec<&[String]> = repos.chunks(AT_ONCE).collect();
        while let Some(chunk) = waiting.pop() {
            match self.probe_chunk(chunk, label, key).await {
                Ok(probes) => found.extend(chunk.iter().cloned().zip(probes)),
                Err(error) if super::was_too_much(&error) && chunk.len() > 1 => {
                    let (left, right) = chunk.split_at(chunk.len() / 2);
                    waiting.extend([left, right]);
                }
                Err(error) => found.extend(chunk.iter().map(|repo| (repo.clone(), Err(error.clone())))),
            }
        }
        found
    }

    async fn probe_chunk(&self, repos: &[String], label: &str, key: &ListKey) -> PortResult<Vec<PortResult<Probe>>> {
        let question = aliased("Probe", "$labels: [String!], $states: [IssueState!]", repos.len(), "...Probed");
        let mut variables = names(repos.iter().map(String::as_str))?;
        variables.insert("labels".to_owned(), json!([label]));
        variables.insert("states".to_owned(), states(key));
        let document = format!("{question}{}", include_str!("probed.graphql"));
        let reply = self.ask(&document, Value::Object(variables)).await?;
        expect_parts(&reply)?;
        let at = reply.answer.date().ok_or_else(|| PortError::invalid("github: the answer has no `Date`"))?;
        let probe = |(index, repo): (usize, &String)| {
            let part = aliased_part(&reply, index).map_err(|error| match error.kind {
                crate::ports::PortErrorKind::NotFound => unreadable_repository(repo, &error),
                _ => error,
            })?;
            let probed: Probed = parse(part)?;
            expect_name(repo, &probed.name_with_owner)?;
            let newest = probed.issues.nodes.first().map(|issue| (issue.number, issue.updated_at));
            let fingerprint = Fingerprint { count: probed.issues.total_count, newest };
            Ok(Probe { id: probed.database_id, fingerprint, at })
        };
        Ok(repos.iter().enumerate().map(probe).collect())
    }
}

/// The states of a list.
pub fn states(key: &ListKey) -> Value {
    if key.only_open { json!(["OPEN"]) } else { Value::Null }
}
