//! Records, and who armed what: pure tables.

use afk::engine::pending::PendingRow;
use afk::policy::{Effect, facts::Observed};
use afk::ports::{Comment, Edit, FailedJob, LabelEvent, PortErrorKind, StageVerdict};
use afk::ticks::arming;
use afk::ticks::record::{Found, MAX_BYTES, Record, Seal, VERSION};
use afk::ticks::world::Report;
use chrono::TimeDelta;
use pretty_assertions::assert_eq;

use crate::world::{AFK, FIRST, Sim, policy, reference, start_of_time};

fn seal(keys: &[&str]) -> Seal {
    Seal::new("sim", keys.iter().map(|key| (*key).to_owned().into()).collect())
}

async fn record() -> Record {
    let (sim, _) = Sim::new().dispatched(7).await;
    sim.record(7)
}

fn valid(found: Option<Found>) -> Option<Record> {
    match found {
        Some(Found::Valid(record)) => Some(*record),
        _ => None,
    }
}

#[tokio::test]
async fn a_record_counts_under_its_key_its_issue_and_its_host() {
    let record = record().await;
    let block = seal(&["new"]).write(&record).unwrap();
    let body = format!("**Words** for people.\n{block}");
    let other_host = Seal::new("elsewhere", vec!["new".to_owned().into()]);
    for (name, seal, issue, text, counts) in [
        ("round trip", seal(&["new"]), 7, body.clone(), true),
        ("trailing blanks", seal(&["new"]), 7, format!("{body}\r\n "), true),
        ("the key became the older one", seal(&["newer", "new"]), 7, body.clone(), true),
        ("another key", seal(&["other"]), 7, body.clone(), false),
        ("no key: the author alone counts", seal(&[]), 7, body.clone(), true),
        ("unsigned where keys are set", seal(&["new"]), 7, seal(&[]).write(&record).unwrap(), false),
        ("pasted under another issue", seal(&["new"]), 8, body.clone(), false),
        ("pasted under another issue, unsigned", seal(&[]), 8, body.clone(), false),
        ("another host", other_host, 7, body.clone(), false),
        ("changed", seal(&["new"]), 7, body.replace("\"attempts\":0", "\"attempts\":1"), false),
        ("quoted, with words behind it", seal(&["new"]), 7, format!("{body} said afk"), false),
        ("nothing", seal(&["new"]), 7, String::new(), false),
        ("half of it", seal(&["new"]), 7, body[..body.len() / 2].to_owned(), false),
    ] {
        assert_eq!(valid(seal.read(&reference(issue), &text)).as_ref() == Some(&record), counts, "{name}");
    }
}

#[tokio::test]
async fn a_newer_version_is_seen_whatever_it_holds() {
    let block = seal(&["new"]).write(&record().await).unwrap();
    let newer = block.replace(&format!("afk-run:v{VERSION} "), "afk-run:v99 ");
    assert_eq!(seal(&["new"]).read(&reference(7), &newer), Some(Found::Newer(99)));
}

#[tokio::test]
async fn nothing_in_a_record_can_end_its_comment() {
    let mut record = record().await;
    record.reason = Some("--> <!-- afk-run:v99 x --> <script> -- ---".to_owned());
    let block = seal(&["new"]).write(&record).unwrap();
    assert_eq!(block.matches("-->").count(), 1);
    assert_eq!(block.matches("<!--").count(), 1);
    assert_eq!(valid(seal(&["new"]).read(&reference(7), &block)), Some(record));
}

#[tokio::test]
async fn a_record_that_is_too_large_is_neither_written_nor_believed() {
    let mut record = record().await;
    record.reason = Some("x".repeat(MAX_BYTES));
    assert_eq!(seal(&[]).write(&record), None);
    let json = serde_json::to_string(&record).unwrap();
    let block = format!("<!-- afk-run:v{VERSION} unsigned {json} -->");
    assert_eq!(seal(&[]).read(&reference(7), &block), None);
}

#[tokio::test]
async fn text_in_front_of_another_block_is_no_record() {
    let forged = seal(&[]).write(&record().await).unwrap();
    for body in [
        format!("{forged}\n<!-- afk-comment:0 -->"),
        "<!-- afk-run:v99 x\n<!-- afk-comment:0 -->".to_owned(),
        "<!-- afk-run:v99 x --> and more\n<!-- afk-comment:0 -->".to_owned(),
    ] {
        assert_eq!(seal(&[]).read(&reference(7), &body), None, "{body}");
    }
}

