//! The user namespace of a start: a new one with a network namespace of its own, or that of a container whose namespaces
//! are shared.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::connect::running;
use crate::container::Container;
use crate::container::mode::{IpcMode, NamespaceMode, NetworkMode};
use crate::container::spec::Modes;
use crate::container::task::blocking;
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::userns::Holder;

/// Namespaces that a start begins with.
#[derive(Default)]
pub(super) struct Spaces {
    /// `None` = the host's.
    pub(super) user: Option<Holder>,
    /// A new one that belongs to it.
    pub(super) network: Option<OwnedFd>,
}

/// Makes them.
///
/// # Errors
/// The container shares namespaces with one that has other ids; the kernel makes no more.
pub(super) async fn spaces(engine: &Arc<Inner>, container: &Container, modes: &Modes) -> Result<Spaces> {
    let donors = donors(engine, container, modes)?;
    let Some(ids) = container.ids.clone() else { return Ok(Spaces::default()) };
    let lives_in = match donors.first() {
        Some(pid) => {
            let namespace = File::open(format!("/proc/{pid}/ns/user"));
            let failed = |error| Error::because("join the user namespace of another container", error);
            Some(OwnedFd::from(namespace.map_err(failed)?))
        }
        None => None,
    };
    let shares_network = matches!(modes.network, NetworkMode::Container(_));
    blocking(move || {
        let Some(user) = lives_in else {
            let (user, network) = ids.namespaces()?;
            return Ok(Spaces { user: Some(ids.held(user)), network: Some(network) });
        };
        // whoever shares namespaces must live in the user namespace that has the rights to them
        let make = || {
            runtime::network_namespace(user.as_fd())
                .map_err(|error| Error::because("make the network", error))
        };
        let network = (!shares_network).then(make).transpose()?;
        Ok(Spaces { user: Some(ids.held(user)), network })
    })
    .await
}

/// First processes of the containers whose namespaces this one joins. They have the same ids as this one.
fn donors(engine: &Inner, container: &Container, modes: &Modes) -> Result<Vec<u32>> {
    let mut donors = Vec::new();
    let shared = [
        (if let NamespaceMode::Container(name) = &modes.pid { Some(name) } else { None }, "PID"),
        (if let IpcMode::Container(name) = &modes.ipc { Some(name) } else { None }, "IPC"),
        (if let NetworkMode::Container(name) = &modes.network { Some(name) } else { None }, "network"),
    ];
    for (name, what) in shared {
        let Some(name) = name else { continue };
        let (pid, other) = running(engine, container, name, what)?;
        if other.ids != container.ids {
            return Err(Error::conflict(format!(
                "cannot join {what} namespace of container {}: it has another user namespace",
                other.id
            )));
        }
        donors.push(pid);
    }
    Ok(donors)
}
