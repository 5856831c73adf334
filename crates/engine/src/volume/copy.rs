//! New volumes get what the image has at their place: files, owners, modes, times and attributes. Both trees are
//! walked by descriptors, and no symlink is followed.

use std::ffi::CStr;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, DirEntry, FileType, Gid, Mode, OFlags, RawMode, Stat, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;
use sys::idmap::{Map, OVERFLOW, inward, outward};
use sys::path::Root;
use tokio::runtime::Handle;

use super::source::Source;
use super::{Shared, VolumeRequest, idmap};
use crate::container::{Container, MountKind, MountPoint};
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::userns::IdMap;

/// Directories deep that are copied.
const MOST_DEPTH: usize = 256;
/// Longest extended attribute, and longest list of their names, bytes (the kernel's limits).
const MOST_ATTRIBUTE: usize = 64 << 10;

/// Makes a new container's volumes and its views of images, and fills the volumes that are empty. Blocks.
///
/// # Errors
/// The disk is full; a volume can't be mounted.
pub(crate) fn prepare(engine: &Inner, container: &Container) -> Result<()> {
    super::image::create(engine, container)?;
    let mut waiting = Vec::new();
    for point in container.mounts.iter().filter(|point| point.kind == MountKind::Volume) {
        let sure = !(point.anonymous && container.host.auto_remove);
        super::store::ensure(
            engine,
            &request(container, point),
            super::source::owner(container, point),
            point.anonymous,
            sure,
        )?;
        if !point.no_copy && (point.device || !point.subpath.is_empty() || is_empty(&point.source)) {
            waiting.push(point);
        }
    }
    if waiting.is_empty() {
        return Ok(());
    }
    // a root that is in use is not mounted a second time; in a user namespace that one shows the host's ids already
    let root = match container.state.running() {
        Some(run) => crate::container::root_of_process(run.pid)?,
        None => Root::in_root(engine.store.snapshot(&container.id)?.mount()?),
    };
    // shims are asked, which waits: this thread is one of those that may block
    let mut shared = Handle::current().block_on(super::shared(engine, container));
    for point in waiting {
        let failed = |errno: Errno| {
            let what = format!("copy {} of the image into volume {}", point.destination, point.name);
            Error::because(what, errno)
        };
        // nothing there, or a file: the volume stays as it is
        let source = match root.open_dir(&point.destination) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            source => source.map_err(failed)?,
        };
        let Some(target) = target(engine, container, point, &mut shared)? else { continue };
        if Dir::read_from(&target).map_err(failed)?.all(|entry| is_dot(&entry)) {
            directory(&source, &target, &Owners::of(container, point), 0).map_err(failed)?;
        }
    }
    Ok(())
}

/// The volume as the request wants it made.
fn request(container: &Container, point: &MountPoint) -> VolumeRequest {
    let mounts = container.host.mounts.iter();
    let wish = mounts.filter(|mount| mount.kind == MountKind::Volume).find(|mount| {
        if point.anonymous {
            mount.source.is_empty() && mount.target.trim_end_matches('/') == point.destination
        } else {
            mount.source == point.name
        }
    });
    let options = wish.and_then(|mount| mount.volume.clone()).unwrap_or_default();
    VolumeRequest {
        name: point.name.clone(),
        driver: String::new(),
        options: options.driver_options,
        labels: options.labels,
    }
}

fn is_empty(directory: &str) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

fn is_dot(entry: &Result<DirEntry, Errno>) -> bool {
    entry.as_ref().is_ok_and(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."))
}

/// The volume's directory, open; `None` when a subpath names none yet, which the start will tell.
fn target(
    engine: &Inner,
    container: &Container,
    point: &MountPoint,
    shared: &mut Shared,
) -> Result<Option<OwnedFd>> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    // files that lie with the ids inside are written as they lie
    let lying = idmap::is_own(point).then(|| MountPoint { id_map: String::new(), ..point.clone() });
    let opened = match super::source::of(engine, container, lying.as_ref().unwrap_or(point), shared) {
        Ok(Source::Path(path)) => rustix::fs::open(path, flags, Mode::empty()),
        Ok(Source::Mount(mount)) => rustix::fs::openat(mount, ".", flags, Mode::empty()),
        Err(_) if !point.subpath.is_empty() => return Ok(None),
        Err(error) => return Err(error),
    };
    match opened {
        Err(Errno::NOTDIR) => Ok(None),
        opened => {
            opened.map(Some).map_err(|errno| Error::because(format!("open volume {}", point.name), errno))
        }
    }
}

/// Copies what is in a directory, then its own attributes.
fn directory(source: &OwnedFd, target: &OwnedFd, ids: &Owners, depth: usize) -> Result<(), Errno> {
    if depth > MOST_DEPTH {
        return Err(Errno::NAMETOOLONG);
    }
    for entry in Dir::read_from(source)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            one(source.as_fd(), target.as_fd(), name, ids, depth)?;
        }
    }
    attributes(source.as_fd(), target.as_fd(), &rustix::fs::fstat(source)?, ids)
}

