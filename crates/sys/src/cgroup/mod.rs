//! Control groups, v1 and v2, behind one type (`cgroups(7)`, kernel `admin-guide/cgroup-v1` and
//! `cgroup-v2.rst`).
//!
//! # How a process gets in
//!
//! Writing a pid to `cgroup.procs` waits 8–11 ms for an RCU grace period. Two ways avoid it, and a
//! caller simply does both, for each is empty where it doesn't apply:
//!
//! 1. clone3 with `CLONE_INTO_CGROUP` and [`Cgroup::into_cgroup_fd`] (v2 and hybrid);
//! 2. the child, while it still has one thread, writes `0` to each fd of
//!    [`Cgroup::self_attach_fds`] (v1 and hybrid): the kernel takes no thread-group lock for
//!    "the current thread only", and judges permission by who opened the fd.

mod controller;
mod delegated;
mod devices;
mod dir;
mod error;
mod events;
mod features;
mod host;
mod kept;
mod path;
mod settings;
mod stats;
pub mod systemd;
mod v1;
mod v2;

use std::time::Duration;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::process::Signal;

pub use controller::{Controller, Controllers};
pub use delegated::{DELEGATED, Delegated};
pub use error::{Error, Result};
pub use events::OomWatch;
pub use features::Features;
pub use host::{Hierarchy, Host, Version};
pub use path::CgroupPath;
pub use settings::{
    BlockIo, Cpu, Cpuset, DeviceAccess, DeviceKind, DeviceRate, DeviceRule, DeviceWeight, Limit, Memory,
    Network, Rdma, Settings,
};
pub use stats::{
    BlockIoEntry, BlockIoStats, CpuStats, HugepageStats, MemoryPart, MemoryStats, PidsStats, Pressure, Stall,
    Stats,
};

/// Who makes the cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driver {
    /// We make directories ourselves.
    Cgroupfs,
    /// systemd makes a scope unit when asked over the system bus.
    Systemd(systemd::Unit),
}

/// A container's cgroup: one directory in each hierarchy of the host.
#[derive(Debug)]
pub struct Cgroup {
    path: CgroupPath,
    tree: Tree,
    unit: Option<systemd::Scope>,
}

#[derive(Debug)]
enum Tree {
    V1(v1::Tree),
    V2(v2::Tree),
}

impl Cgroup {
    /// Makes the cgroup at `path` in every hierarchy, with its parents. Directories that exist and
    /// have no processes are taken over. On failure nothing made here stays behind.
    ///
    /// With [`Driver::Systemd`] the unit's own path rules, and `path` is not used.
    ///
    /// # Errors
    /// [`Error::InUse`] when processes are in it already, [`Error::NotMounted`], [`Error::Io`],
    /// [`Error::Systemd`].
    pub fn create(path: &CgroupPath, driver: &Driver) -> Result<Self> {
        match driver {
            Driver::Cgroupfs => {
                let host = Host::get()?;
                let tree = match (host.version(), &host.unified) {
                    (Version::V2, Some(mount)) => Tree::V2(v2::Tree::create(mount, path)?),
                    _ => Tree::V1(v1::Tree::create(host, path)?),
                };
                Ok(Self { path: path.clone(), tree, unit: None })
            }
            Driver::Systemd(unit) => {
                let scope = systemd::Scope::start(unit)?;
                match Self::in_scope(&scope) {
                    Ok(cgroup) => Ok(Self { unit: Some(scope), ..cgroup }),
                    Err(err) => {
                        // The first error counts; systemd collects a scope that is empty.
                        let _ = scope.stop();
                        Err(err)
                    }
                }
            }
        }
    }

    /// The container's part of a scope, in all hierarchies (systemd has made only some).
    fn in_scope(scope: &systemd::Scope) -> Result<Self> {
        let cgroup = Self::adopt(scope.path())?;
        let Some(keeper) = scope.keeper() else { return Ok(cgroup) };
        // Out of the unit's own directory: on v2 one that has processes can't pass controllers on. With the
        // way free, the second call enables them.
        cgroup.attach(keeper)?;
        Self::adopt(scope.path())
    }

    /// Says that the first process is in. With the systemd driver a placeholder ends, which kept the unit
    /// alive so far; without it nothing happens.
    pub fn settle(&self) {
        if let Some(scope) = &self.unit {
            scope.release();
        }
    }

    /// Makes what is missing of a cgroup, whether or not processes are in it.
    fn adopt(path: &CgroupPath) -> Result<Self> {
        let host = Host::get()?;
        let tree = match (host.version(), &host.unified) {
            (Version::V2, Some(mount)) => Tree::V2(v2::Tree::adopt(mount, path)?),
            _ => Tree::V1(v1::Tree::adopt(host, path)?),
        };
        Ok(Self { path: path.clone(), tree, unit: None })
    }

