//! The catalogue of facts: every typed value that a rule of the policy may read.
//!
//! One list per scope gives the struct that adapters fill ([`IssueFacts`], [`RunFacts`]), the names that
//! conditions use ([`IssueFact`], [`RunFact`]), and the rows that `afk facts`, the schema and the docs print.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::place::{self, Marks, rank};

/// A fact that the world may refuse to tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Observed<T> {
    /// The value, as read in this tick.
    Known(T),
    /// It could not be established; the text says why, for people.
    Unknown(String),
    /// Nobody asked yet, because asking costs calls. Rules treat it as unknown, `explain` says "not read".
    #[default]
    NotRead,
}

impl<T> Observed<T> {
    /// Kept out of the way, because most facts are known.
    #[cold]
    fn place_without_value(&self) -> usize {
        if matches!(self, Observed::NotRead) { place::NOT_READ } else { place::UNKNOWN }
    }

    /// The value, where it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Observed::Known(value) => Some(value),
            Observed::Unknown(_) | Observed::NotRead => None,
        }
    }

    /// From a reading that may have failed: the error becomes the reason for not knowing.
    pub fn from_result<E: std::fmt::Display>(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Observed::Known(value),
            Err(error) => Observed::Unknown(error.to_string()),
        }
    }

    /// Applies `change` to a known value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Observed<U> {
        match self {
            Observed::Known(value) => Observed::Known(change(value)),
            Observed::Unknown(why) => Observed::Unknown(why),
            Observed::NotRead => Observed::NotRead,
        }
    }
}

/// One fact, borrowed, as a condition sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading<'a> {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number, may be negative.
    Int(i64),
    /// An amount.
    Number(f64),
    /// A length of time.
    Duration(Duration),
    /// A repository, a login or an enum value.
    Text(&'a str),
    /// A set of labels, logins, issues, stages or milestones.
    Set(&'a [String]),
    /// Could not be established, and why.
    Unknown(&'a str),
    /// Nobody asked.
    NotRead,
}

/// A value for a fact, owned: what a test case writes.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number, may be negative.
    Int(i64),
    /// An amount.
    Number(f64),
    /// A length of time.
    Duration(Duration),
    /// A repository, a login or an enum value.
    Text(String),
    /// A set of labels, logins, issues, stages or milestones.
    Set(Vec<String>),
    /// It shall count as unknown, and why.
    Unknown(String),
}

/// The type of a fact: decides which matchers a condition may use on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// An amount, such as dollars.
    Number,
    /// A length of time, written `"90s"`, `"1h30m"`.
    Duration,
    /// `owner/name`, or a bare `name`.
    Repo,
    /// The login of a person or a bot.
    Login,
    /// One of a fixed list of words.
    Enum(&'static [&'static str]),
    /// Several texts; where the members are known beforehand, they are listed.
    Set(Members),
}

/// What a set may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Members {
    /// Anything: labels, logins, issue references.
    Free,
    /// Names of the policy's own `[[ci.stages]]`.
    Stages,
    /// One of a fixed list of words.
    Words(&'static [&'static str]),
}

impl Kind {
    /// The word that documents and error messages use for the type.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Number => "number",
            Kind::Duration => "duration",
            Kind::Repo => "repo",
            Kind::Login => "login",
            Kind::Enum(_) => "enum",
            Kind::Set(_) => "set",
        }
    }
}

/// One row of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactSpec {
    /// The name rules use.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether it always has a value, so that it can never be unknown.
    pub always: bool,
    /// One sentence for people.
    pub meaning: &'static str,
    /// Where afk reads it.
    pub source: &'static str,
}

/// A name from one of the two catalogues; conditions are generic over it.
pub trait FactName: Copy + Eq + std::fmt::Debug + 'static {
    /// Every fact of the scope, in catalogue order.
    const ALL: &'static [Self];
    /// What the scope is called in messages: `issue` or `run`.
    const SCOPE: &'static str;
    /// The catalogue row.
    fn spec(self) -> &'static FactSpec;
    /// The fact of that name.
    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fact| fact.spec().name == name)
    }
}

/// Something that can be asked for the facts of one scope.
pub trait Facts {
    /// The names it answers to.
    type Name: FactName;
    /// What is known of one fact.
    fn read(&self, fact: Self::Name) -> Reading<'_>;
}

/// A Rust type that can stand behind a fact.
trait Readable: Sized {
    fn reading(&self) -> Reading<'_>;
    /// What is marked for the place of the value; see [`place`].
    fn mark<M: Marks>(&self, marks: &M) -> M::Mark;
    /// `None` for a value of another type, and for unknown where the fact always has a value.
    fn given(value: Given) -> Option<Self>;
}

