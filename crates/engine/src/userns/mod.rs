//! User namespaces: which ids of the host a container's are.
//!
//! The store is one for all: layers lie with the ids of their images, and are shown to a container in a user namespace
//! by idmapped mounts. Binds, and volumes where all containers have the same ids, are shown as they are, with the host's
//! ids, as in Docker.

mod account;
mod auto;
mod keep;
mod map;
mod mode;
mod remap;
mod subid;

pub(crate) use auto::{of_unreadable, take};
pub(crate) use map::Holder;
pub use map::{IdMap, IdRange};
pub(crate) use mode::{Mode, parse};
pub use remap::{DEFAULT_USER, IdFiles, remap, subordinate};

use sys::idmap::inward;

use crate::container::{Container, HostConfig};
use crate::engine::Inner;
use crate::error::{Error, Result};

/// Whose ids a container has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ids {
    /// The host's.
    Host,
    /// Those that all containers have.
    Common(IdMap),
    /// Its own: [`take`] gives them when its root exists.
    Own,
}

/// Whose ids a container has.
pub(crate) fn of(container: &Container) -> Ids {
    match (&container.ids, parse(&container.host.userns_mode)) {
        (None, _) => Ids::Host,
        (Some(_), Ok(Mode::Auto(_))) => Ids::Own,
        (Some(ids), _) => Ids::Common(ids.clone()),
    }
}

/// Whose ids a container gets.
///
/// # Errors
/// Docker's sentences: it wants something that no user namespace can have.
pub(crate) fn settle(engine: &Inner, host: &HostConfig) -> Result<Ids> {
    let mode = parse(&host.userns_mode)?;
    // it lies within the daemon's, in which privileges end already
    let is_inner = matches!(mode, Mode::Keep(_) | Mode::NoMap);
    judge(&mode, &host.userns_mode, engine.config.rootless)?;
    let ids = match (mode, &engine.userns) {
        (Mode::Host, _) | (Mode::Default, None) => return Ok(Ids::Host),
        (Mode::Private, None) => {
            return Err(Error::bad_parameter(
                "userns mode private: must provide at least one UID or GID mapping to configure a user namespace: berthd \
                 has none, start it with --userns-remap, or use --userns=auto",
            ));
        }
        (Mode::Default | Mode::Private, Some(map)) => Ids::Common(map.clone()),
        (Mode::Auto(_), _) => Ids::Own,
        (Mode::Keep(keep), _) => Ids::Common(keep::keep_id(&keep)?),
        (Mode::NoMap, _) => Ids::Common(keep::no_map()?),
    };
    let bad = |sentence: &str| Err(Error::bad_parameter(sentence));
    if host.privileged && !is_inner {
        return bad(
            "privileged mode is incompatible with user namespaces.  You must run the container in the host \
             namespace when running privileged mode",
        );
    }
    if host.network_mode == "host" {
        return bad("cannot share the host's network namespace when user namespaces are enabled");
    }
    if host.pid_mode == "host" && !is_inner {
        return bad("cannot share the host PID namespace when user namespaces are enabled");
    }
    if !engine.runtime(&host.runtime)?.path.is_empty() {
        return Err(Error::bad_parameter(format!(
            "runtime {} can't be used with user namespaces: only the built-in one mounts by descriptors",
            host.runtime
        )));
    }
    Ok(ids)
}

/// Who a container is to run as that says nothing of it, nor does its image: whose ids are kept.
pub(crate) fn user(host: &HostConfig, ids: &IdMap) -> Option<(u32, u32)> {
    let Ok(Mode::Keep(_)) = parse(&host.userns_mode) else { return None };
    let map = ids.ids();
    Some((inward(&map.uids, 0)?, inward(&map.gids, 0)?))
}

/// Whether whoever runs the engine can have containers in such a user namespace.
fn judge(mode: &Mode, text: &str, rootless: bool) -> Result<()> {
    match mode {
        Mode::Default | Mode::Host => Ok(()),
        Mode::Keep(_) | Mode::NoMap if rootless => Ok(()),
        // the daemon has one range of ids, which its containers share; those of /etc/subuid mean nothing in there
        _ if rootless => Err(Error::bad_parameter(format!(
            "userns mode {text}: is not supported by a rootless berthd: its containers live in its own user namespace, \
             or with --userns=keep-id or nomap in one with the same ids in another order"
        ))),
        Mode::Keep(_) | Mode::NoMap => Err(Error::bad_parameter(format!(
            "userns mode {text}: is only supported in rootless mode: the ids that it keeps or hides are those of \
             the user who runs berthd, and that is root; use --userns=auto, or auto:uidmapping=UID:UID:1 to have one \
             user of the host inside"
        ))),
        Mode::Private | Mode::Auto(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_runs_the_engine_decides() {
        let told = |text: &str, rootless| {
            let judged = judge(&parse(text).unwrap(), text, rootless);
            judged.err().map(|error| error.to_string()).unwrap_or_default()
        };
        for text in ["", "host"] {
            assert!(told(text, false).is_empty() && told(text, true).is_empty());
        }
        for text in ["auto:size=5", "private"] {
            assert!(told(text, false).is_empty());
            assert!(
                told(text, true).contains(&format!("userns mode {text}: is not supported by a rootless"))
            );
        }
        for text in ["keep-id", "nomap"] {
            assert!(told(text, false).contains("only supported in rootless mode"));
            assert!(told(text, true).is_empty());
        }
    }
}
