//! The mount table: what each entry means, with the sources of bind mounts opened already. They are opened by the
//! maker, in the host's mount namespace and with its rights; the container's first process only attaches them.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use oci_spec::runtime::{LinuxIdMapping, Mount};
use sys::mount::{Change, Propagation};

use super::options::{self, Options};
use crate::CreateOptions;
use crate::error::{Context, Error, Result};
use crate::userns;

/// Where a mount comes from.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A detached copy of a mount of the host; whether it is a directory.
    Bind(OwnedFd, bool),
    /// A view on the container's own control groups.
    Cgroup,
    /// Changes of what is mounted there already (`remount`).
    Remount,
    /// A filesystem type to be made inside, with this source.
    Filesystem { name: String, source: String },
}

/// One entry of the table.
#[derive(Debug)]
pub(crate) struct Planned<'a> {
    pub(crate) destination: &'a Path,
    pub(crate) kind: Kind,
    pub(crate) options: Options,
}

/// Works out the whole table.
pub(crate) fn plan<'a>(o: &CreateOptions<'a>, root: Option<Propagation>) -> Result<Vec<Planned<'a>>> {
    let table = o.spec.mounts().as_deref().unwrap_or(&[]);
    table.iter().enumerate().map(|(index, mount)| one(o, index, mount, root)).collect()
}

/// `linux.mountLabel`, SELinux's of the file systems that are made; it must not be without effect.
pub(crate) fn label<'a>(o: &CreateOptions<'a>) -> Result<Option<&'a str>> {
    let linux = o.spec.linux().as_ref();
    let label = linux.and_then(|linux| linux.mount_label().as_deref()).filter(|label| !label.is_empty());
    match label {
        Some(label) if !sys::selinux::is_enabled() => {
            Err(Error::invalid("mountLabel", format!("{label}: SELinux is not enabled on this host")))
        }
        label => Ok(label),
    }
}

fn one<'a>(
    o: &CreateOptions<'a>,
    index: usize,
    mount: &'a Mount,
    root: Option<Propagation>,
) -> Result<Planned<'a>> {
    let destination = mount.destination();
    if destination.components().all(|c| c == Component::RootDir || c == Component::CurDir) {
        return Err(Error::invalid("mounts", format!("{}: can't be mounted over", destination.display())));
    }
    let options = options::parse(mount.options().as_deref().unwrap_or(&[]));
    let typ = mount.typ().as_deref().unwrap_or("");
    let handed = o.mounts.iter().find(|(i, _)| *i == index).map(|(_, fd)| *fd);
    together(mount)?;
    let kind = if options.remount {
        Kind::Remount
    } else if let Some(fd) = handed {
        bind_kind(sys::fd::dup_above(fd, 3).step("mount source", destination.display())?, destination)?
    } else if typ == "bind" || options.bind.is_some() {
        bind(o, mount, &options, root)?
    } else if typ == "cgroup" || typ == "cgroup2" {
        Kind::Cgroup
    } else if typ.is_empty() {
        return Err(Error::invalid("mounts", format!("{}: has no type", destination.display())));
    } else {
        let source = mount.source().as_ref().map_or(typ.into(), |s| s.display().to_string());
        Kind::Filesystem { name: typ.to_owned(), source }
    };
    if !matches!(kind, Kind::Bind(..)) && (options.idmap.is_some() || mount.uid_mappings().is_some()) {
        return Err(Error::invalid(
            "mounts",
            format!("{}: only bind mounts are idmapped", destination.display()),
        ));
    }
    Ok(Planned { destination, kind, options })
}

/// Mappings of users without such of groups, or the other way round, are half of a wish.
fn together(mount: &Mount) -> Result<()> {
    if mount.uid_mappings().is_some() == mount.gid_mappings().is_some() {
        return Ok(());
    }
    let what = mount.destination().display();
    Err(Error::invalid("mounts", format!("{what}: uidMappings and gidMappings must be given together")))
}

fn bind(o: &CreateOptions<'_>, mount: &Mount, options: &Options, root: Option<Propagation>) -> Result<Kind> {
    let missing = || Error::invalid("mounts", format!("{}: has no source", mount.destination().display()));
    let source = o.bundle.join(mount.source().as_ref().ok_or_else(missing)?);
    let recursive = options.bind.unwrap_or(false);
    let fd = sys::mount::clone_path(&source, recursive).step("mount source", source.display())?;
    // Of a shared mount this copy is a peer: make it what a copy in a slave (or private) namespace would be.
    let below = match root {
        Some(Propagation::Private | Propagation::Unbindable) => Some(Propagation::Private),
        Some(Propagation::Shared) => None,
        Some(Propagation::Slave) | None => Some(Propagation::Slave),
    };
    if below.is_some() {
        let change = Change { propagation: below, recursive: true, ..Change::default() };
        sys::mount::change(&fd, &change).step("mount propagation", source.display())?;
    }
    idmap(o, mount, options, &fd)
        .map_err(|e| Error { detail: format!("{}: {}", source.display(), e.detail), ..e })?;
    bind_kind(fd, &source)
}

fn bind_kind(fd: OwnedFd, what: &Path) -> Result<Kind> {
    let stat = rustix::fs::fstat(&fd).step("mount source", what.display())?;
    let directory = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir();
    Ok(Kind::Bind(fd, directory))
}

/// Makes the copy idmapped: by its own mappings, or by the container's.
fn idmap(o: &CreateOptions<'_>, mount: &Mount, options: &Options, fd: &OwnedFd) -> Result<()> {
    let own = mount.uid_mappings().as_ref().zip(mount.gid_mappings().as_ref());
    if own.is_none() && options.idmap.is_none() {
        return Ok(());
    }
    let linux = o.spec.linux().as_ref();
    let container = linux.and_then(|l| l.uid_mappings().as_ref().zip(l.gid_mappings().as_ref()));
    let (uids, gids): (&Vec<LinuxIdMapping>, _) = own
        .or(container)
        .ok_or_else(|| Error::invalid("idmap", "neither the mount nor the container has mappings"))?;
    userns::idmap(fd.as_fd(), uids, gids, options.idmap.unwrap_or(false))
}
