//! Files of the repository that are written out of the code: the schema and the reference documents. Each is held
//! equal here; `AFK_UPDATE=1 cargo test --test generated` writes them anew.

mod support;

use std::fmt::Write;
use std::fs;

use afk::policy::facts::{FactName, IssueFact, Kind, Members, RunFact};
use afk::policy::{Code, PROMPT_NAMES};
use serde_json::{Map, Value};

fn held_equal(path: &str, generated: &str) {
    let file = support::repository().join(path);
    if std::env::var_os("AFK_UPDATE").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, generated).unwrap();
        return;
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == generated,
        "{path} is not what the code says; write it anew with\n    AFK_UPDATE=1 cargo test --test generated\n\n{}",
        pretty_assertions::StrComparison::new(&written, generated)
    );
}

#[test]
fn the_schema_file_is_the_schema() {
    let schema = serde_json::to_string_pretty(&afk::schema::schema()).unwrap() + "\n";
    held_equal("schema/afk-policy.schema.json", &schema);
}

#[test]
fn every_code_has_its_page() {
    let mut page = generated_page("Diagnostics");
    page.push_str(
        "Every code that `afk check-policy` may report, as `afk explain --code CODE` explains it. An error makes the \
         policy unusable: `afk poll` and `afk watch` then do nothing, as if the kill switch were on. Only \
         `missing-executor` and `missing-command` do not stop them, since they may concern single repositories.\n\nThe examples are lines of a policy; `# <--` ends the line that the finding \
         marks.\n",
    );
    for code in Code::ALL {
        write!(page, "\n## `{}`\n\n{}", code.name(), afk::cli::findings::page::page(*code)).unwrap();
    }
    held_equal("docs/diagnostics.md", &page);
}

#[test]
fn every_fact_has_its_row() {
    let mut page = generated_page("Facts");
    page.push_str(
        "What the rules of a policy may read, as `afk facts` prints it. A fact that may be unknown makes a comparison \
         neither true nor false: a gate then denies, a row does not match.\n",
    );
    facts::<IssueFact>(&mut page, "Issue facts", "Gates read them, as they are at the start of the tick.");
    facts::<RunFact>(&mut page, "Run facts", "`[[transitions]]` and the checklist read them.");
    page.push_str(
        "\n## Prompt names\n\nPrompt files write them as `{{ name }}`.\n\n| name | meaning | where |\n|---|---|---|\n",
    );
    for name in PROMPT_NAMES {
        let place = if name.corrective { "corrective turns" } else { "every prompt" };
        writeln!(page, "| `{}` | {} | {place} |", name.name, name.meaning).unwrap();
    }
    held_equal("docs/facts.md", &page);
}

fn facts<F: FactName>(page: &mut String, title: &str, about: &str) {
    write!(page, "\n## {title}\n\n{about}\n\n| fact | type | known | meaning | from |\n|---|---|---|---|---|\n")
        .unwrap();
    for fact in F::ALL {
        let spec = fact.spec();
        let kind = match spec.kind {
            Kind::Enum(words) => format!("one of {}", quoted(words)),
            Kind::Set(Members::Words(words)) => format!("set of {}", quoted(words)),
            Kind::Set(Members::Stages) => "set of names of `[[ci.stages]]`".to_owned(),
            kind => kind.name().to_owned(),
        };
        let known = if spec.always { "always" } else { "may be unknown" };
        writeln!(page, "| `{}` | {kind} | {known} | {} | {} |", spec.name, spec.meaning, spec.source).unwrap();
    }
}

#[test]
fn every_key_has_its_row() {
    let schema = afk::schema::schema();
    let mut page = generated_page("The policy, key by key");
    page.push_str(
        "The same texts are the hover help of editors (`afk schema`). [`facts.md`](facts.md) lists what conditions may \
         read. A value in conditions may be `\"$table.key\"`: a value of the policy, defined once.\n",
    );
    let mut reference = Reference { schema: &schema, page: &mut page };
    reference.table("At the top of the file", schema["description"].as_str().unwrap(), &schema, "");
    reference.definitions();
    held_equal("docs/policy-reference.md", &page);
}

