//! Who a client is, by the certificate that it has shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A client with a certificate that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The subject's common name; empty when it has none that can be read.
    pub(crate) name: String,
    certificates: Vec<Vec<u8>>,
}

impl Peer {
    /// A client by its chain (DER), its own certificate first; `None` when there is none.
    pub(crate) fn new(certificates: Vec<Vec<u8>>) -> Option<Self> {
        let name = common_name(certificates.first()?).unwrap_or_default();
        Some(Self { name, certificates })
    }

    /// The chain as PEM in base64, as Go writes those bytes in JSON.
    pub(crate) fn pems(&self) -> Vec<String> {
        self.certificates.iter().map(|der| STANDARD.encode(pem(der))).collect()
    }
}

fn pem(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let encoded = STANDARD.encode(der);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = next;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT: u8 = 0x06;
/// `id-at-commonName`, 2.5.4.3.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// The last common name of the subject (RFC 5280 4.1): what Go, and so Docker, takes for it.
fn common_name(certificate: &[u8]) -> Option<String> {
    let (tbs, _) = expect(expect(certificate, SEQUENCE)?.0, SEQUENCE)?;
    // [0] version, which may be left out
    let rest = match element(tbs)? {
        (0xa0, _, rest) => rest,
        _ => tbs,
    };
    // serial number, signature, issuer, validity
    let rest = (0..4).try_fold(rest, |rest, _| element(rest).map(|(_, _, rest)| rest))?;
    let (mut subject, _) = expect(rest, SEQUENCE)?;
    let mut name = None;
    while !subject.is_empty() {
        let (mut set, rest) = expect(subject, SET)?;
        while !set.is_empty() {
            let (pair, others) = expect(set, SEQUENCE)?;
            let (kind, value) = expect(pair, OBJECT)?;
            if kind == COMMON_NAME {
                let (tag, text, _) = element(value)?;
                name = decoded(tag, text);
            }
            set = others;
        }
        subject = rest;
    }
    name
}

/// UTF8String, PrintableString, IA5String, TeletexString.
fn decoded(tag: u8, text: &[u8]) -> Option<String> {
    match tag {
        0x0c | 0x13 | 0x16 | 0x14 => String::from_utf8(text.to_vec()).ok(),
        // BMPString
        0x1e => {
            let units: Vec<u16> =
                text.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    element(bytes).filter(|(found, _, _)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// Tag, content and what follows (X.690 8.1, lengths of up to four bytes).
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |sum, digit| (sum << 8) | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![tag, 0x82];
        out.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        out.extend(content);
        out
    }

    fn certificate(names: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
        let subject: Vec<u8> = names
            .iter()
            .flat_map(|(oid, tag, text)| {
                tlv(SET, &tlv(SEQUENCE, &[tlv(OBJECT, oid), tlv(*tag, text)].concat()))
            })
            .collect();
        let fill = tlv(SEQUENCE, &[]);
        let tbs = [
            tlv(0xa0, &tlv(2, &[2])),
            tlv(2, &[1]),
            fill.clone(),
            fill.clone(),
            fill,
            tlv(SEQUENCE, &subject),
        ];
        tlv(SEQUENCE, &tlv(SEQUENCE, &tbs.concat()))
    }

    #[test]
    fn the_common_name_is_found() {
        let organisation: &[u8] = &[0x55, 0x04, 0x0a];
        let der = certificate(&[(organisation, 0x0c, b"org"), (&COMMON_NAME, 0x0c, "zoë".as_bytes())]);
        assert_eq!(common_name(&der).unwrap(), "zoë");
        assert_eq!(common_name(&certificate(&[(organisation, 0x0c, b"org")])), None);
    }

    #[test]
    fn cut_certificates_have_no_name() {
        let der = certificate(&[(&COMMON_NAME, 0x13, b"me")]);
        for length in 0..der.len() {
            assert_eq!(common_name(&der[..length]), None);
        }
    }
}
