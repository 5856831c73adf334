//! A text split into words whose quotes stay: `ENV`, `LABEL`, `ARG`; and at blanks alone: `FROM`, `EXPOSE`, `COPY`.

use super::piece::{Piece, is_blank};

/// Words at white space that is neither quoted nor escaped; quotes and escapes stay in them.
pub(super) fn quoted(rest: Piece<'_>, escape: char) -> Vec<Piece<'_>> {
    let mut words = Vec::new();
    let mut begin = None;
    let mut quote = None;
    let mut characters = rest.text.char_indices();
    while let Some((at, character)) = characters.next() {
        if quote.is_none() && character.is_whitespace() {
            if let Some(begin) = begin.take() {
                words.push(rest.cut(begin, at));
            }
            continue;
        }
        begin.get_or_insert(at);
        match quote {
            Some(open) if character == open => quote = None,
            // nothing is escaped between single quotes
            Some('\'') => {}
            _ if character == escape => {
                characters.next();
            }
            None if matches!(character, '\'' | '"') => quote = Some(character),
            _ => {}
        }
    }
    if let Some(begin) = begin {
        words.push(rest.cut(begin, rest.text.len()));
    }
    // an escape character at the very end escapes nothing
    if let Some(last) = words.last_mut()
        && ends_in_escape(last.text, escape)
    {
        *last = last.cut(0, last.text.len() - escape.len_utf8());
        if last.text.is_empty() {
            words.pop();
        }
    }
    words
}

/// Does the text end in an escape character that is not escaped itself?
fn ends_in_escape(text: &str, escape: char) -> bool {
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match quote {
            Some(open) if character == open => quote = None,
            Some('\'') => {}
            // what it escapes is passed over here
            _ if character == escape && characters.next().is_none() => return true,
            None if matches!(character, '\'' | '"') => quote = Some(character),
            _ => {}
        }
    }
    false
}

/// Words at runs of blanks.
pub(super) fn blank_separated(rest: Piece<'_>) -> Vec<Piece<'_>> {
    let mut words = Vec::new();
    let mut begin = None;
    for (at, character) in rest.text.char_indices() {
        if !is_blank(character) {
            begin.get_or_insert(at);
        } else if let Some(begin) = begin.take() {
            words.push(rest.cut(begin, at));
        }
    }
    if let Some(begin) = begin {
        words.push(rest.cut(begin, rest.text.len()));
    }
    words
}
