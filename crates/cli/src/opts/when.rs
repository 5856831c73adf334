//! Moments as flags name them: a date, seconds of the epoch, or a span before now.

use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::flag::check;
use crate::format::time::zone;

/// `SECONDS.NANOSECONDS` of the epoch, as the API takes it.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    parse_at(text, Timestamp::now())
}

fn parse_at(text: &str, now: Timestamp) -> Result<String, String> {
    // as Docker: a bare 0 is the beginning of the epoch, and no span
    if text != "0"
        && let Ok(span) = check::parse_duration(text)
    {
        return Ok(shown(now.as_nanosecond() - i128::from(span)));
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(shown(moment.as_nanosecond()));
    }
    if let Some(moment) = local(text) {
        return Ok(shown(moment.as_nanosecond()));
    }
    let (seconds, nanos) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !seconds.is_empty() && digits(seconds) && digits(nanos) {
        return Ok(text.to_owned());
    }
    Err(format!("failed to parse value as time or duration: \"{text}\""))
}

/// A date without zone (local time), or a day with one.
fn local(text: &str) -> Option<Timestamp> {
    if !text.contains('-') {
        return None;
    }
    let (text, zone) = match text.strip_suffix('Z') {
        Some(text) => (text, jiff::tz::TimeZone::UTC),
        None => (text, zone()),
    };
    let at: DateTime = text.parse().ok()?;
    Some(at.to_zoned(zone).ok()?.timestamp())
}

fn shown(nanos: i128) -> String {
    format!("{}.{:09}", nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let now = Timestamp::from_second(1000).unwrap();
        let at = |text| parse_at(text, now);
        assert_eq!(at("10s").unwrap(), "990.000000000");
        assert_eq!(at("1970-01-01T00:00:05.5Z").unwrap(), "5.500000000");
        assert_eq!(at("1970-01-02Z").unwrap(), "86400.000000000");
        assert_eq!(at("123.5").unwrap(), "123.5");
        assert_eq!((at("0").unwrap(), at("0s").unwrap()), ("0".into(), "1000.000000000".into()));
        assert!(at("foo").is_err());
    }
}
