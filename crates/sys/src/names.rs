//! Names of hosts as values: `hosts(5)`, `resolv.conf(5)`, and DNS messages with one question (RFC 1035). Who asks the
//! network does so itself, blocking or not. The C library's resolver would load parts of the host into a static program.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where addresses of names are written down.
pub const HOSTS: &str = "/etc/hosts";
/// Where the name servers are written down.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Largest of these files that is read, in bytes.
pub const MAX_FILE: usize = 1 << 20;
/// Largest answer over UDP that is read, in bytes.
pub const MAX_ANSWER: usize = 4096;
/// Records looked at in one answer.
const MAX_RECORDS: u16 = 64;
/// Name servers and search domains that are kept, as in the C library.
const MAX_SERVERS: usize = 3;
const MAX_SEARCH: usize = 6;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
}

impl Record {
    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
        }
    }
}

/// The addresses that this machine's [`HOSTS`] has for a name; none if it can't be read.
pub fn known(host: &str) -> Vec<IpAddr> {
    let text = crate::file::read_bounded(HOSTS, MAX_FILE).unwrap_or_default();
    in_hosts(&String::from_utf8_lossy(&text), host)
}

/// The addresses that `hosts(5)` has for a name.
pub fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
        })
        .collect()
}

/// Is the name the machine's own by definition (RFC 6761, 6.3)?
pub fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// The parts of `resolv.conf(5)` that decide who is asked for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// The name servers, never none.
    pub servers: Vec<IpAddr>,
    search: Vec<String>,
    ndots: usize,
}

impl ResolvConf {
    /// Reads the file's text; what it does not say is the C library's default.
    pub fn parse(text: &str) -> Self {
        let mut config = Self { servers: Vec::new(), search: Vec::new(), ndots: 1 };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") if config.servers.len() < MAX_SERVERS => {
                    config.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()));
                }
                Some("search" | "domain") => {
                    config.search = words.take(MAX_SEARCH).map(str::to_owned).collect();
                }
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
    pub fn candidates(&self, host: &str) -> Vec<String> {
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

/// The message that asks for one kind of record of a name; `None` when no host can be called so.
pub fn question(id: [u8; 2], name: &str, kind: Record) -> Option<Vec<u8>> {
    // one question, recursion desired
    let mut out = vec![id[0], id[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        out.push(u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out.extend_from_slice(&kind.number().to_be_bytes());
    out.extend_from_slice(&1_u16.to_be_bytes());
    Some(out)
}

/// Has the server left something out that it would tell over TCP?
pub fn is_truncated(answer: &[u8]) -> bool {
    answer.get(2).is_some_and(|flags| flags & 2 != 0)
}

/// The addresses in an answer; `None` when it is none. A name that does not exist has no addresses.
pub fn addresses(answer: &[u8], kind: Record) -> Option<Vec<IpAddr>> {
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
        if record != kind.number() {
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
        let config = ResolvConf::parse("nameserver 9.9.9.9\nsearch x.y z\noptions ndots:2\n");
        assert_eq!(config.candidates("a.b"), ["a.b.x.y", "a.b.z", "a.b"]);
        assert_eq!(config.candidates("a.b.c"), ["a.b.c", "a.b.c.x.y", "a.b.c.z"]);
        assert_eq!(config.candidates("a."), ["a"]);
        assert!(is_localhost("LOCALHOST") && is_localhost("a.localhost.") && !is_localhost("localhost.a"));
    }

    #[test]
    fn answers() {
        let mut packet = question([1, 2], "a.example", Record::A).unwrap();
        packet[2] = 0x81;
        packet[7] = 2;
        // an alias, then its address
        packet.extend_from_slice(&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 12]);
        packet.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 7]);
        assert_eq!(addresses(&packet, Record::A), Some(vec![IpAddr::from([10, 0, 0, 7])]));
        for cut in 0..packet.len() {
            assert!(addresses(&packet[..cut], Record::A).is_none(), "{cut}");
        }
        assert!(!is_truncated(&packet));
        packet[2] |= 2;
        assert!(is_truncated(&packet));
        assert!(question([0, 0], "a..b", Record::A).is_none());
    }
}
