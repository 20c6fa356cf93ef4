//! An installation over the local tracker, made of `examples/quickstart`, and the real binary at work in it.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long something that has to happen may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with issues, a policy, settings, and `greeter.git`.
pub struct Installation {
    pub home: TempDir,
}

/// What a command said, and how it ended.
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// An agent that works until it is killed, and one that ends at once without a push.
pub const WORKS_ON: &str = "#!/bin/sh\ncat >/dev/null\nexec sleep 600\n";
pub const PUSHES_NOTHING: &str = "#!/bin/sh\ncat >/dev/null\necho done\n";

impl Installation {
    /// The quickstart, with an agent that works for ever, and limits that no test runs into by itself.
    pub fn new() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        copy(Path::new("examples/quickstart"), home.path());
        let installation = Self { home };
        git(&installation.path("repository"), &["init", "-q", "-b", "main"]);
        git(&installation.path("repository"), &["add", "--all"]);
        git(&installation.path("repository"), &["commit", "-q", "-m", "Begin"]);
        git(installation.home.path(), &["clone", "-q", "--bare", "repository", "greeter.git"]);
        fs::remove_dir_all(installation.path("issues")).expect("the issues of the quickstart");
        fs::create_dir(installation.path("issues")).expect("a folder");
        for limit in
            ["stall_timeout        = \"2m\"", "verdict_timeout      = \"3m\"", "run_timeout          = \"10m\""]
        {
            installation.policy(limit, &format!("{}= \"24h\"", limit.split('=').next().expect("a key")));
        }
        installation.agent(WORKS_ON);
        installation
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// What runs as the agent.
    pub fn agent(&self, script: &str) {
        // Not written in place: a running script reads its file as it goes.
        let new = self.path("agent.new");
        fs::write(&new, script).expect("a file");
        let mut permissions = fs::metadata(&new).expect("a file").permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
        fs::set_permissions(&new, permissions).expect("a program");
        fs::rename(new, self.path("agent.sh")).expect("a program");
    }

    /// The toy agent of the quickstart: red first, then green.
    pub fn toy_agent(&self) {
        self.agent(&fs::read_to_string("examples/quickstart/agent.sh").expect("the toy agent"));
    }

    /// Changes the policy; what is replaced must be there.
    pub fn policy(&self, before: &str, after: &str) {
        change(&self.path("policies/afk.toml"), before, after);
    }

    /// Changes the settings.
    pub fn settings(&self, before: &str, after: &str) {
        change(&self.path("afk.settings.toml"), before, after);
    }

    /// An issue, with further front matter and a body.
    pub fn issue(&self, number: u32, title: &str, matter: &str, body: &str) {
        let text = format!(
            "+++\ntitle = \"{title}\"\nauthor = \"ada\"\ncreated_at = 2026-11-02T13:00:00Z\n{matter}\n+++\n\n{body}\n"
        );
        fs::write(self.path(&format!("issues/{number:04}.md")), text).expect("an issue");
    }

    /// An issue that ada armed.
    pub fn armed(&self, number: u32) {
        self.issue(number, &format!("issue {number}"), &event("ada", "labeled", "ready-for-agent"), "");
    }

    /// Something happens to an issue, now.
    pub fn happens(&self, number: u32, by: &str, what: &str, label: &str) {
        let path = self.path(&format!("issues/{number:04}.md"));
        let text = fs::read_to_string(&path).expect("an issue");
        let (matter, body) = text.rsplit_once("\n+++\n").expect("front matter");
        // Never in the past of what afk wrote: seconds are all that is compared.
        let now = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let event = event(by, what, label).replace("2026-11-02T14:00:00Z", &now);
        fs::write(path, format!("{matter}\n{event}\n+++\n{body}")).expect("an issue");
    }

    /// Runs `afk`.
    pub fn afk(&self, arguments: &[&str]) -> Said {
        self.afk_in(self.home.path(), arguments)
    }

