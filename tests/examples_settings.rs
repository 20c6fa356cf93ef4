//! The settings that are given away can be used as they are.

use std::fs;
use std::path::Path;
use std::process::Command;

use afk::settings::{ExecutorSettings, Settings};
use pretty_assertions::assert_eq;
use tempfile::TempDir;

fn load(file: &Path) -> Settings {
    Settings::layered(Some(file), Path::new("/"), &[], &[]).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_quickstart_starts_its_own_agent_wherever_it_lies() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");

    let settings = load(&folder.join("afk.settings.toml"));

    let ExecutorSettings::Command(toy) = &settings.executors["toy"] else { panic!("a command line") };
    assert_eq!(fs::canonicalize(&toy.start[0]).unwrap(), fs::canonicalize(folder.join("agent.sh")).unwrap());
    assert_eq!(toy.start[0], toy.resume[0]);
    assert_eq!(settings.repos["greeter"].git, folder.join("greeter.git").display().to_string());
}

#[test]
fn each_agent_fits_into_the_settings_that_init_writes() {
    for agent in ["claude", "codex"] {
        let snippet = fs::read_to_string(format!("examples/agents/{agent}.settings.toml")).unwrap();
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("afk.settings.toml");
        let rest = "data = \"data\"\n[tracker]\nkind = \"local\"\n";
        fs::write(&file, format!("{rest}{snippet}")).unwrap();

        let ExecutorSettings::Command(command) = &load(&file).executors["agent"] else { panic!("a command line") };

        assert_eq!((&*command.start[0], &*command.resume[0]), (agent, agent));
        assert!(command.resume.iter().any(|argument| argument == "{session}"), "the same session goes on");
    }
}

#[test]
fn t3_code_fits_into_the_settings_that_init_writes() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("afk.settings.toml");
    let rest = "data = \"data\"\n[tracker]\nkind = \"local\"\n";
    let snippet = fs::read_to_string("examples/agents/t3.settings.toml").unwrap();
    // As it is, and with what it leaves to another machine.
    let elsewhere = snippet.replace("http://127.0.0.1:3773", "https://t3.acme.dev").replace("# checkouts", "checkouts");
    for (snippet, checkouts) in [(snippet, None), (elsewhere, Some(Path::new("/srv/work")))] {
        fs::write(&file, format!("{rest}{snippet}")).unwrap();

        let settings = load(&file);

        let ExecutorSettings::T3(t3) = &settings.executors["t3"] else { panic!("T3 Code") };
        assert_eq!((t3.provider.as_str(), t3.checkouts.as_deref()), ("claudeAgent", checkouts));
    }
    // The name that the shipped policy uses.
    let policy = fs::read_to_string("policies/afk.toml").unwrap();
    assert!(policy.lines().any(|line| line.starts_with("executor ") && line.contains("\"t3\"")));
}

#[test]
fn the_settings_that_init_writes_can_be_used() {
    let folder = TempDir::new().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_afk")).arg("init").current_dir(&folder).output().unwrap().status;
    assert!(status.success());

    let settings = load(&folder.path().join("afk.settings.toml"));

    assert_eq!(settings.repos.len(), 1);
    assert!(settings.executors.contains_key("agent") && settings.ci.contains_key("test"));
}
