//! Which mounts a container gets: `-v`, `--mount`, `--volumes-from` and the image's volumes, checked and settled.

mod bind;
mod mode;
mod path;
mod root;
mod wish;

pub(super) use mode::PROPAGATIONS;
pub(crate) use mode::parse as parse_mode;
pub(crate) use path::clean as clean_path;

use super::idmap;
use crate::container::{ContainerConfig, HostConfig, Mount, MountKind, MountPoint};
use crate::engine::Inner;
use crate::error::{Error, Kind, Result};
use crate::userns::Ids;

/// Settles the mounts of a request whose container has these ids. Nothing is made on disk.
///
/// # Errors
/// Docker's sentence about the first mount that is wrong.
pub(crate) fn plan(
    engine: &Inner,
    config: &ContainerConfig,
    host: &HostConfig,
    ids: &Ids,
) -> Result<Vec<MountPoint>> {
    for (target, options) in &host.tmpfs {
        path::not_root(target)?;
        path::absolute(target)?;
        super::tmpfs::merge(options)?;
    }
    let mut points: Vec<MountPoint> = Vec::new();
    for text in &host.binds {
        let point = bind::parse(engine, text, &host.volume_driver)?;
        if host.tmpfs.contains_key(&point.destination) {
            return Err(duplicate(&point.destination));
        }
        add(&mut points, point)?;
    }
    for mount in &host.mounts {
        add(&mut points, wish::settle(engine, mount)?)?;
    }
    idmap::check_own(&points, ids)?;
    inherited(engine, host, &mut points)?;
    for wanted in &config.volumes {
        // a relative one is meant from the root
        let destination = path::clean(&format!("/{}", wanted.trim_start_matches('/')))?;
        // what Docker does with a volume at the root is nothing at all
        let taken = destination == "/"
            || points.iter().any(|point| point.destination == destination)
            || host.tmpfs.contains_key(&destination);
        if !taken {
            let point = MountPoint { destination, rw: true, ..MountPoint::default() };
            points.push(volume(engine, point, "", &host.volume_driver)?);
        }
    }
    idmap::settle(&mut points, ids);
    Ok(points)
}

/// Settles more mounts of a container that has some. Nothing is made on disk.
///
/// # Errors
/// As for [`plan`].
pub(crate) fn more(
    engine: &Inner,
    mounts: &[Mount],
    have: &[MountPoint],
    host: &HostConfig,
    ids: &Ids,
) -> Result<Vec<MountPoint>> {
    let mut points = have.to_vec();
    for mount in mounts {
        let point = wish::settle(engine, mount)?;
        if host.tmpfs.keys().any(|path| path.trim_end_matches('/') == point.destination) {
            return Err(duplicate(&point.destination));
        }
        add(&mut points, point)?;
    }
    let mut points = points.split_off(have.len());
    idmap::check_own(&points, ids)?;
    idmap::settle(&mut points, ids);
    Ok(points)
}

fn duplicate(path: &str) -> Error {
    Error::bad_parameter(format!("Duplicate mount point: {path}"))
}

fn add(points: &mut Vec<MountPoint>, point: MountPoint) -> Result<()> {
    if points.iter().any(|have| have.destination == point.destination) {
        return Err(duplicate(&point.destination));
    }
    points.push(point);
    Ok(())
}

/// A named volume, or an anonymous one.
fn volume(engine: &Inner, point: MountPoint, name: &str, driver: &str) -> Result<MountPoint> {
    let anonymous = name.is_empty();
    let name = if anonymous { crate::id::random()? } else { name.to_owned() };
    super::verb::check_name(&name)?;
    super::verb::check_driver(&name, driver)?;
    let source = engine.layout.volume_data(&name).to_string_lossy().into_owned();
    let known = if anonymous { None } else { super::store::read(&engine.layout, &name) };
    Ok(MountPoint {
        kind: MountKind::Volume,
        driver: "local".to_owned(),
        source,
        name,
        anonymous,
        device: known.is_some_and(|volume| volume.is_device()),
        ..point
    })
}

/// `--volumes-from name[:mode]`; a later container's mounts go before an earlier one's, the request's own before all.
fn inherited(engine: &Inner, host: &HostConfig, points: &mut Vec<MountPoint>) -> Result<()> {
    let mut theirs: Vec<MountPoint> = Vec::new();
    for text in &host.volumes_from {
        let (name, mode) = text.split_once(':').unwrap_or((text, ""));
        if name.is_empty() {
            return Err(Error::bad_parameter(format!("invalid volumes-from specification: {text}")));
        }
        let words = mode::of_volumes_from(mode)
            .ok_or_else(|| Error::bad_parameter(format!("invalid mode: {mode}")))?;
        // not 404, by which clients know that the image is missing, and pull
        let other = engine.containers.find(name).map_err(|error| error.of_kind(Kind::BadParameter))?;
        for mount in &other.snapshot().mounts {
            theirs.retain(|have| have.destination != mount.destination);
            theirs.push(MountPoint {
                rw: mount.rw && !words.read_only,
                mode: String::new(),
                no_copy: true,
                ..mount.clone()
            });
        }
    }
    for mount in theirs {
        let own = points.iter().any(|point| point.destination == mount.destination);
        if !own && !host.tmpfs.contains_key(&mount.destination) {
            points.push(mount);
        }
    }
    Ok(())
}
