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

impl From<RestComment> for OwnComment {
    fn from(comment: RestComment) -> Self {
        Self {
            id: comment.id.to_string(),
            author: comment.user.and_then(|user| known(user.login)),
            at: comment.created_at,
            updated_at: comment.updated_at,
            body: comment.body.unwrap_or_default(),
        }
    }
}

impl GithubTracker {
    /// Every comment of an issue.
    pub(super) async fn read_comments(&self, issue: &IssueRef) -> PortResult<Vec<OwnComment>> {
        let pages = match self.read_pages(issue, "100").await {
            // A hundred of the longest are more than one answer may have.
            Err(error) if super::was_too_much(&error) => self.read_pages(issue, "10").await,
            pages => pages,
        };
        match pages {
            Ok(comments) => Ok(comments.into_iter().map(OwnComment::from).collect()),
            Err(error) if error.kind == PortErrorKind::NotFound => {
                self.expect_issue(issue).await?;
                Err(PortError::refused(format!("{}: its comments cannot be read", error.message)))
            }
            Err(error) => Err(error),
        }
    }

    async fn read_pages(&self, issue: &IssueRef, a_page: &str) -> PortResult<Vec<RestComment>> {
        let (owner, name) = parts(&issue.repo)?;
        let number = issue.number.to_string();
        let path = ["repos", owner, name, "issues", &number, "comments"];
        self.github().rest.pages(&Call::get(&path).query(&[("per_page", a_page)])).await
    }

    async fn read_comment(&self, issue: &IssueRef, id: &str) -> PortResult<OwnComment> {
        let (owner, name) = parts(&issue.repo)?;
        let answer = self.github().rest.send(&Call::get(&["repos", owner, name, "issues", "comments", id])).await?;
        Ok(answer.json::<RestComment>("github: a comment")?.into())
    }

    /// afk's own comments, each by its id: how many others there are, and how long, is up to anybody. Nothing is asked
    /// where the reading of the issue shows that there are none, or that they are as they are remembered.
    pub(super) async fn read_own_comments(&self, issue: &IssueRef) -> PortResult<Vec<Comment>> {
        let issue = lower(issue);
        match self.read_each(&issue).await {
            // One may have been deleted since the issue was read.
            Err(error) if error.kind == PortErrorKind::NotFound => {
                self.expect_issue(&issue).await?;
                self.read_each(&issue).await.map_err(|error| match error.kind {
                    PortErrorKind::NotFound => {
                        PortError::unreachable(format!("{}: a comment of {issue} cannot be read", error.message))
                    }
                    _ => error,
                })
            }
            comments => comments,
        }
    }

    async fn read_each(&self, issue: &IssueRef) -> PortResult<Vec<Comment>> {
        let seen = match self.reading(issue).await?.own_comments {
            Some(seen) => seen,
            None => self.read_with_comments(issue).await?.own_comments.unwrap_or_default(),
        };
        let now = self.viewer().await?.now;
        // What was read may not show yet what was just written.
        let mut unseen = self.memory().created(issue, now);
        unseen.retain(|id| seen.iter().all(|(seen, _)| seen != id));
        let kept = self.memory().own_comments(&issue.repo, issue.number);
        let mut comments = Vec::new();
        for (id, at) in &seen {
            comments.push(match kept.iter().find(|kept| (&kept.id, &kept.updated_at) == (id, at)) {
                Some(kept) => kept.clone(),
                None => self.read_comment(issue, id).await?,
            });
        }
        if comments != kept {
            self.memory().keep_own_comments(&issue.repo, issue.number, &comments);
        }
        for id in unseen {
            match self.read_comment(issue, &id).await {
                Ok(comment) => comments.push(comment),
                // The API that wrote it says that it is gone: somebody deleted it.
                Err(error) if error.kind == PortErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(comments.iter().map(Comment::from).collect())
    }
}
