//! The network's half of a start: a namespace, addresses, and the files that tell them. And what is shared with
//! other containers.

use std::fs::{DirBuilder, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use ::network::ResolverSockets;
use sys::mount::{Attr, FsContext};

use super::super::files::{self, Contents};
use super::super::mode::{IpcMode, NamespaceMode, NetworkMode};
use super::super::security::selinux::Sharing;
use super::super::spec::{Joins, Modes};
use crate::container::{Container, NetworkSettings};
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::network::Attached;

/// Containers that join each other's networks in turn, at most.
const MAX_JOINED: usize = 16;

/// What a start needs of the network.
pub(crate) struct Connected {
    /// `None` = the host's.
    pub(crate) netns: Option<OwnedFd>,
    pub(crate) settings: NetworkSettings,
    /// Shared memory on the host that others may join.
    pub(crate) shm: Option<PathBuf>,
    /// Where questions for names arrive, if the embedded resolver answers them.
    pub(crate) resolver: Option<ResolverSockets>,
}

/// Namespaces of other containers that this one joins, by their first processes.
///
/// # Errors
/// Such a container does not exist, does not run, or does not share.
pub(crate) fn joins(engine: &Inner, container: &Container, modes: &Modes) -> Result<Joins> {
    let mut joins = Joins::default();
    if let NamespaceMode::Container(name) = &modes.pid {
        joins.pid = Some(format!("/proc/{}/ns/pid", running(engine, container, name, "PID")?.0).into());
    }
    match &modes.ipc {
        IpcMode::Container(name) => {
            let (pid, other) = running(engine, container, name, "IPC")?;
            let mode = super::modes(engine, &other)?.ipc;
            joins.shm = Some(match mode {
                IpcMode::Host => "/dev/shm".into(),
                IpcMode::Shareable => engine.layout.shm(&other.id),
                _ => {
                    return Err(Error::bad_parameter(format!(
                        "can't join IPC of container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
                        other.id
                    )));
                }
            });
            joins.ipc = Some(format!("/proc/{pid}/ns/ipc").into());
        }
        IpcMode::Host => joins.shm = Some("/dev/shm".into()),
        _ => {}
    }
    Ok(joins)
}

/// The container whose hostname, `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf` this one has: that whose network
/// it joins, which may itself have joined another's; or itself.
///
/// # Errors
/// Such a container does not exist or does not run.
pub(crate) fn named_like(engine: &Inner, container: &Container) -> Result<Container> {
    let mut named = container.clone();
    for _ in 0..MAX_JOINED {
        let NetworkMode::Container(name) = NetworkMode::parse(&named.host.network_mode)? else {
            return Ok(named);
        };
        named = Container::clone(&*running(engine, container, &name, "network")?.1);
    }
    Err(Error::bad_parameter(format!("more than {MAX_JOINED} containers join each other's networks in turn")))
}

/// Another container's first process.
pub(super) fn running(
    engine: &Inner,
    own: &Container,
    name: &str,
    what: &str,
) -> Result<(u32, std::sync::Arc<Container>)> {
    let other = engine.containers.find(name)?.snapshot();
    if other.id == own.id {
        return Err(Error::bad_parameter(format!("cannot join own {what} namespace")));
    }
    match (other.state.pid(), other.state.is_restarting()) {
        (_, true) => Err(Error::conflict(format!(
            "Container {} is restarting, wait until the container is running",
            other.id
        ))),
        (0, _) => Err(Error::conflict(match what {
            "network" => format!("cannot join network of a non running container: {}", other.id),
            "IPC" => format!("can't join IPC of container {0}: container {0} is not running", other.id),
            _ => format!("container {} is not running", other.id),
        })),
        (pid, _) => Ok((pid, other)),
    }
}

/// Makes the network, in `netns` if that is given, and writes the files that tell it. Blocks.
///
/// # Errors
/// The network's; the disk is full.
pub(crate) fn connect(
    engine: &Inner,
    container: &Container,
    modes: &Modes,
    netns: Option<OwnedFd>,
) -> Result<Connected> {
    let shm = if super::shares_memory(&modes.ipc) { Some(share_memory(engine, container)?) } else { None };
    if let NetworkMode::Container(name) = &modes.network {
        let (pid, _) = running(engine, container, name, "network")?;
        let namespace = File::open(format!("/proc/{pid}/ns/net"))
            .map_err(|error| Error::because(format!("join the network of container {name}"), error))?;
        let label = engine.selinux.file_label(container, Sharing::Shared);
        files::share(&named_like(engine, container)?, &label)?;
        let settings =
            NetworkSettings { ports: container.network.ports.clone(), ..NetworkSettings::default() };
        return Ok(Connected { netns: Some(namespace.into()), settings, shm, resolver: None });
    }
    let attached = crate::network::attach(engine, container, &modes.network, netns)?;
    let gateway = crate::network::host_gateway(engine, container)?;
    let links = super::super::links::hosts(engine, container)?;
    files::write(
        &engine.layout,
        &Contents {
            container,
            hostname: &container.config.hostname,
            addresses: &attached.addresses,
            gateway,
            links: &links,
            dns: engine.network.dns_defaults(),
            embedded: attached.resolver.is_some(),
            label: engine.selinux.mount_label(container),
        },
        &modes.network,
    )?;
    let Attached { netns, settings, resolver, .. } = attached;
    Ok(Connected { netns, settings, shm, resolver })
}

/// A tmpfs on the host: the one thing that must be visible there, since others bind it.
fn share_memory(engine: &Inner, container: &Container) -> Result<PathBuf> {
    let path = engine.layout.shm(&container.id);
    let failed = |error: std::io::Error| Error::because(format!("share memory at {}", path.display()), error);
    forget_shm(engine, &container.id);
    DirBuilder::new().mode(0o700).recursive(true).create(&path).map_err(failed)?;
    let size = super::shm_size(engine, container).to_string();
    let mount = FsContext::open("tmpfs")
        .and_then(|context| {
            context.set("size", &size)?;
            context.set("mode", "1777")?;
            match engine.selinux.mount_label(container) {
                "" => {}
                label => context.set("context", label)?,
            }
            context.create()?;
            context.mount(Attr(Attr::NOSUID.0 | Attr::NODEV.0 | Attr::NOEXEC.0))
        })
        .map_err(|errno| failed(errno.into()))?;
    let target = File::open(&path).map_err(failed)?;
    sys::mount::attach(mount.as_fd(), target.as_fd()).map_err(|errno| failed(errno.into()))?;
    Ok(path)
}

/// Takes a container's shared memory away; none is fine.
pub(crate) fn forget_shm(engine: &Inner, id: &str) {
    let path = engine.layout.shm(id);
    if path.exists() {
        // not mounted is as good
        let _ = sys::mount::detach(&path);
        let _ = std::fs::remove_dir(&path);
    }
}
