//! Moments: Go's forms of them.

use jiff::{SignedDuration, Timestamp};

use crate::error::{ApiError, Result};

/// What Go writes for a time that never was.
pub(super) const ZERO: &str = "0001-01-01T00:00:00Z";

/// RFC 3339 with as many digits as are needed; [`ZERO`] for none.
pub(super) fn rfc3339(time: Option<Timestamp>) -> String {
    time.map_or_else(|| ZERO.to_owned(), |time| time.to_string())
}

/// RFC 3339 with all nine digits.
pub(crate) fn nanos(time: Timestamp) -> String {
    format!("{time:.9}")
}

/// A `since` or `until` parameter: seconds since the epoch, with up to nine decimals. Empty and `0` are none.
pub(crate) fn moment(name: &str, text: &str) -> Result<Option<Timestamp>> {
    if text.is_empty() || text == "0" {
        return Ok(None);
    }
    parse(text).map(Some).ok_or_else(|| {
        ApiError::bad_request(format!("invalid value for {name}: {text:?} is no time in seconds"))
    })
}

fn parse(text: &str) -> Option<Timestamp> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, ""));
    let nanos = match decimals {
        "" => 0,
        digits if digits.len() <= 9 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{digits:0<9}").parse::<i32>().ok()?
        }
        _ => return None,
    };
    let since_epoch = SignedDuration::new(seconds.parse().ok()?, nanos);
    Timestamp::from_duration(since_epoch).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters() {
        assert_eq!(moment("since", "").unwrap(), None);
        assert_eq!(moment("since", "0").unwrap(), None);
        let time = moment("since", "1136073600.000000001").unwrap().unwrap();
        assert_eq!(time.as_nanosecond(), 1_136_073_600_000_000_001);
        assert_eq!(moment("since", "1136073600.5").unwrap().unwrap().subsec_millisecond(), 500);
        for wrong in ["yesterday", "1.2.3", "1.1234567890", "99999999999999999999", "1e9"] {
            assert!(moment("since", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn forms() {
        let time = "2026-01-02T03:04:05.1200Z".parse().unwrap();
        assert_eq!(rfc3339(Some(time)), "2026-01-02T03:04:05.12Z");
        assert_eq!(nanos(time), "2026-01-02T03:04:05.120000000Z");
        assert_eq!(rfc3339(None), ZERO);
    }
}
