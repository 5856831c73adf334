//! The directory of one cgroup in the unified hierarchy.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::Signal;

use super::super::dir::Dir;
use super::super::v1::apply_rdma;
use super::super::{
    CgroupPath, Controller, Controllers, Error, FREEZE_WAIT, OomWatch, REMOVE_WAIT, Result, Settings, Stats,
    events, signal_one,
};
use super::{cpu, cpuset, devices, hugetlb, io, memory, pids, unified};

/// A cgroup on a v2 host.
#[derive(Debug)]
pub(crate) struct Tree {
    dir: Dir,
}

/// A directory with the controllers that work in it.
pub(super) struct Group<'a> {
    pub(super) dir: &'a Dir,
    controllers: Controllers,
}

impl Group<'_> {
    /// The directory, when `controller` works in it.
    pub(super) fn need(&self, controller: Controller, setting: &'static str) -> Result<&Dir> {
        let missing = Error::NoController { controller, setting };
        if self.controllers.has(controller) { Ok(self.dir) } else { Err(missing) }
    }

    fn find(&self, controller: Controller) -> Option<&Dir> {
        self.controllers.has(controller).then_some(self.dir)
    }
}

impl Tree {
    pub(crate) fn create(mount: &Path, path: &CgroupPath) -> Result<Self> {
        let (tree, is_new) = Self::make(mount, path)?;
        if !is_new && !tree.procs()?.is_empty() {
            return Err(Error::InUse { path: path.to_string() });
        }
        Ok(tree)
    }

    pub(crate) fn adopt(mount: &Path, path: &CgroupPath) -> Result<Self> {
        Self::make(mount, path).map(|(tree, _)| tree)
    }

    pub(crate) fn open(mount: &Path, path: &CgroupPath) -> Result<Self> {
        Ok(Self { dir: Dir::open(mount.join(path.relative()))? })
    }

