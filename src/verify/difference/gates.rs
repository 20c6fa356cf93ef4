//! Which issues pass the gates of one policy and not of the other.

use std::collections::BTreeSet;

use super::areas::Area;
use super::causes::{self, Change, Denial};
use super::{Direction, Item, Place, Report, Sample, TooLarge, words};
use crate::policy::{Gate, GateRules, Span};
use crate::verify::diagram::{Diagrams, Region};
use crate::verify::issues::{self, Gates};

/// Compares what passes, and says by which gates. What was said of is added to `named`.
pub fn compare(
    area: &Area<'_>,
    steps: &mut u32,
    named: &mut BTreeSet<String>,
    report: &mut Report<'_>,
) -> Result<(), TooLarge> {
    let too_large = || TooLarge { scope: area.scope.as_ref().map(ToString::to_string) };
    let mut diagrams = Diagrams::new(*steps);
    // The new policy first: examples are written in its words.
    let space = |diagrams: &mut Diagrams| {
        let policies = [area.new.into(), area.old.into()];
        issues::space(diagrams, policies, &area.denied, area.scope.as_ref(), &area.outside).ok_or_else(too_large)
    };
    let (old, new) = (space(&mut diagrams)?, space(&mut diagrams)?);
    let old = Gates::over(&mut diagrams, area.old.into(), old);
    let new = Gates::over(&mut diagrams, area.new.into(), new);
    let both = diagrams.and(old.possible, new.possible);
    // What the new denylist does to the old gates is said of the denylist.
    named.insert("denylist".to_owned());
    let denial = Denial::of(report, &new.space, &mut diagrams);
    let held: Vec<Gate> = area
        .old
        .gates
        .iter()
        .map(|gate| Gate { require: causes::under(&gate.require, &report.new.denylist.value), ..gate.clone() })
        .collect();
    let held = GateRules { gates: &held, ..area.old.into() };
    let held_space = space(&mut diagrams)?;
    let held = Gates::over(&mut diagrams, held, held_space);
    let looser = diagrams.without(new.passes, old.passes);
    let looser = diagrams.and(looser, both);
    let lifted = diagrams.and(looser, denial.lifted);
    let elsewhere = diagrams.without(looser, denial.lifted);
    let tighter = diagrams.without(old.passes, new.passes);
    let tighter = diagrams.and(tighter, both);
    let imposed = diagrams.without(denial.imposed, held.passes);
    let tighter = diagrams.without(tighter, imposed);

    // In a repository that the old denylist named, the gate is meant that would have denied without it.
    let mut looser = split(&mut diagrams, elsewhere, &old);
    looser.extend(split(&mut diagrams, lifted, &held));
    let tighter = split(&mut diagrams, tighter, &new);
    if diagrams.exceeded() {
        return Err(too_large());
    }
    for (gates, found, direction) in [(&old, looser, Direction::Looser), (&new, tighter, Direction::Tighter)] {
        for (index, region) in found {
            let Some(gate) = gates.rules.gates.get(index) else { continue };
            // The example is of an issue that one gate denies under the policy as it is.
            let Some((fired, region)) = split(&mut diagrams, region, gates).into_iter().next() else { continue };
            let fired = gates.rules.gates.get(fired).map_or(gate, |fired| fired);
            let Some(example) = new.space.known_example(&diagrams, region) else { continue };
            let denied = format!("denied by `{}`", fired.name);
            let passes = "passes every gate".to_owned();
            let (before, after) = if direction == Direction::Looser { (denied, passes) } else { (passes, denied) };
            let sample = Some(Sample { state: None, before, after, example });
            let (what, place) = told(area, report, gate, direction, named);
            named.insert(format!("gate:{}", gate.name));
            let new = area.new.gates.iter().find(|one| one.name == gate.name);
            named.extend(new.into_iter().flat_map(|one| words::references(&one.require, &report.new.source)));
            report.add(Item { direction, what, scopes: area.scopes(), details: Vec::new(), sample, place });
        }
    }
    *steps = diagrams.left();
    Ok(())
}

/// The part of a region in which each gate fires; gates without one are left out.
fn split(diagrams: &mut Diagrams, region: Region, gates: &Gates<'_>) -> Vec<(usize, Region)> {
    let parts = gates.fires.iter().enumerate().map(|(gate, fires)| (gate, diagrams.and(region, *fires)));
    parts.filter(|(_, region)| !region.is_empty()).collect()
}

/// How a gate was changed; `None`: it was not.
pub fn change(area: &Area<'_>, report: &Report<'_>, name: &str) -> Option<Change> {
    let of = |gates: &[Gate]| gates.iter().find(|gate| gate.name == name).cloned();
    match (of(&area.old.gates), of(&area.new.gates)) {
        (Some(old), Some(new)) => causes::of_condition(report, area, &old.require, &new.require),
        (Some(_), None) => Some(Change::Gone),
        (None, Some(_)) => Some(Change::New),
        (None, None) => None,
    }
}

/// What a gate lets pass or denies now, and the line that is responsible.
fn told(
    area: &Area<'_>,
    report: &Report<'_>,
    gate: &Gate,
    direction: Direction,
    named: &mut BTreeSet<String>,
) -> (String, Place) {
    let name = &gate.name;
    let now = area.new.gates.iter().find(|one| one.name == *name);
    let place = |span: Span| report.in_new(now.map_or(span, |gate| gate.span));
    match change(area, report, name) {
        Some(Change::Gone) => {
            let what = format!(
                "issues that `{name}` held back may be dispatched: the gate is gone (it required `{}`)",
                words::condition(&gate.require)
            );
            (what, report.in_old(gate.span))
        }
        Some(Change::New) => {
            let what = format!("issues are denied by `{name}` unless `{}`", words::condition(&gate.require));
            (what, report.in_new(gate.span))
        }
        Some(Change::Constants(paths)) => {
            named.extend(paths.iter().cloned());
            let effect = if direction == Direction::Looser { "lets more issues pass" } else { "denies more issues" };
            let what = format!("{}: `{name}` {effect}", causes::constants(report, area, &paths));
            let span = paths.first().and_then(|path| words::constant(report.new, area.new, path)).map(|(_, span)| span);
            (what, report.in_new(span.unwrap_or(gate.span)))
        }
        Some(Change::Rewritten(how)) => {
            let effect = if direction == Direction::Looser { "lets more issues pass" } else { "denies more issues" };
            let was = area.old.gates.iter().find(|one| one.name == *name);
            let span = now.zip(was).and_then(|(now, was)| words::first_changed(&now.require, &was.require));
            (format!("`{name}` {effect}: it {how}"), span.map_or(place(gate.span), |span| report.in_new(span)))
        }
        None => (format!("`{name}` decides otherwise"), place(gate.span)),
    }
}
