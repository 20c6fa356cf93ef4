//! The layers of the settings: defaults, the settings file, `AFK_…` variables, flags.

use std::path::{Path, PathBuf};

use figment::providers::Serialized;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use toml::de::{DeTable, DeValue};

use super::explain::suggest;
use super::{
    CommandExecutorSettings, DoorbellSettings, ExecutorSettings, GithubSettings, SecretSource, Settings, SlackSettings,
    T3ExecutorSettings, TrackerSettings,
};
use crate::adapters::confined::read_file;
use crate::adapters::http::is_loopback;
use crate::text;

/// The variables that are no settings: they say which policy and settings to read, turn the kill switch on, or are
/// what afk gives to its agents.
pub const NOT_SETTINGS: [&str; 6] =
    ["AFK_KILL_SWITCH", "AFK_SETTINGS", "AFK_POLICY", "AFK_CONTRACTS", "AFK_RUN", "AFK_TEST_CRASH"];

const PREFIX: &str = "AFK_";
/// The settings, unless others are named.
pub const DEFAULT_FILE: &str = "afk.settings.toml";
const FILE_LIMIT: u64 = 1024 * 1024;
const MESSAGE_LIMIT: usize = 500;
/// What an argv may have places for; `{session}` only in `resume`.
const PLACES: [&str; 7] = ["prompt", "prompt_file", "model", "runtime_mode", "run", "workspace", "session"];

/// What is wrong with the settings: one sentence that begins with where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError(String);

impl std::fmt::Display for SettingsError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// Loads the settings from `file`, else from the file that `AFK_SETTINGS` names, else from `afk.settings.toml`
    /// here, if there is one; with variables of the environment over it, and `flags` over those: dotted keys
    /// (`data`) with their values, paths already absolute.
    ///
    /// # Errors
    /// A file, variable or flag that cannot be used, with its place, and what was expected there.
    pub fn load(file: Option<&Path>, flags: &[(&str, String)]) -> Result<Self, SettingsError> {
        let mut variables = Vec::new();
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
            let value = value.into_string().map_err(|_| SettingsError(format!("variable `{name}`: is not UTF-8")))?;
            variables.push((name.to_owned(), value));
        }
        let here = std::env::current_dir()
            .map_err(|error| SettingsError(format!("the current directory cannot be read: {error}")))?;
        Self::layered(file, &here, &variables, flags)
    }

    /// [`Settings::load`] with a current directory and an environment of the caller's choice.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn layered(
        file: Option<&Path>,
        here: &Path,
        variables: &[(String, String)],
        flags: &[(&str, String)],
    ) -> Result<Self, SettingsError> {
        let named = variables.iter().find(|(name, _)| name == "AFK_SETTINGS").map(|(_, path)| Path::new(path));
        let file = match file.or(named) {
            Some(path) => Some(SettingsFile::read(here.join(path))?),
            None => {
                let path = here.join(DEFAULT_FILE);
                if path.symlink_metadata().is_ok() { Some(SettingsFile::read(path)?) } else { None }
            }
        };
        let layers = Layers::new(file, variables, flags);
        let mut settings = layers.extract()?;
        let directory = layers.file.as_ref().and_then(|file| file.path.parent()).unwrap_or(here).to_owned();
        layers.check(&settings)?;
        layers.check_secrets(&mut settings)?;
        settings.resolve_paths(&directory);
        settings.file = layers.file.map(|file| file.path);
        Ok(settings)
    }

    fn resolve_paths(&mut self, directory: &Path) {
        let resolve = |path: &mut PathBuf| *path = directory.join(&*path);
        resolve(&mut self.data);
        for (_, source) in self.secrets() {
            if let SecretSource::File(path) = source {
                resolve(path);
            }
        }
        for repo in self.repos.values_mut() {
            repo.issues.iter_mut().for_each(resolve);
            if is_relative_path(&repo.git) {
                repo.git = directory.join(&repo.git).to_string_lossy().into_owned();
            }
        }
        for executor in self.executors.values_mut() {
            // The paths of T3 Code are those of another machine.
            let ExecutorSettings::Command(command) = executor else { continue };
            for program in command.start.first_mut().into_iter().chain(command.resume.first_mut()) {
                // One without a slash is looked for on the agent's `PATH`.
                if program.contains('/') && !program.starts_with(['/', '{']) {
                    *program = directory.join(&*program).to_string_lossy().into_owned();
                }
            }
        }
    }

    /// Where afk's own secrets are read from, each with its keys.
    fn secrets(&mut self) -> Vec<(Vec<String>, &mut SecretSource)> {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let mut secrets = Vec::new();
        if let TrackerSettings::Github(github) = &mut self.tracker {
            secrets.extend(github.token.iter_mut().map(|token| (keys(&["tracker", "token"]), token)));
            secrets.extend(github.app.iter_mut().map(|app| (keys(&["tracker", "app", "key"]), &mut app.key)));
        }
        secrets.extend(self.identity.record_keys.iter_mut().map(|key| (keys(&["identity", "record_keys"]), key)));
        for (name, executor) in &mut self.executors {
            if let ExecutorSettings::T3(t3) = executor {
                secrets.push((keys(&["executors", name, "token"]), &mut t3.token));
            }
        }
        for (name, doorbell) in &mut self.doorbells {
            let of_bell = |key: &str| keys(&["doorbells", name, key]);
            match doorbell {
                DoorbellSettings::Terminal {} => {}
                DoorbellSettings::Webhook { url, secret } => {
                    secrets.push((of_bell("url"), url));
                    secrets.extend(secret.iter_mut().map(|secret| (of_bell("secret"), secret)));
                }
                DoorbellSettings::Slack(SlackSettings::Webhook(webhook)) => secrets.push((of_bell("webhook"), webhook)),
                DoorbellSettings::Slack(SlackSettings::App { token, .. }) => secrets.push((of_bell("token"), token)),
                DoorbellSettings::Ntfy { topic, token, .. } => {
                    secrets.push((of_bell("topic"), topic));
                    secrets.extend(token.iter_mut().map(|token| (of_bell("token"), token)));
                }
            }
        }
        secrets
    }
}

