//! What containers use, as `stats` shows it: read on demand, shared by all who ask at the same time.
//!
//! Nothing is sampled while nobody asks. Who asks holds the container's [`Meter`], whose control files stay open; the
//! last reader's end closes them. A reading that is young enough serves the next reader as well, and what the
//! processors had done at the last two readings is remembered for the share of the next one.

mod interfaces;
mod meter;
mod system;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sys::cgroup::{BlockIoStats, CpuStats, MemoryStats, PidsStats};

pub(crate) use meter::Meter;
pub(crate) use system::Machine;

/// The shortest span between two readings over which a share of the processors says something: the kernel counts
/// the machine's time in steps of 10 ms.
pub(crate) const SHORTEST: Duration = Duration::from_millis(200);
/// The span that one who has no earlier reading waits for the second.
pub(crate) const SPAN: Duration = Duration::from_millis(250);
/// An earlier reading that is older than this says too little about now.
pub(crate) const OLDEST: Duration = Duration::from_secs(2);

/// One reading of a running container.
#[derive(Debug)]
pub struct Sample {
    /// Processor time.
    pub cpu: Arc<CpuSample>,
    /// Memory.
    pub memory: MemoryStats,
    /// Bytes of the machine's memory.
    pub machine_memory: u64,
    /// The counters are those of cgroup v2.
    pub cgroup_v2: bool,
    /// Processes.
    pub pids: PidsStats,
    /// Block devices.
    pub block_io: BlockIoStats,
    /// Counters of the interfaces that the engine gave it, by name.
    pub networks: BTreeMap<String, Traffic>,
}

/// Processor time, of the container and of the machine, at one moment.
#[derive(Debug)]
pub struct CpuSample {
    /// When.
    pub read: Timestamp,
    /// The container's.
    pub usage: CpuStats,
    /// The machine's, idle time too, in nanoseconds.
    pub machine: u64,
    /// Processors that are on.
    pub online: u32,
    at: Instant,
    /// When the run began that it belongs to.
    run: Timestamp,
}

/// Counters of one network interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes in.
    pub rx_bytes: u64,
    /// Packets in.
    pub rx_packets: u64,
    /// Errors of packets in.
    pub rx_errors: u64,
    /// Packets in that were dropped.
    pub rx_dropped: u64,
    /// Bytes out.
    pub tx_bytes: u64,
    /// Packets out.
    pub tx_packets: u64,
    /// Errors of packets out.
    pub tx_errors: u64,
    /// Packets out that were dropped.
    pub tx_dropped: u64,
}

/// What one container's readers share.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    meter: Mutex<Weak<Meter>>,
    /// The last two, the latest first.
    recent: Mutex<[Option<Arc<CpuSample>>; 2]>,
}

impl Slot {
    /// The meter that somebody holds, if it belongs to the run that began at `run`.
    pub(crate) fn meter(&self, run: Timestamp) -> Option<Arc<Meter>> {
        lock(&self.meter).upgrade().filter(|meter| meter.run() == run)
    }

    /// Makes a meter known; of two that were made at once the first stays.
    pub(crate) fn share(&self, meter: Meter) -> Arc<Meter> {
        let mut held = lock(&self.meter);
        if let Some(other) = held.upgrade().filter(|other| other.run() == meter.run()) {
            return other;
        }
        let meter = Arc::new(meter);
        *held = Arc::downgrade(&meter);
        meter
    }

    /// Remembers a reading.
    fn remember(&self, cpu: &Arc<CpuSample>) {
        let mut recent = lock(&self.recent);
        let before = recent[0].take();
        *recent = [Some(Arc::clone(cpu)), before];
    }

    /// The latest reading of a run that is at least `youngest` and at most [`OLDEST`] old.
    pub(crate) fn recent(&self, run: Timestamp, youngest: Duration) -> Option<Arc<CpuSample>> {
        let fits = |cpu: &&Arc<CpuSample>| {
            let age = cpu.at.elapsed();
            cpu.run == run && age >= youngest && age <= OLDEST
        };
        lock(&self.recent).iter().flatten().find(fits).cloned()
    }
}

impl CpuSample {
    /// The moment from which a second reading is far enough away.
    pub(crate) fn next(&self) -> Instant {
        self.at + SPAN
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(age: u64, run: Timestamp) -> Arc<CpuSample> {
        let at = Instant::now() - Duration::from_millis(age);
        let usage = CpuStats { usage: age, ..CpuStats::default() };
        Arc::new(CpuSample { read: Timestamp::now(), usage, machine: 0, online: 1, at, run })
    }

    #[test]
    fn an_earlier_reading_serves_while_it_is_of_this_run_and_of_the_right_age() {
        let (run, other) = (Timestamp::UNIX_EPOCH, Timestamp::now());
        let slot = Slot::default();
        let found = |youngest| slot.recent(run, youngest).map(|cpu| cpu.usage.usage);
        assert_eq!(found(SHORTEST), None);
        slot.remember(&cpu(900, run));
        slot.remember(&cpu(50, run));
        assert_eq!((found(SHORTEST), found(Duration::ZERO)), (Some(900), Some(50)));
        slot.remember(&cpu(20, other));
        assert_eq!((found(SHORTEST), found(Duration::ZERO)), (None, Some(50)));
        slot.remember(&cpu(3000, run));
        slot.remember(&cpu(2500, run));
        assert_eq!(found(SHORTEST), None);
    }
}
