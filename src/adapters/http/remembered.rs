//! Answers kept on disk, each with its ETag: a server that says "not modified" is not charged for it.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::SystemTime;

use reqwest::Url;
use reqwest::header::{ETAG, HeaderMap, HeaderValue, LINK};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::call::next_of;
use crate::adapters::confined::Directory;
use crate::ports::PortResult;

/// A larger answer is not kept.
const LARGEST: usize = 512 * 1024;
/// How many are kept, and how many bytes in all; those unused for longest go first.
const MOST: usize = 4000;
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// How many are written before it is looked again whether there are too many.
const BETWEEN_SWEEPS: u32 = 100;
const VERSION: u32 = 1;

/// What makes two requests the same: an answer belongs to an address, to what was accepted, and to who asked.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// The whole address.
    pub address: &'a str,
    /// The `Accept` header.
    pub accept: &'a str,
    /// Where the token comes from; never the token.
    pub asker: &'a str,
}

impl Key<'_> {
    fn text(&self) -> String {
        format!("{}\n{}\n{}", self.address, self.accept, self.asker)
    }

    fn file(&self) -> String {
        let digest = Sha256::digest(self.text());
        let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("{name}.json")
    }
}

/// One answer, as it lies on disk.
#[derive(Debug, Serialize, Deserialize)]
pub struct Entry {
    version: u32,
    key: String,
    /// Its tag.
    pub etag: String,
    link: Option<String>,
    /// Its body.
    pub body: String,
}

impl Entry {
    /// An answer that is worth keeping: whole JSON of a moderate size.
    pub fn of(key: &Key<'_>, headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        // What was cut on its way would be believed for as long as the server says that nothing changed.
        if body.len() > LARGEST || serde_json::from_slice::<IgnoredAny>(body).is_err() {
            return None;
        }
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
        let link = text(LINK);
        if is_full_to_the_end(key, link.as_deref(), body) {
            return None;
        }
        let body = std::str::from_utf8(body).ok()?.to_owned();
        Some(Self { version: VERSION, key: key.text(), etag: text(ETAG)?, link, body })
    }

    /// Completes the headers of "not modified", which need not name the next page again.
    pub fn complete(&self, headers: &mut HeaderMap) {
        if let (false, Some(Ok(link))) = (headers.contains_key(LINK), self.link.as_deref().map(HeaderValue::from_str)) {
            headers.insert(LINK, link);
        }
    }
}

/// Whether a list may go on without any change of this page: it is full, and the last one. "Not modified" need not say
/// that there is a next page by now.
fn is_full_to_the_end(key: &Key<'_>, link: Option<&str>, body: &[u8]) -> bool {
    let size = Url::parse(key.address).ok().and_then(|url| {
        let (_, size) = url.query_pairs().find(|(name, _)| name == "per_page")?;
        size.parse::<usize>().ok()
    });
    let items = serde_json::from_slice::<Vec<IgnoredAny>>(body).map_or(0, |items| items.len());
    link.and_then(next_of).is_none() && size.is_some_and(|size| items >= size)
}

/// The answers of earlier requests.
#[derive(Debug)]
pub struct Remembered {
    folder: Option<PathBuf>,
    keeps: bool,
    /// `None`: nothing was written yet, and nobody has looked how many there are.
    written: Cell<Option<u32>>,
    /// That it cannot be written to is said once.
    complained: Cell<bool>,
}

impl Remembered {
    /// A memory in a folder; without one, nothing is remembered. `keeps`: whether it is added to.
    pub fn new(folder: Option<PathBuf>, keeps: bool) -> Self {
        Self { folder, keeps, written: Cell::default(), complained: Cell::default() }
    }

    /// The answer to the same request, if there is a whole one.
    pub fn find(&self, key: &Key<'_>) -> Option<Entry> {
        let folder = Directory::find(self.folder.as_deref()?).ok().flatten()?;
        let entry: Entry = folder.read_json(&key.file()).ok().flatten()?;
        (entry.version == VERSION && entry.key == key.text()).then_some(entry)
    }

    /// Keeps an answer. That it cannot be kept costs a request and no more.
    pub fn keep(&self, key: &Key<'_>, entry: &Entry) {
        if let Err(error) = self.write(key, entry)
            && !self.complained.replace(true)
        {
            tracing::warn!("an answer cannot be remembered: {error}");
        }
    }

