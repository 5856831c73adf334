//! Listings of a directory: sorted, in pages. A large one that somebody goes through is read once and kept as long as it
//! does not change, for a directory can only be read from its beginning: 100,000 names take 180 ms.

use std::collections::BinaryHeap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::super::Entry;

/// How many are kept.
const KEPT: usize = 4;

/// The fewest names that are worth it.
const MANY: usize = 4096;

/// The most bytes that one may have.
const MOST: usize = 8 << 20;

/// How long a directory must have been as it is: what changes within one tick of the clock has the same time.
const SETTLED: Duration = Duration::from_secs(2);

/// Which directory it is, and since when it is as it is.
type Stamp = (u64, u64, i64, i64);

/// Directories as they were read last.
#[derive(Debug, Default)]
pub(super) struct Listings(Mutex<Vec<Whole>>);

/// All names of a directory, in order, one after the other.
#[derive(Debug)]
struct Whole {
    dir: PathBuf,
    stamp: Stamp,
    names: String,
    /// Where each ends, and whether it is a directory.
    ends: Vec<(usize, bool)>,
}

impl Listings {
    /// The first `limit` names after `after`.
    pub(super) fn list(&self, dir: &Path, after: Option<&str>, limit: usize) -> io::Result<Vec<Entry>> {
        let Some(last) = after else { return page(dir, None, limit) };
        let Some(found) = super::present(fs::metadata(dir))? else { return Ok(Vec::new()) };
        let stamp = (found.dev(), found.ino(), found.mtime(), found.mtime_nsec());
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = kept.iter().position(|one| one.dir == dir) {
            let one = kept.remove(at);
            if one.stamp == stamp {
                let page = one.page(last, limit);
                kept.insert(0, one);
                return Ok(page);
            }
        }
        drop(kept);
        let is_settled = found.modified()?.elapsed().is_ok_and(|age| age >= SETTLED);
        let whole = if is_settled { Whole::read(dir, stamp)? } else { None };
        let Some(whole) = whole else {
            return page(dir, after, limit);
        };
        let page = whole.page(last, limit);
        if whole.ends.len() >= MANY {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.retain(|one| one.dir != dir);
            kept.insert(0, whole);
            kept.truncate(KEPT);
        }
        Ok(page)
    }
}

impl Whole {
    /// Reads a directory. None: it is too large to be kept.
    fn read(dir: &Path, stamp: Stamp) -> io::Result<Option<Self>> {
        let (mut all, mut length) = (Vec::new(), 0);
        let Some(entries) = super::present(fs::read_dir(dir))? else { return Ok(None) };
        for entry in entries {
            let Some(entry) = read(&entry?)? else { continue };
            length += entry.name.len() + size_of::<(usize, bool)>();
            if length > MOST {
                return Ok(None);
            }
            all.push(entry);
        }
        all.sort_unstable();
        let mut names = String::with_capacity(length);
        let ends = all
            .iter()
            .map(|entry| {
                names.push_str(&entry.name);
                (names.len(), entry.is_prefix)
            })
            .collect();
        Ok(Some(Self { dir: dir.to_owned(), stamp, names, ends }))
    }

    fn name(&self, at: usize) -> &str {
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |(end, _)| *end);
        let end = self.ends.get(at).map_or(start, |(end, _)| *end);
        self.names.get(start..end).unwrap_or_default()
    }

    fn page(&self, after: &str, limit: usize) -> Vec<Entry> {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.name(middle) <= after { low = middle + 1 } else { high = middle }
        }
        let page = self.ends.iter().enumerate().skip(low).take(limit);
        page.map(|(at, (_, is_prefix))| Entry { name: self.name(at).to_owned(), is_prefix: *is_prefix })
            .collect()
    }
}

/// What is listed of what lies in a directory.
fn read(entry: &fs::DirEntry) -> io::Result<Option<Entry>> {
    let Ok(name) = entry.file_name().into_string() else { return Ok(None) };
    let kind = entry.file_type()?;
    Ok((kind.is_file() || kind.is_dir()).then(|| Entry { name, is_prefix: kind.is_dir() }))
}

/// The first `limit` names after `after`, with the memory of one page.
fn page(dir: &Path, after: Option<&str>, limit: usize) -> io::Result<Vec<Entry>> {
    let Some(entries) = super::present(fs::read_dir(dir))? else { return Ok(Vec::new()) };
    // the largest name is on top, and goes when there is one too many
    let mut page: BinaryHeap<Entry> = BinaryHeap::new();
    for entry in entries {
        let Some(entry) = read(&entry?)? else { continue };
        if after.is_some_and(|after| entry.name.as_str() <= after) {
            continue;
        }
        page.push(entry);
        if page.len() > limit {
            page.pop();
        }
    }
    Ok(page.into_sorted_vec())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn age(dir: &Path, hours: u32) {
        let then = SystemTime::now() - Duration::from_secs(3600) * hours;
        fs::File::open(dir).unwrap().set_modified(then).unwrap();
    }

    #[test]
    fn a_large_directory_is_read_once_until_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let mut expected: Vec<String> = (0..5000).map(|number| format!("tag-{number}")).collect();
        expected.iter().for_each(|name| fs::write(dir.join(name), "").unwrap());
        expected.sort();
        let listings = Listings::default();
        let all = || {
            let (mut names, mut after) = (Vec::new(), None::<String>);
            loop {
                let page = listings.list(dir, after.as_deref(), 700).unwrap();
                assert!(page.len() <= 700 && page.iter().all(|entry| !entry.is_prefix));
                names.extend(page.iter().map(|entry| entry.name.clone()));
                if page.len() < 700 {
                    return names;
                }
                after = names.last().cloned();
            }
        };
        let kept = || listings.0.lock().unwrap().len();
        // what changed a moment ago is read anew each time
        assert_eq!((all(), kept()), (expected.clone(), 0));
        age(dir, 2);
        assert_eq!((all(), kept()), (expected.clone(), 1));
        assert_eq!(all(), expected);
        fs::write(dir.join("tag-zzz"), "").unwrap();
        expected.push("tag-zzz".into());
        assert_eq!((all(), kept()), (expected.clone(), 0));
        fs::remove_file(dir.join("tag-1")).unwrap();
        age(dir, 1);
        expected.retain(|name| name != "tag-1");
        assert_eq!((all(), kept()), (expected.clone(), 1));
        fs::remove_dir_all(dir).unwrap();
        assert!(listings.list(dir, Some("tag-1"), 10).unwrap().is_empty());
    }
}
