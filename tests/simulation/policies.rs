//! The policies that lives are lived under: the shipped one, switched on, with limits, slots and landing drawn by
//! chance. Every one is accepted by the check.

use std::path::Path;
use std::sync::LazyLock;

use afk::policy::{InstalledNames, Policy, Surroundings, check};

use crate::chance::Chance;

/// How many there are.
pub const COUNT: usize = 16;

/// A policy, with its kill switch as it is written, and with the kill switch on.
pub struct Pair {
    pub off: Policy,
    pub on: Policy,
    pub attempts: usize,
}

pub static POLICIES: LazyLock<Vec<Pair>> = LazyLock::new(|| (0..COUNT).map(generated).collect());

fn generated(index: usize) -> Pair {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let mut text = std::fs::read_to_string(folder.join("afk.toml")).unwrap();
    let mut chance = Chance::of(index as u64);
    let attempts = if index == 0 { 5 } else { chance.of_these(&[0, 1, 2, 5]) };
    let mut changes = vec![
        ("kill_switch = true".to_owned(), "kill_switch = false".to_owned()),
        ("allowlist   = []".to_owned(), "allowlist = [\"acme/*\"]".to_owned()),
        ("fix_forward_attempts = 5".to_owned(), format!("fix_forward_attempts = {attempts}")),
    ];
    if index > 0 {
        let mut change = |before: &str, after: String| changes.push((before.to_owned(), after));
        change("slots_per_repo = 1", format!("slots_per_repo = {}", chance.of_these(&[1, 1, 2, 3])));
        change("max_in_flight  = 8", format!("max_in_flight = {}", chance.of_these(&[2, 8, 30])));
        change("max_per_tick   = 4", format!("max_per_tick = {}", chance.of_these(&[1, 4, 20])));
        change("settle_time          = \"2m\"", format!("settle_time = \"{}\"", chance.of_these(&["2m", "3m", "10m"])));
        change("edit_window          = \"2m\"", format!("edit_window = \"{}\"", chance.of_these(&["1s", "2m"])));
        change("stall_timeout        = \"45m\"", format!("stall_timeout = \"{}\"", chance.of_these(&["20m", "45m"])));
        change(
            "run_timeout          = \"24h\"",
            format!("run_timeout = \"{}\"", chance.of_these(&["5h", "12h", "24h"])),
        );
        change("effect_timeout       = \"1h\"", format!("effect_timeout = \"{}\"", chance.of_these(&["10m", "1h"])));
        if chance.one_in(4) {
            change("denylist    = []", "denylist = [\"acme/r1\"]".to_owned());
        }
        if index % 3 == 1 {
            change("landing      = \"push\"", "landing = \"pull_request\"".to_owned());
        }
        if chance.one_in(3) {
            change("\"priority\", \"number\"]", "\"priority\", \"armed_at\", \"-number\"]".to_owned());
        }
        if chance.one_in(4) {
            change(
                "[[gates]]",
                "[repos.\"acme/r0\"]\ndispatch.slots_per_repo = 1\nlimits.run_timeout = \"3h\"\n\n[[gates]]".to_owned(),
            );
        }
    }
    for (before, after) in &changes {
        assert!(text.contains(before), "the shipped policy does not hold {before:?}");
        text = text.replacen(before, after, 1);
    }
    let prompt = |path: &str| std::fs::read_to_string(folder.join(path)).map_err(|error| error.to_string());
    let checked = check(&text, "afk.toml", &Surroundings { prompt: &prompt, installed: &InstalledNames::default() });
    let off = checked.policy.unwrap_or_else(|| panic!("{:?}", checked.findings));
    let mut on = off.clone();
    on.kill_switch.value = true;
    Pair { off, on, attempts }
}
