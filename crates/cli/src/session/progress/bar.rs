//! `[====>      ]  1.5MB/3MB 2s`, by the byte as Docker draws it.

use api::progress::Progress;

use crate::format::units::human_size;

/// Half of the bar's columns are worth one percent each.
const WIDTH: usize = 50;
/// Narrower screens get numbers alone.
const BAR_FROM: usize = 110;
/// Narrower screens get no time.
const TIME_FROM: usize = 50;

/// Whether there is nothing to draw.
pub(super) fn is_empty(progress: &Progress) -> bool {
    progress.current <= 0 && progress.total <= 0
}

/// The bar for a screen of `columns`.
pub(super) fn text(progress: &Progress, columns: usize) -> String {
    if is_empty(progress) {
        return String::new();
    }
    let Progress { current, total, units, .. } = progress;
    if *total <= 0 {
        return if units.is_empty() {
            format!("{:>8}", human_size(*current))
        } else {
            format!("{current} {units}")
        };
    }
    let done = i128::from(*current).saturating_mul(100) / i128::from(*total) / 2;
    let done = usize::try_from(done.clamp(0, WIDTH as i128)).unwrap_or(WIDTH);
    let bar = if columns > BAR_FROM {
        format!("[{}>{}] ", "=".repeat(done), " ".repeat(WIDTH - done))
    } else {
        String::new()
    };
    let numbers = match (progress.hide_counts, units.is_empty(), current > total) {
        (true, ..) => String::new(),
        (_, true, true) => format!("{:>8}", human_size(*current)),
        (_, true, false) => format!("{:>8}/{}", human_size(*current), human_size(*total)),
        (_, false, true) => format!("{current} {units}"),
        (_, false, false) => format!("{current}/{total} {units}"),
    };
    format!("{bar}{numbers}{}", time_left(progress, done, columns))
}

fn time_left(progress: &Progress, done: usize, columns: usize) -> String {
    if progress.current <= 0 || progress.start <= 0 || done >= WIDTH || columns <= TIME_FROM {
        return String::new();
    }
    let elapsed = jiff::Timestamp::now().as_second() - progress.start;
    let left = (i128::from(progress.total) - i128::from(progress.current)) * i128::from(elapsed.max(0))
        / i128::from(progress.current);
    let (hours, minutes, seconds) = (left / 3600, left / 60 % 60, left % 60);
    match (hours, minutes) {
        (0, 0) => format!(" {seconds}s"),
        (0, _) => format!(" {minutes}m{seconds}s"),
        _ => format!(" {hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(current: i64, total: i64) -> Progress {
        Progress { current, total, ..Progress::default() }
    }

    #[test]
    fn bars() {
        assert_eq!(text(&at(0, 0), 200), "");
        assert_eq!(text(&at(1500, 0), 200), "   1.5kB");
        let half = format!("[{}>{}]    1.5kB/3kB", "=".repeat(25), " ".repeat(25));
        assert_eq!(text(&at(1500, 3000), 200), half);
        assert_eq!(text(&at(1500, 3000), 110), "   1.5kB/3kB");
        assert_eq!(text(&at(5000, 3000), 80), "     5kB");
        assert_eq!(text(&Progress { hide_counts: true, ..at(1, 2) }, 80), "");
    }

    #[test]
    fn time_is_told_when_a_beginning_is_known() {
        let start = jiff::Timestamp::now().as_second() - 100;
        assert!(text(&Progress { start, ..at(100, 300) }, 80).contains(" 3m20s"));
        assert_eq!(text(&Progress { start, ..at(100, 300) }, 50).find('m'), None);
    }
}
