//! A container's record on disk.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::container::Container;
use crate::container::security::selinux;
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::layout::{EXIT, Layout, RECORD};

/// Format of the record. A reader refuses a newer one, and will migrate older ones.
const VERSION: u32 = 1;
/// Longest record, bytes.
const MOST_BYTES: usize = 16 << 20;

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    container: &'a Container,
}

#[derive(Deserialize)]
struct Read {
    version: u32,
    container: Container,
}

/// How sure a write is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Survives a power cut.
    Disk,
    /// Survives the daemon: enough for states that end with the machine anyway.
    Memory,
}

impl Durability {
    /// For this container: what dies with the machine anyway need not survive a power cut.
    pub(crate) fn of(self, container: &Container) -> Self {
        if container.host.auto_remove { Self::Memory } else { self }
    }
}

/// Makes a container's directory.
///
/// # Errors
/// It exists, or the disk is full.
pub(crate) fn make_directory(layout: &Layout, id: &str) -> Result<()> {
    let path = layout.container(id);
    DirBuilder::new()
        .mode(0o700)
        .create(&path)
        .map_err(|error| Error::because(format!("create directory {}", path.display()), error))
}

/// Writes the record, whole or not at all.
///
/// # Errors
/// The disk is full or fails.
pub(crate) fn write(layout: &Layout, container: &Container, durability: Durability) -> Result<()> {
    let path = layout.container(&container.id);
    let failed = |error| Error::because(format!("write record of container {}", container.short_id()), error);
    let bytes = serde_json::to_vec(&Written { version: VERSION, container })
        .map_err(|error| Error::because("encode container record", error))?;
    let directory = sys::file::open_directory(&path).map_err(failed)?;
    match durability {
        Durability::Disk => sys::file::write_durable(directory, RECORD, &bytes, 0o600).map_err(failed),
        Durability::Memory => sys::file::write_atomic(directory, RECORD, &bytes, 0o600).map_err(failed),
    }
}

/// Reads a record.
///
/// # Errors
/// There is none, or it is not one of ours.
pub(crate) fn read(directory: &Path) -> Result<Container> {
    let path = directory.join(RECORD);
    let what = || format!("read record {}", path.display());
    let bytes = sys::file::read_bounded(&path, MOST_BYTES).map_err(|error| Error::because(what(), error))?;
    let read: Read = serde_json::from_slice(&bytes).map_err(|error| Error::because(what(), error))?;
    if read.version > VERSION {
        return Err(Error::system(format!(
            "{}: format {} is newer than this berthd knows ({VERSION})",
            what(),
            read.version
        )));
    }
    Ok(read.container)
}

/// Keeps what only one container may have, and one whose record is left alone has, from others, if it can be made out.
pub(crate) fn keep_own(engine: &Inner, id: &str) {
    let bytes = sys::file::read_bounded(engine.layout.container(id).join(RECORD), MOST_BYTES);
    let Ok(bytes) = bytes else { return };
    if let Some(ids) = crate::userns::of_unreadable(&bytes) {
        engine.ids.keep(id, ids);
    }
    selinux::keep(&engine.selinux, id, &bytes);
}

/// Reads what the shim wrote about the end of a run, if it did.
pub(crate) fn read_exit(layout: &Layout, id: &str) -> Option<shim::protocol::ExitRecord> {
    let bytes = sys::file::read_bounded(layout.container(id).join(EXIT), MOST_BYTES).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Removes a container's record: from then on all else that is its own is an orphan, which the next start would sweep. One
/// that is gone is fine.
///
/// # Errors
/// The disk fails.
pub(crate) fn forget(layout: &Layout, id: &str, durability: Durability) -> Result<()> {
    let path = layout.container(id);
    let forget = || -> std::io::Result<()> {
        let directory = sys::file::open_directory(&path)?;
        rustix::fs::unlinkat(&directory, RECORD, rustix::fs::AtFlags::empty())?;
        // A container that was removed and then comes back with the power would even run, if its policy says so.
        if durability == Durability::Disk { Ok(rustix::fs::fsync(&directory)?) } else { Ok(()) }
    };
    match forget() {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::because(format!("remove the record of container {id}"), error))
        }
        _ => Ok(()),
    }
}

/// Removes a container's directory. One that is gone is fine.
///
/// # Errors
/// The disk fails.
pub(crate) fn remove_directory(layout: &Layout, id: &str) -> Result<()> {
    let path = layout.container(id);
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::because(format!("remove {}", path.display()), error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::sample;

    #[test]
    fn a_container_is_forgotten_once() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), &dir.path().join("exec"));
        let container = sample(Default::default(), Default::default());
        std::fs::create_dir_all(layout.container(&container.id)).unwrap();
        write(&layout, &container, Durability::Disk).unwrap();
        forget(&layout, &container.id, Durability::Disk).unwrap();
        assert!(!layout.container(&container.id).join(RECORD).exists());
        // by another one, and with its directory
        forget(&layout, &container.id, Durability::Disk).unwrap();
        remove_directory(&layout, &container.id).unwrap();
        forget(&layout, &container.id, Durability::Memory).unwrap();
    }

    #[test]
    fn a_record_from_before_runs_had_numbers_is_read() {
        let container = sample(Default::default(), Default::default());
        let mut record = serde_json::to_value(Written { version: VERSION, container: &container }).unwrap();
        for name in ["run", "restart_cancelled"] {
            assert!(record["container"].as_object_mut().unwrap().remove(name).is_some(), "{name}");
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(RECORD), record.to_string()).unwrap();
        assert_eq!(read(dir.path()).unwrap(), container);
    }
}
