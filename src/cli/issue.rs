//! Which issue a person means: `42`, `owner/name#42`, `name#42`, or its address.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use super::exit::Failure;
use crate::policy::Policy;
use crate::ports::{IssueRef, PortResult, Tracker};
use crate::settings::{Settings, TrackerSettings};

/// What was written, read as far as its form tells.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Written {
    Number(u64),
    Named { repo: String, number: u64 },
    Address { text: String, number: u64 },
}

/// Finds the issue that is meant. A bare number is taken in the repository that the checkout in the current directory
/// was cloned from, else in the only enrolled one; without a policy that can be used, in the only one there is.
///
/// # Errors
/// When the text names no issue, or could mean several: they are listed.
pub async fn resolve(
    text: &str,
    policy: Option<&Policy>,
    settings: &Settings,
    tracker: &dyn Tracker,
) -> Result<IssueRef, Failure> {
    let names = known(policy, settings);
    let known: Vec<&String> = names.iter().collect();
    let written = read(text).ok_or_else(|| {
        Failure::usage(format!("`{text}` names no issue"))
            .help("write `42`, `owner/name#42` or the address of the issue")
    })?;
    match written {
        Written::Named { repo, number } => {
            let mut named = known.iter().filter(|name| is_called(name, &repo));
            Ok(IssueRef {
                // One that nobody knows is still one that can be asked about: it is not enrolled.
                repo: match (named.next(), named.next()) {
                    (Some(only), None) => (*only).clone(),
                    (Some(_), Some(_)) => {
                        return Err(several(text, number, known.iter().filter(|name| is_called(name, &repo))));
                    }
                    (None, _) => spelled(repo, settings),
                },
                number,
            })
        }
        Written::Address { text, number } => {
            let named = repo_of_address(&text);
            if let Some(repo) = named.as_ref().filter(|_| is_forge(settings)) {
                return Ok(IssueRef { repo: spelled(repo.clone(), settings), number });
            }
            for repo in &known {
                let reference = IssueRef { repo: (*repo).clone(), number };
                if has_address(tracker.issue(&reference).await, &text) {
                    return Ok(reference);
                }
            }
            let repo = named.ok_or_else(|| {
                Failure::usage(format!("no issue has the address `{text}`"))
                    .help(format!("the settings know {}", listed(known.iter())))
            })?;
            let repo = known.iter().find(|name| is_called(name, &repo)).map_or(repo, |name| (*name).clone());
            Ok(IssueRef { repo, number })
        }
        Written::Number(number) => {
            if let Some(repo) = origin().and_then(|origin| of_origin(&origin, &known, settings)) {
                return Ok(IssueRef { repo, number });
            }
            let enrolled: Vec<&&String> =
                known.iter().filter(|repo| policy.is_some_and(|policy| policy.enrolled(repo))).collect();
            let candidates = if enrolled.is_empty() { known.iter().collect() } else { enrolled };
            match candidates.as_slice() {
                [only] => Ok(IssueRef { repo: (**only).clone(), number }),
                [] => Err(Failure::usage(format!("`{text}` is an issue of no repository: the settings name none"))),
                _ => Err(several(text, number, candidates.into_iter())),
            }
        }
    }
}

/// Every repository that the settings name, and on a forge also those that the policy enrols by name.
fn known(policy: Option<&Policy>, settings: &Settings) -> BTreeSet<String> {
    let named = settings.repos.keys().map(|name| spelled(name.clone(), settings));
    let enrolled = policy.filter(|_| is_forge(settings)).map(|policy| policy.allowlist.value.as_slice());
    let enrolled = enrolled.unwrap_or_default().iter().filter(|pattern| pattern.is_exact()).map(ToString::to_string);
    named.chain(enrolled).collect()
}

/// Whether the tracker has repositories that the settings do not name.
fn is_forge(settings: &Settings) -> bool {
    match settings.tracker {
        TrackerSettings::Local { .. } => false,
        TrackerSettings::Github(_) => true,
    }
}

/// A repository as its tracker spells it: a forge in lower case, as policies do.
fn spelled(repo: String, settings: &Settings) -> String {
    if is_forge(settings) { repo.to_ascii_lowercase() } else { repo }
}

fn several<'a>(text: &str, number: u64, repos: impl Iterator<Item = &'a &'a String>) -> Failure {
    repos.fold(Failure::usage(format!("`{text}` could be an issue of several repositories")), |failure, repo| {
        failure.help(format!("write `{repo}#{number}`"))
    })
}

fn listed<'a>(repos: impl Iterator<Item = &'a &'a String>) -> String {
    let names: Vec<String> = repos.map(|repo| format!("`{repo}`")).collect();
    if names.is_empty() { "no repository".to_owned() } else { names.join(", ") }
}