/// A type that is one variant of [`Reading`] and of [`Given`].
macro_rules! readable {
    ($($type:ty as $variant:ident($value:ident): $borrow:expr, $mark:ident($place:expr);)+) => {$(
        impl Readable for $type {
            fn reading(&self) -> Reading<'_> {
                let $value = self;
                Reading::$variant($borrow)
            }
            #[inline(always)]
            fn mark<M: Marks>(&self, marks: &M) -> M::Mark {
                let $value = self;
                marks.$mark($place)
            }
            fn given(value: Given) -> Option<Self> {
                match value { Given::$variant(value) => Some(value), _ => None }
            }
        }
    )+};
}

readable! {
    bool as Bool(value): *value, of_value(usize::from(*value));
    i64 as Int(value): *value, of_rank(rank::of_int(*value));
    Duration as Duration(value): *value, of_rank(rank::of_duration(*value));
    String as Text(value): value, of_value({ let _ = value; 0 });
    Vec<String> as Set(value): value, of_value(usize::from(value.is_empty()));
}

impl Readable for f64 {
    fn reading(&self) -> Reading<'_> {
        Reading::Number(*self)
    }
    #[inline(always)]
    fn mark<M: Marks>(&self, marks: &M) -> M::Mark {
        if self.is_nan() { marks.at(place::UNKNOWN) } else { marks.of_rank(rank::of_number(*self)) }
    }
    fn given(value: Given) -> Option<Self> {
        match value {
            Given::Number(value) => Some(value),
            _ => None,
        }
    }
}

impl<T: Readable> Readable for Observed<T> {
    #[inline(always)]
    fn mark<M: Marks>(&self, marks: &M) -> M::Mark {
        match self {
            Observed::Known(value) => value.mark(marks),
            other => marks.at(other.place_without_value()),
        }
    }
    fn reading(&self) -> Reading<'_> {
        match self {
            Observed::Known(value) => value.reading(),
            Observed::Unknown(why) => Reading::Unknown(why),
            Observed::NotRead => Reading::NotRead,
        }
    }
    fn given(value: Given) -> Option<Self> {
        match value {
            Given::Unknown(why) => Some(Observed::Unknown(why)),
            value => T::given(value).map(Observed::Known),
        }
    }
}

/// An enum whose variants are words of the policy language.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every word, in the order of the documentation.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word that policies and output use.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value a word stands for.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl Readable for $name {
            fn reading(&self) -> Reading<'_> {
                Reading::Text(self.word())
            }
            #[inline(always)]
            #[allow(clippy::as_conversions, reason = "the only way to the index of a variant")]
            fn mark<M: Marks>(&self, marks: &M) -> M::Mark {
                marks.of_value(*self as usize)
            }
            fn given(value: Given) -> Option<Self> {
                match value { Given::Text(word) => Self::from_word(&word), _ => None }
            }
        }
    };
}

words! {
    /// What the executor says of the newest turn that afk asked for.
    AgentStatus {
        /// Dispatched, and the executor has not reported on that turn yet.
        Starting = "starting",
        /// At work.
        Running = "running",
        /// Asks for an approval or an answer.
        Waiting = "waiting",
        /// The turn ended by itself.
        Idle = "idle",
        /// Error, interruption, non-zero exit.
        Failed = "failed",
        /// The executor answered and does not know it.
        Gone = "gone",
        /// The executor could not be asked, or said something new.
        Unknown = "unknown",
    }
}

words! {
    /// The fold of all CI stages on the newest commit of a run.
    CiStatus {
        /// No stage has anything to say.
        None = "none",
        /// At least one stage has not decided.
        Pending = "pending",
        /// Every stage is green.
        Green = "green",
        /// At least one stage is red.
        Red = "red",
        /// At least one stage could not be read, and none is red.
        Unknown = "unknown",
    }
}

words! {
    /// The state of the pull request of a run.
    PullRequestStatus {
        /// There is none.
        None = "none",
        /// Not ready for review.
        Draft = "draft",
        /// Ready for review.
        Open = "open",
        /// Merged into the default branch.
        Merged = "merged",
        /// Closed without a merge.
        Closed = "closed",
    }
}

words! {
    /// The state of the issue of a run.
    IssueStatus {
        /// Open.
        Open = "open",
        /// Closed by a person.
        Closed = "closed",
        /// Closed by a commit, a merge or afk.
        ClosedByPush = "closed_by_push",
        /// Deleted or moved away.
        Gone = "gone",
    }
}

/// The milestones an agent may report.
pub const MILESTONES: &[&str] = &["worktree", "tests_red", "tests_green"];

