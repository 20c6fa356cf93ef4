//! `afk init`, as its user meets it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pretty_assertions::assert_eq;
use tempfile::TempDir;

const FILES: [&str; 8] = [
    "policies/afk.toml",
    "policies/afk.test.toml",
    "policies/afk-policy.schema.json",
    "policies/prompts/implement.md",
    "policies/prompts/fix-forward.md",
    "afk.settings.toml",
    "issues/0001.md",
    ".forgejo/workflows/policy.yml",
];

/// A command that sees nothing of whoever runs the tests.
fn command(program: &str, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("GIT_CEILING_DIRECTORIES", dir.parent().unwrap_or(dir)).env("HOME", "/home/ada").env("USER", "ada");
    command
}

fn afk(dir: &Path, arguments: &[&str]) -> Output {
    command(env!("CARGO_BIN_EXE_afk"), dir).args(arguments).output().expect("afk runs")
}

fn git(dir: &Path, arguments: &[&str]) {
    let status = command("git", dir).args(arguments).status().expect("git runs");
    assert!(status.success(), "git {arguments:?}");
}

/// A directory called `app`, with a repository in it where there is an origin.
fn app(origin: Option<&str>) -> (TempDir, PathBuf) {
    let home = TempDir::new().expect("a temporary directory");
    let app = home.path().join("app");
    fs::create_dir(&app).expect("a directory");
    if let Some(origin) = origin {
        git(&app, &["init", "--quiet"]);
        git(&app, &["remote", "add", "origin", origin]);
    }
    (home, app)
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn toml(path: &Path) -> toml::Table {
    fs::read_to_string(path).expect("a file").parse().expect("TOML")
}

#[test]
fn everything_that_a_first_run_needs_is_written_and_named() {
    let (_home, app) = app(Some("git@codeberg.org:acme/app.git"));

    let said = stdout(&afk(&app, &["init"]));

    assert_eq!(
        said,
        "\
wrote policies/afk.toml                 disabled: kill_switch = true, allowlist empty
wrote policies/afk.test.toml            60 cases, coverage 100 %
wrote policies/afk-policy.schema.json   completion and hover text in editors
wrote policies/prompts/implement.md     what an agent is told first
wrote policies/prompts/fix-forward.md   and after red CI
wrote afk.settings.toml                 repository acme/app at git@codeberg.org:acme/app.git
wrote issues/0001.md                    an example, not armed
wrote .forgejo/workflows/policy.yml     check, test and diff on every pull request
Set AFK_REPOSITORY and AFK_REVISION in .forgejo/workflows/policy.yml: where CI gets afk from.
Look at [executors.agent] and [ci.test] in afk.settings.toml: they are guesses.
Nothing runs yet. Next: afk doctor
"
    );
    for file in FILES {
        assert!(app.join(file).is_file(), "{file}");
    }
}

#[test]
fn the_policy_is_disabled_and_fits_the_settings() {
    let (_home, app) = app(Some("git@codeberg.org:acme/app.git"));
    stdout(&afk(&app, &["init"]));

    let policy = toml(&app.join("policies/afk.toml"));
    let settings = toml(&app.join("afk.settings.toml"));

    assert_eq!(policy["kill_switch"].as_bool(), Some(true));
    assert_eq!(policy["allowlist"].as_array().map(Vec::len), Some(0));
    let executor = policy["agent"]["executor"].as_str().expect("an executor");
    assert_eq!(settings["executors"][executor]["kind"].as_str(), Some("command"));
    assert_eq!(policy["ci"]["stages"][0]["source"].as_str(), Some("command"));
    let command = policy["ci"]["stages"][0]["command"].as_str().expect("a command");
    assert!(settings["ci"][command]["command"].is_array());
}

#[test]
fn the_settings_know_the_repository_and_the_person_and_no_token() {
    let (_home, app) = app(Some("https://ada:t0ken@codeberg.org/acme/app.git"));
    stdout(&afk(&app, &["init"]));

    let settings = toml(&app.join("afk.settings.toml"));

    assert_eq!(settings["repos"]["acme/app"]["git"].as_str(), Some("https://codeberg.org/acme/app.git"));
    assert_eq!(settings["tracker"]["people"]["ada"].as_str(), Some("admin"));
    let data = settings["data"].as_str().unwrap();
    assert!(data.starts_with("/home/ada/.local/share/afk/acme/app-"), "{data}");
}

/// The origin, what it is of GitHub's, and the settings that follow.
const ON_GITHUB: [(&str, Option<&str>, Option<&str>); 4] = [
    ("https://ada:t0ken@github.com/acme/app.git", None, None),
    ("git@github.com:acme/app.git", None, Some("git@github.com:acme/app.git")),
    ("https://github.acme.dev/acme/app", Some("https://github.acme.dev/api/v3"), None),
    ("git@acme.ghe.com:acme/app.git", Some("https://api.acme.ghe.com"), Some("git@acme.ghe.com:acme/app.git")),
];

#[test]
fn on_github_issues_and_checks_are_those_of_github() {
    for (origin, url, git) in ON_GITHUB {
        let (_home, app) = app(Some(origin));
        let said = stdout(&afk(&app, &["init"]));

        assert!(said.contains("issues and checks of GitHub, repository acme/app at "), "{said}");
        assert!(said.contains("AFK_GITHUB_TOKEN") && !said.contains("ci.test") && !said.contains("t0ken"), "{said}");
        assert!(said.ends_with("Nothing runs yet. Next: afk doctor\n"), "{said}");
        assert!(!app.join("issues").exists());
        let settings = toml(&app.join("afk.settings.toml"));
        assert_eq!(settings["tracker"]["kind"].as_str(), Some("github"));
        assert_eq!(settings["tracker"]["token"]["variable"].as_str(), Some("AFK_GITHUB_TOKEN"));
        assert_eq!(settings["tracker"].get("url").and_then(|url| url.as_str()), url);
        let repos = settings.get("repos").map(|repos| repos["acme/app"]["git"].as_str().unwrap());
        assert_eq!(repos, git, "{origin}");
        assert!(settings["identity"]["agents"].as_array().unwrap().is_empty());
        assert!(settings.get("ci").is_none());
        let policy = toml(&app.join("policies/afk.toml"));
        assert_eq!(policy["ci"]["stages"][0]["source"].as_str(), Some("checks"));

        let checked = stdout(&afk(&app, &["check-policy"]));
        assert!(checked.contains("policies/afk.toml: ok"), "{checked}");
        stdout(&afk(&app, &["test-policy", "--min-coverage", "100"]));
        // The settings can be used; what is missing is the token.
        let doctor = String::from_utf8(afk(&app, &["doctor"]).stdout).unwrap();
        assert!(doctor.contains("AFK_GITHUB_TOKEN"), "{doctor}");
    }
}

#[test]
fn on_github_issues_can_be_files_all_the_same() {
    let (_home, app) = app(Some("git@github.com:acme/app.git"));
    stdout(&afk(&app, &["init", "--local"]));
    assert_eq!(toml(&app.join("afk.settings.toml"))["tracker"]["kind"].as_str(), Some("local"));
    assert_eq!(toml(&app.join("policies/afk.toml"))["ci"]["stages"][0]["source"].as_str(), Some("command"));
    assert!(app.join("issues/0001.md").is_file() && app.join(".github/workflows/policy.yml").is_file());
}

#[test]
fn two_clones_of_one_repository_do_not_share_a_data_directory() {
    let data = || {
        let (home, app) = app(Some("https://codeberg.org/acme/app.git"));
        stdout(&afk(&app, &["init"]));
        (toml(&app.join("afk.settings.toml"))["data"].as_str().unwrap().to_owned(), home)
    };
    assert_ne!(data().0, data().0);
}

#[test]
fn without_an_origin_it_says_that_it_guesses() {
    let (_home, app) = app(None);

    let said = stdout(&afk(&app, &["init"]));

    assert!(said.contains("repository app at ../app.git, a guess: there is no `origin` here"), "{said}");
    assert_eq!(toml(&app.join("afk.settings.toml"))["repos"]["app"]["git"].as_str(), Some("../app.git"));
}

#[test]
fn the_workflow_is_the_example_of_the_forge_and_lies_where_the_forge_looks() {
    for (origin, path, example) in [
        ("git@github.com:acme/app.git", ".github/workflows/policy.yml", "github"),
        ("https://codeberg.org/acme/app.git", ".forgejo/workflows/policy.yml", "forgejo"),
    ] {
        let (_home, app) = app(Some(origin));
        stdout(&afk(&app, &["init"]));
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/ci/{example}/policy.yml"));
        let read = |path: &Path| fs::read_to_string(path).expect("a file");
        assert_eq!(read(&app.join(path)), read(&example));

        // Below the top of the repository no forge would find it.
        let said = stdout(&afk(&app, &["init", "--dir", "ops"]));
        assert!(said.contains("No workflow") && said.contains("top of the repository"), "{said}");
        assert!(!app.join("ops").join(path).exists());
    }
}

#[test]
fn without_a_forge_there_is_no_workflow_and_it_says_where_some_are() {
    let (_home, app) = app(None);

    let said = stdout(&afk(&app, &["init"]));

    assert!(said.contains("No workflow that judges policy pull requests: there is no forge at `origin`."), "{said}");
    assert!(said.contains("examples/ci of afk"), "{said}");
    assert!(![".github", ".forgejo", ".woodpecker"].iter().any(|folder| app.join(folder).exists()));
}

#[test]
fn what_exists_is_left_alone_and_named() {
    let (_home, app) = app(None);
    fs::create_dir(app.join("policies")).expect("a directory");
    fs::write(app.join("policies/afk.toml"), "mine").expect("a file");
    fs::create_dir(app.join("issues")).expect("a directory");

    let said = stdout(&afk(&app, &["init"]));

    assert!(said.contains("kept  policies/afk.toml                 exists, left as it is"), "{said}");
    assert_eq!(fs::read_to_string(app.join("policies/afk.toml")).expect("a file"), "mine");
    assert!(!app.join("issues/0001.md").exists());

    let again = stdout(&afk(&app, &["init"]));
    assert!(!again.contains("wrote"), "{again}");
}

#[test]
fn a_link_that_leads_nowhere_is_not_written_through() {
    let (home, app) = app(None);
    std::os::unix::fs::symlink(home.path().join("elsewhere"), app.join("afk.settings.toml")).expect("a link");

    let said = stdout(&afk(&app, &["init"]));

    assert!(said.contains("kept  afk.settings.toml"), "{said}");
    assert!(!home.path().join("elsewhere").exists());
}

#[test]
fn another_directory_is_made_and_written_into() {
    let (home, app) = app(None);

    stdout(&afk(&app, &["init", "--dir", "../ops/afk"]));

    assert!(home.path().join("ops/afk/policies/afk.toml").is_file());
    assert!(!app.join("policies").exists());
}

#[test]
fn a_directory_that_cannot_be_written_ends_with_exit_code_4_and_its_name() {
    let (_home, app) = app(None);
    fs::write(app.join("policies"), "a file").expect("a file");

    let output = afk(&app, &["init"]);

    assert_eq!(output.status.code(), Some(4));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("could not write") && complaint.contains("policies"), "{complaint}");
}

