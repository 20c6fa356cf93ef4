//! What servers say about their limits, and the memory of those that asked to be left alone.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde::{Deserialize, Serialize};

use crate::adapters::confined::Directory;
use crate::ports::PortResult;

/// A server that names no time is left alone for this long, then twice as long, and so on.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// How often that doubles.
const MOST_DOUBLINGS: u32 = 4;
/// No server is believed to want to be left alone for longer: limits are by the hour, and one whose clock is wrong must
/// not silence afk for ever.
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(2);
/// Refusals that come this soon after the last pause are the same trouble going on.
const SAME_TROUBLE: TimeDelta = TimeDelta::minutes(10);
/// The file in the memory's folder.
const FILE: &str = "left-alone.json";

/// What is left of a limit, as the headers of an answer tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pool {
    /// Requests, or points, that are left.
    pub remaining: Option<u64>,
    /// Of so many.
    pub limit: Option<u64>,
    /// When all of it is there again, by this machine's clock.
    pub reset: Option<DateTime<Utc>>,
}

impl Pool {
    /// Reads it. Times are the server's, which may differ from ours: what counts is how far away they are.
    pub fn of(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Self> {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        let remaining = number("x-ratelimit-remaining")?;
        let reset = number("x-ratelimit-reset")
            .and_then(|seconds| DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0))
            .map(|reset| reset.signed_duration_since(date(headers).unwrap_or(now)))
            .and_then(|away| now.checked_add_signed(away));
        Some(Self { remaining: Some(remaining), limit: number("x-ratelimit-limit"), reset })
    }
}

/// The server's clock.
pub fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let date = headers.get(DATE)?.to_str().ok()?;
    DateTime::parse_from_rfc2822(date).ok().map(|date| date.to_utc())
}

/// `Retry-After`, in seconds or as a date of the server's clock.
pub fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    Some(at.signed_duration_since(date(headers).unwrap_or(now)).to_std().unwrap_or_default())
}

/// A clear "not now, you ask too much": nothing took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// The hourly limit of one address is used up; it is there again at the reset.
    UsedUp,
    /// Too much at once: the whole server is to be left alone, for so long if it says so.
    TooFast(Option<Duration>),
}

impl Limited {
    /// Whether an answer that is no success says so. A plain 403 is about permissions.
    pub fn of(status: StatusCode, headers: &HeaderMap, message: &str, now: DateTime<Utc>) -> Option<Self> {
        let limited = Self::by(headers, now);
        match status {
            StatusCode::TOO_MANY_REQUESTS => Some(limited),
            StatusCode::FORBIDDEN if limited != Self::TooFast(None) || is_about_limits(message) => Some(limited),
            _ => None,
        }
    }

    /// Which limit it is, of an answer that is known to be about one.
    pub fn by(headers: &HeaderMap, now: DateTime<Utc>) -> Self {
        let used_up = Pool::of(headers, now).is_some_and(|pool| pool.remaining == Some(0) && pool.reset.is_some());
        match retry_after(headers, now) {
            None if used_up => Self::UsedUp,
            pause => Self::TooFast(pause),
        }
    }
}

/// Whether a server's words are about how much is asked of it.
pub fn is_about_limits(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("rate limit") || message.contains("abuse detection")
}

/// One server, or one address of it, that is to be left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LeftAlone {
    until: DateTime<Utc>,
    /// How often in a row it refused without naming a time.
    #[serde(default)]
    refusals: u32,
}

/// Who is to be left alone, also by the processes that come after this one.
#[derive(Debug)]
pub struct Quiet {
    folder: Option<PathBuf>,
    known: RefCell<Option<BTreeMap<String, LeftAlone>>>,
}

