//! Questions over UDP.
//!
//! A question is looked at, answered, and only then taken out of the socket: a daemon that is killed
//! in between leaves it to the next one. Those that go on to other servers are noted and taken first.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use ::network::Verdict;
use rustix::net::{RecvFlags, SendFlags, SocketAddrAny};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::Served;
use super::pending::Note;

/// Longest question.
const MAX_LEN: usize = 4096;
/// Questions that are answered before others on this thread get their turn.
const TURN: usize = 32;

/// Answers for as long as the container lives.
pub(super) async fn serve(served: Arc<Served>, socket: Arc<UdpSocket>) {
    // They end with this: a question that waits would keep the namespace of a container that has ended.
    let mut forwarded = JoinSet::new();
    for (note, query, peer) in served.spare.pending.left() {
        forwarded.spawn(forward(Arc::clone(&served), Arc::clone(&socket), query, peer, Some(note)));
    }
    let mut buffer = vec![0; MAX_LEN];
    let mut count = 0_usize;
    loop {
        if let Err(error) = socket.readable().await {
            tracing::warn!(container = %served.id, %error, "the resolver's socket failed");
            return;
        }
        while let Ok((len, peer)) = receive(&socket, &mut buffer, RecvFlags::PEEK) {
            one(&served, &socket, &buffer[..len], peer, count, &mut forwarded);
            while forwarded.try_join_next().is_some() {}
            count = count.wrapping_add(1);
            if count.is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
        }
    }
}

fn one(
    served: &Arc<Served>,
    socket: &Arc<UdpSocket>,
    query: &[u8],
    peer: SocketAddr,
    turn: usize,
    forwarded: &mut JoinSet<()>,
) {
    let verdict = served.engine.network.answer(&served.id, query, turn, false);
    if let Verdict::Answer(answer) = &verdict {
        // At once, whatever the runtime knows of the socket; a client whose buffer is full asks again.
        let _ = rustix::net::sendto(socket, answer, SendFlags::DONTWAIT, &peer);
    }
    let forwards = verdict == Verdict::Forward;
    let note = forwards.then(|| served.spare.pending.note(query, peer)).flatten();
    // It is there still, as nobody else takes it.
    let _ = receive(socket, &mut [0; 1], RecvFlags::empty());
    if forwards {
        forwarded.spawn(forward(Arc::clone(served), Arc::clone(socket), query.to_vec(), peer, note));
    }
}

async fn forward(
    served: Arc<Served>,
    socket: Arc<UdpSocket>,
    query: Vec<u8>,
    peer: SocketAddr,
    note: Option<Note>,
) {
    let answer = served.upstream.ask(&query, false).await;
    let _ = socket.send_to(&answer, peer).await;
    if let Some(note) = note {
        note.done();
    }
}

fn receive(socket: &UdpSocket, buffer: &mut [u8], flags: RecvFlags) -> io::Result<(usize, SocketAddr)> {
    socket.try_io(Interest::READABLE, || {
        let flags = flags | RecvFlags::DONTWAIT;
        let (len, _, peer) = rustix::net::recvfrom(socket, buffer, flags)?;
        let peer = peer.map(|peer: SocketAddrAny| SocketAddr::try_from(peer)).transpose()?;
        peer.map(|peer| (len, peer)).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    })
}
