//! A look at the text before it is parsed: nesting that would exhaust the stack, and what TOML 1.1 allows but other
//! tools, which read TOML 1.0, would choke on.

use super::super::source::Span;

/// Brackets and dots that may be open at a time. A condition of 32 levels takes 64 brackets.
const MAX_DEPTH: usize = 76;
/// Dots in one key.
const MAX_DOTS: usize = 16;

/// What was seen.
#[derive(Debug, Default)]
pub struct Scan {
    /// Where the text nests too deeply to be parsed safely.
    pub too_deep: Option<Span>,
    /// Where it is not TOML 1.0, and why.
    pub not_toml_1_0: Vec<(Span, &'static str)>,
    /// Where a bracket is not closed and takes what follows for a part of the value.
    pub unclosed: Option<Unclosed>,
}

/// A bracket without its end.
#[derive(Debug)]
pub struct Unclosed {
    /// The bracket.
    pub bracket: Span,
    /// "array" or "inline table".
    pub what: &'static str,
    /// What closes it.
    pub end: char,
    /// Where the line begins on which its value begins.
    pub statement: usize,
}

/// Looks through the text once.
pub fn scan(text: &str) -> Scan {
    let mut scanner = Scanner {
        bytes: text.as_bytes(),
        at: 0,
        line: 0,
        open: Vec::new(),
        statement: 0,
        lost: false,
        depth: 0,
        dots: 0,
        found: Scan::default(),
    };
    scanner.run();
    if !scanner.open.is_empty() {
        scanner.not_closed();
    }
    scanner.found
}

struct Scanner<'t> {
    bytes: &'t [u8],
    at: usize,
    /// Where the line begins.
    line: usize,
    /// Each open bracket, where it stands, and the dots of the key before it.
    open: Vec<(u8, usize, usize)>,
    /// Where the line begins on which the first of them was opened.
    statement: usize,
    /// A text without its end stands among them, so that no bracket after it says anything.
    lost: bool,
    depth: usize,
    dots: usize,
    found: Scan,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn starts_with(&self, start: &[u8]) -> bool {
        self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(start))
    }

    /// Goes to the next byte like that, or to the end.
    fn skip_until(&mut self, wanted: impl Fn(u8) -> bool) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.step(rest.iter().position(|byte| wanted(*byte)).unwrap_or(rest.len()));
    }

    fn step(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    fn here(&self) -> Span {
        Span { start: self.at, end: self.at.saturating_add(1) }
    }

    fn run(&mut self) {
        let mut before = 0;
        let mut line_start = true;
        let mut header = false;
        while let Some(byte) = self.peek() {
            if self.found.too_deep.is_some() {
                return;
            }
            match byte {
                b' ' | b'\t' | b'\r' => {
                    self.step(1);
                    continue;
                }
                b'#' => {
                    self.skip_until(|byte| byte == b'\n');
                    continue;
                }
                b'\n' => {
                    if self.innermost() == Some(b'{') {
                        let why =
                            "a line break inside an inline table is TOML 1.1; write it on one line, or as a `[table]`";
                        self.found.not_toml_1_0.push((self.here(), why));
                    }
                    self.dots = 0;
                    line_start = true;
                    header = false;
                    self.step(1);
                    self.line = self.at;
                    continue;
                }
                _ if line_start && self.begins_something_else(before) => self.not_closed(),
                _ => {}
            }
            match byte {
                b'[' if line_start && self.open.is_empty() => header = true,
                b'[' | b']' if header => {}
                b'"' | b'\'' => self.string(byte),
                b'{' | b'[' => {
                    // A table holds nothing but keys and their values.
                    if self.innermost() == Some(b'{') && before != b'=' {
                        self.not_closed();
                    }
                    self.enter(byte);
                }
                b'}' | b']' => {
                    let other = if byte == b'}' { b'[' } else { b'{' };
                    if self.innermost() == Some(other) {
                        self.not_closed();
                    }
                    if byte == b'}' && before == b',' {
                        let why = "a comma before `}` is TOML 1.1; remove it";
                        self.found.not_toml_1_0.push((self.here(), why));
                    }
                    if let Some((_, _, dots)) = self.open.pop() {
                        self.depth = self.depth.saturating_sub(dots).saturating_sub(1);
                    }
                    self.dots = 0;
                }
                b',' => self.dots = 0,
                b'.' => {
                    self.dots = self.dots.saturating_add(1);
                    if self.dots > MAX_DOTS {
                        self.found.too_deep = Some(self.here());
                    }
                }
                _ => {}
            }
            before = byte;
            line_start = false;
            self.step(1);
        }
    }

    fn innermost(&self) -> Option<u8> {
        self.open.last().map(|(bracket, ..)| *bracket)
    }

    /// Whether the line that begins here cannot be a part of the open bracket: a key with its value, or a header.
    fn begins_something_else(&self, before: u8) -> bool {
        let Some(bracket) = self.innermost() else { return false };
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let bare = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
        let is_key = line
            .split(|byte| *byte == b'=')
            .next()
            .is_some_and(|key| key.len() < line.len() && !key.is_empty() && key.trim_ascii_end().iter().all(bare));
        if is_key {
            return bracket == b'[' || !b",{".contains(&before);
        }
        let name = line.trim_ascii_start().strip_prefix(b"[").unwrap_or_default();
        let name = name.strip_prefix(b"[").unwrap_or(name);
        let word: Vec<u8> = name.iter().copied().take_while(|byte| bare(byte)).collect();
        let values: [&[u8]; 4] = [b"true", b"false", b"inf", b"nan"];
        word.first().is_some_and(u8::is_ascii_alphabetic)
            && !values.contains(&word.as_slice())
            && !name.contains(&b',')
            && name.contains(&b']')
    }

    /// The innermost bracket has no end; of many the first counts, as the others follow from it.
    fn not_closed(&mut self) {
        let Some((bracket, at, _)) = self.open.last().copied() else { return };
        if self.lost || self.found.unclosed.is_some() {
            return;
        }
        let (what, end) = if bracket == b'[' { ("array", ']') } else { ("inline table", '}') };
        let bracket = Span { start: at, end: at.saturating_add(1) };
        self.found.unclosed = Some(Unclosed { bracket, what, end, statement: self.statement });
    }

    fn enter(&mut self, bracket: u8) {
        if self.open.is_empty() {
            self.statement = self.line;
        }
        self.open.push((bracket, self.at, self.dots));
        self.depth = self.depth.saturating_add(self.dots).saturating_add(1);
        self.dots = 0;
        if self.depth > MAX_DEPTH {
            self.found.too_deep = Some(self.here());
        }
    }

    /// Goes to the last byte of the string that begins here.
    fn string(&mut self, quote: u8) {
        let fence = [quote, quote, quote];
        let multi_line = self.starts_with(&fence);
        self.step(if multi_line { 3 } else { 1 });
        loop {
            self.skip_until(|byte| byte == quote || byte == b'\\' || byte == b'\n');
            let Some(byte) = self.peek() else { break };
            if byte == b'\\' && quote == b'"' {
                if matches!(self.bytes.get(self.at.saturating_add(1)), Some(b'e' | b'x')) {
                    let why = "the escapes `\\e` and `\\x` are TOML 1.1; write `\\u00..` instead";
                    self.found.not_toml_1_0.push((self.here(), why));
                }
                self.step(2);
                continue;
            }
            if multi_line && self.starts_with(&fence) {
                return self.step(2);
            }
            if !multi_line && byte == quote {
                return;
            }
            // An unterminated string: the parser will say so.
            if !multi_line && byte == b'\n' {
                self.lost |= !self.open.is_empty();
                return self.at = self.at.saturating_sub(1);
            }
            self.step(1);
        }
        self.lost = true;
    }
}