macro_rules! facts {
    (
        $(#[$struct_doc:meta])* struct $facts:ident;
        $(#[$enum_doc:meta])* enum $name:ident in $scope:literal;
        $($variant:ident $field:ident: $type:ty = $kind:expr, $always:literal, $meaning:literal, $source:literal;)+
    ) => {
        $(#[$struct_doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $facts { $(#[doc = $meaning] pub $field: $type),+ }

        $(#[$enum_doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $(#[doc = $meaning] $variant),+ }

        impl FactName for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];
            const SCOPE: &'static str = $scope;
            fn spec(self) -> &'static FactSpec {
                match self {
                    $(Self::$variant => &FactSpec {
                        name: stringify!($field),
                        kind: $kind,
                        always: $always,
                        meaning: $meaning,
                        source: $source,
                    }),+
                }
            }
        }

        impl Facts for $facts {
            type Name = $name;
            #[inline(always)]
            fn read(&self, fact: $name) -> Reading<'_> {
                match fact { $($name::$variant => self.$field.reading()),+ }
            }
        }

        impl $facts {
            /// How many facts there are.
            pub const COUNT: usize = [$(stringify!($field)),+].len();

            /// Shows what is marked for the places of the facts for which marks are wanted, in the order of the catalogue.
            #[inline(always)]
            pub fn each_mark<M: Marks>(&self, marks: &[M; Self::COUNT], mut see: impl FnMut(M::Mark)) {
                let [$($field),+] = marks;
                $(if $field.wanted() {
                    see(self.$field.mark($field));
                })+
            }

            /// Sets one fact; `false` where the value is not of its type, or unknown and the fact always has one.
            pub fn set(&mut self, fact: $name, value: Given) -> bool {
                match fact {
                    $($name::$variant => Readable::given(value).map(|value| self.$field = value).is_some()),+
                }
            }
        }
    };
}

facts! {
    /// What is known of one armed issue at the start of a tick.
    struct IssueFacts;
    /// A fact that gates may read.
    enum IssueFact in "issue";
    Repo repo: String = Kind::Repo, true,
        "the repository, `owner/name`", "tracker";
    Number number: i64 = Kind::Int, true,
        "the number of the issue", "tracker";
    Labels labels: Observed<Vec<String>> = Kind::Set(Members::Free), false,
        "the labels the issue carries", "tracker";
    ArmedBy armed_by: Observed<String> = Kind::Login, false,
        "who applied the *ready* label last", "tracker: label events";
    Trusted trusted: Observed<bool> = Kind::Bool, false,
        "whoever applied the *ready* label may arm issues, by `[trust]`", "tracker: granted permission";
    Author author: Observed<String> = Kind::Login, false,
        "who opened the issue", "tracker";
    AuthorTrusted author_trusted: Observed<bool> = Kind::Bool, false,
        "whoever opened the issue may arm issues, by `[trust]`", "tracker: granted permission";
    Assignees assignees: Observed<Vec<String>> = Kind::Set(Members::Free), false,
        "who the issue is assigned to", "tracker";
    Priority priority: Observed<i64> = Kind::Int, false,
        "from the labels, by `[priority]`; lower runs first", "tracker: labels";
    OpenBlockers open_blockers: Observed<Vec<String>> = Kind::Set(Members::Free), false,
        "issues that must be closed first and are not", "tracker: dependencies and body";
    HasRun has_run: Observed<bool> = Kind::Bool, false,
        "a run of this issue is in flight", "labels, records and executors";
    AlreadyRun already_run: Observed<bool> = Kind::Bool, false,
        "this arming has had its run, ended or not, by any evidence", "records and executors";
    InFlightInRepo in_flight_in_repo: Observed<i64> = Kind::Int, false,
        "runs in flight in the repository", "labels, records and executors";
    InFlight in_flight: Observed<i64> = Kind::Int, false,
        "runs in flight everywhere", "labels, records and executors";
    EditedSinceArmed edited_since_armed: Observed<bool> = Kind::Bool, false,
        "title or body were edited by anyone but the armer, after `limits.edit_window` before arming", "tracker: edit history";
    Age age: Observed<Duration> = Kind::Duration, false,
        "time since the issue was opened", "tracker";
    ArmedFor armed_for: Observed<Duration> = Kind::Duration, false,
        "time since the *ready* label was applied", "tracker: label events";
}

