//! What of the suite is not lived on your server.

use std::io::Write;
use std::path::Path;

use crate::somebody::URL;

/// Files of the suite whose scenarios are not lived on your server, and why.
const NOT_LIVED: [(&str, &str); 7] = [
    (
        "threads",
        "nobody brings a real server there from outside: it restarts in mid-turn, holds a turn back that it accepted, shows \
         the moment before a checkpoint; its provider dies, refuses a turn, is another or disabled; 120,000 characters are dear",
    ),
    (
        "t3_calls",
        "commands that a server refuses without a reason, silence and a narrow token need a server that obeys the test",
    ),
    ("unruly", "agents that fail, ignore that they are told to end, or lay traps for git: not on a machine of yours"),
    ("faults", "broken repositories, doorbells and settings: T3 Code has no part in it"),
    ("queue", "which issue is taken: T3 Code has no part in it"),
    (
        "people",
        "what people do to issues: to T3 Code it is an interrupt or a turn that is not sent, and each costs a turn",
    ),
    ("switches", "kill switch and policy: T3 Code sees an interrupt, or nothing"),
];

/// The files of a module that lives the suite.
fn files(source: &str, module: &str) -> Vec<String> {
    let (_, rest) = source.split_once(&format!("\nmod {module} {{\n")).unwrap();
    let (module, _) = rest.split_once("\n}").unwrap();
    module.lines().filter_map(|line| Some(line.trim().strip_prefix("mod ")?.strip_suffix(';')?.to_owned())).collect()
}

#[test]
fn whatever_is_not_lived_on_your_server_is_named() {
    let suite = files(include_str!("../scenarios/main.rs"), "t3");
    let lived = files(include_str!("main.rs"), "yours");
    let mut said = match std::env::var_os(URL) {
        Some(_) => String::new(),
        None => {
            format!("\nSKIPPED: no real T3 Code was tried, for {URL} names none (docs/t3.md); fakes stood for it.\n")
        }
    };
    for file in &suite {
        let reason = NOT_LIVED.iter().find(|(name, _)| name == file);
        assert!(reason.is_some() != lived.contains(file), "{file} is either lived on your server or said why not");
        let Some((_, why)) = reason.filter(|_| std::env::var_os(URL).is_some()) else { continue };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/scenarios/{file}.rs"));
        let source = std::fs::read_to_string(source).unwrap();
        said.push_str(&format!("\nnot lived on your server, {file}: {why}\n"));
        let tests = source.split("#[test]\nfn ").skip(1).filter_map(|test| test.split('(').next());
        tests.for_each(|test| said.push_str(&format!("    {test}\n")));
    }
    // Past the harness, which shows nothing of a test that passes.
    std::io::stderr().write_all(said.as_bytes()).unwrap();
}
