//! `system df`: what takes space, measured where it lies.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::{ContainerUsage, DiskUsage, ImageUsage, VolumeUsage};
use crate::Engine;
use crate::container::Container;
use crate::container::task::blocking;
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::image::{ImageListOptions, parse_id};
use crate::layout;

impl Engine {
    /// What takes space.
    ///
    /// # Errors
    /// Files can't be read.
    pub async fn disk_usage(&self) -> Result<DiskUsage> {
        let images = self.image_list(ImageListOptions { all: true, ..Default::default() }).await?;
        let engine = self.clone();
        blocking(move || {
            let accounts = engine.0.store.accounts()?;
            let idle = images.iter().filter(|image| image.containers == 0);
            let idle: HashSet<oci::Digest> = idle.filter_map(|image| parse_id(&image.id)).collect();
            let build_cache = engine.0.cache_usage()?;
            let mut usage = DiskUsage {
                images_size: accounts.images_total(),
                images_reclaimable: accounts.freed_by(&idle),
                records: (accounts.rest() + engine.0.beside()?).saturating_sub(build_cache.contexts()),
                build_cache,
                ..DiskUsage::default()
            };
            let image_size = |id: &str| parse_id(id).map(|id| accounts.image(&id)).unwrap_or_default();
            for entry in engine.0.containers.all() {
                let container = entry.snapshot();
                let taken = taken(&engine.0, &container)?;
                usage.records += taken.records;
                usage.containers.push(ContainerUsage {
                    written: taken.written,
                    root: taken.written + image_size(&container.image_id).0,
                    logs: taken.logs,
                    container,
                });
            }
            engine.volumes(&mut usage)?;
            usage.images.extend(images.into_iter().map(|image| {
                let (size, shared) = image_size(&image.id);
                ImageUsage { image: Arc::new(image), size, shared }
            }));
            Ok(usage)
        })
        .await
    }

    fn volumes(&self, usage: &mut DiskUsage) -> Result<()> {
        let layout = &self.0.layout;
        for volume in self.volume_list() {
            let size = below(&volume.mountpoint)?;
            let named =
                |one: &ContainerUsage| one.container.mounts.iter().any(|mount| mount.name == volume.name);
            let users = usage.containers.iter().filter(|one| named(one)).count();
            usage.volumes.push(VolumeUsage { volume, size, users });
        }
        let files: u64 = usage.volumes.iter().map(|one| one.size).sum();
        // records and directories; what was written meanwhile is counted the next time
        usage.records += of(&layout.volumes())?.saturating_sub(files);
        Ok(())
    }
}

impl Inner {
    /// What lies below the data root beside containers, volumes and the store, and the directories themselves.
    fn beside(&self) -> Result<u64> {
        let (root, containers) = (&self.config.data_root, self.layout.containers());
        let apart = [containers.clone(), self.layout.volumes(), self.layout.store()];
        let failed = |error| Error::because(format!("read {}", root.display()), error);
        let mut sum = alone(root)? + alone(&containers)?;
        for entry in std::fs::read_dir(root).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if !apart.contains(&path) {
                sum += of(&path)?;
            }
        }
        Ok(sum)
    }
}

/// What one container takes.
pub(crate) struct Taken {
    /// What it has written to its root.
    pub(crate) written: u64,
    /// Its logs.
    pub(crate) logs: u64,
    /// Records, and the directories around it all.
    records: u64,
}

/// Measures what a container takes; one that is removed meanwhile takes nothing. Blocks.
///
/// # Errors
/// Files can't be read.
pub(crate) fn taken(engine: &Inner, container: &Container) -> Result<Taken> {
    let (written, around) = engine.store.snapshot_usage(&container.id)?;
    let directory = engine.layout.container(&container.id);
    let (mut logs, mut records) = (0, around + alone(&directory)?);
    for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
        let bytes = of(&entry.path())?;
        if layout::is_record(&entry.file_name()) { records += bytes } else { logs += bytes }
    }
    Ok(Taken { written, logs, records })
}

fn of(path: &Path) -> Result<u64> {
    sys::usage::of(path).map_err(|error| failed(path, error))
}

fn below(path: &Path) -> Result<u64> {
    sys::usage::below(path).map_err(|error| failed(path, error))
}

fn alone(path: &Path) -> Result<u64> {
    sys::usage::alone(path).map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: sys::Errno) -> Error {
    Error::because(format!("measure {}", path.display()), error)
}
