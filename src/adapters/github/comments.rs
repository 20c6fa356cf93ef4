//! Reading comments: where people say more, and where records are.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::memory::OwnComment;
use super::parts;
use super::reading::known;
use super::tracker::{GithubTracker, lower};
use crate::adapters::http::api::Call;
use crate::ports::{Comment, IssueRef, PortError, PortErrorKind, PortResult};

#[derive(Debug, Deserialize)]
struct Account {
    login: String,
}

#[derive(Debug, Deserialize)]
struct RestComment {
    id: u64,
    user: Option<Account>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    body: Option<String>,
}

impl GithubTracker {
    /// Every comment of an issue.
    pub(super) async fn read_comments(&self, issue: &IssueRef) -> PortResult<Vec<OwnComment>> {
        let (owner, name) = parts(&issue.repo)?;
        let number = issue.number.to_string();
        let path = ["repos", owner, name, "issues", &number, "comments"];
        let call = Call::get(&path).query(&[("per_page", "100")]);
        match self.github().rest.pages::<RestComment>(&call).await {
            Ok(comments) => Ok(comments
                .into_iter()
                .map(|comment| OwnComment {
                    id: comment.id.to_string(),
                    author: comment.user.and_then(|user| known(user.login)),
                    at: comment.created_at,
                    updated_at: comment.updated_at,
                    body: comment.body.unwrap_or_default(),
                })
                .collect()),
            Err(error) if error.kind == PortErrorKind::NotFound => {
                self.expect_issue(issue).await?;
                Err(PortError::refused(format!("{}: its comments cannot be read", error.message)))
            }
            Err(error) => Err(error),
        }
    }

    /// afk's own comments: nothing is asked where the reading of the issue shows that there are none, or that they are
    /// as they are remembered.
    pub(super) async fn read_own_comments(&self, issue: &IssueRef) -> PortResult<Vec<Comment>> {
        let reading = self.reading(issue).await?;
        if reading.own_comments.is_empty() {
            return Ok(Vec::new());
        }
        let issue = lower(issue);
        let is_as_read = |comments: &Vec<OwnComment>| {
            let times = comments.iter().map(|comment| (&comment.id, &comment.updated_at));
            times.eq(reading.own_comments.iter().map(|(id, at)| (id, at)))
        };
        let kept = self.memory().own_comments(&issue.repo, issue.number).filter(|all| is_as_read(all)).cloned();
        if let Some(kept) = kept {
            return Ok(kept.iter().map(Comment::from).collect());
        }
        let afk = self.viewer().await?.login;
        let mut comments = self.read_comments(&issue).await?;
        comments.retain(|comment| comment.author.as_ref().is_some_and(|author| author.eq_ignore_ascii_case(&afk)));
        let own = comments.iter().map(Comment::from).collect();
        if is_as_read(&comments) {
            self.memory().repository(&issue.repo).comments.insert(issue.number, comments);
        }
        Ok(own)
    }
}
