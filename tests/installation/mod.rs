//! A whole installation in a directory of its own, driven by the verbs of its users: the real binary, real git, an
//! agent and CI as real processes, and a forge that has the issues. It begins as `examples/quickstart`, with nobody having armed anything.

#![allow(dead_code, reason = "every test file uses a part of it")]

mod forge;
mod local;
mod look;
mod runner;

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

pub use forge::{Act, Forge};
pub use local::Local;
#[allow(unused_imports, reason = "every test file uses a part of it")]
pub use look::{Agent, Comment, Issue, Outcome};
#[allow(unused_imports, reason = "every test file uses a part of it")]
pub use runner::{Lost, Processes, Runner, Threads};

/// How long a command may take.
const DEADLINE: Duration = Duration::from_secs(40);
/// The one repository of the quickstart.
pub const REPO: &str = "greeter";

/// An installation whose issues are files.
pub type Installation = InstallationOf<Local>;

/// A directory with policy, settings, a bare repository and an agent, a forge for the issues, and an executor.
pub struct InstallationOf<F: Forge, R: Runner = Processes> {
    pub forge: F,
    pub runner: R,
    folder: TempDir,
    variables: Vec<(OsString, OsString)>,
    heard: RefCell<String>,
}

/// What a command came to.
#[derive(Debug)]
pub struct Ran {
    /// `None`: a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A command that is still at work.
pub struct Running {
    child: Child,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
}

impl<F: Forge, R: Runner> InstallationOf<F, R> {
    /// The quickstart with the toy agent: red at first, corrected when told. Issue 1 is there, not armed.
    pub fn new() -> Self {
        let runner = R::new();
        let made =
            Self { forge: F::new(), folder: runner.folder(), runner, variables: Vec::new(), heard: RefCell::default() };
        let quickstart = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
        copy(&quickstart, &made.root());
        fs::remove_dir_all(made.path("issues")).unwrap();
        made.repository(REPO);
        let made = R::set_up(F::set_up(made));
        made.grant("leo", "write");
        made.write_issue(1, "greet() ignores the name", "`sh greet.sh ada` prints `hi`. It should greet ada by name.");
        made.with_script("agents/toy.sh", &fs::read_to_string(quickstart.join("agent.sh")).unwrap()).agent("toy")
    }

