//! A start is one pipeline: the shim comes up, while one thread makes the network and another the root; then one
//! create-and-start. Whatever fails, everything is undone.

mod connect;
mod prepare;
mod userns;

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use jiff::Timestamp;
use oci_spec::runtime::{LinuxSeccomp, Spec};
use shim::protocol::{
    CgroupDriver, CgroupRequest, CreateRequest, MountRequest, RestoreRequest, RuntimeRequest,
};

use self::userns::{Spaces, spaces};
use super::mode::{self, IpcMode};
use super::security::Seccomp;
use super::spec::{self, Inputs, Joins, Modes};
use super::task::blocking;
use super::view::View;
use crate::config::BUILT_IN_RUNTIME;
use crate::container::{Container, NetworkSettings};
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::network::resolver::Prepared;
use crate::network::sockets;
use crate::shim::{CreateFds, ShimHandle};
use crate::volume::Handed;

pub(crate) use connect::forget_shm;
pub(crate) use prepare::exec_identity;

/// What a start may be given beside the container.
#[derive(Default)]
pub(crate) struct Extra {
    /// Processes to bring back.
    pub(crate) restore: Option<RestoreRequest>,
    /// The container ends with the connection to its shim: a step of a build.
    pub(crate) bound: bool,
    /// More that is mounted, last.
    pub(crate) files: Vec<spec::FileMount>,
    /// Sources of some of those, as mounts.
    pub(crate) handed: Vec<Handed>,
}

/// A start that failed.
pub(crate) struct Failed {
    /// Docker's exit code for it.
    pub(crate) code: i32,
    pub(crate) error: Error,
}

/// A start that worked.
pub(crate) struct Started {
    pub(crate) pid: u32,
    pub(crate) at: Timestamp,
    pub(crate) network: NetworkSettings,
}

/// The modes of a container.
///
/// # Errors
/// A mode is no mode.
pub(crate) fn modes(engine: &Inner, container: &Container) -> Result<Modes> {
    let (host, config) = (&container.host, &engine.config);
    Ok(Modes {
        network: mode::NetworkMode::parse(&host.network_mode)?,
        pid: mode::parse_pid(&host.pid_mode)?,
        ipc: mode::parse_ipc(&host.ipc_mode, &config.default_ipc_mode)?,
        uts: mode::parse_host_only("UTS", &host.uts_mode)?,
        cgroup: mode::parse_cgroupns(
            &host.cgroupns_mode,
            &config.default_cgroupns_mode,
            engine.host.cgroup_v2,
        )?,
    })
}

/// Starts a container in its shim, or brings processes back. A view of its files that is in use lends it the root.
///
/// # Errors
/// Any step's; nothing of it stays but the shim, which is the caller's.
pub(crate) async fn run(
    engine: &Arc<Inner>,
    container: &Container,
    shim: &ShimHandle,
    view: Option<Arc<View>>,
    mut extra: Extra,
) -> Result<Started, Failed> {
    let modes = modes(engine, container)?;
    let joins = connect::joins(engine, container, &modes)?;
    let shared = crate::volume::shared(engine, container).await;
    let Spaces { user, network } = spaces(engine, container, &modes).await?;
    let connecting = {
        let (engine, container, modes) = (Arc::clone(engine), container.clone(), modes.clone());
        blocking(move || connect::connect(&engine, &container, &modes, network))
    };
    let preparing = {
        let (engine, container) = (Arc::clone(engine), container.clone());
        blocking(move || prepare::prepare(&engine, &container, view, shared, user.as_ref()))
    };
    let (connected, prepared) = tokio::join!(connecting, preparing);
    let result = match (connected, prepared) {
        (Ok(connected), Ok(mut prepared)) => {
            prepared.files.append(&mut extra.files);
            prepared.handed.append(&mut extra.handed);
            create(engine, container, (shim, extra), (modes.clone(), joins), connected, prepared).await
        }
        (Err(error), _) | (_, Err(error)) => Err(error.into()),
    };
    if result.is_err() {
        let (engine, id) = (Arc::clone(engine), container.id.clone());
        let undone = blocking(move || crate::network::detach(&engine, &id)).await;
        if let Err(error) = undone {
            tracing::warn!(container = %container.id, %error, "the network of a failed start was not given back");
        }
    }
    result
}

async fn create(
    engine: &Arc<Inner>,
    container: &Container,
    (shim, extra): (&ShimHandle, Extra),
    (modes, joins): (Modes, Joins),
    connected: connect::Connected,
    prepared: prepare::Prepared,
) -> Result<Started, Failed> {
    let joins = Joins { shm: joins.shm.or(connected.shm), ..joins };
    let (spec, filter) = specification(engine, container, &modes, &joins, &prepared)?;
    let mounts = mounts(&spec, prepared.handed);
    let request = request(engine, container, spec, filter)?;
    let request = CreateRequest { restore: extra.restore, bound: extra.bound, ..request };
    let resolver = connected.resolver.zip(connected.netns.as_ref());
    let resolver =
        resolver.map(|(sockets, netns)| Prepared::new(engine, container, sockets, netns)).transpose()?;
    let fds = CreateFds { rootfs: Some(prepared.rootfs), netns: connected.netns, mounts };
    sockets::hand_over(engine, &container.id, shim).await?;
    let (run, ()) = tokio::join!(shim.run(request, fds), Prepared::keep(resolver.as_ref(), shim));
    drop(prepared.shared);
    let (created, started) = run?;
    if let Some(resolver) = resolver {
        resolver.serve(engine);
    }
    Ok(Started {
        pid: u32::try_from(created.pid).unwrap_or_default(),
        at: started.at,
        network: connected.settings,
    })
}

