//! The one writer: everything a command says goes through [`Output`].

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{self, ErrorKind, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::ColorWhen;
use super::exit::{ExitStatus, Failure};
use crate::text::is_invisible;

/// Something bad, or a denial.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Something to look at.
pub const WARN: Style = AnsiColor::Yellow.on_default().bold();
/// Something good.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Titles.
pub const STRONG: Style = Style::new().bold();
/// What one need not read.
pub const FAINT: Style = Style::new().dimmed();

/// Standard output and standard error, with colours only where they are wanted.
///
/// Writing never fails: a reader who has seen enough (`afk facts | head`) must not stop a command in the middle of its
/// work. What could not be written for another reason is told at the end, by [`Output::finish`].
#[derive(Debug)]
pub struct Output {
    stdout: AutoStream<io::StdoutLock<'static>>,
    stderr: AutoStream<io::Stderr>,
    broken: Option<io::Error>,
}

impl Output {
    /// Over the streams of the process.
    pub fn new(color: ColorWhen) -> Self {
        let choice = color_choice(color);
        Self {
            stdout: AutoStream::new(io::stdout().lock(), choice),
            stderr: AutoStream::new(io::stderr(), choice),
            broken: None,
        }
    }

    /// One line of the result.
    pub fn line(&mut self, line: impl Display) {
        self.write(format_args!("{line}\n"));
    }

    /// A piece of the result that ends its own lines.
    pub fn text(&mut self, text: impl Display) {
        self.write(format_args!("{text}"));
    }

    /// The whole result as one JSON document.
    pub fn json(&mut self, document: &impl Serialize) {
        match serde_json::to_string_pretty(document) {
            Ok(text) => self.line(text),
            Err(error) => self.broken = Some(error.into()),
        }
    }

    /// Why a command gives up, on standard error.
    pub fn failure(&mut self, failure: &Failure) {
        let mut text = format!("{BAD}error{BAD:#}: {}\n", printable(&failure.message));
        for line in &failure.help {
            let _ = writeln!(text, "  {STRONG}help{STRONG:#}: {}", printable(line));
        }
        // Where standard error is gone, the exit code is all that is left to say.
        let _ = self.stderr.write_all(text.as_bytes());
    }

    /// Nobody reads any more, or writing failed: whoever goes on for ever may stop.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Flushes; gives the status to end with instead, when the result could not be written.
    pub fn finish(&mut self) -> Option<ExitStatus> {
        if let Err(error) = self.stdout.flush() {
            self.broken.get_or_insert(error);
        }
        let error = self.broken.take().filter(|error| error.kind() != ErrorKind::BrokenPipe)?;
        self.failure(&Failure::could_not_run(format!("the result could not be written: {error}")));
        Some(ExitStatus::CouldNotRun)
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        if self.broken.is_none()
            && let Err(error) = self.stdout.write_fmt(text)
        {
            self.broken = Some(error);
        }
    }
}

/// What anstream calls it.
pub fn color_choice(color: ColorWhen) -> ColorChoice {
    match color {
        ColorWhen::Auto => ColorChoice::Auto,
        ColorWhen::Always => ColorChoice::Always,
        ColorWhen::Never => ColorChoice::Never,
    }
}

/// Untrusted text as a terminal may be given it: control characters and the invisible ones that reorder or hide text
/// are written out as `\u{…}`; line feeds and tabs stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_hostile(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

/// Whether a character could drive a terminal or hide what a line says.
pub fn is_hostile(letter: char) -> bool {
    match letter {
        '\n' | '\t' => false,
        '\u{2028}' | '\u{2029}' => true,
        _ => letter.is_control() || is_invisible(letter),
    }
}