facts! {
    /// What is known of one run in this tick.
    struct RunFacts;
    /// A fact that rows of `[[transitions]]` and the checklist may read.
    enum RunFact in "run";
    Repo repo: String = Kind::Repo, true,
        "the repository, `owner/name`", "record";
    Labels labels: Observed<Vec<String>> = Kind::Set(Members::Free), false,
        "the labels the issue carries", "tracker";
    Priority priority: Observed<i64> = Kind::Int, false,
        "from the labels, by `[priority]`", "tracker: labels";
    Agent agent: AgentStatus = Kind::Enum(AgentStatus::WORDS), true,
        "the newest turn that afk asked for", "executor";
    Pushed pushed: Observed<bool> = Kind::Bool, false,
        "commits of this run are visible on the default branch or in the run's pull request", "code host";
    Landed landed: Observed<bool> = Kind::Bool, false,
        "the newest commit is on the default branch, or the run's pull request was merged", "code host";
    PullRequest pull_request: Observed<PullRequestStatus> = Kind::Enum(PullRequestStatus::WORDS), false,
        "the pull request of the run", "code host";
    TouchedProtected touched_protected: Observed<bool> = Kind::Bool, false,
        "a commit of the run changes a path of `[protect]`", "code host";
    Ci ci: CiStatus = Kind::Enum(CiStatus::WORDS), true,
        "the fold of all stages on the newest commit of the run", "CI";
    GreenStages green_stages: Observed<Vec<String>> = Kind::Set(Members::Stages), false,
        "the stages that are green on the newest commit", "CI";
    Attempts attempts: i64 = Kind::Int, true,
        "corrective turns the executor accepted", "record";
    Told told: bool = Kind::Bool, true,
        "a turn about the newest commit was sent or given up", "record";
    Age age: Duration = Kind::Duration, true,
        "time since dispatch", "record";
    Quiet quiet: Duration = Kind::Duration, true,
        "time since the latest of dispatch, afk's last turn, the agent's last activity, the newest commit, `agent` changing its value", "record, executor, code host";
    VerdictWait verdict_wait: Duration = Kind::Duration, true,
        "time since the newest commit appeared or last had a verdict", "CI and record";
    RedFor red_for: Duration = Kind::Duration, true,
        "time since the first red after the last green, 0 when not red", "CI and record";
    Issue issue: Observed<IssueStatus> = Kind::Enum(IssueStatus::WORDS), false,
        "the state of the issue", "tracker";
    Held held: Observed<bool> = Kind::Bool, false,
        "a person put *human* or *paused* on or took *ready* off after dispatch, or `afk stop` named the run", "tracker: label events";
    Milestones milestones: Observed<Vec<String>> = Kind::Set(Members::Words(MILESTONES)), false,
        "what the agent says it has reached", "executor";
    CostUsd cost_usd: Observed<f64> = Kind::Number, false,
        "what the run has cost, in US dollars", "executor";
}

impl IssueFacts {
    /// What test cases assume of an issue where they say nothing, the same for every policy: nothing speaks against it.
    pub fn harmless(repo: &str, number: i64, ready: &str) -> Self {
        Self {
            repo: repo.to_owned(),
            number,
            labels: Observed::Known(vec![ready.to_owned()]),
            armed_by: Observed::Known("maintainer".to_owned()),
            trusted: Observed::Known(true),
            author: Observed::Known("maintainer".to_owned()),
            author_trusted: Observed::Known(true),
            assignees: Observed::Known(Vec::new()),
            priority: Observed::Known(0),
            open_blockers: Observed::Known(Vec::new()),
            has_run: Observed::Known(false),
            already_run: Observed::Known(false),
            in_flight_in_repo: Observed::Known(0),
            in_flight: Observed::Known(0),
            edited_since_armed: Observed::Known(false),
            age: Observed::Known(Duration::ZERO),
            armed_for: Observed::Known(Duration::ZERO),
        }
    }
}

impl RunFacts {
    /// What test cases assume of a run where they say nothing, the same for every policy: the agent is at work and
    /// nothing happened yet. `cost_usd` is unknown.
    pub fn harmless(repo: &str, ready: &str, in_progress: &str) -> Self {
        Self {
            repo: repo.to_owned(),
            labels: Observed::Known(vec![ready.to_owned(), in_progress.to_owned()]),
            priority: Observed::Known(0),
            agent: AgentStatus::Running,
            pushed: Observed::Known(false),
            landed: Observed::Known(false),
            pull_request: Observed::Known(PullRequestStatus::None),
            touched_protected: Observed::Known(false),
            ci: CiStatus::None,
            green_stages: Observed::Known(Vec::new()),
            attempts: 0,
            told: false,
            age: Duration::ZERO,
            quiet: Duration::ZERO,
            verdict_wait: Duration::ZERO,
            red_for: Duration::ZERO,
            issue: Observed::Known(IssueStatus::Open),
            held: Observed::Known(false),
            milestones: Observed::Known(Vec::new()),
            cost_usd: Observed::Unknown("the case does not say".to_owned()),
        }
    }
}
