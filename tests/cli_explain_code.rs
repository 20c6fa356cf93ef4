//! `afk explain --code`.

mod support;

use afk::policy::Code;
use insta::assert_snapshot;
use support::Test;

#[test]
fn a_code_is_explained() {
    assert_snapshot!(Test::new().args(["explain", "--code", "wrong-matcher"]).run(), @r#"
    exit code 0
    --- stdout
    wrong-matcher: a matcher that the type of the fact does not take
      why   equality on a set, or a comparison on a word, would never hold
      mend  use the matcher that the message names

      for example:
        require = { labels = { lacks = ["$labels.human", "$labels.paused"] } }  # <--

      mended:
        require = { labels = { has_none = ["$labels.human", "$labels.paused"] } }
    "#);
    assert_snapshot!(Test::new().args(["explain", "--code", "WRONG-MATCHER", "--format", "json"]).run(), @r#"
    exit code 0
    --- stdout
    {
      "code": "wrong-matcher",
      "what": "a matcher that the type of the fact does not take",
      "why": "equality on a set, or a comparison on a word, would never hold",
      "mend": "use the matcher that the message names",
      "example": {
        "given": "",
        "broken": "require = { labels = { lacks = [\"$labels.human\", \"$labels.paused\"] } }  # <--",
        "mended": "require = { labels = { has_none = [\"$labels.human\", \"$labels.paused\"] } }"
      }
    }
    "#);
}

#[test]
fn a_misspelt_code_is_2_and_the_nearest_is_offered() {
    assert_snapshot!(Test::new().args(["explain", "--code", "wrong-macher"]).run(), @r"
    exit code 2
    --- stdout
    --- stderr
    error: there is no code `wrong-macher`
      help: did you mean `wrong-matcher`?
    ");
    assert_snapshot!(Test::new().args(["explain", "--code", "\u{1b}[31mzzz"]).run(), @r"
    exit code 2
    --- stdout
    --- stderr
    error: there is no code `\u{1b}[31mzzz`
      help: `afk explain --code` lists all of them
    ");
}

#[test]
fn without_a_value_every_code_is_listed() {
    let ran = Test::new().args(["explain", "--code"]).run();
    assert_eq!(ran.stdout.lines().count(), Code::ALL.len());
    for (line, code) in ran.stdout.lines().zip(Code::ALL) {
        assert!(line.starts_with(code.name()) && line.ends_with(code.what()), "{line}");
    }
    let listed = Test::new().args(["explain", "--format", "json", "--code"]).run().json();
    assert_eq!(listed.as_array().map(Vec::len), Some(Code::ALL.len()));
}