    /// Opens the cgroup at `path`; hierarchies in which it doesn't exist are left out.
    ///
    /// # Errors
    /// [`Error::Io`] with `ENOENT` when no hierarchy has it.
    pub fn open(path: &CgroupPath) -> Result<Self> {
        let host = Host::get()?;
        let tree = match (host.version(), &host.unified) {
            (Version::V2, Some(mount)) => Tree::V2(v2::Tree::open(mount, path)?),
            _ => Tree::V1(v1::Tree::open(host, path)?),
        };
        Ok(Self { path: path.clone(), tree, unit: None })
    }

    /// Opens the cgroup of a container that runs, by its `cgroupsPath`: a path, or `slice:prefix:name` for systemd
    /// (whose scope another runtime fills itself, where ours makes a sub-cgroup).
    ///
    /// # Errors
    /// As [`Cgroup::open`]; [`Error::Path`].
    pub fn of_container(cgroups_path: &str, by_systemd: bool) -> Result<Self> {
        if !by_systemd {
            return Self::open(&CgroupPath::new(cgroups_path)?);
        }
        let unit = systemd::Unit::parse(cgroups_path)?.path()?;
        Self::open(&unit.join(systemd::SUBGROUP)?).or_else(|_absent| Self::open(&unit))
    }

    /// As [`Cgroup::of_container`], whole: a systemd scope with all that lies below it, for the end.
    ///
    /// # Errors
    /// As [`Cgroup::open`]; [`Error::Path`].
    pub fn whole_of_container(cgroups_path: &str, by_systemd: bool) -> Result<Self> {
        if by_systemd {
            Self::open(&systemd::Unit::parse(cgroups_path)?.path()?)
        } else {
            Self::open(&CgroupPath::new(cgroups_path)?)
        }
    }

    /// The path below each hierarchy's root.
    #[must_use]
    pub fn path(&self) -> &CgroupPath {
        &self.path
    }

    /// One fd for each v1 hierarchy, to which the new process writes `0`; empty on v2. They are
    /// close-on-exec.
    ///
    /// # Errors
    /// [`Error::Io`] naming the hierarchy.
    pub fn self_attach_fds(&self) -> Result<Vec<OwnedFd>> {
        match &self.tree {
            Tree::V1(tree) => tree.self_attach_fds(),
            Tree::V2(_) => Ok(Vec::new()),
        }
    }

