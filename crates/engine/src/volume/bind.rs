//! A container's mounts as what its specification binds. Blocks: sources are made, looked up or mounted.

use std::fs::DirBuilder;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::source::{self, Source};
use super::{Shared, parse_mode, propagation, tmpfs};
use crate::container::security::selinux;
use crate::container::{Container, FileMount, MountKind, MountPoint};
use crate::engine::Inner;
use crate::error::{Error, Result};

/// Everything that is mounted over the root beside the standard mounts.
#[derive(Default)]
pub(crate) struct Binds {
    pub(crate) files: Vec<FileMount>,
    /// Those of the files whose source is a mount in hand.
    pub(crate) handed: Vec<Handed>,
    /// To be kept until the container runs: then others can share its mounts.
    pub(crate) shared: Shared,
}

/// A detached mount that is the source of one of the files.
pub(crate) struct Handed {
    /// Where it goes.
    pub(crate) destination: String,
    pub(crate) mount: OwnedFd,
    /// The volume, when other containers may want the same mount later; else empty.
    pub(crate) keep: String,
}

/// Collects them.
///
/// # Errors
/// A source is missing, or can't be mounted.
pub(crate) fn binds(engine: &Inner, container: &Container, mut shared: Shared) -> Result<Binds> {
    let mut binds = Binds::default();
    for (path, options) in &container.host.tmpfs {
        binds.files.push(tmpfs(path.clone(), options)?);
    }
    let covered = |point: &&MountPoint| !container.host.tmpfs.contains_key(&point.destination);
    for point in container.mounts.iter().filter(covered) {
        if point.kind == MountKind::Tmpfs {
            binds.files.push(tmpfs(point.destination.clone(), &point.tmpfs)?);
            continue;
        }
        let mut asked = point.propagation.clone();
        if point.kind == MountKind::Bind {
            make_source(point)?;
            asked = propagation::of_bind(engine, Path::new(&point.source), &asked)?;
        }
        let source = source::of(engine, container, point, &mut shared)?;
        relabel(engine, container, point, &source)?;
        let source = match source {
            Source::Path(path) => path,
            Source::Mount(mount) => {
                let keep = if point.device { point.name.clone() } else { String::new() };
                binds.handed.push(Handed { destination: point.destination.clone(), mount, keep });
                PathBuf::from(&point.source)
            }
        };
        binds.files.push(bind(point, source, &asked));
    }
    binds.shared = shared;
    Ok(binds)
}

/// Labels the files of a mount that is asked to be for this container, or for all; a volume mostly is.
fn relabel(engine: &Inner, container: &Container, point: &MountPoint, source: &Source) -> Result<()> {
    if !engine.selinux.is_enabled() {
        return Ok(());
    }
    let Some(sharing) = parse_mode(&point.mode).and_then(|words| words.sharing) else { return Ok(()) };
    let label = engine.selinux.file_label(container, sharing);
    let keep = [engine.config.data_root.as_path(), engine.config.exec_root.as_path()];
    let name = if point.name.is_empty() { &point.source } else { &point.name };
    match source {
        Source::Path(path) => selinux::relabel(selinux::open(path)?.as_fd(), name, &label, &keep),
        Source::Mount(mount) => selinux::relabel(mount.as_fd(), name, &label, &keep),
    }
}

/// `-v` makes a missing source directory, as Docker always has.
fn make_source(point: &MountPoint) -> Result<()> {
    let source = Path::new(&point.source);
    if source.exists() {
        return Ok(());
    }
    if point.must_exist {
        return Err(Error::bad_parameter(format!(
            "invalid mount config for type \"bind\": bind source path does not exist: {}",
            source.display()
        )));
    }
    DirBuilder::new().recursive(true).mode(0o755).create(source).map_err(|error| {
        Error::because(format!("error while creating mount source path '{}'", source.display()), error)
    })
}

fn bind(point: &MountPoint, source: PathBuf, propagation: &str) -> FileMount {
    let propagation = if propagation.is_empty() { "rprivate" } else { propagation };
    let mut options =
        vec![if point.non_recursive { "bind" } else { "rbind" }.to_owned(), propagation.to_owned()];
    // without `rw`: what is read-only on the host, or by the volume's own options, stays so
    if !point.rw {
        options.push("ro".to_owned());
        if !point.read_only_non_recursive && !point.non_recursive {
            options.push("rro".to_owned());
        }
    }
    FileMount { source: Some(source), destination: point.destination.clone(), options }
}

fn tmpfs(destination: String, options: &str) -> Result<FileMount> {
    Ok(FileMount { source: None, destination, options: tmpfs::merge(options)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_only_reaches_beneath_unless_it_is_told_not_to() {
        let options = |read_only_non_recursive| {
            let destination = "/a".to_owned();
            let point = MountPoint { destination, read_only_non_recursive, ..MountPoint::default() };
            bind(&point, PathBuf::from("/b"), "").options
        };
        assert_eq!(options(false), ["rbind", "rprivate", "ro", "rro"]);
        assert_eq!(options(true), ["rbind", "rprivate", "ro"]);
    }
}
