//! The local tracker over real files.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::rc::Rc;

use afk::adapters::local::LocalTracker;
use afk::engine::identity::RunId;
use afk::policy::facts::IssueStatus;
use afk::policy::{CloseReason, RepoPattern};
use afk::ports::{Clock, IssueRef, PortErrorKind, Tracker};
use chrono::{DateTime, Utc};
use pretty_assertions::assert_eq;

struct Noon;

impl Clock for Noon {
    fn now(&self) -> DateTime<Utc> {
        "2026-11-22T12:00:00.75Z".parse().expect("a time")
    }
}

const ARMED: &str = r#"+++
# a person's comment
title      = "greet() ignores the name"
author     = 'leo'
created_at = 2026-11-21T09:00:00Z

[[events]]
at = 2026-11-22T10:00:00+01:00
by = "ada"
labeled = "ready-for-agent"
+++

Say hello to `name`, please.
+++
"#;

struct World {
    folder: tempfile::TempDir,
    tracker: LocalTracker,
}

impl World {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        let people = [("Ada".to_owned(), "write".to_owned())];
        let folders =
            [("acme/app".to_owned(), folder.path().join("app")), ("acme/lib".to_owned(), folder.path().join("lib"))];
        let tracker = LocalTracker::new("afk".to_owned(), BTreeMap::from(people), BTreeMap::from(folders))
            .with_clock(Rc::new(Noon));
        Self { folder, tracker }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("the file")
    }
}

fn app(number: u64) -> IssueRef {
    IssueRef { repo: "acme/app".to_owned(), number }
}

fn issue(events: &str, body: &str) -> String {
    format!("+++\ntitle = \"t\"\nauthor = \"leo\"\ncreated_at = 2026-11-21T09:00:00Z\n{events}+++\n{body}")
}

fn event(at: &str, by: &str, what: &str) -> String {
    format!("[[events]]\nat = {at}\nby = \"{by}\"\n{what}\n")
}

#[tokio::test]
async fn an_issue_reads_as_its_events_say() {
    let world = World::new(&[("app/0007.md", ARMED)]);
    let found = world.tracker.issue(&app(7)).await.expect("readable").expect("there");
    assert_eq!(found.title, "greet() ignores the name");
    assert_eq!(found.body, "\nSay hello to `name`, please.\n+++\n");
    assert_eq!((found.author.as_deref(), found.status), (Some("leo"), IssueStatus::Open));
    assert_eq!(found.labels, ["ready-for-agent"]);
    assert_eq!(found.url, world.path("app/0007.md").display().to_string());
    let events = world.tracker.label_events(&app(7)).await.expect("readable");
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].by.as_deref(), events[0].added), (Some("ada"), true));
    assert_eq!(events[0].at.to_rfc3339(), "2026-11-22T09:00:00+00:00");
}

#[tokio::test]
async fn the_arming_of_an_event_never_changes() {
    let world = World::new(&[("app/0007.md", ARMED)]);
    let before = world.tracker.label_events(&app(7)).await.expect("readable");
    // Golden: another token would start every run in flight again.
    assert_eq!(before[0].arming, "local:acme/app:7:0:2026-11-22T09:00:00+00:00");
    world.tracker.add_label(&app(7), "agent-in-progress").await.expect("labelled");
    let other_spelling = IssueRef { repo: "ACME/App".to_owned(), number: 7 };
    let after = world.tracker.label_events(&other_spelling).await.expect("readable");
    assert_eq!(after[0], before[0]);
    assert_ne!(RunId::of_arming(&after[1].arming), RunId::of_arming(&after[0].arming));
}

