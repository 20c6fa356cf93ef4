//! Answers of any size, read piece by piece: v0.0.27 lists everything that was ever said.

use std::io::{self, BufReader, Read};

use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::adapters::http::api::Opened;
use crate::ports::{PortError, PortErrorDetail, PortResult};

/// The most that is read of one answer.
pub const ANSWER_LIMIT: usize = 256 * 1024 * 1024;
/// The most that is kept of one text while it is read: somebody may have sent 40 MB as one message.
const TEXT_LIMIT: usize = 1024 * 1024;
/// Pieces that wait to be parsed.
const PIECES: usize = 4;

/// Parses an answer as it comes. Never holds more of it than a few pieces and one text.
///
/// # Errors
/// When the answer breaks off, is too large, or is not what was expected.
pub async fn parse<T: DeserializeOwned + Send + 'static>(opened: &mut Opened) -> PortResult<T> {
    let (sender, pieces) = mpsc::channel(PIECES);
    let parser = tokio::task::spawn_blocking(move || {
        let texts =
            ShortTexts { pieces, piece: io::Cursor::default(), halves: Halves::default(), place: Place::default() };
        serde_json::from_reader(BufReader::new(texts))
    });
    let fed = feed(opened, sender).await;
    let parsed = parser.await;
    fed?;
    let nonsense = |error: String| {
        PortError::invalid(format!("{}: the answer makes no sense: {}", opened.what, opened.words(&error)))
    };
    parsed.map_err(|error| nonsense(error.to_string()))?.map_err(|error| match error.is_eof() {
        true => PortError::unreachable(format!("{}: the answer breaks off", opened.what)),
        false => nonsense(error.to_string()),
    })
}

async fn feed(opened: &mut Opened, pieces: mpsc::Sender<Vec<u8>>) -> PortResult<()> {
    let mut total = 0;
    while let Some(piece) = opened.chunk().await? {
        total += piece.len();
        if total > ANSWER_LIMIT {
            let wrong = format!(
                "{}: the answer has more than {} MiB; delete old threads in T3 Code, or update it: newer servers list \
                 them without what was said",
                opened.what,
                ANSWER_LIMIT / 1024 / 1024
            );
            return Err(PortError::invalid(wrong).with(PortErrorDetail::TooMuch));
        }
        // A parser that has given up says why.
        if pieces.send(piece).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// JSON whose texts are cut, on the way from the network to a parser that would hold each of them whole.
struct ShortTexts {
    pieces: mpsc::Receiver<Vec<u8>>,
    /// What is left of the newest one.
    piece: io::Cursor<Vec<u8>>,
    halves: Halves,
    place: Place,
}

impl Read for ShortTexts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let Some(piece) = self.pieces.blocking_recv() else { return Ok(0) };
            self.piece = io::Cursor::new(self.place.shortened(&self.halves.mended(&piece)));
        }
    }
}

/// Puts `�` in the place of half a character: whoever cuts a text in JavaScript may leave one, which no parser of UTF-8
/// takes. It stands in JSON as an escape.
#[derive(Debug, Default)]
struct Halves {
    /// From a backslash on, what may be one half or both.
    pending: Vec<u8>,
}

/// An escape of half a character: as long as any other `\u`.
const HALF: usize = 6;
/// What is put in its place.
const MENDED: &[u8; HALF] = br"\ufffd";

impl Halves {
    fn mended(&mut self, mut piece: &[u8]) -> Vec<u8> {
        let mut kept = Vec::with_capacity(piece.len() + 2 * HALF);
        while let Some((&byte, rest)) = piece.split_first() {
            if self.pending.is_empty() && byte != b'\\' {
                let end = piece.iter().position(|byte| *byte == b'\\').unwrap_or(piece.len());
                let (run, rest) = piece.split_at(end);
                kept.extend_from_slice(run);
                piece = rest;
                continue;
            }
            self.pending.push(byte);
            self.settle(&mut kept);
            piece = rest;
        }
        kept
    }

    /// Lets go what is no half, or both of one.
    fn settle(&mut self, kept: &mut Vec<u8>) {
        let (first, second) = self.pending.split_at(self.pending.len().min(HALF));
        match (first, second) {
            ([_] | [_, b'u', ..], []) if first.len() < HALF => return,
            (_, []) => match unit(first) {
                Some(0xD800..0xDC00) => return,
                Some(0xDC00..0xE000) => kept.extend_from_slice(MENDED),
                _ => kept.extend_from_slice(first),
            },
            (_, [b'\\'] | [b'\\', b'u', ..]) if second.len() < HALF => return,
            (_, _) => match unit(second) {
                Some(0xDC00..0xE000) => kept.extend_from_slice(&self.pending),
                Some(0xD800..0xDC00) => {
                    kept.extend_from_slice(MENDED);
                    self.pending.drain(..HALF);
                    return;
                }
                _ => {
                    kept.extend_from_slice(MENDED);
                    kept.extend_from_slice(second);
                }
            },
        }
        self.pending.clear();
    }
}

/// What an escape `\u` stands for.
fn unit(escape: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(escape.strip_prefix(br"\u")?).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

/// Where in the JSON we are.
#[derive(Debug, Default)]
struct Place {
    in_text: bool,
    /// Bytes of the text that were kept.
    length: usize,
    /// The rest of the text goes.
    cut: bool,
    escape: Escape,
    /// An escape gave half a character; the other half has to follow.
    half: bool,
}

/// Within an escape of a text.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Escape {
    #[default]
    None,
    /// After the backslash.
    Begun,
    /// After `\u`: so many digits, with this value.
    Digits(u8, u16),
}

