//! A bridge: the interface, its address, and joining containers to it.

mod ensure;
mod join;
mod six;

pub(crate) use ensure::{ensure, is_pair, remove, sweep};
pub(crate) use join::{Joined, join, with_ipv6};
