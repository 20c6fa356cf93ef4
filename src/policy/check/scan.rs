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
}

/// Looks through the text once.
pub fn scan(text: &str) -> Scan {
    let mut scanner =
        Scanner { bytes: text.as_bytes(), at: 0, open: Vec::new(), depth: 0, dots: 0, found: Scan::default() };
    scanner.run();
    scanner.found
}

struct Scanner<'t> {
    bytes: &'t [u8],
    at: usize,
    /// Each open bracket with the dots of the key before it.
    open: Vec<(u8, usize)>,
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

    fn step(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    fn here(&self) -> Span {
        Span { start: self.at, end: self.at.saturating_add(1) }
    }

    fn run(&mut self) {
        let mut after_comma = false;
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
                    while self.peek().is_some_and(|byte| byte != b'\n') {
                        self.step(1);
                    }
                    continue;
                }
                b'\n' => {
                    if self.open.last().is_some_and(|(bracket, _)| *bracket == b'{') {
                        let why =
                            "a line break inside an inline table is TOML 1.1; write it on one line, or as a `[table]`";
                        self.found.not_toml_1_0.push((self.here(), why));
                    }
                    self.dots = 0;
                    line_start = true;
                    header = false;
                    self.step(1);
                    continue;
                }
                b'[' if line_start && self.open.is_empty() => header = true,
                b'[' | b']' if header => {}
                b'"' | b'\'' => self.string(byte),
                b'{' | b'[' => self.enter(byte),
                b'}' | b']' => {
                    if byte == b'}' && after_comma {
                        let why = "a comma before `}` is TOML 1.1; remove it";
                        self.found.not_toml_1_0.push((self.here(), why));
                    }
                    if let Some((_, dots)) = self.open.pop() {
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
            after_comma = byte == b',';
            line_start = false;
            self.step(1);
        }
    }

    fn enter(&mut self, bracket: u8) {
        self.open.push((bracket, self.dots));
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
        while let Some(byte) = self.peek() {
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
                return self.at = self.at.saturating_sub(1);
            }
            self.step(1);
        }
    }
}
