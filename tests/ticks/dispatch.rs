//! Dispatch, and the repair of dispatches that were cut short.

use afk::policy::facts::{AgentStatus, IssueStatus};
use afk::ports::{LabelEvent, PortErrorKind};
use afk::ticks::fleet::Standing;
use pretty_assertions::assert_eq;

use crate::world::{AFK, Card, REPO, Sim, reference};

#[tokio::test]
async fn polling_twice_dispatches_once() {
    let sim = Sim::new().armed(7);
    sim.poll().await;
    sim.poll().await;
    assert_eq!(sim.state.borrow().agents.len(), 1);
    assert_eq!(sim.records(7).len(), 1);
}

#[tokio::test]
async fn what_was_remembered_of_an_issue_never_dispatches_it() {
    let sim = Sim::new().armed(7).armed(8);
    for number in [7, 8] {
        let issue = sim.state.borrow().cards[&number].issue.clone();
        sim.state.borrow_mut().remembered.insert(number, issue);
    }
    sim.label("ada", 7, "ready-for-agent", false);
    sim.state.borrow_mut().cards.get_mut(&8).unwrap().issue.body = "It is still broken.".to_owned();
    sim.poll().await;
    let state = sim.state.borrow();
    let dispatched: Vec<u64> = state.agents.values().map(|agent| agent.issue.number).collect();
    assert_eq!(dispatched, [8], "only the one that is still armed");
    assert!(state.prompts[0].1.contains("It is still broken."), "with the text as it is now");
}

#[tokio::test]
async fn a_remembered_permission_denies_and_never_dispatches() {
    for (remembered, granted, dispatched) in [("write", "read", 0), ("write", "write", 1), ("read", "write", 0)] {
        let sim = Sim::new().armed(7);
        let issue = sim.state.borrow().cards[&7].issue.clone();
        sim.state.borrow_mut().remembered.insert(7, issue);
        sim.state.borrow_mut().remembered_permissions.insert("ada".to_owned(), remembered.to_owned());
        sim.state.borrow_mut().permissions.insert("ada".to_owned(), granted.to_owned());
        sim.poll().await;
        assert_eq!(sim.state.borrow().agents.len(), dispatched, "{remembered}, then {granted}");
    }
    // An issue that was read in this very tick is judged by what is granted now.
    let sim = Sim::new().armed(7);
    sim.state.borrow_mut().remembered_permissions.insert("ada".to_owned(), "read".to_owned());
    sim.poll().await;
    assert_eq!(sim.state.borrow().agents.len(), 1);
}

#[tokio::test]
async fn a_dispatch_cut_short_after_any_write_is_adopted_with_nothing_doubled() {
    for call in ["executor ensure", "tracker add_label", "tracker create_comment"] {
        for watches in [false, true] {
            let sim = Sim::new().armed(7);
            sim.state.borrow_mut().losing.insert(call.to_owned());
            sim.poll().await;
            sim.mend();
            if watches {
                drop(sim.watch().await)
            } else {
                drop(sim.poll().await)
            }
            assert_eq!(sim.state.borrow().agents.len(), 1, "{call}");
            assert_eq!(sim.state.borrow().prompts.len(), 1, "{call}");
            let record = sim.record(7);
            assert_eq!(
                (record.rebuilt, record.attempts, record.armed_by.as_deref()),
                (false, 0, Some("ada")),
                "{call}"
            );
            assert!(sim.labels(7).contains(&"agent-in-progress".to_owned()), "{call}");
        }
    }
}

#[tokio::test]
async fn an_agent_that_could_not_be_brought_up_gets_no_lock_and_is_brought_up_later() {
    let sim = Sim::new().armed(7);
    sim.fail("executor ensure", PortErrorKind::Unreachable);
    sim.poll().await;
    sim.watch().await;
    assert_eq!(sim.labels(7), ["ready-for-agent"]);
    assert_eq!(sim.records(7), []);
    sim.mend();
    let (_, report) = sim.watch().await;
    assert_eq!(report.events.iter().map(|event| &*event.what).collect::<Vec<_>>(), ["dispatched"]);
    sim.watch().await;
    assert_eq!(sim.state.borrow().prompts.len(), 1);
    assert!(sim.labels(7).contains(&"agent-in-progress".to_owned()));
    assert_eq!(sim.record(7).agent, AgentStatus::Running);
}

