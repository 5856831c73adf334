//! A container's files as Docker shows them to `cp`: its root file system with its volumes, binds and generated
//! files over it, and neither tmpfs nor `/proc`, `/sys` and `/dev`; the same whether it runs or not.
//!
//! It is a mount namespace of its own, made by a thread and held by a descriptor: the kernel takes it down with
//! its last user. Nothing is attached on the host. No device can be opened and no program run on it.
//!
//! An overlay must not be mounted twice on one upper directory. So of a running container the view's root is a
//! copy of its own root mount; and a container that is started while a view of it is in use gets its root from
//! the view. The container's task, which alone makes views and starts, sees to it.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::mount::MountPropagationFlags;
use sys::mount::{Attr, Change, Propagation};
use sys::path::Root;
use sys::process::Namespaces;
use tokio::runtime::Handle;

use super::spec::FileMount;
use super::{files, rootfs};
use crate::container::Container;
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::volume::{Binds, Handed};

/// What every container gets before it runs (Docker's init layer) and the runtime makes places for: empty, it is
/// no change of the container's.
pub(crate) const SCAFFOLD: [&str; 13] = [
    "/.dockerenv",
    "/dev",
    "/dev/console",
    "/dev/mqueue",
    "/dev/pts",
    "/dev/shm",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/mtab",
    "/etc/resolv.conf",
    "/proc",
    "/sys",
    "/sys/fs/cgroup",
];

/// Where the root is attached within the view's own namespace. Not over `/`: a thread that joins a namespace gets
/// what is on top of that as its root, and must go on to mean the host's `/proc/self/fd`.
const PLACE: &str = "/sys";
/// Nothing on a view acts.
const INERT: Attr = Attr(Attr::NODEV.0 | Attr::NOSUID.0 | Attr::NOEXEC.0);

/// See the module.
#[derive(Debug)]
pub(crate) struct View {
    root: Root,
    /// Keeps the mounts together.
    namespace: OwnedFd,
}

/// Where the root comes from.
enum Source {
    /// A detached mount.
    Mount(OwnedFd),
    /// The mount namespace of its first process.
    Process(OwnedFd),
}

impl View {
    /// Makes a view. Blocks.
    ///
    /// # Errors
    /// The root can't be mounted; a volume's or bind's source is missing.
    pub(crate) fn open(engine: &Inner, container: &Container) -> Result<Self> {
        let mut mounts = files::mounts(container);
        // not written before the first start
        mounts.retain(|mount| mount.source.as_ref().is_some_and(|source| source.exists()));
        // shims are asked, which waits: this thread is one of those that may block
        let shared = Handle::current().block_on(crate::volume::shared(engine, container));
        let Binds { files: binds, handed, shared: _shared } =
            crate::volume::binds(engine, container, shared)?;
        mounts.retain(|own| binds.iter().all(|bind| bind.destination != own.destination));
        mounts.extend(binds);
        mounts.sort_by_key(|mount| mount.destination.matches('/').count());
        let source = match container.state.running() {
            Some(run) => Source::Process(rootfs::mount_namespace(engine, run.pid, &container.id)?),
            None => Source::Mount(rootfs::mount(engine, container, None)?),
        };
        let read_only = container.host.readonly_rootfs;
        apart(|| rootfs::as_root_of(container, || build(source, &mounts, handed, read_only)))
    }

    /// Resolves like a process in the container.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// Does something in a thread that has these mounts: only there does the kernel know them as busy, and refuse
    /// to remove what is mounted on. Elsewhere it would take them away, the running container's own too.
    ///
    /// # Errors
    /// What `work` says; out of threads.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        apart(|| {
            self.join().map_err(|errno| Error::because("join the container's mounts", errno))?;
            work()
        })
    }

    fn join(&self) -> sys::Result<()> {
        sys::process::unshare_filesystem()?;
        sys::process::join_namespaces(&self.namespace, Namespaces::MOUNT)
    }

    /// A detached copy of the root file system alone, inert as well.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(crate) fn root_alone(&self) -> Result<OwnedFd> {
        self.inside(|| {
            sys::mount::clone_fd(&self.root, false)
                .map_err(|errno| Error::because("copy the root's mount", errno))
        })
    }

    /// A root for a start, as a fresh mount would be.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(crate) fn root_to_run(&self) -> Result<OwnedFd> {
        let root = self.root_alone()?;
        let clear = Attr(INERT.0 | Attr::RDONLY.0);
        sys::mount::change(&root, &Change { clear, ..Change::default() })
            .map_err(|errno| Error::because("copy the root's mount", errno))?;
        Ok(root)
    }
}

