//! DNS messages (RFC 1035, EDNS: RFC 6891): the one question of a query is read, answers are written.

use std::net::IpAddr;

/// Length of a message's header.
pub(super) const HEADER_LEN: usize = 12;
/// Longest name, with the length of each label and the root.
const MAX_NAME_LEN: usize = 255;
/// Longest label.
const MAX_LABEL_LEN: usize = 63;
/// Bytes of an answer that every client takes over UDP.
const PLAIN_UDP_LEN: usize = 512;
/// Bytes of an answer over UDP at most, whatever the client says.
const MAX_UDP_LEN: usize = 4096;
/// Records behind the question that are looked at: a query has one at most.
const MAX_RECORDS: usize = 4;
/// Class `IN`.
const CLASS_IN: u16 = 1;
/// Type `OPT`.
const TYPE_OPT: u16 = 41;
/// Pointer to the name in the question, right behind the header.
const NAME_OF_QUESTION: [u8; 2] = [0xc0, 0x0c];
/// Seconds for which an answer may be kept: as Docker's.
const TTL: u32 = 600;

/// Types that we answer.
pub(super) mod kind {
    pub(crate) const A: u16 = 1;
    pub(crate) const PTR: u16 = 12;
    pub(crate) const AAAA: u16 = 28;
}

/// Outcomes (`RCODE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    NoError = 0,
    FormatError = 1,
    ServerFailure = 2,
    NoSuchName = 3,
    NotImplemented = 4,
}

/// A query, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    /// Flags as they came.
    flags: u16,
    /// Name asked for, without the final dot.
    pub(super) name: String,
    /// Type asked for.
    pub(super) kind: u16,
    class: u16,
    /// Bytes of the header and the question.
    question_len: usize,
    /// What the client takes over UDP, when it speaks EDNS.
    edns: Option<u16>,
}

/// Why a query is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// Nothing that could be answered.
    Noise,
    /// To be refused with this code.
    Refuse(Code),
}

