//! Files that others can write to: opened by name below an open directory, never through a symbolic link, never a
//! device or a pipe, and bounded. Writes are whole or not at all.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Dir, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ports::{PortError, PortErrorKind, PortResult};
use crate::text::clean_line;

/// The most that is read of a JSON record. The largest holds a whole prompt.
const RECORD_LIMIT: u64 = 8 * 1024 * 1024;

/// How long afk waits for another process's lock on a directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Reads one regular file of at most `max` bytes, named directly: a link in its place is not followed.
///
/// # Errors
/// Those of the file system; what is wrong with the file otherwise, and not which file it is.
pub fn read_file(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    bounded(&open_regular(CWD, path, OFlags::RDONLY, Mode::empty())?, max)
}

/// An open directory. What is made in it is open to nobody whom the directory itself keeps out.
#[derive(Debug)]
pub struct Directory {
    descriptor: OwnedFd,
    path: PathBuf,
    mode: Mode,
}

/// Held until dropped; other holders wait.
#[derive(Debug)]
pub struct DirectoryLock(File);

impl DirectoryLock {
    /// Lets every process started from now on hold the lock too: it is free when the last of them has ended.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn share_with_children(&self) -> PortResult<()> {
        rustix::io::fcntl_setfd(&self.0, rustix::io::FdFlags::empty())
            .map_err(|error| PortError::unreachable(format!("cannot share a lock: {}", std::io::Error::from(error))))
    }
}

/// A regular file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// All of it.
    pub bytes: Vec<u8>,
    mode: Mode,
}

