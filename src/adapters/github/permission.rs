//! Who may do what: the granted permission of a login, in the words of the standard roles.

use serde::Deserialize;

use super::{Github, parts};
use crate::adapters::http::api::Call;
use crate::ports::{PortError, PortErrorKind, PortResult};
use crate::text::clean_line;

/// The standard roles, weakest first.
const ROLES: [&str; 6] = ["none", "read", "triage", "write", "maintain", "admin"];

#[derive(Debug, Deserialize)]
struct Granted {
    permission: String,
    role_name: Option<String>,
    user: Option<User>,
}

#[derive(Debug, Deserialize)]
struct User {
    permissions: Option<Permissions>,
}

/// What an account may do in a repository.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Permissions {
    admin: bool,
    maintain: bool,
    push: bool,
    triage: bool,
    pull: bool,
}

impl Permissions {
    /// The strongest standard role that they make.
    pub(super) fn role(&self) -> &'static str {
        match self {
            Self { admin: true, .. } => "admin",
            Self { maintain: true, .. } => "maintain",
            Self { push: true, .. } => "write",
            Self { triage: true, .. } => "triage",
            Self { pull: true, .. } => "read",
            _ => "none",
        }
    }
}

impl Github {
    /// The granted permission of a login: one of the standard roles. A custom role counts as the strongest standard one
    /// that it holds.
    ///
    /// # Errors
    /// It cannot be told, and what to do about it.
    pub async fn permission(&self, repo: &str, login: &str) -> PortResult<String> {
        let (owner, name) = parts(repo)?;
        let shown = clean_line(login, 60);
        let path = ["repos", owner, name, "collaborators", login, "permission"];
        let answer = self.rest.send(&Call::get(&path)).await.map_err(|error| match error.kind {
            PortErrorKind::NotFound => PortError::refused(format!(
                "{}: whether `{shown}` is trusted cannot be told; the account is gone, or afk may not see {repo}",
                error.message
            )),
            PortErrorKind::Refused => PortError::refused(format!(
                "{}: whether `{shown}` is trusted cannot be told; afk's account needs write access to {repo}, and its \
                 token `Metadata: read`",
                error.message
            )),
            _ => error,
        })?;
        role(&answer.json(&format!("github: the permission of `{shown}`"))?)
            .ok_or_else(|| PortError::invalid(format!("github: the permission of `{shown}` on {repo} makes no sense")))
    }
}

fn rank(role: &str) -> Option<usize> {
    ROLES.iter().position(|known| *known == role)
}

fn role(granted: &Granted) -> Option<String> {
    // What `permission` can stand for at most: `maintain` is shown as `write`, and `triage` as `read`.
    let most = match granted.permission.as_str() {
        "read" => "triage",
        "write" => "maintain",
        other => other,
    };
    let role = match granted.role_name.as_deref() {
        Some(role) if rank(role).is_some() => role,
        _ => match granted.user.as_ref().and_then(|user| user.permissions.as_ref()) {
            Some(held) => held.role(),
            None => granted.permission.as_str(),
        },
    };
    let weaker = rank(role)?.min(rank(most)?);
    ROLES.get(weaker).map(|role| (*role).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;
    use serde_json::json;

    #[test]
    fn the_granted_permission_is_a_standard_role_and_never_more_than_was_granted() {
        let all = json!({ "admin": true, "maintain": true, "push": true, "triage": true, "pull": true });
        let push = json!({ "admin": false, "maintain": false, "push": true, "triage": true, "pull": true });
        let nothing = json!({ "admin": false, "maintain": false, "push": false, "triage": false, "pull": false });
        for (permission, role_name, permissions, expected) in [
            ("admin", json!("admin"), &all, Some("admin")),
            ("write", json!("maintain"), &push, Some("maintain")),
            ("write", json!("write"), &push, Some("write")),
            ("read", json!("triage"), &nothing, Some("triage")),
            ("read", json!("read"), &nothing, Some("read")),
            ("none", json!("none"), &nothing, Some("none")),
            // Custom roles.
            ("write", json!("release engineer"), &push, Some("write")),
            ("read", json!("release engineer"), &push, Some("triage")),
            ("none", json!("admin"), &all, Some("none")),
            ("read", json!("admin"), &all, Some("triage")),
            ("write", json!("robots"), &nothing, Some("none")),
            // Old servers.
            ("write", json!(null), &json!(null), Some("write")),
            ("read", json!(null), &json!(null), Some("read")),
            ("owner", json!("write"), &push, None),
        ] {
            let granted =
                json!({ "permission": permission, "role_name": role_name, "user": { "permissions": permissions } });
            let granted: Granted = serde_json::from_value(granted).unwrap();
            assert_eq!(role(&granted).as_deref(), expected, "{permission} {role_name}");
        }
    }
}
