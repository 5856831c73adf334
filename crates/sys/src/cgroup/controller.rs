//! The names of cgroup controllers, and sets of them.

use std::fmt;

/// A resource controller (`cgroups(7)`). `Devices` and `Freezer` are controllers on v1 only; on v2 they
/// are an eBPF program and a core file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the kernel's names, documented in cgroups(7)")]
pub enum Controller {
    Blkio,
    Cpu,
    Cpuacct,
    Cpuset,
    Devices,
    Freezer,
    Hugetlb,
    Io,
    Memory,
    Misc,
    NetCls,
    NetPrio,
    PerfEvent,
    Pids,
    Rdma,
}

impl Controller {
    /// Every controller that this crate knows.
    pub const ALL: [Self; 15] = [
        Self::Blkio,
        Self::Cpu,
        Self::Cpuacct,
        Self::Cpuset,
        Self::Devices,
        Self::Freezer,
        Self::Hugetlb,
        Self::Io,
        Self::Memory,
        Self::Misc,
        Self::NetCls,
        Self::NetPrio,
        Self::PerfEvent,
        Self::Pids,
        Self::Rdma,
    ];

    /// The kernel's name, as in mount options and `cgroup.controllers`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blkio => "blkio",
            Self::Cpu => "cpu",
            Self::Cpuacct => "cpuacct",
            Self::Cpuset => "cpuset",
            Self::Devices => "devices",
            Self::Freezer => "freezer",
            Self::Hugetlb => "hugetlb",
            Self::Io => "io",
            Self::Memory => "memory",
            Self::Misc => "misc",
            Self::NetCls => "net_cls",
            Self::NetPrio => "net_prio",
            Self::PerfEvent => "perf_event",
            Self::Pids => "pids",
            Self::Rdma => "rdma",
        }
    }

    /// The controller of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|controller| controller.name() == name)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of controllers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Controllers(u32);

impl Controllers {
    /// The set named by `names`; names that are not known are left out.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().filter_map(Controller::from_name).collect()
    }

    /// Is `controller` in the set?
    #[must_use]
    pub const fn has(self, controller: Controller) -> bool {
        self.0 & controller.bit() != 0
    }

    /// Is the set empty?
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The members in alphabetical order.
    pub fn iter(self) -> impl Iterator<Item = Controller> {
        Controller::ALL.into_iter().filter(move |&controller| self.has(controller))
    }
}

impl FromIterator<Controller> for Controllers {
    fn from_iter<I: IntoIterator<Item = Controller>>(iter: I) -> Self {
        Self(iter.into_iter().fold(0, |bits, controller| bits | controller.bit()))
    }
}
