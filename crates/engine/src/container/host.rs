//! Facts about this host that checks and specifications need.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use sys::cgroup::{CgroupPath, Delegated, Features};

use super::check::Host;
use super::spec::HostDevice;
use crate::config::{CgroupDriver, Config};
use crate::container::{DeviceMapping, Resources};
use crate::error::{Error, Result};

/// Devices deep in a directory that `--device` names.
const MOST_DEPTH: usize = 8;

/// Reads what this host has. Everything that can't be read counts as absent, and so do cgroups when containers are to
/// have none.
pub(crate) fn facts(config: &Config) -> Host {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let hierarchies = sys::cgroup::Host::get().ok();
    let cgroup_v2 = hierarchies.is_some_and(|host| host.version() == sys::cgroup::Version::V2);
    let has = |name: &str, file: &str| {
        hierarchies.is_some_and(|host| {
            host.v1
                .iter()
                .any(|one| one.options.split(',').any(|word| word == name) && one.mount.join(file).exists())
        })
    };
    let cpu_list = read("/sys/devices/system/cpu/online");
    let nodes = read("/sys/devices/system/node/online");
    let count = super::check::count(&cpu_list);
    let cgroups = config.cgroup_driver != CgroupDriver::None;
    let delegated = delegated(&config.cgroup_base);
    let may = |whole: bool, part: fn(&Features) -> bool| cgroups && delegated.as_ref().map_or(whole, part);
    Host {
        cgroups,
        last_gid: last_gid(),
        cpus: count.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        cpu_list,
        memory_nodes: if nodes.is_empty() { "0".to_owned() } else { nodes },
        cgroup_v2,
        swap: may(cgroup_v2 || has("memory", "memory.memsw.limit_in_bytes"), |features| features.swap),
        realtime: cgroups && has("cpu", "cpu.rt_period_us"),
        memory: may(cgroup_v2 || has("memory", "memory.limit_in_bytes"), |features| features.memory),
        pids: may(cgroup_v2 || has("pids", "cgroup.procs"), |features| features.pids),
        cpu: may(true, |features| features.cpu_quota),
        cpuset: may(true, |features| features.cpuset),
        io: may(true, |features| features.io_rates),
        blkio_weight: may(
            cgroup_v2 || has("blkio", "blkio.weight") || has("blkio", "blkio.bfq.weight"),
            |features| features.io_weight,
        ),
        device_rules: may(!config.rootless, |features| features.devices),
    }
}

/// What a user's part of the hierarchy can limit; nothing where it can't be read.
fn delegated(base: &str) -> Option<Features> {
    let part = CgroupPath::new(base).ok()?;
    let features = Delegated::at(part).and_then(|part| part.features());
    Some(features.unwrap_or_default())
}

/// The highest group that there is in the user namespace of this process.
fn last_gid() -> u32 {
    let map = fs::read_to_string("/proc/self/gid_map").unwrap_or_default();
    let end = |line: &str| {
        let mut numbers = line.split_whitespace().map(|word| word.parse::<u64>().ok());
        let (inside, count) = (numbers.next()??, numbers.nth(1)??);
        (inside + count).checked_sub(1)
    };
    let last = map.lines().filter_map(end).max().unwrap_or_default();
    u32::try_from(last).unwrap_or(u32::MAX).min(i32::MAX.unsigned_abs())
}

/// The devices that a container gets beside the default ones.
///
/// # Errors
/// A path is no device.
pub(crate) fn devices(mappings: &[DeviceMapping], privileged: bool) -> Result<Vec<HostDevice>> {
    let mut found = Vec::new();
    if privileged {
        walk(Path::new("/dev"), "/dev", "rwm", 0, &mut found);
        // the container has its own terminals, console and shared memory
        found.retain(|device| !["/dev/console", "/dev/ptmx"].contains(&device.path.as_str()));
    }
    for mapping in mappings {
        let inside = if mapping.path_in_container.is_empty() {
            &mapping.path_on_host
        } else {
            &mapping.path_in_container
        };
        let access = if mapping.cgroup_permissions.is_empty() { "rwm" } else { &mapping.cgroup_permissions };
        if !access.chars().all(|letter| "rwm".contains(letter)) {
            return Err(Error::bad_parameter(format!("invalid device mode: {access}")));
        }
        let path = Path::new(&mapping.path_on_host);
        let meta = fs::metadata(path).map_err(|error| gathering(&mapping.path_on_host, &error))?;
        match device(&meta, inside, access) {
            Some(device) => {
                found.retain(|have| have.path != device.path);
                found.push(device);
            }
            None => {
                let mut within = Vec::new();
                walk(path, inside, access, 0, &mut within);
                if within.is_empty() {
                    return Err(Error::bad_parameter(format!(
                        "error gathering device information while adding custom device \"{}\": not a device node",
                        mapping.path_on_host
                    )));
                }
                found.append(&mut within);
            }
        }
    }
    Ok(found)
}

fn gathering(path: &str, error: &std::io::Error) -> Error {
    let reason = match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        _ => error.to_string(),
    };
    Error::bad_parameter(format!(
        "error gathering device information while adding custom device \"{path}\": {reason}"
    ))
}

fn device(meta: &fs::Metadata, inside: &str, access: &str) -> Option<HostDevice> {
    let kind = meta.file_type();
    if !kind.is_block_device() && !kind.is_char_device() {
        return None;
    }
    Some(HostDevice {
        path: inside.to_owned(),
        block: kind.is_block_device(),
        major: i64::from(rustix::fs::major(meta.rdev())),
        minor: i64::from(rustix::fs::minor(meta.rdev())),
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        access: access.to_owned(),
    })
}

/// Adds every device beneath a directory, except terminals, shared memory and queues.
fn walk(directory: &Path, inside: &str, access: &str, depth: usize, found: &mut Vec<HostDevice>) {
    const LEFT_OUT: [&str; 5] = ["pts", "shm", "fd", "mqueue", ".udev"];
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let inside = format!("{inside}/{}", name.to_string_lossy());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                if depth < MOST_DEPTH && !LEFT_OUT.contains(&name.to_string_lossy().as_ref()) {
                    walk(&path, &inside, access, depth + 1, found);
                }
            }
            _ => found.extend(entry.metadata().ok().and_then(|meta| device(&meta, &inside, access))),
        }
    }
}

/// Numbers of the block devices that limits name.
///
/// # Errors
/// One of them is no block device.
pub(crate) fn block_devices(wanted: &Resources) -> Result<std::collections::BTreeMap<String, (i64, i64)>> {
    let rates = [
        &wanted.blkio_device_read_bps,
        &wanted.blkio_device_write_bps,
        &wanted.blkio_device_read_iops,
        &wanted.blkio_device_write_iops,
    ];
    let paths = rates.into_iter().flatten().map(|device| &device.path);
    let paths = paths.chain(wanted.blkio_weight_device.iter().map(|device| &device.path));
    paths
        .map(|path| match fs::metadata(path).ok().and_then(|meta| device(&meta, path, "r")) {
            Some(device) => Ok((path.clone(), (device.major, device.minor))),
            None => Err(Error::bad_parameter(format!("{path}: no such device"))),
        })
        .collect()
}
