//! Which repositories are enrolled.

use std::collections::{BTreeMap, BTreeSet};

use super::items;
use crate::policy::{Located, Policy, RepoPattern, Span};
use crate::verify::diagram::Diagrams;
use crate::verify::difference::{Direction, Report, TooLarge, words};
use crate::verify::repos::RepoClasses;

/// What becomes of the repositories that an entry of a list matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Enrolled,
    Undenied,
    Denied,
    Dropped,
    /// On no allowlist that would let it pass: a line of defence, all the same.
    IdlyUndenied,
    IdlyDenied,
    /// Gone from both lists.
    Forgotten,
}

impl Change {
    fn direction(self) -> Direction {
        match self {
            Self::Enrolled | Self::Undenied | Self::IdlyUndenied => Direction::Looser,
            Self::Denied | Self::Dropped | Self::IdlyDenied => Direction::Tighter,
            Self::Forgotten => Direction::Different,
        }
    }

    fn sentence(self, names: &str, is_one: bool) -> String {
        let (is, it_is, not_it_is) =
            if is_one { ("is", "it is", "it is not") } else { ("are", "they are", "none of them is") };
        match self {
            Self::Enrolled => format!("issues in {names} may be dispatched"),
            Self::Undenied => format!("issues in {names} may be dispatched: {it_is} no longer on the denylist"),
            Self::Denied => format!("issues in {names} are no longer dispatched: {it_is} on the denylist"),
            Self::Dropped => format!("issues in {names} are no longer dispatched: {not_it_is} on the allowlist"),
            Self::IdlyUndenied => format!(
                "{names} {is} no longer on the denylist: that changes nothing today, as {not_it_is} on the allowlist"
            ),
            Self::IdlyDenied => {
                format!("{names} {is} now on the denylist: that changes nothing today, as {not_it_is} on the allowlist")
            }
            Self::Forgotten => format!("{names} {is} on neither list any more: nothing is dispatched there, as before"),
        }
    }
}

