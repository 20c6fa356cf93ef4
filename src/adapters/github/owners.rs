//! The repositories of an owner, for patterns like `acme/*`.

use serde::Deserialize;
use serde_json::json;

use super::reading::PageInfo;
use super::tracker::GithubTracker;
use crate::ports::{PortError, PortResult};
use crate::text::clean_line;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    repository_owner: Option<Owner>,
}

#[derive(Debug, Deserialize)]
struct Owner {
    repositories: Page,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    page_info: PageInfo,
    nodes: Vec<Repository>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repository {
    name_with_owner: String,
    is_archived: bool,
    is_disabled: bool,
    has_issues_enabled: bool,
}

impl GithubTracker {
    /// Every repository of an owner that can have issues and be written to.
    pub(super) async fn read_owned(&self, owner: &str) -> PortResult<Vec<String>> {
        let now = self.viewer().await?.now;
        if let Some(known) = self.memory().owned_lately(owner, now) {
            return Ok(known);
        }
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let variables = json!({ "login": owner, "after": after });
            let document = include_str!("owned_repositories.graphql");
            let (data, _) = self.github().query::<Data>(document, variables).await?;
            let page = data
                .repository_owner
                .ok_or_else(|| {
                    PortError::refused(format!("github: there is nobody called `{}`", clean_line(owner, 60)))
                })?
                .repositories;
            let usable =
                page.nodes.into_iter().filter(|it| !it.is_archived && !it.is_disabled && it.has_issues_enabled);
            found.extend(usable.map(|it| it.name_with_owner.to_ascii_lowercase()));
            match page.page_info {
                PageInfo { has_next_page: true, end_cursor: Some(cursor) } => after = Some(cursor),
                _ => break,
            }
        }
        self.memory().remember_owned(owner, now, found.clone());
        Ok(found)
    }
}
