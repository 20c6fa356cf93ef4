//! Addresses of lines of the new policy.

use super::source::Source;
use crate::cli::exit::Failure;
use crate::verify::difference::Place;

/// Where the lines of the new policy are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    /// Without `#L7`; `None`: nowhere that is known.
    file: Option<String>,
}

impl Links {
    /// Below `base`, or what the variables of GitHub Actions say.
    ///
    /// # Errors
    /// When `base` is no address.
    pub fn new(base: Option<&str>, new: &Source) -> Result<Self, Failure> {
        let base = match base {
            Some(base) if is_address(base) => Some(base.to_owned()),
            Some(base) => {
                return Err(Failure::usage(format!("`{base}` is not an address"))
                    .help("write `--link-base https://github.com/acme/ops/blob/main`"));
            }
            None => from_environment(),
        };
        let path = new.path().filter(|path| {
            !path.starts_with('/')
                && !path.starts_with("..")
                && path.chars().all(|letter| plain(letter) || letter == '/')
        });
        let file = base.zip(path).map(|(base, path)| format!("{}/{path}", base.trim_end_matches('/')));
        Ok(Self { file })
    }

    /// The address of a line; `None` where there is none.
    pub fn to(&self, place: Place) -> Option<String> {
        self.file.as_ref().filter(|_| !place.is_old).map(|file| format!("{file}#L{}", place.line))
    }
}

fn plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.')
}

fn is_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && rest.chars().all(|letter| plain(letter) || matches!(letter, '/' | ':' | '~' | '%' | '+'))
    })
}

fn from_environment() -> Option<String> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (server, repository) = (variable("GITHUB_SERVER_URL")?, variable("GITHUB_REPOSITORY")?);
    let base = format!("{server}/{repository}/blob/{}", variable("GITHUB_SHA")?);
    Some(base).filter(|base| is_address(base))
}
