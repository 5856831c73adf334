//! Root file systems of containers in user namespaces: every layer is an idmapped mount (`mount_setattr(2)`), the
//! writable one too, and the overlay is put together of those. What is 0's on the disk is the container's root's in the
//! container, whatever ids that has on the host; so one unpacked layer serves all containers, and what they write is
//! committed as it lies.
//!
//! Since 6.15 overlayfs takes detached mounts for layers. Before, and since 5.19, which is the first that lets layers be
//! idmapped, they must be attached in the namespace of whoever makes the overlay: that of a thread which ends with it.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountPropagationFlags;
use sys::mount::{Change, Propagation};
use sys::process::Namespaces;

use super::overlay::{Traits, configure, forget_volatile, refused};
use crate::error::Context;
use crate::layout::snapshot::{UPPER, WORK};
use crate::{Error, Result};

/// The ids that layers are shown with.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// A user namespace that maps them.
    pub user: BorrowedFd<'a>,
    /// A user and a group of the host's that it maps (its root, if it has one): whose directories the overlay makes for
    /// itself, as nobody makes files on a mount that doesn't know him.
    pub maker: (u32, u32),
}

/// Where layers are attached on older kernels, on top of each other: never looked up by its name again.
const PLACE: &str = "/sys";

/// This kernel wants layers attached.
static ATTACHED_ONLY: AtomicBool = AtomicBool::new(false);

/// An idmapped copy of a directory's mount, detached.
pub(super) fn directory(path: &Path, shown: Shown<'_>) -> Result<OwnedFd> {
    let mount = sys::mount::clone_path(path, false).at("mount", path)?;
    let propagation = Some(Propagation::Private);
    let change = Change { idmap: Some(shown.user), propagation, ..Change::default() };
    match sys::mount::change(&mount, &change) {
        Err(Errno::INVAL | Errno::NOSYS) => Err(Error::Driver {
            driver: "userns",
            reason: format!(
                "files in {} can't be shown with other ids: neither this kernel nor its file system may be too old \
                 for idmapped mounts (ext4, xfs, btrfs and tmpfs can, overlayfs can't)",
                path.display()
            ),
        }),
        changed => changed.map(|()| mount).at("idmap", path),
    }
}

/// Mounts of the layers, and, of a root file system, the directory that holds its own two.
struct Layers<'a> {
    lowers: Vec<OwnedFd>,
    own: Option<OwnedFd>,
    traits: Traits<'a>,
    maker: (u32, u32),
}

/// An overlay of `lowers` (topmost first), and `own`, the snapshot's directory.
pub(super) fn mount(
    lowers: &[PathBuf],
    own: Option<&Path>,
    traits: Traits<'_>,
    shown: Shown<'_>,
) -> Result<OwnedFd> {
    if let (Some(dir), true) = (own, traits.is_volatile) {
        forget_volatile(&dir.join(WORK))?;
    }
    let layers = Layers {
        lowers: lowers.iter().map(|path| directory(path, shown)).collect::<Result<_>>()?,
        own: own.map(|path| directory(path, shown)).transpose()?,
        traits,
        maker: shown.maker,
    };
    if !ATTACHED_ONLY.load(Ordering::Relaxed) {
        match layers.overlay(true) {
            Err(Errno::INVAL) => {}
            made => return made.map_err(|error| refused("make the overlay of idmapped layers", error)),
        }
    }
    let made = layers.attached()?;
    ATTACHED_ONLY.store(true, Ordering::Relaxed);
    Ok(made)
}

/// An overlay of `lowers` (topmost first) that nothing can be written to. Overlayfs wants two directories at least.
pub(super) fn view(
    lowers: &[PathBuf],
    empty: PathBuf,
    label: Option<&str>,
    shown: Shown<'_>,
) -> Result<OwnedFd> {
    let mut lowers = lowers.to_vec();
    if lowers.len() == 1 {
        lowers.push(empty);
    }
    mount(&lowers, None, Traits { label, ..Traits::default() }, shown)
}

/// Made so as on a kernel that wants layers attached.
#[cfg(test)]
pub(super) fn mount_attached(lowers: &[PathBuf], own: &Path, shown: Shown<'_>) -> Result<OwnedFd> {
    let layers = Layers {
        lowers: lowers.iter().map(|path| directory(path, shown)).collect::<Result<_>>()?,
        own: Some(directory(own, shown)?),
        traits: Traits::default(),
        maker: shown.maker,
    };
    layers.attached()
}

