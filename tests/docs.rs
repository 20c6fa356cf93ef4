//! The written documents: they leave no setting out, their examples can be used, and their links lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use afk::settings::Settings;
use pretty_assertions::assert_eq;
use tempfile::TempDir;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(repository().join(path)).unwrap()
}

/// All blocks of a language, one after the other.
fn code_blocks(page: &str, language: &str) -> String {
    let mut inside = false;
    let mut code = String::new();
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(opened) => inside = !inside && opened == language,
            None if inside => code.extend([line, "\n"]),
            None => {}
        }
    }
    code
}

fn keys(table: &toml::Table, found: &mut BTreeSet<String>) {
    for (key, value) in table {
        found.insert(key.clone());
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        values.iter().filter_map(toml::Value::as_table).for_each(|inner| keys(inner, found));
    }
}

/// The names of the fields of everything that settings are read into.
fn fields() -> BTreeSet<String> {
    let source = read("src/settings/mod.rs");
    let types = source.split("\nfn ").next().unwrap();
    let fields = types.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("    ")?.trim_start().trim_start_matches("pub ").split_once(": ")?;
        let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        (is_name && line.ends_with(',')).then(|| name.to_owned())
    });
    fields.collect()
}

#[test]
fn the_examples_of_the_settings_are_one_file_that_can_be_used() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("afk.settings.toml");
    fs::write(&file, code_blocks(&read("docs/settings.md"), "toml")).unwrap();

    let settings = Settings::layered(Some(&file), folder.path(), &[], &[]).unwrap_or_else(|error| panic!("{error}"));

    assert_eq!(settings.doorbells.len(), 5);
}

#[test]
fn every_setting_is_described_and_has_an_example() {
    let page = read("docs/settings.md");
    let mut shown = BTreeSet::new();
    keys(&code_blocks(&page, "toml").parse().unwrap(), &mut shown);
    let fields = fields();
    assert!(fields.len() > 20, "the fields are not found any more: {fields:?}");

    for field in fields {
        // The settings' own path is no setting; the word is one of secrets.
        assert!(shown.contains(&field), "docs/settings.md has no example of `{field}`");
        let described = [format!("`{field}` |"), format!("## `[{field}"), format!("{{ {field} = ")];
        assert!(described.iter().any(|text| page.contains(text)), "docs/settings.md does not describe `{field}`");
    }
}

#[test]
fn every_link_leads_to_a_file_of_the_repository() {
    let mut pages = vec![PathBuf::from("README.md")];
    for folder in ["docs", "examples/agents", "examples/ci", "examples/quickstart"] {
        let files = fs::read_dir(repository().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        pages.extend(files.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    let mut followed = 0;
    for page in &pages {
        let page = repository().join(page);
        for target in read(&page).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            if path.contains("://") {
                continue;
            }
            let file = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            assert!(file.exists(), "{}: `{target}` leads nowhere", page.display());
            let found = heading.is_empty() || headings(&read(&file)).contains(heading);
            assert!(found, "{}: `{target}` has no such heading", page.display());
            followed += 1;
        }
    }
    assert!(followed > 10, "links are not found any more");
}

/// The anchors of a page, as GitHub makes them.
fn headings(page: &str) -> BTreeSet<String> {
    let titles = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |title: &str| {
        title
            .to_lowercase()
            .chars()
            .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter))
            .collect::<String>()
            .replace(' ', "-")
    };
    titles.map(anchor).collect()
}

#[test]
fn the_page_on_proofs_names_every_invariant_and_assumption() {
    let page = read("docs/proofs.md");
    for axiom in afk::verify::AXIOMS {
        assert!(page.contains(&format!("\n- {axiom}\n")), "docs/proofs.md does not say that {axiom}");
    }
    for invariant in afk::verify::INVARIANTS {
        assert!(page.contains(&format!("`{}`", invariant.name())), "docs/proofs.md lacks {}", invariant.name());
    }
}
