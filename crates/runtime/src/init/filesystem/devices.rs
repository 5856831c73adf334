//! Device nodes in the container's `/dev`, and the links that programs expect there.

use std::os::fd::OwnedFd;
use std::path::Path;

use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};
use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid};
use sys::Errno;

use super::target;
use crate::error::{Context, Error, Result};
use crate::init::State;
use crate::job::Job;
use crate::plan::mounts::Kind;

const STEP: &str = "device";

/// One node to make.
struct Node<'a> {
    path: &'a Path,
    kind: FileType,
    number: u64,
    mode: u32,
    uid: u32,
    gid: u32,
}

/// What every container has, by name and number.
const DEFAULTS: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];

/// Makes them all; nothing when `/dev` is bound from the host, whose nodes are not ours to touch.
pub(super) fn all(job: &Job<'_>, state: &State) -> Result<()> {
    let bound = |m: &crate::plan::mounts::Planned<'_>| {
        matches!(m.kind, Kind::Bind(..)) && m.destination.components().eq(Path::new("/dev").components())
    };
    if job.mounts.iter().any(bound) {
        return Ok(());
    }
    let devices = job.devices();
    for (name, major, minor) in DEFAULTS {
        if !devices.iter().any(|d| d.path() == Path::new(name)) {
            let number = rustix::fs::makedev(major, minor);
            let path = Path::new(name);
            let kind = FileType::CharacterDevice;
            one(job, state, &Node { path, kind, number, mode: 0o666, uid: 0, gid: 0 })?;
        }
    }
    for device in devices {
        one(job, state, &node(device)?)?;
    }
    links(state)
}

fn node(device: &LinuxDevice) -> Result<Node<'_>> {
    let path = device.path().as_path();
    let bad = |why: &str| Error::invalid(STEP, format!("{}: {why}", path.display()));
    let kind = match device.typ() {
        LinuxDeviceType::B => FileType::BlockDevice,
        LinuxDeviceType::C | LinuxDeviceType::U => FileType::CharacterDevice,
        LinuxDeviceType::P => FileType::Fifo,
        LinuxDeviceType::A => return Err(bad("the type must be b, c, u or p")),
    };
    let part = |n: i64| u32::try_from(n).or(Err(bad("the number is out of range")));
    let number = if kind == FileType::Fifo {
        0
    } else {
        rustix::fs::makedev(part(device.major())?, part(device.minor())?)
    };
    if !path.is_absolute() || path.file_name().is_none() {
        return Err(bad("must be an absolute path"));
    }
    Ok(Node {
        path,
        kind,
        number,
        mode: device.file_mode().unwrap_or(0o666) & 0o7777,
        uid: device.uid().unwrap_or(0),
        gid: device.gid().unwrap_or(0),
    })
}

fn one(job: &Job<'_>, state: &State, node: &Node<'_>) -> Result<()> {
    let what = node.path.display();
    let parent = node.path.parent().unwrap_or(Path::new("/"));
    let directory = target::directory(&state.root, parent)?;
    let name = node.path.file_name().unwrap_or_default();
    if job.in_user_namespace() {
        return bind_from_host(state, node);
    }
    match make(&directory, name.as_ref(), node) {
        Err(Errno::PERM) => bind_from_host(state, node),
        other => other.step(STEP, what),
    }
}

/// Makes the node; one of the image that is in the way must be the same device, or goes.
fn make(directory: &OwnedFd, name: &Path, node: &Node<'_>) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(node.mode);
    match rustix::fs::mknodat(directory, name, node.kind, mode, node.number) {
        Err(Errno::EXIST) => {
            let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let same = FileType::from_raw_mode(stat.st_mode) == node.kind && stat.st_rdev == node.number;
            if !same {
                rustix::fs::unlinkat(directory, name, AtFlags::empty())?;
                rustix::fs::mknodat(directory, name, node.kind, mode, node.number)?;
            }
        }
        other => other?,
    }
    if (node.uid, node.gid) == (0, 0) {
        return Ok(()); // it was made by root
    }
    let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
    rustix::fs::chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

/// In a user namespace nodes can't be made: the host's node of the same name is bound.
fn bind_from_host(state: &State, node: &Node<'_>) -> Result<()> {
    let what = node.path.display();
    let fd = sys::mount::clone_path(node.path, false).step(STEP, &what)?;
    let stat = rustix::fs::fstat(&fd).step(STEP, &what)?;
    if stat.st_rdev != node.number {
        return Err(Error::text(STEP, format!("{what}: the host's device of this name has another number")));
    }
    super::mounts::make_private(&fd)?;
    let target = target::file(&state.root, node.path)?;
    sys::mount::attach(&fd, &target).step(STEP, &what)
}

fn links(state: &State) -> Result<()> {
    for (text, path) in LINKS {
        link(state, text, path)?;
    }
    if state.root.lstat("/proc/kcore").is_ok() {
        link(state, "/proc/kcore", "/dev/core")?;
    }
    // a ptmx of the image would open the wrong devpts instance
    match state.root.remove_file("/dev/ptmx") {
        Ok(()) | Err(Errno::NOENT | Errno::BUSY) => {}
        Err(e) => return Err(e).step(STEP, "/dev/ptmx"),
    }
    link(state, "pts/ptmx", "/dev/ptmx")
}

fn link(state: &State, text: &str, path: &str) -> Result<()> {
    match state.root.symlink(text, path) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(e) => Err(e).step(STEP, path),
    }
}
