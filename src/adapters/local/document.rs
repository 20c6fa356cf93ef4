//! The files of the local tracker: TOML front matter between `+++` lines, then Markdown. Pure.

use std::ops::Range;

use chrono::{DateTime, SecondsFormat, Utc};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::adapters::blocked_by::{Mention, Target};
use crate::policy::{CloseReason, Source};
use crate::ports::{PortError, PortResult};

/// An issue as its file tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueFile {
    /// One line.
    pub title: String,
    /// A login.
    pub author: String,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// Logins.
    pub assignees: Vec<String>,
    /// What the key `blocked_by` names.
    pub blocked_by: Vec<Mention>,
    /// In the order of the file, the one source of labels and state.
    pub events: Vec<Event>,
    /// Markdown.
    pub body: String,
}

/// Something that happened to an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: DateTime<Utc>,
    /// The login of who did it.
    pub by: String,
    /// What.
    pub change: Change,
}

/// What an event did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A label was put on.
    Labeled(String),
    /// A label was taken off.
    Unlabeled(String),
    /// The issue was closed.
    Closed(CloseReason),
    /// The issue was opened again.
    Reopened,
    /// Title or body were changed.
    Edited,
}

/// A comment as its file tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommentFile {
    /// A login.
    pub author: String,
    /// When it was written.
    pub at: DateTime<Utc>,
    /// Markdown.
    pub body: String,
}

impl IssueFile {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong, with file, line and column, and what to write.
    pub fn parse(name: &str, bytes: &[u8]) -> PortResult<Self> {
        let page = Page::parse(name, bytes)?;
        let keys = page.keys(
            &page.table,
            0,
            "the front matter",
            &["title", "author", "created_at", "assignees", "blocked_by", "events"],
        )?;
        let events = match keys.get("events") {
            None => Vec::new(),
            Some(value) => {
                let list = value.get_ref().as_array().ok_or_else(|| {
                    page.wrong(value.span().start, "`events` must be a list; write each one under a line `[[events]]`")
                })?;
                list.iter().map(|event| page.event(event)).collect::<PortResult<_>>()?
            }
        };
        let blocked_by = match keys.get("blocked_by") {
            None => Vec::new(),
            Some(value) => page.blockers(value)?,
        };
        let assignees = match keys.get("assignees") {
            None => Vec::new(),
            Some(value) => value
                .get_ref()
                .as_array()
                .and_then(|list| list.iter().map(|login| login.get_ref().as_str().map(str::to_owned)).collect())
                .ok_or_else(|| {
                    page.wrong(value.span().start, "`assignees` must be a list of logins; write [\"ada\", \"leo\"]")
                })?,
        };
        Ok(Self {
            title: page.text(keys.required("title")?, "title", "\"One line that says what is wrong\"")?,
            author: page.text(keys.required("author")?, "author", "\"ada\"")?,
            created_at: page.time(keys.required("created_at")?, "created_at")?,
            assignees,
            blocked_by,
            events,
            body: page.source.text[page.body..].to_owned(),
        })
    }

    /// The labels it carries, as they were last written.
    pub fn labels(&self) -> Vec<String> {
        let mut labels: Vec<String> = Vec::new();
        for event in &self.events {
            match &event.change {
                Change::Labeled(label) if !labels.iter().any(|on| on.eq_ignore_ascii_case(label)) => {
                    labels.push(label.clone());
                }
                Change::Unlabeled(label) => labels.retain(|on| !on.eq_ignore_ascii_case(label)),
                _ => {}
            }
        }
        labels
    }

    /// The login of who closed it; `None` while it is open.
    pub fn closed_by(&self) -> Option<&str> {
        self.events.iter().fold(None, |closed, event| match event.change {
            // Closing what is closed changes nothing, and so not who did it.
            Change::Closed(_) => closed.or(Some(event.by.as_str())),
            Change::Reopened => None,
            _ => closed,
        })
    }
}

impl CommentFile {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong, with file, line and column, and what to write.
    pub fn parse(name: &str, bytes: &[u8]) -> PortResult<Self> {
        let page = Page::parse(name, bytes)?;
        let keys = page.keys(&page.table, 0, "a comment", &["author", "at"])?;
        let body = &page.source.text[page.body..];
        Ok(Self {
            author: page.text(keys.required("author")?, "author", "\"ada\"")?,
            at: page.time(keys.required("at")?, "at")?,
            body: body.strip_suffix('\n').unwrap_or(body).to_owned(),
        })
    }

    /// The text of the file; [`CommentFile::parse`] gives the same comment back.
    pub fn to_text(&self) -> String {
        format!("+++\nauthor = {}\nat = {}\n+++\n{}\n", quoted(&self.author), time(self.at), self.body)
    }
}

