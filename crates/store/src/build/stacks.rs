//! What a builder's layers take beside images and containers: a value, taken at one moment.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use oci::Digest;

use crate::state::chain_name;
use crate::{Result, Store};

/// Layers and the stacks of them that are [held](Store::hold).
#[derive(Clone, Debug, Default)]
pub struct Stacks {
    /// Bytes on the disk of every layer, by its key.
    sizes: HashMap<String, u64>,
    held: HashMap<String, HeldStack>,
    /// Layers of images and of containers.
    elsewhere: HashSet<String>,
}

/// A stack that is held.
#[derive(Clone, Debug)]
struct HeldStack {
    /// Keys of its layers, lowest first.
    keys: Arc<Vec<String>>,
    holders: usize,
}

impl Stacks {
    /// Keys of the layers of a stack that is held, lowest first; none of any other.
    pub fn keys(&self, layers: &[Digest]) -> &[String] {
        self.held.get(&chain_name(layers)).map(|stack| stack.keys.as_slice()).unwrap_or_default()
    }

    /// Keys of the layers of those stacks that more hold than `known` says, which is asked by a stack's name.
    pub fn held_beside(&self, known: &HashMap<String, usize>) -> HashSet<&str> {
        let more = |(name, stack): &(&String, &HeldStack)| {
            stack.holders > known.get(*name).copied().unwrap_or_default()
        };
        self.held.iter().filter(more).flat_map(|(_, stack)| stack.keys.iter().map(String::as_str)).collect()
    }

    /// The name that a stack has in [`Self::held_beside`].
    pub fn name(layers: &[Digest]) -> String {
        chain_name(layers)
    }

    /// Bytes that a layer takes on the disk.
    pub fn size(&self, key: &str) -> u64 {
        self.sizes.get(key).copied().unwrap_or_default()
    }

    /// An image or a container has this layer.
    pub fn is_elsewhere(&self, key: &str) -> bool {
        self.elsewhere.contains(key)
    }

    /// Bytes of all layers that no image and no container has.
    pub fn total(&self) -> u64 {
        self.sizes.iter().filter(|(key, _)| !self.elsewhere.contains(*key)).map(|(_, size)| size).sum()
    }
}

impl Store {
    /// Measures layers. Each is walked once in this process's life.
    ///
    /// # Errors
    /// A directory can't be read.
    pub fn stacks(&self) -> Result<Stacks> {
        let inner = self.inner();
        let mut stacks = Stacks::default();
        {
            let state = inner.lock();
            let keys = |name: &String| state.chains.get(name).cloned();
            let images = state.images.values().map(|entry| chain_name(entry.image.diff_ids()));
            let others = images.chain(state.snapshots.values().cloned());
            stacks.elsewhere = others.filter_map(|name| keys(&name)).flat_map(|keys| keys.to_vec()).collect();
            stacks.held = state
                .held
                .iter()
                .filter_map(|(name, holders)| {
                    Some((name.clone(), HeldStack { keys: keys(name)?, holders: *holders }))
                })
                .collect();
            stacks.sizes = state.layers.keys().map(|key| (key.clone(), 0)).collect();
        }
        let mut gone = Vec::new();
        for (key, bytes) in &mut stacks.sizes {
            *bytes = inner.measured.layer(&inner.layout, key)?;
            if *bytes == 0 {
                gone.push(key.clone());
            }
        }
        gone.iter().for_each(|key| inner.measured.forget(key));
        Ok(stacks)
    }
}
