//! gRPC over one connection that is there already. No listening, no reconnecting, no balancing: who made the
//! connection decides what its end means.

mod client;
mod rewound;
mod server;

pub use client::{Channel, Connected, connect};
pub use rewound::Rewound;
pub use server::{Answer, Asked, Service, answer, bidirectional, serve, server_stream, unimplemented};

/// Longest message that is read: a definition of a large build fits, as do 32 KiB pieces of files.
pub const MAX_MESSAGE: usize = 16 << 20;
/// Bytes of a stream that may be on their way before the reader takes them.
const WINDOW: u32 = 1 << 20;
/// Calls that one connection may have open.
const MAX_CALLS: u32 = 256;
