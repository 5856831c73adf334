//! What becomes of a query: an answer out of the directory, or another server's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::directory::{Directory, Found, Named};
use super::message::{Code, Query, Unread, kind, refusal};

/// Zone of IPv4 addresses' names.
const REVERSE: &str = ".in-addr.arpa";
/// Zone of IPv6 addresses' names (RFC 3596).
const REVERSE6: &str = ".ip6.arpa";

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
        // Without one of the kind, this says that the name is there and has none: that is for nobody
        // else to answer.
        Local::Addresses(mut ips) if matches!(read.kind, kind::A | kind::AAAA) => {
            ips.retain(|ip| ip.is_ipv4() == (read.kind == kind::A));
            let len = ips.len().max(1);
            ips.rotate_left(turn % len);
            return Verdict::Answer(read.addresses(query, &ips, stream));
        }
        Local::Name(name) => return Verdict::Answer(read.pointer(query, &name, stream)),
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
    Addresses(Vec<IpAddr>),
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

/// The address in a name such as `2.0.18.172.in-addr.arpa`, or of 32 digits in `ip6.arpa`.
fn reverse(name: &str) -> Option<IpAddr> {
    if let Some(digits) = within(name, REVERSE) {
        let [d, c, b, a] = digits.parse::<Ipv4Addr>().ok()?.octets();
        return Some(Ipv4Addr::new(a, b, c, d).into());
    }
    let (mut number, mut count) = (0u128, 0u32);
    for digit in within(name, REVERSE6)?.split('.') {
        let [digit] = digit.as_bytes() else { return None };
        // The lowest four bits come first.
        let value = char::from(*digit).to_digit(16).filter(|_| count < 32)?;
        number |= u128::from(value) << (4 * count);
        count += 1;
    }
    (count == 32).then(|| Ipv6Addr::from(number).into())
}

/// What stands before the zone.
fn within<'n>(name: &'n str, zone: &str) -> Option<&'n str> {
    let at = name.len().checked_sub(zone.len())?;
    let (digits, end) = (name.get(..at)?, name.get(at..)?);
    end.eq_ignore_ascii_case(zone).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::super::message::HEADER_LEN;
    use super::super::message::tests::query;
    use super::*;
    use crate::endpoint::Endpoint;
    use crate::endpoint::tests::endpoint;

    fn directory(internal: bool) -> Directory {
        let mut all = Directory::default();
        for (container, last) in [("a", 2), ("b", 3)] {
            let ip = Ipv4Addr::new(10, 0, 0, last);
            let names = vec![container.to_owned(), "svc".to_owned()];
            let ip6 = (container == "a").then(|| "fd00::a2".parse().expect("ip"));
            let endpoint = Endpoint { names, ip6, prefix6_len: 64, ..endpoint("n", ip) };
            let subnets = ["10.0.0.0/24", "fd00::/64"].map(|net| net.parse().expect("subnet"));
            all.enter("net", &subnets, internal, container, &endpoint);
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
        assert_eq!(code(&answer(&all, "a", &query("b", kind::AAAA, None), 0, false)), Some((0, 0)));
        assert_eq!(answer(&all, "a", &query("example.org", kind::AAAA, None), 0, false), Verdict::Forward);
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
    fn each_family_is_answered_by_itself() {
        let all = directory(false);
        let ask = |name: &str, kind| answer(&all, "b", &query(name, kind, None), 0, false);
        let Verdict::Answer(bytes) = ask("a", kind::AAAA) else { panic!("no answer") };
        assert!(bytes.ends_with(&[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xa2]));
        assert_eq!(code(&ask("svc", kind::AAAA)), Some((0, 1)), "only one of the two has one");
        assert_eq!(code(&ask("svc", kind::A)), Some((0, 2)));
        assert_eq!(code(&ask("svc", 15)), Some((0, 0)), "no mail");
        let zeros = "0.".repeat(26);
        let Verdict::Answer(bytes) = ask(&format!("2.A.{zeros}0.0.d.f.ip6.ARPA"), kind::PTR) else {
            panic!("no answer")
        };
        assert!(bytes.windows(6).any(|part| part == b"\x01a\x03net"));
        assert_eq!(code(&ask(&format!("3.a.{zeros}0.0.d.f.ip6.arpa"), kind::PTR)), Some((3, 0)));
        assert_eq!(ask("8.b.d.0.1.0.0.2.ip6.arpa", kind::PTR), Verdict::Forward, "a zone, no address");
        assert_eq!(ask(&format!("{zeros}{zeros}0.ip6.arpa"), kind::PTR), Verdict::Forward);
    }

    #[test]
    fn nothing_is_asked_for_a_container_that_has_no_way_out() {
        let all = directory(true);
        assert_eq!(code(&answer(&all, "a", &query("example.org", kind::A, None), 0, false)), Some((2, 0)));
        assert_eq!(first_address(&answer(&all, "a", &query("svc", kind::A, None), 1, true)), Some(3));
    }
}