impl Directory {
    /// Opens a directory named by the settings; its own path may hold links, what lies in it may not.
    ///
    /// # Errors
    /// Not found, not a directory, or not readable.
    pub fn open(path: &Path) -> PortResult<Self> {
        match Self::open_at(CWD, path, path.to_owned(), OFlags::empty()) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(PortError::not_found(format!("the folder `{}` does not exist", path.display())))
            }
            other => other.map_err(|error| failed("open the folder", path, &error)),
        }
    }

    /// [`Directory::open`], `None` where there is none.
    ///
    /// # Errors
    /// Not a directory, or not readable.
    pub fn find(path: &Path) -> PortResult<Option<Self>> {
        match Self::open(path) {
            Err(error) if error.kind == PortErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// [`Directory::open`], made, with those above it, where there is none: only its owner may enter it.
    ///
    /// # Errors
    /// As [`Directory::open`], or it cannot be made.
    pub fn make(path: &Path) -> PortResult<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| failed("make the folder", path, &error))?;
        Self::open(path)
    }

    fn open_at(at: impl AsFd, name: impl rustix::path::Arg, path: PathBuf, flags: OFlags) -> io::Result<Self> {
        let flags = flags | OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = match rustix::fs::openat(at, name, flags, Mode::empty()) {
            Err(Errno::NOTDIR | Errno::LOOP | Errno::MLINK) => {
                let what = "it is not a folder, or a symbolic link to one";
                return Err(io::Error::new(ErrorKind::InvalidData, what));
            }
            other => other?,
        };
        let mode = Mode::from_raw_mode(rustix::fs::fstat(&descriptor)?.st_mode);
        Ok(Self { descriptor, path, mode })
    }

    /// Opens a directory in this one, `None` where there is none.
    ///
    /// # Errors
    /// It is something else, a link for one, or not readable.
    pub fn subdirectory(&self, name: &str) -> PortResult<Option<Self>> {
        let path = self.path_of(name);
        match Self::open_at(&self.descriptor, component(name)?, path.clone(), OFlags::NOFOLLOW) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other.map(Some).map_err(|error| failed("open the folder", &path, &error)),
        }
    }

    /// Opens a directory in this one, making it where there is none.
    ///
    /// # Errors
    /// As [`Directory::subdirectory`], or it cannot be made.
    pub fn make_subdirectory(&self, name: &str) -> PortResult<Self> {
        match rustix::fs::mkdirat(&self.descriptor, component(name)?, self.mode & Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed("make the folder", &self.path_of(name), &error.into())),
        }
        self.subdirectory(name)?
            .ok_or_else(|| PortError::not_found(format!("the folder `{}` vanished", self.path_of(name).display())))
    }

    /// Its path, for messages and for what must be told of it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of something in here, for messages.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The names in here that are UTF-8, sorted.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn names(&self) -> PortResult<Vec<String>> {
        let failed = |error: Errno| failed("list", &self.path, &error.into());
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.descriptor).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_bytes().to_vec();
            names.extend(OsString::from_vec(name).into_string());
        }
        names.sort();
        Ok(names)
    }

    /// Whether something is in here; a link counts as itself.
    ///
    /// # Errors
    /// The directory cannot be searched.
    pub fn exists(&self, name: &str) -> PortResult<bool> {
        match rustix::fs::statat(&self.descriptor, component(name)?, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(failed("look at", &self.path_of(name), &error.into())),
        }
    }

    /// Opens a regular file for reading, `None` where there is none.
    ///
    /// # Errors
    /// It is a link, a device, a pipe, or not readable.
    pub fn file(&self, name: &str) -> PortResult<Option<File>> {
        match open_regular(&self.descriptor, component(name)?, OFlags::RDONLY, Mode::empty()) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other.map(Some).map_err(|error| failed("read", &self.path_of(name), &error)),
        }
    }

    /// Opens a regular file for writing to while others read it, made or emptied.
    ///
    /// # Errors
    /// It is a link, a device, a pipe, or cannot be written to.
    pub fn empty_file(&self, name: &str) -> PortResult<File> {
        self.open_made(name, OFlags::WRONLY | OFlags::TRUNC)
    }

    fn open_made(&self, name: &str, flags: OFlags) -> PortResult<File> {
        open_regular(&self.descriptor, component(name)?, flags | OFlags::CREATE, self.file_mode())
            .map_err(|error| failed("open", &self.path_of(name), &error))
    }

    fn file_mode(&self) -> Mode {
        self.mode & Mode::from_raw_mode(0o666)
    }

    /// Reads a regular file of at most `max` bytes, `None` where there is none.
    ///
    /// # Errors
    /// It is a link, a device, a pipe, too large, or not readable.
    pub fn read(&self, name: &str, max: u64) -> PortResult<Option<Contents>> {
        let Some(file) = self.file(name)? else { return Ok(None) };
        let contents = (|| {
            let mode = Mode::from_raw_mode(file.metadata()?.mode() & 0o7777);
            Ok(Contents { bytes: bounded(&file, max)?, mode })
        })();
        contents.map(Some).map_err(|error| failed("read", &self.path_of(name), &error))
    }

    /// Reads a JSON record, `None` where there is none.
    ///
    /// # Errors
    /// As [`Directory::read`], or it is not the record that it should be.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> PortResult<Option<T>> {
        let Some(contents) = self.read(name, RECORD_LIMIT)? else { return Ok(None) };
        serde_json::from_slice(&contents.bytes).map(Some).map_err(|error| {
            PortError::invalid(format!(
                "`{}` makes no sense: {error}",
                clean_line(&self.path_of(name).to_string_lossy(), 500)
            ))
        })
    }

    /// Writes a JSON record whole, whatever was there.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put_json(&self, name: &str, record: &impl Serialize) -> PortResult<()> {
        let text = serde_json::to_vec_pretty(record)
            .map_err(|error| failed("write", &self.path_of(name), &io::Error::other(error)))?;
        self.put(name, &text)
    }

    /// Writes a file that must not exist yet; gives whether it was written.
    ///
    /// # Errors
    /// It cannot be written. Nothing is left behind then, as long as this process lives.
    pub fn create(&self, name: &str, bytes: &[u8]) -> PortResult<bool> {
        let temporary = self.write_temporary(name, bytes, self.file_mode(), None)?;
        let linked =
            rustix::fs::linkat(&self.descriptor, &temporary, &self.descriptor, component(name)?, AtFlags::empty());
        // The file is complete before its name exists: a crash never leaves half of one.
        self.remove(&temporary)?;
        match linked {
            Ok(()) => {
                self.sync()?;
                Ok(true)
            }
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(failed("write", &self.path_of(name), &error.into())),
        }
    }

    /// Puts new bytes in the place of what was read, keeping the permissions. Gives `false`, and changes nothing,
    /// where the file is not what was read any more. The caller holds the lock of the directory.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn replace(&self, name: &str, read: &Contents, bytes: &[u8]) -> PortResult<bool> {
        let temporary = self.write_temporary(name, bytes, read.mode, Some(read.mode))?;
        // People's editors do not know the lock: look again as late as possible.
        let limit = u64::try_from(read.bytes.len()).unwrap_or(u64::MAX);
        let unchanged = matches!(self.read(name, limit), Ok(Some(now)) if now == *read);
        if !unchanged {
            self.remove(&temporary)?;
            return Ok(false);
        }
        self.rename(&temporary, name)?;
        Ok(true)
    }

    /// Writes a file whole, whatever was there.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&self, name: &str, bytes: &[u8]) -> PortResult<()> {
        let temporary = self.write_temporary(name, bytes, self.file_mode(), None)?;
        self.rename(&temporary, name)
    }

    /// Takes the lock of this directory, waiting at most ten seconds for who holds it.
    ///
    /// # Errors
    /// Somebody holds it for longer, or the lock file cannot be made.
    pub async fn lock(&self, name: &str) -> PortResult<DirectoryLock> {
        let deadline = tokio::time::Instant::now() + LOCK_PATIENCE;
        loop {
            if let Some(lock) = self.try_lock(name)? {
                return Ok(lock);
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(PortError::unreachable(format!(
                    "another process has held `{}` for {} s",
                    self.path_of(name).display(),
                    LOCK_PATIENCE.as_secs()
                )));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Takes the lock of this directory, `None` while somebody holds it. A lock ends with the process that holds it.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn try_lock(&self, name: &str) -> PortResult<Option<DirectoryLock>> {
        let file = self.open_made(name, OFlags::RDWR)?;
        let free = self.flock(name, &file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(free.then_some(DirectoryLock(file)))
    }

    /// Whether somebody holds a lock. Takes it shared for a moment, so a taker has to try more than once.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn is_locked(&self, name: &str) -> PortResult<bool> {
        let Some(file) = self.file(name)? else { return Ok(false) };
        Ok(!self.flock(name, &file, FlockOperation::NonBlockingLockShared)?)
    }

    fn flock(&self, name: &str, file: &File, operation: FlockOperation) -> PortResult<bool> {
        match rustix::io::retry_on_intr(|| rustix::fs::flock(file, operation)) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(failed("lock", &self.path_of(name), &error.into())),
        }
    }

    /// A complete file under a name of this process's own. `exact`: its permissions, whatever the umask.
    fn write_temporary(&self, name: &str, bytes: &[u8], mode: Mode, exact: Option<Mode>) -> PortResult<String> {
        let temporary = format!(".{}.afk-{}", component(name)?, std::process::id());
        let path = self.path_of(&temporary);
        // Left behind by an earlier process of this number, killed in the middle.
        self.remove(&temporary)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = rustix::fs::openat(&self.descriptor, &temporary, flags, mode)
            .map_err(|error| failed("write", &path, &error.into()))?;
        let mut file = File::from(descriptor);
        let written = (|| {
            file.write_all(bytes)?;
            if let Some(mode) = exact {
                rustix::fs::fchmod(&file, mode)?;
            }
            file.sync_all()
        })();
        if let Err(error) = written {
            self.remove(&temporary)?;
            return Err(failed("write", &path, &error));
        }
        Ok(temporary)
    }

    fn rename(&self, from: &str, to: &str) -> PortResult<()> {
        rustix::fs::renameat(&self.descriptor, from, &self.descriptor, component(to)?)
            .map_err(|error| failed("write", &self.path_of(to), &error.into()))?;
        self.sync()
    }

    /// Removes a file; nothing happens where there is none.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, name: &str) -> PortResult<()> {
        match rustix::fs::unlinkat(&self.descriptor, component(name)?, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(failed("remove", &self.path_of(name), &error.into())),
        }
    }

    /// [`Directory::remove`], so that no power cut brings it back.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove_for_good(&self, name: &str) -> PortResult<()> {
        match rustix::fs::unlinkat(&self.descriptor, component(name)?, AtFlags::empty()) {
            Ok(()) => self.sync(),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(failed("remove", &self.path_of(name), &error.into())),
        }
    }

    fn sync(&self) -> PortResult<()> {
        rustix::fs::fsync(&self.descriptor).map_err(|error| failed("write", &self.path, &error.into()))
    }
}

