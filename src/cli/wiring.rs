//! From settings to a world: which adapter stands behind which port.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::exit::Failure;
use super::output::CommandingNobody;
use crate::adapters::clock::SystemClock;
use crate::adapters::command::ci::CommandCi;
use crate::adapters::command::{Attended, CommandExecutor, KillSwitch, Workspaces};
use crate::adapters::doorbell::{Channel, HttpDoorbell, Waits};
use crate::adapters::git::{Forge, GitMirrors};
use crate::adapters::github::checks::GithubChecks;
use crate::adapters::github::code::GithubCode;
use crate::adapters::github::credential::{AppCredential, TokenCredential};
use crate::adapters::github::{Github, GithubTracker, Server};
use crate::adapters::guarded::{Guard, Guarded};
use crate::adapters::http::Http;
use crate::adapters::http::api::{Cost, Credential, Manners};
use crate::adapters::http::manners::SystemPace;
use crate::adapters::installation::Installation;
use crate::adapters::local::LocalTracker;
use crate::adapters::ntfy::Ntfy;
use crate::adapters::policy_file;
use crate::adapters::slack::Slack;
use crate::adapters::stages::Stages;
use crate::adapters::t3::server::T3Server;
use crate::adapters::t3::{Parts, T3Executor};
use crate::adapters::terminal::TerminalDoorbell;
use crate::adapters::webhook::Webhook;
use crate::policy::{InstalledNames, Policy};
use crate::ports::{Code, Executor, Notifier, Tracker};
use crate::settings::{
    DoorbellSettings, ExecutorSettings, GithubApp, GithubSettings, RepoSettings, Settings, T3ExecutorSettings,
    TrackerSettings,
};
use crate::ticks::record::Seal;
use crate::ticks::world::World;

/// How long one ring may take at most: a doorbell where nobody answers must leave the tick to the runs.
const RING_TIMEOUT: Duration = Duration::from_secs(20);

/// Whether the edges may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A tick: it holds the lock of the installation, and remembers for the next.
    Full,
    /// A command beside the ticks: it may write to the edges, and leaves what a tick remembers as it is.
    Beside,
    /// A question: no edge is written to, and no CI job is started.
    ReadOnly,
}

/// Reads the settings.
///
/// # Errors
/// When they are missing or wrong.
pub fn settings(path: &Path) -> Result<Settings, Failure> {
    Settings::load(Some(path), &[]).map_err(|error| {
        Failure::could_not_run(error.to_string())
            .help("`afk init` writes settings to start from; `--settings FILE` names others")
    })
}

/// What people call the tracker.
pub fn tracker_name(settings: &Settings) -> String {
    match &settings.tracker {
        TrackerSettings::Local { .. } => "folders of Markdown issues, without any trust boundary,".to_owned(),
        TrackerSettings::Github(github) => format!("GitHub at {}", github.url),
    }
}

/// All that a policy may refer to, for checking it.
pub fn installed(settings: &Settings) -> InstalledNames {
    InstalledNames {
        executors: Some(settings.executors.keys().cloned().collect()),
        commands: Some(settings.ci.keys().cloned().collect()),
        repositories: match settings.tracker {
            TrackerSettings::Local { .. } => Some(settings.repos.keys().cloned().collect()),
            // The settings name only the repositories that need something of their own.
            TrackerSettings::Github(_) => None,
        },
        ..doorbells(settings)
    }
}

/// What a tick holds a policy against: a doorbell that is not there would keep silent about everything, whereas a
/// missing executor concerns single repositories and must not stop the whole installation.
pub fn doorbells(settings: &Settings) -> InstalledNames {
    InstalledNames { doorbells: Some(settings.doorbells.keys().cloned().collect()), ..InstalledNames::default() }
}

/// The data directory.
///
/// # Errors
/// When it is another installation's, or nobody can tell whose it is.
pub fn installation(settings: &Settings, access: Access) -> Result<Installation, Failure> {
    let installation = Installation::new(&settings.data);
    if let Some(file) = &settings.file {
        installation.belongs_to(file, access != Access::ReadOnly)?;
    }
    Ok(installation)
}