    /// The directory for clone3's `CLONE_INTO_CGROUP` (Linux 5.7), on v2 and hybrid hosts.
    #[must_use]
    pub fn into_cgroup_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.tree {
            Tree::V1(tree) => tree.clone_fd(),
            Tree::V2(tree) => Some(tree.clone_fd()),
        }
    }

    /// The directory for `CLONE_INTO_CGROUP` of a further process in a container that runs, when it is not that of
    /// [`Cgroup::into_cgroup_fd`]: a container that manages cgroups itself (systemd, an engine inside) has passed its
    /// controllers on, and the kernel lets no process into such a group.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn join_fd(&self, init: i32) -> Result<Option<OwnedFd>> {
        match (&self.tree, &Host::get()?.unified) {
            (Tree::V2(tree), Some(mount)) => tree.join_fd(mount, init),
            _ => Ok(None),
        }
    }

    /// Moves a process in by its pid, everywhere. The slow way (8–11 ms): for kernels without
    /// `CLONE_INTO_CGROUP` and for processes that run already.
    ///
    /// # Errors
    /// [`Error::Write`] naming the hierarchy.
    pub fn attach(&self, pid: i32) -> Result<()> {
        match &self.tree {
            Tree::V1(tree) => tree.attach(pid),
            Tree::V2(tree) => tree.attach(pid),
        }
    }

    /// Writes the limits that are set, each in the order in which the kernel takes it. May be called
    /// again with other values (`update`).
    ///
    /// # Errors
    /// [`Error::NoController`], [`Error::Unsupported`] and [`Error::MemoryInUse`] before anything is
    /// written for that controller; [`Error::Write`] names file and value.
    pub fn apply(&self, settings: &Settings) -> Result<()> {
        match &self.tree {
            Tree::V1(tree) => tree.apply(settings),
            Tree::V2(tree) => tree.apply(settings),
        }
    }

    /// Stops every process, and returns when all stand still.
    ///
    /// # Errors
    /// [`Error::NotFrozen`] after 10 s; the cgroup is thawed again then.
    pub fn freeze(&self) -> Result<()> {
        self.settle();
        match &self.tree {
            Tree::V1(tree) => tree.freeze(),
            Tree::V2(tree) => tree.freeze(),
        }
    }

    /// Lets the processes run again.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn thaw(&self) -> Result<()> {
        match &self.tree {
            Tree::V1(tree) => tree.thaw(),
            Tree::V2(tree) => tree.thaw(),
        }
    }

    /// Is the cgroup frozen (paused)?
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn is_frozen(&self) -> Result<bool> {
        match &self.tree {
            Tree::V1(tree) => tree.is_frozen(),
            Tree::V2(tree) => tree.is_frozen(),
        }
    }

    /// Sends `SIGKILL` to every process in the cgroup and below, frozen ones too. Doesn't wait.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Write`].
    pub fn kill(&self) -> Result<()> {
        self.settle();
        match &self.tree {
            Tree::V1(tree) => tree.kill(),
            Tree::V2(tree) => tree.kill(),
        }
    }

    /// Sends `signal` to every process in the cgroup and below.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn signal_all(&self, signal: Signal) -> Result<()> {
        for pid in self.procs()? {
            signal_one(pid, signal);
        }
        Ok(())
    }

    /// The pids of all processes in the cgroup and below, in ascending order.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn procs(&self) -> Result<Vec<i32>> {
        let mut pids = match &self.tree {
            Tree::V1(tree) => tree.procs(),
            Tree::V2(tree) => tree.procs(),
        }?;
        let keeper = self.unit.as_ref().and_then(systemd::Scope::keeper);
        pids.retain(|&pid| Some(pid) != keeper);
        Ok(pids)
    }

    /// What has been used so far.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Parse`].
    pub fn stats(&self) -> Result<Stats> {
        match &self.tree {
            Tree::V1(tree) => tree.stats(),
            Tree::V2(tree) => tree.stats(),
        }
    }

    /// From now on the files that [`Cgroup::usage`] reads stay open (at most a quarter of the descriptors that the
    /// process may have): for one who asks again and again.
    #[must_use]
    pub fn keep_open(mut self) -> Self {
        match &mut self.tree {
            Tree::V1(tree) => tree.keep_open(),
            Tree::V2(tree) => tree.keep_open(),
        }
        self
    }

    /// The part of [`Cgroup::stats`] that changes from moment to moment and that Docker shows: processor time,
    /// memory in use and its kinds, processes, block devices. Reads a third of the files.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Parse`].
    pub fn usage(&self) -> Result<Stats> {
        match &self.tree {
            Tree::V1(tree) => tree.usage(),
            Tree::V2(tree) => tree.usage(),
        }
    }

    /// Watches for processes killed because memory was out.
    ///
    /// # Errors
    /// [`Error::NoController`] without the memory controller.
    pub fn oom_events(&self) -> Result<OomWatch> {
        match &self.tree {
            Tree::V1(tree) => tree.oom_events(),
            Tree::V2(tree) => tree.oom_events(),
        }
    }

    /// Waits until no process is in the cgroup.
    ///
    /// # Errors
    /// [`Error::NotEmpty`] when `limit` has passed.
    pub fn wait_empty(&self, limit: Duration) -> Result<()> {
        self.settle();
        match &self.tree {
            Tree::V1(tree) => tree.wait_empty(limit),
            Tree::V2(tree) => tree.wait_empty(limit),
        }
    }

    /// Removes the cgroup and everything below it. Waits for processes that are dying; does not kill.
    /// Goes on after a failure and returns the first one; a cgroup that is gone already is no failure.
    ///
    /// # Errors
    /// [`Error::NotEmpty`] when processes stay for 10 s.
    pub fn remove(&self) -> Result<()> {
        self.settle();
        let removed = match &self.tree {
            Tree::V1(tree) => tree.remove(),
            Tree::V2(tree) => tree.remove(),
        };
        let Some(scope) = &self.unit else { return removed.and_then(|()| self.remove_empty_scope()) };
        let stopped = scope.stop();
        // What systemd has not made it doesn't remove.
        match Self::open(scope.unit()) {
            Ok(unit) => removed.and(stopped).and(unit.remove()),
            Err(_) => removed.and(stopped),
        }
    }
}

impl Cgroup {
    /// The scope around a cgroup that was opened by its path: systemd collects its own directories when they are
    /// empty, those that it hasn't made are ours.
    fn remove_empty_scope(&self) -> Result<()> {
        let scope = self.path.parent().filter(|parent| parent.name().ends_with(".scope"));
        let Some(scope) = scope.filter(|_| self.path.name() == systemd::SUBGROUP) else { return Ok(()) };
        match Self::open(&scope).map(|unit| unit.tree) {
            Ok(Tree::V1(tree)) => tree.remove_unmanaged(),
            _ => Ok(()),
        }
    }
}

/// How long dying processes are waited for when a cgroup is removed.
pub(crate) const REMOVE_WAIT: Duration = Duration::from_secs(10);
/// How long processes are waited for when a cgroup is frozen.
pub(crate) const FREEZE_WAIT: Duration = Duration::from_secs(10);

/// Writes `0` to each of [`Cgroup::self_attach_fds`]: moves the calling thread in. Allocates nothing,
/// so that it may be called between clone and exec.
///
/// # Errors
/// The index of the fd that refused, and the kernel's answer.
pub fn attach_self(fds: &[OwnedFd]) -> std::result::Result<(), (usize, rustix::io::Errno)> {
    for (index, fd) in fds.iter().enumerate() {
        rustix::io::retry_on_intr(|| rustix::io::write(fd, b"0")).map_err(|errno| (index, errno))?;
    }
    Ok(())
}

/// Signals one process; one that is gone already is what we wanted.
pub(crate) fn signal_one(pid: i32, signal: Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}