impl Place {
    /// What stays of the next piece.
    fn shortened(&mut self, mut piece: &[u8]) -> Vec<u8> {
        let mut kept = Vec::with_capacity(piece.len());
        while let Some(&byte) = piece.first() {
            let taken = if !self.in_text {
                let quote = piece.iter().position(|byte| *byte == b'"');
                let (run, _) = piece.split_at(quote.map_or(piece.len(), |quote| quote + 1));
                kept.extend_from_slice(run);
                self.in_text = quote.is_some();
                run.len()
            } else if self.escape == Escape::None && !matches!(byte, b'"' | b'\\') {
                let end = piece.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(piece.len());
                let (run, _) = piece.split_at(end);
                kept.extend_from_slice(self.start_of(run));
                run.len()
            } else {
                kept.extend(self.keeps(byte).then_some(byte));
                1
            };
            piece = piece.split_at(taken).1;
        }
        kept
    }

    /// What stays of plain letters. A character is kept whole.
    fn start_of<'a>(&mut self, run: &'a [u8]) -> &'a [u8] {
        let room = if self.cut { 0 } else { TEXT_LIMIT.saturating_sub(self.length) };
        let continues = |byte: &u8| !self.cut && byte & 0xC0 == 0x80;
        let end = room + run.iter().skip(room).take_while(|byte| continues(byte)).count();
        let (start, rest) = run.split_at(end.min(run.len()));
        self.length += start.len();
        self.cut = self.cut || !rest.is_empty();
        self.half = false;
        start
    }

    /// Whether a quote, or a byte of an escape, stays. An escape is kept whole, and so are two that make one character.
    fn keeps(&mut self, byte: u8) -> bool {
        if self.escape == Escape::None && byte == b'"' {
            *self = Self::default();
            return true;
        }
        if self.length >= TEXT_LIMIT && self.escape == Escape::None && !self.half {
            self.cut = true;
        }
        self.length += 1;
        self.escape = match (self.escape, byte) {
            (Escape::None, _) => Escape::Begun,
            (Escape::Begun, b'u') => Escape::Digits(0, 0),
            (Escape::Begun, _) => Escape::None,
            (Escape::Digits(count, value), _) => {
                let digit =
                    char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok()).unwrap_or_default();
                let value = (value << 4) | digit;
                if count == 3 {
                    self.half = !self.half && (0xD800..0xDC00).contains(&value);
                    Escape::None
                } else {
                    Escape::Digits(count + 1, value)
                }
            }
        };
        !self.cut
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// However it comes in pieces.
    fn shortened(json: &str) -> String {
        let in_pieces = |size: usize| {
            let mut place = Place::default();
            let kept = json.as_bytes().chunks(size).flat_map(|piece| place.shortened(piece)).collect();
            String::from_utf8(kept).unwrap()
        };
        let whole = in_pieces(json.len());
        assert_eq!(in_pieces(TEXT_LIMIT - 1), whole);
        if json.len() < 1000 {
            assert_eq!(in_pieces(1), whole);
        }
        whole
    }

    #[test]
    fn a_text_is_cut_between_two_characters_however_they_are_written() {
        for unit in ["a", "ä", "😀", r"\n", r"\\", r#"\""#, r"\u00e4", r"\ud83d\ude00", r"\uD83D\uDE00"] {
            for before in 0..unit.len() {
                let filler = "x".repeat(TEXT_LIMIT - before);
                let json = format!(r#"["{filler}{}",{{"k\"":"v"}}]"#, unit.repeat(5));
                let value: serde_json::Value =
                    serde_json::from_str(&shortened(&json)).unwrap_or_else(|error| panic!("{unit} {before}: {error}"));
                let text = value[0].as_str().unwrap();
                assert!(text.starts_with(&filler) && text.len() <= TEXT_LIMIT + 12, "{unit} {before}");
                assert_eq!(value[1]["k\""], "v");
            }
        }
    }

    #[test]
    fn half_a_character_is_shown_as_one_that_nobody_can_read() {
        for (json, text) in [
            (r#""a\ud83d""#, "a\u{fffd}"),
            (r#""\uD83Db""#, "\u{fffd}b"),
            (r#""\ude00b""#, "\u{fffd}b"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\ud83d\n""#, "\u{fffd}\n"),
            (r#""\ud83d\\ude00""#, "\u{fffd}\\ude00"),
            (r#""\ud83d\u0041""#, "\u{fffd}A"),
            (r#""\\ud83d\"""#, "\\ud83d\""),
            (r#""\ud83d\ude00\u00e4""#, "😀ä"),
        ] {
            for size in 1..=json.len() {
                let mut halves = Halves::default();
                let mended: Vec<u8> = json.as_bytes().chunks(size).flat_map(|piece| halves.mended(piece)).collect();
                let read: String = serde_json::from_slice(&mended).unwrap_or_else(|error| panic!("{json}: {error}"));
                assert_eq!(read, text, "{json}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_short_stays_as_it_is(text in ".{0,40}", key in ".{0,10}") {
            let json = serde_json::json!({ key: [text, 1, null, { "": "" }] }).to_string();
            prop_assert_eq!(shortened(&json), json);
        }
    }
}
