//! The revision of a policy: one hash over its text and its prompts.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// SHA-256 in lower-case hex. Each text is preceded by its length, so that no two sets of texts look alike.
pub fn revision<'t>(policy: &str, prompts: impl Iterator<Item = (&'t str, &'t str)>) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"afk policy revision 1\n");
    let mut add = |text: &str| {
        hasher.update(format!("{}\n", text.len()));
        hasher.update(text);
    };
    add(policy);
    for (path, text) in prompts {
        add(path);
        add(text);
    }
    let mut hex = String::with_capacity(64);
    for byte in hasher.finalize() {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::revision;

    #[test]
    fn every_text_counts_and_no_two_sets_look_alike() {
        let plain = revision("a", [("p", "text")].into_iter());
        assert_eq!(plain.len(), 64);
        assert_eq!(plain, revision("a", [("p", "text")].into_iter()));
        for other in [
            revision("b", [("p", "text")].into_iter()),
            revision("a", [("p", "text ")].into_iter()),
            revision("a", [("q", "text")].into_iter()),
            revision("a", [("pt", "ext")].into_iter()),
            revision("a", std::iter::empty()),
            revision("ap", [("", "text")].into_iter()),
        ] {
            assert_ne!(plain, other);
        }
    }
}
