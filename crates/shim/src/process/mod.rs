//! The process `berth-shim`: one loop over epoll, one thread, nothing that waits elsewhere.
//!
//! Life: the daemon starts it with its first connection as standard input. It makes the container when told,
//! records its end in `exit.json`, tells whoever is connected, and stays until a daemon acknowledges
//! ([`crate::protocol::Request::Shutdown`]). When the container has ended and no daemon is connected it ends by itself: the
//! record on disk is the truth, and the next daemon finds it there. A shim that has started nothing ends with its
//! last connection.

mod backend;
mod client;
mod container;
mod daemon;
mod kept;
mod ports;
mod reap;
mod requests;
mod server;
mod session;
mod setup;
mod stdio;
mod token;

pub use setup::run;
