//! Which bytes of a blob are there: in memory as a set of ranges, on disk as the file's data between its holes.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// A page, or a multiple of one, on every file system and processor: what a killed process has written last may
/// end anywhere within one.
const GRAIN: u64 = 64 << 10;

/// Ranges that don't touch each other, by their beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extents(BTreeMap<u64, u64>);

impl Extents {
    /// Adds a range, which may overlap what is there.
    pub(super) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        if let Some((&before, &until)) = self.0.range(..=start).next_back()
            && until >= start
        {
            start = before;
            end = end.max(until);
        }
        while let Some((&next, &until)) = self.0.range(start..=end).next() {
            end = end.max(until);
            self.0.remove(&next);
        }
        self.0.insert(start, end);
    }

    /// Where the bytes end that begin at `from` without a gap; `from` itself when there are none.
    pub(super) fn reach(&self, from: u64) -> u64 {
        self.0.range(..=from).next_back().map_or(from, |(_, &end)| end.max(from))
    }

    /// Bytes in all.
    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    /// What `0..size` lacks.
    pub(super) fn missing(&self, size: u64) -> Vec<Range<u64>> {
        let mut missing = Vec::new();
        let mut at = 0;
        for (&start, &end) in &self.0 {
            if start > at {
                missing.push(at..start.min(size));
            }
            at = end;
        }
        if at < size {
            missing.push(at..size);
        }
        missing
    }

    /// What a file holds that an earlier process has left. The last piece of each extent may be written in part
    /// only, and is taken for missing. (Where an extent begins within a page, which nobody should have asked for,
    /// the zeros before it make a wrong digest, and the blob is fetched anew.)
    pub(super) fn of(file: &File, size: u64) -> rustix::io::Result<Self> {
        let mut found = Self::default();
        let mut at = 0;
        while at < size {
            let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
                Ok(start) => start,
                // No data up to the end.
                Err(Errno::NXIO) => break,
                Err(error) => return Err(error),
            };
            let end = rustix::fs::seek(file, SeekFrom::Hole(start))?;
            let whole = end.min(size).saturating_sub(1) / GRAIN * GRAIN;
            found.insert(start..whole.max(start));
            at = end;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_a_set_of_bytes(ranges in proptest::collection::vec((0_u64..60, 0_u64..20), 0..12)) {
            let mut extents = Extents::default();
            let mut bytes = [false; 80];
            for (start, length) in ranges {
                extents.insert(start..start + length);
                bytes[start as usize..(start + length) as usize].fill(true);
            }
            prop_assert_eq!(extents.total(), bytes.iter().filter(|b| **b).count() as u64);
            let mut missing = [false; 80];
            for range in extents.missing(80) {
                prop_assert!(!range.is_empty());
                missing[range.start as usize..range.end as usize].fill(true);
            }
            prop_assert!(missing.iter().zip(&bytes).all(|(a, b)| a != b));
            for from in 0..80_usize {
                let reach = bytes[from..].iter().position(|b| !b).map_or(80, |n| from + n);
                prop_assert_eq!(extents.reach(from as u64), reach as u64);
            }
        }
    }

    #[test]
    fn found_again_in_a_file() {
        let file = tempfile::tempfile().unwrap();
        let size = 10 << 20;
        assert_eq!(Extents::of(&file, size).unwrap(), Extents::default());
        file.write_all_at(&vec![1; 3 << 20], 0).unwrap();
        file.write_all_at(&vec![1; (1 << 20) + 5], 5 << 20).unwrap();
        file.write_all_at(&vec![1; 1 << 20], 9 << 20).unwrap();
        let found = Extents::of(&file, size).unwrap();
        assert_eq!(found.missing(size), [(3 << 20) - GRAIN..5 << 20, 6 << 20..9 << 20, size - GRAIN..size]);
    }
}
