//! Which limits this host can set: for the facts that an engine tells, and for what it warns of.

use std::path::{Path, PathBuf};

use super::{Controller, Host, Result, Version};

/// What a host's cgroups can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a list of facts")]
pub struct Features {
    /// A limit of memory.
    pub memory: bool,
    /// A limit of swap (the kernel accounts it).
    pub swap: bool,
    /// A soft limit of memory.
    pub memory_reservation: bool,
    /// Stopping instead of killing when memory is out.
    pub oom_kill_disable: bool,
    /// A tendency to swap.
    pub swappiness: bool,
    /// A limit of TCP buffer memory.
    pub kernel_tcp: bool,
    /// Relative processor weight.
    pub cpu_shares: bool,
    /// Quota and period of processor time.
    pub cpu_quota: bool,
    /// Real-time quota and period.
    pub cpu_realtime: bool,
    /// Choice of processors and memory nodes.
    pub cpuset: bool,
    /// A limit of processes.
    pub pids: bool,
    /// Relative weight for block devices.
    pub io_weight: bool,
    /// Rates for block devices.
    pub io_rates: bool,
    /// A limit of huge pages.
    pub hugetlb: bool,
    /// Control of device access.
    pub devices: bool,
}

impl Host {
    /// Finds out what this host's cgroups can do.
    ///
    /// # Errors
    /// The unified root can't be read.
    pub fn features(&self) -> Result<Features> {
        match (self.version(), &self.unified) {
            (Version::V2, Some(mount)) => Ok(v2(mount, self)?),
            _ => Ok(self.v1_features()),
        }
    }

    fn v1_features(&self) -> Features {
        use Controller::{Blkio, Cpu, Cpuset, Devices, Hugetlb, Memory, Pids};
        let has = |controller, file: &str| {
            self.hierarchy(controller).is_some_and(|one| one.mount.join(file).exists())
        };
        Features {
            memory: has(Memory, "memory.limit_in_bytes"),
            swap: has(Memory, "memory.memsw.limit_in_bytes"),
            memory_reservation: has(Memory, "memory.soft_limit_in_bytes"),
            oom_kill_disable: has(Memory, "memory.oom_control"),
            swappiness: has(Memory, "memory.swappiness"),
            kernel_tcp: has(Memory, "memory.kmem.tcp.limit_in_bytes"),
            cpu_shares: has(Cpu, "cpu.shares"),
            cpu_quota: self.hierarchy(Cpu).is_some(),
            cpu_realtime: has(Cpu, "cpu.rt_period_us"),
            cpuset: has(Cpuset, "cpuset.cpus"),
            pids: self.hierarchy(Pids).is_some(),
            io_weight: has(Blkio, "blkio.bfq.weight")
                || has(Blkio, "blkio.weight")
                || self.below(Blkio, "blkio.bfq.weight"),
            io_rates: has(Blkio, "blkio.throttle.read_bps_device"),
            hugetlb: self.hierarchy(Hugetlb).is_some(),
            devices: self.hierarchy(Devices).is_some(),
        }
    }

    fn below(&self, controller: Controller, file: &str) -> bool {
        self.hierarchy(controller).is_some_and(|one| any_group_has(&one.mount, file))
    }
}

fn v2(mount: &Path, host: &Host) -> Result<Features> {
    use Controller::{Cpu, Cpuset, Hugetlb, Io, Memory, Pids};
    let controllers = host.controllers()?;
    Ok(Features {
        memory: controllers.has(Memory),
        // Only groups below the root have the file, and it says whether swap is accounted.
        swap: controllers.has(Memory)
            && (any_group_has(mount, "memory.swap.max") || !any_group_has(mount, "memory.max")),
        memory_reservation: controllers.has(Memory),
        cpu_shares: controllers.has(Cpu),
        cpu_quota: controllers.has(Cpu),
        cpuset: controllers.has(Cpuset),
        pids: controllers.has(Pids),
        // The cost model gives every group but the root a weight; the root has the model's settings.
        io_weight: controllers.has(Io)
            && (mount.join("io.cost.qos").exists() || any_group_has(mount, "io.bfq.weight")),
        io_rates: controllers.has(Io),
        hugetlb: controllers.has(Hugetlb),
        devices: true,
        ..Features::default()
    })
}

/// Does a group right below the root have this file?
fn any_group_has(mount: &Path, file: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(mount) else { return false };
    let groups = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    groups.map(|entry| entry.path()).any(|group: PathBuf| group.join(file).exists())
}