#[tokio::test]
async fn afk_appends_to_the_events_and_leaves_every_byte_of_people_alone() {
    let world = World::new(&[("app/0007.md", ARMED)]);
    std::fs::set_permissions(world.path("app/0007.md"), std::fs::Permissions::from_mode(0o640)).expect("permissions");
    world.tracker.add_label(&app(7), "agent-in-progress").await.expect("labelled");
    let entry = "\n[[events]]\nat = 2026-11-22T12:00:00Z\nby = \"afk\"\nlabeled = \"agent-in-progress\"\n";
    let expected = ARMED.replacen("agent\"\n+++\n", &format!("agent\"\n{entry}+++\n"), 1);
    assert_eq!(world.text("app/0007.md"), expected);
    let mode = std::fs::metadata(world.path("app/0007.md")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);

    world.tracker.add_label(&app(7), "Agent-In-Progress").await.expect("on already");
    world.tracker.remove_label(&app(7), "paused").await.expect("off already");
    world.tracker.reopen(&app(7)).await.expect("open already");
    assert_eq!(world.text("app/0007.md"), expected, "what is so already changes nothing");

    world.tracker.remove_label(&app(7), "READY-for-agent").await.expect("taken off");
    world.tracker.close(&app(7), CloseReason::Completed).await.expect("closed");
    let found = world.tracker.issue(&app(7)).await.expect("readable").expect("there");
    assert_eq!((found.labels, found.status), (vec!["agent-in-progress".to_owned()], IssueStatus::ClosedByPush));
    world.tracker.reopen(&app(7)).await.expect("reopened");
    assert_eq!(world.tracker.issue(&app(7)).await.expect("readable").expect("there").status, IssueStatus::Open);
    let leftovers: Vec<_> = std::fs::read_dir(world.path("app")).expect("folder").flatten().collect();
    assert_eq!(leftovers.len(), 2, "the issue and the lock: {leftovers:?}");
}

#[tokio::test]
async fn a_file_with_windows_line_ends_keeps_them() {
    let world = World::new(&[("app/1.md", &ARMED.replace('\n', "\r\n"))]);
    world.tracker.add_label(&app(1), "quoted \" \\ label").await.expect("labelled");
    let text = world.text("app/1.md");
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    let found = world.tracker.issue(&app(1)).await.expect("readable").expect("there");
    assert_eq!(found.labels, ["ready-for-agent", "quoted \" \\ label"]);
}

#[tokio::test]
async fn events_in_a_form_that_cannot_be_appended_to_are_refused_not_broken() {
    let inline = "events = [{ at = 2026-11-22T10:00:00Z, by = \"ada\", labeled = \"x\" }]\n";
    let world = World::new(&[("app/1.md", &issue(inline, ""))]);
    let before = world.text("app/1.md");
    let error = world.tracker.add_label(&app(1), "y").await.expect_err("refused");
    assert!(error.message.contains("write each event under a line `[[events]]`"), "{error}");
    assert_eq!(world.text("app/1.md"), before);
}

#[tokio::test]
async fn who_closed_an_issue_is_told_apart() {
    let closed = |by: &str| issue(&event("2026-11-22T10:00:00Z", by, "closed = \"not_planned\""), "");
    let world = World::new(&[("app/1.md", &closed("ada")), ("app/2.md", &closed("AFK"))]);
    assert_eq!(world.tracker.issue(&app(1)).await.expect("r").expect("there").status, IssueStatus::Closed);
    assert_eq!(world.tracker.issue(&app(2)).await.expect("r").expect("there").status, IssueStatus::ClosedByPush);
    assert_eq!(world.tracker.issue(&app(3)).await, Ok(None), "a deleted issue is gone");
}

