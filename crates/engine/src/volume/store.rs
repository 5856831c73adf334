//! Volumes on disk. A volume appears and goes by one rename, so that whatever happens it is there whole or not at all;
//! what a crash leaves beside has a name that no volume can have, and is swept at the next start.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;

use jiff::Timestamp;
use rustix::fs::RenameFlags;
use serde::{Deserialize, Serialize};
use sys::path::Root;

use super::{ANONYMOUS, Volume, VolumeRequest, claims, event};
use crate::container::security::selinux;
use crate::container::{Container, MountKind};
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::layout::{Layout, VOLUME_GONE, VOLUME_NEW, VOLUME_RECORD};
use crate::userns::IdMap;

/// Longest record, bytes.
const MOST_BYTES: usize = 1 << 20;
/// Format of the record; without a number it is the first. A reader refuses a newer one.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(default = "first")]
    version: u32,
    #[serde(flatten)]
    volume: Volume,
}

fn first() -> u32 {
    VERSION
}

/// Makes a volume if it is missing; says whether it is new. It belongs to the root of whoever has these ids. `sure` = it
/// survives a power cut from now on.
///
/// # Errors
/// The disk is full.
pub(crate) fn ensure(
    engine: &Inner,
    request: &VolumeRequest,
    ids: Option<&IdMap>,
    anonymous: bool,
    sure: bool,
) -> Result<bool> {
    let (layout, name) = (&engine.layout, &request.name);
    if layout.volume(name).join(VOLUME_RECORD).exists() {
        return Ok(false);
    }
    let mut labels = request.labels.clone();
    if anonymous {
        labels.insert(ANONYMOUS.to_owned(), String::new());
    }
    let volume = Volume {
        name: name.clone(),
        created: Timestamp::now(),
        mountpoint: layout.volume_data(name),
        labels,
        options: request.options.clone(),
        anonymous,
        protected: false,
    };
    let label = engine.selinux.shared_label();
    let made = make(layout, &volume, (ids.and_then(IdMap::root), &label), sure)?;
    if made {
        event::publish(engine, "create", name, &[]);
    }
    Ok(made)
}

fn make(
    layout: &Layout,
    volume: &Volume,
    (owner, label): (Option<(u32, u32)>, &str),
    sure: bool,
) -> Result<bool> {
    let name = &volume.name;
    let failed = |error| Error::because(format!("create volume {name}"), error);
    let new = layout.volumes().join(format!("{VOLUME_NEW}{}", crate::id::random()?));
    let build = || -> std::io::Result<bool> {
        DirBuilder::new().mode(0o700).create(&new)?;
        let data = new.join(crate::layout::VOLUME_DATA);
        DirBuilder::new().mode(0o755).create(&data)?;
        if let Some((uid, gid)) = owner {
            std::os::unix::fs::chown(&data, Some(uid), Some(gid))?;
        }
        selinux::label(&data, label)?;
        write(&new, volume, sure)?;
        let parent = sys::file::open_directory(layout.volumes())?;
        let from = new.file_name().unwrap_or_default();
        match rustix::fs::renameat_with(&parent, from, &parent, name.as_str(), RenameFlags::NOREPLACE) {
            // somebody else was faster
            Err(rustix::io::Errno::EXIST) => return Ok(false),
            done => done?,
        }
        if sure {
            rustix::fs::fsync(&parent)?;
        }
        Ok(true)
    };
    let made = build();
    if !matches!(made, Ok(true)) {
        // what stays is swept at the next start
        let _ = fs::remove_dir_all(&new);
    }
    made.map_err(failed)
}

fn write(directory: &std::path::Path, volume: &Volume, sure: bool) -> std::io::Result<()> {
    let bytes = serde_json::to_vec(&Record { version: VERSION, volume: volume.clone() })?;
    let directory = sys::file::open_directory(directory)?;
    if sure {
        sys::file::write_durable(directory, VOLUME_RECORD, &bytes, 0o600)
    } else {
        sys::file::write_atomic(directory, VOLUME_RECORD, &bytes, 0o600)
    }
}

/// Replaces a volume's record.
///
/// # Errors
/// The disk is full.
pub(super) fn rewrite(layout: &Layout, volume: &Volume) -> Result<()> {
    write(&layout.volume(&volume.name), volume, true)
        .map_err(|error| Error::because(format!("write the record of volume {}", volume.name), error))
}

/// Takes a volume out of sight; [`delete`] frees its space.
///
/// # Errors
/// The disk refuses.
pub(super) fn discard(layout: &Layout, name: &str) -> Result<String> {
    let gone = format!("{VOLUME_GONE}{}", crate::id::random()?);
    fs::rename(layout.volume(name), layout.volumes().join(&gone))
        .map_err(|error| Error::because(format!("remove volume {name}"), error))?;
    Ok(gone)
}

/// Removes what [`discard`] has taken out of sight.
///
/// # Errors
/// The disk refuses.
pub(super) fn delete(layout: &Layout, gone: &str) -> Result<()> {
    let failed = |error| Error::because(format!("remove {gone}"), error);
    let parent = Root::open_strict(layout.volumes()).map_err(failed)?;
    rustix::fs::fsync(&parent).map_err(|errno| failed(errno.into()))?;
    parent.remove_all(gone).map_err(|errno| failed(errno.into()))
}

