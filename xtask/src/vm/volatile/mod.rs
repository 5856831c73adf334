//! A disk for a guest that forgets, when the power goes, what was not flushed: [`medium`], served to qemu by the
//! network block device protocol ([`server`]) on a unix socket. A killed qemu alone would leave its writes to this
//! machine's page cache, which the cut does not reach.

mod dice;
mod medium;
mod protocol;
mod server;

pub(super) use dice::Dice;
pub(super) use medium::{Fate, Medium};
pub(super) use server::Server;
