//! A container on disk: one directory below the root with its state, a copy of its configuration, and the socket at
//! which its first process waits for the start.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use oci_spec::runtime::Spec;
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde::{Deserialize, Serialize};
use sys::Pid;
use sys::cgroup::{Cgroup, CgroupPath};
use sys::path::Root;

/// Most bytes of a configuration.
pub(crate) const MAX_CONFIG: usize = 16 << 20;
/// Longest id.
const MAX_ID: usize = 1024;

const STATE: &str = "state.json";
const CONFIG: &str = "config.json";
const SOCKET: &str = "start.sock";

/// What is recorded.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    /// Format of this record.
    pub(crate) format: u32,
    pub(crate) id: String,
    pub(crate) pid: i32,
    /// Start time of that process in clock ticks since boot: tells it from a later one with the same number.
    pub(crate) start_time: u64,
    pub(crate) created: String,
    pub(crate) bundle: PathBuf,
    pub(crate) rootfs: PathBuf,
    /// Path of its cgroup, when it has one.
    pub(crate) cgroup: Option<String>,
    pub(crate) owner: String,
}

/// Where in its life a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Created,
    Running,
    Paused,
    Stopped,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// The directory of a container.
#[derive(Debug)]
pub(crate) struct Directory {
    root: Root,
    id: String,
}

fn check_id(id: &str) -> Result<()> {
    let ordinary = |b: u8| b.is_ascii_alphanumeric() || b"_+-.".contains(&b);
    if id.is_empty() || id.len() > MAX_ID || id == "." || id == ".." || !id.bytes().all(ordinary) {
        bail!("invalid container ID format: {id:?}");
    }
    Ok(())
}

impl Directory {
    /// Makes the directory of a new container.
    pub(crate) fn create(root: &Path, id: &str) -> Result<Self> {
        check_id(id)?;
        match std::fs::create_dir_all(root) {
            Ok(()) => {}
            Err(e) => return Err(e).with_context(|| format!("state directory {}", root.display())),
        }
        let root = Root::open_strict(root).with_context(|| format!("state directory {}", root.display()))?;
        match root.mkdir(id, 0o700) {
            Ok(()) => Ok(Self { root, id: id.to_owned() }),
            Err(sys::Errno::EXIST) => bail!("container with given ID already exists: {id}"),
            Err(e) => Err(e).with_context(|| format!("state directory of {id}")),
        }
    }

    pub(crate) fn open(root: &Path, id: &str) -> Result<Self> {
        check_id(id)?;
        let missing = || anyhow!("container \"{id}\" does not exist");
        let root = Root::open_strict(root).or(Err(missing()))?;
        match root.handle(id) {
            Ok(_) => Ok(Self { root, id: id.to_owned() }),
            Err(_) => Err(missing()),
        }
    }

    fn handle(&self) -> Result<OwnedFd> {
        self.root.open_dir(&self.id).with_context(|| format!("state of {}", self.id))
    }

    /// Records the configuration as it was read.
    pub(crate) fn write_config(&self, bytes: &[u8]) -> Result<()> {
        sys::file::write_atomic(self.handle()?, CONFIG, bytes, 0o600)
            .with_context(|| format!("state of {}", self.id))
    }

    /// Records the state.
    pub(crate) fn write_state(&self, state: &State) -> Result<()> {
        let bytes = serde_json::to_vec(state)?;
        sys::file::write_atomic(self.handle()?, STATE, &bytes, 0o600)
            .with_context(|| format!("state of {}", self.id))
    }

