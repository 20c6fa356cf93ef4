//! The JSON Schema of the policy (draft 2020-12), for editors and for `afk check-policy`.
//!
//! Built from the catalogue of facts and from one description per key; `schema/afk-policy.schema.json`,
//! `docs/policy-reference.md` and the hover text of editors are all this one list.

use serde_json::{Map, Value, json};

mod agreement;
mod conditions;

pub use agreement::{Refusal, Validator};

use crate::policy::SAFETY_INVARIANTS;
use crate::policy::facts::{IssueFact, RunFact};

/// Texts that are more than white space.
const FILLED: &str = r"\S";
/// Paths that do not begin at the root of the machine.
const RELATIVE: &str = r"^([^/\s]|\s+\S)";
/// A path that names no file of a repository.
const NO_FILE: &str = r"/$|(^|/)\.{1,2}(/|$)";
/// Labels as every tracker takes them.
const LABEL: &str = r"^[^\s,]([^,\n]*[^\s,])?$";
/// Names that the operator chooses.
const KEBAB_CASE: &str = "^[a-z][a-z0-9]*(-[a-z0-9]+)*$";
/// Keys that the operator chooses.
const SNAKE_CASE: &str = "^[a-z][a-z0-9]*(_[a-z0-9]+)*$";
/// `"90s"`, `"1h30m"`.
const DURATION: &str = "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$";
/// `"$limits.run_timeout"`; `"$$"` begins a text with a dollar sign.
const REFERENCE: &str = r"^\$[^$]";
/// `owner/name`, `owner/*`, `owner/prefix*`, a bare `name` or `prefix*`.
const REPO: &str = r"^([A-Za-z0-9._-]+/([A-Za-z0-9._-]+\*?|\*)|[A-Za-z0-9._-]+\*?)$";
/// `owner/name`, or a bare `name`.
const EXACT_REPO: &str = r"^([A-Za-z0-9._-]+/)?[A-Za-z0-9._-]+$";

/// `owner/name`, a bare `name`, or `owner/*`: what `[repos]` takes.
const OVERRIDDEN: &str = r"^(([A-Za-z0-9._-]+/)?[A-Za-z0-9._-]+|[A-Za-z0-9._-]+/\*)$";
/// Path segments that mean a directory, wherever they stand in the name of a repository.
const DOTS: &str = r"(^|/)\.{1,2}(/|\*?$)";

/// The whole schema.
pub fn schema() -> Value {
    let mut root = table(
        "A policy of afk: which issues an unattended agent may take, in what order, and what happens to each run. \
         One file is the whole policy.",
        &[
            "version",
            "kill_switch",
            "allowlist",
            "labels",
            "trust",
            "priority",
            "dispatch",
            "limits",
            "agent",
            "ci",
            "gates",
            "states",
            "transitions",
            "prompts",
        ],
        properties(),
    );
    root.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    root.insert("title".into(), "afk policy".into());
    root.insert("$defs".into(), definitions());
    // What a reader looks for first comes first.
    let order = ["$schema", "title", "description", "type", "required", "additionalProperties", "properties", "$defs"];
    Value::Object(order.iter().filter_map(|key| root.remove(*key).map(|value| ((*key).to_owned(), value))).collect())
}

