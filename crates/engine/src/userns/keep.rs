//! `--userns=keep-id` and `nomap` of an ordinary user's daemon: a user namespace within the daemon's, in which the user
//! who runs it has the same ids as outside, or none. The others are the daemon's, which are his subordinate ones, in
//! their order.

use sys::idmap::Range;

use super::map::{IdMap, IdRange};
use super::mode::Keep;
use crate::error::{Error, Result};

/// Users and groups of the daemon's user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    /// How many there are, from 0 on.
    count: u32,
    /// Who 0 is in the namespace above: whoever runs the daemon.
    owner: u32,
}

/// The mapping for `keep-id`.
///
/// # Errors
/// It asks for more ids than there are.
pub(super) fn keep_id(keep: &Keep) -> Result<IdMap> {
    let (users, groups) = known()?;
    let (uid, gid) = (keep.uid.unwrap_or(users.owner), keep.gid.unwrap_or(groups.owner));
    let uids = kept(uid, sized(users.count, keep.size)?);
    let gids = kept(gid, sized(groups.count, keep.size)?);
    Ok(IdMap { uids, gids })
}

/// The mapping for `nomap`.
///
/// # Errors
/// The user has no subordinate ids.
pub(super) fn no_map() -> Result<IdMap> {
    let (users, groups) = known()?;
    if users.count < 2 || groups.count < 2 {
        return Err(Error::bad_parameter(
            "userns mode nomap: the user who runs berthd has no subordinate ids",
        ));
    }
    let one = |known: Known| vec![IdRange { inside: 0, outside: 1, count: known.count - 1 }];
    Ok(IdMap { uids: one(users), gids: one(groups) })
}

fn known() -> Result<(Known, Known)> {
    let one = |path: &str| {
        let text =
            std::fs::read_to_string(path).map_err(|error| Error::because(format!("read {path}"), error))?;
        read(&text).ok_or_else(|| Error::system(format!("{path} says no mapping of 0: {text:?}")))
    };
    Ok((one("/proc/self/uid_map")?, one("/proc/self/gid_map")?))
}

/// Reads a mapping (`user_namespaces(7)`): rows of the first id inside, the first one outside, and how many.
fn read(text: &str) -> Option<Known> {
    let row = |line: &str| Range::of_fields(line.split_ascii_whitespace());
    let mut rows: Vec<_> = text.lines().map(row).collect::<Option<_>>()?;
    rows.sort_unstable();
    let owner = rows.first().filter(|row| row.inside == 0)?.outside;
    let mut count = 0;
    for row in rows {
        if row.inside != count {
            break;
        }
        count = row.inside.checked_add(row.count)?;
    }
    Some(Known { count, owner })
}

fn sized(count: u32, size: Option<u32>) -> Result<u32> {
    match size {
        Some(size) if size > count => Err(Error::bad_parameter(format!(
            "userns mode keep-id: size={size}: the user who runs berthd has {count} ids, himself included"
        ))),
        size => Ok(size.unwrap_or(count)),
    }
}

/// As Podman's: the daemon's 0 is `own`, those below it begin with the daemon's 1, those above are the same.
fn kept(own: u32, count: u32) -> Vec<IdRange> {
    let last = count.saturating_sub(1);
    let rows = [
        IdRange { inside: 0, outside: 1, count: own.min(last) },
        IdRange { inside: own, outside: 0, count: 1 },
        IdRange {
            inside: own.saturating_add(1),
            outside: own.saturating_add(1),
            count: last.saturating_sub(own),
        },
    ];
    rows.into_iter().filter(|row| row.count > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(own: u32, count: u32) -> Vec<(u32, u32, u32)> {
        kept(own, count).iter().map(|row| (row.inside, row.outside, row.count)).collect()
    }

    #[test]
    fn the_user_changes_places_with_root() {
        // what Podman 4.3 gives user 1777 with 65,536 subordinate ids
        assert_eq!(rows(1777, 65_537), [(0, 1, 1777), (1777, 0, 1), (1778, 1778, 63_759)]);
        assert_eq!(rows(0, 10), [(0, 0, 1), (1, 1, 9)]);
        assert_eq!(rows(9, 10), [(0, 1, 9), (9, 0, 1)]);
        assert_eq!(rows(70_000, 10), [(0, 1, 9), (70_000, 0, 1)]);
        assert_eq!(rows(5, 1), [(5, 0, 1)]);
    }

    #[test]
    fn the_daemons_ids_are_counted() {
        let known = |count, owner| Some(Known { count, owner });
        assert_eq!(
            read("         0       1777          1\n         1     500000      65536\n"),
            known(65_537, 1777)
        );
        assert_eq!(read("0 1000 1\n1 5 3\n10 100 5\n"), known(4, 1000));
        assert_eq!(read("0 0 4294967295"), known(u32::MAX, 0));
        for text in ["", "1 0 1", "0 1", "0 1 x"] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!((sized(10, None).unwrap(), sized(10, Some(10)).unwrap()), (10, 10));
        assert!(sized(10, Some(11)).unwrap_err().to_string().contains("has 10 ids"));
    }
}
