//! What the tests share: blobs in memory, registries as processes.

pub(crate) mod debian_registry;

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use oci::{Descriptor, Digest};
use registry::client::{BlobSink, BlobSource, Chunks};

/// A blob that is filled in any order.
pub(crate) struct Memory {
    pub(crate) bytes: Mutex<Vec<u8>>,
    missing: Mutex<Vec<Range<u64>>>,
    pub(crate) written: AtomicU64,
}

impl Memory {
    pub(crate) fn new(size: usize) -> Arc<Self> {
        Self::missing(size, vec![0..size as u64])
    }

    pub(crate) fn missing(size: usize, missing: Vec<Range<u64>>) -> Arc<Self> {
        Arc::new(Self {
            bytes: Mutex::new(vec![0; size]),
            missing: Mutex::new(missing),
            written: AtomicU64::new(0),
        })
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::sha256(&self.bytes.lock().unwrap())
    }

    pub(crate) fn sink(self: &Arc<Self>) -> Arc<dyn BlobSink> {
        Arc::clone(self) as _
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.missing.lock().unwrap().is_empty()
    }

    pub(crate) fn count(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

impl BlobSink for Memory {
    fn missing(&self) -> Vec<Range<u64>> {
        self.missing.lock().unwrap().clone()
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> BoxFuture<'_, io::Result<()>> {
        let range = offset..offset + bytes.len() as u64;
        let mut missing = self.missing.lock().unwrap();
        let at = missing
            .iter()
            .position(|part| part.start <= range.start && range.end <= part.end)
            .expect("only what is missing is written, and once");
        let part = missing.remove(at);
        for rest in [part.start..range.start, range.end..part.end] {
            if !rest.is_empty() {
                missing.push(rest);
            }
        }
        missing.sort_by_key(|part| part.start);
        self.bytes.lock().unwrap()[range.start as usize..range.end as usize].copy_from_slice(&bytes);
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }
}

/// Bytes to upload, in pieces.
pub(crate) struct Text(pub(crate) Bytes);

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

/// So many bytes that look like nothing.
pub(crate) fn noise(size: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(size + 8);
    while out.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(size);
    out.into()
}

pub(crate) fn descriptor(bytes: &[u8]) -> Descriptor {
    Descriptor::new(oci::media_type::OCI_LAYER_GZIP, Digest::sha256(bytes), bytes.len() as u64)
}

/// An image manifest over one config and layers.
pub(crate) fn manifest(config: &[u8], layers: &[&[u8]]) -> Bytes {
    let layers: Vec<Descriptor> = layers.iter().map(|layer| descriptor(layer)).collect();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": oci::media_type::OCI_MANIFEST,
        "config": Descriptor::new(oci::media_type::OCI_CONFIG, Digest::sha256(config), config.len() as u64),
        "layers": layers,
    });
    serde_json::to_vec(&manifest).unwrap().into()
}
