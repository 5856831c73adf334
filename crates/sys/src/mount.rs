//! The mount calls that work on descriptors: a mount is made detached, changed, and attached to an open directory.
//! No path is resolved by string.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};

use crate::{Errno, Result, raw};

mod foreign;
mod table;

pub use foreign::{clone_from, inside, twice};
pub use table::unescape;
pub use table::{Listed, lies_on};

/// Mount attributes, as `MOUNT_ATTR_*` bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attr(pub u64);

impl Attr {
    /// `MOUNT_ATTR_RDONLY`.
    pub const RDONLY: Self = Self(0x1);
    /// `MOUNT_ATTR_NOSUID`.
    pub const NOSUID: Self = Self(0x2);
    /// `MOUNT_ATTR_NODEV`.
    pub const NODEV: Self = Self(0x4);
    /// `MOUNT_ATTR_NOEXEC`.
    pub const NOEXEC: Self = Self(0x8);
    /// `MOUNT_ATTR__ATIME`: the mask of the three access-time modes; always cleared as a whole.
    pub const ATIME_MASK: Self = Self(0x70);
    /// `MOUNT_ATTR_NOATIME`.
    pub const NOATIME: Self = Self(0x10);
    /// `MOUNT_ATTR_STRICTATIME`.
    pub const STRICTATIME: Self = Self(0x20);
    /// `MOUNT_ATTR_NODIRATIME`.
    pub const NODIRATIME: Self = Self(0x80);
    /// `MOUNT_ATTR_NOSYMFOLLOW`.
    pub const NOSYMFOLLOW: Self = Self(0x20_0000);
    /// `MOUNT_ATTR_IDMAP`.
    const IDMAP: Self = Self(0x10_0000);

    /// Whether no bit is set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl std::ops::BitOr for Attr {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Whether mount events travel between a mount and its copies (`mount_namespaces(7)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// Neither way.
    Private,
    /// From the original to the copy.
    Slave,
    /// Both ways.
    Shared,
    /// Neither way, and can't be bind-mounted.
    Unbindable,
}

impl Propagation {
    fn bits(self) -> u64 {
        match self {
            Self::Private => libc::MS_PRIVATE,
            Self::Slave => libc::MS_SLAVE,
            Self::Shared => libc::MS_SHARED,
            Self::Unbindable => libc::MS_UNBINDABLE,
        }
    }
}

/// A filesystem that is being configured (`fsopen(2)`).
#[derive(Debug)]
pub struct FsContext(OwnedFd);

impl FsContext {
    /// Starts with the filesystem type called `name`.
    ///
    /// # Errors
    /// `ENODEV` when the kernel has no such type; what `fsopen(2)` says.
    pub fn open(name: &str) -> Result<Self> {
        rustix::mount::fsopen(name, FsOpenFlags::FSOPEN_CLOEXEC).map(Self)
    }

    /// Starts with the filesystem that the mount at `fd` is of, to change it (`fspick(2)`).
    ///
    /// # Errors
    /// `EINVAL` when `fd` isn't the root of a mount; what `fspick(2)` says.
    pub fn pick(fd: impl AsFd) -> Result<Self> {
        let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
        rustix::mount::fspick(fd, "", flags).map(Self)
    }

    /// Sets `key=value`.
    ///
    /// # Errors
    /// What `fsconfig(2)` says; [`FsContext::message`] may tell more.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        rustix::mount::fsconfig_set_string(self.0.as_fd(), key, value)
    }

    /// Sets the option `key` that has no value.
    ///
    /// # Errors
    /// What `fsconfig(2)` says.
    pub fn set_flag(&self, key: &str) -> Result<()> {
        rustix::mount::fsconfig_set_flag(self.0.as_fd(), key)
    }

    /// Sets `key` to an open file or directory (`FSCONFIG_SET_FD`).
    ///
    /// # Errors
    /// What `fsconfig(2)` says.
    pub fn set_fd(&self, key: &str, fd: BorrowedFd<'_>) -> Result<()> {
        rustix::mount::fsconfig_set_fd(self.0.as_fd(), key, fd)
    }

    /// Sets every option of a comma-separated list, as in the last argument of `mount(2)`.
    ///
    /// # Errors
    /// The first option's error.
    pub fn set_list(&self, options: &str) -> Result<()> {
        for option in options.split(',').filter(|o| !o.is_empty()) {
            match option.split_once('=') {
                Some((key, value)) => self.set(key, value)?,
                None => self.set_flag(option)?,
            }
        }
        Ok(())
    }

    /// Makes the superblock.
    ///
    /// # Errors
    /// What `fsconfig(2)` says.
    pub fn create(&self) -> Result<()> {
        rustix::mount::fsconfig_create(self.0.as_fd())
    }

    /// Applies what was set to a superblock that exists ([`FsContext::pick`]).
    ///
    /// # Errors
    /// What `fsconfig(2)` says.
    pub fn reconfigure(&self) -> Result<()> {
        rustix::mount::fsconfig_reconfigure(self.0.as_fd())
    }

    /// The detached mount of it.
    ///
    /// # Errors
    /// What `fsmount(2)` says.
    pub fn mount(&self, attr: Attr) -> Result<OwnedFd> {
        let attr = MountAttrFlags::from_bits_retain(attr.0 as u32);
        rustix::mount::fsmount(self.0.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attr)
    }

    /// What the kernel wrote about the last failure, when it did (`e overlay: …` without the prefix).
    #[must_use]
    pub fn message(&self) -> Option<String> {
        let mut text = [0u8; 512];
        let length = rustix::io::read(&self.0, &mut text).ok()?;
        let text = String::from_utf8_lossy(text.get(..length)?).trim_end().to_owned();
        Some(text.get(2..).unwrap_or(&text).to_owned())
    }
}

