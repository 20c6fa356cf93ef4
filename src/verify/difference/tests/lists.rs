//! What edits of the allowlist and the denylist are told as, and that they hide nothing.

use pretty_assertions::assert_eq;

use super::*;

#[test]
fn a_denylist_wins_over_a_wider_allowlist() {
    let allowed = &[("allowlist   = []", "allowlist   = [\"acme/*\"]")];
    let denied = &[allowed[0], ("denylist    = []", "denylist    = [\"acme/pay-*\"]")];
    let found = difference(&edited(allowed), &edited(denied)).unwrap();
    let told: Vec<_> = found.items.iter().map(|item| (item.direction, item.what.as_str(), item.place.line)).collect();
    // What follows from it for gates and for turns of runs is not said besides.
    assert_eq!(
        told,
        [(Direction::Tighter, "issues in `acme/pay-*` are no longer dispatched: it is on the denylist", 10)]
    );
    let found = difference(&edited(denied), &edited(allowed)).unwrap();
    let told: Vec<_> = found.items.iter().map(|item| (item.direction, item.what.as_str())).collect();
    assert_eq!(
        told,
        [(Direction::Looser, "issues in `acme/pay-*` may be dispatched: it is no longer on the denylist")]
    );
    // A repository that the wider entry has enrolled already is no news.
    let narrower = &[("allowlist   = []", "allowlist   = [\"acme/*\", \"acme/app\"]")];
    assert!(difference(&edited(allowed), &edited(narrower)).unwrap().is_equal());
}

const APP: (&str, &str) = ("allowlist   = []", "allowlist   = [\"app\"]");
const APP_AND_ACME: (&str, &str) = ("allowlist   = []", "allowlist   = [\"app\", \"acme/*\"]");
const PAYMENTS_DENIED: (&str, &str) = ("denylist    = []", "denylist    = [\"acme/payments\"]");

#[test]
fn what_is_enrolled_and_denied_in_one_edit_is_not_said_to_be_off_the_allowlist() {
    let except = "issues in `acme/*` except `acme/payments` (denylist) may be dispatched";
    let enrolled = (Direction::Looser, except.to_owned());
    for denied_before in [OPEN, PAYMENTS_DENIED] {
        assert_eq!(told(&[APP, denied_before], &[APP_AND_ACME, PAYMENTS_DENIED]), std::slice::from_ref(&enrolled));
    }
    let exactly = ("allowlist   = []", "allowlist   = [\"app\", \"acme/payments\"]");
    let found = difference(&edited(&[APP]), &edited(&[exactly, PAYMENTS_DENIED])).unwrap();
    assert_eq!(found.items, []);
    let also = "`acme/payments` is new on the allowlist: it is not enrolled, as the denylist names `acme/payments`";
    assert_eq!(found.also.iter().map(|one| one.what.as_str()).collect::<Vec<_>>(), [also]);
    assert_eq!(
        told(&[exactly, PAYMENTS_DENIED], &[APP]),
        [(
            Direction::Different,
            "`acme/payments` is on neither list any more: nothing is dispatched there, as before".to_owned()
        )]
    );
}

const OPEN: (&str, &str) = ("denylist    = []", "denylist    = []");
const OTHER_DENIED: (&str, &str) = ("denylist    = []", "denylist    = [\"other/*\"]");
const ACME: (&str, &str) = ("allowlist   = []", "allowlist   = [\"acme/*\"]");
const BOTH: (&str, &str) = ("allowlist   = []", "allowlist   = [\"acme/*\", \"other/*\"]");
const EDITS_PASS: (&str, &str) = (
    "require = { edited_since_armed = false }",
    "require = { any = [{ edited_since_armed = false }, { repo = { in = [\"other/*\"] } }] }",
);
const NO_BUDGET: (&str, &str) =
    ("when   = { cost_usd = { gt", "when   = { repo = { not_in = [\"other/*\"] }, cost_usd = { gt");

const NO_FIX: (&str, &str) = ("told     = false\n", "told     = false\nrepo     = { not_in = [\"other/*\"] }\n");

