//! `afk doctor` with GitHub: what a repository or a token lacks is named, with what to do about it.

mod github_fake;
mod installation;
#[path = "scenarios/on_github.rs"]
mod on_github;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use afk::adapters::git::GitMirrors;
use afk::adapters::github::checks::GithubChecks;
use afk::adapters::github::{Github as Api, GithubTracker, Server};
use afk::adapters::http::Http;
use afk::adapters::http::api::{Credential, Granted, Manners};
use afk::policy::{Located, Span, Stage, StageSource};
use afk::ports::{Ci, PortResult, Tracker};
use async_trait::async_trait;
use github_fake::contract::Contract;
use github_fake::{Fake, Permission, State, TOKEN};
use installation::{InstallationOf, Ran};
use on_github::Github;
use pretty_assertions::assert_eq;
use secrecy::SecretString;

type Installation = InstallationOf<Github>;

fn lines<'a>(ran: &'a Ran, about: &str) -> Vec<&'a str> {
    ran.stdout.lines().filter(|line| line.split_whitespace().next() == Some(about)).collect()
}

/// The quickstart, as somebody left it on GitHub.
fn with(change: impl FnOnce(&mut State)) -> Installation {
    let afk = Installation::new();
    change(&mut afk.forge.fake.state());
    afk
}

