//! Counterexamples, read as `afk test-policy` would and put to the engine: each must show what its finding says.

use afk::engine::select::{Candidate, Outcome, select};
use afk::engine::step::{Circumstances, End, Machine};
use afk::policy::facts::{CiStatus, FactName, IssueFacts, Kind, RunFact, RunFacts};
use afk::policy::{Code, Finding, Policy};

use crate::enumeration::{closes, forbidden, possible_issue, possible_run, sends_turn, with_allowlist};
use crate::values::{Settable, Value};

/// The cases that a finding shows, in TOML.
pub fn shown(finding: &Finding) -> Option<String> {
    let help = finding.help.iter().find(|help| help.starts_with("for example, as a case"))?;
    let (_, cases) = help.split_once("\n\n")?;
    Some(cases.lines().map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect())
}

fn value(kind: Kind, value: &toml::Value) -> Value {
    let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
    match (kind, value) {
        (_, toml::Value::Table(table)) => {
            assert_eq!(table.get("unknown"), Some(&toml::Value::Boolean(true)));
            Value::Unknown
        }
        (Kind::Bool, value) => Value::Bool(value.as_bool().unwrap()),
        (Kind::Int, value) => Value::Int(value.as_integer().unwrap()),
        (Kind::Number, toml::Value::Integer(value)) => Value::Number(*value as f64),
        (Kind::Number, value) => Value::Number(value.as_float().unwrap()),
        (Kind::Duration, value) => {
            Value::Seconds(afk::policy::duration::parse(value.as_str().unwrap()).unwrap().as_secs())
        }
        (Kind::Set(_), value) => Value::Set(value.as_array().unwrap().iter().map(text).collect()),
        (Kind::Repo | Kind::Login | Kind::Enum(_), value) => Value::Text(text(value)),
    }
}

fn fill<T: Settable>(facts: &mut T, table: &toml::Table, others: &[&str]) -> Result<(), String> {
    for (key, written) in table.iter().filter(|(key, _)| !others.contains(&key.as_str())) {
        let fact = T::Name::named(key).ok_or_else(|| format!("there is no fact {key}"))?;
        facts.put(fact, &value(fact.spec().kind, written));
    }
    Ok(())
}

/// Whether the cases of a finding show what it says; fine where it has none.
pub fn counterexample(policy: &Policy, finding: &Finding) -> Result<(), String> {
    let Some(text) = shown(finding) else {
        let needs = verify_shows_cases(finding.code);
        return if needs { Err(format!("no case for {}", finding.message)) } else { Ok(()) };
    };
    let failed = |why: String| format!("{why}: {}\n{text}", finding.message);
    let file: toml::Table = toml::from_str(&text).map_err(|error| failed(error.to_string()))?;
    let mut rows: Vec<String> = Vec::new();
    for case in file["cases"].as_array().unwrap() {
        let case = case.as_table().unwrap();
        let allowlist = case["policy"]["allowlist"].as_array().unwrap();
        let policy = with_allowlist(policy, allowlist.first().map(|repo| repo.as_str().unwrap()));
        if let Some(issues) = case.get("issues") {
            issue(&policy, finding.code, issues[0].as_table().unwrap()).map_err(failed)?;
        } else {
            rows.extend(run(&policy, finding, case).map_err(failed)?);
        }
    }
    if finding.code == Code::RepeatEffects && (rows.len() < 2 || rows.first() != rows.last()) {
        return Err(failed(format!("it does not carry out one row twice, but {rows:?}")));
    }
    Ok(())
}

fn verify_shows_cases(code: Code) -> bool {
    use Code as C;
    [
        C::UntrustedDispatch,
        C::UnlistedDispatch,
        C::DoubleDispatch,
        C::BlockedDispatch,
        C::RearmLoop,
        C::UnboundedRun,
        C::UnverifiedClose,
        C::EndlessFixing,
        C::RepeatEffects,
        C::Spin,
    ]
    .contains(&code)
}

fn issue(policy: &Policy, code: Code, table: &toml::Table) -> Result<(), String> {
    let repo = table["repo"].as_str().unwrap();
    let rules = policy.rules(repo);
    let mut facts = IssueFacts::harmless(repo, 1, &rules.labels.ready.value);
    fill(&mut facts, table, &[])?;
    if !possible_issue(&facts, rules) {
        return Err("the axioms exclude it".to_owned());
    }
    if !forbidden(&facts, rules, policy.enrolled(repo)).contains(&code.name()) {
        return Err("it may be dispatched".to_owned());
    }
    let decisions = select(policy, &[Candidate { facts, armed_at: None, created_at: None }], &[]);
    if decisions[0].outcome == Outcome::Dispatch(1) {
        Ok(())
    } else {
        Err(format!("it is not dispatched: {decisions:?}"))
    }
}

/// The row that was carried out, if any.
fn run(policy: &Policy, finding: &Finding, case: &toml::Table) -> Result<Option<String>, String> {
    let table = case["run"].as_table().unwrap();
    let repo = table["repo"].as_str().unwrap();
    let rules = policy.rules(repo);
    let mut facts = RunFacts::harmless(repo, &rules.labels.ready.value, &rules.labels.in_progress.value);
    fill(&mut facts, table, &["state", "enrolled"])?;
    if !table.contains_key(RunFact::Landed.spec().name) {
        facts.landed.clone_from(&facts.pushed);
    }
    if !possible_run(&facts, rules) {
        return Err("the axioms exclude it".to_owned());
    }
    let enrolled = table.get("enrolled").is_none_or(|enrolled| enrolled.as_bool().unwrap()) && policy.enrolled(repo);
    let circumstances = Circumstances { kill_switch: false, enrolled };
    let tick = Machine::new(rules).advance(table["state"].as_str().unwrap(), &facts, circumstances);
    let expect = case["expect"].as_table().unwrap();
    let word = |key: &str| expect.get(key).and_then(toml::Value::as_str);
    let path: Vec<&str> = tick.path.iter().map(|row| row.name.as_str()).collect();
    let path_as_expected = || {
        let expected = expect.get("path").and_then(toml::Value::as_array);
        expected.is_some_and(|expected| expected.iter().map(|row| row.as_str().unwrap()).eq(path.iter().copied()))
    };
    let as_expected = match tick.end {
        End::Wait => word("row") == Some("wait") && path.is_empty() || path_as_expected(),
        End::Act(row) => word("row") == Some(row.name.as_str()),
        End::Held(row, _) => word("held") == Some(row.name.as_str()),
        End::Circle => path_as_expected(),
    };
    if !as_expected {
        return Err(format!("the engine says {tick:?}"));
    }
    let acted = if let End::Act(row) = tick.end { Some(row) } else { None };
    let shows = match finding.code {
        Code::UnverifiedClose => acted.is_some_and(|row| closes(rules, row)) && facts.ci != CiStatus::Green,
        Code::EndlessFixing => acted.is_some_and(|row| sends_turn(rules, row)),
        Code::RepeatEffects => acted.is_some(),
        Code::Spin => tick.end == End::Circle,
        Code::UnboundedRun => acted.is_none_or(|row| rules.state(&row.to).is_some_and(|state| state.outcome.is_none())),
        _ => false,
    };
    if !shows {
        return Err(format!("it does not show {}", finding.code.name()));
    }
    Ok(acted.map(|row| row.name.clone()))
}
