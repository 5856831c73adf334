//! `--mount`

use std::path::Path;

use super::{path, root};
use crate::container::{Mount, MountKind, MountPoint};
use crate::engine::Inner;
use crate::error::{Error, Kind, Result};

/// Settles one `--mount`.
///
/// # Errors
/// Docker's sentence about what is wrong with it.
pub(super) fn settle(engine: &Inner, mount: &Mount) -> Result<MountPoint> {
    let wrong = |error: Error| {
        let kind = mount.kind.name();
        Error::bad_parameter(format!("invalid mount config for type \"{kind}\": {error}"))
    };
    if matches!(mount.kind, MountKind::Npipe | MountKind::Cluster) {
        return Err(wrong(Error::bad_parameter("mount type unknown")));
    }
    if mount.target.is_empty() {
        return Err(wrong(empty("Target")));
    }
    path::not_root(&mount.target).map_err(wrong)?;
    let destination = path::clean(&mount.target).map_err(wrong)?;
    if let Some(name) = foreign(mount) {
        return Err(wrong(extra(name)));
    }
    let point = MountPoint {
        kind: mount.kind,
        destination,
        rw: !mount.read_only,
        id_map: super::super::idmap::check(&mount.id_map).map_err(wrong)?,
        ..MountPoint::default()
    };
    match mount.kind {
        MountKind::Bind => {
            let point = of_bind(mount, point).map_err(wrong)?;
            let propagation = root::propagation(engine, &point.source, &point.propagation)?;
            Ok(MountPoint { propagation, ..point })
        }
        MountKind::Volume => {
            check_volume(mount).map_err(wrong)?;
            of_volume(engine, mount, point)
        }
        MountKind::Tmpfs => of_tmpfs(mount, point).map_err(wrong),
        _ => {
            check_image(mount).map_err(wrong)?;
            of_image(engine, mount, point)
        }
    }
}

fn extra(field: &str) -> Error {
    Error::bad_parameter(format!("field {field} must not be specified"))
}

fn empty(field: &str) -> Error {
    Error::bad_parameter(format!("field {field} must not be empty"))
}

/// Options that belong to another type.
fn foreign(mount: &Mount) -> Option<&'static str> {
    let given = [
        ("BindOptions", MountKind::Bind, mount.bind.is_some()),
        ("VolumeOptions", MountKind::Volume, mount.volume.is_some()),
        ("ImageOptions", MountKind::Image, mount.image.is_some()),
        ("TmpfsOptions", MountKind::Tmpfs, mount.tmpfs.is_some()),
    ];
    let found = given.iter().find(|(_, own, given)| *given && mount.kind != *own);
    let maps = matches!(mount.kind, MountKind::Bind | MountKind::Volume) || mount.id_map.is_empty();
    found.map(|(name, ..)| *name).or((!maps).then_some("IDMap"))
}

fn of_bind(mount: &Mount, point: MountPoint) -> Result<MountPoint> {
    if mount.source.is_empty() {
        return Err(empty("Source"));
    }
    let options = mount.bind.clone().unwrap_or_default();
    if !options.propagation.is_empty() && !super::PROPAGATIONS.contains(&options.propagation.as_str()) {
        return Err(Error::bad_parameter(format!("invalid propagation mode: {}", options.propagation)));
    }
    let source = path::clean(&mount.source)?;
    if !options.create_mountpoint && !Path::new(&source).exists() {
        return Err(Error::bad_parameter(format!("bind source path does not exist: {}", mount.source)));
    }
    if options.read_only_force_recursive && options.read_only_non_recursive {
        let why = "mount options conflict: ReadOnlyNonRecursive && ReadOnlyForceRecursive";
        return Err(Error::bad_parameter(why));
    }
    if options.read_only_force_recursive && (!mount.read_only || options.non_recursive) {
        let why = "ReadOnlyForceRecursive needs ReadOnly, and excludes NonRecursive";
        return Err(Error::bad_parameter(why));
    }
    Ok(MountPoint {
        source,
        propagation: options.propagation,
        non_recursive: options.non_recursive,
        read_only_non_recursive: options.read_only_non_recursive,
        must_exist: !options.create_mountpoint,
        ..point
    })
}

