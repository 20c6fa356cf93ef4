//! Repositories, in classes that no pattern of the policy can tell apart inside.

use crate::policy::{Matcher, RepoPattern, pattern};

/// The classes of the repositories of one scope. A class is "what matches this pattern and none that is narrower", and
/// is known by a repository in it.
#[derive(Debug, Clone)]
pub struct RepoClasses {
    /// One repository of each class, the plainest first.
    witnesses: Vec<String>,
}

impl RepoClasses {
    /// The classes into which `patterns` cut the repositories that `scope` matches (`None`: every one) and none of
    /// `outside` does; `None` where there is no such repository.
    pub fn new(patterns: &[RepoPattern], scope: Option<&RepoPattern>, outside: &[RepoPattern]) -> Option<Self> {
        let inside =
            |repo: &str| scope.is_none_or(|scope| scope.matches(repo)) && !outside.iter().any(|one| one.matches(repo));
        let signature = |repo: &str| -> Vec<bool> { patterns.iter().map(|one| one.matches(repo)).collect() };
        let mut witnesses: Vec<String> = Vec::new();
        let mut seen: Vec<Vec<bool>> = Vec::new();
        let bounds = || scope.into_iter().chain(patterns).chain(outside);
        // One more name than there are patterns: at least one of these is matched by none.
        let unnamed = (0..=bounds().count()).map(|number| format!("owner-{number}/app"));
        let unnamed = unnamed.filter(|repo| !bounds().any(|one| one.matches(repo))).take(1);
        let plain = PLAIN.iter().map(|name| (*name).to_owned());
        let candidates = plain.chain(unnamed).chain(bounds().flat_map(near));
        for repo in candidates.filter(|repo| inside(repo)) {
            let signature = signature(&repo);
            if !seen.contains(&signature) {
                seen.push(signature);
                witnesses.push(repo);
            }
        }
        (!witnesses.is_empty()).then_some(Self { witnesses })
    }

    /// How many classes.
    pub fn len(&self) -> usize {
        self.witnesses.len()
    }

    /// Whether a comparison holds for every repository of a class.
    pub fn matches(&self, index: usize, matcher: &Matcher) -> bool {
        let Some(repo) = self.witnesses.get(index) else { return false };
        match matcher {
            Matcher::In(list) => list.matches(repo),
            Matcher::NotIn(list) => !list.matches(repo),
            Matcher::OneOf(names) => names.iter().any(|name| pattern::same(name, repo)),
            _ => false,
        }
    }

    /// A repository of a class.
    pub fn witness(&self, index: usize) -> Option<String> {
        self.witnesses.get(index).cloned()
    }
}

/// Repositories that examples prefer.
const PLAIN: [&str; 2] = ["acme/app", "acme/site"];

/// Repositories of the class of a pattern, if it has any: a narrower pattern begins with some letter behind the stem, so
/// a name for each letter, and a longer one, leaves none out.
fn near(pattern: &RepoPattern) -> Vec<String> {
    if pattern.is_exact() {
        return vec![pattern.to_string()];
    }
    let stem = pattern.to_string();
    let stem = stem.trim_end_matches('*');
    let letters = ('a'..='z').chain('0'..='9').chain(['-', '_', '.']);
    let names = letters.flat_map(|letter| [format!("{stem}{letter}"), format!("{stem}{letter}{letter}-elsewhere")]);
    let bare = if stem.ends_with('/') { None } else { Some(stem.to_owned()) };
    [format!("{stem}app")].into_iter().chain(bare).chain(names).collect()
}
