//! Pushing: what of an image there is to send, and layers as compressed streams. Where it goes is not known here.
//!
//! The store keeps no compressed bytes. Of each layer it knows the blobs that were pulled, and those that it has once
//! made itself: a registry that has one of them needs no bytes. Only what no registry has is compressed, always to
//! the same bytes.

mod deflate;
mod kept;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use flate2::Crc;
use oci::{Descriptor, Digest, Image, Manifest, Reference, media_type};
use sha2::{Digest as _, Sha256};

use crate::image::KeptManifest;
use crate::layer::LayerBlob;
use crate::load::{Kept as KeptImage, NewImage, Publisher, commit_images};
use crate::pull::RawDocument;
use crate::state::Lease;
use crate::store::Inner;
use crate::{Error, Result, Store};
use deflate::Step;
use kept::Kept;

/// An image to be pushed. Its layers stay as long as this lives.
#[derive(Debug)]
pub struct PushPlan {
    inner: Arc<Inner>,
    image: Arc<Image>,
    /// Its layers, lowest first.
    pub layers: Vec<PushLayer>,
    /// The manifests that it was pulled or pushed with, newest first. Pushed as they are, they keep the image's digest.
    pub manifests: Vec<KeptManifest>,
    keys: Vec<String>,
    _lease: Lease,
}

/// A layer to be pushed.
#[derive(Clone, Debug)]
pub struct PushLayer {
    /// Digest of its tar.
    pub diff_id: Digest,
    /// Bytes of its tar.
    pub tar_size: u64,
    /// Blobs that are known to be this layer, and the repositories that had them; newest first.
    pub blobs: Vec<LayerBlob>,
    /// The one of them whose bytes are kept here: [`PushPlan::compress`] gives them.
    pub kept: Option<Digest>,
}

impl Store {
    /// What there is to push of an image.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn push_plan(&self, id: &Digest) -> Result<PushPlan> {
        let state = self.inner().lock();
        let entry = state.images.get(id).ok_or_else(|| Error::NoSuchImage(id.to_string()))?;
        let (image, mut manifests) = (entry.image.clone(), entry.record.manifests.clone());
        drop(state);
        manifests.reverse();
        self.plan(image, manifests)
    }

    /// The same of layers that are held.
    pub(crate) fn plan(&self, image: Arc<Image>, manifests: Vec<KeptManifest>) -> Result<PushPlan> {
        let inner = self.inner();
        let mut lease = Lease::new(inner);
        let mut state = inner.lock();
        let keys = state.chain_of(&image).unwrap_or_default().to_vec();
        let layer = |key: &String| {
            let layer = state.layers.get(key)?;
            let mut blobs = layer.blobs.clone();
            blobs.reverse();
            let kept =
                Kept::find(&inner.layout.layer(key), &blobs).map(|kept| kept.map(|kept| kept.blob.digest));
            let record = &layer.record;
            let (diff_id, tar_size) = (record.diff_id.clone(), record.tar_size);
            Some(kept.map(|kept| PushLayer { diff_id, tar_size, blobs, kept }))
        };
        let layers: Option<Result<Vec<PushLayer>>> = keys.iter().map(layer).collect();
        let layers = layers.transpose()?;
        let layers = layers.filter(|layers| layers.len() == image.diff_ids().len());
        let layers = layers.ok_or_else(|| Error::Damaged(format!("layers of {} are missing", image.id())))?;
        keys.iter().for_each(|key| lease.take(&mut state, key));
        drop(state);
        Ok(PushPlan { inner: inner.clone(), image, layers, manifests, keys, _lease: lease })
    }
}

