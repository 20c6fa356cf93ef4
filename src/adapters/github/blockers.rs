//! Whether the issues that block another are closed: up to a hundred at once.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::memory::State;
use super::probe::{aliased, aliased_part, expect_parts, names};
use super::tracker::GithubTracker;
use super::{parse, parts};
use crate::ports::PortResult;

/// How many issues one question is about.
const AT_ONCE: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    issue_or_pull_request: Option<Thing>,
}

#[derive(Debug, Deserialize)]
struct Thing {
    closed: bool,
}

impl GithubTracker {
    /// Asks for the state of issues that block others; of those that can be read, it is known in the end. The rest of
    /// the question is filled up with others that may be asked about next.
    pub(super) async fn resolve(&self, wanted: &BTreeSet<(String, u64)>) -> PortResult<()> {
        let can_be = |(repo, number): &&(String, u64)| parts(repo).is_ok() && i32::try_from(*number).is_ok();
        let mut asked: Vec<(String, u64)> = wanted.iter().filter(can_be).cloned().collect();
        if asked.is_empty() {
            return Ok(());
        }
        let room = asked.len().next_multiple_of(AT_ONCE) - asked.len();
        let others = self.unresolved(wanted);
        asked.extend(others.iter().filter(can_be).take(room).cloned());
        for chunk in asked.chunks(AT_ONCE) {
            let numbers: String = (0..chunk.len()).map(|index| format!(", $number{index}: Int!")).collect();
            let selection =
                "issueOrPullRequest(number: $number{index}) { ... on Issue { closed } ... on PullRequest { closed } }";
            let question = aliased("Blockers", numbers.trim_start_matches(", "), chunk.len(), selection);
            let mut variables = names(chunk.iter().map(|(repo, _)| repo.as_str()))?;
            for (index, (_, number)) in chunk.iter().enumerate() {
                variables.insert(format!("number{index}"), json!(number));
            }
            let reply = self.github().ask(&question, Value::Object(variables)).await?;
            expect_parts(&reply)?;
            for (index, (repo, number)) in chunk.iter().enumerate() {
                let thing = aliased_part(&reply, index).and_then(parse::<Part>);
                // One that cannot be read blocks.
                let open = match thing {
                    Ok(Part { issue_or_pull_request: Some(thing) }) => !thing.closed,
                    _ => true,
                };
                let at = reply.answer.date().unwrap_or_default();
                self.resolved(repo, *number, State { open, at });
            }
        }
        Ok(())
    }
}
