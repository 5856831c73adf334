//! Blobs in memory: as sinks, as sources.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use oci::{Descriptor, Digest};
use registry::client::{BlobSink, BlobSource, Chunks};

/// A blob that is filled in any order.
pub(crate) struct Memory(Mutex<Filling>);

struct Filling {
    bytes: Vec<u8>,
    missing: Vec<Range<u64>>,
    written: u64,
}

impl Memory {
    /// Nothing is there.
    pub(crate) fn new(size: u64) -> Arc<Self> {
        Self::missing(size, &[(0, size)])
    }

    /// Only these parts are missing.
    pub(crate) fn missing(size: u64, missing: &[(u64, u64)]) -> Arc<Self> {
        let missing = missing.iter().map(|(from, to)| *from..*to).collect();
        Arc::new(Self(Mutex::new(Filling { bytes: vec![0; size as usize], missing, written: 0 })))
    }

    pub(crate) fn sink(self: &Arc<Self>) -> Arc<dyn BlobSink> {
        Arc::clone(self) as _
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::sha256(&self.lock().bytes)
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.lock().missing.is_empty()
    }

    pub(crate) fn written(&self) -> u64 {
        self.lock().written
    }

    pub(crate) fn part(&self, range: Range<usize>) -> Vec<u8> {
        self.lock().bytes.get(range).unwrap_or_default().to_vec()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Filling> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlobSink for Memory {
    fn missing(&self) -> Vec<Range<u64>> {
        self.lock().missing.clone()
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> BoxFuture<'_, io::Result<()>> {
        let range = offset..offset + bytes.len() as u64;
        let mut filling = self.lock();
        let part = filling.missing.iter().position(|part| part.start <= range.start && range.end <= part.end);
        let result = match part {
            // only what is missing may be written, and once
            None => Err(io::Error::other(format!("{range:?} is not missing"))),
            Some(at) => {
                let part = filling.missing.remove(at);
                let rest = [part.start..range.start, range.end..part.end];
                filling.missing.extend(rest.into_iter().filter(|rest| !rest.is_empty()));
                filling.bytes[range.start as usize..range.end as usize].copy_from_slice(&bytes);
                filling.written += bytes.len() as u64;
                Ok(())
            }
        };
        Box::pin(async { result })
    }
}

/// Bytes to upload, in pieces.
struct Text(Bytes);

impl BlobSource for Text {
    fn open(&self, offset: u64) -> BoxFuture<'_, io::Result<Chunks>> {
        let mut rest = self.0.slice(offset as usize..);
        let next = std::iter::from_fn(move || {
            let count = rest.len().min(64 << 10);
            (count > 0).then(|| Ok(rest.split_to(count)))
        });
        Box::pin(async move { Ok(Box::pin(futures_util::stream::iter(next)) as Chunks) })
    }
}

pub(crate) fn source(bytes: &Bytes) -> Arc<dyn BlobSource> {
    Arc::new(Text(bytes.clone()))
}

pub(crate) fn noise(length: usize, seed: u64) -> Bytes {
    e2e::registry::noise(seed, length).into()
}

pub(crate) fn descriptor(bytes: &[u8]) -> Descriptor {
    Descriptor::new(oci::media_type::OCI_LAYER_GZIP, Digest::sha256(bytes), bytes.len() as u64)
}

/// An image manifest over one config and layers.
pub(crate) fn manifest(config: &[u8], layers: &[&[u8]]) -> Bytes {
    let layers: Vec<Descriptor> = layers.iter().map(|layer| descriptor(layer)).collect();
    let config = Descriptor::new(oci::media_type::OCI_CONFIG, Digest::sha256(config), config.len() as u64);
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": oci::media_type::OCI_MANIFEST, "config": config, "layers": layers,
    });
    manifest.to_string().into()
}
