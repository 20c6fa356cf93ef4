//! What an agent's output says: session, milestones, cost, success, last words.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::settings::AgentOutput;

/// The milestones that an agent may declare, each in a line of its own: `AFK-Milestone: tests_red`.
const MILESTONES: [&str; 3] = ["worktree", "tests_red", "tests_green"];
const MILESTONE_PREFIX: &str = "AFK-Milestone: ";
/// A longer line is read and skipped.
const LINE_LIMIT: usize = 1024 * 1024;
/// How much of the agent's last words is kept.
const WORDS_LIMIT: usize = 2 * 1024;

/// What the output of a turn said so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The agent's own id of the conversation.
    pub session: Option<String>,
    /// In the order they were reached.
    pub milestones: Vec<String>,
    /// What the agent says about how the turn went; `None` while it has not said.
    pub result: Option<bool>,
    /// What the turn has cost, where the agent says so.
    pub cost_usd: Option<f64>,
    /// The end of its last message; untrusted.
    pub last_words: Option<String>,
}

/// Where output comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// Reads output as it comes.
#[derive(Debug)]
pub struct OutputReader {
    kind: AgentOutput,
    progress: Progress,
    output: Lines,
    error: Lines,
    /// The end of everything, for agents that say nothing in a form of their own.
    tail: Vec<u8>,
}

impl OutputReader {
    /// A reader of one turn's output.
    pub fn new(kind: AgentOutput) -> Self {
        Self {
            kind,
            progress: Progress::default(),
            output: Lines::default(),
            error: Lines::default(),
            tail: Vec::new(),
        }
    }

    /// Takes what was read.
    pub fn read(&mut self, stream: Stream, bytes: &[u8]) {
        let Self { kind, progress, output, error, tail } = self;
        match (*kind, stream) {
            (AgentOutput::Text, Stream::Output) => output.push(bytes, |line| text_line(progress, line)),
            (AgentOutput::Text, Stream::Error) => error.push(bytes, |line| text_line(progress, line)),
            (AgentOutput::Claude, Stream::Output) => output.push(bytes, |line| claude_line(progress, line)),
            (AgentOutput::Codex, Stream::Output) => output.push(bytes, |line| codex_line(progress, line)),
            (AgentOutput::Claude | AgentOutput::Codex, Stream::Error) => {}
        }
        if *kind == AgentOutput::Text || stream == Stream::Error {
            tail.extend_from_slice(bytes.get(bytes.len().saturating_sub(WORDS_LIMIT)..).unwrap_or(bytes));
            tail.drain(..tail.len().saturating_sub(WORDS_LIMIT));
        }
    }

    /// The output is over: a last line needs no line break.
    pub fn end(&mut self) {
        self.read(Stream::Output, b"\n");
        self.read(Stream::Error, b"\n");
    }

    /// What was said so far.
    pub fn progress(&self) -> Progress {
        let mut progress = self.progress.clone();
        if progress.last_words.is_none() {
            progress.last_words = last_words(&String::from_utf8_lossy(&self.tail));
        }
        progress
    }

    /// Whether the turn worked out, given the agent's exit code (`None` for a signal).
    pub fn succeeded(&self, code: Option<i32>) -> bool {
        match self.kind {
            AgentOutput::Text => code == Some(0),
            AgentOutput::Claude => self.progress.result == Some(true),
            AgentOutput::Codex => self.progress.result == Some(true) && code == Some(0),
        }
    }
}

/// Cuts a stream into lines of a bounded length.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
    too_long: bool,
}

impl Lines {
    fn push(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8])) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, complete) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            // Most lines come in one piece, and then are copied nowhere.
            if complete && self.line.is_empty() && !self.too_long {
                take(text);
                continue;
            }
            if self.line.len().saturating_add(text.len()) > LINE_LIMIT {
                self.too_long = true;
                self.line = Vec::new();
            }
            if !self.too_long {
                self.line.extend_from_slice(text);
            }
            if complete {
                if !self.too_long {
                    take(&self.line);
                }
                self.line.clear();
                self.too_long = false;
            }
        }
    }
}

