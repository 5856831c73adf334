//! Addresses: which subnet a bridge gets, and which address a container. No I/O.

mod family;
mod lease;
mod request;
mod subnet;

pub use family::Pool;
pub use request::SubnetRequest;

pub(crate) use family::{Family, Side};
pub(crate) use lease::Leases;
pub(crate) use request::{Wanted, first, read};
pub(crate) use subnet::{candidates, overlap, private};