/// Opens a regular file, in a directory or by a path, without following a link in its place.
fn open_regular(at: impl AsFd, path: impl rustix::path::Arg, flags: OFlags, mode: Mode) -> io::Result<File> {
    // Without NONBLOCK, opening a pipe would wait for its other end.
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(at, path, flags, mode) {
        Ok(descriptor) => File::from(descriptor),
        // What systems say of a link that is not to be followed.
        Err(Errno::LOOP | Errno::MLINK) => return Err(io::Error::new(ErrorKind::InvalidData, "it is a symbolic link")),
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(ErrorKind::InvalidData, "it is not a regular file"))
    }
}

fn bounded(file: &File, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= max) {
        Ok(bytes)
    } else {
        Err(io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {max} bytes")))
    }
}

fn component(name: &str) -> PortResult<&str> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(PortError::invalid(format!("`{}` is not a file name", clean_line(name, 100))));
    }
    Ok(name)
}

fn failed(what: &str, path: &Path, error: &io::Error) -> PortError {
    let message = format!("cannot {what} `{}`: {error}", clean_line(&path.to_string_lossy(), 500));
    match error.kind() {
        ErrorKind::InvalidData | ErrorKind::FileTooLarge => PortError::invalid(message),
        _ => PortError::unreachable(message),
    }
}
