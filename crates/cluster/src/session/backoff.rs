//! How long to wait before the next try: longer each time, and not all machines at once; but so often that a machine is
//! back before its lease has run out, which begins anew when the store is back. Otherwise those that are faster would
//! take it for dead.

use std::time::{Duration, Instant};

/// The first wait, and the longest.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// A session that lasts so long was a good one.
const GOOD: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Backoff {
    longest: Duration,
    tries: u32,
    since: Option<Instant>,
}

impl Backoff {
    /// For a machine whose lease lasts so long.
    pub(super) fn new(ttl: Duration) -> Self {
        Self { longest: LONGEST.min(ttl / 4), tries: 0, since: None }
    }

    /// A session has begun.
    pub(super) fn worked(&mut self) {
        self.since = Some(Instant::now());
    }

    /// The wait after an end.
    pub(super) fn next(&mut self) -> Duration {
        if self.since.take().is_some_and(|since| since.elapsed() >= GOOD) {
            self.tries = 0;
        }
        let wait = FIRST.saturating_mul(1 << self.tries.min(16)).min(self.longest);
        self.tries = self.tries.saturating_add(1);
        let mut byte = [0u8];
        // without random numbers the wait is the longer one
        let _ = getrandom::fill(&mut byte);
        // three quarters to all of it
        wait - (wait / 4).mul_f64(f64::from(byte[0]) / 256.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound() {
        let mut backoff = Backoff::new(Duration::from_secs(60));
        let waits: Vec<_> = (0..40).map(|_| backoff.next()).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST * 3 / 4);
        assert!(waits[5] > waits[1] && waits.iter().all(|wait| *wait <= LONGEST));
        let mut short = Backoff::new(Duration::from_secs(2));
        assert!((0..40).all(|_| short.next() <= Duration::from_millis(500)));
        backoff.worked();
        assert!(backoff.next() > FIRST, "a session of no time is no good one");
    }
}