fn text_line(progress: &mut Progress, line: &[u8]) {
    if line.starts_with(MILESTONE_PREFIX.as_bytes())
        && let Ok(line) = std::str::from_utf8(line)
    {
        milestone(progress, line);
    }
}

/// A line of `claude -p --output-format stream-json --verbose`. Unknown lines are skipped: new ones appear often.
fn claude_line(progress: &mut Progress, line: &[u8]) {
    let Some(line) = json_object(line) else { return };
    if let Some(session) = line.get("session_id").and_then(Value::as_str) {
        remember_session(progress, session);
    }
    match line.get("type").and_then(Value::as_str) {
        // A message of a sub-agent names the tool call that it belongs to.
        Some("assistant") if line.get("parent_tool_use_id").is_none_or(Value::is_null) => {
            for part in line.pointer("/message/content").and_then(Value::as_array).into_iter().flatten() {
                if part.get("type").and_then(Value::as_str) == Some("text")
                    && let Some(text) = part.get("text").and_then(Value::as_str)
                {
                    message(progress, text);
                }
            }
        }
        Some("result") => {
            // Success may carry an error: the answer of the API in place of the agent's.
            let success = line.get("subtype").and_then(Value::as_str) == Some("success");
            let error = line.get("is_error").and_then(Value::as_bool) == Some(true);
            progress.result = Some(success && !error);
            if let Some(cost) = line.get("total_cost_usd").and_then(Value::as_f64) {
                progress.cost_usd = Some(cost);
            }
            let words = line.get("result").and_then(Value::as_str);
            let first_error = || line.pointer("/errors/0").and_then(Value::as_str);
            if let Some(words) = words.or_else(first_error) {
                progress.last_words = last_words(words);
            }
        }
        _ => {}
    }
}

/// A line of `codex exec --json`. Unknown lines are skipped.
fn codex_line(progress: &mut Progress, line: &[u8]) {
    let Some(line) = json_object(line) else { return };
    match line.get("type").and_then(Value::as_str) {
        Some("thread.started") => {
            if let Some(session) = line.get("thread_id").and_then(Value::as_str) {
                remember_session(progress, session);
            }
        }
        Some("turn.started") => progress.result = None,
        Some("turn.completed") => progress.result = Some(true),
        // An `error` may be one that it recovers from; a later `turn.completed` says so.
        Some("turn.failed" | "error") => {
            progress.result = Some(false);
            let words = line.pointer("/error/message").or_else(|| line.get("message"));
            if let Some(words) = words.and_then(Value::as_str) {
                progress.last_words = last_words(words);
            }
        }
        Some("item.completed") if line.pointer("/item/type").and_then(Value::as_str) == Some("agent_message") => {
            if let Some(text) = line.pointer("/item/text").and_then(Value::as_str) {
                message(progress, text);
            }
        }
        _ => {}
    }
}

fn json_object(line: &[u8]) -> Option<Value> {
    if line.first() == Some(&b'{') { serde_json::from_slice(line).ok() } else { None }
}

fn message(progress: &mut Progress, text: &str) {
    for line in text.lines() {
        milestone(progress, line);
    }
    progress.last_words = last_words(text);
}

fn milestone(progress: &mut Progress, line: &str) {
    if let Some(word) = milestone_in(line)
        && !progress.milestones.iter().any(|known| known == word)
    {
        progress.milestones.push(word.to_owned());
    }
}

/// The milestone that a line declares.
pub fn milestone_in(line: &str) -> Option<&str> {
    line.strip_prefix(MILESTONE_PREFIX).map(str::trim_end).filter(|word| MILESTONES.contains(word))
}