#[tokio::test]
async fn a_listing_gives_what_carries_the_label_and_names_what_is_broken() {
    let closed = format!(
        "{}{}",
        event("2026-11-22T10:00:00Z", "ada", "labeled = \"READY\""),
        event("2026-11-22T10:00:00Z", "ada", "closed = \"completed\"")
    );
    let armed = event("2026-11-22T10:00:00Z", "ada", "labeled = \"Ready\"");
    let world = World::new(&[
        ("app/0001.md", &issue(&armed, "")),
        ("app/0002.md", "no front matter"),
        ("app/0003.md", &issue(&closed, "")),
        ("app/0004.md", &issue("", "")),
        ("app/5.md", &issue(&armed, "")),
        ("app/0005.md", &issue(&armed, "")),
        ("app/README.md", "not an issue"),
        ("app/0001.comments/0001.md", "not an issue either"),
    ]);
    std::fs::write(world.path("app/0006.md"), vec![b'x'; 1024 * 1024 + 1]).expect("a large file");
    let listing = world.tracker.labelled("acme/app", "ready", true).await.expect("a listing");
    let numbers = |list: &[afk::ports::Issue]| list.iter().map(|issue| issue.reference.number).collect::<Vec<_>>();
    assert_eq!(numbers(&listing.issues), [1]);
    let problems: Vec<_> = listing.unreadable.iter().map(|problem| problem.issue.number).collect();
    assert_eq!(problems, [2, 5, 6]);
    assert!(listing.unreadable[1].error.message.contains("are the same issue"));
    assert!(listing.unreadable[2].error.message.contains("larger than 1048576 bytes"));
    let both = world.tracker.labelled("acme/app", "ready", false).await.expect("a listing");
    assert_eq!(numbers(&both.issues), [1, 3]);
}

#[tokio::test]
async fn a_broken_file_is_named_with_its_place_and_what_to_write() {
    for (text, place, advice) in [
        ("title = 3\n", ":1:1:", "write one as the first line"),
        ("+++\ntitle = \"t\"\n", ":3:1:", "before the text of the issue"),
        ("+++\ntitle = \n+++\n", ":2:9:", ""),
        ("+++\ntitel = \"t\"\n+++\n", ":2:1:", "did you mean `title`?"),
        ("+++\ntitle = \"t\"\nlabels = [\"ready-for-agent\"]\n+++\n", ":3:1:", "labels are events: add `[[events]]`"),
        ("+++\ntitle = \"t\"\nzzz = 1\n+++\n", ":3:1:", "it may have title, author"),
        (
            "+++\ntitle = \"t\"\nauthor = \"\"\ncreated_at = 2026-01-01T00:00:00Z\n+++\n",
            ":3:10:",
            "write `author = \"ada\"`",
        ),
        ("+++\ntitle = \"t\"\nauthor = \"a\"\n+++\n", ":2:1:", "write `created_at = 2026-11-22T14:00:00Z`"),
        (&issue("", "").replace("09:00:00Z", "09:00:00"), ":4:14:", "without quotes"),
        (&issue("blocked_by = [\"nobody\"]\n", ""), ":5:15:", "write [3, \"#4\", \"acme/lib#7\"]"),
        (&issue(&event("2026-11-22T10:00:00Z", "ada", "labelled = \"x\""), ""), ":8:1:", "did you mean `labeled`?"),
        (&issue(&event("2026-11-22T10:00:00Z", "ada", ""), ""), ":5:1:", "write one of `labeled"),
        (
            &issue(&event("2026-11-22T10:00:00Z", "ada", "closed = \"done\""), ""),
            ":8:10:",
            "`closed = \"not_planned\"`",
        ),
        (&issue(&event("2026-11-22T10:00:00Z", "ada", "edited = false"), ""), ":8:10:", "write `edited = true`"),
        (&issue(&event("2026-11-22", "ada", "edited = true"), ""), ":6:6:", "write `at = 2026-11-22T14:00:00Z`"),
    ] {
        let world = World::new(&[("app/0001.md", text)]);
        let error = world.tracker.issue(&app(1)).await.expect_err(text);
        assert_eq!(error.kind, PortErrorKind::Invalid);
        assert!(error.message.contains(&format!("app/0001.md{place}")), "{text}\n{error}");
        assert!(error.message.contains(advice), "{text}\n{error}");
    }
    let world = World::new(&[("app/0001.md", "")]);
    std::fs::write(world.path("app/0001.md"), b"+++\ntitle = \"\xff\"\n+++\n").expect("a file");
    let error = world.tracker.issue(&app(1)).await.expect_err("not UTF-8");
    assert!(error.message.contains("0001.md:2:10: this is not UTF-8"), "{error}");
}

