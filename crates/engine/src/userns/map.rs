//! A container's mapping of ids, as its record keeps it.

use std::os::fd::{AsFd as _, OwnedFd};

use oci_spec::runtime::{LinuxIdMapping, LinuxIdMappingBuilder};
use serde::{Deserialize, Serialize};
use sys::idmap::{Map, Range};

use crate::error::{Error, Result};

/// A row of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IdRange {
    /// The first one in the container.
    pub inside: u32,
    /// The first one on the host.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Which users and groups of the host a container's are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// Users.
    pub uids: Vec<IdRange>,
    /// Groups.
    pub gids: Vec<IdRange>,
}

impl IdMap {
    /// As the kernel's rooms take it.
    pub(crate) fn ids(&self) -> Map {
        let range = |r: &IdRange| Range { inside: r.inside, outside: r.outside, count: r.count };
        Map { uids: self.uids.iter().map(range).collect(), gids: self.gids.iter().map(range).collect() }
    }

    /// As a specification says it: users, groups.
    ///
    /// # Errors
    /// None that a mapping could cause.
    pub(crate) fn mappings(&self) -> Result<(Vec<LinuxIdMapping>, Vec<LinuxIdMapping>)> {
        let one = |r: &IdRange| {
            LinuxIdMappingBuilder::default().container_id(r.inside).host_id(r.outside).size(r.count).build()
        };
        let all = |ranges: &[IdRange]| {
            let built = ranges.iter().map(one).collect::<std::result::Result<_, _>>();
            built.map_err(|error| Error::because("build id mappings", error))
        };
        Ok((all(&self.uids)?, all(&self.gids)?))
    }

    /// The host's user and group that the container's root is.
    pub(crate) fn root(&self) -> Option<(u32, u32)> {
        self.ids().root()
    }

    /// The highest group inside; none when there is no group 0.
    pub(crate) fn last_gid(&self) -> Option<u32> {
        self.root()?;
        self.gids.iter().map(|range| range.inside.saturating_add(range.count - 1)).max()
    }

    /// A user namespace with this mapping, and a network namespace that belongs to it.
    ///
    /// # Errors
    /// The kernel makes no more user namespaces.
    pub(crate) fn namespaces(&self) -> Result<(OwnedFd, OwnedFd)> {
        let (uids, gids) = self.mappings()?;
        runtime::user_namespace(&uids, &gids)
            .map_err(|error| Error::because("make the user namespace", error))
    }

    /// A user namespace with this mapping, to mount things by it.
    ///
    /// # Errors
    /// The kernel makes no more user namespaces.
    pub(crate) fn holder(&self) -> Result<Holder> {
        self.namespaces().map(|(user, _)| self.held(user))
    }

    /// A user namespace that has this mapping, to mount things by it.
    pub(crate) fn held(&self, user: OwnedFd) -> Holder {
        let first = |ranges: &[IdRange]| ranges.first().map_or(0, |range| range.outside);
        Holder { user, maker: self.root().unwrap_or_else(|| (first(&self.uids), first(&self.gids))) }
    }
}

/// A user namespace and ids that it knows.
pub(crate) struct Holder {
    user: OwnedFd,
    maker: (u32, u32),
}

impl Holder {
    /// As the store wants it.
    pub(crate) fn shown(&self) -> store::Shown<'_> {
        store::Shown { user: self.user.as_fd(), maker: self.maker }
    }
}

/// Whether no two ranges share an id, inside or outside, and none is empty or too long.
pub(crate) fn is_sound(ranges: &[IdRange]) -> bool {
    let apart = |first: fn(&IdRange) -> u32| {
        let mut rows: Vec<(u32, u32)> = ranges.iter().map(|range| (first(range), range.count)).collect();
        rows.sort_unstable();
        rows.windows(2).all(|pair| pair[0].0.checked_add(pair[0].1).is_some_and(|end| end <= pair[1].0))
    };
    let range = |r: &IdRange| Range { inside: r.inside, outside: r.outside, count: r.count }.is_sound();
    !ranges.is_empty()
        && ranges.len() <= sys::idmap::MOST_RANGES
        && ranges.iter().all(range)
        && apart(|range| range.inside)
        && apart(|range| range.outside)
}
