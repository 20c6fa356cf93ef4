//! Changing issues. What GitHub answers is read back: some changes it drops without a word.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::parts;
use super::tracker::{GithubTracker, lower};
use crate::adapters::http::api::{Answer, Call};
use crate::policy::facts::IssueStatus;
use crate::policy::{CloseReason, pattern};
use crate::ports::{IssueRef, PortError, PortErrorKind, PortResult, Tracker};
use crate::text::clean_line;

/// The longest comment, in characters.
const LONGEST_COMMENT: usize = 65_536;

#[derive(Debug, Deserialize)]
struct Created {
    id: u64,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Label {
    Name(String),
    Whole { name: Option<String> },
}

#[derive(Debug, Deserialize)]
struct Changed {
    state: String,
}

impl GithubTracker {
    /// Writes to an issue: what was remembered of its repository goes first.
    async fn write(&self, issue: &IssueRef, method: Method, rest: &[&str], body: Option<Value>) -> PortResult<Answer> {
        let (owner, name) = parts(&issue.repo)?;
        self.forget(&issue.repo).await?;
        let path = [["repos", owner, name, "issues"].as_slice(), rest].concat();
        let answer = self.github().rest.send(&Call::write(method, &path, body)).await;
        // Whatever was read while the write was under way may be of before.
        self.forget(&issue.repo).await?;
        answer
    }

    /// [`GithubTracker::write`] to the issue itself. "Not found" has many causes; that the issue is gone is said only
    /// where it is.
    async fn write_issue(&self, issue: &IssueRef, method: Method, rest: &[&str], body: Value) -> PortResult<Answer> {
        let number = issue.number.to_string();
        let rest = [[number.as_str()].as_slice(), rest].concat();
        match self.write(issue, method, &rest, Some(body)).await {
            Err(error) if error.kind == PortErrorKind::NotFound => {
                self.expect_issue(issue).await?;
                Err(PortError::refused(format!(
                    "{}: {issue} is there, and afk's account may not write to it; its token needs `Issues: write`",
                    error.message
                )))
            }
            answer => answer,
        }
    }

    /// The issue is there.
    ///
    /// # Errors
    /// Not found, where there is none.
    pub(super) async fn expect_issue(&self, issue: &IssueRef) -> PortResult<crate::ports::Issue> {
        self.issue(issue).await?.ok_or_else(|| {
            PortError::not_found(format!("github: there is no issue {issue}; it was deleted or moved away"))
        })
    }

    pub(super) async fn write_comment(&self, issue: &IssueRef, body: &str) -> PortResult<String> {
        fits(body)?;
        let answer = self.write_issue(issue, Method::POST, &["comments"], json!({ "body": body })).await?;
        let created: Created = answer.json("github: the comment that was written")?;
        let id = created.id.to_string();
        let at = match answer.date() {
            Some(at) => at,
            None => self.viewer().await?.now,
        };
        self.memory().remember_created(&lower(issue), &id, at);
        Ok(id)
    }

    pub(super) async fn rewrite_comment(&self, issue: &IssueRef, comment: &str, body: &str) -> PortResult<()> {
        fits(body)?;
        if comment.is_empty() || !comment.bytes().all(|byte| byte.is_ascii_digit()) {
            let comment = clean_line(comment, 60);
            return Err(PortError::not_found(format!("github: `{comment}` is no comment of {issue}")));
        }
        let body = json!({ "body": body });
        self.write(issue, Method::PATCH, &["comments", comment], Some(body)).await.map(|_| ())
    }

    pub(super) async fn put_label(&self, issue: &IssueRef, label: &str) -> PortResult<()> {
        let answer = self.write_issue(issue, Method::POST, &["labels"], json!({ "labels": [label] })).await?;
        let labels: Vec<Label> = answer.json("github: the labels of the issue")?;
        let is_on = labels.iter().any(|on| match on {
            Label::Name(name) | Label::Whole { name: Some(name) } => pattern::same(name, label),
            Label::Whole { name: None } => false,
        });
        if is_on {
            return Ok(());
        }
        Err(PortError::refused(format!(
            "github: `{}` was not put on {issue}: GitHub dropped it without a word; afk's account needs at least triage \
             access to the repository",
            clean_line(label, 60)
        )))
    }

    pub(super) async fn take_label(&self, issue: &IssueRef, label: &str) -> PortResult<()> {
        let number = issue.number.to_string();
        match self.write(issue, Method::DELETE, &[&number, "labels", label], None).await {
            Err(error) if error.kind == PortErrorKind::NotFound => {
                // The label is not on the issue, or the issue is not there, or afk may not write to it.
                if self.expect_issue(issue).await?.has_label(label) {
                    return Err(PortError::refused(format!(
                        "{}: the label is on {issue}, and afk's account may not take it off; its token needs `Issues: \
                         write`",
                        error.message
                    )));
                }
                Ok(())
            }
            answer => answer.map(|_| ()),
        }
    }

    /// Closes an issue, or opens it again. One that is closed is left alone: GitHub would give it another reason.
    pub(super) async fn set_closed(&self, issue: &IssueRef, reason: Option<CloseReason>) -> PortResult<()> {
        if reason.is_some() && self.expect_issue(issue).await?.status != IssueStatus::Open {
            return Ok(());
        }
        let (wanted, body) = match reason {
            Some(CloseReason::Completed) => ("closed", json!({ "state": "closed", "state_reason": "completed" })),
            Some(CloseReason::NotPlanned) => ("closed", json!({ "state": "closed", "state_reason": "not_planned" })),
            None => ("open", json!({ "state": "open" })),
        };
        let answer = self.write_issue(issue, Method::PATCH, &[], body).await?;
        let changed: Changed = answer.json("github: the issue that was changed")?;
        if changed.state == wanted {
            return Ok(());
        }
        Err(PortError::refused(format!(
            "github: {issue} is not {wanted}: GitHub dropped the change without a word; afk's account needs write access \
             to the repository"
        )))
    }
}

fn fits(body: &str) -> PortResult<()> {
    match body.chars().count() {
        length if length > LONGEST_COMMENT => Err(PortError::refused(format!(
            "github: a comment may have {LONGEST_COMMENT} characters, and this one has {length}"
        ))),
        _ => Ok(()),
    }
}
