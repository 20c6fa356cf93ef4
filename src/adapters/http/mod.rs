//! The one HTTP client of all adapters: the same rules everywhere, made when it is first needed, since that is slow.

pub mod api;

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use crate::ports::{PortError, PortResult};
use crate::text;

/// The most that is said about a failure.
const MESSAGE_LIMIT: usize = 300;

/// A client that follows no redirect: a secret goes where the settings say and nowhere else.
#[derive(Debug)]
pub struct Http {
    timeout: Duration,
    client: OnceLock<reqwest::Client>,
}

impl Http {
    /// A client whose every request takes at most `timeout`, connecting and the answer's body included.
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, client: OnceLock::new() }
    }

    /// The client.
    ///
    /// # Errors
    /// When TLS cannot be set up, for example without any trusted certificates.
    pub fn client(&self) -> PortResult<&reqwest::Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // Fails only when it was done before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("afk/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.timeout.min(Duration::from_secs(10)))
            .timeout(self.timeout)
            .build()
            .map_err(|error| PortError::unreachable(format!("could not set up HTTP: {}", describe(error))))?;
        Ok(self.client.get_or_init(|| client))
    }
}

/// What went wrong, with its causes and without the address, which may be a secret.
pub fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    text::clean_line(&message, MESSAGE_LIMIT)
}