#[test]
fn a_repository_that_afk_could_work_in_has_nothing_in_the_way() {
    let afk = with(|_| {});
    let ran = afk.afk(&["doctor"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains(" as afk, 4,999 of 5,000 requests left"), "{ran}");
    assert!(lines(&ran, "labels").is_empty(), "{ran}");
    let said = "access     -     acme/greeter: afk's account has write; nothing was written to try it; what the token was granted, \
                GitHub does not tell of fine-grained ones: whether it may write issues shows when afk does";
    assert_eq!(lines(&ran, "access"), [said]);
    assert!(ran.stdout.contains("→ see that it has `Issues: read and write` there: http"), "{ran}");
    let writes = afk.forge.fake.log().into_iter().filter(|it| it.method != "GET" && it.path != "/graphql").count();
    assert_eq!(writes, 0);
}

#[test]
fn each_thing_that_is_missing_is_named_with_what_to_do() {
    type Change = fn(&mut State);
    let cases: [(Change, &str, &str, &str); 10] = [
        (
            |state| state.grant(0, "afk", Permission::Triage.role()),
            "access",
            "afk's account has triage on acme/greeter and needs write",
            "/acme/greeter/settings/access",
        ),
        (
            |state| drop(state.scopes.insert(TOKEN.to_owned(), "read:org, gist".to_owned())),
            "access",
            "the token has the scopes `read:org, gist`, and acme/greeter takes `public_repo`",
            "/settings/tokens",
        ),
        (
            |state| {
                state.scopes.insert(TOKEN.to_owned(), "public_repo".to_owned());
                state.repos[0].private = true;
            },
            "access",
            "acme/greeter takes `repo`",
            "/settings/tokens",
        ),
        (|state| state.forbidden.push("/labels"), "labels", "answered 403", "`Issues: read and write`"),
        (|state| state.repos[0].archived = true, "access", "acme/greeter is archived", "take it off `allowlist`"),
        (|state| state.repos[0].has_issues = false, "access", "has its issues turned off", "/acme/greeter/settings"),
        (|state| state.rename("acme/greeter", "acme/hello"), "access", "is now called acme/hello", "`allowlist`"),
        (
            |state| state.forbidden.push("/issues"),
            "access",
            "Issues: read is missing on acme/greeter",
            "/settings/personal-access-tokens",
        ),
        (
            |state| state.forbidden.push("/collaborators/afk/permission"),
            "access",
            "`Metadata: read`",
            "nobody is trusted in acme/greeter",
        ),
        (
            |state| {
                state.repos[0].private = true;
                state.repos[0].members.clear();
            },
            "access",
            "afk's account cannot see acme/greeter",
            "let afk's login see acme/greeter",
        ),
    ];
    for (change, about, what, remedy) in cases {
        let afk = with(change);
        let ran = afk.afk(&["doctor"]);
        assert_eq!(ran.code, Some(1), "{what}: {ran}");
        let failures = lines(&ran, about);
        assert!(failures.iter().any(|line| line.contains("FAIL") && line.contains(what)), "{what}: {ran}");
        assert!(ran.stdout.lines().any(|line| line.contains("→") && line.contains(remedy)), "{remedy}: {ran}");
    }
}

#[test]
fn a_classic_token_with_its_scope_is_enough() {
    for (private, scopes) in [(false, "public_repo"), (true, "gist, repo")] {
        let afk = with(|state| {
            state.repos[0].private = private;
            state.scopes.insert(TOKEN.to_owned(), scopes.to_owned());
        });
        let ran = afk.afk(&["doctor"]);
        assert_eq!(ran.code, Some(0), "{scopes}: {ran}");
        let said = format!(
            "access     ok    acme/greeter: afk's account has write, and its token the scopes `{scopes}`; nothing was written to try it"
        );
        assert_eq!(lines(&ran, "access"), [said]);
    }
}

#[test]
fn a_token_that_github_does_not_know_is_told_by_where_it_comes_from() {
    let afk = with(|state| drop(state.tokens.remove(TOKEN)));
    let ran = afk.afk(&["doctor"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(lines(&ran, "tracker").iter().any(|line| line.contains("AFK_GITHUB_TOKEN")), "{ran}");
    assert!(!ran.stdout.contains(TOKEN), "{ran}");
    assert!(ran.stdout.contains("→ see `token` or `app` under [tracker] of the settings"), "{ran}");
}

#[test]
fn an_address_that_is_no_api_is_told_by_what_it_should_be() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let elsewhere = runtime.block_on(wiremock::MockServer::start()); // it knows nothing: 404
    let afk = with(|_| {});
    let uri = afk.forge.fake.uri();
    let afk = afk.settings(&[(&format!("url = \"{uri}\""), &format!("url = \"{}/nowhere\"", elsewhere.uri()))]);
    let ran = afk.afk(&["doctor"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stdout.contains("that of an Enterprise server ends in `/api/v3`"), "{ran}");
}

#[test]
fn what_is_sent_to_this_machine_without_tls_is_not_shown_to_a_proxy() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let proxy = runtime.block_on(wiremock::MockServer::start());
    let mut afk = with(|_| {});
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
        afk = afk.variable(name, proxy.uri());
    }
    let ran = afk.afk(&["doctor"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(runtime.block_on(proxy.received_requests()).unwrap().len(), 0);
}

#[test]
fn where_git_reads_nothing_both_ways_to_read_are_named() {
    let afk = with(|_| {});
    std::fs::remove_dir_all(afk.path("greeter.git")).unwrap();
    let ran = afk.afk(&["doctor"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(lines(&ran, "git").iter().any(|line| line.contains("FAIL")), "{ran}");
    assert!(ran.stdout.contains("without the section git reads by https, with the tracker's token"), "{ran}");
}

#[test]
fn a_poll_that_could_not_read_a_repository_does_not_say_that_nothing_is_armed() {
    let afk = with(|state| {
        state.repos[0].private = true;
        state.repos[0].members.clear();
    });
    let ran = afk.afk(&["poll", "--dry-run"]);
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stdout.contains("no armed issue was seen; what was skipped may have some"), "{ran}");
    assert!(!ran.stdout.contains("no issue is armed"), "{ran}");
}

#[test]
fn checks_that_cannot_be_read_are_told_before_an_agent_works_for_nothing() {
    for (end, permission) in
        [("/check-runs", "Checks: read is missing"), ("/status", "Commit statuses: read is missing")]
    {
        let afk = with(|state| state.forbidden.push(end))
            .policy(&[("source  = \"command\"\ncommand = \"test\"", "source  = \"checks\"\nrequire = \"all\"")]);
        let ran = afk.afk(&["doctor"]);
        assert_eq!(ran.code, Some(1), "{ran}");
        let told = lines(&ran, "ci");
        assert!(told.iter().any(|line| line.contains(permission)), "{ran}");
        assert!(ran.stdout.contains("→ grant it, or let a command judge"), "{ran}");
        let of_fine_grained = "fine-grained tokens have no such permission and read check runs of public repositories only: \
                               use a GitHub App or a classic token, or a stage with `source = \"command\"`";
        assert_eq!(told[0].contains(of_fine_grained), end == "/check-runs", "{ran}");
        assert!(told[0].contains("Resource not accessible by personal access token"), "{ran}");
        afk.arm(1, "ada");
        let poll = afk.afk(&["poll"]);
        assert!(poll.stdout.contains(&format!("not dispatched: {permission}")), "{poll}");
    }
}

#[test]
fn missing_labels_are_named_and_fix_creates_them_once() {
    let afk = with(|state| {
        let labels = &mut state.repos[0].labels;
        labels.retain(|label| label.name == "ready-for-agent" || label.name == "paused");
        labels[0].name = "Ready-For-Agent".to_owned();
    });
    let ran = afk.afk(&["doctor"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(lines(&ran, "labels")[0].contains("acme/greeter lacks agent-in-progress, ready-for-human"), "{ran}");
    assert!(ran.stdout.contains("→ afk doctor --fix"), "{ran}");

    let fixed = afk.afk(&["doctor", "--fix"]);
    assert_eq!(fixed.code, Some(0), "{fixed}");
    assert_eq!(lines(&fixed, "labels").len(), 2, "{fixed}");
    assert_eq!(afk.forge.fake.state().repos[0].labels.len(), 4);

    let again = afk.afk(&["doctor", "--fix"]);
    assert_eq!((again.code, lines(&again, "labels").len()), (Some(0), 0), "{again}");
    if let Some(contract) = Contract::open() {
        assert_eq!(contract.violations(&afk.forge.fake.log()), Vec::<String>::new());
    }
}

#[test]
fn labels_beyond_the_first_page_are_there_too() {
    let afk = with(|state| {
        state.repos[0].labels.clear();
        for number in 0..150 {
            state.define_label(0, &format!("area-{number}"));
        }
        for label in ["ready-for-agent", "agent-in-progress", "ready-for-human", "paused"] {
            state.define_label(0, label);
        }
    });
    let ran = afk.afk(&["doctor"]);
    assert_eq!((ran.code, lines(&ran, "labels").len()), (Some(0), 0), "{ran}");
}

#[test]
fn more_rights_than_needed_are_a_note() {
    let afk = with(|state| {
        state.grant(0, "afk", Permission::Admin.role());
        state.grant(0, "robot", Permission::Admin.role());
    })
    .settings(&[("[tracker]\n", "[identity]\nagents = [\"robot\"]\n\n[tracker]\n")]);
    let ran = afk.afk(&["doctor"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let notes = lines(&ran, "access");
    assert!(notes.iter().any(|line| line.contains("note") && line.contains("afk is admin of acme/greeter")), "{ran}");
    assert!(notes.iter().any(|line| line.contains("robot is admin of acme/greeter")), "{ran}");
}

#[test]
fn what_the_ticks_remember_of_github_is_left_as_it_is_by_the_commands_beside_them() {
    let commands: [&[&str]; 4] =
        [&["doctor"], &["doctor", "--fix", "--ring"], &["stop", "--issue", "acme/greeter#1"], &["stop"]];
    for command in commands {
        let afk = with(|_| {}).agent("hangs");
        afk.write_issue(1, "Greet", "Greet people.");
        afk.afk(command);
        assert_eq!(memory(&afk), BTreeMap::new(), "nothing is there yet: {command:?}");
        afk.afk(&["stop", "--undo"]);

        afk.arm(1, "ada");
        let ran = afk.poll();
        assert_eq!(ran.code, Some(0), "{ran}");
        afk.watch();
        let before = memory(&afk);
        assert!(before.keys().any(|file| file.ends_with("github.json")) && before.len() > 1, "{before:#?}");
        if command.contains(&"--fix") {
            afk.forge.fake.state().repos[0].labels.retain(|label| label.name != "paused");
        }
        let ran = afk.afk(command);
        assert_eq!(ran.code, Some(0), "{ran}");
        assert_eq!(memory(&afk), before, "{command:?}");
    }
}

/// What afk remembers of GitHub, by file.
fn memory(afk: &Installation) -> BTreeMap<PathBuf, String> {
    let data = afk.path("data");
    let answers = std::fs::read_dir(data.join("github/answers")).into_iter().flatten();
    let mut files: Vec<PathBuf> = answers.map(|file| file.unwrap().path()).filter(|file| file.is_file()).collect();
    files.push(data.join("github.json"));
    files.into_iter().filter_map(|file| Some((file.clone(), std::fs::read_to_string(file).ok()?))).collect()
}

#[tokio::test]
async fn what_the_installation_of_an_app_was_not_granted_is_named() {
    let fake = Fake::start().await;
    fake.repo("acme/site");
    let credential = Rc::new(App);
    let server = Server::new(&fake.uri()).unwrap();
    let github = Api::new(&server, credential, Rc::new(Http::new(Duration::from_secs(5))), Manners::default());
    let lacks = GithubTracker::new(github, server).access("acme/site").await.unwrap().shortcomings;
    let lacks: Vec<(String, bool)> =
        lacks.into_iter().map(|it| (it.what, it.remedy.ends_with("/settings/installations/7"))).collect();
    let expected = [
        "Issues: write is missing on acme/site",
        "Pull requests: read is missing on acme/site",
        "Checks: read is missing on acme/site",
    ];
    assert_eq!(lacks, expected.map(|what| (what.to_owned(), true)));
}

#[tokio::test]
async fn an_app_that_may_not_read_checks_is_told_another_remedy_than_a_token() {
    let fake = Fake::start().await;
    fake.repo("acme/site");
    fake.state().forbidden.push("/check-runs");
    let http = Rc::new(Http::new(Duration::from_secs(5)));
    let github = Api::new(&Server::new(&fake.uri()).unwrap(), Rc::new(App), http.clone(), Manners::default());
    let folder = tempfile::tempdir().unwrap();
    let mirrors = Rc::new(GitMirrors::new(folder.path().to_owned(), BTreeMap::new()));
    let ci = GithubChecks::new(github, mirrors, http, Vec::new());
    let name = Located { value: "build".to_owned(), span: Span::default() };
    let stage = Stage { name, source: StageSource::Checks { require: None } };
    let error = ci.can_judge("acme/site", &stage).await.unwrap_err();
    let remedy =
        "Checks: read is missing on acme/site; add it to the App's permissions, and accept it for the installation";
    assert!(error.message.starts_with(remedy), "{error}");
}

/// An App that was granted some of what afk needs.
struct App;

#[async_trait(?Send)]
impl Credential for App {
    async fn token(&self) -> PortResult<SecretString> {
        Ok(TOKEN.into())
    }

    fn source(&self) -> String {
        "a test".to_owned()
    }

    fn granted(&self) -> Option<Granted> {
        let permissions =
            [("metadata", "read"), ("contents", "write"), ("issues", "read"), ("statuses", "read"), ("checks", "?")];
        let permissions = permissions.map(|(key, level)| (key.to_owned(), level.to_owned())).into();
        Some(Granted { permissions, page: "settings/installations/7".to_owned() })
    }
}
