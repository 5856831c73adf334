//! The directories of one cgroup in all v1 hierarchies, and what is done to all of them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Signal;

use super::super::dir::{Dir, gone};
use super::super::{
    CgroupPath, Controller, Controllers, Error, FREEZE_WAIT, Host, MemoryStats, OomWatch, REMOVE_WAIT,
    Result, Settings, Stats, events, signal_one,
};
use super::{blkio, cpu, cpuacct, cpuset, devices, freezer, hugetlb, memory, network, pids, rdma};

/// A cgroup on a v1 or hybrid host.
#[derive(Debug)]
pub(crate) struct Tree {
    dirs: Vec<Part>,
    unified: Option<Dir>,
}

#[derive(Debug)]
struct Part {
    controllers: Controllers,
    dir: Dir,
}

/// May the directory have processes already?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Refuse,
    Accept,
}

impl Tree {
    pub(crate) fn create(host: &Host, path: &CgroupPath) -> Result<Self> {
        Self::make(host, path, Found::Refuse)
    }

    pub(crate) fn adopt(host: &Host, path: &CgroupPath) -> Result<Self> {
        Self::make(host, path, Found::Accept)
    }

    pub(crate) fn open(host: &Host, path: &CgroupPath) -> Result<Self> {
        let mut tree = Self { dirs: Vec::with_capacity(host.v1.len()), unified: None };
        let mut missing = None;
        for hierarchy in &host.v1 {
            match Dir::open(hierarchy.mount.join(path.relative())) {
                Ok(dir) => tree.dirs.push(Part { controllers: hierarchy.controllers, dir }),
                Err(err) if gone(&err) => missing = Some(err),
                Err(err) => return Err(err),
            }
        }
        if let Some(mount) = &host.unified {
            tree.unified = Dir::open(mount.join(path.relative())).ok();
        }
        match missing {
            Some(err) if tree.dirs.is_empty() && tree.unified.is_none() => Err(err),
            _ => Ok(tree),
        }
    }

    fn make(host: &Host, path: &CgroupPath, found: Found) -> Result<Self> {
        let mut tree = Self { dirs: Vec::with_capacity(host.v1.len()), unified: None };
        let made = tree.make_all(host, path, found);
        if let Err(err) = made {
            // A cgroup in use belongs to somebody: only what is empty goes.
            for dir in tree.all() {
                let _ = rustix::fs::rmdir(dir.path());
            }
            return Err(err);
        }
        Ok(tree)
    }

    fn make_all(&mut self, host: &Host, path: &CgroupPath, found: Found) -> Result<()> {
        for hierarchy in &host.v1 {
            let (dir, is_new) = make_dir(&hierarchy.mount, path)?;
            if !is_new && found == Found::Refuse {
                check_unused(&dir, path)?;
            }
            if hierarchy.controllers.has(Controller::Cpuset) {
                cpuset::inherit(&hierarchy.mount, path, &dir)?;
            }
            self.dirs.push(Part { controllers: hierarchy.controllers, dir });
        }
        if let Some(mount) = &host.unified {
            let (dir, is_new) = make_dir(mount, path)?;
            if !is_new && found == Found::Refuse {
                check_unused(&dir, path)?;
            }
            self.unified = Some(dir);
        }
        Ok(())
    }

    /// The directory of `controller`, unless its hierarchy isn't mounted.
    fn dir(&self, controller: Controller) -> Option<&Dir> {
        self.dirs.iter().find(|part| part.controllers.has(controller)).map(|part| &part.dir)
    }

    fn all(&self) -> impl Iterator<Item = &Dir> {
        self.dirs.iter().map(|part| &part.dir).chain(&self.unified)
    }

    pub(crate) fn self_attach_fds(&self) -> Result<Vec<OwnedFd>> {
        self.dirs.iter().map(|part| part.dir.open_file("tasks", OFlags::WRONLY)).collect()
    }

    pub(crate) fn clone_fd(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(AsFd::as_fd)
    }

    pub(crate) fn attach(&self, pid: i32) -> Result<()> {
        self.all().try_for_each(|dir| dir.write("cgroup.procs", pid))
    }

    pub(crate) fn apply(&self, settings: &Settings) -> Result<()> {
        cpuset::apply(self.dir(Controller::Cpuset), &settings.cpuset)?;
        cpu::apply(self.dir(Controller::Cpu), &settings.cpu)?;
        memory::apply(self.dir(Controller::Memory), &settings.memory)?;
        pids::apply(self.dir(Controller::Pids), settings.pids)?;
        blkio::apply(self.dir(Controller::Blkio), &settings.block_io)?;
        hugetlb::apply(self.dir(Controller::Hugetlb), &settings.hugepages)?;
        network::apply(self.dir(Controller::NetCls), self.dir(Controller::NetPrio), &settings.network)?;
        rdma::apply(self.dir(Controller::Rdma), &settings.rdma)?;
        if let Some(name) = settings.unified.keys().next() {
            let reason = "the unified map needs a host with cgroup v2 alone";
            return Err(Error::Unsupported { setting: name.clone(), reason });
        }
        devices::apply(self.dir(Controller::Devices), settings.devices.as_deref())
    }

    /// The unified freezer where there is one: it reports its state as an event.
    fn unified_freezer(&self) -> Option<&Dir> {
        self.unified.as_ref().filter(|dir| events::can_freeze(dir))
    }

    pub(crate) fn freeze(&self) -> Result<()> {
        match self.unified_freezer() {
            Some(dir) => events::set_frozen(dir, true, FREEZE_WAIT),
            None => freezer::freeze(self.dir(Controller::Freezer), FREEZE_WAIT),
        }
    }

