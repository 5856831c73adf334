//! New namespaces, and those of others.

use std::path::PathBuf;

use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType};

use super::{Inputs, built};
use crate::container::mode::{IpcMode, NamespaceMode};
use crate::error::Result;

pub(super) fn build(inputs: &Inputs<'_>) -> Result<Vec<LinuxNamespace>> {
    let (modes, joins) = (inputs.modes, inputs.joins);
    let mut list = vec![own(LinuxNamespaceType::Mount)?];
    if modes.network != crate::container::mode::NetworkMode::Host {
        list.push(maybe(LinuxNamespaceType::Network, joins.network.clone())?);
    }
    if inputs.container.ids.is_some() {
        // the one that the network namespace belongs to
        list.push(own(LinuxNamespaceType::User)?);
    }
    if modes.uts == NamespaceMode::Private {
        list.push(own(LinuxNamespaceType::Uts)?);
    }
    if modes.pid != NamespaceMode::Host {
        list.push(maybe(LinuxNamespaceType::Pid, joins.pid.clone())?);
    }
    if modes.ipc != IpcMode::Host {
        list.push(maybe(LinuxNamespaceType::Ipc, joins.ipc.clone())?);
    }
    if modes.cgroup == NamespaceMode::Private {
        list.push(own(LinuxNamespaceType::Cgroup)?);
    }
    Ok(list)
}

fn own(kind: LinuxNamespaceType) -> Result<LinuxNamespace> {
    maybe(kind, None)
}

fn maybe(kind: LinuxNamespaceType, path: Option<PathBuf>) -> Result<LinuxNamespace> {
    let mut namespace = built(LinuxNamespaceBuilder::default().typ(kind).build())?;
    namespace.set_path(path);
    Ok(namespace)
}
