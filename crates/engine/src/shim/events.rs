//! What a shim tells without being asked.

use shim::protocol::Event;
use tokio::sync::mpsc;

/// How many events may wait for the container's task before the connection is read no further.
pub(super) const BACKLOG: usize = 64;

/// Something has happened to the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShimEvent {
    /// The shim says so.
    Told(Event),
    /// The connection has ended. After [`Event::Exited`] and a shutdown that is as it should be; otherwise
    /// the shim was killed, and its container with it.
    Gone,
}

/// The events of one connection, in order; [`ShimEvent::Gone`] is the last.
#[derive(Debug)]
pub struct Events {
    pub(super) receiver: mpsc::Receiver<ShimEvent>,
}

impl Events {
    /// Wait for the next event; after the last, [`ShimEvent::Gone`] for ever. Cancel safe.
    pub async fn next(&mut self) -> ShimEvent {
        self.receiver.recv().await.unwrap_or(ShimEvent::Gone)
    }
}