/// A volume by name; `None` when there is none, or its record can't be read.
pub(crate) fn read(layout: &Layout, name: &str) -> Option<Volume> {
    if !crate::id::is_name(name) {
        return None;
    }
    let bytes = sys::file::read_bounded(layout.volume(name).join(VOLUME_RECORD), MOST_BYTES).ok()?;
    match serde_json::from_slice::<Record>(&bytes) {
        Ok(record) if record.version <= VERSION && record.volume.name == name => {
            Some(Volume { mountpoint: layout.volume_data(name), ..record.volume })
        }
        Ok(_) => None,
        Err(error) => {
            tracing::warn!(volume = name, %error, "the record can't be read: the volume is left alone");
            None
        }
    }
}

/// All volumes with a readable record, by name.
pub(super) fn list(layout: &Layout) -> Vec<Volume> {
    let Ok(entries) = fs::read_dir(layout.volumes()) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut volumes: Vec<Volume> = names.filter_map(|name| read(layout, &name)).collect();
    volumes.sort_by(|a, b| a.name.cmp(&b.name));
    volumes
}

/// Removes what a crash has left half-made or half-removed.
pub(crate) fn sweep(layout: &Layout) {
    let Ok(entries) = fs::read_dir(layout.volumes()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(VOLUME_NEW) && !name.starts_with(VOLUME_GONE) {
            continue;
        }
        if let Err(error) = delete(layout, &name) {
            tracing::warn!(%error, "an orphan of the volumes stays");
        }
    }
}

/// A removed container leaves its volumes: the anonymous ones go with it if that is wanted, unless somebody else has
/// them or they are protected.
pub(crate) fn leave(engine: &Inner, container: &Container, remove: bool) {
    if !remove {
        return;
    }
    for mount in container.mounts.iter().filter(|mount| mount.kind == MountKind::Volume && mount.anonymous) {
        if let Err(error) = leave_one(engine, container, &mount.name) {
            tracing::warn!(volume = %mount.name, %error, "the volume could not be removed");
        }
    }
}

fn leave_one(engine: &Inner, container: &Container, name: &str) -> Result<()> {
    let claims = claims::lock(engine);
    let others = claims::users(engine, &claims, name).iter().any(|user| *user != container.id);
    let Some(volume) = read(&engine.layout, name).filter(|volume| !others && !volume.protected) else {
        return Ok(());
    };
    let gone = discard(&engine.layout, &volume.name)?;
    drop(claims);
    event::publish(engine, "destroy", name, &[]);
    delete(&engine.layout, &gone)
}

/// Bytes that the files beneath a directory take on the disk, as `system df` counts them.
pub(crate) fn size(directory: &std::path::Path) -> u64 {
    sys::usage::below(directory).unwrap_or_else(|error| {
        tracing::debug!(path = %directory.display(), %error, "not counted");
        0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(root: &tempfile::TempDir) -> Layout {
        let layout = Layout::new(root.path(), root.path());
        fs::create_dir(layout.volumes()).unwrap();
        layout
    }

    #[test]
    fn a_record_of_the_first_format_is_read_and_a_newer_one_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let layout = layout(&root);
        let put = |name: &str, text: &str| {
            fs::create_dir(layout.volume(name)).unwrap();
            fs::write(layout.volume(name).join(VOLUME_RECORD), text).unwrap();
        };
        let fields = r#""created":"2026-01-01T00:00:00Z","mountpoint":"/old/_data","labels":{"a":"b"},"options":{},"anonymous":false"#;
        put("first", &format!(r#"{{"name":"first",{fields}}}"#));
        put("newer", &format!(r#"{{"version":9,"name":"newer",{fields}}}"#));
        put("other", &format!(r#"{{"name":"another",{fields}}}"#));
        put("broken", "{");
        let read = list(&layout);
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].labels["a"].as_str(), read[0].protected), ("b", false));
        assert_eq!(read[0].mountpoint, layout.volume_data("first"));
        assert_eq!(super::read(&layout, "../first"), None);
    }

    #[test]
    fn a_crash_leaves_nothing_and_takes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let layout = layout(&root);
        let volume = Volume {
            name: "kept".to_owned(),
            created: Timestamp::now(),
            mountpoint: layout.volume_data("kept"),
            labels: Default::default(),
            options: Default::default(),
            anonymous: false,
            protected: false,
        };
        assert!(make(&layout, &volume, (None, ""), true).unwrap());
        assert!(!make(&layout, &volume, (None, ""), true).unwrap());
        let half = layout.volumes().join(format!("{VOLUME_NEW}1/_data"));
        fs::create_dir_all(half).unwrap();
        let removed = Volume { name: "removed".to_owned(), ..volume };
        make(&layout, &removed, (None, ""), false).unwrap();
        discard(&layout, "removed").unwrap();
        // a directory without a record is nobody's to remove
        fs::create_dir(layout.volume("unknown")).unwrap();
        sweep(&layout);
        let mut left: Vec<_> =
            fs::read_dir(layout.volumes()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["kept", "unknown"]);
    }
}