    /// The same, with issue 1 armed by ada.
    pub fn armed() -> Self {
        let made = Self::new();
        made.arm(1, "ada");
        made
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("installation")
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Makes the bare repository `NAME.git` out of the quickstart's seed.
    pub fn repository(&self, name: &str) {
        let seed = self.path(format!("{name}-seed"));
        copy(&self.path("repository"), &seed);
        for arguments in [
            &["init", "--quiet", "--initial-branch=main"] as &[&str],
            &["add", "--all"],
            &["-c", "user.name=ada", "-c", "user.email=ada@localhost", "commit", "--quiet", "--message", "Begin"],
            &["clone", "--quiet", "--bare", ".", &format!("../{name}.git")],
        ] {
            git(&seed, arguments);
        }
    }

    /// Changes the policy; each text to replace must be there.
    pub fn policy(self, changes: &[(&str, &str)]) -> Self {
        self.edit("policies/afk.toml", changes);
        self
    }

    /// Changes the settings; each text to replace must be there.
    pub fn settings(self, changes: &[(&str, &str)]) -> Self {
        self.edit("afk.settings.toml", changes);
        self
    }

    pub fn edit(&self, name: &str, changes: &[(&str, &str)]) {
        let mut text = self.read(name);
        for (before, after) in changes {
            let (before, after) = (F::localized(before), self.runner.in_its_time(&F::localized(after)));
            assert!(text.contains(&before), "{name} does not hold {before:?}");
            text = text.replace(&before, &after);
        }
        self.write(name, &text);
    }

    /// Puts another executor into the place of the quickstart's.
    pub fn replace_executor(&self, entry: &str) {
        let settings = self.read("afk.settings.toml");
        let (before, rest) = settings.split_once("[executors.toy]\n").unwrap();
        let (_, after) = rest.split_once("[ci.test]\n").unwrap();
        self.write("afk.settings.toml", &format!("{before}[executors.toy]\n{entry}\n[ci.test]\n{after}"));
    }

    pub fn with_script(self, name: &str, text: &str) -> Self {
        self.script(name, text);
        self
    }

    pub fn script(&self, name: &str, text: &str) {
        self.write(name, text);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Another agent: one of `tests/scenarios/agents`. Every turn that begins is written down outside of afk's data.
    pub fn agent(self, name: &str) -> Self {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/agents")).unwrap() {
            let entry = entry.unwrap();
            let script = fs::read_to_string(entry.path()).unwrap();
            self.script(&format!("agents/{}", entry.file_name().to_str().unwrap()), &script);
        }
        let wrapper = format!(
            "#!/bin/sh\nhere=$(dirname \"$0\")\nexport HERE=\"$here\"\necho \"$AFK_RUN $1\" >>\"$here/invocations\"\nexec sh \"$here/agents/{name}.sh\" \"$1\"\n"
        );
        let made = self.with_script("agent.sh", &wrapper);
        R::agent(&made, name);
        made
    }

    /// How long an agent lives on that was told to end.
    pub fn grace(self, grace: Duration) -> Self {
        R::grace(&self, grace);
        self
    }

    /// A variable of afk's environment, from now on.
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// A policy that waits for nothing to settle: what processes bring about is waited for by the test.
    pub fn hasty(self) -> Self {
        let settled = "quiet = { gte = \"$limits.settle_time\" }";
        let made = self.policy(&[(&format!(", {settled}"), "")]);
        let text = made.read("policies/afk.toml");
        let kept = text.lines().filter(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") != settled);
        made.write("policies/afk.toml", &kept.map(|line| format!("{line}\n")).collect::<String>());
        made
    }

    /// An agent that pushed a red commit and ended; the next watch would send it a corrective turn.
    pub fn red_and_waiting_for_a_turn() -> Self {
        let made = Self::armed().agent("wrong").hasty();
        made.dispatch();
        made.wait_until_quiet();
        made.watch();
        made.wait_until_quiet();
        assert_eq!(made.issue(1).state().as_deref(), Some("verifying"));
        made
    }

    /// A `PATH` with a `git` before the real one that runs a script first.
    pub fn git_before_the_real_one(&self, script: &str) -> String {
        let real = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|folder| folder.join("git"))
            .find(|git| git.is_file())
            .unwrap();
        self.script("bin/git", &format!("#!/bin/sh\n{script}\nexec {} \"$@\"\n", real.display()));
        format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap())
    }

    /// A second repository, with issues of its own.
    pub fn second_repository(self, name: &str) -> Self {
        self.repository(name);
        let entry = F::add_repository(&self, name);
        self.settings(&[("[executors.toy]", &format!("{entry}\n\n[executors.toy]"))])
            .policy(&[("= [\"greeter\"]   ", &format!("= [\"greeter\", \"{name}\"]   "))])
    }

    // What people do.

    pub fn write_issue(&self, number: u64, title: &str, body: &str) {
        self.write_issue_of(REPO, number, title, body);
    }

    pub fn write_issue_of(&self, repo: &str, number: u64, title: &str, body: &str) {
        F::write_issue(self, repo, number, title, body);
    }

    /// What afk calls an issue of the one repository.
    pub fn reference(&self, number: u64) -> String {
        F::localized(&format!("\"{REPO}\"#{number}")).replace('"', "")
    }

    /// What somebody may do from now on, wherever the tracker says so.
    pub fn grant(&self, login: &str, permission: &str) {
        F::grant(self, login, permission);
    }

