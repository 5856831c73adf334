//! One column of one table of an SQLite file, read from its b-tree (sqlite.org, "Database File Format"). rpm's list is
//! such a file; a whole database for it would be a hundred times this.

/// Most pages that are looked at, so that a tree that bites its own tail ends.
const MAX_PAGES: usize = 1 << 20;
/// Most rows.
const MAX_ROWS: usize = 1 << 20;
/// Deepest tree: 2³² rows need less.
const MAX_DEPTH: usize = 16;

/// Kinds of a table's pages.
const INTERIOR: u8 = 5;
const LEAF: u8 = 13;

/// What is wrong with a file.
type Result<T> = std::result::Result<T, String>;

struct File<'a> {
    bytes: &'a [u8],
    page: usize,
    usable: usize,
    left: usize,
}

fn short<T>(value: Option<T>) -> Result<T> {
    value.ok_or_else(|| "the database is cut off or broken".to_owned())
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let part = bytes.get(at..at.checked_add(length)?)?;
    Some(part.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// Seven bits a byte, the highest first, the ninth byte whole.
fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for place in 0..9 {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if place == 8 {
            return Some(value << 8 | u64::from(byte));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The blobs of a table, one a row.
pub(super) fn blobs(bytes: &[u8], table: &str) -> Result<Vec<Vec<u8>>> {
    if !bytes.starts_with(b"SQLite format 3\0") {
        return Err("it is no SQLite database".to_owned());
    }
    let page = match short(number(bytes, 16, 2))? {
        1 => 65536,
        size if size >= 512 && size.is_power_of_two() => usize::try_from(size).unwrap_or(512),
        size => return Err(format!("a page of {size} bytes")),
    };
    let usable = page.saturating_sub(usize::from(*short(bytes.get(20))?));
    if usable < 480 {
        return Err("pages without room".to_owned());
    }
    let mut file = File { bytes, page, usable, left: MAX_PAGES };
    let mut root = None;
    let mut rows = 0;
    file.table(1, 0, &mut rows, &mut |record| {
        let columns = columns(record)?;
        let is =
            |place: usize, text: &str| columns.get(place).is_some_and(|column| column.1 == text.as_bytes());
        if is(0, "table") && is(1, table) {
            let (kind, value) = *short(columns.get(3))?;
            root = number(value, 0, value.len()).filter(|_| (1..=6).contains(&kind));
        }
        Ok(())
    })?;
    let root = root.ok_or_else(|| format!("it has no table {table}"))?;
    let mut all = Vec::new();
    file.table(root, 0, &mut rows, &mut |record| {
        // of the columns the last that is a blob: a key stands before it
        let blob = columns(record)?.into_iter().rev().find(|(kind, _)| *kind >= 12 && kind % 2 == 0);
        all.extend(blob.map(|(_, value)| value.to_vec()));
        Ok(())
    })?;
    Ok(all)
}

/// A record's columns: their kinds and values.
fn columns(record: &[u8]) -> Result<Vec<(u64, &[u8])>> {
    let mut at = 0;
    let end = usize::try_from(short(varint(record, &mut at))?).unwrap_or(usize::MAX);
    let mut value = end;
    let mut all = Vec::new();
    while at < end {
        let kind = short(varint(record, &mut at))?;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return Err("a column of a reserved kind".to_owned()),
            kind => (kind - 12) / 2,
        };
        let next = usize::try_from(length).ok().and_then(|length| value.checked_add(length));
        let next = short(next)?;
        all.push((kind, short(record.get(value..next))?));
        value = next;
    }
    Ok(all)
}

impl<'a> File<'a> {
    fn page(&mut self, number: u64) -> Result<&'a [u8]> {
        self.left = short(self.left.checked_sub(1))?;
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let start = short(place.and_then(|place| place.checked_mul(self.page)))?;
        short(self.bytes.get(start..start.saturating_add(self.page)))
    }

    /// Calls `row` with each record of the table's tree.
    fn table(
        &mut self,
        root: u64,
        depth: usize,
        rows: &mut usize,
        row: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err("the tree is too deep".to_owned());
        }
        let page = self.page(root)?;
        // the first page begins with the file's own header
        let header = if root == 1 { 100 } else { 0 };
        let kind = *short(page.get(header))?;
        let cells = short(number(page, header + 3, 2))? as usize;
        let pointers = header + if kind == INTERIOR { 12 } else { 8 };
        for cell in 0..cells {
            let mut at = short(number(page, pointers + 2 * cell, 2))? as usize;
            match kind {
                INTERIOR => {
                    let child = short(number(page, at, 4))?;
                    self.table(child, depth + 1, rows, row)?;
                }
                LEAF => {
                    *rows += 1;
                    if *rows > MAX_ROWS {
                        return Err("too many rows".to_owned());
                    }
                    let size = usize::try_from(short(varint(page, &mut at))?).unwrap_or(usize::MAX);
                    short(varint(page, &mut at))?;
                    let record = self.payload(page, at, size)?;
                    row(&record)?;
                }
                other => return Err(format!("a page of kind {other} in a table")),
            }
        }
        if kind == INTERIOR {
            let last = short(number(page, header + 8, 4))?;
            self.table(last, depth + 1, rows, row)?;
        }
        Ok(())
    }

    /// A record, with what of it lies on pages of its own.
    fn payload(&mut self, page: &[u8], at: usize, size: usize) -> Result<Vec<u8>> {
        if size > self.bytes.len() {
            return Err("a record is larger than the database".to_owned());
        }
        let most = self.usable - 35;
        let here = if size <= most {
            size
        } else {
            let least = (self.usable - 12) * 32 / 255 - 23;
            let kept = least + (size - least) % (self.usable - 4);
            if kept <= most { kept } else { least }
        };
        let mut record = short(page.get(at..at + here))?.to_vec();
        let mut next = if here < size { short(number(page, at + here, 4))? } else { 0 };
        while record.len() < size {
            let page = self.page(next)?;
            next = short(number(page, 0, 4))?;
            let count = (size - record.len()).min(self.usable - 4);
            record.extend_from_slice(short(page.get(4..4 + count))?);
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `sqlite3`: pages of 512 bytes, a table `Packages(hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB)` of
    /// twelve rows of 0 to 1,430 bytes, 130 more each, all of them the row's number.
    const DATABASE: &[u8] = include_bytes!("sqlite/packages.sqlite");

    #[test]
    fn rows_of_every_size() {
        let all = blobs(DATABASE, "Packages").unwrap();
        assert_eq!(all.len(), 12);
        for (number, blob) in all.iter().enumerate() {
            assert!(
                blob.len() == number * 130 && blob.iter().all(|byte| usize::from(*byte) == number),
                "{number}"
            );
        }
        assert_eq!(blobs(DATABASE, "Other").unwrap_err(), "it has no table Other");
    }

    #[test]
    fn broken_ones_end() {
        let whole = DATABASE;
        for end in (0..whole.len()).step_by(97) {
            let _ = blobs(&whole[..end], "Packages");
        }
        for at in (16..whole.len()).step_by(13) {
            let mut broken = whole.to_vec();
            broken[at] ^= 0xff;
            let _ = blobs(&broken, "Packages");
        }
        assert!(blobs(&whole[..whole.len() / 2], "Packages").is_err());
    }
}
