//! What a repository lacks before afk can work in it, as far as that can be seen without writing; and its labels.

use std::collections::BTreeSet;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::permission::Permissions;
use super::tracker::GithubTracker;
use super::{Github, parts};
use crate::adapters::http::api::{Answer, Call, Granted};
use crate::policy::pattern;
use crate::ports::{Access, PortError, PortErrorDetail, PortErrorKind, PortResult, Shortcoming};
use crate::text::clean_line;

/// What an App has to be granted: the key in GitHub's answers, the name on its pages, the level. Who closed an issue may
/// be a pull request, which is part of every reading.
const NEEDED: [(&str, &str, &str); 6] = [
    ("metadata", "Metadata", "read"),
    ("contents", "Contents", "read"),
    ("issues", "Issues", "write"),
    ("pull_requests", "Pull requests", "read"),
    ("checks", "Checks", "read"),
    ("statuses", "Commit statuses", "read"),
];
/// Levels of permissions, weakest first.
const LEVELS: [&str; 3] = ["read", "write", "admin"];
/// The colour of labels that afk creates.
const COLOUR: &str = "5319e7";

#[derive(Debug, Deserialize)]
struct Repository {
    full_name: String,
    private: bool,
    default_branch: String,
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    disabled: bool,
    has_issues: bool,
    permissions: Option<Permissions>,
}

#[derive(Debug, Deserialize)]
struct Label {
    name: String,
}

impl Github {
    async fn repository(&self, repo: &str) -> PortResult<(Repository, Answer)> {
        let (owner, name) = parts(repo)?;
        let answer = self.rest.send(&Call::get(&["repos", owner, name])).await?;
        Ok((answer.json(&format!("github: {repo}"))?, answer))
    }