impl PushPlan {
    /// The image; its config is a blob to be pushed.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// A layer as a blob: the one that is kept, else gzip, the same bytes each time.
    ///
    /// # Errors
    /// A thread can't be started.
    pub fn compress(&self, position: usize) -> Result<Compressing> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.compress_with(position, threads)
    }

    fn compress_with(&self, position: usize, threads: usize) -> Result<Compressing> {
        let (Some(layer), Some(key)) = (self.layers.get(position), self.keys.get(position)) else {
            return Err(Error::Damaged(format!("the image has no layer {position}")));
        };
        let dir = self.inner.layout.layer(key);
        let from = match Kept::find(&dir, &layer.blobs)? {
            Some(kept) => From::Kept(kept),
            None => From::Deflate(deflate::start(dir, threads)?),
        };
        Ok(Compressing {
            inner: self.inner.clone(),
            diff_id: layer.diff_id.clone(),
            tar_size: layer.tar_size,
            from,
            out: Output::default(),
            state: State::Start,
            chunk: Vec::new(),
            at: 0,
        })
    }

    /// A manifest for these blobs, one of each layer: Docker's, or OCI's when a blob is of a kind that Docker's has
    /// no name for. The same blobs give the same bytes.
    ///
    /// # Errors
    /// Not one blob for each layer.
    pub fn manifest(&self, blobs: &[LayerBlob]) -> Result<RawDocument> {
        if blobs.len() != self.layers.len() {
            return Err(Error::Damaged(format!("{} blobs for {} layers", blobs.len(), self.layers.len())));
        }
        let oci = blobs.iter().any(|blob| compression(&blob.media_type) == Kind::Zstd);
        let (kind, config) = match oci {
            true => (media_type::OCI_MANIFEST, media_type::OCI_CONFIG),
            false => (media_type::DOCKER_MANIFEST, media_type::DOCKER_CONFIG),
        };
        let layer = |blob: &LayerBlob| {
            let name = compression(&blob.media_type).name(oci);
            Descriptor::new(name, blob.digest.clone(), blob.size)
        };
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(kind.into()),
            config: Descriptor::new(config, self.image.id().clone(), self.image.raw().len() as u64),
            layers: blobs.iter().map(layer).collect(),
            annotations: BTreeMap::new(),
        };
        let bytes = serde_json::to_vec(&manifest).map_err(|error| Error::Document(error.to_string()))?;
        Ok(RawDocument { media_type: kind.into(), bytes })
    }

    /// Notes that a manifest of this image, new or one of [`PushPlan::manifests`], was pushed to the repository of
    /// `name`: durable when this returns. The image gets the repository's digest as a name. `blobs` are the layers'
    /// blobs in it; those that were never seen to be the layer are not noted. Returns the digest.
    ///
    /// # Errors
    /// [`Error::NoSpace`], or the host's failure.
    pub fn pushed(&self, name: &Reference, pushed: Pushed, blobs: &[LayerBlob]) -> Result<Digest> {
        let repository = name.name();
        let (mut manifest, documents) = match pushed {
            Pushed::New(raw) => {
                let digest = Digest::sha256(&raw.bytes);
                let descriptor = Descriptor::new(&raw.media_type, digest.clone(), raw.bytes.len() as u64);
                let kept = KeptManifest {
                    manifest: descriptor,
                    indexes: Vec::new(),
                    companions: Vec::new(),
                    repositories: Vec::new(),
                };
                (kept, vec![(digest, raw.bytes)])
            }
            Pushed::Kept(kept) => {
                let store = Store::of(self.inner.clone());
                let read = |digest: &Digest| Ok((digest.clone(), store.document(digest)?));
                let documents = kept.documents().map(read).collect::<Result<_>>()?;
                (*kept, documents)
            }
        };
        manifest.repositories = vec![repository.clone()];
        let top = manifest.top().digest.clone();
        let seen =
            blobs.iter().map(|blob| LayerBlob { repositories: vec![repository.clone()], ..blob.clone() });
        let blobs = self.image.diff_ids().iter().cloned().zip(seen).collect();
        let image = NewImage {
            image: self.image.clone(),
            names: vec![name.clone().with_digest(top.clone())],
            keys: self.keys.clone(),
            kept: Some(KeptImage { manifest, documents, blobs }),
        };
        commit_images(&mut Publisher::new(&self.inner), &[image], &|_| ())?;
        Ok(top)
    }
}

/// What was pushed.
#[derive(Clone, Debug)]
pub enum Pushed {
    /// A manifest of [`PushPlan::manifest`].
    New(RawDocument),
    /// One that was kept, with the index that it was pushed with.
    Kept(Box<KeptManifest>),
}

/// How a layer's blob is compressed, as its media type says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Gzip,
    Zstd,
}

impl Kind {
    fn name(self, oci: bool) -> &'static str {
        match (self, oci) {
            (Self::None, true) => media_type::OCI_LAYER,
            (Self::None, false) => media_type::DOCKER_LAYER,
            (Self::Gzip, true) => media_type::OCI_LAYER_GZIP,
            (Self::Gzip, false) => media_type::DOCKER_LAYER_GZIP,
            (Self::Zstd, _) => media_type::OCI_LAYER_ZSTD,
        }
    }
}

fn compression(media_type: &str) -> Kind {
    if media_type.ends_with("zstd") {
        Kind::Zstd
    } else if media_type.ends_with("gzip") {
        Kind::Gzip
    } else {
        Kind::None
    }
}

