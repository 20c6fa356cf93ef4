//! What check runs and commit statuses of one commit come to. Pure: what was read in, one verdict out.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::policy::duration;
use crate::text::clean_line;

/// The most names that a sentence says.
const MOST_NAMES: usize = 3;

/// How one check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It passed.
    Passed,
    /// It had nothing to do.
    Skipped,
    /// It did not pass.
    Failed,
    /// It is not done, or nobody knows what its state means.
    Waiting,
    /// It ended, and says nothing about the commit: cancelled, or too old to go on.
    NoVerdict,
}

impl Standing {
    /// Of a check run. GitHub adds values now and then; what is unknown waits.
    pub fn of_run(status: &str, conclusion: Option<&str>) -> Self {
        match (status, conclusion) {
            ("completed", Some("success" | "neutral")) => Self::Passed,
            ("completed", Some("skipped")) => Self::Skipped,
            ("completed", Some("failure" | "timed_out" | "action_required" | "startup_failure")) => Self::Failed,
            ("completed", Some("cancelled" | "stale")) => Self::NoVerdict,
            _ => Self::Waiting,
        }
    }

    /// Of a commit status.
    pub fn of_status(state: &str) -> Self {
        match state {
            "success" => Self::Passed,
            "failure" | "error" => Self::Failed,
            _ => Self::Waiting,
        }
    }
}

/// Whose check it is. Of one name, each has its own: a check run and a status, the jobs of two workflows, and the runs
/// of one workflow for two events are all asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A commit status.
    Status,
    /// A check run.
    Run {
        /// The App that reports it.
        app: u64,
        /// The workflow, where the App has several of that name; else 0.
        workflow: u64,
        /// What started the workflow, where that is asked.
        event: String,
    },
}

/// One report on a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name, or the context of a status. Untrusted.
    pub name: String,
    /// Whose it is.
    pub source: Source,
    /// Grows: of two, the larger is the newer one.
    pub id: u64,
    /// How it stands.
    pub standing: Standing,
    /// When it last began, ended or was set.
    pub changed_at: Option<DateTime<Utc>>,
}

/// What they come to.
#[derive(Debug, PartialEq, Eq)]
pub enum Fold<'a> {
    /// Nothing reports on the commit.
    None,
    /// What there is was cancelled: something newer has to be asked. The text says what.
    NoVerdict(String),
    /// Not decided. The text says what is waited for.
    Pending(String),
    /// All good.
    Green,
    /// These failed.
    Red(Vec<&'a Check>),
}

/// Folds the checks of a commit. `require`: those that must be green; `None`: all of them, with at least one. None of
/// those may be new for `settle_time` at the server's time `now`.
pub fn fold<'a>(
    checks: &'a [Check],
    require: Option<&[String]>,
    settle_time: Duration,
    now: DateTime<Utc>,
) -> Fold<'a> {
    if checks.is_empty() {
        return Fold::None;
    }
    let is_run = |check: &Check| check.source != Source::Status;
    // Who may push may set a status of any name: beside a check run of that name it only counts where it is not good.
    let stands_in = |status: &Check| {
        !is_run(status)
            && status.standing == Standing::Passed
            && checks.iter().any(|check| is_run(check) && check.name == status.name)
    };
    let counts = |check: &&Check| require.is_none_or(|names| names.contains(&check.name) && !stands_in(check));
    let wanted: Vec<&Check> = newest(checks).into_iter().filter(counts).collect();
    let that = |standing| wanted.iter().copied().filter(move |check| check.standing == standing);
    let failed: Vec<&Check> = that(Standing::Failed).collect();
    if !failed.is_empty() {
        return Fold::Red(failed);
    }
    let cancelled = names(that(Standing::NoVerdict).map(|check| check.name.as_str()));
    if let Some(cancelled) = cancelled {
        return Fold::NoVerdict(format!("cancelled: {cancelled}"));
    }
    let missing = require
        .unwrap_or_default()
        .iter()
        .map(String::as_str)
        .filter(|name| wanted.iter().all(|check| check.name != **name));
    if let Some(missing) = names(missing) {
        return Fold::Pending(format!("not reported yet: {missing}"));
    }
    if let Some(waiting) = names(that(Standing::Waiting).map(|check| check.name.as_str())) {
        return Fold::Pending(format!("waits for {waiting}"));
    }
    if that(Standing::Passed).next().is_none() {
        return Fold::Pending("all were skipped, which proves nothing".to_owned());
    }
    let newest = wanted.iter().filter_map(|check| check.changed_at).max();
    if newest.is_some_and(|newest| duration::since(newest, now) < settle_time) {
        return Fold::Pending(format!("green, unless another shows up within {}", duration::format(settle_time)));
    }
    Fold::Green
}

