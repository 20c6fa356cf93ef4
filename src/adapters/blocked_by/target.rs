//! How issues are named in a text: `#3`, `acme/lib#7`, addresses.

/// How an issue is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `#3`: of the same repository.
    Here(u64),
    /// `acme/lib#7`, or `lib#7`.
    Repo {
        /// As written.
        repo: String,
        /// The number.
        number: u64,
    },
    /// `https://forge.example/acme/lib/issues/7`.
    Url {
        /// With its port, where it has one.
        host: String,
        /// `acme/lib`.
        repo: String,
        /// The number.
        number: u64,
    },
    /// An item of a list under "Blocked by" that names no issue at all.
    Text(String),
}

impl Target {
    /// Reads `#3`, `acme/lib#7` or the address of an issue, and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        match reference_at(text, 0) {
            Some((target, end)) if end == text.len() => Some(target),
            _ => None,
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Here(number) => write!(out, "#{number}"),
            Target::Repo { repo, number } => write!(out, "{repo}#{number}"),
            Target::Url { host, repo, number } => write!(out, "https://{host}/{repo}/issues/{number}"),
            Target::Text(text) => out.write_str(text),
        }
    }
}

/// A reference that starts exactly here, and where it ends.
pub(super) fn reference_at(text: &str, at: usize) -> Option<(Target, usize)> {
    let before = text[..at].chars().next_back();
    if before.is_some_and(|letter| is_word(letter) || matches!(letter, '_' | '-' | '.' | '/' | '#' | '&' | '@')) {
        return None;
    }
    let rest = &text[at..];
    for scheme in ["https://", "http://"] {
        if let Some(address) = rest.strip_prefix(scheme) {
            let (target, length) = address_of_issue(address)?;
            return Some((target, at + scheme.len() + length));
        }
    }
    let name =
        rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '/')))?;
    let (repo, rest) = rest.split_at(name);
    let (number, length) = number_at(rest.strip_prefix('#')?)?;
    let plausible = repo.split('/').count() <= 2 && repo.split('/').all(|part| !part.is_empty());
    let target = match repo {
        "" => Target::Here(number),
        _ if plausible => Target::Repo { repo: repo.to_owned(), number },
        _ => return None,
    };
    Some((target, at + name + 1 + length))
}

/// `forge.example/acme/lib/issues/7`: the target, and its length.
fn address_of_issue(address: &str) -> Option<(Target, usize)> {
    let end = address
        .find(|letter: char| letter.is_whitespace() || matches!(letter, ')' | ']' | '>' | '"' | '<' | ',' | '*'))
        .unwrap_or(address.len());
    let whole = address[..end].trim_end_matches(['.', ':', ';', '!', '?']);
    let path = whole.split(['#', '?']).next().unwrap_or_default();
    let mut parts = path.split('/');
    let (host, owner, name) = (parts.next()?, parts.next()?, parts.next()?);
    let kind = parts.next().and_then(|part| if part == "-" { parts.next() } else { Some(part) })?;
    let number = parts.next()?.parse().ok()?;
    let is_issue = matches!(kind, "issues" | "pull" | "pulls" | "merge_requests" | "work_items");
    let repo = format!("{owner}/{name}");
    (is_issue && !host.is_empty()).then(|| (Target::Url { host: host.to_owned(), repo, number }, whole.len()))
}

fn number_at(text: &str) -> Option<(u64, usize)> {
    let length = text.chars().take_while(char::is_ascii_digit).count();
    let goes_on = text[length..].starts_with(|letter: char| is_word(letter) || letter == '_');
    // A number beyond all counting names no issue that exists, and so an open one.
    (length > 0 && !goes_on).then(|| (text[..length].parse().unwrap_or(u64::MAX), length))
}

pub(super) fn is_word(letter: char) -> bool {
    letter.is_alphanumeric()
}
