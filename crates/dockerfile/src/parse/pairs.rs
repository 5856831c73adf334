//! `ENV`, `LABEL` and `ARG`.

use super::instruction::needs_one;
use super::piece::Piece;
use super::words;
use crate::ast::{Argument, Pair};
use crate::error::Fault;

/// `name=value …`, or `name value` where the first word has no `=`: then all of the rest is the value.
pub(super) fn pairs(keyword: &str, rest: Piece<'_>, escape: char) -> Result<Vec<Pair>, Fault> {
    let found = words::quoted(rest, escape);
    let Some(first) = found.first() else {
        return Err(needs_one(keyword));
    };
    if !first.text.contains('=') {
        let (name, Some(value)) = rest.split_blank() else {
            return Err(Fault::syntax(format!("{keyword} must have two arguments")).at(rest.span()));
        };
        return Ok(vec![Pair { name: name.word(), value: value.word(), legacy: true }]);
    }
    found
        .into_iter()
        .map(|word| {
            let Some((name, value)) = split(word) else {
                let message = format!(
                    "Syntax error - can't find = in {:?}. Must be of the form: name=value",
                    word.text
                );
                let hint = Some("a value with spaces needs quotes".to_owned());
                return Err(Fault::syntax(message).at(word.span()).hint(hint));
            };
            if name.text.is_empty() {
                return Err(Fault::new(format!("{keyword} names can not be blank")).at(word.span()));
            }
            Ok(Pair { name: name.word(), value: value.word(), legacy: false })
        })
        .collect()
}

/// `name[=default] …`
pub(super) fn arguments(rest: Piece<'_>, escape: char) -> Result<Vec<Argument>, Fault> {
    let found = words::quoted(rest, escape);
    if found.is_empty() {
        return Err(needs_one("ARG"));
    }
    found
        .into_iter()
        .map(|word| {
            let (name, default) = match split(word) {
                Some((name, default)) => (name, Some(default.word())),
                None => (word, None),
            };
            if name.text.is_empty() {
                return Err(Fault::new("ARG names can not be blank").at(word.span()));
            }
            Ok(Argument { name: name.word(), default })
        })
        .collect()
}

fn split(word: Piece<'_>) -> Option<(Piece<'_>, Piece<'_>)> {
    let equals = word.text.find('=')?;
    Some((word.cut(0, equals), word.cut(equals + 1, word.text.len())))
}
