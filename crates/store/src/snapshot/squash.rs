//! Several layers as one: what they change together of the layers below.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use oci::Digest;
use tarball::MAX_DEPTH;

use super::pack::pack_mount;
use super::tree::{Lowers, is_directory};
use super::{Change, ChangeKind};
use crate::build::Hold;
use crate::commit::packed;
use crate::disk::TmpDir;
use crate::load::{Publisher, unpack_here};
use crate::{Error, Result, Store, layout};

impl Store {
    /// Makes one layer of all layers above the lowest `kept`, and holds the stack of those and of it. What one of them
    /// adds and another removes is in it neither way; of what they remove below stays a mark. Of no change comes no
    /// layer.
    ///
    /// # Errors
    /// The layers are not here in this order; [`Error::NoSpace`].
    pub fn squash(&self, layers: &[Digest], kept: usize) -> Result<Hold> {
        let kept = kept.min(layers.len());
        if layers.len() - kept < 2 {
            return self.restack(layers);
        }
        let inner = self.inner();
        let mut publisher = Publisher::new(inner);
        let keys = self.keys(layers)?;
        publisher.hold(&keys);
        let (base, above) = keys.split_at(kept);
        let changes = changes(&self.directories(above)?, &self.directories(base)?)?;
        if changes.is_empty() {
            return self.restack(&layers[..kept]);
        }
        let mount = self.mount_layers(layers, "")?;
        let tmp = TmpDir::new(&inner.layout)?;
        let layer = packed(
            |output| pack_mount(mount, None, &changes, output),
            |tar| unpack_here(tar, tmp, inner.limits, inner.umask),
        )?;
        publisher.above_unsynced(base, &layers[..kept], layer)
    }

    /// The root directories of layers, as far down as anything shows through.
    fn directories(&self, keys: &[String]) -> Result<Lowers> {
        let (mut paths, mut ends) = (Vec::with_capacity(keys.len()), false);
        for key in keys.iter().rev() {
            paths.push(self.inner().layout.layer(key).join(layout::layer::DIFF));
            ends = self.inner().lock().layers.get(key).is_some_and(|layer| layer.record.opaque_root);
            if ends {
                break;
            }
        }
        let mut lowers = Lowers::open(&paths)?;
        lowers.ends = ends;
        Ok(lowers)
    }
}

/// What the upper directories change together, sorted by path: whatever they hold counts as changed, so that its times
/// and attributes are as they were.
fn changes(tops: &Lowers, lowers: &Lowers) -> Result<Vec<Change>> {
    let mut found = Vec::new();
    directory(tops, lowers, (Path::new("/"), 0), &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn directory(
    tops: &Lowers,
    lowers: &Lowers,
    (path, depth): (&Path, usize),
    found: &mut Vec<Change>,
) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::Limit { what: "depth of directories".into(), limit: MAX_DEPTH as u64 });
    }
    let here = tops.marked()?;
    let at = |name: &[u8]| path.join(OsString::from_vec(name.to_vec()));
    if tops.ends {
        let hidden = lowers.names()?;
        let gone = |name: &Vec<u8>| Change { path: at(name), kind: ChangeKind::Deleted };
        found.extend(hidden.difference(&here).map(gone));
    }
    for name in &here {
        let below = lowers.look(name)?;
        let path: PathBuf = at(name);
        let Some(stat) = tops.look(name)? else {
            found.extend(below.map(|_| Change { path, kind: ChangeKind::Deleted }));
            continue;
        };
        if is_directory(&stat) {
            let under = match &below {
                Some(below) if is_directory(below) => lowers.enter(name)?,
                _ => Lowers::none(),
            };
            directory(&tops.enter(name)?, &under, (&path, depth + 1), found)?;
        }
        let kind = if below.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        found.push(Change { path, kind });
    }
    Ok(())
}
