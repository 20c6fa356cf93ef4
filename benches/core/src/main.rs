//! Work for `.ci/instructions` to count: `check`, `select` or `step`.
#[path = "../../peers/src/world.rs"]
mod world;

use std::hint::black_box;

use afk::engine::select::select;
use afk::engine::step::{Circumstances, Machine};
use afk::policy::{InstalledNames, Policy, Surroundings, check};

const MANY: usize = 10_000;

fn main() {
    let text = include_str!("../../../policies/afk.toml")
        .replace("kill_switch = true", "kill_switch = false")
        .replace("allowlist   = []", "allowlist = [\"owner-0/*\", \"owner-1/*\", \"owner-2/*\"]");
    match std::env::args().nth(1).as_deref() {
        Some("check") => counted(&mut || drop(black_box(policy(&text)))),
        Some("select") => {
            let (policy, issues, busy) = (policy(&text), world::issues(MANY), world::busy());
            counted(&mut || drop(black_box(select(&policy, &issues, &busy))));
        }
        Some("step") => {
            let (policy, runs) = (policy(&text), world::runs(MANY));
            let circumstances = Circumstances { kill_switch: false, enrolled: true };
            counted(&mut || {
                let machine = Machine::new(&policy.base);
                for (state, facts) in &runs {
                    black_box(machine.state(state).map(|state| machine.step(state, facts, circumstances)));
                }
            });
        }
        _ => panic!("`check`, `select` or `step`"),
    }
}

/// By its name callgrind knows what to count.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
}

fn policy(text: &str) -> Policy {
    let prompt = |path: &str| match path {
        "prompts/implement.md" => Ok(include_str!("../../../policies/prompts/implement.md").to_owned()),
        _ => Ok(include_str!("../../../policies/prompts/fix-forward.md").to_owned()),
    };
    let surroundings = Surroundings { prompt: &prompt, installed: &InstalledNames::default() };
    check(text, "afk.toml", &surroundings).policy.expect("the shipped policy is sound")
}