/// The file with one more event at the end of its front matter; every other byte stays.
///
/// # Errors
/// The events of the file are written in a way that cannot be appended to.
pub fn append_event(name: &str, bytes: &[u8], event: &Event) -> PortResult<String> {
    let before = IssueFile::parse(name, bytes)?;
    let page = Page::parse(name, bytes)?;
    let text = &page.source.text;
    let change = match &event.change {
        Change::Labeled(label) => format!("labeled = {}", quoted(label)),
        Change::Unlabeled(label) => format!("unlabeled = {}", quoted(label)),
        Change::Closed(CloseReason::Completed) => "closed = \"completed\"".to_owned(),
        Change::Closed(CloseReason::NotPlanned) => "closed = \"not_planned\"".to_owned(),
        Change::Reopened => "reopened = true".to_owned(),
        Change::Edited => "edited = true".to_owned(),
    };
    let entry = format!("\n[[events]]\nat = {}\nby = {}\n{change}\n", time(event.at), quoted(&event.by));
    let entry = if text[..page.front.end].ends_with("\r\n") { entry.replace('\n', "\r\n") } else { entry };
    let after = format!("{}{entry}{}", &text[..page.front.end], &text[page.front.end..]);
    let appended = IssueFile::parse(name, after.as_bytes()).is_ok_and(|after| {
        after.body == before.body && after.events.split_last() == Some((event, before.events.as_slice()))
    });
    if appended {
        Ok(after)
    } else {
        Err(PortError::invalid(format!(
            "{}: afk cannot append an event here; write each event under a line `[[events]]` of its own",
            page.source.place(page.front.end)
        )))
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A TOML basic string. JSON's escapes are TOML's, but for DEL, which JSON leaves as it is.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

/// A file taken apart.
struct Page<'a> {
    source: Source,
    /// Between the fences.
    front: Range<usize>,
    /// Where the body starts.
    body: usize,
    table: DeTable<'a>,
}

/// The keys of a table, every one of them known.
struct Keys<'p, 'a> {
    page: &'p Page<'a>,
    table: &'p DeTable<'a>,
    /// Where the table starts, for what is missing.
    start: usize,
    what: &'static str,
}

impl<'p, 'a> Keys<'p, 'a> {
    fn get(&self, key: &str) -> Option<&'p Spanned<DeValue<'a>>> {
        self.table.get(key)
    }

    fn required(&self, key: &str) -> PortResult<&'p Spanned<DeValue<'a>>> {
        self.get(key).ok_or_else(|| {
            let example = match key {
                "created_at" | "at" => "2026-11-22T14:00:00Z",
                "title" => "\"One line that says what is wrong\"",
                _ => "\"ada\"",
            };
            self.page.wrong(self.start, &format!("{} lacks `{key}`; write `{key} = {example}`", self.what))
        })
    }
}

impl<'a> Page<'a> {
    fn parse(name: &str, bytes: &'a [u8]) -> PortResult<Self> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
            let source = Source { name: name.to_owned(), text: valid };
            PortError::invalid(format!("{}: this is not UTF-8; save the file as UTF-8", source.place(usize::MAX)))
        })?;
        let source = Source { name: name.to_owned(), text: text.to_owned() };
        let mut fences = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let content = line.trim_start_matches('\u{feff}').trim_end();
            if content == "+++" {
                fences.push(start..start + line.len());
                if fences.len() == 2 {
                    break;
                }
            } else if fences.is_empty() {
                break;
            }
            start += line.len();
        }
        let [opening, closing] = fences.as_slice() else {
            let place = if fences.is_empty() { 0 } else { text.len() };
            return Err(PortError::invalid(format!(
                "{}: there must be a line `+++` before and after the front matter; write one as the first line of the \
                 file, and one before the text of the issue",
                source.place(place)
            )));
        };
        let front = opening.end..closing.start;
        let table = DeTable::parse(&text[front.clone()]).map_err(|error| {
            let place = error.span().map_or(front.start, |span| front.start + span.start);
            PortError::invalid(format!("{}: {}", source.place(place), crate::text::clean_line(error.message(), 300)))
        })?;
        Ok(Self { body: closing.end, front, table: table.into_inner(), source })
    }

    /// An error at a byte of the front matter.
    fn wrong(&self, byte: usize, message: &str) -> PortError {
        PortError::invalid(format!("{}: {message}", self.source.place(self.front.start + byte)))
    }

    fn keys<'p>(
        &'p self,
        table: &'p DeTable<'a>,
        start: usize,
        what: &'static str,
        known: &[&str],
    ) -> PortResult<Keys<'p, 'a>> {
        for key in table.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let near = known.iter().map(|word| (strsim::damerau_levenshtein(word, name), word)).min();
                let advice = match near {
                    _ if name == "labels" => {
                        "labels are events: add `[[events]]` with `at`, `by` and `labeled = \"…\"`".to_owned()
                    }
                    Some((distance, word)) if distance <= 3 && distance < word.len() => {
                        format!("did you mean `{word}`?")
                    }
                    _ => format!("it may have {}", known.join(", ")),
                };
                let name = crate::text::clean_line(name, 60);
                return Err(self.wrong(key.span().start, &format!("{what} has no key `{name}`; {advice}")));
            }
        }
        Ok(Keys { page: self, table, start, what })
    }

    fn text(&self, value: &Spanned<DeValue<'a>>, key: &str, example: &str) -> PortResult<String> {
        match value.get_ref().as_str().map(str::trim) {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => Err(self.wrong(
                value.span().start,
                &format!("`{key}` must be a text that is not empty; write `{key} = {example}`"),
            )),
        }
    }

    fn time(&self, value: &Spanned<DeValue<'a>>, key: &str) -> PortResult<DateTime<Utc>> {
        value
            .get_ref()
            .as_datetime()
            .and_then(|time| DateTime::parse_from_rfc3339(&time.to_string()).ok())
            .map(|time| time.to_utc())
            .ok_or_else(|| {
                self.wrong(
                    value.span().start,
                    &format!(
                        "`{key}` must be a time with its offset, without quotes; write `{key} = 2026-11-22T14:00:00Z`"
                    ),
                )
            })
    }

    fn event(&self, value: &Spanned<DeValue<'a>>) -> PortResult<Event> {
        let start = value.span().start;
        let table = value
            .get_ref()
            .as_table()
            .ok_or_else(|| self.wrong(start, "an event must be a table; write each one under a line `[[events]]`"))?;
        let what = ["labeled", "unlabeled", "closed", "reopened", "edited"];
        let keys = self.keys(table, start, "an event", &["at", "by", what[0], what[1], what[2], what[3], what[4]])?;
        let mut changes = what.iter().filter_map(|key| keys.get(key).map(|value| (*key, value)));
        let (Some((key, value)), None) = (changes.next(), changes.next()) else {
            return Err(self.wrong(
                start,
                "an event says one thing; write one of `labeled = \"…\"`, `unlabeled = \"…\"`, \
                 `closed = \"completed\"`, `closed = \"not_planned\"`, `reopened = true`, `edited = true`",
            ));
        };
        let is_true = || match value.get_ref().as_bool() {
            Some(true) => Ok(()),
            _ => Err(self.wrong(value.span().start, &format!("`{key}` can only be true; write `{key} = true`"))),
        };
        let change = match key {
            "labeled" => Change::Labeled(self.text(value, key, "\"ready-for-agent\"")?),
            "unlabeled" => Change::Unlabeled(self.text(value, key, "\"ready-for-agent\"")?),
            "closed" => Change::Closed(match value.get_ref().as_str() {
                Some("completed") => CloseReason::Completed,
                Some("not_planned") => CloseReason::NotPlanned,
                _ => {
                    return Err(self.wrong(
                        value.span().start,
                        "`closed` says why; write `closed = \"completed\"` or `closed = \"not_planned\"`",
                    ));
                }
            }),
            "reopened" => is_true().map(|()| Change::Reopened)?,
            _ => is_true().map(|()| Change::Edited)?,
        };
        Ok(Event {
            at: self.time(keys.required("at")?, "at")?,
            by: self.text(keys.required("by")?, "by", "\"ada\"")?,
            change,
        })
    }

    fn blockers(&self, value: &Spanned<DeValue<'a>>) -> PortResult<Vec<Mention>> {
        let advice = "`blocked_by` lists issues; write [3, \"#4\", \"acme/lib#7\"]";
        let list = value.get_ref().as_array().ok_or_else(|| self.wrong(value.span().start, advice))?;
        list.iter()
            .map(|entry| {
                let target = match entry.get_ref() {
                    DeValue::Integer(number) => {
                        u64::from_str_radix(number.as_str(), number.radix()).ok().map(Target::Here)
                    }
                    DeValue::String(text) => Target::parse(text.trim()),
                    _ => None,
                };
                let start = entry.span().start;
                let line = self.source.line_and_column(self.front.start + start).0;
                target.map(|target| Mention { target, line }).ok_or_else(|| self.wrong(start, advice))
            })
            .collect()
    }
}
