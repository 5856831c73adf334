//! Sparse files: GNU's old header form and the PAX forms 0.0, 0.1 and 1.0.

use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use crate::BLOCK;
use crate::pax::Pax;
use crate::{Error, Result};

/// Offset and length of each piece of data.
pub(crate) type Map = Vec<(u64, u64)>;

fn malformed() -> Error {
    Error::Archive("malformed sparse map".into())
}

/// Checks a map against the file's size and the payload: in order, not overlapping, all of the payload used.
pub(crate) fn check(map: &[(u64, u64)], size: u64, payload: u64) -> Result<()> {
    let mut end = 0_u64;
    let mut data = 0_u64;
    for &(offset, length) in map {
        if offset < end {
            return Err(malformed());
        }
        end = offset.checked_add(length).ok_or_else(malformed)?;
        data = data.checked_add(length).ok_or_else(malformed)?;
    }
    // The kernel counts offsets in signed numbers.
    if end > size || data != payload || i64::try_from(size).is_err() {
        return Err(malformed());
    }
    Ok(())
}

/// Pieces in a GNU header or one of its extension blocks; stops at the first unused one.
fn pieces(headers: &[GnuSparseHeader], map: &mut Map, limit: usize) -> Result<()> {
    for piece in headers.iter().take_while(|piece| !piece.is_empty()) {
        let offset = piece.offset().map_err(|_error| malformed())?;
        let length = piece.length().map_err(|_error| malformed())?;
        push(map, offset, length, limit)?;
    }
    Ok(())
}

fn push(map: &mut Map, offset: u64, length: u64, limit: usize) -> Result<()> {
    if map.len() >= limit {
        return Err(Error::Limit { what: "number of pieces of a sparse file".into(), limit: limit as u64 });
    }
    map.push((offset, length));
    Ok(())
}

/// GNU's old form. `next` reads the following extension block. Returns the file's size and the map.
pub(crate) fn old_gnu(
    header: &Header,
    limit: usize,
    mut next: impl FnMut() -> Result<[u8; BLOCK]>,
) -> Result<(u64, Map)> {
    let gnu = header.as_gnu().ok_or_else(malformed)?;
    let size = gnu.real_size().map_err(|_error| malformed())?;
    let mut map = Map::new();
    pieces(&gnu.sparse, &mut map, limit)?;
    let mut extended = gnu.is_extended();
    while extended {
        let mut block = GnuExtSparseHeader::new();
        block.as_mut_bytes().copy_from_slice(&next()?);
        let before = map.len();
        pieces(block.sparse(), &mut map, limit)?;
        if map.len() == before {
            return Err(malformed());
        }
        extended = block.is_extended();
    }
    Ok((size, map))
}

/// What the PAX records say of a sparse file.
pub(crate) enum PaxSparse {
    /// Not sparse.
    No,
    /// Forms 0.0 and 0.1: the map is in the records.
    Map(u64, Map),
    /// Form 1.0: the map is at the beginning of the payload.
    InPayload(u64),
}

pub(crate) fn pax(records: &Pax, limit: usize) -> Result<PaxSparse> {
    if records.number("GNU.sparse.major")? == Some(1) && records.number("GNU.sparse.minor")?.unwrap_or(0) == 0
    {
        let size = records.number("GNU.sparse.realsize")?.ok_or_else(malformed)?;
        return Ok(PaxSparse::InPayload(size));
    }
    let Some(size) = records.number("GNU.sparse.size")?.or(records.number("GNU.sparse.realsize")?) else {
        return Ok(PaxSparse::No);
    };
    let numbers = match records.get("GNU.sparse.map") {
        Some(text) => {
            let text = std::str::from_utf8(text).map_err(|_error| malformed())?;
            text.split(',').map(|n| n.parse().map_err(|_error| malformed())).collect::<Result<Vec<u64>>>()?
        }
        None => records.sparse_pairs().to_vec(),
    };
    let mut map = Map::new();
    for pair in numbers.chunks(2) {
        let &[offset, length] = pair else { return Err(malformed()) };
        push(&mut map, offset, length, limit)?;
    }
    Ok(PaxSparse::Map(size, map))
}

/// Reads the map of form 1.0: decimal numbers, one a line, padded to whole blocks. `next` reads the payload's
/// next block. Returns the map and the bytes that it took.
pub(crate) fn in_payload(limit: usize, mut next: impl FnMut() -> Result<[u8; BLOCK]>) -> Result<(Map, u64)> {
    let mut block = next()?;
    let (mut at, mut taken) = (0, BLOCK as u64);
    let mut number = || -> Result<u64> {
        let mut value = None::<u64>;
        loop {
            if at == BLOCK {
                block = next()?;
                (at, taken) = (0, taken + BLOCK as u64);
            }
            let byte = block[at];
            at += 1;
            match (byte, value) {
                (b'\n', Some(value)) => return Ok(value),
                (b'0'..=b'9', _) => {
                    let shifted = value.unwrap_or(0).checked_mul(10).ok_or_else(malformed)?;
                    value = Some(shifted.checked_add(u64::from(byte - b'0')).ok_or_else(malformed)?);
                }
                _ => return Err(malformed()),
            }
        }
    };
    let count = number()?;
    let mut map = Map::new();
    for _ in 0..count {
        let (offset, length) = (number()?, number()?);
        push(&mut map, offset, length, limit)?;
    }
    Ok((map, taken))
}
