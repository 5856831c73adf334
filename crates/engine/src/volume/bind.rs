//! A container's mounts as what its specification binds. Blocks: sources are made or looked up.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use crate::container::{Container, FileMount, MountKind, MountPoint};
use crate::engine::Inner;
use crate::error::{Error, Result};

/// Everything that is mounted over the root beside the standard mounts.
///
/// # Errors
/// A source is missing.
pub(crate) fn binds(engine: &Inner, container: &Container) -> Result<Vec<FileMount>> {
    let mut binds = Vec::new();
    for point in &container.mounts {
        binds.push(match point.kind {
            MountKind::Tmpfs => tmpfs_of_mount(container, point),
            MountKind::Volume => {
                crate::volume::ensure(&engine.layout, &point.name, &Default::default(), point.anonymous)?;
                bind(point, volume_path(point)?, true)
            }
            _ => {
                let source = PathBuf::from(&point.source);
                make_source(container, &source)?;
                let recursive = !non_recursive_read_only(container, point);
                bind(point, source, recursive)
            }
        });
    }
    for (path, options) in &container.host.tmpfs {
        binds.push(tmpfs(path.clone(), options));
    }
    Ok(binds)
}

/// A volume's directory, or one in it; never through a symlink out of it.
fn volume_path(point: &MountPoint) -> Result<PathBuf> {
    let data = PathBuf::from(&point.source);
    if point.subpath.is_empty() {
        return Ok(data);
    }
    let root = sys::path::Root::open_strict(&data)
        .map_err(|error| Error::because(format!("open volume {}", point.name), error))?;
    root.handle(&point.subpath).map_err(|error| {
        Error::because(format!("cannot access path {} in volume {}", point.subpath, point.name), error)
    })?;
    Ok(data.join(&point.subpath))
}

/// `-v` makes a missing source directory, as Docker always has.
fn make_source(container: &Container, source: &std::path::Path) -> Result<()> {
    if source.exists() {
        return Ok(());
    }
    let from_mount = container.host.mounts.iter().any(|mount| {
        std::path::Path::new(&mount.source) == source
            && !mount.bind.as_ref().is_some_and(|options| options.create_mountpoint)
    });
    if from_mount {
        return Err(Error::bad_parameter(format!(
            "invalid mount config for type \"bind\": bind source path does not exist: {}",
            source.display()
        )));
    }
    DirBuilder::new().recursive(true).mode(0o755).create(source).map_err(|error| {
        Error::because(format!("error while creating mount source path '{}'", source.display()), error)
    })
}

/// `ReadOnlyNonRecursive`: mounts beneath the source stay writable.
fn non_recursive_read_only(container: &Container, point: &MountPoint) -> bool {
    container.host.mounts.iter().any(|mount| {
        mount.kind == MountKind::Bind
            && mount.target.trim_end_matches('/') == point.destination
            && mount.bind.as_ref().is_some_and(|options| options.read_only_non_recursive)
    })
}

fn bind(point: &MountPoint, source: PathBuf, recursive: bool) -> FileMount {
    let propagation = if point.propagation.is_empty() { "rprivate" } else { &point.propagation };
    let mut options =
        vec![if point.non_recursive { "bind" } else { "rbind" }.to_owned(), propagation.to_owned()];
    if point.rw {
        options.push("rw".to_owned());
    } else {
        options.push("ro".to_owned());
        if recursive && !point.non_recursive {
            options.push("rro".to_owned());
        }
    }
    FileMount { source: Some(source), destination: point.destination.clone(), options }
}

/// Docker's defaults under what was asked for.
fn tmpfs(destination: String, options: &str) -> FileMount {
    let mut words: Vec<String> = ["noexec", "nosuid", "nodev"].map(str::to_owned).to_vec();
    for word in options.split(',').filter(|word| !word.is_empty()) {
        let opposite = match word {
            "exec" => "noexec",
            "suid" => "nosuid",
            "dev" => "nodev",
            _ => "",
        };
        words.retain(|have| have != opposite && have != word);
        words.push(word.to_owned());
    }
    FileMount { source: None, destination, options: words }
}

fn tmpfs_of_mount(container: &Container, point: &MountPoint) -> FileMount {
    let asked = container
        .host
        .mounts
        .iter()
        .find(|mount| {
            mount.kind == MountKind::Tmpfs && mount.target.trim_end_matches('/') == point.destination
        })
        .and_then(|mount| mount.tmpfs.clone())
        .unwrap_or_default();
    let mut words = asked.options.iter().map(|words| words.join("=")).collect::<Vec<_>>();
    if asked.size_bytes > 0 {
        words.push(format!("size={}", asked.size_bytes));
    }
    if asked.mode != 0 {
        words.push(format!("mode={:o}", asked.mode));
    }
    if !point.rw {
        words.push("ro".to_owned());
    }
    tmpfs(point.destination.clone(), &words.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_only_reaches_beneath_unless_it_is_told_not_to() {
        let point = MountPoint { destination: "/a".to_owned(), ..MountPoint::default() };
        let options = |recursive| bind(&point, PathBuf::from("/b"), recursive).options;
        assert_eq!(options(true), ["rbind", "rprivate", "ro", "rro"]);
        assert_eq!(options(false), ["rbind", "rprivate", "ro"]);
    }
}
