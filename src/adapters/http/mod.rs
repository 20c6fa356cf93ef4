//! The one HTTP layer of all adapters: the same rules everywhere.

pub mod api;
mod call;
pub mod limits;
pub mod manners;
mod opened;
mod refusal;
mod remembered;
mod sending;

use std::error::Error;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::Url;

use crate::ports::{PortError, PortResult};
use crate::text;

/// The most that is said about a failure.
const MESSAGE_LIMIT: usize = 300;

/// A client that follows no redirect: a secret goes where the settings say and nowhere else. Made when it is first
/// needed, since that is slow.
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

    /// How long a request may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
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
        let builder = reqwest::Client::builder().no_proxy();
        let builder = match https_proxy()? {
            Some(proxy) => builder.proxy(proxy),
            None => builder,
        };
        let client = builder
            .user_agent(concat!("afk/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.timeout.min(Duration::from_secs(10)))
            .timeout(self.timeout)
            .build()
            .map_err(|error| PortError::unreachable(format!("could not set up HTTP: {}", describe(error))))?;
        Ok(self.client.get_or_init(|| client))
    }
}

/// The proxy that the environment names for https. Without TLS only this very machine is talked to, and never by way of
/// a proxy, which would read the token.
fn https_proxy() -> PortResult<Option<reqwest::Proxy>> {
    let named = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].into_iter().find_map(|name| {
        let address = std::env::var(name).ok().filter(|address| !address.is_empty())?;
        Some((name, address))
    });
    let Some((name, address)) = named else { return Ok(None) };
    let proxy = reqwest::Proxy::https(address)
        .map_err(|error| PortError::refused(format!("`{name}` is no address of a proxy: {}", describe(error))))?;
    Ok(Some(proxy.no_proxy(reqwest::NoProxy::from_env())))
}

/// Whether secrets may be sent there: https, or this very machine.
pub fn is_private(address: &Url) -> bool {
    address.scheme() == "https" || (address.scheme() == "http" && is_loopback(address))
}

/// Whether it is this very machine.
pub fn is_loopback(address: &Url) -> bool {
    let host = address.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
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

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn only_https_and_this_machine_are_private() {
        for (address, private) in [
            ("https://api.github.com", true),
            ("http://127.0.0.1:8080/api", true),
            ("http://[::1]:1/", true),
            ("http://localhost:3000", true),
            ("http://api.github.com", false),
            ("http://127.0.0.1.example.com", false),
            ("http://localhost.example.com", false),
            ("ftp://localhost", false),
        ] {
            assert_eq!(is_private(&Url::parse(address).unwrap()), private, "{address}");
        }
    }
}
