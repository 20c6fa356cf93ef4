//! Conditions, constants and effects in the words of the policy.

use crate::engine::evaluate;
use crate::policy::facts::FactName;
use crate::policy::{
    CloseReason, Condition, Effect, LabelRole, Matcher, Policy, Quantity, Rules, Source, Span, Test, duration,
};
use crate::text;

/// How much of what somebody wrote is shown, in bytes.
const LONGEST: usize = 200;
/// How much is shown of what two texts begin with alike, in characters.
const SAME: usize = 40;

/// A condition in one line.
pub fn condition<F: FactName>(condition: &Condition<F>) -> String {
    match condition {
        Condition::All(parts) if parts.is_empty() => "always".to_owned(),
        Condition::Any(parts) if parts.is_empty() => "never".to_owned(),
        Condition::All(parts) => parts.iter().map(self::condition).collect::<Vec<_>>().join(" and "),
        Condition::Any(parts) => format!("({})", parts.iter().map(self::condition).collect::<Vec<_>>().join(" or ")),
        Condition::Not(part) => format!("not ({})", self::condition(part)),
        Condition::Test(test) => comparison(test),
    }
}

fn comparison<F: FactName>(test: &Test<F>) -> String {
    let fact = test.fact.spec().name;
    match &test.matcher {
        Matcher::In(list) if list.is_allowlist => format!("{fact} in $allowlist"),
        Matcher::NotIn(list) if list.is_allowlist => format!("{fact} not_in $allowlist"),
        _ => evaluate::describe(test),
    }
}

/// What must hold together, each in words.
fn parts<F: FactName>(condition: &Condition<F>) -> Vec<String> {
    match condition {
        Condition::All(parts) => parts.iter().flat_map(self::parts).collect(),
        other => vec![self::condition(other)],
    }
}

/// How a condition was changed, after "it".
pub fn change<F: FactName>(old: &Condition<F>, new: &Condition<F>) -> String {
    let (old, new) = (parts(old), parts(new));
    let only = |these: &[String], others: &[String]| -> Vec<String> {
        these.iter().filter(|one| !others.contains(one)).map(|one| format!("`{one}`")).collect()
    };
    let (dropped, added) = (only(&old, &new), only(&new, &old));
    match (dropped.is_empty(), added.is_empty()) {
        (false, true) => format!("no longer requires {}", dropped.join(" and ")),
        (true, false) => format!("now also requires {}", added.join(" and ")),
        (false, false) => format!("now requires {} (was {})", added.join(" and "), dropped.join(" and ")),
        (true, true) => "is written in another order".to_owned(),
    }
}

/// The first test of a condition that the other does not have.
pub fn first_changed<F: FactName>(new: &Condition<F>, old: &Condition<F>) -> Option<Span> {
    let mut known = Vec::new();
    old.each_test(&mut |test| known.push(comparison(test)));
    let mut found = None;
    new.each_test(&mut |test| {
        if found.is_none() && !known.contains(&comparison(test)) {
            found = Some(test.span);
        }
    });
    found
}

/// A condition as it is written, references not followed.
pub fn written<F: FactName>(condition: &Condition<F>, source: &Source) -> String {
    let mut written = String::new();
    condition.each_test(&mut |test| {
        let written_so = source.text.get(test.span.start..test.span.end).unwrap_or_default();
        written.extend(written_so.chars().filter(|letter| !letter.is_whitespace()));
        written.push('\n');
    });
    written
}

/// The constants that a condition refers to, as `limits.run_timeout`.
pub fn references<F: FactName>(condition: &Condition<F>, source: &Source) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    condition.each_test(&mut |test| {
        let test = source.text.get(test.span.start..test.span.end).unwrap_or_default();
        for behind in test.split(['"', '\'']).filter_map(|piece| piece.strip_prefix('$')) {
            if !behind.starts_with('$') && !paths.iter().any(|path| path == behind) {
                paths.push(behind.to_owned());
            }
        }
    });
    paths
}

