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
        let texts = ShortTexts { pieces, piece: Vec::new(), taken: 0, place: Place::default() };
        serde_json::from_reader(BufReader::new(texts))
    });
    let fed = feed(opened, sender).await;
    let parsed = parser.await;
    fed?;
    let nonsense = |error: String| {
        PortError::invalid(format!("{}: the answer makes no sense: {}", opened.what, opened.words(&error)))
    };
    parsed.map_err(|error| nonsense(error.to_string()))?.map_err(|error| nonsense(error.to_string()))
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
    piece: Vec<u8>,
    taken: usize,
    place: Place,
}

impl Read for ShortTexts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut written = 0;
        while written < buffer.len() {
            let Some(&byte) = self.piece.get(self.taken) else {
                // What there is goes first: more may take its time.
                if written > 0 {
                    break;
                }
                let Some(piece) = self.pieces.blocking_recv() else { break };
                (self.piece, self.taken) = (piece, 0);
                continue;
            };
            self.taken += 1;
            if self.place.keeps(byte) {
                buffer[written] = byte;
                written += 1;
            }
        }
        Ok(written)
    }
}

/// Where in the JSON we are.
#[derive(Debug, Default)]
struct Place {
    in_text: bool,
    /// Bytes of the text so far.
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
    /// Takes one byte, and tells whether it stays.
    fn keeps(&mut self, byte: u8) -> bool {
        if !self.in_text {
            if byte == b'"' {
                *self = Self { in_text: true, ..Self::default() };
            }
            return true;
        }
        let continues = byte & 0xC0 == 0x80;
        if self.length >= TEXT_LIMIT && self.escape == Escape::None && !self.half && !continues {
            self.cut = true;
        }
        self.length += 1;
        let keeps = !self.cut;
        self.escape = match (self.escape, byte) {
            (Escape::None, b'\\') => Escape::Begun,
            (Escape::None, b'"') => {
                *self = Self::default();
                return true;
            }
            (Escape::Begun, b'u') => Escape::Digits(0, 0),
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
            _ => Escape::None,
        };
        keeps
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shortened(json: &str) -> String {
        let mut place = Place::default();
        let kept = json.bytes().filter(|byte| place.keeps(*byte)).collect();
        String::from_utf8(kept).unwrap()
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

    proptest! {
        #[test]
        fn what_is_short_stays_as_it_is(text in ".{0,40}", key in ".{0,10}") {
            let json = serde_json::json!({ key: [text, 1, null, { "": "" }] }).to_string();
            prop_assert_eq!(shortened(&json), json);
        }
    }
}
