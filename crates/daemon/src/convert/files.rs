//! What is at a path, and what has changed.

use api::container::{ChangeItem, PathStat};

use super::time;

/// `X-Docker-Container-Path-Stat`.
pub(crate) fn path_stat(stat: &engine::container::PathStat) -> PathStat {
    PathStat {
        name: stat.name.clone(),
        size: stat.size,
        mode: go_mode(stat.mode),
        mtime: time::rfc3339(stat.modified),
        link_target: stat.link_target.clone(),
    }
}

/// One line of `diff`.
pub(crate) fn change(change: &engine::container::Change) -> ChangeItem {
    let kind = match change.kind {
        engine::container::ChangeKind::Modified => 0,
        engine::container::ChangeKind::Added => 1,
        engine::container::ChangeKind::Deleted => 2,
    };
    ChangeItem { kind, path: change.path.to_string_lossy().into_owned() }
}

/// Go's `os.FileMode` of the kernel's mode, inode(7).
fn go_mode(mode: u32) -> u32 {
    let kind = match mode & 0o170_000 {
        0o040_000 => 1 << 31,
        0o120_000 => 1 << 27,
        0o060_000 => 1 << 26,
        0o020_000 => 1 << 26 | 1 << 21,
        0o010_000 => 1 << 25,
        0o140_000 => 1 << 24,
        _ => 0,
    };
    let bits = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
    let set = bits.iter().filter(|(unix, _)| mode & unix != 0).fold(0, |all, (_, go)| all | go);
    mode & 0o777 | kind | set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_as_go_counts_them() {
        assert_eq!(go_mode(0o100_644), 0o644);
        assert_eq!(go_mode(0o040_755), 2_147_484_141);
        assert_eq!(go_mode(0o120_777), 134_218_239);
        assert_eq!(go_mode(0o020_644), 69_206_436);
        assert_eq!(go_mode(0o010_644), 33_554_852);
        assert_eq!(go_mode(0o041_777), 1 << 31 | 1 << 20 | 0o777);
    }
}
