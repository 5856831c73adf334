//! What the mount table says about the mount that something lies on (`proc_pid_mountinfo(5)`).

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::fs::{AtFlags, StatxFlags};

/// Longest mount table that is read, bytes.
const MOST_TABLE: usize = 64 << 20;

/// One mount of this process's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Mounts and unmounts travel from it to its peers.
    pub shared: bool,
    /// They arrive at it from a master.
    pub slave: bool,
}

/// The mount that an open file or directory (`O_PATH` will do) lies on.
///
/// # Errors
/// What `statx(2)` says; `NotFound` when it is no mount of this process's namespace.
pub fn lies_on(fd: impl AsFd) -> io::Result<Listed> {
    let stat = rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    let table = crate::file::read_bounded("/proc/self/mountinfo", MOST_TABLE)?;
    let found = find(&String::from_utf8_lossy(&table), stat.stx_mnt_id);
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "its mount is not in the mount table"))
}

fn find(table: &str, id: u64) -> Option<Listed> {
    let fields = |line: &str| line.split(' ').next().and_then(|first| first.parse::<u64>().ok()) == Some(id);
    let line = table.lines().find(|line| fields(line))?;
    let (before, _) = line.split_once(" - ")?;
    let mut words = before.split(' ').skip(4);
    let mount_point = unescape(words.next()?);
    let optional: Vec<_> = words.skip(1).collect();
    let has = |tag: &str| optional.iter().any(|word| word.starts_with(tag));
    Some(Listed { mount_point, shared: has("shared:"), slave: has("master:") })
}

/// Undoes the octal escapes (`\040`) of a mountinfo path.
#[must_use]
pub fn unescape(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = (*first == b'\\').then(|| tail.get(..3)).flatten().and_then(octal);
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[3..] } else { tail };
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

fn octal(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found() {
        let table = "22 1 0:5 / / rw,noatime - ext4 /dev/vda rw\n\
                     36 22 98:0 /a /mnt\\040x rw,noatime shared:7 master:1 - ext3 /dev/root rw\n";
        let found = find(table, 36).unwrap();
        assert_eq!(found, Listed { mount_point: "/mnt x".into(), shared: true, slave: true });
        assert_eq!(find(table, 22), Some(Listed { mount_point: "/".into(), shared: false, slave: false }));
        assert_eq!(find(table, 3), None);
        assert_eq!(find("36 broken", 36), None);
    }

    #[test]
    fn the_root_is_listed() {
        let root = std::fs::File::open("/").unwrap();
        assert_eq!(lies_on(&root).unwrap().mount_point, PathBuf::from("/"));
    }
}
