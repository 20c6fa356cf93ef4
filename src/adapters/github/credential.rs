//! What afk shows GitHub to be let in: a token, or the key of a GitHub App, which is exchanged for tokens of an hour.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, Url};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use crate::adapters::http::Http;
use crate::adapters::http::api::{Api, Call, Credential, Granted, Manners};
use crate::adapters::http::manners::Pace;
use crate::ports::{PortError, PortResult};
use crate::settings::SecretSource;

/// What every request to GitHub says it understands.
pub(super) const HEADERS: [(&str, &str); 2] =
    [("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")];
/// A token is exchanged for another this long before its end.
const BEFORE_ITS_END: TimeDelta = TimeDelta::minutes(5);
/// The word of an App begins in the past and ends in less than GitHub's ten minutes: our clock may be a minute ahead or
/// behind.
const BEGINS_BEFORE: TimeDelta = TimeDelta::seconds(60);
const ENDS_AFTER: TimeDelta = TimeDelta::minutes(9);

/// A token as it is.
#[derive(Debug, Clone)]
pub struct TokenCredential {
    source: SecretSource,
}

impl TokenCredential {
    /// The token in a variable or a file.
    pub fn new(source: SecretSource) -> Self {
        Self { source }
    }
}

#[async_trait(?Send)]
impl Credential for TokenCredential {
    async fn token(&self) -> PortResult<SecretString> {
        self.source.read().map_err(|error| PortError::refused(error.to_string()))
    }

    fn source(&self) -> String {
        self.source.to_string()
    }
}

/// A GitHub App, installed for an owner.
pub struct AppCredential {
    app: u64,
    installation: u64,
    api: Api,
    pace: Rc<dyn Pace>,
    kept: RefCell<Option<Kept>>,
    permissions: RefCell<BTreeMap<String, String>>,
    /// Only one exchange at a time.
    exchange: Mutex<()>,
}

/// A token and until when it is used.
#[derive(Clone)]
struct Kept {
    token: SecretString,
    until: DateTime<Utc>,
}

/// What GitHub answers to the word of an App.
#[derive(Deserialize)]
struct Exchanged {
    token: SecretString,
    expires_at: DateTime<Utc>,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
}

impl std::fmt::Debug for AppCredential {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { app, installation, .. } = self;
        out.debug_struct("AppCredential").field("app", app).field("installation", installation).finish_non_exhaustive()
    }
}

impl AppCredential {
    /// The installation of an App, by the REST API at `base`. `key` holds the App's private key, as PEM.
    pub fn new(base: Url, app: u64, installation: u64, key: SecretSource, http: Rc<Http>, pace: Rc<dyn Pace>) -> Self {
        let key = Rc::new(AppKey { app, key, pace: pace.clone() });
        let manners = Manners { pace: pace.clone(), ..Manners::default() };
        let api = Api::with_manners("github", base, &HEADERS, key, http, manners);
        Self {
            app,
            installation,
            api,
            pace,
            kept: RefCell::default(),
            permissions: RefCell::default(),
            exchange: Mutex::default(),
        }
    }

    fn kept(&self) -> Option<SecretString> {
        let kept = self.kept.borrow();
        kept.as_ref().filter(|kept| kept.until > self.pace.now()).map(|kept| kept.token.clone())
    }
}

#[async_trait(?Send)]
impl Credential for AppCredential {
    async fn token(&self) -> PortResult<SecretString> {
        let _one = self.exchange.lock().await;
        if let Some(token) = self.kept() {
            return Ok(token);
        }
        let installation = self.installation.to_string();
        let path = ["app", "installations", &installation, "access_tokens"];
        let asked = self.pace.now();
        let answer = self.api.send(&Call::write(Method::POST, &path, None)).await?;
        let Exchanged { token, expires_at, permissions } = answer.json("github: the token of an installation")?;
        // The end is told by GitHub's clock: what counts is how far away it is.
        let lifetime = expires_at.signed_duration_since(answer.date().unwrap_or(asked)) - BEFORE_ITS_END;
        let until = asked.checked_add_signed(lifetime).unwrap_or(asked);
        *self.permissions.borrow_mut() = permissions;
        *self.kept.borrow_mut() = Some(Kept { token: token.clone(), until });
        Ok(token)
    }

    fn source(&self) -> String {
        format!("installation {} of the GitHub App {}", self.installation, self.app)
    }

    fn granted(&self) -> Option<Granted> {
        let page = format!("settings/installations/{}", self.installation);
        Some(Granted { permissions: self.permissions.borrow().clone(), page })
    }

    fn refused(&self) -> bool {
        // It may have been revoked before its end.
        self.kept.borrow_mut().take().is_some()
    }
}

/// The private key of an App: what it signs is good for nothing but exchanges.
struct AppKey {
    app: u64,
    key: SecretSource,
    pace: Rc<dyn Pace>,
}

impl AppKey {
    fn pair(&self) -> PortResult<RsaKeyPair> {
        let pem = self.key.read().map_err(|error| PortError::refused(error.to_string()))?;
        let pair = match PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes()) {
            Ok(PrivateKeyDer::Pkcs1(key)) => RsaKeyPair::from_der(key.secret_pkcs1_der()).ok(),
            Ok(PrivateKeyDer::Pkcs8(key)) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok(),
            _ => None,
        };
        let wrong = "holds no RSA private key as PEM; take the file that the App's page offers under \"Private keys\"";
        pair.ok_or_else(|| PortError::refused(format!("{} {wrong}", self.key)))
    }
}

#[async_trait(?Send)]
impl Credential for AppKey {
    /// A JSON Web Token (RFC 7519), made for each request.
    async fn token(&self) -> PortResult<SecretString> {
        let pair = self.pair()?;
        let now = self.pace.now();
        let claims = json!({
            "iat": (now - BEGINS_BEFORE).timestamp(),
            "exp": (now + ENDS_AFTER).timestamp(),
            "iss": self.app.to_string(),
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({ "alg": "RS256", "typ": "JWT" })), part(&claims));
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| PortError::refused(format!("the key in {} cannot sign", self.key)))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
    }

    fn source(&self) -> String {
        format!("{}, the key of the GitHub App {}, and from this machine's clock", self.key, self.app)
    }
}
