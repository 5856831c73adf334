//! Docker's standard mounts, and what is bound over them, parents before children.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount, MountBuilder};

use super::{Inputs, built};
use crate::container::mode::{IpcMode, NamespaceMode};
use crate::container::security::selinux;
use crate::error::Result;

/// A host file or directory, or a tmpfs, at a path inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileMount {
    /// On the host; `None` = tmpfs.
    pub(crate) source: Option<PathBuf>,
    /// Inside.
    pub(crate) destination: String,
    /// fstab words, `rbind` or `bind` and propagation included.
    pub(crate) options: Vec<String>,
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Result<Mount> {
    let options: Vec<_> = options.iter().map(|word| (*word).to_owned()).collect();
    built(MountBuilder::default().destination(destination).typ(kind).source(source).options(options).build())
}

pub(super) fn build(inputs: &Inputs<'_>) -> Result<Vec<Mount>> {
    let mut mounts = standard(inputs)?;
    let files =
        || inputs.files.iter().filter(|file| !crate::container::system::gives_way(inputs.container, file));
    // a mount of the request replaces the standard one at the same place, and one at /dev all of those beneath
    let asked = |place: &str| files().any(|file| file.destination.trim_end_matches('/') == place);
    let whole = asked("/dev");
    mounts.retain(|mount| {
        let destination = mount.destination().to_string_lossy();
        !(asked(&destination) || whole && destination.starts_with("/dev/"))
    });
    let system = super::system::mounts(inputs);
    let mut files: Vec<_> = files().chain(&system).collect();
    files.sort_by_key(|file| file.destination.matches('/').count());
    for file in files {
        mounts.push(bind(file)?);
    }
    if let Some(init) = inputs.init {
        mounts.push(bind(&FileMount {
            source: Some(init.to_owned()),
            destination: super::process::INIT_PATH.to_owned(),
            options: ["bind", "ro"].map(str::to_owned).to_vec(),
        })?);
    }
    Ok(mounts)
}

fn bind(file: &FileMount) -> Result<Mount> {
    let builder = MountBuilder::default().destination(&file.destination).options(file.options.clone());
    built(match &file.source {
        Some(source) => builder.typ("bind").source(source).build(),
        None => builder.typ("tmpfs").source("tmpfs").build(),
    })
}

fn standard(inputs: &Inputs<'_>) -> Result<Vec<Mount>> {
    let privileged = inputs.container.host.privileged;
    let access = if privileged { "rw" } else { "ro" };
    let proc = if inputs.rootless && inputs.modes.pid == NamespaceMode::Host {
        // the kernel mounts one only for those who are root over its processes
        mount("/proc", "bind", "/proc", &["rbind", "nosuid", "noexec", "nodev"])?
    } else {
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"])?
    };
    let mut mounts = vec![proc];
    mounts.push(mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"])?);
    mounts.push(mount(
        "/dev/pts",
        "devpts",
        "devpts",
        &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    )?);
    mounts.push(mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", access])?);
    if selinux::is_nested(&inputs.security.labels) && !inputs.labels.mount.is_empty() {
        // without it programs inside take SELinux for absent
        mounts.push(mount("/sys/fs/selinux", "selinuxfs", "selinuxfs", &["nosuid", "noexec"])?);
    }
    let cgroup = [&[access, "nosuid", "noexec", "nodev"], super::system::cgroup_options(inputs)].concat();
    mounts.push(mount("/sys/fs/cgroup", "cgroup", "cgroup", &cgroup)?);
    mounts.extend(queues(inputs)?);
    mounts.extend(shm(inputs)?);
    Ok(mounts)
}

/// The queues of the IPC namespace that they are mounted in, the host's too, which need not show them itself.
fn queues(inputs: &Inputs<'_>) -> Result<Option<Mount>> {
    const PLACE: &str = "/dev/mqueue";
    let hosts = inputs.modes.ipc == IpcMode::Host;
    // no user namespace has a right to mount those of the host, but an ordinary user's can show what the host shows
    let queues = match (hosts, inputs.rootless, inputs.container.ids.is_some()) {
        (true, true, _) if !Path::new(PLACE).is_dir() => return Ok(None),
        (true, true, _) => mount(PLACE, "bind", PLACE, &["rbind", "nosuid", "noexec", "nodev"]),
        (true, false, true) => return Ok(None),
        _ => mount(PLACE, "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    };
    queues.map(Some)
}

fn shm(inputs: &Inputs<'_>) -> Result<Option<Mount>> {
    const OPTIONS: [&str; 3] = ["nosuid", "noexec", "nodev"];
    match (&inputs.modes.ipc, &inputs.joins.shm) {
        (IpcMode::None, _) => Ok(None),
        (_, Some(shared)) => {
            let options = ["rbind", "nosuid", "noexec", "nodev"];
            mount("/dev/shm", "bind", &shared.to_string_lossy(), &options).map(Some)
        }
        _ => {
            let size = format!("size={}", inputs.shm_size);
            let options = [OPTIONS[0], OPTIONS[1], OPTIONS[2], "mode=1777", &size];
            mount("/dev/shm", "tmpfs", "shm", &options).map(Some)
        }
    }
}

/// A shared or slave bind needs a root that propagates; otherwise it stays private.
pub(super) fn root_propagation(files: &[FileMount]) -> Option<String> {
    let has = |words: [&str; 2]| {
        files.iter().any(|file| file.options.iter().any(|word| words.contains(&word.as_str())))
    };
    if has(["shared", "rshared"]) {
        return Some("shared".to_owned());
    }
    has(["slave", "rslave"]).then(|| "rslave".to_owned())
}
