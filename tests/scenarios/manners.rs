//! What afk asks of GitHub is counted and said, and a GitHub that has enough of it is not asked.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;
use serde_json::Value;

use super::Installation;
use crate::github_fake::{Fault, Trouble};

#[test]
fn a_tick_says_what_it_cost_and_so_does_status() {
    let afk = Installation::armed().agent("right").hasty();
    for command in ["poll", "watch"] {
        afk.forge.fake.take_log();
        let ran = afk.afk(&[command, "--format", "json"]);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"));
        let log = afk.forge.fake.log();
        let unchanged = log.iter().filter(|exchange| exchange.status == 304).count();
        let points: u64 = log.iter().map(|exchange| exchange.points).sum();
        let cost = &document["cost"];
        assert_eq!(
            (cost["requests"].as_u64(), cost["unchanged"].as_u64(), cost["points"].as_u64()),
            (Some(log.len() as u64), Some(unchanged as u64), Some(points)),
            "{ran}"
        );
        let heartbeat: Value = serde_json::from_str(&afk.read(&format!("data/heartbeat-{command}.json"))).unwrap();
        assert_eq!(heartbeat["cost"], *cost);
        let status = afk.afk(&["status"]);
        assert!(status.stdout.contains(&format!("ok, {} request", log.len())), "{status}");
    }
    afk.forge.fake.take_log();
    let ran = afk.watch();
    let words = format!("{} requests", afk.forge.fake.log().len());
    assert!(ran.stdout.lines().last().is_some_and(|line| line.contains(&words)), "{words}: {ran}");
}

#[test]
fn a_github_that_asks_to_be_left_alone_is_not_asked_by_the_ticks_until_then() {
    for fault in [Fault::SecondaryLimit(3600), Fault::PrimaryLimit] {
        let afk = Installation::armed();
        afk.forge.fake.trouble(Trouble::next(fault.clone(), "", ""));
        let ran = afk.poll();
        assert!(matches!(ran.code, Some(3 | 4)), "{ran}");
        assert!(format!("{ran}").contains("github asks to be left alone until"), "{ran}");
        afk.forge.fake.take_log();
        for command in ["poll", "watch", "status"] {
            let ran = afk.afk(&[command]);
            assert!(format!("{ran}").contains("github asks to be left alone until"), "{ran}");
            assert_eq!(afk.forge.fake.log().len(), 0, "{ran}");
        }
        // Whoever knows better may forget it; an hourly limit is used up all the same.
        std::fs::remove_file(afk.path("data/github/left-alone.json")).unwrap();
        if fault != Fault::PrimaryLimit {
            afk.dispatch();
        }
    }
}

#[test]
fn with_a_small_budget_every_repository_has_its_turn_and_the_last_one_is_not_starved() {
    const BUDGET: usize = 40;
    let busy: Vec<String> = (0..40).map(|number| format!("acme/a{number:02}")).collect();
    let listed: Vec<String> = busy.iter().map(|name| format!("\"{name}\"")).collect();
    let afk = Installation::armed()
        .agent("right")
        .policy(&[("[\"greeter\"]", &format!("[{}, \"greeter\"]", listed.join(", ")))])
        .settings(&[("[tracker]\n", &format!("[tracker]\nrequests_per_tick = {BUDGET}\n"))]);
    for name in &busy {
        let repo = afk.forge.fake.repo(name);
        let mut state = afk.forge.fake.state();
        state.open(repo, 1, "mallory", "Not yours to say", "");
        state.label(repo, 1, "mallory", "ready-for-agent");
    }
    let mut read = BTreeSet::new();
    let mut ticks = 0;
    while afk.agents().is_empty() {
        ticks += 1;
        assert!(ticks <= 4, "the last repository is starved");
        // Somebody writes something everywhere, all the time: no list is ever as it was.
        for name in &busy {
            let mut state = afk.forge.fake.state();
            let repo = state.at(name);
            state.comment(repo, 1, "mallory", "And?");
        }
        afk.forge.fake.take_log();
        let ran = afk.poll();
        assert_eq!(ran.code, Some(3), "{ran}");
        let log = afk.forge.fake.take_log();
        let reads = log.iter().filter(|exchange| exchange.method == "GET" || exchange.path == "/graphql");
        assert!(reads.filter(|exchange| exchange.counts()).count() <= BUDGET, "{ran}");
        let lists = log.iter().filter_map(|exchange| exchange.body.as_ref());
        let lists = lists.filter(|body| body["query"].as_str().is_some_and(|it| it.contains("query LabelledIssues")));
        let before = read.len();
        read.extend(lists.map(|body| body["variables"]["name"].as_str().unwrap().to_owned()));
        assert!(read.len() > before || read.len() == busy.len() + 1, "{ran}");
        assert!(ran.stdout.contains("more: github: not read in this tick"), "{ran}");
    }
    assert_eq!(read.len(), busy.len() + 1, "every repository was read: {read:?}");
    assert!(ticks > 1, "one tick must not be enough here");
}
