//! The limits of a cgroup as values that are independent of its version.
//!
//! Every field is optional: what is `None` is left as the kernel has it, and costs no write.

use std::collections::BTreeMap;

/// All limits that a cgroup can be given at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Processor time.
    pub cpu: Cpu,
    /// Which processors and memory nodes.
    pub cpuset: Cpuset,
    /// Memory and swap.
    pub memory: Memory,
    /// Number of processes and threads.
    pub pids: Option<Limit>,
    /// Block devices.
    pub block_io: BlockIo,
    /// Huge pages: page size as in the file name (`2MB`) and bytes.
    pub hugepages: Vec<(String, u64)>,
    /// Classification of network traffic (v1 only).
    pub network: Network,
    /// RDMA objects per device.
    pub rdma: BTreeMap<String, Rdma>,
    /// Device access; `None` leaves it as it is, an empty list denies everything.
    pub devices: Option<Vec<DeviceRule>>,
    /// Files of the unified hierarchy written literally after everything else (v2 only).
    pub unified: BTreeMap<String, String>,
}

/// A count or amount that can also be unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// No limit.
    Max,
    /// This much.
    At(u64),
}

impl Limit {
    /// The OCI convention: negative is unlimited.
    #[must_use]
    pub fn from_signed(value: i64) -> Self {
        u64::try_from(value).map_or(Self::Max, Self::At)
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::At(value) => value.fmt(f),
        }
    }
}

/// Processor time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Relative weight in v1's scale, 2–262,144, 1,024 being normal.
    pub shares: Option<u64>,
    /// Microseconds of processor time in each period.
    pub quota: Option<Limit>,
    /// Length of a period in microseconds, 1,000–1,000,000.
    pub period: Option<u64>,
    /// Unused quota that may pile up, in microseconds.
    pub burst: Option<u64>,
    /// Real-time microseconds in each real-time period (v1 only).
    pub realtime_runtime: Option<i64>,
    /// Length of a real-time period in microseconds (v1 only).
    pub realtime_period: Option<u64>,
    /// 1 gives the group the `SCHED_IDLE` policy.
    pub idle: Option<i64>,
}

/// Which processors and memory nodes, as lists (`0-3,7`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpuset {
    /// Processors.
    pub cpus: Option<String>,
    /// Memory nodes.
    pub mems: Option<String>,
}

/// Memory and swap, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Hard limit of memory.
    pub limit: Option<Limit>,
    /// Limit of memory *and* swap together, as v1 counts; v2 gets the difference.
    pub swap: Option<Limit>,
    /// Soft limit: `memory.soft_limit_in_bytes`, `memory.low`.
    pub reservation: Option<Limit>,
    /// Kernel memory for TCP buffers (v1 only).
    pub kernel_tcp: Option<Limit>,
    /// Tendency to swap, 0–100 (v1 only).
    pub swappiness: Option<u64>,
    /// Stops instead of killing when memory is out (v1 only).
    pub disable_oom_killer: bool,
    /// Refuses a hard limit below the present use instead of reclaiming and killing.
    pub check_before_update: bool,
}

/// Block device weights and rates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockIo {
    /// Relative weight, 10–1,000.
    pub weight: Option<u16>,
    /// Weight of the group's own tasks against its children's (v1 only).
    pub leaf_weight: Option<u16>,
    /// Weights per device.
    pub weight_devices: Vec<DeviceWeight>,
    /// Bytes read per second.
    pub read_bps: Vec<DeviceRate>,
    /// Bytes written per second.
    pub write_bps: Vec<DeviceRate>,
    /// Reads per second.
    pub read_iops: Vec<DeviceRate>,
    /// Writes per second.
    pub write_iops: Vec<DeviceRate>,
}

/// A weight for one block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceWeight {
    /// Major and minor number.
    pub device: (u32, u32),
    /// Relative weight, 10–1,000.
    pub weight: Option<u16>,
    /// Weight of the group's own tasks (v1 only).
    pub leaf_weight: Option<u16>,
}

/// A rate for one block device; 0 takes the limit away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRate {
    /// Major and minor number.
    pub device: (u32, u32),
    /// Per second.
    pub rate: u64,
}

/// Classification of network traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Class of packets for traffic control and netfilter (`net_cls.classid`).
    pub class_id: Option<u32>,
    /// Priority per interface (`net_prio.ifpriomap`).
    pub priorities: Vec<(String, u32)>,
}

/// Limits of one RDMA device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rdma {
    /// `hca_handle`.
    pub handles: Option<u32>,
    /// `hca_object`.
    pub objects: Option<u32>,
}

/// The kind of device node a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// Both kinds.
    All,
    /// Block devices.
    Block,
    /// Character devices.
    Char,
}

/// What may be done with a device, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceAccess(pub u8);

impl DeviceAccess {
    /// `mknod`.
    pub const MKNOD: Self = Self(1);
    /// Open for reading.
    pub const READ: Self = Self(2);
    /// Open for writing.
    pub const WRITE: Self = Self(4);
    /// All three.
    pub const ALL: Self = Self(7);

    /// Reads a word of `r`, `w` and `m`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let mut bits = 0;
        for letter in word.chars() {
            bits |= match letter {
                'm' => Self::MKNOD.0,
                'r' => Self::READ.0,
                'w' => Self::WRITE.0,
                _ => return None,
            };
        }
        Some(Self(bits))
    }

    /// Are all of `other`'s bits here?
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::fmt::Display for DeviceAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (bit, letter) in [(Self::READ, "r"), (Self::WRITE, "w"), (Self::MKNOD, "m")] {
            if self.contains(bit) {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// One line of a device list; the last line that fits an access decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceRule {
    /// Allow or deny.
    pub allow: bool,
    /// The kind of node.
    pub kind: DeviceKind,
    /// Major number, any when `None`.
    pub major: Option<u32>,
    /// Minor number, any when `None`.
    pub minor: Option<u32>,
    /// What the rule is about.
    pub access: DeviceAccess,
}