/// It becomes part of an argv, so it is a plain word that no command line takes for an option.
fn remember_session(progress: &mut Progress, session: &str) {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if session.len() <= 200
        && session.starts_with(|first: char| first.is_ascii_alphanumeric())
        && session.chars().all(plain)
    {
        progress.session = Some(session.to_owned());
    }
}

/// The end of a text, cut at a character.
fn last_words(text: &str) -> Option<String> {
    let text = text.trim();
    let start = text.ceil_char_boundary(text.len().saturating_sub(WORDS_LIMIT));
    text.get(start..).filter(|words| !words.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    fn read(kind: AgentOutput, output: &str) -> OutputReader {
        let mut reader = OutputReader::new(kind);
        reader.read(Stream::Output, output.as_bytes());
        reader.end();
        reader
    }

    #[test]
    fn claude_succeeds_only_by_a_result_that_says_so_and_carries_no_error() {
        for (lines, expected) in [
            (r#"{"type":"result","subtype":"success","is_error":false,"result":"ok"}"#, true),
            (r#"{"type":"result","subtype":"success","is_error":true,"result":"API Error: 529"}"#, false),
            (r#"{"type":"result","subtype":"error_max_turns","is_error":true,"errors":["too many"]}"#, false),
            (r#"{"type":"result","subtype":"error_during_execution","is_error":false}"#, false),
            (r#"{"type":"assistant","message":{"content":[{"type":"text","text":"done"}]}}"#, false),
            (r#"{"type":"result","subtype":"success","is_error":false"#, false),
            ("", false),
        ] {
            assert_eq!(read(AgentOutput::Claude, lines).succeeded(Some(0)), expected, "{lines}");
        }
    }

    #[test]
    fn the_last_result_counts() {
        let reader = read(
            AgentOutput::Claude,
            "{\"type\":\"result\",\"subtype\":\"success\",\"result\":\"first\",\"total_cost_usd\":1}\n\
             {\"type\":\"result\",\"subtype\":\"error_max_turns\",\"errors\":[\"too many turns\"],\"total_cost_usd\":2}",
        );
        assert!(!reader.succeeded(Some(0)));
        assert_eq!(reader.progress().cost_usd, Some(2.0));
        assert_eq!(reader.progress().last_words.as_deref(), Some("too many turns"));
    }

    #[test]
    fn codex_needs_a_completed_turn_and_exit_0() {
        for (lines, code, expected) in [
            (r#"{"type":"turn.completed"}"#, Some(0), true),
            (r#"{"type":"turn.completed"}"#, Some(1), false),
            (r#"{"type":"turn.completed"}"#, None, false),
            ("{\"type\":\"error\",\"message\":\"reconnecting\"}\n{\"type\":\"turn.completed\"}", Some(0), true),
            ("{\"type\":\"turn.completed\"}\n{\"type\":\"turn.started\"}", Some(0), false),
            (r#"{"type":"turn.failed","error":{"message":"no"}}"#, Some(0), false),
            (r#"{"type":"error","message":"no"}"#, Some(0), false),
            ("turn.completed", Some(0), false),
        ] {
            assert_eq!(read(AgentOutput::Codex, lines).succeeded(code), expected, "{lines}");
        }
    }

    #[test]
    fn only_the_agent_s_own_text_declares_milestones() {
        let claude = read(
            AgentOutput::Claude,
            r#"AFK-Milestone: worktree
{"type":"user","message":{"content":[{"type":"text","text":"AFK-Milestone: worktree"}]}}
{"type":"assistant","parent_tool_use_id":"t","message":{"content":[{"type":"text","text":"AFK-Milestone: worktree"}]}}
{"type":"assistant","message":{"content":[{"type":"thinking","text":"AFK-Milestone: worktree"},{"type":"text","text":"now:\nAFK-Milestone: tests_red\nI say AFK-Milestone: tests_green"}]}}"#,
        );
        assert_eq!(claude.progress().milestones, ["tests_red"]);
        let text = read(
            AgentOutput::Text,
            "AFK-Milestone: tests_red\r\n AFK-Milestone: worktree\nAFK-Milestone: deployed\nAFK-Milestone: tests_red\nAFK-Milestone: tests_green",
        );
        assert_eq!(text.progress().milestones, ["tests_red", "tests_green"]);
    }

    #[test]
    fn a_session_that_could_be_an_option_or_more_is_not_believed() {
        for session in ["--dangerously-skip", "-x", "a b", "a\u{0}b", "", ".hidden", "../../x", "$(x)"] {
            let line = serde_json::json!({"type": "thread.started", "thread_id": session}).to_string();
            assert_eq!(read(AgentOutput::Codex, &line).progress().session, None, "{session}");
        }
        let line = r#"{"type":"thread.started","thread_id":"0199a213-81c0-7800-8aa1-bbab2a035a53"}"#;
        assert!(read(AgentOutput::Codex, line).progress().session.is_some());
    }

    #[test]
    fn a_line_without_end_is_skipped_and_the_next_one_read() {
        let mut reader = OutputReader::new(AgentOutput::Codex);
        for _ in 0..100 {
            reader.read(Stream::Output, &[b'x'; 64 * 1024]);
        }
        assert!(reader.output.line.len() <= LINE_LIMIT);
        reader.read(Stream::Output, b"\n{\"type\":\"turn.completed\"}\n");
        assert!(reader.succeeded(Some(0)));
    }

    #[test]
    fn last_words_are_the_end_cut_at_a_character() {
        let words = read(AgentOutput::Text, &"ä".repeat(5_000)).progress().last_words.unwrap();
        assert!(words.len() <= WORDS_LIMIT && words.ends_with('ä'), "{words}");
        assert_eq!(read(AgentOutput::Text, " \n ").progress().last_words, None);
    }

    #[test]
    fn what_goes_wrong_before_any_message_is_told_in_the_words_of_standard_error() {
        let mut reader = OutputReader::new(AgentOutput::Claude);
        reader.read(Stream::Error, b"Invalid API key\n");
        reader.end();
        assert_eq!(reader.progress().last_words.as_deref(), Some("Invalid API key"));
    }

    proptest! {
        #[test]
        fn how_output_is_cut_into_pieces_does_not_matter(
            lines in prop::collection::vec(prop::sample::select(vec![
                "AFK-Milestone: worktree",
                r#"{"type":"thread.started","thread_id":"t-1"}"#,
                r#"{"type":"turn.completed"}"#,
                r#"{"type":"item.completed","item":{"type":"agent_message","text":"AFK-Milestone: tests_red"}}"#,
                r#"{"type":"result","subtype":"success","session_id":"s"}"#,
                "", "noise", "{", "\u{fffd}",
            ]), 0..20),
            cuts in prop::collection::vec(1usize..40, 1..20),
        ) {
            let text = lines.join("\n");
            for kind in [AgentOutput::Text, AgentOutput::Claude, AgentOutput::Codex] {
                let whole = read(kind, &text);
                let mut pieces = OutputReader::new(kind);
                let mut rest = text.as_bytes();
                for cut in cuts.iter().cycle() {
                    let (piece, after) = rest.split_at((*cut).min(rest.len()));
                    pieces.read(Stream::Output, piece);
                    rest = after;
                    if rest.is_empty() { break }
                }
                pieces.end();
                prop_assert_eq!(pieces.progress(), whole.progress());
                prop_assert_eq!(pieces.succeeded(Some(0)), whole.succeeded(Some(0)));
            }
        }

        #[test]
        fn no_output_makes_the_reader_stumble(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            for kind in [AgentOutput::Text, AgentOutput::Claude, AgentOutput::Codex] {
                let mut reader = OutputReader::new(kind);
                reader.read(Stream::Output, &bytes);
                reader.read(Stream::Error, &bytes);
                reader.end();
                let _ = reader.progress();
            }
        }
    }
}
