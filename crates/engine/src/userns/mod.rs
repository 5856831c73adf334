//! User namespaces: which ids of the host a container's are.
//!
//! The store is one for all: layers lie with the ids of their images, and are shown to a container in a user namespace
//! by idmapped mounts. Volumes and binds are shown as they are, with the host's ids, as in Docker.

mod map;
mod remap;
mod subid;

pub(crate) use map::Holder;
pub use map::{IdMap, IdRange};
pub use remap::{DEFAULT_USER, IdFiles, remap, subordinate};

use crate::container::HostConfig;
use crate::container::mode::{self, NamespaceMode};
use crate::engine::Inner;
use crate::error::{Error, Result};

/// The mapping that a container gets; none for the host's user namespace.
///
/// # Errors
/// Docker's sentences: it wants something that no user namespace can have.
pub(crate) fn settle(engine: &Inner, host: &HostConfig) -> Result<Option<IdMap>> {
    if mode::parse_host_only("userns", &host.userns_mode)? == NamespaceMode::Host {
        return Ok(None);
    }
    let Some(map) = &engine.userns else { return Ok(None) };
    let bad = |sentence: &str| Err(Error::bad_parameter(sentence));
    if host.privileged {
        return bad(
            "privileged mode is incompatible with user namespaces.  You must run the container in the host \
             namespace when running privileged mode",
        );
    }
    if host.network_mode == "host" {
        return bad("cannot share the host's network namespace when user namespaces are enabled");
    }
    if host.pid_mode == "host" {
        return bad("cannot share the host PID namespace when user namespaces are enabled");
    }
    if !engine.runtime(&host.runtime)?.path.is_empty() {
        return Err(Error::bad_parameter(format!(
            "runtime {} can't be used with user namespaces: only the built-in one mounts by descriptors",
            host.runtime
        )));
    }
    Ok(Some(map.clone()))
}
