//! Derived ids may never change: a changed one would start every run in flight again.

use afk::engine::identity::{Purpose, RunId, project};
use pretty_assertions::assert_eq;

const ARMING: &str = "github.com:R_kgDOA1b2C3:42:LE_lADOA1b2C3";

#[test]
fn the_ids_of_an_arming_never_change() {
    let run = RunId::of_arming(ARMING);
    let derived = |purpose| run.derive(purpose, 0).to_string();
    assert_eq!(run.to_string(), "a54c2e01-21fa-525c-8ee8-354c7ddeae3b");
    assert_eq!(run.short(), "a54c2e01");
    assert_eq!(run.branch(), "afk/a54c2e01-21fa-525c-8ee8-354c7ddeae3b");
    assert_eq!(derived(Purpose::FirstTurn), "51649120-b360-5268-8f34-c2ea2c8ce146");
    assert_eq!(derived(Purpose::CorrectiveTurn { red_commit: "9ab3c1d" }), "5df833b2-055f-52fe-b0b6-9b159cf8861a");
    assert_eq!(derived(Purpose::Comment { decision: 1, name: "frozen" }), "45de31f7-5008-5c47-adda-4d4fa73026da");
    assert_eq!(derived(Purpose::Notification { decision: 1, kind: "frozen" }), "1ff29391-5ab5-5b76-a9d2-91336e48e4f6");
    assert_eq!(derived(Purpose::Command { what: "thread" }), "bbc08405-7f27-5ab9-9d10-a7f73f3fd8e0");
    assert_eq!(project("afk at /srv/afk", "acme/api", 0).to_string(), "34c33d6a-6255-52a3-9e38-a11aea60f221");
}

#[test]
fn another_arming_commit_decision_name_or_number_gives_another_id() {
    let run = RunId::of_arming(ARMING);
    let ids = [
        run.0,
        RunId::of_arming("github.com:R_kgDOA1b2C3:42:LE_another").0,
        run.derive(Purpose::FirstTurn, 0),
        run.derive(Purpose::FirstTurn, 1),
        run.derive(Purpose::CorrectiveTurn { red_commit: "9ab3c1d" }, 0),
        run.derive(Purpose::CorrectiveTurn { red_commit: "9ab3c1e" }, 0),
        run.derive(Purpose::Comment { decision: 1, name: "frozen" }, 0),
        run.derive(Purpose::Comment { decision: 2, name: "frozen" }, 0),
        run.derive(Purpose::Comment { decision: 1, name: "in-review" }, 0),
        run.derive(Purpose::Notification { decision: 1, kind: "frozen" }, 0),
        run.derive(Purpose::Notification { decision: 2, kind: "frozen" }, 0),
        RunId::of_arming("github.com:R_kgDOA1b2C3:42:LE_another").derive(Purpose::FirstTurn, 0),
        run.derive(Purpose::Command { what: "thread" }, 0),
        run.derive(Purpose::Command { what: "thread" }, 1),
        run.derive(Purpose::Command { what: "archive" }, 0),
        project("afk at /srv/afk", "acme/api", 0),
        project("afk at /srv/afk", "acme/api", 1),
        project("afk at /srv/afk", "acme/web", 0),
        project("afk at /srv/other", "acme/api", 0),
    ];
    let distinct: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
}

#[test]
fn a_repository_has_one_project_whatever_its_spelling() {
    assert_eq!(project("afk", "Acme/API", 0), project("afk", "acme/api", 0));
}
