//! The one writer: everything a command says goes through [`Output`].

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{self, ErrorKind, Write};

use anstream::adapter::strip_str;
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

    /// A line that commands the runner of a workflow: `::error::…`. Nothing else that is written does.
    pub fn workflow_command(&mut self, line: impl Display) {
        self.write_raw(&format!("{line}\n"));
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
        self.complaint(&text);
    }

    /// What is wrong, in lines that are drawn already, on standard error.
    pub fn complaint(&mut self, text: &str) {
        // Where standard error is gone, the exit code is all that is left to say.
        let _ = self.stderr.write_all(commanding_nobody(text).as_bytes());
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
        self.write_raw(&commanding_nobody(&text.to_string()));
    }

    fn write_raw(&mut self, text: &str) {
        if self.broken.is_none()
            && let Err(error) = self.stdout.write_all(text.as_bytes())
        {
            self.broken = Some(error);
        }
    }
}

/// Whole lines that command no runner of a workflow, whoever wrote what is in them.
///
/// GitHub and Forgejo Actions read what a step writes, on either stream, and obey a line that begins with `::`, blanks
/// aside, and GitHub also `##[command]` anywhere in it, as Azure Pipelines does `##vso[command]`. One character of either is written as its escape in JSON, in
/// which a document says the same as before. Such lines lose their colours, which could stand between the two.
pub fn commanding_nobody(text: &str) -> Cow<'_, str> {
    let plain = strip_str(text).to_string();
    let lines = || plain.split_inclusive(['\n', '\r']);
    // `:::` alone is how a drawing leaves lines out; a command has a name between two pairs.
    let commands = |line: &str| line.trim_start().starts_with("::") && line.trim() != ":::";
    if !plain.contains("##[") && !plain.contains("##vso[") && !lines().any(commands) {
        return Cow::Borrowed(text);
    }
    let harmless = lines().map(|line| {
        let line = if commands(line) { line.replacen("::", ":\\u003a", 1) } else { line.to_owned() };
        line.replace("##[", "#\\u0023[").replace("##vso[", "#\\u0023vso[")
    });
    Cow::Owned(harmless.collect())
}

/// A writer of whole lines that command no runner of a workflow: for the log and for doorbells.
#[derive(Debug)]
pub struct CommandingNobody<W>(pub W);

impl<W: Write> Write for CommandingNobody<W> {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.0.write_all(commanding_nobody(&String::from_utf8_lossy(lines)).as_bytes())?;
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
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

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_that_a_runner_would_obey_is_broken_where_it_can_be_seen() {
        for (written, shown) in [
            ("issues::all ## [x] #[y]\n", "issues::all ## [x] #[y]\n"),
            ("::error::no\n", ":\\u003aerror::no\n"),
            ("fine\n \t\u{a0}::stop-commands::x\nfine", "fine\n \t\u{a0}:\\u003astop-commands::x\nfine"),
            ("fine\r::set-output name=x::y", "fine\r:\\u003aset-output name=x::y"),
            (" :::\n   |\n", " :::\n   |\n"),
            ("a ##[group]b ###[endgroup]\n", "a #\\u0023[group]b ##\\u0023[endgroup]\n"),
            ("a ##vso[task.x]b\n", "a #\\u0023vso[task.x]b\n"),
            ("\u{1b}[1m::error::no\u{1b}[0m\n", ":\\u003aerror::no\n"),
            ("a #\u{1b}[1m#\u{1b}[0m[group]\n", "a #\\u0023[group]\n"),
        ] {
            assert_eq!(commanding_nobody(written), shown);
        }
    }

    #[test]
    fn a_log_and_a_doorbell_command_nobody() {
        let mut written = Vec::new();
        CommandingNobody(&mut written).write_all(b"rang\n  ::error::no\n").unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), "rang\n  :\\u003aerror::no\n");
    }

    proptest! {
        #[test]
        fn no_text_commands_a_runner(text in "([ \t\r\n:#\\[a]|\u{1b}\\[1m|::|##|##vso){0,24}") {
            let left_out = |line: &str| strip_str(line).to_string().trim() == ":::";
            for shown in [commanding_nobody(&text).into_owned(), strip_str(&commanding_nobody(&text)).to_string()] {
                prop_assert!(!shown.contains("##[") && !shown.contains("##vso["), "{shown:?}");
                let mut lines = shown.split(['\n', '\r']);
                prop_assert!(lines.all(|line| !line.trim_start().starts_with("::") || left_out(line)), "{shown:?}");
            }
        }

        #[test]
        fn a_document_says_the_same_as_before(text in "([:#\\[\\\\\"\n]|::|##){0,24}") {
            let document = serde_json::to_string_pretty(&[&text]).unwrap();
            let written = commanding_nobody(&document).into_owned();
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&written).unwrap(), vec![text]);
        }
    }
}
