//! The machine's own time, from `/proc/stat` (proc_stat(5)).

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::lock;
use crate::error::{Error, Result};

/// How old the machine's time may be beside a container's: a thousandth of a second's share is shown.
const FRESH: Duration = Duration::from_millis(2);
/// Readings that run at the same time: more would only wait for the processors that they count.
const PARALLEL: usize = 2;
/// Nanoseconds in the kernel's unit of time in `/proc` (`USER_HZ` is 100 on every architecture that we know).
const TICK: u64 = 10_000_000;
/// Longest text that is read: a line of each processor, and one with a number for each interrupt.
const MOST: usize = 4 << 20;

/// The machine as all readings share it.
pub(crate) struct Machine {
    time: Mutex<Option<(Instant, Time)>>,
    /// Bytes of memory.
    pub(crate) memory: u64,
    /// Its controllers are those of cgroup v2.
    pub(crate) cgroup_v2: bool,
    /// To be held while a reading runs.
    pub(crate) turn: Semaphore,
    /// Where the rhythm of all streams begins.
    pub(crate) origin: tokio::time::Instant,
}

/// Time of all processors since the machine's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time {
    /// Idle time too, in nanoseconds.
    pub(super) total: u64,
    /// Processors that are on.
    pub(super) online: u32,
}

impl Machine {
    /// A machine with so many bytes of memory.
    pub(crate) fn new(memory: u64, cgroup_v2: bool) -> Self {
        Self {
            time: Mutex::default(),
            memory,
            cgroup_v2,
            turn: Semaphore::new(PARALLEL),
            origin: tokio::time::Instant::now(),
        }
    }

    /// Its time, now.
    ///
    /// # Errors
    /// `/proc/stat` can't be read.
    pub(super) fn time(&self) -> Result<Time> {
        let mut known = lock(&self.time);
        if let Some((at, time)) = *known
            && at.elapsed() < FRESH
        {
            return Ok(time);
        }
        let failed = |error| Error::because("read /proc/stat", error);
        let text = sys::file::read_bounded("/proc/stat", MOST).map_err(failed)?;
        let time = parse(&String::from_utf8_lossy(&text))
            .ok_or_else(|| Error::system("read /proc/stat: no line of the processors"))?;
        *known = Some((Instant::now(), time));
        Ok(time)
    }
}

/// User, nice, system, idle, waiting, interrupts and soft interrupts, as Docker sums them; not what a hypervisor gave
/// to others.
fn parse(text: &str) -> Option<Time> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: u64 = line.split_whitespace().take(7).filter_map(|word| word.parse::<u64>().ok()).sum();
    let of_one = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
    };
    let online = text.lines().skip(1).take_while(|line| line.starts_with("cpu")).filter(of_one).count();
    Some(Time { total: ticks.saturating_mul(TICK), online: u32::try_from(online).unwrap_or(u32::MAX) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_kinds_of_time_and_the_processors() {
        let text = "cpu  1 2 3 4 5 6 7 100 100 100\ncpu0 1 1 1 1\ncpu1 0 1 2 3\nintr 5\n";
        assert_eq!(parse(text), Some(Time { total: 28 * TICK, online: 2 }));
        assert_eq!(parse("intr 1\n"), None);
    }
}