/// Puts a world together. `policy` is the file that the kill switch is read from again and again.
///
/// # Errors
/// When afk's own program cannot be found, a secret cannot be read, or the data directory is another installation's.
pub fn world(settings: &Settings, policy: &Path, access: Access) -> Result<World, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::could_not_run(format!("cannot find afk's own program: {error}")))?;
    let calls = Rc::new(Cell::new(0));
    // A call may send a read three times.
    let http = Rc::new(Http::new(settings.call_timeout / 3));
    let read_only = access == Access::ReadOnly;
    let keeps = access == Access::Full;
    let guard = Guard::new(settings.call_timeout, calls.clone(), read_only);
    // Fetching and cloning a large repository takes its time, and has to leave some of the tick to the others.
    let patient = Guard::new(settings.tick_deadline / 2, calls.clone(), read_only);
    let installation = installation(settings, access)?;
    // Who agents work for: one installation never takes another's for its own.
    let controller = installation.identity(!read_only)?.to_string();
    let remotes = settings.repos.iter().map(|(name, repo)| (name.clone(), repo.git.clone())).collect();
    let mirrors = GitMirrors::new(settings.data.join("mirrors"), remotes);
    let (tracker, mirrors, host, github): (Rc<dyn Tracker>, _, _, _) = match &settings.tracker {
        TrackerSettings::Local { login, people } => {
            let folder = |(name, repo): (&String, &RepoSettings)| Some((name.clone(), repo.issues.clone()?));
            let folders = settings.repos.iter().filter_map(folder).collect();
            let tracker = LocalTracker::new(login.clone(), people.clone(), folders);
            (Rc::new(Guarded::new(tracker, "tracker", guard.clone())), mirrors, "local".to_owned(), None)
        }
        TrackerSettings::Github(github) => {
            let server = Server::new(github.url.as_str())?;
            let credential = credential(github, &server, &http)?;
            let polite = Manners::default();
            let manners = Manners {
                requests: github.requests_per_tick,
                reserve: github.reserve,
                memory: Some(settings.data.join("github")),
                keeps,
                // Only this very machine is talked to without TLS, and what listens there does not mind.
                write_interval: if server.rest.scheme() == "http" { Duration::ZERO } else { polite.write_interval },
                ..polite
            };
            let host = server.host();
            let mirrors = mirrors.with_forge(Forge::new(server.web.clone(), credential.clone()));
            let api = Github::new(&server, credential, http.clone(), manners);
            let hosts = github.log_hosts.clone();
            let tracker = GithubTracker::new(api.clone(), server).remembering(&settings.data, keeps);
            (Rc::new(Guarded::new(tracker, "tracker", patient.clone())), mirrors, host, Some((api, hosts)))
        }
    };
    let mirrors = Rc::new(mirrors);

    let ci = CommandCi::new(settings.data.join("ci"), mirrors.clone(), settings.ci.clone(), program.clone());
    let ci = if read_only { ci.without_starting() } else { ci };
    let spent = github.as_ref().map(|(api, _)| api.rest.clone());
    let (code, ci): (Rc<dyn Code>, _) = match github {
        Some((api, hosts)) => {
            let checks = GithubChecks::new(api.clone(), mirrors.clone(), http.clone(), hosts);
            let code = Guarded::new(GithubCode::new(api, mirrors.clone()), "github", patient.clone());
            (Rc::new(code), Stages::new(ci, Some(Rc::new(checks))))
        }
        None => {
            let code = Guarded::<GitMirrors>::new(mirrors.clone(), "git", patient.clone());
            (Rc::new(code), Stages::new(ci, None))
        }
    };
    let kill_switch = kill_switch_reader(policy.to_path_buf(), installation.clone());
    let workspaces = Attended { workspaces: mirrors, kill_switch: kill_switch.clone() };
    let (executors, servers) =
        executors(settings, &controller, &Rc::new(workspaces), &program, (&patient, &http), keeps);
    Ok(World {
        tracker,
        code,
        ci: Rc::new(Guarded::new(ci, "ci", guard.clone())),
        executors,
        doorbells: bells(settings, &guard),
        clock: Rc::new(SystemClock),
        seal: seal(settings, host)?,
        agent_logins: settings.identity.agents.clone(),
        kill_switch: Box::new(move || kill_switch()),
        installation,
        calls,
        cost: Box::new(move || {
            if spent.is_none() && servers.is_empty() {
                return None;
            }
            let executors = servers.iter().map(|(name, server)| (name.clone(), server.requests())).collect();
            Some(Cost { executors, ..spent.as_ref().map(|api| api.cost()).unwrap_or_default() })
        }),
    })
}

/// What afk shows GitHub to be let in.
fn credential(github: &GithubSettings, server: &Server, http: &Rc<Http>) -> Result<Rc<dyn Credential>, Failure> {
    Ok(match (&github.token, &github.app) {
        (Some(token), _) => Rc::new(TokenCredential::new(token.clone())),
        (None, Some(GithubApp { id, installation, key })) => {
            let pace = Rc::new(SystemPace);
            Rc::new(AppCredential::new(server.rest.clone(), *id, *installation, key.clone(), http.clone(), pace))
        }
        (None, None) => return Err(Failure::could_not_run("[tracker] has neither `token` nor `app`")),
    })
}

/// Who runs agents, and the servers that are asked for it.
fn executors(
    settings: &Settings,
    controller: &str,
    workspaces: &Rc<Attended<Rc<GitMirrors>>>,
    program: &Path,
    (guard, http): (&Guard, &Rc<Http>),
    keeps: bool,
) -> (BTreeMap<String, Rc<dyn Executor>>, BTreeMap<String, T3Server>) {
    let mut servers = BTreeMap::new();
    let executor = |(name, executor): (&String, &ExecutorSettings)| {
        let what = format!("executor `{name}`");
        let executor: Rc<dyn Executor> = match executor {
            ExecutorSettings::Command(command) => {
                let executor = CommandExecutor::new(
                    settings.data.join("runs"),
                    name.clone(),
                    controller.to_owned(),
                    command.clone(),
                    workspaces.clone(),
                    program.to_path_buf(),
                );
                Rc::new(Guarded::new(executor, what, guard.clone()))
            }
            ExecutorSettings::T3(t3) => {
                let executor = t3_executor(settings, (name, t3), controller, workspaces.clone(), http, keeps);
                servers.insert(name.clone(), executor.server());
                Rc::new(Guarded::new(executor, what, guard.clone()))
            }
        };
        (name.clone(), executor)
    };
    (settings.executors.iter().map(executor).collect(), servers)
}

