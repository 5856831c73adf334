//! The file as logical lines: continuations joined, comments left out, here-documents cut off, and for each byte of a
//! line its place in the file.

use crate::directive;
use crate::error::Fault;
use crate::limits;
use crate::span::Span;

/// Lines joined by continuations.
pub(crate) struct Line {
    /// What an instruction is parsed from.
    pub(crate) text: String,
    /// Offset in `text` and in the file of each piece, in order.
    pieces: Vec<(usize, usize)>,
    /// The first line and the last one, from 1.
    pub(crate) first: usize,
    pub(crate) last: usize,
    /// Where the last line ends in the file, its newline left out.
    pub(crate) end: usize,
    /// The comment lines right above.
    pub(crate) comments: Vec<String>,
    /// Where empty lines stand in continuations.
    pub(crate) empty: Vec<usize>,
}

impl Line {
    /// Where a byte of `text` stands in the file.
    fn place(&self, at: usize) -> usize {
        let index = self.pieces.partition_point(|(start, _)| *start <= at).saturating_sub(1);
        self.pieces.get(index).map_or(at, |(start, place)| place + (at - start.min(&at)))
    }

    /// Where bytes of `text` stand in the file.
    pub(crate) fn span(&self, start: usize, end: usize) -> Span {
        let first = self.place(start);
        // of the last byte, not of what comes after it: that may be lines further down
        let last = if end > start { self.place(end - 1) + 1 } else { first };
        Span { start: first, end: last }
    }

    /// All of it.
    pub(crate) fn whole(&self) -> Span {
        Span { start: self.pieces.first().map_or(0, |(_, place)| *place), end: self.end }
    }
}

/// One line of the file.
#[derive(Clone, Copy)]
pub(crate) struct Physical<'a> {
    /// With its newline.
    pub(crate) raw: &'a str,
    /// Where it begins.
    start: usize,
}

impl<'a> Physical<'a> {
    /// Where it ends, its newline left out.
    pub(crate) fn end(&self) -> usize {
        self.start + self.text().len()
    }

    /// Without newline and carriage returns.
    pub(crate) fn text(&self) -> &'a str {
        self.raw.trim_end_matches(['\r', '\n'])
    }
}

/// Reads the file.
pub(crate) struct Reader<'a> {
    source: &'a str,
    at: usize,
    /// Lines read so far.
    pub(crate) number: usize,
    pub(crate) directives: directive::Reader,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a str) -> Self {
        let at = if source.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { source, at, number: 0, directives: directive::Reader::default() }
    }

    /// Goes on where another has stopped.
    pub(crate) fn resume(source: &'a str, at: usize, number: usize, directives: directive::Reader) -> Self {
        if at == 0 {
            Self { directives, ..Self::new(source) }
        } else {
            Self { source, at, number, directives }
        }
    }

    /// Where the next line begins.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The next line of the file.
    pub(crate) fn physical(&mut self) -> Result<Option<Physical<'a>>, Fault> {
        let rest = &self.source[self.at..];
        if rest.is_empty() {
            return Ok(None);
        }
        let length = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
        let line = Physical { raw: &rest[..length], start: self.at };
        self.at += length;
        self.number += 1;
        if length > limits::LINE {
            return Err(too_long().at(Span { start: line.start, end: line.start + 80 }));
        }
        Ok(Some(line))
    }

    /// The next line that is no comment and not empty, with what continues it.
    pub(crate) fn line(&mut self) -> Result<Option<Line>, Fault> {
        let mut comments = Vec::new();
        while let Some(physical) = self.physical()? {
            let text = physical.text().trim_start();
            let start = physical.start + (physical.text().len() - text.len());
            self.directive(text, start)?;
            if let Some(comment) = text.strip_prefix('#') {
                comments.push(comment.trim().to_owned());
                continue;
            }
            if text.is_empty() {
                comments.clear();
                continue;
            }
            let mut line = Line {
                text: String::new(),
                pieces: Vec::new(),
                first: self.number,
                last: self.number,
                end: physical.start + physical.text().len(),
                comments,
                empty: Vec::new(),
            };
            let continues = self.push(&mut line, text, start)?;
            if continues {
                self.continuations(&mut line)?;
            }
            return Ok(Some(line));
        }
        Ok(None)
    }

    fn continuations(&mut self, line: &mut Line) -> Result<(), Fault> {
        while let Some(physical) = self.physical()? {
            let text = physical.text();
            self.directive(text, physical.start)?;
            line.last = self.number;
            line.end = physical.start + text.len();
            if text.trim_start().starts_with('#') {
                continue;
            }
            if text.trim_start().is_empty() {
                line.empty.push(self.number);
                continue;
            }
            if !self.push(line, text, physical.start)? {
                break;
            }
        }
        Ok(())
    }

    fn directive(&mut self, text: &str, start: usize) -> Result<(), Fault> {
        self.directives.line(text).map_err(|fault| fault.at(Span { start, end: start + text.len() }))
    }

    /// Appends a line of the file without its continuation; says whether it had one.
    fn push(&self, line: &mut Line, text: &str, start: usize) -> Result<bool, Fault> {
        let content = without_continuation(text, self.directives.directives.escape);
        if line.text.len() + text.len() > limits::LINE {
            return Err(too_long().at(Span { start, end: start + text.len() }));
        }
        line.pieces.push((line.text.len(), start));
        line.text.push_str(content.unwrap_or(text));
        Ok(content.is_some())
    }
}

fn too_long() -> Fault {
    Fault::new(format!("dockerfile line greater than maximum allowed size of {}", limits::LINE))
}

/// What stands before the escape character at the end of a line. One that is escaped itself continues nothing.
fn without_continuation(text: &str, escape: char) -> Option<&str> {
    let before = text.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!before.ends_with(escape)).then_some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(source: &str) -> Vec<(String, usize, usize)> {
        let mut reader = Reader::new(source);
        let mut found = Vec::new();
        while let Some(line) = reader.line().unwrap() {
            found.push((line.text, line.first, line.last));
        }
        found
    }

    #[test]
    fn continuations_are_joined_and_comments_left_out() {
        let source = "\u{feff}# c\nRUN a \\\n  # inner\n\n  b \\ \r\n c\r\n  CMD x\\\\\nX \\";
        assert_eq!(
            lines(source),
            [("RUN a   b  c".to_owned(), 2, 6), ("CMD x\\\\".to_owned(), 7, 7), ("X ".to_owned(), 8, 8)]
        );
    }

    #[test]
    fn another_escape_continues_lines() {
        assert_eq!(
            lines("# escape=`\nRUN a `\nb \\\nRUN c"),
            [("RUN a b \\".to_owned(), 2, 3), ("RUN c".to_owned(), 4, 4)]
        );
    }

    #[test]
    fn places_lead_back_into_the_file() {
        let source = "RUN a \\\n  bc";
        let line = Reader::new(source).line().unwrap().unwrap();
        let at = line.text.find("bc").unwrap();
        assert_eq!(line.span(at, at + 2), Span { start: 10, end: 12 });
        assert_eq!(&source[line.span(4, 5).start..line.span(4, 5).end], "a");
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let source = "x".repeat(limits::LINE + 1);
        assert!(Reader::new(&source).line().err().unwrap().message.contains("maximum allowed size"));
        let source = format!("{}\\\n", "x".repeat(1000)).repeat(limits::LINE / 1000 + 2);
        assert!(Reader::new(&source).line().err().unwrap().message.contains("maximum allowed size"));
    }
}
