//! Attributes as they travel: modes are Go's `fs.FileMode`, times nanoseconds since 1970.

use rustix::fs::{FileType, Stat as Kernel, Timespec};

use super::{Error, Result};
use crate::proto::fsutil::Stat;

const DIR: u32 = 1 << 31;
const SYMLINK: u32 = 1 << 27;
const DEVICE: u32 = 1 << 26;
const PIPE: u32 = 1 << 25;
const SOCKET: u32 = 1 << 24;
const SETUID: u32 = 1 << 23;
const SETGID: u32 = 1 << 22;
const CHAR: u32 = 1 << 21;
const STICKY: u32 = 1 << 20;
const KINDS: u32 = DIR | SYMLINK | DEVICE | PIPE | SOCKET | CHAR | 1 << 19;

const NANOS: i64 = 1_000_000_000;

/// What a file is.
pub(super) fn kind(stat: &Stat) -> Result<FileType> {
    match stat.mode & KINDS {
        0 => Ok(FileType::RegularFile),
        DIR => Ok(FileType::Directory),
        SYMLINK => Ok(FileType::Symlink),
        PIPE => Ok(FileType::Fifo),
        DEVICE => Ok(FileType::BlockDevice),
        kind if kind == DEVICE | CHAR => Ok(FileType::CharacterDevice),
        kind => Err(Error::protocol(format!("{:?} is of a kind that can't be sent ({kind:#x})", stat.path))),
    }
}

/// Permissions, set-id bits and the sticky bit, as the kernel has them.
pub(super) fn permissions(mode: u32) -> u32 {
    let bit = |go: u32, kernel: u32| if mode & go == 0 { 0 } else { kernel };
    mode & 0o777 | bit(SETUID, 0o4000) | bit(SETGID, 0o2000) | bit(STICKY, 0o1000)
}

/// The kernel's mode in Go's bits; `None` for a socket.
pub(super) fn mode(mode: u32) -> Option<u32> {
    let bit = |kernel: u32, go: u32| if mode & kernel == 0 { 0 } else { go };
    let kind = match FileType::from_raw_mode(mode) {
        FileType::RegularFile => 0,
        FileType::Directory => DIR,
        FileType::Symlink => SYMLINK,
        FileType::Fifo => PIPE,
        FileType::BlockDevice => DEVICE,
        FileType::CharacterDevice => DEVICE | CHAR,
        _ => return None,
    };
    Some(kind | mode & 0o777 | bit(0o4000, SETUID) | bit(0o2000, SETGID) | bit(0o1000, STICKY))
}

/// A time as it travels.
pub(super) fn nanos(stat: &Kernel) -> i64 {
    let fraction = i64::try_from(stat.st_mtime_nsec).unwrap_or_default();
    stat.st_mtime.saturating_mul(NANOS).saturating_add(fraction)
}

/// A time as the kernel takes it.
pub(super) fn timespec(nanos: i64) -> Timespec {
    Timespec { tv_sec: nanos.div_euclid(NANOS), tv_nsec: nanos.rem_euclid(NANOS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_survive_the_way() {
        for kernel in [0o100_644, 0o104_755, 0o041_777, 0o120_777, 0o010_600, 0o060_660, 0o020_666, 0o102_750]
        {
            let go = mode(kernel).unwrap();
            let stat = Stat { mode: go, ..Stat::default() };
            assert_eq!(kind(&stat).unwrap(), FileType::from_raw_mode(kernel), "{kernel:o}");
            assert_eq!(permissions(go), kernel & 0o7777, "{kernel:o}");
        }
        assert_eq!(mode(0o140_777), None, "sockets don't travel");
        assert!(kind(&Stat { mode: DIR | SYMLINK, ..Stat::default() }).is_err());
    }

    #[test]
    fn times_before_1970_too() {
        let time = timespec(-1);
        assert_eq!((time.tv_sec, time.tv_nsec), (-1, 999_999_999));
    }
}
