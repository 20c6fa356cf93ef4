//! Addresses that requests with secrets go to.

use reqwest::Url;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::adapters::http::is_private;

/// An address that a secret may travel to: https, or http on this machine. Says nothing about why not, for the text may
/// be a secret itself.
pub fn parse(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(is_private)
}

/// Reads the address of a server.
pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Url, D::Error> {
    parse(&String::deserialize(input)?)
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .filter(|url| url.query().is_none() && url.fragment().is_none())
        .ok_or_else(|| {
            D::Error::custom("should be an https address, such as `https://host/path` (http on this machine only)")
        })
}

/// Reads the address of a server that need not be given.
pub fn optional<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Url>, D::Error> {
    deserialize(input).map(Some)
}
