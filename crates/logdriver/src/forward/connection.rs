//! One connection to a server, over whatever transport.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType,
};

use super::patience::Patience;
use super::{dns, tls};
use crate::error::words;
use crate::settings::{Address, Tls};

/// An open connection.
pub(crate) struct Connection {
    fd: OwnedFd,
    tls: Option<Box<tls::Session>>,
    /// Each write is a message.
    datagram: bool,
}

/// Where syslog listens on this machine.
const SYSLOG_SOCKETS: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// Connect. An error reads as Go's does.
///
/// # Errors
/// Nobody is there, or not within `limit`.
pub(crate) fn connect(
    address: &Address,
    trust: Option<&Tls>,
    patience: &mut Patience,
    limit: Option<Duration>,
) -> io::Result<Connection> {
    match address {
        Address::Tcp(host, port) | Address::Tls(host, port) => {
            let fd = dial("tcp", host, *port, SocketType::STREAM, patience, limit)?;
            // a message is not to wait for the next one
            let _ = rustix::net::sockopt::set_tcp_nodelay(&fd, true);
            let mut connection = Connection { fd, tls: None, datagram: false };
            if let Some(trust) = trust {
                connection.tls = Some(Box::new(tls::Session::begin(trust, host)?));
                connection.handshake(patience, limit)?;
            }
            Ok(connection)
        }
        Address::Udp(host, port) => {
            let fd = dial("udp", host, *port, SocketType::DGRAM, patience, limit)?;
            Ok(Connection { fd, tls: None, datagram: true })
        }
        Address::Unix(path) => unix(path, SocketType::STREAM),
        Address::Unixgram(path) => unix(path, SocketType::DGRAM),
        Address::LocalSyslog => {
            let kinds = [SocketType::DGRAM, SocketType::STREAM];
            let places = kinds.iter().flat_map(|kind| SYSLOG_SOCKETS.iter().map(move |path| (path, *kind)));
            places
                .filter_map(|(path, kind)| unix(Path::new(path), kind).ok())
                .next()
                .ok_or_else(|| io::Error::other("Unix syslog delivery error"))
        }
    }
}

fn unix(path: &Path, kind: SocketType) -> io::Result<Connection> {
    let datagram = kind == SocketType::DGRAM;
    let network = if datagram { "unixgram" } else { "unix" };
    let failed = |error: Errno| {
        io::Error::other(format!("dial {network} {}: connect: {}", path.display(), words(&error.into())))
    };
    let fd = socket(AddressFamily::UNIX, kind).map_err(failed)?;
    rustix::net::connect(&fd, &SocketAddrUnix::new(path).map_err(failed)?).map_err(failed)?;
    Ok(Connection { fd, tls: None, datagram })
}

fn socket(family: AddressFamily, kind: SocketType) -> Result<OwnedFd, Errno> {
    rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
}

/// Connect to the first of a host's addresses that answers.
fn dial(
    network: &str,
    host: &str,
    port: u16,
    kind: SocketType,
    patience: &mut Patience,
    limit: Option<Duration>,
) -> io::Result<OwnedFd> {
    let found = dns::resolve(host, patience)
        .map_err(|error| io::Error::other(format!("dial {network}: lookup {host}: {error}")))?;
    let mut last = io::Error::other(format!("dial {network}: lookup {host}: no such host"));
    for address in found {
        let address = SocketAddr::new(address, port);
        match reach(address, kind, patience, limit) {
            Ok(fd) => return Ok(fd),
            Err(error) if super::patience::is_given_up(&error) => return Err(error),
            Err(error) => {
                let reason = match error.kind() {
                    io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
                    _ => format!("connect: {}", words(&error)),
                };
                last = io::Error::other(format!("dial {network} {address}: {reason}"));
            }
        }
    }
    Err(last)
}

fn reach(
    address: SocketAddr,
    kind: SocketType,
    patience: &mut Patience,
    limit: Option<Duration>,
) -> io::Result<OwnedFd> {
    let family = match address.ip() {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let fd = socket(family, kind)?;
    match rustix::net::connect(&fd, &SocketAddrAny::from(address)) {
        Ok(()) => return Ok(fd),
        Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    if !patience.wait(Some((fd.as_fd(), PollFlags::OUT)), limit)? {
        return Err(io::ErrorKind::TimedOut.into());
    }
    match rustix::net::sockopt::socket_error(&fd)? {
        Ok(()) => Ok(fd),
        Err(error) => Err(error.into()),
    }
}

impl Connection {
    /// Whether each [`Self::send`] is a message of its own.
    pub(crate) fn is_datagram(&self) -> bool {
        self.datagram
    }

    /// Send all of it.
    ///
    /// # Errors
    /// The server has closed the connection, or takes nothing within `limit`.
    pub(crate) fn send(
        &mut self,
        bytes: &[u8],
        patience: &mut Patience,
        limit: Option<Duration>,
    ) -> io::Result<()> {
        if !self.datagram && self.is_shut()? {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let Some(tls) = &mut self.tls else { return send_raw(&self.fd, bytes, patience, limit) };
        tls.take(&self.fd)?;
        let mut out = Vec::with_capacity(bytes.len() + 1024);
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = tls.encrypt(rest, &mut out)?;
        }
        send_raw(&self.fd, &out, patience, limit)
    }

    /// Tell the server that nothing more will come, so that it knows that nothing was cut off.
    pub(crate) fn close(mut self, patience: &mut Patience) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        let farewell = tls.farewell()?;
        send_raw(&self.fd, &farewell, patience, None)
    }

    /// Whether the server is known to read no more.
    fn is_shut(&self) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.fd, PollFlags::RDHUP)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        Ok(!fds[0].revents().is_empty())
    }

    /// Wait for some bytes of an answer; none at the end of the stream.
    ///
    /// # Errors
    /// None has come within `limit`, or the connection is broken.
    pub(crate) fn receive(
        &mut self,
        buffer: &mut [u8],
        patience: &mut Patience,
        limit: Option<Duration>,
    ) -> io::Result<usize> {
        loop {
            let got = match &mut self.tls {
                Some(tls) => tls.take(&self.fd).and_then(|()| tls.decrypted(buffer)),
                None => rustix::net::recv(&self.fd, &mut *buffer, RecvFlags::DONTWAIT)
                    .map(|(count, _)| count)
                    .map_err(io::Error::from),
            };
            match got {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
            if !patience.wait(Some((self.fd.as_fd(), PollFlags::IN)), limit)? {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    fn handshake(&mut self, patience: &mut Patience, limit: Option<Duration>) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        loop {
            let out = tls.greetings()?;
            send_raw(&self.fd, &out, patience, limit)?;
            if !tls.is_handshaking() {
                return Ok(());
            }
            if !patience.wait(Some((self.fd.as_fd(), PollFlags::IN)), limit)? {
                return Err(io::ErrorKind::TimedOut.into());
            }
            tls.take(&self.fd)?;
        }
    }
}

fn send_raw(
    fd: &OwnedFd,
    mut bytes: &[u8],
    patience: &mut Patience,
    limit: Option<Duration>,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::net::send(fd, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                if !patience.wait(Some((fd.as_fd(), PollFlags::OUT)), limit)? {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
