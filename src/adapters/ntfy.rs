//! A doorbell on phones, by ntfy: its public server or one's own.

use chrono::{DateTime, NaiveTime, Utc};
use reqwest::{Client, RequestBuilder, Url};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;

use super::doorbell::{Answer, Channel, Failure, Hold, read, web};
use crate::policy::Urgency;
use crate::ports::{Notice, PortError, PortResult};
use crate::settings::SecretSource;
use crate::text;

/// The most that ntfy takes as a message, in bytes; a longer one becomes an attachment.
const MESSAGE_LIMIT: usize = 4096;

/// Publishes notices to one topic.
#[derive(Debug)]
pub struct Ntfy {
    /// The server. JSON goes to its root: posted to a topic's own address it would be shown as it is.
    pub url: Url,
    /// A secret where everybody may read topics.
    pub topic: SecretSource,
    /// An access token.
    pub token: Option<SecretSource>,
}

/// What an answer says: the kind of event where it was published, else a code.
#[derive(Default, Deserialize)]
struct Said {
    event: Option<String>,
    code: Option<u32>,
}

impl Channel for Ntfy {
    fn request(&self, client: &Client, notice: &Notice, _now: DateTime<Utc>) -> PortResult<RequestBuilder> {
        let topic = read(&self.topic)?;
        let topic = topic.expose_secret();
        if topic.len() > 64 || !topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            let wanted = "at most 64 letters, digits, `-` and `_`, without the server's address";
            return Err(PortError::refused(format!("{} holds no topic: {wanted}", self.topic)));
        }
        // The body is the title where the policy gives none.
        let repeated = notice.body.trim() == notice.title;
        let message = if repeated { notice.issue.to_string() } else { notice.body.clone() };
        let mut document = json!({
            "topic": topic,
            "title": notice.title,
            "message": text::clean_block(&message, MESSAGE_LIMIT),
            // A number: in JSON its words are refused.
            "priority": match notice.urgency {
                Urgency::Low => 2,
                Urgency::Normal => 3,
                Urgency::High => 4,
            },
            "tags": notice.tags,
        });
        if let Some(url) = web(&notice.url) {
            document["click"] = json!(url);
        }
        if let Some(url) = notice.link.as_deref().and_then(web) {
            document["actions"] = json!([{ "action": "view", "label": "Agent", "url": url }]);
        }
        let request = client.post(self.url.clone()).json(&document);
        Ok(match &self.token {
            Some(token) => request.bearer_auth(read(token)?.expose_secret()),
            None => request,
        })
    }

    fn judge(&self, answer: &Answer, now: DateTime<Utc>) -> Result<(), Failure> {
        let said: Said = serde_json::from_slice(&answer.body).unwrap_or_default();
        let code = said.code.map(|code| code.to_string());
        let help = match said.code {
            Some(40101 | 40102) => Some("the server does not know the token; give another `token`"),
            Some(40301) if self.token.is_some() => Some("the token may not write to the topic"),
            Some(40301) => Some("the server wants a `token` that may write to the topic"),
            _ => None,
        };
        match answer.judge(code.as_deref(), help) {
            Ok(()) if said.event.as_deref() == Some("message") => Ok(()),
            Ok(()) => Err(answer.refusal(None, Some("and not as ntfy does; is `url` the address of its server?"))),
            // The day's messages are used up.
            Err(failure) if said.code == Some(42908) => {
                Err(Failure { hold: tomorrow(now).map_or(Hold::Doorbell, Hold::DoorbellUntil), ..failure })
            }
            Err(failure) => Err(failure),
        }
    }
}

fn tomorrow(now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    Some(now.date_naive().succ_opt()?.and_time(NaiveTime::MIN).and_utc())
}
