//! Runs the real binary in a directory of its own, and shows what it said.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a command may take before it counts as hanging.
const DEADLINE: Duration = Duration::from_secs(60);

/// A directory, a command line, and the variables it runs with.
pub struct Test {
    folder: TempDir,
    arguments: Vec<OsString>,
    variables: Vec<(&'static str, OsString)>,
}

/// What a command did. Shown as exit code, standard output and standard error, with the directory as `[dir]`.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub folder: TempDir,
}

impl Test {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), arguments: Vec::new(), variables: Vec::new() }
    }

    /// Writes a file below the directory.
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// The policy that ships, with its prompts, changed as asked. Each text to replace must be there.
    pub fn shipped_policy(mut self, changes: &[(&str, &str)]) -> Self {
        let shipped = repository().join("policies");
        let mut text = fs::read_to_string(shipped.join("afk.toml")).unwrap();
        for (before, after) in changes {
            assert!(text.contains(before), "the shipped policy does not hold {before:?}");
            text = text.replacen(before, after, 1);
        }
        for entry in fs::read_dir(shipped.join("prompts")).unwrap() {
            let entry = entry.unwrap();
            let name = format!("policies/prompts/{}", entry.file_name().into_string().unwrap());
            self = self.file(&name, fs::read(entry.path()).unwrap());
        }
        self.file("policies/afk.toml", text)
    }

    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    pub fn variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Runs `afk` in the directory, to its end.
    pub fn run(self) -> Ran {
        let mut child = Command::new(env!("CARGO_BIN_EXE_afk"))
            .args(&self.arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = read(child.stdout.take().unwrap());
        let stderr = read(child.stderr.take().unwrap());
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > DEADLINE {
                child.kill().unwrap();
                panic!("afk {:?} hangs", self.arguments);
            }
            thread::sleep(Duration::from_millis(2));
        };
        let folder = self.folder;
        let real = folder.path().display().to_string();
        let shown = |reader: thread::JoinHandle<String>| reader.join().unwrap().replace(&real, "[dir]");
        Ran { code: status.code().expect("afk ended by itself"), stdout: shown(stdout), stderr: shown(stderr), folder }
    }
}

impl Ran {
    /// The one JSON document on standard output.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, stdout, stderr, .. } = self;
        write!(out, "exit code {code}\n--- stdout\n{stdout}")?;
        if stderr.is_empty() { Ok(()) } else { write!(out, "--- stderr\n{stderr}") }
    }
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
