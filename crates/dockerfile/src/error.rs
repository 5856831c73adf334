//! What is wrong with a Dockerfile, where, and what may have been meant.

use std::fmt;

use crate::span::Span;

/// Which of Docker's readers refuses: their sentences differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Lines, directives and how an instruction is split into words: `failed to parse Dockerfile: …`.
    Syntax,
    /// What an instruction asks for: `dockerfile parse error line 3: …`.
    Instruction,
    /// Instructions that are in no stage: nothing but the reason.
    File,
}

/// Why a Dockerfile is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Who refuses.
    pub stage: Stage,
    /// The reason, in Docker's words where Docker has any.
    pub message: String,
    /// The first line of what is refused, from 1.
    pub line: usize,
    /// The offending words.
    pub span: Span,
    /// What may have been meant, as a sentence without a full stop: `did you mean COPY?`.
    pub hint: Option<String>,
    /// The line on which the offending words begin, with its number and the words underlined.
    excerpt: String,
}

impl Error {
    pub(crate) fn new(source: &str, stage: Stage, line: usize, fault: Fault, whole: Span) -> Self {
        let stage = if fault.syntax { Stage::Syntax } else { stage };
        let span = fault.span.unwrap_or(whole);
        let excerpt = excerpt(source, span, fault.hint.as_deref());
        Self { stage, message: fault.message, line, span, hint: fault.hint, excerpt }
    }

    /// The sentence, and below it the line with the offending words underlined. No newline at its end.
    pub fn report(&self) -> String {
        format!("{self}\n{}", self.excerpt)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stage {
            Stage::Syntax => write!(f, "failed to parse Dockerfile: {}", self.message),
            Stage::File => f.write_str(&self.message),
            Stage::Instruction => write!(f, "dockerfile parse error line {}: {}", self.line, self.message),
        }
    }
}

impl std::error::Error for Error {}

/// An error before it is known which instruction it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) span: Option<Span>,
    pub(crate) hint: Option<String>,
    /// It is of the words of an instruction, not of what they ask for.
    syntax: bool,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None, hint: None, syntax: false }
    }

    pub(crate) fn syntax(message: impl Into<String>) -> Self {
        Self { syntax: true, ..Self::new(message) }
    }

    pub(crate) fn at(self, span: Span) -> Self {
        Self { span: self.span.or(Some(span)), ..self }
    }

    pub(crate) fn hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }
}

/// Columns of a line that are shown before it is cut.
const WIDTH: usize = 120;

/// The line on which `span` begins, with its number, and `^^^` below what of `span` is on it:
///
/// ```text
///   3 | FOO bar
///     | ^^^ did you mean FROM?
/// ```
pub fn excerpt(source: &str, span: Span, hint: Option<&str>) -> String {
    let floor =
        |at: usize| (0..=at.min(source.len())).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0);
    let (start, end) = (floor(span.start), floor(span.end.max(span.start)));
    let begin = source[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let stop = source[start..].find('\n').map_or(source.len(), |newline| start + newline);
    let number = source[..begin].matches('\n').count() + 1;
    let before = source[begin..start].chars().count();
    let marked = source[start..end.min(stop)].trim_end().chars().count().max(1);
    // a long line is shown from a little before what is wrong
    let skipped = before.saturating_sub(WIDTH / 2);
    let shown: String =
        source[begin..stop].trim_end().chars().skip(skipped).take(WIDTH).map(visible).collect();
    let marked = marked.min(WIDTH - (before - skipped).min(WIDTH - 1));
    let gutter = number.to_string();
    let margin = " ".repeat(gutter.len());
    let lead = " ".repeat(before - skipped);
    let marks = "^".repeat(marked);
    let hint = hint.map(|hint| format!(" {hint}")).unwrap_or_default();
    format!(" {gutter} | {shown}\n {margin} | {lead}{marks}{hint}")
}

/// One column for each character, and no terminal sequences of a hostile file.
fn visible(character: char) -> char {
    match character {
        '\t' => ' ',
        control if control.is_control() => '\u{fffd}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_underlined_on_their_line() {
        let source = "FROM a\nFOO bar\nRUN x";
        let shown = excerpt(source, Span { start: 7, end: 10 }, Some("did you mean FROM?"));
        assert_eq!(shown, " 2 | FOO bar\n   | ^^^ did you mean FROM?");
        assert_eq!(excerpt(source, Span { start: 15, end: 99 }, None), " 3 | RUN x\n   | ^^^^^");
        assert_eq!(excerpt("", Span { start: 5, end: 1 }, None), " 1 | \n   | ^");
    }

    #[test]
    fn long_lines_are_cut_and_controls_are_not_passed_on() {
        let source = format!("RUN {} x\u{1b}[31m", "a".repeat(1000));
        let shown = excerpt(&source, Span { start: 1005, end: 1006 }, None);
        assert!(shown.lines().all(|line| line.chars().count() < 140) && !shown.contains('\u{1b}'), "{shown}");
    }
}
