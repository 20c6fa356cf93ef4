//! Where a policy comes from: a file, a revision, or the one that ships.

use std::path::Path;

use crate::adapters::policy_file::{self, Loaded};
use crate::adapters::policy_revision;
use crate::cli::exit::Failure;
use crate::policy::{self, InstalledNames, Source as Text, Surroundings};
use crate::text::clean_line;

const STANDARD: &str = include_str!("../../../policies/afk.toml");
const PROMPTS: [(&str, &str); 2] = [
    ("prompts/implement.md", include_str!("../../../policies/prompts/implement.md")),
    ("prompts/fix-forward.md", include_str!("../../../policies/prompts/fix-forward.md")),
];

/// As the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(String),
    /// A file of a revision.
    Revision(String, String),
    /// `builtin:standard`.
    Standard,
}

/// Something read, and from where.
#[derive(Debug)]
pub struct Named<T> {
    /// What was read.
    pub value: T,
    /// From where.
    pub source: Source,
}

impl Source {
    fn of(text: &str) -> Result<Self, Failure> {
        if let Some(name) = text.strip_prefix("builtin:") {
            return match name {
                "standard" => Ok(Source::Standard),
                _ => {
                    Err(Failure::usage(format!("there is no built-in policy `{name}`"))
                        .help("write `builtin:standard`"))
                }
            };
        }
        // A file that is there is meant, whatever its name.
        Ok(match text.split_once(':') {
            Some((revision, path)) if Path::new(text).symlink_metadata().is_err() => {
                Source::Revision(revision.to_owned(), path.to_owned())
            }
            None if !text.ends_with(".toml") && Path::new(text).symlink_metadata().is_err() => {
                let shown = clean_line(text, 100);
                return Err(Failure::usage(format!("there is no file `{shown}`"))
                    .help(format!("if it is a revision, write `{shown}:policies/afk.toml`")));
            }
            _ => Source::File(text.to_owned()),
        })
    }

    /// As the command line writes it.
    pub fn shown(&self) -> String {
        match self {
            Source::File(path) => path.clone(),
            Source::Revision(revision, path) => format!("{revision}:{path}"),
            Source::Standard => "builtin:standard".to_owned(),
        }
    }

    /// The path within its repository, as far as that can be told.
    pub fn path(&self) -> Option<&str> {
        match self {
            Source::File(path) | Source::Revision(_, path) => Some(path.strip_prefix("./").unwrap_or(path)),
            Source::Standard => None,
        }
    }
}

/// Reads and checks a policy.
///
/// # Errors
/// When there is no such revision, or no such file in it.
pub fn load(text: &str) -> Result<Named<Loaded>, Failure> {
    let source = Source::of(text)?;
    let value = match &source {
        Source::File(path) => policy_file::load_unproven(Path::new(path), &InstalledNames::default()),
        Source::Revision(revision, path) => policy_revision::load(revision, path).map_err(|message| {
            Failure::could_not_run(message)
                .help("name a file, `REVISION:path/from/the/root`, or `builtin:standard`; fetch the revision first")
        })?,
        Source::Standard => standard(),
    };
    Ok(Named { value, source })
}

fn standard() -> Loaded {
    let name = Source::Standard.shown();
    let prompt = |path: &str| {
        let found = PROMPTS.iter().find(|(name, _)| *name == path);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| format!("there is no built-in prompt `{path}`"))
    };
    let installed = InstalledNames::default();
    let checked = policy::check(STANDARD, &name, &Surroundings { prompt: &prompt, installed: &installed });
    Loaded { source: Text { name, text: STANDARD.to_owned() }, checked, proofs: None }
}