/// Mounts in hand by their places in the specification.
fn mounts(spec: &Spec, handed: Vec<Handed>) -> Vec<(MountRequest, OwnedFd)> {
    let table = spec.mounts().as_deref().unwrap_or_default();
    let place = |one: &Handed| {
        table.iter().position(|mount| mount.destination().as_os_str() == one.destination.as_str())
    };
    let known = handed.into_iter().filter_map(|one| Some((place(&one)?, one)));
    known.map(|(index, one)| (MountRequest { index, keep: one.keep }, one.mount)).collect()
}

fn specification(
    engine: &Inner,
    container: &Container,
    modes: &Modes,
    joins: &Joins,
    prepared: &prepare::Prepared,
) -> Result<(Spec, Option<Vec<u64>>)> {
    let host = &container.host;
    let security = engine.security(host)?;
    let capabilities = spec::capabilities(host.privileged, &host.cap_add, &host.cap_drop)?;
    let init = host.init.unwrap_or(engine.config.init);
    let init_program = if init { Some(engine.init_program()?) } else { None };
    let linked = super::links::environment(engine, container)?;
    let (policy, compiled) = filter(engine, container, &security.seccomp, &capabilities)?;
    let spec = spec::build(&Inputs {
        container,
        modes,
        user: &prepared.user,
        joins,
        devices: &prepared.devices,
        block_devices: &prepared.block_devices,
        files: &prepared.files,
        default_ulimits: &engine.config.default_ulimits,
        last_gid: engine.host.last_gid,
        rootless: engine.config.rootless,
        cgroup_v2: engine.host.cgroup_v2,
        cgroup: &engine.cgroup_path(container),
        seccomp: policy,
        security: &security,
        labels: &engine.selinux.labels(container),
        shm_size: shm_size(engine, container),
        hostname: &prepared.hostname,
        init: init_program.as_deref(),
        linked: &linked,
        injected: &prepared.injected,
    })?;
    Ok((spec, compiled))
}

/// The system-call policy in the form that is cheapest for the runtime: Docker's own is compiled already.
fn filter(
    engine: &Inner,
    container: &Container,
    choice: &Seccomp,
    capabilities: &BTreeSet<String>,
) -> Result<(Option<LinuxSeccomp>, Option<Vec<u64>>)> {
    let built_in = engine.runtime(&container.host.runtime)?.path.is_empty();
    if built_in && *choice == Seccomp::Default {
        return Ok((None, Some(engine.filters.default_for(capabilities)?.to_vec())));
    }
    Ok((super::security::filter(choice, capabilities)?, None))
}

/// Bytes of `/dev/shm`.
pub(crate) fn shm_size(engine: &Inner, container: &Container) -> i64 {
    const DEFAULT: i64 = 64 << 20;
    [container.host.shm_size, engine.config.default_shm_size]
        .into_iter()
        .find(|size| *size > 0)
        .unwrap_or(DEFAULT)
}

fn request(
    engine: &Inner,
    container: &Container,
    spec: Spec,
    seccomp: Option<Vec<u64>>,
) -> Result<CreateRequest> {
    let config = &container.config;
    let [rows, columns] = container.host.console_size.map(|size| u16::try_from(size).unwrap_or(u16::MAX));
    Ok(CreateRequest {
        id: container.id.clone(),
        spec,
        rootfs_fd: true,
        netns_fd: false,
        mounts: Vec::new(),
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        log: super::logging::request(engine, container)?,
        cgroup: cgroup(engine, container),
        runtime: runtime(engine, container)?,
        data_dir: engine.layout.container(&container.id),
        run: container.run,
        restore: None,
        seccomp,
        console_size: (config.tty && (rows, columns) != (0, 0)).then_some((rows, columns)),
        framed: !config.tty,
        bound: false,
    })
}

fn cgroup(engine: &Inner, container: &Container) -> Option<CgroupRequest> {
    let driver = match engine.config.cgroup_driver {
        crate::config::CgroupDriver::Cgroupfs => CgroupDriver::Cgroupfs,
        crate::config::CgroupDriver::Systemd => CgroupDriver::Systemd,
        crate::config::CgroupDriver::None => return None,
    };
    Some(CgroupRequest { path: engine.cgroup_path(container).into(), driver })
}

fn runtime(engine: &Inner, container: &Container) -> Result<RuntimeRequest> {
    let name = &container.host.runtime;
    let runtime = engine.runtime(name)?;
    if runtime.path.is_empty() {
        return Ok(RuntimeRequest::BuiltIn);
    }
    let root = engine.layout.runtimes().join(if name.is_empty() { BUILT_IN_RUNTIME } else { name });
    Ok(RuntimeRequest::Outside { path: runtime.path.into(), args: runtime.args, root })
}

/// Whether `/dev/shm` of this container may be joined by others.
pub(crate) fn shares_memory(mode: &IpcMode) -> bool {
    *mode == IpcMode::Shareable
}