#[tokio::test]
async fn a_link_or_a_pipe_in_the_place_of_an_issue_is_refused() {
    let world =
        World::new(&[("app/0002.md", ARMED), ("secret/0001.md", ARMED), ("secret/0002.comments/0001.md", ARMED)]);
    symlink(world.path("secret/0001.md"), world.path("app/0001.md")).expect("a link");
    rustix::fs::mkfifoat(rustix::fs::CWD, world.path("app/0003.md"), rustix::fs::Mode::RWXU).expect("a pipe");
    symlink(world.path("secret/0002.comments"), world.path("app/0002.comments")).expect("a link");
    let error = world.tracker.issue(&app(1)).await.expect_err("a link");
    assert!(error.message.contains("symbolic link"), "{error}");
    world.tracker.add_label(&app(1), "x").await.expect_err("a link");
    assert_eq!(world.text("secret/0001.md"), ARMED);
    let error = world.tracker.issue(&app(3)).await.expect_err("a pipe");
    assert!(error.message.contains("not a regular file"), "{error}");
    let error = world.tracker.comments(&app(2)).await.expect_err("a link");
    assert!(error.message.contains("symbolic link"), "{error}");
    world.tracker.create_comment(&app(2), "x").await.expect_err("a link");
    assert_eq!(std::fs::read_dir(world.path("secret/0002.comments")).expect("folder").count(), 1);
}

#[tokio::test]
async fn comments_come_back_exactly_and_only_afk_edits_its_own() {
    let theirs = "+++\nauthor = \"ada\"\nat = 2026-11-22T10:00:00Z\n+++\nHold on.\n";
    let world = World::new(&[("app/0007.md", ARMED), ("app/0007.comments/0003.md", theirs)]);
    let body = "**An agent**\r\n\n+++\n<!-- afk-run:v1 {} -->\n\n";
    let id = world.tracker.create_comment(&app(7), body).await.expect("written");
    assert_eq!(id, "0004.md");
    let comments = world.tracker.comments(&app(7)).await.expect("readable");
    assert_eq!(comments.iter().map(|comment| comment.body.as_str()).collect::<Vec<_>>(), ["Hold on.", body]);
    assert_eq!(comments[1].author.as_deref(), Some("afk"));
    assert_eq!(comments[1].at.to_rfc3339(), "2026-11-22T12:00:00+00:00");

    world.tracker.edit_comment(&app(7), &id, "new").await.expect("edited");
    assert_eq!(world.tracker.comments(&app(7)).await.expect("readable")[1].body, "new");
    let error = world.tracker.edit_comment(&app(7), "0003.md", "mine now").await.expect_err("ada's");
    assert_eq!(error.kind, PortErrorKind::Refused);
    assert_eq!(world.text("app/0007.comments/0003.md"), theirs);
    for id in ["../0007.md", "0009.md", "x", ""] {
        let error = world.tracker.edit_comment(&app(7), id, "x").await.expect_err(id);
        assert_eq!(error.kind, PortErrorKind::NotFound, "{id}");
    }
    let error = world.tracker.create_comment(&app(7), &"x".repeat(1024 * 1024)).await.expect_err("too large");
    assert_eq!(error.kind, PortErrorKind::Refused);
}

#[tokio::test]
async fn blockers_come_from_the_key_and_the_text_and_unknown_ones_are_open() {
    let closed = issue(&event("2026-11-22T10:00:00Z", "ada", "closed = \"completed\""), "");
    let body = "one\nBlocked by #2, acme/lib#1, ACME/app#3 and #9.\nNo longer blocked by #8.\n";
    let world = World::new(&[
        ("app/0001.md", &issue("blocked_by = [3, \"#4\", \"acme/lib#1\", \"other/repo#3\"]\n", body)),
        ("app/0002.md", &closed),
        ("app/0003.md", &issue("", "")),
        ("app/0004.md", "broken"),
        ("lib/1.md", &closed),
    ]);
    let blockers = world.tracker.blockers(&app(1)).await.expect("readable");
    let told: Vec<_> =
        blockers.iter().map(|found| (found.reference.as_str(), found.open, found.evidence.as_str())).collect();
    assert_eq!(
        told,
        [
            ("#3", true, "blocked_by"),
            ("#4", true, "blocked_by"),
            ("acme/lib#1", false, "blocked_by"),
            ("other/repo#3", true, "blocked_by"),
            ("#2", false, "body, line 2"),
            ("#9", true, "body, line 2"),
        ]
    );
}

