//! The `local` tracker: one folder of Markdown issues per repository, no account anywhere. `docs/local-tracker.md` is
//! its manual. It has no trust boundary: whoever can write the files can be anybody.

mod document;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};

use super::blocked_by::{Target, blocked_by};
use super::clock::SystemClock;
use super::confined::{Contents, Directory};
use crate::policy::facts::IssueStatus;
use crate::policy::{CloseReason, RepoPattern};
use crate::ports::{
    Access, Blocker, Clock, Comment, Edit, Issue, IssueRef, LabelEvent, Listing, PortError, PortResult, Repositories,
    Shortcoming, Tracker, Unreadable,
};
use document::{Change, CommentFile, Event, IssueFile, append_event};

/// The largest file of an issue or a comment, in bytes.
const LARGEST_FILE: u64 = 1024 * 1024;
/// afk's own writes to a folder wait for each other on this file in it.
const LOCK: &str = ".afk-lock";
/// How often a write is tried again after somebody saved the file in the very same moment.
const ATTEMPTS: usize = 5;

/// Folders of Markdown issues.
#[expect(missing_debug_implementations, reason = "a clock has nothing to show")]
pub struct LocalTracker {
    login: String,
    people: BTreeMap<String, String>,
    folders: BTreeMap<String, PathBuf>,
    clock: Rc<dyn Clock>,
}

/// An issue's file, read.
struct Found {
    name: String,
    contents: Contents,
    file: IssueFile,
}

impl LocalTracker {
    /// A tracker over the folders of the settings. `login`: what afk's own events carry; `people`: the granted
    /// permission by login; `folders`: where the issues of each repository are.
    pub fn new(login: String, people: BTreeMap<String, String>, folders: BTreeMap<String, PathBuf>) -> Self {
        Self { login, people, folders, clock: Rc::new(SystemClock) }
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(self, clock: Rc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The repository as the settings spell it, which ids are derived from, and its folder.
    fn folder(&self, repo: &str) -> PortResult<(&str, Directory)> {
        let (name, path) = self.folders.iter().find(|(name, _)| name.eq_ignore_ascii_case(repo)).ok_or_else(|| {
            let repo = crate::text::clean_line(repo, 100);
            PortError::not_found(format!(
                "the settings give no folder of issues for `{repo}`; add `issues = \"…\"` under [repos.\"{repo}\"]"
            ))
        })?;
        Ok((name, Directory::open(path)?))
    }

    fn read(&self, reference: &IssueRef) -> PortResult<Option<Found>> {
        let (_, folder) = self.folder(&reference.repo)?;
        let names = issue_files(&folder)?;
        match names.get(&reference.number) {
            Some(names) => read_issue(&folder, names),
            None => Ok(None),
        }
    }

    fn existing(&self, reference: &IssueRef) -> PortResult<Found> {
        self.read(reference)?.ok_or_else(|| {
            PortError::not_found(format!("there is no file of issue {reference}: it was deleted, or never was"))
        })
    }

    fn issue_of(&self, repo: &str, number: u64, found: &Found, folder: &Directory) -> Issue {
        let file = &found.file;
        let status = match file.closed_by() {
            None => IssueStatus::Open,
            Some(login) if login.eq_ignore_ascii_case(&self.login) => IssueStatus::ClosedByPush,
            Some(_) => IssueStatus::Closed,
        };
        Issue {
            reference: IssueRef { repo: repo.to_owned(), number },
            title: file.title.clone(),
            body: file.body.clone(),
            url: folder.path_of(&found.name).display().to_string(),
            author: Some(file.author.clone()),
            status,
            labels: file.labels(),
            assignees: file.assignees.clone(),
            created_at: file.created_at,
            remembered: false,
        }
    }

    /// Appends what `change` makes of the issue as it is, if anything.
    async fn append(&self, reference: &IssueRef, change: impl Fn(&IssueFile) -> Option<Change>) -> PortResult<()> {
        let (_, folder) = self.folder(&reference.repo)?;
        let _lock = folder.lock(LOCK).await?;
        for _ in 0..ATTEMPTS {
            let found = self.existing(reference)?;
            let Some(change) = change(&found.file) else { return Ok(()) };
            let event = Event { at: self.clock.now().trunc_subsecs(0), by: self.login.clone(), change };
            let path = folder.path_of(&found.name).display().to_string();
            let text = append_event(&path, &found.contents.bytes, &event)?;
            if folder.replace(&found.name, &found.contents, text.as_bytes())? {
                return Ok(());
            }
        }
        Err(PortError::unreachable(format!(
            "the file of issue {reference} changes all the time; afk could not write it"
        )))
    }

    /// Whether an issue named by a text is closed. What cannot be read, or is nobody's, counts as open.
    fn is_closed(&self, here: &IssueRef, target: &Target) -> bool {
        let reference = match target {
            Target::Here(number) => IssueRef { repo: here.repo.clone(), number: *number },
            Target::Repo { repo, number } => IssueRef { repo: repo.clone(), number: *number },
            Target::Url { .. } | Target::Text(_) => return false,
        };
        matches!(self.read(&reference), Ok(Some(found)) if found.file.closed_by().is_some())
    }
}

/// The files `<digits>.md` of a folder by number.
fn issue_files(folder: &Directory) -> PortResult<BTreeMap<u64, Vec<String>>> {
    let mut files: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for name in folder.names()? {
        if let Some(number) = number_of(&name) {
            files.entry(number).or_default().push(name);
        }
    }
    Ok(files)
}

fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".md")?;
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// Reads the file of an issue; two files of one number are an error.
fn read_issue(folder: &Directory, names: &[String]) -> PortResult<Option<Found>> {
    let [name] = names else {
        let names: Vec<String> = names.iter().map(|name| format!("`{}`", folder.path_of(name).display())).collect();
        return Err(PortError::invalid(format!("{} are the same issue; rename all but one", names.join(" and "))));
    };
    let Some(contents) = folder.read(name, LARGEST_FILE)? else { return Ok(None) };
    let file = IssueFile::parse(&folder.path_of(name).display().to_string(), &contents.bytes)?;
    Ok(Some(Found { name: name.clone(), contents, file }))
}

fn comments_folder(issue_file: &str) -> String {
    format!("{}.comments", issue_file.strip_suffix(".md").unwrap_or(issue_file))
}

fn read_comment(folder: &Directory, name: &str) -> PortResult<Option<(Contents, CommentFile)>> {
    let Some(contents) = folder.read(name, LARGEST_FILE)? else { return Ok(None) };
    let comment = CommentFile::parse(&folder.path_of(name).display().to_string(), &contents.bytes)?;
    Ok(Some((contents, comment)))
}

#[async_trait(?Send)]
impl Tracker for LocalTracker {
    async fn login(&self) -> PortResult<String> {
        Ok(self.login.clone())
    }

