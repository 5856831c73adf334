//! The root's half of a start: mount it, ask it who the user is, collect what is bound into it.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::super::cdi::{self, Injection};
use super::super::spec::{FileMount, HostDevice, Identity};
use super::super::view::View;
use super::super::{files, host, rootfs};
use crate::container::Container;
use crate::engine::Inner;
use crate::error::Result;
use crate::userns::Holder;
use crate::volume::{Binds, Handed, Shared};

/// What a start needs of the root.
pub(crate) struct Prepared {
    pub(crate) rootfs: OwnedFd,
    /// Its own, or that of the container whose network it joins.
    pub(crate) hostname: String,
    pub(crate) user: Identity,
    pub(crate) files: Vec<FileMount>,
    /// Sources of some of the files, as mounts.
    pub(crate) handed: Vec<Handed>,
    /// Kept until the container runs.
    pub(crate) shared: Shared,
    pub(crate) devices: Vec<HostDevice>,
    pub(crate) block_devices: BTreeMap<String, (i64, i64)>,
    /// Variables and hooks of devices that were asked for by name.
    pub(crate) injected: Injection,
}

/// Mounts the root and asks it. Blocks.
///
/// # Errors
/// The signature policy refuses the image; the mount fails; the user is unknown; a device or bind source is missing.
pub(crate) fn prepare(
    engine: &Inner,
    container: &Container,
    view: Option<Arc<View>>,
    shared: Shared,
    user: Option<&Holder>,
) -> Result<Prepared> {
    engine.judge_container(container)?;
    if let Some(profile) = engine.security(&container.host)?.apparmor {
        engine.apparmor.ensure(&profile)?;
    }
    let (config, resources) = (&container.config, &container.host.resources);
    let mount = match view {
        Some(view) => view.root_to_run()?,
        None => rootfs::mount(engine, container, user)?,
    };
    let root = rootfs::root_of(&mount)?;
    let mut user = rootfs::identity(&root, &config.user, &container.host.group_add)?;
    rootfs::as_root_of(container, || {
        rootfs::working_directory(&root, &config.working_dir)?;
        rootfs::mark(&root)
    })?;
    drop(root);
    let Binds { files: mut binds, handed, shared } = crate::volume::binds(engine, container, shared)?;
    let named = super::connect::named_like(engine, container)?;
    let own = files::mounts(&named);
    let covered =
        |file: &FileMount| binds.iter().any(|bind: &FileMount| bind.destination == file.destination);
    let own: Vec<_> = own.into_iter().filter(|file| !covered(file)).collect();
    binds.extend(own);
    let mut injected = cdi::inject(&engine.config.cdi_directories, resources)?;
    binds.append(&mut injected.mounts);
    user.groups.append(&mut injected.groups);
    let mut devices = host::devices(&resources.devices, container.host.privileged)?;
    devices.retain(|device| injected.devices.iter().all(|other| other.path != device.path));
    devices.append(&mut injected.devices);
    Ok(Prepared {
        rootfs: mount,
        hostname: named.config.hostname.clone(),
        user,
        files: binds,
        handed,
        shared,
        devices,
        block_devices: host::block_devices(resources)?,
        injected,
    })
}

/// Who an exec session's process is, asked of the running container's root. Blocks.
///
/// # Errors
/// The user is unknown, or the container has ended.
pub(crate) fn exec_identity(pid: u32, user: &str, groups: &[String]) -> Result<Identity> {
    let root = rootfs::root_of_process(pid)?;
    rootfs::identity(&root, user, groups)
}
