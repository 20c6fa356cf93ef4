//! What blocks an issue, and whether it is closed: up to a hundred are asked about at once.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::memory::State;
use super::probe::{aliased, aliased_part, expect_parts, names};
use super::tracker::GithubTracker;
use super::{parse, parts};
use crate::adapters::blocked_by::{Target, blocked_by};
use crate::ports::{Blocker, IssueRef, PortError, PortResult};

/// How many issues one question is about.
const AT_ONCE: usize = 100;

/// A blocker by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// As people are shown it.
    pub shown: String,
    /// Where it is said.
    pub evidence: String,
    /// The issue, `owner/name` in lower case; `None` where it is none that this server could have.
    pub issue: Option<IssueRef>,
    /// Whether it was open when the reading was made, where the reading told.
    #[serde(skip)]
    pub open: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependencies {
    total_count: usize,
    /// `None`: one that afk may not read.
    nodes: Vec<Option<Dependency>>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    number: u64,
    state: String,
    repository: FullName,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FullName {
    name_with_owner: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    issue_or_pull_request: Option<Thing>,
}

#[derive(Debug, Deserialize)]
struct Thing {
    closed: bool,
}

/// The native dependencies of an issue.
pub fn dependencies(dependencies: Option<Dependencies>, repo: &str) -> Vec<Named> {
    let Some(dependencies) = dependencies else { return Vec::new() };
    let evidence = || "dependency".to_owned();
    let mut named: Vec<Named> = Vec::new();
    let listed = dependencies.nodes.len();
    for dependency in dependencies.nodes {
        named.push(match dependency {
            Some(Dependency { number, state, repository }) => {
                let there = repository.name_with_owner.to_ascii_lowercase();
                let shown = if there == repo { format!("#{number}") } else { format!("{there}#{number}") };
                Named {
                    shown,
                    evidence: evidence(),
                    issue: Some(IssueRef { repo: there, number }),
                    open: Some(state != "CLOSED"),
                }
            }
            None => unreadable(),
        });
    }
    if dependencies.total_count > listed {
        named.push(unreadable());
    }
    named.dedup();
    named
}

fn unreadable() -> Named {
    Named {
        shown: "an issue that afk may not read".to_owned(),
        evidence: "dependency".to_owned(),
        issue: None,
        open: None,
    }
}

/// Adds what the body says, as far as it is not known yet.
pub fn add_mentions(blockers: &mut Vec<Named>, body: &str, repo: &str, is_here: &dyn Fn(&str) -> bool) {
    for mention in blocked_by(body) {
        let issue = match &mention.target {
            Target::Here(number) => Some(IssueRef { repo: repo.to_owned(), number: *number }),
            // A bare name is of the same owner.
            Target::Repo { repo: name, number } => {
                let owner = repo.split_once('/').map(|(owner, _)| owner).filter(|_| !name.contains('/'));
                let name = owner.map_or_else(|| name.clone(), |owner| format!("{owner}/{name}"));
                Some(IssueRef { repo: name.to_ascii_lowercase(), number: *number })
            }
            Target::Url { host, repo, number } if is_here(host) => {
                Some(IssueRef { repo: repo.to_ascii_lowercase(), number: *number })
            }
            Target::Url { .. } | Target::Text(_) => None,
        };
        if issue.is_some() && blockers.iter().any(|known| known.issue == issue) {
            continue;
        }
        let shown = match &issue {
            Some(issue) if issue.repo == repo => format!("#{}", issue.number),
            Some(issue) => issue.to_string(),
            None => mention.target.to_string(),
        };
        blockers.push(Named { shown, evidence: format!("body, line {}", mention.line), issue, open: None });
    }
}

impl GithubTracker {
    /// Everything that blocks an issue. What cannot be read blocks.
    pub(super) async fn read_blockers(&self, issue: &IssueRef) -> PortResult<Vec<Blocker>> {
        let reading = self.reading(issue).await?;
        let named = reading.blockers.iter().filter_map(|named| named.issue.as_ref());
        let unasked: BTreeSet<IssueRef> = named.filter(|issue| !self.is_resolved(issue)).cloned().collect();
        self.resolve(&unasked).await?;
        let memory = self.memory();
        let is_open = |named: &Named| {
            let state = named.issue.as_ref().and_then(|issue| memory.contents.blockers.get(&issue.to_string()));
            state.is_none_or(|state| state.open)
        };
        let blocker = |named: &Named| Blocker {
            reference: named.shown.clone(),
            open: is_open(named),
            evidence: named.evidence.clone(),
        };
        Ok(reading.blockers.iter().map(blocker).collect())
    }

    /// Asks for the state of blockers. What room is left in the question is filled up with others that may be asked
    /// about next.
    async fn resolve(&self, wanted: &BTreeSet<IssueRef>) -> PortResult<()> {
        let can_be = |issue: &&IssueRef| parts(&issue.repo).is_ok() && i32::try_from(issue.number).is_ok();
        let mut asked: Vec<IssueRef> = wanted.iter().filter(can_be).cloned().collect();
        if asked.is_empty() {
            return Ok(());
        }
        let room = asked.len().next_multiple_of(AT_ONCE) - asked.len();
        asked.extend(self.unresolved(wanted).iter().filter(can_be).take(room).cloned());
        let mut waiting: Vec<&[IssueRef]> = asked.chunks(AT_ONCE).collect();
        while let Some(chunk) = waiting.pop() {
            let numbers: Vec<String> = (0..chunk.len()).map(|index| format!("$number{index}: Int!")).collect();
            let selection =
                "issueOrPullRequest(number: $number{index}) { ... on Issue { closed } ... on PullRequest { closed } }";
            let question = aliased("Blockers", &numbers.join(", "), chunk.len(), selection);
            let mut variables = names(chunk.iter().map(|issue| issue.repo.as_str()))?;
            for (index, issue) in chunk.iter().enumerate() {
                variables.insert(format!("number{index}"), json!(issue.number));
            }
            let reply = match self.github().ask(&question, Value::Object(variables)).await {
                Err(error) if super::was_too_much(&error) && chunk.len() > 1 => {
                    let (left, right) = chunk.split_at(chunk.len() / 2);
                    waiting.extend([left, right]);
                    continue;
                }
                reply => reply?,
            };
            expect_parts(&reply)?;
            let at = reply.answer.date().ok_or_else(|| PortError::invalid("github: the answer has no `Date`"))?;
            for (index, issue) in chunk.iter().enumerate() {
                let open = match aliased_part(&reply, index).and_then(parse::<Part>) {
                    Ok(Part { issue_or_pull_request: Some(thing) }) => !thing.closed,
                    _ => true,
                };
                self.resolved(issue, State { open, at });
            }
        }
        Ok(())
    }

    /// What blocks any open issue that is known in this tick, and was not asked about yet: those that nothing is known
    /// of first, then those that were open when they were asked about last, longest ago first.
    fn unresolved(&self, but: &BTreeSet<IssueRef>) -> Vec<IssueRef> {
        let memory = self.memory();
        let mut found: BTreeSet<(Option<DateTime<Utc>>, &IssueRef)> = BTreeSet::new();
        let readings = memory.contents.repositories.values().flat_map(|repository| repository.issues.values());
        for blocker in readings.filter(|reading| reading.closed.is_none()).flat_map(|reading| &reading.blockers) {
            let Some(issue) = blocker.issue.as_ref().filter(|issue| !but.contains(issue)) else { continue };
            match memory.contents.blockers.get(&issue.to_string()) {
                Some(state) if state.open => found.insert((Some(state.at), issue)),
                Some(_) => false,
                None => found.insert((None, issue)),
            };
        }
        let found: Vec<IssueRef> = found.into_iter().map(|(_, issue)| issue.clone()).collect();
        drop(memory);
        found.into_iter().filter(|issue| !self.is_resolved(issue)).collect()
    }
}
