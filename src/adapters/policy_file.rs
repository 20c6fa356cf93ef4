//! The policy and its prompts, read from disk and judged: whole, regular, bounded UTF-8 files, named directly.
//!
//! Prompts are named relative to the folder of the policy; they may lie beside it (`../prompts/x.md`), but an absolute
//! path is refused, so that a policy means the same on every machine, and so is a symbolic link, so that what a
//! reviewer sees in the repository is what agents are told.

use std::fs::FileType;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::confined::read_file;
use crate::policy::{
    self, Checked, Code, Finding, InstalledNames, MAX_POLICY_BYTES, Policy, Severity, Source, Span, Surroundings,
};
use crate::verify::{self, Proof, Proofs};

/// A policy as it lies on disk, and what the check and the proofs said of it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The text, for showing places; empty when it could not be read.
    pub source: Source,
    /// The policy, or what is wrong with it. A file that cannot be read is a finding too. Prompts, and findings in
    /// them, are named by where they lie.
    pub checked: Checked,
    /// What was proven of it; of a policy in error those proofs for which the sound part suffices. `None`: nobody asked.
    pub proofs: Option<Vec<Proof>>,
}

/// Reads, checks and proves a policy. `installed`: what of the settings it is held against. One that breaks a safety
/// invariant is no policy to work with, like one in error.
pub fn load(path: &Path, installed: &InstalledNames) -> Loaded {
    let mut loaded = load_unproven(path, installed);
    loaded.prove(verify::prove);
    loaded
}

/// Reads and checks a policy, to look at it: what its rules allow together may be anything.
pub fn load_unproven(path: &Path, installed: &InstalledNames) -> Loaded {
    let Source { name, text } = match source(path) {
        Ok(source) => source,
        Err(finding) => {
            let source = Source { name: path.display().to_string(), text: String::new() };
            let checked = Checked { policy: None, fragments: None, findings: vec![finding], prompts: Vec::new() };
            return Loaded { source, checked, proofs: None };
        }
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let prompt = prompts_beside(path);
    let mut checked = policy::check(&text, &name, &Surroundings { prompt: &prompt, installed });
    // The check knows prompts by what the policy writes; people find them by where they lie.
    let place = |written: &str| folder.join(written).display().to_string();
    for finding in checked.findings.iter_mut().filter(|finding| finding.file != name) {
        finding.file = place(&finding.file);
    }
    for prompt in &mut checked.prompts {
        prompt.name = place(&prompt.name);
    }
    Loaded { source: Source { name, text }, checked, proofs: None }
}

impl Loaded {
    /// Adds the proofs, made by `prove`.
    pub fn prove(&mut self, prove: impl FnOnce(&Policy) -> Proofs) {
        let Proofs { proofs, findings } = match (&self.checked.policy, &self.checked.fragments) {
            (Some(policy), _) => prove(policy),
            (None, Some(fragments)) => verify::prove_fragments(fragments, &self.source),
            (None, None) => return,
        };
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            self.checked.policy = None;
        }
        self.checked.findings.extend(findings);
        self.proofs = Some(proofs);
    }
}

/// A policy, or the tests beside one, as it lies on disk.
///
/// # Errors
/// A finding that says why it is not read.
pub fn source(path: &Path) -> Result<Source, Finding> {
    let name = path.display().to_string();
    read(path).map_err(|error| error.into_finding(&name)).map(|text| Source { name, text })
}

/// Reads prompts as the policy at `path` names them.
pub fn prompts_beside(path: &Path) -> impl Fn(&str) -> Result<String, String> {
    let folder = path.parent().unwrap_or(Path::new(""));
    move |written| {
        let path = folder.join(written);
        read(&path).map_err(|error| format!("`{}` {}", path.display(), error.what))
    }
}

/// Why a file was not read.
struct Unreadable {
    /// What is wrong, as it follows the name of the file.
    what: String,
    /// What to do.
    mend: String,
}

impl Unreadable {
    fn new(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), mend: mend.into() }
    }

    fn into_finding(self, name: &str) -> Finding {
        Finding {
            code: Code::Unreadable,
            severity: Severity::Error,
            message: format!("`{name}` {}", self.what),
            file: name.to_owned(),
            span: Span::default(),
            label: String::new(),
            help: vec![self.mend],
        }
    }
}