/// Not an address (`https://…`), not git's own short form of one (`git@host:path`), not absolute.
fn is_relative_path(git: &str) -> bool {
    let first = git.split('/').next().unwrap_or_default();
    !git.starts_with('/') && !first.contains(':')
}

/// The settings file: its text for places, its values for the layer.
pub(super) struct SettingsFile {
    pub(super) path: PathBuf,
    text: String,
    table: toml::Table,
}

impl SettingsFile {
    fn read(path: PathBuf) -> Result<Self, SettingsError> {
        let path = std::path::absolute(&path).unwrap_or(path);
        let wrong = |what: &dyn std::fmt::Display| {
            SettingsError(text::clean_line(
                &format!("{}: the settings cannot be read: {what}", path.display()),
                MESSAGE_LIMIT,
            ))
        };
        let bytes = read_file(&path, FILE_LIMIT).map_err(|error| wrong(&error))?;
        let text = String::from_utf8(bytes).map_err(|_| wrong(&"it is not UTF-8"))?;
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                let place = place(&path, &text, error.span().map_or(0, |span| span.start));
                return Err(sentence(&place, &format!("is no TOML: {}", error.message())));
            }
        };
        Ok(Self { path, text, table })
    }

    /// `file:line:column` of a key, or of the innermost table around it that the file has.
    fn place_of(&self, keys: &[String]) -> Option<String> {
        let document = DeTable::parse(&self.text).ok()?;
        let mut offset = None;
        let mut table = document.get_ref();
        for key in keys {
            let Some((name, value)) = table.iter().find(|(name, _)| name.get_ref() == key) else { break };
            offset = Some(name.span().start);
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                _ => break,
            }
        }
        offset.map(|offset| place(&self.path, &self.text, offset))
    }
}

/// `file:line:column`, from 1, in characters.
fn place(path: &Path, text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
    format!("{}:{line}:{column}", path.display())
}

/// Everything that is layered, kept to say where a value came from.
pub(super) struct Layers {
    pub(super) file: Option<SettingsFile>,
    /// Name, keys, value.
    variables: Vec<(String, Vec<String>, Value)>,
    flags: Vec<(String, Vec<String>, Value)>,
}

impl Layers {
    fn new(file: Option<SettingsFile>, variables: &[(String, String)], flags: &[(&str, String)]) -> Self {
        let mut own_names = Vec::new();
        if let Some(file) = &file {
            names_of_variables(&file.table, &mut own_names);
        }
        let variables = variables
            .iter()
            .filter(|(name, _)| !NOT_SETTINGS.contains(&&**name) && !own_names.contains(name))
            .filter_map(|(name, value)| {
                let keys: Vec<String> = name.strip_prefix(PREFIX)?.split("__").map(str::to_lowercase).collect();
                // Reading a value fails on nothing: what is no number, list and so on is a string.
                let value = value.parse().unwrap_or_else(|_| Value::from(value.as_str()));
                Some((name.clone(), keys, value))
            })
            .collect();
        let flags = flags
            .iter()
            .map(|(key, value)| {
                ((*key).to_owned(), key.split('.').map(str::to_owned).collect(), Value::from(value.as_str()))
            })
            .collect();
        Self { file, variables, flags }
    }

