//! Servers that answer with their name and the address that they saw, and clients that say what they heard.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::Namespace;
use crate::programs::patient;

/// What has not come by then never will: the hosts are a bridge away. The kernel repeats a SYN after a second.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A server's words: its name and the address that it was asked from.
    Heard(String),
    /// A host said that nobody listens.
    Refused,
    /// A host said that there is no way.
    Unreachable,
    /// Nothing.
    Silence,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heard(words) => f.write_str(words),
            Self::Refused => f.write_str("refused"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Silence => f.write_str("silence"),
        }
    }
}

impl Answer {
    pub(super) fn of(error: &std::io::Error) -> Result<Self> {
        Ok(match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Self::Silence,
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Self::Refused,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::PermissionDenied => {
                Self::Unreachable
            }
            _ => return Err(std::io::Error::from(error.kind())).with_context(|| error.to_string()),
        })
    }
}

/// A server on a thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    socket: OwnedFd,
    thread: Option<JoinHandle<()>>,
    port: u16,
}

impl Server {
    /// Answers each TCP connection with `name`, a space, and the address that it comes from, and closes it.
    pub fn tcp(netns: &Namespace, address: SocketAddr, name: &str) -> Result<Self> {
        let listener: TcpListener = netns.within(|| {
            let socket = open(address, SocketType::STREAM)?;
            rustix::net::listen(&socket, 1024)?;
            Ok(socket.into())
        })?;
        let (socket, port) = (listener.as_fd().try_clone_to_owned()?, listener.local_addr()?.port());
        let name = name.to_owned();
        let thread = std::thread::spawn(move || {
            while let Ok((mut stream, peer)) = listener.accept() {
                let _ = stream.write_all(format!("{name} {}", plain(peer.ip())).as_bytes());
            }
        });
        Ok(Self { socket, thread: Some(thread), port })
    }

    /// Answers each UDP packet in the same way.
    pub fn udp(netns: &Namespace, address: SocketAddr, name: &str) -> Result<Self> {
        let listener: UdpSocket = netns.within(|| Ok(open(address, SocketType::DGRAM)?.into()))?;
        let (socket, port) = (listener.as_fd().try_clone_to_owned()?, listener.local_addr()?.port());
        let name = name.to_owned();
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 64];
            // Its shutdown is read as an empty packet.
            while let Ok((1.., peer)) = listener.recv_from(&mut buffer) {
                let _ = listener.send_to(format!("{name} {}", plain(peer.ip())).as_bytes(), peer);
            }
        });
        Ok(Self { socket, thread: Some(thread), port })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Wakes the thread; an unconnected UDP socket says ENOTCONN all the same.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A bound socket; `::` is every address of both families.
fn open(address: SocketAddr, kind: SocketType) -> Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.ip().is_unspecified() && address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    rustix::net::bind(&socket, &address).with_context(|| format!("cannot bind {address}"))?;
    Ok(socket)
}

fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// Does it in a namespace whose kernel asks for a neighbour's address for as long as a client waits. After the usual
/// three questions, a second each, it says that there is no way, and a machine that needs patience would hear that in
/// place of the silence that others hear.
fn ask<T: Send>(netns: &Namespace, question: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    netns.within(|| {
        for family in ["ipv4", "ipv6"] {
            let Ok(links) = std::fs::read_dir(format!("/proc/sys/net/{family}/neigh")) else { continue };
            for link in links {
                let times = link?.path().join("mcast_solicit");
                std::fs::write(&times, "100").with_context(|| format!("cannot write {}", times.display()))?;
            }
        }
        question()
    })
}

/// Connects from a namespace by TCP.
pub fn tcp(netns: &Namespace, to: SocketAddr) -> Result<Answer> {
    ask(netns, || {
        let said = TcpStream::connect_timeout(&to, patient(PATIENCE)).and_then(hear);
        said.map_or_else(|error| Answer::of(&error), |words| Ok(Answer::Heard(words)))
    })
}

/// The same from one of the namespace's addresses, or from a certain port.
pub fn tcp_from(netns: &Namespace, from: SocketAddr, to: SocketAddr) -> Result<Answer> {
    ask(netns, || {
        let socket = open(from, SocketType::STREAM)?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(patient(PATIENCE)))?;
        // A time-out of connect(2) by SO_SNDTIMEO is EINPROGRESS.
        match rustix::net::connect(&socket, &to) {
            Ok(()) => {}
            Err(rustix::io::Errno::INPROGRESS) => return Ok(Answer::Silence),
            Err(errno) => return Answer::of(&errno.into()),
        }
        hear(socket.into()).map_or_else(|error| Answer::of(&error), |words| Ok(Answer::Heard(words)))
    })
}

fn hear(mut stream: TcpStream) -> std::io::Result<String> {
    stream.set_read_timeout(Some(patient(PATIENCE)))?;
    let mut words = String::new();
    stream.read_to_string(&mut words)?;
    Ok(words)
}

/// Asks from a namespace by UDP. An answer from another address than the asked one counts as none.
pub fn udp(netns: &Namespace, to: SocketAddr) -> Result<Answer> {
    udp_from(netns, SocketAddr::new(if to.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() }, 0), to)
}

/// The same from one of the namespace's addresses, or from a certain port.
pub fn udp_from(netns: &Namespace, from: SocketAddr, to: SocketAddr) -> Result<Answer> {
    ask(netns, || {
        let socket: UdpSocket = open(from, SocketType::DGRAM)?.into();
        socket.set_read_timeout(Some(patient(PATIENCE)))?;
        let mut buffer = [0; 128];
        let asked =
            socket.connect(to).and_then(|()| socket.send(b"?")).and_then(|_| socket.recv(&mut buffer));
        match asked {
            Ok(len) => Ok(Answer::Heard(String::from_utf8_lossy(&buffer[..len]).into_owned())),
            Err(error) => Answer::of(&error),
        }
    })
}
