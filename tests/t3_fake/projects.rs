//! Projects: their roots, and what the server makes of a root.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Where a project's root is, below the server's own directory where it is relative; `None` where it cannot be there.
pub fn root(home: &Path, wanted: &str, make: bool) -> Option<PathBuf> {
    let path = home.join(wanted.trim());
    if make && !path.exists() {
        fs::create_dir_all(&path).ok()?;
    }
    path.is_dir().then_some(path)
}

/// What is shown of a root that is a git repository. git itself is not asked: an agent may have laid traps for it.
pub fn repository(root: &Path) -> Value {
    let Ok(config) = fs::read_to_string(root.join(".git/config")) else { return Value::Null };
    let Some(url) = config.lines().find_map(|line| line.trim().strip_prefix("url = ")) else { return Value::Null };
    let key = url.trim_end_matches(".git");
    let mut parts = key.rsplit('/');
    let name = parts.next().unwrap_or_default();
    json!({
        "canonicalKey": key,
        "locator": { "source": "git-remote", "remoteName": "origin", "remoteUrl": url },
        "rootPath": root,
        "displayName": key.trim_start_matches('/'),
        "owner": parts.next().unwrap_or_default(),
        "name": name,
    })
}