    /// A person; what they do is an event of an issue.
    pub fn person<'a>(&'a self, login: &'a str) -> Person<'a, F, R> {
        Person { installation: self, login, repo: REPO }
    }

    pub fn person_in<'a>(&'a self, repo: &'a str, login: &'a str) -> Person<'a, F, R> {
        Person { installation: self, login, repo }
    }

    /// Somebody puts the ready label on.
    pub fn arm(&self, number: u64, login: &str) {
        self.person(login).labels(number, "ready-for-agent");
    }

    /// A commit with `Closes #N` reached the default branch.
    pub fn is_closed_by_a_commit(&self, number: u64) {
        F::act(self, "afk", REPO, number, Act::CloseByCommit);
    }

    /// All comments of an issue are gone.
    pub fn loses_comments(&self, number: u64) {
        F::act(self, "afk", REPO, number, Act::LoseComments);
    }

    // What afk is asked to do.

    /// Starts `afk`, with nothing of our environment but what is needed to find programs.
    pub fn start(&self, arguments: &[&str]) -> Running {
        self.start_with(arguments, &[])
    }

    pub fn start_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_afk"))
            .args(arguments)
            .current_dir(self.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = drain(child.stdout.take().unwrap());
        let stderr = drain(child.stderr.take().unwrap());
        Running { child, stdout, stderr }
    }

    pub fn afk(&self, arguments: &[&str]) -> Ran {
        self.afk_with(arguments, &[])
    }

    pub fn afk_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        let ran = self.start_with(arguments, variables).end();
        for (name, token) in &self.variables {
            let is_said =
                name.to_string_lossy().ends_with("_TOKEN") && ran.to_string().contains(&*token.to_string_lossy());
            assert!(!is_said, "{} is shown", name.display());
        }
        self.heard.borrow_mut().push_str(&ran.stderr);
        ran
    }

    pub fn poll(&self) -> Ran {
        self.afk(&["poll"])
    }

    pub fn watch(&self) -> Ran {
        self.afk(&["watch"])
    }

    /// A poll that must have nothing to complain about.
    pub fn dispatch(&self) {
        let ran = self.poll();
        assert_eq!(ran.code, Some(0), "{ran}");
        assert!(ran.stdout.contains("  dispatched  "), "{ran}");
    }

    /// Watches again and again until the issue is as it is wanted.
    pub fn watch_until(&self, what: &str, mut wanted: impl FnMut(&Issue) -> bool) -> Issue {
        let started = Instant::now();
        let mut said = String::new();
        loop {
            let issue = self.issue(1);
            if wanted(&issue) {
                return issue;
            }
            assert!(started.elapsed() < self.runner.patience(), "not {what} in time: {issue:#?}\n{said}");
            let ran = self.watch();
            assert!(matches!(ran.code, Some(0 | 3)), "{ran}");
            // What is said again and again is said once.
            let ran = ran.to_string();
            if !said.ends_with(&ran) {
                said.push_str(&ran);
            }
            thread::sleep(self.runner.interval());
        }
    }

    /// Watches until the run of issue 1 has entered a state.
    pub fn watch_until_state(&self, state: &str) -> Issue {
        self.watch_until(state, |issue| issue.state().as_deref() == Some(state))
    }

    /// Watches until the run of issue 1 is over and its lock released.
    pub fn watch_until_over(&self) -> Issue {
        self.watch_until("over", |issue| issue.outcome().is_some() && !issue.has("agent-in-progress"))
    }

    /// Waits until something is so that processes bring about by themselves.
    pub fn wait_until(&self, what: &str, wanted: impl Fn() -> bool) {
        let started = Instant::now();
        while !wanted() {
            assert!(started.elapsed() < self.runner.patience(), "not {what} in time");
            thread::sleep(self.runner.interval() / 6);
        }
    }

    /// Waits until something is so, and goes on when it takes too long.
    pub fn wait_at_most(&self, time: Duration, wanted: impl Fn() -> bool) {
        let started = Instant::now();
        while !wanted() && started.elapsed() < time {
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Copies the installation aside, while no process is at work in it.
    pub fn save(&self, name: &str) {
        self.forge.save(name);
        copy_all(&self.root(), &self.folder.path().join(format!("saved-{name}")));
    }

    /// Puts the installation back to what it was, in the same place; what was heard since then is forgotten.
    pub fn restore(&self, name: &str) {
        self.forge.restore(name);
        fs::remove_dir_all(self.root()).unwrap();
        copy_all(&self.folder.path().join(format!("saved-{name}")), &self.root());
        self.heard.borrow_mut().clear();
    }

    /// How many calls to the edges the last tick made.
    pub fn calls_of_the_last(&self, tick: &str) -> u64 {
        let beat: serde_json::Value = serde_json::from_str(&self.read(&format!("data/heartbeat-{tick}.json"))).unwrap();
        beat["calls"].as_u64().unwrap()
    }

    /// Waits until no agent and no CI job is at work.
    pub fn wait_until_quiet(&self) {
        self.wait_until("quiet", || !self.is_at_work());
    }

    /// How often a kind of notification rang at the terminal.
    pub fn rings(&self, kind: &str) -> usize {
        self.heard.borrow().lines().filter(|line| line.starts_with(&format!("{kind}: "))).count()
    }
}

/// Agents that a failed test leaves behind are asked to end, as `afk stop` would.
impl<F: Forge, R: Runner> Drop for InstallationOf<F, R> {
    fn drop(&mut self) {
        R::clear(self);
        let started = Instant::now();
        while self.is_at_work() && started.elapsed() < Duration::from_secs(10) {
            thread::sleep(self.runner.interval() / 6);
        }
        if !thread::panicking() {
            self.forge.end();
            self.runner.end();
        }
    }
}

/// Somebody who works on the issues of a repository.
pub struct Person<'a, F: Forge, R: Runner> {
    installation: &'a InstallationOf<F, R>,
    login: &'a str,
    repo: &'a str,
}

