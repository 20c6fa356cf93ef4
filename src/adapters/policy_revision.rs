//! The policy and its prompts as they stood in a revision of the git repository at hand.

use std::path::{Component, Path, PathBuf};
use std::process::Command;

use super::policy_file::Loaded;
use crate::policy::{self, InstalledNames, MAX_POLICY_BYTES, Source, Surroundings};
use crate::text::clean_line;

/// A commit of the repository around the working directory.
#[derive(Debug)]
struct Revision {
    commit: String,
}

/// Reads and checks the policy that stood at `path` in `revision`; a `path` that begins with `./` or `../` is relative to
/// the working directory, as git has it. The name that findings call it by is `revision:path`.
///
/// # Errors
/// A sentence: no such revision, no such file in it, or git could not be run.
pub fn load(revision: &str, path: &str) -> Result<Loaded, String> {
    let name = format!("{revision}:{path}");
    let commit = Revision::named(revision)?;
    let path = from_root(path)?;
    let text = commit.file(&path)?;
    let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let prompt = |written: &str| commit.file(&normal(&folder.join(written))?);
    let installed = InstalledNames::default();
    let mut checked = policy::check(&text, &name, &Surroundings { prompt: &prompt, installed: &installed });
    let place = |written: &str| format!("{revision}:{}", folder.join(written).display());
    for finding in checked.findings.iter_mut().filter(|finding| finding.file != name) {
        finding.file = place(&finding.file);
    }
    for prompt in &mut checked.prompts {
        prompt.name = place(&prompt.name);
    }
    Ok(Loaded { source: Source { name, text }, checked, proofs: None })
}

impl Revision {
    fn named(revision: &str) -> Result<Self, String> {
        let shown = clean_line(revision, 100);
        if revision.is_empty() || revision.starts_with('-') {
            return Err(format!("`{shown}` is not a revision"));
        }
        let commit = format!("{revision}^{{commit}}");
        let found = git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &commit])?;
        let commit = found.map(|found| found.trim().to_owned()).filter(|found| is_object(found));
        let commit = commit.ok_or_else(|| format!("git knows no revision `{shown}` here"))?;
        Ok(Self { commit })
    }

    /// The text of a regular file, by its path from the root of the repository.
    fn file(&self, path: &Path) -> Result<String, String> {
        let shown = || format!("`{}` of {}", path.display(), self.commit.get(..8).unwrap_or_default());
        let written = path.to_str().ok_or_else(|| format!("{} is not a path in UTF-8", shown()))?;
        let listed = git(&["ls-tree", "--full-tree", "-z", &self.commit, "--", written])?.unwrap_or_default();
        let entry = listed.split('\0').find_map(|entry| {
            let (about, name) = entry.split_once('\t')?;
            let mut words = about.split(' ');
            (name == written).then_some((words.next()?, words.next()?, words.next()?))
        });
        let object = match entry {
            None => return Err(format!("{} does not exist", shown())),
            Some(("100644" | "100755", "blob", object)) if is_object(object) => object,
            Some(_) => return Err(format!("{} is not a regular file", shown())),
        };
        let size = git(&["cat-file", "-s", object])?.and_then(|size| size.trim().parse::<usize>().ok());
        if size.is_none_or(|size| size > MAX_POLICY_BYTES) {
            return Err(format!("{} is larger than 1 MiB", shown()));
        }
        git(&["cat-file", "blob", object])?.ok_or_else(|| format!("{} cannot be read", shown()))
    }
}

fn is_object(text: &str) -> bool {
    (40..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The path from the root of the repository.
fn from_root(path: &str) -> Result<PathBuf, String> {
    if !path.starts_with("./") && !path.starts_with("../") {
        return normal(Path::new(path));
    }
    let prefix = git(&["rev-parse", "--show-prefix"])?.unwrap_or_default();
    normal(&Path::new(prefix.trim_end_matches('\n')).join(path))
}

/// Without `.` and `..`, which git would not follow.
fn normal(path: &Path) -> Result<PathBuf, String> {
    let outside = || format!("`{}` leads out of the repository", path.display());
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => normal.push(name),
            Component::CurDir => {}
            Component::ParentDir if normal.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(outside()),
        }
    }
    Ok(normal)
}

/// What git says; `None` where it says no.
fn git(arguments: &[&str]) -> Result<Option<String>, String> {
    let output = Command::new("git")
        .arg("--literal-pathspecs")
        .args(arguments)
        .output()
        .map_err(|error| format!("git could not be run: {error}"))?;
    if !output.status.success() {
        let error = clean_line(&String::from_utf8_lossy(&output.stderr), 300);
        return if error.contains("not a git repository") { Err(error) } else { Ok(None) };
    }
    String::from_utf8(output.stdout).map(Some).map_err(|_| "what git gave is not UTF-8".to_owned())
}
