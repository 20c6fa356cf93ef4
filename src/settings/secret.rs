//! Secrets: named in the settings, read when they are used.

use std::io::Read;

use secrecy::SecretString;

use super::SecretSource;

/// Far above any token or key.
const LIMIT: u64 = 64 * 1024;

/// A secret that could not be read. Says where it should be, never what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretError(String);

impl std::fmt::Display for SecretError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for SecretError {}

impl SecretSource {
    /// Reads the secret, afresh: a rotated one counts at once.
    ///
    /// # Errors
    /// When the variable is not set, the file cannot be read, or nothing is in it.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        let secret = match self {
            SecretSource::Variable(name) => match std::env::var(name) {
                Ok(value) => value,
                Err(std::env::VarError::NotPresent) => {
                    return Err(self.error("is not set; export it where afk runs, or name another one in the settings"));
                }
                Err(std::env::VarError::NotUnicode(_)) => return Err(self.error("is not UTF-8")),
            },
            SecretSource::File(path) => {
                // A link is followed: it is how secrets are mounted.
                let mut text = String::new();
                std::fs::File::open(path)
                    .and_then(|file| file.take(LIMIT).read_to_string(&mut text))
                    .map_err(|error| self.error(&format!("cannot be read: {error}")))?;
                text
            }
        };
        match secret.trim() {
            "" => Err(self.error("is empty")),
            secret => Ok(SecretString::from(secret)),
        }
    }

    fn error(&self, what: &str) -> SecretError {
        SecretError(format!("{self}, which should hold a secret, {what}"))
    }
}

impl std::fmt::Display for SecretSource {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SecretSource::Variable(name) => write!(out, "the variable `{name}`"),
            SecretSource::File(path) => write!(out, "the file `{}`", path.display()),
        }
    }
}
