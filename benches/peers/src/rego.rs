//! regorus, as its own benchmarks use it where it is fastest: policies compiled once, the machine kept, inputs made
//! beforehand. It gives the first gate that fires and makes no trace.

use std::collections::{BTreeMap, BTreeSet};

use afk::engine::select::{Candidate, Outcome};
use afk::policy::facts::{Observed, RunFacts};
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::RegoVM;
use regorus::{CompiledPolicy, Engine as Regorus, Rc, Value};

use crate::{Engine, contest, world};

const GATE: &str = "data.afk.fired";
const ROW: &str = "data.afk.row";

/// Its tree-walking interpreter.
pub struct Interpreter {
    gates: CompiledPolicy,
    rows: CompiledPolicy,
}

/// Its register machine.
pub struct Machine {
    gates: RegoVM,
    rows: RegoVM,
}

fn compile(entry: &str, text: &str) -> CompiledPolicy {
    let mut engine = Regorus::new();
    engine.add_policy("afk.rego".to_owned(), text.to_owned()).expect("a policy that parses");
    engine.add_data(data()).expect("data of this form");
    engine.compile_with_entrypoint(&Rc::from(entry)).expect("a policy that compiles")
}

fn load(entry: &str, text: &str) -> RegoVM {
    let program = Compiler::compile_from_policy(&compile(entry, text), &[entry]).expect("a policy for the machine");
    let mut machine = RegoVM::new();
    machine.load_program(program);
    machine.set_data(data()).expect("data of this form");
    machine
}

fn data() -> Value {
    let listed = world::allowlist().into_iter().map(|repo| (repo, Value::from(true)));
    object([("allowlist", object(listed))])
}

fn object(entries: impl IntoIterator<Item = (impl Into<String>, Value)>) -> Value {
    Value::from(entries.into_iter().map(|(key, value)| (Value::from(key.into()), value)).collect::<BTreeMap<_, _>>())
}

fn set(members: &Observed<Vec<String>>) -> Value {
    let members = members.known().expect("every fact is known");
    Value::from(members.iter().map(|member| Value::from(member.as_str())).collect::<BTreeSet<_>>())
}

fn flag(fact: &Observed<bool>) -> Value {
    Value::from(*fact.known().expect("every fact is known"))
}

/// An issue as regorus reads it, with only the facts that the gates read.
fn issue(issue: &Candidate) -> Value {
    let facts = &issue.facts;
    object([
        ("repo", Value::from(facts.repo.as_str())),
        ("labels", set(&facts.labels)),
        ("has_run", flag(&facts.has_run)),
        ("in_flight_in_repo", Value::from(*facts.in_flight_in_repo.known().expect("every fact is known"))),
        ("trusted", flag(&facts.trusted)),
        ("already_run", flag(&facts.already_run)),
        ("edited_since_armed", flag(&facts.edited_since_armed)),
        ("open_blockers", set(&facts.open_blockers)),
    ])
}

fn run((state, facts): (&str, RunFacts)) -> Value {
    let known = "every fact is known";
    let seconds = |time: std::time::Duration| Value::from(time.as_secs());
    object([
        ("state", Value::from(state)),
        ("agent", Value::from(facts.agent.word())),
        ("pushed", flag(&facts.pushed)),
        ("landed", flag(&facts.landed)),
        ("pull_request", Value::from(facts.pull_request.known().expect(known).word())),
        ("touched_protected", flag(&facts.touched_protected)),
        ("ci", Value::from(facts.ci.word())),
        ("attempts", Value::from(facts.attempts)),
        ("told", Value::from(facts.told)),
        ("age", seconds(facts.age)),
        ("quiet", seconds(facts.quiet)),
        ("verdict_wait", seconds(facts.verdict_wait)),
        ("red_for", seconds(facts.red_for)),
        ("issue", Value::from(facts.issue.known().expect(known).word())),
        ("held", flag(&facts.held)),
        ("cost_usd", Value::from(*facts.cost_usd.known().expect(known) as i64)),
    ])
}

/// Which gate or row an answer names.
fn named(answer: regorus::Value) -> Option<usize> {
    usize::try_from(answer.as_i64().expect("a number")).ok()
}

impl Engine for Interpreter {
    type Issues = (Vec<Candidate>, Vec<Value>);
    type Runs = Vec<Value>;
    type Decisions = Vec<Outcome>;

    fn prepare() -> Self {
        Self { gates: compile(GATE, include_str!("gates.rego")), rows: compile(ROW, include_str!("rows.rego")) }
    }

    fn issues(issues: Vec<Candidate>) -> Self::Issues {
        let values = issues.iter().map(issue).collect();
        (issues, values)
    }

    fn runs(&mut self, runs: Vec<(&'static str, RunFacts)>) -> Self::Runs {
        runs.into_iter().map(run).collect()
    }

    fn select(&mut self, (issues, values): &Self::Issues, in_flight: &[String]) -> Vec<Outcome> {
        contest::select(issues, in_flight, |index, _| {
            named(self.gates.eval_with_input(values[index].clone()).expect("an answer"))
        })
    }

    fn outcomes(decisions: Vec<Outcome>) -> Vec<Outcome> {
        decisions
    }

    fn step(&mut self, runs: &Self::Runs) -> Vec<Option<usize>> {
        runs.iter().map(|run| named(self.rows.eval_with_input(run.clone()).expect("an answer"))).collect()
    }
}

impl Engine for Machine {
    type Issues = (Vec<Candidate>, Vec<Value>);
    type Runs = Vec<Value>;
    type Decisions = Vec<Outcome>;

    fn prepare() -> Self {
        Self { gates: load(GATE, include_str!("gates.rego")), rows: load(ROW, include_str!("rows.rego")) }
    }

    fn issues(issues: Vec<Candidate>) -> Self::Issues {
        Interpreter::issues(issues)
    }

    fn runs(&mut self, runs: Vec<(&'static str, RunFacts)>) -> Self::Runs {
        runs.into_iter().map(run).collect()
    }

    fn select(&mut self, (issues, values): &Self::Issues, in_flight: &[String]) -> Vec<Outcome> {
        contest::select(issues, in_flight, |index, _| answer(&mut self.gates, &values[index]))
    }

    fn outcomes(decisions: Vec<Outcome>) -> Vec<Outcome> {
        decisions
    }

    fn step(&mut self, runs: &Self::Runs) -> Vec<Option<usize>> {
        runs.iter().map(|run| answer(&mut self.rows, run)).collect()
    }
}

fn answer(machine: &mut RegoVM, input: &Value) -> Option<usize> {
    machine.set_input(input.clone());
    named(machine.execute().expect("an answer"))
}
