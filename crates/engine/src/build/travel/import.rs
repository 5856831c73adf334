//! Results from elsewhere: what there is is read before the build, layers are fetched when one of them is used.

use std::io::Read;

use ::build::cache::exchange::{CONFIG_TYPE, Incoming, IncomingLayer, MAX_CONFIG};
use ::build::{Cancel, Error, Result};
use bytes::Bytes;
use jiff::Timestamp;
use oci::manifest::MAX_DOCUMENT;
use oci::{Descriptor, Digest, Document, Image, Platform, Reference};
use registry::client::{BlobStream, FetchedManifest, Repository, Target};
use store::{Hold, Store};

use super::CacheImport;
use crate::engine::Inner;
use crate::registry::Credentials;

/// A cache that a build looks at.
pub(in crate::build) struct Imported {
    name: String,
    known: Vec<Incoming>,
    repository: Repository,
    runtime: tokio::runtime::Handle,
}

/// The layers of each output, held, and when they were made.
pub(in crate::build) type Fetched = (Vec<(u32, Hold)>, Timestamp);

fn failed(what: &str) -> impl FnOnce(registry::client::Error) -> Error {
    let what = what.to_owned();
    move |error| Error::because(what, error)
}

/// Reads what there is.
///
/// # Errors
/// It is not there, or is none.
pub(in crate::build) fn open(
    engine: &Inner,
    runtime: &tokio::runtime::Handle,
    import: &CacheImport,
    credentials: &dyn Fn(&Reference) -> Result<Credentials>,
) -> Result<Imported> {
    let CacheImport::Registry(reference) = import;
    let repository = engine.registries.current().repository(reference, &credentials(reference)?);
    let mut imported =
        Imported { name: reference.familiar(), known: Vec::new(), repository, runtime: runtime.clone() };
    let found = imported.manifest(&Target::of(reference))?;
    imported.read(found)?;
    if imported.known.iter().all(Incoming::is_empty) {
        tracing::info!(cache = %imported.name, "nothing of this cache can be used");
    }
    Ok(imported)
}

impl Imported {
    fn manifest(&self, target: &Target) -> Result<FetchedManifest> {
        let what = format!("import the cache {}", self.name);
        self.runtime.block_on(self.repository.manifest(target)).map_err(failed(&what))
    }

    fn blob(&self, blob: &Descriptor, limit: u64) -> Result<Bytes> {
        let what = format!("import the cache {}", self.name);
        self.runtime.block_on(self.repository.small_blob(blob, limit)).map_err(failed(&what))
    }

    /// A cache as a manifest or as an index, an image, or an index of images.
    fn read(&mut self, found: FetchedManifest) -> Result<()> {
        let manifest = match found.document {
            Document::Manifest(manifest) => manifest,
            Document::Index(index) => {
                if let Some(config) = index.manifests.iter().find(|one| one.media_type == CONFIG_TYPE) {
                    return self.read_cache(config, &index.manifests);
                }
                let host = Platform::host();
                let ours = |one: &&Descriptor| one.platform.as_ref().is_some_and(|own| own.matches(&host));
                let Some(ours) = index.manifests.iter().find(ours) else { return Ok(()) };
                match self.manifest(&Target::Digest(ours.digest.clone()))?.document {
                    Document::Manifest(manifest) => manifest,
                    Document::Index(_) => return Ok(()),
                }
            }
        };
        if manifest.config.media_type == CONFIG_TYPE {
            return self.read_cache(&manifest.config, &manifest.layers);
        }
        self.read_image(&manifest)
    }

    fn read_cache(&mut self, config: &Descriptor, blobs: &[Descriptor]) -> Result<()> {
        let bytes = self.blob(config, MAX_CONFIG as u64)?;
        self.known.push(Incoming::read(&bytes, blobs)?);
        Ok(())
    }

    /// An image that carries what has led to it.
    fn read_image(&mut self, manifest: &oci::Manifest) -> Result<()> {
        use base64::Engine as _;
        let bytes = self.blob(&manifest.config, MAX_DOCUMENT)?;
        let image = Image::parse(bytes.to_vec())
            .map_err(|error| Error::because(format!("read the configuration of {}", self.name), error))?;
        let Some(cache) = &image.config().build_cache else { return Ok(()) };
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(cache)
            .map_err(|error| Error::because(format!("read the cache of {}", self.name), error))?;
        if image.diff_ids().len() != manifest.layers.len() {
            return Err(Error::Invalid(format!("{} has not one blob for each layer", self.name)));
        }
        let layers: Vec<IncomingLayer> =
            manifest.layers.iter().cloned().zip(image.diff_ids().iter().cloned()).collect();
        self.known.push(Incoming::inline(&bytes, &layers)?);
        Ok(())
    }

    /// The layers of each output of a piece of work, fetched; `None` when this cache doesn't have all of them.
    ///
    /// # Errors
    /// They can't be had, or are not what they are said to be.
    pub(in crate::build) fn fetch(
        &self,
        store: &Store,
        key: &Digest,
        outputs: &[u32],
        cancel: &Cancel,
    ) -> Result<Option<Fetched>> {
        let find = |known: &Incoming| -> Option<Vec<_>> {
            outputs.iter().map(|output| Some((*output, known.find(key, *output)?))).collect()
        };
        let Some(found) = self.known.iter().find_map(find) else { return Ok(None) };
        let made = found.iter().map(|(_, (_, at))| *at).max().unwrap_or(Timestamp::UNIX_EPOCH);
        let holds =
            found.into_iter().map(|(output, (layers, _))| Ok((output, self.stack(store, &layers, cancel)?)));
        Ok(Some((holds.collect::<Result<_>>()?, made)))
    }

    /// Sees to it that these layers are here, on each other.
    fn stack(&self, store: &Store, layers: &[IncomingLayer], cancel: &Cancel) -> Result<Hold> {
        let what = |error| Error::because(format!("take layers of the cache {}", self.name), error);
        let ids: Vec<Digest> = layers.iter().map(|(_, id)| id.clone()).collect();
        let here = ids.iter().take_while(|id| store.has_layer(id)).count();
        let mut held = store.restack(&ids[..here]).map_err(what)?;
        for (place, (blob, id)) in layers.iter().enumerate().skip(here) {
            cancel.check()?;
            held = match store.has_layer(id) {
                true => store.restack(&ids[..=place]).map_err(what)?,
                false => {
                    let stream = self.runtime.block_on(self.repository.blob_stream(&blob.digest));
                    let stream =
                        stream.map_err(failed(&format!("fetch a layer of the cache {}", self.name)))?;
                    let mut read = BlobRead {
                        stream,
                        rest: Bytes::new(),
                        runtime: self.runtime.clone(),
                        cancel: cancel.clone(),
                    };
                    store.add_layer(&ids[..place], id, &blob.digest, &mut read).map_err(what)?
                }
            };
        }
        Ok(held)
    }
}

/// A blob as bytes that are waited for.
struct BlobRead {
    stream: BlobStream,
    rest: Bytes,
    runtime: tokio::runtime::Handle,
    cancel: Cancel,
}

impl Read for BlobRead {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.rest.is_empty() {
            self.cancel.check().map_err(std::io::Error::other)?;
            match self.runtime.block_on(self.stream.next()).map_err(std::io::Error::other)? {
                Some(bytes) => self.rest = bytes,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.rest.len());
        buffer[..count].copy_from_slice(&self.rest.split_to(count));
        Ok(count)
    }
}
