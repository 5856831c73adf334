//! The entries of one layer, packed: an archive names its images last, so that every layer waits for its turn.

use crate::Kind;
use crate::limits::Limits;
use crate::{Error, Result};

/// What one entry says of its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// Relative to the root, cleaned.
    pub(crate) path: &'a [u8],
    /// Target of a link.
    pub(crate) link: &'a [u8],
    pub(crate) facts: Facts,
}

/// The part of an entry that has a fixed size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) kind: Kind,
    /// The link is another name of a file.
    pub(crate) hard: bool,
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    /// Of the content.
    pub(crate) content: u64,
    /// Of the extended attributes and device numbers.
    pub(crate) extra: u64,
}

/// The entries in the order of the layer's tar.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    text: Vec<u8>,
    /// Ends of path and link within `text`.
    entries: Vec<(u32, u32, Facts)>,
}

impl Listing {
    pub(crate) const EMPTY: Self = Self { text: Vec::new(), entries: Vec::new() };

    /// Adds an entry; `used` counts what all listings of the archive hold.
    pub(crate) fn push(&mut self, entry: Entry<'_>, limits: &Limits, used: &mut Used) -> Result<()> {
        used.entries += 1;
        used.names += (entry.path.len() + entry.link.len()) as u64;
        if used.entries > limits.entries {
            return Err(Error::Limit { what: "number of files in all layers", limit: limits.entries });
        }
        if used.names > limits.names {
            return Err(Error::Limit { what: "bytes of all file names", limit: limits.names });
        }
        self.text.extend_from_slice(entry.path);
        let path = self.end()?;
        self.text.extend_from_slice(entry.link);
        self.entries.push((path, self.end()?, entry.facts));
        Ok(())
    }

    fn end(&self) -> Result<u32> {
        u32::try_from(self.text.len())
            .map_err(|_error| Error::Limit { what: "bytes of all file names", limit: u32::MAX.into() })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut start = 0;
        self.entries.iter().map(move |&(path, link, facts)| {
            let (from, middle, end) = (start, path as usize, link as usize);
            start = end;
            Entry { path: &self.text[from..middle], link: &self.text[middle..end], facts }
        })
    }

    /// Gives back what was reserved and not needed.
    pub(crate) fn shrink(mut self) -> Self {
        self.text.shrink_to_fit();
        self.entries.shrink_to_fit();
        self
    }
}

/// What all listings of an archive hold.
#[derive(Debug, Default)]
pub(crate) struct Used {
    entries: u64,
    names: u64,
}
