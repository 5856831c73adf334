//! What a repository is: the blobs it may show, its manifests, its tags, and what refers to what.

pub(crate) mod blobs;
pub(crate) mod document;
pub(crate) mod manifests;
pub(crate) mod receive;
pub(crate) mod references;
pub(crate) mod referrers;
pub(crate) mod tags;
pub(crate) mod uploads;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Registry;
use super::error::Result;
use super::limits;
use super::name::Name;
use super::storage::{Key, Storage, StorageError};

/// A repository of a registry. It need not have anything.
#[derive(Clone, Copy)]
pub(crate) struct Repository<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) name: &'a Name,
}

impl<'a> Repository<'a> {
    pub(crate) fn new(registry: &'a Registry, name: &'a Name) -> Self {
        Self { registry, name }
    }

    fn storage(&self) -> &'a dyn Storage {
        &*self.registry.storage
    }

    /// Reads a record.
    async fn record<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>> {
        let Some(bytes) = self.storage().get(key, limits::RECORD).await? else { return Ok(None) };
        let record = serde_json::from_slice(&bytes)
            .map_err(|error| StorageError::Format(format!("{key} in the storage is damaged: {error}")))?;
        Ok(Some(record))
    }

    /// Writes a record.
    pub(crate) async fn put_record(&self, key: &Key, record: &impl Serialize) -> Result<()> {
        let bytes = serde_json::to_vec(record)
            .map_err(|error| StorageError::Format(format!("{key} can't be written: {error}")))?;
        Ok(self.storage().put(key, bytes.into()).await?)
    }
}
