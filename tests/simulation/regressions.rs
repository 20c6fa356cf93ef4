//! Lives that once broke an invariant, each as short as it got. What they found is mended in the design.

use afk::adapters::installation::TickKind::{Poll, Watch};

use afk::ports::PortErrorKind;

use crate::edges::Fate::*;
use crate::life::live;
use crate::lives::scratch;
use crate::script::Act::*;
use crate::script::Deed::*;
use crate::script::Step::{self, *};
use crate::script::Word::*;
use crate::script::{Apart, SMALL, Script};
use crate::shrink::in_fresh;

/// Lives it, and asks that what made it dangerous still happens in it.
#[track_caller]
fn keeps_every_invariant(seed: u64, policy: usize, steps: &[Step], still: &[&str]) {
    keeps_every_invariant_under(0, seed, policy, steps, still);
}

/// The same, under a policy of those that are changed from another seed on.
#[track_caller]
fn keeps_every_invariant_under(policies: u64, seed: u64, policy: usize, steps: &[Step], still: &[&str]) {
    let script = Script { seed, size: SMALL, policies, policy, apart: Apart::ByItsLock, steps: steps.to_vec() };
    let folder = scratch();
    let lived = in_fresh(folder.path(), 0, |folder| live(&script, folder, true, None));
    let story = lived.story.join("\n");
    assert_eq!(lived.violation, None, "{story}");
    for part in still {
        assert!(story.contains(part), "{part:?} does not happen any more\n{story}");
    }
}

#[test]
fn a_lock_whose_agent_cannot_be_read_is_not_taken_for_one_without_an_agent() {
    keeps_every_invariant(
        100_772,
        0,
        &[
            Person(Arm, 303896577),
            Next("tracker add_label", ComesLate(90)),
            Tick(Poll, None),
            Agent(TurnsUnreadable, 3636880951),
            Wait(8000),
            Tick(Watch, None),
        ],
        &["what timed out takes effect now", "cannot be read any more"],
    );
}

#[test]
fn a_record_put_back_to_an_older_text_forgets_no_correction() {
    keeps_every_invariant(
        104_240,
        2,
        &[
            Person(Arm, 3063816949),
            Tick(Poll, None),
            Agent(Pushes, 3387516438),
            Agent(Ends, 3387516438),
            Ci(Red, 0),
            Tick(Watch, None),
            Wait(620),
            Tick(Watch, Some(13)),
            Fate(ComesLate(2000)),
            Agent(Pushes, 3387516438),
            Agent(Ends, 3387516438),
            Ci(Red, 0),
            Tick(Watch, None),
            Wait(740),
            Tick(Watch, None),
            Wait(1240),
            Agent(PushesClosingTheIssue, 2534162830),
            Agent(Ends, 2534162830),
            Ci(Red, 0),
            Tick(Watch, None),
            Wait(620),
            Tick(Watch, None),
        ],
        &["what timed out takes effect now", "2 corrections"],
    );
}

#[test]
fn the_lock_of_a_run_without_a_record_is_not_taken_off_for_an_earlier_run() {
    keeps_every_invariant(
        1_001_574,
        14,
        &[
            Person(Arm, 323494142),
            Tick(Poll, None),
            Wait(620),
            Tick(Watch, None),
            Person(ArmAgain, 2724334488),
            Outage("tracker create_comment", PortErrorKind::Unreachable),
            Tick(Watch, None),
            Tick(Poll, None),
        ],
        &["arms acme/r1#6 again", "tracker create_comment cannot be reached"],
    );
}

#[test]
fn an_agent_that_cannot_be_read_keeps_its_slot_when_its_issue_is_deleted() {
    keeps_every_invariant(
        2_000_832,
        13,
        &[
            Person(Arm, 1381231525),
            Person(Arm, 2066307325),
            Tick(Poll, None),
            Agent(TurnsUnreadable, 1347492561),
            Person(Delete, 810532758),
            Tick(Poll, None),
        ],
        &["cannot be read any more", "deletes acme/r1#6"],
    );
}

