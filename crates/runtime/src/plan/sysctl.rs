//! Which kernel parameters a container may have: those of namespaces that are its own. Written anywhere else they
//! would be the host's.

use std::os::fd::AsFd;

use oci_spec::runtime::Spec;
use sys::process::Namespaces;

use super::namespaces::Plan;
use crate::error::{Context, Error, Result};

/// The namespace that a parameter belongs to; `None` when it is the kernel's.
fn namespace(name: &str) -> Option<Namespaces> {
    // with slashes, dots belong to names; what comes before the first of either decides here
    let dotted = name.replace('/', ".");
    match dotted.as_str() {
        n if n.starts_with("net.") => Some(Namespaces::NET),
        n if sys::process::is_ipc_parameter(n) => Some(Namespaces::IPC),
        "kernel.hostname" | "kernel.domainname" => Some(Namespaces::UTS),
        _ => None,
    }
}

/// Refuses what is not the container's own.
pub(crate) fn check(spec: &Spec, namespaces: &Plan) -> Result<()> {
    let list = spec.linux().as_ref().and_then(|linux| linux.sysctl().as_ref());
    for name in list.into_iter().flatten().map(|(name, _)| name) {
        let apart = match namespace(name) {
            Some(kind) => namespaces.new.contains(kind) || joins_another(namespaces, kind)?,
            None => false,
        };
        if !apart {
            return Err(Error::invalid("sysctl", format!("{name}: is not in a separate kernel namespace")));
        }
    }
    Ok(())
}

/// Whether a namespace of this kind is joined that isn't the runtime's own by another name.
fn joins_another(namespaces: &Plan, kind: Namespaces) -> Result<bool> {
    let Some(joined) = namespaces.joined.iter().find(|j| j.kind == kind) else { return Ok(false) };
    let own = match kind {
        Namespaces::NET => "/proc/self/ns/net",
        Namespaces::IPC => "/proc/self/ns/ipc",
        _ => "/proc/self/ns/uts",
    };
    let theirs = rustix::fs::fstat(joined.fd.as_fd()).step("sysctl", joined.path.display())?;
    let ours = rustix::fs::stat(own).step("sysctl", own)?;
    Ok((theirs.st_dev, theirs.st_ino) != (ours.st_dev, ours.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_their_namespaces() {
        for (name, kind) in [
            ("net.ipv4.ip_forward", Some(Namespaces::NET)),
            ("net/ipv4/conf/eth0.1/rp_filter", Some(Namespaces::NET)),
            ("kernel.shmmax", Some(Namespaces::IPC)),
            ("fs.mqueue.msg_max", Some(Namespaces::IPC)),
            ("kernel/domainname", Some(Namespaces::UTS)),
            ("kernel.core_pattern", None),
            ("kernel.shm_next_id", None),
            ("vm.overcommit_memory", None),
            ("fs.mqueuex", None),
            ("netx.y", None),
        ] {
            assert_eq!(namespace(name), kind, "{name}");
        }
    }
}
