//! Whether the program of an argv is there, asked before anything depends on it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Whether a program can be run: a file by its path, or one by that name on afk's `PATH`.
pub fn exists(program: &str) -> bool {
    if program.contains('/') {
        return is_executable(Path::new(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| is_executable(&directory.join(program)))
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
