//! The fake of T3 is judged by what real servers were recorded to say: brought into the state of a recording and sent the
//! same request, it gives the same answer, but for ids and times. A recording that is not replayed is named, with the
//! reason.

#[path = "../t3_fake/mod.rs"]
mod t3_fake;

mod scenes;
mod stage;

use pretty_assertions::assert_eq;

use stage::Stage;
use t3_fake::Generation;
use t3_fake::contract::{Contract, recordings};

/// Recordings that are not replayed, and why.
const LEFT_OUT: [(&str, &str); 4] = [
    ("websocket-subscribe-and-bootstrap", "afk speaks no WebSocket"),
    ("snapshot-after-websocket-bootstrap", "its thread was made over the WebSocket, with a setup script"),
    ("snapshot-after-session-stop-of-a-silent-turn", JAM),
    ("thread-after-session-stop-of-a-silent-turn", JAM),
];
const JAM: &str = "afk never stops a session, so the fake has no server that is jammed by it";

/// Replays everything that was recorded of a generation.
fn answers_as_recorded(generation: Generation) {
    let Some(recordings) = recordings(generation) else { return };
    let contract = Contract::open(generation).unwrap();
    let mut found = Vec::new();
    let mut replayed = 0;
    for recording in &recordings {
        if LEFT_OUT.iter().any(|(name, _)| *name == recording.name) {
            continue;
        }
        let stage = Stage::new(generation);
        if !scenes::prepare(&stage, recording) {
            found.push(format!("{}: nobody knows how it came about", recording.name));
            continue;
        }
        replayed += 1;
        found.extend(stage.replay(recording));
        // The rest of an answer, other threads and projects, has the shape that was recorded somewhere.
        found.extend(contract.answers_violations(&stage.fake.log()));
    }
    assert!(replayed > 100, "only {replayed} recordings were replayed");
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_fake_of_v0_0_27_answers_as_the_real_one_was_recorded_to() {
    answers_as_recorded(Generation::V0_0_27);
}

#[test]
fn the_fake_of_main_answers_as_the_real_one_was_recorded_to() {
    answers_as_recorded(Generation::Main);
}