impl<F: Forge, R: Runner> Person<'_, F, R> {
    pub fn labels(&self, number: u64, label: &str) {
        self.act(number, Act::Label(label));
    }

    pub fn unlabels(&self, number: u64, label: &str) {
        self.act(number, Act::Unlabel(label));
    }

    pub fn closes(&self, number: u64) {
        self.act(number, Act::Close);
    }

    pub fn edits(&self, number: u64, body: &str) {
        self.act(number, Act::Edit(body));
    }

    pub fn deletes(&self, number: u64) {
        self.act(number, Act::Delete);
    }

    pub fn comments(&self, number: u64, body: &str) {
        self.act(number, Act::Comment(body));
    }

    fn act(&self, number: u64, act: Act<'_>) {
        F::act(self.installation, self.login, self.repo, number, act);
    }
}

impl Running {
    /// What came of it, once it was asked to end.
    pub fn terminate(self) -> Ran {
        let process = Pid::from_child(&self.child);
        rustix::process::kill_process(process, Signal::TERM).unwrap();
        self.end()
    }

    /// What came of it, once it ended by itself.
    pub fn end(mut self) -> Ran {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > DEADLINE {
                self.child.kill().unwrap();
                panic!("afk hangs: {}", self.stderr.join().unwrap());
            }
            thread::sleep(Duration::from_millis(2));
        };
        Ran { code: status.code(), stdout: self.stdout.join().unwrap(), stderr: self.stderr.join().unwrap() }
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(out, "exit code {:?}\n{}{}", self.code, self.stdout, self.stderr)
    }
}

fn drain(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Runs git as nobody in particular, and gives what it says.
pub fn git(directory: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(directory).args(arguments).env_clear().env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A copy with modes and times as they are.
fn copy_all(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success(), "could not copy {}", from.display());
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
