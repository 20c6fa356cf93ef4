//! What a check of a policy can say.

mod examples;

use super::source::Span;
pub use examples::{Example, MARK, Within};

/// One thing wrong, or worth knowing, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which kind of thing.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// One sentence, lower case, no full stop, the user's words in backticks.
    pub message: String,
    /// The file the span lies in: the policy's name, or a prompt's path.
    pub file: String,
    /// Where.
    pub span: Span,
    /// What stands beside the marked place: what to write instead.
    pub label: String,
    /// More help, each a line of its own.
    pub help: Vec<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The policy cannot be used: poll and watch do nothing.
    Error,
    /// Usable, and probably not what was meant.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// The word of the output.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

macro_rules! codes {
    ($($variant:ident = $name:literal, $what:literal, $why:literal, $mend:literal;)+) => {
        /// The kind of a finding. Each has a page of its own: `afk explain --code NAME`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $what] $variant),+ }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// The name, kebab-case.
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name),+ }
            }
            /// What it means.
            pub fn what(self) -> &'static str {
                match self { $(Code::$variant => $what),+ }
            }
            /// Why it matters.
            pub fn why(self) -> &'static str {
                match self { $(Code::$variant => $why),+ }
            }
            /// How to mend it.
            pub fn mend(self) -> &'static str {
                match self { $(Code::$variant => $mend),+ }
            }
            /// The code of that name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.name() == name)
            }
        }
    };
}