#[test]
fn what_it_wrote_passes_check_policy() {
    let (_home, app) = app(Some("git@codeberg.org:acme/app.git"));
    stdout(&afk(&app, &["init"]));

    let said = stdout(&afk(&app, &["check-policy"]));

    assert!(said.contains("policies/afk.toml: ok"), "{said}");
    assert!(said.contains("this policy dispatches nothing: kill_switch is true"), "{said}");
}

#[test]
fn the_tests_that_it_wrote_pass_over_the_policy_that_it_wrote() {
    let (_home, app) = app(Some("git@codeberg.org:acme/app.git"));
    stdout(&afk(&app, &["init"]));

    let said = stdout(&afk(&app, &["test-policy", "--min-coverage", "100"]));

    // What init says of them.
    assert!(said.contains("60 ") && said.contains("100 %"), "{said}");
}

#[test]
fn an_enrolled_policy_passes_too() {
    let (_home, app) = app(Some("git@codeberg.org:acme/app.git"));
    stdout(&afk(&app, &["init"]));
    let path = app.join("policies/afk.toml");
    let text = fs::read_to_string(&path).expect("a file");
    let text = text.replacen("kill_switch = true ", "kill_switch = false", 1);
    fs::write(&path, text.replacen("allowlist   = []", "allowlist   = [\"acme/app\"]", 1)).expect("a file");

    let said = stdout(&afk(&app, &["check-policy"]));

    assert!(said.contains("policies/afk.toml: ok") && !said.contains("dispatches nothing"), "{said}");
}

#[test]
fn beside_a_policy_that_is_kept_no_cases_of_another_are_written() {
    let (_home, app) = app(None);
    fs::create_dir(app.join("policies")).expect("a directory");
    fs::write(app.join("policies/afk.toml"), "version = 1\n").expect("a file");

    let said = stdout(&afk(&app, &["init"]));

    assert!(
        said.contains("left  policies/afk.test.toml            out: its cases are those of the shipped policy\n"),
        "{said}"
    );
    assert!(!app.join("policies/afk.test.toml").exists());
    assert!(app.join("policies/prompts/implement.md").is_file());
}
