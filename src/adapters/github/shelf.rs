//! What was read of repositories: a file each, of which a few are held in memory at a time. Issues are held as the lines
//! of the file, and taken apart when somebody asks for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::memory::{Edition, OwnComment, complain};
use super::reading::Reading;
use crate::adapters::confined::Directory;
use crate::ports::PortResult;

/// How many repositories are held. What is asked about one is asked in a row.
const HELD: usize = 4;
/// The largest file that is read, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;

/// What a file must be of to count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub version: u32,
    pub server: String,
    pub login: String,
}

/// The first line of a file.
#[derive(Debug, Serialize, Deserialize)]
struct Head<M, R, L> {
    #[serde(flatten)]
    mark: M,
    repo: R,
    lists: L,
}

/// A list as it was read.
#[derive(Debug, Serialize, Deserialize)]
struct Numbers {
    edition: Edition,
    numbers: Vec<u64>,
}

/// One issue, as JSON.
#[derive(Debug)]
struct Line {
    reading: Box<str>,
    /// Empty where there are none.
    comments: Box<str>,
}

#[derive(Debug, Default)]
struct Repository {
    lists: BTreeMap<String, Numbers>,
    issues: BTreeMap<u64, Line>,
    is_changed: bool,
}

/// All of them.
#[derive(Debug)]
pub struct Shelf {
    folder: Option<PathBuf>,
    /// Whether anything is written.
    keeps: bool,
    mark: Mark,
    /// Those that were asked for last are last.
    held: Vec<(String, Repository)>,
    /// Those that this process has read before.
    met: BTreeSet<String>,
    /// Those that were put back with issues that no list leads to.
    untidy: BTreeSet<String>,
    /// The issue that was asked for last, taken apart.
    last: Option<(String, u64, Reading)>,
}

impl Shelf {
    /// The files in a folder. `keeps`: whether any are written.
    pub fn new(folder: Option<PathBuf>, keeps: bool, mark: Mark) -> Self {
        Self { folder, keeps, mark, held: Vec::new(), met: BTreeSet::new(), untidy: BTreeSet::new(), last: None }
    }

    /// What its files are of.
    pub fn mark(&self) -> &Mark {
        &self.mark
    }

    /// The numbers of a list, where it is of that edition.
    pub fn numbers(&mut self, repo: &str, key: &str, edition: &Edition) -> Option<Vec<u64>> {
        let list = self.repository(repo).lists.get(key).filter(|list| list.edition == *edition)?;
        Some(list.numbers.clone())
    }

    /// Puts a list there. Its issues are there already.
    pub fn put_list(&mut self, repo: &str, key: String, edition: Edition, numbers: Vec<u64>) {
        let repository = self.changed(repo);
        repository.lists.insert(key, Numbers { edition, numbers });
    }

    /// Removes a list.
    pub fn remove_list(&mut self, repo: &str, key: &str) {
        if self.repository(repo).lists.contains_key(key) {
            self.changed(repo).lists.remove(key);
        }
    }

    /// An issue.
    pub fn reading(&mut self, repo: &str, number: u64) -> Option<Reading> {
        if let Some((_, _, reading)) = self.last.as_ref().filter(|(of, is, _)| *is == number && of == repo) {
            return Some(reading.clone());
        }
        let line = self.repository(repo).issues.get(&number)?;
        let reading: Reading = serde_json::from_str(&line.reading).ok()?;
        self.last = Some((repo.to_owned(), number, reading.clone()));
        Some(reading)
    }

    /// Puts an issue there. afk's comments on it stay.
    pub fn put(&mut self, repo: &str, number: u64, reading: Reading) {
        let Ok(text) = serde_json::to_string(&reading) else { return };
        let issues = &mut self.changed(repo).issues;
        let comments = issues.remove(&number).map(|line| line.comments).unwrap_or_default();
        issues.insert(number, Line { reading: text.into(), comments });
        self.last = Some((repo.to_owned(), number, reading));
    }

    /// afk's comments on an issue.
    pub fn comments(&mut self, repo: &str, number: u64) -> Vec<OwnComment> {
        let line = self.repository(repo).issues.get(&number);
        let comments = line.filter(|line| !line.comments.is_empty());
        comments.and_then(|line| serde_json::from_str(&line.comments).ok()).unwrap_or_default()
    }

    /// Puts afk's comments on an issue there.
    pub fn put_comments(&mut self, repo: &str, number: u64, comments: &[OwnComment]) {
        let Ok(text) = serde_json::to_string(comments) else { return };
        if let Some(line) = self.changed(repo).issues.get_mut(&number) {
            line.comments = if comments.is_empty() { Box::default() } else { text.into() };
        }
    }