/// The newest of each source and name. One that was cancelled does not count beside another of the same job that was
/// not, for whichever event.
fn newest(checks: &[Check]) -> Vec<&Check> {
    let mut newest: BTreeMap<(&str, &Source), &Check> = BTreeMap::new();
    for check in checks {
        let kept = newest.entry((&check.name, &check.source)).or_insert(check);
        if check.id > kept.id {
            *kept = check;
        }
    }
    let job = |check: &Check| match &check.source {
        Source::Status => None,
        Source::Run { app, workflow, .. } => Some((*app, *workflow)),
    };
    let replaced = |check: &Check| {
        check.standing == Standing::NoVerdict
            && newest.values().any(|other| {
                other.name == check.name && job(other) == job(check) && other.standing != Standing::NoVerdict
            })
    };
    newest.values().copied().filter(|check| !replaced(check)).collect()
}

/// A few names, and how many more; `None` for none.
fn names<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut all: Vec<&str> = names.collect();
    all.sort_unstable();
    all.dedup();
    let shown: Vec<String> = all.iter().take(MOST_NAMES).map(|name| format!("`{}`", clean_line(name, 60))).collect();
    match all.len().saturating_sub(shown.len()) {
        _ if shown.is_empty() => None,
        0 => Some(shown.join(", ")),
        more => Some(format!("{} and {more} more", shown.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    const SETTLE: Duration = Duration::from_secs(120);

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn run(id: u64, name: &str, standing: Standing) -> Check {
        let source = Source::Run { app: 1, workflow: 0, event: String::new() };
        Check { name: name.to_owned(), source, id, standing, changed_at: Some(at(0)) }
    }

    fn status(id: u64, name: &str, standing: Standing) -> Check {
        Check { source: Source::Status, ..run(id, name, standing) }
    }

    fn of_workflow(check: Check, number: u64, event: &str) -> Check {
        Check { source: Source::Run { app: 1, workflow: number, event: event.to_owned() }, ..check }
    }

    /// In one word: what the verdict is, and of which checks.
    fn folded(checks: &[Check], require: Option<&[&str]>) -> String {
        let require: Option<Vec<String>> = require.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        match fold(checks, require.as_deref(), SETTLE, at(600)) {
            Fold::None => "none".to_owned(),
            Fold::NoVerdict(why) => format!("no verdict, {why}"),
            Fold::Pending(why) => format!("pending, {why}"),
            Fold::Green => "green".to_owned(),
            Fold::Red(failed) => {
                let names: Vec<&str> = failed.iter().map(|check| check.name.as_str()).collect();
                format!("red, {}", names.join(" "))
            }
        }
    }

    #[test]
    fn every_value_that_github_may_give_is_judged() {
        use Standing::*;
        for (conclusion, standing) in [
            ("success", Passed),
            ("neutral", Passed),
            ("skipped", Skipped),
            ("failure", Failed),
            ("timed_out", Failed),
            ("action_required", Failed),
            ("startup_failure", Failed),
            ("cancelled", NoVerdict),
            ("stale", NoVerdict),
            ("waiting", Waiting),
            ("pending", Waiting),
            ("SUCCESS", Waiting),
            ("", Waiting),
            ("something_new", Waiting),
        ] {
            assert_eq!(Standing::of_run("completed", Some(conclusion)), standing, "{conclusion}");
        }
        assert_eq!(Standing::of_run("completed", None), Waiting);
        for status in ["queued", "in_progress", "waiting", "requested", "pending", "something_new", ""] {
            assert_eq!(Standing::of_run(status, None), Waiting, "{status}");
            assert_eq!(Standing::of_run(status, Some("success")), Waiting, "{status}: not before it is completed");
        }
        for (state, standing) in [
            ("success", Passed),
            ("failure", Failed),
            ("error", Failed),
            ("pending", Waiting),
            ("expected", Waiting),
            ("something_new", Waiting),
        ] {
            assert_eq!(Standing::of_status(state), standing, "{state}");
        }
    }

    #[test]
    fn a_commit_is_green_only_when_all_that_counts_is() {
        use Standing::*;
        let all = None;
        let build: Option<&[&str]> = Some(&["build"]);
        for (checks, require, verdict) in [
            (vec![], all, "none"),
            (vec![], build, "none"),
            (vec![run(1, "build", Passed)], all, "green"),
            (vec![run(1, "build", Passed), run(2, "docs", Skipped)], all, "green"),
            (vec![run(1, "docs", Skipped)], all, "pending, all were skipped, which proves nothing"),
            (vec![run(1, "docs", Skipped), status(1, "ci", Passed)], all, "green"),
            (vec![run(1, "build", Passed), status(1, "ci", Failed)], all, "red, ci"),
            (vec![run(1, "build", Passed), status(1, "ci", Waiting)], all, "pending, waits for `ci`"),
            (vec![run(1, "build", Failed), status(1, "ci", Waiting)], all, "red, build"),
            (vec![run(1, "build", Failed), run(2, "test", NoVerdict)], all, "red, build"),
            (vec![run(1, "build", Waiting), run(2, "test", NoVerdict)], all, "no verdict, cancelled: `test`"),
            (vec![run(1, "build", Passed), run(2, "lint", Failed)], build, "green"),
            (vec![run(1, "lint", Passed)], build, "pending, not reported yet: `build`"),
            (vec![run(1, "build", Skipped)], build, "pending, all were skipped, which proves nothing"),
            (vec![run(1, "Build", Passed)], build, "pending, not reported yet: `build`"),
            // A check and a status of one name are two things.
            (vec![run(1, "build", Passed), status(2, "build", Failed)], build, "red, build"),
            (vec![run(9, "build", Failed), status(1, "build", Passed)], build, "red, build"),
            // A status is green at anybody's word; it does not stand in for the check run.
            (vec![status(1, "build", Passed)], build, "green"),
            (
                vec![run(1, "build", Skipped), status(2, "build", Passed)],
                build,
                "pending, all were skipped, which proves nothing",
            ),
            (vec![run(1, "build", Passed), status(2, "build", Passed)], build, "green"),
            (vec![run(1, "build", Waiting), status(2, "build", Passed)], build, "pending, waits for `build`"),
            (
                vec![run(1, "a", Waiting), run(2, "b", Waiting), run(3, "c", Waiting), run(4, "d", Waiting)],
                all,
                "pending, waits for `a`, `b`, `c` and 1 more",
            ),
        ] {
            assert_eq!(folded(&checks, require), verdict, "{checks:?}, {require:?}");
            let backwards: Vec<Check> = checks.into_iter().rev().collect();
            let (kind, _) = verdict.split_once(',').unwrap_or((verdict, ""));
            assert!(folded(&backwards, require).starts_with(kind), "in another order: {backwards:?}");
        }
    }

    #[test]
    fn a_rerun_replaces_what_it_repeats_and_nothing_else() {
        use Standing::*;
        for (checks, verdict) in [
            (vec![run(1, "build", Failed), run(2, "build", Passed)], "green"),
            (vec![run(2, "build", Passed), run(1, "build", Failed)], "green"),
            (vec![run(1, "build", Passed), run(2, "build", Waiting)], "pending, waits for `build`"),
            (vec![run(1, "build", NoVerdict), run(2, "build", Passed)], "green"),
            (vec![run(1, "build", Passed), run(2, "build", NoVerdict)], "no verdict, cancelled: `build`"),
            (vec![status(1, "ci", Failed), status(2, "ci", Passed)], "green"),
            // Two workflows with a job of one name, and one workflow for two events.
            (
                vec![of_workflow(run(1, "build", Failed), 7, "push"), of_workflow(run(2, "build", Passed), 8, "push")],
                "red, build",
            ),
            (
                vec![
                    of_workflow(run(1, "build", Failed), 7, "push"),
                    of_workflow(run(2, "build", Passed), 7, "pull_request"),
                ],
                "red, build",
            ),
            (
                vec![
                    of_workflow(run(1, "build", Passed), 7, "push"),
                    of_workflow(run(2, "build", NoVerdict), 7, "pull_request"),
                ],
                "green",
            ),
            (
                vec![
                    of_workflow(run(1, "build", Passed), 7, "push"),
                    of_workflow(run(2, "build", NoVerdict), 8, "push"),
                ],
                "no verdict, cancelled: `build`",
            ),
        ] {
            assert_eq!(folded(&checks, None), verdict, "{checks:?}");
        }
    }

    #[test]
    fn all_is_green_only_once_nothing_was_new_for_a_while() {
        let checks = [run(1, "build", Standing::Passed), run(2, "late", Standing::Skipped)];
        let verdict = |now| fold(&checks, None, SETTLE, at(now));
        assert_eq!(verdict(119), Fold::Pending("green, unless another shows up within 2m".to_owned()));
        assert_eq!(verdict(-500), Fold::Pending("green, unless another shows up within 2m".to_owned()));
        assert_eq!(verdict(120), Fold::Green);
        let named = ["build".to_owned()];
        let verdict = |checks: &[Check], now| fold(checks, Some(&named), SETTLE, at(now)) == Fold::Green;
        assert!(!verdict(&checks, 119), "another of that name may be about to start");
        assert!(verdict(&checks, 120));
        let late = Check { changed_at: Some(at(119)), ..run(3, "late", Standing::Passed) };
        assert!(verdict(&[checks.as_slice(), &[late]].concat(), 120), "nothing else is waited for");
    }

    #[test]
    fn hostile_names_are_shown_in_one_bounded_line() {
        let name = format!("a\u{1b}[2J\nb{}", "x".repeat(5000));
        let said = folded(&[run(1, &name, Standing::Waiting)], None);
        assert!(said.len() < 100 && !said.contains('\n') && !said.contains('\u{1b}'), "{said}");
    }
}
