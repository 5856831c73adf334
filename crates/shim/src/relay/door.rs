//! A port of the host that is held.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, sockopt};

use super::link::Link;
use super::{Poller, Relay, Token, Watched};
use crate::protocol::{Aim, PortKey, Transport};

/// Connections that may wait to be let in.
const BACKLOG: i32 = 1024;
/// Connections let in at once, before others have their turn.
const TURN: usize = 16;
/// A connection is asked for a sign of life after so long, and then this often; as Go's servers do.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A socket and where it leads.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) key: PortKey,
    pub(super) aim: Aim,
    pub(super) socket: Watched,
}

impl Door {
    pub(super) fn new(key: PortKey, socket: OwnedFd, aim: Aim, token: Token) -> io::Result<Self> {
        let mut door = Self { key, aim: Aim::Nowhere, socket: Watched::new(socket, token) };
        door.aim(aim)?;
        Ok(door)
    }

    /// Lets it lead elsewhere.
    pub(super) fn aim(&mut self, aim: Aim) -> io::Result<()> {
        if aim != Aim::Nowhere && self.aim == Aim::Nowhere {
            rustix::io::ioctl_fionbio(&self.socket, true)?;
            match self.key.transport {
                Transport::Tcp => {
                    // what is accepted inherits these
                    sockopt::set_tcp_nodelay(&self.socket, true)?;
                    sockopt::set_socket_keepalive(&self.socket, true)?;
                    sockopt::set_tcp_keepidle(&self.socket, KEEP_ALIVE)?;
                    sockopt::set_tcp_keepintvl(&self.socket, KEEP_ALIVE)?;
                    // past what has ended a moment ago; one that listens is in everybody's way all the same
                    sockopt::set_socket_reuseaddr(&self.socket, true)?;
                    rustix::net::listen(&self.socket, BACKLOG)?;
                }
                Transport::Udp => sys::net::ask_for_destination(&self.socket, self.key.address.is_ipv6())?,
                Transport::Sctp => return Err(Errno::PROTONOSUPPORT.into()),
            }
        }
        if aim == Aim::Nowhere && self.aim != Aim::Nowhere && self.key.transport == Transport::Tcp {
            rustix::net::shutdown(&self.socket, Shutdown::Read)?;
            sockopt::set_socket_reuseaddr(&self.socket, false)?;
        }
        self.aim = aim;
        Ok(())
    }

    pub(super) fn watch(&mut self, poller: &Poller, open: bool) {
        let serves = open && self.aim != Aim::Nowhere;
        self.socket.set(poller, if serves { EventFlags::IN } else { EventFlags::empty() });
    }
}

/// A socket towards the container, on its way to be connected; from `source`, if there is one and it can be had.
pub(super) fn connect(
    to: SocketAddr,
    transport: Transport,
    source: Option<SocketAddr>,
) -> rustix::io::Result<OwnedFd> {
    // it can't where another connection has the same two ends
    if let Some(Ok(socket)) = source.map(|source| connect_from(to, transport, Some(source))) {
        return Ok(socket);
    }
    connect_from(to, transport, None)
}

fn connect_from(
    to: SocketAddr,
    transport: Transport,
    source: Option<SocketAddr>,
) -> rustix::io::Result<OwnedFd> {
    let family = match to.ip() {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let kind = if transport == Transport::Udp { SocketType::DGRAM } else { SocketType::STREAM };
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    if transport == Transport::Tcp {
        sockopt::set_tcp_nodelay(&socket, true)?;
        sockopt::set_socket_keepalive(&socket, true)?;
        sockopt::set_tcp_keepidle(&socket, KEEP_ALIVE)?;
        sockopt::set_tcp_keepintvl(&socket, KEEP_ALIVE)?;
    }
    if let Some(source) = source {
        sys::net::allow_any_address(&socket, to.is_ipv6())?;
        // a client may use one port towards several of ours
        sockopt::set_socket_reuseaddr(&socket, true)?;
        rustix::net::bind(&socket, &source)?;
    }
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// There is nothing left to make a descriptor from.
pub(super) fn is_short(errno: Errno) -> bool {
    matches!(errno, Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
}

impl Relay {
    /// Lets in who waits at a door.
    pub(super) fn let_in(&mut self, number: u64) {
        for _ in 0..TURN {
            let Some(door) = self.doors.get(&number) else { return };
            if self.links.len() >= self.max_links {
                return self.close_doors();
            }
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let client = match rustix::net::accept_with(door.socket.as_fd(), flags) {
                Ok(client) => client,
                Err(errno) if is_short(errno) => return self.close_doors(),
                // nobody is left, or who was there has gone again
                Err(_) => return,
            };
            let Some(target) = door.aim.target() else { return };
            let peer = rustix::net::getpeername(&client).ok().flatten();
            let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
            let source = peer.and_then(|peer| door.aim.source(peer));
            let server = match connect(target, Transport::Tcp, source) {
                Ok(server) => server,
                Err(errno) => {
                    super::link::refuse(&client);
                    if is_short(errno) {
                        return self.close_doors();
                    }
                    continue;
                }
            };
            let link = self.number();
            self.links.insert(link, Link::new(link, number, client, server, &self.poller));
        }
    }
}