fn properties() -> Value {
    json!({
        "version": {
            "description": "The version of this file format. Your own revisions are git's business.",
            "const": 1,
        },
        "kill_switch": {
            "description": "`true`: `afk poll` does no I/O at all; `afk watch` starts no agent and sends no turn.",
            "type": "boolean",
        },
        "allowlist": list("Repositories afk may read and work on. Empty: none.", definition("repo_pattern")),
        "denylist": with_default(
            list("Repositories taken out again; wins over `allowlist`.", definition("repo_pattern")), json!([])),
        "labels": table(
            "The label that plays each role; all different.",
            &["ready", "in_progress", "human", "paused"],
            json!({
                "ready": label("A person wants an agent to take the issue; applying it arms the issue."),
                "in_progress": label("The lock of the repository: a run is in flight. afk alone sets and releases it."),
                "human": label("A person has to look; the issue is not taken."),
                "paused": label("A person holds the issue back."),
            }),
        ),
        "trust": table(
            "Who may arm issues. Neither afk's own identity nor an agent's is ever trusted, whatever is written here.",
            &["permissions"],
            json!({
                "permissions": list(
                    "Granted permissions that suffice.",
                    words("A permission as the tracker grants it.", &["admin", "maintain", "write", "triage", "read"]),
                ),
                "logins": with_default(list("Logins trusted whatever their permission.", text("A login.")), json!([])),
            }),
        ),
        "priority": table(
            "How issues are ordered. Lower runs first; of several labels the lowest counts.",
            &["label", "default", "order"],
            json!({
                "label": described(
                    "The label that carries a priority; `{n}` stands for a signed integer, as in `priority:{n}`.",
                    json!({ "type": "string", "pattern": r"\{n\}" })),
                "levels": with_default(map(
                    "Labels that are words, each with its priority: `{ \"priority/high\" = 1 }`.",
                    json!(true),
                    described("Its priority.", json!({ "type": "integer" })),
                ), json!({})),
                "default": described("The priority of an issue without any such label.", json!({ "type": "integer" })),
                "order": list(
                    "What is compared, in this order; then the number, then the repository.",
                    words("A leading `-` puts larger values first.", &[
                        "priority", "number", "armed_at", "created_at", "-priority", "-number", "-armed_at",
                        "-created_at",
                    ]),
                ),
            }),
        ),
        "dispatch": table(
            "How many runs at a time; 0 stops dispatching.",
            &["slots_per_repo", "max_in_flight", "max_per_tick"],
            json!({
                "slots_per_repo": count("Runs in flight in one repository."),
                "max_in_flight": count("Runs in flight everywhere."),
                "max_per_tick": count("New runs in one tick of `afk poll`."),
            }),
        ),
        "limits": limits(&["settle_time", "effect_timeout", "edit_window"]),
        "agent": agent(&["executor", "model", "runtime_mode", "landing"]),
        "ci": ci(&["stages"]),
        "protect": protect(),
        "repos": map(
            "What differs in one repository, or in those of one owner (`owner/*`); the exact name wins key by key, \
             lists are replaced.",
            json!({ "type": "string", "pattern": OVERRIDDEN, "not": { "pattern": DOTS } }),
            table("What differs here.", &[], json!({
                "paused": text("Why no new run may start here. Runs in flight go on."),
                "limits": limits(&[]),
                "dispatch": table("How many runs at a time.", &[], json!({
                    "slots_per_repo": count("Runs in flight in this repository."),
                })),
                "priority": table("How issues are ordered.", &[], json!({
                    "default": described("The priority of an issue without a priority label.",
                        json!({ "type": "integer" })),
                })),
                "agent": agent(&[]),
                "ci": ci(&[]),
                "protect": protect(),
                "prompts": prompts(&[]),
                "notify": notify(&[]),
            })).into(),
        ),
        "gates": at_least_one(list(
            "All must hold for an issue to be dispatched. In file order; the first that denies is the one that fired.",
            table("A gate.", &["name", "require", "message"], json!({
                "name": name_but("How output calls the gate. `kill-switch`, `paused`, `slot` and `capacity` are taken.",
                    &["kill-switch", "paused", "slot", "capacity"]),
                "require": definition("issue_condition"),
                "message": text("Said when the gate denies. `{name}` puts in a fact of the issue, `{limits.key}` a \
                    value of the policy; a doubled brace writes one."),
            })).into(),
        )),
        "states": map(
            "The states a run moves through. Exactly one is `initial`.",
            definition("name"),
            table("A state.", &["title"], json!({
                "title": text("For people."),
                "initial": with_default(described("Runs start here.", json!({ "type": "boolean" })), json!(false)),
                "outcome": words("How a run that reaches it has ended. With an outcome the state is terminal, \
                    without one it is active.", &["success", "human", "cancelled"]),
            })).into(),
        ),
        "transitions": list(
            "The rows between the states. In file order; the first match wins.",
            table("A row.", &["name", "from", "when", "to"], json!({
                "name": name_but("How output calls the row. `wait` is taken.", &["wait"]),
                "from": described("The active states it applies to; `\"*\"`: every one.", json!({
                    "anyOf": [{ "const": "*" }, { "type": "array", "items": definition("name"), "minItems": 1 }],
                })),
                "when": definition("run_condition"),
                "to": name("The state it leads to."),
                "do": name("The action carried out, one of `[actions]`. Without it the row has no effects."),
                "reason": text("Said to people; required into states whose outcome is `human` or `cancelled`. \
                    `{name}` puts in a fact of the run."),
            })).into(),
        ),
        "actions": with_default(map(
            "Named lists of effects, carried out in order: `close` and `turn` only as the first, `interrupt` last.",
            definition("name"),
            at_least_one(list("Its effects, in order.", definition("effect"))),
        ), json!({})),
        "progress": table("The one progress comment on the issue.", &[], json!({
            "checklist": with_default(list(
                "Its lines, each ticked while its condition holds.",
                table("A line.", &["title", "when"], json!({
                    "title": text("What it says."),
                    "when": definition("run_condition"),
                })).into(),
            ), json!([])),
        })),
        "comments": with_default(map(
            "The texts of comments by name. They take the facts of the run, `{reason}`, `{armed_by}`, `{ref}`, \
             `{title}` and `{url}`.",
            definition("name"),
            text("Markdown."),
        ), json!({})),
        "notify": notify(&["title"]),
        "prompts": prompts(&["implement"]),
        "waivers": with_default(list(
            "Safety invariants this policy does without, each for a reason.",
            table("A waiver.", &["invariant", "reason"], json!({
                "invariant": words("The invariant.", &SAFETY_INVARIANTS),
                "reason": text("Why this policy does without it."),
            })).into(),
        ), json!([])),
    })
}

