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
    let mut count: Option<u64> = None;
    let mut units = UNITS.iter();
    for letter in text.chars() {
        if let Some(digit) = letter.to_digit(10) {
            // What is too long to count stays too long in every unit.
            count = Some(count.unwrap_or(0).saturating_mul(10).saturating_add(u64::from(digit)));
            continue;
        }
        // Taking from the one iterator keeps the units in falling order.
        let (_, length) = units.find(|(unit, _)| *unit == letter).ok_or_else(wrong)?;
        let count = count.take().ok_or_else(wrong)?;
        seconds = count.checked_mul(*length).and_then(|part| seconds.checked_add(part)).ok_or_else(too_long)?;
    }
    // A century: far beyond any run, and still safe to add to a date.
    if text.is_empty() || count.is_some() {
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
