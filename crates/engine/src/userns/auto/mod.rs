//! `--userns=auto`: ids that no other container has, from those that `/etc/subuid` and `/etc/subgid` give one user.
//!
//! Nothing is kept beside the containers' records: what these say is taken, what they don't is free. So an id is given
//! back with the record, and a killed daemon's successor knows what its predecessor gave. In memory are those of
//! containers that are only being made, and of records that can't be read.

mod rows;

use self::rows::{Question, Refusal};
use super::map::{IdMap, IdRange};
use super::mode::{self, Auto, Mode};
use super::remap::IdFiles;
use super::subid::SubIds;
use crate::container::book::Taken;
use crate::container::{Container, image_ids};
use crate::engine::Inner;
use crate::error::{Error, Result};

/// Fewest and most ids of a container that doesn't say how many, as Podman's.
const FEWEST: u32 = 1024;
const MOST: u32 = 65_536;
/// Who has no other id. Images give it to `nobody`, and tools give up privileges by it.
const NOBODY: u32 = sys::idmap::OVERFLOW;

/// Gives a container whose root exists already its own ids, if it asks for some. Blocks.
///
/// # Errors
/// The daemon has no ids to give, or too few are left; a row that is asked for is another container's.
pub(crate) fn take(engine: &Inner, container: &mut Container) -> Result<Option<Taken<IdMap>>> {
    let Mode::Auto(auto) = mode::parse(&container.host.userns_mode)? else { return Ok(None) };
    let user = &engine.config.userns_auto_user;
    let files = IdFiles::of(&engine.config.id_files);
    let pool = (files.users_of(user)?, files.groups_of(user)?);
    let (size, extra) = match auto.size {
        Some(size) => (size, None),
        None => needed(engine, container)?,
    };
    let mut book = engine.ids.lock();
    let snapshots: Vec<_> = engine.containers.all().iter().map(|entry| entry.snapshot()).collect();
    let of_containers = snapshots.iter().filter_map(|other| other.ids.as_ref());
    let others: Vec<&IdMap> = of_containers.chain(book.values()).chain(&engine.userns).collect();
    let ids = allot(user, (&pool.0, &pool.1), &others, &auto, (size, extra))?;
    book.insert(container.id.clone(), ids.clone());
    drop(book);
    container.ids = Some(ids);
    Ok(Some(engine.ids.taken(&container.id)))
}

fn allot(
    user: &str,
    (uids, gids): (&[SubIds], &[SubIds]),
    others: &[&IdMap],
    auto: &Auto,
    (size, extra): (u32, Option<u32>),
) -> Result<IdMap> {
    let used = |of: fn(&IdMap) -> &Vec<IdRange>| -> Vec<IdRange> {
        others.iter().flat_map(|map| of(map)).copied().collect()
    };
    let one = |kind: &str, pool: &[SubIds], used: &[IdRange], forced: &[IdRange]| {
        let file = format!("/etc/sub{}", if kind == "user" { "uid" } else { "gid" });
        if pool.is_empty() {
            return Err(Error::bad_parameter(format!(
                "userns mode auto: no {} ranges found for user {user:?} in {file}: give it some, as in \
                 \"{user}:2147483647:2147483648\", or name another user with berthd's userns-auto-user",
                &file[5..]
            )));
        }
        Question { pool, used, forced, size, extra }
            .answer()
            .map_err(|refusal| refused(refusal, kind, user, &file))
    };
    Ok(IdMap {
        uids: one("user", uids, &used(|map| &map.uids), &auto.uids)?,
        gids: one("group", gids, &used(|map| &map.gids), &auto.gids)?,
    })
}

