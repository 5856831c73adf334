//! One collection: mark what is in use, repository by repository, and sweep the rest.

use std::collections::HashSet;
use std::time::{Instant, SystemTime};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::Digest;

use super::Report;
use crate::server::Registry;
use crate::server::name::Name;
use crate::server::repository::references::references;
use crate::server::storage::{
    ALGORITHMS, Entry, Key, Meta, Prefix, Result, Storage, StorageError, digest_of, name_of,
};

/// Names that are looked at at once.
const PAGE: usize = 1000;

/// Objects that are asked for at once.
const AT_ONCE: usize = 16;

/// What is removed while no manifest may be put.
const BATCH: usize = 32;

/// The first 128 bits of a digest: a set of them has a fifth of the size. Two that are alike only keep more.
type Print = u128;

/// What was done, or not.
async fn ready<T>(outcome: Option<T>) -> Result<Option<T>> {
    Ok(outcome)
}

fn print(digest: &Digest) -> Print {
    digest.hex().get(..32).and_then(|hex| Print::from_str_radix(hex, 16).ok()).unwrap_or(0)
}

/// A collection that goes on.
pub(super) struct Pass<'a> {
    registry: &'a Registry,
    pub(super) report: Report,
    /// What is younger stays.
    cutoff: SystemTime,
    since: Instant,
    /// What manifests refer to, manifests themselves, and what repositories have links to.
    used: HashSet<Print>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(registry: &'a Registry) -> Self {
        let grace = registry.config.gc.grace.0;
        let cutoff = SystemTime::now().checked_sub(grace).unwrap_or(SystemTime::UNIX_EPOCH);
        Self { registry, report: Report::default(), cutoff, since: Instant::now(), used: HashSet::new() }
    }

    fn storage(&self) -> &'a dyn Storage {
        &*self.registry.storage
    }

    /// Marks what is in use in all repositories, and removes the links that are not.
    pub(super) async fn repositories(&mut self) -> Result<()> {
        let mut pages = Pages::new(self.storage(), Prefix::repositories());
        while let Some(page) = pages.next().await? {
            for name in page.iter().filter_map(|entry| name_of(&entry.name)) {
                self.repository(&name).await?;
            }
        }
        Ok(())
    }

    /// Removes what was not marked.
    pub(super) async fn blobs(&mut self) -> Result<()> {
        for algorithm in ALGORITHMS {
            let mut shards = Pages::new(self.storage(), Prefix::shards(algorithm));
            while let Some(page) = shards.next().await? {
                for shard in page {
                    let mut blobs = Pages::new(self.storage(), Prefix::shard(algorithm, &shard.name));
                    while let Some(page) = blobs.next().await? {
                        let digests = page.iter().filter_map(|entry| {
                            format!("{}:{}", algorithm.as_str(), entry.name).parse().ok()
                        });
                        let unused: Vec<Digest> =
                            digests.filter(|digest| !self.used.contains(&print(digest))).collect();
                        self.sweep(unused).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn repository(&mut self, name: &Name) -> Result<()> {
        let mut marked = HashSet::new();
        let damaged = self.report.damaged;
        let mut manifests = Pages::new(self.storage(), Prefix::manifests(name));
        while let Some(page) = manifests.next().await? {
            let digests = page.iter().filter_map(|entry| digest_of(&entry.name));
            let reading: Vec<_> = digests.map(|digest| self.read(name, digest)).collect();
            let read: Vec<_> = stream::iter(reading).buffer_unordered(AT_ONCE).try_collect().await?;
            for (digest, found) in read {
                self.report.manifests += 1;
                self.used.insert(print(&digest));
                match found {
                    Some(found) => marked.extend(found.iter().map(print)),
                    None => self.report.damaged += 1,
                }
            }
        }
        // what a manifest refers to that can't be read is not known: everything may be
        let is_known = self.report.damaged == damaged;
        let mut links = Pages::new(self.storage(), Prefix::blobs(name));
        while let Some(page) = links.next().await? {
            let digests: Vec<_> = page.iter().filter_map(|entry| digest_of(&entry.name)).collect();
            let (used, unused): (Vec<_>, Vec<_>) =
                digests.into_iter().partition(|digest| !is_known || marked.contains(&print(digest)));
            self.used.extend(used.iter().map(print));
            self.unlink(name, unused).await?;
        }
        self.used.extend(marked);
        Ok(())
    }

    /// What a manifest refers to. That it is damaged is said in the log.
    async fn read(&self, name: &Name, digest: Digest) -> Result<(Digest, Option<Vec<Digest>>)> {
        let bytes = match self.storage().get(&Key::blob(&digest), oci::manifest::MAX_DOCUMENT).await {
            Err(StorageError::TooLarge { .. }) => None,
            found => found?,
        };
        let found = bytes.and_then(|bytes| references(&bytes));
        let is_deleted =
            found.is_none() && self.storage().stat(&Key::manifest(name, &digest)).await?.is_none();
        if is_deleted {
            return Ok((digest, Some(Vec::new())));
        }
        if found.is_none() {
            tracing::error!(
                "the manifest {digest} of {name} is damaged: nothing of {name} is collected until it is deleted or pushed again"
            );
        }
        Ok((digest, found))
    }

    /// Removes links of a repository that are old; others are in use.
    async fn unlink(&mut self, name: &Name, digests: Vec<Digest>) -> Result<()> {
        let old = self.old(digests, |digest| Key::link(name, digest)).await?;
        for digest in old.young {
            self.used.insert(print(&digest));
        }
        let (storage, cutoff) = (self.storage(), self.cutoff);
        for batch in old.old.chunks(BATCH) {
            let _gate = self.registry.activity.collecting().await;
            let unlinking: Vec<_> = batch
                .iter()
                .filter(|(digest, _)| !self.is_held(digest))
                .map(|(digest, _)| async move {
                    // before: a push that has found the link a moment ago may rely on the bytes for the grace period
                    storage.touch(&Key::blob(digest)).await?;
                    let is_gone = storage.delete_aged(&Key::link(name, digest), cutoff).await?;
                    Ok::<_, StorageError>(is_gone.then(|| digest.clone()))
                })
                .collect();
            let gone: HashSet<Digest> =
                stream::iter(unlinking).buffer_unordered(AT_ONCE).try_filter_map(ready).try_collect().await?;
            self.report.links += gone.len() as u64;
            let kept = batch.iter().map(|(digest, _)| digest).filter(|digest| !gone.contains(*digest));
            self.used.extend(kept.map(print));
        }
        Ok(())
    }

    /// Removes blobs that are old.
    async fn sweep(&mut self, digests: Vec<Digest>) -> Result<()> {
        let old = self.old(digests, Key::blob).await?.old;
        let (storage, cutoff) = (self.storage(), self.cutoff);
        for batch in old.chunks(BATCH) {
            let _gate = self.registry.activity.collecting().await;
            let deleting: Vec<_> = batch
                .iter()
                .filter(|(digest, _)| !self.is_held(digest))
                .map(|(digest, meta)| async move {
                    let is_gone = storage.delete_aged(&Key::blob(digest), cutoff).await?;
                    Ok::<_, StorageError>(is_gone.then_some(meta.size))
                })
                .collect();
            let gone: Vec<u64> =
                stream::iter(deleting).buffer_unordered(AT_ONCE).try_filter_map(ready).try_collect().await?;
            self.report.blobs += gone.len() as u64;
            self.report.bytes += gone.iter().sum::<u64>();
        }
        Ok(())
    }

    /// It is in use, or was since the grace period before the pass began.
    fn is_held(&self, digest: &Digest) -> bool {
        let grace = self.registry.config.gc.grace.0;
        self.registry.activity.is_held(digest, grace.saturating_add(self.since.elapsed()))
    }

    /// Which of them are old enough to go. What is not there any more is neither.
    async fn old(&self, digests: Vec<Digest>, key: impl Fn(&Digest) -> Key) -> Result<Ages> {
        let asking: Vec<_> = digests
            .into_iter()
            .map(|digest| {
                let key = key(&digest);
                async move { Ok::<_, StorageError>((digest, self.storage().stat(&key).await?)) }
            })
            .collect();
        let found: Vec<_> = stream::iter(asking).buffer_unordered(AT_ONCE).try_collect().await?;
        let mut ages = Ages::default();
        for (digest, meta) in found {
            match meta {
                Some(meta) if meta.modified < self.cutoff => ages.old.push((digest, meta)),
                Some(_) => ages.young.push(digest),
                None => {}
            }
        }
        Ok(ages)
    }
}

#[derive(Default)]
struct Ages {
    old: Vec<(Digest, Meta)>,
    young: Vec<Digest>,
}

/// A listing, page by page.
struct Pages<'a> {
    storage: &'a dyn Storage,
    prefix: Prefix,
    after: Option<String>,
    is_done: bool,
}

impl<'a> Pages<'a> {
    fn new(storage: &'a dyn Storage, prefix: Prefix) -> Self {
        Self { storage, prefix, after: None, is_done: false }
    }

    async fn next(&mut self) -> Result<Option<Vec<Entry>>> {
        if self.is_done {
            return Ok(None);
        }
        let page = self.storage.list(&self.prefix, self.after.as_deref(), PAGE).await?;
        self.is_done = page.len() < PAGE;
        self.after = page.last().map(|last| last.name.clone());
        Ok(Some(page))
    }
}