impl Layers<'_> {
    /// `each`: the kernel takes one layer an option, since 6.7.
    fn overlay(&self, each: bool) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |dir: &OwnedFd, name: &str| rustix::fs::openat(dir, name, flags, Mode::empty());
        // beneath one mount, as overlayfs wants
        let own = match &self.own {
            Some(dir) => vec![open(dir, UPPER)?, open(dir, WORK)?],
            None => Vec::new(),
        };
        let name = |fd: &OwnedFd| format!("/proc/self/fd/{}", fd.as_raw_fd());
        let own: Vec<String> = own.iter().map(name).collect();
        let lowers: Vec<String> = self.lowers.iter().map(name).collect();
        let (uid, gid) = self.maker;
        sys::owner::as_owner(uid, gid, || {
            if each {
                let lowers = lowers.iter().map(|lower| ("lowerdir+", lower.as_str()));
                return configure(lowers, &own, self.traits);
            }
            let all = lowers.join(":");
            configure([("lowerdir", all.as_str())].into_iter(), &own, self.traits)
        })?
    }

    /// The same with the layers attached in a thread's own mount namespace.
    fn attached(self) -> Result<OwnedFd> {
        let failed = |error| refused("make the overlay of idmapped layers", error);
        let inside = || -> rustix::io::Result<OwnedFd> {
            sys::process::unshare(Namespaces::MOUNT)?;
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            rustix::mount::mount_change("/", private)?;
            for layer in self.lowers.iter().chain(&self.own) {
                let place = rustix::fs::open(PLACE, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
                sys::mount::attach(layer, &place)?;
            }
            match self.overlay(true) {
                Err(Errno::INVAL) => self.overlay(false),
                made => made,
            }
        };
        let joined = std::thread::scope(|scope| scope.spawn(inside).join());
        joined.unwrap_or(Err(Errno::INVAL)).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    /// A user namespace in which 0 to 9 are the host's 5000 to 5009.
    fn user() -> OwnedFd {
        let (wait, stay) = sys::fd::pipe().unwrap();
        let mut stay = Some(stay);
        let ours = &mut stay;
        let namespaces = Namespaces::USER;
        let options = sys::process::CloneOptions { namespaces, ..Default::default() };
        let child = sys::process::clone3(&options, || {
            *ours = None;
            let _ = rustix::io::read(&wait, &mut [0u8; 1]);
            0
        });
        let child = child.unwrap();
        let at = |name: &str| format!("/proc/{}/{name}", child.pid.as_raw_nonzero());
        std::fs::write(at("uid_map"), "0 5000 10").unwrap();
        std::fs::write(at("gid_map"), "0 5000 10").unwrap();
        let user = std::fs::File::open(at("ns/user")).unwrap();
        drop(stay);
        child.wait().unwrap();
        user.into()
    }

    #[test]
    fn layers_and_what_is_written_are_shown_with_other_ids() {
        let user = user();
        let shown = Shown { user: user.as_fd(), maker: (5000, 5000) };
        for how in 0..2 {
            let dir = tempfile::tempdir().unwrap();
            let at = |name: &str| dir.path().join(name);
            for name in ["a", "b", "own", "own/upper", "own/work"] {
                std::fs::create_dir(at(name)).unwrap();
            }
            std::fs::set_permissions(at("own/upper"), PermissionsExt::from_mode(0o755)).unwrap();
            std::fs::write(at("a/low"), "").unwrap();
            std::os::unix::fs::chown(at("a/low"), Some(3), Some(4)).unwrap();
            std::fs::write(at("b/foreign"), "").unwrap();
            std::os::unix::fs::chown(at("b/foreign"), Some(11), Some(0)).unwrap();
            let (lowers, own) = ([at("b"), at("a")], at("own"));
            let root = match how {
                0 => mount(&lowers, Some(&own), Traits::default(), shown),
                _ => mount_attached(&lowers, &own, shown),
            };
            let root = root.unwrap();
            let owner = |name: &str| {
                let stat = rustix::fs::statat(&root, name, rustix::fs::AtFlags::empty()).unwrap();
                (stat.st_uid, stat.st_gid)
            };
            assert_eq!((owner("low"), owner("foreign")), ((5003, 5004), (65_534, 5000)));
            let make = || rustix::fs::mkdirat(&root, "new", Mode::RWXU);
            assert_eq!(make(), Err(Errno::OVERFLOW));
            sys::owner::as_owner(5000, 5000, make).unwrap().unwrap();
            rustix::fs::chownat(
                &root,
                "low",
                Some(rustix::fs::Uid::from_raw(5009)),
                None,
                rustix::fs::AtFlags::empty(),
            )
            .unwrap();
            let on_disk = |name: &str| std::fs::metadata(own.join("upper").join(name)).unwrap();
            assert_eq!((on_disk("new").uid(), on_disk("low").uid(), on_disk("low").gid()), (0, 9, 4));
        }
    }
}
