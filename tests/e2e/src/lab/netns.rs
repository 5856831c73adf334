//! Network namespaces without a name: the descriptor, and whoever lives inside, keep them.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use rustix::thread::LinkNameSpaceType;

use crate::programs::{self, Ran};

/// A network namespace. Copies are the same namespace.
#[derive(Debug, Clone)]
pub struct Namespace {
    fd: Arc<OwnedFd>,
}

impl Namespace {
    /// A new one, its loopback interface up.
    pub fn new() -> Result<Self> {
        let fd = on_thread(|| {
            sys::process::unshare(sys::process::Namespaces::NET).context("a test needs root")?;
            Ok(OwnedFd::from(File::open("/proc/thread-self/ns/net")?))
        })?;
        let namespace = Self { fd: Arc::new(fd) };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// The namespace of a process.
    pub fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/ns/net");
        let file = File::open(&path).with_context(|| path.clone())?;
        Ok(Self { fd: Arc::new(file.into()) })
    }

    /// What the kernel calls it: the number in `net:[…]`.
    pub fn inode(&self) -> Result<u64> {
        Ok(File::from(self.fd.try_clone()?).metadata()?.ino())
    }

    /// Runs `work` on a thread in the namespace. Sockets that it makes stay there.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        on_thread(|| {
            rustix::thread::move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network))
                .context("cannot enter a network namespace")?;
            work()
        })
    }

    /// Starts a program in the namespace. Its mounts are the machine's: `/sys/class/net` there too.
    pub fn spawn(&self, command: &mut Command) -> Result<Child> {
        self.within(|| command.spawn().with_context(|| format!("cannot run {command:?}")))
    }

    /// Runs a program in the namespace to its end.
    pub fn run(&self, command: &mut Command) -> Result<Ran> {
        self.within(|| programs::run(command))
    }

    /// `ip` with the words of a line, which must succeed; what it says.
    pub fn ip(&self, line: &str) -> Result<String> {
        self.run(Command::new("/usr/sbin/ip").args(line.split_ascii_whitespace()))?.ok()
    }

    /// `nft` with the words of a line, which must succeed; what it says.
    pub fn nft(&self, line: &str) -> Result<String> {
        self.run(Command::new("/usr/sbin/nft").args(line.split_ascii_whitespace()))?.ok()
    }

    /// Joins it to another by a cable: `ours` here, `theirs` there, both up.
    pub fn cable(&self, ours: &str, other: &Self, theirs: &str) -> Result<()> {
        // `ip` takes a namespace by the process that is in it, or by a file: this process holds one open.
        let file = format!("/proc/{}/fd/{}", std::process::id(), rustix::fd::AsRawFd::as_raw_fd(&*other.fd));
        self.ip(&format!("link add {ours} type veth peer name {theirs} netns {file}"))?;
        self.ip(&format!("link set {ours} up"))?;
        other.ip(&format!("link set {theirs} up")).map(drop)
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Runs `work` on a thread of its own, which may change its namespaces.
fn on_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        scope.spawn(work).join().unwrap_or_else(|_| Err(anyhow!("a thread in a namespace panicked")))
    })
}
