//! As much of DER as it takes to find a public key in a certificate or a key file (RFC 5280, RFC 5480, RFC 8017).

use super::Algorithm;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const VERSION: u8 = 0xa0;

/// `rsaEncryption`, and `id-ecPublicKey` with `prime256v1`, as they stand in an `AlgorithmIdentifier`.
const RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const P256: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07,
];

/// One element.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    /// With tag and length.
    whole: &'a [u8],
}

/// Reads an element; what follows it stays.
fn element<'a>(input: &mut &'a [u8]) -> Option<Element<'a>> {
    let (&tag, rest) = input.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let length = if first < 0x80 {
        usize::from(first)
    } else {
        let digits =
            rest.get(..usize::from(first & 0x7f)).filter(|digits| (1..=4).contains(&digits.len()))?;
        rest = &rest[digits.len()..];
        digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit))
    };
    let content = rest.get(..length)?;
    let end = input.len() - rest.len() + length;
    let whole = &input[..end];
    *input = &input[end..];
    Some(Element { tag, content, whole })
}

fn tagged<'a>(input: &mut &'a [u8], tag: u8) -> Option<Element<'a>> {
    element(input).filter(|found| found.tag == tag)
}

/// The `SubjectPublicKeyInfo` of a certificate.
pub(super) fn key_of_certificate(certificate: &[u8]) -> Option<&[u8]> {
    let mut input = certificate;
    let mut certificate = tagged(&mut input, SEQUENCE)?.content;
    let mut body = tagged(&mut certificate, SEQUENCE)?.content;
    if body.first() == Some(&VERSION) {
        element(&mut body)?;
    }
    // serial number, signature, issuer, validity, subject
    for _ in 0..5 {
        element(&mut body)?;
    }
    Some(tagged(&mut body, SEQUENCE)?.whole)
}

/// What kind of key a `SubjectPublicKeyInfo` has, and the key: RFC 8017's `RSAPublicKey`, or a point.
pub(super) fn public_key(info: &[u8]) -> Option<(Algorithm, &[u8])> {
    let mut input = info;
    let mut info = tagged(&mut input, SEQUENCE)?.content;
    let algorithm = tagged(&mut info, SEQUENCE)?.content;
    let (unused, key) = tagged(&mut info, BIT_STRING)?.content.split_first()?;
    if *unused != 0 {
        return None;
    }
    if algorithm.starts_with(RSA) {
        return Some((Algorithm::Rs256, key));
    }
    (algorithm == P256).then_some((Algorithm::Es256, key))
}

/// A `SubjectPublicKeyInfo` of a key.
pub(super) fn info_of(algorithm: Algorithm, key: &[u8]) -> Vec<u8> {
    let identifier = match algorithm {
        Algorithm::Rs256 => [RSA, &[0x05, 0x00]].concat(),
        Algorithm::Es256 => P256.to_vec(),
    };
    let bits = [&[0], key].concat();
    wrap(SEQUENCE, &[wrap(SEQUENCE, &identifier), wrap(BIT_STRING, &bits)].concat())
}

/// RFC 8017's `RSAPublicKey` of a modulus and an exponent.
pub(super) fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    wrap(SEQUENCE, &[integer(modulus), integer(exponent)].concat())
}

/// A positive number.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let digits = &bytes[start..];
    let positive = digits.first().is_some_and(|first| *first < 0x80);
    wrap(INTEGER, &if positive { digits.to_vec() } else { [&[0], digits].concat() })
}

fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    if length < 0x80 {
        out.push(length.to_le_bytes()[0]);
    } else {
        let digits: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|digit| *digit == 0).collect();
        out.push(0x80 | digits.len().to_le_bytes()[0]);
        out.extend(digits);
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_in_and_comes_out() {
        let point = [4; 65];
        let info = info_of(Algorithm::Es256, &point);
        assert_eq!(public_key(&info), Some((Algorithm::Es256, &point[..])));
        let key = [7; 270];
        let info = info_of(Algorithm::Rs256, &key);
        assert_eq!(public_key(&info), Some((Algorithm::Rs256, &key[..])));
        for end in 0..info.len() {
            assert_eq!(public_key(&info[..end]), None);
            assert_eq!(key_of_certificate(&info[..end]), None);
        }
    }
}
