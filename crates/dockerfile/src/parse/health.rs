//! `HEALTHCHECK`

use super::flags::Flags;
use super::instruction::needs_one;
use super::piece::Piece;
use super::run;
use crate::ast::{CommandLine, Healthcheck};
use crate::error::Fault;
use crate::numbers;
use crate::suggest::did_you_mean;

/// Nanoseconds below which no time may be.
const MINIMUM: i64 = 1_000_000;

pub(super) fn healthcheck(rest: Piece<'_>, flags: &mut Flags) -> Result<Healthcheck, Fault> {
    if rest.text.is_empty() {
        return Err(needs_one("HEALTHCHECK"));
    }
    let end = rest.text.find(char::is_whitespace).unwrap_or(rest.text.len());
    let kind = rest.cut(0, end);
    let rest = rest.cut(end, rest.text.len()).trim();
    let upper = kind.text.to_uppercase();
    if upper == "NONE" {
        if !rest.text.is_empty() {
            return Err(Fault::new("HEALTHCHECK NONE takes no arguments").at(rest.span()));
        }
        return Ok(Healthcheck::None);
    }
    let interval = time(flags, "interval")?;
    let timeout = time(flags, "timeout")?;
    let start_period = time(flags, "start-period")?;
    let start_interval = time(flags, "start-interval")?;
    let retries = retries(flags)?;
    if upper != "CMD" {
        let message = format!("Unknown type {upper:?} in HEALTHCHECK (try CMD)");
        let hint = did_you_mean(kind.text, ["CMD", "NONE"]);
        return Err(Fault::new(message).at(kind.span()).hint(hint));
    }
    let command = run::command(rest)?;
    let empty = match &command {
        CommandLine::Shell(text) => text.is_empty(),
        CommandLine::Exec(words) => words.is_empty(),
    };
    if empty {
        return Err(Fault::new("Missing command after HEALTHCHECK CMD").at(kind.span()));
    }
    Ok(Healthcheck::Probe { command, interval, timeout, start_period, start_interval, retries })
}

fn time(flags: &mut Flags, name: &'static str) -> Result<i64, Fault> {
    let Some(word) = flags.value(name)?.filter(|word| !word.is_empty()) else {
        return Ok(0);
    };
    let time = numbers::duration(&word).map_err(|reason| Fault::new(reason).at(word.span))?;
    if time != 0 && time < MINIMUM {
        let message = format!("Interval {name:?} cannot be less than 1ms");
        return Err(Fault::new(message).at(word.span));
    }
    Ok(time)
}

fn retries(flags: &mut Flags) -> Result<i32, Fault> {
    let Some(word) = flags.value("retries")?.filter(|word| !word.is_empty()) else {
        return Ok(0);
    };
    let retries = word.parse::<i64>().map_err(|_error| {
        Fault::new(format!("strconv.ParseInt: parsing {:?}: invalid syntax", word.text)).at(word.span)
    })?;
    match i32::try_from(retries) {
        Ok(retries) if retries >= 0 => Ok(retries),
        Ok(retries) => Err(Fault::new(format!("--retries cannot be negative ({retries})")).at(word.span)),
        Err(_) => {
            let message = format!("strconv.ParseInt: parsing {:?}: value out of range", word.text);
            Err(Fault::new(message).at(word.span))
        }
    }
}
