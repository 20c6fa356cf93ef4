//! The scenarios of the suite over somebody's real T3 Code server: `AFK_T3_URL` names it, and docs/t3.md says what else is
//! needed, what it costs and what it leaves. Every exchange is held against the recorded contract.
//!
//! Where no server is named, a fake of a current one stands for somebody's, addressed by the same variables, with a
//! provider that does what prompts say; and in any case one of v0.0.27. So what nobody runs for months still runs.

#![allow(clippy::duplicate_mod, reason = "each scenario is lived on each server")]

mod alarms;
mod executor;
#[path = "../installation/mod.rs"]
mod installation;
mod live;
mod not_lived;
mod somebody;
#[path = "../t3_fake/mod.rs"]
mod t3_fake;
mod upstream;
mod wire;

/// On the server of the environment, or a fake in its place.
#[path = "../scenarios"]
mod yours {
    type Installation = crate::installation::InstallationOf<crate::installation::Local, crate::live::Yours>;

    mod agents;
    mod life;
    mod t3_lost;
    mod t3_people;
}

/// On a fake of the release that many still run.
#[path = "../scenarios"]
mod v0_0_27 {
    type Installation = crate::installation::InstallationOf<crate::installation::Local, crate::live::Old>;

    mod life;
    mod t3_people;
}

thread_local! {
    /// What the last installation of this test found.
    static FOUND: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
}
