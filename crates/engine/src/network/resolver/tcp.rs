//! Questions over TCP: each behind its length (RFC 1035, 4.2.2).
//!
//! As over UDP, a question is looked at, answered, and only then taken; the connection outlives a daemon that is
//! killed. One that was accepted and not yet parked is lost with it, and its client connects again.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use ::network::Verdict;
use rustix::net::RecvFlags;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::Served;
use super::parked::Ticket;

/// Connections of one container at once.
const MAX_CONNECTIONS: usize = 32;
/// How long a client may take to ask, and to take its answer.
const IDLE: Duration = Duration::from_secs(10);

/// Accepts for as long as the container lives.
pub(super) async fn serve(served: Arc<Served>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // They end with this: a connection would keep the namespace of a container that has ended.
    let mut connections = JoinSet::new();
    for (connection, ticket) in served.spare.parked.left() {
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { break };
        if let Ok(stream) = TcpStream::from_std(connection.into()) {
            connections.spawn(begin(Arc::clone(&served), stream, ticket, place));
        }
    }
    // More than that wait until one is through.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let ticket = served.spare.parked.park(stream.as_fd());
                connections.spawn(begin(Arc::clone(&served), stream, ticket, place));
                while connections.try_join_next().is_some() {}
            }
            Err(error) => {
                tracing::warn!(container = %served.id, %error, "the resolver's socket failed");
                return;
            }
        }
    }
}

async fn begin(
    served: Arc<Served>,
    mut stream: TcpStream,
    ticket: Option<Ticket>,
    _place: OwnedSemaphorePermit,
) {
    // A client that goes away needs no answer.
    let _ = converse(&served, &mut stream).await;
    // It ends although a copy of it lies parked.
    let _ = rustix::net::shutdown(&stream, rustix::net::Shutdown::Both);
    if let Some(ticket) = ticket {
        served.spare.parked.end(&ticket);
    }
}

async fn converse(served: &Served, stream: &mut TcpStream) -> io::Result<()> {
    let mut turn = 0;
    loop {
        let query = tokio::time::timeout(IDLE, look(stream)).await??;
        let answer = match served.engine.network.answer(&served.id, &query, turn, true) {
            Verdict::Answer(answer) => answer,
            Verdict::Forward => served.upstream.ask(&query, true).await,
            Verdict::Drop => return Ok(()),
        };
        turn += 1;
        tokio::time::timeout(IDLE, write(stream, &answer)).await??;
        take(stream, query.len())?;
    }
}

/// One message, which stays where it is.
async fn look(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut framed = vec![0; 2];
    loop {
        let ready = stream.ready(Interest::READABLE).await?;
        let looked = stream.try_io(Interest::READABLE, || {
            let (len, _) = rustix::net::recv(stream, &mut framed[..], RecvFlags::PEEK | RecvFlags::DONTWAIT)?;
            match len {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                // Nothing more comes: to wait for it would be to wait for what is always ready.
                _ if len < framed.len() && ready.is_read_closed() => Err(io::ErrorKind::UnexpectedEof.into()),
                // The rest is on its way: readable again when more has come.
                _ if len < framed.len() => Err(io::ErrorKind::WouldBlock.into()),
                _ => Ok(()),
            }
        });
        match looked {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        let len = 2 + usize::from(u16::from_be_bytes([framed[0], framed[1]]));
        if framed.len() == len {
            framed.drain(..2);
            return Ok(framed);
        }
        framed.resize(len, 0);
    }
}

/// Takes the message of this length that was looked at, which is there still: all of it at once, for what a daemon that
/// is killed leaves of a message would be read as the next one's length.
fn take(stream: &TcpStream, len: usize) -> io::Result<()> {
    let mut framed = vec![0; 2 + len];
    let (taken, _) = rustix::net::recv(stream, &mut framed[..], RecvFlags::DONTWAIT)?;
    if taken == framed.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// One message.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let len = stream.read_u16().await?;
    let mut message = vec![0; usize::from(len)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// One message, in one segment if it fits.
pub(super) async fn write(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let len = u16::try_from(message.len()).map_err(io::Error::other)?;
    let mut framed = len.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed).await
}