/// A thread of its own: what it does to its namespaces ends with it.
fn apart<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let joined = std::thread::scope(|scope| scope.spawn(work).join());
    joined.unwrap_or_else(|_panic| Err(Error::system("a thread failed while it arranged mounts")))
}

fn build(source: Source, mounts: &[FileMount], mut handed: Vec<Handed>, read_only: bool) -> Result<View> {
    let failed = |errno| Error::because("arrange the container's mounts", errno);
    sys::process::unshare(Namespaces::MOUNT).map_err(failed)?;
    // what the host unmounts is unmounted here, too, and nothing that is mounted here is seen there
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", slave).map_err(failed)?;
    let namespace = File::open("/proc/thread-self/ns/mnt")
        .map_err(|error| Error::because("open the mount namespace", error))?;
    let root = match source {
        Source::Mount(root) => root,
        Source::Process(theirs) => {
            sys::process::join_namespaces(&theirs, Namespaces::MOUNT).map_err(failed)?;
            // the root of that namespace, without what is mounted beneath it
            let root = sys::mount::clone_path("/", false).map_err(failed)?;
            sys::process::join_namespaces(&namespace, Namespaces::MOUNT).map_err(failed)?;
            root
        }
    };
    let propagation = Some(Propagation::Private);
    sys::mount::change(&root, &Change { set: INERT, propagation, ..Change::default() }).map_err(failed)?;
    let top = rustix::fs::open(PLACE, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    sys::mount::attach(&root, top.map_err(failed)?).map_err(failed)?;
    let root = Root::in_root(root);
    for mount in mounts {
        let place = handed.iter().position(|one| one.destination == mount.destination);
        let mounted = place.map(|at| handed.swap_remove(at).mount);
        add(&root, mount, mounted)
            .map_err(|errno| Error::because(format!("mount {}", mount.destination), errno))?;
    }
    if read_only {
        let set = Attr::RDONLY;
        sys::mount::change(&root, &Change { set, ..Change::default() }).map_err(failed)?;
    }
    Ok(View { root, namespace: namespace.into() })
}

/// Binds a volume, a host's path or a generated file at its place, which is made when it is missing, as at a start.
fn add(root: &Root, mount: &FileMount, handed: Option<OwnedFd>) -> sys::Result<()> {
    let Some(source) = &mount.source else { return Ok(()) };
    let has = |word: &str| mount.options.iter().any(|option| option == word);
    let copy = match handed {
        Some(mount) => mount,
        None => sys::mount::clone_path(source, has("rbind"))?,
    };
    let is_dir = FileType::from_raw_mode(rustix::fs::fstat(&copy)?.st_mode).is_dir();
    let propagation = Some(Propagation::Private);
    sys::mount::change(&copy, &Change { set: INERT, propagation, recursive: true, ..Change::default() })?;
    if has("ro") {
        sys::mount::change(&copy, &Change { set: Attr::RDONLY, recursive: has("rro"), ..Change::default() })?;
    }
    let target = place(root, &mount.destination, is_dir)?;
    sys::mount::attach(copy.as_fd(), target)
}

fn place(root: &Root, destination: &str, is_dir: bool) -> sys::Result<OwnedFd> {
    if is_dir {
        return root.mkdir_all(destination, 0o755);
    }
    match root.handle(destination) {
        Err(sys::Errno::NOENT) => {}
        found => return found,
    }
    let path = std::path::Path::new(destination);
    root.mkdir_all(path.parent().unwrap_or(path), 0o755)?;
    match root.create_file(path, 0o644) {
        Ok(_) | Err(sys::Errno::EXIST) => root.handle(path),
        Err(errno) => Err(errno),
    }
}
