//! `--mount type=image`: a view of an image's files. It stands on a snapshot of its own, so that the layers stay as
//! long as the container, whatever becomes of the image, and go with the container's root; nobody can write to it.

use std::os::fd::OwnedFd;

use sha2::{Digest as _, Sha256};

use crate::container::{Container, MountKind, MountPoint, owners};
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::userns::IdMap;

/// What is between a container's id and the mark of its mount.
const SEPARATOR: char = '.';
/// Digits of a mount's mark.
const DIGITS: usize = 16;

/// The snapshot of a container's view of an image.
fn snapshot_name(container: &str, destination: &str) -> String {
    let mark = hex::encode(Sha256::digest(destination));
    format!("{container}{SEPARATOR}{}", &mark[..DIGITS])
}

/// Whether a container shows an image (by id) in one of its mounts.
pub(crate) fn is_image_of(container: &Container, image: &str) -> bool {
    container.mounts.iter().any(|mount| mount.kind == MountKind::Image && mount.image_id == image)
}

fn images(container: &Container) -> impl Iterator<Item = &MountPoint> {
    container.mounts.iter().filter(|mount| mount.kind == MountKind::Image)
}

/// The images that a container shows, by what they were called, and their ids.
pub(crate) fn images_of(container: &Container) -> impl Iterator<Item = (&str, &str)> {
    images(container).map(|mount| (mount.name.as_str(), mount.image_id.as_str()))
}

/// Makes the snapshots of a new container's views. Blocks.
///
/// # Errors
/// The image has gone; the disk is full.
pub(super) fn create(engine: &Inner, container: &Container) -> Result<()> {
    for mount in images(container) {
        let id = crate::image::parse_id(&mount.image_id).ok_or_else(|| Error::no_such_image(&mount.name))?;
        let name = snapshot_name(&container.id, &mount.destination);
        // another image was shown there before
        engine.store.remove_snapshot(&name)?;
        engine.store.create_snapshot(&name, &id, owners(engine, container).as_ref())?;
    }
    Ok(())
}

/// The view as a detached mount.
///
/// # Errors
/// The storage driver's refusal.
pub(super) fn mount(engine: &Inner, container: &Container, point: &MountPoint) -> Result<OwnedFd> {
    let name = snapshot_name(&container.id, &point.destination);
    let user = container.ids.as_ref().map(IdMap::holder).transpose()?;
    let label = engine.selinux.mount_label(container);
    let mounted = engine.store.snapshot(&name).and_then(|snapshot| match (snapshot.labelled(label), &user) {
        (snapshot, Some(user)) => snapshot.mount_image_mapped(user.shown()),
        (snapshot, None) => snapshot.mount_image(),
    });
    mounted.map_err(|error| Error::because(format!("mount image {}", point.name), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_belongs_to_its_container() {
        let name = snapshot_name(&"a".repeat(64), "/x");
        assert!(name.starts_with(&format!("{}.", "a".repeat(64))));
        assert_ne!(name, snapshot_name(&"a".repeat(64), "/y"));
    }
}
