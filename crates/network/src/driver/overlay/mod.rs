//! Networks that several machines share: a bridge like any other, with a tunnel as one more port.

mod kernel;
mod options;
mod tables;

pub(crate) use kernel::{Tunnel, apply, ensure, read, remove, sweep};
pub(crate) use options::read as read_options;
pub(crate) use tables::{Bounds, Tables};

#[cfg(test)]
mod tests;
