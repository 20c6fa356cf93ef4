//! What is proven something of: the rules of a policy, by the repositories they are for.

use crate::policy::{Fragment, Fragments, GateRules, Policy, RepoPattern, Rules, RunRules, Source, Waiver};

/// The repositories that one set of rules is for.
pub struct Area<'p> {
    /// `None`: in error, and nothing is proven of them.
    pub gates: Option<GateRules<'p>>,
    /// `None`: in error, and nothing is proven of them.
    pub runs: Option<RunRules<'p>>,
    /// `None`: every repository without overrides.
    pub scope: Option<&'p RepoPattern>,
    /// Those that have rules of their own.
    pub outside: Vec<RepoPattern>,
}

/// What is proven something of: a policy, or what could be read of one in error.
pub struct Subject<'p> {
    pub source: &'p Source,
    pub denylist: &'p [RepoPattern],
    pub waivers: &'p [Waiver],
    /// The first is that of the repositories without overrides.
    pub areas: Vec<Area<'p>>,
}

impl<'p> Subject<'p> {
    /// All of it.
    pub fn of_policy(policy: &'p Policy) -> Self {
        let rules = |rules: &'p Rules| (Some(rules.into()), Some(rules.into()));
        let overrides = policy.overrides.iter().map(|(pattern, of)| (pattern, rules(of)));
        Self {
            source: &policy.source,
            denylist: &policy.denylist.value,
            waivers: &policy.waivers,
            areas: areas(rules(&policy.base), overrides.collect()),
        }
    }

    /// What could be read of one in error.
    pub fn of_fragments(fragments: &'p Fragments, source: &'p Source) -> Self {
        let rules = |fragment: &'p Fragment| (fragment.gate_rules(), fragment.run_rules());
        let overrides = fragments.overrides.iter().map(|(pattern, of)| (pattern, rules(of)));
        Self {
            source,
            denylist: &fragments.denylist,
            waivers: &fragments.waivers,
            areas: areas(rules(&fragments.base), overrides.collect()),
        }
    }

    /// Whether the gates, and whether the rows could be read for every repository.
    pub fn readable(&self) -> (bool, bool) {
        (self.areas.iter().all(|area| area.gates.is_some()), self.areas.iter().all(|area| area.runs.is_some()))
    }
}

type PartsOfRules<'p> = (Option<GateRules<'p>>, Option<RunRules<'p>>);

fn areas<'p>(base: PartsOfRules<'p>, overrides: Vec<(&'p RepoPattern, PartsOfRules<'p>)>) -> Vec<Area<'p>> {
    // Overrides that change nothing the proofs look at, such as the agent, leave their repositories with the others.
    let own = |(pattern, parts): &(&RepoPattern, PartsOfRules<'p>)| {
        let beyond = |wide: &RepoPattern| !wide.is_exact() && wide.matches(&pattern.to_string());
        let inside = overrides.iter().any(|(wide, parts)| pattern.is_exact() && beyond(wide) && *parts != base);
        *parts != base || inside
    };
    let own: Vec<(&RepoPattern, PartsOfRules<'p>)> = overrides.iter().copied().filter(own).collect();
    let outside = own.iter().map(|(pattern, _)| (*pattern).clone()).collect();
    let (gates, runs) = base;
    let areas = own.iter().map(|(pattern, (gates, runs))| {
        let inner = own.iter().filter(|(one, _)| one.is_exact() && one != pattern && !pattern.is_exact());
        let outside = inner.map(|(one, _)| (*one).clone()).collect();
        Area { gates: *gates, runs: *runs, scope: Some(*pattern), outside }
    });
    std::iter::once(Area { gates, runs, scope: None, outside }).chain(areas).collect()
}
