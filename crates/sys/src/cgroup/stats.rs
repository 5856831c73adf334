//! What a cgroup has used, as Docker's and runc's statistics need it, from both versions.

use std::collections::BTreeMap;

/// A snapshot of a cgroup's accounting. A part whose controller is missing stays at its default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Processor time.
    pub cpu: CpuStats,
    /// Memory and swap.
    pub memory: MemoryStats,
    /// Processes.
    pub pids: PidsStats,
    /// Block devices.
    pub block_io: BlockIoStats,
    /// Huge pages by page size (`2MB`).
    pub hugepages: BTreeMap<String, HugepageStats>,
}

/// Processor time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CpuStats {
    /// Total, in nanoseconds.
    pub usage: u64,
    /// In user mode, in nanoseconds.
    pub user: u64,
    /// In the kernel, in nanoseconds.
    pub kernel: u64,
    /// Total of each processor in nanoseconds; empty on v2, which doesn't count so.
    pub per_cpu: Vec<u64>,
    /// Enforcement periods that have passed.
    pub periods: u64,
    /// Periods in which the group was held back.
    pub throttled_periods: u64,
    /// How long it was held back in all, in nanoseconds.
    pub throttled_time: u64,
    /// Pressure of processor time (v2).
    pub pressure: Option<Pressure>,
}

/// Memory and swap, in bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryStats {
    /// In use now, with the page cache.
    pub usage: u64,
    /// The largest use so far; `None` where the kernel doesn't count it.
    pub max_usage: Option<u64>,
    /// The hard limit; `None` is unlimited.
    pub limit: Option<u64>,
    /// How often the limit was hit.
    pub fail_count: u64,
    /// Swap alone (v2) or memory and swap (v1); see [`MemoryStats::swap_is_sum`].
    pub swap: Option<MemoryPart>,
    /// Does `swap` count memory as well?
    pub swap_is_sum: bool,
    /// Kernel memory.
    pub kernel: Option<MemoryPart>,
    /// Kernel memory of TCP buffers (v1).
    pub kernel_tcp: Option<MemoryPart>,
    /// Lines of `memory.stat` under the kernel's names.
    pub detail: BTreeMap<String, u64>,
    /// Processes killed because memory was out.
    pub oom_kills: u64,
    /// Is the whole tree below counted (always so on v2)?
    pub hierarchical: bool,
    /// Pressure of memory (v2).
    pub pressure: Option<Pressure>,
}

impl MemoryStats {
    /// The page cache, under the name that this version has for it.
    #[must_use]
    pub fn cache(&self) -> u64 {
        ["cache", "file"].iter().find_map(|key| self.detail.get(*key)).copied().unwrap_or(0)
    }
}

/// Use and limit of one kind of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryPart {
    /// In use now.
    pub usage: u64,
    /// The largest use so far.
    pub max_usage: Option<u64>,
    /// The limit; `None` is unlimited.
    pub limit: Option<u64>,
    /// How often the limit was hit.
    pub fail_count: u64,
}

/// Processes and threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PidsStats {
    /// How many there are.
    pub current: u64,
    /// How many there may be; `None` is unlimited.
    pub limit: Option<u64>,
}

/// Block devices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockIoStats {
    /// Bytes by device and operation.
    pub service_bytes: Vec<BlockIoEntry>,
    /// Requests by device and operation.
    pub serviced: Vec<BlockIoEntry>,
    /// Pressure of input and output (v2).
    pub pressure: Option<Pressure>,
}

/// One count of block device work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockIoEntry {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// The operation: `Read`, `Write`, `Sync`, `Async`, `Discard` or `Total`.
    pub op: String,
    /// The count.
    pub value: u64,
}

/// Huge pages of one size, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HugepageStats {
    /// In use now.
    pub usage: u64,
    /// The largest use so far; `None` where the kernel doesn't count it.
    pub max_usage: Option<u64>,
    /// How often the limit was hit.
    pub fail_count: u64,
}

/// Pressure stall information (`Documentation/accounting/psi.rst`).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// Some tasks were stalled.
    pub some: Stall,
    /// All tasks were stalled.
    pub full: Stall,
}

/// Shares of time in percent over 10, 60 and 300 s, and the total.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stall {
    /// Over 10 s.
    pub avg10: f64,
    /// Over 60 s.
    pub avg60: f64,
    /// Over 300 s.
    pub avg300: f64,
    /// Total in microseconds.
    pub total: u64,
}

impl Pressure {
    /// Reads a `*.pressure` file.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Self {
        let line = |kind| text.lines().find_map(|line| line.strip_prefix(kind)).map(Stall::parse);
        Self { some: line("some ").unwrap_or_default(), full: line("full ").unwrap_or_default() }
    }
}

impl Stall {
    fn parse(words: &str) -> Self {
        let mut stall = Self::default();
        for (key, value) in words.split(' ').filter_map(|word| word.split_once('=')) {
            match key {
                "avg10" => stall.avg10 = value.parse().unwrap_or(0.0),
                "avg60" => stall.avg60 = value.parse().unwrap_or(0.0),
                "avg300" => stall.avg300 = value.parse().unwrap_or(0.0),
                "total" => stall.total = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        stall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure() {
        let text = "some avg10=1.50 avg60=0.25 avg300=0.00 total=12345\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        let pressure = Pressure::parse(text);
        assert_eq!((pressure.some.avg10, pressure.some.total, pressure.full.total), (1.5, 12345, 7));
        assert_eq!(Pressure::parse("nonsense"), Pressure::default());
    }
}
