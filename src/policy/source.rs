//! Text with places in it: spans, lines, columns.

/// A range of bytes of the policy file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The same range behind that many more bytes.
    #[must_use]
    pub fn moved(self, by: usize) -> Self {
        Self { start: self.start.saturating_add(by), end: self.end.saturating_add(by) }
    }
}

/// A value of the policy and where it was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

/// A text file by name: the policy, or one of its prompts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// The path as the user wrote it, for messages.
    pub name: String,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// Line and column of a byte, both counted from 1, columns in characters.
    pub fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let mut end = byte.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        let before = self.text.get(..end).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
        let line = before.matches('\n').count().saturating_add(1);
        let column = before.get(line_start..).unwrap_or_default().chars().count().saturating_add(1);
        (line, column)
    }

    /// `file:line:column` of a byte.
    pub fn place(&self, byte: usize) -> String {
        let (line, column) = self.line_and_column(byte);
        format!("{}:{line}:{column}", self.name)
    }
}
