//! What differs per installation: addresses, tokens, argv, directories, doorbells by name.
//!
//! Settings are layered: defaults, a settings file, `AFK_…` variables, flags. What an operator decides about issues
//! and runs is never here but in the policy; and no address or command ever comes from the policy.

pub(crate) mod address;
mod check;
mod explain;
mod load;
mod secret;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Deserializer, Serialize};

pub use load::{DEFAULT_FILE, NOT_SETTINGS, SettingsError};
pub use secret::SecretError;

/// The settings of one installation, layered and checked. Relative paths are relative to the settings file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The settings file that was read; `None` when there is none.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// Where afk keeps locks, mirrors, runs and heartbeats.
    #[serde(default = "default_data")]
    pub data: PathBuf,
    /// Who afk and its agents are.
    #[serde(default)]
    pub identity: Identity,
    /// Where issues are.
    pub tracker: TrackerSettings,
    /// The repositories, by the name that policies use. Needed by the local tracker, and by git where the tracker does
    /// not tell the address.
    #[serde(default)]
    pub repos: BTreeMap<String, RepoSettings>,
    /// What runs agents, by the name that `[agent] executor` uses.
    #[serde(default)]
    pub executors: BTreeMap<String, ExecutorSettings>,
    /// Commands for stages with `source = "command"`, by name.
    #[serde(default)]
    pub ci: BTreeMap<String, CiCommand>,
    /// Who is told, by the name that `to` uses.
    #[serde(default)]
    pub doorbells: BTreeMap<String, DoorbellSettings>,
    /// How long one tick may take.
    #[serde(with = "duration", default = "default_tick_deadline")]
    pub tick_deadline: Duration,
    /// How long one call to the world may take.
    #[serde(with = "duration", default = "default_call_timeout")]
    pub call_timeout: Duration,
    /// How often `serve` polls.
    #[serde(with = "duration", default = "default_interval")]
    pub poll_interval: Duration,
    /// How often `serve` watches.
    #[serde(with = "duration", default = "default_interval")]
    pub watch_interval: Duration,
}

/// Who afk and its agents are on the tracker.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The login that agents use. They never arm, and never count as afk.
    #[serde(default)]
    pub agents: Vec<String>,
    /// The keys that sign records, newest first: a variable or a file each. Older ones are still accepted.
    #[serde(default)]
    pub record_keys: Vec<SecretSource>,
}

/// Where a secret is read from, again on every use. Never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretSource {
    /// An environment variable of afk.
    Variable(String),
    /// A file; surrounding white space does not count.
    File(PathBuf),
}

/// Where issues are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TrackerSettings {
    /// Folders of Markdown files, one per repository (`[repos.NAME] issues`). It has no trust boundary: whoever can
    /// write the files can be anybody.
    Local {
        /// The login that afk's own events carry.
        #[serde(default = "default_login")]
        login: String,
        /// The granted permission of each person; nobody else has any.
        #[serde(default)]
        people: BTreeMap<String, String>,
    },
    /// GitHub, in the cloud or Enterprise.
    Github(GithubSettings),
}

/// GitHub as tracker and code host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GithubSettings {
    /// The REST API: `https://api.github.com`, or `https://HOST/api/v3` of an Enterprise server.
    #[serde(deserialize_with = "address::deserialize", default = "default_github")]
    pub url: Url,
    /// A token of the account that afk is. Either this or `app`.
    pub token: Option<SecretSource>,
    /// The installation of a GitHub App that afk is.
    pub app: Option<GithubApp>,
    /// How many requests of each hour are left for people and other programs.
    #[serde(default = "default_reserve")]
    pub reserve: u64,
    /// The most requests that one tick may send.
    #[serde(default = "default_requests_per_tick")]
    pub requests_per_tick: u64,
    /// Where logs of GitHub Actions may be fetched from, without the token: names of hosts, `*.` for any below one.
    #[serde(default = "default_log_hosts")]
    pub log_hosts: Vec<String>,
}

/// A GitHub App.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GithubApp {
    /// The App's id.
    pub id: u64,
    /// The id of its installation on the owner of the repositories.
    pub installation: u64,
    /// Its private key, PEM.
    pub key: SecretSource,
}

/// One repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepoSettings {
    /// The folder of Markdown issues, for the local tracker.
    pub issues: Option<PathBuf>,
    /// What git clones from and agents push to: a path or an address.
    pub git: String,
}

/// Something that runs agents.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ExecutorSettings {
    /// Any agent command line, as a process in a clone of its own.
    Command(CommandExecutorSettings),
    /// Threads of a T3 Code server.
    T3(T3ExecutorSettings),
}

/// An agent command line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CommandExecutorSettings {
    /// The argv of the first turn. `{prompt}`, `{prompt_file}`, `{model}`, `{runtime_mode}`, `{run}` and
    /// `{workspace}` are filled in, each as (part of) one argument, never through a shell. Without `{prompt}` or
    /// `{prompt_file}` the prompt is the agent's standard input. A program with a slash in its name is relative to the
    /// settings file; one without is looked for on the `PATH` that `environment` lets through.
    pub start: Vec<String>,
    /// The argv of a corrective turn; `{session}` too: the agent's own session id, as its output gave it.
    pub resume: Vec<String>,
    /// How its output is read.
    #[serde(default)]
    pub output: AgentOutput,
    /// Variables of afk's environment that the agent may see; it sees no others, but for `AFK_RUN`.
    #[serde(default)]
    pub environment: Vec<String>,
    /// How long an interrupted agent has between TERM and KILL.
    #[serde(with = "duration", default = "default_grace")]
    pub grace: Duration,
    /// How much output of one turn is kept; the rest is read and dropped.
    #[serde(default = "default_output_limit")]
    pub output_limit_bytes: u64,
}

