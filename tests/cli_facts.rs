//! `afk facts` and `afk schema`.

mod support;

use afk::policy::PROMPT_NAMES;
use afk::policy::facts::{FactName, IssueFact, RunFact};
use insta::assert_snapshot;
use serde_json::Value;
use support::Test;

#[test]
fn every_fact_is_listed_for_people() {
    let ran = Test::new().args(["facts"]).run();
    let (issue, rest) = ran.stdout.split_once("\nRUN FACTS").unwrap();
    let (run, prompts) = rest.split_once("\nPROMPT NAMES").unwrap();
    for fact in IssueFact::ALL {
        assert!(issue.contains(&format!("\n  {} ", fact.spec().name)), "{fact:?}");
    }
    for fact in RunFact::ALL {
        assert!(run.contains(&format!("\n  {} ", fact.spec().name)), "{fact:?}");
    }
    for name in PROMPT_NAMES {
        assert!(prompts.contains(&format!("\n  {} ", name.name)), "{name:?}");
    }
    let agent: Vec<&str> = run.lines().skip_while(|line| !line.starts_with("  agent ")).take(2).collect();
    assert_snapshot!(agent.join("\n"), @r"
    agent               enum      always known    the newest turn that afk asked for
                                                  starting, running, waiting, idle, failed, gone, unknown; from: executor
    ");
}

#[test]
fn every_fact_is_listed_for_programs() {
    let listed = Test::new().args(["facts", "--format", "json"]).run().json();
    let facts = listed["facts"].as_array().unwrap();
    assert_eq!(facts.len(), IssueFact::ALL.len() + RunFact::ALL.len());
    assert_eq!(listed["prompt_names"].as_array().map(Vec::len), Some(PROMPT_NAMES.len()));
    let milestones: Vec<&Value> = facts.iter().filter(|fact| fact["name"] == "milestones").collect();
    assert_snapshot!(serde_json::to_string_pretty(&milestones).unwrap(), @r#"
    [
      {
        "name": "milestones",
        "scope": "run",
        "type": "set",
        "values": [
          "worktree",
          "tests_red",
          "tests_green"
        ],
        "always_known": false,
        "meaning": "what the agent says it has reached",
        "source": "executor"
      }
    ]
    "#);
}

#[test]
fn the_schema_is_printed() {
    let printed = Test::new().args(["schema"]).run().json();
    assert_eq!(printed, afk::schema::schema());
}