fn told(old: &[(&str, &str)], new: &[(&str, &str)]) -> Vec<(Direction, String)> {
    let found = difference(&edited(old), &edited(new)).unwrap();
    found.items.into_iter().map(|item| (item.direction, item.what)).collect()
}

#[test]
fn an_edit_of_the_denylist_hides_no_loosened_gate() {
    for allowed in [ACME, BOTH] {
        let (old, new) = (edited(&[allowed, OTHER_DENIED]), edited(&[allowed, OPEN, EDITS_PASS]));
        let found = difference(&old, &new).unwrap();
        let [list, gate] = found.items.as_slice() else { panic!("{found:?}") };
        assert_eq!((list.direction, gate.direction), (Direction::Looser, Direction::Looser));
        assert!(list.what.contains("no longer on the denylist"), "{list:?}");
        assert!(gate.what.starts_with("`unchanged` lets more issues pass"), "{gate:?}");
        assert_eq!(gate.sample.as_ref().unwrap().line(), "`other/app`: `edited_since_armed = true`");
        assert_eq!(found.also, []);
    }
}

#[test]
fn an_edit_of_the_denylist_hides_no_changed_row() {
    for allowed in [ACME, BOTH] {
        for (old, new) in [(OTHER_DENIED, OPEN), (OPEN, OTHER_DENIED)] {
            let found = difference(&edited(&[allowed, old]), &edited(&[allowed, new, NO_BUDGET])).unwrap();
            let is_of_list = |item: &&Item| item.what.contains("on the denylist");
            let (of_list, others): (Vec<&Item>, Vec<&Item>) = found.items.iter().partition(is_of_list);
            assert_eq!((of_list.len(), others.is_empty()), (1, false), "{found:?}");
            for item in others {
                assert!(item.what.starts_with("row `over-budget`: it "), "{item:?}");
                assert_eq!(item.sample.as_ref().unwrap().repo(), "other/app");
            }
            assert_eq!(found.also, []);
        }
    }
}

#[test]
fn a_row_that_sends_no_turn_to_denied_repositories_changes_nothing_for_them() {
    for (old, new) in [(OTHER_DENIED, OPEN), (OPEN, OTHER_DENIED)] {
        let found = difference(&edited(&[BOTH, old]), &edited(&[BOTH, new, NO_FIX])).unwrap();
        let [list] = found.items.as_slice() else { panic!("{found:?}") };
        assert!(list.what.contains("on the denylist"), "{list:?}");
        let row = |remark: &Remark| remark.what.starts_with("row `fix-forward`: it now also requires");
        assert!(found.also.iter().any(row), "{found:?}");
    }
}

#[test]
fn a_denylist_that_names_others_is_told_of_even_while_nothing_is_allowed() {
    assert_eq!(
        told(&[OTHER_DENIED], &[OPEN]),
        [(
            Direction::Looser,
            "`other/*` is no longer on the denylist: that changes nothing today, as it is not on the allowlist"
                .to_owned()
        )]
    );
    assert_eq!(
        told(&[ACME, OPEN], &[ACME, OTHER_DENIED]),
        [(
            Direction::Tighter,
            "`other/*` is now on the denylist: that changes nothing today, as it is not on the allowlist".to_owned()
        )]
    );
    // What another entry denies already is no news.
    let twice = ("denylist    = []", "denylist    = [\"other/*\", \"other/app\"]");
    assert_eq!(told(&[OTHER_DENIED], &[twice]), []);
}

#[test]
fn a_gate_that_lets_denied_repositories_pass_is_not_explained_by_the_denylist() {
    let pass =
        ("require = { trusted = true }", "require = { any = [{ trusted = true }, { repo = { in = \"$denylist\" } }] }");
    let open = ("in = \"$allowlist\", not_in = \"$denylist\"", "in = \"$allowlist\"");
    let told = told(&[BOTH, open, pass], &[BOTH, OTHER_DENIED, open, pass]);
    assert!(told.iter().any(|(way, what)| *way == Direction::Looser && what.contains("`trust`")), "{told:?}");
}
