//! The shipped prompts, as an agent gets them.

use std::fs;

use minijinja::{Environment, UndefinedBehavior, context};
use pretty_assertions::assert_eq;

const RUN: &str = "6c1f03d2-0000-5000-8000-000000000000";

fn render(name: &str, landing: &str) -> String {
    let template = fs::read_to_string(format!("policies/prompts/{name}")).expect("the prompt ships");
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
        .render_str(
            &template,
            context! {
                ref => "acme/app#42", repo => "acme/app", issue => 42, url => "https://host/42", run => RUN,
                default_branch => "main", branch => "afk/6c1f03d2", landing => landing, brief => "<the brief>",
                commit => "9ab3c1d", attempt => 2, max_attempts => 5, failures => "<the failures>",
            },
        )
        .expect("only names that exist")
}

#[test]
fn both_prompts_ask_for_the_line_that_makes_commits_findable() {
    for name in ["implement.md", "fix-forward.md"] {
        for landing in ["push", "pull_request"] {
            let prompt = render(name, landing);
            let line = format!("AFK-Run: {RUN}");
            assert_eq!(prompt.lines().filter(|text| text.trim() == line).count(), 1, "{name}, {landing}:\n{prompt}");
        }
    }
}

#[test]
fn an_agent_that_quotes_its_prompt_reports_no_milestone() {
    for name in ["implement.md", "fix-forward.md"] {
        let prompt = render(name, "push");
        assert!(!prompt.lines().any(|line| line.trim().starts_with("AFK-Milestone:")), "{prompt}");
    }
    assert!(render("implement.md", "push").contains("AFK-Milestone:"));
}

#[test]
fn the_agent_pushes_or_opens_a_pull_request_as_the_policy_says() {
    let push = render("implement.md", "push");
    assert!(push.contains("push to `main` yourself") && !push.contains("afk/6c1f03d2"), "{push}");
    let pull_request = render("implement.md", "pull_request");
    assert!(
        pull_request.contains("branch `afk/6c1f03d2`") && !pull_request.contains("push to `main`"),
        "{pull_request}"
    );
    assert!(render("fix-forward.md", "pull_request").contains("Push to `afk/6c1f03d2`"));
}

#[test]
fn a_correction_carries_commit_count_and_failures() {
    let prompt = render("fix-forward.md", "push");
    assert!(prompt.starts_with("CI is red on commit 9ab3c1d"), "{prompt}");
    assert!(prompt.contains("correction 2 of at most\n5.") && prompt.contains("<the failures>"), "{prompt}");
}
