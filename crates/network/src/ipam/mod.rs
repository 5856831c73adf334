//! Addresses: which subnet a bridge gets, and which address a container. No I/O.

mod lease;
mod subnet;

pub(crate) use lease::Leases;
pub(crate) use subnet::candidates;
