//! The kernel's overlay file system.
//!
//! The mount is made through the kernel's mount API and never attached on the host. Directories are named to the
//! kernel as `/proc/self/fd/N`: short whatever the data root is called, and a container that reads its mount
//! table learns nothing of the host's paths.
//!
//! Options, and why: `index=off`, a layer is shared by many overlays, whose origins an index would compare;
//! `metacopy=off` and `redirect_dir=nofollow`, an upper directory must be complete in itself, so that listing
//! and committing changes needs no knowledge of redirects, and nothing that an archive smuggled into a layer is
//! followed. `userxattr` only where the daemon is root of a user namespace alone: a container can't write `trusted`
//! attributes. `context`, SELinux's label of everything on it, whatever the layers' files on the disk have. `volatile` for a
//! build's root file systems alone: without it the kernel synchronises the whole disk when the last user of a mount
//! has gone (`ovl_sync_fs`), and after a crash of the host it would make every stopped container unusable.

use std::ffi::CString;
use std::fs::{self, DirBuilder};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, OpenTreeFlags,
};

use super::{Change, tree};
use crate::disk::TmpDir;
use crate::error::Context;
use crate::layer::is_plain;
use crate::layout::{DIR_MODE, Layout};
use crate::{Error, Result};

const NAME: &str = "overlay2";
/// Below the work directory (`ovl_create_volatile_dirs`).
const VOLATILE_MARK: &str = "work/incompat";
/// The longest value that `fsconfig(2)` takes, with its end.
const MAX_VALUE: usize = 256;
/// The longest options that `mount(2)` takes: a page, with its end.
const MAX_OPTIONS: usize = 4096;
/// Where the older way mounts, within a mount namespace of its own.
const PLACE: &str = "/proc";
const FIXED: [(&str, &str); 3] = [("index", "off"), ("metacopy", "off"), ("redirect_dir", "nofollow")];

pub(super) fn refused(what: &str, error: Errno) -> Error {
    match error {
        Errno::NOSPC | Errno::DQUOT => Error::NoSpace(what.into()),
        error => Error::Driver { driver: NAME, reason: format!("{what}: {error}") },
    }
}

/// Open directories, and how the kernel finds them.
struct Directories {
    fds: Vec<OwnedFd>,
}

impl Directories {
    fn open<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<Self> {
        let open = |path: &Path| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::openat(CWD, path, flags, Mode::empty()).at("open", path)
        };
        Ok(Self { fds: paths.into_iter().map(open).collect::<Result<_>>()? })
    }

    fn names(&self) -> Vec<String> {
        self.fds.iter().map(|fd| format!("/proc/self/fd/{}", fd.as_raw_fd())).collect()
    }
}

/// What differs from one overlay to the next, beside its directories.
#[derive(Clone, Copy, Default)]
pub(super) struct Traits<'a> {
    /// Nothing that is written is ever synchronised.
    pub(super) is_volatile: bool,
    /// SELinux's, of all files.
    pub(super) label: Option<&'a str>,
}

/// The directories that an overlay is written to, and its traits.
#[derive(Clone, Copy)]
struct Own<'a> {
    dirs: &'a [&'a Path],
    traits: Traits<'a>,
}

/// A detached mount of `lowers` (topmost first) with `upper` on top.
pub(super) fn mount(lowers: &[PathBuf], upper: &Path, work: &Path, traits: Traits<'_>) -> Result<OwnedFd> {
    if traits.is_volatile {
        forget_volatile(work)?;
    }
    stack(lowers, Own { dirs: &[upper, work], traits })
}

/// Removes what marks an upper directory that was mounted `volatile`: a crash is no matter here, only this process's
/// past.
pub(super) fn forget_volatile(work: &Path) -> Result<()> {
    let mark = work.join(VOLATILE_MARK);
    match fs::remove_dir_all(&mark) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", mark.display()), error))
        }
        _ => Ok(()),
    }
}

/// A detached mount of `lowers` (topmost first) that nothing can be written to. Overlayfs wants two directories at
/// least; `empty` is the second where one layer is all there is.
pub(super) fn view(lowers: &[PathBuf], empty: PathBuf, label: Option<&str>) -> Result<OwnedFd> {
    let mut lowers = lowers.to_vec();
    if lowers.len() == 1 {
        lowers.push(empty);
    }
    stack(&lowers, Own { dirs: &[], traits: Traits { label, ..Traits::default() } })
}

/// This kernel has no `lowerdir+`.
static NO_LOWER_PLUS: AtomicBool = AtomicBool::new(false);

/// Layers, and either an upper and a work directory or neither.
fn stack(lowers: &[PathBuf], own: Own<'_>) -> Result<OwnedFd> {
    if NO_LOWER_PLUS.load(Ordering::Relaxed) {
        return together(lowers, own);
    }
    let lower_fds = Directories::open(lowers.iter().map(PathBuf::as_path))?;
    let own_fds = Directories::open(own.dirs.iter().copied())?;
    let names = lower_fds.names();
    let names = names.iter().map(|name| ("lowerdir+", name.as_str()));
    match configure(names, &own_fds.names(), own.traits) {
        // Before 6.7 the kernel doesn't know it: 6.5 says so at once, and an earlier one, which hands all options to
        // the file system as one text, when the overlay is made. Another option may be what it means, though.
        Err(Errno::INVAL) => {
            let made = together(lowers, own)?;
            NO_LOWER_PLUS.store(true, Ordering::Relaxed);
            Ok(made)
        }
        made => made.map_err(|error| refused("make the overlay", error)),
    }
}