impl Query {
    /// Reads a query. Bounded: one question, names of 255 bytes without compression.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Unread> {
        let word = |at: usize| Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk::<2>()?));
        let Some(flags) = word(2) else { return Err(Unread::Noise) };
        // An answer is never answered: two servers would keep each other busy.
        if bytes.len() < HEADER_LEN || flags & 0x8000 != 0 {
            return Err(Unread::Noise);
        }
        if (flags >> 11) & 0xf != 0 {
            return Err(Unread::Refuse(Code::NotImplemented));
        }
        if word(4) != Some(1) || word(6) != Some(0) {
            return Err(Unread::Refuse(Code::FormatError));
        }
        let malformed = Unread::Refuse(Code::FormatError);
        let (name, end) = name(bytes, HEADER_LEN).ok_or(malformed)?;
        let (kind, class) = word(end).zip(word(end + 2)).ok_or(malformed)?;
        let records = usize::from(word(8).unwrap_or(0)) + usize::from(word(10).unwrap_or(0));
        let edns = edns(bytes, end + 4, records.min(MAX_RECORDS));
        Ok(Self { flags, name, kind, class, question_len: end + 4, edns })
    }

    /// Whether it is about the Internet, as all but curiosities are.
    pub(super) fn is_internet(&self) -> bool {
        self.class == CLASS_IN
    }

    /// Bytes that an answer may have.
    fn limit(&self, stream: bool) -> usize {
        match self.edns {
            _ if stream => usize::from(u16::MAX),
            Some(size) => usize::from(size).clamp(PLAIN_UDP_LEN, MAX_UDP_LEN),
            None => PLAIN_UDP_LEN,
        }
    }

    /// An answer with these addresses, which are of the kind that was asked for; cut short, and marked so, when it would be too long.
    pub(super) fn addresses(&self, query: &[u8], ips: &[IpAddr], stream: bool) -> Vec<u8> {
        let record = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => (kind::A, ip.octets().to_vec()),
            IpAddr::V6(ip) => (kind::AAAA, ip.octets().to_vec()),
        };
        let records = ips.iter().map(record).collect::<Vec<_>>();
        self.write(query, Code::NoError, &records, stream)
    }

    /// An answer with a name; one that is none in DNS is left out.
    pub(super) fn pointer(&self, query: &[u8], name: &str, stream: bool) -> Vec<u8> {
        let records: Vec<_> = encoded(name).map(|name| (kind::PTR, name)).into_iter().collect();
        self.write(query, Code::NoError, &records, stream)
    }

    /// An answer without records.
    pub(super) fn nothing(&self, query: &[u8], code: Code) -> Vec<u8> {
        self.write(query, code, &[], false)
    }

    fn write(&self, query: &[u8], code: Code, records: &[(u16, Vec<u8>)], stream: bool) -> Vec<u8> {
        let mut out = query.get(..self.question_len).unwrap_or_default().to_vec();
        let opt = if self.edns.is_some() { 11 } else { 0 };
        let (mut count, mut cut) = (0u16, false);
        for (kind, data) in records {
            if out.len() + 12 + data.len() + opt > self.limit(stream) || count == u16::MAX {
                cut = true;
                break;
            }
            out.extend_from_slice(&NAME_OF_QUESTION);
            out.extend_from_slice(&kind.to_be_bytes());
            out.extend_from_slice(&CLASS_IN.to_be_bytes());
            out.extend_from_slice(&TTL.to_be_bytes());
            out.extend_from_slice(&u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
            out.extend_from_slice(data);
            count += 1;
        }
        if self.edns.is_some() {
            // The root's name, type, size, four bytes of flags, no data.
            out.push(0);
            out.extend_from_slice(&TYPE_OPT.to_be_bytes());
            out.extend_from_slice(&u16::try_from(MAX_UDP_LEN).unwrap_or(u16::MAX).to_be_bytes());
            out.extend_from_slice(&[0; 6]);
        }
        // Answer, recursion desired as asked, recursion available.
        let flags = 0x8080 | (self.flags & 0x0100) | if cut { 0x0200 } else { 0 } | code as u16;
        head(&mut out, flags, [1, count, 0, u16::from(self.edns.is_some())]);
        out
    }
}

/// An answer to a query that could not be read.
pub(super) fn refusal(query: &[u8], code: Code) -> Vec<u8> {
    let mut out = query.get(..HEADER_LEN).unwrap_or_default().to_vec();
    head(&mut out, 0x8080 | code as u16, [0; 4]);
    out
}

fn head(out: &mut [u8], flags: u16, counts: [u16; 4]) {
    for (at, word) in [flags].into_iter().chain(counts).enumerate() {
        if let Some(place) = out.get_mut(2 + 2 * at..4 + 2 * at) {
            place.copy_from_slice(&word.to_be_bytes());
        }
    }
}

