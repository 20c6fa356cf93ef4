//! The addresses of one GitHub: everything follows from that of its REST API.

use reqwest::Url;

use crate::ports::{PortError, PortResult};
use crate::text::clean_line;

/// One GitHub, in the cloud or Enterprise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The REST API.
    pub rest: Url,
    /// The GraphQL API.
    pub graphql: Url,
    /// What people see, and git clones from.
    pub web: Url,
}

impl Server {
    /// By the address of the REST API: `https://api.github.com`, `https://HOST/api/v3`, `https://api.NAME.ghe.com`.
    ///
    /// # Errors
    /// It is no address.
    pub fn new(address: &str) -> PortResult<Self> {
        let wrong = || PortError::invalid(format!("`{}` is no address of GitHub", clean_line(address, 200)));
        let rest = Url::parse(address).map_err(|_| wrong())?;
        let host = rest.host_str().ok_or_else(wrong)?.to_owned();
        let mut graphql = rest.clone();
        let mut web = rest.clone();
        web.set_path("/");
        let path = rest.path().trim_end_matches('/');
        match path.strip_suffix("/v3") {
            Some(api) => graphql.set_path(&format!("{api}/graphql")),
            None => {
                graphql.set_path(&format!("{path}/graphql"));
                if let Some(host) = host.strip_prefix("api.") {
                    web.set_host(Some(host)).map_err(|_| wrong())?;
                }
            }
        }
        Ok(Self { rest, graphql, web })
    }

    /// What names this server in identities and records: the host of the REST API, with its port where it has one.
    pub fn host(&self) -> String {
        authority(&self.rest)
    }

    /// Whether an address of an issue is on this server.
    pub fn is_host(&self, host: &str) -> bool {
        authority(&self.web).eq_ignore_ascii_case(host)
    }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::Server;
    use pretty_assertions::assert_eq;

    #[test]
    fn every_address_follows_from_that_of_the_api() {
        for (api, graphql, web, host) in [
            ("https://api.github.com", "https://api.github.com/graphql", "https://github.com/", "api.github.com"),
            ("https://api.github.com/", "https://api.github.com/graphql", "https://github.com/", "api.github.com"),
            (
                "https://api.acme.ghe.com",
                "https://api.acme.ghe.com/graphql",
                "https://acme.ghe.com/",
                "api.acme.ghe.com",
            ),
            (
                "https://git.acme.dev/api/v3",
                "https://git.acme.dev/api/graphql",
                "https://git.acme.dev/",
                "git.acme.dev",
            ),
            (
                "https://git.acme.dev/api/v3/",
                "https://git.acme.dev/api/graphql",
                "https://git.acme.dev/",
                "git.acme.dev",
            ),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/graphql", "http://127.0.0.1:8080/", "127.0.0.1:8080"),
        ] {
            let server = Server::new(api).unwrap();
            assert_eq!(
                (server.graphql.as_str(), server.web.as_str(), server.host().as_str()),
                (graphql, web, host),
                "{api}"
            );
        }
        assert!(Server::new("github").is_err());
    }
}
