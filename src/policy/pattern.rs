//! The three patterns of the language: repositories, priority labels, protected paths.

use std::sync::OnceLock;

use globset::{Glob, GlobBuilder, GlobSet};

/// Whether two texts are equal without ASCII case. Looks at the end first, because repositories of one owner, and labels
/// like `ready-for-agent` and `ready-for-human`, begin alike.
#[inline]
pub fn same(left: &str, right: &str) -> bool {
    let end = |text: &str| text.as_bytes().last().map(u8::to_ascii_lowercase);
    left.len() == right.len() && end(left) == end(right) && left.eq_ignore_ascii_case(right)
}

/// `owner/name`, `owner/*`, `owner/prefix*`, a bare `name` or `prefix*`. Compared without ASCII case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoPattern {
    text: String,
    prefix: bool,
}

impl RepoPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (stem, prefix) = match text.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (text, false),
        };
        if text == "*" {
            return Err("a bare `*` would enrol every repository there is; name the owner, as in `acme/*`".to_owned());
        }
        let (owner, name) = match stem.split_once('/') {
            Some((owner, name)) => (Some(owner), name),
            None => (None, stem),
        };
        let plain = |part: &str| {
            part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
                && part != "."
                && part != ".."
        };
        if owner.is_some_and(|owner| owner.is_empty() || !plain(owner))
            || !plain(name)
            || (name.is_empty() && !(prefix && owner.is_some()))
        {
            return Err(format!("`{text}` is not a repository; write `owner/name`, `owner/*` or `owner/prefix*`"));
        }
        Ok(Self { text: stem.to_ascii_lowercase(), prefix })
    }

    /// Whether a repository is meant.
    #[inline(always)]
    pub fn matches(&self, repo: &str) -> bool {
        if self.prefix {
            let (pattern, repo) = (self.text.as_bytes(), repo.as_bytes());
            repo.get(..pattern.len()).is_some_and(|start| start.eq_ignore_ascii_case(pattern))
                // `owner/*` and `prefix*` never reach across the slash that they do not write.
                && repo.get(pattern.len()..).is_some_and(|rest| !rest.contains(&b'/'))
        } else {
            same(repo, &self.text)
        }
    }

    /// Whether there can be a repository that both mean.
    pub fn meets(&self, other: &Self) -> bool {
        let within = |wide: &Self, narrow: &Self| wide.prefix && wide.matches(&narrow.text);
        self.text == other.text || within(self, other) || within(other, self)
    }

    /// Whether it names one repository and no more.
    pub fn is_exact(&self) -> bool {
        !self.prefix
    }
}

impl std::fmt::Display for RepoPattern {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}{}", self.text, if self.prefix { "*" } else { "" })
    }
}

/// `priority:{n}`: a label with a signed integer in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelPattern {
    before: String,
    after: String,
}

impl LabelPattern {
    /// Reads a pattern, which holds `{n}` once.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once("{n}") {
            Some((before, after)) if !after.contains("{n}") && (!before.is_empty() || !after.is_empty()) => {
                Ok(Self { before: before.to_owned(), after: after.to_owned() })
            }
            _ => Err(format!("`{text}` must hold `{{n}}` once, and more than that, as in `priority:{{n}}`")),
        }
    }

    /// The number a label carries, if it is of this form.
    pub fn number(&self, label: &str) -> Option<i64> {
        let bytes = label.as_bytes();
        let head = bytes.get(..self.before.len())?;
        let tail_start = bytes.len().checked_sub(self.after.len()).filter(|start| *start >= self.before.len())?;
        let tail = bytes.get(tail_start..)?;
        if !head.eq_ignore_ascii_case(self.before.as_bytes()) || !tail.eq_ignore_ascii_case(self.after.as_bytes()) {
            return None;
        }
        let digits = label.get(self.before.len()..tail_start)?;
        // `parse` also takes a leading plus, which nobody means.
        if digits.starts_with('+') { None } else { digits.parse().ok() }
    }
}

/// Root-anchored globs; `*` stops at `/`, `**` does not.
#[derive(Debug, Clone, Default)]
pub struct ProtectedPaths {
    patterns: Vec<String>,
    /// Compiled for the first path that is asked about: that takes a tenth of a start, and most processes never ask.
    set: OnceLock<Option<GlobSet>>,
}

/// Bytes of patterns up to which they surely compile: what is compiled has a bound of 10 MB.
const SURELY_COMPILES: usize = 4096;

impl PartialEq for ProtectedPaths {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl ProtectedPaths {
    /// Reads the list.
    ///
    /// # Errors
    /// The index of each pattern that is wrong, and a sentence about it.
    pub fn parse(patterns: &[String]) -> Result<Self, Vec<(usize, String)>> {
        let (mut globs, mut wrong) = (Vec::new(), Vec::new());
        for (index, pattern) in patterns.iter().enumerate() {
            match Self::glob(pattern) {
                Ok(glob) => globs.push(glob),
                Err(why) => wrong.push((index, why)),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let set = OnceLock::new();
        if patterns.iter().map(String::len).sum::<usize>() > SURELY_COMPILES {
            let compiled = GlobSet::new(globs).map_err(|error| vec![(0, error.to_string())])?;
            set.get_or_init(|| Some(compiled));
        }
        Ok(Self { patterns: patterns.to_vec(), set })
    }

    fn glob(pattern: &str) -> Result<Glob, String> {
        if pattern.is_empty() || pattern.starts_with('/') {
            return Err(format!("`{pattern}` must be a path from the root of the repository, without a leading slash"));
        }
        if pattern.ends_with('/') || pattern.split('/').any(|part| part == "." || part == "..") {
            return Err(format!(
                "`{pattern}` protects nothing: changes are told of files, by their path from the root"
            ));
        }
        GlobBuilder::new(pattern).literal_separator(true).build().map_err(|error| error.to_string())
    }

    /// Whether a path of a repository is protected.
    pub fn matches(&self, path: &str) -> bool {
        let compile = || {
            let globs: Result<Vec<Glob>, String> = self.patterns.iter().map(|pattern| Self::glob(pattern)).collect();
            GlobSet::new(globs.ok()?).ok()
        };
        // Without patterns that compile, which cannot be, nothing may land unseen.
        self.set.get_or_init(compile).as_ref().is_none_or(|set| set.is_match(path))
    }

    /// The patterns as written.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }
}
