//! What the store takes on the disk, and what would come free: a value, taken at one moment.

use std::collections::{BTreeMap, HashMap, HashSet};

use oci::Digest;

use crate::error::Context;
use crate::image::KeptManifest;
use crate::layout::{self, Layout};
use crate::state::chain_name;
use crate::{Result, Store};

/// What each thing in the store takes on the disk, in bytes of allocated blocks ([`sys::usage`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Each layer, by its key: its files, and what gives back its tar.
    layers: HashMap<String, u64>,
    /// Each image.
    images: BTreeMap<Digest, ImageAccount>,
    /// Layers that each container stands on.
    held: BTreeMap<String, Vec<String>>,
    /// Directories that stay between builds' processes.
    cache_mounts: u64,
    /// The store's own directories and indexes.
    rest: u64,
}

/// An image beside its layers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ImageAccount {
    /// Keys of its layers.
    layers: Vec<String>,
    /// Its config and record.
    own: u64,
    /// The image that it was made from, when that is here.
    parent: Option<Digest>,
    /// It has a name.
    named: bool,
}

impl Accounts {
    /// All images, and the layers of images and containers, each once.
    pub fn images_total(&self) -> u64 {
        let layers: HashSet<&String> = self
            .images
            .values()
            .flat_map(|image| &image.layers)
            .chain(self.held.values().flatten())
            .collect();
        let sizes = layers.into_iter().filter_map(|key| self.layers.get(key));
        sizes.sum::<u64>() + self.images.values().map(|image| image.own).sum::<u64>()
    }

    /// The other layers, which a builder has made or counts on.
    pub fn unclaimed_total(&self) -> u64 {
        let all: u64 = self.layers.values().sum();
        let images = self.images.values().map(|image| image.own).sum::<u64>();
        (all + images).saturating_sub(self.images_total())
    }

    /// All cache mounts of builds: what [`Store::cache_mounts`] says of them together.
    pub fn cache_mounts(&self) -> u64 {
        self.cache_mounts
    }

    /// What belongs to no image, layer, container or cache mount.
    pub fn rest(&self) -> u64 {
        self.rest
    }

    /// All of an image, and how much of that other images have, too.
    pub fn image(&self, id: &Digest) -> (u64, u64) {
        let Some(image) = self.images.get(id) else { return (0, 0) };
        let size = |key: &String| self.layers.get(key).copied().unwrap_or_default();
        let elsewhere = |key: &&String| {
            self.images.iter().any(|(other, account)| other != id && account.layers.contains(key))
        };
        let layers: u64 = image.layers.iter().map(size).sum();
        (layers + image.own, image.layers.iter().filter(elsewhere).map(size).sum())
    }

    /// The same without these containers.
    #[must_use]
    pub fn without_containers(mut self, gone: &HashSet<String>) -> Self {
        self.held.retain(|container, _| !gone.contains(container));
        self
    }

    /// What comes free when these images go: they themselves, and the layers that no other image and no container
    /// needs.
    pub fn freed_by(&self, gone: &HashSet<Digest>) -> u64 {
        let stays = |id: &Digest| !gone.contains(id);
        let mut needed: HashSet<&String> = self.held.values().flatten().collect();
        let staying = self.images.iter().filter(|(id, _)| stays(id));
        needed.extend(staying.flat_map(|(_, image)| &image.layers));
        let own: u64 = self.images.iter().filter(|(id, _)| !stays(id)).map(|(_, image)| image.own).sum();
        let layers: HashSet<&String> =
            self.images.iter().filter(|(id, _)| !stays(id)).flat_map(|(_, image)| &image.layers).collect();
        let free = layers.difference(&needed).filter_map(|key| self.layers.get(*key));
        own + free.sum::<u64>()
    }

    /// These images, and those without a name that only they were made from and that `used` doesn't name.
    pub fn with_parents(&self, gone: &HashSet<Digest>, used: &dyn Fn(&Digest) -> bool) -> HashSet<Digest> {
        let mut gone = gone.clone();
        loop {
            let only_theirs = |parent: &Digest| {
                self.images
                    .iter()
                    .all(|(id, image)| gone.contains(id) || image.parent.as_ref() != Some(parent))
            };
            let parents = gone.iter().filter_map(|id| self.images.get(id)?.parent.clone());
            let more: Vec<Digest> = parents
                .filter(|id| !gone.contains(id) && self.images.get(id).is_some_and(|image| !image.named))
                .filter(|id| only_theirs(id) && !used(id))
                .collect();
            if more.is_empty() {
                return gone;
            }
            gone.extend(more);
        }
    }

    /// An image that others were made from.
    pub fn is_parent(&self, id: &Digest) -> bool {
        self.images.values().any(|image| image.parent.as_ref() == Some(id))
    }
}

