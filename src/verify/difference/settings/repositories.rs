//! Which repositories are enrolled.

use super::item;
use crate::policy::{Located, Policy, RepoPattern, Span};
use crate::verify::diagram::Diagrams;
use crate::verify::difference::{Direction, Report, TooLarge};
use crate::verify::repos::RepoClasses;

/// Which repositories are enrolled, one item for each entry of a list that decides it.
pub fn enrolled(report: &mut Report<'_>, diagrams: &mut Diagrams) -> Result<(), TooLarge> {
    let (old, new) = (report.old, report.new);
    let lists = [&old.allowlist.value, &old.denylist.value, &new.allowlist.value, &new.denylist.value];
    // Each pattern is a list of its own, so that each has its item.
    let patterns: Vec<Vec<RepoPattern>> = lists.into_iter().flatten().map(|pattern| vec![pattern.clone()]).collect();
    let too_large = TooLarge { scope: None };
    let Some(classes) = RepoClasses::new(diagrams, &patterns, None, &[]) else { return Err(too_large) };
    // Every class is held against every pattern.
    let work = classes.len().saturating_mul(patterns.len()).div_euclid(16);
    if !diagrams.spend(u32::try_from(work).unwrap_or(u32::MAX)) {
        return Err(too_large);
    }
    let matching = |list: &Located<Vec<RepoPattern>>, repo: &str| {
        // The narrowest says most.
        let matching = list.value.iter().filter(|pattern| pattern.matches(repo));
        matching.max_by_key(|pattern| (pattern.is_exact(), pattern.to_string().len())).cloned()
    };
    let mut idle = Vec::new();
    for repo in (0..classes.len()).filter_map(|class| classes.witness(class)) {
        let item = match (old.enrolled(&repo), new.enrolled(&repo)) {
            (false, true) => match (matching(&old.allowlist, &repo), matching(&new.allowlist, &repo)) {
                (None, Some(pattern)) => {
                    let place = report.in_new(entry(new, &new.allowlist, &pattern));
                    item(Direction::Looser, format!("issues in `{pattern}` may be dispatched"), place)
                }
                _ => {
                    let Some(pattern) = matching(&old.denylist, &repo) else { continue };
                    let place = report.in_new(new.denylist.span);
                    let what = format!("issues in `{pattern}` may be dispatched: it is no longer on the denylist");
                    item(Direction::Looser, what, place)
                }
            },
            (true, false) => match matching(&new.denylist, &repo) {
                Some(pattern) => {
                    let place = report.in_new(entry(new, &new.denylist, &pattern));
                    let what = format!("issues in `{pattern}` are no longer dispatched: it is on the denylist");
                    item(Direction::Tighter, what, place)
                }
                None => {
                    let Some(pattern) = matching(&old.allowlist, &repo) else { continue };
                    let place = report.in_new(new.allowlist.span);
                    let what = format!("issues in `{pattern}` are no longer dispatched: it is not on the allowlist");
                    item(Direction::Tighter, what, place)
                }
            },
            // On no list that would let it pass: a line of defence, all the same.
            _ => {
                match (matching(&old.denylist, &repo), matching(&new.denylist, &repo)) {
                    (Some(pattern), None) => idle.push((Direction::Looser, pattern)),
                    (None, Some(pattern)) => idle.push((Direction::Tighter, pattern)),
                    _ => {}
                }
                continue;
            }
        };
        report.add(item);
    }
    for (direction, pattern) in idle {
        let named = format!("issues in `{pattern}` ");
        if report.difference.items.iter().any(|item| item.direction == direction && item.what.starts_with(&named)) {
            continue;
        }
        let (word, span) = match direction {
            Direction::Looser => ("no longer", new.denylist.span),
            _ => ("now", entry(new, &new.denylist, &pattern)),
        };
        let place = report.in_new(span);
        let what =
            format!("`{pattern}` is {word} on the denylist: that changes nothing today, as it is not on the allowlist");
        report.add(item(direction, what, place));
    }
    for (name, was, is) in [("allowlist", &old.allowlist, &new.allowlist), ("denylist", &old.denylist, &new.denylist)] {
        let only = |these: &Located<Vec<RepoPattern>>, others: &Located<Vec<RepoPattern>>| -> Vec<RepoPattern> {
            these.value.iter().filter(|one| !others.value.contains(one)).cloned().collect()
        };
        for (word, patterns) in [("gone from", only(was, is)), ("new on", only(is, was))] {
            for pattern in patterns {
                let named = format!("`{pattern}`");
                if !report.difference.items.iter().any(|item| item.what.contains(&named)) {
                    report.remark(format!("{named} is {word} the {name}"));
                }
            }
        }
    }
    Ok(())
}

/// Where an entry of a list stands.
fn entry(policy: &Policy, list: &Located<Vec<RepoPattern>>, pattern: &RepoPattern) -> Span {
    let text = policy.source.text.get(list.span.start..list.span.end).unwrap_or_default().to_ascii_lowercase();
    let wanted = pattern.to_string();
    let found = ['"', '\''].iter().find_map(|quote| text.find(&format!("{quote}{wanted}{quote}")));
    let start = list.span.start.saturating_add(found.unwrap_or(0));
    Span { start, end: start.saturating_add(wanted.len()) }
}
