//! Paths that a container must not read, or not write.
//!
//! Those beneath `/proc` are resolved from the container's own procfs mount, not from its root: however directories
//! above are renamed meanwhile, the right file is covered. Files are covered by the host's null device, which has been
//! checked, never by what the image calls `/dev/null`; directories by an empty read-only tmpfs.

use std::os::fd::OwnedFd;
use std::path::Path;

use oci_spec::runtime::Spec;
use rustix::fs::FileType;
use sys::Errno;
use sys::mount::{Attr, Change};
use sys::path::Root;

use super::mounts;
use crate::error::{Context, Error, Result};
use crate::init::State;
use crate::job::Job;

/// What is at `path`, if anything.
fn find(state: &State, proc: Option<&Root>, path: &str) -> Result<Option<OwnedFd>> {
    let beneath = Path::new(path).strip_prefix("/proc").ok().filter(|p| !p.as_os_str().is_empty());
    let found = match (proc, beneath) {
        (Some(proc), Some(name)) => proc.handle(name),
        _ => state.root.handle(path),
    };
    match found {
        Ok(fd) => Ok(Some(fd)),
        // a path that the kernel or the image lacks needs no cover
        Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Ok(None),
        Err(e) => Err(e).step("restrict path", path),
    }
}

fn proc_root(state: &State) -> Result<Option<Root>> {
    let Some(proc) = &state.proc else { return Ok(None) };
    Ok(Some(Root::strict(sys::fd::dup_above(proc, 3).step("restrict path", "/proc")?)))
}

/// Makes paths read-only.
pub(super) fn read_only_paths(spec: &Spec, state: &State) -> Result<()> {
    let list = spec.linux().as_ref().and_then(|l| l.readonly_paths().as_deref()).unwrap_or(&[]);
    let proc = if list.is_empty() { None } else { proc_root(state)? };
    for path in list {
        let Some(target) = find(state, proc.as_ref(), path)? else { continue };
        let copy = sys::mount::clone_fd(&target, true).step("read-only path", path)?;
        let change = Change { set: Attr::RDONLY, recursive: true, ..Change::default() };
        sys::mount::change(&copy, &change).step("read-only path", path)?;
        sys::mount::attach(&copy, &target).step("read-only path", path)?;
    }
    Ok(())
}

/// Covers paths.
pub(super) fn masked_paths(job: &Job<'_>, state: &State) -> Result<()> {
    let linux = job.options.spec.linux().as_ref();
    let list = linux.and_then(|l| l.masked_paths().as_deref()).unwrap_or(&[]);
    let proc = if list.is_empty() { None } else { proc_root(state)? };
    let mut null = Cover::default();
    let mut empty = Cover::default();
    for path in list {
        let Some(target) = find(state, proc.as_ref(), path)? else { continue };
        let stat = rustix::fs::fstat(&target).step("mask path", path)?;
        let attached = if FileType::from_raw_mode(stat.st_mode).is_dir() {
            empty.put(&target, || empty_directory(path, job.label))
        } else {
            null.put(&target, || sys::fd::dup_above(&job.null, 3).step("mask path", path))
        };
        attached.map_err(|e| Error {
            step: "mask path".to_owned(),
            detail: format!("{path}: {}", e.detail),
            ..e
        })?;
    }
    Ok(())
}

/// A mount that covers several places: the first is the mount itself, the others are copies. (A mount can be copied
/// only once it is in this namespace.)
#[derive(Default)]
struct Cover(Option<OwnedFd>);

impl Cover {
    fn put(&mut self, target: &OwnedFd, first: impl FnOnce() -> Result<OwnedFd>) -> Result<()> {
        match &self.0 {
            Some(attached) => {
                let copy = sys::mount::clone_fd(attached, false).step("mask path", "")?;
                sys::mount::attach(copy, target).step("mask path", "")
            }
            None => {
                let mount = first()?;
                sys::mount::attach(&mount, target).step("mask path", "")?;
                self.0 = Some(mount);
                Ok(())
            }
        }
    }
}

/// An empty read-only directory.
fn empty_directory(path: &str, label: Option<&str>) -> Result<OwnedFd> {
    let data = ["nr_inodes=1", "mode=755"].map(str::to_owned);
    let fd = mounts::make("tmpfs", "tmpfs", &data, label, Path::new(path))?;
    let change = Change { set: Attr::RDONLY, ..Change::default() };
    sys::mount::change(&fd, &change).step("mask path", path)?;
    Ok(fd)
}
