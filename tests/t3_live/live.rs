//! Somebody's server as an executor of the suite. Its providers are steered by what prompts tell them: to run the very agents
//! of the suite, and nothing else.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::installation::{Agent, Forge, InstallationOf, Lost, REPO, Runner, Threads, git};
use crate::somebody::{Somebody, Token, command};
use crate::t3_fake::Generation;
use crate::t3_fake::contract::Contract;
use crate::wire::Wire;

/// How long an agent may take to end that was interrupted at the end of a test.
const LAST_ORDERS: Duration = Duration::from_secs(30);
/// Limits of scenarios for agents that are quick, and what they are for real ones.
const IMPATIENT: [&str; 2] = ["= \"1s\"", "= \"2s\""];
const PATIENT: &str = "= \"30s\"";

/// The server of the environment, or a fake of a generation in its place.
pub struct Live<const V0_0_27: bool> {
    wire: Wire,
    generation: Generation,
    left: RefCell<Vec<String>>,
    somebody: Somebody,
}

/// The server that `AFK_T3_URL` names; where it names none, a fake of a current one.
pub type Yours = Live<false>;
/// A fake of the release that many still run.
pub type Old = Live<true>;

/// What a prompt tells an agent: to be the agent of that name.
fn orders(name: &str, program: &str, turn: &str) -> String {
    let first = match name {
        "talks_and_waits" => "Before anything else, say `Let me see.`\n",
        "asks_a_question" => {
            "Before anything else, ask the user, with the tool that you have for questions: `Which colour?`, with the options \
             `red` and `blue`. Wait for the answer.\n"
        }
        _ => "",
    };
    format!(
        "\n\n# This is a test of afk\n\nYou stand in for an agent. Do none of the work above yourself: a program does it.\n{first}\
         Run this one command with your shell tool, once, in the foreground, in the directory that you are in, with the \
         longest time limit that the tool has, and wait for its end:\n\n    {program} {{{{ run }}}} {turn}\n\nThen end your \
         turn. Your last words are what the command printed, word for word. Look at no file, run nothing else, and mend \
         nothing, whatever it prints and however it ends.\n"
    )
}

/// The program that agents run: it becomes an agent of the suite, and ends with its installation, whatever happens.
fn program(name: &str) -> String {
    let script = match name {
        "asks_for_leave" | "asks_a_question" => "right",
        name => name,
    };
    format!(
        r#"#!/bin/sh
# agent.sh RUN start|resume, in the directory of the thread.
here=$(cd "$(dirname "$0")" && pwd)
export AFK_RUN="$1" HERE="$here"
echo "$1 $2" >>"$here/invocations"
# Where all runs begin in one folder, it is as somebody else left it.
[ "$2" = resume ] || {{ git fetch --quiet origin && git reset --quiet --hard origin/main; }} || exit 1
# What CI says, for an agent that can read no prompt.
sh ci.sh >"$here/ci.log" 2>&1
sh "$here/agents/{script}.sh" "$2" <"$here/ci.log" &
agent=$!
(while [ -e "$here/agents" ]; do sleep 0.2; done; kill "$agent") >/dev/null 2>&1 &
guard=$!
trap 'kill "$agent"; kill "$guard"' TERM INT HUP
wait "$agent"
code=$?
kill "$guard" 2>/dev/null
exit "$code"
"#
    )
}

impl<const V0_0_27: bool> Live<V0_0_27> {
    /// The threads that afk made, in full; those that are deleted are not shown.
    fn threads(&self) -> Result<Vec<Value>, String> {
        let made = self.wire.made("thread.create", "threadId");
        if self.generation == Generation::Main {
            let read = |id: &String| Ok(self.get(&format!("/api/orchestration/threads/{id}"))?["thread"].take());
            let threads: Vec<Value> = made.iter().map(read).collect::<Result<_, String>>()?;
            return Ok(threads.into_iter().filter(Value::is_object).collect());
        }
        let listing = self.get("/api/orchestration/snapshot")?;
        let threads = listing["threads"].as_array().cloned().unwrap_or_default();
        let is_own = |thread: &Value| made.iter().any(|id| thread["id"] == id.as_str());
        Ok(threads.into_iter().filter(|thread| is_own(thread) && thread["deletedAt"].is_null()).collect())
    }

    fn get(&self, path: &str) -> Result<Value, String> {
        Ok(self.wire.ask(Method::GET, path, None)?.1)
    }

    fn thread(&self, id: &str) -> Value {
        let threads = self.threads().unwrap_or_else(|error| panic!("{error}"));
        threads.into_iter().find(|thread| thread["id"] == id).unwrap_or_default()
    }