    fn make(mount: &Path, path: &CgroupPath) -> Result<(Self, bool)> {
        let mut above = Dir::open(mount.to_path_buf())?;
        let wanted = controllers_of(&above)?;
        let mut is_new = false;
        for level in path.levels() {
            enable(&above, wanted)?;
            let here: PathBuf = mount.join(level);
            is_new = match rustix::fs::mkdir(&here, Mode::from_raw_mode(0o755)) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                Err(errno) => return Err(Error::io("make", &here, errno)),
            };
            above = Dir::open(here)?;
        }
        if is_new && let Err(err) = join_threaded_parent(&above) {
            let _ = above.remove();
            return Err(err);
        }
        Ok((Self { dir: above }, is_new))
    }

    pub(crate) fn clone_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Where a further process goes: here, unless the container has passed controllers on to sub-cgroups (and so may
    /// have no processes here any more); then to where its first process is.
    pub(crate) fn join_fd(&self, mount: &Path, init: i32) -> Result<Option<OwnedFd>> {
        if self.dir.read("cgroup.subtree_control")?.trim().is_empty() {
            return Ok(None);
        }
        let proc = PathBuf::from(format!("/proc/{init}/cgroup"));
        let text = std::fs::read_to_string(&proc).map_err(|err| Error::from_io("read", &proc, &err))?;
        let place = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        let here = mount.join(place);
        // It can't have left our part of the tree, unless somebody from outside moved it.
        if !here.starts_with(self.dir.path()) {
            return Ok(None);
        }
        Dir::open(here).map(|dir| Some(dir.into_fd()))
    }

    pub(crate) fn attach(&self, pid: i32) -> Result<()> {
        self.dir.write("cgroup.procs", pid)
    }

    pub(crate) fn apply(&self, settings: &Settings) -> Result<()> {
        let group = Group { dir: &self.dir, controllers: controllers_of(&self.dir)? };
        cpuset::apply(&group, &settings.cpuset)?;
        cpu::apply(&group, &settings.cpu)?;
        memory::apply(&group, &settings.memory)?;
        pids::apply(&group, settings.pids)?;
        io::apply(&group, &settings.block_io)?;
        hugetlb::apply(&group, &settings.hugepages)?;
        apply_rdma(group.find(Controller::Rdma), &settings.rdma)?;
        if settings.network.class_id.is_some() || !settings.network.priorities.is_empty() {
            let reason = "cgroup v2 has no such controller";
            return Err(Error::Unsupported { setting: "network class or priority".to_owned(), reason });
        }
        unified::apply(&self.dir, &settings.unified)?;
        devices::apply(&self.dir, settings.devices.as_deref())
    }

    pub(crate) fn freeze(&self) -> Result<()> {
        events::set_frozen(&self.dir, true, FREEZE_WAIT)
    }

    pub(crate) fn thaw(&self) -> Result<()> {
        events::set_frozen(&self.dir, false, FREEZE_WAIT)
    }

    pub(crate) fn is_frozen(&self) -> Result<bool> {
        events::is_frozen(&self.dir)
    }

    pub(crate) fn procs(&self) -> Result<Vec<i32>> {
        let mut pids = Vec::new();
        self.dir.walk(&mut |dir| {
            match dir.procs() {
                // A threaded sub-cgroup; its processes are listed at the domain above.
                Err(err) if err.errno() == Some(Errno::OPNOTSUPP) => {}
                listed => pids.extend(listed?),
            }
            Ok(())
        })?;
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    pub(crate) fn kill(&self) -> Result<()> {
        if events::kill(&self.dir)? {
            return Ok(());
        }
        // Linux before 5.14: stand still first, so that none forks away. Frozen processes die on SIGKILL.
        let frozen = self.dir.write("cgroup.freeze", 1).is_ok();
        for pid in self.procs()? {
            signal_one(pid, Signal::KILL);
        }
        if frozen { self.dir.write("cgroup.freeze", 0) } else { Ok(()) }
    }

    pub(crate) fn keep_open(&mut self) {
        self.dir.keep_open();
    }

    pub(crate) fn usage(&self) -> Result<Stats> {
        Ok(Stats {
            cpu: cpu::usage(&self.dir)?,
            memory: memory::usage(&self.dir)?,
            pids: pids::stats(&self.dir)?,
            block_io: io::usage(&self.dir)?,
            ..Stats::default()
        })
    }

    pub(crate) fn stats(&self) -> Result<Stats> {
        let mut stats = Stats::default();
        stats.cpu = cpu::stats(&self.dir)?;
        stats.memory = memory::stats(&self.dir)?;
        stats.pids = pids::stats(&self.dir)?;
        stats.block_io = io::stats(&self.dir)?;
        stats.hugepages = hugetlb::stats(&self.dir)?;
        Ok(stats)
    }

    pub(crate) fn oom_events(&self) -> Result<OomWatch> {
        if !self.dir.has("memory.events") {
            return Err(Error::NoController {
                controller: Controller::Memory,
                setting: "out-of-memory events",
            });
        }
        OomWatch::v2(&self.dir)
    }

    pub(crate) fn wait_empty(&self, limit: Duration) -> Result<()> {
        events::wait_empty(&self.dir, limit)
    }

    pub(crate) fn remove(&self) -> Result<()> {
        match self.dir.remove() {
            Err(err) if err.errno() == Some(Errno::BUSY) => {}
            done => return done,
        }
        self.wait_empty(REMOVE_WAIT)?;
        self.dir.remove()
    }
}

fn controllers_of(dir: &Dir) -> Result<Controllers> {
    Ok(Controllers::from_names(dir.read("cgroup.controllers")?.split_whitespace()))
}

/// Lets the children of `dir` use the controllers. One that the kernel refuses here (processes in a
/// group that isn't the root, real-time processes, a threaded parent) stays off: whoever sets such a
/// limit is told then that the controller is missing.
fn enable(dir: &Dir, wanted: Controllers) -> Result<()> {
    const FILE: &str = "cgroup.subtree_control";
    let enabled = Controllers::from_names(dir.read(FILE)?.split_whitespace());
    let missing = wanted.intersection(controllers_of(dir)?).difference(enabled);
    if missing.is_empty() {
        return Ok(());
    }
    let words: Vec<_> = missing.iter().map(|controller| format!("+{controller}")).collect();
    match dir.write(FILE, words.join(" ")) {
        Ok(()) => return Ok(()),
        // Processes are in the way. One by one the kernel would take those controllers that suit threads, and make
        // this the root of a threaded tree, which nobody asked for.
        Err(err) if err.errno() == Some(Errno::BUSY) => return Ok(()),
        // The group is not ours: whoever has delegated a part of it has settled what is passed on.
        Err(err) if matches!(err.errno(), Some(Errno::ACCESS | Errno::PERM)) => return Ok(()),
        Err(err) if !refused(&err) => return Err(err),
        Err(_) => {}
    }
    for word in words {
        match dir.write(FILE, word) {
            Err(err) if !refused(&err) => return Err(err),
            _ => {}
        }
    }
    Ok(())
}

fn refused(err: &Error) -> bool {
    matches!(err.errno(), Some(Errno::BUSY | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOENT))
}

/// Below a threaded group a new one is "domain invalid" and takes no process until it is threaded too.
fn join_threaded_parent(dir: &Dir) -> Result<()> {
    match dir.read_if_any("cgroup.type")?.as_deref().map(str::trim_end) {
        Some("domain invalid") => dir.write("cgroup.type", "threaded"),
        _ => Ok(()),
    }
}