#[tokio::test]
async fn edits_are_events_too() {
    let events = event("2026-11-22T10:00:00Z", "leo", "edited = true");
    let world = World::new(&[("app/1.md", &issue(&events, ""))]);
    let edits = world.tracker.edits(&app(1)).await.expect("readable");
    assert_eq!(edits.len(), 1);
    assert_eq!(edits[0].by.as_deref(), Some("leo"));
}

#[tokio::test]
async fn people_and_repositories_are_those_of_the_settings() {
    let world = World::new(&[("app/1.md", ARMED), ("lib/1.md", ARMED)]);
    assert_eq!(world.tracker.permission("acme/app", "ada").await.as_deref(), Ok("write"));
    assert_eq!(world.tracker.permission("acme/app", "mallory").await.as_deref(), Ok("none"));
    let patterns = |text: &str| vec![RepoPattern::parse(text).expect("a pattern")];
    assert_eq!(world.tracker.repos(&patterns("acme/*")).await.expect("list").names, ["acme/app", "acme/lib"]);
    assert_eq!(world.tracker.repos(&patterns("acme/l*")).await.expect("list").names, ["acme/lib"]);
    let error = world.tracker.labelled("acme/nope", "x", true).await.expect_err("unknown");
    assert_eq!(error.kind, PortErrorKind::NotFound);
    let nowhere = LocalTracker::new(
        "afk".to_owned(),
        BTreeMap::new(),
        BTreeMap::from([("acme/app".to_owned(), world.path("nowhere"))]),
    );
    let error = nowhere.issue(&app(1)).await.expect_err("no folder: not the same as a deleted issue");
    assert_eq!(error.kind, PortErrorKind::NotFound);
}

#[test]
fn labels_written_at_the_same_time_are_all_kept() {
    let world = World::new(&[("app/0001.md", ARMED)]);
    let folder = world.path("app");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let folder = folder.clone();
            scope.spawn(move || {
                let tracker = LocalTracker::new(
                    "afk".to_owned(),
                    BTreeMap::new(),
                    BTreeMap::from([("acme/app".to_owned(), folder)]),
                );
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async {
                    for label in 0..5 {
                        tracker.add_label(&app(1), &format!("{thread}-{label}")).await.expect("labelled");
                        tracker.create_comment(&app(1), "x").await.expect("written");
                    }
                });
            });
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let found = runtime.block_on(world.tracker.issue(&app(1))).expect("readable").expect("there");
    assert_eq!(found.labels.len(), 21);
    assert_eq!(runtime.block_on(world.tracker.comments(&app(1))).expect("readable").len(), 20);
}

#[tokio::test]
async fn the_manual_shows_an_issue_that_works() {
    let manual = include_str!("../docs/local-tracker.md");
    let blocks: Vec<&str> = manual.split("```").skip(1).step_by(2).collect();
    let block =
        |language: &str| -> Vec<&str> { blocks.iter().filter_map(|block| block.strip_prefix(language)).collect() };
    let (files, arming) = (block("markdown\n"), block("toml\n"));
    let world = World::new(&[("app/0007.md", files[0]), ("app/0007.comments/0001.md", files[1])]);
    let found = world.tracker.issue(&app(7)).await.expect("readable").expect("there");
    assert_eq!(found.labels, ["ready-for-agent"]);
    assert_eq!(world.tracker.comments(&app(7)).await.expect("readable")[0].body, "Please mind the locale.");

    // The four lines, copied to the end of the front matter of an issue that is not armed.
    let armed =
        ARMED.replacen("[[events]]", &format!("{}\n[[events]]", arming[0].replace("ready-for-agent", "copied")), 1);
    let world = World::new(&[("app/0007.md", &armed)]);
    let found = world.tracker.issue(&app(7)).await.expect("readable").expect("there");
    assert_eq!(found.labels, ["copied", "ready-for-agent"]);
}