/// A new detached mount of a filesystem type: [`FsContext`] in one go.
///
/// # Errors
/// The first failing call's error.
pub fn filesystem(name: &str, options: &[(&str, &str)], attr: Attr) -> Result<OwnedFd> {
    let context = FsContext::open(name)?;
    for (key, value) in options {
        context.set(key, value)?;
    }
    context.create()?;
    context.mount(attr)
}

/// A detached copy of the mount at `path` (as resolved by the calling process: a trusted path), like a bind mount.
///
/// # Errors
/// What `open_tree(2)` says.
pub fn clone_path(path: impl AsRef<Path>, recursive: bool) -> Result<OwnedFd> {
    rustix::mount::open_tree(CWD, path.as_ref(), clone_flags(recursive))
}

/// A detached copy of the mount that an open file or directory (`O_PATH` will do) lies on, rooted there.
///
/// # Errors
/// What `open_tree(2)` says.
pub fn clone_fd(fd: impl AsFd, recursive: bool) -> Result<OwnedFd> {
    rustix::mount::open_tree(fd, "", clone_flags(recursive) | OpenTreeFlags::AT_EMPTY_PATH)
}

fn clone_flags(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive { flags | OpenTreeFlags::AT_RECURSIVE } else { flags }
}

/// Attaches a detached mount over an open file or directory. The mount's descriptor stays good as a directory of
/// the attached mount.
///
/// # Errors
/// What `move_mount(2)` says.
pub fn attach(mount: impl AsFd, target: impl AsFd) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, "", target, "", flags)
}

/// What [`change`] changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change<'fd> {
    /// Attributes to set.
    pub set: Attr,
    /// Attributes to clear (first).
    pub clear: Attr,
    /// New propagation.
    pub propagation: Option<Propagation>,
    /// Makes it an idmapped mount with this user namespace's mapping.
    pub idmap: Option<BorrowedFd<'fd>>,
    /// All mounts below, too.
    pub recursive: bool,
}

/// Changes a mount's attributes (`mount_setattr(2)`, Linux 5.12).
///
/// # Errors
/// What `mount_setattr(2)` says.
pub fn change(mount: impl AsFd, change: &Change<'_>) -> Result<()> {
    use std::os::fd::AsRawFd;
    let atime = Attr::ATIME_MASK.0 & (change.set.0 | change.clear.0) != 0;
    let mut attr = raw::mount::MountAttr {
        set: change.set.0,
        clear: change.clear.0 | if atime { Attr::ATIME_MASK.0 } else { 0 },
        propagation: change.propagation.map_or(0, Propagation::bits),
        userns: 0,
    };
    if let Some(userns) = change.idmap {
        attr.set |= Attr::IDMAP.0;
        attr.userns = userns.as_raw_fd() as u64;
    }
    let flags = if change.recursive { libc::AT_RECURSIVE } else { 0 };
    raw::mount::mount_setattr(mount.as_fd(), flags, &attr)
}

/// Takes the mount at `path` out of the namespace now and frees it when it is no longer busy (`MNT_DETACH`).
/// A symlink at `path` isn't followed.
///
/// # Errors
/// `EINVAL` when nothing is mounted there; what `umount2(2)` says.
pub fn detach(path: impl AsRef<Path>) -> Result<()> {
    rustix::mount::unmount(path.as_ref(), UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
}

/// Makes the mount that is the current directory the root of the mount namespace and detaches the old root
/// (`pivot_root(2)`, the form `pivot_root(".", ".")`).
///
/// # Errors
/// What `pivot_root(2)`, `umount2(2)` and `chdir(2)` say.
pub fn pivot_to_cwd() -> Result<()> {
    rustix::process::pivot_root(".", ".")?;
    // the old root is on top of the new one now, and the current directory is still in the old one
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")
}

/// Whether an open file lies on a filesystem of type `magic` (`statfs(2)`, `*_SUPER_MAGIC`).
///
/// # Errors
/// What `fstatfs(2)` says.
pub fn is_on(fd: impl AsFd, magic: Magic) -> Result<bool> {
    Ok(rustix::fs::fstatfs(fd)?.f_type as u64 == magic as u64)
}

/// Filesystem types by what `statfs(2)` calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Magic {
    /// procfs.
    Proc = 0x9fa0,
    /// sysfs.
    Sysfs = 0x6265_6572,
    /// devpts.
    Devpts = 0x1cd1,
    /// tmpfs.
    Tmpfs = 0x0102_1994,
    /// cgroup v1.
    Cgroup = 0x0027_e0eb,
    /// cgroup v2.
    Cgroup2 = 0x6367_7270,
    /// overlayfs.
    Overlay = 0x794c_7630,
}

/// Opens `name` inside an open procfs directory, without following symlinks and without leaving procfs.
///
/// # Errors
/// `EXDEV` when something else is mounted over it, `ELOOP` for a symlink, `EINVAL` when `proc` isn't procfs.
pub fn open_in_proc(proc: impl AsFd, name: &str, write: bool) -> Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, ResolveFlags};
    if !is_on(&proc, Magic::Proc)? {
        return Err(Errno::INVAL);
    }
    let access = if write { OFlags::WRONLY } else { OFlags::RDONLY };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(proc, name, access | OFlags::CLOEXEC, Mode::empty(), resolve)
}
