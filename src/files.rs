//! Reading and writing files that others may have tampered with: no links followed, everything bounded. The errors
//! say what is wrong and leave it to the caller to say with which file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::OFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most that is read of a record. A manifest holds a whole prompt.
const RECORD_LIMIT: u64 = 8 * 1024 * 1024;

/// Neither follows a link nor waits for somebody to open the other end of a pipe.
fn careful() -> i32 {
    // The flags of `open` are a C int; all of these are small.
    i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0)
}

/// Makes a directory, and those above it, that only its owner may enter.
pub fn create_directory(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Opens a regular file for writing, made or emptied.
pub fn create(path: &Path) -> io::Result<File> {
    regular(OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).custom_flags(careful()).open(path)?)
}

/// Opens a regular file for reading.
pub fn open(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new().read(true).custom_flags(careful()).open(path);
    regular(opened.map_err(name_links)?)
}

/// "Too many levels of symbolic links" is what a system says of one.
fn name_links(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        io::Error::new(ErrorKind::InvalidData, "it is a symbolic link")
    } else {
        error
    }
}

fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(ErrorKind::InvalidData, "it is not a regular file"))
    }
}

/// Reads a file of at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read <= limit) {
        Ok(bytes)
    } else {
        Err(io::Error::new(ErrorKind::InvalidData, format!("it is larger than {limit} bytes")))
    }
}

/// Reads a JSON record; `None` when there is none.
pub fn read_record<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let bytes = match read(path, RECORD_LIMIT) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| io::Error::new(ErrorKind::InvalidData, format!("it is not what it should be: {error}")))
}

/// Writes a JSON record whole or not at all.
pub fn write_record(path: &Path, record: &impl Serialize) -> io::Result<()> {
    write(path, &serde_json::to_vec_pretty(record).map_err(io::Error::other)?)
}

/// Writes a file whole or not at all: readers see the old one or the new one. A link in its place is replaced, never
/// followed.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_file_name(format!(".{name}.{}.{count}", std::process::id()));
    // What an earlier process of the same id left behind.
    remove(&temporary)?;
    let result = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    })();
    if result.is_err() {
        let _ = remove(&temporary);
    }
    result
}

/// Removes a file, if it is there.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether something is there; a link counts as itself.
pub fn exists(path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes a lock, held until the file is dropped or the process ends; `None` when somebody else holds it.
pub fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = regular(
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(careful())
            .open(path)?,
    )?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether somebody holds a lock. Takes it shared for a moment, so a taker has to try more than once.
pub fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
