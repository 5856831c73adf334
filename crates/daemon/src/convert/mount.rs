//! Mounts: wished ones both ways, real ones to the client.

use api::container as wire;
use engine::container as model;
use engine::container::MountKind;

use crate::error::{ApiError, Result};

/// What a client sent.
pub(super) fn from_wire(mount: wire::Mount) -> Result<model::Mount> {
    let kind = kind(&mount.kind)?;
    Ok(model::Mount {
        kind,
        source: mount.source,
        target: mount.target,
        read_only: mount.read_only,
        consistency: mount.consistency,
        bind: mount.bind_options.map(bind_from_wire),
        volume: mount.volume_options.map(volume_from_wire),
        image: mount.image_options.map(|options| model::ImageOptions { subpath: options.subpath }),
        id_map: mount.id_map,
        tmpfs: mount.tmpfs_options.map(|options| model::TmpfsOptions {
            size_bytes: options.size_bytes,
            mode: options.mode,
            options: options.options,
        }),
    })
}

fn kind(name: &str) -> Result<MountKind> {
    use MountKind::{Bind, Cluster, Image, Npipe, Tmpfs, Volume};
    [Bind, Volume, Tmpfs, Image, Npipe, Cluster].into_iter().find(|kind| kind.name() == name).ok_or_else(
        || ApiError::bad_request(format!("invalid mount config for type {name:?}: mount type unknown")),
    )
}

fn bind_from_wire(options: wire::BindOptions) -> model::BindOptions {
    model::BindOptions {
        propagation: options.propagation,
        non_recursive: options.non_recursive,
        create_mountpoint: options.create_mountpoint,
        read_only_non_recursive: options.read_only_non_recursive,
        read_only_force_recursive: options.read_only_force_recursive,
    }
}

fn volume_from_wire(options: wire::VolumeOptions) -> model::VolumeOptions {
    let driver = options.driver_config.unwrap_or_default();
    model::VolumeOptions {
        no_copy: options.no_copy,
        labels: options.labels,
        driver: driver.name,
        driver_options: driver.options,
        subpath: options.subpath,
    }
}

/// What a client sees of its wish.
pub(super) fn to_wire(mount: &model::Mount) -> wire::Mount {
    wire::Mount {
        kind: mount.kind.name().to_owned(),
        source: mount.source.clone(),
        target: mount.target.clone(),
        read_only: mount.read_only,
        consistency: mount.consistency.clone(),
        bind_options: mount.bind.as_ref().map(|options| wire::BindOptions {
            propagation: options.propagation.clone(),
            non_recursive: options.non_recursive,
            create_mountpoint: options.create_mountpoint,
            read_only_non_recursive: options.read_only_non_recursive,
            read_only_force_recursive: options.read_only_force_recursive,
        }),
        volume_options: mount.volume.as_ref().map(volume_to_wire),
        image_options: mount
            .image
            .as_ref()
            .map(|options| wire::ImageOptions { subpath: options.subpath.clone() }),
        id_map: mount.id_map.clone(),
        tmpfs_options: mount.tmpfs.as_ref().map(|options| wire::TmpfsOptions {
            size_bytes: options.size_bytes,
            mode: options.mode,
            options: options.options.clone(),
        }),
    }
}

fn volume_to_wire(options: &model::VolumeOptions) -> wire::VolumeOptions {
    let plain = options.driver.is_empty() && options.driver_options.is_empty();
    wire::VolumeOptions {
        no_copy: options.no_copy,
        labels: options.labels.clone(),
        subpath: options.subpath.clone(),
        driver_config: (!plain).then(|| wire::DriverConfig {
            name: options.driver.clone(),
            options: options.driver_options.clone(),
        }),
    }
}

/// The same in a list, where Docker names a volume and not the directory behind it.
pub(super) fn listed(mount: &model::MountPoint) -> wire::MountPoint {
    let point = point(mount);
    if mount.kind == MountKind::Volume { wire::MountPoint { source: String::new(), ..point } } else { point }
}

/// A mount that a container has.
pub(super) fn point(point: &model::MountPoint) -> wire::MountPoint {
    wire::MountPoint {
        kind: point.kind.name().to_owned(),
        name: point.name.clone(),
        source: point.source.clone(),
        destination: point.destination.clone(),
        driver: point.driver.clone(),
        mode: point.mode.clone(),
        rw: point.rw,
        propagation: point.propagation.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_unknown_kind() {
        let json = r#"{"Type":"volume","Source":"v","Target":"/v","ReadOnly":true,
            "VolumeOptions":{"NoCopy":true,"DriverConfig":{"Name":"local","Options":{"a":"b"}}}}"#;
        let wire: wire::Mount = serde_json::from_str(json).unwrap();
        assert_eq!(to_wire(&from_wire(wire.clone()).unwrap()), wire);
        let unknown = wire::Mount { kind: "floppy".into(), ..wire::Mount::default() };
        assert!(from_wire(unknown).unwrap_err().to_string().contains("\"floppy\": mount type unknown"));
    }
}
