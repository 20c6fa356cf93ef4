//! Runs that land by a pull request.

use afk::engine::identity::RunId;
use afk::policy::facts::{AgentStatus, PullRequestStatus};
use afk::ports::{FailedJob, PortErrorKind, StageVerdict};
use pretty_assertions::assert_eq;

use crate::world::{FIRST, PULL_REQUEST, SECOND, Sim, policy};

/// A run whose agent has ended its turn, under the shipped policy with the other landing.
async fn idle_run() -> (Sim, RunId) {
    let by_pull_request = [("landing      = \"push\"", "landing      = \"pull_request\"")];
    let (sim, run) = Sim::under(policy(&by_pull_request)).dispatched(7).await;
    sim.agent_is(run, AgentStatus::Idle);
    (sim, run)
}

fn is(sim: &Sim, status: PullRequestStatus) {
    sim.state.borrow_mut().pull_request = status;
}

/// The states of a run, over ticks far enough apart for everything to settle.
async fn states(sim: &Sim, ticks: u32) -> Vec<String> {
    let mut states = Vec::new();
    for _ in 0..ticks {
        sim.watch().await;
        states.push(sim.record(7).state);
        sim.later(180);
    }
    states
}

/// Everything that afk said on the issue.
fn said(sim: &Sim) -> String {
    let state = sim.state.borrow();
    let bodies: Vec<&str> = state.cards[&7].comments.iter().map(|comment| comment.body.as_str()).collect();
    bodies.join("\n")
}

#[tokio::test]
async fn the_agent_is_told_its_branch() {
    let (sim, run) = idle_run().await;
    let state = sim.state.borrow();
    let (_, prompt) = &state.prompts[0];
    assert!(prompt.contains(&format!("Push to the branch `afk/{run}`")), "{prompt}");
    assert!(prompt.contains("open a pull request"), "{prompt}");
}

#[tokio::test]
async fn a_green_pull_request_is_handed_over_with_its_address() {
    let (sim, _) = idle_run().await;
    sim.push(FIRST);
    is(&sim, PullRequestStatus::Open);
    sim.ci(StageVerdict::Green);
    assert_eq!(states(&sim, 2).await, ["verifying", "in-review"]);
    let said = said(&sim);
    assert!(said.contains("ready for review: the pull request is green"), "{said}");
    assert!(said.contains(&format!("- Pull request: open, {PULL_REQUEST}")), "{said}");
    assert!(said.contains(&format!("| Pull request | open, {PULL_REQUEST} |")), "{said}");
    let state = sim.state.borrow();
    assert_eq!(state.rung.iter().map(|(_, notice)| notice.kind.as_str()).collect::<Vec<_>>(), ["in-review"; 2]);
    assert!(!state.writes.iter().any(|write| write.starts_with("tracker close")), "nothing has landed");
    assert!(!state.cards[&7].issue.labels.contains(&"agent-in-progress".to_owned()));
}

#[tokio::test]
async fn a_pull_request_that_was_merged_has_landed() {
    let (sim, _) = idle_run().await;
    sim.push(FIRST);
    is(&sim, PullRequestStatus::Open);
    sim.ci(StageVerdict::Pending(String::new()));
    assert_eq!(states(&sim, 1).await, ["verifying"]);
    sim.push(SECOND);
    is(&sim, PullRequestStatus::Merged);
    sim.ci(StageVerdict::Green);
    assert_eq!(states(&sim, 2).await, ["verifying", "done"]);
    assert!(sim.writes().iter().any(|write| write.starts_with("tracker close")));
}

#[tokio::test]
async fn a_red_pull_request_is_mended_before_anybody_is_asked_to_look() {
    let (sim, run) = idle_run().await;
    sim.push(FIRST);
    is(&sim, PullRequestStatus::Open);
    sim.ci(StageVerdict::Red(vec![FailedJob { name: "test".to_owned(), url: None, log_tail: "boom".to_owned() }]));
    assert_eq!(states(&sim, 2).await, ["verifying", "fixing"]);
    let (_, prompt) = sim.state.borrow().prompts.last().cloned().unwrap();
    assert!(prompt.contains(&format!("Push to `afk/{run}`, where your pull request is")), "{prompt}");
    sim.push(SECOND);
    sim.ci(StageVerdict::Green);
    sim.agent_is(run, AgentStatus::Idle);
    assert_eq!(states(&sim, 2).await.last().map(String::as_str), Some("in-review"));
}

#[tokio::test]
async fn a_branch_without_a_pull_request_is_handed_over_with_its_name() {
    let (sim, run) = idle_run().await;
    sim.push(FIRST);
    assert_eq!(states(&sim, 2).await.last().map(String::as_str), Some("needs-human"));
    let said = said(&sim);
    assert!(said.contains(&format!("- Pull request: none from the branch `afk/{run}`")), "{said}");
}

#[tokio::test]
async fn a_draft_or_a_closed_pull_request_is_not_offered() {
    for status in [PullRequestStatus::Draft, PullRequestStatus::Closed] {
        let (sim, _) = idle_run().await;
        sim.push(FIRST);
        is(&sim, status);
        sim.ci(StageVerdict::Green);
        assert_eq!(states(&sim, 2).await, ["verifying", "frozen"]);
        assert!(said(&sim).contains(&format!("its pull request is {}", status.word())));
    }
}

#[tokio::test]
async fn no_agent_is_started_where_its_work_could_not_land() {
    let sim = Sim::new().armed(7);
    sim.fail("code can_land", PortErrorKind::Refused);
    let (_, report) = sim.poll().await;
    assert!(sim.state.borrow().agents.is_empty());
    assert!(format!("{report:?}").contains("not dispatched: code can_land fails"), "{report:?}");
}

#[tokio::test]
async fn a_run_that_no_check_reports_on_is_handed_over_with_what_to_do_about_it() {
    use PullRequestStatus::{Merged, Open};
    let push = "let CI run on pushes to main; where it runs on pull requests only, set `landing = \"pull_request\"`";
    for (landing, pull_request, remedy) in [
        ("push", Open, push),
        ("pull_request", Open, "let CI run on pull requests into main"),
        ("pull_request", Merged, "let CI run on pushes to main too"),
    ] {
        let landing = format!("landing      = \"{landing}\"");
        let (sim, run) = Sim::under(policy(&[("landing      = \"push\"", &landing)])).dispatched(7).await;
        sim.agent_is(run, AgentStatus::Idle);
        sim.push(FIRST);
        is(&sim, pull_request);
        sim.watch().await;
        assert!(!said(&sim).contains("No check reports on"), "it is early yet: {}", said(&sim));
        sim.later(2 * 60 * 60);
        sim.watch().await;
        assert_eq!(sim.record(7).state, "frozen");
        assert!(
            said(&sim).contains(&format!("- No check reports on `1111111`. If it stays so: {remedy}")),
            "{}",
            said(&sim)
        );
        let rung = sim.state.borrow().rung[0].1.title.clone();
        assert!(rung.ends_with("CI has not decided for 2h (ci = none)"), "{rung}");
    }
}

#[tokio::test]
async fn what_is_pending_for_too_long_needs_no_other_workflow() {
    let (sim, _) = idle_run().await;
    sim.push(FIRST);
    is(&sim, PullRequestStatus::Open);
    sim.ci(StageVerdict::Pending("0 of 1".to_owned()));
    sim.watch().await;
    sim.later(2 * 60 * 60);
    sim.watch().await;
    assert_eq!(sim.record(7).state, "frozen");
    assert!(!said(&sim).contains("No check reports on"), "{}", said(&sim));
}
