//! One running container's counters, ready to be read again and again.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sys::cgroup::Cgroup;

use super::{CpuSample, Machine, Sample, Slot, interfaces, lock};
use crate::container::{Container, Running};
use crate::error::{Error, Result};

/// The counters of one run of a container.
#[derive(Debug)]
pub(crate) struct Meter {
    run: Running,
    cgroup: Cgroup,
    latest: Mutex<Option<(Instant, Arc<Sample>)>>,
}

impl Meter {
    /// Opens what is to be read. `path` as in `cgroupsPath`. Blocks.
    ///
    /// # Errors
    /// The cgroup is gone.
    pub(crate) fn open(run: Running, path: &str, by_systemd: bool) -> Result<Self> {
        let failed = |error| Error::because(format!("open cgroup {path}"), error);
        let cgroup = Cgroup::of_container(path, by_systemd).map_err(failed)?.keep_open();
        Ok(Self { run, cgroup, latest: Mutex::default() })
    }

    /// When its run began.
    pub(crate) fn run(&self) -> Timestamp {
        self.run.started_at
    }

    /// A reading that is at most `oldest` old: somebody else's, or a new one. Blocks.
    ///
    /// # Errors
    /// The container has ended.
    pub(crate) fn read(
        &self,
        oldest: Duration,
        machine: &Machine,
        slot: &Slot,
        owner: Option<&Container>,
    ) -> Result<Arc<Sample>> {
        // held while it is read: who comes meanwhile gets this reading
        let mut latest = lock(&self.latest);
        if let Some((at, sample)) = &*latest
            && at.elapsed() <= oldest
        {
            return Ok(Arc::clone(sample));
        }
        let (time, at, read) = (machine.time()?, Instant::now(), Timestamp::now());
        let used = self.cgroup.usage().map_err(|error| Error::because("read cgroup", error))?;
        let cpu = Arc::new(CpuSample {
            read,
            usage: used.cpu,
            machine: time.total,
            online: time.online,
            at,
            run: self.run.started_at,
        });
        slot.remember(&cpu);
        let sample = Arc::new(Sample {
            cpu,
            memory: used.memory,
            machine_memory: machine.memory,
            cgroup_v2: machine.cgroup_v2,
            pids: used.pids,
            block_io: used.block_io,
            networks: owner.map(|owner| interfaces::read(self.run.pid, owner)).unwrap_or_default(),
        });
        *latest = Some((at, Arc::clone(&sample)));
        Ok(sample)
    }
}
