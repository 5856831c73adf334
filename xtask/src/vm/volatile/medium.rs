//! A disk with a volatile cache: what is written counts only after a flush, as on real ones when the power goes.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::dice::Dice;

/// What is lost or kept as a whole, bytes: ext4's block, and a sector of today's disks.
const BLOCK: u64 = 4096;
/// Bytes that the cache holds; a disk writes them out by itself when it is full.
const CACHE: usize = 256 << 20;

/// What becomes of writes that no flush has followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::vm) enum Fate {
    /// All are lost.
    Lost,
    /// Each block has its own luck: they were on their way in any order.
    Dice,
    /// All have reached the medium: the machine went, the disk did not.
    Kept,
}

/// The file that is the medium, and the blocks that are not on it yet.
#[derive(Debug)]
pub(in crate::vm) struct Medium {
    file: File,
    size: u64,
    cache: HashMap<u64, Box<[u8]>>,
}

impl Medium {
    /// Takes `path` as the medium.
    pub(in crate::vm) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { file, size, cache: HashMap::new() })
    }

    /// Its size, bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    fn check(&self, offset: u64, length: usize) -> io::Result<()> {
        let end = offset.checked_add(length as u64).filter(|end| *end <= self.size);
        end.map(drop).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// Reads what was written last, on the medium or not.
    pub(super) fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.check(offset, bytes.len())?;
        self.file.read_exact_at(bytes, offset)?;
        for (block, within, part) in parts(offset, bytes.len()) {
            if let Some(cached) = self.cache.get(&block) {
                bytes[part.clone()].copy_from_slice(&cached[within..within + part.len()]);
            }
        }
        Ok(())
    }

    /// Writes into the cache.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check(offset, bytes.len())?;
        for (block, within, part) in parts(offset, bytes.len()) {
            if !self.cache.contains_key(&block) {
                let mut whole = vec![0; BLOCK as usize].into_boxed_slice();
                let there = (self.size - block * BLOCK).min(BLOCK) as usize;
                self.file.read_exact_at(&mut whole[..there], block * BLOCK)?;
                self.cache.insert(block, whole);
            }
            if let Some(cached) = self.cache.get_mut(&block) {
                cached[within..within + part.len()].copy_from_slice(&bytes[part]);
            }
        }
        if self.cache.len() * BLOCK as usize > CACHE { self.flush() } else { Ok(()) }
    }

    /// Writes blocks through: forced unit access, which says nothing of others.
    pub(super) fn write_through(&mut self, offset: u64, length: usize) -> io::Result<()> {
        for (block, ..) in parts(offset, length) {
            self.settle(block)?;
        }
        Ok(())
    }

    /// What was written before counts from now on.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        for block in self.cache.keys().copied().collect::<Vec<_>>() {
            self.settle(block)?;
        }
        Ok(())
    }

    fn settle(&mut self, block: u64) -> io::Result<()> {
        let Some(bytes) = self.cache.remove(&block) else { return Ok(()) };
        let there = (self.size - block * BLOCK).min(BLOCK) as usize;
        self.file.write_all_at(&bytes[..there], block * BLOCK)
    }

    /// There are blocks that no flush has followed.
    pub(super) fn waits(&self) -> bool {
        !self.cache.is_empty()
    }

    /// The power goes. Gives how many blocks were not flushed, and how many of those are lost.
    pub(in crate::vm) fn cut(&mut self, fate: Fate, dice: &mut Dice) -> io::Result<(usize, usize)> {
        let mut blocks: Vec<u64> = self.cache.keys().copied().collect();
        // so that a seed tells the same of the same blocks
        blocks.sort_unstable();
        let waiting = blocks.len();
        for block in blocks {
            let kept = match fate {
                Fate::Lost => false,
                Fate::Kept => true,
                Fate::Dice => dice.below(2) == 0,
            };
            if kept {
                self.settle(block)?;
            }
        }
        let lost = self.cache.len();
        self.cache.clear();
        Ok((waiting, lost))
    }
}

/// The blocks that a range touches: each one's number, the offset in it, and the part of the range.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == length {
            return None;
        }
        let at = offset + done as u64;
        let within = (at % BLOCK) as usize;
        let count = (BLOCK as usize - within).min(length - done);
        let part = done..done + count;
        done += count;
        Some((at / BLOCK, within, part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn medium() -> (tempfile::NamedTempFile, Medium) {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(5 * BLOCK + 512).unwrap();
        let medium = Medium::open(file.path()).unwrap();
        (file, medium)
    }

    #[test]
    fn what_is_not_flushed_is_lost_and_what_is_stays() {
        let (file, mut medium) = medium();
        medium.write(4000, &[1; 5000]).unwrap();
        let mut seen = [0; 5002];
        medium.read(3999, &mut seen).unwrap();
        assert_eq!((seen[0], seen[1], seen[5000], seen[5001]), (0, 1, 1, 0));
        assert!(std::fs::read(file.path()).unwrap().iter().all(|byte| *byte == 0));
        medium.flush().unwrap();
        medium.write(0, &[2; 512]).unwrap();
        medium.write(5 * BLOCK, &[3; 512]).unwrap();
        medium.write_through(5 * BLOCK, 512).unwrap();
        assert_eq!(medium.cut(Fate::Lost, &mut Dice::new(1)).unwrap(), (1, 1));
        let bytes = std::fs::read(file.path()).unwrap();
        assert_eq!((bytes[0], bytes[4000], bytes[8999], bytes[20480]), (0, 1, 1, 3));
        assert!(medium.write(5 * BLOCK + 1, &[0; 512]).is_err());
    }

    #[test]
    fn the_dice_keep_some() {
        let (_file, mut medium) = medium();
        medium.write(0, &[1; 5 * BLOCK as usize]).unwrap();
        let (waiting, lost) = medium.cut(Fate::Dice, &mut Dice::new(7)).unwrap();
        assert!(waiting == 5 && (1..5).contains(&lost), "{lost}");
        medium.write(0, &[1]).unwrap();
        assert_eq!(medium.cut(Fate::Kept, &mut Dice::new(7)).unwrap(), (1, 0));
    }
}