    pub(crate) fn thaw(&self) -> Result<()> {
        if let Some(dir) = self.unified_freezer() {
            events::set_frozen(dir, false, FREEZE_WAIT)?;
        }
        // Also when ours was the other: another tool may have used this one.
        self.dir(Controller::Freezer).map_or(Ok(()), freezer::thaw)
    }

    pub(crate) fn is_frozen(&self) -> Result<bool> {
        let unified = self.unified_freezer().map_or(Ok(false), events::is_frozen)?;
        Ok(unified || self.dir(Controller::Freezer).map_or(Ok(false), freezer::is_frozen)?)
    }

    /// The hierarchy whose member list stands for the cgroup: freezer, which no limit can keep a process
    /// out of, else the first.
    fn members(&self) -> Option<&Dir> {
        self.dir(Controller::Freezer).or_else(|| self.all().next())
    }

    pub(crate) fn procs(&self) -> Result<Vec<i32>> {
        let mut pids = Vec::new();
        if let Some(dir) = self.members() {
            dir.walk(&mut |dir| {
                pids.extend(dir.procs()?);
                Ok(())
            })?;
        }
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    pub(crate) fn kill(&self) -> Result<()> {
        let all_at_once = self.unified.as_ref().map_or(Ok(false), events::kill)?;
        // Processes that left the unified group, or a host that has none: stand them still, so that
        // none can fork between the listing and the signal. A v1-frozen process dies when thawed.
        let frozen =
            !all_at_once && self.dir(Controller::Freezer).is_some_and(|dir| freezer::try_freeze(dir).is_ok());
        for pid in self.procs()? {
            signal_one(pid, Signal::KILL);
        }
        match self.dir(Controller::Freezer) {
            Some(dir) if frozen || freezer::is_frozen(dir).unwrap_or(false) => match freezer::thaw(dir) {
                Err(err) if gone(&err) => Ok(()),
                other => other,
            },
            _ => Ok(()),
        }
    }

    pub(crate) fn stats(&self) -> Result<Stats> {
        let mut stats = self.counters(memory::stats)?;
        if let Some(dir) = self.dir(Controller::Hugetlb) {
            stats.hugepages = hugetlb::stats(dir)?;
        }
        Ok(stats)
    }

    pub(crate) fn usage(&self) -> Result<Stats> {
        self.counters(memory::usage)
    }

    pub(crate) fn keep_open(&mut self) {
        self.dirs.iter_mut().for_each(|part| part.dir.keep_open());
    }

    fn counters(&self, memory: fn(&Dir) -> Result<MemoryStats>) -> Result<Stats> {
        let mut stats = Stats::default();
        if let Some(dir) = self.dir(Controller::Cpuacct) {
            cpuacct::stats(dir, &mut stats.cpu)?;
        }
        if let Some(dir) = self.dir(Controller::Cpu) {
            cpu::stats(dir, &mut stats.cpu)?;
        }
        if let Some(dir) = self.dir(Controller::Memory) {
            stats.memory = memory(dir)?;
        }
        if let Some(dir) = self.dir(Controller::Pids) {
            stats.pids = pids::stats(dir)?;
        }
        if let Some(dir) = self.dir(Controller::Blkio) {
            stats.block_io = blkio::stats(dir)?;
        }
        Ok(stats)
    }

    pub(crate) fn oom_events(&self) -> Result<OomWatch> {
        let missing = Error::NoController { controller: Controller::Memory, setting: "out-of-memory events" };
        OomWatch::v1(self.dir(Controller::Memory).ok_or(missing)?)
    }

    pub(crate) fn wait_empty(&self, limit: Duration) -> Result<()> {
        if let Some(unified) = &self.unified {
            events::wait_empty(unified, limit)?;
        }
        self.members().map_or(Ok(()), |dir| freezer::wait_empty(dir, limit))
    }

    pub(crate) fn remove(&self) -> Result<()> {
        let end = Instant::now() + REMOVE_WAIT;
        let mut first = Ok(());
        for dir in self.all() {
            first = first.and(self.remove_one(dir, end));
        }
        first
    }

    /// Removes the directories in the hierarchies that have controllers, without waiting.
    pub(crate) fn remove_unmanaged(&self) -> Result<()> {
        let ours = self.dirs.iter().filter(|part| !part.controllers.is_empty());
        ours.map(|part| part.dir.remove()).fold(Ok(()), Result::and)
    }

    /// Removes one directory as soon as its last process is really gone. A dead process can hold its directory a
    /// little longer than it is listed.
    fn remove_one(&self, dir: &Dir, end: Instant) -> Result<()> {
        loop {
            match dir.remove() {
                Err(err) if err.errno() == Some(Errno::BUSY) && Instant::now() < end => {}
                done => return done,
            }
            self.wait_empty(end.saturating_duration_since(Instant::now()))?;
            match dir.remove() {
                Err(err) if err.errno() == Some(Errno::BUSY) => freezer::pause(),
                done => return done,
            }
        }
    }
}

fn check_unused(dir: &Dir, path: &CgroupPath) -> Result<()> {
    if dir.procs()?.is_empty() { Ok(()) } else { Err(Error::InUse { path: path.to_string() }) }
}

/// Makes the directory, and the ones above it only when they are missing. Tells whether it is new.
fn make_dir(mount: &Path, path: &CgroupPath) -> Result<(Dir, bool)> {
    let full: PathBuf = mount.join(path.relative());
    let mode = Mode::from_raw_mode(0o755);
    let is_new = match rustix::fs::mkdir(&full, mode) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(Errno::NOENT) => {
            for level in path.levels() {
                let level = mount.join(level);
                match rustix::fs::mkdir(&level, mode) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(Error::io("make", &level, errno)),
                }
            }
            true
        }
        Err(errno) => return Err(Error::io("make", &full, errno)),
    };
    Ok((Dir::open(full)?, is_new))
}
