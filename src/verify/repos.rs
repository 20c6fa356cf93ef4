//! Repositories, in classes that no pattern of the policy can tell apart inside.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::policy::{Matcher, RepoPattern, pattern};

/// The classes of the repositories of one scope. A class is what the same lists of patterns match, and is known by a
/// repository in it.
#[derive(Debug, Clone)]
pub struct RepoClasses {
    /// One repository of each class, the plainest first.
    witnesses: Vec<String>,
}

impl RepoClasses {
    /// The classes into which the lists of patterns cut the repositories that `scope` matches (`None`: every one) and
    /// none of `outside` does; `None` where there is no such repository, or more than can be told apart.
    pub fn new(lists: &[Vec<RepoPattern>], scope: Option<&RepoPattern>, outside: &[RepoPattern]) -> Option<Self> {
        let inside =
            |repo: &str| scope.is_none_or(|scope| scope.matches(repo)) && !outside.iter().any(|one| one.matches(repo));
        let index = Index::new(lists);
        let bounds = || scope.into_iter().chain(lists.iter().flatten()).chain(outside);
        let stems = stems(bounds())?;
        let mut witnesses: Vec<String> = Vec::new();
        let mut seen: HashSet<BTreeSet<usize>> = HashSet::new();
        let plain = PLAIN.iter().map(|name| (*name).to_owned());
        // No pattern begins with all of these.
        let unnamed = (0..=bounds().count()).map(|number| format!("owner-{number}/app"));
        let unnamed = unnamed.filter(|repo| !stems.contains(repo.split('/').next().unwrap_or_default())).take(1);
        let mut all: Vec<&String> = stems.iter().collect();
        all.sort_unstable();
        let near = all.into_iter().flat_map(|stem| near(stem, &stems));
        for repo in plain.chain(unnamed).chain(bounds().map(plainest)).chain(near).filter(|repo| inside(repo)) {
            if seen.insert(index.signature(&repo)) {
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

/// More beginnings of names than this are refused.
const MAX_STEMS: usize = 200_000;

/// Everything that a pattern begins with, whole patterns among it; `None`: too much.
fn stems<'p>(patterns: impl Iterator<Item = &'p RepoPattern>) -> Option<HashSet<String>> {
    let mut stems = HashSet::new();
    for pattern in patterns {
        let text = pattern.to_string();
        let text = text.trim_end_matches('*');
        stems.extend((1..=text.len()).filter_map(|end| text.get(..end)).map(str::to_owned));
        if stems.len() > MAX_STEMS {
            return None;
        }
    }
    Some(stems)
}

/// A repository that people like to read: the one of an exact pattern, or one that a prefix matches.
fn plainest(pattern: &RepoPattern) -> String {
    let text = pattern.to_string();
    if pattern.is_exact() { text } else { format!("{}app", text.trim_end_matches('*')) }
}

/// The repository of this very name, and one that begins with it and then leaves every pattern. A repository that is in
/// no pattern's way any more is matched by the same prefixes as any other that left at the same place, so of all the
/// stems together these leave no class out.
fn near(stem: &str, stems: &HashSet<String>) -> impl Iterator<Item = String> {
    let mut letters = ('a'..='z').chain('0'..='9').chain(['-', '_', '.']).map(|letter| format!("{stem}{letter}"));
    let beyond = letters.find(|name| !stems.contains(name));
    let exists = |name: &String| RepoPattern::parse(name).is_ok_and(|pattern| pattern.is_exact());
    // A dot alone is no name.
    let longer = beyond.iter().map(|name| format!("{name}x")).collect::<Vec<_>>();
    [stem.to_owned()].into_iter().chain(beyond).chain(longer).filter(exists)
}

/// Which lists match a repository, without asking each pattern.
struct Index {
    exact: HashMap<String, Vec<usize>>,
    prefixes: HashMap<String, Vec<usize>>,
}

impl Index {
    fn new(lists: &[Vec<RepoPattern>]) -> Self {
        let mut index = Self { exact: HashMap::new(), prefixes: HashMap::new() };
        for (list, patterns) in lists.iter().enumerate() {
            for pattern in patterns {
                let text = pattern.to_string();
                match text.strip_suffix('*') {
                    Some(stem) => index.prefixes.entry(stem.to_owned()).or_default().push(list),
                    None => index.exact.entry(text).or_default().push(list),
                }
            }
        }
        index
    }

    /// The lists that match a repository, which is written in lower case.
    fn signature(&self, repo: &str) -> BTreeSet<usize> {
        // A prefix never reaches across a slash that it does not write.
        let first = repo.rfind('/').map_or(0, |slash| slash.saturating_add(1));
        let prefixes = (first..=repo.len()).filter_map(|end| self.prefixes.get(repo.get(..end)?));
        self.exact.get(repo).into_iter().chain(prefixes).flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    fn pattern(text: &str) -> RepoPattern {
        RepoPattern::parse(text).unwrap()
    }

    fn signatures(lists: &[Vec<RepoPattern>], repos: impl Iterator<Item = String>) -> BTreeSet<Vec<bool>> {
        let of = |repo: String| lists.iter().map(|list| list.iter().any(|one| one.matches(&repo))).collect();
        repos.map(of).collect()
    }

    fn classes(lists: &[&[&str]], scope: Option<&str>, outside: &[&str]) -> Option<Vec<String>> {
        let all = |texts: &[&str]| -> Vec<RepoPattern> { texts.iter().map(|text| pattern(text)).collect() };
        let lists: Vec<Vec<RepoPattern>> = lists.iter().map(|list| all(list)).collect();
        RepoClasses::new(&lists, scope.map(pattern).as_ref(), &all(outside)).map(|classes| classes.witnesses)
    }

    #[test]
    fn a_class_is_what_the_same_lists_match() {
        assert_eq!(classes(&[], None, &[]), Some(vec!["acme/app".to_owned()]));
        assert_eq!(classes(&[&["acme/app", "acme/site"]], None, &[]).unwrap(), ["acme/app", "owner-0/app"]);
        assert_eq!(
            classes(&[&["acme/*"], &["acme/we*"]], None, &[]).unwrap(),
            ["acme/app", "owner-0/app", "acme/weapp"]
        );
        assert_eq!(classes(&[&["acme/app"]], Some("acme/app"), &[]).unwrap(), ["acme/app"]);
        assert_eq!(classes(&[], Some("acme/app"), &["acme/*"]), None);
    }

    #[test]
    fn a_class_that_is_left_by_one_letter_only_is_found() {
        let letters = ('a'..='z').chain('0'..='9').chain(['-', '_']).filter(|letter| *letter != 'q');
        let taken: Vec<String> = letters.map(|letter| format!("acme/q{letter}*")).collect();
        let taken: Vec<&str> = taken.iter().map(String::as_str).chain(["acme/q", "acme/qq*"]).collect();
        let found = classes(&[&taken, &["acme/q*"]], Some("acme/*"), &[]).unwrap();
        assert_eq!(found, ["acme/app", "acme/qaapp", "acme/q."]);
    }

    proptest! {
        #[test]
        fn no_repository_is_in_a_class_of_its_own(
            lists in prop::collection::vec(prop::collection::vec("(a/)?[ab]{1,3}\\*?", 1..4), 1..4),
            scope in prop::option::of("a/[ab]{0,1}\\*"),
        ) {
            let lists: Vec<Vec<RepoPattern>> =
                lists.iter().map(|list| list.iter().map(|text| pattern(text)).collect()).collect();
            let scope = scope.map(|text| pattern(&text));
            let words = |most: usize| (1..=most).flat_map(|length| {
                (0..3_usize.pow(u32::try_from(length).unwrap())).map(move |mut number| {
                    (0..length).map(|_| { let letter = ['a', 'b', 'c'][number % 3]; number /= 3; letter }).collect::<String>()
                })
            });
            let all = words(4).chain(words(4).map(|name| format!("a/{name}"))).chain(["c/a".to_owned()]);
            let all = all.filter(|repo| scope.as_ref().is_none_or(|scope| scope.matches(repo)));
            let found = RepoClasses::new(&lists, scope.as_ref(), &[]).unwrap();
            prop_assert_eq!(signatures(&lists, found.witnesses.iter().cloned()), signatures(&lists, all));
        }
    }
}