    /// Says that an answer is still of use.
    pub fn used(&self, key: &Key<'_>) {
        let folder = self.folder.as_deref().and_then(|folder| Directory::find(folder).ok().flatten());
        if let Some(Ok(Some(file))) = folder.map(|folder| folder.file(&key.file())) {
            // Only the order in which answers are forgotten hangs on it.
            let _ = file.set_modified(SystemTime::now());
        }
    }

    fn write(&self, key: &Key<'_>, entry: &Entry) -> PortResult<()> {
        let Some(folder) = self.folder.as_ref().filter(|_| self.keeps) else { return Ok(()) };
        let folder = Directory::make(folder)?;
        match self.written.get() {
            Some(written) if written < BETWEEN_SWEEPS => self.written.set(Some(written + 1)),
            _ => {
                sweep(&folder, MOST, MOST_BYTES)?;
                self.written.set(Some(0));
            }
        }
        folder.put_json(&key.file(), entry)
    }
}

/// Forgets the answers that were of use longest ago, until there are few enough.
fn sweep(folder: &Directory, most: usize, most_bytes: u64) -> PortResult<()> {
    let mut files = Vec::new();
    for name in folder.names()? {
        // What cannot be looked at is in nobody's way.
        if let Ok(Some(file)) = folder.file(&name)
            && let Ok(data) = file.metadata()
        {
            files.push((data.modified().unwrap_or(SystemTime::UNIX_EPOCH), data.len(), name));
        }
    }
    files.sort();
    let mut left = files.len();
    let mut bytes: u64 = files.iter().map(|(_, length, _)| length).sum();
    for (_, length, name) in files {
        if left <= most && bytes <= most_bytes {
            break;
        }
        folder.remove(&name)?;
        left -= 1;
        bytes -= length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use pretty_assertions::assert_eq;

    const KEY: Key<'_> = Key { address: "https://api.test/a", accept: "json", asker: "the variable `T`" };

    fn headers() -> HeaderMap {
        [(ETAG, HeaderValue::from_static("\"1\"")), (LINK, HeaderValue::from_static("<b>; rel=\"next\""))]
            .into_iter()
            .collect()
    }

    #[test]
    fn an_answer_is_found_again_by_the_same_question_of_the_same_asker_only() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Remembered::new(Some(folder.path().join("deep/answers")), true);
        assert!(memory.find(&KEY).is_none());
        memory.keep(&KEY, &Entry::of(&KEY, &headers(), b"[1]").unwrap());
        let found = memory.find(&KEY).unwrap();
        assert_eq!((found.etag.as_str(), found.body.as_str()), ("\"1\"", "[1]"));
        let mut completed = HeaderMap::new();
        found.complete(&mut completed);
        assert_eq!(completed.get(LINK), headers().get(LINK));
        assert!(memory.find(&Key { address: "https://api.test/b", ..KEY }).is_none());
        assert!(memory.find(&Key { accept: "text", ..KEY }).is_none());
        assert!(memory.find(&Key { asker: "the file `t`", ..KEY }).is_none());
    }

    #[test]
    fn a_broken_entry_and_one_of_another_version_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Remembered::new(Some(folder.path().to_owned()), true);
        let file = folder.path().join(KEY.file());
        let mut entry = Entry::of(&KEY, &headers(), b"[1]").unwrap();
        memory.keep(&KEY, &entry);
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        assert!(memory.find(&KEY).is_none());
        entry.version += 1;
        memory.keep(&KEY, &entry);
        assert!(memory.find(&KEY).is_none());
    }

    #[test]
    fn answers_without_a_tag_too_large_or_not_text_are_not_kept() {
        assert!(Entry::of(&KEY, &HeaderMap::new(), b"[]").is_none());
        assert!(Entry::of(&KEY, &headers(), &vec![b' '; LARGEST + 1]).is_none());
        assert!(Entry::of(&KEY, &headers(), &[0xff]).is_none());
    }

    #[test]
    fn what_was_of_use_longest_ago_is_forgotten_first() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::make(folder.path()).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        for (name, age) in [("old", 3), ("newer", 2), ("newest", 1)] {
            directory.put(name, b"12345678").unwrap();
            let file = directory.file(name).unwrap().unwrap();
            file.set_modified(long_ago - Duration::from_secs(age)).unwrap();
        }
        for (most, bytes, left) in [(2, 1000, vec!["newer", "newest"]), (2, 10, vec!["newest"])] {
            sweep(&directory, most, bytes).unwrap();
            let mut names = directory.names().unwrap();
            names.retain(|name| !name.starts_with('.'));
            assert_eq!(names, left);
        }
    }
}
