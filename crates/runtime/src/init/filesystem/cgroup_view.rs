//! `/sys/fs/cgroup` in the container: its own control groups and nothing above them.
//!
//! On v2 that is one mount. On v1 it is a tmpfs with a directory for each hierarchy, and symlinks for each name in a
//! combined one (`cpu -> cpu,cpuacct`). With a cgroup namespace each hierarchy is mounted anew, and its root is the
//! container's group; without, the container's group is bound from the host's mount.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use sys::cgroup::{Hierarchy, Host, Version};
use sys::mount::{Attr, Change, FsContext, Propagation};
use sys::process::Namespaces;

use super::mounts;
use crate::error::{Context, Error, Result};
use crate::job::Job;
use crate::plan::mounts::Planned;

const STEP: &str = "mount cgroup";

/// Mounts the view on `target`.
pub(super) fn mount(job: &Job<'_>, mount: &Planned<'_>, target: &OwnedFd) -> Result<()> {
    let host = Host::get().map_err(|e| Error::text(STEP, e))?;
    let namespaced = job.namespaces.has(Namespaces::CGROUP);
    match (host.version(), &host.unified) {
        (Version::V2, Some(point)) => unified(mount, target, point, namespaced),
        _ => hierarchies(mount, target, host, (namespaced, job.label)),
    }
}

/// Where this process is, by hierarchy (`name=systemd`, `cpu,cpuacct`, and the empty name for v2).
fn own_paths() -> Result<HashMap<String, PathBuf>> {
    let text = std::fs::read_to_string("/proc/self/cgroup").step(STEP, "/proc/self/cgroup")?;
    let line = |l: &str| {
        let mut fields = l.splitn(3, ':').skip(1);
        Some((fields.next()?.to_owned(), PathBuf::from(fields.next()?.trim_start_matches('/'))))
    };
    Ok(text.lines().filter_map(line).collect())
}

fn unified(mount: &Planned<'_>, target: &OwnedFd, point: &Path, namespaced: bool) -> Result<()> {
    let fd = if namespaced {
        mounts::make("cgroup2", "cgroup", &mount.options.data, None, mount.destination)?
    } else {
        let own = own_paths()?.remove("").unwrap_or_default();
        bound(&point.join(own))?
    };
    mounts::attributes(&fd, &mount.options, mount.destination)?;
    sys::mount::attach(&fd, target).step(STEP, mount.destination.display())
}

/// A private copy of a directory of the host's mount.
fn bound(path: &Path) -> Result<OwnedFd> {
    let fd = sys::mount::clone_path(path, false).step(STEP, path.display())?;
    let private = Change { propagation: Some(Propagation::Private), ..Change::default() };
    sys::mount::change(&fd, &private).step(STEP, path.display())?;
    Ok(fd)
}

fn hierarchies(
    mount: &Planned<'_>,
    target: &OwnedFd,
    host: &Host,
    (namespaced, label): (bool, Option<&str>),
) -> Result<()> {
    let point = mount.destination;
    let data = ["mode=755".to_owned()];
    let tmpfs = mounts::make("tmpfs", "tmpfs", &data, label, point)?;
    sys::mount::attach(&tmpfs, target).step(STEP, point.display())?;
    let own = if namespaced { HashMap::new() } else { own_paths()? };
    for hierarchy in &host.v1 {
        let fd = if namespaced {
            anew(hierarchy)?
        } else {
            let own = own.iter().find(|(key, _)| same_hierarchy(key, &hierarchy.options));
            let Some((_, own)) = own else { continue };
            let below_root = Path::new("/").join(own);
            let relative = below_root.strip_prefix(&hierarchy.root).unwrap_or(own);
            bound(&hierarchy.mount.join(relative))?
        };
        if mount.options.writable_hierarchy.as_ref() == Some(&hierarchy.options) {
            mounts::attributes(&fd, &mount.options.writable(), point)?;
        } else {
            mounts::attributes(&fd, &mount.options, point)?;
        }
        place(&tmpfs, hierarchy, &fd)?;
    }
    mounts::attributes(&tmpfs, &mount.options, point)
}

/// The two files list combined controllers in different orders.
fn same_hierarchy(key: &str, options: &str) -> bool {
    let count = |s: &str| s.split(',').count();
    count(key) == count(options) && key.split(',').all(|k| options.split(',').any(|o| o == k))
}

/// A new mount of a hierarchy; its root is that of the cgroup namespace.
fn anew(hierarchy: &Hierarchy) -> Result<OwnedFd> {
    let what = &hierarchy.options;
    let context = FsContext::open("cgroup").step(STEP, what)?;
    let set = || {
        context.set("source", "cgroup")?;
        if hierarchy.controllers.is_empty() {
            context.set_flag("none")?;
        }
        context.set_list(what)?;
        context.create()?;
        context.mount(Attr::default())
    };
    set().step(STEP, what)
}

/// Puts a hierarchy into the tmpfs, called as on the host, with links for its other names.
fn place(tmpfs: &OwnedFd, hierarchy: &Hierarchy, fd: &OwnedFd) -> Result<()> {
    let name = hierarchy.mount.file_name().unwrap_or(hierarchy.options.as_ref());
    let shown = name.to_string_lossy();
    rustix::fs::mkdirat(tmpfs, name, Mode::from_raw_mode(0o755)).step(STEP, &shown)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let target = rustix::fs::openat(tmpfs, name, flags, Mode::empty()).step(STEP, &shown)?;
    sys::mount::attach(fd.as_fd(), &target).step(STEP, &shown)?;
    for word in hierarchy.options.split(',').filter(|w| !w.starts_with("name=") && *w != shown) {
        rustix::fs::symlinkat(name, tmpfs, word).step(STEP, word)?;
    }
    Ok(())
}
