//! Mounts that are external: everything but file systems that are the container's own.

use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;
use sys::cgroup::{CgroupPath, Host, Version};

/// File systems that CRIU makes anew, with what is in them.
const OWN: [&str; 5] = ["proc", "tmpfs", "devpts", "mqueue", "sysfs"];

/// The places of the external mounts in a `mountinfo` file. A tmpfs that is bound by the specification is the host's.
pub(super) fn external(mountinfo: &str, spec: &Spec) -> Vec<PathBuf> {
    let place = |line: &str| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let point = sys::mount::unescape(mount.split(' ').nth(4)?);
        let kind = filesystem.split(' ').next()?;
        let own = OWN.contains(&kind) && bind_source(spec, &point).is_none();
        (!own && point != Path::new("/")).then_some(point)
    };
    mountinfo.lines().filter_map(place).collect()
}

/// What lay at this place, as it is found on the host now; `None` for a mount that the specification does not ask for.
pub(super) fn source(spec: &Spec, cgroup: Option<&CgroupPath>, point: &Path) -> Option<PathBuf> {
    if let Some(source) = bind_source(spec, point) {
        return Some(source);
    }
    let masked = spec.linux().as_ref().and_then(|linux| linux.masked_paths().as_deref()).unwrap_or(&[]);
    if masked.iter().any(|path| Path::new(path) == point) {
        return Some("/dev/null".into());
    }
    hierarchy(spec, cgroup?, point)
}

/// The source of a bind mount in the specification.
fn bind_source(spec: &Spec, point: &Path) -> Option<PathBuf> {
    let mount = spec.mounts().as_deref()?.iter().rfind(|mount| mount.destination() == point)?;
    let options = mount.options().as_deref().unwrap_or(&[]);
    let bind = mount.typ().as_deref() == Some("bind")
        || options.iter().any(|word| word == "bind" || word == "rbind");
    mount.source().clone().filter(|_| bind)
}

/// The container's group in the hierarchy that was mounted at this place.
fn hierarchy(spec: &Spec, cgroup: &CgroupPath, point: &Path) -> Option<PathBuf> {
    let asked =
        |mount: &&oci_spec::runtime::Mount| matches!(mount.typ().as_deref(), Some("cgroup" | "cgroup2"));
    let view = spec.mounts().as_deref()?.iter().find(asked)?.destination();
    let host = Host::get().ok()?;
    let own = Path::new(cgroup.as_str());
    if let (Version::V2, Some(unified)) = (host.version(), &host.unified) {
        return (point == view).then(|| unified.join(own.strip_prefix("/").unwrap_or(own)));
    }
    let name = point.strip_prefix(view).ok()?;
    let hierarchy = host.v1.iter().find(|one| one.mount.file_name() == Some(name.as_os_str()))?;
    Some(
        hierarchy
            .mount
            .join(own.strip_prefix(&hierarchy.root).or_else(|_| own.strip_prefix("/")).unwrap_or(own)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
47 52 0:39 / / rw,relatime - overlay none rw
48 47 254:0 /d/hosts /etc/hosts rw,relatime - ext4 /dev/vda rw
92 47 0:42 / /proc rw,nosuid - proc proc rw
51 92 0:6 /null /proc/keys rw,relatime - devtmpfs devtmpfs rw
93 47 0:43 / /dev rw,nosuid - tmpfs tmpfs rw
60 47 0:60 / /a\\040b rw master:1 - tmpfs tmpfs rw
97 96 0:29 /x /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu
";

    #[test]
    fn what_is_the_container_s_own_is_not_external() {
        let spec: Spec = serde_json::from_value(serde_json::json!({
            "ociVersion": "1.0.0",
            "mounts": [
                {"destination": "/etc/hosts", "type": "bind", "source": "/d/hosts", "options": ["rbind"]},
                {"destination": "/a b", "source": "/tmpfs", "options": ["rbind"]},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
            ],
            "linux": {"maskedPaths": ["/proc/keys"]},
        }))
        .unwrap();
        let places = external(TABLE, &spec);
        let expected = ["/etc/hosts", "/proc/keys", "/a b", "/sys/fs/cgroup/cpu"].map(PathBuf::from);
        assert_eq!(places, expected);
        assert_eq!(source(&spec, None, Path::new("/etc/hosts")), Some("/d/hosts".into()));
        assert_eq!(source(&spec, None, Path::new("/proc/keys")), Some("/dev/null".into()));
        assert_eq!(source(&spec, None, Path::new("/elsewhere")), None);
    }
}
