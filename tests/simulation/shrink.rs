//! Making a failing life short: steps are left out while the same invariant still breaks.

use std::path::Path;

use crate::life::live;
use crate::script::{Script, Step};

/// The shortest script that was found, by leaving out ever smaller parts.
pub fn shrink(script: &Script, invariant: &str, folder: &Path) -> Script {
    let mut lives = 0;
    let mut breaks = |steps: &[Step]| {
        lives += 1;
        let shorter = Script { steps: steps.to_vec(), ..script.clone() };
        let lived = in_fresh(folder, lives, |folder| live(&shorter, folder, false, None));
        lived.violation.is_some_and(|violation| violation.invariant == invariant)
    };
    let mut steps = script.steps.clone();
    loop {
        let before = steps.len();
        let mut part = steps.len().div_ceil(2);
        while part > 0 {
            let mut from = 0;
            while from < steps.len() {
                let mut shorter = steps.clone();
                shorter.drain(from..(from + part).min(steps.len()));
                if breaks(&shorter) {
                    steps = shorter;
                } else {
                    from += part;
                }
            }
            part /= 2;
        }
        if steps.len() == before {
            return Script { steps, ..script.clone() };
        }
    }
}

/// Runs something in an empty folder of its own.
pub fn in_fresh<T>(folder: &Path, number: usize, run: impl FnOnce(&Path) -> T) -> T {
    let fresh = folder.join(format!("life-{number}"));
    let result = run(&fresh);
    std::fs::remove_dir_all(&fresh).ok();
    result
}
