//! From a connection to requests: hyper for ordinary ones, own code for those that take the connection over.

mod connection;
mod h2c;
mod head;
mod hijack;
mod peer;
mod pump;
mod sniff;
mod transport;
mod websocket;

pub(crate) use connection::connection;
pub(crate) use head::{length as head_length, takes_over};
pub(crate) use peer::Peer;
pub(crate) use transport::Transport;

/// Longest request head, in bytes.
const MAX_HEAD: usize = 64 << 10;
/// Most headers in one head.
const MAX_HEADERS: usize = 128;
/// How long a client may take for the head of a request, once it has begun it.
const HEAD_TIME: std::time::Duration = std::time::Duration::from_secs(30);
