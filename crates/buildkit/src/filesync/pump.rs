//! From a gRPC stream to a thread that blocks, and back.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Error, QUEUE, Result};
use crate::proto::fsutil::Packet;
use crate::proto::fsutil::packet::PacketType;

/// What a blocking end reads and writes.
#[derive(Debug)]
pub struct Ends {
    incoming: mpsc::Receiver<Result<Packet>>,
    outgoing: mpsc::Sender<Packet>,
}

/// Packets that come, for who receives them; and those that go, as a stream.
pub type Pipe = (mpsc::Sender<Result<Packet>>, mpsc::Receiver<Packet>);

impl Ends {
    /// A blocking end, and its other sides.
    #[must_use]
    pub fn new() -> (Self, Pipe) {
        let (come, incoming) = mpsc::channel(QUEUE);
        let (outgoing, go) = mpsc::channel(QUEUE);
        (Self { incoming, outgoing }, (come, go))
    }

    /// The next packet; `None` when the other end has said all.
    pub(super) fn next(&mut self) -> Result<Option<Packet>> {
        let Some(packet) = self.incoming.blocking_recv() else { return Ok(None) };
        let packet = packet?;
        if packet.r#type() == PacketType::PacketErr {
            return Err(Error::Peer(String::from_utf8_lossy(&packet.data).chars().take(2000).collect()));
        }
        Ok(Some(packet))
    }

    /// Sends a packet.
    pub(super) fn send(&self, packet: Packet) -> Result<()> {
        self.outgoing.blocking_send(packet).map_err(|_closed| Error::Gone)
    }

    /// A way to send from another thread.
    pub(super) fn outgoing(&self) -> mpsc::Sender<Packet> {
        self.outgoing.clone()
    }

    /// Says why this end gives up. The other may have heard, or be gone.
    pub(super) fn complain(&self, error: &Error) {
        if !matches!(error, Error::Peer(_) | Error::Gone) {
            let data = error.to_string().into_bytes();
            let _ = self.send(Packet { data, ..of(PacketType::PacketErr) });
        }
    }
}

/// A packet of a kind, otherwise empty.
pub(super) fn of(kind: PacketType) -> Packet {
    Packet { r#type: kind.into(), ..Packet::default() }
}

/// As [`pump`], of an answer that has not begun; that it never does is told, too.
pub async fn pump_answer(
    answer: impl Future<Output = std::result::Result<tonic::Streaming<Packet>, Status>>,
    to: mpsc::Sender<Result<Packet>>,
) {
    match answer.await {
        Ok(stream) => pump(stream, to).await,
        // nobody may be listening any more
        Err(status) => drop(to.send(Err(failure(&status))).await),
    }
}

/// Passes on what comes until either side has enough.
pub async fn pump(mut stream: tonic::Streaming<Packet>, to: mpsc::Sender<Result<Packet>>) {
    loop {
        let next = tokio::select! {
            next = stream.message() => next,
            () = to.closed() => return,
        };
        let packet = match next {
            Ok(Some(packet)) => Ok(packet),
            Ok(None) => return,
            Err(status) => Err(failure(&status)),
        };
        let last = packet.is_err();
        if to.send(packet).await.is_err() || last {
            return;
        }
    }
}

fn failure(status: &Status) -> Error {
    match status.code() {
        tonic::Code::Cancelled | tonic::Code::Unavailable => Error::Gone,
        _ => Error::Peer(status.message().chars().take(2000).collect()),
    }
}

/// The packets that go, as gRPC sends them.
#[must_use]
pub fn stream(go: mpsc::Receiver<Packet>) -> ReceiverStream<Packet> {
    ReceiverStream::new(go)
}

/// Says why nothing is sent at all.
pub fn refuse(ends: &Ends, why: &str) {
    ends.complain(&Error::Protocol(why.to_owned()));
}
