//! A code host whose repositories all lie below one address, read with the token of its API.

use std::rc::Rc;

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
        let basic = base64(format!("x-access-token:{}", token.expose_secret()).as_bytes());
        Ok(vec![
            (format!("http.{}.extraHeader", self.web), format!("Authorization: Basic {basic}")),
            // The token goes to this host and nowhere else.
            ("http.followRedirects".to_owned(), "false".to_owned()),
        ])
    }
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| usize::from(chunk.get(index).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            out.push(if place <= chunk.len() { char::from(LETTERS[bits >> (18 - 6 * place) & 63]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::base64;
    use pretty_assertions::assert_eq;

    #[test]
    fn base64_is_that_of_the_standard() {
        let table =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (plain, coded) in table {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }
}