    /// Runs `afk` in another directory, over this installation.
    pub fn afk_in(&self, directory: &Path, arguments: &[&str]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_afk"))
            .args(arguments)
            .current_dir(directory)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AFK_POLICY", self.path_or_short(directory, "policies/afk.toml"))
            .env("AFK_SETTINGS", self.path_or_short(directory, "afk.settings.toml"))
            .output()
            .expect("afk runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Said { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    fn path_or_short(&self, directory: &Path, name: &str) -> PathBuf {
        if directory == self.home.path() { PathBuf::from(name) } else { self.path(name) }
    }

    pub fn explain(&self, issue: &str) -> Said {
        self.afk(&["explain", "--issue", issue])
    }

    /// The answer of `explain` as a program reads it.
    pub fn explained(&self, issue: &str) -> serde_json::Value {
        let said = self.afk(&["explain", "--issue", issue, "--format", "json"]);
        assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
        serde_json::from_str(&said.stdout).expect("JSON")
    }

    pub fn poll(&self) {
        let said = self.afk(&["poll"]);
        assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    }

    pub fn watch(&self) -> Said {
        self.afk(&["watch"])
    }

    /// Watches until `explain` says what is waited for.
    pub fn watch_until(&self, issue: &str, wanted: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.explain(issue).stdout;
            if said.contains(wanted) {
                return said;
            }
            assert!(Instant::now() < deadline, "never said {wanted:?}:\n{said}");
            self.watch();
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Looks until `explain` says what is waited for.
    pub fn look_until(&self, issue: &str, wanted: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.explain(issue).stdout;
            if said.contains(wanted) {
                return said;
            }
            assert!(Instant::now() < deadline, "never said {wanted:?}:\n{said}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Installation {
    /// Agents end with the test, before their folder does.
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.afk(&["stop"]).stdout.contains("was asked to end") && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A label put on or taken off; or, without a label, something else that happened.
pub fn event(by: &str, what: &str, label: &str) -> String {
    let value = if label.is_empty() { "true".to_owned() } else { format!("\"{label}\"") };
    format!("[[events]]\nat = 2026-11-02T14:00:00Z\nby = \"{by}\"\n{what} = {value}\n")
}

fn change(path: &Path, before: &str, after: &str) {
    let text = fs::read_to_string(path).expect("a file");
    assert!(text.contains(before), "`{}` does not hold {before:?}", path.display());
    fs::write(path, text.replacen(before, after, 1)).expect("a file");
}

pub fn git(directory: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .current_dir(directory)
        .args(["-c", "user.name=ada", "-c", "user.email=ada@localhost"])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// Times, ids, revisions and the directory, which differ from run to run.
pub fn filtered(installation: &Installation, test: impl FnOnce()) {
    let mut settings = insta::Settings::clone_current();
    let home = installation.home.path().display().to_string();
    settings.add_filter(&home.replace('.', "\\."), "[home]");
    settings.add_filter(r"(\d{4}-)?\d\d-\d\d \d\d:\d\d(:\d\d)?Z|\d\d:\d\d:\d\dZ", "[time]");
    settings.add_filter(r"revision [0-9a-f]{8}", "revision [revision]");
    settings.add_filter(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[run]");
    settings.add_filter(r"run [0-9a-f]{8}", "run [run]");
    settings.add_filter(r"\([0-9a-f]{7}", "([commit]");
    settings.add_filter(r"commit [0-9a-f]{7}", "commit [commit]");
    settings.add_filter(r"  [0-9a-f]{8}  ", "  [run]  ");
    settings.add_filter(r"\(is \d+[smh][0-9smh]*\)", "(is [long])");
    settings.add_filter(r"quiet \d+[smh][0-9smh]*", "quiet [long]");
    settings.add_filter(r"\d+ calls", "[some] calls");
    // Columns are as wide as what stands in them.
    settings.add_filter(r"([^ \n])   +", "$1  ");
    settings.bind(test);
}
