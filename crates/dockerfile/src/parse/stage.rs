//! `FROM`

use super::flags::Flags;
use super::piece::Piece;
use super::words;
use crate::ast::Stage;
use crate::error::Fault;
use crate::span::Location;
use crate::suggest::did_you_mean;

pub(super) fn from(rest: Piece<'_>, flags: &mut Flags) -> Result<Stage, Fault> {
    let found = words::blank_separated(rest);
    let (base, written) = match found.as_slice() {
        [base] => (base, None),
        [base, keyword, name] if keyword.text.eq_ignore_ascii_case("as") => (base, Some((*keyword, *name))),
        other => {
            let hint = other.get(1).and_then(|word| did_you_mean(word.text, ["AS"]));
            let fault = Fault::new("FROM requires either one or three arguments").hint(hint);
            return Err(match other.get(1) {
                Some(word) => fault.at(word.span()),
                None => fault,
            });
        }
    };
    if let Some((_, name)) = written
        && !is_name(&name.text.to_lowercase())
    {
        let message = format!(
            "invalid name for build stage: {:?}, name can't start with a number or contain symbols",
            name.text
        );
        return Err(Fault::new(message).at(name.span()));
    }
    Ok(Stage {
        name: written.map(|(_, name)| name.text.to_lowercase()),
        written_name: written.map(|(keyword, name)| (keyword.word(), name.word())),
        base: base.word(),
        platform: flags.value("platform")?,
        instructions: Vec::new(),
        at: Location::default(),
    })
}

/// `[a-z][a-z0-9-_.]*`
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'))
}
