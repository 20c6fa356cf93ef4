use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;

fn names(text: &str) -> Vec<String> {
    blocked_by(text).iter().map(|mention| mention.target.to_string()).collect()
}

#[test]
fn what_people_write_when_an_issue_waits_for_another() {
    for (text, expected) in [
        ("Blocked by #3", vec!["#3"]),
        ("blocked by: #3, acme/lib#7", vec!["#3", "acme/lib#7"]),
        ("**Blocked by:** #3 and #4.", vec!["#3", "#4"]),
        ("_blocked by_ #3 & #4 / #5", vec!["#3", "#4", "#5"]),
        ("BLOCKED-BY: lib#7", vec!["lib#7"]),
        ("This is blocked by issue #3 (the parser, see #8), #4 too.", vec!["#3", "#4"]),
        ("blocked by the parser work in #3", vec!["#3"]),
        ("Blocked by #3. Related: #9", vec!["#3"]),
        ("Blocked by #3, see #9 for why", vec!["#3"]),
        ("Blocked\nby #3,\n#4", vec!["#3", "#4"]),
        ("Blocked by:\n#3", vec!["#3"]),
        (
            "Blocked by [#3](https://x.example/acme/app/issues/3) and [that](https://x.example/acme/lib/issues/7)",
            vec!["#3", "https://x.example/acme/lib/issues/7"],
        ),
        (
            "blocked by https://forge.example:3000/acme/lib/issues/7#comment-1.",
            vec!["https://forge.example:3000/acme/lib/issues/7"],
        ),
        ("blocked by <https://gitlab.example/acme/lib/-/issues/7>", vec!["https://gitlab.example/acme/lib/issues/7"]),
        ("| Blocked by | #3 |", vec!["#3"]),
        ("Not done yet, and blocked by #3", vec!["#3"]),
        ("It does not work because it is blocked by #3", vec!["#3"]),
        ("Blocked by #3.\n\nAlso blocked by #3 and #4", vec!["#3", "#4"]),
        ("- blocked by #3\n- see #4", vec!["#3"]),
        ("Status: not started\nBlocked by: #3", vec!["#3"]),
        ("We can't start yet - blocked by #3", vec!["#3"]),
        ("No progress \u{2014} blocked by #3", vec!["#3"]),
        ("We can't go on while blocked by #3", vec!["#3"]),
        ("blocked by not having the parser (#3)", vec!["#3"]),
        ("blocked by no one, see #4", vec!["#4"]),
        ("blocked by #99999999999999999999", vec!["#18446744073709551615"]),
    ] {
        assert_eq!(names(text), expected, "{text}");
    }
}

#[test]
fn a_heading_with_a_list_blocks() {
    for (text, expected) in [
        ("## Blocked by\n\n- #3\n- [ ] acme/lib#7: the parser\n\n## Notes\n- #9\n", vec!["#3", "acme/lib#7"]),
        ("## Blocked by:\r\n* #3\r\n* #4\r\n# Other\r\n* #5", vec!["#3", "#4"]),
        ("**Blocked by**\n1. #3\n2. the parser\n   (#4)\n\nSee #9", vec!["#3", "#4"]),
        ("Blocked by\n==========\n\n#3 and #4\n", vec!["#3", "#4"]),
        ("Blocked by\n---\n- #3\n", vec!["#3"]),
        ("### Blocked by\n\n_No response_\n\n### Else\n#3", vec![]),
        ("## Blocked by\n- none\n- N/A\n- no longer #3\n- Not #4\n", vec![]),
        ("## Blocked by\n- No parser yet (#3)\n- not started: #4\n- TBD\n", vec!["#3", "#4", "TBD"]),
        ("## Blocked by\n- the review by legal\n- [x] the design\n", vec!["the review by legal"]),
        ("## Blocked by #3 ##\n- #4", vec!["#3"]),
    ] {
        assert_eq!(names(text), expected.iter().map(ToString::to_string).collect::<Vec<_>>(), "{text}");
    }
}

#[test]
fn what_blocks_nothing() {
    for text in [
        "not blocked by #3",
        "This is no longer blocked by #3",
        "It isn't blocked by #3; it isn\u{2019}t really blocked by #4",
        "never blocked by #3",
        "unblocked by #3",
        "#3 and acme/lib#7 are related",
        "blocked by nothing, see #4",
        "blocked by no other issue",
        "Blocked by none (#3 is done)",
        "requests are blocked by the firewall",
        "`blocked by #3`",
        "```\nblocked by #3\n```",
        "~~~~\nblocked by #3\n~~~\nblocked by #4",
        "text\n\n    blocked by #3\n",
        "> blocked by #3",
        "<!-- blocked by #3\n\nblocked by #4 -->",
        "~~blocked by #3~~",
        "## Not blocked by\n- #3",
        "stonewallblocked by #3",
        "blocked byte #3",
        "blocked by a#b/c#d",
        "",
    ] {
        assert_eq!(names(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn what_only_looks_silent_still_blocks() {
    for text in [
        "<!-- a fence\n```\n-->\nBlocked by #3",
        "`` ` `` blocked by #3 ` alone",
        "- item\n\n    Blocked by #3",
        "```\ncode\n```\nBlocked by #3",
        "~once~ blocked by #3",
    ] {
        assert_eq!(names(text), ["#3"], "{text}");
    }
}

#[test]
fn the_line_is_told() {
    assert_eq!(
        blocked_by("one\n```\n#1\n```\nblocked by #3,\n#4"),
        [Mention { target: Target::Here(3), line: 5 }, Mention { target: Target::Here(4), line: 6 }]
    );
}

#[test]
fn a_text_made_to_take_for_ever_does_not() {
    let started = std::time::Instant::now();
    for piece in
        ["blocked by ", "- blocked by\n", "# blocked by\n", "`", "` `` ", "not ", "blocked by #1, #2, ", "<!--"]
    {
        let text = piece.repeat(256 * 1024 / piece.len());
        blocked_by(&text);
    }
    let numbers: String = (0..100_000).map(|number| format!("#{number}, ")).collect();
    let mentions = blocked_by(&format!("blocked by {numbers}"));
    assert_eq!(mentions.len(), MOST + 1);
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(
        text in "(blocked by|[#`~<>*_ \\-\n(\\[\\]):,.|]|acme/lib|[0-9]|<!--|-->|https://|ä|not|  ){0,60}"
    ) {
        let lines = text.matches('\n').count() + 1;
        for mention in blocked_by(&text) {
            prop_assert!(mention.line <= lines);
        }
    }

    #[test]
    fn a_named_target_reads_back(number in 0_u64..1_000_000, repo in "[a-z]{1,5}(/[a-z.-]{0,4}[a-z])?") {
        for target in [Target::Here(number), Target::Repo { repo, number }] {
            prop_assert_eq!(Target::parse(&target.to_string()), Some(target));
        }
    }
}
