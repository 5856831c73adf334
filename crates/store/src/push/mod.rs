//! Pushing: what of an image there is to send, and layers as compressed streams. Where it goes is not known here.
//!
//! The store keeps no compressed bytes. Of each layer it knows the blobs that were pulled, and those that it has once
//! made itself: a registry that has one of them needs no bytes. Only what no registry has is compressed, always to
//! the same bytes.

mod deflate;
mod encode;
mod form;
mod kept;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use flate2::Crc;
use oci::{Descriptor, Digest, Image, Reference, media_type};
use sha2::{Digest as _, Sha256};

use crate::image::KeptManifest;
use crate::layer::LayerBlob;
use crate::load::{Kept as KeptImage, NewImage, Publisher, commit_images};
use crate::pull::RawDocument;
use crate::state::Lease;
use crate::store::Inner;
use crate::{Error, Result, Store};
use deflate::Step;
pub use form::{Form, Kind};
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

    /// The same of an image that is not here; its layers are, on each other, and somebody holds them.
    ///
    /// # Errors
    /// [`Error::Damaged`] when they are not.
    pub fn export_plan(&self, image: Image) -> Result<PushPlan> {
        self.plan(Arc::new(image), Vec::new())
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
            None => From::Deflate(deflate::start(dir, threads, deflate::LEVEL)?),
        };
        Ok(self.compressing(layer, from))
    }

    /// A layer as a blob of this form, the same bytes each time.
    ///
    /// # Errors
    /// A thread can't be started.
    pub fn encode(&self, position: usize, form: Form) -> Result<Compressing> {
        let (Some(layer), Some(key)) = (self.layers.get(position), self.keys.get(position)) else {
            return Err(Error::Damaged(format!("the image has no layer {position}")));
        };
        let dir = self.inner.layout.layer(key);
        let from = match form {
            Form::Gzip(level) => {
                let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
                From::Deflate(deflate::start(dir, threads, level.unwrap_or(deflate::LEVEL))?)
            }
            Form::Plain => From::Piped(encode::start(dir, None)?, media_type::OCI_LAYER),
            Form::Zstd(level) => {
                let level = level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
                From::Piped(encode::start(dir, Some(level))?, media_type::OCI_LAYER_ZSTD)
            }
        };
        Ok(self.compressing(layer, from))
    }

    fn compressing(&self, layer: &PushLayer, from: From) -> Compressing {
        Compressing {
            inner: self.inner.clone(),
            diff_id: layer.diff_id.clone(),
            tar_size: layer.tar_size,
            from,
            out: Output::default(),
            state: State::Start,
            chunk: Vec::new(),
            at: 0,
        }
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
                    attachments: Vec::new(),
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
    /// In pieces, of this media type.
    Piped(Receiver<encode::Piece>, &'static str),
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
            (_, From::Piped(pieces, _)) => match pieces.recv().map_err(|_gone| gone())? {
                encode::Piece::Bytes(bytes) => bytes,
                encode::Piece::End(digest) => {
                    self.ended(&digest)?;
                    return Ok(None);
                }
                encode::Piece::Failed(error) => return Err(error),
            },
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
            Step::End(digest) => {
                self.ended(&digest)?;
                Ok(deflate::trailer(&self.out.crc))
            }
            Step::Failed(error) => Err(error),
        }
    }

    /// The tar has come out whole: is it still what it was?
    fn ended(&mut self, digest: &Digest) -> Result<()> {
        if *digest != self.diff_id {
            let what = format!("layer {} is not what it was: its tar has digest {digest}", self.diff_id);
            return Err(Error::Damaged(what));
        }
        self.state = State::Ended;
        Ok(())
    }

    /// Bytes of the tar that are in what has come out; of a kept blob, in proportion.
    pub fn tar_bytes(&self) -> u64 {
        match &self.from {
            From::Deflate(_) => self.out.tar_bytes,
            // how much of the tar that is, its encoder does not say
            From::Piped(..) => self.out.bytes.min(self.tar_size),
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
        let media_type = match self.from {
            From::Kept(kept) => return Ok(kept.blob),
            From::Deflate(_) => media_type::DOCKER_LAYER_GZIP,
            From::Piped(_, media_type) => media_type,
        };
        let blob = LayerBlob {
            digest: Digest::from_sha256(self.out.sum.finalize().into()),
            size: self.out.bytes,
            media_type: media_type.into(),
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