    fn extract(&self) -> Result<Settings, SettingsError> {
        let mut figment = Figment::new();
        if let Some(file) = &self.file {
            figment = figment.merge(Serialized::globals(&file.table));
        }
        for (_, keys, value) in self.variables.iter().chain(&self.flags) {
            figment = figment.merge(Nested { keys, value });
        }
        figment.extract().map_err(|error| {
            let error = error.into_iter().next();
            match error {
                Some(error) => self.explain(&figment, error),
                None => SettingsError("the settings cannot be used".to_owned()),
            }
        })
    }

    /// Where a value comes from: the last layer that has it.
    pub(super) fn place_of(&self, keys: &[String]) -> String {
        let within = |own: &[String]| own.starts_with(keys) || (!own.is_empty() && keys.starts_with(own));
        if let Some((name, ..)) = self.flags.iter().rev().find(|(_, own, _)| within(own)) {
            return format!("--{name}");
        }
        if let Some((name, ..)) = self.variables.iter().rev().find(|(_, own, _)| within(own)) {
            return format!("variable `{name}`");
        }
        match &self.file {
            Some(file) => file.place_of(keys).unwrap_or_else(|| file.path.display().to_string()),
            None => "settings".to_owned(),
        }
    }

    /// Agents and CI run what others wrote: no variable that they see may hold a secret of afk.
    fn check_secrets(&self, settings: &mut Settings) -> Result<(), SettingsError> {
        let mut seen = Vec::new();
        for (name, executor) in &settings.executors {
            if let ExecutorSettings::Command(command) = executor {
                seen.extend(command.environment.iter().map(|variable| (["executors", name], variable)));
            }
        }
        for (name, ci) in &settings.ci {
            seen.extend(ci.environment.iter().map(|variable| (["ci", name], variable)));
        }
        let seen: Vec<(Vec<String>, String)> = seen
            .into_iter()
            .map(|(table, variable)| {
                let keys = table.into_iter().chain(["environment"]).map(str::to_owned).collect();
                (keys, variable.clone())
            })
            .collect();
        for (secret, source) in settings.secrets() {
            let SecretSource::Variable(variable) = source else { continue };
            if let Some((keys, _)) = seen.iter().find(|(_, seen)| seen == variable) {
                let what = format!(
                    "`{}` lets `{variable}` through, which holds a secret of afk: `{}` at {}; give either another variable",
                    keys.join("."),
                    secret.join("."),
                    self.place_of(&secret)
                );
                return Err(sentence(&self.place_of(keys), &what));
            }
        }
        Ok(())
    }

    /// What types cannot say.
    fn check(&self, settings: &Settings) -> Result<(), SettingsError> {
        let wrong = |keys: &[&str], what: String| {
            let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            Err(sentence(&self.place_of(&keys), &format!("`{}` {what}", keys.join("."))))
        };
        for (key, duration) in [
            ("tick_deadline", settings.tick_deadline),
            ("call_timeout", settings.call_timeout),
            ("poll_interval", settings.poll_interval),
            ("watch_interval", settings.watch_interval),
        ] {
            if duration.is_zero() {
                return wrong(&[key], "must be longer than nothing".to_owned());
            }
        }
        if let TrackerSettings::Github(github) = &settings.tracker
            && let Some((key, what)) = wrong_in_github(github)
        {
            return wrong(&[["tracker"].as_slice(), key].concat(), what);
        }
        for (name, executor) in &settings.executors {
            let found = match executor {
                ExecutorSettings::Command(command) => wrong_in_command(command),
                ExecutorSettings::T3(t3) => wrong_in_t3(t3),
            };
            if let Some((key, what)) = found {
                return wrong(&["executors", name, key], what);
            }
            // It keeps what it remembers in a folder of this name.
            let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
            if matches!(executor, ExecutorSettings::T3(_)) && !name.chars().all(plain) {
                return wrong(
                    &["executors", name],
                    "may have letters, digits, `-` and `_` in its name only".to_owned(),
                );
            }
        }
        for (name, ci) in &settings.ci {
            if ci.command.first().is_none_or(String::is_empty) {
                return wrong(&["ci", name, "command"], "names no program".to_owned());
            }
        }
        for (name, doorbell) in &settings.doorbells {
            if let DoorbellSettings::Ntfy { url, .. } = doorbell
                && url.path() != "/"
            {
                return wrong(
                    &["doorbells", name, "url"],
                    "is the address of the server alone; the topic goes into `topic`".to_owned(),
                );
            }
        }
        Ok(())
    }
}

