//! The objects of the REST API, with every member that its description requires.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::state::{CheckRun, Comment, Event, EventKind, Issue, Permission, Role, State, Status, User};

/// Makes the objects that one server shows.
pub struct Shapes<'a> {
    pub state: &'a State,
    /// Of the API, with the prefix of the request.
    pub api: String,
}

pub fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// An opaque id, the same in REST and GraphQL.
pub fn node_id(kind: &str, id: u64) -> String {
    format!("{kind}_kwDO{id:08}")
}

pub fn event_node_id(event: &Event) -> String {
    let kind = match &event.kind {
        EventKind::Labeled(_) => "LE",
        EventKind::Unlabeled(_) => "UNLE",
        EventKind::Renamed { .. } => "RTE",
        EventKind::Closed { .. } => "CE",
        EventKind::Reopened => "REE",
    };
    node_id(kind, event.id)
}

impl Shapes<'_> {
    pub fn user(&self, login: &str) -> Value {
        let user = self.state.users.get(&login.to_lowercase()).unwrap_or_else(|| panic!("nobody is called {login}"));
        let User { id, login, kind } = user;
        let name = segment(login);
        let api = format!("{}/users/{name}", self.api);
        let mut shape = json!({
            "login": login, "id": id, "node_id": node_id("U", *id), "type": kind, "site_admin": false,
            "gravatar_id": "", "url": api, "user_view_type": "public",
            "avatar_url": format!("{}/avatars/{id}", self.api), "html_url": format!("{}/{name}", self.state.base),
            "following_url": format!("{api}/following{{/other_user}}"),
            "gists_url": format!("{api}/gists{{/gist_id}}"),
            "starred_url": format!("{api}/starred{{/owner}}{{/repo}}"),
            "events_url": format!("{api}/events{{/privacy}}"),
        });
        for name in ["followers", "subscriptions", "orgs", "repos", "received_events"] {
            let member = if name == "orgs" { "organizations_url".to_owned() } else { format!("{name}_url") };
            shape[member] = json!(format!("{api}/{name}"));
        }
        shape
    }

    /// A deleted account is null.
    pub fn user_or_null(&self, login: Option<&str>) -> Value {
        login.map_or(Value::Null, |login| self.user(login))
    }

    /// In events REST shows the account `ghost` for one that was deleted.
    fn actor(&self, login: Option<&str>) -> Value {
        self.user(login.unwrap_or("ghost"))
    }

    pub fn authenticated_user(&self, login: &str) -> Value {
        let mut user = self.user(login);
        let more = json!({
            "name": null, "company": null, "blog": "", "location": null, "email": null, "hireable": null, "bio": null,
            "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
            "created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z",
        });
        user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        user
    }

    pub fn repo_url(&self, repo: usize) -> String {
        format!("{}/repos/{}", self.api, self.state.repos[repo].full_name())
    }

    fn page(&self, repo: usize) -> String {
        format!("{}/{}", self.state.base, self.state.repos[repo].full_name())
    }

    fn issue_url(&self, repo: usize, number: u64) -> String {
        format!("{}/issues/{number}", self.repo_url(repo))
    }

    pub fn issue_page(&self, repo: usize, issue: &Issue) -> String {
        let kind = if issue.pull.is_some() { "pull" } else { "issues" };
        format!("{}/{kind}/{}", self.page(repo), issue.number)
    }

    pub fn minimal_repo(&self, at: usize) -> Value {
        let repo = &self.state.repos[at];
        let url = self.repo_url(at);
        let mut shape = json!({
            "id": repo.id, "node_id": node_id("R", repo.id), "name": repo.name, "full_name": repo.full_name(),
            "owner": self.user(&repo.owner), "private": repo.private, "html_url": self.page(at), "description": null,
            "fork": false, "url": url,
        });
        for (name, path) in [
            ("archive", "{archive_format}{/ref}"),
            ("assignees", "assignees{/user}"),
            ("blobs", "git/blobs{/sha}"),
            ("branches", "branches{/branch}"),
            ("collaborators", "collaborators{/collaborator}"),
            ("comments", "comments{/number}"),
            ("commits", "commits{/sha}"),
            ("compare", "compare/{base}...{head}"),
            ("contents", "contents/{+path}"),
            ("contributors", "contributors"),
            ("deployments", "deployments"),
            ("downloads", "downloads"),
            ("events", "events"),
            ("forks", "forks"),
            ("git_commits", "git/commits{/sha}"),
            ("git_refs", "git/refs{/sha}"),
            ("git_tags", "git/tags{/sha}"),
            ("hooks", "hooks"),
            ("issue_comment", "issues/comments{/number}"),
            ("issue_events", "issues/events{/number}"),
            ("issues", "issues{/number}"),
            ("keys", "keys{/key_id}"),
            ("labels", "labels{/name}"),
            ("languages", "languages"),
            ("merges", "merges"),
            ("milestones", "milestones{/number}"),
            ("notifications", "notifications{?since,all,participating}"),
            ("pulls", "pulls{/number}"),
            ("releases", "releases{/id}"),
            ("stargazers", "stargazers"),
            ("statuses", "statuses/{sha}"),
            ("subscribers", "subscribers"),
            ("subscription", "subscription"),
            ("tags", "tags"),
            ("teams", "teams"),
            ("trees", "git/trees{/sha}"),
        ] {
            shape[format!("{name}_url")] = json!(format!("{url}/{path}"));
        }
        shape
    }

    pub fn repo(&self, at: usize, login: &str) -> Value {
        let repo = &self.state.repos[at];
        let page = self.page(at);
        let open = repo.issues.values().filter(|issue| issue.closed.is_none()).count();
        let mut shape = self.minimal_repo(at);
        let more = json!({
            "clone_url": format!("{page}.git"), "git_url": format!("{page}.git"), "ssh_url": format!("{page}.git"),
            "svn_url": page, "mirror_url": null, "homepage": null, "language": null, "license": null,
            "default_branch": repo.default_branch, "forks": 0, "forks_count": 0, "has_issues": repo.has_issues,
            "has_projects": false, "has_wiki": false, "has_pages": false, "has_discussions": false, "archived": repo.archived,
            "disabled": false, "open_issues": open, "open_issues_count": open, "size": 1, "stargazers_count": 0,
            "watchers": 0, "watchers_count": 0, "network_count": 0, "subscribers_count": 0,
            "pushed_at": "2026-01-01T00:00:00Z", "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
            "permissions": permissions(self.state.role(at, login).map(|role| role.permission)),
        });
        shape.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        shape
    }

    pub fn label(&self, repo: usize, name: &str) -> Value {
        let labels = &self.state.repos[repo].labels;
        let label = labels.iter().find(|label| label.name.eq_ignore_ascii_case(name)).unwrap();
        json!({
            "id": label.id, "node_id": node_id("LA", label.id), "name": label.name, "color": label.color,
            "url": format!("{}/labels/{}", self.repo_url(repo), segment(&label.name)),
            "description": label.description, "default": false,
        })
    }

    pub fn issue(&self, repo: usize, issue: &Issue) -> Value {
        let url = self.issue_url(repo, issue.number);
        let assignees: Vec<Value> = issue.assignees.iter().map(|login| self.user(login)).collect();
        let labels: Vec<Value> = issue.labels.iter().map(|label| self.label(repo, label)).collect();
        let closed_by = issue.events.iter().rev().find(|event| matches!(event.kind, EventKind::Closed { .. }));
        let closed_by = closed_by.filter(|_| issue.closed.is_some()).and_then(|event| event.by.as_deref());
        let reason = match &issue.closed {
            Some((_, reason)) => json!(reason),
            None if issue.reopened => json!("reopened"),
            None => Value::Null,
        };
        let mut shape = json!({
            "id": issue.id, "node_id": node_id("I", issue.id), "number": issue.number, "title": issue.title,
            "body": issue.body, "user": self.user_or_null(issue.author.as_deref()), "url": url,
            "repository_url": self.repo_url(repo), "labels_url": format!("{url}/labels{{/name}}"),
            "comments_url": format!("{url}/comments"), "events_url": format!("{url}/events"),
            "timeline_url": format!("{url}/timeline"), "html_url": self.issue_page(repo, issue), "labels": labels,
            "state": if issue.closed.is_some() { "closed" } else { "open" }, "state_reason": reason,
            "assignee": assignees.first(), "assignees": assignees, "milestone": null, "locked": false,
            "active_lock_reason": null, "comments": issue.comments.len(), "created_at": time(issue.created_at),
            "updated_at": time(issue.updated_at), "closed_at": issue.closed.as_ref().map(|(at, _)| time(*at)),
            "closed_by": self.user_or_null(closed_by), "author_association": "NONE",
            "performed_via_github_app": null,
        });
        if let Some(pull) = &issue.pull {
            let pulls = format!("{}/pulls/{}", self.repo_url(repo), issue.number);
            let page = self.issue_page(repo, issue);
            shape["pull_request"] = json!({
                "url": pulls, "html_url": page, "diff_url": format!("{page}.diff"),
                "patch_url": format!("{page}.patch"), "merged_at": pull.merged.as_ref().map(|(at, _)| time(*at)),
            });
        } else if !self.state.old_server {
            let open = issue.blocked_by.iter().filter(|(repo, number)| {
                self.state.repos[*repo].issues.get(number).is_some_and(|issue| issue.closed.is_none())
            });
            shape["issue_dependencies_summary"] = json!({
                "blocked_by": open.count(), "blocking": 0, "total_blocked_by": issue.blocked_by.len(),
                "total_blocking": 0,
            });
        }
        shape
    }

    pub fn comment(&self, repo: usize, issue: &Issue, comment: &Comment) -> Value {
        json!({
            "id": comment.id, "node_id": node_id("IC", comment.id),
            "url": format!("{}/issues/comments/{}", self.repo_url(repo), comment.id),
            "html_url": format!("{}#issuecomment-{}", self.issue_page(repo, issue), comment.id),
            "issue_url": self.issue_url(repo, issue.number), "user": self.user_or_null(comment.author.as_deref()),
            "body": comment.body, "created_at": time(comment.at), "updated_at": time(comment.updated_at),
            "author_association": "NONE", "performed_via_github_app": null,
        })
    }

    pub fn event(&self, repo: usize, event: &Event) -> Value {
        let mut shape = json!({
            "id": event.id, "node_id": event_node_id(event), "actor": self.actor(event.by.as_deref()),
            "url": format!("{}/issues/events/{}", self.repo_url(repo), event.id), "commit_id": null,
            "commit_url": null, "created_at": time(event.at), "performed_via_github_app": null,
        });
        match &event.kind {
            EventKind::Labeled(label) | EventKind::Unlabeled(label) => {
                let name = if matches!(event.kind, EventKind::Labeled(_)) { "labeled" } else { "unlabeled" };
                shape["event"] = json!(name);
                shape["label"] = json!({ "name": label, "color": "ededed" });
            }
            EventKind::Renamed { from, to } => {
                shape["event"] = json!("renamed");
                shape["rename"] = json!({ "from": from, "to": to });
            }
            EventKind::Closed { reason, commit } => {
                shape["event"] = json!("closed");
                shape["state_reason"] = json!(reason);
                shape["commit_id"] = json!(commit);
                let url = |sha: &String| format!("{}/commits/{sha}", self.repo_url(repo));
                shape["commit_url"] = json!(commit.as_ref().map(url));
            }
            EventKind::Reopened => {
                shape["event"] = json!("reopened");
                shape["state_reason"] = Value::Null;
            }
        }
        shape
    }

    /// What the permission endpoint says.
    pub fn permission(&self, login: &str, role: Option<&Role>) -> Value {
        let permission = role.map(|role| role.permission);
        let word = match permission {
            Some(Permission::Admin) => "admin",
            // `maintain` is not a word of this member, nor is `triage`.
            Some(Permission::Maintain | Permission::Write) => "write",
            Some(Permission::Triage | Permission::Read) => "read",
            None => "none",
        };
        let role_name = role.map_or("none", |role| role.name.as_str());
        let mut user = self.user(login);
        user["permissions"] = permissions(permission);
        user["role_name"] = json!(role_name);
        json!({ "permission": word, "role_name": role_name, "user": user })
    }

    pub fn check_run(&self, repo: usize, run: &CheckRun) -> Value {
        let url = format!("{}/check-runs/{}", self.repo_url(repo), run.id);
        let page = format!("{}/actions/runs/{}/job/{}", self.page(repo), run.id, run.id);
        let completed = (run.status == "completed").then(|| time(run.started_at));
        json!({
            "id": run.id, "node_id": node_id("CR", run.id), "head_sha": run.sha, "name": run.name, "url": url,
            "html_url": page, "details_url": page, "external_id": "", "status": run.status,
            "conclusion": run.conclusion, "started_at": time(run.started_at), "completed_at": completed,
            "check_suite": { "id": run.id + 1_000_000 }, "pull_requests": [],
            "output": {
                "title": run.summary.as_ref().map(|_| "Output"), "summary": run.summary, "text": null,
                "annotations_count": 0, "annotations_url": format!("{url}/annotations"),
            },
            "app": {
                "id": 15368, "slug": run.app, "node_id": node_id("A", 15368), "name": run.app, "description": null,
                "owner": self.user(&self.state.repos[repo].owner), "external_url": format!("{}/apps", self.state.base),
                "html_url": format!("{}/apps/{}", self.state.base, run.app), "created_at": "2020-01-01T00:00:00Z",
                "updated_at": "2020-01-01T00:00:00Z", "permissions": {}, "events": [],
            },
        })
    }

    pub fn status(&self, repo: usize, status: &Status) -> Value {
        let page = format!("{}/status/{}", self.state.base, status.id);
        json!({
            "id": status.id, "node_id": node_id("SC", status.id), "state": status.state, "context": status.context,
            "description": status.description, "target_url": page, "avatar_url": null,
            "url": format!("{}/statuses/{}", self.repo_url(repo), status.sha), "created_at": time(status.at),
            "updated_at": time(status.at),
        })
    }
}

fn permissions(permission: Option<Permission>) -> Value {
    let words = [
        ("pull", Permission::Read),
        ("triage", Permission::Triage),
        ("push", Permission::Write),
        ("maintain", Permission::Maintain),
        ("admin", Permission::Admin),
    ];
    let granted =
        words.map(|(word, least)| (word.to_owned(), json!(permission.is_some_and(|granted| granted >= least))));
    Value::Object(Map::from_iter(granted))
}

/// A name as one segment of an address.
pub fn segment(name: &str) -> String {
    let mut url = reqwest::Url::parse("http://host").unwrap();
    url.path_segments_mut().unwrap().push(name);
    url.path().trim_start_matches('/').replace('[', "%5B").replace(']', "%5D")
}