    /// The socket's address by its directory's descriptor: whatever the root is called, it fits.
    fn address(&self) -> Result<(OwnedFd, SocketAddrUnix)> {
        let directory = self.root.open(&self.id, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        let path = format!("{}/{SOCKET}", sys::fd::proc_path(&directory));
        Ok((directory, SocketAddrUnix::new(path)?))
    }

    fn socket() -> Result<OwnedFd> {
        Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
    }

    /// Where the first process will wait.
    pub(crate) fn listen(&self) -> Result<OwnedFd> {
        let (_directory, address) = self.address()?;
        let socket = Self::socket()?;
        rustix::net::bind(&socket, &address).context("start socket")?;
        rustix::net::listen(&socket, 1).context("start socket")?;
        Ok(socket)
    }

    /// Connects to it, and makes sure that nobody does so again.
    pub(crate) fn connect(&self) -> Result<OwnedFd> {
        let (directory, address) = self.address()?;
        let socket = Self::socket()?;
        rustix::net::connect(&socket, &address).context("start socket")?;
        rustix::fs::unlinkat(&directory, SOCKET, rustix::fs::AtFlags::empty()).context("start socket")?;
        Ok(socket)
    }

    fn waits(&self) -> bool {
        self.root.lstat(Path::new(&self.id).join(SOCKET)).is_ok()
    }

    /// Removes everything.
    pub(crate) fn remove(&self) -> Result<()> {
        self.root.remove_all(&self.id).with_context(|| format!("state of {}", self.id))
    }
}

/// A container that exists.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) directory: Directory,
    pub(crate) state: State,
}

/// A process that may have ended.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
}

impl Container {
    pub(crate) fn load(root: &Path, id: &str) -> Result<Self> {
        let directory = Directory::open(root, id)?;
        let path = Path::new(id).join(STATE);
        let bytes = directory.root.read_bounded(path, MAX_CONFIG);
        let bytes = bytes.with_context(|| format!("container \"{id}\" does not exist: its state"))?;
        let state = serde_json::from_slice(&bytes).with_context(|| format!("state of {id}"))?;
        Ok(Self { directory, state })
    }

    /// All containers that can be read.
    pub(crate) fn list(root: &Path) -> Result<Vec<Self>> {
        let entries = match std::fs::read_dir(root) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.with_context(|| format!("state directory {}", root.display()))?,
        };
        let mut ids: Vec<String> = entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
        ids.sort();
        // one that is being made or removed just now is no container
        Ok(ids.iter().filter_map(|id| Self::load(root, id).ok()).collect())
    }

    pub(crate) fn spec(&self) -> Result<Spec> {
        let path = Path::new(&self.state.id).join(CONFIG);
        let bytes = self.directory.root.read_bounded(path, MAX_CONFIG).context("configuration")?;
        serde_json::from_slice(&bytes).context("configuration")
    }

    /// Its first process, unless that has ended.
    pub(crate) fn process(&self) -> Option<Process> {
        let pid = Pid::from_raw(self.state.pid)?;
        let pidfd = sys::process::pidfd_open(pid).ok()?;
        // read after the pidfd was opened: if it is the right one now, the pidfd is
        match sys::process::stat(pid) {
            Some((state, start)) if start == self.state.start_time && !matches!(state, b'Z' | b'X') => {
                Some(Process { pid, pidfd })
            }
            _ => None,
        }
    }

    pub(crate) fn status(&self) -> Status {
        if self.process().is_none() {
            return Status::Stopped;
        }
        if self.directory.waits() {
            return Status::Created;
        }
        let frozen = self.cgroup().ok().flatten().is_some_and(|c| c.is_frozen().unwrap_or(false));
        if frozen { Status::Paused } else { Status::Running }
    }

    /// Its cgroup, if it has one and that is still there.
    pub(crate) fn cgroup(&self) -> Result<Option<Cgroup>> {
        let Some(path) = &self.state.cgroup else { return Ok(None) };
        match Cgroup::open(&CgroupPath::new(path)?) {
            Ok(cgroup) => Ok(Some(cgroup)),
            Err(e) if e.errno() == Some(sys::Errno::NOENT) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Its cgroup, for a command that can't do without.
    pub(crate) fn need_cgroup(&self) -> Result<Cgroup> {
        self.cgroup()?.ok_or_else(|| anyhow!("container \"{}\" has no cgroup", self.state.id))
    }

    /// The name of the state that the container must be in, as an error.
    pub(crate) fn need_process(&self) -> Result<Process> {
        self.process().ok_or_else(|| anyhow!("container not running"))
    }
}
