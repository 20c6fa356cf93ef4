//! The workflow that judges policy pull requests, for the forge that `origin` is on.

use std::path::Path;

use super::repository::Repository;

/// A workflow, and where its forge looks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workflow {
    /// From the top of the repository.
    pub path: &'static str,
    /// What is in it.
    pub text: &'static str,
}

const GITHUB: Workflow =
    Workflow { path: ".github/workflows/policy.yml", text: include_str!("../../../examples/ci/github/policy.yml") };
const FORGEJO: Workflow =
    Workflow { path: ".forgejo/workflows/policy.yml", text: include_str!("../../../examples/ci/forgejo/policy.yml") };
const WOODPECKER: Workflow =
    Workflow { path: ".woodpecker/policy.yml", text: include_str!("../../../examples/ci/woodpecker/policy.yml") };

impl Workflow {
    /// The one that fits, or why there is none. What CI a repository has already says more than the name of its host.
    pub fn fitting(repository: &Repository, dir: &Path) -> Result<Self, &'static str> {
        let host = repository.host().ok_or("there is no forge at `origin`")?;
        if dir.canonicalize().ok() != repository.top.canonicalize().ok() {
            return Err("it would have to lie at the top of the repository");
        }
        let has = |name: &str| repository.top.join(name).exists();
        match host.as_str() {
            _ if has(".woodpecker") || has(".woodpecker.yml") || has(".woodpecker.yaml") => Ok(WOODPECKER),
            _ if has(".forgejo") => Ok(FORGEJO),
            host if host.contains("github") => Ok(GITHUB),
            host if host.contains("gitlab") || host.contains("bitbucket") => Err("afk has none for this forge"),
            _ => Ok(FORGEJO),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_workflow_is_the_one_of_the_forge_and_of_the_ci_that_is_there_already() {
        for (origin, there, expected) in [
            ("git@github.com:acme/app.git", None, Some(GITHUB)),
            ("https://github.acme.dev/acme/app", None, Some(GITHUB)),
            ("https://codeberg.org/acme/app", None, Some(FORGEJO)),
            ("https://codeberg.org/acme/app", Some(".woodpecker"), Some(WOODPECKER)),
            ("git@github.com:acme/app.git", Some(".woodpecker"), Some(WOODPECKER)),
            ("https://gitlab.com/acme/app", None, None),
            ("/srv/git/app.git", None, None),
        ] {
            let folder = tempfile::tempdir().expect("a directory");
            if let Some(name) = there {
                fs::create_dir(folder.path().join(name)).expect("a directory");
            }
            let repository = Repository {
                name: "acme/app".to_owned(),
                git: origin.to_owned(),
                has_origin: true,
                top: folder.path().to_owned(),
            };
            assert_eq!(Workflow::fitting(&repository, folder.path()).ok(), expected, "{origin} {there:?}");
        }
    }
}
