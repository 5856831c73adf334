//! One instruction: keyword, flags and arguments, and who reads them.

use super::flags::{self, Flag, Flags};
use super::piece::Piece;
use super::{health, json, pairs, run, stage, transfer, words};
use crate::ast::{Heredoc, Instruction, Onbuild, Stage};
use crate::error::Fault;
use crate::lines::Line;
use crate::suggest::did_you_mean;

/// Every keyword.
pub(super) const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// An instruction, or the beginning of a stage.
pub(super) enum Parsed {
    From(Stage),
    Instruction(Instruction),
}

/// An instruction before its arguments are looked at.
pub(super) struct Split<'a> {
    pub(super) keyword: Piece<'a>,
    name: Option<&'static str>,
    flags: Vec<Flag>,
    rest: Piece<'a>,
    /// The trigger of an `ONBUILD`.
    inner: Option<Box<Split<'a>>>,
}

/// Cuts a line into keyword, flags and the rest.
pub(super) fn split(line: &Line) -> Split<'_> {
    split_piece(Piece::whole(line), 0)
}

fn split_piece(piece: Piece<'_>, depth: usize) -> Split<'_> {
    let (keyword, rest) = piece.trim().split_blank();
    let upper = keyword.text.to_uppercase();
    let name = KEYWORDS.into_iter().find(|known| *known == upper);
    let rest = rest.unwrap_or_else(|| keyword.cut(keyword.text.len(), keyword.text.len()));
    let (flags, rest) = flags::cut(rest);
    // a trigger in a trigger is refused before anything in it matters
    let inner = (name == Some("ONBUILD") && depth == 0 && !rest.text.is_empty())
        .then(|| Box::new(split_piece(rest, depth + 1)));
    Split { keyword, name, flags, rest, inner }
}

impl<'a> Split<'a> {
    /// Is this an instruction that here-documents belong to?
    pub(super) fn takes_heredocs(&self) -> bool {
        if let Some(inner) = &self.inner {
            return inner.takes_heredocs();
        }
        matches!(self.name, Some("ADD" | "COPY" | "RUN")) && !matches!(json::array(self.rest), Ok(Some(_)))
    }

    pub(super) fn parse(self, line: &'a Line, escape: char, heredocs: Vec<Heredoc>) -> Result<Parsed, Fault> {
        let Some(name) = self.name else {
            let hint = did_you_mean(self.keyword.text, KEYWORDS);
            let message = format!("unknown instruction: {}", self.keyword.text.to_uppercase());
            return Err(Fault::new(message).at(self.keyword.span()).hint(hint));
        };
        let mut flags = Flags::new(self.flags);
        let keyword = self.keyword.span();
        let rest = self.rest;
        let parsed = match name {
            "ADD" => Instruction::Add(transfer::add(rest, &mut flags, heredocs)?),
            "COPY" => Instruction::Copy(transfer::copy(rest, &mut flags, heredocs)?),
            "FROM" => {
                let stage = stage::from(rest, &mut flags).map_err(|fault| fault.at(keyword))?;
                flags.finish()?;
                return Ok(Parsed::From(stage));
            }
            "RUN" => Instruction::Run(run::run(rest, &mut flags, heredocs)?),
            "HEALTHCHECK" => Instruction::Healthcheck(health::healthcheck(rest, &mut flags)?),
            "ARG" => Instruction::Arg(pairs::arguments(rest, escape)?),
            "ENV" => Instruction::Env(pairs::pairs("ENV", rest, escape)?),
            "LABEL" => Instruction::Label(pairs::pairs("LABEL", rest, escape)?),
            "CMD" => Instruction::Cmd(run::command(rest)?),
            "ENTRYPOINT" => Instruction::Entrypoint(run::command(rest)?),
            "SHELL" => Instruction::Shell(run::shell(rest)?),
            "EXPOSE" => Instruction::Expose(at_least_one(name, rest)?),
            "VOLUME" => Instruction::Volume(volumes(rest)?),
            "STOPSIGNAL" => Instruction::Stopsignal(exactly_one(name, rest)?),
            "USER" => Instruction::User(exactly_one(name, rest)?),
            "WORKDIR" => Instruction::Workdir(exactly_one(name, rest)?),
            "MAINTAINER" => Instruction::Maintainer(exactly_one(name, rest)?),
            _ => Instruction::Onbuild(onbuild(line, self.inner, escape, heredocs)?),
        };
        flags.finish()?;
        Ok(Parsed::Instruction(parsed))
    }
}

fn onbuild(
    line: &Line,
    inner: Option<Box<Split<'_>>>,
    escape: char,
    heredocs: Vec<Heredoc>,
) -> Result<Onbuild, Fault> {
    let Some(inner) = inner else {
        return Err(needs_one("ONBUILD"));
    };
    check_trigger(&inner.keyword.text.to_uppercase()).map_err(|fault| fault.at(inner.keyword.span()))?;
    let written = line.text.trim();
    // what follows the keyword, flags of ONBUILD included: it has none
    let mut expression = written.get("ONBUILD".len()..).unwrap_or_default().trim_start().to_owned();
    for heredoc in &heredocs {
        expression.push('\n');
        expression.push_str(&heredoc.text);
        expression.push_str(&heredoc.name);
    }
    match inner.parse(line, escape, heredocs)? {
        Parsed::Instruction(instruction) => Ok(Onbuild { expression, instruction: Box::new(instruction) }),
        Parsed::From(_) => Err(Fault::new("FROM isn't allowed as an ONBUILD trigger")),
    }
}

/// May an instruction be a trigger?
pub(super) fn check_trigger(name: &str) -> Result<(), Fault> {
    match name {
        "ONBUILD" => Err(Fault::new("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")),
        "FROM" | "MAINTAINER" => Err(Fault::new(format!("{name} isn't allowed as an ONBUILD trigger"))),
        _ => Ok(()),
    }
}

fn volumes(rest: Piece<'_>) -> Result<Vec<crate::span::Word>, Fault> {
    let volumes = match json::array(rest)? {
        Some(volumes) => volumes,
        None => words::blank_separated(rest).into_iter().map(Piece::word).collect(),
    };
    if volumes.is_empty() {
        return Err(needs_one("VOLUME"));
    }
    volumes
        .into_iter()
        .map(|mut volume| {
            volume.text = volume.text.trim().to_owned();
            if volume.text.is_empty() {
                return Err(Fault::new("VOLUME specified can not be an empty string").at(volume.span));
            }
            Ok(volume)
        })
        .collect()
}

fn at_least_one(name: &str, rest: Piece<'_>) -> Result<Vec<crate::span::Word>, Fault> {
    let found = words::blank_separated(rest);
    if found.is_empty() { Err(needs_one(name)) } else { Ok(found.into_iter().map(Piece::word).collect()) }
}

fn exactly_one(name: &str, rest: Piece<'_>) -> Result<crate::span::Word, Fault> {
    if rest.text.is_empty() {
        return Err(Fault::new(format!("{name} requires exactly one argument")));
    }
    Ok(rest.word())
}

pub(super) fn needs_one(name: &str) -> Fault {
    Fault::new(format!("{name} requires at least one argument"))
}
