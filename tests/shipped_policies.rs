//! The policies of the distribution are sound, and the shipped one does nothing until somebody decides that it shall.

use std::path::Path;

use afk::policy::{Checked, Code, InstalledNames, Severity, Surroundings, check};
use pretty_assertions::assert_eq;

fn check_file(path: &str) -> Checked {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(&path).unwrap();
    let beside = path.parent().unwrap();
    let prompt = |name: &str| std::fs::read_to_string(beside.join(name)).map_err(|error| error.to_string());
    check(&text, "policy.toml", &Surroundings { prompt: &prompt, installed: &InstalledNames::default() })
}

fn complaints(checked: &Checked) -> Vec<String> {
    checked
        .findings
        .iter()
        .filter(|finding| finding.severity != Severity::Note)
        .map(|finding| format!("{} {}: {} ({})", finding.code.name(), finding.file, finding.message, finding.label))
        .collect()
}

#[test]
fn the_shipped_policy_is_sound_and_says_that_it_dispatches_nothing() {
    let checked = check_file("policies/afk.toml");
    assert_eq!(complaints(&checked), Vec::<String>::new());
    let notes: Vec<(Code, &str)> =
        checked.findings.iter().map(|finding| (finding.code, finding.message.as_str())).collect();
    assert_eq!(
        notes,
        [(
            Code::DispatchesNothing,
            "this policy dispatches nothing: kill_switch is true (line 8), allowlist is empty (line 9)"
        )]
    );
    let policy = checked.policy.unwrap();
    assert!(policy.kill_switch.value);
    assert!(!policy.enrolled("acme/app"));
    assert_eq!(policy.revision.len(), 64);
    assert_eq!(policy.base.gates.len(), 8);
    assert_eq!(policy.base.initial_state().unwrap().name, "working");
    assert_eq!(policy.line(policy.base.gates[0].span), 69);
}

#[test]
fn the_classic_policy_is_sound() {
    let checked = check_file("examples/policies/classic.toml");
    assert_eq!(complaints(&checked), Vec::<String>::new());
    let policy = checked.policy.unwrap();
    assert_eq!(policy.base.states.iter().filter(|state| state.outcome.is_none()).count(), 1);
    assert!(!policy.waivers.is_empty());
}

#[test]
fn the_policy_of_the_quickstart_is_sound_and_enrols_the_toy_repository_only() {
    let checked = check_file("examples/quickstart/policies/afk.toml");
    assert_eq!(complaints(&checked), Vec::<String>::new());
    let policy = checked.policy.unwrap();
    assert!(!policy.kill_switch.value);
    assert!(policy.enrolled("greeter") && !policy.enrolled("acme/app"));
}

#[test]
fn the_quickstart_moves_runs_by_the_rows_of_the_shipped_policy() {
    let rows = |path: &str| {
        let policy = check_file(path).policy.unwrap();
        let rows = policy.base.transitions.iter().map(|row| (row.name.clone(), row.to.clone(), row.action.clone()));
        let gates = policy.base.gates.iter().map(|gate| gate.name.clone());
        (gates.collect::<Vec<_>>(), rows.collect::<Vec<_>>())
    };
    assert_eq!(rows("examples/quickstart/policies/afk.toml"), rows("policies/afk.toml"));
}
