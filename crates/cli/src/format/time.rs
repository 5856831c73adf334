//! Points and spans of time for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// "Less than a second", "About a minute", "2 hours": seconds in words.
pub(crate) fn human_duration(seconds: i64) -> String {
    let minutes = seconds / 60;
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "hours, rounded")]
    let hours = (seconds as f64 / 3600.0).round() as i64;
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        _ if minutes == 1 => "About a minute".to_owned(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

/// Seconds from `then` (seconds of the epoch) until now.
pub(crate) fn seconds_since(then: i64) -> i64 {
    Timestamp::now().as_second() - then
}

/// "2 hours ago", for seconds of the epoch.
pub(crate) fn since(then: i64) -> String {
    format!("{} ago", human_duration(seconds_since(then)))
}

/// As [`since`]; an unset time is "N/A".
pub(crate) fn ago(then: i64) -> String {
    if then <= 0 { "N/A".to_owned() } else { since(then) }
}

/// An RFC 3339 text as seconds of the epoch.
pub(crate) fn parse(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

/// Local time at that moment, its offset from UTC in seconds, and the zone's short name.
fn local(then: i64) -> (jiff::civil::DateTime, i32, String) {
    let zone = zone();
    let at = Timestamp::from_second(then).unwrap_or_default();
    let info = zone.to_offset_info(at);
    (info.offset().to_datetime(at), info.offset().seconds(), info.abbreviation().to_owned())
}

/// The user's time zone: `TZ`, else `/etc/localtime`; UTC when neither says.
pub(crate) fn zone() -> TimeZone {
    let path = match std::env::var("TZ") {
        Ok(name) if name.is_empty() || name == "UTC" => return TimeZone::UTC,
        Ok(name) => {
            let name = name.trim_start_matches(':');
            if name.starts_with('/') { name.into() } else { format!("/usr/share/zoneinfo/{name}") }
        }
        Err(_) => "/etc/localtime".to_owned(),
    };
    std::fs::read(path).ok().and_then(|data| TimeZone::tzif("Local", &data).ok()).unwrap_or(TimeZone::UTC)
}

fn offset_text(offset: i32, colon: bool) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.abs() / 60;
    let between = if colon { ":" } else { "" };
    format!("{sign}{:02}{between}{:02}", minutes / 60, minutes % 60)
}

/// `2026-01-02 15:04:05 +0000 UTC`, as Go prints a local time.
pub(crate) fn go_local(then: i64) -> String {
    let (at, offset, name) = local(then);
    format!("{} {} {} {name}", at.date(), clock(&at), offset_text(offset, false))
}

/// The same of an RFC 3339 text, with its fraction of a second.
pub(crate) fn go_local_of(text: &str) -> Option<String> {
    let moment: Timestamp = text.parse().ok()?;
    let whole = go_local(moment.as_second());
    let fraction = format!("{:09}", moment.subsec_nanosecond());
    match fraction.trim_end_matches('0') {
        "" => Some(whole),
        fraction => Some(whole.replacen(" +", &format!(".{fraction} +"), 1).replacen(
            " -",
            &format!(".{fraction} -"),
            1,
        )),
    }
}

/// `2026-01-02T15:04:05Z` or with the local offset.
pub(crate) fn rfc3339_local(then: i64) -> String {
    let (at, offset, _) = local(then);
    let zone = if offset == 0 { "Z".to_owned() } else { offset_text(offset, true) };
    format!("{}T{}{zone}", at.date(), clock(&at))
}

/// `2026-01-02T15:04:05.000000001+00:00`: events.
pub(crate) fn rfc3339_nano_local(nanos: i64) -> String {
    let (at, offset, _) = local(nanos.div_euclid(1_000_000_000));
    format!(
        "{}T{}.{:09}{}",
        at.date(),
        clock(&at),
        nanos.rem_euclid(1_000_000_000),
        if offset == 0 { "Z".to_owned() } else { offset_text(offset, true) }
    )
}

/// `Mon Jan  2 15:04:05 2026`: `version`.
pub(crate) fn ansi_c(then: i64) -> String {
    let at = jiff::tz::Offset::UTC.to_datetime(Timestamp::from_second(then).unwrap_or_default());
    let day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][usize::from(weekday(&at))];
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        [usize::from(at.month().unsigned_abs() - 1).min(11)];
    format!("{day} {month} {:2} {} {}", at.day(), clock(&at), at.year())
}

fn weekday(at: &jiff::civil::DateTime) -> u8 {
    at.weekday().to_monday_zero_offset().unsigned_abs()
}

fn clock(at: &jiff::civil::DateTime) -> String {
    format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let cases = [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (5399, "About an hour"),
            (5400, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (15 * 86400, "2 weeks"),
            (70 * 86400, "2 months"),
            (800 * 86400, "2 years"),
        ];
        for (seconds, words) in cases {
            assert_eq!(human_duration(seconds), words, "{seconds}");
        }
    }

    #[test]
    fn points() {
        assert_eq!(ansi_c(1_750_000_000), "Sun Jun 15 15:06:40 2025");
        assert_eq!(parse("2025-06-15T15:06:40.5Z"), Some(1_750_000_000));
        assert_eq!(ago(0), "N/A");
    }
}
