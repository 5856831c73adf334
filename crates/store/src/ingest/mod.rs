//! A layer's blob that arrives in any order, and is unpacked as far as it has come.
//!
//! The bytes go to a sparse file and are read back by the one who unpacks: while a pull lasts, they are in the page
//! cache, and the file is removed before the kernel gets round to writing it back. Nothing is synchronised. A
//! process that is killed leaves the file, and the next pull fetches what it lacks. The file is not shortened
//! from its beginning while it is unpacked: inflating can't go on in the middle, and so all of it would have to
//! come again; of a blob larger than memory, the kernel writes back what is old.

mod extents;
mod shared;

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use oci::Descriptor;

use crate::codec::{self, Compression};
use crate::disk::TmpDir;
use crate::error::Context;
use crate::in_flight::Listeners;
use crate::layer::LayerBlob;
use crate::load::{Fresh, few_chunks, unpack_reader};
use crate::pull::{Claimed, keep_pulled};
use crate::store::Inner;
use crate::{Error, ErrorKind, Result};
use extents::Extents;
use shared::{Arriving, Source};

/// Bytes that tell how a blob is compressed.
const START: usize = 8;

/// A layer's blob on its way in. Dropped before [`Ingest::finish`], it keeps what has arrived for the next pull.
#[must_use]
pub struct Ingest {
    claimed: Claimed,
    descriptor: Descriptor,
    arriving: Arc<Arriving>,
    /// Some of it is from an earlier process.
    resumed: bool,
    path: PathBuf,
    unpacking: Option<JoinHandle<Result<Fresh>>>,
}

/// What a blob came to.
pub enum Finished {
    /// The layer is unpacked, and stays for the pull.
    Done,
    /// What an interrupted pull had left was of no use, and all of the blob must be fetched. Only once.
    Again(Box<Ingest>),
}

/// Writes into an [`Ingest`], from any thread.
#[derive(Clone)]
pub struct BlobWriter(Arc<Arriving>);

impl BlobWriter {
    /// Where ranges should be parted: a multiple of this. What lies before an odd beginning in the same page can't
    /// be told from content after the process was killed.
    pub const GRAIN: u64 = 64 << 10;

    /// What is still to be fetched, in order.
    pub fn missing(&self) -> Vec<Range<u64>> {
        self.0.missing()
    }

    /// Takes bytes of the blob.
    ///
    /// # Errors
    /// More bytes than the descriptor says; [`Error::Refused`] when the disk is full or unpacking has failed, and
    /// [`Ingest::finish`] tells why.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.0.write_at(offset, bytes)
    }
}

impl Ingest {
    /// Opens what is there of the blob, and begins to unpack it.
    pub(crate) fn start(claimed: Claimed, descriptor: &Descriptor) -> Result<Self> {
        let path = claimed.inner.layout.ingest(&descriptor.digest);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .at("open", &path)?;
        let size = descriptor.size;
        if file.metadata().at("stat", &path)?.len() > size {
            file.set_len(0).at("empty", &path)?;
        }
        let have = Extents::of(&file, size).at("look for data in", &path)?;
        Self::with(claimed, descriptor, path, file, have)
    }

    fn with(
        claimed: Claimed,
        descriptor: &Descriptor,
        path: PathBuf,
        file: File,
        have: Extents,
    ) -> Result<Self> {
        let resumed = have.total() > 0;
        let (digest, size) = (descriptor.digest.clone(), descriptor.size);
        let listeners: Arc<Listeners> = claimed.listeners.clone();
        let arriving = Arc::new(Arriving::new(file, digest, size, have, listeners));
        let (inner, from) = (claimed.inner.clone(), arriving.clone());
        let work = move || {
            let unpacked = unpack(&inner, &from);
            if let Err(error) = &unpacked {
                from.refuse(error.to_string());
            }
            unpacked
        };
        let thread = Builder::new().name("store-ingest".into()).spawn(work).context("start a thread")?;
        let descriptor = descriptor.clone();
        Ok(Self { claimed, descriptor, arriving, resumed, path, unpacking: Some(thread) })
    }

    /// Bytes of the blob in all.
    pub fn size(&self) -> u64 {
        self.descriptor.size
    }

    /// What an interrupted pull had fetched of it is here already.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// What is still to be fetched, in order.
    pub fn missing(&self) -> Vec<Range<u64>> {
        self.arriving.missing()
    }

    /// A handle that puts bytes in their places, for whoever fetches.
    pub fn writer(&self) -> BlobWriter {
        BlobWriter(self.arriving.clone())
    }

