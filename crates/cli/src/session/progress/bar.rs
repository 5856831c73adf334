//! `[====>      ]  1.5MB/3MB 2s`, by the byte as Docker draws it.

use api::progress::Progress;

/// Narrower screens get no time.
const TIME_FROM: usize = 50;

/// The bar for a screen of `columns`.
pub(super) fn text(progress: &Progress, columns: usize) -> String {
    progress.bar(columns) + &time_left(progress, columns)
}

fn time_left(progress: &Progress, columns: usize) -> String {
    let known = progress.current > 0 && progress.start > 0 && progress.total > 0;
    if !known || progress.is_full() || columns <= TIME_FROM {
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