codes! {
    Unreadable = "unreadable", "the file cannot be read as text",
        "a policy that cannot be read is a kill switch that is on",
        "name an existing, regular file in UTF-8 of at most 1 MiB; a symbolic link, a directory or a device is refused";
    Syntax = "syntax", "the text is not TOML 1.0",
        "nothing behind a syntax error can be trusted to mean what it seems to",
        "mend the marked place; https://toml.io/en/v1.0.0 describes the format";
    UnsupportedVersion = "unsupported-version", "the `version` of the file format is missing or unknown to this build",
        "another version may give the same words another meaning",
        "write `version = 1`; it counts the file format, revisions of your own are git's business";
    UnknownKey = "unknown-key", "a key that the language does not have",
        "a misspelt key would silently change nothing",
        "correct the spelling, or remove the key; `afk schema` lists all of them";
    MissingKey = "missing-key", "a required key is not there",
        "afk has no defaults for what an operator must decide",
        "add the key; `policies/afk.toml` of the distribution shows each with a sensible value";
    TypeMismatch = "type-mismatch", "a value has another type than its place needs",
        "a comparison between different types would never hold",
        "write a value of the type that the message names";
    OutOfRange = "out-of-range", "a value of the right type that makes no sense here",
        "NaN budgets, negative counts and empty names make gates that never or always open",
        "write a value inside the range that the message names";
    UnknownName = "unknown-name", "a reference to something that the policy does not define",
        "a rule about nothing never matches",
        "define it, or correct the spelling; facts are listed by `afk facts`";
    Duplicate = "duplicate", "two things share a name or a label",
        "output, tests and records could not tell them apart",
        "rename one of the two";
    ReservedName = "reserved-name", "a name that afk uses itself, or that is not written the usual way",
        "`kill-switch`, `paused`, `slot` and `capacity` say in results why an issue was not taken",
        "choose another name, in kebab-case";
    WrongMatcher = "wrong-matcher", "a matcher that the type of the fact does not take",
        "equality on a set, or a comparison on a word, would never hold",
        "use the matcher that the message names";
    BadReference = "bad-reference", "a `$table.key` that leads nowhere or to a value of the wrong type",
        "the rule would compare with nothing",
        "name an existing scalar or list of the policy, such as `$limits.run_timeout`; `$$` writes a dollar sign";
    UnusedLimit = "unused-limit", "a limit that nothing refers to",
        "who wrote it believes that it bounds something",
        "refer to it as `$limits.name`, correct the spelling, or remove it";
    OpenTrust = "open-trust", "people who may not change the repository may arm issues",
        "whoever arms an issue lets an agent change the repository in their name",
        "keep `admin`, `maintain` and `write`; name single people under `[trust] logins`";
    NothingProtected = "nothing-protected", "`[protect] paths` is empty",
        "an agent could change the tests and workflows that judge it, and its run would be closed as green",
        "name what judges commits, and the policy itself; `policies/afk.toml` of the distribution has a list";
    BadTemplate = "bad-template", "a sentence or prompt with a placeholder that does not exist there",
        "people and agents would read an empty place where the point was",
        "use a name that exists there (`afk facts` lists them); double a brace to write one";
    MissingPrompt = "missing-prompt", "a prompt file that cannot be read, or an effect that names no prompt",
        "an agent would be started without its instructions",
        "create the file beside the policy, or correct the path";
    MissingDoorbell = "missing-doorbell", "a notification to a doorbell that the settings do not have",
        "nobody would be told",
        "add the doorbell to the settings, or correct the name in `to`";
    MissingExecutor = "missing-executor", "an executor that the settings do not have",
        "no issue of the repositories it is for could be dispatched",
        "add it under `[executors]` of the settings, or correct the name in `[agent]`";
    MissingCommand = "missing-command", "a stage of CI whose command the settings do not have",
        "no commit would ever be judged, and every run would wait for its verdict in vain",
        "add it under `[ci]` of the settings, or correct `command` of the stage";
    UnmatchedAllowlist = "unmatched-allowlist", "an entry of the allowlist that matches no repository of the settings",
        "afk cannot take issues of a repository that it does not know",
        "write the name as under `[repos]` of the settings, or add the repository there";
    UnmatchedOverride = "unmatched-override", "an override for repositories that no entry of the allowlist matches",
        "its values hold for no run, and the repository that was meant has those of the base",
        "write the name of `[repos.\"…\"]` as on the allowlist, or add the repository there";
    EffectOrder = "effect-order", "effects in an order that cannot be carried out safely",
        "`close` and `turn` may fail and must hold back the rest, so they come first; `interrupt` ends the agent, so it comes last",
        "put `close` or `turn` first and `interrupt` last, each at most once";
    LockEffect = "lock-effect", "an effect that touches the label *in_progress*",
        "it is the lock of the repository: afk sets it after a dispatch and releases it last",
        "remove the effect; entering a terminal state releases the lock";
    BadMachine = "bad-machine", "states and rows that do not make a state machine",
        "a run must start somewhere, and end",
        "mark exactly one state as `initial`, give terminal states an `outcome`, start rows only from active states, give rows that lead back to where they start effects, and give rows into `human` and `cancelled` a `reason`";
    TooLarge = "too-large", "more of something than this build takes",
        "a policy is read by people; and every bound here keeps the proofs exact",
        "split the rule, or drop what is not needed";
    BadWaiver = "bad-waiver", "a waiver that names no safety invariant, or gives no reason",
        "a waiver switches a safety proof off, and must say which and why",
        "name one of the safety invariants and give a `reason`";
    UntrustedDispatch = "untrusted-dispatch", "an issue armed by somebody who may not arm issues can be dispatched",
        "an agent has full access to the repository: whoever may arm one may do whatever it may",
        "let a gate require `trusted = true`, outside of any `any`";
    UnlistedDispatch = "unlisted-dispatch", "an issue of a repository that is not enrolled can be dispatched",
        "the allowlist is how an operator says where agents may work at all",
        "let a gate require `repo = { in = \"$allowlist\", not_in = \"$denylist\" }`";
    DoubleDispatch = "double-dispatch", "an issue can be dispatched while it has a run, or its repository has no free slot",
        "two agents on one issue, or in one repository, undo each other's work and cost twice",
        "let gates require `has_run = false` and `in_flight_in_repo = { lt = \"$dispatch.slots_per_repo\" }`";
    BlockedDispatch = "blocked-dispatch", "an issue with an open blocker can be dispatched",
        "the agent would build on what is not there yet",
        "let a gate require `open_blockers = { empty = true }`";
    RearmLoop = "rearm-loop", "an issue that already had its run, or that waits for a person, can be dispatched",
        "it would be dispatched again as soon as its run ends, night after night",
        "let gates require `already_run = false` and `labels = { has_none = [\"$labels.human\", \"$labels.paused\"] }`";
    UnboundedRun = "unbounded-run", "a run can go on for ever",
        "it keeps its repository locked, and nobody is told",
        "add a row from `*` with `when = { age = { gte = \"$limits.run_timeout\" } }` that leads to a terminal state";
    UnverifiedClose = "unverified-close", "a row can close an issue although CI is not green",
        "a closed issue reads as done; people would build on work that is broken",
        "let the row require `ci = \"green\"`";
    EndlessFixing = "endless-fixing", "a row can send corrective turns without a bound on `attempts`",
        "an agent that cannot mend it burns money until somebody looks",
        "let the row require `attempts = { lt = \"$limits.fix_forward_attempts\" }`";
    RepeatEffects = "repeat-effects", "the same effects can be carried out tick after tick while nothing changes",
        "people would be told the same every minute, or an agent the same again and again",
        "let the row lead to a state from which facts that stay as they are do not lead back; a row with a `turn` can require `told = false`";
    Spin = "spin", "rows without effects can follow each other in a circle",
        "the run would go round within one tick and never rest",
        "make the conditions of the rows exclude each other";
    DeadGate = "dead-gate", "a gate that can never fire",
        "who wrote it believes that it holds something back",
        "move it before what shadows it, correct its condition, or remove it";
    DeadRow = "dead-row", "a row that can never match",
        "who wrote it believes that it does something",
        "move it before what shadows it, correct its condition, or remove it";
    UnreachableState = "unreachable-state", "a state that no run can reach",
        "who wrote it believes that runs get there",
        "add a row that leads there, mend the rows that should, or remove the state";
    DeadEnd = "dead-end", "a state that no run can leave for an end",
        "a run that gets there keeps its repository locked for ever",
        "add a row from it that leads to a terminal state";
    SwitchedOff = "switched-off", "a gate, row or state that only a limit of 0 keeps from doing anything",
        "that is how a part of a policy is switched off; it is said so that nobody wonders",
        "raise the limit to switch it on";
    TooLargeToProve = "too-large-to-prove", "the rules are too entangled to be decided exactly",
        "a policy that nobody can decide, nobody can review; it is refused rather than trusted unproven",
        "split conditions that combine many facts, drop rows that differ in little, or group repositories as `owner/*`";
    DispatchesNothing = "dispatches-nothing", "the policy as it stands starts no run",
        "it ships that way",
        "turn the kill switch off and put a repository on the allowlist, when you are ready";
    SchemaDisagrees = "schema-disagrees", "the JSON Schema of the policy and the parser judge a policy differently",
        "an editor would show something else than what afk does",
        "this is a defect of afk, not of the policy: report it with the policy; what the parser says holds";
}
