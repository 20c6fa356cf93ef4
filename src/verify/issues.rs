//! What is proven of the gates: which issues can be dispatched.

use super::axioms;
use super::case::Case;
use super::diagram::{Diagrams, Region};
use super::space::{Constants, Space, Truth};
use super::{Breach, Evidence};
use crate::policy::facts::{FactName, IssueFact, IssueFacts};
use crate::policy::{
    Code, Comparison, Condition, GateRules, LabelRole, Matcher, Quantity, RepoList, RepoPattern, Span, Test,
};

/// The gates of one scope, decided.
pub struct Gates<'p> {
    pub rules: GateRules<'p>,
    pub space: Space<IssueFact>,
    pub possible: Region,
    pub truths: Vec<Truth>,
    /// Where every gate holds.
    pub passes: Region,
    /// Where each gate is the one that fires.
    pub fires: Vec<Region>,
}

impl<'p> Gates<'p> {
    /// `None`: more variables than can be decided.
    pub fn new(
        diagrams: &mut Diagrams,
        rules: GateRules<'p>,
        denylist: &[RepoPattern],
        scope: Option<&RepoPattern>,
        outside: &[RepoPattern],
    ) -> Option<Self> {
        let space = space(diagrams, [rules], &[denylist], scope, outside)?;
        Some(Self::over(diagrams, rules, space))
    }

    /// The gates over a space that is already cut.
    pub fn over(diagrams: &mut Diagrams, rules: GateRules<'p>, space: Space<IssueFact>) -> Self {
        let possible = axioms::issues(&space, diagrams, &rules);
        let truths: Vec<Truth> = rules.gates.iter().map(|gate| space.truth(diagrams, &gate.require)).collect();
        let passes = diagrams.all(truths.iter().map(|truth| truth.holds));
        let passes = diagrams.and(passes, possible);
        // The first that is known to deny; only where none is, the first that cannot tell.
        let mut fires = Vec::new();
        let mut free = possible;
        for truth in &truths {
            fires.push(diagrams.and(free, truth.fails));
            free = diagrams.without(free, truth.fails);
        }
        for (truth, fires) in truths.iter().zip(&mut fires) {
            let unknown = diagrams.without(free, truth.holds);
            *fires = diagrams.or(*fires, unknown);
            free = diagrams.and(free, truth.holds);
        }
        Self { rules, space, possible, truths, passes, fires }
    }

    fn test(&self, diagrams: &mut Diagrams, fact: IssueFact, matcher: Matcher) -> Region {
        self.space.matches(diagrams, &Test { fact, matcher, span: Default::default() })
    }

