//! Which of two issues goes first, and which repositories are the same.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use super::select::Candidate;
use crate::policy::{OrderBy, OrderKey};

/// Whether `left` goes before `right`: by the keys of the policy, then by number, then by repository.
pub fn compare(order: &[OrderKey], left: &Candidate, right: &Candidate) -> Ordering {
    for key in order {
        let ordering = match key.by {
            OrderBy::Priority => known_first(left.facts.priority.known(), right.facts.priority.known(), key.descending),
            OrderBy::Number => directed(left.facts.number.cmp(&right.facts.number), key.descending),
            OrderBy::ArmedAt => known_first(left.armed_at.as_ref(), right.armed_at.as_ref(), key.descending),
            OrderBy::CreatedAt => known_first(left.created_at.as_ref(), right.created_at.as_ref(), key.descending),
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
    left.facts.number.cmp(&right.facts.number).then_with(|| compare_repos(&left.facts.repo, &right.facts.repo))
}

fn directed(ordering: Ordering, descending: bool) -> Ordering {
    if descending { ordering.reverse() } else { ordering }
}

/// What is unknown comes last, in either direction.
fn known_first<T: Ord>(left: Option<&T>, right: Option<&T>, descending: bool) -> Ordering {
    match (left, right) {
        (Some(left), Some(right)) => directed(left.cmp(right), descending),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

fn compare_repos(left: &str, right: &str) -> Ordering {
    left.bytes().map(|byte| byte.to_ascii_lowercase()).cmp(right.bytes().map(|byte| byte.to_ascii_lowercase()))
}

/// The name of a repository as a key: without ASCII case, and without a copy.
#[derive(Debug, Clone, Copy, Eq)]
pub(super) struct RepoKey<'a>(pub &'a str);

impl PartialEq for RepoKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(other.0)
    }
}

impl Hash for RepoKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Setting the bit that tells lower case from upper folds more than case, which a hash may. Eight bytes at a
        // time, because this is done for every issue.
        let (words, rest) = self.0.as_bytes().as_chunks::<8>();
        for word in words {
            state.write_u64(u64::from_le_bytes(*word) | 0x2020_2020_2020_2020);
        }
        let mut last = [0_u8; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from | 0x20;
        }
        state.write_u64(u64::from_le_bytes(last));
    }
}
