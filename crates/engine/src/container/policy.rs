//! What follows an exit. Pure.

use std::time::Duration;

use crate::container::RestartPolicy;

/// Shortest and longest delay before a restart, as Docker.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// Delays that double.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BackOff(Option<Duration>);

impl BackOff {
    /// The next delay.
    pub(crate) fn next(&mut self) -> Duration {
        let delay = self.0.map_or(FIRST_DELAY, |last| (last * 2).min(LONGEST_DELAY));
        self.0 = Some(delay);
        delay
    }

    /// Begins again.
    pub(crate) fn reset(&mut self) {
        self.0 = None;
    }
}

/// Whether a container that ended with `code` after `restarts` restarts is started again.
pub(crate) fn restarts(policy: RestartPolicy, code: i32, stopped_by_hand: bool, restarts: u32) -> bool {
    if stopped_by_hand {
        return false;
    }
    match policy {
        RestartPolicy::No => false,
        RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        RestartPolicy::OnFailure(most) => code != 0 && (most == 0 || restarts < most),
    }
}

/// Whether a container that is not running is started when the daemon starts.
pub(crate) fn starts_with_daemon(policy: RestartPolicy, ran: bool, code: i32, stopped_by_hand: bool) -> bool {
    match policy {
        RestartPolicy::No => false,
        RestartPolicy::Always => ran,
        RestartPolicy::UnlessStopped => ran && !stopped_by_hand,
        RestartPolicy::OnFailure(_) => ran && !stopped_by_hand && code != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_decide_as_docker() {
        use RestartPolicy::{Always, No, OnFailure, UnlessStopped};
        assert!(!restarts(No, 1, false, 0));
        assert!(restarts(Always, 0, false, 9));
        assert!(!restarts(Always, 0, true, 0));
        assert!(restarts(OnFailure(0), 1, false, 99));
        assert!(!restarts(OnFailure(3), 1, false, 3));
        assert!(!restarts(OnFailure(3), 0, false, 0));
        assert!(starts_with_daemon(Always, true, 0, true));
        assert!(!starts_with_daemon(UnlessStopped, true, 0, true));
        assert!(!starts_with_daemon(Always, false, 0, false));
    }

    #[test]
    fn delays_double_up_to_a_minute() {
        let mut back_off = BackOff::default();
        assert_eq!(back_off.next(), FIRST_DELAY);
        assert_eq!(back_off.next(), FIRST_DELAY * 2);
        for _ in 0..20 {
            back_off.next();
        }
        assert_eq!(back_off.next(), LONGEST_DELAY);
        back_off.reset();
        assert_eq!(back_off.next(), FIRST_DELAY);
    }
}
