//! A life as a script: a flat list of steps, each of which means something whatever steps around it are left out. What
//! a step is about is picked when it comes to it, from what there is then.

use afk::adapters::installation::TickKind;
use afk::ports::PortErrorKind;

use crate::chance::Chance;
use crate::edges::Fate;
use crate::policies::COUNT;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A tick starts, and stands still before the call after so many; without a number it goes to its end.
    Tick(TickKind, Option<u16>),
    /// A tick that stands still goes on.
    Go(Option<u16>),
    /// The call before which a tick stands still has this fate.
    Fate(Fate),
    /// The next call of a kind has this fate, in whichever tick it comes.
    Next(&'static str, Fate),
    /// The process of a tick that stands still is killed.
    Crash,
    /// So many seconds pass.
    Wait(i64),
    Person(Act, u32),
    Agent(Deed, u32),
    Ci(Word, u32),
    /// Every call of a kind fails from now on.
    Outage(&'static str, PortErrorKind),
    /// Everything works again.
    Mend,
    /// This machine's clock is set so many seconds ahead of the tracker's.
    Clock(i64),
}

/// What people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Arm,
    ArmWithoutPermission,
    ArmAsAgent,
    ArmAsAfk,
    Disarm,
    ArmAgain,
    Edit,
    EditOwn,
    Pause,
    TakeOver,
    LetGo,
    Close,
    Reopen,
    Delete,
    LockByHand,
    UnlockByHand,
    Comment,
    ForgeRecord,
    ForgeUnsignedAsAfk,
    Block,
    SwitchInPolicy,
    SwitchInEnvironment,
    MergePolicy,
    BreakPolicy,
    Stop,
    StopOne,
    UndoStop,
    Abandon,
    ChangePermission,
    RenameLabel,
    BreakRepository,
}

/// What agents and their executor do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Begins,
    Works,
    Pushes,
    PushesWithoutTrailer,
    PushesProtectedPaths,
    PushesClosingTheIssue,
    PushesAfterItsEnd,
    OpensPullRequest,
    Asks,
    SaysSomethingNew,
    Ends,
    Fails,
    TurnsStubborn,
    Dies,
    BecomesAGhost,
    TurnsUnreadable,
    ServerRestarts,
    ServerForgets,
}

/// What CI says of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Pending,
    Green,
    Red,
    /// Cancelled, superseded.
    Nothing,
}

/// How large a life is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub repos: usize,
    pub issues: usize,
    pub steps: usize,
}

/// In `cargo test`.
pub const SMALL: Size = Size { repos: 3, issues: 8, steps: 100 };
/// A fleet.
pub const FLEET: Size = Size { repos: 10, issues: 50, steps: 300 };

/// What keeps ticks apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apart {
    /// The lock of the one installation.
    ByItsLock,
    /// Nothing: two pollers and two watchers go on call by call.
    Not,
    /// Two installations, each with its own lock, for one tracker and one executor.
    ByTwoLocks,
}

impl Apart {
    pub const ALL: [(&str, Self); 3] =
        [("lock", Self::ByItsLock), ("none", Self::Not), ("two-locks", Self::ByTwoLocks)];
}

/// Everything that a life is lived by.
#[derive(Debug, Clone)]
pub struct Script {
    pub seed: u64,
    pub size: Size,
    /// The first seed of the changed policies.
    pub policies: u64,
    /// Which of the policies to choose from.
    pub policy: usize,
    pub apart: Apart,
    pub steps: Vec<Step>,
}

pub const CALLS: [&str; 21] = [
    "tracker labelled",
    "tracker issue",
    "tracker label_events",
    "tracker edits",
    "tracker blockers",
    "tracker permission",
    "tracker comments",
    "tracker create_comment",
    "tracker edit_comment",
    "tracker add_label",
    "tracker remove_label",
    "tracker close",
    "tracker reopen",
    "code head",
    "code run_commits",
    "ci verdict",
    "executor list",
    "executor ensure",
    "executor turn",
    "executor interrupt",
    "bell ring",
];

impl Script {
    /// The life of a seed, under policies of which the changed ones are drawn from another.
    pub fn of(seed: u64, size: Size, policies: u64) -> Self {
        let mut chance = Chance::of(seed);
        let policy = if chance.one_in(4) { 0 } else { chance.below(COUNT) };
        let mut steps = Vec::new();
        for _ in 0..size.issues / 2 {
            steps.push(Step::Person(Act::Arm, chance.pick()));
        }
        steps.push(Step::Wait(300));
        while steps.len() < size.steps {
            scene(&mut chance, size, &mut steps);
        }
        Self { seed, size, policies, policy, apart: Apart::ByItsLock, steps }
    }
}

