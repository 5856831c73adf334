//! Places in the source, and what bears one.

use std::fmt;
use std::ops::Deref;

/// Bytes of the source, from `start` up to but not including `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// A piece of text and where it stands. Two words are equal when their texts are.
#[derive(Clone, Debug, Default)]
pub struct Word {
    /// The text as written, not expanded; quotes and escapes are still in it where expansion takes them out.
    pub text: String,
    /// Where it stands, in the source that was parsed.
    pub span: Span,
}

impl Word {
    /// Can expansion make something else of it? False where there is neither a variable, nor a quote, nor an escape.
    pub fn is_plain(&self, escape: char) -> bool {
        !self.text.contains(['$', '\'', '"', escape])
    }
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Word {}

impl Deref for Word {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where an instruction stands, and how it was written.
#[derive(Clone, Debug, Default)]
pub struct Location {
    /// All of it, here-documents included.
    pub span: Span,
    /// Its first line, from 1.
    pub first_line: usize,
    /// Its last line.
    pub last_line: usize,
    /// Its keyword as it was written (`from`, `RUN`).
    pub keyword: Word,
    /// The instruction as one line: continuations joined, comments left out, no here-documents. Histories and step
    /// headings show it.
    pub original: String,
    /// The comment lines right above it, without `#` and outer spaces.
    pub comments: Vec<String>,
}

/// Something and where it stands. Equality looks at the thing alone.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The thing.
    pub node: T,
    /// Its place.
    pub at: Location,
}

impl<T: PartialEq> PartialEq for Located<T> {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl<T: Eq> Eq for Located<T> {}
