//! The local tracker: issues are Markdown files, and whoever can write them is believed to be whoever they say.

use std::fs;
use std::path::PathBuf;

use chrono::{SecondsFormat, Utc};

use super::{Act, Comment, Forge, InstallationOf, Issue, REPO, Runner};

/// Nothing of it is outside of the installation's directory.
#[derive(Debug)]
pub struct Local;

impl Forge for Local {
    fn new() -> Self {
        Self
    }

    fn set_up<R: Runner>(made: InstallationOf<Self, R>) -> InstallationOf<Self, R> {
        made
    }

    fn add_repository<R: Runner>(afk: &InstallationOf<Self, R>, repo: &str) -> String {
        fs::create_dir(afk.path(issues(repo))).unwrap();
        format!("[repos.{repo}]\nissues = \"{repo}-issues\"\ngit    = \"{repo}.git\"")
    }

    fn grant<R: Runner>(afk: &InstallationOf<Self, R>, login: &str, permission: &str) {
        afk.edit(
            "afk.settings.toml",
            &[("mallory = \"read\"", &format!("{login} = \"{permission}\"\nmallory = \"read\""))],
        );
    }

    fn write_issue<R: Runner>(afk: &InstallationOf<Self, R>, repo: &str, number: u64, title: &str, body: &str) {
        let text =
            format!("+++\ntitle = \"{title}\"\nauthor = \"ada\"\ncreated_at = 2026-11-02T13:55:00Z\n+++\n\n{body}\n");
        afk.write(&file(repo, number), &text);
    }

    fn act<R: Runner>(afk: &InstallationOf<Self, R>, login: &str, repo: &str, number: u64, act: Act<'_>) {
        let name = file(repo, number);
        let event = |change: &str| {
            let text = afk.read(&name);
            let (front, body) = text.strip_prefix("+++\n").and_then(|text| text.split_once("\n+++\n")).unwrap();
            let event = format!("[[events]]\nat = {}\nby = \"{login}\"\n{change}", now());
            afk.write(&name, &format!("+++\n{front}\n\n{event}\n+++\n{body}"));
        };
        let folder = name.replace(".md", ".comments");
        match act {
            Act::Label(label) => event(&format!("labeled = \"{label}\"")),
            Act::Unlabel(label) => event(&format!("unlabeled = \"{label}\"")),
            Act::Close | Act::CloseByCommit => event("closed = \"not_planned\""),
            Act::Edit(body) => {
                afk.write(&name, &format!("{}\n{body}\n", afk.read(&name)));
                event("edited = true");
            }
            Act::Delete => fs::remove_file(afk.path(name)).unwrap(),
            Act::Comment(body) => {
                let next = (1..).find(|n| !afk.path(format!("{folder}/{n:04}.md")).exists()).unwrap();
                let text = format!("+++\nauthor = \"{login}\"\nat = {}\n+++\n{body}\n", now());
                afk.write(&format!("{folder}/{next:04}.md"), &text);
            }
            Act::LoseComments => fs::remove_dir_all(afk.path(folder)).unwrap(),
        }
    }

    fn issue<R: Runner>(afk: &InstallationOf<Self, R>, repo: &str, number: u64) -> Issue {
        let mut issue = Issue {
            labels: Vec::new(),
            open: true,
            closed_by: None,
            events: Vec::new(),
            comments: comments(afk, repo, number),
        };
        // A deleted issue leaves its comments behind.
        let Ok(text) = fs::read_to_string(afk.path(format!("{}/{number:04}.md", issues(repo)))) else {
            return issue;
        };
        let (front, _) = page(&text);
        for event in front.get("events").and_then(toml::Value::as_array).into_iter().flatten() {
            let text = |key: &str| event.get(key).and_then(toml::Value::as_str);
            let by = text("by").unwrap();
            if let Some(label) = text("labeled") {
                issue.labels.push(label.to_owned());
                issue.events.push(format!("{by} +{label}"));
            } else if let Some(label) = text("unlabeled") {
                issue.labels.retain(|on| on != label);
                issue.events.push(format!("{by} -{label}"));
            } else if let Some(reason) = text("closed") {
                issue.open = false;
                issue.closed_by = Some(by.to_owned());
                issue.events.push(format!("{by} closed {reason}"));
            } else if event.get("reopened").is_some() {
                issue.open = true;
                issue.events.push(format!("{by} reopened"));
            } else {
                issue.events.push(format!("{by} edited"));
            }
        }
        issue
    }

    fn save(&self, _: &str) {}

    fn restore(&self, _: &str) {}

    fn end(&self) {}
}

fn comments<R: Runner>(afk: &InstallationOf<Local, R>, repo: &str, number: u64) -> Vec<Comment> {
    let folder = afk.path(format!("{}/{number:04}.comments", issues(repo)));
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    files.sort();
    let comments = files.iter().map(|path| {
        let text = fs::read_to_string(path).unwrap();
        let (front, body) = page(&text);
        Comment { author: front["author"].as_str().unwrap().to_owned(), body: body.to_owned() }
    });
    comments.collect()
}

/// Front matter and text of a Markdown file.
fn page(text: &str) -> (toml::Table, &str) {
    let (front, body) = text.strip_prefix("+++\n").and_then(|text| text.split_once("\n+++\n")).unwrap();
    (toml::from_str(front).unwrap(), body)
}

fn file(repo: &str, number: u64) -> String {
    format!("{}/{number:04}.md", issues(repo))
}

/// The folder of a repository's issues.
fn issues(repo: &str) -> String {
    if repo == REPO { "issues".to_owned() } else { format!("{repo}-issues") }
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}
