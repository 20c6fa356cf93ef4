//! Which of two issues goes first, and which repositories are the same.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use super::select::Candidate;
use crate::policy::{OrderBy, OrderKey, pattern};

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
        // Nearly always written alike.
        self.0 == other.0 || pattern::same(self.0, other.0)
    }
}

impl Hash for RepoKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Setting the bit that tells lower case from upper folds more than case, which a hash may.
        let fold = |word: &[u8; 8]| u64::from_le_bytes(*word) | 0x2020_2020_2020_2020;
        let bytes = self.0.as_bytes();
        match bytes.last_chunk::<8>() {
            // The last word overlaps the one before: cheaper than what is left over byte by byte.
            Some(last) => {
                bytes.as_chunks::<8>().0.iter().for_each(|word| state.write_u64(fold(word)));
                state.write_u64(fold(last));
            }
            None => bytes.iter().for_each(|byte| state.write_u8(*byte | 0x20)),
        }
    }
}

/// A hash for repository names, computed for every issue: multiplies eight bytes at a time. No secret is mixed in:
/// whoever may name repositories on the allowlist could do worse than slow afk down.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RepoHasher(u64);

impl Hasher for RepoHasher {
    fn write_u64(&mut self, word: u64) {
        // The constant is the golden ratio's: odd, and without a pattern in its bits.
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn finish(&self) -> u64 {
        // Names often differ in their last letter alone, which the products carry to the high bits only: bring it down.
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed ^ (mixed >> 32)
    }
}