fn read(text: &str) -> Option<Written> {
    let text = text.trim();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    if let Some(number) = digits(text.strip_prefix('#').unwrap_or(text)) {
        return Some(Written::Number(number));
    }
    if let Some((repo, number)) = text.rsplit_once('#')
        && !repo.contains(':')
        && repo.split('/').count() <= 2
        && repo.split('/').all(|part| !part.is_empty() && !part.contains(char::is_whitespace))
    {
        return Some(Written::Named { repo: repo.to_owned(), number: digits(number)? });
    }
    // `https://…/issues/42#issuecomment-7`, `issues/0042.md`
    let address = text.split_once(['#', '?']).map_or(text, |(address, _)| address).trim_end_matches('/');
    if !address.contains('/') && !address.contains('.') {
        return None;
    }
    let last = address.rsplit('/').next()?;
    let number = digits(last.strip_suffix(".md").unwrap_or(last))?;
    Some(Written::Address { text: address.to_owned(), number })
}

/// `…/owner/name/issues/42` is of `owner/name`.
fn repo_of_address(address: &str) -> Option<String> {
    let mut parts = address.rsplit('/').skip(1);
    parts.next().filter(|part| *part == "issues" || *part == "-")?;
    let (name, owner) = (parts.next()?, parts.next()?);
    Some(format!("{owner}/{name}")).filter(|_| !name.is_empty() && !owner.is_empty())
}

fn has_address(issue: PortResult<Option<crate::ports::Issue>>, address: &str) -> bool {
    let Ok(Some(issue)) = issue else { return false };
    let file = |path: &str| Path::new(path).canonicalize().ok();
    issue.url == address || file(&issue.url).is_some_and(|path| Some(path) == file(address))
}

/// Whether a repository is meant by a name: its own, or a bare one that stands behind its slash.
fn is_called(repo: &str, name: &str) -> bool {
    let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    repo.eq_ignore_ascii_case(name) || (repo.contains('/') && !name.contains('/') && last(repo) == last(name))
}

/// Where the checkout in the current directory was cloned from.
fn origin() -> Option<String> {
    let output = Command::new("git")
        .args(["remote", "get-url", "origin"])
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let origin = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !origin.is_empty()).then_some(origin)
}

/// The repository of the settings with that remote: by its address, else by its name.
fn of_origin(origin: &str, known: &[&String], settings: &Settings) -> Option<String> {
    let plain = |address: &str| address.trim_end_matches('/').trim_end_matches(".git").to_owned();
    let real = |address: &str| Path::new(address).canonicalize().ok();
    let same = |address: &str| {
        plain(address).eq_ignore_ascii_case(&plain(origin))
            || real(address).is_some_and(|path| Some(path) == real(origin))
    };
    if let Some((name, _)) = settings.repos.iter().find(|(_, repo)| same(&repo.git)) {
        return Some(spelled(name.clone(), settings));
    }
    // `git@host:owner/name.git`, `https://host/owner/name`
    let path = plain(origin).replace(':', "/");
    let mut parts = path.rsplit('/');
    let (name, owner) = (parts.next()?, parts.next()?);
    let full = format!("{owner}/{name}");
    // A checkout is of the repository even where the settings know it by its bare name.
    let mut called = known.iter().filter(|repo| is_called(repo, &full) || is_called(&full, repo));
    match (called.next(), called.next()) {
        (Some(only), None) => Some((*only).clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn an_issue_is_named_by_number_name_or_address() {
        let named = |repo: &str, number| Some(Written::Named { repo: repo.to_owned(), number });
        let address = |text: &str, number| Some(Written::Address { text: text.to_owned(), number });
        for (text, expected) in [
            ("42", Some(Written::Number(42))),
            ("#42", Some(Written::Number(42))),
            (" 42 ", Some(Written::Number(42))),
            ("acme/app#42", named("acme/app", 42)),
            ("app#42", named("app", 42)),
            ("https://github.com/acme/app/issues/42", address("https://github.com/acme/app/issues/42", 42)),
            ("https://git.acme.dev/acme/app/issues/42/", address("https://git.acme.dev/acme/app/issues/42", 42)),
            (
                "https://github.com/acme/app/issues/42#issuecomment-7",
                address("https://github.com/acme/app/issues/42", 42),
            ),
            ("issues/0042.md", address("issues/0042.md", 42)),
            ("", None),
            ("#", None),
            ("app#", None),
            ("#app", None),
            ("forty-two", None),
            ("99999999999999999999999", None),
            ("a/b/c#1", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn an_address_tells_its_repository() {
        assert_eq!(repo_of_address("https://github.com/acme/app/issues/42").as_deref(), Some("acme/app"));
        assert_eq!(repo_of_address("https://github.com/acme/app/pull/42"), None);
    }

    #[test]
    fn a_repository_is_called_by_its_whole_name_or_by_the_last_part() {
        for (repo, name, expected) in [
            ("acme/app", "Acme/App", true),
            ("acme/app", "app", true),
            ("app", "acme/app", false),
            ("acme/app", "other/app", false),
            ("acme/app", "ap", false),
        ] {
            assert_eq!(is_called(repo, name), expected, "{repo} {name}");
        }
    }
}
