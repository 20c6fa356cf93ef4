//! The policies that lives are lived under. Half of them are the shipped one, switched on, with limits, slots and landing
//! drawn by chance. The other half have gates and rows left out, moved or changed as well, whatever comes of it, as long
//! as `check-policy` accepts it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use afk::policy::{InstalledNames, Policy, Severity, Surroundings, check};
use afk::verify::prove;

use crate::chance::Chance;

/// How many have the shipped rules.
const SHIPPED: usize = 16;
/// How many have others.
const CHANGED: usize = 16;
/// All of them, to choose from in one life.
pub const COUNT: usize = SHIPPED + CHANGED;

/// A policy, with its kill switch as it is written, and with the kill switch on.
#[derive(Debug)]
pub struct Pair {
    pub off: Policy,
    pub on: Policy,
    /// How many corrections there may be.
    pub attempts: usize,
    /// The rules are those of the shipped policy. They promise more than `check-policy` asks of every one: that edits are
    /// looked at, that turns answer red commits, that whoever takes a run back is obeyed.
    pub shipped: bool,
    /// What was changed.
    pub changes: Vec<String>,
}

/// The policies to choose from, of which the changed ones are drawn from this seed on. Made once, and kept.
pub fn choices(first: u64) -> &'static [Pair] {
    static MADE: Mutex<BTreeMap<u64, &[Pair]>> = Mutex::new(BTreeMap::new());
    MADE.lock().unwrap().entry(first).or_insert_with(|| make(first).leak())
}

fn make(first: u64) -> Vec<Pair> {
    let shipped = (0..SHIPPED).map(|index| {
        let (text, attempts) = with_limits(index);
        pair(&text, attempts, Vec::new()).unwrap_or_else(|| panic!("policy {index} is not accepted"))
    });
    let changed = (first..).filter_map(|index| {
        let (mut text, attempts) = with_limits((index % SHIPPED as u64) as usize);
        let mut chance = Chance::of(!index);
        let changes = (0..=chance.below(3)).filter_map(|_| change(&mut text, &mut chance)).collect();
        pair(&text, attempts, changes)
    });
    shipped.chain(changed.take(CHANGED)).collect()
}

/// `None`: `check-policy` does not accept it.
fn pair(text: &str, attempts: usize, changes: Vec<String>) -> Option<Pair> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let prompt = |path: &str| std::fs::read_to_string(folder.join(path)).map_err(|error| error.to_string());
    let checked = check(text, "afk.toml", &Surroundings { prompt: &prompt, installed: &InstalledNames::default() });
    let off = checked.policy?;
    let shipped = changes.is_empty();
    // That the shipped rules hold is proven elsewhere.
    if !shipped && prove(&off).findings.iter().any(|finding| finding.severity == Severity::Error) {
        return None;
    }
    let mut on = off.clone();
    on.kill_switch.value = true;
    Some(Pair { off, on, attempts, shipped, changes })
}

/// The shipped policy, switched on, and how many corrections it allows.
fn with_limits(index: usize) -> (String, usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/afk.toml");
    let mut text = std::fs::read_to_string(path).unwrap();
    let mut chance = Chance::of(index as u64);
    let mut set = |before: &str, after: &str| {
        assert!(text.contains(before), "the shipped policy does not hold {before:?}");
        text = text.replacen(before, after, 1);
    };
    let attempts = if index == 0 { 5 } else { chance.of_these(&[0, 1, 2, 5]) };
    set("kill_switch = true", "kill_switch = false");
    set("allowlist   = []", "allowlist = [\"acme/*\"]");
    set("fix_forward_attempts = 5", &format!("fix_forward_attempts = {attempts}"));
    if index > 0 {
        let mut limit = |name: &str, before: &str, these: &[&str]| {
            let written = text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
            text = text.replacen(&written, &written.replacen(before, chance.of_these(these), 1), 1);
        };
        limit("slots_per_repo", "1", &["1", "1", "2", "3"]);
        limit("max_in_flight", "8", &["2", "8", "30"]);
        limit("max_per_tick", "4", &["1", "4", "20"]);
        limit("settle_time", "2m", &["2m", "3m", "10m"]);
        limit("edit_window", "2m", &["1s", "2m"]);
        limit("stall_timeout", "45m", &["20m", "45m"]);
        limit("run_timeout", "24h", &["5h", "12h", "24h"]);
        limit("effect_timeout", "1h", &["10m", "1h"]);
        let mut set = |before: &str, after: &str| text = text.replacen(before, after, 1);
        if chance.one_in(4) {
            set("denylist    = []", "denylist = [\"acme/r1\"]");
        }
        if index % 3 == 1 {
            set("landing      = \"push\"", "landing = \"pull_request\"");
        }
        if chance.one_in(3) {
            set("\"priority\", \"number\"]", "\"priority\", \"armed_at\", \"-number\"]");
        }
        if chance.one_in(4) {
            let table = "[repos.\"acme/r0\"]\ndispatch.slots_per_repo = 1\nlimits.run_timeout = \"3h\"\n\n[[gates]]";
            set("[[gates]]", table);
        }
    }
    (text, attempts)
}

/// Changes the rules in one place, and says how.
fn change(text: &mut String, chance: &mut Chance) -> Option<String> {
    const PLACES: [(&str, &str); 15] = [
        (", \"interrupt\"]", "]"),
        (", quiet = { gte = \"$limits.settle_time\" }", ""),
        ("agent = [\"idle\", \"failed\", \"gone\"]", "agent = [\"idle\", \"failed\"]"),
        ("agent = \"idle\"", "agent = [\"idle\", \"failed\"]"),
        ("told     = false\n", ""),
        ("attempts = { lt = \"$limits.fix_forward_attempts\" }\n", ""),
        ("{ remove_label = \"ready\" }, ", ""),
        ("{ comment = \"frozen\" }, ", ""),
        ("{ add_label = \"human\" }, ", ""),
        ("touched_protected = false, ", ""),
        ("landed = true, ", ""),
        ("ci = \"green\", ", ""),
        ("\"reopen\", ", ""),
        ("from   = [\"verifying\"]", "from   = [\"verifying\", \"fixing\"]"),
        ("{ notify = \"done\" }", "{ comment = \"in-review\" }, { notify = \"done\" }"),
    ];
    if chance.one_in(2) {
        let (before, after) = chance.of_these(&PLACES);
        let places: Vec<usize> = text.match_indices(before).map(|(place, _)| place).collect();
        if places.is_empty() {
            return None;
        }
        let place = chance.of_these(&places);
        text.replace_range(place..place + before.len(), after);
        return Some(format!("{before:?} became {after:?}"));
    }
    let kind = chance.of_these(&["[[gates]]", "[[transitions]]", "[[transitions]]"]);
    let starts: Vec<usize> = text.match_indices(kind).map(|(place, _)| place).collect();
    let nth = chance.below(starts.len() - 1);
    let (start, next) = (starts[nth], starts[nth + 1]);
    let block = text[start..next].to_owned();
    let name = block.lines().nth(1).unwrap_or_default().to_owned();
    text.replace_range(start..next, "");
    if chance.one_in(2) {
        return Some(format!("{kind} {name} was left out"));
    }
    let places: Vec<usize> = text.match_indices(kind).map(|(place, _)| place).collect();
    let place = chance.of_these(&places);
    text.insert_str(place, &block);
    Some(format!("{kind} {name} was moved"))
}
