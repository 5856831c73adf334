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
pub(super) const MAX_WAITING: usize = 1024;
/// Sockets of one container that are opened at once, each by a thread.
const MAX_OPENING: usize = 4;
/// The port of DNS.
const PORT: u16 = 53;
/// Longest answer over UDP: what a client's EDNS allows is between it and the server.
const MAX_LEN: usize = 65536;
/// `SERVFAIL` and `REFUSED`: another server may know more.
const FAILURES: [u8; 2] = [2, 5];

/// The servers of one container.
pub(super) struct Upstream {
    servers: Vec<SocketAddr>,
    door: Arc<Door>,
    waiting: Semaphore,
    opening: Semaphore,
}

impl Upstream {
    pub(super) fn new(servers: Vec<IpAddr>, door: Door) -> Self {
        let servers = servers.into_iter().take(MAX_SERVERS).map(|ip| SocketAddr::new(ip, PORT)).collect();
        let [waiting, opening] = [MAX_WAITING, MAX_OPENING].map(Semaphore::new);
        Self { servers, door: Arc::new(door), waiting, opening }
    }

    /// The first answer that one of the servers gives; if all that answer fail, the first failure; or that there is
    /// none.
    pub(super) async fn ask(&self, query: &[u8], stream: bool) -> Vec<u8> {
        let Ok(_place) = self.waiting.try_acquire() else { return ::network::failure(query) };
        let mut failure = None;
        for server in &self.servers {
            match self.ask_one(*server, query, stream).await {
                Ok(answer) if failed(&answer) => {
                    tracing::debug!(%server, "a name server has failed");
                    failure.get_or_insert(answer);
                }
                Ok(answer) => return answer,
                Err(error) => tracing::debug!(%server, %error, "no answer from a name server"),
            }
        }
        failure.unwrap_or_else(|| ::network::failure(query))
    }

    async fn ask_one(&self, server: SocketAddr, query: &[u8], stream: bool) -> io::Result<Vec<u8>> {
        // The time is the server's: many questions at once, as a new daemon finds them, wait for us before.
        let socket = self.open(server, stream).await?;
        let answer =
            async { if stream { over_tcp(socket, query).await } else { over_udp(socket, query).await } };
        tokio::time::timeout(PATIENCE, answer).await?
    }

    async fn open(&self, server: SocketAddr, stream: bool) -> io::Result<OwnedFd> {
        let _place = self.opening.acquire().await.map_err(io::Error::other)?;
        let door = Arc::clone(&self.door);
        let opened = tokio::task::spawn_blocking(move || door.connect(server, stream));
        opened.await.map_err(io::Error::other)?.map_err(io::Error::other)
    }
}

async fn over_udp(socket: OwnedFd, query: &[u8]) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::from_std(socket.into())?;
    socket.send(query).await?;
    loop {
        socket.readable().await?;
        // Made when there is something to put into it: many questions wait at once.
        let mut buffer = vec![0; MAX_LEN];
        let len = match socket.try_recv(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            received => received?,
        };
        // The socket has a port of its own and takes packets from the server alone; the number must fit, too.
        if answers(query, &buffer[..len]) {
            return Ok(buffer[..len].to_vec());
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

fn failed(answer: &[u8]) -> bool {
    answer.get(3).is_some_and(|flags| FAILURES.contains(&(flags & 0xf)))
}

/// Whether it is an answer, with the query's number.
fn answers(query: &[u8], answer: &[u8]) -> bool {
    answer.len() >= 12 && query.get(..2) == answer.get(..2) && answer[2] & 0x80 != 0
}
