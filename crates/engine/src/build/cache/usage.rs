//! The cache at one moment: its records, and whose each byte is.

use std::collections::{BTreeMap, HashMap, HashSet};

use ::build::cache::Record;
use oci::Digest;
use store::Stacks;

use super::{CacheRecord, Home};

/// Records, and bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Usage {
    /// By id.
    pub(super) records: BTreeMap<String, CacheRecord>,
    /// Bytes of the cache that no image has.
    pub(super) total: u64,
    /// Layers that only the cache has: their bytes, and how many records count on them.
    pub(super) layers: HashMap<String, (u64, usize)>,
    /// Keys of the layers that each record counts on.
    pub(super) counts_on: HashMap<String, Vec<String>>,
}

impl Usage {
    /// Looks at the records of an index. `known` says by how many records each stack is held.
    pub(super) fn of(
        records: Vec<(String, Record)>,
        stacks: &Stacks,
        known: &HashMap<String, usize>,
    ) -> Self {
        let busy = stacks.held_beside(known);
        let mut usage = Self::default();
        let mut records = records;
        // a layer of several is the oldest's
        records.sort_by(|(a_id, a), (b_id, b)| (a.created, a_id).cmp(&(b.created, b_id)));
        let mut attributed: HashSet<String> = HashSet::new();
        for (id, record) in &records {
            usage.add(id, record, stacks, &busy, &mut attributed);
        }
        // what nobody has added (layers of a base image that is gone) is the first's that stands on it
        for (id, _) in &records {
            let keys = usage.counts_on.get(id).into_iter().flatten();
            let more = keys.filter(|key| attributed.insert((*key).clone())).map(|key| stacks.size(key)).sum();
            if let Some(record) = usage.records.get_mut(id).filter(|_| more > 0) {
                record.size = if record.shared { more } else { record.size + more };
                record.shared = false;
            }
        }
        usage.total = stacks.total();
        usage
    }

    fn add(
        &mut self,
        id: &str,
        record: &Record,
        stacks: &Stacks,
        busy: &HashSet<&str>,
        attributed: &mut HashSet<String>,
    ) {
        let added = record.added();
        let is_added = |layer: &Digest| added.contains(&layer);
        let (mut own, mut common, mut in_use) = (0, 0, false);
        let mut counts_on: Vec<String> = Vec::new();
        for (_, layers) in &record.outputs {
            let keys = stacks.keys(layers);
            in_use |= keys.last().is_some_and(|key| busy.contains(key.as_str()));
            for (layer, key) in layers.iter().zip(keys) {
                let elsewhere = stacks.is_elsewhere(key);
                if !elsewhere && !counts_on.contains(key) {
                    counts_on.push(key.clone());
                }
                if !is_added(layer) {
                    continue;
                }
                // of an image too, or of another record that has made the same layer
                match !elsewhere && attributed.insert(key.clone()) {
                    true => own += stacks.size(key),
                    false => common += stacks.size(key),
                }
            }
        }
        for key in &counts_on {
            self.layers.entry(key.clone()).or_insert((stacks.size(key), 0)).1 += 1;
        }
        self.counts_on.insert(id.to_owned(), counts_on);
        let record = CacheRecord {
            id: id.to_owned(),
            parents: record.parents.clone(),
            kind: record.kind,
            description: record.description.clone(),
            in_use,
            shared: own == 0 && common > 0,
            mutable: false,
            size: if own > 0 { own } else { common },
            created: record.created,
            used: record.used,
            uses: record.uses,
            home: Home::Layers,
        };
        self.records.insert(record.id.clone(), record);
    }

    /// Adds a directory that is kept beside the layers.
    pub(super) fn add_directory(&mut self, record: CacheRecord) {
        self.total += record.size;
        self.records.insert(record.id.clone(), record);
    }

    /// Takes a record away; gives the bytes that come free.
    pub(super) fn take(&mut self, id: &str) -> u64 {
        let Some(record) = self.records.remove(id) else { return 0 };
        let Some(keys) = self.counts_on.remove(id) else {
            // a directory is its own
            self.total = self.total.saturating_sub(record.size);
            return record.size;
        };
        let mut freed = 0;
        for key in keys {
            if let Some((size, users)) = self.layers.get_mut(&key) {
                *users -= 1;
                freed += if *users == 0 { *size } else { 0 };
            }
        }
        self.total = self.total.saturating_sub(freed);
        freed
    }
}