    /// Takes bytes of the blob; see [`BlobWriter::write_at`].
    ///
    /// # Errors
    /// As there.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.arriving.write_at(offset, bytes)
    }

    /// Everything was written: waits for the unpacking, and checks both digests.
    ///
    /// # Errors
    /// [`Error::Layer`] with what is wrong, then nothing of the blob is kept; or the host's failure.
    pub fn finish(mut self) -> Result<Finished> {
        self.arriving.close();
        let done = self.join().and_then(|fresh| self.done(fresh));
        match self.arriving.failure().map_or(done, Err) {
            Ok(()) => {
                self.discard();
                Ok(Finished::Done)
            }
            Err(error) if self.resumed && error.is_about_content() => {
                tracing::warn!(blob = %self.descriptor.digest, %error, "what was left of an interrupted pull is of no use");
                self.again()
            }
            Err(error) => {
                // A blob that lacks bytes is as good as before, but nothing stays that fills the disk.
                if error.is_about_content() || error.kind() == ErrorKind::NoSpace {
                    self.discard();
                }
                Err(error.of_layer(&self.descriptor.digest))
            }
        }
    }

    /// Gives up. What has arrived stays for the next pull, unless `keep` says otherwise.
    pub fn abort(self, keep: bool) {
        if !keep {
            self.discard();
        }
    }

    fn join(&mut self) -> Result<Fresh> {
        let panicked = || Error::Damaged("a thread of the store failed".into());
        let thread = self.unpacking.take().ok_or_else(panicked)?;
        thread.join().unwrap_or_else(|_panic| Err(panicked()))
    }

    /// The tar is the one that the image's config names.
    fn done(&self, fresh: Fresh) -> Result<()> {
        let expected = &self.claimed.diff_id;
        match fresh.diff_id.as_ref() {
            Some(actual) if actual == expected => {}
            actual => {
                return Err(Error::DigestMismatch {
                    what: "wrong diffID".into(),
                    expected: expected.clone(),
                    actual: actual.unwrap_or(&self.descriptor.digest).clone(),
                });
            }
        }
        let blob = LayerBlob {
            digest: self.descriptor.digest.clone(),
            size: self.descriptor.size,
            media_type: self.descriptor.media_type.clone(),
            repositories: vec![self.claimed.repository.clone()],
        };
        keep_pulled(&self.claimed, fresh, blob)
    }

    fn again(mut self) -> Result<Finished> {
        self.discard();
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).clone();
        let file = options.open(&self.path).at("open", &self.path)?;
        let claimed = self.claimed.take();
        let (descriptor, path) = (self.descriptor.clone(), self.path.clone());
        Self::with(claimed, &descriptor, path, file, Extents::default())
            .map(|again| Finished::Again(Box::new(again)))
    }

    fn discard(&self) {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %error, "not removed; prune tries again");
            }
            _ => {}
        }
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        self.arriving.close();
        if self.arriving.failure().is_some() {
            self.discard();
        }
        // It ends at the first byte that is missing; its directory goes with its result. The claim ends after it.
        drop(self.unpacking.take().map(JoinHandle::join));
    }
}

/// The whole way of a blob: read, hashed and inflated by this thread; hashed and unpacked by another.
fn unpack(inner: &Inner, from: &Arriving) -> Result<Fresh> {
    let dir = TmpDir::new(&inner.layout)?;
    let mut source = Source::new(from);
    let (writer, reader) = few_chunks();
    let unpacked = std::thread::scope(|scope| {
        let (limits, umask) = (inner.limits, inner.umask);
        let unpacker = Builder::new()
            .name("store-unpack".into())
            .spawn_scoped(scope, move || unpack_reader(reader, dir, limits, umask))
            .context("start a thread")?;
        let inflated = inflate(&mut source).and_then(|mut decoded| writer.copy(&mut decoded).context(READ));
        match inflated {
            Ok(true) => writer.end(),
            // The other thread has failed, and tells why.
            Ok(false) | Err(_) => drop(writer),
        }
        let unpacked = unpacker.join().unwrap_or_else(|_panic| Err(Error::Damaged("a thread failed".into())));
        inflated.map_err(decoding).and(unpacked)
    });
    if let Err(error) = &unpacked
        && (!error.is_about_content() || matches!(error, Error::Limit { .. }))
    {
        return unpacked;
    }
    // Whatever is wrong with the tar: when the blob isn't the right one, that is the reason.
    let actual = source.digest().context(READ).map_err(decoding)?;
    if actual != from.digest {
        let (what, expected) = ("content".into(), from.digest.clone());
        return Err(Error::DigestMismatch { what, expected, actual });
    }
    unpacked
}

/// What is done, for messages.
const READ: &str = "read the blob";

fn inflate<'a>(source: &'a mut Source<'_>) -> Result<Box<dyn io::Read + Send + 'a>> {
    let compression = codec::detect(source.start(START).context(READ)?);
    match compression {
        Compression::Xz | Compression::Bzip2 => {
            Err(Error::Archive("compressed in a way that no registry's layer is".into()))
        }
        compression => codec::decoder(compression, source),
    }
}

/// A decoder's complaints are about the content.
fn decoding(error: Error) -> Error {
    match error {
        Error::Io { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof => {
            Error::Truncated("layer".into())
        }
        Error::Io { source, .. } if source.kind() == io::ErrorKind::InvalidData => {
            Error::Archive(source.to_string())
        }
        error => error,
    }
}
