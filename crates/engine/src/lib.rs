//! What Docker means by container, image, network and volume. No HTTP, no wire types, no terminal.

pub mod build;
pub mod config;
pub mod container;
pub mod error;
pub mod events;
pub mod filters;
pub mod fuzzing;
pub mod image;
pub mod network;
pub mod registry;
pub mod shim;
pub mod system;
pub mod trust;
pub mod userns;
pub mod volume;

mod engine;
mod id;
mod layout;
mod recovery;

pub use ::network::HostPorts;
pub use config::Config;
pub use engine::Engine;
pub use error::{Error, Kind, Result};

/// A stream of typed items that may end with a failure.
pub type Stream<T> = futures_util::stream::BoxStream<'static, Result<T>>;

/// Bytes that come in (an archive sent by a client, standard input).
pub type Reader = Box<dyn tokio::io::AsyncRead + Send + Sync + Unpin>;

/// Bytes that go out (standard input of a container).
pub type Writer = Box<dyn tokio::io::AsyncWrite + Send + Sync + Unpin>;
