//! Files in a directory that others can write to: opened by name below an open directory, never through a symbolic
//! link, never a device or a pipe, and bounded. Writes are whole or not at all.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::ports::{PortError, PortResult};

/// How long afk waits for another process's lock on a directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    descriptor: OwnedFd,
    path: PathBuf,
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
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
            Ok(descriptor) => Ok(Self { descriptor, path: path.to_owned() }),
            Err(Errno::NOENT) => Err(PortError::not_found(format!("the folder `{}` does not exist", path.display()))),
            Err(error) => Err(failed("open the folder", path, error)),
        }
    }

    /// Opens a directory in this one, `None` where there is none.
    ///
    /// # Errors
    /// It is something else, a link for one, or not readable.
    pub fn subdirectory(&self, name: &str) -> PortResult<Option<Self>> {
        let path = self.path_of(name);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.descriptor, component(name)?, flags, Mode::empty()) {
            Ok(descriptor) => Ok(Some(Self { descriptor, path })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(failed("open the folder", &path, error)),
        }
    }

    /// Opens a directory in this one, making it where there is none.
    ///
    /// # Errors
    /// As [`Directory::subdirectory`], or it cannot be made.
    pub fn make_subdirectory(&self, name: &str) -> PortResult<Self> {
        match rustix::fs::mkdirat(&self.descriptor, component(name)?, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed("make the folder", &self.path_of(name), error)),
        }
        self.subdirectory(name)?
            .ok_or_else(|| PortError::not_found(format!("the folder `{}` vanished", self.path_of(name).display())))
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
        let entries = Dir::read_from(&self.descriptor).map_err(|error| failed("list", &self.path, error))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed("list", &self.path, error))?;
            if let Ok(name) = OsString::from_vec(entry.file_name().to_bytes().to_vec()).into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Reads a regular file of at most `max` bytes, `None` where there is none.
    ///
    /// # Errors
    /// It is a link, a device, a pipe, too large, or not readable.
    pub fn read(&self, name: &str, max: u64) -> PortResult<Option<Contents>> {
        let path = self.path_of(name);
        // Without NONBLOCK, opening a pipe would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let descriptor = match rustix::fs::openat(&self.descriptor, component(name)?, flags, Mode::empty()) {
            Ok(descriptor) => descriptor,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(failed("read", &path, error)),
        };
        let stat = rustix::fs::fstat(&descriptor).map_err(|error| failed("read", &path, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(PortError::invalid(format!("`{}` is not a regular file", path.display())));
        }
        let mut bytes = Vec::new();
        File::from(descriptor)
            .take(max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| PortError::unreachable(format!("cannot read `{}`: {error}", path.display())))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max {
            return Err(PortError::invalid(format!("`{}` is larger than {max} bytes", path.display())));
        }
        Ok(Some(Contents { bytes, mode: Mode::from_raw_mode(stat.st_mode & 0o7777) }))
    }

    /// Writes a file that must not exist yet; gives whether it was written.
    ///
    /// # Errors
    /// It cannot be written. Nothing is left behind then, as long as this process lives.
    pub fn create(&self, name: &str, bytes: &[u8]) -> PortResult<bool> {
        let temporary = self.write_temporary(name, bytes, Mode::from_raw_mode(0o666), None)?;
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
            Err(error) => Err(failed("write", &self.path_of(name), error)),
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
        let temporary = self.write_temporary(name, bytes, Mode::from_raw_mode(0o666), None)?;
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
        let path = self.path_of(name);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        let descriptor = rustix::fs::openat(&self.descriptor, component(name)?, flags, mode)
            .map_err(|error| failed("open the lock", &path, error))?;
        match rustix::fs::flock(&descriptor, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(DirectoryLock(File::from(descriptor)))),
            Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(None),
            Err(error) => Err(failed("lock", &path, error)),
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
            .map_err(|error| failed("write", &path, error))?;
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
            return Err(PortError::unreachable(format!("cannot write `{}`: {error}", path.display())));
        }
        Ok(temporary)
    }

    fn rename(&self, from: &str, to: &str) -> PortResult<()> {
        rustix::fs::renameat(&self.descriptor, from, &self.descriptor, component(to)?)
            .map_err(|error| failed("write", &self.path_of(to), error))?;
        self.sync()
    }

    fn remove(&self, name: &str) -> PortResult<()> {
        match rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(failed("remove", &self.path_of(name), error)),
        }
    }

    fn sync(&self) -> PortResult<()> {
        rustix::fs::fsync(&self.descriptor).map_err(|error| failed("write", &self.path, error))
    }
}

fn component(name: &str) -> PortResult<&str> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(PortError::invalid(format!("`{}` is not a file name", crate::text::clean_line(name, 100))));
    }
    Ok(name)
}

fn failed(what: &str, path: &Path, error: Errno) -> PortError {
    let path = crate::text::clean_line(&path.to_string_lossy(), 500);
    match error {
        Errno::LOOP | Errno::MLINK => {
            PortError::invalid(format!("`{path}` is a symbolic link, which afk does not follow"))
        }
        Errno::NOTDIR => PortError::invalid(format!("`{path}` is not a folder, or a symbolic link to one")),
        _ => PortError::unreachable(format!("cannot {what} `{path}`: {}", std::io::Error::from(error))),
    }
}
