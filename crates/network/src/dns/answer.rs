//! What becomes of a query: an answer out of the directory, or another server's.

use std::net::Ipv4Addr;

use super::directory::{Directory, Found, Named};
use super::message::{Code, Query, Unread, kind, refusal};

/// Zone of IPv4 addresses' names.
const REVERSE: &str = ".in-addr.arpa";

/// What to do with a query.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send this back.
    Answer(Vec<u8>),
    /// Ask another server, and send its answer back.
    Forward,
    /// Say nothing.
    Drop,
}

/// Judges a container's query; `turn` is different each time, so that those who share a name take
/// turns at being the first. `stream`: it came over TCP.
pub(crate) fn answer(all: &Directory, container: &str, query: &[u8], turn: usize, stream: bool) -> Verdict {
    let read = match Query::parse(query) {
        Ok(read) => read,
        Err(Unread::Noise) => return Verdict::Drop,
        Err(Unread::Refuse(code)) => return Verdict::Answer(refusal(query, code)),
    };
    let found = match local(all, container, &read) {
        Local::Addresses(mut ips) if read.kind == kind::A => {
            let len = ips.len().max(1);
            ips.rotate_left(turn % len);
            return Verdict::Answer(read.addresses(query, &ips, stream));
        }
        Local::Name(name) => return Verdict::Answer(read.pointer(query, &name, stream)),
        // The name is there, and has nothing of this kind. That is for nobody else to answer.
        Local::Addresses(_) => Code::NoError,
        Local::Nobody => Code::NoSuchName,
        Local::Unknown if all.leads_out(container) => return Verdict::Forward,
        // Nothing leaves an internal network, a question neither (CVE-2024-29018).
        Local::Unknown => Code::ServerFailure,
    };
    Verdict::Answer(read.nothing(query, found))
}

/// The answer to a query that nobody could answer.
pub fn failure(query: &[u8]) -> Vec<u8> {
    match Query::parse(query) {
        Ok(read) => read.nothing(query, Code::ServerFailure),
        Err(_) => refusal(query, Code::ServerFailure),
    }
}

enum Local {
    Addresses(Vec<Ipv4Addr>),
    Name(String),
    Nobody,
    Unknown,
}

fn local(all: &Directory, container: &str, query: &Query) -> Local {
    if !query.is_internet() {
        return Local::Unknown;
    }
    if let Some(ip) = reverse(&query.name).filter(|_| query.kind == kind::PTR) {
        return match all.name_of(container, ip) {
            Named::Name(name) => Local::Name(name),
            Named::Nobody => Local::Nobody,
            Named::Unknown => Local::Unknown,
        };
    }
    match all.find(container, &query.name) {
        Found::Addresses(ips) => Local::Addresses(ips),
        Found::Unknown => Local::Unknown,
    }
}

/// The address in a name such as `2.0.18.172.in-addr.arpa`.
fn reverse(name: &str) -> Option<Ipv4Addr> {
    let at = name.len().checked_sub(REVERSE.len())?;
    let (digits, zone) = (name.get(..at)?, name.get(at..)?);
    let ip: Ipv4Addr = digits.parse().ok().filter(|_| zone.eq_ignore_ascii_case(REVERSE))?;
    let [d, c, b, a] = ip.octets();
    Some(Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use super::super::message::HEADER_LEN;
    use super::super::message::tests::query;
    use super::*;
    use crate::endpoint::{Endpoint, MacAddr};

    const AAAA: u16 = 28;

    fn directory(internal: bool) -> Directory {
        let mut all = Directory::default();
        for (container, last) in [("a", 2), ("b", 3)] {
            let ip = Ipv4Addr::new(10, 0, 0, last);
            let endpoint = Endpoint {
                id: String::new(),
                network_id: "n".into(),
                ip,
                prefix_len: 24,
                gateway: Ipv4Addr::new(10, 0, 0, 1),
                mac: MacAddr::from_ipv4(ip),
                interface: "eth0".into(),
                host_interface: "veth".into(),
                ports: Vec::new(),
                names: vec![container.to_owned(), "svc".to_owned()],
                links: Vec::new(),
                priority: 0,
            };
            all.enter("net", Some("10.0.0.1/24".parse().expect("subnet")), internal, container, &endpoint);
        }
        all
    }

    fn first_address(verdict: &Verdict) -> Option<u8> {
        let Verdict::Answer(bytes) = verdict else { return None };
        // Header, `svc` with its type and class, the record up to the last byte of its address.
        bytes.get(HEADER_LEN + 9 + 15).copied()
    }

    fn code(verdict: &Verdict) -> Option<(u8, u8)> {
        let Verdict::Answer(bytes) = verdict else { return None };
        Some((bytes[3] & 0xf, bytes[7]))
    }

    #[test]
    fn those_who_share_a_name_take_turns() {
        let all = directory(false);
        let ask = |turn| answer(&all, "a", &query("svc", kind::A, None), turn, false);
        assert_eq!([0, 1, 2].map(|turn| first_address(&ask(turn))), [Some(2), Some(3), Some(2)]);
    }

    #[test]
    fn a_known_name_without_an_address_of_the_kind_is_not_asked_of_others() {
        let all = directory(false);
        assert_eq!(code(&answer(&all, "a", &query("b", AAAA, None), 0, false)), Some((0, 0)));
        assert_eq!(answer(&all, "a", &query("example.org", AAAA, None), 0, false), Verdict::Forward);
    }

    #[test]
    fn addresses_are_named_and_those_of_nobody_are_not_asked_of_others() {
        let all = directory(false);
        let ask = |name: &str| answer(&all, "a", &query(name, kind::PTR, None), 0, false);
        let Verdict::Answer(bytes) = ask("3.0.0.10.in-addr.arpa") else { panic!("no answer") };
        assert!(bytes.windows(6).any(|part| part == b"\x01b\x03net"));
        assert_eq!(code(&ask("9.0.0.10.IN-ADDR.ARPA")), Some((3, 0)));
        assert_eq!(ask("8.8.8.8.in-addr.arpa"), Verdict::Forward);
    }

    #[test]
    fn nothing_is_asked_for_a_container_that_has_no_way_out() {
        let all = directory(true);
        assert_eq!(code(&answer(&all, "a", &query("example.org", kind::A, None), 0, false)), Some((2, 0)));
        assert_eq!(first_address(&answer(&all, "a", &query("svc", kind::A, None), 1, true)), Some(3));
    }
}