/// Which repositories are enrolled: what the entries of the lists decide.
pub fn enrolled(report: &mut Report<'_>, diagrams: &mut Diagrams) -> Result<(), TooLarge> {
    let (old, new) = (report.old, report.new);
    let lists = [&old.allowlist.value, &old.denylist.value, &new.allowlist.value, &new.denylist.value];
    // Each pattern is a list of its own, so that each is told of.
    let each: Vec<Vec<RepoPattern>> = lists.into_iter().flatten().map(|pattern| vec![pattern.clone()]).collect();
    let too_large = TooLarge { scope: None };
    let Some(classes) = RepoClasses::new(diagrams, &each, None, &[]) else { return Err(too_large) };
    // Every class is held against every pattern.
    let work = classes.len().saturating_mul(each.len()).div_euclid(16);
    if !diagrams.spend(u32::try_from(work).unwrap_or(u32::MAX)) {
        return Err(too_large);
    }
    let matching = |list: &Located<Vec<RepoPattern>>, repo: &str| {
        // The narrowest says most.
        let matching = list.value.iter().filter(|pattern| pattern.matches(repo));
        matching.max_by_key(|pattern| (pattern.is_exact(), pattern.to_string().len())).cloned()
    };
    let mut found: Vec<(Change, RepoPattern)> = Vec::new();
    // Of what is new on the allowlist: what the denylist keeps out.
    let mut kept_out: BTreeMap<String, Vec<RepoPattern>> = BTreeMap::new();
    for repo in (0..classes.len()).filter_map(|class| classes.witness(class)) {
        let was = (matching(&old.allowlist, &repo), matching(&old.denylist, &repo));
        let is = (matching(&new.allowlist, &repo), matching(&new.denylist, &repo));
        let change = match (was, is) {
            ((None, _), (Some(allowed), Some(denied))) => {
                let kept_out = kept_out.entry(allowed.to_string()).or_default();
                if !kept_out.contains(&denied) {
                    kept_out.push(denied);
                }
                continue;
            }
            ((None, _), (Some(pattern), None)) => (Change::Enrolled, pattern),
            ((Some(_), Some(pattern)), (Some(_), None)) => (Change::Undenied, pattern),
            ((Some(_), None), (_, Some(pattern))) => (Change::Denied, pattern),
            ((Some(pattern), None), (None, None)) => (Change::Dropped, pattern),
            ((Some(_), Some(pattern)), (None, None)) => (Change::Forgotten, pattern),
            ((None, Some(pattern)), (None, None)) => (Change::IdlyUndenied, pattern),
            ((None, None), (None, Some(pattern))) => (Change::IdlyDenied, pattern),
            _ => continue,
        };
        if !found.contains(&change) {
            found.push(change);
        }
    }
    let decides = |change: Change| !matches!(change, Change::IdlyUndenied | Change::IdlyDenied | Change::Forgotten);
    let mut told: BTreeSet<String> =
        found.iter().filter(|(change, _)| decides(*change)).map(|(_, pattern)| pattern.to_string()).collect();
    for (allowed, denied) in &kept_out {
        if !told.contains(allowed) {
            report.remark(format!(
                "`{allowed}` is new on the allowlist: it is not enrolled, as the denylist names {}",
                patterns(denied)
            ));
        }
    }
    told.extend(
        kept_out.iter().flat_map(|(allowed, denied)| {
            denied.iter().map(ToString::to_string).chain(std::iter::once(allowed.clone()))
        }),
    );
    // An entry that decides something somewhere is not idle.
    found.retain(|(change, pattern)| decides(*change) || !told.contains(&pattern.to_string()));
    told.extend(found.iter().map(|(_, pattern)| pattern.to_string()));
    found.sort_by_key(|(change, _)| *change);
    for alike in found.chunk_by(|(one, _), (other, _)| one == other) {
        let Some((change, _)) = alike.first() else { continue };
        let entries = alike.iter().map(|(_, pattern)| {
            let span = match change {
                Change::Enrolled => entry(new, &new.allowlist, pattern),
                Change::Denied | Change::IdlyDenied => entry(new, &new.denylist, pattern),
                Change::Undenied | Change::IdlyUndenied | Change::Forgotten => new.denylist.span,
                Change::Dropped => new.allowlist.span,
            };
            let except = kept_out.get(&pattern.to_string()).filter(|_| *change == Change::Enrolled);
            let except = except.map_or(String::new(), |denied| format!(" except {} (denylist)", patterns(denied)));
            (format!("`{pattern}`{except}"), report.in_new(span))
        });
        for item in
            items(change.direction(), &entries.collect::<Vec<_>>(), |names, is_one| change.sentence(names, is_one))
        {
            report.add(item);
        }
    }
    for (name, was, is) in [("allowlist", &old.allowlist, &new.allowlist), ("denylist", &old.denylist, &new.denylist)] {
        let only = |these: &Located<Vec<RepoPattern>>, others: &Located<Vec<RepoPattern>>| -> Vec<RepoPattern> {
            these.value.iter().filter(|one| !others.value.contains(one)).cloned().collect()
        };
        for (word, patterns) in [("gone from", only(was, is)), ("new on", only(is, was))] {
            for pattern in patterns.iter().filter(|pattern| !told.contains(&pattern.to_string())) {
                report.remark(format!("`{pattern}` is {word} the {name}"));
            }
        }
    }
    Ok(())
}

fn patterns(patterns: &[RepoPattern]) -> String {
    words::few(&patterns.iter().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>())
}

/// Where an entry of a list stands.
fn entry(policy: &Policy, list: &Located<Vec<RepoPattern>>, pattern: &RepoPattern) -> Span {
    let text = policy.source.text.get(list.span.start..list.span.end).unwrap_or_default().to_ascii_lowercase();
    let wanted = pattern.to_string();
    let found = ['"', '\''].iter().find_map(|quote| text.find(&format!("{quote}{wanted}{quote}")));
    let start = list.span.start.saturating_add(found.unwrap_or(0));
    Span { start, end: start.saturating_add(wanted.len()) }
}