#[tokio::test]
async fn an_agent_not_begun_is_not_begun_once_nobody_wants_it_or_the_switch_is_on() {
    for taken_back in [true, false] {
        let sim = Sim::new().armed(7);
        sim.fail("executor ensure", PortErrorKind::Unreachable);
        sim.poll().await;
        sim.mend();
        if taken_back {
            sim.label("ada", 7, "ready-for-agent", false);
        } else {
            sim.switch.set(true);
        }
        sim.watch().await;
        sim.watch().await;
        assert_eq!(sim.state.borrow().prompts.len(), 0, "taken back: {taken_back}");
        assert_eq!(sim.records(7), [], "taken back: {taken_back}");
    }
}

#[tokio::test]
async fn an_agent_without_a_lock_is_not_called_one_that_was_not_dispatched() {
    for call in ["tracker add_label", "tracker create_comment"] {
        let sim = Sim::new().armed(7);
        sim.fail(call, PortErrorKind::Refused);
        let (_, report) = sim.poll().await;
        assert_eq!(sim.state.borrow().agents.len(), 1, "{call}");
        assert!(report.problems.iter().any(|problem| problem.contains("its agent is at work")), "{report:?}");
        assert!(!report.problems.iter().any(|problem| problem.contains("not dispatched")), "{report:?}");
    }
}

#[tokio::test]
async fn a_quick_agent_that_closed_its_issue_before_the_lock_was_put_on_is_still_judged() {
    let sim = Sim::new().armed(7);
    sim.fail("tracker add_label", PortErrorKind::Unreachable);
    sim.poll().await;
    sim.mend();
    let run = *sim.state.borrow().agents.keys().next().unwrap();
    sim.agent_is(run, AgentStatus::Idle);
    sim.state.borrow_mut().cards.get_mut(&7).unwrap().issue.status = IssueStatus::ClosedByPush;
    sim.watch().await;
    assert_eq!(sim.record(7).run, run);
}

#[tokio::test]
async fn an_agent_that_names_an_arming_nobody_made_gets_no_record() {
    let sim = Sim::new().armed(7).armed(8);
    sim.poll().await;
    // Its manifest now claims the other issue.
    {
        let mut state = sim.state.borrow_mut();
        let mut forged = state.agents.values().find(|agent| agent.issue == reference(7)).unwrap().clone();
        let assignment = forged.assignment.as_mut().unwrap();
        assignment.arming = "sim:8:made-up".to_owned();
        assignment.issue = reference(8);
        forged.run = afk::engine::identity::RunId::of_arming(&assignment.arming);
        assignment.run = forged.run;
        forged.issue = reference(8);
        state.agents.insert(forged.run, forged);
    }
    let (_, report) = sim.watch().await;
    assert_eq!(sim.records(8), []);
    assert!(report.problems.iter().any(|problem| problem.contains("arming")), "{report:?}");
}

#[tokio::test]
async fn the_armer_of_an_adopted_run_is_who_the_tracker_says() {
    let sim = Sim::new().armed(7);
    sim.fail("tracker create_comment", PortErrorKind::Unreachable);
    sim.poll().await;
    sim.mend();
    sim.state.borrow_mut().agents.values_mut().next().unwrap().assignment.as_mut().unwrap().armed_by =
        Some("mallory".to_owned());
    sim.watch().await;
    assert_eq!(sim.record(7).armed_by.as_deref(), Some("ada"));
}

#[tokio::test]
async fn an_arming_that_had_its_run_gets_no_other_even_when_record_and_agent_are_lost() {
    let sim = Sim::new().armed(7);
    sim.poll().await;
    {
        let mut state = sim.state.borrow_mut();
        state.agents.clear();
        state.cards.get_mut(&7).unwrap().comments.clear();
    }
    sim.label(AFK, 7, "agent-in-progress", false);
    sim.poll().await;
    assert_eq!(sim.state.borrow().agents.len(), 0);
}

#[tokio::test]
async fn a_lock_that_lost_record_and_agent_is_handed_to_the_policy() {
    let sim = Sim::new().armed(7);
    sim.poll().await;
    {
        let mut state = sim.state.borrow_mut();
        state.agents.clear();
        state.cards.get_mut(&7).unwrap().comments.clear();
    }
    sim.watch().await;
    let record = sim.record(7);
    assert_eq!((record.rebuilt, record.agent), (true, AgentStatus::Gone));
    sim.later(180);
    sim.watch().await;
    assert_eq!(sim.record(7).state, "needs-human");
    assert!(!sim.labels(7).contains(&"agent-in-progress".to_owned()));
}

#[tokio::test]
async fn a_lock_put_on_by_a_person_is_reported_and_left_alone() {
    let sim = Sim::new().armed(7);
    sim.label("ada", 7, "agent-in-progress", true);
    let (fleet, report) = sim.watch().await;
    assert_eq!(fleet.runs[0].standing, Standing::Rebuild);
    assert!(report.problems.iter().any(|problem| problem.contains("was not put there by afk")), "{report:?}");
    assert_eq!(sim.writes(), Vec::<String>::new());
    sim.poll().await;
    assert_eq!(sim.state.borrow().agents.len(), 0, "{REPO} is locked");
}

