//! Sockets that systemd has opened (`sd_listen_fds(3)`), and telling it that we are ready (`sd_notify(3)`).

use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener as StdUnix};

use anyhow::{Context as _, Result, bail};
use rustix::net::{AddressFamily, sockopt};
use rustix::process::{PidfdFlags, PidfdGetfdFlags};

use super::{Listener, Security};

/// The first descriptor that systemd passes.
const FIRST: i32 = 3;
/// Most descriptors that are taken.
const MAX: i32 = 64;

/// Every socket that systemd has passed.
pub(super) fn listeners(security: &Security) -> Result<Vec<Listener>> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<i64>().ok());
    if number("LISTEN_PID") != Some(i64::from(std::process::id())) {
        bail!("systemd passed no sockets: LISTEN_PID is not this process");
    }
    let count = number("LISTEN_FDS").and_then(|count| i32::try_from(count).ok()).unwrap_or(0);
    if !(1..=MAX).contains(&count) {
        bail!("systemd passed no sockets: LISTEN_FDS is {count}");
    }
    (FIRST..FIRST + count)
        .map(|fd| {
            inherited(fd).and_then(|fd| listener(fd, security)).with_context(|| format!("descriptor {fd}"))
        })
        .collect()
}

fn listener(fd: OwnedFd, security: &Security) -> Result<Listener> {
    if !sockopt::socket_acceptconn(&fd)? {
        bail!("does not listen");
    }
    match sockopt::socket_domain(&fd)? {
        AddressFamily::UNIX => {
            let listener = StdUnix::from(fd);
            listener.set_nonblocking(true)?;
            Ok(Listener::Unix(tokio::net::UnixListener::from_std(listener)?))
        }
        AddressFamily::INET | AddressFamily::INET6 => {
            let listener = std::net::TcpListener::from(fd);
            listener.set_nonblocking(true)?;
            let acceptor = security.acceptor("a TCP socket of systemd")?;
            Ok(Listener::Tcp(tokio::net::TcpListener::from_std(listener)?, acceptor))
        }
        other => bail!("is of address family {}", other.as_raw()),
    }
}

/// A descriptor that was inherited under a number, as one of our own.
///
/// # Errors
/// There is no such descriptor.
pub(crate) fn inherited(number: i32) -> Result<OwnedFd> {
    let ourselves = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?;
    rustix::process::pidfd_getfd(&ourselves, number, PidfdGetfdFlags::empty())
        .with_context(|| format!("descriptor {number} is not open"))
}

/// Tells systemd, when it wants to hear it, that requests are served.
pub(crate) fn notify_ready() -> std::io::Result<()> {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    let bytes = name.as_encoded_bytes();
    let address = match bytes.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(&name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address).map(drop)
}
