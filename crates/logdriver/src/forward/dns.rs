//! Names of servers: `/etc/hosts`, then the name servers of `/etc/resolv.conf` ([`sys::names`]).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::Duration;

use rustix::event::PollFlags;
use sys::names::{self, Record, ResolvConf};

use super::patience::Patience;

/// How long one name server has, and how often all are asked.
const LIMIT: Duration = Duration::from_secs(3);
const ROUNDS: usize = 2;

const PORT: u16 = 53;

/// The addresses of a host, the preferred ones first.
///
/// # Errors
/// There is no such host, or nobody who would know.
pub(super) fn resolve(host: &str, patience: &mut Patience) -> io::Result<Vec<IpAddr>> {
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let known = names::known(host);
    if !known.is_empty() {
        return Ok(known);
    }
    if names::is_localhost(host) {
        return Ok(vec![Ipv4Addr::LOCALHOST.into()]);
    }
    let config = sys::file::read_bounded(names::RESOLV_CONF, names::MAX_FILE).unwrap_or_default();
    let config = ResolvConf::parse(&String::from_utf8_lossy(&config));
    for name in config.candidates(host) {
        let found = ask_all(&name, &config, patience)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(io::Error::other("no such host"))
}

fn ask_all(name: &str, config: &ResolvConf, patience: &mut Patience) -> io::Result<Vec<IpAddr>> {
    let mut found = Vec::new();
    for kind in [Record::A, Record::Aaaa] {
        let servers = std::iter::repeat_n(&config.servers, ROUNDS).flatten();
        for server in servers {
            match ask(*server, name, kind, patience) {
                Ok(addresses) => {
                    found.extend(addresses);
                    break;
                }
                Err(error) if super::patience::is_given_up(&error) => return Err(error),
                // the next one may know
                Err(_) => {}
            }
        }
    }
    Ok(found)
}

fn ask(server: IpAddr, name: &str, kind: Record, patience: &mut Patience) -> io::Result<Vec<IpAddr>> {
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(|error| io::Error::other(error.to_string()))?;
    let local: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(local, 0))?;
    socket.connect(SocketAddr::new(server, PORT))?;
    socket.set_nonblocking(true)?;
    let question = names::question(id, name, kind).ok_or_else(|| io::Error::other("no such host"))?;
    socket.send(&question)?;
    let mut answer = [0; names::MAX_ANSWER];
    loop {
        if !patience.wait(Some((socket.as_fd(), PollFlags::IN)), Some(LIMIT))? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match socket.recv(&mut answer) {
            Ok(count) if answer[..count].starts_with(&id) => {
                return names::addresses(&answer[..count], kind)
                    .ok_or_else(|| io::Error::other("the name server's answer can't be read"));
            }
            // somebody else's
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
