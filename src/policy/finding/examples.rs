//! One example for every code: what breaks it, and the same mended. `tests/examples_of_codes.rs` holds each to be true.

use super::Code;

/// What a code finds, and the same mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// What the two texts are.
    pub within: Within,
    /// What else must be so, as a sentence; empty: nothing.
    pub given: &'static str,
    /// Gives the finding, in the line that ends in [`MARK`].
    pub broken: &'static str,
    /// Does not give it.
    pub mended: &'static str,
}

/// What the texts of an example are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// TOML, in place of these lines of a policy that ships; without lines: at its end.
    Policy {
        /// The policy, from the root of the repository.
        file: &'static str,
        /// The lines.
        lines: &'static str,
    },
    /// Commands of a shell.
    Shell,
    /// Words about policies that no few lines could show.
    Words,
}

/// Ends the line of an example in which the finding lies. A comment, so that the text stays TOML.
pub const MARK: &str = "# <--";

impl Example {
    /// In place of lines of the policy that ships.
    const fn policy(lines: &'static str, broken: &'static str, mended: &'static str) -> Self {
        Self { within: Within::Policy { file: "policies/afk.toml", lines }, given: "", broken, mended }
    }

    /// In place of lines of the policy that ships, which are the mended form.
    const fn shipped(lines: &'static str, broken: &'static str) -> Self {
        Self::policy(lines, broken, lines)
    }

    /// At the end of the policy that ships.
    const fn added(broken: &'static str, mended: &'static str) -> Self {
        Self::policy("", broken, mended)
    }

    const fn given(self, given: &'static str) -> Self {
        Self { given, ..self }
    }
}