#[tokio::test]
async fn only_afks_own_comments_count_and_the_oldest_of_a_run_wins() {
    let first = record().await;
    let second = Record { attempts: 3, ..first.clone() };
    let comment = |id: &str, author: Option<&str>, record: &Record| Comment {
        id: id.to_owned(),
        author: author.map(str::to_owned),
        at: start_of_time(),
        body: seal(&["new"]).write(record).unwrap(),
    };
    let comments = [
        comment("forged", Some("mallory"), &second),
        comment("deleted account", None, &second),
        comment("oldest", Some("AFK"), &first),
        comment("later", Some(AFK), &second),
    ];
    let (records, newer) = seal(&["new"]).read_all(&reference(7), AFK, &comments);
    assert_eq!(records.iter().map(|found| found.comment.as_str()).collect::<Vec<_>>(), ["oldest"]);
    assert_eq!(records[0].record, first);
    assert_eq!((&records[0].twins[..], newer), (&["later".to_owned()][..], None));
}

#[tokio::test]
async fn a_second_progress_comment_says_once_that_it_is_one_and_the_first_goes_on() {
    let (sim, run) = Sim::new().dispatched(7).await;
    let twin = {
        let mut state = sim.state.borrow_mut();
        let comments = &mut state.cards.get_mut(&7).unwrap().comments;
        let twin = Comment { id: "twin".to_owned(), ..comments[0].clone() };
        comments.push(twin.clone());
        twin
    };
    let comment = |number: usize| sim.state.borrow().cards[&7].comments[number].clone();
    sim.fail("tracker edit_comment", PortErrorKind::Unreachable);
    let (_, report) = sim.watch().await;
    assert!(report.problems.iter().any(|it| it.contains("a second progress comment is there still")), "{report:?}");
    assert_eq!(comment(1), twin);

    sim.mend();
    let (_, report) = sim.watch().await;
    let told = |report: &Report| report.events.iter().filter(|it| it.what == "second progress comment").count();
    assert_eq!(told(&report), 1, "{report:?}");
    assert!(comment(1).body.starts_with(&format!("This is a copy of the progress comment of run {run}")));
    assert_eq!(valid(Seal::default().read(&reference(7), &comment(1).body)), None);
    assert_eq!(sim.records(7).len(), 1);

    let (_, report) = sim.watch().await;
    assert_eq!(told(&report), 0, "{report:?}");
}

fn event(second: i64, label: &str, added: bool, by: Option<&str>) -> LabelEvent {
    LabelEvent {
        arming: format!("token {second}"),
        at: start_of_time() + TimeDelta::seconds(second),
        by: by.map(str::to_owned),
        label: label.to_owned(),
        added,
    }
}

#[test]
fn the_newest_event_of_the_label_decides_who_armed() {
    let policy = policy(&[]);
    let ready = "ready-for-agent";
    let ada = Some("ada");
    for (name, events, armed) in [
        ("never", vec![], None),
        ("once", vec![event(0, ready, true, ada)], Some(("token 0", ada))),
        ("another case", vec![event(0, "Ready-For-Agent", true, ada)], Some(("token 0", ada))),
        ("taken off", vec![event(0, ready, true, ada), event(1, ready, false, ada)], None),
        (
            "again by afk",
            vec![event(0, ready, true, ada), event(1, ready, true, Some(AFK))],
            Some(("token 1", Some(AFK))),
        ),
        ("other labels", vec![event(0, ready, true, ada), event(1, "bug", true, Some("leo"))], Some(("token 0", ada))),
        ("deleted account", vec![event(0, ready, true, None)], Some(("token 0", None))),
    ] {
        let found = arming::newest(&events, &policy.base.labels);
        assert_eq!(found.as_ref().map(|found| (found.token.as_str(), found.by.as_deref())), armed, "{name}");
    }
}

#[test]
fn an_edit_counts_by_its_author_and_its_time() {
    let policy = policy(&[]);
    let events = [event(600, "ready-for-agent", true, Some("Ada"))];
    let arming = arming::newest(&events, &policy.base.labels).unwrap();
    for (second, by, counts) in [
        (0, Some("mallory"), false),
        (600 - 120, Some("mallory"), false),
        (600 - 119, Some("mallory"), true),
        (601, Some("mallory"), true),
        (601, Some("ada"), false),
        (601, None, true),
        (601, Some(AFK), true),
    ] {
        let edit = Edit { at: start_of_time() + TimeDelta::seconds(second), by: by.map(str::to_owned) };
        assert_eq!(arming::edited_since(&arming, &[edit], &policy.base), counts, "{second} {by:?}");
    }
    let unknown_armer = arming::Arming { by: None, ..arming };
    let edit = Edit { at: start_of_time() + TimeDelta::seconds(601), by: None };
    assert!(arming::edited_since(&unknown_armer, &[edit], &policy.base));
}

