//! Files as a forge knows them: by their path from the root of the repository.

use std::path::{Component, Path, PathBuf, absolute};

/// A file of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// From the root of the repository, with `/`; absolute where the file lies in none.
    pub path: String,
    /// Whether it lies in a repository.
    pub inside: bool,
}

impl Place {
    /// Of a file as the user named it. The repository is the nearest one around the file; without one, the working
    /// directory counts as its root.
    pub fn of(name: &str) -> Self {
        let file = absolute(name).map_or_else(|_| PathBuf::from(name), |path| tidy(&path));
        let repository = file.ancestors().skip(1).find(|folder| folder.join(".git").exists()).map(Path::to_owned);
        let root = repository.or_else(|| std::env::current_dir().ok());
        match root.and_then(|root| file.strip_prefix(root).ok().map(Path::to_owned)) {
            Some(path) => Self { path: path.display().to_string(), inside: true },
            None => Self { path: file.display().to_string(), inside: false },
        }
    }

    /// As a URI, relative where the file lies in a repository.
    pub fn uri(&self) -> String {
        let mut uri = if self.inside { String::new() } else { "file://".to_owned() };
        for byte in self.path.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(byte.into()),
                byte => uri.push_str(&format!("%{byte:02X}")),
            }
        }
        uri
    }
}

/// Without `.` and `..`.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                tidy.pop();
            }
            component => tidy.push(component),
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_file_is_named_from_the_root_of_its_repository() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join(".git")).unwrap();
        let name = folder.path().join("ops/../policies/a b%ü.toml");
        let place = Place::of(&name.display().to_string());
        assert_eq!(place, Place { path: "policies/a b%ü.toml".to_owned(), inside: true });
        assert_eq!(place.uri(), "policies/a%20b%25%C3%BC.toml");
    }

    #[test]
    fn a_file_of_no_repository_keeps_its_whole_path() {
        let place = Place::of("/nowhere/afk.toml");
        assert_eq!(place, Place { path: "/nowhere/afk.toml".to_owned(), inside: false });
        assert_eq!(place.uri(), "file:///nowhere/afk.toml");
    }
}
