//! Where the files of a mount are: a path of the host, or a mount that stands in no mount table.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::io::Errno;
use sys::mount::{Change, Propagation};
use sys::path::Root;

use super::{Shared, Volume, VolumeRequest, idmap, image, local, store};
use crate::container::{Container, MountKind, MountPoint};
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::userns::IdMap;

/// A mount's files.
pub(super) enum Source {
    /// A trusted path of the host.
    Path(PathBuf),
    /// A detached mount; of a volume with driver options, one that others may share.
    Mount(OwnedFd),
}

/// Finds, or mounts, the files of a volume, an image or a bind. Blocks.
///
/// # Errors
/// They are not there; the kernel refuses.
pub(super) fn of(
    engine: &Inner,
    container: &Container,
    point: &MountPoint,
    shared: &mut Shared,
) -> Result<Source> {
    let source = match point.kind {
        MountKind::Volume => of_volume(engine, container, point, shared)?,
        MountKind::Image => Source::Mount(image::mount(engine, container, point)?),
        _ => Source::Path(PathBuf::from(&point.source)),
    };
    let source = if point.subpath.is_empty() { source } else { Source::Mount(beneath(source, point)?) };
    if point.id_map.is_empty() {
        return Ok(source);
    }
    let recursive = point.kind == MountKind::Bind && !point.non_recursive;
    let mount = match source {
        Source::Mount(mount) => mount,
        Source::Path(path) => copy(&path, recursive)?,
    };
    let what = if point.name.is_empty() { &point.source } else { &point.name };
    idmap::apply(&mount, &point.id_map, container.ids.as_ref(), recursive, what)?;
    Ok(Source::Mount(mount))
}

fn of_volume(
    engine: &Inner,
    container: &Container,
    point: &MountPoint,
    shared: &mut Shared,
) -> Result<Source> {
    if !point.device {
        // its record may have been lost with the disk; then it is made again, empty
        let request = VolumeRequest { name: point.name.clone(), ..VolumeRequest::default() };
        store::ensure(engine, &request, owner(container, point), point.anonymous, true)?;
        return Ok(Source::Path(engine.layout.volume_data(&point.name)));
    }
    let mount = match shared.mounts.remove(&point.name) {
        Some(mount) => mount,
        None => local::mount(&known(engine, &point.name)?)?,
    };
    // the same volume at a second place in the same container shows the same files
    if shared.wanted_again(&point.name) {
        let (first, second) = sys::mount::twice(mount)
            .map_err(|errno| Error::because(format!("mount volume {} twice", point.name), errno))?;
        shared.mounts.insert(point.name.clone(), second);
        return Ok(Source::Mount(first));
    }
    Ok(Source::Mount(mount))
}

/// Whose root a new volume is; the host's, when that is shown as the container's.
pub(super) fn owner<'a>(container: &'a Container, point: &MountPoint) -> Option<&'a IdMap> {
    container.ids.as_ref().filter(|_| !idmap::is_own(point))
}

fn known(engine: &Inner, name: &str) -> Result<Volume> {
    store::read(&engine.layout, name).ok_or_else(|| Error::not_found(format!("get {name}: no such volume")))
}

/// A copy of a host path's mount that nothing travels to or from.
fn copy(path: &std::path::Path, recursive: bool) -> Result<OwnedFd> {
    let failed = |errno: Errno| Error::because(format!("mount {}", path.display()), errno);
    let mount = sys::mount::clone_path(path, recursive).map_err(failed)?;
    let private = Change { propagation: Some(Propagation::Private), recursive, ..Change::default() };
    sys::mount::change(&mount, &private).map_err(failed)?;
    Ok(mount)
}

/// What is at the subpath: resolved by the kernel beneath an open directory, so that neither a symlink nor a rename at
/// the same time leads out of it, and held by descriptor from then on.
fn beneath(source: Source, point: &MountPoint) -> Result<OwnedFd> {
    let failed = |errno: Errno| match errno {
        Errno::XDEV => Error::bad_parameter(format!(
            "path concatenation escapes the base directory, base: {:?}, subpath: {:?}",
            point.name, point.subpath
        )),
        errno => Error::because(format!("cannot access path {} of {}", point.subpath, point.name), errno),
    };
    let resolve = |root: OwnedFd| {
        // an absolute link of an image means the image; one of a volume means the host, and leads out
        let root = if point.kind == MountKind::Image { Root::in_root(root) } else { Root::beneath(root) };
        sys::mount::clone_fd(root.handle(&point.subpath)?, false)
    };
    let mount = match source {
        Source::Path(path) => {
            let directory = sys::file::open_directory(&path)
                .map_err(|error| Error::because(format!("open volume {}", point.name), error))?;
            resolve(directory).map_err(failed)?
        }
        Source::Mount(mount) => sys::mount::inside(mount, &resolve).map_err(failed)?,
    };
    let private = Change { propagation: Some(Propagation::Private), ..Change::default() };
    sys::mount::change(mount.as_fd(), &private).map_err(failed)?;
    Ok(mount)
}
