//! A part of the unified hierarchy that belongs to an ordinary user (`cgroup-v2.rst`, "Delegation").

use std::path::{Path, PathBuf};

use rustix::fs::{Access, Mode};
use rustix::io::Errno;

use super::dir::Dir;
use super::features::Features;
use super::{CgroupPath, Controller, Controllers, Error, Host, Result, Version};

/// Where the engine's own processes are: a group that passes controllers on has none itself.
const ENGINE: &str = "engine";

/// Name of the variable that tells an ordinary user's daemon, and its shims, where the user's part begins.
pub const DELEGATED: &str = "BERTH_CGROUPS";

/// A group beneath which its owner makes groups, and moves processes about.
#[derive(Clone, Debug)]
pub struct Delegated {
    mount: PathBuf,
    path: CgroupPath,
}

impl Delegated {
    /// The group at `path`.
    ///
    /// # Errors
    /// [`Error::NotMounted`] unless version 2 rules the host.
    pub fn at(path: CgroupPath) -> Result<Self> {
        let host = Host::get()?;
        match (host.version(), &host.unified) {
            (Version::V2, Some(mount)) => Ok(Self { mount: mount.clone(), path }),
            _ => Err(Error::NotMounted),
        }
    }

    /// The group that the environment names.
    ///
    /// # Errors
    /// As [`Delegated::at`]; it is no path.
    pub fn told() -> Result<Option<Self>> {
        let told = std::env::var(DELEGATED).ok().filter(|path| !path.is_empty());
        told.map(|path| Self::at(CgroupPath::new(&path)?)).transpose()
    }

    /// The one called `name` that a process has been taken into.
    ///
    /// # Errors
    /// As [`Delegated::at`]; the process's group can't be read.
    pub fn around(pid: i32, name: &str) -> Result<Option<Self>> {
        let group = group_of(pid)?.filter(|group| group.name() == ENGINE);
        let path = group.and_then(|group| group.parent()).filter(|path| path.name() == name);
        path.map(Self::at).transpose()
    }

    /// Its place beneath the mount of the hierarchy.
    #[must_use]
    pub fn path(&self) -> &CgroupPath {
        &self.path
    }

    /// The name, with a slash before it, of the group beneath it that has the engine's own processes. It is made here.
    ///
    /// # Errors
    /// The kernel refuses to make it.
    pub fn engine(&self) -> Result<String> {
        let place = self.mount.join(self.path.relative()).join(ENGINE);
        match rustix::fs::mkdir(&place, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => Ok(format!("/{ENGINE}")),
            Err(errno) => Err(Error::io("make", &place, errno)),
        }
    }

    /// Takes a process into the engine's group, unless it is there.
    ///
    /// # Errors
    /// The kernel refuses: the process comes from a group that is not the user's.
    pub fn take_in(&self, pid: i32) -> Result<()> {
        let engine = self.path.join(ENGINE)?;
        if group_of(pid)?.as_ref() == Some(&engine) {
            return Ok(());
        }
        self.engine()?;
        Dir::open(self.mount.join(engine.relative()))?.write("cgroup.procs", pid)
    }

    /// The unit that this process is the service of, if it is one of a user's systemd (`user@UID.service`).
    #[must_use]
    pub fn service() -> Option<String> {
        let own = group_of(0).ok().flatten()?;
        let users = |level: &str| level.starts_with("user@") && level.ends_with(".service");
        let beneath = own.parent()?.as_str().split('/').any(users);
        Some(own.name().to_owned()).filter(|name| beneath && name.ends_with(".service"))
    }

    /// Whether this process may move itself and its children into groups beneath: it may if the nearest group above
    /// both is its user's.
    #[must_use]
    pub fn is_within_reach(&self) -> bool {
        let Ok(Some(own)) = group_of(0) else { return false };
        let levels = |path: &CgroupPath| path.as_str().split('/').map(str::to_owned).collect::<Vec<_>>();
        let pairs = levels(&own).into_iter().zip(levels(&self.path));
        let shared: Vec<_> = pairs.take_while(|(one, other)| one == other).map(|(one, _)| one).collect();
        let above = self.mount.join(shared.join("/").trim_start_matches('/'));
        rustix::fs::access(above.join("cgroup.procs"), Access::WRITE_OK).is_ok()
    }

    /// The controllers that groups beneath it may have.
    ///
    /// # Errors
    /// The group can't be read.
    pub fn controllers(&self) -> Result<Controllers> {
        let dir = Dir::open(self.mount.join(self.path.relative()))?;
        Ok(Controllers::from_names(dir.read("cgroup.controllers")?.split_whitespace()))
    }

    /// Which limits groups beneath it can have.
    ///
    /// # Errors
    /// The group can't be read.
    pub fn features(&self) -> Result<Features> {
        let controllers = self.controllers()?;
        let has = |controller, file: &str| {
            controllers.has(controller) && self.mount.join(self.path.relative()).join(file).exists()
        };
        Ok(Features {
            memory: controllers.has(Controller::Memory),
            swap: has(Controller::Memory, "memory.swap.max"),
            memory_reservation: controllers.has(Controller::Memory),
            cpu_shares: controllers.has(Controller::Cpu),
            cpu_quota: controllers.has(Controller::Cpu),
            cpuset: controllers.has(Controller::Cpuset),
            pids: controllers.has(Controller::Pids),
            io_weight: has(Controller::Io, "io.weight") || has(Controller::Io, "io.bfq.weight"),
            io_rates: controllers.has(Controller::Io),
            hugetlb: controllers.has(Controller::Hugetlb),
            // programs that judge devices are loaded by root alone
            devices: false,
            ..Features::default()
        })
    }
}

/// The group of a process in the unified hierarchy (0 is this one); `None` for its root.
///
/// # Errors
/// There is no such process.
fn group_of(pid: i32) -> Result<Option<CgroupPath>> {
    let file = if pid == 0 { "/proc/self/cgroup".to_owned() } else { format!("/proc/{pid}/cgroup") };
    let file = Path::new(&file);
    let text = std::fs::read_to_string(file).map_err(|err| Error::from_io("read", file, &err))?;
    let place = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    if place == "/" { Ok(None) } else { CgroupPath::new(place).map(Some) }
}
