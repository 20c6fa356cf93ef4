//! A doorbell in a Slack channel, by an incoming webhook or as an app.

use chrono::{DateTime, Utc};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};

use super::doorbell::{Answer, Channel, Failure, read, read_address, web};
use crate::ports::{Notice, PortError, PortResult};
use crate::settings::SlackSettings;

/// The most that Slack takes as the text of one section, in characters.
const SECTION_LIMIT: usize = 3_000;
/// The most of a title, in characters; the rest of the section is the body's.
const TITLE_LIMIT: usize = 500;
/// The most that a word of Slack's for an error is believed to be long.
const WORD_LIMIT: usize = 60;

/// Posts notices to one channel.
#[derive(Debug)]
pub struct Slack(pub SlackSettings);

/// What `chat.postMessage` answers, with status 200 also where it refuses.
#[derive(Deserialize)]
struct Posted {
    ok: bool,
    error: Option<String>,
}

impl Channel for Slack {
    fn request(&self, client: &Client, notice: &Notice, _now: DateTime<Utc>) -> PortResult<RequestBuilder> {
        let mut message = message(notice);
        let request = match &self.0 {
            SlackSettings::Webhook(url) => client.post(read_address(url)?),
            SlackSettings::App { token, channel, url } => {
                let mut url = url.clone();
                url.path_segments_mut()
                    .map_err(|()| PortError::invalid("the address of Slack's API is none"))?
                    .pop_if_empty()
                    .push("chat.postMessage");
                message["channel"] = json!(channel);
                client.post(url).bearer_auth(read(token)?.expose_secret())
            }
        };
        Ok(request.header(CONTENT_TYPE, "application/json; charset=utf-8").json(&message))
    }

    fn judge(&self, answer: &Answer, _now: DateTime<Utc>) -> Result<(), Failure> {
        match (&self.0, serde_json::from_slice::<Posted>(&answer.body)) {
            (SlackSettings::Webhook(_), _) => {
                let word = std::str::from_utf8(&answer.body).ok().map(str::trim).filter(|word| is_word(word));
                let help = word.and_then(help).or((answer.status.is_client_error()).then_some(
                    "if it stays so, make a new incoming webhook in Slack and put its address in place of this one",
                ));
                answer.judge(word, help)
            }
            (SlackSettings::App { .. }, Ok(posted)) => {
                let word = posted.error.as_deref().filter(|word| is_word(word));
                match word {
                    _ if !answer.status.is_success() => answer.judge(word, word.and_then(help)),
                    _ if posted.ok => Ok(()),
                    Some("ratelimited" | "rate_limited" | "message_limit_exceeded") => Err(answer.too_many(word)),
                    Some("internal_error" | "fatal_error" | "service_unavailable" | "request_timeout") => {
                        Err(answer.passing(word))
                    }
                    _ => Err(answer.refusal(word, word.and_then(help))),
                }
            }
            (SlackSettings::App { .. }, Err(_)) => {
                answer.judge(None, None)?;
                Err(answer.refusal(None, Some("and not as Slack does; is `url` that of its API?")))
            }
        }
    }
}

/// Slack's own words for errors; any other text may hold a secret.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= WORD_LIMIT && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// What a person does about an error.
fn help(word: &str) -> Option<&'static str> {
    Some(match word {
        "not_in_channel" => "invite the app to the channel: `/invite @NAME` there",
        "channel_not_found" => "give the channel's id, and invite the app to it where it is private",
        "is_archived" | "channel_is_archived" => "the channel is archived; give another",
        "missing_scope" => "give the app the scope `chat:write`, and install it anew",
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" => {
            "the token does not count, or not any more; install the app anew and put its token in place of this one"
        }
        "no_service" | "no_service_id" | "no_team" | "invalid_token" | "action_prohibited" => {
            "the webhook was taken back; make a new one and put its address in place of this one"
        }
        _ => return None,
    })
}

/// Blocks for people, and a text for where blocks are not shown. What Slack would read as mentions or links is none:
/// escaped, and with `verbatim` not looked for.
fn message(notice: &Notice) -> Value {
    let title = escape(&notice.title, TITLE_LIMIT);
    let mut section = format!("*{title}*");
    // The body is the title where the policy gives none.
    if notice.body.trim() != notice.title {
        section.push('\n');
        section.push_str(&escape(notice.body.trim(), SECTION_LIMIT - section.chars().count()));
    }
    let issue = escape(&notice.issue.to_string(), TITLE_LIMIT);
    let issue = web(&notice.url).map_or(issue.clone(), |url| link(&url, &issue));
    let agent = notice.link.as_deref().and_then(web).map(|url| format!(" · {}", link(&url, "agent")));
    json!({
        "text": title,
        "blocks": [
            { "type": "section", "text": { "type": "mrkdwn", "text": section, "verbatim": true } },
            { "type": "context", "elements": [
                { "type": "mrkdwn", "text": format!("{issue}{}", agent.unwrap_or_default()), "verbatim": true },
            ] },
        ],
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

fn link(url: &str, escaped: &str) -> String {
    format!("<{}|{escaped}>", url.replace('&', "&amp;"))
}

/// Text that Slack shows as it is. At most `max` characters, cut between those of the text.
fn escape(text: &str, max: usize) -> String {
    let (mut out, mut length) = (String::new(), 0);
    for letter in text.chars() {
        let entity = match letter {
            '&' => Some("&amp;"),
            '<' => Some("&lt;"),
            '>' => Some("&gt;"),
            _ => None,
        };
        length += entity.map_or(1, str::len);
        if length >= max {
            out.push('…');
            break;
        }
        match entity {
            Some(entity) => out.push_str(entity),
            None => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_slack_would_obey_is_shown_instead() {
        assert_eq!(escape("<!channel> R&D <https://evil|x>", 100), "&lt;!channel&gt; R&amp;D &lt;https://evil|x&gt;");
    }

    proptest! {
        #[test]
        fn a_cut_keeps_the_bound_and_whole_entities(text in "[a&<>é🦀]{0,40}", max in 1_usize..60) {
            let escaped = escape(&text, max);
            prop_assert!(escaped.chars().count() <= max);
            prop_assert!(!escaped.contains(['<', '>']));
            let rest = escaped.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
            prop_assert!(!rest.contains('&'), "{}", escaped);
        }
    }
}