/// A T3 Code server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct T3ExecutorSettings {
    /// The server, and what people open in their browsers.
    #[serde(deserialize_with = "address::deserialize")]
    pub url: Url,
    /// A token with the scopes `orchestration:read` and `orchestration:operate`.
    pub token: SecretSource,
    /// Which of the server's provider instances runs the agents.
    #[serde(default = "default_provider")]
    pub provider: String,
    /// The folder, on the server's own machine, that has the repository `owner/name` at `owner/name`. Without it the
    /// server runs on this machine, and afk makes the clones.
    pub checkouts: Option<PathBuf>,
}

/// How an agent's output is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentOutput {
    /// Plain text; the exit code tells success.
    #[default]
    Text,
    /// `claude -p --output-format stream-json --verbose`: the `result` line tells success, session and cost.
    Claude,
    /// `codex exec --json`: `turn.completed` tells success, `thread.started` the session.
    Codex,
}

/// A command that judges a commit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CiCommand {
    /// Its argv, run in a clean clone of the commit. Exit 0 is green.
    pub command: Vec<String>,
    /// How long it may take; longer is red.
    #[serde(with = "duration", default = "default_ci_timeout")]
    pub timeout: Duration,
    /// Variables of afk's environment that it may see; it sees no others.
    #[serde(default)]
    pub environment: Vec<String>,
}

/// A doorbell.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum DoorbellSettings {
    /// Lines on standard error.
    Terminal {},
    /// A JSON document, posted.
    Webhook {
        /// Where to; a secret itself, so read from a variable or a file.
        url: SecretSource,
        /// Signs the body: `X-Afk-Signature-256: sha256=…`.
        secret: Option<SecretSource>,
    },
    /// A message in a Slack channel.
    Slack(SlackSettings),
    /// A push message by ntfy.
    Ntfy {
        /// The server.
        #[serde(deserialize_with = "address::deserialize", default = "default_ntfy")]
        url: Url,
        /// The topic; a secret where everybody may read topics.
        topic: SecretSource,
        /// An access token, where the server wants one.
        token: Option<SecretSource>,
    },
}

/// The two ways into a Slack channel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "SlackKeys")]
pub enum SlackSettings {
    /// By an incoming webhook, whose address is a secret and whose channel is fixed.
    Webhook(SecretSource),
    /// By `chat.postMessage`, as an app.
    App {
        /// The app's token.
        token: SecretSource,
        /// The channel's id.
        channel: String,
        /// Slack's API.
        url: Url,
    },
}

/// What can be written about Slack.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlackKeys {
    webhook: Option<SecretSource>,
    token: Option<SecretSource>,
    channel: Option<String>,
    #[serde(deserialize_with = "address::optional", default)]
    url: Option<Url>,
}

impl TryFrom<SlackKeys> for SlackSettings {
    type Error = &'static str;

    fn try_from(keys: SlackKeys) -> Result<Self, Self::Error> {
        match (keys.webhook, keys.token) {
            (Some(_), Some(_)) => Err("`webhook` and `token` exclude each other"),
            (None, None) => Err("needs a `webhook`, or a `token` and a `channel`"),
            (Some(_), None) if keys.channel.is_some() => Err("a webhook brings its channel itself"),
            (Some(_), None) if keys.url.is_some() => Err("a webhook brings its address itself"),
            (Some(webhook), None) => Ok(Self::Webhook(webhook)),
            (None, Some(token)) => {
                let channel = keys.channel.filter(|channel| !channel.trim().is_empty());
                let channel = channel.ok_or("needs a `channel`: its id, such as `C0123456789`")?;
                Ok(Self::App { token, channel, url: keys.url.unwrap_or_else(|| fixed("https://slack.com/api")) })
            }
        }
    }
}

fn default_ntfy() -> Url {
    fixed("https://ntfy.sh")
}
fn fixed(address: &str) -> Url {
    Url::parse(address).expect("an address of afk's own")
}
fn default_data() -> PathBuf {
    PathBuf::from(".afk")
}
fn default_login() -> String {
    "afk".to_owned()
}
fn default_github() -> Url {
    fixed("https://api.github.com")
}
fn default_reserve() -> u64 {
    500
}
fn default_log_hosts() -> Vec<String> {
    vec!["*.blob.core.windows.net".to_owned(), "*.actions.githubusercontent.com".to_owned()]
}
fn default_requests_per_tick() -> u64 {
    300
}
fn default_tick_deadline() -> Duration {
    Duration::from_secs(600)
}
fn default_call_timeout() -> Duration {
    Duration::from_secs(60)
}
fn default_interval() -> Duration {
    Duration::from_secs(60)
}
fn default_grace() -> Duration {
    Duration::from_secs(10)
}
fn default_provider() -> String {
    "claudeAgent".to_owned()
}
fn default_output_limit() -> u64 {
    8 * 1024 * 1024
}
fn default_ci_timeout() -> Duration {
    Duration::from_secs(3600)
}

/// Durations as policies write them.
mod duration {
    use super::{Deserialize, Deserializer, Duration};
    use serde::{Serializer, de::Error};

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
        crate::policy::duration::parse(&String::deserialize(input)?).map_err(D::Error::custom)
    }
    pub fn serialize<S: Serializer>(value: &Duration, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_str(&crate::policy::duration::format(*value))
    }
}
