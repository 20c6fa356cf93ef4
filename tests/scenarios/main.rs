//! What afk does for its users, with the real binary, real git and real processes: issues in a folder of Markdown files
//! and the same on GitHub, a bare repository, an agent and CI as commands.

#![allow(clippy::duplicate_mod, reason = "each scenario is lived with every tracker")]

#[path = "../github_fake/mod.rs"]
mod github_fake;
#[path = "../installation/mod.rs"]
mod installation;
mod on_github;
mod on_t3;
#[path = "../t3_fake/mod.rs"]
mod t3_fake;

/// Issues are files.
#[path = "."]
mod local {
    type Installation = crate::installation::Installation;

    mod agents;
    mod faults;
    mod issue_files;
    mod life;
    mod people;
    mod processes;
    mod queue;
    mod switches;
    mod unruly;
}

/// Issues are GitHub's.
#[path = "."]
mod github {
    type Installation = crate::installation::InstallationOf<crate::on_github::Github>;

    mod agents;
    mod faults;
    mod forge_ci;
    mod hostile;
    mod life;
    mod manners;
    mod outages;
    mod people;
    mod processes;
    mod queue;
    mod switches;
    mod unruly;
}

/// Issues are files, and agents are threads of a current T3 Code server.
#[path = "."]
mod t3 {
    type Installation = crate::installation::InstallationOf<crate::installation::Local, crate::on_t3::Main>;

    mod agents;
    mod faults;
    mod life;
    mod people;
    mod queue;
    mod switches;
    mod t3_calls;
    mod t3_lost;
    mod t3_people;
    mod threads;
    mod unruly;
}

/// The same on the release that many still run: a whole life, and all that the two do not have in common.
#[path = "."]
mod t3_v0_0_27 {
    type Installation = crate::installation::InstallationOf<crate::installation::Local, crate::on_t3::Old>;

    mod life;
    mod t3_calls;
    mod t3_lost;
    mod t3_people;
    mod threads;
}
