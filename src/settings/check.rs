//! What is wrong with settings that can be read: what no type can say.

use reqwest::Url;

use super::explain::suggest;
use super::load::{Layers, SettingsError, sentence};
use super::{
    AgentOutput, CommandExecutorSettings, DoorbellSettings, ExecutorSettings, GithubSettings, SecretSource, Settings,
    T3ExecutorSettings, TrackerSettings,
};
use crate::adapters::http::is_loopback;

/// What an argv may have places for; `{session}` only in `resume`.
const PLACES: [&str; 7] = ["prompt", "prompt_file", "model", "runtime_mode", "run", "workspace", "session"];

/// What somebody may be granted.
const PERMISSIONS: [&str; 5] = ["admin", "maintain", "write", "triage", "read"];

impl Layers {
    /// Agents and CI run what others wrote: no variable that they see may hold a secret of afk.
    pub(super) fn check_secrets(&self, settings: &mut Settings) -> Result<(), SettingsError> {
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
        if let TrackerSettings::Local { people, .. } = &settings.tracker
            && let Some((person, word)) = people.iter().find(|(_, word)| !PERMISSIONS.contains(&word.as_str()))
        {
            let what = format!("cannot be `{word}`{}", suggest(&word.to_ascii_lowercase(), &PERMISSIONS));
            return wrong(&["tracker", "people", person], what);
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
    if let Some(api) = api_of_page(&github.url) {
        return Some((&["url"], format!("is where people look at GitHub; its API is at `{api}`")));
    }
    if let Some(host) = github.log_hosts.iter().find(|host| !is_host_pattern(host)) {
        return Some((&["log_hosts"], format!("must be names of hosts, `*.` for any below one; `{host}` is none")));
    }
    (github.requests_per_tick == 0).then(|| (["requests_per_tick"].as_slice(), "must be more than nothing".to_owned()))
}

/// The address of the API, where that of the pages was given: no API of GitHub's lies at the root of another host.
fn api_of_page(url: &Url) -> Option<String> {
    let host = url.host_str().filter(|host| !host.starts_with("api.") && url.path() == "/" && !is_loopback(url))?;
    let host = host.strip_prefix("www.").unwrap_or(host);
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(if host == "github.com" || host.ends_with(".ghe.com") {
        format!("https://api.{host}")
    } else {
        format!("https://{host}{port}/api/v3")
    })
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
            if place == "session" && command.output == AgentOutput::Text {
                let what =
                    "has a place `{session}`, which only `output = \"claude\"` and `output = \"codex\"` can fill";
                return Some((key, what.to_owned()));
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

/// The words in braces, as far as they look like places and not like the code of somebody's argument.
fn places(argument: &str) -> impl Iterator<Item = &str> {
    argument
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
        .filter(|name| !name.is_empty() && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'))
}
