//! Asking other servers what the container's networks don't know.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use ::network::Door;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;

use super::tcp;

/// How long one server has for its answer, as in Docker.
const PATIENCE: Duration = Duration::from_secs(4);
/// Servers that are asked in turn, as resolv.conf(5) has it.
const MAX_SERVERS: usize = 3;
/// Questions of one container that wait for an answer at once.
const MAX_WAITING: usize = 256;
/// The port of DNS.
const PORT: u16 = 53;
/// Longest answer over UDP.
const MAX_LEN: usize = 4096;

/// The servers of one container.
pub(super) struct Upstream {
    servers: Vec<SocketAddr>,
    door: Arc<Door>,
    waiting: Semaphore,
}

impl Upstream {
    pub(super) fn new(servers: Vec<IpAddr>, door: Door) -> Self {
        let servers = servers.into_iter().take(MAX_SERVERS).map(|ip| SocketAddr::new(ip, PORT)).collect();
        Self { servers, door: Arc::new(door), waiting: Semaphore::new(MAX_WAITING) }
    }

    /// The first answer that one of the servers gives, or that there is none.
    pub(super) async fn ask(&self, query: &[u8], stream: bool) -> Vec<u8> {
        let Ok(_place) = self.waiting.try_acquire() else { return ::network::failure(query) };
        for server in &self.servers {
            let answer = tokio::time::timeout(PATIENCE, self.ask_one(*server, query, stream)).await;
            match answer {
                Ok(Ok(answer)) => return answer,
                Ok(Err(error)) => tracing::debug!(%server, %error, "no answer from a name server"),
                Err(_) => tracing::debug!(%server, "no answer from a name server in time"),
            }
        }
        ::network::failure(query)
    }

    async fn ask_one(&self, server: SocketAddr, query: &[u8], stream: bool) -> io::Result<Vec<u8>> {
        let door = Arc::clone(&self.door);
        let opened = tokio::task::spawn_blocking(move || door.connect(server, stream));
        let socket = opened.await.map_err(io::Error::other)?.map_err(io::Error::other)?;
        if stream { over_tcp(socket, query).await } else { over_udp(socket, query).await }
    }
}

async fn over_udp(socket: OwnedFd, query: &[u8]) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::from_std(socket.into())?;
    socket.send(query).await?;
    let mut buffer = vec![0; MAX_LEN];
    loop {
        let len = socket.recv(&mut buffer).await?;
        // The socket has a port of its own and takes packets from the server alone; the number must fit, too.
        if answers(query, &buffer[..len]) {
            buffer.truncate(len);
            return Ok(buffer);
        }
    }
}

async fn over_tcp(socket: OwnedFd, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::from_std(socket.into())?;
    stream.writable().await?;
    tcp::write(&mut stream, query).await?;
    let answer = tcp::read(&mut stream).await?;
    if answers(query, &answer) { Ok(answer) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Whether it is an answer, with the query's number.
fn answers(query: &[u8], answer: &[u8]) -> bool {
    answer.len() >= 12 && query.get(..2) == answer.get(..2) && answer[2] & 0x80 != 0
}
