//! What a client lends to a build: directories, secrets, its ssh agents, its registries' credentials, and a place for
//! results. The daemon asks, the client serves.

mod calls;
mod content;

use std::collections::BTreeSet;

use crate::grpc::Channel;

pub use calls::{Dir, Pieces, Registry, Token, values};
pub use content::{Content, Expected};

/// Longest id, name or key of a session, in bytes.
pub const MAX_NAME: usize = 256;
/// Most methods that a client may say it serves.
pub const MAX_METHODS: usize = 64;

/// A client's session.
#[derive(Clone, Debug)]
pub struct Session {
    /// By which builds refer to it.
    pub id: String,
    /// For people.
    pub name: String,
    /// What sessions have in common that send the same directories.
    pub shared_key: String,
    methods: BTreeSet<String>,
    channel: Channel,
}

impl Session {
    /// A session over a connection.
    #[must_use]
    pub fn new(
        id: String,
        name: String,
        shared_key: String,
        methods: BTreeSet<String>,
        channel: Channel,
    ) -> Self {
        Self { id, name, shared_key, methods, channel }
    }

    /// Whether the client serves a method. Some clients name only those of the services that they have added, all
    /// the same each call is answered with `unimplemented` where there is nothing.
    #[must_use]
    pub fn serves(&self, method: &str) -> bool {
        self.methods.contains(method)
    }
}