/// The value that a reference leads to, and where it stands. (Only those that a policy can change by itself.)
pub fn constant(policy: &Policy, rules: &Rules, path: &str) -> Option<(String, Span)> {
    let labels = &rules.labels;
    let (table, key) = path.split_once('.').unwrap_or(("", path));
    match (table, key) {
        ("limits", name) => rules.limits.get(name).map(|limit| (quantity(limit.value), limit.span)),
        ("dispatch", "slots_per_repo") => {
            Some((rules.dispatch.slots_per_repo.value.to_string(), rules.dispatch.slots_per_repo.span))
        }
        ("dispatch", "max_in_flight") => {
            Some((rules.dispatch.max_in_flight.value.to_string(), rules.dispatch.max_in_flight.span))
        }
        ("dispatch", "max_per_tick") => {
            Some((rules.dispatch.max_per_tick.value.to_string(), rules.dispatch.max_per_tick.span))
        }
        ("labels", "ready") => Some((labels.ready.value.clone(), labels.ready.span)),
        ("labels", "in_progress") => Some((labels.in_progress.value.clone(), labels.in_progress.span)),
        ("labels", "human") => Some((labels.human.value.clone(), labels.human.span)),
        ("labels", "paused") => Some((labels.paused.value.clone(), labels.paused.span)),
        ("", "denylist") => {
            let names: Vec<String> = policy.denylist.value.iter().map(ToString::to_string).collect();
            Some((if names.is_empty() { "empty".to_owned() } else { names.join(", ") }, policy.denylist.span))
        }
        _ => None,
    }
}

/// A constant that is another one now.
pub fn constant_changed(path: &str, old: &str, new: &str) -> String {
    match path {
        "limits.fix_forward_attempts" => format!("red CI gets up to {new} corrective turns (was {old})"),
        "limits.run_timeout" => format!("a run may take up to {new} (was {old})"),
        "limits.budget_usd" => format!("a run may cost up to {new} USD (was {old})"),
        "dispatch.slots_per_repo" => format!("up to {new} runs at a time in one repository (was {old})"),
        path if path.starts_with("labels.") => {
            let (old, new) = both(old, new);
            format!("`{path}` is `{new}` (was `{old}`)")
        }
        path => format!("`{path}` is {new} (was {old})"),
    }
}

/// What somebody wrote, to stand between backticks: one of its own would end them.
pub fn shown(text: &str) -> String {
    text::line(text, LONGEST).replace('`', "'")
}

/// What somebody wrote before and after: of long texts, the part that differs.
pub fn both(old: &str, new: &str) -> (String, String) {
    let (old, new) = (text::clean_line(old, usize::MAX), text::clean_line(new, usize::MAX));
    if old.len().max(new.len()) <= LONGEST {
        return (shown(&old), shown(&new));
    }
    let same = old.chars().zip(new.chars()).take_while(|(old, new)| old == new).count();
    let from = |text: &str| match same.checked_sub(SAME) {
        Some(before) if before > 0 => format!("…{}", shown(&text.chars().skip(before).collect::<String>())),
        _ => shown(text),
    };
    (from(&old), from(&new))
}

/// A quantity as the policy writes it.
pub fn quantity(quantity: Quantity) -> String {
    match quantity {
        Quantity::Int(value) => value.to_string(),
        Quantity::Number(value) => value.to_string(),
        Quantity::Duration(value) => duration::format(value),
    }
}

/// Effects as the policy writes them.
pub fn effects<'e>(effects: impl IntoIterator<Item = &'e Effect>) -> String {
    let effects: Vec<String> = effects.into_iter().map(effect).collect();
    format!("[{}]", effects.join(", "))
}

/// One effect.
pub fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Reopen => "reopen".to_owned(),
        Effect::Interrupt => "interrupt".to_owned(),
        Effect::Close(CloseReason::Completed) => "close completed".to_owned(),
        Effect::Close(CloseReason::NotPlanned) => "close not_planned".to_owned(),
        Effect::AddLabel(of) => format!("add_label {}", role(*of)),
        Effect::RemoveLabel(of) => format!("remove_label {}", role(*of)),
        Effect::Turn(name) => format!("turn {name}"),
        Effect::Comment(name) => format!("comment {name}"),
        Effect::Notify(name) => format!("notify {name}"),
    }
}

/// The key of a role under `[labels]`.
pub fn role(role: LabelRole) -> &'static str {
    match role {
        LabelRole::Ready => "ready",
        LabelRole::InProgress => "in_progress",
        LabelRole::Human => "human",
        LabelRole::Paused => "paused",
    }
}

/// "`a`, `b` and `c`".
pub fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        [one] => format!("`{one}`"),
        [before @ .., last] => {
            let before: Vec<String> = before.iter().map(|one| format!("`{one}`")).collect();
            format!("{} and `{last}`", before.join(", "))
        }
    }
}

/// Names that are written already; "a, b, c and 9 more" where there are many.
pub fn few(names: &[String]) -> String {
    if let Some((shown, rest)) = names.split_at_checked(3).filter(|(_, rest)| rest.len() > 1) {
        return format!("{} and {} more", shown.join(", "), rest.len());
    }
    match names {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}
