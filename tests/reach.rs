//! What decides about agents must not be theirs to change.

#[path = "support/local.rs"]
mod local;

use std::fs;
use std::os::unix::fs::symlink;

use local::Installation;
use pretty_assertions::assert_eq;

const WORKSPACE: &str = "data/runs/6c1f03d2-0000-5000-8000-000000000000/workspace";

/// An installation with a copy of its policy in the workspace of an agent, and a link there that leads out of it again.
fn within_reach() -> Installation {
    let afk = Installation::new();
    afk.armed(1);
    let workspace = afk.path(WORKSPACE);
    fs::create_dir_all(workspace.join("policies/prompts")).expect("a folder");
    for file in ["afk.toml", "prompts/implement.md", "prompts/fix-forward.md"] {
        fs::copy(afk.path("policies").join(file), workspace.join("policies").join(file)).expect("a copy");
    }
    symlink(afk.path("policies"), workspace.join("out")).expect("a link");
    symlink(&workspace, afk.path("innocent")).expect("a link");
    symlink("innocent/out", afk.path("roundabout")).expect("a link");
    afk
}

#[test]
fn a_policy_that_an_agent_could_change_or_turn_elsewhere_is_not_used() {
    let afk = within_reach();
    for (policy, how) in [
        (format!("{WORKSPACE}/policies/afk.toml"), "lies where agents work"),
        ("innocent/policies/afk.toml".to_owned(), "lies where agents work"),
        (format!("{WORKSPACE}/out/afk.toml"), "is reached by a link where agents work"),
        ("innocent/out/../policies/afk.toml".to_owned(), "is reached by a link where agents work"),
        ("roundabout/afk.toml".to_owned(), "is reached by a link where agents work"),
    ] {
        for tick in [["poll"].as_slice(), &["watch"], &["poll", "--dry-run"]] {
            let ran = afk.afk(&[tick, &["--policy", &policy]].concat());
            assert_eq!(ran.code, 4, "{policy}: {}{}", ran.stdout, ran.stderr);
            assert!(ran.stderr.contains(how), "{policy}: {}", ran.stderr);
        }
        let doctor = afk.afk(&["doctor", "--policy", &policy]);
        assert!(doctor.code == 1 && doctor.stdout.contains(how), "{}", doctor.stdout);
    }
    assert!(!afk.path("issues/0001.comments").exists(), "nothing was started");
}

#[test]
fn prompts_and_settings_within_an_agents_reach_are_not_used_either() {
    let afk = within_reach();
    afk.policy("\"prompts/implement.md\"", &format!("\"../{WORKSPACE}/policies/prompts/implement.md\""));
    let ran = afk.afk(&["poll"]);
    assert!(
        ran.code == 4 && ran.stderr.contains("implement.md` lies where agents work"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );

    let afk = within_reach();
    let text = fs::read_to_string(afk.path("afk.settings.toml")).expect("settings");
    let data = format!("data = \"{}\"", afk.path("data").display());
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("data ")).collect::<Vec<_>>().join("\n");
    fs::write(afk.path(WORKSPACE).join("afk.settings.toml"), format!("{data}\n{lines}\n")).expect("settings");
    let ran = afk.afk(&["poll", "--settings", &format!("{WORKSPACE}/afk.settings.toml")]);
    assert!(
        ran.code == 4 && ran.stderr.contains("afk.settings.toml` lies where agents work"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
}

#[test]
fn a_policy_behind_links_that_no_agent_can_turn_is_used() {
    let afk = Installation::new();
    afk.armed(1);
    symlink("policies", afk.path("today")).expect("a link");
    symlink(afk.path("today"), afk.path("always")).expect("a link");
    let ran = afk.afk(&["poll", "--policy", "always/../always/afk.toml"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("greeter#1  dispatched"), "{}", ran.stdout);
}
