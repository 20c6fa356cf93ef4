//! Whose server it is: as the environment says, or a fake that stands for somebody's.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::{Method, Url};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::t3_fake::contract::Contract;
use crate::t3_fake::{Fake, Generation, TOKEN};
use crate::wire::Wire;

pub const URL: &str = "AFK_T3_URL";
pub const TOKEN_VARIABLE: &str = "AFK_T3_TOKEN";
pub const TOKEN_FILE: &str = "AFK_T3_TOKEN_FILE";
pub const CHECKOUTS: &str = "AFK_T3_CHECKOUTS";
pub const PROVIDER: &str = "AFK_T3_PROVIDER";
pub const MODEL: &str = "AFK_T3_MODEL";
/// What the folders of installations begin with: by this, projects are known that an earlier run left behind.
pub const FOLDER: &str = "afk-live-test-";

/// A server, and how it is to be used.
#[derive(Debug)]
pub struct Somebody {
    pub url: Url,
    pub token: Token,
    /// Where installations are made, for the server to find them under the same path; without it, in a place of this
    /// machine's own.
    pub checkouts: Option<PathBuf>,
    pub provider: String,
    pub model: String,
    /// How long anything may take.
    pub patience: Duration,
    /// How long to wait between two ticks.
    pub interval: Duration,
    /// One that stands for somebody's.
    fake: Option<(Rc<Fake>, TempDir)>,
    _turn: Option<MutexGuard<'static, ()>>,
}

/// Where its token is.
#[derive(Debug, Clone)]
pub enum Token {
    Variable(String),
    File(PathBuf),
}

impl Token {
    pub fn read(&self) -> String {
        match self {
            Self::Variable(token) => token.clone(),
            Self::File(path) => std::fs::read_to_string(path)
                .unwrap_or_else(|error| panic!("{TOKEN_FILE}: {}: {error}", path.display()))
                .trim()
                .to_owned(),
        }
    }
}

thread_local! {
    /// A fake that the next installation of this test is to have.
    static NEXT: RefCell<Option<Rc<Fake>>> = const { RefCell::new(None) };
}

/// Gives the next installation of this test a server.
pub fn next_is(fake: Rc<Fake>) {
    NEXT.with(|next| *next.borrow_mut() = Some(fake));
}