/// A name and where it ends. Dots and bytes beyond printable ASCII inside labels are none of ours.
fn name(bytes: &[u8], start: usize) -> Option<(String, usize)> {
    let (mut name, mut at) = (String::new(), start);
    loop {
        let len = usize::from(*bytes.get(at)?);
        at += 1;
        if len == 0 {
            return Some((name, at));
        }
        if len > MAX_LABEL_LEN || at + len - start >= MAX_NAME_LEN {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        for byte in bytes.get(at..at + len)? {
            name.push(if byte.is_ascii_graphic() && *byte != b'.' { char::from(*byte) } else { '\u{fffd}' });
        }
        at += len;
    }
}

/// What the `OPT` record says of the client's buffer.
fn edns(bytes: &[u8], mut at: usize, records: usize) -> Option<u16> {
    for _ in 0..records {
        let (_, end) = name(bytes, at)?;
        let fixed = bytes.get(end..end + 10)?;
        let word = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        if word(0) == TYPE_OPT {
            return Some(word(2));
        }
        at = end + 10 + usize::from(word(8));
    }
    None
}

/// A name in the form of messages.
fn encoded(name: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(name.len() + 2);
    for label in name.split('.') {
        if label.is_empty() || label.len() > MAX_LABEL_LEN {
            return None;
        }
        out.push(u8::try_from(label.len()).ok()?);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    (out.len() <= MAX_NAME_LEN).then_some(out)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use std::net::Ipv4Addr;

    use super::*;

    /// A query as a client writes it.
    pub(in crate::dns) fn query(name: &str, kind: u16, edns: Option<u16>) -> Vec<u8> {
        let mut bytes = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())];
        bytes.extend(encoded(name).expect("a name"));
        bytes.extend(kind.to_be_bytes());
        bytes.extend(CLASS_IN.to_be_bytes());
        if let Some(size) = edns {
            bytes.push(0);
            bytes.extend(TYPE_OPT.to_be_bytes());
            bytes.extend(size.to_be_bytes());
            bytes.extend([0; 6]);
        }
        bytes
    }

    #[test]
    fn a_query_is_read_and_its_answer_written() {
        let bytes = query("web.example", kind::A, Some(1232));
        let read = Query::parse(&bytes).expect("a query");
        assert_eq!((read.name.as_str(), read.kind, read.edns), ("web.example", kind::A, Some(1232)));
        let answer = read.addresses(&bytes, &[Ipv4Addr::new(10, 0, 0, 2).into()], false);
        assert_eq!(answer[..4], [0xab, 0xcd, 0x81, 0x80]);
        assert_eq!(answer[4..12], [0, 1, 0, 1, 0, 0, 0, 1]);
        let record = &answer[read.question_len..];
        assert_eq!(record[..16], [0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 2, 0x58, 0, 4, 10, 0, 0, 2]);
        assert_eq!(record[16..19], [0, 0, 41]);
    }

    #[test]
    fn what_does_not_fit_is_cut_and_says_so() {
        let bytes = query("svc", kind::A, None);
        let read = Query::parse(&bytes).expect("a query");
        let many = vec![Ipv4Addr::LOCALHOST.into(); 200];
        let udp = read.addresses(&bytes, &many, false);
        assert!(udp.len() <= 512 && udp[2] & 2 != 0);
        let tcp = read.addresses(&bytes, &many, true);
        assert_eq!((tcp[6..8].to_vec(), tcp[2] & 2), (vec![0, 200], 0));
    }

    #[test]
    fn noise_is_not_answered_and_what_is_wrong_is_refused() {
        let good = query("a", kind::A, None);
        assert_eq!(Query::parse(&good[..11]), Err(Unread::Noise));
        let changed = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            Query::parse(&bytes)
        };
        assert_eq!(changed(2, 0x81), Err(Unread::Noise), "an answer");
        assert_eq!(changed(2, 0x28), Err(Unread::Refuse(Code::NotImplemented)), "an update");
        assert_eq!(changed(5, 2), Err(Unread::Refuse(Code::FormatError)), "two questions");
        assert_eq!(changed(12, 0xc0), Err(Unread::Refuse(Code::FormatError)), "a compressed name");
        assert_eq!(refusal(&good, Code::FormatError)[..4], [0xab, 0xcd, 0x80, 0x81]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(mut bytes in prop::collection::vec(any::<u8>(), 0..600), tame in any::<bool>()) {
            if tame && bytes.len() >= HEADER_LEN {
                bytes[2..8].copy_from_slice(&[1, 0, 0, 1, 0, 0]);
            }
            if let Ok(read) = Query::parse(&bytes) {
                let answer = read.addresses(&bytes, &[Ipv4Addr::LOCALHOST.into(); 80], false);
                prop_assert!(answer.len() <= MAX_UDP_LEN);
                read.pointer(&bytes, &read.name, false);
            }
        }
    }
}