fn scene(chance: &mut Chance, size: Size, steps: &mut Vec<Step>) {
    match chance.below(100) {
        0..26 => {
            steps
                .push(Step::Wait(chance.of_these(&[20, 60, 60, 130, 180, 180, 300, 620, 1_000, 3_000, 8_000, 20_000])));
            if chance.one_in(2) {
                steps.push(Step::Tick(TickKind::Poll, None));
            }
            steps.push(Step::Tick(TickKind::Watch, None));
        }
        26..42 => steps.push(deed(chance)),
        42..54 => day(chance, size, steps),
        54..56 => lost_correction(chance, steps),
        56..62 => steps.push(word(chance)),
        62..76 => {
            let act = act(chance);
            steps.push(act);
            // What stops everything is taken back some time, or little would happen in a life.
            let back = match act {
                Step::Person(Act::SwitchInPolicy | Act::SwitchInEnvironment, _) => Some(act),
                Step::Person(Act::BreakPolicy, pick) => Some(Step::Person(Act::MergePolicy, pick)),
                Step::Person(Act::Stop, pick) => Some(Step::Person(Act::UndoStop, pick)),
                _ => None,
            };
            if let Some(back) = back.filter(|_| !chance.one_in(5)) {
                for kind in [TickKind::Poll, TickKind::Watch] {
                    steps.push(Step::Wait(chance.of_these(&[60, 130, 620])));
                    disturbed(chance, size, kind, steps);
                }
                steps.push(back);
            }
        }
        76..82 => {
            let kind = chance.of_these(&[TickKind::Poll, TickKind::Watch, TickKind::Watch]);
            steps.extend([next(chance), Step::Tick(kind, None)]);
        }
        82..93 => {
            let kind = chance.of_these(&[TickKind::Poll, TickKind::Watch, TickKind::Watch]);
            disturbed(chance, size, kind, steps);
        }
        93..96 => {
            let call = CALLS[chance.below(CALLS.len())];
            let kinds = [
                PortErrorKind::Unreachable,
                PortErrorKind::Unreachable,
                PortErrorKind::Refused,
                PortErrorKind::Invalid,
            ];
            steps.push(Step::Outage(call, chance.of_these(&kinds)));
            for _ in 0..chance.below(3) {
                steps.push(Step::Wait(chance.of_these(&[130, 620, 4_000])));
                steps.push(Step::Tick(TickKind::Poll, None));
                steps.push(Step::Tick(TickKind::Watch, None));
            }
            if !chance.one_in(4) {
                steps.push(Step::Mend);
            }
        }
        96..99 => steps.push(Step::Mend),
        _ => steps.push(Step::Clock(chance.of_these(&[-7_200, -600, -45, 0, 0, 45, 600, 7_200]))),
    }
}

/// A correction whose answer does not come, and an agent that ends without another push.
fn lost_correction(chance: &mut Chance, steps: &mut Vec<Step>) {
    let pick = chance.pick();
    let fates = [Fate::LosesAnswer, Fate::LosesAnswer, Fate::LastDeed, Fate::ComesLate(90)];
    steps.push(Step::Next("executor turn", chance.of_these(&fates)));
    for step in [Step::Agent(Deed::Pushes, pick), Step::Agent(Deed::Ends, pick), Step::Ci(Word::Red, 0)] {
        steps.push(step);
    }
    for _ in 0..2 {
        steps.push(Step::Tick(TickKind::Watch, None));
        steps.push(Step::Wait(620));
        steps.push(Step::Tick(TickKind::Watch, None));
        steps.push(Step::Agent(Deed::Ends, pick));
    }
    steps.push(Step::Wait(620));
    steps.push(Step::Tick(TickKind::Watch, None));
}

/// One agent's day, so that lives get somewhere: it pushes, CI judges, it is corrected, until it ends well or does not.
fn day(chance: &mut Chance, size: Size, steps: &mut Vec<Step>) {
    let pick = chance.pick();
    steps.push(Step::Agent(Deed::Begins, pick));
    for _ in 0..=chance.below(3) {
        let pushes = [Deed::Pushes, Deed::Pushes, Deed::Pushes, Deed::PushesClosingTheIssue];
        if !chance.one_in(4) {
            steps.push(Step::Agent(chance.of_these(&pushes), pick));
        }
        if !chance.one_in(3) {
            steps.push(Step::Agent(Deed::OpensPullRequest, pick));
        }
        steps.push(Step::Agent(chance.of_these(&[Deed::Ends, Deed::Ends, Deed::Ends, Deed::Ends, Deed::Works]), pick));
        steps.push(Step::Ci(chance.of_these(&[Word::Green, Word::Red, Word::Red]), 0));
        if chance.one_in(4) {
            steps.push(act(chance));
        }
        steps.push(Step::Tick(TickKind::Watch, None));
        steps.push(Step::Wait(chance.of_these(&[130, 620, 620])));
        match chance.below(4) {
            0 => disturbed(chance, size, TickKind::Watch, steps),
            1 => steps.extend([next(chance), Step::Tick(TickKind::Watch, None), Step::Tick(TickKind::Watch, None)]),
            _ => steps.push(Step::Tick(TickKind::Watch, None)),
        }
    }
}

