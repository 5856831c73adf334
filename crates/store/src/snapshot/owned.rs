//! Root file systems of containers in user namespaces where layers can't be idmapped: whoever mounts them is root of a
//! user namespace that the file system does not belong to, as an ordinary user's daemon. Each layer is copied once for
//! each mapping, as it lies, with owners that are in the container what the layer says; containers and images share
//! the copies. What a container writes lies beside them with such owners, too, and is translated on its way out.
//!
//! A copy lies in its layer's directory and goes with it. It is not synchronised, so it counts only until the machine
//! stops; whoever needs it then makes it again.

use std::collections::HashSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use sys::idmap::{Map, OVERFLOW, Range, outward};

use super::copy::Overlay;
use super::tree::open_path;
use crate::disk::TmpDir;
use crate::error::Context as _;
use crate::layer::Meta;
use crate::layout::{DIR_MODE, layer};
use crate::state::State;
use crate::store::Inner;
use crate::{Error, Result};

/// Digits of a copy's name.
const DIGITS: usize = 32;

/// Which owners on the disk a container's users and groups are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owners(pub(super) Map);

impl Owners {
    /// Those of a snapshot that keeps this.
    ///
    /// # Errors
    /// It is no mapping.
    pub(super) fn read(text: &str) -> Result<Self> {
        Self::parse(text).ok_or_else(|| Error::Damaged(format!("{text:?} is no mapping of owners")))
    }

    fn parse(text: &str) -> Option<Self> {
        let row = |text: &str| Range::of_fields(text.split(':')).filter(Range::is_sound);
        let rows = |text: &str| text.split(',').map(row).collect::<Option<Vec<_>>>();
        let (uids, gids) = text.split_once('/')?;
        Some(Self(Map { uids: rows(uids)?, gids: rows(gids)? }))
    }

    /// What a snapshot keeps: rows `INSIDE:OUTSIDE:COUNT` of users, `/`, and of groups.
    pub(super) fn text(&self) -> String {
        let row = |range: &Range| format!("{}:{}:{}", range.inside, range.outside, range.count);
        let rows = |ranges: &[Range]| ranges.iter().map(row).collect::<Vec<_>>().join(",");
        format!("{}/{}", rows(&self.0.uids), rows(&self.0.gids))
    }

    /// What belongs on the disk to a file that the image says this of. Whoever has no id in the container is nobody
    /// there, and so must be somebody on the disk whom the container lacks.
    ///
    /// # Errors
    /// There is nobody like that.
    pub(super) fn meta(&self, meta: Meta) -> Result<Meta> {
        let one = |ranges: &[Range], id: u32, kind: &str| {
            let nobody = || Some(OVERFLOW).filter(|nobody| sys::idmap::inward(ranges, *nobody).is_none());
            outward(ranges, id).or_else(nobody).ok_or_else(|| Error::Driver {
                driver: "userns",
                reason: format!("the image has files of {kind} {id}, whom the user namespace lacks"),
            })
        };
        Ok(Meta {
            uid: one(&self.0.uids, meta.uid, "user")?,
            gid: one(&self.0.gids, meta.gid, "group")?,
            ..meta
        })
    }

    /// The copies of layers' directories, made where they are missing; the empty layer is everybody's. They stay as
    /// long as the layers do, which the caller holds.
    ///
    /// # Errors
    /// The disk is full; a file has an owner whom the container can't have.
    pub(super) fn layers(&self, inner: &Inner, lowers: &[PathBuf]) -> Result<Vec<PathBuf>> {
        let (empty, name) = (inner.layout.empty(), name(&self.text()));
        let shown = |lower: &PathBuf| {
            if *lower == empty { Ok(empty.clone()) } else { self.layer(inner, lower, &name) }
        };
        lowers.iter().map(shown).collect()
    }

    fn layer(&self, inner: &Inner, lower: &Path, name: &str) -> Result<PathBuf> {
        let place = lower.with_file_name(layer::OWNED).join(&inner.boot);
        let copy = place.join(name);
        if copy.exists() {
            return Ok(copy);
        }
        DirBuilder::new().mode(DIR_MODE).recursive(true).create(&place).at("make", &place)?;
        let tmp = TmpDir::new(&inner.layout)?;
        let (from, to) = (open_path(lower)?, open_path(tmp.path())?);
        Overlay::as_it_lies(&to, self).directory(&from, &to, b"")?;
        drop(to);
        match fs::rename(tmp.path(), &copy) {
            Ok(()) => tmp.keep(),
            // somebody else was faster
            Err(_) if copy.exists() => return Ok(copy),
            Err(error) => return Err(Error::io(format!("rename to {}", copy.display()), error)),
        };
        Ok(copy)
    }
}

/// What a copy is called.
fn name(text: &str) -> String {
    hex::encode(Sha256::digest(text))[..DIGITS].to_owned()
}

/// Copies that no container's root file system stands on.
///
/// # Errors
/// A directory can't be read.
pub(crate) fn unused(inner: &Inner, state: &State) -> Result<Vec<PathBuf>> {
    let mut used = HashSet::new();
    for (container, text) in &state.owners {
        let keys = state.snapshots.get(container).and_then(|chain| state.chains.get(chain));
        used.extend(keys.into_iter().flat_map(|keys| keys.iter()).map(|key| (key.as_str(), name(text))));
    }
    let mut unused = Vec::new();
    for key in state.layers.keys() {
        let place = inner.layout.layer(key).join(layer::OWNED).join(&inner.boot);
        let is_unused = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            !used.contains(&(key.as_str(), name))
        };
        unused.extend(entries(&place)?.into_iter().filter(is_unused));
    }
    Ok(unused)
}

/// What is in a directory, and nothing if it is missing.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.at("read", dir)?.map(|entry| Ok(entry.at("read", dir)?.path())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tarball::Time;

    fn range(inside: u32, outside: u32, count: u32) -> Range {
        Range { inside, outside, count }
    }

    #[test]
    fn owners_are_kept_as_text() {
        let map = Map { uids: vec![range(0, 1, 5), range(5, 0, 1)], gids: vec![range(0, 0, 9)] };
        let owners = Owners(map);
        assert_eq!(owners.text(), "0:1:5,5:0:1/0:0:9");
        assert_eq!(Owners::parse(&owners.text()), Some(owners));
        for text in ["", "/", "0:1:5", "0:1:5/", "0:1/0:1:1", "0:1:0/0:1:1", "a:1:1/0:1:1", "0:1:1:1/0:1:1"] {
            assert_eq!(Owners::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn who_is_not_in_the_container_is_nobody() {
        let meta = |uid, gid| Meta { mode: 0o644, uid, gid, mtime: Time { seconds: 0, nanos: 0 } };
        let few = Owners(Map { uids: vec![range(0, 1, 5), range(5, 0, 1)], gids: vec![range(0, 1, 9)] });
        let told = few.meta(meta(0, 3)).unwrap();
        assert_eq!((told.uid, told.gid), (1, 4));
        let told = few.meta(meta(5, 9)).unwrap();
        assert_eq!((told.uid, told.gid), (0, OVERFLOW));
        let all = Owners(Map { uids: vec![range(0, 1, 65_536)], gids: vec![range(0, 1, 65_536)] });
        let error = all.meta(meta(70_000, 0)).unwrap_err().to_string();
        assert!(error.contains("files of user 70000"), "{error}");
    }
}
