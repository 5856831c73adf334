//! `COPY` and `ADD`.

use super::flags::Flags;
use super::heredoc;
use super::json;
use super::piece::Piece;
use super::words;
use crate::ast::{Add, Copy, Heredoc, Source, Transfer};
use crate::error::Fault;
use crate::span::Word;

pub(super) fn copy(rest: Piece<'_>, flags: &mut Flags, heredocs: Vec<Heredoc>) -> Result<Copy, Fault> {
    let (sources, destination) = places("COPY", rest, heredocs)?;
    let from = flags.value("from")?;
    if let Some(from) = &from
        && let Some(at) = from.find('$')
        && at + 1 < from.len()
    {
        let message = "variable expansion is not supported for --from, define a new stage with FROM using ARG \
                       from global scope as a workaround";
        return Err(Fault::new(message).at(from.span));
    }
    let parents = flags.boolean("parents")?.unwrap_or(false);
    Ok(Copy { transfer: transfer(flags, sources, destination)?, from, parents })
}

pub(super) fn add(rest: Piece<'_>, flags: &mut Flags, heredocs: Vec<Heredoc>) -> Result<Add, Fault> {
    let (sources, destination) = places("ADD", rest, heredocs)?;
    let checksum = flags.value("checksum")?;
    let keep_git_dir = flags.boolean("keep-git-dir")?.unwrap_or(false);
    let unpack = flags.boolean("unpack")?;
    Ok(Add { transfer: transfer(flags, sources, destination)?, checksum, keep_git_dir, unpack })
}

fn transfer(flags: &mut Flags, sources: Vec<Source>, destination: Word) -> Result<Transfer, Fault> {
    let given = |word: &Word| !word.is_empty();
    Ok(Transfer {
        sources,
        destination,
        chown: flags.value("chown")?.filter(given),
        chmod: flags.value("chmod")?.filter(given),
        link: flags.boolean("link")?.unwrap_or(false),
        exclude: flags.values("exclude")?.into_iter().filter(given).collect(),
    })
}

/// Sources and destination, in JSON or at blanks.
fn places(keyword: &str, rest: Piece<'_>, heredocs: Vec<Heredoc>) -> Result<(Vec<Source>, Word), Fault> {
    let mut sources: Vec<Source> = match json::array(rest)? {
        Some(found) => found.into_iter().map(Source::Path).collect(),
        None => heredoc::assign(words::blank_separated(rest), heredocs)
            .into_iter()
            .map(|found| match found {
                Ok(heredoc) => Source::Heredoc(heredoc),
                Err(word) => Source::Path(word.word()),
            })
            .collect(),
    };
    let destination = sources.pop();
    if sources.is_empty() {
        let message = format!(
            "{keyword} requires at least two arguments, but only one was provided. Destination could not be \
             determined"
        );
        return Err(Fault::new(message));
    }
    match destination {
        Some(Source::Path(word)) if !heredoc::is_heredoc(&word) => Ok((sources, word)),
        Some(Source::Path(word)) => Err(Fault::new(not_a_destination(keyword)).at(word.span)),
        Some(Source::Heredoc(heredoc)) => Err(Fault::new(not_a_destination(keyword)).at(heredoc.span)),
        None => Err(Fault::new(not_a_destination(keyword))),
    }
}

fn not_a_destination(keyword: &str) -> String {
    format!("{keyword} cannot accept a heredoc as a destination")
}
