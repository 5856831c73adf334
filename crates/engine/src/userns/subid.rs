//! `/etc/subuid` and `/etc/subgid` (`subuid(5)`): the ids that a user may give to containers.

use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Error, Result};

/// Most bytes of such a file that are worth reading.
const MOST_BYTES: usize = 4 << 20;
/// Where the first range of a user is made when there is none yet, and how many ids it has: `useradd`'s defaults.
const FIRST: u32 = 100_000;
const COUNT: u32 = 65_536;

/// A row of ids on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SubIds {
    pub(crate) first: u32,
    pub(crate) count: u32,
}

impl SubIds {
    fn end(self) -> u64 {
        u64::from(self.first) + u64::from(self.count)
    }
}

/// The lines of a file that mean something: owner, row. A line that is none is passed over, as shadow does.
fn lines(text: &str) -> impl Iterator<Item = (&str, SubIds)> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().splitn(3, ':');
        let (owner, first, count) = (fields.next()?, fields.next()?, fields.next()?);
        let row = SubIds { first: first.trim().parse().ok()?, count: count.trim().parse().ok()? };
        let fits = row.count > 0 && row.end() <= u64::from(u32::MAX);
        (!owner.is_empty() && !owner.starts_with('#') && fits).then_some((owner, row))
    })
}

/// The rows of whoever is called one of `names` (a name, and the number as text), lowest first.
pub(crate) fn rows(text: &str, names: &[&str]) -> Vec<SubIds> {
    let mut rows: Vec<SubIds> =
        lines(text).filter(|(owner, _)| names.contains(owner)).map(|(_, row)| row).collect();
    rows.sort_unstable();
    rows.dedup();
    rows
}

/// A file's text; empty when there is none.
///
/// # Errors
/// It can't be read, or is too long.
pub(crate) fn read(path: &Path) -> Result<String> {
    match sys::file::read_bounded(path, MOST_BYTES) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Error::because(format!("read {}", path.display()), error)),
    }
}

/// The text with a row more, above all that there are; none when the ids are used up.
fn with_row(text: &str, owner: &str) -> Option<String> {
    let first = lines(text).map(|(_, row)| row.end()).max().unwrap_or(0).max(u64::from(FIRST));
    let first = u32::try_from(first).ok().filter(|first| first.checked_add(COUNT).is_some())?;
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    Some(format!("{text}{gap}{owner}:{first}:{COUNT}\n"))
}

/// Gives an owner a row of ids of its own, as `useradd` would: the file is replaced as a whole.
///
/// # Errors
/// The file can't be written; all ids are somebody's.
pub(crate) fn add(path: &Path, owner: &str) -> Result<()> {
    let failed = |error| Error::because(format!("write {}", path.display()), error);
    let text = with_row(&read(path)?, owner)
        .ok_or_else(|| Error::system(format!("{}: no ids are left for {owner}", path.display())))?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Err(failed(ErrorKind::InvalidInput.into()));
    };
    let directory = sys::file::open_directory(parent).map_err(failed)?;
    sys::file::write_durable(directory, name, text.as_bytes(), 0o644).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "a:100000:65536\n# a:1:2\n1000:300000:10\na:5000:100\nb:x:1\nb:4294967295:1\nb:1:0\n:1:1\na:1";

    #[test]
    fn rows_are_found_by_name_and_by_number() {
        let row = |first, count| SubIds { first, count };
        assert_eq!(rows(TEXT, &["a"]), [row(5000, 100), row(100_000, 65_536)]);
        assert_eq!(rows(TEXT, &["c", "1000"]), [row(300_000, 10)]);
        assert!(rows(TEXT, &["b"]).is_empty() && rows("", &["a"]).is_empty());
    }

    #[test]
    fn a_new_row_lies_above_all_others() {
        assert_eq!(with_row("", "d").unwrap(), "d:100000:65536\n");
        assert_eq!(with_row("a:100000:65536", "d").unwrap(), "a:100000:65536\nd:165536:65536\n");
        assert_eq!(with_row("a:4294900000:60000\n", "d"), None);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("subuid");
        add(&path, "d").unwrap();
        add(&path, "e").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "d:100000:65536\ne:165536:65536\n");
    }
}