fn refused(refusal: Refusal, kind: &str, user: &str, file: &str) -> Error {
    Error::conflict(match refusal {
        Refusal::Taken(IdRange { outside, count, .. }) => {
            format!(
                "userns mode auto: another container has some of the {kind} ids from {outside} on ({count})"
            )
        }
        Refusal::Exhausted(needed, free, all) => format!(
            "userns mode auto: not enough unused {kind} ids: {needed} are needed, and of the {all} that {file} gives \
             {user:?} {free} are free: remove containers, give it more, or ask for fewer with auto:size=N"
        ),
        Refusal::Pieces => format!(
            "userns mode auto: the unused {kind} ids lie in too many pieces for one mapping: remove containers, or ask \
             for fewer with auto:size=N"
        ),
    })
}

/// How many ids the image's users and groups and the container's own need, and one that is beside them.
fn needed(engine: &Inner, container: &Container) -> Result<(u32, Option<u32>)> {
    let (highest, nobody) = highest(&image_ids(engine, container)?);
    let size = highest.map_or(0, |id| id.saturating_add(1)).max(FEWEST);
    if size > MOST {
        return Err(Error::bad_parameter(format!(
            "userns mode auto: the image or the container has a user or group {}, and no more than {MOST} ids are given \
             unasked: say how many there are to be, as in auto:size={size}",
            size - 1
        )));
    }
    Ok((size, (nobody && size <= NOBODY).then_some(NOBODY)))
}

/// The highest id, and whether there is a `nobody`, who would make every container need all ids.
fn highest(ids: &[u32]) -> (Option<u32>, bool) {
    (ids.iter().copied().filter(|id| *id != NOBODY).max(), ids.contains(&NOBODY))
}

/// The ids in a record that this daemon can't read, if they can be made out.
pub(crate) fn of_unreadable(record: &[u8]) -> Option<IdMap> {
    let value: serde_json::Value = serde_json::from_slice(record).ok()?;
    serde_json::from_value(value.get("container")?.get("ids")?.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(first: u32, count: u32) -> Vec<SubIds> {
        vec![SubIds { first, count }]
    }

    #[test]
    fn users_and_groups_are_given_apart() {
        let (uids, gids) = (pool(1000, 20), pool(5000, 30));
        let ask = |others: &[&IdMap]| allot("u", (&uids, &gids), others, &Auto::default(), (10, None));
        let first = ask(&[]).unwrap();
        assert_eq!(first.root(), Some((1000, 5000)));
        let second = ask(&[&first]).unwrap();
        assert_eq!(second.root(), Some((1010, 5010)));
        let error = ask(&[&first, &second]).unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Conflict);
        assert!(
            error.to_string().contains("10 are needed, and of the 20 that /etc/subuid gives \"u\" 0"),
            "{error}"
        );
        assert_eq!(ask(&[&second]).unwrap(), first);
    }

    #[test]
    fn without_a_pool_it_is_told_what_to_do() {
        let none = allot("u", (&[], &pool(1, 1)), &[], &Auto::default(), (1, None)).unwrap_err().to_string();
        assert!(
            none.contains("no subuid ranges found for user \"u\"") && none.contains("userns-auto-user"),
            "{none}"
        );
        let none = allot("u", (&pool(1, 1), &[]), &[], &Auto::default(), (1, None)).unwrap_err().to_string();
        assert!(none.contains("no subgid ranges found for user \"u\" in /etc/subgid"), "{none}");
    }

    #[test]
    fn nobody_counts_apart() {
        assert_eq!(highest(&[0, 5, 65_534, 100]), (Some(100), true));
        assert_eq!(highest(&[]), (None, false));
    }

    #[test]
    fn a_record_of_the_future_keeps_its_ids() {
        let text = br#"{"version": 9, "container": {"ids": {"uids": [{"inside": 0, "outside": 5, "count": 1}], "gids": []}}}"#;
        assert_eq!(of_unreadable(text).unwrap().uids[0].outside, 5);
        assert!(
            of_unreadable(br#"{"version": 9, "container": {}}"#).is_none() && of_unreadable(b"x").is_none()
        );
    }
}