fn check_volume(mount: &Mount) -> Result<()> {
    let subpath = mount.volume.as_ref().map_or("", |options| &options.subpath);
    if !subpath.is_empty() {
        if mount.source.is_empty() {
            return Err(Error::bad_parameter("must not set Subpath when using anonymous volumes"));
        }
        local(subpath)?;
    }
    if mount.read_only && mount.source.is_empty() {
        return Err(Error::bad_parameter("must not set ReadOnly mode when using anonymous volumes"));
    }
    Ok(())
}

fn local(subpath: &str) -> Result<()> {
    if path::is_local(subpath) {
        return Ok(());
    }
    Err(Error::bad_parameter("subpath must be a relative path within the volume"))
}

fn of_volume(engine: &Inner, mount: &Mount, point: MountPoint) -> Result<MountPoint> {
    let options = mount.volume.clone().unwrap_or_default();
    let name = &mount.source;
    super::super::local::check(&options.driver_options)
        .map_err(|error| if name.is_empty() { error } else { error.context(format!("create {name}")) })?;
    let point =
        MountPoint { mode: "z".to_owned(), no_copy: options.no_copy, subpath: options.subpath, ..point };
    let point = super::volume(engine, point, name, &options.driver)?;
    let new = super::super::store::read(&engine.layout, &point.name).is_none();
    let device = point.device || new && options.driver_options.contains_key("device");
    Ok(MountPoint { device, ..point })
}

fn of_tmpfs(mount: &Mount, point: MountPoint) -> Result<MountPoint> {
    if !mount.source.is_empty() {
        return Err(extra("Source"));
    }
    let options = mount.tmpfs.clone().unwrap_or_default();
    let tmpfs = super::super::tmpfs::of_mount(&options, mount.read_only)?;
    Ok(MountPoint { tmpfs, ..point })
}

fn check_image(mount: &Mount) -> Result<()> {
    if mount.source.is_empty() {
        return Err(empty("Source"));
    }
    match mount.image.as_ref().map_or("", |options| &options.subpath) {
        "" => Ok(()),
        subpath => local(subpath),
    }
}

fn of_image(engine: &Inner, mount: &Mount, point: MountPoint) -> Result<MountPoint> {
    // not 404, by which clients know that the container's own image is missing, and pull that
    let image = engine.find_image(&mount.source).map_err(|error| error.of_kind(Kind::BadParameter))?;
    Ok(MountPoint {
        name: mount.source.clone(),
        source: image.id.as_str().to_owned(),
        image_id: image.id.as_str().to_owned(),
        subpath: mount.image.clone().unwrap_or_default().subpath,
        rw: false,
        ..point
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{BindOptions, TmpfsOptions};

    #[test]
    fn what_belongs_to_another_type_is_named() {
        let mount = Mount { tmpfs: Some(TmpfsOptions::default()), ..Mount::default() };
        assert_eq!(foreign(&mount), Some("TmpfsOptions"));
        let mount = Mount { kind: MountKind::Tmpfs, id_map: "container".into(), ..Mount::default() };
        assert_eq!(foreign(&mount), Some("IDMap"));
        let mount = Mount { bind: Some(BindOptions::default()), ..Mount::default() };
        assert_eq!(foreign(&mount), None);
    }

    #[test]
    fn binds_are_judged() {
        let judge = |options: BindOptions, source: &str| {
            let mount = Mount { source: source.into(), bind: Some(options), ..Mount::default() };
            of_bind(&mount, MountPoint::default()).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(judge(BindOptions::default(), "/"), "");
        assert_eq!(judge(BindOptions::default(), ""), "field Source must not be empty");
        assert!(judge(BindOptions::default(), "/nonexistent/x").contains("source path does not exist"));
        let create = BindOptions { create_mountpoint: true, ..BindOptions::default() };
        assert_eq!(judge(create, "/nonexistent/x"), "");
        let wrong = BindOptions { propagation: "odd".into(), ..BindOptions::default() };
        assert_eq!(judge(wrong, "/"), "invalid propagation mode: odd");
        let force = BindOptions { read_only_force_recursive: true, ..BindOptions::default() };
        assert!(judge(force, "/").contains("needs ReadOnly"));
    }
}
