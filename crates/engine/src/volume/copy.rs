//! New volumes get what the image has at their place.

use crate::container::{Container, MountKind};
use crate::engine::Inner;
use crate::error::Result;

/// Makes a new container's volumes. Blocks.
///
/// # Errors
/// The disk is full.
pub(crate) fn prepare(engine: &Inner, container: &Container) -> Result<()> {
    for point in container.mounts.iter().filter(|point| point.kind == MountKind::Volume) {
        super::ensure(&engine.layout, &point.name, &Default::default(), point.anonymous)?;
    }
    Ok(())
}
