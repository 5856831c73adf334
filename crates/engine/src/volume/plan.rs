//! Which mounts a container gets: `-v`, `--mount`, `--volumes-from` and the image's volumes, checked and settled.

use crate::container::{ContainerConfig, HostConfig, Mount, MountKind, MountPoint};
use crate::engine::Inner;
use crate::error::{Error, Kind, Result};

/// Settles the mounts of a request. Nothing is made on disk.
///
/// # Errors
/// Docker's sentence about the first mount that is wrong.
pub(crate) fn plan(engine: &Inner, config: &ContainerConfig, host: &HostConfig) -> Result<Vec<MountPoint>> {
    let mut points: Vec<MountPoint> = Vec::new();
    for text in &host.binds {
        add(&mut points, bind(engine, text)?)?;
    }
    for mount in &host.mounts {
        add(&mut points, of_mount(engine, mount)?)?;
    }
    for path in host.tmpfs.keys() {
        absolute(path, || format!("invalid mount path: '{path}' mount path must be absolute"))?;
        if points.iter().any(|point| point.destination == *path) {
            return Err(duplicate(path));
        }
    }
    inherited(engine, host, &mut points)?;
    for path in &config.volumes {
        let destination = clean(path)?;
        let taken = points.iter().any(|point| point.destination == destination)
            || host.tmpfs.contains_key(&destination);
        if !taken {
            points.push(anonymous(engine, destination)?);
        }
    }
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
) -> Result<Vec<MountPoint>> {
    let mut points = have.to_vec();
    for mount in mounts {
        let point = of_mount(engine, mount)?;
        if host.tmpfs.keys().any(|path| path.trim_end_matches('/') == point.destination) {
            return Err(duplicate(&point.destination));
        }
        add(&mut points, point)?;
    }
    Ok(points.split_off(have.len()))
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

fn absolute(path: &str, sentence: impl FnOnce() -> String) -> Result<()> {
    if path.starts_with('/') && !path.contains('\0') { Ok(()) } else { Err(Error::bad_parameter(sentence())) }
}

/// An absolute path without `.`, `..` and doubled slashes.
fn clean(path: &str) -> Result<String> {
    absolute(path, || format!("invalid mount path: '{path}' mount path must be absolute"))?;
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    if parts.is_empty() {
        return Err(Error::bad_parameter(format!("invalid mount path: '{path}': destination can't be '/'")));
    }
    Ok(format!("/{}", parts.join("/")))
}

/// `source:target[:options]`.
fn bind(engine: &Inner, text: &str) -> Result<MountPoint> {
    let wrong = |why: &str| Error::bad_parameter(format!("invalid volume specification: '{text}'{why}"));
    let parts: Vec<_> = text.split(':').collect();
    let (source, target, mode) = match parts[..] {
        [target] => ("", target, ""),
        [source, target] => (source, target, ""),
        [source, target, mode] => (source, target, mode),
        _ => return Err(wrong("")),
    };
    if !target.starts_with('/') {
        return Err(wrong(&format!(": invalid mount path: '{target}' mount path must be absolute")));
    }
    let words = words(mode).ok_or_else(|| wrong(&format!(": invalid mode: {mode}")))?;
    let destination = clean(target).map_err(|error| wrong(&format!(": {error}")))?;
    let point = MountPoint {
        source: source.trim_end_matches('/').to_owned(),
        destination,
        mode: mode.to_owned(),
        rw: !words.read_only,
        propagation: words.propagation,
        no_copy: words.no_copy,
        ..MountPoint::default()
    };
    if source.starts_with('/') {
        let source = if point.source.is_empty() { "/".to_owned() } else { point.source.clone() };
        let propagation =
            if point.propagation.is_empty() { "rprivate".to_owned() } else { point.propagation.clone() };
        return Ok(MountPoint { kind: MountKind::Bind, source, propagation, ..point });
    }
    volume(engine, point, source).map_err(|error| if source.is_empty() { error } else { error.context(text) })
}

/// Words of a bind's mode.
struct Words {
    read_only: bool,
    no_copy: bool,
    propagation: String,
}

fn words(mode: &str) -> Option<Words> {
    let mut words = Words { read_only: false, no_copy: false, propagation: String::new() };
    for word in mode.split(',').filter(|word| !word.is_empty()) {
        match word {
            "ro" => words.read_only = true,
            "nocopy" => words.no_copy = true,
            // labels of SELinux, and hints for Docker Desktop: nothing to do on this host
            "rw" | "z" | "Z" | "consistent" | "cached" | "delegated" | "default" => {}
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                word.clone_into(&mut words.propagation)
            }
            _ => return None,
        }
    }
    Some(words)
}

/// A named volume, or an anonymous one.
fn volume(engine: &Inner, point: MountPoint, name: &str) -> Result<MountPoint> {
    let anonymous = name.is_empty();
    let name = if anonymous { crate::id::random()? } else { name.to_owned() };
    if !crate::id::is_name(&name) {
        return Err(Error::bad_parameter(format!(
            "\"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. \
             If you intended to pass a host directory, use absolute path"
        )));
    }
    let source = engine.layout.volume_data(&name).to_string_lossy().into_owned();
    Ok(MountPoint { kind: MountKind::Volume, driver: "local".to_owned(), source, name, anonymous, ..point })
}

