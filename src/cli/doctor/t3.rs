//! What `afk doctor` sees of a T3 Code server that lets afk in.

use std::rc::Rc;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Health, Symptom};
use crate::adapters::github::credential::TokenCredential;
use crate::adapters::http::Http;
use crate::adapters::t3::SCOPES;
use crate::adapters::t3::server::{Listing, Session, T3Server};
use crate::adapters::t3::wire::SessionStatus;
use crate::cli::findings::counted;
use crate::ports::PortError;
use crate::settings::{Settings, T3ExecutorSettings};
use crate::text::clean_line;

/// What afk was tested with; see `docs/t3.md`.
const OLDEST: [u64; 3] = [0, 0, 27];
/// A token that ends so soon is said.
const SOON: TimeDelta = TimeDelta::days(3);
/// The most that is shown of what T3 Code says.
const SAID: usize = 200;

/// Everything about one executor. `repos`: the enrolled repositories that use it.
pub async fn symptoms(
    settings: &Settings,
    name: &str,
    t3: &T3ExecutorSettings,
    repos: &[&str],
    now: DateTime<Utc>,
) -> Vec<Symptom> {
    let http = Rc::new(Http::new(settings.call_timeout / 3));
    let credential = Rc::new(TokenCredential::new(t3.token.clone()));
    let server = T3Server::new(format!("executor `{name}`"), t3.url.clone(), credential, http);
    let asked =
        async { Ok::<_, PortError>((server.environment().await?, server.session().await?, server.listing().await?)) };
    let (environment, session, listing) = match asked.await {
        Ok(answers) => answers,
        Err(error) => {
            let remedy = format!("see [executors.{name}] of the settings and docs/t3.md");
            return vec![symptom("executor", Health::Fail, error.message, Some(remedy))];
        }
    };
    let version = clean_line(&environment.version, SAID);
    let place = t3.url.as_str().trim_end_matches('/');
    let mut found = vec![token(&format!("t3 {version} at {place}"), &session, now)];
    if parts(&version).is_some_and(|version| version < OLDEST) {
        let what = format!("`{name}` is older than what afk was tested with: {version}");
        found.push(symptom("executor", Health::Note, what, Some("update T3 Code to 0.0.27 or newer".to_owned())));
    }
    found.extend(privileges(name, &session));
    found.push(provider(name, t3, &listing));
    found.extend(checkouts(settings, name, t3, &listing, repos));
    found
}

fn symptom(about: &'static str, health: Health, what: String, remedy: Option<String>) -> Symptom {
    Symptom { about, health, what, remedy }
}

/// The server, and until when afk may come in.
fn token(server: &str, session: &Session, now: DateTime<Utc>) -> Symptom {
    let Some(end) = session.expires_at else {
        return symptom("executor", Health::Ok, format!("{server}, the token has no end"), None);
    };
    let left = end.signed_duration_since(now);
    let what = match left.num_days() {
        0 => format!("{server}, token ends {} (today or tomorrow)", end.format("%Y-%m-%d %H:%MZ")),
        days => format!(
            "{server}, token ends {} ({})",
            end.format("%Y-%m-%d"),
            counted(days.unsigned_abs() as usize, "day")
        ),
    };
    if left < SOON {
        let remedy = "make another now; agents at work cannot be followed without one (docs/t3.md)".to_owned();
        return symptom("executor", Health::Note, what, Some(remedy));
    }
    symptom("executor", Health::Ok, what, None)
}

/// Whether the token may do more than it has to.
fn privileges(name: &str, session: &Session) -> Option<Symptom> {
    let more: Vec<String> = session
        .scopes
        .iter()
        .filter(|scope| !SCOPES.contains(&scope.as_str()))
        .map(|scope| clean_line(scope, 50))
        .collect();
    (!more.is_empty()).then(|| {
        let what = format!("the token of `{name}` may do more than afk needs: {}", more.join(", "));
        symptom("executor", Health::Note, what, Some("docs/t3.md says how to make a narrow one".to_owned()))
    })
}

/// What threads say about the provider; T3 Code has no better answer.
fn provider(name: &str, t3: &T3ExecutorSettings, listing: &Listing) -> Symptom {
    let sessions = listing.threads.iter().filter_map(|thread| thread.session.as_ref());
    let broken: Vec<&str> = sessions
        .filter(|session| matches!(session.status, SessionStatus::Error | SessionStatus::Stopped))
        .filter_map(|session| session.last_error.as_deref())
        .collect();
    let (provider, threads) = (clean_line(&t3.provider, 50), counted(listing.threads.len(), "thread"));
    let unknown = format!("T3 Code does not show whether `{provider}` is installed and logged in");
    let what = match broken.first() {
        None => format!("`{name}` has {threads}, none of which ended with an error; {unknown}"),
        Some(error) => {
            let error = clean_line(error, SAID);
            format!("{} of {threads} of `{name}` ended with an error, such as `{error}`; {unknown}", broken.len())
        }
    };
    let remedy = "start a thread by hand in T3 Code: its answer tells".to_owned();
    symptom("provider", Health::Note, what, Some(remedy))
}

/// Where agents work.
fn checkouts(
    settings: &Settings,
    name: &str,
    t3: &T3ExecutorSettings,
    listing: &Listing,
    repos: &[&str],
) -> Option<Symptom> {
    let Some(checkouts) = &t3.checkouts else {
        let folder = settings.data.join("t3").join(name);
        let what = format!("each run gets a clone of its own below {}", folder.display());
        return Some(symptom("checkouts", Health::Ok, what, None));
    };
    let is_project = |repo: &str| {
        let root = checkouts.join(repo);
        let same = |known: &str| std::path::Path::new(known.trim_end_matches('/')) == root;
        listing.projects.iter().any(|project| !project.deleted && same(&project.workspace_root))
    };
    let unknown: Vec<&str> = repos.iter().filter(|repo| !is_project(repo)).copied().take(5).collect();
    if repos.is_empty() {
        return None;
    }
    let folder = checkouts.display();
    if unknown.is_empty() {
        let what = format!("T3 Code has a project below {folder} for every repository");
        return Some(symptom("checkouts", Health::Ok, what, None));
    }
    let what = format!("no project yet below {folder} for {}", unknown.join(", "));
    let remedy =
        "nobody can see from here whether the clones are there; the first run makes the project, or says that \
                  its folder is missing"
            .to_owned();
    Some(symptom("checkouts", Health::Note, what, Some(remedy)))
}

/// The numbers of a version.
fn parts(version: &str) -> Option<[u64; 3]> {
    let mut numbers = version.split(['-', '+']).next()?.split('.').map(|part| part.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}
