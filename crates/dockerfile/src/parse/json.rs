//! The JSON form: `["a", "b"]`. What is no JSON array at all is in the other form; one of anything but strings is an
//! error.

use serde_json::Value;

use super::piece::Piece;
use crate::error::Fault;
use crate::span::Word;

/// The strings of an array, or nothing where the text is not one.
pub(super) fn array(rest: Piece<'_>) -> Result<Option<Vec<Word>>, Fault> {
    if !rest.text.trim_start().starts_with('[') {
        return Ok(None);
    }
    let Ok(values) = serde_json::from_str::<Vec<Value>>(rest.text) else {
        return Ok(None);
    };
    values
        .into_iter()
        .map(|value| match value {
            Value::String(text) => Ok(rest.as_word(text)),
            other => {
                let message = "when using JSON array syntax, arrays must be comprised of strings only";
                let hint = Some(format!("{other} is no string"));
                Err(Fault::syntax(message).at(rest.span()).hint(hint))
            }
        })
        .collect::<Result<_, _>>()
        .map(Some)
}
