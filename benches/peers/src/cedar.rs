//! cedar-policy: policies parsed once, requests and entities made beforehand. Of several policies that decide, the first in
//! the file is the one that fired. Its answer names all of them, so it makes a trace of what denies.

use std::collections::{HashMap, HashSet};

use afk::engine::select::{Candidate, Outcome};
use afk::policy::facts::{Observed, RunFacts};
use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityUid, PolicySet, Request, Response, RestrictedExpression as Value,
};

use crate::{Engine, contest, world};

/// A request for every issue and run.
pub struct Cedar {
    authorizer: Authorizer,
    gates: PolicySet,
    rows: PolicySet,
    repos: Entities,
    states: Entities,
}

fn uid(kind: &str, id: &str) -> EntityUid {
    format!("{kind}::{id:?}").parse().expect("an entity")
}

fn text(value: &str) -> Value {
    Value::new_string(value.to_owned())
}

fn known<T>(fact: &Observed<T>) -> &T {
    fact.known().expect("every fact is known")
}

fn flag(fact: &Observed<bool>) -> Value {
    Value::new_bool(*known(fact))
}

fn set(fact: &Observed<Vec<String>>) -> Value {
    Value::new_set(known(fact).iter().map(|member| text(member)))
}

fn request(resource: EntityUid, context: Vec<(&str, Value)>) -> Request {
    let pairs = context.into_iter().map(|(name, value)| (name.to_owned(), value));
    let context = Context::from_pairs(pairs).expect("names that differ");
    let (principal, action) = (uid("Agent", "agent"), uid("Action", "take"));
    Request::new(principal, action, resource, context, None).expect("a request without a schema")
}

fn issue(issue: &Candidate) -> Request {
    let facts = &issue.facts;
    request(
        uid("Repo", &facts.repo),
        vec![
            ("labels", set(&facts.labels)),
            ("has_run", flag(&facts.has_run)),
            ("in_flight_in_repo", Value::new_long(*known(&facts.in_flight_in_repo))),
            ("trusted", flag(&facts.trusted)),
            ("already_run", flag(&facts.already_run)),
            ("edited_since_armed", flag(&facts.edited_since_armed)),
            ("open_blockers", set(&facts.open_blockers)),
        ],
    )
}

fn run((state, facts): (&str, RunFacts)) -> Request {
    let seconds = |time: std::time::Duration| Value::new_long(time.as_secs() as i64);
    request(
        uid("State", state),
        vec![
            ("agent", text(facts.agent.word())),
            ("pushed", flag(&facts.pushed)),
            ("landed", flag(&facts.landed)),
            ("pull_request", text(known(&facts.pull_request).word())),
            ("touched_protected", flag(&facts.touched_protected)),
            ("ci", text(facts.ci.word())),
            ("attempts", Value::new_long(facts.attempts)),
            ("told", Value::new_bool(facts.told)),
            ("age", seconds(facts.age)),
            ("quiet", seconds(facts.quiet)),
            ("verdict_wait", seconds(facts.verdict_wait)),
            ("red_for", seconds(facts.red_for)),
            ("issue", text(known(&facts.issue).word())),
            ("held", flag(&facts.held)),
            ("cost_usd", Value::new_long(*known(&facts.cost_usd) as i64)),
        ],
    )
}

/// The first policy that decides, as counted in its file.
fn first(response: &Response) -> Option<usize> {
    let number = |id: &cedar_policy::PolicyId| -> usize {
        let id: &str = id.as_ref();
        id.trim_start_matches("policy").parse().expect("`policy` and a number")
    };
    response.diagnostics().reason().map(number).min()
}

/// The number of the policy that permits what no gate forbids.
const PERMIT: usize = 8;

impl Engine for Cedar {
    type Issues = (Vec<Candidate>, Vec<Request>);
    type Runs = Vec<Request>;
    type Decisions = Vec<Outcome>;

    fn prepare() -> Self {
        let list = uid("List", "allowlist");
        let repos = world::allowlist().into_iter().map(|repo| {
            Entity::new(uid("Repo", &repo), HashMap::new(), HashSet::from([list.clone()])).expect("no attributes")
        });
        let pushed = uid("State", "pushed");
        let states = ["verifying", "fixing"].map(|state| {
            Entity::new(uid("State", state), HashMap::new(), HashSet::from([pushed.clone()])).expect("no attributes")
        });
        Self {
            authorizer: Authorizer::new(),
            gates: include_str!("gates.cedar").parse().expect("policies that parse"),
            rows: include_str!("rows.cedar").parse().expect("policies that parse"),
            repos: Entities::from_entities(repos, None).expect("entities that differ"),
            states: Entities::from_entities(states, None).expect("entities that differ"),
        }
    }

    fn issues(issues: Vec<Candidate>) -> Self::Issues {
        let requests = issues.iter().map(issue).collect();
        (issues, requests)
    }

    fn runs(&mut self, runs: Vec<(&'static str, RunFacts)>) -> Self::Runs {
        runs.into_iter().map(run).collect()
    }

    fn select(&mut self, (issues, requests): &Self::Issues, in_flight: &[String]) -> Vec<Outcome> {
        contest::select(issues, in_flight, |index, _| {
            let response = self.authorizer.is_authorized(&requests[index], &self.gates, &self.repos);
            first(&response).filter(|gate| *gate != PERMIT)
        })
    }

    fn outcomes(decisions: Vec<Outcome>) -> Vec<Outcome> {
        decisions
    }

    fn step(&mut self, runs: &Self::Runs) -> Vec<Option<usize>> {
        runs.iter().map(|run| first(&self.authorizer.is_authorized(run, &self.rows, &self.states))).collect()
    }
}
