//! `RUN` and its flags, commands in both forms, `SHELL`.

use super::flags::Flags;
use super::instruction::needs_one;
use super::json;
use super::piece::Piece;
use crate::ast::{CommandLine, Heredoc, MountSpec, Network, Run, Security};
use crate::error::Fault;
use crate::span::Word;
use crate::suggest::did_you_mean;

/// A JSON array is the exec form, whatever else there is the shell form.
pub(super) fn command(rest: Piece<'_>) -> Result<CommandLine, Fault> {
    Ok(match json::array(rest)? {
        Some(words) => CommandLine::Exec(words),
        None => CommandLine::Shell(rest.word()),
    })
}

pub(super) fn shell(rest: Piece<'_>) -> Result<Vec<Word>, Fault> {
    match json::array(rest)? {
        _ if rest.text.is_empty() => Err(needs_one("SHELL")),
        Some(words) if words.is_empty() => Err(needs_one("SHELL")),
        Some(words) => Ok(words),
        None => Err(Fault::new("SHELL requires the arguments to be in JSON form").at(rest.span())),
    }
}

pub(super) fn run(rest: Piece<'_>, flags: &mut Flags, heredocs: Vec<Heredoc>) -> Result<Run, Fault> {
    let mounts = flags.values("mount")?.into_iter().map(mount).collect::<Result<_, _>>()?;
    let network = match flags.value("network")? {
        None => Network::Default,
        Some(value) => match &*value.text {
            "default" => Network::Default,
            "none" => Network::None,
            "host" => Network::Host,
            _ => return Err(unsupported("network mode", &value, &["default", "none", "host"])),
        },
    };
    let security = match flags.value("security")? {
        None => Security::Sandbox,
        Some(value) => match &*value.text {
            "sandbox" => Security::Sandbox,
            "insecure" => Security::Insecure,
            _ => return Err(unsupported("security mode", &value, &["sandbox", "insecure"])),
        },
    };
    if let Some(device) = flags.values("device")?.into_iter().next() {
        return Err(Fault::new("RUN --device is not supported").at(device.span));
    }
    let command = command(rest)?;
    Ok(Run { mounts, network, security, command, heredocs })
}

fn unsupported(what: &str, value: &Word, known: &[&'static str]) -> Fault {
    let hint = did_you_mean(value, known.iter().copied());
    Fault::new(format!("unsupported {what} {:?}", value.text)).at(value.span).hint(hint)
}

/// Splits a mount into its options, and checks at once what does not wait for variables.
fn mount(word: Word) -> Result<MountSpec, Fault> {
    let fields = fields(&word)
        .map_err(|reason| Fault::new(format!("failed to parse csv mounts: {reason}")).at(word.span))?;
    let options: Vec<(String, Option<String>)> = fields
        .into_iter()
        .map(|field| match field.split_once('=') {
            Some((key, value)) => (key.to_ascii_lowercase(), Some(value.to_owned())),
            None => (field.to_ascii_lowercase(), None),
        })
        .collect();
    let variable = |value: &str| value.find('$').is_some_and(|at| at + 1 < value.len());
    if options.iter().any(|(key, value)| key == "from" && value.as_deref().is_some_and(variable)) {
        let message = "'from' doesn't support variable expansion, define alias stage instead";
        return Err(Fault::new(message).at(word.span));
    }
    let spec = MountSpec { options, word };
    if !spec.has_variables() {
        let checked = spec.resolve(&mut |value| Ok(value.to_owned()));
        checked.map_err(|error| Fault::new(error.message).at(spec.span()).hint(error.hint))?;
    }
    Ok(spec)
}

/// One record of comma-separated values (RFC 4180): a field that begins with a quote ends with one.
fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            let end = rest.find(',').unwrap_or(rest.len());
            if rest[..end].contains('"') {
                return Err("bare \" in non-quoted field".to_owned());
            }
            fields.push(rest[..end].to_owned());
            match rest.get(end + 1..) {
                Some(next) => rest = next,
                None => return Ok(fields),
            }
            continue;
        };
        let mut field = String::new();
        let mut characters = quoted.char_indices().peekable();
        let end = loop {
            match characters.next() {
                None => return Err("extraneous or missing \" in quoted field".to_owned()),
                Some((_, '"')) if characters.next_if(|(_, next)| *next == '"').is_some() => field.push('"'),
                Some((at, '"')) => break at + 1,
                Some((_, character)) => field.push(character),
            }
        };
        fields.push(field);
        match quoted[end..].strip_prefix(',') {
            Some(next) => rest = next,
            None if quoted[end..].is_empty() => return Ok(fields),
            None => return Err("extraneous or missing \" in quoted field".to_owned()),
        }
    }
}
