//! Here-documents: `<<NAME` found in a line, and the lines that belong to them.

use super::piece::Piece;
use crate::ast::Heredoc;
use crate::error::Fault;
use crate::expand::{self, Options};
use crate::limits;
use crate::lines::{Line, Reader};
use crate::span::Span;

/// A word and its place, in a text whose quotes and escapes are left alone.
const RAW: Options = Options { quotes: true, raw_quotes: true, raw_escapes: true, keep_unset: true };

/// Does the text consist of one `<<NAME`?
pub(crate) fn is_heredoc(text: &str) -> bool {
    matches!(parse(text, Span::default()), Ok(Some(_)))
}

/// The here-documents that a line asks for, their texts still empty.
pub(super) fn find(line: &Line) -> Result<Vec<Heredoc>, Fault> {
    if !line.text.contains("<<") {
        return Ok(Vec::new());
    }
    // what can't be split into words has no here-documents; whose fault it is, is seen later
    let words = expand::run(&line.text, '\\', &|_| None, RAW).map(|read| read.words).unwrap_or_default();
    let mut found = Vec::new();
    let mut from = 0;
    for word in words {
        let at = line.text[from..].find(&word).map(|at| from + at);
        let span = at.map_or(line.whole(), |at| line.span(at, at + word.len()));
        from = at.map_or(from, |at| at + word.len());
        found.extend(parse(&word, span)?);
        if found.len() > limits::HEREDOCS {
            let message = format!("more than {} here-documents in one instruction", limits::HEREDOCS);
            return Err(Fault::new(message).at(span));
        }
    }
    Ok(found)
}

/// `[digits]<<[-]NAME` and nothing else.
fn parse(word: &str, span: Span) -> Result<Option<Heredoc>, Fault> {
    let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let Some(rest) = word[digits..].strip_prefix("<<") else {
        return Ok(None);
    };
    let (strip_tabs, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    let read = |options| {
        expand::run(rest, '\\', &|_| None, options)
            .map(|read| read.words)
            .map_err(|error| Fault::new(error.to_string()).at(span))
    };
    let plain = read(Options { keep_unset: true, ..Options::default() })?;
    let raw = read(Options { raw_quotes: true, keep_unset: true, ..Options::default() })?;
    let ([name], [raw]) = (plain.as_slice(), raw.as_slice()) else {
        return Ok(None);
    };
    let quotes = |text: &str| text.matches(['\'', '"']).count();
    Ok(Some(Heredoc {
        name: name.clone(),
        expand: quotes(name) == quotes(raw),
        strip_tabs,
        descriptor: word[..digits].parse().ok(),
        text: String::new(),
        span,
    }))
}

/// Reads the texts, each up to the line that is its name. Gives the number of the last line and where it ends.
pub(super) fn read(
    reader: &mut Reader<'_>,
    heredocs: &mut [Heredoc],
) -> Result<Option<(usize, usize)>, Fault> {
    let mut end = None;
    for heredoc in heredocs {
        loop {
            let Some(physical) = reader.physical()? else {
                let hint = Some(format!("no line is {} alone", heredoc.name));
                return Err(Fault::new("unterminated heredoc").at(heredoc.span).hint(hint));
            };
            let text = physical.text();
            let name = if heredoc.strip_tabs { text.trim_start_matches('\t') } else { text };
            end = Some((reader.number, physical.end()));
            if name == heredoc.name {
                break;
            }
            heredoc.text.push_str(physical.raw);
        }
    }
    Ok(end)
}

/// The words that are here-documents, in order, and the others as they are.
pub(super) fn assign(words: Vec<Piece<'_>>, heredocs: Vec<Heredoc>) -> Vec<Result<Heredoc, Piece<'_>>> {
    let mut heredocs = heredocs.into_iter();
    let mut assigned = Vec::new();
    for word in words {
        let wanted = parse(word.text, word.span()).ok().flatten();
        let found = wanted.and_then(|wanted| heredocs.find(|heredoc| heredoc.name == wanted.name));
        assigned.push(found.ok_or(word));
    }
    assigned
}
