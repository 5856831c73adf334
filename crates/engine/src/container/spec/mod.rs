//! A container's description becomes a runtime specification. Pure: every fact about the host that it needs is in
//! [`Inputs`], gathered beforehand; each theme is a file.

mod capabilities;
mod devices;
mod mounts;
mod namespaces;
mod paths;
mod process;
mod resources;
mod system;

use std::collections::BTreeMap;
use std::path::PathBuf;

use oci_spec::runtime::{LinuxBuilder, LinuxSeccomp, RootBuilder, Spec, SpecBuilder};

use crate::container::mode::{IpcMode, NamespaceMode, NetworkMode};
use crate::container::{Container, Ulimit};
use crate::error::{Error, Result};

pub(crate) use capabilities::for_container as capabilities;
pub(crate) use devices::{HostDevice, parse_rule};
pub(crate) use mounts::FileMount;
pub(crate) use process::{ExecProcess, Identity, exec, rlimit_type};
pub(crate) use resources::limits;

/// Facts that the specification is built from.
pub(crate) struct Inputs<'a> {
    /// The container.
    pub(crate) container: &'a Container,
    /// Modes, parsed.
    pub(crate) modes: &'a Modes,
    /// Who the process is.
    pub(crate) user: &'a Identity,
    /// Namespaces of other containers.
    pub(crate) joins: &'a Joins,
    /// Devices beside the default ones.
    pub(crate) devices: &'a [HostDevice],
    /// Numbers of the block devices that limits name.
    pub(crate) block_devices: &'a BTreeMap<String, (i64, i64)>,
    /// Binds and volumes and generated files, with host paths that exist.
    pub(crate) files: &'a [FileMount],
    /// Limits of processes that the container does not set itself.
    pub(crate) default_ulimits: &'a [Ulimit],
    /// The highest group of the daemon's user namespace.
    pub(crate) last_gid: u32,
    /// The daemon is an ordinary user's.
    pub(crate) rootless: bool,
    /// The host has cgroup v2 alone.
    pub(crate) cgroup_v2: bool,
    /// Path beneath the cgroup mounts.
    pub(crate) cgroup: &'a str,
    /// System-call filter; `None` = unconfined.
    pub(crate) seccomp: Option<LinuxSeccomp>,
    /// From `--security-opt` and the daemon's settings.
    pub(crate) security: &'a crate::container::security::Options,
    /// SELinux's labels.
    pub(crate) labels: &'a crate::container::security::selinux::Labels,
    /// Bytes of `/dev/shm`.
    pub(crate) shm_size: i64,
    /// Host name inside.
    pub(crate) hostname: &'a str,
    /// What devices by name bring.
    pub(crate) injected: &'a crate::container::cdi::Injection,
    /// Variables that tell of linked containers.
    pub(crate) linked: &'a [String],
    /// An init inside, bound from this host path.
    pub(crate) init: Option<&'a std::path::Path>,
}

/// Whose namespaces.
#[derive(Debug, Clone)]
pub(crate) struct Modes {
    pub(crate) network: NetworkMode,
    pub(crate) pid: NamespaceMode,
    pub(crate) ipc: IpcMode,
    pub(crate) uts: NamespaceMode,
    pub(crate) cgroup: NamespaceMode,
}

/// Paths of other containers' namespaces.
#[derive(Debug, Clone, Default)]
pub(crate) struct Joins {
    pub(crate) pid: Option<PathBuf>,
    pub(crate) ipc: Option<PathBuf>,
    /// Of the container whose network is shared; its UTS stays apart.
    pub(crate) network: Option<PathBuf>,
    /// Host directory that is `/dev/shm` inside.
    pub(crate) shm: Option<PathBuf>,
}

/// A specification field could not be put together; the builders only fail on missing fields.
pub(crate) fn built<T>(result: std::result::Result<T, oci_spec::OciSpecError>) -> Result<T> {
    result.map_err(|error| Error::because("build runtime specification", error))
}

/// Builds the specification.
///
/// # Errors
/// A setting has no meaning for the kernel (an unknown capability, a malformed device rule).
pub(crate) fn build(inputs: &Inputs<'_>) -> Result<Spec> {
    let container = inputs.container;
    let root = built(RootBuilder::default().path("rootfs").readonly(container.host.readonly_rootfs).build())?;
    let mut spec = built(
        SpecBuilder::default()
            .version("1.2.0")
            .root(root)
            .mounts(mounts::build(inputs)?)
            .process(process::build(inputs)?)
            .linux(linux(inputs)?)
            .build(),
    )?;
    if inputs.modes.uts == NamespaceMode::Private {
        spec.set_hostname(Some(inputs.hostname.to_owned()));
        if !container.config.domainname.is_empty() {
            spec.set_domainname(Some(container.config.domainname.clone()));
        }
    } else {
        spec.set_hostname(None);
    }
    spec.set_hooks(crate::container::cdi::hooks(&inputs.injected.hooks)?);
    let annotations = &container.host.annotations;
    if !annotations.is_empty() {
        spec.set_annotations(Some(annotations.clone().into_iter().collect()));
    }
    Ok(spec)
}

fn linux(inputs: &Inputs<'_>) -> Result<oci_spec::runtime::Linux> {
    let host = &inputs.container.host;
    let mut wanted = limits(&host.resources, inputs.block_devices)?;
    // only root loads programs that judge devices
    if !inputs.rootless {
        wanted.set_devices(Some(devices::rules(host, inputs.devices)?));
    }
    let mut readonly = paths::readonly(host, inputs.security);
    readonly.extend(system::readonly_paths(inputs));
    let mut linux = built(
        LinuxBuilder::default()
            .namespaces(namespaces::build(inputs)?)
            .resources(wanted)
            .devices(devices::nodes(inputs.devices)?)
            .cgroups_path(inputs.cgroup)
            .sysctl(sysctls(inputs))
            .masked_paths(paths::masked(host, inputs.security))
            .readonly_paths(readonly)
            .build(),
    )?;
    if let Some(ids) = &inputs.container.ids {
        let (uids, gids) = ids.mappings()?;
        linux.set_uid_mappings(Some(uids)).set_gid_mappings(Some(gids));
    }
    linux.set_seccomp(inputs.seccomp.clone());
    linux.set_mount_label(Some(inputs.labels.mount.clone()).filter(|label| !label.is_empty()));
    linux.set_rootfs_propagation(mounts::root_propagation(inputs.files));
    Ok(linux)
}

/// Asked-for sysctls, and Docker's two defaults: a container may bind low ports and ping without capabilities.
fn sysctls(inputs: &Inputs<'_>) -> std::collections::HashMap<String, String> {
    let mut sysctls = std::collections::HashMap::new();
    if inputs.modes.network.is_own() {
        sysctls.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
        let last = match &inputs.container.ids {
            // both ends must be groups of the container's user namespace
            Some(ids) => ids.last_gid(),
            None => Some(inputs.last_gid),
        };
        if let Some(last) = last {
            sysctls.insert("net.ipv4.ping_group_range".to_owned(), format!("0 {last}"));
        }
    }
    sysctls.extend(inputs.container.host.sysctls.iter().map(|(name, value)| (name.clone(), value.clone())));
    sysctls
}

#[cfg(test)]
pub(crate) mod tests;