fn limits(required: &[&str]) -> Value {
    let mut limits = table(
        "Named counts, durations and amounts; rules say `\"$limits.name\"`. Names of your own are snake_case.",
        required,
        json!({
            "settle_time": duration("How long a push, a turn or a check may take to show."),
            "effect_timeout": duration("How long an effect that keeps failing is tried, before it is given up, loudly."),
            "edit_window": duration("An edit this shortly before arming was not what the armer read."),
        }),
    );
    limits.insert(
        "additionalProperties".into(),
        described(
            "A count, an amount or a duration.",
            json!({ "anyOf": [duration("A duration, above zero."), { "type": "number", "minimum": 0 }] }),
        ),
    );
    limits.insert("propertyNames".into(), definition("key"));
    limits.into()
}

fn agent(required: &[&str]) -> Value {
    table(
        "Which agent takes the issue.",
        required,
        json!({
            "executor": text("An executor of the settings, by name."),
            "model": text("Handed to the executor."),
            "runtime_mode": text("Handed to the executor."),
            "landing": words("How work reaches the default branch: the agent pushes to it, or opens a pull request.",
                &["push", "pull_request"]),
            "archive": with_default(
                described("Whether the agent's session is put away once the run and its agent have ended, where the \
                    executor keeps sessions.", json!({ "type": "boolean" })),
                json!(false),
            ),
        }),
    )
    .into()
}

fn ci(required: &[&str]) -> Value {
    let stages = at_least_one(list(
        "Where verdicts come from, in order. At least one.",
        json!({
            "description": "A stage.",
            "oneOf": [
                table("What the forge itself reports for the commit.", &["name", "source", "require"], json!({
                    "name": name("How rules and comments call the stage."),
                    "source": word("What the forge itself reports for the commit.", "checks"),
                    "require": described("The checks that must be green; `\"all\"`: all of them, with at least one.",
                        json!({ "anyOf": [
                            { "const": "all" },
                            { "type": "array", "items": text("The name of a check."), "minItems": 1 },
                        ] })),
                })),
                table("A command of the settings, run in a clean clone of the commit.", &["name", "source", "command"],
                    json!({
                        "name": name("How rules and comments call the stage."),
                        "source": word("A command of the settings, run in a clean clone of the commit.", "command"),
                        "command": text("Its name under `[ci]` of the settings."),
                    })),
            ],
        }),
    ));
    table("What judges a commit.", required, json!({ "stages": stages })).into()
}

fn protect() -> Value {
    table(
        "What an agent may change only under a person's eyes.",
        &[],
        json!({
            "paths": with_default(list(
                "Globs of files, from the root of the repository; `*` stops at `/`, `**` does not: a folder is `folder/**`.",
                json!({ "type": "string", "pattern": RELATIVE, "not": { "pattern": NO_FILE } }),
            ), json!([])),
        }),
    )
    .into()
}

fn notify(required: &[&str]) -> Value {
    map(
        "What doorbells are given, by kind. The texts take the facts of the run, `{reason}`, `{armed_by}`, `{ref}`, \
         `{title}` and `{url}`.",
        definition("name"),
        table(
            "A notification.",
            required,
            json!({
                "title": text("One line."),
                "body": text("More lines. Default: the title."),
                "urgency": with_default(words("How loud.", &["low", "normal", "high"]), json!("normal")),
                "tags": with_default(list("Words for channels that have tags.", text("A tag.")), json!([])),
                "to": at_least_one(list("Doorbells of the settings, by name. Default: every one.", text("A doorbell."))),
            }),
        )
        .into(),
    )
}

fn prompts(required: &[&str]) -> Value {
    let mut prompts = table(
        "Prompt files by name, relative to the folder of the policy: minijinja templates over the names that \
         `afk facts` lists.",
        required,
        json!({ "implement": path("What a new agent is told.") }),
    );
    prompts.insert("additionalProperties".into(), path("A prompt that a `turn` sends."));
    prompts.insert("propertyNames".into(), definition("key"));
    prompts.into()
}

