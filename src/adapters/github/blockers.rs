//! What blocks an issue, and whether it is closed: up to a hundred are asked about at once.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::probe::{aliased, aliased_part, expect_parts, names};
use super::tracker::{GithubTracker, Known};
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
    ///
    /// An issue that was asked for by itself gets what the server says now. Others may be denied by a blocker that was open
    /// when it was asked about last, and those that are remembered by what is remembered: so what a tick asks does not
    /// grow with the number of issues, and every blocker has its turn.
    pub(super) async fn read_blockers(&self, issue: &IssueRef) -> PortResult<Vec<Blocker>> {
        let reading = self.reading(issue).await?;
        let how = self.how_known(issue);
        let now = self.viewer().await?.now;
        let named = reading.blockers.iter().filter_map(|named| named.issue.as_ref());
        let unasked: BTreeSet<IssueRef> = named.filter(|issue| !self.is_resolved(issue)).cloned().collect();
        if !unasked.is_empty() && (how == Known::Asked || self.may_resolve()) {
            self.resolve(&unasked).await?;
        }
        let is_closed = |issue: &IssueRef| {
            self.memory().blocks(issue, now);
            let state = self.memory().blocker(issue);
            state.is_some_and(|state| !state.open) && (how == Known::Remembered || self.is_resolved(issue))
        };
        let blocker = |named: &Named| Blocker {
            reference: named.shown.clone(),
            open: !named.issue.as_ref().is_some_and(is_closed),
            evidence: named.evidence.clone(),
        };
        Ok(reading.blockers.iter().map(blocker).collect())
    }

    /// Asks for the state of blockers. What room is left in the question is filled up with others.
    async fn resolve(&self, wanted: &BTreeSet<IssueRef>) -> PortResult<()> {
        let can_be = |issue: &&IssueRef| parts(&issue.repo).is_ok() && i32::try_from(issue.number).is_ok();
        let mut asked: Vec<IssueRef> = wanted.iter().filter(can_be).cloned().collect();
        if asked.is_empty() {
            return Ok(());
        }
        let room = asked.len().next_multiple_of(AT_ONCE) - asked.len();
        let others = self.memory().unsettled_blockers();
        let others = others.iter().filter(|issue| !wanted.contains(issue) && !self.is_resolved(issue));
        asked.extend(others.filter(can_be).take(room).cloned());
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
                self.resolved(issue, open, at);
            }
        }
        Ok(())
    }
}
