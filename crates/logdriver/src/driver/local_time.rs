//! Moments as this machine's clock on the wall shows them.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Largest time zone that is read, in bytes.
const MAX_ZONE: usize = 1 << 20;

/// The machine's time zone.
pub(super) struct LocalTime(TimeZone);

impl LocalTime {
    /// From `/etc/localtime`; UTC without it.
    pub(super) fn new() -> Self {
        let zone = sys::file::read_bounded("/etc/localtime", MAX_ZONE).ok();
        Self(zone.and_then(|data| TimeZone::tzif("local", &data).ok()).unwrap_or(TimeZone::UTC))
    }

    pub(super) fn at(&self, nanos: i64) -> Zoned {
        Timestamp::from_nanosecond(nanos.into()).unwrap_or_default().to_zoned(self.0.clone())
    }
}

/// `Jan  2 15:04:05` (RFC 3164).
pub(super) fn stamp(time: &Zoned) -> String {
    time.strftime("%b %e %H:%M:%S").to_string()
}

/// RFC 3339, with as many of `micros`' digits as there are.
pub(super) fn rfc3339(time: &Zoned, micros: bool) -> String {
    let mut text = time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let fraction = time.subsec_nanosecond() / 1000;
    if micros && fraction > 0 {
        text.push_str(format!(".{fraction:06}").trim_end_matches('0'));
    }
    if time.offset().is_zero() {
        text.push('Z');
    } else {
        text.push_str(&time.strftime("%:z").to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let utc = LocalTime(TimeZone::UTC).at(1_700_000_000_120_000_000);
        assert_eq!(stamp(&utc), "Nov 14 22:13:20");
        assert_eq!(
            (rfc3339(&utc, false), rfc3339(&utc, true)),
            ("2023-11-14T22:13:20Z".to_owned(), "2023-11-14T22:13:20.12Z".to_owned())
        );
        let east = LocalTime(TimeZone::fixed(jiff::tz::offset(2))).at(1_698_962_645_000_000_000);
        assert_eq!(stamp(&east), "Nov  3 00:04:05");
        assert_eq!(rfc3339(&east, true), "2023-11-03T00:04:05+02:00");
    }
}
