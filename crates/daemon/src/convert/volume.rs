//! Volumes.

use api::volume as wire;
use engine::volume::Volume;

use super::time;

/// A volume; all of them are of the local driver.
pub(crate) fn volume(volume: Volume) -> wire::Volume {
    wire::Volume {
        created_at: time::rfc3339(Some(volume.created)),
        driver: "local".to_owned(),
        labels: volume.labels,
        mountpoint: volume.mountpoint.to_string_lossy().into_owned(),
        name: volume.name,
        options: volume.options,
        scope: "local".to_owned(),
        protected: volume.protected,
        ..wire::Volume::default()
    }
}
