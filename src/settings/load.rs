//! The layers of the settings: defaults, the settings file, `AFK_…` variables, flags.

use std::path::{Path, PathBuf};

use figment::providers::Serialized;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use toml::de::{DeTable, DeValue};

use super::{DoorbellSettings, ExecutorSettings, SecretSource, Settings, SlackSettings, TrackerSettings};
use crate::adapters::confined::read_file;
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
/// What is wrong with the settings: one sentence that begins with where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError(String);

impl std::fmt::Display for SettingsError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}

/// A path of the settings, seen from their directory; without `app/../`, for people read it in comments and prompts.
fn below(directory: &Path, path: &Path) -> PathBuf {
    let (mut base, mut rest) = (directory.to_owned(), path);
    // Above a link lies what is above its target.
    if rest.starts_with("..") {
        base = base.canonicalize().unwrap_or(base);
    }
    while let Ok(after) = rest.strip_prefix("..")
        && base.file_name().is_some()
    {
        base.pop();
        rest = after;
    }
    if rest.as_os_str().is_empty() { base } else { base.join(rest) }
}

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
        let resolve = |path: &mut PathBuf| *path = below(directory, path);
        resolve(&mut self.data);
        for (_, source) in self.secrets() {
            if let SecretSource::File(path) = source {
                resolve(path);
            }
        }
        for repo in self.repos.values_mut() {
            repo.issues.iter_mut().for_each(resolve);
            if is_relative_path(&repo.git) {
                repo.git = below(directory, Path::new(&repo.git)).to_string_lossy().into_owned();
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
    pub(super) fn secrets(&mut self) -> Vec<(Vec<String>, &mut SecretSource)> {
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

    /// The variable that stands for exactly this key at the top: also one that was never meant as a setting.
    pub(super) fn variable(&self, keys: &[String]) -> Option<&str> {
        let own = self.variables.iter().find(|(_, own, _)| own.len() == 1 && own == keys);
        own.map(|(name, ..)| name.as_str())
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

pub(super) fn sentence(place: &str, what: &str) -> SettingsError {
    SettingsError(format!("{place}: {}", text::clean_line(what, MESSAGE_LIMIT)))
}
