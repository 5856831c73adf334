//! Names of servers: `hosts(5)`, then the name servers of `resolv.conf(5)` (RFC 1035). The C library's resolver would load
//! parts of the host into a static program.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::Duration;

use rustix::event::PollFlags;

use super::patience::Patience;

/// Largest file that is read, in bytes.
const MAX_FILE: usize = 1 << 20;
/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 4096;
/// How long one name server has, and how often all are asked.
const LIMIT: Duration = Duration::from_secs(3);
const ROUNDS: usize = 2;
/// Records looked at in one answer.
const MAX_RECORDS: u16 = 64;

const A: u16 = 1;
const AAAA: u16 = 28;
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
    let hosts = sys::file::read_bounded("/etc/hosts", MAX_FILE).unwrap_or_default();
    let known = in_hosts(&String::from_utf8_lossy(&hosts), host);
    if !known.is_empty() {
        return Ok(known);
    }
    if host == "localhost" {
        return Ok(vec![Ipv4Addr::LOCALHOST.into()]);
    }
    let config = sys::file::read_bounded("/etc/resolv.conf", MAX_FILE).unwrap_or_default();
    let config = Config::parse(&String::from_utf8_lossy(&config));
    for name in config.candidates(host) {
        let found = ask_all(&name, &config, patience)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(io::Error::other("no such host"))
}

fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
        })
        .collect()
}

struct Config {
    servers: Vec<IpAddr>,
    search: Vec<String>,
    ndots: usize,
}

impl Config {
    fn parse(text: &str) -> Self {
        let mut config = Self { servers: Vec::new(), search: Vec::new(), ndots: 1 };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    config.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()))
                }
                Some("search" | "domain") => config.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let ndots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok()).next();
                    config.ndots = ndots.unwrap_or(config.ndots);
                }
                _ => {}
            }
        }
        if config.servers.is_empty() {
            config.servers.push(Ipv4Addr::LOCALHOST.into());
        }
        config
    }

    /// The full names that a name may mean, in order.
    fn candidates(&self, host: &str) -> Vec<String> {
        if host.ends_with('.') {
            return vec![host.trim_end_matches('.').to_owned()];
        }
        let searched = self.search.iter().map(|domain| format!("{host}.{}", domain.trim_end_matches('.')));
        let mut names: Vec<String> = searched.collect();
        let first = host.matches('.').count() >= self.ndots;
        names.insert(if first { 0 } else { names.len() }, host.to_owned());
        names
    }
}

fn ask_all(name: &str, config: &Config, patience: &mut Patience) -> io::Result<Vec<IpAddr>> {
    let mut found = Vec::new();
    for kind in [A, AAAA] {
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

fn ask(server: IpAddr, name: &str, kind: u16, patience: &mut Patience) -> io::Result<Vec<IpAddr>> {
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(|error| io::Error::other(error.to_string()))?;
    let local: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(local, 0))?;
    socket.connect(SocketAddr::new(server, PORT))?;
    socket.set_nonblocking(true)?;
    socket.send(&question(id, name, kind)?)?;
    let mut answer = [0; MAX_ANSWER];
    loop {
        if !patience.wait(Some((socket.as_fd(), PollFlags::IN)), Some(LIMIT))? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match socket.recv(&mut answer) {
            Ok(count) if answer[..count].starts_with(&id) => {
                return addresses(&answer[..count], kind)
                    .ok_or_else(|| io::Error::other("the name server's answer can't be read"));
            }
            // somebody else's
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

fn question(id: [u8; 2], name: &str, kind: u16) -> io::Result<Vec<u8>> {
    // one question, recursion desired
    let mut out = vec![id[0], id[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length));
        out.push(length.ok_or_else(|| io::Error::other("no such host"))?);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&1_u16.to_be_bytes());
    Ok(out)
}

/// The addresses in an answer; `None` when it is none. A name that does not exist has no addresses.
fn addresses(answer: &[u8], kind: u16) -> Option<Vec<IpAddr>> {
    let number = |at: usize| Some(u16::from_be_bytes([*answer.get(at)?, *answer.get(at + 1)?]));
    // answers "no error" and "no such name" are answers
    if answer.len() < 12 || answer[2] & 0x80 == 0 || !matches!(answer[3] & 0xf, 0 | 3) {
        return None;
    }
    let mut at = 12;
    for _ in 0..number(4)?.min(MAX_RECORDS) {
        at = after_name(answer, at)? + 4;
    }
    let mut found = Vec::new();
    for _ in 0..number(6)?.min(MAX_RECORDS) {
        at = after_name(answer, at)?;
        let (record, length) = (number(at)?, number(at + 8)? as usize);
        let data = answer.get(at + 10..at + 10 + length)?;
        at += 10 + length;
        if record != kind {
            continue;
        }
        if let Ok(four) = <[u8; 4]>::try_from(data) {
            found.push(Ipv4Addr::from(four).into());
        } else if let Ok(sixteen) = <[u8; 16]>::try_from(data) {
            found.push(Ipv6Addr::from(sixteen).into());
        }
    }
    Some(found)
}

/// Where a name ends; a pointer ends it.
fn after_name(answer: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = *answer.get(at)?;
        match length {
            0 => return Some(at + 1),
            0xc0.. => return Some(at + 2),
            _ => at += usize::from(length) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_candidates() {
        let hosts = "127.0.0.1 localhost\n10.1.2.3 a.b  Web # web2\n";
        assert_eq!(in_hosts(hosts, "web"), [IpAddr::from([10, 1, 2, 3])]);
        assert!(in_hosts(hosts, "web2").is_empty());
        let config = Config::parse("nameserver 9.9.9.9\nsearch x.y z\noptions ndots:2\n");
        assert_eq!(config.candidates("a.b"), ["a.b.x.y", "a.b.z", "a.b"]);
        assert_eq!(config.candidates("a.b.c"), ["a.b.c", "a.b.c.x.y", "a.b.c.z"]);
        assert_eq!(config.candidates("a."), ["a"]);
    }

    #[test]
    fn answers() {
        let mut packet = question([1, 2], "a.example", A).unwrap();
        packet[2] = 0x81;
        packet[7] = 2;
        // an alias, then its address
        packet.extend_from_slice(&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 12]);
        packet.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 7]);
        assert_eq!(addresses(&packet, A), Some(vec![IpAddr::from([10, 0, 0, 7])]));
        for cut in 0..packet.len() {
            assert!(addresses(&packet[..cut], A).is_none(), "{cut}");
        }
        assert!(question([0, 0], "a..b", A).is_err());
    }
}