    /// What helps where check runs may not be read, told by whose the token is.
    pub(super) fn how_to_read_checks(&self, refusal: &PortError) -> &'static str {
        if self.rest.granted().is_some() {
            "; add it to the App's permissions, and accept it for the installation"
        } else if refusal.message.contains("not accessible by personal access token") {
            "; fine-grained tokens have no such permission and read check runs of public repositories only: use a GitHub \
             App or a classic token, or a stage with `source = \"command\"`"
        } else {
            ""
        }
    }

    /// Whether check runs and commit statuses may be read.
    ///
    /// # Errors
    /// They may not, or nobody answers.
    pub(super) async fn can_read_checks(&self, repo: &str) -> PortResult<()> {
        let (owner, name) = parts(repo)?;
        let (repository, _) = self.repository(repo).await?;
        for (what, permission) in [("check-runs", "Checks"), ("status", "Commit statuses")] {
            let path = ["repos", owner, name, "commits", &repository.default_branch, what];
            match self.rest.send(&Call::get(&path).query(&[("per_page", "1")])).await {
                Err(error) if error.detail == Some(PortErrorDetail::Forbidden) => {
                    return Err(PortError::refused(format!(
                        "{permission}: read is missing on {repo}{} ({})",
                        if what == "check-runs" { self.how_to_read_checks(&error) } else { "" },
                        error.message
                    )));
                }
                // A branch without a commit has no checks.
                Err(error) if matches!(error.kind, PortErrorKind::Refused | PortErrorKind::NotFound) => {}
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

impl GithubTracker {
    pub(super) async fn may_do(&self, repo: &str) -> PortResult<Access> {
        let (owner, name) = parts(repo)?;
        let (repository, answer) = self.github().repository(repo).await.map_err(|error| match error.kind {
            PortErrorKind::NotFound => {
                PortError::not_found(format!("{}: afk's account cannot see {repo}", error.message))
            }
            _ => error,
        })?;
        let web = self.web();
        let page = format!("{web}{repo}/settings");
        if !repository.full_name.eq_ignore_ascii_case(repo) {
            let now = clean_line(&repository.full_name, 140);
            return Ok(only(lack(
                format!("{repo} is now called {now}"),
                format!("write `{now}` into `allowlist` and overrides of the policy"),
            )));
        }
        if repository.archived || repository.disabled {
            let word = if repository.archived { "archived" } else { "disabled" };
            let remedy = format!("take it off `allowlist`, or open it again: {page}");
            return Ok(only(lack(format!("{repo} is {word}: nothing can be written"), remedy)));
        }
        let mut found = Vec::new();
        if !repository.has_issues {
            found.push(lack(format!("{repo} has its issues turned off"), format!("turn them on: {page}")));
        }
        let role = repository.permissions.as_ref().map_or("none", Permissions::role);
        let (judged_by, unseen) = match (self.github().rest.granted(), scopes(&answer)) {
            (Some(granted), _) => {
                found.extend(not_granted(repo, &granted, web));
                ("the App was granted what it needs".to_owned(), None)
            }
            (None, Some(scopes)) => {
                found.extend(no_push(repo, role, web));
                found.extend(no_scope(repo, &repository, &scopes, web));
                (format!("afk's account has {role}, and its token {}", in_words(&scopes)), None)
            }
            (None, None) => {
                found.extend(no_push(repo, role, web));
                let what = "what the token was granted, GitHub does not tell of fine-grained ones: whether it may write \
                            issues shows when afk does";
                let remedy = format!("see that it has `Issues: read and write` there: {}", self.token_page());
                (format!("afk's account has {role}"), Some(lack(what.to_owned(), remedy)))
            }
        };
        if repository.has_issues && found.is_empty() {
            let call = ["repos", owner, name, "issues"];
            match self.github().rest.send(&Call::get(&call).query(&[("per_page", "1")])).await {
                Err(error) if matches!(error.kind, PortErrorKind::Refused | PortErrorKind::NotFound) => {
                    let what = format!("Issues: read is missing on {repo} ({})", error.message);
                    found.push(lack(what, format!("grant `Issues: read and write`: {}", self.token_page())));
                }
                answer => drop(answer?),
            }
        }
        Ok(Access { shortcomings: found, judged_by: Some(judged_by), unseen })
    }

    fn token_page(&self) -> String {
        let page = self.github().rest.granted().map(|granted| granted.page);
        format!("{}{}", self.web(), page.as_deref().unwrap_or("settings/personal-access-tokens"))
    }

    pub(super) async fn labels_not_there(&self, repo: &str, wanted: &[String]) -> PortResult<Vec<String>> {
        let (owner, name) = parts(repo)?;
        let call = ["repos", owner, name, "labels"];
        let there: Vec<Label> = self.github().rest.pages(&Call::get(&call).query(&[("per_page", "100")])).await?;
        let mut seen = BTreeSet::new();
        let missing = wanted.iter().filter(|label| !there.iter().any(|there| pattern::same(&there.name, label)));
        Ok(missing.filter(|label| seen.insert(label.to_ascii_lowercase())).cloned().collect())
    }

    pub(super) async fn define_label(&self, repo: &str, label: &str) -> PortResult<()> {
        let (owner, name) = parts(repo)?;
        let body = json!({ "name": label, "color": COLOUR, "description": "Read and set by afk, as its policy says" });
        let call = ["repos", owner, name, "labels"];
        match self.github().rest.send(&Call::write(Method::POST, &call, Some(body))).await {
            Ok(_) => Ok(()),
            // It may be there already.
            Err(error) => match self.labels_not_there(repo, &[label.to_owned()]).await {
                Ok(missing) if missing.is_empty() => Ok(()),
                _ => Err(error),
            },
        }
    }
}

fn lack(what: String, remedy: String) -> Shortcoming {
    Shortcoming { what, remedy }
}

/// Where one thing is in the way of everything else.
fn only(shortcoming: Shortcoming) -> Access {
    Access { shortcomings: vec![shortcoming], ..Access::default() }
}

/// What an App was not granted by its installation.
fn not_granted(repo: &str, granted: &Granted, web: &str) -> Vec<Shortcoming> {
    let rank = |level: &str| LEVELS.iter().position(|known| *known == level);
    let lacks = NEEDED.iter().filter(|(key, _, level)| {
        let held = granted.permissions.get(*key).and_then(|held| rank(held));
        held < rank(level)
    });
    lacks
        .map(|(_, name, level)| {
            let remedy = format!(
                "add `{name}: {level}` to the App's permissions, and accept it for the installation: {web}{}",
                granted.page
            );
            lack(format!("{name}: {level} is missing on {repo}"), remedy)
        })
        .collect()
}

/// The account may not push: it may not ask who is trusted either.
fn no_push(repo: &str, role: &str, web: &str) -> Option<Shortcoming> {
    if matches!(role, "write" | "maintain" | "admin") {
        return None;
    }
    let what = format!("afk's account has {role} on {repo} and needs write: only then GitHub tells who is trusted");
    Some(lack(what, format!("give it `write`: {web}{repo}/settings/access")))
}

/// The scopes of a classic token, which are said with every answer; other tokens have none.
fn scopes(answer: &Answer) -> Option<String> {
    Some(clean_line(answer.headers.get("x-oauth-scopes")?.to_str().ok()?, 300))
}

fn in_words(scopes: &str) -> String {
    if scopes.is_empty() { "no scopes".to_owned() } else { format!("the scopes `{scopes}`") }
}

fn no_scope(repo: &str, repository: &Repository, scopes: &str, web: &str) -> Option<Shortcoming> {
    let has = |wanted: &str| scopes.split(',').any(|scope| scope.trim() == wanted);
    if has("repo") || (!repository.private && has("public_repo")) {
        return None;
    }
    let needed = if repository.private { "`repo`" } else { "`public_repo`" };
    let what = format!("the token has {}, and {repo} takes {needed}", in_words(scopes));
    Some(lack(what, format!("add the scope {needed} to the token: {web}settings/tokens")))
}
