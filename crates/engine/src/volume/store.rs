//! Volumes on disk.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;

use jiff::Timestamp;

use super::Volume;
use crate::container::{Container, MountKind};
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::layout::{Layout, VOLUME_RECORD};

/// Longest record, bytes.
const MOST_BYTES: usize = 1 << 20;

/// Makes a volume if it is missing; says whether it is new.
///
/// # Errors
/// The disk is full.
pub(crate) fn ensure(
    layout: &Layout,
    name: &str,
    labels: &BTreeMap<String, String>,
    anonymous: bool,
) -> Result<bool> {
    let failed = |error| Error::because(format!("create volume {name}"), error);
    if layout.volume(name).join(VOLUME_RECORD).exists() {
        return Ok(false);
    }
    let make = |path: &std::path::Path, mode| match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(failed(error)),
        _ => Ok(()),
    };
    make(&layout.volume(name), 0o700)?;
    make(&layout.volume_data(name), 0o755)?;
    let volume = Volume {
        name: name.to_owned(),
        created: Timestamp::now(),
        mountpoint: layout.volume_data(name),
        labels: labels.clone(),
        options: BTreeMap::new(),
        anonymous,
    };
    let bytes = serde_json::to_vec(&volume).map_err(|error| Error::because("encode volume record", error))?;
    let directory = sys::file::open_directory(layout.volume(name)).map_err(failed)?;
    sys::file::write_durable(directory, VOLUME_RECORD, &bytes, 0o600).map_err(failed)?;
    Ok(true)
}

/// Removes a volume. Its record goes first: a half-removed one is no volume any more.
///
/// # Errors
/// The disk refuses.
pub(super) fn remove(layout: &Layout, name: &str) -> Result<()> {
    let failed = |error| Error::because(format!("remove volume {name}"), error);
    fs::remove_file(layout.volume(name).join(VOLUME_RECORD)).map_err(failed)?;
    fs::remove_dir_all(layout.volume(name)).map_err(failed)
}

/// All volumes with a readable record, by name.
pub(super) fn list(layout: &Layout) -> Vec<Volume> {
    let Ok(entries) = fs::read_dir(layout.volumes()) else { return Vec::new() };
    let read = |entry: fs::DirEntry| {
        let bytes = sys::file::read_bounded(entry.path().join(VOLUME_RECORD), MOST_BYTES).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    let mut volumes: Vec<Volume> = entries.flatten().filter_map(read).collect();
    volumes.sort_by(|a, b| a.name.cmp(&b.name));
    volumes
}

/// A removed container leaves its volumes: the anonymous ones go with it, if that is wanted and nobody else has them.
pub(crate) fn leave(engine: &Inner, container: &Container, remove: bool) {
    if !remove {
        return;
    }
    for mount in &container.mounts {
        let used = || {
            engine.containers.all().iter().any(|entry| {
                entry.id != container.id
                    && entry.snapshot().mounts.iter().any(|other| other.name == mount.name)
            })
        };
        if mount.kind != MountKind::Volume || !mount.anonymous || used() {
            continue;
        }
        if let Err(error) = fs::remove_dir_all(engine.layout.volume(&mount.name))
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(volume = %mount.name, %error, "the volume could not be removed");
        }
    }
}

/// Bytes of all regular files beneath a directory, symlinks not followed.
pub(crate) fn size(directory: &std::path::Path) -> u64 {
    let mut bytes = 0;
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => waiting.push(entry.path()),
                Ok(meta) if meta.is_file() => bytes += meta.len(),
                _ => {}
            }
        }
    }
    bytes
}