#[tokio::test]
async fn neither_afk_nor_an_agent_nor_a_stranger_nor_an_unreadable_permission_arms() {
    let policy = policy(&[("logins      = []", "logins = [\"afk\", \"robot\", \"Leo\"]")]);
    let sim = Sim::under(policy).armed(7);
    for login in [AFK, "robot"] {
        sim.state.borrow_mut().permissions.insert(login.to_owned(), "admin".to_owned());
    }
    let trust = async |login: Option<&str>| {
        let tick = afk::ticks::world::Tick::begin(&sim.policy, &sim.world).await.unwrap();
        arming::trust(&tick, AFK, sim.policy.rules("acme/app"), "acme/app", login).await.fact
    };
    for (login, trusted) in [
        (Some(AFK), false),
        (Some("Afk"), false),
        (Some("ROBOT"), false),
        (Some("mallory"), false),
        (None, false),
        (Some("leo"), true),
        (Some("ada"), true),
    ] {
        assert_eq!(trust(login).await, Observed::Known(trusted), "{login:?}");
    }
    sim.fail("tracker permission", PortErrorKind::Refused);
    assert_eq!(trust(Some("ada")).await, Observed::Unknown("tracker permission fails".to_owned()));
}

/// The texts that people of the tracker can choose, at their worst.
fn hostile() -> String {
    format!("@acme/all --> <!-- afk-run:v99 {} | `", "<".repeat(3000))
}

#[tokio::test]
async fn hostile_labels_neither_ping_nor_hide_nor_fill_the_record() {
    let policy = policy(&[
        ("reason = \"the agent ended ({agent}) and pushed nothing\"", "reason = \"it carries {labels}\""),
        ("needs-human = \"@{armed_by} this needs you: **{reason}**.\"", "needs-human = \"{labels}: {reason}\""),
    ]);
    let (sim, run) = Sim::under(policy).dispatched(7).await;
    sim.label("mallory", 7, &hostile(), true);
    sim.agent_is(run, afk::policy::facts::AgentStatus::Failed);
    sim.watch().await;
    sim.later(180);
    let (_, report) = sim.watch().await;
    assert_eq!(sim.record(7).state, "needs-human", "{report:?}");
    for comment in &sim.state.borrow().cards[&7].comments {
        assert!(!comment.body.contains("@acme/all"), "{}", comment.body);
        assert_eq!(comment.body.matches("<!--").count(), 1, "{}", comment.body);
    }
}

#[tokio::test]
async fn what_ci_and_agents_print_stays_text() {
    let (sim, run) = Sim::new().dispatched(7).await;
    sim.push(FIRST);
    sim.ci(StageVerdict::Pending(hostile()));
    sim.watch().await;
    sim.ci(StageVerdict::Red(vec![FailedJob { name: hostile(), url: Some(hostile()), log_tail: hostile() }]));
    {
        let mut state = sim.state.borrow_mut();
        let agent = state.agents.get_mut(&run).unwrap();
        agent.last_words = Some(hostile());
        agent.status = afk::policy::facts::AgentStatus::Idle;
        state.cards.get_mut(&7).unwrap().issue.title = hostile();
    }
    sim.watch().await;
    sim.later(24 * 60 * 60);
    sim.watch().await;
    assert_eq!(sim.record(7).state, "frozen");
    for comment in &sim.state.borrow().cards[&7].comments {
        assert!(!comment.body.contains("@acme/all"), "{}", comment.body);
        assert_eq!(comment.body.matches("<!--").count(), 1, "{}", comment.body);
    }
}

#[tokio::test]
async fn a_pending_row_survives_the_record() {
    let policy = policy(&[]);
    let rules = policy.rules("acme/app");
    let row = rules.transition("overdue").unwrap();
    let (sim, _) = Sim::new().dispatched(7).await;
    let tick = afk::ticks::world::Tick::begin(&sim.policy, &sim.world).await.unwrap();
    let fleet = afk::ticks::fleet::observe(&tick).await.unwrap();
    let view = afk::ticks::facts::read(&tick, &fleet, &fleet.runs[0], fleet.runs[0].record().unwrap()).await;
    let record = Record { pending: Some(PendingRow::new(rules, row, &view.facts, 1)), ..sim.record(7) };
    let block = seal(&["new"]).write(&record).unwrap();
    assert_eq!(valid(seal(&["new"]).read(&reference(7), &block)), Some(record.clone()));
    assert!(record.pending.unwrap().remaining.iter().any(|pending| pending.effect == Effect::Interrupt));
}
