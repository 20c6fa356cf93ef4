//! The repository around a directory: its name and where agents push to.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::policy::RepoPattern;

/// The REST API of GitHub in the cloud.
pub const GITHUB: &str = "https://api.github.com";

/// A repository as settings name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// `owner/name`, or the name of the directory.
    pub name: String,
    /// A path or an address.
    pub git: String,
    /// Whether `git` is what git itself calls `origin`, and not a guess.
    pub has_origin: bool,
    /// Its top directory.
    pub top: PathBuf,
}

impl Repository {
    /// From the `origin` of the repository that `dir` is in, else from the directory's name.
    pub fn around(dir: &Path) -> Self {
        let top = git(dir, &["rev-parse", "--show-toplevel"])
            .map(PathBuf::from)
            .or_else(|| dir.canonicalize().ok())
            .unwrap_or_else(|| dir.to_owned());
        let directory = top.file_name().and_then(|name| name.to_str()).and_then(usable).unwrap_or("app");
        match git(dir, &["config", "--get", "remote.origin.url"]) {
            Some(origin) => {
                let name = name_in(&origin).unwrap_or_else(|| directory.to_owned());
                Self { name, git: address(&origin, &top), has_origin: true, top }
            }
            None => Self { name: directory.to_owned(), git: format!("../{directory}.git"), has_origin: false, top },
        }
    }

    /// The host that `origin` is on; `None`: there is no origin, or it is on this machine.
    pub fn host(&self) -> Option<String> {
        host_in(&self.git).filter(|_| self.has_origin)
    }

    /// The REST API of the GitHub that `origin` is on, in the cloud or Enterprise, as far as the host's name tells.
    pub fn github(&self) -> Option<String> {
        let host = self.host().filter(|_| self.name.contains('/'))?;
        match host.as_str() {
            "github.com" | "www.github.com" | "ssh.github.com" => Some(GITHUB.to_owned()),
            // An alias of ssh, of which several accounts need one each.
            host if host.starts_with("github.com-") => Some(GITHUB.to_owned()),
            host if host.ends_with(".ghe.com") => Some(format!("https://api.{host}")),
            host if host.split('.').any(|part| part == "github" || part == "ghe") => {
                Some(format!("https://{host}/api/v3"))
            }
            _ => None,
        }
    }

    /// One line about it.
    pub fn summary(&self) -> String {
        let guess = if self.has_origin { "" } else { ", a guess: there is no `origin` here" };
        format!("repository {} at {}{guess}", self.name, self.git)
    }
}

/// The host of an address, in lower case; `None`: it is a path.
fn host_in(origin: &str) -> Option<String> {
    let host = match origin.split_once("://") {
        // Credentials first: they may hold a colon too.
        Some((_, rest)) => rest.split('/').next().and_then(|host| host.rsplit('@').next()?.split(':').next()),
        None => origin.split_once(':').map(|(host, _)| host),
    };
    let host = host.filter(|_| is_remote(origin))?;
    let host = host.rsplit('@').next().unwrap_or(host).to_ascii_lowercase();
    Some(host).filter(|host| !host.is_empty())
}

/// One answer of git, where it has one.
fn git(dir: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(dir).args(arguments).stderr(Stdio::null()).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?.trim_end().to_owned();
    (output.status.success() && !answer.is_empty()).then_some(answer)
}

/// A name that policies can use.
fn usable(name: &str) -> Option<&str> {
    RepoPattern::parse(name).is_ok_and(|pattern| pattern.is_exact()).then_some(name)
}

/// Whether it is somewhere else: `https://host/…` or `host:…`, and not a path.
fn is_remote(origin: &str) -> bool {
    origin.contains("://") || origin.split_once(':').is_some_and(|(host, _)| !host.contains('/'))
}

/// `owner/name` of an address, the last part of a path.
fn name_in(origin: &str) -> Option<String> {
    let path = origin.trim_end_matches('/').trim_end_matches(".git");
    let parts: Vec<&str> = if !is_remote(origin) {
        vec![path.rsplit('/').next()?]
    } else {
        // The host is no owner.
        let path = match path.split_once("://") {
            Some((_, rest)) => rest.split_once('/')?.1,
            None => path.split_once(':')?.1,
        };
        let mut parts: Vec<&str> = path.rsplit('/').take(2).collect();
        parts.reverse();
        parts
    };
    usable(&parts.join("/")).map(str::to_owned)
}

/// What to write into a file: without credentials, and not relative to anything.
fn address(origin: &str, top: &Path) -> String {
    if !is_remote(origin) {
        let path = top.join(origin);
        return path.canonicalize().unwrap_or(path).display().to_string();
    }
    match origin.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit('@').next().unwrap_or(host);
            format!("{scheme}://{host}/{path}")
        }
        _ => origin.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_owner_and_name_of_an_address_and_the_last_part_of_a_path() {
        for (origin, name) in [
            ("git@github.com:acme/app.git", Some("acme/app")),
            ("https://github.com/acme/app", Some("acme/app")),
            ("https://github.com/acme/app.git/", Some("acme/app")),
            ("ssh://git@host:22/group/sub/app.git", Some("sub/app")),
            ("host:app.git", Some("app")),
            ("/srv/git/app.git", Some("app")),
            ("../app.git", Some("app")),
            ("../we:ird/app", Some("app")),
            ("https://github.com/", None),
        ] {
            assert_eq!(name_in(origin).as_deref(), name, "{origin}");
        }
    }

    #[test]
    fn the_host_is_what_stands_before_the_path() {
        for (origin, host) in [
            ("git@github.com:acme/app.git", Some("github.com")),
            ("https://Codeberg.org/acme/app", Some("codeberg.org")),
            ("ssh://git@host:22/group/app.git", Some("host")),
            ("file:///srv/git/app.git", None),
            ("/srv/git/app.git", None),
            ("../we:ird/app", None),
        ] {
            assert_eq!(host_in(origin).as_deref(), host, "{origin}");
        }
    }

    #[test]
    fn github_is_known_by_its_host() {
        for (origin, api) in [
            ("git@github.com:acme/app.git", Some("https://api.github.com")),
            ("https://GitHub.com/acme/app", Some("https://api.github.com")),
            ("ssh://git@ssh.github.com:443/acme/app.git", Some("https://api.github.com")),
            ("git@github.com-work:acme/app.git", Some("https://api.github.com")),
            ("https://acme.ghe.com/acme/app", Some("https://api.acme.ghe.com")),
            ("git@github.acme.dev:acme/app.git", Some("https://github.acme.dev/api/v3")),
            ("https://git.acme.dev/acme/app", None),
            ("https://mygithub.example/acme/app", None),
            ("https://github.com/app", None),
            ("/srv/github.com/app.git", None),
        ] {
            let repository = Repository {
                name: name_in(origin).unwrap_or_else(|| "app".to_owned()),
                git: origin.to_owned(),
                has_origin: true,
                top: PathBuf::new(),
            };
            assert_eq!(repository.github().as_deref(), api, "{origin}");
        }
    }

    #[test]
    fn a_token_in_the_address_of_origin_does_not_reach_the_settings() {
        let top = Path::new("/src/app");
        assert_eq!(address("https://ada:t0ken@host/acme/app.git", top), "https://host/acme/app.git");
        assert_eq!(address("https://t0ken@host/acme/app.git", top), "https://host/acme/app.git");
        assert_eq!(address("git@host:acme/app.git", top), "git@host:acme/app.git");
        assert_eq!(address("/srv/app.git", top), "/srv/app.git");
    }
}