    /// Interrupts who is still at work, and deletes threads and projects; gives what could not be.
    fn clean_up(&self) -> Result<(), String> {
        let started = Instant::now();
        loop {
            let at_work: Vec<Value> = self.threads()?.into_iter().filter(is_in_flight).collect();
            if at_work.is_empty() || started.elapsed() > LAST_ORDERS {
                break;
            }
            for thread in at_work.iter().filter(|thread| thread["session"]["activeTurnId"].is_string()) {
                let fields = json!({ "threadId": thread["id"], "turnId": thread["session"]["activeTurnId"] });
                self.wire.dispatch(&command("thread.turn.interrupt", fields))?;
            }
            thread::sleep(self.somebody.interval);
        }
        for thread in self.threads()? {
            self.delete("thread.delete", json!({ "threadId": thread["id"] }))?;
        }
        let projects = self.wire.made("project.create", "projectId");
        let listing = self.get("/api/orchestration/snapshot")?;
        let there = |project: &&String| {
            let listed = listing["projects"].as_array().into_iter().flatten();
            listed.filter(|other| other["deletedAt"].is_null()).any(|other| other["id"] == project.as_str())
        };
        for project in projects.iter().filter(there) {
            self.delete("project.delete", json!({ "projectId": project, "force": true }))?;
        }
        match self.threads()?.len() {
            0 => Ok(()),
            left => Err(format!("{left} threads are left")),
        }
    }

    fn delete(&self, kind: &str, fields: Value) -> Result<(), String> {
        match self.wire.dispatch(&command(kind, fields.clone()))? {
            200 => Ok(()),
            status => Err(format!("{kind} of {fields} was answered with {status}")),
        }
    }
}

fn is_in_flight(thread: &Value) -> bool {
    let session = &thread["session"];
    let is_put_away = thread["archivedAt"].is_string();
    let is_at_work = matches!(session["status"].as_str(), Some("starting" | "running"));
    !is_put_away && (is_at_work || session["activeTurnId"].is_string())
}

impl<const V0_0_27: bool> Runner for Live<V0_0_27> {
    fn new() -> Self {
        let generation = if V0_0_27 { Generation::V0_0_27 } else { Generation::Main };
        let real = || if V0_0_27 { None } else { Somebody::real() };
        let somebody = Somebody::next(generation).or_else(real).unwrap_or_else(|| Somebody::fake(generation));
        let wire = somebody.wire();
        let shell = wire.ask(Method::GET, "/api/orchestration/shell", None).expect("the server answers");
        let generation = if shell.1.is_object() { Generation::Main } else { Generation::V0_0_27 };
        Self { wire, generation, left: RefCell::default(), somebody }
    }

    fn folder(&self) -> TempDir {
        self.somebody.folder()
    }

    fn set_up<F: Forge>(made: InstallationOf<F, Self>) -> InstallationOf<F, Self> {
        let (uri, somebody) = (made.runner.wire.uri(), &made.runner.somebody);
        let (token, variable) = match &somebody.token {
            Token::Variable(token) => ("variable = \"AFK_T3_TOKEN\"".to_owned(), Some(token.clone())),
            Token::File(path) => (format!("file = \"{}\"", path.display()), None),
        };
        let mut executor =
            format!("kind = \"t3\"\nurl = \"{uri}\"\ntoken = {{ {token} }}\nprovider = \"{}\"\n", somebody.provider);
        if somebody.checkouts.is_some() {
            // As people put it there.
            let checkouts = made.path("checkouts");
            fs::create_dir(&checkouts).unwrap();
            git(&checkouts, &["clone", "--quiet", &made.path(format!("{REPO}.git")).display().to_string(), REPO]);
            executor.push_str(&format!("checkouts = \"{}\"\n", checkouts.display()));
        }
        made.replace_executor(&executor);
        let model = format!("model        = \"{}\"", somebody.model);
        let made = made.policy(&[("model        = \"none\"", &model)]);
        match variable {
            Some(token) => made.variable("AFK_T3_TOKEN", token),
            None => made,
        }
    }

