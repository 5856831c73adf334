//! Times as text (RFC 3339, UTC).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Since 1970.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The time with this many digits (0 or 9) after the second.
pub(crate) fn rfc3339(since_1970: Duration, digits: usize) -> String {
    let seconds = since_1970.as_secs();
    let (day, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, date) = civil(day);
    let mut text =
        format!("{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if digits > 0 {
        text.push_str(&format!(".{:09}", since_1970.subsec_nanos()));
    }
    text.push('Z');
    text
}

/// The date of a day since 1970 in the Gregorian calendar: years begin in March, so that the leap day comes last.
fn civil(day: u64) -> (u64, u64, u64) {
    let shifted = day + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        let text = |s| rfc3339(Duration::from_secs(s), 0);
        assert_eq!(text(0), "1970-01-01T00:00:00Z");
        assert_eq!(text(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(text(1_795_309_199), "2026-11-22T00:59:59Z");
        assert_eq!(rfc3339(Duration::new(1, 5), 9), "1970-01-01T00:00:01.000000005Z");
    }
}