#[test]
fn an_agent_that_a_late_turn_woke_after_its_run_is_told_to_end() {
    keeps_every_invariant(
        3_000_009,
        0,
        &[
            Person(ArmAgain, 2355669984),
            Tick(Poll, None),
            Next("executor turn", ComesLate(2000)),
            Agent(Pushes, 727932093),
            Agent(Ends, 727932093),
            Ci(Red, 0),
            Tick(Watch, None),
            Wait(620),
            Tick(Watch, Some(11)),
            Ci(Green, 0),
            Tick(Watch, None),
            Step::Go(None),
            Tick(Watch, None),
        ],
        &["says done", "gets another turn"],
    );
}

#[test]
fn a_dispatch_whose_record_was_not_confirmed_is_looked_for_in_the_next_tick() {
    keeps_every_invariant(
        4_000_060,
        0,
        &[
            Person(Arm, 3069128430),
            Next("tracker create_comment", LosesAnswer),
            Tick(Poll, None),
            Agent(Ends, 748148960),
            Person(UnlockByHand, 2341079906),
        ],
        &["its answer is lost", "takes agent-in-progress of acme/r2#4 by hand"],
    );
}

#[test]
fn a_commit_that_turns_red_again_counts_no_correction_that_was_not_sent() {
    keeps_every_invariant(
        23,
        23,
        &[
            Person(Arm, 1570979062),
            Tick(Poll, None),
            Agent(PushesClosingTheIssue, 867491260),
            Agent(Ends, 867491260),
            Ci(Red, 0),
            Tick(Watch, None),
            Wait(620),
            Tick(Watch, None),
            Ci(Green, 0),
            Agent(Ends, 867491260),
            Tick(Watch, None),
            Wait(130),
            Ci(Red, 0),
            Wait(700),
            Tick(Watch, None),
        ],
        &["\"told     = false\\n\" became \"\"", "CI is green", "doing fix-forward"],
    );
}

#[test]
fn an_agent_that_would_not_end_keeps_its_slot_when_it_cannot_be_read_any_more() {
    keeps_every_invariant(
        6_000_378,
        0,
        &[
            Person(Arm, 2861851482),
            Person(Arm, 3084612113),
            Tick(Poll, None),
            Agent(TurnsStubborn, 797613777),
            Wait(620),
            Tick(Watch, None),
            Clock(7200),
            Tick(Watch, None),
            Agent(TurnsUnreadable, 4256495901),
            Tick(Poll, None),
        ],
        &["will not end when told", "afk takes agent-in-progress off acme/r0#8", "cannot be read any more"],
    );
}

#[test]
fn a_close_that_was_not_done_is_decided_anew_once_its_commit_is_red() {
    keeps_every_invariant(
        1_795_377_438_000_741,
        31,
        &[
            Person(Arm, 3607089076),
            Tick(Poll, None),
            Agent(Pushes, 720858970),
            Agent(Ends, 720858970),
            Ci(Green, 0),
            Tick(Watch, None),
            Wait(620),
            Next("tracker close", TimesOut),
            Tick(Watch, None),
            Ci(Red, 0),
            Tick(Watch, None),
        ],
        &["doing landed", "tracker close times out", "CI is red"],
    );
}

#[test]
fn a_second_progress_comment_that_comes_late_does_not_wake_a_run_that_has_ended() {
    keeps_every_invariant(
        1_795_377_438_002_434,
        16,
        &[
            Person(Arm, 3282474357),
            Next("tracker create_comment", ComesLate(90)),
            Tick(Poll, None),
            Agent(TurnsStubborn, 1092986448),
            Person(ArmAgain, 2666503523),
            Tick(Watch, Some(18)),
        ],
        &["will not end when told", "released, taken back", "what timed out takes effect now"],
    );
}

