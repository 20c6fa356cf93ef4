//! Addresses that requests with secrets go to.

use std::net::IpAddr;

use reqwest::Url;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// An address that a secret may travel to: https, or http on this machine. Says nothing about why not, for the text may
/// be a secret itself.
pub fn parse(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| match url.scheme() {
        "https" => true,
        "http" => is_loopback(url),
        _ => false,
    })
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
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