    /// What must never be dispatched.
    fn forbidden(&self, diagrams: &mut Diagrams, denylist: &[RepoPattern]) -> Vec<Forbidden> {
        use IssueFact as Fact;
        let unknown = |diagrams: &mut Diagrams, fact| {
            let known = self.space.known(diagrams, fact);
            diagrams.not(known)
        };
        let slots = i64::try_from(self.rules.slots_per_repo).unwrap_or(i64::MAX);
        let denied = RepoList::new(denylist.to_vec(), false, true);
        let listed = self.space.allowlisted(diagrams);
        let human = self.rules.labels.of(LabelRole::Human);
        let paused = self.rules.labels.of(LabelRole::Paused);
        let mut test = |fact, matcher| self.test(diagrams, fact, matcher);
        let untrusted = test(Fact::Trusted, Matcher::Is(false));
        let denied = test(Fact::Repo, Matcher::In(denied));
        let runs = test(Fact::HasRun, Matcher::Is(true));
        let full = test(Fact::InFlightInRepo, Matcher::Compare(Comparison::Gte, Quantity::Int(slots)));
        let blocked = test(Fact::OpenBlockers, Matcher::Empty(false));
        let had_run = test(Fact::AlreadyRun, Matcher::Is(true));
        let waits_for_a_person = test(Fact::Labels, Matcher::HasAny(vec![human.to_owned()]));
        let held_back = test(Fact::Labels, Matcher::HasAny(vec![paused.to_owned()]));
        let known = [
            (Code::UntrustedDispatch, Fact::Trusted, untrusted, "armed by somebody who may not arm issues".to_owned()),
            (
                Code::UnlistedDispatch,
                Fact::Repo,
                diagrams.not(listed),
                "of a repository that is not on the allowlist".to_owned(),
            ),
            (Code::UnlistedDispatch, Fact::Repo, denied, "of a repository on the denylist".to_owned()),
            (Code::DoubleDispatch, Fact::HasRun, runs, "that has a run in flight".to_owned()),
            (Code::DoubleDispatch, Fact::InFlightInRepo, full, "of a repository without a free slot".to_owned()),
            (Code::BlockedDispatch, Fact::OpenBlockers, blocked, "with an open blocker".to_owned()),
            (Code::RearmLoop, Fact::AlreadyRun, had_run, "whose arming already had its run".to_owned()),
            (Code::RearmLoop, Fact::Labels, waits_for_a_person, format!("that waits for a person (label `{human}`)")),
            (Code::RearmLoop, Fact::Labels, held_back, format!("that a person holds back (label `{paused}`)")),
        ];
        let mut forbidden: Vec<Forbidden> =
            known.into_iter().map(|(code, fact, region, what)| Forbidden { code, fact, region, what }).collect();
        for (code, fact) in [
            (Code::UntrustedDispatch, Fact::Trusted),
            (Code::DoubleDispatch, Fact::HasRun),
            (Code::DoubleDispatch, Fact::InFlightInRepo),
            (Code::BlockedDispatch, Fact::OpenBlockers),
            (Code::RearmLoop, Fact::AlreadyRun),
            (Code::RearmLoop, Fact::Labels),
        ] {
            let region = unknown(diagrams, fact);
            let what = format!("of which `{}` is unknown", fact.spec().name);
            forbidden.push(Forbidden { code, fact, region, what });
        }
        forbidden
    }

    /// Whether anything forbidden can be dispatched: at most one breach for each invariant and fact.
    pub fn breaches(&self, diagrams: &mut Diagrams, denylist: &[RepoPattern]) -> Vec<(Code, Breach)> {
        let mut breaches: Vec<(Code, Breach)> = Vec::new();
        for one in self.forbidden(diagrams, denylist) {
            let dispatched = diagrams.and(self.passes, one.region);
            let Some(example) = self.space.example(diagrams, dispatched) else { continue };
            let span = self.nearest(one.fact);
            let fact = one.fact.spec().name;
            let label = match span {
                Some(_) => "this does not keep it out".to_owned(),
                None => format!("no gate looks at `{fact}`"),
            };
            let span = span.or(self.rules.gates.first().map(|gate| gate.span)).unwrap_or_default();
            let name = format!("{}: an issue {}", one.code.name(), one.what);
            let message = format!("an issue {} can be dispatched", one.what);
            // That a fact may be unknown as well is no second mistake.
            if !breaches.iter().any(|(code, breach)| *code == one.code && breach.span == span) {
                let cases = vec![Case { name, example, run: None }];
                breaches.push((one.code, Breach { message, span, label, cases, notes: Vec::new() }));
            }
        }
        breaches
    }

    /// Where the gates come closest to looking at a fact.
    fn nearest(&self, fact: IssueFact) -> Option<Span> {
        fn find(condition: &Condition<IssueFact>, fact: IssueFact) -> Option<Span> {
            match condition {
                Condition::All(parts) | Condition::Any(parts) => parts.iter().find_map(|part| find(part, fact)),
                Condition::Not(part) => find(part, fact),
                Condition::Test(test) => (test.fact == fact).then_some(test.span),
            }
        }
        self.rules.gates.iter().find_map(|gate| find(&gate.require, fact))
    }