fn anonymous(engine: &Inner, destination: String) -> Result<MountPoint> {
    volume(engine, MountPoint { destination, rw: true, ..MountPoint::default() }, "")
}

fn of_bind(mount: &Mount, point: MountPoint, wrong: &impl Fn(String) -> Error) -> Result<MountPoint> {
    if !mount.source.starts_with('/') {
        return Err(wrong(format!("invalid mount path: '{}' mount path must be absolute", mount.source)));
    }
    let options = mount.bind.clone().unwrap_or_default();
    if !options.create_mountpoint && !std::path::Path::new(&mount.source).exists() {
        return Err(wrong(format!("bind source path does not exist: {}", mount.source)));
    }
    if options.read_only_force_recursive
        && (!mount.read_only || options.read_only_non_recursive || options.non_recursive)
    {
        return Err(wrong(
            "ReadOnlyForceRecursive needs ReadOnly, and excludes NonRecursive and ReadOnlyNonRecursive"
                .to_owned(),
        ));
    }
    let propagation =
        if options.propagation.is_empty() { "rprivate".to_owned() } else { options.propagation };
    if words(&propagation).is_none_or(|words| words.propagation.is_empty()) {
        return Err(wrong(format!("invalid propagation mode: {propagation}")));
    }
    Ok(MountPoint {
        source: mount.source.clone(),
        propagation,
        non_recursive: options.non_recursive,
        ..point
    })
}

fn of_mount(engine: &Inner, mount: &Mount) -> Result<MountPoint> {
    let kind = mount.kind.name();
    let wrong =
        |why: String| Error::bad_parameter(format!("invalid mount config for type \"{kind}\": {why}"));
    if mount.target.is_empty() {
        return Err(wrong("field Target must not be empty".to_owned()));
    }
    let foreign = [
        ("BindOptions", MountKind::Bind, mount.bind.is_some()),
        ("VolumeOptions", MountKind::Volume, mount.volume.is_some()),
        ("TmpfsOptions", MountKind::Tmpfs, mount.tmpfs.is_some()),
    ];
    if let Some((name, ..)) = foreign.iter().find(|(_, own, given)| *given && mount.kind != *own) {
        return Err(wrong(format!("field {name} must not be specified")));
    }
    let destination = clean(&mount.target).map_err(|error| wrong(error.to_string()))?;
    let point = MountPoint { kind: mount.kind, destination, rw: !mount.read_only, ..MountPoint::default() };
    match mount.kind {
        MountKind::Bind => of_bind(mount, point, &wrong),
        MountKind::Volume => {
            let options = mount.volume.clone().unwrap_or_default();
            if !options.driver.is_empty() && options.driver != "local" {
                return Err(Error::not_found(format!("plugin \"{}\" not found", options.driver)));
            }
            if !options.driver_options.is_empty() {
                return Err(Error::not_implemented(
                    "options of the local volume driver are not supported yet",
                ));
            }
            if !options.subpath.is_empty()
                && options.subpath.split('/').any(|part| part == ".." || part.is_empty())
            {
                return Err(wrong(format!(
                    "subpath must be a relative path within the volume: {}",
                    options.subpath
                )));
            }
            let point = MountPoint { no_copy: options.no_copy, subpath: options.subpath, ..point };
            volume(engine, point, &mount.source)
        }
        MountKind::Tmpfs if !mount.source.is_empty() => {
            Err(wrong("field Source must not be specified".to_owned()))
        }
        MountKind::Tmpfs => Ok(point),
        MountKind::Image => Err(Error::not_implemented("mounts of type image are not supported yet")),
        MountKind::Npipe | MountKind::Cluster => {
            Err(wrong(format!("mount type \"{kind}\" is not supported on Linux")))
        }
    }
}

/// `--volumes-from name[:ro|rw]`.
fn inherited(engine: &Inner, host: &HostConfig, points: &mut Vec<MountPoint>) -> Result<()> {
    for text in &host.volumes_from {
        let (name, mode) = text.split_once(':').unwrap_or((text, "rw"));
        let read_only = match mode {
            "ro" => true,
            "rw" | "z" | "Z" => false,
            _ => return Err(Error::bad_parameter(format!("invalid mode: {mode}"))),
        };
        // not 404, by which clients know that the image is missing, and pull
        let other = engine.containers.find(name).map_err(|error| error.of_kind(Kind::BadParameter))?;
        let other = other.snapshot();
        for theirs in &other.mounts {
            if points.iter().all(|point| point.destination != theirs.destination) {
                points.push(MountPoint { rw: theirs.rw && !read_only, ..theirs.clone() });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_the_root_refused() {
        assert_eq!(clean("/a//b/../c/").unwrap(), "/a/c");
        assert!(clean("a").is_err());
        assert!(clean("/..").is_err());
    }

    #[test]
    fn modes_are_read() {
        assert!(words("ro,rshared,z").is_some_and(|words| words.read_only && words.propagation == "rshared"));
        assert!(words("nope").is_none());
    }
}
