//! Proofs in words.

use std::collections::BTreeMap;

use super::{Area, Breach, Evidence, INVARIANTS, Outcome, Proof, Proofs};
use crate::policy::{Code, Finding, Policy, SAFETY_INVARIANTS, Severity, Span};

/// Collects what was proven.
pub struct Report<'p> {
    policy: &'p Policy,
    proofs: BTreeMap<Code, (Outcome, Evidence)>,
    findings: Vec<Finding>,
}

impl<'p> Report<'p> {
    pub fn new(policy: &'p Policy) -> Self {
        Self { policy, proofs: BTreeMap::new(), findings: Vec::new() }
    }

    /// Adds what the proof of an invariant stands on.
    pub fn evidence(&mut self, code: Code, evidence: Evidence) {
        self.proofs.entry(code).or_insert((Outcome::Holds, Evidence::default())).1.join(evidence);
    }

    /// A rule that does nothing, or nothing while a limit is 0.
    pub fn idle(&mut self, code: Code, breach: Breach, switched_off: bool) {
        if switched_off {
            let message = format!("{}: a limit of 0 switches it off", breach.message);
            self.findings.push(self.finding(Code::SwitchedOff, Severity::Note, Breach { message, ..breach }));
        } else {
            self.proofs.insert(code, (Outcome::Broken, Evidence::default()));
            self.findings.push(self.finding(code, Severity::Warning, breach));
        }
    }

    /// An invariant that does not hold for an area.
    pub fn broken(&mut self, area: &Area<'_>, code: Code, mut breach: Breach) {
        if let Some(scope) = area.scope {
            breach.notes.push(format!("with the overrides of `[repos.\"{scope}\"]`"));
        }
        // The same mistake, seen from an override that does not touch it.
        if self.findings.iter().any(|one| one.message.ends_with(&breach.message) && one.span == breach.span) {
            return;
        }
        let waiver = self.policy.waivers.iter().find(|waiver| waiver.invariant.value == code.name());
        let (outcome, severity) = match waiver {
            Some(waiver) if SAFETY_INVARIANTS.contains(&code.name()) => {
                breach.message = format!("waived ({}): {}", waiver.reason, breach.message);
                (Outcome::Waived, Severity::Note)
            }
            _ => (Outcome::Broken, Severity::Error),
        };
        let proof = self.proofs.entry(code).or_insert((outcome, Evidence::default()));
        proof.0 = outcome;
        self.findings.push(self.finding(code, severity, breach));
    }

    fn finding(&self, code: Code, severity: Severity, breach: Breach) -> Finding {
        let mut help = Vec::new();
        let cases: Vec<String> = breach.cases.iter().map(|case| case.write()).collect();
        if !cases.is_empty() {
            let cases = cases.join("\n");
            help.push(format!("for example, as a case for `afk test-policy`:\n\n{}", indented(&cases)));
        }
        help.extend(breach.notes);
        if severity == Severity::Error {
            help.push(format!("mend it: {}", code.mend()));
        }
        Finding {
            code,
            severity,
            message: breach.message,
            file: self.policy.source.name.clone(),
            span: breach.span,
            label: breach.label,
            help,
        }
    }

    /// The work ran out while an area was decided: nothing that was not decided is accepted.
    pub fn undecided(&mut self, area: &Area<'_>) {
        let scope = area.scope.map_or(String::new(), |scope| format!(" for `{scope}`"));
        let span = area.rules.transitions.first().map_or(Span::default(), |row| row.span);
        let breach = Breach {
            message: format!("the rules are too entangled to be decided exactly{scope}"),
            span,
            label: "gates or rows of this policy combine too many facts".to_owned(),
            cases: Vec::new(),
            notes: Vec::new(),
        };
        self.findings.retain(|finding| finding.severity == Severity::Error);
        self.findings.push(self.finding(Code::TooLargeToProve, Severity::Error, breach));
        for code in INVARIANTS {
            let proof = self.proofs.entry(code).or_insert((Outcome::Undecided, Evidence::default()));
            if proof.0 == Outcome::Holds {
                proof.0 = Outcome::Undecided;
            }
        }
    }

    /// A waiver of what holds is one that nobody needs.
    fn needless_waivers(&mut self) {
        for waiver in &self.policy.waivers {
            let code = Code::named(&waiver.invariant.value);
            let holds =
                code.and_then(|code| self.proofs.get(&code)).is_some_and(|(outcome, _)| *outcome == Outcome::Holds);
            if holds {
                let breach = Breach {
                    message: format!("`{}` is waived, and holds", waiver.invariant.value),
                    span: waiver.invariant.span,
                    label: "remove the waiver: it would hide the day on which it no longer does".to_owned(),
                    cases: Vec::new(),
                    notes: Vec::new(),
                };
                self.findings.push(self.finding(Code::BadWaiver, Severity::Warning, breach));
            }
        }
    }

    pub fn finish(mut self) -> Proofs {
        self.needless_waivers();
        self.findings.sort_by_key(|finding| (finding.severity, finding.span));
        let proofs = INVARIANTS.into_iter().map(|invariant| {
            let (outcome, evidence) = self.proofs.remove(&invariant).unwrap_or((Outcome::Holds, Evidence::default()));
            Proof { invariant, outcome, evidence }
        });
        Proofs { proofs: proofs.collect(), findings: self.findings }
    }
}

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| if line.is_empty() { line.to_owned() } else { format!("    {line}") })
        .collect::<Vec<_>>()
        .join("\n")
}