fn read(path: &Path) -> Result<String, Unreadable> {
    let io = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => {
            Unreadable::new("does not exist", "name a file that does, with `--policy`, or run `afk init`")
        }
        ErrorKind::PermissionDenied => Unreadable::new("may not be read by this user", "give this user read access"),
        ErrorKind::FileTooLarge => Unreadable::new("is larger than 1 MiB", "split the text, or name the right file"),
        _ => Unreadable::new(format!("cannot be read: {error}"), "name another file, or mend this one"),
    };
    let kind = path.symlink_metadata().map_err(io)?.file_type();
    if kind.is_symlink() {
        let target = path.read_link().map_err(io)?;
        let target = path.parent().unwrap_or(Path::new("")).join(target);
        return Err(Unreadable::new(
            format!("is a symbolic link to `{}`", target.display()),
            "name that file directly: a link can be turned elsewhere without a review",
        ));
    }
    regular(kind)?;
    // The file may have been swapped since: this follows nothing either.
    text(read_file(path, MAX_POLICY_BYTES as u64).map_err(io)?)
}

fn regular(kind: FileType) -> Result<(), Unreadable> {
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        return Err(Unreadable::new("is a directory", "name the file in it"));
    } else if kind.is_fifo() {
        "is a named pipe"
    } else if kind.is_socket() {
        "is a socket"
    } else {
        "is a device"
    };
    Err(Unreadable::new(what, "name a regular file: what a pipe or device gives cannot be reviewed"))
}

fn text(bytes: Vec<u8>) -> Result<String, Unreadable> {
    String::from_utf8(bytes).map_err(|error| {
        let (valid, rest) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
        let text = String::from_utf8_lossy(valid).into_owned();
        let (line, column) = Source { name: String::new(), text }.line_and_column(valid.len());
        let byte = rest.first().copied().unwrap_or_default();
        Unreadable::new(format!("is not UTF-8: byte 0x{byte:02x} at line {line}, column {column}"), "save it as UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn refusal(path: &Path) -> String {
        let loaded = load(path, &InstalledNames::default());
        assert!(loaded.checked.policy.is_none());
        let [finding] = loaded.checked.findings.as_slice() else { panic!("one finding: {loaded:?}") };
        assert_eq!(finding.code, Code::Unreadable);
        finding.message.clone()
    }

    #[test]
    fn only_a_regular_file_named_directly_is_a_policy() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let shown = |name: &str| at(name).display().to_string();
        fs::write(at("real.toml"), "version = 1").unwrap();
        symlink("real.toml", at("link.toml")).unwrap();
        symlink("nowhere", at("dangling.toml")).unwrap();
        symlink("loop.toml", at("loop.toml")).unwrap();

        assert_eq!(refusal(&at("missing.toml")), format!("`{}` does not exist", shown("missing.toml")));
        assert_eq!(refusal(folder.path()), format!("`{}` is a directory", folder.path().display()));
        for (link, target) in [("link.toml", "real.toml"), ("dangling.toml", "nowhere"), ("loop.toml", "loop.toml")] {
            assert_eq!(refusal(&at(link)), format!("`{}` is a symbolic link to `{}`", shown(link), shown(target)));
        }
        assert_eq!(refusal(Path::new("/dev/zero")), "`/dev/zero` is a device");
    }

    #[test]
    fn a_file_of_exactly_the_bound_is_read_and_one_byte_more_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.toml");
        fs::write(&path, vec![b'#'; MAX_POLICY_BYTES]).unwrap();
        assert_eq!(read(&path).map(|text| text.len()).ok(), Some(MAX_POLICY_BYTES));
        fs::write(&path, vec![b'#'; MAX_POLICY_BYTES + 1]).unwrap();
        assert_eq!(refusal(&path), format!("`{}` is larger than 1 MiB", path.display()));
    }

    #[test]
    fn a_wrong_byte_is_named_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latin1.toml");
        fs::write(&path, b"# \xc3\xa9\n# caf\xe9\n").unwrap();
        assert_eq!(refusal(&path), format!("`{}` is not UTF-8: byte 0xe9 at line 2, column 6", path.display()));
    }
}
