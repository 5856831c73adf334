//! A terminal or pipes joined to a container: one loop over `poll`, no threads.

pub(crate) mod archive;
pub(crate) mod confirm;
pub(crate) mod demux;
pub(crate) mod keys;
pub(crate) mod progress;
pub(crate) mod pump;
pub(crate) mod signals;
pub(crate) mod terminal;

pub(crate) use keys::Keys;
pub(crate) use pump::{End, Session};
pub(crate) use signals::Signals;
