//! Whether an agent can change what decides about it: files where it works, or in a repository that it pushes to.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::adapters::policy_file::Loaded;
use crate::cli::tick::refuse_within_reach;
use crate::settings::Settings;

/// What is within reach, each with what to do about it.
pub fn within_reach(files: [&Path; 2], loaded: &Loaded, settings: &Settings) -> Vec<(String, String)> {
    if let Err(failure) = refuse_within_reach(files, loaded, settings) {
        return vec![(failure.message, failure.help.join("; "))];
    }
    let Some(policy) = &loaded.checked.policy else { return Vec::new() };
    let prompts = loaded.checked.prompts.iter().map(|prompt| Path::new(&prompt.name));
    let mut found = Vec::new();
    for file in files.into_iter().chain(prompts) {
        let Some((repo, path)) = pushed_to(file, settings) else { continue };
        if policy.enrolled(&repo) && !policy.rules(&repo).protect.matches(&path) {
            found.push((
                format!("agents push to {repo}, where `{path}` lies, without a person looking at it"),
                format!("add \"{path}\" to `paths` of [protect]"),
            ));
        }
    }
    found
}

/// The repository of the settings that a file is committed to, and its path there.
fn pushed_to(file: &Path, settings: &Settings) -> Option<(String, String)> {
    let file = file.canonicalize().ok()?;
    let directory = file.parent()?;
    let top = git(directory, &["rev-parse", "--show-toplevel"])?;
    let path = file.strip_prefix(Path::new(&top).canonicalize().ok()?).ok()?.to_str()?.to_owned();
    git(directory, &["ls-files", "--error-unmatch", "--", file.to_str()?])?;
    let origin = git(directory, &["config", "--get", "remote.origin.url"])?;
    let (repo, _) = settings.repos.iter().find(|(_, repo)| is_same(&repo.git, &origin, Path::new(&top)))?;
    Some((repo.clone(), path))
}

/// Whether two ways to name a remote lead to the same place, as far as names tell.
fn is_same(git: &str, origin: &str, top: &Path) -> bool {
    let plain = |name: &str| name.trim_end_matches('/').trim_end_matches(".git").to_owned();
    let real = |name: &str| top.join(name).canonicalize().ok();
    plain(git) == plain(origin) || (real(git).is_some() && real(git) == real(origin))
}

fn git(directory: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(["-c", "core.fsmonitor=false", "-C"])
        .arg(directory)
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let answer = String::from_utf8(output.stdout).ok()?.trim_end().to_owned();
    (output.status.success() && !answer.is_empty()).then_some(answer)
}
