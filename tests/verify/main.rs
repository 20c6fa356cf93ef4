//! The proofs: of the policies of the distribution, and against plain search.

mod adversarial;
mod breaks;
mod enumeration;
mod generated;
mod reproduce;
mod values;

use std::path::Path;

use afk::policy::{InstalledNames, Policy, Surroundings, check};
use afk::verify::{self, Proofs};

fn policy(path: &str) -> Policy {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(&path).unwrap();
    let beside = path.parent().unwrap();
    let prompt = |name: &str| std::fs::read_to_string(beside.join(name)).map_err(|error| error.to_string());
    let installed = InstalledNames::default();
    let checked = check(&text, "policies/afk.toml", &Surroundings { prompt: &prompt, installed: &installed });
    checked.policy.unwrap_or_else(|| panic!("{:?}", checked.findings))
}

fn told(proofs: &Proofs) -> String {
    let findings = proofs.findings.iter().map(|one| {
        format!(
            "{} {}: {} [{}]\n{}\n",
            one.severity.word(),
            one.code.name(),
            one.message,
            one.label,
            one.help.join("\n")
        )
    });
    let proofs = proofs.proofs.iter().map(|proof| {
        let evidence = &proof.evidence;
        format!("{} {:?} {} {}\n", proof.invariant.name(), proof.outcome, evidence.regions, evidence.facts.join(" "))
    });
    findings.chain(proofs).collect()
}

#[test]
fn every_invariant_of_the_shipped_policy_holds_for_every_input() {
    let proofs = verify::prove(&policy("policies/afk.toml"));
    assert_eq!(told(&proofs).lines().filter(|line| !line.contains(" Holds ")).collect::<Vec<_>>(), Vec::<&str>::new());
    assert_eq!(proofs.proofs.len(), 14);
}

#[test]
fn the_classic_policy_breaks_only_what_it_waives() {
    let proofs = verify::prove(&policy("examples/policies/classic.toml"));
    let broken: Vec<_> = proofs.proofs.iter().filter(|proof| proof.outcome != verify::Outcome::Holds).collect();
    let [waived] = broken.as_slice() else { panic!("{}", told(&proofs)) };
    assert_eq!((waived.invariant.name(), waived.outcome), ("unbounded-run", verify::Outcome::Waived));
}