impl Store {
    /// Measures what the store takes on the disk. A layer is walked once in this process's life.
    ///
    /// # Errors
    /// A directory can't be read.
    pub fn accounts(&self) -> Result<Accounts> {
        let inner = self.inner();
        let mut accounts = Accounts::default();
        let mut documents: HashMap<Digest, Vec<Digest>> = HashMap::new();
        {
            let state = inner.lock();
            let keys = |chain: &str| state.chains.get(chain).map(|keys| keys.to_vec()).unwrap_or_default();
            for (id, entry) in &state.images {
                let parent = entry.image.config().parent.as_deref().and_then(|id| id.parse::<Digest>().ok());
                let account = ImageAccount {
                    layers: keys(&chain_name(entry.image.diff_ids())),
                    own: 0,
                    parent: parent.filter(|id| state.images.contains_key(id)),
                    named: !state.names_of(id).is_empty(),
                };
                accounts.images.insert(id.clone(), account);
                let kept = entry.record.manifests.iter().flat_map(KeptManifest::documents);
                documents.insert(id.clone(), kept.cloned().collect());
            }
            let stands = |(container, chain): (&String, &String)| (container.clone(), keys(chain));
            accounts.held = state.snapshots.iter().map(stands).collect();
            accounts.layers = state.layers.keys().map(|key| (key.clone(), 0)).collect();
        }
        // A document of several images (an index) counts with the first.
        let mut counted = HashSet::new();
        for (id, account) in &mut accounts.images {
            account.own = of(&inner.layout.image(id))?;
            let kept = documents.get(id).into_iter().flatten();
            for document in std::iter::once(id).chain(kept).filter(|one| counted.insert((*one).clone())) {
                account.own += of(&inner.layout.blob(document))?;
            }
        }
        for (key, bytes) in &mut accounts.layers {
            *bytes = inner.measured.layer(&inner.layout, key)?;
        }
        inner.measured.forget_all_but(&accounts.layers);
        accounts.cache_mounts = self.cache_mounts()?.iter().map(|cache| cache.size).sum();
        accounts.rest = rest(&inner.layout)?;
        let images: u64 = accounts.images.values().map(|image| image.own).sum();
        accounts.rest = accounts.rest.saturating_sub(images);
        Ok(accounts)
    }

    /// What a container's root file system takes: what the container wrote, and the directories around it.
    ///
    /// # Errors
    /// A directory can't be read.
    pub fn snapshot_usage(&self, container: &str) -> Result<(u64, u64)> {
        let dir = self.inner().layout.snapshot(container);
        let mut written = 0;
        for name in [layout::snapshot::UPPER, layout::snapshot::ROOT] {
            let path = dir.join(name);
            written += sys::usage::below(&path).at("measure", &path)?;
        }
        Ok((written, of(&dir)?.saturating_sub(written)))
    }
}

/// What layers were found to take. They never change, but for the list of their blobs.
#[derive(Debug, Default)]
pub(crate) struct Measured(std::sync::Mutex<HashMap<String, u64>>);

impl Measured {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, u64>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn layer(&self, layout: &Layout, key: &str) -> Result<u64> {
        if let Some(bytes) = self.lock().get(key) {
            return Ok(*bytes);
        }
        let bytes = of(&layout.layer(key))?;
        self.lock().insert(key.to_owned(), bytes);
        Ok(bytes)
    }

    /// The layer has changed.
    pub(crate) fn forget(&self, key: &str) {
        self.lock().remove(key);
    }

    fn forget_all_but(&self, layers: &HashMap<String, u64>) {
        self.lock().retain(|key, _| layers.contains_key(key));
    }
}

/// The store's directory without the contents of `layers/`, `snapshots/` and `cache-mounts/`.
fn rest(layout: &Layout) -> Result<u64> {
    let dir = layout.dir();
    let apart = [layout.layers(), layout.snapshots(), layout.cache_mounts()];
    let mut sum = 0;
    for entry in std::fs::read_dir(dir).at("read", dir)? {
        let path = entry.at("read", dir)?.path();
        sum += if apart.contains(&path) { continue } else { of(&path)? };
    }
    // of these only the directory itself
    for path in apart.iter().map(std::path::PathBuf::as_path).chain([dir]) {
        sum += sys::usage::alone(path).at("measure", path)?;
    }
    Ok(sum)
}

fn of(path: &std::path::Path) -> Result<u64> {
    sys::usage::of(path).at("measure", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(letter: &str) -> Digest {
        Digest::from_sha256_hex(&letter.repeat(64)).unwrap()
    }

    fn image(layers: &[&str], parent: Option<&str>, named: bool) -> ImageAccount {
        let layers = layers.iter().map(|key| (*key).to_owned()).collect();
        ImageAccount { layers, own: 1, parent: parent.map(id), named }
    }

    fn accounts() -> Accounts {
        Accounts {
            layers: [("base", 100), ("a", 10), ("b", 20), ("stray", 7)]
                .map(|(key, bytes)| (key.to_owned(), bytes))
                .into(),
            images: [
                (id("1"), image(&["base"], None, false)),
                (id("2"), image(&["base", "a"], Some("1"), true)),
                (id("3"), image(&["base", "b"], None, true)),
            ]
            .into(),
            held: [("c".to_owned(), vec!["b".to_owned(), "stray".to_owned()])].into(),
            cache_mounts: 0,
            rest: 5,
        }
    }

    #[test]
    fn what_is_shared_and_what_comes_free() {
        let accounts = accounts();
        assert_eq!(accounts.images_total(), 140);
        assert_eq!(accounts.image(&id("2")), (111, 100));
        assert_eq!(accounts.freed_by(&[id("2")].into()), 11);
        // a container stands on `b`
        assert_eq!(accounts.freed_by(&[id("3")].into()), 1);
        assert_eq!(accounts.freed_by(&[id("1"), id("2"), id("3")].into()), 113);
        let without = accounts.without_containers(&["c".to_owned()].into());
        assert_eq!(without.freed_by(&[id("3")].into()), 21);
    }

    #[test]
    fn a_parent_without_a_name_goes_with_its_last_child() {
        let accounts = accounts();
        let one = |id: Digest| HashSet::from([id]);
        assert_eq!(accounts.with_parents(&one(id("2")), &|_| false), [id("1"), id("2")].into());
        assert_eq!(accounts.with_parents(&one(id("2")), &|used| *used == id("1")), one(id("2")));
        assert!(accounts.is_parent(&id("1")) && !accounts.is_parent(&id("2")));
    }
}
