//! A header of rpm's: an index of tags and the data that it points into (rpm's `docs/manual/format_header.md`).

use crate::{Ecosystem, Package, Packages};

/// Most tags of one header.
const MAX_TAGS: usize = 1 << 16;
/// Bytes of an entry of the index.
const ENTRY: usize = 16;

/// Tags.
const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const VENDOR: u32 = 1011;
const LICENSE: u32 = 1014;
const ARCH: u32 = 1022;

/// A 32-bit number, among rpm's types.
const INT32: u32 = 4;

struct Header<'a> {
    index: &'a [u8],
    data: &'a [u8],
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

impl<'a> Header<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (tags, size) = (word(bytes, 0)? as usize, word(bytes, 4)? as usize);
        if tags > MAX_TAGS {
            return None;
        }
        let data = 8 + tags * ENTRY;
        Some(Self { index: bytes.get(8..data)?, data: bytes.get(data..data.checked_add(size)?)? })
    }

    fn find(&self, tag: u32) -> Option<(u32, &'a [u8])> {
        let entry = self.index.chunks_exact(ENTRY).find(|entry| word(entry, 0) == Some(tag))?;
        Some((word(entry, 4)?, self.data.get(word(entry, 8)? as usize..)?))
    }

    fn text(&self, tag: u32) -> String {
        let found = self.find(tag).and_then(|(_, data)| data.split(|byte| *byte == 0).next());
        String::from_utf8_lossy(found.unwrap_or_default()).into_owned()
    }

    fn number(&self, tag: u32) -> Option<u32> {
        let (kind, data) = self.find(tag)?;
        word(data, 0).filter(|_| kind == INT32)
    }
}

/// Adds the package that a header is of.
pub(super) fn package(bytes: &[u8], source: &str, found: &mut Packages) {
    let Some(header) = Header::read(bytes) else {
        found.remark(format!("{source} has a header that can't be read"));
        return;
    };
    let name = header.text(NAME);
    // keys of signers stand among the packages
    if name == "gpg-pubkey" {
        return;
    }
    let epoch = header.number(EPOCH).map(|epoch| format!("{epoch}:")).unwrap_or_default();
    let version = format!("{epoch}{}-{}", header.text(VERSION), header.text(RELEASE));
    found.add(Package {
        ecosystem: Ecosystem::Rpm,
        name,
        version,
        architecture: header.text(ARCH),
        license: header.text(LICENSE),
        supplier: header.text(VENDOR),
        source: source.to_owned(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_and_broken_ones() {
        let (mut index, mut data) = (Vec::new(), Vec::new());
        let texts =
            [(NAME, "bash"), (VERSION, "5.2"), (RELEASE, "1.fc40"), (ARCH, "x86_64"), (LICENSE, "GPLv3+")];
        let mut entry = |tag: u32, kind: u32, at: usize| {
            for number in [tag, kind, u32::try_from(at).unwrap(), 1] {
                index.extend(number.to_be_bytes());
            }
        };
        entry(EPOCH, INT32, 0);
        data.extend(3_u32.to_be_bytes());
        for (tag, text) in texts {
            entry(tag, 6, data.len());
            data.extend(text.bytes().chain([0]));
        }
        let tags = u32::try_from(index.len() / ENTRY).unwrap();
        let size = u32::try_from(data.len()).unwrap();
        let bytes = [&tags.to_be_bytes()[..], &size.to_be_bytes(), &index, &data].concat();
        let mut found = Packages::default();
        package(&bytes, "rpmdb.sqlite", &mut found);
        assert_eq!(found.all[0].purl(&found), "pkg:rpm/bash@3:5.2-1.fc40?arch=x86_64");
        for end in [0, 7, 20, bytes.len() - 1] {
            package(&bytes[..end], "rpmdb.sqlite", &mut found);
        }
        package(&[0xff; 64], "rpmdb.sqlite", &mut found);
        assert_eq!((found.all.len(), found.remarks.len()), (1, 1));
    }
}
