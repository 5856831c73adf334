//! A part of a logical line that knows where it stands.

use crate::lines::Line;
use crate::span::{Span, Word};

/// `line.text[start..start + text.len()]`
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) line: &'a Line,
    pub(super) text: &'a str,
    start: usize,
}

/// What Docker splits a line at; line breaks are none.
pub(super) fn is_blank(character: char) -> bool {
    matches!(character, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

impl<'a> Piece<'a> {
    pub(super) fn whole(line: &'a Line) -> Self {
        Self { line, text: &line.text, start: 0 }
    }

    /// From one byte to another.
    pub(super) fn cut(self, from: usize, to: usize) -> Self {
        Self { text: &self.text[from..to], start: self.start + from, ..self }
    }

    /// Without outer white space.
    pub(super) fn trim(self) -> Self {
        let left = self.text.len() - self.text.trim_start().len();
        let right = left + self.text.trim().len();
        self.cut(left, right)
    }

    /// What stands before the first run of blanks, and what after it.
    pub(super) fn split_blank(self) -> (Self, Option<Self>) {
        let Some(end) = self.text.find(is_blank) else {
            return (self, None);
        };
        let blanks = self.text[end..].find(|c| !is_blank(c)).unwrap_or(self.text.len() - end);
        (self.cut(0, end), Some(self.cut(end + blanks, self.text.len())))
    }

    pub(super) fn span(self) -> Span {
        self.line.span(self.start, self.start + self.text.len())
    }

    /// As it is.
    pub(super) fn word(self) -> Word {
        self.as_word(self.text.to_owned())
    }

    /// A text that was made of this piece.
    pub(super) fn as_word(self, text: String) -> Word {
        Word { text, span: self.span() }
    }
}
