//! The Distinguished Encoding Rules (X.690), as far as keys and certificates need them.
//!
//! A cursor over one level: what it does not accept (indefinite or padded lengths, tags of several bytes, lengths
//! past the end) is an error, and nothing is copied.

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;

/// `[n]`, constructed.
pub(crate) const fn context(n: u8) -> u8 {
    0xa0 | n
}

/// `[n]`, primitive.
pub(crate) const fn context_primitive(n: u8) -> u8 {
    0x80 | n
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid DER")]
pub(crate) struct DerError;

/// What is left of one level.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The tag of the next element.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element, whatever it is: its tag, its content, and all of it.
    pub(crate) fn any(&mut self) -> Result<(u8, &'a [u8], &'a [u8]), DerError> {
        let (&tag, after) = self.rest.split_first().ok_or(DerError)?;
        if tag & 0x1f == 0x1f {
            return Err(DerError);
        }
        let (&first, after) = after.split_first().ok_or(DerError)?;
        let (length, after) = match first {
            0..=0x7f => (usize::from(first), after),
            0x81..=0x84 => {
                let count = usize::from(first & 0x7f);
                let digits = after.get(..count).ok_or(DerError)?;
                let length = digits.iter().fold(0usize, |sum, &digit| (sum << 8) | usize::from(digit));
                // the shortest form only
                if length < 0x80 || digits.first() == Some(&0) {
                    return Err(DerError);
                }
                (length, after.get(count..).ok_or(DerError)?)
            }
            _ => return Err(DerError),
        };
        let content = after.get(..length).ok_or(DerError)?;
        let whole = self.rest.len() - (after.len() - length);
        let (element, rest) = self.rest.split_at(whole);
        self.rest = rest;
        Ok((tag, content, element))
    }

    /// The content of the next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<&'a [u8], DerError> {
        match self.any()? {
            (found, content, _) if found == tag => Ok(content),
            _ => Err(DerError),
        }
    }

    /// The content of the next element if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, DerError> {
        if self.peek() == Some(tag) { self.expect(tag).map(Some) } else { Ok(None) }
    }

    pub(crate) fn finish(self) -> Result<(), DerError> {
        if self.is_empty() { Ok(()) } else { Err(DerError) }
    }
}

/// The bytes of a bit string whose bits fill them.
pub(crate) fn whole_bits(content: &[u8]) -> Result<&[u8], DerError> {
    match content.split_first() {
        Some((0, bits)) => Ok(bits),
        _ => Err(DerError),
    }
}

/// Seconds since 1970 of a UTCTime or GeneralizedTime as RFC 5280 4.1.2.5 allows them.
pub(crate) fn time(tag: u8, content: &[u8]) -> Result<i64, DerError> {
    let digits = content.strip_suffix(b"Z").ok_or(DerError)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(DerError);
    }
    let number = |part: &[u8]| part.iter().fold(0i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let (year, rest) = digits.split_at(2);
            let year = number(year);
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        (GENERALIZED_TIME, 14) => {
            let (year, rest) = digits.split_at(4);
            (number(year), rest)
        }
        _ => return Err(DerError),
    };
    let mut parts = rest.chunks(2).map(number);
    let mut next = || parts.next().ok_or(DerError);
    let (month, day, hour, minute, second) = (next()?, next()?, next()?, next()?, next()?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return Err(DerError);
    }
    // days since 1970 of the proleptic Gregorian calendar, with years that begin in March
    let shifted = if month > 2 { year } else { year - 1 };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Ok(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_one_form() {
        for bad in [
            &[0x04, 0x80, 0, 0][..],
            &[0x04, 0x81, 0x01, 0],
            &[0x04, 0x82, 0x00, 0x80],
            &[0x04, 0x05, 0],
            &[0x04, 0x85, 1, 1, 1, 1, 1],
            &[0x1f, 0x01, 0],
            &[0x04],
            &[],
        ] {
            assert!(Cursor::new(bad).any().is_err(), "{bad:?}");
        }
        let mut long = vec![0x04, 0x81, 0x80];
        long.extend([7; 0x80]);
        let mut cursor = Cursor::new(&long);
        assert_eq!(cursor.expect(OCTET_STRING).unwrap().len(), 0x80);
        assert!(cursor.is_empty());
    }

    #[test]
    fn times() {
        assert_eq!(time(UTC_TIME, b"700101000000Z"), Ok(0));
        assert_eq!(time(UTC_TIME, b"240229120000Z"), Ok(1_709_208_000));
        assert_eq!(time(GENERALIZED_TIME, b"20311005131232Z"), Ok(1_948_972_352));
        for bad in [&b"240229120000"[..], b"2402291200Z", b"241329120000Z", b"24022912000aZ"] {
            assert!(time(UTC_TIME, bad).is_err());
        }
    }
}