/// A layer on its way out.
pub struct Compressing {
    inner: Arc<Inner>,
    diff_id: Digest,
    tar_size: u64,
    from: From,
    out: Output,
    state: State,
    /// For [`Read`]: what was not read yet.
    chunk: Vec<u8>,
    at: usize,
}

/// Where the bytes come from.
enum From {
    Deflate(Receiver<Step>),
    Kept(Kept),
}

/// What has come out.
#[derive(Default)]
struct Output {
    crc: Crc,
    sum: Sha256,
    bytes: u64,
    tar_bytes: u64,
}

#[derive(PartialEq, Eq)]
enum State {
    Start,
    Blocks,
    Ended,
}

fn gone() -> Error {
    Error::Damaged("a thread of the store failed".into())
}

impl Compressing {
    /// The next bytes of the blob; none after the last. Blocks.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the layer is not what it was: the blob must not be used.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let chunk = match (&self.state, &mut self.from) {
            (State::Ended, _) => return Ok(None),
            (_, From::Kept(kept)) => kept.next()?,
            (State::Start, From::Deflate(_)) => {
                self.state = State::Blocks;
                deflate::HEADER.to_vec()
            }
            (State::Blocks, From::Deflate(steps)) => {
                let step = steps.recv().map_err(|_gone| gone())?;
                self.block(step)?
            }
        };
        if chunk.is_empty() {
            return self.kept_end().map(|()| None);
        }
        self.out.sum.update(&chunk);
        self.out.bytes += chunk.len() as u64;
        Ok(Some(chunk))
    }

    /// A kept blob has ended: is it still what it was?
    fn kept_end(&mut self) -> Result<()> {
        let From::Kept(kept) = &self.from else { return Ok(()) };
        let actual = Digest::from_sha256(self.out.sum.clone().finalize().into());
        if actual != kept.blob.digest {
            let what = format!("kept blob {} is not what it was: its digest is {actual}", kept.blob.digest);
            return Err(Error::Damaged(what));
        }
        self.state = State::Ended;
        Ok(())
    }

    fn block(&mut self, step: Step) -> Result<Vec<u8>> {
        match step {
            Step::Block(result) => {
                let failed = |error| Error::io("deflate", error);
                let packed = result.recv().map_err(|_gone| gone())?.map_err(failed)?;
                self.out.tar_bytes += u64::from(packed.crc.amount());
                self.out.crc.combine(&packed.crc);
                Ok(packed.bytes)
            }
            Step::End(digest) if digest == self.diff_id => {
                self.state = State::Ended;
                Ok(deflate::trailer(&self.out.crc))
            }
            Step::End(digest) => {
                let what = format!("layer {} is not what it was: its tar has digest {digest}", self.diff_id);
                Err(Error::Damaged(what))
            }
            Step::Failed(error) => Err(error),
        }
    }

    /// Bytes of the tar that are in what has come out; of a kept blob, in proportion.
    pub fn tar_bytes(&self) -> u64 {
        match &self.from {
            From::Deflate(_) => self.out.tar_bytes,
            From::Kept(kept) => {
                let part = u128::from(self.tar_size) * u128::from(self.out.bytes);
                u64::try_from(part / u128::from(kept.blob.size.max(1))).unwrap_or(self.tar_size)
            }
        }
    }

    /// Everything has come out: what it was. Known from now on, for good, so that it need not be made again where it
    /// is already.
    ///
    /// # Errors
    /// Not everything has come out; the host's failure.
    pub fn finish(self) -> Result<LayerBlob> {
        if self.state != State::Ended {
            return Err(Error::Damaged(format!("layer {} was not compressed to its end", self.diff_id)));
        }
        if let From::Kept(kept) = self.from {
            return Ok(kept.blob);
        }
        let blob = LayerBlob {
            digest: Digest::from_sha256(self.out.sum.finalize().into()),
            size: self.out.bytes,
            media_type: media_type::DOCKER_LAYER_GZIP.into(),
            repositories: Vec::new(),
        };
        let mut state = self.inner.lock();
        state.note_blob(&self.inner, &self.diff_id, &blob, false)?;
        Ok(blob)
    }
}

impl Read for Compressing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() {
            self.at = 0;
            match self.next_chunk().map_err(|error| io::Error::other(error.to_string()))? {
                Some(chunk) => self.chunk = chunk,
                None => {
                    self.chunk.clear();
                    return Ok(0);
                }
            }
        }
        let count = buffer.len().min(self.chunk.len() - self.at);
        buffer[..count].copy_from_slice(&self.chunk[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