/// A T3 Code server as executor. `keeps`: what it learns from looking is remembered.
fn t3_executor<W: Workspaces>(
    settings: &Settings,
    (name, t3): (&str, &T3ExecutorSettings),
    controller: &str,
    workspaces: W,
    http: &Rc<Http>,
    keeps: bool,
) -> T3Executor<W> {
    T3Executor::new(Parts {
        folder: settings.data.join("t3").join(name),
        name: name.to_owned(),
        controller: controller.to_owned(),
        settings: t3.clone(),
        credential: Rc::new(TokenCredential::new(t3.token.clone())),
        http: http.clone(),
        workspaces,
        clock: Rc::new(SystemClock),
        keeps,
    })
}

fn bells(settings: &Settings, guard: &Guard) -> BTreeMap<String, Rc<dyn Notifier>> {
    // Sooner than the guard, so that it is remembered that nobody answered.
    let http = Rc::new(Http::new(RING_TIMEOUT.min(settings.call_timeout / 2)));
    let waits = Rc::new(Waits::new(settings.data.clone()));
    let bell = |(name, doorbell): (&String, &DoorbellSettings)| {
        let what = format!("doorbell `{name}`");
        let channel: Box<dyn Channel> = match doorbell.clone() {
            DoorbellSettings::Terminal {} => {
                let bell = TerminalDoorbell::new(CommandingNobody(std::io::stderr()));
                let bell: Rc<dyn Notifier> = Rc::new(Guarded::new(bell, what, guard.clone()));
                return (name.clone(), bell);
            }
            DoorbellSettings::Webhook { url, secret } => Box::new(Webhook { url, secret }),
            DoorbellSettings::Slack(slack) => Box::new(Slack(slack)),
            DoorbellSettings::Ntfy { url, topic, token } => Box::new(Ntfy { url, topic, token }),
        };
        let bell = HttpDoorbell::new(name.clone(), channel, http.clone(), waits.clone(), Rc::new(SystemClock));
        let bell: Rc<dyn Notifier> = Rc::new(Guarded::new(bell, what, guard.clone()));
        (name.clone(), bell)
    };
    settings.doorbells.iter().map(bell).collect()
}

fn seal(settings: &Settings, host: String) -> Result<Seal, Failure> {
    let mut keys = Vec::new();
    for source in &settings.identity.record_keys {
        keys.push(source.read().map_err(|error| Failure::could_not_run(format!("record key: {error}")))?);
    }
    Ok(Seal::new(host, keys))
}

/// The kill switch of the policy itself: why it is on, or `None`.
pub fn kill_switch_of_policy(policy: &Policy) -> Option<String> {
    let line = policy.line(policy.kill_switch.span);
    policy.kill_switch.value.then(|| format!("kill_switch is true ({}, line {line})", policy.source.name))
}

/// Every form of the kill switch: why it is on, or `None`.
///
/// # Errors
/// When `AFK_KILL_SWITCH` is not a boolean, or the orders cannot be read: nobody may guess what was meant.
pub fn kill_switch(policy: &Policy, installation: &Installation) -> Result<Option<String>, Failure> {
    if let Some(why) = kill_switch_of_policy(policy) {
        return Ok(Some(why));
    }
    if from_environment()? {
        return Ok(Some("AFK_KILL_SWITCH is set".to_owned()));
    }
    // An order that cannot be read may be one to stop, and nobody can give another: that is a fault to be told.
    let orders = installation.orders()?;
    Ok(orders
        .stopped_at
        .map(|at| format!("`afk stop` since {} (`afk stop --undo` takes it back)", crate::ticks::progress::time(at))))
}

fn from_environment() -> Result<bool, Failure> {
    match std::env::var("AFK_KILL_SWITCH") {
        Err(std::env::VarError::NotPresent) => Ok(false),
        Ok(value) if matches!(value.as_str(), "true" | "1") => Ok(true),
        Ok(value) if matches!(value.as_str(), "false" | "0" | "") => Ok(false),
        _ => Err(Failure::could_not_run("AFK_KILL_SWITCH is not a boolean")
            .help("write `AFK_KILL_SWITCH=true`, or leave it unset; it can turn the switch on, never off")),
    }
}

fn kill_switch_reader(policy: PathBuf, installation: Installation) -> KillSwitch {
    Rc::new(move || match policy_file::load(&policy, &InstalledNames::default()).checked.policy {
        Some(policy) => kill_switch(&policy, &installation).unwrap_or_else(|failure| Some(failure.message)),
        None => Some(format!("`{}` cannot be used any more", policy.display())),
    })
}
