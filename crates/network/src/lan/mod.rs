//! Containers directly on a segment that an interface of the host's leads to: macvlan and ipvlan.
//! There is no bridge and no rule of the firewall: what the segment's switch sees is the container.

mod join;
mod parent;
#[cfg(test)]
mod tests;

use rustix::io::Errno;

use crate::error::Error;
use crate::ipam::Side;
use crate::route::Manner;

pub(crate) use join::{join, leave, probe};
pub(crate) use parent::{Parent, ensure, release, sweep};

/// What a network whose containers stand on an interface of the host's is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lan {
    /// The interface.
    pub(crate) parent: Parent,
    /// How containers stand on it.
    pub(crate) manner: Manner,
    /// Largest packet, when it is not to be the parent's.
    pub(crate) mtu: Option<u32>,
    /// Its subnets.
    pub(crate) sides: Vec<Side>,
}

/// A kernel that doesn't know a kind of interface, named with what it lacks.
fn lacking(error: Error, kind: &str, parts: &str) -> Error {
    match error.errno() {
        Some(Errno::OPNOTSUPP) => Error::Unsupported(format!(
            "this machine's kernel has no {kind} interfaces ({parts}), which this network needs"
        )),
        _ => error,
    }
}