fn next(chance: &mut Chance) -> Step {
    const DELICATE: [&str; 8] = [
        "executor ensure",
        "executor turn",
        "executor turn",
        "executor interrupt",
        "tracker create_comment",
        "tracker edit_comment",
        "tracker close",
        "bell ring",
    ];
    let call = if chance.one_in(3) { chance.of_these(&CALLS) } else { chance.of_these(&DELICATE) };
    Step::Next(call, if chance.one_in(3) { Fate::LosesAnswer } else { fate(chance) })
}

fn fate(chance: &mut Chance) -> Fate {
    chance.of_these(&[
        Fate::Fails(PortErrorKind::Unreachable),
        Fate::Fails(PortErrorKind::Refused),
        Fate::Fails(PortErrorKind::Invalid),
        Fate::TimesOut,
        Fate::LosesAnswer,
        Fate::LosesAnswer,
        Fate::Doubles,
        Fate::ComesLate(90),
        Fate::ComesLate(2_000),
        Fate::Stale,
        Fate::Partial,
        Fate::Half,
        Fate::Killed,
        Fate::Killed,
        Fate::LastDeed,
        Fate::LastDeed,
    ])
}

/// A tick in the middle of which something happens.
fn disturbed(chance: &mut Chance, size: Size, kind: TickKind, steps: &mut Vec<Step>) {
    let calls = chance.below(5 + 3 * size.repos + size.issues);
    steps.push(Step::Tick(kind, u16::try_from(calls).ok()));
    for _ in 0..=chance.below(2) {
        match chance.below(12) {
            0..3 => steps.push(Step::Crash),
            3..7 => steps.push(Step::Fate(fate(chance))),
            7 => steps.push(Step::Tick(chance.of_these(&[TickKind::Poll, TickKind::Watch]), Some(9))),
            8 => steps.push(Step::Wait(chance.of_these(&[20, 120, 700]))),
            9 => steps.push(deed(chance)),
            _ => steps.push(act(chance)),
        }
        steps.push(Step::Go(Some(chance.of_these(&[1, 2, 5]))));
    }
    steps.push(Step::Go(None));
}

fn deed(chance: &mut Chance) -> Step {
    use Deed::*;
    let deed = chance.of_these(&[
        Begins,
        Begins,
        Begins,
        Works,
        Works,
        Pushes,
        Pushes,
        Pushes,
        PushesWithoutTrailer,
        PushesProtectedPaths,
        PushesClosingTheIssue,
        PushesAfterItsEnd,
        OpensPullRequest,
        Asks,
        SaysSomethingNew,
        Ends,
        Ends,
        Ends,
        Ends,
        Fails,
        TurnsStubborn,
        Dies,
        BecomesAGhost,
        TurnsUnreadable,
        ServerRestarts,
        ServerForgets,
    ]);
    Step::Agent(deed, chance.pick())
}

fn word(chance: &mut Chance) -> Step {
    use Word::*;
    // The newest commit, mostly.
    let pick = if chance.one_in(3) { chance.pick() } else { 0 };
    Step::Ci(chance.of_these(&[Pending, Green, Green, Red, Red, Nothing]), pick)
}

fn act(chance: &mut Chance) -> Step {
    use Act::*;
    let act = chance.of_these(&[
        Arm,
        Arm,
        Arm,
        Arm,
        ArmWithoutPermission,
        ArmAsAgent,
        ArmAsAfk,
        Disarm,
        Disarm,
        ArmAgain,
        ArmAgain,
        Edit,
        Edit,
        EditOwn,
        Pause,
        Pause,
        TakeOver,
        LetGo,
        LetGo,
        LetGo,
        Close,
        Reopen,
        Delete,
        LockByHand,
        UnlockByHand,
        Comment,
        ForgeRecord,
        ForgeUnsignedAsAfk,
        Block,
        Block,
        SwitchInPolicy,
        SwitchInPolicy,
        SwitchInEnvironment,
        SwitchInEnvironment,
        MergePolicy,
        BreakPolicy,
        Stop,
        StopOne,
        UndoStop,
        UndoStop,
        Abandon,
        ChangePermission,
        RenameLabel,
        BreakRepository,
    ]);
    Step::Person(act, chance.pick())
}
