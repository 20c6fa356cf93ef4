//! A real bare repository and somebody who works with it.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Repository {
    pub directory: tempfile::TempDir,
}

/// Runs git as a person would, but with nothing of this machine's configuration.
pub fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(directory)
        .args(arguments)
        .envs([
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", "agent"),
            ("GIT_AUTHOR_EMAIL", "agent@example.com"),
            ("GIT_COMMITTER_NAME", "agent"),
            ("GIT_COMMITTER_EMAIL", "agent@example.com"),
        ])
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Repository {
    /// A bare `remote.git` and a working clone `work` with one commit on `main`.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        git(directory.path(), &["init", "-q", "--bare", "-b", "main", "remote.git"]);
        git(directory.path(), &["init", "-q", "-b", "main", "work"]);
        let repository = Self { directory };
        git(&repository.work(), &["remote", "add", "origin", "../remote.git"]);
        repository.commit("first", &[("README.md", "hello")]);
        repository.push();
        repository
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn work(&self) -> PathBuf {
        self.path("work")
    }

    pub fn remote(&self) -> String {
        self.path("remote.git").display().to_string()
    }

    /// Commits files and gives the hash.
    pub fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        for (name, text) in files {
            let path = self.work().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        git(&self.work(), &["add", "-A"]);
        git(&self.work(), &["commit", "-q", "--allow-empty", "--cleanup=verbatim", "-m", message]);
        git(&self.work(), &["rev-parse", "HEAD"])
    }

    pub fn push(&self) {
        git(&self.work(), &["push", "-q", "--force", "origin", "HEAD:refs/heads/main"]);
    }
}
