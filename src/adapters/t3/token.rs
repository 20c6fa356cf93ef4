//! Until when a token holds: T3 Code says of one that has ended no more than of one that was never right.

use std::path::PathBuf;
use std::rc::Rc;

use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::server::Session;
use crate::adapters::confined::Directory;
use crate::adapters::http::api::Credential;

const FILE: &str = "token.json";

/// What remembers it.
pub struct TokenMemory {
    folder: PathBuf,
    credential: Rc<dyn Credential>,
    keeps: bool,
}

impl std::fmt::Debug for TokenMemory {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("TokenMemory").field("source", &self.credential.source()).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Known {
    /// The beginning of the token's SHA-256: which token it is about.
    fingerprint: String,
    expires_at: DateTime<Utc>,
}

fn fingerprint(token: &SecretString) -> String {
    let hash = Sha256::digest(token.expose_secret().as_bytes());
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

impl TokenMemory {
    /// In a folder. `keeps`: it may write there.
    pub fn new(folder: PathBuf, credential: Rc<dyn Credential>, keeps: bool) -> Self {
        Self { folder, credential, keeps }
    }

    /// Where the token comes from.
    pub fn source(&self) -> String {
        self.credential.source()
    }

    /// Remembers what the server said of the token. Only a cache: what fails is left.
    pub async fn note(&self, session: &Session) {
        let (Some(expires_at), true) = (session.expires_at, self.keeps) else { return };
        let Ok(token) = self.credential.token().await else { return };
        let known = Known { fingerprint: fingerprint(&token), expires_at };
        let noted = Directory::make(&self.folder).and_then(|folder| folder.put_json(FILE, &known));
        if let Err(error) = noted {
            tracing::debug!("when the token ends is not remembered: {error}");
        }
    }

    /// What became of a token that the server refuses, where that can be told.
    pub async fn fate(&self, now: DateTime<Utc>) -> Option<String> {
        let token = self.credential.token().await.ok()?;
        let known: Known = Directory::find(&self.folder).ok()??.read_json(FILE).ok()??;
        if known.fingerprint != fingerprint(&token) {
            return None;
        }
        let end = known.expires_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        Some(if known.expires_at <= now {
            format!("this very token expired at {end}")
        } else {
            format!("this very token was good until {end}, so somebody has revoked it, or T3 Code has lost its state")
        })
    }
}
