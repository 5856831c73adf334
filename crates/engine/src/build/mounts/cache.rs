//! Directories that stay between steps (`type=cache`).
//!
//! Which one a mount gets depends on its id, on what it begins as (the contents of `from`'s `source`) and on the mode
//! and owner that are asked for: as in BuildKit, another beginning is another cache.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;

use ::build::graph::{CacheMount, Copy, Exec, Mount, MountKind, Sharing};
use ::build::solve::{Job, Selection, Tree, Worker as _};
use ::build::{Error, Result, files};
use oci::Digest;
use rustix::fs::{FileType, Gid, Mode, Uid};
use store::{CacheSharing, CacheUse, CacheWanted};
use sys::path::Root;

use super::beginning;
use crate::build::worker::{BuildWorker, decompress};

/// A mount, and the tree that its cache begins as when it is made.
struct Wanted<'a> {
    mount: &'a Mount,
    cache: &'a CacheMount,
    /// `None` for an empty directory.
    first: Option<Tree>,
}

impl BuildWorker {
    /// The caches of a step's mounts, in their order; `None` when the step is cancelled while it waits for one.
    pub(super) fn caches(
        &self,
        job: &Job<'_>,
        exec: &Exec,
        inputs: &[Tree],
    ) -> Result<Option<VecDeque<Arc<CacheUse>>>> {
        let mut keys = Vec::new();
        let mut wanted = BTreeMap::new();
        for mount in &exec.mounts {
            let MountKind::Cache(cache) = &mount.kind else { continue };
            let is_empty = mount.input.is_none() && mount.selector.is_empty();
            let first = if is_empty { None } else { Some(beginning(mount, inputs)?) };
            let key = self.key(mount, cache, first.as_ref())?;
            keys.push(key.clone());
            wanted.entry(key).or_insert(Wanted { mount, cache, first });
        }
        if keys.is_empty() {
            return Ok(Some(VecDeque::new()));
        }
        let store = self.engine.store.clone();
        let _on_cancel = job.cancel.on_cancel(move || store.wake_cache_waiters());
        // In the keys' order, so that no two steps wait for each other. One step has one cache once.
        let mut taken = BTreeMap::new();
        for (key, wanted) in &wanted {
            let Some(cache) = self.take(job, exec, key, wanted)? else { return Ok(None) };
            taken.insert(key, Arc::new(cache));
        }
        Ok(Some(keys.iter().filter_map(|key| taken.get(key).cloned()).collect()))
    }

    fn key(&self, mount: &Mount, cache: &CacheMount, first: Option<&Tree>) -> Result<Digest> {
        let first = first.map(|tree| self.digest(tree, Selection::Path(&mount.selector))).transpose()?;
        let parts = (&cache.id, first, cache.mode, cache.uid, cache.gid);
        let text = serde_json::to_vec(&parts).map_err(|error| Error::because("name a cache mount", error))?;
        Ok(Digest::sha256(&text))
    }

    fn take(
        &self,
        job: &Job<'_>,
        exec: &Exec,
        key: &Digest,
        wanted: &Wanted<'_>,
    ) -> Result<Option<CacheUse>> {
        let Wanted { mount, cache, first } = wanted;
        let mut description = format!("cached mount {} from exec {}", mount.target, exec.args.join(" "));
        if cache.id != mount.target {
            description = format!("{description} with id {:?}", cache.id);
        }
        let asked = CacheWanted {
            key,
            description: &description,
            sharing: match cache.sharing {
                Sharing::Shared => CacheSharing::Shared,
                Sharing::Private => CacheSharing::Private,
                Sharing::Locked => CacheSharing::Locked,
            },
        };
        let fill = |path: &Path| self.begin(path, mount, cache, first.as_ref());
        let taken = self.engine.store.take_cache(&asked, &|| job.cancel.is_cancelled(), &fill);
        taken.map_err(|error| Error::because(format!("cache mount {}", mount.target), error))
    }

    /// Makes a new cache what it begins as.
    fn begin(&self, path: &Path, mount: &Mount, cache: &CacheMount, first: Option<&Tree>) -> io::Result<()> {
        let (mut mode, mut owner) = (cache.mode, (cache.uid, cache.gid));
        if let Some(tree) = first {
            let source = self.trees.open(tree).map_err(io::Error::other)?;
            let selector = if mount.selector.is_empty() { "/" } else { &mount.selector };
            let stat = source.stat(selector)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                let error = format!("{selector} is no directory, and a cache is one");
                return Err(io::Error::new(io::ErrorKind::NotADirectory, error));
            }
            let copy = Copy {
                source: selector.to_owned(),
                target: "/".to_owned(),
                follow_symlinks: true,
                contents_only: true,
                ..Copy::default()
            };
            let target = Root::open_in_root(path)?;
            files::copy(&target, &source, &copy, None, &decompress, &self.cancel)
                .map_err(io::Error::other)?;
            mode = mode.or(Some(stat.st_mode & 0o7777));
            owner = (owner.0.or(Some(stat.st_uid)), owner.1.or(Some(stat.st_gid)));
        }
        let directory = sys::file::open_directory(path)?;
        rustix::fs::fchown(&directory, owner.0.map(Uid::from_raw), owner.1.map(Gid::from_raw))?;
        match mode {
            Some(mode) => Ok(rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode & 0o7777))?),
            None => Ok(()),
        }
    }
}
