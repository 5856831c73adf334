//! Signals by name or number, as `kill` and `--stop-signal` take them.

use crate::error::{Error, Result};

/// Names and numbers on Linux (x86-64 and arm64 agree), signal(7).
const NAMES: [(&str, i32); 33] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// First and last real-time signal as the C library counts them.
const REAL_TIME: (i32, i32) = (34, 64);

/// A signal's number from `TERM`, `SIGTERM`, `term`, `15`, `RTMIN+3`, `RTMAX-1`.
///
/// # Errors
/// Docker's `invalid signal: x`.
pub(crate) fn parse(text: &str) -> Result<i32> {
    let wrong = || Error::bad_parameter(format!("invalid signal: {text}"));
    if let Ok(number) = text.parse::<i32>() {
        return (1..=REAL_TIME.1).contains(&number).then_some(number).ok_or_else(wrong);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Ok(*number);
    }
    let offset = |rest: &str, sign: char| match rest {
        "" => Some(0),
        _ => rest.strip_prefix(sign)?.parse::<i32>().ok(),
    };
    let number = if let Some(rest) = name.strip_prefix("RTMIN") {
        offset(rest, '+').map(|offset| REAL_TIME.0.saturating_add(offset))
    } else if let Some(rest) = name.strip_prefix("RTMAX") {
        offset(rest, '-').map(|offset| REAL_TIME.1.saturating_sub(offset))
    } else {
        None
    };
    number.filter(|number| (REAL_TIME.0..=REAL_TIME.1).contains(number)).ok_or_else(wrong)
}

/// As [`parse`], with Docker's other sentence for numbers that are no signal here.
///
/// # Errors
/// As [`parse`]; `the linux daemon does not support signal n`.
pub(crate) fn parse_known(text: &str) -> Result<i32> {
    const RESERVED: std::ops::Range<i32> = 32..REAL_TIME.0;
    match text.parse::<i32>() {
        Ok(number) if number > REAL_TIME.1 || RESERVED.contains(&number) => {
            Err(Error::bad_parameter(format!("the linux daemon does not support signal {number}")))
        }
        _ => parse(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_understood() {
        for (text, number) in [("TERM", 15), ("sigkill", 9), ("2", 2), ("RTMIN+3", 37), ("SIGRTMAX-1", 63)] {
            assert_eq!(parse(text).unwrap(), number);
        }
        for wrong in ["", "0", "65", "FOO", "RTMIN+99", "-1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_known("34").unwrap(), 34);
        assert!(parse_known("33").unwrap_err().to_string().contains("does not support signal 33"));
        assert!(parse_known("0").unwrap_err().to_string().contains("invalid signal: 0"));
    }
}