    /// Forgets a repository, also on disk.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn forget(&mut self, repo: &str) -> PortResult<()> {
        self.met.insert(repo.to_owned());
        self.held.retain(|(of, _)| of != repo);
        self.last = None;
        match (&self.folder, self.keeps) {
            (Some(folder), true) => match Directory::find(folder)? {
                Some(folder) => folder.remove_for_good(&file(repo)),
                None => Ok(()),
            },
            // What lies on disk is not this process's to forget; it asks no more.
            _ => {
                self.held.push((repo.to_owned(), Repository { is_changed: true, ..Repository::default() }));
                Ok(())
            }
        }
    }

    /// Writes what is not written yet.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&mut self) -> PortResult<()> {
        let held = std::mem::take(&mut self.held);
        for (repo, repository) in held {
            self.untidy.remove(&repo);
            self.write(&repo, repository.without_unlisted())?;
        }
        std::mem::take(&mut self.untidy).into_iter().try_for_each(|repo| match self.read(&repo) {
            Some(repository) => self.write(&repo, repository.without_unlisted()),
            None => Ok(()),
        })
    }

    fn changed(&mut self, repo: &str) -> &mut Repository {
        let repository = self.repository(repo);
        repository.is_changed = true;
        repository
    }

    /// Takes a repository down, and puts back the one that was not asked for longest.
    fn repository(&mut self, repo: &str) -> &mut Repository {
        let found = match self.held.iter().position(|(of, _)| of == repo) {
            Some(place) => self.held.remove(place),
            None => {
                self.make_room();
                let read = self.read(repo).unwrap_or_default();
                // Of an earlier tick, only what lists lead to is of use.
                let read = if self.met.insert(repo.to_owned()) { read.without_unlisted() } else { read };
                (repo.to_owned(), read)
            }
        };
        let place = self.held.len();
        self.held.push(found);
        &mut self.held[place].1
    }

    fn make_room(&mut self) {
        // What cannot be written has to be held.
        let can_go = |repository: &Repository| self.keeps || !repository.is_changed;
        let held = self.held.iter().filter(|(_, repository)| can_go(repository)).count();
        if held >= HELD
            && let Some(place) = self.held.iter().position(|(_, repository)| can_go(repository))
        {
            let (repo, repository) = self.held.remove(place);
            if repository.has_unlisted() {
                self.untidy.insert(repo.clone());
            }
            complain(self.write(&repo, repository));
        }
    }

    fn read(&self, repo: &str) -> Option<Repository> {
        let bytes = Directory::find(self.folder.as_deref()?).ok()??.read(&file(repo), LARGEST).ok()??.bytes;
        let text = String::from_utf8(bytes).ok()?;
        let mut lines = text.lines();
        let head: Head<Mark, String, BTreeMap<String, Numbers>> = serde_json::from_str(lines.next()?).ok()?;
        if head.mark != self.mark || head.repo != repo {
            return None;
        }
        let issue = |line: &str| {
            let mut parts = line.split('\t');
            let number = parts.next()?.parse().ok()?;
            Some((number, Line { reading: parts.next()?.into(), comments: parts.next()?.into() }))
        };
        let issues = lines.map(issue).collect::<Option<_>>()?;
        Some(Repository { lists: head.lists, issues, is_changed: false })
    }

    fn write(&self, repo: &str, repository: Repository) -> PortResult<()> {
        let Some(folder) = self.folder.as_ref().filter(|_| self.keeps && repository.is_changed) else { return Ok(()) };
        let folder = Directory::make(folder)?;
        if repository.issues.is_empty() {
            return folder.remove_for_good(&file(repo));
        }
        let head = Head { mark: &self.mark, repo, lists: &repository.lists };
        let mut text = serde_json::to_string(&head).unwrap_or_default();
        text.push('\n');
        for (number, Line { reading, comments }) in &repository.issues {
            // JSON has neither tabs nor ends of lines in it. Writing to a text does not fail.
            let _ = writeln!(text, "{number}\t{reading}\t{comments}");
        }
        folder.put(&file(repo), text.as_bytes())
    }
}

impl Repository {
    fn listed(&self) -> BTreeSet<u64> {
        self.lists.values().flat_map(|list| list.numbers.iter().copied()).collect()
    }

    fn has_unlisted(&self) -> bool {
        let listed = self.listed();
        self.issues.keys().any(|number| !listed.contains(number))
    }

    fn without_unlisted(mut self) -> Self {
        let listed = self.listed();
        let before = self.issues.len();
        self.issues.retain(|number, _| listed.contains(number));
        self.is_changed |= self.issues.len() < before;
        self
    }
}

/// The file of a repository, as mirrors are named.
fn file(repo: &str) -> String {
    format!("{}.jsonl", repo.replace('/', "+"))
}
