//! Proofs in words.

use std::collections::BTreeMap;

use super::space::MAX_VARIABLES;
use super::{Area, Breach, Evidence, INVARIANTS, Limit, Met, OF_GATES, Outcome, Proof, Proofs, Subject};
use crate::policy::{Code, Finding, SAFETY_INVARIANTS, Severity};

/// Collects what was proven.
pub struct Report<'p> {
    subject: &'p Subject<'p>,
    proofs: BTreeMap<Code, (Outcome, Evidence)>,
    findings: Vec<Finding>,
}

impl<'p> Report<'p> {
    pub fn new(subject: &'p Subject<'p>) -> Self {
        let (gates, runs) = subject.readable();
        let made = INVARIANTS.into_iter().filter(|code| if OF_GATES.contains(code) { gates } else { runs });
        // Until somebody shows that it does not.
        let proofs = made.map(|code| (code, (Outcome::Holds, Evidence::default()))).collect();
        Self { subject, proofs, findings: Vec::new() }
    }

    /// Adds what the proof of an invariant stands on.
    pub fn evidence(&mut self, code: Code, evidence: Evidence) {
        if let Some((_, known)) = self.proofs.get_mut(&code) {
            known.join(evidence);
        }
    }

    /// A rule that does nothing, or nothing while a limit is 0.
    pub fn idle(&mut self, code: Code, breach: Breach, switched_off: bool) {
        if switched_off {
            let message = format!("{}: a limit of 0 switches it off", breach.message);
            self.findings.push(self.finding(Code::SwitchedOff, Severity::Note, Breach { message, ..breach }));
        } else {
            self.set(code, Outcome::Broken);
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
        let waiver = self.subject.waivers.iter().find(|waiver| waiver.invariant.value == code.name());
        let (outcome, severity) = match waiver {
            Some(waiver) if SAFETY_INVARIANTS.contains(&code.name()) => {
                breach.message = format!("waived ({}): {}", waiver.reason, breach.message);
                (Outcome::Waived, Severity::Note)
            }
            _ => (Outcome::Broken, Severity::Error),
        };
        self.set(code, outcome);
        self.findings.push(self.finding(code, severity, breach));
    }

    fn set(&mut self, code: Code, outcome: Outcome) {
        if let Some((known, _)) = self.proofs.get_mut(&code) {
            *known = outcome;
        }
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
            file: self.subject.source.name.clone(),
            span: breach.span,
            label: breach.label,
            help,
        }
    }

    /// A limit was met while an area was decided: nothing that was not decided is accepted.
    pub fn undecided(&mut self, area: &Area<'_>, met: Met) {
        let scope = area.scope.map_or(String::new(), |scope| format!(" for `{scope}`"));
        let row = area.runs.and_then(|rules| rules.transitions.first()).map(|row| row.span);
        let gate = area.gates.and_then(|rules| rules.gates.first()).map(|gate| gate.span);
        // The list that was at work: no rule of it is to blame by itself.
        let (span, rules) = match (gate, row) {
            (Some(gate), _) if met.by_gates => (gate, "gates"),
            (_, Some(row)) => (row, "rows"),
            (gate, None) => (gate.unwrap_or_default(), "gates"),
        };
        let (message, label) = match met.limit {
            Limit::Steps => (
                format!("the rules are too entangled, or hold too many patterns, to be decided exactly{scope}"),
                format!("the {rules} from here on combine too many facts, or name too many repositories"),
            ),
            Limit::Variables => (
                format!("the rules name too many labels, logins and stages to be decided exactly{scope}"),
                format!("the {rules} from here on name more than {MAX_VARIABLES} of them in all"),
            ),
        };
        let breach = Breach { message, span, label, cases: Vec::new(), notes: Vec::new() };
        self.findings.retain(|finding| finding.severity == Severity::Error);
        self.findings.push(self.finding(Code::TooLargeToProve, Severity::Error, breach));
        for (outcome, _) in self.proofs.values_mut().filter(|(outcome, _)| *outcome == Outcome::Holds) {
            *outcome = Outcome::Undecided;
        }
    }

    /// A waiver of what holds is one that nobody needs.
    fn needless_waivers(&mut self) {
        for waiver in self.subject.waivers {
            let code = Code::named(&waiver.invariant.value);
            // What nothing was said of holds.
            let holds = |code| self.proofs.get(&code).is_none_or(|(outcome, _)| *outcome == Outcome::Holds);
            let holds = code.is_some_and(holds);
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
        let proofs = INVARIANTS.into_iter().filter_map(|invariant| {
            let (outcome, evidence) = self.proofs.remove(&invariant)?;
            Some(Proof { invariant, outcome, evidence })
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