    async fn now(&self) -> PortResult<DateTime<Utc>> {
        Ok(self.clock.now())
    }

    async fn repos(&self, patterns: &[RepoPattern]) -> PortResult<Repositories> {
        let meant = |repo: &&String| patterns.iter().any(|pattern| pattern.matches(repo));
        Ok(Repositories { names: self.folders.keys().filter(meant).cloned().collect(), unreadable: Vec::new() })
    }

    async fn labelled(&self, repo: &str, label: &str, only_open: bool) -> PortResult<Listing> {
        let (repo, folder) = self.folder(repo)?;
        let mut listing = Listing::default();
        for (number, names) in issue_files(&folder)? {
            match read_issue(&folder, &names) {
                Ok(Some(found)) => {
                    let issue = self.issue_of(repo, number, &found, &folder);
                    let meant = issue.labels.iter().any(|on| on.eq_ignore_ascii_case(label))
                        && !(only_open && issue.status != IssueStatus::Open);
                    if meant {
                        listing.issues.push(issue);
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    let issue = IssueRef { repo: repo.to_owned(), number };
                    listing.unreadable.push(Unreadable { issue, error });
                }
            }
        }
        Ok(listing)
    }

    async fn issue(&self, reference: &IssueRef) -> PortResult<Option<Issue>> {
        let (repo, folder) = self.folder(&reference.repo)?;
        Ok(self.read(reference)?.map(|found| self.issue_of(repo, reference.number, &found, &folder)))
    }

    async fn label_events(&self, reference: &IssueRef) -> PortResult<Vec<LabelEvent>> {
        let (repo, _) = self.folder(&reference.repo)?;
        let found = self.existing(reference)?;
        let events = found.file.events.iter().enumerate().filter_map(|(index, event)| {
            let (label, added) = match &event.change {
                Change::Labeled(label) => (label, true),
                Change::Unlabeled(label) => (label, false),
                _ => return None,
            };
            // Events are only ever appended, so their index stays; the time tells a rewritten list apart.
            let arming =
                format!("local:{}:{}:{index}:{}", repo.to_ascii_lowercase(), reference.number, event.at.to_rfc3339());
            Some(LabelEvent { arming, at: event.at, by: Some(event.by.clone()), label: label.clone(), added })
        });
        Ok(events.collect())
    }

    async fn edits(&self, reference: &IssueRef) -> PortResult<Vec<Edit>> {
        let events = self.existing(reference)?.file.events;
        Ok(events
            .into_iter()
            .filter(|event| event.change == Change::Edited)
            .map(|event| Edit { at: event.at, by: Some(event.by) })
            .collect())
    }

    async fn blockers(&self, reference: &IssueRef) -> PortResult<Vec<Blocker>> {
        let file = self.existing(reference)?.file;
        let said = file.blocked_by.iter().map(|mention| (mention.target.clone(), "blocked_by".to_owned()));
        let written =
            blocked_by(&file.body).into_iter().map(|mention| (mention.target, format!("body, line {}", mention.line)));
        let mut blockers: Vec<Blocker> = Vec::new();
        for (target, evidence) in said.chain(written) {
            let target = match target {
                Target::Repo { repo, number } if repo.eq_ignore_ascii_case(&reference.repo) => Target::Here(number),
                other => other,
            };
            let name = target.to_string();
            if !blockers.iter().any(|known| known.reference.eq_ignore_ascii_case(&name)) {
                blockers.push(Blocker { reference: name, open: !self.is_closed(reference, &target), evidence });
            }
        }
        Ok(blockers)
    }

    async fn access(&self, repo: &str) -> PortResult<Access> {
        let lack = |error: PortError| Shortcoming {
            what: error.message,
            remedy: format!("see `issues` under [repos.\"{}\"] of the settings", crate::text::clean_line(repo, 100)),
        };
        let shortcomings = self.folder(repo).and_then(|(_, folder)| folder.names()).err().map(lack);
        Ok(Access { shortcomings: shortcomings.into_iter().collect(), ..Access::default() })
    }

    async fn permission(&self, _repo: &str, login: &str) -> PortResult<String> {
        let granted = self.people.iter().find(|(person, _)| person.eq_ignore_ascii_case(login));
        Ok(granted.map_or_else(|| "none".to_owned(), |(_, permission)| permission.clone()))
    }

    async fn comments(&self, reference: &IssueRef) -> PortResult<Vec<Comment>> {
        let (_, folder) = self.folder(&reference.repo)?;
        let found = self.existing(reference)?;
        let Some(comments) = folder.subdirectory(&comments_folder(&found.name))? else { return Ok(Vec::new()) };
        let mut list = Vec::new();
        for names in issue_files(&comments)?.into_values() {
            for name in names {
                if let Some((_, comment)) = read_comment(&comments, &name)? {
                    list.push(Comment { id: name, author: Some(comment.author), at: comment.at, body: comment.body });
                }
            }
        }
        Ok(list)
    }

    async fn create_comment(&self, reference: &IssueRef, body: &str) -> PortResult<String> {
        let (_, folder) = self.folder(&reference.repo)?;
        let _lock = folder.lock(LOCK).await?;
        let found = self.existing(reference)?;
        let comments = folder.make_subdirectory(&comments_folder(&found.name))?;
        let at = self.clock.now().trunc_subsecs(0);
        let comment = CommentFile { author: self.login.clone(), at, body: body.to_owned() };
        let text = bounded(comment.to_text())?;
        let last = issue_files(&comments)?.last_key_value().map_or(0, |(number, _)| *number);
        for number in (1..).map(|step| last.saturating_add(step)).take(ATTEMPTS) {
            let name = format!("{number:04}.md");
            if comments.create(&name, text.as_bytes())? {
                return Ok(name);
            }
        }
        Err(PortError::unreachable(format!(
            "comments appear under {reference} all the time; afk could not write its own"
        )))
    }

    async fn edit_comment(&self, reference: &IssueRef, comment: &str, body: &str) -> PortResult<()> {
        let (_, folder) = self.folder(&reference.repo)?;
        let _lock = folder.lock(LOCK).await?;
        let found = self.existing(reference)?;
        let gone = || PortError::not_found(format!("there is no comment `{comment}` on issue {reference}"));
        number_of(comment).ok_or_else(gone)?;
        let comments = folder.subdirectory(&comments_folder(&found.name))?.ok_or_else(gone)?;
        let (contents, old) = read_comment(&comments, comment)?.ok_or_else(gone)?;
        if !old.author.eq_ignore_ascii_case(&self.login) {
            return Err(PortError::refused(format!(
                "comment `{comment}` on issue {reference} is by {}; afk edits only what it wrote itself",
                crate::text::clean_line(&old.author, 60)
            )));
        }
        let text = bounded(CommentFile { body: body.to_owned(), ..old }.to_text())?;
        if comments.replace(comment, &contents, text.as_bytes())? {
            Ok(())
        } else {
            Err(PortError::unreachable(format!(
                "comment `{comment}` on issue {reference} was changed in the same moment"
            )))
        }
    }

    async fn add_label(&self, reference: &IssueRef, label: &str) -> PortResult<()> {
        self.append(reference, |issue| {
            let on = issue.labels().iter().any(|on| on.eq_ignore_ascii_case(label));
            (!on).then(|| Change::Labeled(label.to_owned()))
        })
        .await
    }

    async fn remove_label(&self, reference: &IssueRef, label: &str) -> PortResult<()> {
        self.append(reference, |issue| {
            let on = issue.labels().iter().any(|on| on.eq_ignore_ascii_case(label));
            on.then(|| Change::Unlabeled(label.to_owned()))
        })
        .await
    }

    async fn close(&self, reference: &IssueRef, reason: CloseReason) -> PortResult<()> {
        self.append(reference, |issue| issue.closed_by().is_none().then_some(Change::Closed(reason))).await
    }

    async fn reopen(&self, reference: &IssueRef) -> PortResult<()> {
        self.append(reference, |issue| issue.closed_by().is_some().then_some(Change::Reopened)).await
    }
}

/// What afk writes, afk must be able to read again.
fn bounded(text: String) -> PortResult<String> {
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LARGEST_FILE {
        return Err(PortError::refused(format!("a comment may have {LARGEST_FILE} bytes")));
    }
    Ok(text)
}
