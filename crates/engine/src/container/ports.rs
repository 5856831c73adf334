//! `80/tcp` and `8000-8010`: ports as Docker writes them.

use crate::error::{Error, Result};

/// A port range and its protocol: `80/tcp`, `8000-8010/udp`, `80` (tcp).
///
/// # Errors
/// It is none of that.
pub(crate) fn parse(text: &str) -> Result<(u16, u16, &str)> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (low, high) = range.split_once('-').unwrap_or((range, range));
    let wrong = || Error::bad_parameter(format!("invalid port specification: \"{range}\""));
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(wrong);
    let (low, high) = (number(low)?, number(high)?);
    if low > high {
        return Err(wrong());
    }
    match protocol {
        "tcp" | "udp" | "sctp" => Ok((low, high, protocol)),
        other => Err(Error::bad_parameter(format!("invalid proto: {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_parsed_and_refused() {
        assert_eq!(parse("80").unwrap(), (80, 80, "tcp"));
        assert_eq!(parse("8000-8010/udp").unwrap(), (8000, 8010, "udp"));
        for wrong in ["0/tcp", "x", "70000", "9-8", "80/icmp", ""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
