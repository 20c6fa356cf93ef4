//! A test file: what it lays over the policy, and its cases one by one.

use std::cell::RefCell;
use std::rc::Rc;

use super::coverage::Covered;
use super::keys::reader;
use super::trace::Trace;
use super::{CaseResult, Difference, TestRun, issues, runs};
use crate::engine::step::Machines;
use crate::policy::check::Overlaid;
use crate::policy::check::reader::{Field, Reader};
use crate::policy::check::report::{Report, quoted};
use crate::policy::check::syntax;
use crate::policy::check::tree::Table;
use crate::policy::{Code, Finding, Policy, Source, Span, Surroundings};

/// More cases than this nobody reads.
const MAX_CASES: usize = 2000;

/// What one case is run with.
#[derive(Clone, Copy)]
pub struct Setting<'a, 'p> {
    /// The policy, with everything that the tests lay over it.
    pub policy: &'p Policy,
    pub machines: &'a Machines<'p>,
    pub report: &'a Report,
}

/// What a case came to.
pub type Played = (Vec<Difference>, Trace);

/// Runs every case of a test file.
pub fn run(base: &Policy, tests: &Source, surroundings: &Surroundings<'_>) -> TestRun {
    let report = Report::new(&tests.name);
    let mut covered = Covered::default();
    let parsed = syntax::parse(&tests.text, &report).filter(|parsed| parsed.sound);
    let overlaid = Overlaid::new(&base.source, tests, surroundings);
    let file = overlaid.map(|overlaid| File { base, overlaid, report: &report, known: RefCell::new(Vec::new()) });
    let cases = parsed.as_ref().and_then(|parsed| file?.cases(&parsed.root, &mut covered)).unwrap_or_default();
    TestRun { source: tests.clone(), cases, covered, findings: report.finish() }
}

struct File<'a> {
    base: &'a Policy,
    overlaid: Overlaid<'a>,
    report: &'a Report,
    /// What cases laid over the policy, and what came of it: many ask for the same.
    known: RefCell<Vec<(&'a Table<'a>, Rc<Policy>)>>,
}

impl<'a> File<'a> {
    fn cases(&self, root: &'a Table<'a>, covered: &mut Covered) -> Option<Vec<CaseResult>> {
        let top = reader("the test file", root, Span::default(), &["policy", "cases"], self.report);
        let mut layers = Vec::new();
        let shared = match top.optional("policy") {
            Some(field) => {
                layers.push(field.table()?);
                self.keep(self.overlaid.check(&layers, field.node.span))?
            }
            None => self.base.clone(),
        };
        let field = top.required("cases", "[[cases]]")?;
        let cases = field.list(MAX_CASES)?;
        if cases.is_empty() {
            field.out_of_range("the test file has no cases", "write [[cases]]");
        }
        let mut names: Vec<String> = Vec::new();
        let mut results = Vec::new();
        let machines = Machines::new(&shared);
        for case in &cases {
            results.extend(self.case(case, &shared, &machines, &layers, &mut names, covered));
        }
        Some(results)
    }

    fn case<'s>(
        &self,
        case: &Field<'a>,
        shared: &'s Policy,
        machines: &Machines<'s>,
        layers: &[&'a Table<'a>],
        names: &mut Vec<String>,
        covered: &mut Covered,
    ) -> Option<CaseResult> {
        const KEYS: [&str; 6] = ["name", "policy", "issues", "in_flight", "run", "expect"];
        let table = reader("this case", case.table()?, case.node.span, &KEYS, self.report);
        let sound = table.table.keys().iter().all(|key| KEYS.contains(key));
        let named = table.required("name", "name = \"what should happen\"").and_then(|field| self.name(&field, names));
        let laid_over = match table.optional("policy") {
            Some(field) => Some(self.laid_over(layers, field.table()?, field.span)?),
            None => None,
        };
        let report = self.report;
        let (differences, trace) = match laid_over.as_deref() {
            Some(policy) => self.played(&table, Setting { policy, machines: &Machines::new(policy), report }, covered),
            None => self.played(&table, Setting { policy: shared, machines, report }, covered),
        }?;
        let (name, span) = named.filter(|_| sound)?;
        Some(CaseResult { name, span, differences, trace })
    }

    fn name(&self, field: &Field<'_>, names: &mut Vec<String>) -> Option<(String, Span)> {
        let name = field.filled_text()?;
        if names.iter().any(|other| other == name) {
            let message = format!("two cases are called {}", quoted(name));
            self.report.error(Code::Duplicate, field.node.span, message, "rename one of them");
            return None;
        }
        names.push(name.to_owned());
        Some((name.to_owned(), field.span))
    }

    fn played(&self, table: &Reader<'_>, setting: Setting<'_, '_>, covered: &mut Covered) -> Option<Played> {
        let asked = (table.optional("issues"), table.optional("run"), table.optional("in_flight"));
        let expect = table.required("expect", "expect = { … }: what the policy should decide");
        let wrong = |code, message: &str, label: &str| {
            self.report.error(code, table.span, message, label);
            None
        };
        match asked {
            (Some(issues), None, in_flight) => issues::play(setting, &issues, in_flight.as_ref(), &expect?, covered),
            (None, Some(run), None) => runs::play(setting, &run, &expect?, covered),
            (None, Some(_), Some(_)) => {
                wrong(Code::UnknownKey, "`in_flight` is for cases with `issues`", "leave it out beside `run`")
            }
            (Some(_), Some(_), _) => {
                wrong(Code::UnknownKey, "this case has both `issues` and `run`", "make two cases of it")
            }
            (None, None, _) => wrong(
                Code::MissingKey,
                "this case has neither `issues` nor `run`",
                "add issues = [{ repo = \"acme/app\", number = 1 }], or run = { state = \"…\" }",
            ),
        }
    }

    fn laid_over(&self, layers: &[&Table<'_>], own: &'a Table<'a>, place: Span) -> Option<Rc<Policy>> {
        if let Some((_, policy)) = self.known.borrow().iter().find(|(table, _)| table.says_the_same(own)) {
            return Some(Rc::clone(policy));
        }
        let layers: Vec<&Table<'_>> = layers.iter().copied().chain([own]).collect();
        let policy = Rc::new(self.keep(self.overlaid.check(&layers, place))?);
        self.known.borrow_mut().push((own, Rc::clone(&policy)));
        Some(policy)
    }

    fn keep(&self, checked: Result<Policy, Vec<Finding>>) -> Option<Policy> {
        checked.map_err(|findings| findings.into_iter().for_each(|finding| self.report.add(finding))).ok()
    }
}