/// Writes the reference out of the schema.
struct Reference<'a> {
    schema: &'a Value,
    page: &'a mut String,
}

impl<'a> Reference<'a> {
    /// A table with its keys, then the tables inside it.
    fn table(&mut self, title: &str, description: &str, table: &Value, path: &str) {
        write!(self.page, "\n## {title}\n\n{description}\n").unwrap();
        self.rows(table);
        // What differs in a repository is described where it stands for every other.
        if path.starts_with("repos") {
            return;
        }
        for (key, value) in entries(table) {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let description = value["description"].as_str().unwrap_or_default();
            let items = &value["items"];
            if value["properties"].is_object() {
                self.table(&format!("`[{path}]`"), description, value, &path);
            } else if items["properties"].is_object() {
                self.table(&format!("`[[{path}]]`"), description, items, &path);
            } else if let Some(alternatives) = items["oneOf"].as_array() {
                write!(self.page, "\n## `[[{path}]]`\n\n{description}\n").unwrap();
                for alternative in alternatives {
                    write!(self.page, "\n{}\n", alternative["description"].as_str().unwrap()).unwrap();
                    self.rows(alternative);
                }
            } else if value["additionalProperties"]["properties"].is_object() {
                let names = if key == "repos" { "\"owner/name\"" } else { "NAME" };
                let title = format!("`[{path}.{names}]`");
                self.table(&title, description, &value["additionalProperties"], &path);
            } else if value["additionalProperties"].is_object() {
                write!(self.page, "\n## `[{path}]`\n\n{description}\n").unwrap();
                self.rows(value);
            }
        }
    }

    fn rows(&mut self, table: &Value) {
        let required: Vec<&str> =
            table["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        self.page.push_str("\n| key | value | needed | meaning |\n|---|---|---|---|\n");
        for (key, value) in entries(table) {
            let needed = match value.get("default") {
                Some(default) => format!("default `{default}`"),
                None if required.contains(&key.as_str()) => "required".to_owned(),
                None => "optional".to_owned(),
            };
            self.row(&format!("`{key}`"), &needed, value);
        }
        if table["additionalProperties"].is_object() {
            self.row("any name", "optional", &table["additionalProperties"]);
        }
    }

    fn row(&mut self, key: &str, needed: &str, value: &Value) {
        let description = value.get("description").or_else(|| self.referred(value)?.get("description"));
        let description = description.and_then(Value::as_str).unwrap_or_default();
        writeln!(self.page, "| {key} | {} | {needed} | {description} |", kind(value)).unwrap();
    }

    fn referred(&self, value: &Value) -> Option<&'a Value> {
        self.schema.pointer(value["$ref"].as_str()?.strip_prefix('#')?)
    }

    fn definitions(&mut self) {
        let matchers = [
            ("bool", "`fact = true`"),
            (
                "int, number, duration",
                "`fact = 1`, `fact = [1, 2]`, `fact = { lt lte gt gte eq ne = … }`, all must hold",
            ),
            ("enum, login", "`fact = \"a\"`, `fact = [\"a\", \"b\"]`: one of"),
            ("repo", "`fact = \"owner/name\"`, a list of them, `fact = { in = […], not_in = […] }` with patterns"),
            ("set", "`fact = { has lacks = \"a\" }`, `{ has_any has_all has_none = […] }`, `{ empty = true }`"),
        ];
        self.page.push_str("\n## Conditions\n\nA table; every entry must hold. `{}` holds.\n\n");
        self.page.push_str("| type of the fact | what may be asked |\n|---|---|\n");
        for (types, matchers) in matchers {
            writeln!(self.page, "| {types} | {matchers} |").unwrap();
        }
        self.page
            .push_str("| `any`, `all`, `not` | `any = [{…}, {…}]`, `all = [{…}]`, `not = {…}`, nested as you like |\n");
        self.page.push_str("\n## Effects\n\n| effect | meaning |\n|---|---|\n");
        for effect in self.schema["$defs"]["effect"]["oneOf"].as_array().unwrap() {
            let written = match effect.get("const") {
                Some(word) => format!("`{word}`"),
                None => {
                    let (key, value) = entries(effect).iter().next().unwrap();
                    format!("`{{ {key} = … }}` with {}", kind(value))
                }
            };
            writeln!(self.page, "| {written} | {} |", effect["description"].as_str().unwrap()).unwrap();
        }
        self.page.push_str("\n## Values\n\n| value | how it is written |\n|---|---|\n");
        for name in ["name", "key", "duration", "repo_pattern", "reference"] {
            let description = self.schema["$defs"][name]["description"].as_str().unwrap();
            writeln!(self.page, "| {} | {description} |", name.replace('_', " ")).unwrap();
        }
    }
}

