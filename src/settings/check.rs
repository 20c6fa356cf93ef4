//! What is wrong with settings that can be read: what no type can say.

use super::explain::suggest;
use super::load::{Layers, SettingsError, sentence};
use super::{DoorbellSettings, ExecutorSettings, GithubSettings, SecretSource, Settings, TrackerSettings};

/// What an argv may have places for; `{session}` only in `resume`.
const PLACES: [&str; 7] = ["prompt", "prompt_file", "model", "runtime_mode", "run", "workspace", "session"];

impl Layers {
    /// Agents and CI run what others wrote: no variable that they see may hold a secret of afk.
    pub(super) fn check_secrets(&self, settings: &mut Settings) -> Result<(), SettingsError> {
        let mut seen = Vec::new();
        for (name, ExecutorSettings::Command(command)) in &settings.executors {
            seen.extend(command.environment.iter().map(|variable| (["executors", name], variable)));
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
    pub(super) fn check(&self, settings: &Settings) -> Result<(), SettingsError> {
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
            let ExecutorSettings::Command(command) = executor;
            for (key, argv) in [("start", &command.start), ("resume", &command.resume)] {
                let keys = ["executors", name, key];
                if argv.first().is_none_or(String::is_empty) {
                    return wrong(&keys, "names no program".to_owned());
                }
                for place in argv.iter().flat_map(|argument| places(argument)) {
                    if !PLACES.contains(&place) {
                        return wrong(
                            &keys,
                            format!("has a place `{{{place}}}` that nothing fills{}", suggest(place, &PLACES)),
                        );
                    }
                    if place == "session" && key == "start" {
                        return wrong(&keys, "has a place `{session}`, and there is no session yet".to_owned());
                    }
                }
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

/// The name of a host, or `*.` and what the names of hosts end with.
fn is_host_pattern(pattern: &str) -> bool {
    let name = pattern.strip_prefix("*.").map(|domain| domain.contains('.').then_some(domain)).unwrap_or(Some(pattern));
    let letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
    name.is_some_and(|name| !name.is_empty() && !name.starts_with('.') && name.chars().all(letter))
}

/// The words in braces, as far as they look like places and not like the code of somebody's argument.
fn places(argument: &str) -> impl Iterator<Item = &str> {
    argument
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
        .filter(|name| !name.is_empty() && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'))
}