impl Quiet {
    /// A memory in a folder, or only for the life of this one.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, known: RefCell::default() }
    }

    /// Until when somebody is to be left alone, when that is still to come.
    pub fn until(&self, whom: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.with(|known| known.get(whom).map(|alone| alone.until))
            // What no pause can have led to is of a clock that was wrong, and would slide on with every look at it.
            .filter(|until| *until > now && *until <= latest(now))
    }

    /// Remembers that somebody wants to be left alone: for so long, or nobody knows for how long. Gives until when.
    pub fn leave_alone(&self, whom: &str, pause: Option<TimeDelta>, now: DateTime<Utc>) -> DateTime<Utc> {
        let alone = self.with(|known| {
            known.retain(|_, old| now.signed_duration_since(old.until) < SAME_TROUBLE && old.until <= latest(now));
            let before = known.get(whom);
            let refusals = before.map_or(0, |before| before.refusals);
            let alone = match pause {
                Some(pause) => LeftAlone { until: now.checked_add_signed(pause).unwrap_or(latest(now)), refusals: 0 },
                None => LeftAlone {
                    until: now + FIRST_PAUSE * 2_u32.pow(refusals.min(MOST_DOUBLINGS)),
                    refusals: refusals.saturating_add(1),
                },
            };
            let alone = LeftAlone { until: alone.until.min(latest(now)), ..alone };
            known.insert(whom.to_owned(), alone.clone());
            alone
        });
        if let Err(error) = self.save() {
            tracing::warn!("who is to be left alone cannot be remembered: {error}");
        }
        alone.until
    }

    fn with<T>(&self, then: impl FnOnce(&mut BTreeMap<String, LeftAlone>) -> T) -> T {
        let mut known = self.known.borrow_mut();
        then(known.get_or_insert_with(|| {
            let folder = self.folder.as_deref().and_then(|folder| Directory::find(folder).ok().flatten());
            // One that is broken is forgotten: the server will say it again.
            folder.and_then(|folder| folder.read_json(FILE).ok().flatten()).unwrap_or_default()
        }))
    }

    fn save(&self) -> PortResult<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        Directory::make(folder)?.put_json(FILE, &*self.known.borrow())
    }
}

fn latest(now: DateTime<Utc>) -> DateTime<Utc> {
    now.checked_add_signed(LONGEST_PAUSE).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    /// Numbers of every size, dates, and nonsense.
    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<u64>().prop_map(|number| number.to_string()),
            (0_u64..9_999_999_999).prop_map(|number| number.to_string()),
            Just("Sun, 22 Nov 2026 12:00:00 GMT".to_owned()),
            Just("Fri, 31 Dec 9999 23:59:59 GMT".to_owned()),
            "[ -~]{0,20}",
        ]
    }

    #[test]
    fn a_time_that_no_pause_can_have_led_to_silences_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let now: DateTime<Utc> = "2026-11-22T12:00:00Z".parse().unwrap();
        let remembered = r#"{"far":{"until":"2099-01-01T00:00:00Z"},"near":{"until":"2026-11-22T13:00:00Z"}}"#;
        std::fs::write(folder.path().join(FILE), remembered).unwrap();
        let quiet = Quiet::new(Some(folder.path().to_owned()));
        assert_eq!(quiet.until("far", now), None);
        assert_eq!(quiet.until("near", now), Some(now + TimeDelta::hours(1)));
        assert_eq!(quiet.leave_alone("far", None, now), now + FIRST_PAUSE, "it counts as the first refusal");
        assert_eq!(quiet.until("far", now), Some(now + FIRST_PAUSE));
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_it_is_asked_again_within_two_hours(
            values in proptest::collection::vec(value(), 5),
            refusals in 1_usize..8,
        ) {
            let names = ["date", "retry-after", "x-ratelimit-remaining", "x-ratelimit-reset", "x-ratelimit-limit"];
            let named = names.iter().zip(&values).map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
            });
            let headers: HeaderMap = named.collect();
            let now: DateTime<Utc> = "2026-11-22T12:00:00Z".parse().unwrap();
            let _ = Pool::of(&headers, now);
            let quiet = Quiet::new(None);
            for _ in 0..refusals {
                let pause = match Limited::by(&headers, now) {
                    Limited::UsedUp => Pool::of(&headers, now).and_then(|pool| pool.reset).map(|at| at - now),
                    Limited::TooFast(pause) => pause.map(|pause| TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX)),
                };
                quiet.leave_alone("somebody", pause, now);
                prop_assert_eq!(quiet.until("somebody", now + LONGEST_PAUSE), None);
            }
        }
    }
}