impl Somebody {
    /// The real server that the environment names, if it does.
    pub fn real() -> Option<Self> {
        // One at a time, however many tests run: on one server, two runs of the same second would be the same.
        static TURN: Mutex<()> = Mutex::new(());
        static SWEPT: OnceLock<()> = OnceLock::new();
        let mut real = Self::read(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()))?;
        assert!(
            Contract::open(Generation::Main).is_some(),
            "there are no recordings to hold {URL} against: set AFK_CONTRACTS (docs/t3.md)"
        );
        real._turn = Some(TURN.lock().unwrap_or_else(PoisonError::into_inner));
        SWEPT.get_or_init(|| drop(real.sweep()));
        Some(real)
    }

    /// The fake that was set up for the next installation of this test.
    pub fn next(generation: Generation) -> Option<Self> {
        Some(Self::stand_in(NEXT.with(|next| next.borrow_mut().take())?, generation))
    }

    /// A fake of a generation.
    pub fn fake(generation: Generation) -> Self {
        Self::stand_in(Rc::new(Fake::start_blocking(generation)), generation)
    }

    /// A fake that stands for somebody's. That of v0.0.27 has its checkouts made by people.
    fn stand_in(fake: Rc<Fake>, generation: Generation) -> Self {
        fake.agent(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/t3_live/provider.sh"));
        let folder = tempfile::tempdir().unwrap();
        let old = generation == Generation::V0_0_27;
        let token = folder.path().join("token");
        std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
        let somebody = Self::read(|name| match name {
            URL => Some(fake.uri()),
            TOKEN_VARIABLE if !old => Some(TOKEN.to_owned()),
            TOKEN_FILE if old => Some(token.display().to_string()),
            CHECKOUTS if old => Some(folder.path().display().to_string()),
            _ => None,
        });
        let (patience, interval) = (Duration::from_secs(40), Duration::from_millis(60));
        Self { patience, interval, fake: Some((fake, folder)), ..somebody.unwrap() }
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let url: Url = variable(URL)?.parse().unwrap_or_else(|error| panic!("{URL}: {error}"));
        let token = match (variable(TOKEN_VARIABLE), variable(TOKEN_FILE)) {
            (Some(token), _) => Token::Variable(token),
            (None, Some(path)) => Token::File(std::path::absolute(path).unwrap()),
            (None, None) => panic!("{URL} is set: set {TOKEN_VARIABLE} or {TOKEN_FILE} too (docs/t3.md)"),
        };
        let checkouts = variable(CHECKOUTS).map(PathBuf::from);
        assert!(
            checkouts.is_some() || afk::adapters::http::is_loopback(&url),
            "{URL} is another machine: set {CHECKOUTS} to a folder that both see under the same path (docs/t3.md)"
        );
        Some(Self {
            url,
            token,
            checkouts,
            provider: variable(PROVIDER).unwrap_or_else(|| "claudeAgent".to_owned()),
            model: variable(MODEL).unwrap_or_else(|| "claude-sonnet-4-6".to_owned()),
            patience: Duration::from_mins(5),
            interval: Duration::from_secs(2),
            fake: None,
            _turn: None,
        })
    }

    pub fn is_real(&self) -> bool {
        self.fake.is_none()
    }

    /// A folder for an installation, known by its name.
    pub fn folder(&self) -> TempDir {
        let name = format!("{FOLDER}{}-", std::process::id());
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix(&name);
        match &self.checkouts {
            Some(checkouts) => builder.tempdir_in(checkouts),
            None => builder.tempdir(),
        }
        .unwrap_or_else(|error| panic!("no folder can be made for an installation: {error}"))
    }

    pub fn wire(&self) -> Wire {
        Wire::new(self.url.clone(), self.token.read())
    }

    /// Removes what an earlier run left behind: it was killed, or the server was away.
    pub fn sweep(&self) -> Vec<PathBuf> {
        let wire = self.wire();
        let (_, listing) = wire.ask(Method::GET, "/api/orchestration/snapshot", None).expect("the server answers");
        let mine = format!("{FOLDER}{}-", std::process::id());
        let mut swept = Vec::new();
        for project in listing["projects"].as_array().into_iter().flatten() {
            let root = Path::new(project["workspaceRoot"].as_str().unwrap_or_default());
            let folder = root.ancestors().find(|part| {
                let name = part.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                name.starts_with(FOLDER) && !name.starts_with(&mine)
            });
            let Some(folder) = folder.filter(|_| project["deletedAt"].is_null()) else { continue };
            for thread in listing["threads"].as_array().into_iter().flatten() {
                let active = &thread["session"]["activeTurnId"];
                if thread["projectId"] == project["id"] && thread["deletedAt"].is_null() && active.is_string() {
                    let of_it = json!({ "threadId": thread["id"], "turnId": active });
                    let _ = wire.dispatch(&command("thread.turn.interrupt", of_it));
                }
            }
            let delete = command("project.delete", json!({ "projectId": project["id"], "force": true }));
            let status = wire.dispatch(&delete);
            assert_eq!(status, Ok(200), "what an earlier run left at {} cannot be deleted", folder.display());
            let _ = std::fs::remove_dir_all(folder);
            swept.push(folder.to_owned());
        }
        swept
    }
}

/// A command of somebody in the web UI.
pub fn command(kind: &str, fields: Value) -> Value {
    let now = chrono::Utc::now();
    let at = now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let id = format!("afk live test {kind} {} {}", std::process::id(), now.timestamp_nanos_opt().unwrap_or_default());
    let mut command = json!({ "type": kind, "commandId": id });
    if kind.starts_with("thread.turn.") {
        command["createdAt"] = json!(at);
    }
    for (name, value) in fields.as_object().into_iter().flatten() {
        command[name] = value.clone();
    }
    command
}
