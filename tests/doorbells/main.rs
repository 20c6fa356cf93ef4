//! The doorbells that ring over HTTP, against servers that answer as the real ones do.

mod ntfy;
mod slack;
mod waits;
mod webhook;

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use afk::adapters::doorbell::{Channel, HttpDoorbell, Waits};
use afk::adapters::http::Http;
use afk::engine::identity::RunId;
use afk::policy::Urgency;
use afk::ports::{Clock, IssueRef, Notice};
use afk::settings::SecretSource;
use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;
use uuid::Uuid;

fn notice() -> Notice {
    Notice {
        id: Uuid::from_u128(1),
        kind: "frozen".to_owned(),
        title: "acme/app#7: CI is red".to_owned(),
        body: "line one\nline two".to_owned(),
        urgency: Urgency::High,
        tags: vec!["ci".to_owned()],
        issue: IssueRef { repo: "acme/app".to_owned(), number: 7 },
        url: "https://git.example.com/acme/app/issues/7".to_owned(),
        link: Some("https://agents.example.com/7".to_owned()),
        run: RunId(Uuid::from_u128(2)),
        revision: "3f9c1e2a".to_owned(),
    }
}

/// A clock that a test sets.
struct Hand(Cell<DateTime<Utc>>);

impl Clock for Hand {
    fn now(&self) -> DateTime<Utc> {
        self.0.get()
    }
}

/// An installation: files with secrets, a data directory, a clock.
struct Place {
    directory: TempDir,
    clock: Rc<Hand>,
}

impl Place {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let now = "2026-03-04T12:00:00Z".parse().unwrap();
        Self { directory, clock: Rc::new(Hand(Cell::new(now))) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn secret(&self, name: &str, text: &str) -> SecretSource {
        std::fs::write(self.path(name), text).unwrap();
        SecretSource::File(self.path(name))
    }

    fn later(&self, minutes: i64) {
        self.clock.0.set(self.clock.0.get() + TimeDelta::minutes(minutes));
    }

    /// A doorbell `ops`, as a tick makes it: anew each time.
    fn bell(&self, channel: impl Channel + 'static) -> HttpDoorbell {
        self.named("ops", channel, Duration::from_secs(2))
    }

    fn named(&self, name: &str, channel: impl Channel + 'static, timeout: Duration) -> HttpDoorbell {
        let waits = Rc::new(Waits::new(self.path("data")));
        let http = Rc::new(Http::new(timeout));
        HttpDoorbell::new(name.to_owned(), Box::new(channel), http, waits, self.clock.clone())
    }
}
