//! From a gRPC stream to a thread that blocks, and back.

use std::collections::VecDeque;

use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Error, QUEUE, Result};
use crate::proto::fsutil::Packet;
use crate::proto::fsutil::packet::PacketType;

/// What a blocking end reads and writes.
#[derive(Debug)]
pub struct Ends {
    incoming: mpsc::Receiver<Result<Vec<Packet>>>,
    /// Those that have come and were not taken yet.
    come: VecDeque<Packet>,
    outgoing: mpsc::Sender<Vec<Packet>>,
}

/// Packets that come, several at a time, for who receives them; and those that go, several at a time, too.
pub type Pipe = (mpsc::Sender<Result<Vec<Packet>>>, mpsc::Receiver<Vec<Packet>>);

/// Most packets that are handed over together, and bytes of contents: a thread that is woken for each takes 10 µs more
/// for it, and most are as small as a name.
const BATCH: usize = 128;
const BATCH_BYTES: usize = 256 << 10;
/// Batches that wait.
const BATCHES: usize = 4;

impl Ends {
    /// A blocking end, and its other sides.
    #[must_use]
    pub fn new() -> (Self, Pipe) {
        let (come, incoming) = mpsc::channel(BATCHES);
        let (outgoing, go) = mpsc::channel(QUEUE);
        (Self { incoming, come: VecDeque::new(), outgoing }, (come, go))
    }

    /// The next packet; `None` when the other end has said all.
    pub(super) fn next(&mut self) -> Result<Option<Packet>> {
        let packet = loop {
            if let Some(packet) = self.come.pop_front() {
                break packet;
            }
            let Some(packets) = self.incoming.blocking_recv() else { return Ok(None) };
            self.come = packets?.into();
        };
        if packet.r#type() == PacketType::PacketErr {
            return Err(Error::Peer(String::from_utf8_lossy(&packet.data).chars().take(2000).collect()));
        }
        Ok(Some(packet))
    }

    /// Sends a packet.
    pub(super) fn send(&self, packet: Packet) -> Result<()> {
        self.send_all(vec![packet])
    }

    /// Sends several packets, for which the stream is woken once.
    pub(super) fn send_all(&self, packets: Vec<Packet>) -> Result<()> {
        self.outgoing.blocking_send(packets).map_err(|_closed| Error::Gone)
    }

    /// A way to send from another thread.
    pub(super) fn outgoing(&self) -> mpsc::Sender<Vec<Packet>> {
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
    to: mpsc::Sender<Result<Vec<Packet>>>,
) {
    match answer.await {
        Ok(stream) => pump(stream, to).await,
        // nobody may be listening any more
        Err(status) => drop(to.send(Err(failure(&status))).await),
    }
}

/// Passes on what comes until either side has enough.
pub async fn pump(mut stream: tonic::Streaming<Packet>, to: mpsc::Sender<Result<Vec<Packet>>>) {
    loop {
        let next = tokio::select! {
            next = stream.message() => next,
            () = to.closed() => return,
        };
        let (mut packets, mut end) = (Vec::new(), None);
        let mut bytes = 0;
        let mut next = Some(next);
        while let Some(come) = next.take() {
            match come {
                Ok(Some(packet)) => {
                    bytes += packet.data.len();
                    packets.push(packet);
                }
                Ok(None) => end = Some(Ok(())),
                Err(status) => end = Some(Err(failure(&status))),
            }
            if end.is_none() && packets.len() < BATCH && bytes < BATCH_BYTES {
                // what is there already goes along, and nothing is waited for
                next = tokio::select! {
                    biased;
                    come = stream.message() => Some(come),
                    () = std::future::ready(()) => None,
                };
            }
        }
        if !packets.is_empty() && to.send(Ok(packets)).await.is_err() {
            return;
        }
        match end {
            None => {}
            Some(Ok(())) => return,
            // nobody may be listening any more
            Some(Err(error)) => return drop(to.send(Err(error)).await),
        }
    }
}

fn failure(status: &Status) -> Error {
    match status.code() {
        tonic::Code::Cancelled | tonic::Code::Unavailable => Error::Gone,
        _ => Error::Peer(status.message().chars().take(2000).collect()),
    }
}

/// The packets that go, as gRPC sends them: those that were handed over together in one piece.
pub fn stream(go: mpsc::Receiver<Vec<Packet>>) -> impl Stream<Item = Packet> + Send + use<> {
    ReceiverStream::new(go).flat_map(stream::iter)
}

/// Says why nothing is sent at all.
pub fn refuse(ends: &Ends, why: &str) {
    ends.complain(&Error::Protocol(why.to_owned()));
}