    /// What the proof of an invariant stands on: the gates without which it would not hold.
    pub fn evidence(&self, diagrams: &mut Diagrams, denylist: &[RepoPattern], code: Code) -> Evidence {
        let forbidden = self.forbidden(diagrams, denylist);
        let regions = forbidden.into_iter().filter(|one| one.code == code).map(|one| one.region);
        let region = diagrams.any(regions);
        let start = diagrams.and(self.possible, region);
        // Gates are let go one by one, as long as the others still keep everything out.
        let mut kept: Vec<Region> = self.truths.iter().map(|truth| truth.holds).collect();
        let mut index = 0;
        while index < kept.len() {
            let others = kept.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, region)| *region);
            let passes = diagrams.all(others.collect::<Vec<_>>());
            if diagrams.and(start, passes).is_empty() {
                kept.remove(index);
            } else {
                index = index.saturating_add(1);
            }
        }
        kept.push(region);
        Evidence::of(diagrams, &self.space, kept, [])
    }

    /// What stands behind a statement on all gates.
    pub fn evidence_of_all(&self, diagrams: &Diagrams) -> Evidence {
        Evidence::of(diagrams, &self.space, self.truths.iter().flat_map(|truth| [truth.holds, truth.fails]), [])
    }

    /// What shadows a gate that never fires: others without which it would, as few and as early as possible.
    pub fn shadows(&self, diagrams: &mut Diagrams, gate: usize) -> Vec<usize> {
        let mut kept: Vec<usize> = (0..self.truths.len()).filter(|other| *other != gate).collect();
        for candidate in (0..self.truths.len()).rev() {
            let others: Vec<usize> = kept.iter().copied().filter(|other| *other != candidate).collect();
            if others.len() < kept.len() && !self.fires_among(diagrams, gate, &others) {
                kept = others;
            }
        }
        kept
    }

    /// Whether a gate would ever fire, were these the only others.
    fn fires_among(&self, diagrams: &mut Diagrams, gate: usize, others: &[usize]) -> bool {
        let Some(own) = self.truths.get(gate) else { return false };
        let (mut none_denied, mut none_before) = (self.possible, self.possible);
        let mut all_sure_before = Region::EVERYTHING;
        for (index, truth) in self.truths.iter().enumerate().filter(|(index, _)| others.contains(index)) {
            none_denied = diagrams.without(none_denied, truth.fails);
            if index < gate {
                none_before = diagrams.without(none_before, truth.fails);
                all_sure_before = diagrams.and(all_sure_before, truth.holds);
            }
        }
        let denies = diagrams.and(none_before, own.fails);
        let unsure = diagrams.without(none_denied, own.fails);
        let unsure = diagrams.without(unsure, own.holds);
        !denies.is_empty() || diagrams.meet(unsure, all_sure_before)
    }
}

/// Issues that no policy may dispatch.
struct Forbidden {
    code: Code,
    /// The fact by which they are told.
    fact: IssueFact,
    region: Region,
    /// In words, after "an issue".
    what: String,
}

/// The space of the issues of several policies, cut along the constants of all of them.
pub fn space<'p>(
    diagrams: &mut Diagrams,
    policies: impl IntoIterator<Item = GateRules<'p>>,
    denylists: &[&[RepoPattern]],
    scope: Option<&RepoPattern>,
    outside: &[RepoPattern],
) -> Option<Space<IssueFact>> {
    let mut constants = Constants::new();
    let mut harmless = None;
    for rules in policies {
        rules.gates.iter().for_each(|gate| constants.of_condition(&gate.require));
        axioms::cuts_of_issues(&mut constants, &rules);
        harmless.get_or_insert_with(|| IssueFacts::harmless("acme/app", 1, &rules.labels.ready.value));
    }
    denylists.iter().for_each(|denylist| constants.patterns(denylist));
    Space::new(diagrams, constants, &harmless?, scope, outside)
}
