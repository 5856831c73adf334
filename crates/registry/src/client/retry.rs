//! Trying again: how often, and how long to wait before.

use std::time::Duration;

use super::config::Retry;
use super::error::{Error, Result};
use super::limits::MAX_RETRY_AFTER;

/// The attempts at one thing.
pub(crate) struct Attempts {
    retry: Retry,
    made: u32,
    /// A server that we have talked with before may be starting again: nobody at its port is no last word.
    stubborn: bool,
}

impl Attempts {
    pub(crate) fn new(retry: Retry) -> Self {
        Self { retry, made: 0, stubborn: false }
    }

    /// Something has come of it: whatever goes wrong next is the first failure.
    pub(crate) fn progress(&mut self) {
        self.made = 0;
        self.stubborn = true;
    }

    /// Waits until it is time for the next attempt after `error`.
    ///
    /// # Errors
    /// `error`, when another attempt would not help, or was the last.
    pub(crate) async fn again(&mut self, error: Error) -> Result<()> {
        self.made += 1;
        let may_pass = error.is_transient() || (self.stubborn && error.is_refused_connection());
        let asked = error.retry_after();
        if !may_pass || self.made >= self.retry.attempts || asked.is_some_and(|asked| asked > MAX_RETRY_AFTER)
        {
            return Err(error);
        }
        let mut random = [0; 4];
        // without chance the wait is the longest
        let _ = getrandom::fill(&mut random);
        let wait = wait(&self.retry, self.made, u32::from_le_bytes(random)).max(asked.unwrap_or_default());
        tracing::debug!(%error, attempt = self.made, ?wait, "asking the registry again");
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// How long to wait after the `made`th attempt: twice as long each time, up to the cap, and by chance up to a half less.
fn wait(retry: &Retry, made: u32, random: u32) -> Duration {
    let doubled = retry.base.saturating_mul(1_u32.checked_shl(made.saturating_sub(1)).unwrap_or(u32::MAX));
    let full = doubled.min(retry.cap);
    full - full.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let retry = Retry { attempts: 9, base: Duration::from_secs(1), cap: Duration::from_secs(5) };
        let longest: Vec<u64> = (1..=5).map(|made| wait(&retry, made, 0).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 5, 5]);
        assert_eq!(wait(&retry, 2, u32::MAX), Duration::from_secs(1));
        assert_eq!(wait(&retry, 200, 0), Duration::from_secs(5));
    }
}