/// All layers as one value where it has room for them, else by the older call.
fn together(lowers: &[PathBuf], own: Own<'_>) -> Result<OwnedFd> {
    let lower_fds = Directories::open(lowers.iter().map(PathBuf::as_path))?;
    let all = lower_fds.names().join(":");
    if all.len() >= MAX_VALUE {
        return legacy(lowers, own);
    }
    let own_fds = Directories::open(own.dirs.iter().copied())?;
    configure([("lowerdir", all.as_str())].into_iter(), &own_fds.names(), own.traits)
        .map_err(|error| refused("make the overlay", error))
}

/// What [`mount`] falls back to, for tests on a kernel that needs no fallback.
#[cfg(test)]
pub(super) fn mount_together(lowers: &[PathBuf], upper: &Path, work: &Path) -> Result<OwnedFd> {
    together(lowers, Own { dirs: &[upper, work], traits: Traits::default() })
}

/// The same for many layers.
#[cfg(test)]
pub(super) fn mount_legacy(lowers: &[PathBuf], upper: &Path, work: &Path) -> Result<OwnedFd> {
    legacy(lowers, Own { dirs: &[upper, work], traits: Traits::default() })
}

/// The overlay, detached.
pub(super) fn configure<'a>(
    lowers: impl Iterator<Item = (&'static str, &'a str)>,
    own: &[String],
    traits: Traits<'_>,
) -> rustix::io::Result<OwnedFd> {
    let fs = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let set = |key: &str, value: &str| rustix::mount::fsconfig_set_string(&fs, key, value);
    for (key, lower) in lowers {
        set(key, lower)?;
    }
    for (key, value) in ["upperdir", "workdir"].iter().zip(own) {
        set(key, value)?;
    }
    for (key, value) in FIXED {
        match set(key, value) {
            // A kernel that doesn't know it hasn't got it.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(error) => return Err(error),
        }
    }
    if is_plain() {
        rustix::mount::fsconfig_set_flag(&fs, "userxattr")?;
    }
    if let Some(label) = traits.label {
        set("context", label)?;
    }
    if traits.is_volatile {
        match rustix::mount::fsconfig_set_flag(&fs, "volatile") {
            // before 5.10
            Ok(()) | Err(Errno::INVAL) => {}
            Err(error) => return Err(error),
        }
    }
    rustix::mount::fsconfig_create(&fs)?;
    rustix::mount::fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

/// `mount(2)` needs a place to mount on: a thread makes one in a mount namespace of its own, takes a detached
/// copy and leaves the rest to the kernel. Directories opened outside belong to another mount namespace, which
/// overlayfs refuses, so they are opened again inside.
fn legacy(lowers: &[PathBuf], own: Own<'_>) -> Result<OwnedFd> {
    let refused = |error| refused("mount", error);
    let inside = || -> Result<OwnedFd> {
        sys::process::unshare(sys::process::Namespaces::MOUNT).map_err(refused)?;
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        rustix::mount::mount_change("/", private).map_err(refused)?;
        let lowers = Directories::open(lowers.iter().map(PathBuf::as_path))?;
        let dirs = Directories::open(own.dirs.iter().copied())?;
        let options = legacy_options(&lowers.names(), &dirs.names(), own.traits.label)?;
        let flags = MountFlags::empty();
        rustix::mount::mount("overlay", PLACE, "overlay", flags, &*options).map_err(refused)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        rustix::mount::open_tree(CWD, PLACE, flags).map_err(refused)
    };
    let joined = std::thread::scope(|scope| scope.spawn(inside).join());
    joined.unwrap_or_else(|_panic| Err(refused(Errno::INVAL)))
}

fn legacy_options(lowers: &[String], own: &[String], label: Option<&str>) -> Result<CString> {
    let refuse = |reason: &str| Error::Driver { driver: NAME, reason: reason.into() };
    let own = match own {
        [upper, work] => format!(",upperdir={upper},workdir={work}"),
        _ => String::new(),
    };
    let fixed: String = FIXED.iter().map(|(key, value)| format!(",{key}={value}")).collect();
    let plain = if is_plain() { ",userxattr" } else { "" };
    // in quotes, for a label may hold commas
    let label = label.map(|label| format!(",context=\"{label}\"")).unwrap_or_default();
    let options = format!("lowerdir={}{own}{fixed}{plain}{label}", lowers.join(":"));
    if options.len() >= MAX_OPTIONS {
        return Err(refuse("too many layers for this kernel"));
    }
    CString::new(options).map_err(|_nul| refuse("a path with a NUL byte"))
}

/// Mounts an overlay and removes a lower file through it.
pub(super) fn probe(layout: &Layout) -> Result<()> {
    let dir = TmpDir::new(layout)?;
    let at = |name: &str| dir.path().join(name);
    for name in ["lower", "upper", "work"] {
        DirBuilder::new().mode(DIR_MODE).create(at(name)).at("make", &at(name))?;
    }
    fs::write(at("lower/file"), b"").at("write", &at("lower/file"))?;
    let root = mount(&[at("lower")], &at("upper"), &at("work"), Traits::default())?;
    rustix::fs::unlinkat(&root, "file", AtFlags::empty()).map_err(|error| refused("remove a file", error))
}

/// What an upper directory changes: everything in it, against what lies below.
pub(super) fn changes(upper: &Path, lowers: &[PathBuf], scaffold: &[&str]) -> Result<Vec<Change>> {
    Ok(tree::compare(upper, lowers, false, scaffold)?
        .into_iter()
        .map(|difference| difference.change)
        .collect())
}