#[test]
fn a_lock_in_a_repository_that_is_not_enrolled_any_more_is_not_forgotten_while_nobody_can_list_it() {
    keeps_every_invariant(
        9_000_000_866,
        26,
        &[
            Person(Arm, 1848211209),
            Person(MergePolicy, 1679316103),
            Tick(Poll, None),
            Outage("tracker labelled", PortErrorKind::Invalid),
            Wait(4000),
            Tick(Watch, None),
            Tick(Poll, None),
            Tick(Watch, None),
        ],
        &["doing never-started", "tracker labelled gives an answer that makes no sense", "takes agent-in-progress off"],
    );
}

#[test]
fn an_issue_that_is_armed_again_while_its_run_goes_on_gets_another_run() {
    keeps_every_invariant(
        7,
        0,
        &[
            Person(Arm, 0),
            Tick(Poll, None),
            Person(ArmAgain, 0),
            Tick(Watch, None),
            Wait(620),
            Tick(Watch, None),
            Tick(Poll, None),
            Agent(Begins, 0),
        ],
        &["again", "released, taken back", "afk takes agent-in-progress off", "agent running"],
    );
}

#[test]
fn an_issue_is_dispatched_after_its_earlier_run_that_was_put_back_has_ended_once_more() {
    keeps_every_invariant(
        77_016_673,
        0,
        &[
            Person(Arm, 1786336216),
            Person(Arm, 2088737271),
            Person(Arm, 1236286415),
            Person(Arm, 3842137769),
            Tick(Poll, None),
            Tick(Watch, None),
            Person(Disarm, 3230559821),
            Tick(Watch, Some(10)),
            Fate(ComesLate(90)),
            Step::Go(Some(5)),
            Fate(ComesLate(2000)),
            Person(Arm, 193638103),
            Agent(Ends, 2489803116),
            Tick(Watch, None),
            Tick(Poll, None),
            Wait(8000),
            Tick(Watch, None),
            Person(Arm, 264830381),
        ],
        &["what timed out takes effect now"],
    );
}

#[test]
fn a_correction_of_a_commit_that_was_corrected_before_is_not_counted_when_its_answer_is_lost() {
    keeps_every_invariant(
        31_018_825,
        26,
        &[
            Person(Arm, 2132063381),
            Tick(Poll, None),
            Agent(Pushes, 2483612678),
            Agent(Ends, 2483612678),
            Ci(Red, 0),
            Tick(Watch, None),
            Wait(620),
            Tick(Watch, None),
            Ci(Pending, 0),
            Tick(Watch, Some(9)),
            Step::Go(Some(2)),
            Agent(Ends, 2214106672),
            Ci(Red, 0),
            Tick(Watch, None),
            Next("tracker edit_comment", ComesLate(2000)),
            Wait(620),
            Tick(Watch, None),
        ],
        &["gets another turn", "doing fix-forward", "what timed out takes effect now"],
    );
}

#[test]
fn an_agent_that_was_first_told_to_end_long_after_its_run_is_not_given_up_at_once() {
    keeps_every_invariant_under(
        1000,
        1_795_391_483_005_529,
        26,
        &[
            Person(Arm, 2102554325),
            Tick(Poll, None),
            Wait(620),
            Tick(Watch, None),
            Wait(8000),
            Next("executor interrupt", Partial),
            Tick(Watch, None),
            Tick(Watch, None),
        ],
        &["\", \\\"interrupt\\\"]\" became \"]\"", "executor interrupt cannot read", "is interrupted"],
    );
}

#[test]
fn an_earlier_run_that_was_put_back_does_not_unlock_a_later_one_when_it_ends_once_more() {
    keeps_every_invariant(
        9_945,
        0,
        &[
            Person(Arm, 1483391319),
            Person(Arm, 2618561829),
            Tick(Poll, None),
            Wait(620),
            Next("tracker edit_comment", ComesLate(2000)),
            Tick(Watch, None),
            Tick(Watch, None),
            Person(ArmAgain, 1540807602),
            Tick(Watch, None),
            Tick(Poll, None),
        ],
        &["arms acme/r0#5 again", "what timed out takes effect now"],
    );
}