#[test]
fn the_picture_of_the_shipped_policy_is_what_afk_draws() {
    let path = "docs/how-it-works.md";
    let page = fs::read_to_string(support::repository().join(path)).unwrap();
    let (before, rest) = page.split_once("```mermaid\n").expect("a picture");
    let (_, after) = rest.split_once("```\n").expect("the end of the picture");
    let drawn = support::Test::new().shipped_policy(&[]).args(["graph"]).run().stdout;
    held_equal(path, &format!("{before}```mermaid\n{drawn}```\n{after}"));
}

#[test]
fn the_change_that_is_reviewed_in_the_documentation_is_what_afk_says_of_it() {
    let path = "docs/reviewing-policy-changes.md";
    let page = fs::read_to_string(support::repository().join(path)).unwrap();
    let command = "    $ afk diff-policy origin/main:policies/afk.toml\n";
    let (before, rest) = page.split_once(command).expect("a command");
    let (_, after) = rest.split_once("\n\n").expect("the end of what it says");
    let sized = "[[gates]]\nname    = \"sized\"\nrequire = { labels = { has_any = [\"size/S\", \"size/M\"] } }\n\
                 message = \"say how large it is\"\n\n# ━━ 3.";
    let test = support::Test::new().shipped_policy(&[
        ("allowlist   = []", "allowlist   = [\"acme/site\"]"),
        ("fix_forward_attempts = 5", "fix_forward_attempts = 8"),
        ("\"[FROZEN] {ref}: {reason}\"", "\"[ICE] {ref}: {reason}\""),
        ("# ━━ 3.", sized),
    ]);
    let prompt = test.path("policies/prompts/implement.md");
    fs::write(&prompt, fs::read_to_string(&prompt).unwrap() + "Ask nobody.\n").unwrap();
    let tests = support::repository().join("policies/afk.test.toml");
    fs::copy(tests, test.path("policies/afk.test.toml")).unwrap();
    // What `origin/main` holds in the example.
    let said = test.args(["diff-policy", "builtin:standard"]).run().stdout;
    let said: String = said.lines().map(|line| format!("    {line}\n")).collect();
    held_equal(path, &format!("{before}{command}{said}\n{after}"));
}

fn entries(table: &Value) -> &Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    table["properties"].as_object().unwrap_or(&NONE)
}

/// What may stand there, in a few words.
fn kind(value: &Value) -> String {
    if let Some(reference) = value["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap().replace('_', " ");
    }
    if let Some(word) = value.get("const") {
        return format!("`{word}`");
    }
    if let Some(words) = value["enum"].as_array() {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" ");
    }
    if let Some(forms) = value["anyOf"].as_array().or_else(|| value["oneOf"].as_array()) {
        return forms.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    match value["type"].as_str().unwrap() {
        "array" => format!("list of {}", kind(&value["items"])),
        "object" => "table".to_owned(),
        "string" => "text".to_owned(),
        "boolean" => "bool".to_owned(),
        "integer" if value["minimum"] == 0 => "whole number from 0".to_owned(),
        "integer" => "whole number".to_owned(),
        "number" => "number from 0".to_owned(),
        other => panic!("a type without a name: {other}"),
    }
}

fn generated_page(title: &str) -> String {
    format!("<!-- Generated: AFK_UPDATE=1 cargo test --test generated -->\n\n# {title}\n\n")
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" ")
}
