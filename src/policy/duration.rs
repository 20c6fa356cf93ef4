//! Lengths of time as people write them: `"90s"`, `"45m"`, `"2h"`, `"1d"`, `"1h30m"`; and as clocks tell them.

use std::time::Duration;

use chrono::{DateTime, Utc};

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Reads a duration; units in falling order, each at most once.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration; write \"90s\", \"45m\", \"2h\", \"1d\" or \"1h30m\"");
    let too_long = || format!("`{text}` is longer than this build can count");
    let mut seconds: u64 = 0;
    let mut digits = String::new();
    let mut units = UNITS.iter();
    for letter in text.chars() {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        // Taking from the one iterator keeps the units in falling order.
        let (_, length) = units.find(|(unit, _)| *unit == letter).ok_or_else(wrong)?;
        if digits.is_empty() {
            return Err(wrong());
        }
        let count: u64 = std::mem::take(&mut digits).parse().map_err(|_| too_long())?;
        seconds = count.checked_mul(*length).and_then(|part| seconds.checked_add(part)).ok_or_else(too_long)?;
    }
    // A century: far beyond any run, and still safe to add to a date.
    if text.is_empty() || !digits.is_empty() {
        Err(wrong())
    } else if seconds > 36_525 * 86_400 {
        Err(too_long())
    } else {
        Ok(Duration::from_secs(seconds))
    }
}

/// Writes a duration as a policy would: whole seconds, largest unit first.
pub fn format(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    let mut text = String::new();
    for (unit, length) in UNITS {
        let count = rest.checked_div(length).unwrap_or(0);
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
            rest = rest.checked_rem(length).unwrap_or(0);
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Whole seconds since a moment, as rules count them; 0 when a clock says that it lies ahead.
pub fn since(start: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    Duration::from_secs(now.signed_duration_since(start).to_std().unwrap_or_default().as_secs())
}
