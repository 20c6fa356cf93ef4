//! A code host whose repositories all lie below one address, read with the token of its API.

use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use secrecy::ExposeSecret;

use crate::adapters::http::api::Credential;
use crate::ports::{PortError, PortResult};
use crate::text::clean_line;

/// A code host. Its token is for afk's own mirrors; agents never see it.
#[derive(Clone)]
pub struct Forge {
    web: Url,
    credential: Rc<dyn Credential>,
}

impl std::fmt::Debug for Forge {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Forge").field("web", &self.web.as_str()).finish_non_exhaustive()
    }
}

impl Forge {
    /// The code host at an address (`https://github.com/`).
    pub fn new(web: Url, credential: Rc<dyn Credential>) -> Self {
        Self { web, credential }
    }

    /// The address of a repository (`https://github.com/acme/app.git`).
    ///
    /// # Errors
    /// It is not named `owner/name`.
    pub(super) fn remote(&self, repo: &str) -> PortResult<String> {
        let no_name = || {
            PortError::invalid(format!(
                "`{}` is no repository of {}; write `owner/name`",
                clean_line(repo, 100),
                self.web
            ))
        };
        let (owner, name) = repo.split_once('/').ok_or_else(no_name)?;
        let mut url = self.web.clone();
        url.path_segments_mut().map_err(|()| no_name())?.pop_if_empty().extend([owner, &format!("{name}.git")]);
        Ok(url.into())
    }

    /// Configuration that lets git read a remote. Nothing, where the remote is not of this host.
    ///
    /// # Errors
    /// There is no token.
    pub(super) async fn access(&self, remote: &str) -> PortResult<Vec<(String, String)>> {
        if !remote.starts_with(self.web.as_str()) {
            return Ok(Vec::new());
        }
        let token = self.credential.token().await?;
        let basic = STANDARD.encode(format!("x-access-token:{}", token.expose_secret()));
        Ok(vec![
            (format!("http.{}.extraHeader", self.web), format!("Authorization: Basic {basic}")),
            // The token goes to this host and nowhere else.
            ("http.followRedirects".to_owned(), "false".to_owned()),
        ])
    }
}