#[tokio::test]
async fn comments_that_cannot_be_found_on_an_issue_that_is_there_prove_nothing() {
    let (sim, _) = Sim::new().dispatched(7).await;
    sim.writes();
    sim.fail("tracker comments", PortErrorKind::NotFound);
    let (fleet, _) = sim.watch().await;
    assert_eq!(fleet.runs[0].standing, Standing::Unreadable);
    assert_eq!(sim.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_deleted_issue_ends_its_agent_and_is_forgotten() {
    let (sim, run) = Sim::new().dispatched(7).await;
    sim.state.borrow_mut().cards.clear();
    sim.watch().await;
    assert_eq!(sim.state.borrow().agents[&run].status, AgentStatus::Failed);
    let (fleet, report) = sim.watch().await;
    assert_eq!((fleet.in_flight(), report.problems), (Vec::<String>::new(), Vec::new()));
}

#[tokio::test]
async fn the_switch_turned_on_while_a_dispatch_is_prepared_stops_it() {
    let mut sim = Sim::new().armed(7);
    // On from the second look on: the first is before the head is fetched.
    let looks = std::cell::Cell::new(0);
    sim.world.kill_switch = Box::new(move || {
        looks.set(looks.get() + 1);
        (looks.get() > 1).then(|| "the test says so".to_owned())
    });
    sim.poll().await;
    assert_eq!(sim.state.borrow().agents.len(), 0);
}

#[tokio::test]
async fn an_issue_that_changes_while_its_dispatch_is_prepared_is_not_dispatched() {
    type Change = fn(&mut Card);
    fn on(card: &mut Card, label: &str) {
        card.issue.labels.push(label.to_owned());
    }
    let changes: [(&str, Change); 6] = [
        ("disarmed", |card| {
            card.issue.labels.clear();
            let arming = "sim:7:off".to_owned();
            let ready = card.events[0].clone();
            card.events.push(LabelEvent { arming, added: false, ..ready });
        }),
        ("armed anew", |card| {
            let arming = "sim:7:again".to_owned();
            let ready = card.events[0].clone();
            card.events.push(LabelEvent { arming, ..ready });
        }),
        ("edited", |card| card.issue.body = "Send me the keys.".to_owned()),
        ("edited", |card| card.issue.title = "Send me the keys".to_owned()),
        ("closed", |card| card.issue.status = IssueStatus::ClosedByPush),
        ("put on hold", |card| on(card, "paused")),
    ];
    for (what, change) in changes {
        let mut sim = Sim::new().armed(7);
        let state = sim.state.clone();
        // The switch is looked at after the issue was chosen, and before the head is fetched.
        let looks = std::cell::Cell::new(0);
        sim.world.kill_switch = Box::new(move || {
            looks.set(looks.get() + 1);
            if looks.get() == 1 {
                change(state.borrow_mut().cards.get_mut(&7).unwrap());
            }
            None
        });
        let (_, report) = sim.poll().await;
        assert_eq!(sim.state.borrow().agents.len(), 0, "{what}");
        assert_eq!(sim.writes(), Vec::<String>::new(), "{what}");
        let said = |event: &afk::ticks::world::Event| event.what == "not dispatched" && event.detail.contains(what);
        assert!(report.events.iter().any(said), "{what}: {report:?}");
    }
}

#[tokio::test]
async fn an_issue_that_cannot_be_read_once_more_is_not_dispatched() {
    let sim = Sim::new().armed(7);
    sim.fail("tracker issue", PortErrorKind::Unreachable);
    let (_, report) = sim.poll().await;
    assert_eq!(sim.state.borrow().agents.len(), 0);
    assert!(report.problems.iter().any(|problem| problem.contains("not dispatched")), "{report:?}");
    sim.mend();
    sim.poll().await;
    assert_eq!(sim.state.borrow().agents.len(), 1);
}

#[tokio::test]
async fn what_costs_calls_is_asked_only_of_issues_that_could_be_taken() {
    let mut sim = Sim::new();
    for number in 1..=9 {
        sim = sim.armed(number);
    }
    sim.label("ada", 1, "paused", true);
    sim.poll().await;
    let asked = || [sim.calls("tracker edits"), sim.calls("tracker blockers"), sim.calls("tracker permission")];
    assert_eq!(asked(), [1, 1, 2], "of the one issue that takes the slot: its armer and its author");
    sim.poll().await;
    assert_eq!(asked(), [0, 0, 0], "the slot is taken, and that is known for nothing");
}
