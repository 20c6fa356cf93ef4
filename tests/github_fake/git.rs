//! What GitHub notices of a push: keywords in commits that reach the default branch close issues.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::state::State;

/// Looks at every repository that people can push to.
pub fn notice_pushes(state: &mut State) {
    for repo in 0..state.repos.len() {
        let Some(git) = state.repos[repo].git.clone() else { continue };
        let branch = &state.repos[repo].default_branch;
        let Ok(head) = fs::read_to_string(git.join("refs/heads").join(branch)) else { continue };
        let head = head.trim().to_owned();
        let seen = state.repos[repo].seen_head.replace(head.clone());
        let Some(seen) = seen.filter(|seen| *seen != head) else { continue };
        for (sha, message) in commits(&git, &format!("{seen}..{head}")) {
            for number in closes(&message) {
                if state.repos[repo].issues.get(&number).is_some_and(|issue| issue.closed.is_none()) {
                    // In the name of whoever pushed; here that is always afk's own account.
                    state.close(repo, number, "afk", "completed", Some(sha.clone()));
                }
            }
        }
    }
}

/// Whether a commit is there.
pub fn has(git: &Path, sha: &str) -> bool {
    let object = format!("{sha}^{{commit}}");
    run(git, &["cat-file", "-e", &object]).is_some()
}

/// Hashes and messages, oldest first.
fn commits(git: &Path, range: &str) -> Vec<(String, String)> {
    let log = run(git, &["log", "--reverse", "--format=%H%x00%B%x01", range]).unwrap_or_default();
    let commits = log.split('\u{1}').filter_map(|commit| commit.trim_start().split_once('\0'));
    commits.map(|(sha, message)| (sha.to_owned(), message.to_owned())).collect()
}

/// The issues of the same repository that a message closes.
fn closes(message: &str) -> Vec<u64> {
    let words: Vec<&str> = message.split_whitespace().collect();
    let pairs = words.windows(2).filter_map(|pair| {
        let keyword = pair[0].trim_end_matches(':').to_lowercase();
        let keywords = ["close", "closes", "closed", "fix", "fixes", "fixed", "resolve", "resolves", "resolved"];
        let number = pair[1].strip_prefix('#')?.trim_end_matches(|end: char| !end.is_ascii_digit());
        keywords.contains(&keyword.as_str()).then(|| number.parse().ok()).flatten()
    });
    pairs.collect()
}

fn run(git: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(git).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