fn definitions() -> Value {
    let mut definitions = Map::new();
    let mut define = |name: &str, definition: Value| definitions.insert(name.to_owned(), definition);
    define(
        "name",
        described("A name in kebab-case.", json!({ "type": "string", "pattern": KEBAB_CASE, "maxLength": 64 })),
    );
    define(
        "key",
        described("A key in snake_case.", json!({ "type": "string", "pattern": SNAKE_CASE, "maxLength": 64 })),
    );
    define(
        "duration",
        described(
            "A length of time: `\"90s\"`, `\"45m\"`, `\"2h\"`, `\"1d\"`, `\"1h30m\"`.",
            json!({ "type": "string", "pattern": DURATION, "minLength": 2 }),
        ),
    );
    define(
        "reference",
        described(
            "A value of the policy, defined once: `\"$limits.run_timeout\"`, `\"$labels.paused\"`, `\"$allowlist\"`.",
            json!({ "type": "string", "pattern": REFERENCE }),
        ),
    );
    define(
        "repo_pattern",
        described(
            "`owner/name`, `owner/*` or `owner/prefix*`; a bare `*` is refused.",
            json!({ "type": "string", "pattern": REPO, "not": { "pattern": DOTS } }),
        ),
    );
    define("effect", effect());
    conditions::define::<IssueFact>(&mut definitions);
    conditions::define::<RunFact>(&mut definitions);
    definitions.into()
}

fn effect() -> Value {
    let one = |key: &str, value: Value| {
        let description = value.get("description").cloned().unwrap_or_default();
        let mut effect = table("", &[key], json!({ key: value }));
        effect.insert("description".into(), description);
        Value::Object(effect)
    };
    let role = |description| words(description, &["ready", "human", "paused"]);
    json!({
        "description": "One thing done to the world.",
        "oneOf": [
            word("Open the issue again, where it was closed.", "reopen"),
            word("Stop the agent.", "interrupt"),
            one("close", words("Close the issue.", &["completed", "not_planned"])),
            one("add_label", role("Put the label of a role on.")),
            one("remove_label", role("Take the label of a role off; `ready` stays where somebody has armed the issue again since.")),
            one("turn", described("Send the same agent a prompt, one of `[prompts]`.", definition("key"))),
            one("comment", name("Write a new comment, one of `[comments]`.")),
            one("notify", name("Ring the doorbells, with one of `[notify]`.")),
        ],
    })
}

/// A table that has these keys and no others.
fn table(description: &str, required: &[&str], properties: Value) -> Map<String, Value> {
    let mut table = Map::new();
    table.insert("description".into(), description.into());
    table.insert("type".into(), "object".into());
    if !required.is_empty() {
        table.insert("required".into(), json!(required));
    }
    table.insert("additionalProperties".into(), false.into());
    table.insert("properties".into(), properties);
    table
}

/// A table whose keys the operator chooses.
fn map(description: &str, keys: Value, values: Value) -> Value {
    json!({ "description": description, "type": "object", "propertyNames": keys, "additionalProperties": values })
}

fn list(description: &str, items: Value) -> Value {
    json!({ "description": description, "type": "array", "items": items })
}

fn at_least_one(mut list: Value) -> Value {
    if let Value::Object(list) = &mut list {
        list.insert("minItems".into(), 1.into());
    }
    list
}

fn words(description: &str, words: &[&str]) -> Value {
    json!({ "description": description, "type": "string", "enum": words })
}

fn word(description: &str, word: &str) -> Value {
    json!({ "description": description, "const": word })
}

fn text(description: &str) -> Value {
    json!({ "description": description, "type": "string", "pattern": FILLED })
}

fn path(description: &str) -> Value {
    json!({ "description": description, "type": "string", "pattern": RELATIVE })
}

fn label(description: &str) -> Value {
    json!({ "description": description, "type": "string", "pattern": LABEL, "maxLength": 50 })
}

fn name(description: &str) -> Value {
    described(description, definition("name"))
}

/// A name, but none that afk uses itself.
fn name_but(description: &str, taken: &[&str]) -> Value {
    described(description, json!({ "$ref": "#/$defs/name", "not": { "enum": taken } }))
}

fn count(description: &str) -> Value {
    json!({ "description": description, "type": "integer", "minimum": 0 })
}

fn duration(description: &str) -> Value {
    // In conditions 0s is a value like any other, a limit of no time at all is a slip.
    described(description, json!({ "$ref": "#/$defs/duration", "pattern": "[1-9]" }))
}

fn definition(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// A schema with its description in front; a description beside `$ref` wins over the referred one in hover text.
fn described(description: &str, schema: Value) -> Value {
    let mut described = Map::new();
    described.insert("description".into(), description.into());
    if let Value::Object(schema) = schema {
        described.extend(schema);
    }
    described.into()
}

fn with_default(mut schema: Value, default: Value) -> Value {
    if let Value::Object(schema) = &mut schema {
        schema.insert("default".into(), default);
    }
    schema
}