impl Code {
    /// What breaks it, and the same mended.
    pub fn example(self) -> Example {
        match self {
            Code::Unreadable => Example {
                within: Within::Shell,
                given: "",
                broken: "afk check-policy policies",
                mended: "afk check-policy policies/afk.toml",
            },
            Code::Syntax => {
                Example::shipped(r#"model        = "claude-sonnet-4-6""#, r#"model        = claude-sonnet-4-6  # <--"#)
            }
            Code::UnsupportedVersion => Example::shipped("version = 1", "version = 7  # <--"),
            Code::UnknownKey => Example::shipped("max_in_flight  = 8", "max_in_fligth  = 8  # <--\nmax_in_flight  = 8"),
            Code::MissingKey => Example::shipped(
                "[notify.done]\ntitle   = \"[DONE] {ref} landed\"\nurgency = \"low\"",
                "[notify.done]  # <--\nurgency = \"low\"",
            ),
            Code::TypeMismatch => Example::shipped("max_in_flight  = 8", "max_in_flight  = \"8\"  # <--"),
            Code::OutOfRange => Example::shipped("max_in_flight  = 8", "max_in_flight  = -1  # <--"),
            Code::UnknownName => Example::shipped("require = { trusted = true }", "require = { trused = true }  # <--"),
            Code::Duplicate => Example::shipped(
                "human       = \"ready-for-human\"\npaused      = \"paused\"",
                "human       = \"ready-for-human\"\npaused      = \"ready-for-human\"  # <--",
            ),
            Code::ReservedName => Example::shipped("name    = \"repo-lock\"", "name    = \"slot\"  # <--"),
            Code::WrongMatcher => Example::shipped(
                r#"require = { labels = { has_none = ["$labels.human", "$labels.paused"] } }"#,
                r#"require = { labels = { lacks = ["$labels.human", "$labels.paused"] } }  # <--"#,
            ),
            Code::BadReference => Example::shipped(
                r#"when   = { age = { gte = "$limits.run_timeout" } }"#,
                r#"when   = { age = { gte = "$limits.budget_usd" } }  # <--"#,
            ),
            Code::UnusedLimit => Example::shipped(
                "budget_usd           = 100.0",
                "budget_eur           = 90.0  # <--\nbudget_usd           = 100.0",
            ),
            Code::OpenTrust => Example::shipped(
                "permissions = [\"admin\", \"maintain\", \"write\"]",
                "permissions = [\"admin\", \"maintain\", \"write\", \"triage\"]  # <--",
            ),
            Code::NothingProtected => Example::shipped(
                "paths = [\".github/**\", \".forgejo/**\", \".woodpecker/**\", \".woodpecker.yml\", \"policies/**\", \"**/AGENTS.md\", \"**/CLAUDE.md\"]",
                "paths = []  # <--",
            ),
            Code::BadTemplate => Example::shipped(
                "message = \"blocked by {open_blockers}\"",
                "message = \"blocked by {blockers}\"  # <--",
            ),
            Code::MissingPrompt => Example::shipped(
                "implement   = \"prompts/implement.md\"",
                "implement   = \"prompts/implment.md\"  # <--",
            ),
            Code::MissingDoorbell => Example::shipped(
                "title   = \"[DONE] {ref} landed\"",
                "title   = \"[DONE] {ref} landed\"\nto      = [\"pager\"]  # <--",
            )
            .given("the settings have no `[doorbells.pager]`"),
            Code::MissingExecutor => Example::shipped("executor     = \"t3\"", "executor     = \"t4\"  # <--")
                .given("the settings have `[executors.t3]` and no other"),
            Code::MissingCommand => Example::added(
                "[[ci.stages]]\nname    = \"test\"\nsource  = \"command\"\ncommand = \"tests\"  # <--",
                "[[ci.stages]]\nname    = \"test\"\nsource  = \"command\"\ncommand = \"test\"",
            )
            .given("the settings have `[ci.test]` and no other"),
            Code::UnmatchedAllowlist => Example::policy(
                "allowlist   = []",
                "allowlist   = [\"acme/ap\"]  # <--",
                "allowlist   = [\"acme/app\"]",
            )
            .given("the settings have `[repos.\"acme/app\"]` and no other"),
            Code::UnmatchedOverride => Example::policy(
                "allowlist   = []",
                "allowlist   = [\"acme/app\"]\nrepos.\"acme/ap\".limits.run_timeout = \"48h\"  # <--",
                "allowlist   = [\"acme/app\"]\nrepos.\"acme/app\".limits.run_timeout = \"48h\"",
            ),
            Code::EffectOrder => Example::shipped(
                r#"close          = [{ close = "completed" }, { remove_label = "ready" }, { notify = "done" }]"#,
                r#"close          = [{ remove_label = "ready" }, { notify = "done" }, { close = "completed" }]  # <--"#,
            ),
            Code::LockEffect => Example::shipped(
                r#"stand-down     = [{ remove_label = "ready" }, "interrupt"]"#,
                r#"stand-down     = [{ remove_label = "in_progress" }, "interrupt"]  # <--"#,
            ),
            Code::BadMachine => Example::shipped(
                r#"done        = { title = "Landed", outcome = "success" }"#,
                r#"done        = { title = "Landed", outcome = "success", initial = true }  # <--"#,
            ),
            Code::TooLarge => Example::policy(
                r#"stand-down     = [{ remove_label = "ready" }, "interrupt"]"#,
                r#"stand-down     = [  # <--
  { remove_label = "ready" }, { add_label = "paused" }, { notify = "done" }, { notify = "in-review" },
  { notify = "needs-human" }, { notify = "frozen" }, { notify = "done" }, { notify = "in-review" },
  { notify = "needs-human" }, { notify = "frozen" }, { notify = "done" }, { notify = "in-review" },
  { notify = "needs-human" }, { notify = "frozen" }, { notify = "done" }, { notify = "in-review" },
  "interrupt",
]"#,
                r#"stand-down     = [{ remove_label = "ready" }, { add_label = "paused" }, { notify = "done" }, "interrupt"]"#,
            ),
            Code::BadWaiver => Example {
                within: Within::Policy {
                    file: "examples/policies/classic.toml",
                    lines: "[[waivers]]\ninvariant = \"unbounded-run\"",
                },
                given: "the policy is `examples/policies/classic.toml`, which lets a run wait for a person",
                broken: "[[waivers]]\ninvariant = \"dead-end\"  # <--",
                mended: "[[waivers]]\ninvariant = \"unbounded-run\"",
            },
            Code::UntrustedDispatch => Example::shipped(
                "require = { trusted = true }",
                "require = { any = [{ trusted = true }, { author_trusted = true }] }  # <--",
            ),
            Code::UnlistedDispatch => Example::shipped(
                r#"require = { repo = { in = "$allowlist", not_in = "$denylist" } }"#,
                r#"require = { repo = { in = ["acme/*"], not_in = "$denylist" } }  # <--"#,
            ),
            Code::DoubleDispatch => Example::shipped(
                r#"require = { in_flight_in_repo = { lt = "$dispatch.slots_per_repo" } }"#,
                r#"require = { in_flight_in_repo = { lte = "$dispatch.slots_per_repo" } }  # <--"#,
            ),
            Code::BlockedDispatch => Example::shipped(
                "require = { open_blockers = { empty = true } }",
                "require = { any = [{ open_blockers = { empty = true } }, { priority = 0 }] }  # <--",
            ),
            Code::RearmLoop => Example::shipped(
                r#"require = { labels = { has_none = ["$labels.human", "$labels.paused"] } }"#,
                r#"require = { labels = { lacks = "$labels.paused" } }  # <--"#,
            ),
            Code::UnboundedRun => Example::shipped(
                "name   = \"overdue\"\nfrom   = \"*\"",
                "name   = \"overdue\"\nfrom   = [\"working\", \"verifying\"]",
            ),
            Code::UnverifiedClose => Example::shipped(
                r#"name = "landed"
from = ["verifying"]
when = { landed = true, touched_protected = false, ci = "green", agent = "idle", quiet = { gte = "$limits.settle_time" } }"#,
                r#"name = "landed"  # <--
from = ["verifying"]
when = { landed = true, touched_protected = false, ci = ["green", "none"], agent = "idle", quiet = { gte = "$limits.settle_time" } }"#,
            ),
            Code::EndlessFixing => Example::shipped(
                r#"name = "fix-forward"
from = ["verifying"]
to   = "fixing"
do   = "fix-forward"
[transitions.when]
ci       = "red"
told     = false
agent    = ["idle", "failed"]
quiet    = { gte = "$limits.settle_time" }
attempts = { lt = "$limits.fix_forward_attempts" }
any      = [{ attempts = 0 }, { red_for = { lt = "$limits.fix_forward_time" } }]"#,
                r#"name = "fix-forward"  # <--
from = ["verifying"]
to   = "fixing"
do   = "fix-forward"
[transitions.when]
ci       = "red"
told     = false
agent    = ["idle", "failed"]
quiet    = { gte = "$limits.settle_time" }
any      = [{ attempts = { lt = "$limits.fix_forward_attempts" } }, { red_for = { lt = "$limits.fix_forward_time" } }]"#,
            ),
            Code::RepeatEffects => Example::shipped(
                r#"name   = "needs-input"
from   = ["working"]
when   = { agent = "waiting", quiet = { gte = "$limits.input_timeout" } }
to     = "needs-human"
do     = "escalate""#,
                r#"name   = "needs-input"  # <--
from   = ["working"]
when   = { agent = "waiting", quiet = { gte = "$limits.input_timeout" } }
to     = "working"
do     = "escalate""#,
            ),
            Code::Spin => Example::added(
                r#"[[transitions]]
name = "red-at-work"
from = ["verifying"]
when = { ci = "red", agent = "running" }
to   = "fixing""#,
                r#"[[transitions]]
name = "red-at-work"
from = ["verifying"]
when = { ci = "red", agent = "running", told = true }
to   = "fixing""#,
            ),
            Code::DeadGate => Example::added(
                r#"[[gates]]
name    = "paused-issue"  # <--
require = { labels = { lacks = "$labels.paused" } }
message = "it carries {labels.paused}""#,
                r#"[[gates]]
name    = "not-for-agents"
require = { labels = { lacks = "not-for-agents" } }
message = "it carries {labels}""#,
            ),
            Code::DeadRow => Example::added(
                r#"[[transitions]]
name   = "nothing-pushed"  # <--
from   = ["working"]
when   = { age = { gte = "48h" }, pushed = false }
to     = "needs-human"
do     = "escalate"
reason = "nothing pushed after {age}""#,
                r#"[[transitions]]
name   = "nothing-pushed"
from   = ["working"]
when   = { age = { gte = "12h" }, pushed = false }
to     = "needs-human"
do     = "escalate"
reason = "nothing pushed after {age}""#,
            ),
            Code::UnreachableState => Example::added(
                r#"[states.postponed]  # <--
title   = "Put off until later"
outcome = "cancelled""#,
                r#"[states.postponed]
title   = "Put off until later"
outcome = "cancelled"

[[transitions]]
name   = "postponed"
from   = ["working"]
when   = { labels = { has = "later" } }
to     = "postponed"
do     = "stand-down"
reason = "the issue was put off""#,
            ),
            Code::DeadEnd => Example {
                within: Within::Policy { file: "examples/policies/classic.toml", lines: "" },
                given: "the policy is `examples/policies/classic.toml`, without rows from every state",
                broken: r#"[states.parked]  # <--
title = "The agent asks, and nobody answers"

[[transitions]]
name = "parked"
from = ["in-flight"]
when = { pushed = false, agent = "waiting", quiet = { gte = "1h" } }
to   = "parked""#,
                mended: r#"[states.parked]
title = "The agent asks, and nobody answers"

[[transitions]]
name = "parked"
from = ["in-flight"]
when = { pushed = false, agent = "waiting", quiet = { gte = "1h" } }
to   = "parked"

[[transitions]]
name   = "given-up"
from   = ["parked"]
when   = { age = { gte = "24h" } }
to     = "needs-human"
do     = "hand-over"
reason = "nobody answered the agent for {quiet}""#,
            },
            Code::SwitchedOff => Example::shipped("fix_forward_attempts = 5", "fix_forward_attempts = 0"),
            Code::TooLargeToProve => Example {
                within: Within::Words,
                given: "",
                broken: "a gate of two hundred clauses `any = [{ labels = { has = … } }, { labels = { lacks = … } }, …]`, each over \
                         another few of sixty labels",
                mended: "one label that says the outcome, put on by who knows it, and one gate that requires it",
            },
            Code::DispatchesNothing => Example::policy(
                r#"kill_switch = true                          # true: dispatch nothing, send no turn; `afk stop` also ends live agents
allowlist   = []                            # "acme/app", or "acme/*""#,
                "kill_switch = true  # <--\nallowlist   = [\"acme/app\"]",
                "kill_switch = false\nallowlist   = [\"acme/app\"]",
            ),
            Code::SchemaDisagrees => Example {
                within: Within::Words,
                given: "",
                broken: "none is known: parser and schema judge every policy of afk's tests alike",
                mended: "an afk in which the difference is mended",
            },
        }
    }
}
