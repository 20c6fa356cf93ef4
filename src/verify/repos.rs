//! Repositories, in classes that no pattern of the policy can tell apart inside.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::diagram::Diagrams;
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
    /// none of `outside` does; `None` where there is no such repository, or the steps of `diagrams` do not suffice.
    pub fn new(
        diagrams: &mut Diagrams,
        lists: &[Vec<RepoPattern>],
        scope: Option<&RepoPattern>,
        outside: &[RepoPattern],
    ) -> Option<Self> {
        let bounds = || scope.into_iter().chain(lists.iter().flatten()).chain(outside);
        let bytes: usize = bounds().map(|pattern| pattern.to_string().len()).sum();
        if !spend(diagrams, bounds().count().saturating_mul(STEPS_OF_PATTERN).saturating_add(bytes.div_euclid(64))) {
            return None;
        }
        let index = Index::new(lists);
        let outside_of = Index::new(&[outside.to_vec()]);
        let inside =
            |repo: &str| scope.is_none_or(|scope| scope.matches(repo)) && outside_of.matching(repo).next().is_none();
        let stems = Stems::new(bounds());
        let mut witnesses: Vec<String> = Vec::new();
        let mut seen: HashSet<BTreeSet<usize>> = HashSet::new();
        let plain = PLAIN.iter().map(|name| (*name).to_owned());
        // No pattern begins with all of these.
        let unnamed = (0..=bounds().count()).map(|number| format!("owner-{number}/app"));
        let unnamed = unnamed.filter(|repo| !stems.begin(repo.split('/').next().unwrap_or_default())).take(1);
        let readable = plain.chain(unnamed).chain(bounds().map(plainest));
        let mut tried: HashSet<String> = HashSet::new();
        let mut take = |diagrams: &mut Diagrams, repo: String| {
            if !spend(diagrams, index.work(&repo).saturating_add(outside_of.work(&repo))) {
                return false;
            }
            if inside(&repo) && seen.insert(index.signature(&repo)) {
                witnesses.push(repo);
            }
            true
        };
        for repo in readable {
            if tried.insert(repo.clone()) && !take(diagrams, repo) {
                return None;
            }
        }
        let mut asked = stems.0.clone();
        asked.reverse();
        while let Some(stem) = asked.pop() {
            let beyond = LETTERS.chars().map(|letter| format!("{stem}{letter}")).find(|name| {
                diagrams.spend(1);
                !stems.begin(name)
            });
            if beyond.is_none() {
                // Every way to go on is written somewhere: the first one that is not lies further on.
                let further = LETTERS.chars().map(|letter| format!("{stem}{letter}"));
                asked.extend(further.filter(|name| stems.0.binary_search(name).is_err()));
            }
            for repo in near(stem, beyond) {
                if !take(diagrams, repo) {
                    return None;
                }
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

/// What the name of a repository is written in.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz0123456789-_.";

/// What it takes to sort a pattern among the others, in steps of the diagrams.
const STEPS_OF_PATTERN: usize = 4;

fn spend(diagrams: &mut Diagrams, steps: usize) -> bool {
    diagrams.spend(u32::try_from(steps).unwrap_or(u32::MAX))
}

/// What the patterns begin with, in order: exact ones are named by the whole.
struct Stems(Vec<String>);

impl Stems {
    fn new<'p>(patterns: impl Iterator<Item = &'p RepoPattern>) -> Self {
        let mut stems: Vec<String> =
            patterns.map(|pattern| pattern.to_string().trim_end_matches('*').to_owned()).collect();
        stems.sort_unstable();
        stems.dedup();
        Self(stems)
    }

    /// Whether any begins with this.
    fn begin(&self, start: &str) -> bool {
        let at = self.0.partition_point(|stem| stem.as_str() < start);
        self.0.get(at).is_some_and(|stem| stem.starts_with(start))
    }
}

/// A repository that people like to read: the one of an exact pattern, or one that a prefix matches.
fn plainest(pattern: &RepoPattern) -> String {
    let text = pattern.to_string();
    if pattern.is_exact() { text } else { format!("{}app", text.trim_end_matches('*')) }
}

/// The repository of this very name, and those that begin with it and then leave every pattern. A repository that is in
/// no pattern's way any more is matched by the same prefixes as any other that left behind the same pattern, so of all
/// the patterns together these leave no class out.
fn near(stem: String, beyond: Option<String>) -> impl Iterator<Item = String> {
    let exists = |name: &String| RepoPattern::parse(name).is_ok_and(|pattern| pattern.is_exact());
    // A dot alone is no name.
    let longer = beyond.as_ref().map(|name| format!("{name}x"));
    let left = beyond.filter(exists).or(longer);
    [stem].into_iter().chain(left).filter(exists)
}

/// Which lists match a repository, without asking each pattern.
struct Index {
    exact: HashMap<String, Vec<usize>>,
    prefixes: HashMap<String, Vec<usize>>,
    /// How long the prefixes are.
    lengths: BTreeSet<usize>,
}

impl Index {
    fn new(lists: &[Vec<RepoPattern>]) -> Self {
        let mut index = Self { exact: HashMap::new(), prefixes: HashMap::new(), lengths: BTreeSet::new() };
        for (list, patterns) in lists.iter().enumerate() {
            for pattern in patterns {
                let text = pattern.to_string();
                match text.strip_suffix('*') {
                    Some(stem) => {
                        index.lengths.insert(stem.len());
                        index.prefixes.entry(stem.to_owned()).or_default().push(list);
                    }
                    None => index.exact.entry(text).or_default().push(list),
                }
            }
        }
        index
    }

    /// The prefixes that can match a repository.
    fn lengths(&self, repo: &str) -> impl Iterator<Item = usize> {
        // A prefix never reaches across a slash that it does not write.
        let first = repo.rfind('/').map_or(0, |slash| slash.saturating_add(1));
        self.lengths.range(first..=repo.len()).copied()
    }

    fn matching<'i>(&'i self, repo: &'i str) -> impl Iterator<Item = &'i Vec<usize>> {
        let prefixes = self.lengths(repo).filter_map(|end| self.prefixes.get(repo.get(..end)?));
        self.exact.get(repo).into_iter().chain(prefixes)
    }

    /// What it takes to ask for one, in steps of the diagrams.
    fn work(&self, repo: &str) -> usize {
        let texts = self.lengths(repo).map(|end| end.div_euclid(64).saturating_add(1));
        let lists = self.matching(repo).map(Vec::len);
        texts.chain(lists).fold(1, usize::saturating_add)
    }

    /// The lists that match a repository, which is written in lower case.
    fn signature(&self, repo: &str) -> BTreeSet<usize> {
        self.matching(repo).flatten().copied().collect()
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
        RepoClasses::new(&mut Diagrams::new(100_000), &lists, scope.map(pattern).as_ref(), &all(outside))
            .map(|classes| classes.witnesses)
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
            let found = RepoClasses::new(&mut Diagrams::new(100_000), &lists, scope.as_ref(), &[]).unwrap();
            prop_assert_eq!(signatures(&lists, found.witnesses.iter().cloned()), signatures(&lists, all));
        }
    }
}
