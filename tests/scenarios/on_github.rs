//! GitHub as a forge of the suite: issues, people and their permissions in the fake, git as everywhere.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::github_fake::contract::Contract;
use crate::github_fake::{EventKind, Fake, Permission, State, TOKEN};
use crate::installation::{Act, Comment, Forge, InstallationOf, Issue, REPO, Runner};

/// The fake, in the process of the test.
pub struct Github {
    pub fake: Fake,
    saved: RefCell<BTreeMap<String, State>>,
}

/// The quickstart's repositories have no owner.
fn full_name(repo: &str) -> String {
    format!("acme/{repo}")
}

impl Forge for Github {
    fn new() -> Self {
        let fake = Fake::start_blocking();
        // Ticks follow one another within milliseconds here; nobody does that to GitHub.
        fake.state().limits.points_a_minute = u64::MAX;
        Self { fake, saved: RefCell::default() }
    }

    fn set_up<R: Runner>(made: InstallationOf<Self, R>) -> InstallationOf<Self, R> {
        let settings = made.read("afk.settings.toml");
        let (before, rest) = settings.split_once("[tracker]\n").unwrap();
        let (_, after) = rest.split_once("[executors.toy]\n").unwrap();
        let uri = made.forge.fake.uri();
        let entry = Self::add_repository(&made, REPO);
        let tracker =
            format!("[tracker]\nkind = \"github\"\nurl = \"{uri}\"\ntoken = {{ variable = \"AFK_GITHUB_TOKEN\" }}");
        made.write("afk.settings.toml", &format!("{before}{tracker}\n\n{entry}\n\n[executors.toy]\n{after}"));
        let policy = made.read("policies/afk.toml");
        made.write("policies/afk.toml", &Self::localized(&policy));
        made.grant("ada", "admin");
        made.grant("mallory", "read");
        made.variable("AFK_GITHUB_TOKEN", TOKEN)
    }

    fn add_repository<R: Runner>(afk: &InstallationOf<Self, R>, repo: &str) -> String {
        let at = afk.forge.fake.repo(&full_name(repo));
        let state = &mut *afk.forge.fake.state();
        state.repos[at].git = Some(afk.path(format!("{repo}.git")));
        state.repos[at].members = state.repos[0].members.clone();
        format!("[repos.\"{}\"]\ngit = \"{repo}.git\"", full_name(repo))
    }

    fn localized(text: &str) -> String {
        let repos = [REPO, "other", "aaa"];
        repos.iter().fold(text.to_owned(), |text, repo| {
            text.replace(&format!("\"{repo}\""), &format!("\"{}\"", full_name(repo)))
        })
    }

    fn grant<R: Runner>(afk: &InstallationOf<Self, R>, login: &str, permission: &str) {
        let permission = match permission {
            "admin" => Permission::Admin,
            "write" => Permission::Write,
            "triage" => Permission::Triage,
            _ => Permission::Read,
        };
        let mut state = afk.forge.fake.state();
        for repo in 0..state.repos.len() {
            state.grant(repo, login, permission.role());
        }
    }

    fn write_issue<R: Runner>(afk: &InstallationOf<Self, R>, repo: &str, number: u64, title: &str, body: &str) {
        let mut state = afk.forge.fake.state();
        let repo = state.at(&full_name(repo));
        state.open(repo, number, "ada", title, body);
    }

    fn act<R: Runner>(afk: &InstallationOf<Self, R>, login: &str, repo: &str, number: u64, act: Act<'_>) {
        let mut state = afk.forge.fake.state();
        let repo = state.at(&full_name(repo));
        match act {
            Act::Label(label) => state.label(repo, number, login, label),
            Act::Unlabel(label) => drop(state.unlabel(repo, number, login, label)),
            Act::Close => state.close(repo, number, login, "not_planned", None),
            Act::CloseByCommit => state.close(repo, number, login, "completed", Some("c".repeat(40))),
            Act::Edit(paragraph) => {
                let body = format!("{}\n\n{paragraph}", state.issue(repo, number).body);
                state.edit_body(repo, number, login, &body);
            }
            Act::Delete => state.delete(repo, number),
            Act::Comment(body) => drop(state.comment(repo, number, login, body)),
            Act::LoseComments => state.issue(repo, number).comments.clear(),
        }
    }

    fn issue<R: Runner>(afk: &InstallationOf<Self, R>, repo: &str, number: u64) -> Issue {
        let state = afk.forge.fake.state();
        let gone = Issue { labels: Vec::new(), open: true, closed_by: None, events: Vec::new(), comments: Vec::new() };
        let Some(issue) = state.repos[state.at(&full_name(repo))].issues.get(&number) else { return gone };
        let by = |login: &Option<String>| login.clone().unwrap_or_else(|| "ghost".to_owned());
        let events = issue.events.iter().map(|event| {
            let change = match &event.kind {
                EventKind::Labeled(label) => format!("+{label}"),
                EventKind::Unlabeled(label) => format!("-{label}"),
                EventKind::Renamed { .. } => "edited".to_owned(),
                EventKind::Closed { reason, .. } => format!("closed {reason}"),
                EventKind::Reopened => "reopened".to_owned(),
            };
            format!("{} {change}", by(&event.by))
        });
        let closed = issue.events.iter().rev().find(|event| matches!(event.kind, EventKind::Closed { .. }));
        let comments = issue.comments.iter();
        Issue {
            labels: issue.labels.clone(),
            open: issue.closed.is_none(),
            closed_by: closed.map(|event| by(&event.by)),
            events: events.collect(),
            comments: comments
                .map(|comment| Comment { author: by(&comment.author), body: comment.body.clone() })
                .collect(),
        }
    }

    fn save(&self, name: &str) {
        self.saved.borrow_mut().insert(name.to_owned(), self.fake.save());
    }

    fn restore(&self, name: &str) {
        self.fake.restore(self.saved.borrow()[name].clone());
    }

    /// Whatever a test was about, all that afk asked and all that it was answered is what GitHub's description allows.
    fn end(&self) {
        let log = self.fake.log();
        if let Some(contract) = Contract::open() {
            assert_eq!(contract.violations(&log), Vec::<String>::new());
        }
        let wrong = log.iter().filter(|exchange| exchange.path == "/graphql").find_map(|exchange| {
            let errors = exchange.answer.as_ref()?.get("errors")?;
            // What is not there any more may be asked for; nonsense may not.
            errors.as_array()?.iter().find(|error| error["type"].is_null()).cloned()
        });
        assert_eq!(wrong, None, "afk asked GraphQL for nonsense");
    }
}