/// What is wrong with the settings of GitHub, and under which key.
fn wrong_in_github(github: &GithubSettings) -> Option<(&'static [&'static str], String)> {
    match (&github.token, &github.app) {
        (Some(_), Some(_)) => {
            return Some((
                &["app"],
                "and `tracker.token` are both there; afk is one account: keep one of them".to_owned(),
            ));
        }
        (None, None) => {
            return Some((
                &[],
                "lacks `token`; add `token = { variable = \"AFK_GITHUB_TOKEN\" }`, or `app` with an App's `id`, \
                 `installation` and `key`"
                    .to_owned(),
            ));
        }
        (None, Some(app)) if app.id == 0 => return Some((&["app", "id"], "must be the id of a GitHub App".to_owned())),
        (None, Some(app)) if app.installation == 0 => {
            return Some((&["app", "installation"], "must be the id of an installation of the App".to_owned()));
        }
        _ => {}
    }
    if let Some(host) = github.log_hosts.iter().find(|host| !is_host_pattern(host)) {
        return Some((&["log_hosts"], format!("must be names of hosts, `*.` for any below one; `{host}` is none")));
    }
    (github.requests_per_tick == 0).then(|| (["requests_per_tick"].as_slice(), "must be more than nothing".to_owned()))
}

/// What is wrong with the settings of an agent command line, and under which key.
fn wrong_in_command(command: &CommandExecutorSettings) -> Option<(&'static str, String)> {
    for (key, argv) in [("start", &command.start), ("resume", &command.resume)] {
        if argv.first().is_none_or(String::is_empty) {
            return Some((key, "names no program".to_owned()));
        }
        for place in argv.iter().flat_map(|argument| places(argument)) {
            if !PLACES.contains(&place) {
                let what = format!("has a place `{{{place}}}` that nothing fills{}", suggest(place, &PLACES));
                return Some((key, what));
            }
            if place == "session" && key == "start" {
                return Some((key, "has a place `{session}`, and there is no session yet".to_owned()));
            }
        }
    }
    None
}

/// What is wrong with the settings of a T3 Code server, and under which key.
fn wrong_in_t3(t3: &T3ExecutorSettings) -> Option<(&'static str, String)> {
    if t3.url.path() != "/" {
        let what = "is the address of the server alone, such as `http://127.0.0.1:3773`; afk adds the paths";
        return Some(("url", what.to_owned()));
    }
    if t3.provider.trim().is_empty() {
        let what = "must name a provider instance of T3 Code, such as `claudeAgent` or `codex`";
        return Some(("provider", what.to_owned()));
    }
    match &t3.checkouts {
        Some(checkouts) if !checkouts.is_absolute() => Some((
            "checkouts",
            format!(
                "is a folder of the machine that T3 Code runs on, so it must begin with `/`; `{}` does not",
                checkouts.display()
            ),
        )),
        None if !is_loopback(&t3.url) => Some((
            "url",
            "is another machine, where afk can make no clones: add `checkouts`, the folder there that has the \
             repository `owner/name` at `owner/name`"
                .to_owned(),
        )),
        _ => None,
    }
}

/// The name of a host, or `*.` and what the names of hosts end with.
fn is_host_pattern(pattern: &str) -> bool {
    let name = pattern.strip_prefix("*.").map(|domain| domain.contains('.').then_some(domain)).unwrap_or(Some(pattern));
    let letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
    name.is_some_and(|name| !name.is_empty() && !name.starts_with('.') && name.chars().all(letter))
}

/// One value below its keys.
struct Nested<'a> {
    keys: &'a [String],
    value: &'a Value,
}

impl Provider for Nested<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named("variable or flag")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut value = self.value.clone();
        for key in self.keys.iter().skip(1).rev() {
            value = Value::from(Dict::from([(key.clone(), value)]));
        }
        let first = self.keys.first().cloned().unwrap_or_default();
        // The profile of the file's layer: it goes over that of the defaults.
        Ok(Map::from([(Profile::Global, Dict::from([(first, value)]))]))
    }
}

/// The variables that the settings themselves name, as secrets or for agents and CI: they may be called `AFK_…` too.
fn names_of_variables(table: &toml::Table, names: &mut Vec<String>) {
    for (key, value) in table {
        match value {
            toml::Value::String(name) if key == "variable" => names.push(name.clone()),
            toml::Value::Array(values) if key == "environment" => {
                names.extend(values.iter().filter_map(toml::Value::as_str).map(str::to_owned));
            }
            toml::Value::Array(values) => {
                values.iter().filter_map(toml::Value::as_table).for_each(|table| names_of_variables(table, names));
            }
            toml::Value::Table(table) => names_of_variables(table, names),
            _ => {}
        }
    }
}

/// The words in braces, as far as they look like places and not like the code of somebody's argument.
fn places(argument: &str) -> impl Iterator<Item = &str> {
    argument
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
        .filter(|name| !name.is_empty() && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'))
}

pub(super) fn sentence(place: &str, what: &str) -> SettingsError {
    SettingsError(format!("{place}: {}", text::clean_line(what, MESSAGE_LIMIT)))
}
