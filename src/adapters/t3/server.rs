//! Calls to one T3 Code server.

use std::rc::Rc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Url;
use uuid::Uuid;

use super::wire::{Command, Project, Thread};
use crate::adapters::http::Http;
use crate::adapters::http::api::{Api, Cost, Credential, Manners};
use crate::ports::{PortError, PortResult};

/// A T3 Code server.
#[derive(Debug, Clone)]
pub struct T3Server {
    api: Api,
}

/// What T3 shows of its projects and threads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Projects.
    pub projects: Vec<Project>,
    /// Threads.
    pub threads: Vec<Thread>,
    /// It shows archived and deleted ones too.
    pub whole: bool,
    /// How far T3's clock is ahead of this machine's, where it says so.
    pub clock: Option<TimeDelta>,
}

/// Why a command was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DispatchError {
    /// Nothing was recorded: mended, it may be sent under the same id.
    Malformed(PortError),
    /// Recorded as refused, and refused for good under this id. What it was for may be there all the same.
    Refused(PortError),
    /// Anything else. Where it is [`crate::ports::PortErrorKind::Unreachable`], it may have taken effect.
    Failed(PortError),
}

/// What T3 makes of the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// T3 knows it.
    pub authenticated: bool,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Until when.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Which server it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Part of every link.
    pub id: String,
    /// Its version.
    pub version: String,
}

impl T3Server {
    /// The server at an address, by its name for errors.
    pub fn new(name: impl Into<String>, url: Url, credential: Rc<dyn Credential>, http: Rc<Http>) -> Self {
        // It asks nobody for patience, and what is sent to it is one run's steps in their order.
        let manners = Manners { write_interval: Duration::ZERO, ..Manners::default() };
        Self { api: Api::with_manners(name, url, &[("accept", "application/json")], credential, http, manners) }
    }

    /// What was spent so far.
    pub fn cost(&self) -> Cost {
        self.api.cost()
    }

    /// Every thread that is neither archived nor deleted, in one call; where the server has no such call, every thread.
    ///
    /// # Errors
    /// When the server cannot be reached, or lets nobody read.
    pub async fn listing(&self) -> PortResult<Listing> {
        Err(PortError::unreachable("not read yet"))
    }

    /// Every thread, archived and deleted ones too.
    ///
    /// # Errors
    /// As [`T3Server::listing`].
    pub async fn everything(&self) -> PortResult<Listing> {
        Err(PortError::unreachable("not read yet"))
    }

    /// One thread with what was said in its newest turn; `None` where there is none, or the server cannot show one.
    ///
    /// # Errors
    /// As [`T3Server::listing`].
    pub async fn thread(&self, _id: Uuid) -> PortResult<Option<Thread>> {
        Err(PortError::unreachable("not read yet"))
    }

    /// Sends a command and gives its place in T3's order of events. Accepted means recorded, not done.
    ///
    /// # Errors
    /// See [`DispatchError`].
    pub async fn dispatch(&self, _command: &Command) -> Result<u64, DispatchError> {
        Err(DispatchError::Failed(PortError::unreachable("not sent yet")))
    }

    /// What T3 makes of the token.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn session(&self) -> PortResult<Session> {
        Err(PortError::unreachable("not read yet"))
    }

    /// Which server it is.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn environment(&self) -> PortResult<Environment> {
        Err(PortError::unreachable("not read yet"))
    }
}