    fn agent<F: Forge>(afk: &InstallationOf<F, Self>, name: &str) {
        let path = afk.path("agent.sh");
        fs::write(&path, program(name)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        for (prompt, turn) in [("implement", "start"), ("fix-forward", "resume")] {
            let file = format!("policies/prompts/{prompt}.md");
            let text = afk.read(&file);
            let text = text.split("\n\n# This is a test of afk").next().unwrap_or_default();
            afk.write(&file, &format!("{text}{}", orders(name, &path.display().to_string(), turn)));
        }
        let mode = if name == "asks_for_leave" { "approval-required" } else { "full-access" };
        let policy = afk.read("policies/afk.toml");
        let lines = policy.lines().map(|line| match line.strip_prefix("runtime_mode = ") {
            Some(_) => format!("runtime_mode = \"{mode}\"\n"),
            None => format!("{line}\n"),
        });
        afk.write("policies/afk.toml", &lines.collect::<String>());
    }

    fn in_its_time(&self, text: &str) -> String {
        let is_limit = text.split_whitespace().next().is_some_and(|key| key.ends_with("_timeout"));
        match IMPATIENT.iter().find(|limit| text.ends_with(*limit)) {
            Some(limit) if is_limit && self.somebody.is_real() => text.replace(limit, PATIENT),
            _ => text.to_owned(),
        }
    }

    fn patience(&self) -> Duration {
        self.somebody.patience
    }

    fn interval(&self) -> Duration {
        self.somebody.interval
    }

    fn grace<F: Forge>(_: &InstallationOf<F, Self>, _: Duration) {
        unreachable!("how long a provider waits for the end of an agent is its own matter")
    }

    fn agents<F: Forge>(afk: &InstallationOf<F, Self>) -> Vec<Agent> {
        let live = &afk.runner;
        // At the end of a test that failed, nobody can be asked and that changes nothing.
        let threads = match live.threads() {
            Err(error) if !thread::panicking() => panic!("{error}"),
            threads => threads.unwrap_or_default(),
        };
        let asked = live.wire.accepted("thread.turn.start");
        let agent = |created: &Value| {
            let run = created["threadId"].as_str()?;
            let thread = threads.iter().find(|thread| thread["id"] == run);
            let own = asked.iter().filter(|turn| turn["threadId"] == run);
            let prompts: Vec<String> =
                own.filter_map(|turn| turn["message"]["text"].as_str().map(str::to_owned)).collect();
            let turns = live.wire.turns(run);
            let is_waiting =
                |thread: &Value| thread["archivedAt"].is_null() && prompts.len() > turns && !has_failed(thread);
            let messages = thread.and_then(|thread| thread["messages"].as_array()).into_iter().flatten();
            let said = messages.filter(|message| message["role"] == "assistant");
            let workspace = match created["worktreePath"].as_str() {
                Some(path) => path.into(),
                None => afk.path("checkouts").join(REPO),
            };
            Some(Agent {
                run: run.to_owned(),
                turns,
                live: thread.is_some_and(|thread| is_in_flight(thread) || is_waiting(thread)),
                prompts,
                workspace,
                output_bytes: said.map(|message| message["text"].as_str().map_or(0, str::len) as u64).sum(),
            })
        };
        let mut agents: Vec<Agent> = live.wire.accepted("thread.create").iter().filter_map(agent).collect();
        agents.sort_by(|one, other| one.run.cmp(&other.run));
        agents
    }

    /// Whatever became of the test, nothing of it stays on the server.
    fn clear<F: Forge>(afk: &InstallationOf<F, Self>) {
        // Whoever is told nothing ends by this.
        let _ = fs::remove_dir_all(afk.path("agents"));
        let left = afk.runner.clean_up().err();
        afk.runner.left.borrow_mut().extend(left);
        if thread::panicking() {
            afk.runner.report();
        }
    }

    /// Whatever a test was about, all that was said on the wire was seen with a recorded server.
    fn end(&self) {
        self.report();
        let found = self.found();
        assert!(found.is_empty(), "drift from the recorded contract, or something is left:\n{}", found.join("\n"));
    }
}

/// A turn that was accepted and whose provider said no has no turn's id.
fn has_failed(thread: &Value) -> bool {
    let activities = thread["activities"].as_array().into_iter().flatten();
    activities.into_iter().any(|activity| activity["kind"] == "provider.turn.start.failed")
}

impl<const V0_0_27: bool> Live<V0_0_27> {
    pub fn somebody(&self) -> &Somebody {
        &self.somebody
    }

    fn found(&self) -> Vec<String> {
        let mut found = match Contract::open(self.generation) {
            Some(contract) => self.wire.drift(contract),
            None => Vec::new(),
        };
        found.extend(self.left.borrow().iter().map(|left| format!("left on the server: {left}")));
        found
    }

    /// Says what was found, where a failure would hide it.
    fn report(&self) {
        crate::FOUND.with(|found| *found.borrow_mut() = self.found());
        #[expect(clippy::print_stderr, reason = "whoever tries it on a server of theirs wants to know")]
        if thread::panicking() {
            for line in self.found() {
                eprintln!("drift: {line}");
            }
        }
    }
}

impl<const V0_0_27: bool> Threads for Live<V0_0_27> {
    fn person(&self, command: &Value) -> u16 {
        self.wire.dispatch(command).unwrap_or_else(|error| panic!("{error}"))
    }

    fn activities(&self, thread: &str) -> Vec<Value> {
        self.thread(thread)["activities"].as_array().cloned().unwrap_or_default()
    }

    fn is_archived(&self, thread: &str) -> bool {
        self.thread(thread)["archivedAt"].is_string()
    }

    fn sent(&self, command: &str) -> usize {
        self.wire.log().iter().filter(|exchange| exchange.command.as_deref() == Some(command)).count()
    }

    fn projects(&self) -> usize {
        self.wire.made("project.create", "projectId").into_iter().collect::<BTreeSet<_>>().len()
    }

    fn loses(&self, lost: Lost, command: &str, times: usize) {
        self.wire.loses(Some((lost, command.to_owned(), times)));
    }

    fn loses_nothing(&self) {
        self.wire.loses(None);
    }

    fn token_counts(&self, counts: bool) {
        self.wire.spoil_token(!counts);
    }
}
