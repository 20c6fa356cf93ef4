//! The comparison, on edits of the shipped policy, and held against the engine.

use super::*;
use crate::policy::{InstalledNames, Surroundings, check};

const SHIPPED: &str = include_str!("../../../policies/afk.toml");

fn policy(text: &str) -> Policy {
    let prompt = |path: &str| {
        Ok(match path {
            "prompts/implement.md" => include_str!("../../../policies/prompts/implement.md").to_owned(),
            _ => include_str!("../../../policies/prompts/fix-forward.md").to_owned(),
        })
    };
    let installed = InstalledNames::default();
    let checked = check(text, "afk.toml", &Surroundings { prompt: &prompt, installed: &installed });
    checked.policy.unwrap_or_else(|| panic!("{:?}", checked.findings))
}

fn edited(changes: &[(&str, &str)]) -> Policy {
    let mut text = SHIPPED.to_owned();
    for (before, after) in changes {
        assert!(text.contains(before), "the shipped policy does not hold {before:?}");
        text = text.replacen(before, after, 1);
    }
    policy(&text)
}

fn told(changes: &[(&str, &str)]) -> String {
    let difference = difference(&policy(SHIPPED), &edited(changes)).unwrap();
    let items = difference.items.iter().map(|item| {
        let sample = item.sample.as_ref().map_or(String::new(), |sample| format!("\n    e.g. {}", sample.line()));
        format!(
            "{} {}{}: {}{sample}\n",
            item.direction.word(),
            if item.place.is_old { "old " } else { "" },
            item.place.line,
            item.what
        )
    });
    let also = difference.also.iter().map(|remark| format!("also {}\n", remark.what));
    items.chain(also).collect()
}

#[test]
fn show() {
    for changes in [
        &[("fix_forward_attempts = 5", "fix_forward_attempts = 8")][..],
        &[("run_timeout          = \"24h\"", "run_timeout          = \"48h\"")][..],
        &[("trusted = true", "edited_since_armed = false")][..],
        &[("slots_per_repo = 1", "slots_per_repo = 3")][..],
        &[("told     = false\n", "")][..],
        &[("\"$labels.human\", \"$labels.paused\"", "\"$labels.human\"")][..],
        &[("allowlist   = []", "allowlist   = [\"acme/site\", \"other/*\"]")][..],
        &[("settle_time          = \"2m\"", "settle_time          = \"1m\"")][..],
        &[(
            "from   = [\"verifying\"]\nwhen   = { ci = \"green\", agent = [\"failed\"",
            "from   = [\"verifying\", \"fixing\"]\nwhen   = { ci = \"green\", agent = [\"failed\"",
        )][..],
        &[("freeze         = [\"reopen\", ", "freeze         = [")][..],
    ] {
        eprintln!("--- {changes:?}\n{}", told(changes));
    }
}
