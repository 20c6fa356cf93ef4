//! The repositories for which one set of rules holds in the old policy and one in the new.

use crate::policy::{Policy, RepoPattern, Rules};

/// Repositories, and both sets of rules for them.
pub struct Area<'p> {
    pub old: &'p Rules,
    pub new: &'p Rules,
    /// `None`: every repository that is not under `[repos]` of either.
    pub scope: Option<RepoPattern>,
    /// Those that have rules of their own.
    pub outside: Vec<RepoPattern>,
    /// The denylists of both.
    pub denied: [&'p [RepoPattern]; 2],
}

impl Area<'_> {
    /// How items call the repositories.
    pub fn scopes(&self) -> Vec<String> {
        self.scope.iter().map(ToString::to_string).collect()
    }
}

/// All areas; the one without overrides first.
pub fn areas<'p>(old: &'p Policy, new: &'p Policy) -> Vec<Area<'p>> {
    let mut patterns: Vec<RepoPattern> = Vec::new();
    for (pattern, _) in old.overrides.iter().chain(&new.overrides) {
        if !patterns.contains(pattern) {
            patterns.push(pattern.clone());
        }
    }
    let denied = [old.denylist.value.as_slice(), new.denylist.value.as_slice()];
    let base = Area { old: &old.base, new: &new.base, scope: None, outside: patterns.clone(), denied };
    let scoped = patterns.iter().map(|pattern| {
        let inner = patterns.iter().filter(|one| one.is_exact() && *one != pattern && !pattern.is_exact());
        Area {
            old: rules(old, pattern),
            new: rules(new, pattern),
            scope: Some(pattern.clone()),
            outside: inner.cloned().collect(),
            denied,
        }
    });
    std::iter::once(base).chain(scoped.collect::<Vec<_>>()).collect()
}

fn rules<'p>(policy: &'p Policy, pattern: &RepoPattern) -> &'p Rules {
    let own = policy.overrides.iter().find(|(one, _)| one == pattern).map(|(_, rules)| rules);
    match own {
        Some(rules) => rules,
        None if pattern.is_exact() => policy.rules(&pattern.to_string()),
        None => &policy.base,
    }
}