fn one(
    source: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    name: &CStr,
    ids: &Owners,
    depth: usize,
) -> Result<(), Errno> {
    let stat = rustix::fs::statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            rustix::fs::mkdirat(target, name, Mode::RWXU)?;
            let open = |parent| rustix::fs::openat(parent, name, flags | OFlags::DIRECTORY, Mode::empty());
            directory(&open(source)?, &open(target)?, ids, depth + 1)
        }
        FileType::RegularFile => {
            let from = rustix::fs::openat(source, name, flags | OFlags::NONBLOCK, Mode::empty())?;
            let create = flags | OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
            let to = rustix::fs::openat(target, name, create, Mode::RUSR | Mode::WUSR)?;
            let (mut from, mut to) = (File::from(from), File::from(to));
            std::io::copy(&mut from, &mut to)
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            attributes(from.as_fd(), to.as_fd(), &stat, ids)
        }
        FileType::Symlink => {
            let text = rustix::fs::readlinkat(source, name, Vec::new())?;
            rustix::fs::symlinkat(text, target, name)?;
            let (uid, gid) = owner(&stat, ids)?;
            rustix::fs::chownat(target, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
        }
        // a socket without its listener is nothing
        FileType::Socket => Ok(()),
        kind => {
            rustix::fs::mknodat(target, name, kind, mode(&stat), stat.st_rdev)?;
            let (uid, gid) = owner(&stat, ids)?;
            rustix::fs::chownat(target, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
        }
    }
}

/// How whoever owns a file of the image is called where it is copied to.
enum Owners {
    /// Alike.
    Same,
    /// The image has the ids inside, the volume those of the host.
    Outward(Map),
    /// The other way round.
    Inward(Map),
}

impl Owners {
    fn of(container: &Container, point: &MountPoint) -> Self {
        let Some(ids) = container.ids.as_ref().map(IdMap::ids) else { return Self::Same };
        match (container.state.running().is_some(), idmap::is_own(point)) {
            (false, false) => Self::Outward(ids),
            (true, true) => Self::Inward(ids),
            (false, true) | (true, false) => Self::Same,
        }
    }
}

/// Whose a copy is.
fn owner(stat: &Stat, ids: &Owners) -> Result<(Option<Uid>, Option<Gid>), Errno> {
    let outward = |ranges, id| outward(ranges, id).ok_or(Errno::OVERFLOW);
    let inward = |ranges, id| inward(ranges, id).unwrap_or(OVERFLOW);
    let (uid, gid) = match ids {
        Owners::Same => (stat.st_uid, stat.st_gid),
        Owners::Outward(ids) => (outward(&ids.uids, stat.st_uid)?, outward(&ids.gids, stat.st_gid)?),
        Owners::Inward(ids) => (inward(&ids.uids, stat.st_uid), inward(&ids.gids, stat.st_gid)),
    };
    Ok((Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))))
}

fn mode(stat: &Stat) -> Mode {
    Mode::from_raw_mode(stat.st_mode as RawMode & 0o7777)
}

/// Owner, then mode (a change of owner clears set-id bits), extended attributes, times last.
fn attributes(
    source: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    stat: &Stat,
    ids: &Owners,
) -> Result<(), Errno> {
    let (uid, gid) = owner(stat, ids)?;
    rustix::fs::fchown(target, uid, gid)?;
    rustix::fs::fchmod(target, mode(stat))?;
    extended(source, target)?;
    let time = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec as _),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec as _),
    };
    rustix::fs::futimens(target, &times)
}

fn extended(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut names = vec![MaybeUninit::uninit(); MOST_ATTRIBUTE];
    let names = match rustix::fs::flistxattr(source, &mut names[..]) {
        Ok((names, _)) => names.to_vec(),
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    let mut value = vec![MaybeUninit::uninit(); MOST_ATTRIBUTE];
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        // neither the overlay's own marks nor the root's label mean anything in a volume
        if tarball::is_reserved(name) {
            continue;
        }
        let (value, _) = rustix::fs::fgetxattr(source, name, &mut value[..])?;
        match rustix::fs::fsetxattr(target, name, value, XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_tree_is_copied_with_its_attributes() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(from.path().join("d")).unwrap();
        std::fs::write(from.path().join("d/f"), "text").unwrap();
        let readable = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(from.path().join("d/f"), readable).unwrap();
        symlink("/etc/passwd", from.path().join("link")).unwrap();
        let open = |path: &std::path::Path| OwnedFd::from(File::open(path).unwrap());
        directory(&open(from.path()), &open(to.path()), &Owners::Same, 0).unwrap();
        let file = to.path().join("d/f");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "text");
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_link(to.path().join("link")).unwrap(), std::path::Path::new("/etc/passwd"));
    }
}
