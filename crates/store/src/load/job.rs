//! One blob of an archive that is (or may be) a layer: unpacked by threads while it is read.

use std::io::{self, BufRead, BufReader, Read};
use std::thread::{Builder, JoinHandle};

use oci::Digest;
use sha2::{Digest as _, Sha256};

use super::chunks::{CHUNK, ChunkReader, ChunkWriter, chunks, fill};
use crate::codec::{self, Compression};
use crate::disk::{TmpDir, Umask};
use crate::error::Context;
use crate::layer::{self, Unpacked};
use crate::limits::Limits;
use crate::store::Inner;
use crate::{Error, Result};

/// A layer unpacked below `tmp/`.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) dir: TmpDir,
    pub(crate) unpacked: Unpacked,
    /// Digest of the tar; when it wasn't compressed, the blob's own digest says it.
    pub(crate) diff_id: Option<Digest>,
}

/// The threads that unpack one blob. The caller sends the blob and then joins.
pub(crate) struct Job {
    writer: ChunkWriter,
    threads: Vec<JoinHandle<Result<()>>>,
    result: JoinHandle<Result<Fresh>>,
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<JoinHandle<Result<T>>> {
    Builder::new().name(name.into()).spawn(work).context("start a thread")
}

impl Job {
    /// Starts unpacking into `dir`.
    pub(crate) fn start(compression: Compression, dir: TmpDir, limits: Limits, umask: Umask) -> Result<Self> {
        let (writer, reader) = chunks();
        if compression == Compression::None {
            let result = spawn("store-unpack", move || unpack(reader, dir, limits, umask, false))?;
            return Ok(Self { writer, threads: Vec::new(), result });
        }
        let (tar_writer, tar_reader) = chunks();
        let inflate = spawn("store-inflate", move || inflate(compression, reader, tar_writer))?;
        let result = spawn("store-unpack", move || unpack(tar_reader, dir, limits, umask, true))?;
        Ok(Self { writer, threads: vec![inflate], result })
    }

    /// A chunk to fill and [`Self::send`].
    pub(crate) fn buffer(&self) -> Vec<u8> {
        self.writer.buffer()
    }

    /// Says whether the blob is still wanted: not so when a thread has failed.
    pub(crate) fn send(&self, chunk: Vec<u8>, filled: usize) -> bool {
        self.writer.send(chunk, filled)
    }

    /// The blob has ended: what became of it.
    pub(crate) fn finish(self) -> Result<Fresh> {
        self.writer.end();
        join(self.threads, self.result)
    }

    /// The blob can't be read to its end. The directory goes with the thread's failure.
    pub(crate) fn abort(self) {
        drop(self.writer);
        // Why is known to the caller.
        let _ = join(self.threads, self.result);
    }
}

/// The first thread's failure is the reason of the others'.
fn join(threads: Vec<JoinHandle<Result<()>>>, result: JoinHandle<Result<Fresh>>) -> Result<Fresh> {
    let panicked = || Error::Archive("a thread of the store failed".into());
    let mut first = Ok(());
    for thread in threads {
        first = first.and(thread.join().unwrap_or_else(|_panic| Err(panicked())));
    }
    let result = result.join().unwrap_or_else(|_panic| Err(panicked()));
    first.and(result)
}

fn inflate(compression: Compression, input: ChunkReader, output: ChunkWriter) -> Result<()> {
    let decoder = codec::decoder(compression, input)?;
    match output.copy(decoder) {
        // The unpacking thread tells why it stopped.
        Ok(false) => Ok(()),
        Ok(true) => {
            output.end();
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Error::Truncated("layer".into())),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Error::Archive(format!("layer: {error}")))
        }
        Err(error) => Err(Error::io("read layer", error)),
    }
}

fn unpack(input: ChunkReader, dir: TmpDir, limits: Limits, umask: Umask, hash: bool) -> Result<Fresh> {
    if !hash {
        let unpacked = layer::unpack(input, dir.path(), limits, umask)?;
        return Ok(Fresh { dir, unpacked, diff_id: None });
    }
    let mut input = Hashing { input, sum: Sha256::new() };
    let unpacked = layer::unpack(&mut input, dir.path(), limits, umask)?;
    let diff_id = Digest::from_sha256(input.sum.finalize().into());
    Ok(Fresh { dir, unpacked, diff_id: Some(diff_id) })
}

/// Unpacks a tar from another thread in this one, and says its digest.
pub(crate) fn unpack_reader(input: ChunkReader, dir: TmpDir, limits: Limits, umask: Umask) -> Result<Fresh> {
    unpack(input, dir, limits, umask, true)
}

/// Unpacks a tar, compressed or not, while it is read, and says its digest. Beside it the sum of what was read, which
/// goes to the tar's end or beyond it.
pub(crate) fn unpack_stream(inner: &Inner, mut input: impl Read) -> Result<(Fresh, Sha256)> {
    let failed = |error| Error::io("read the archive", error);
    let mut first = vec![0; CHUNK];
    let filled = fill(&mut input, &mut first).map_err(failed)?;
    let compression = codec::detect(&first[..filled]);
    let job = Job::start(compression, TmpDir::new(&inner.layout)?, inner.limits, inner.umask)?;
    let mut sum = Sha256::new_with_prefix(&first[..filled]);
    let mut wanted = job.send(first, filled);
    while wanted {
        let mut chunk = job.buffer();
        match fill(&mut input, &mut chunk) {
            Ok(0) => break,
            Ok(filled) => {
                sum.update(&chunk[..filled]);
                wanted = job.send(chunk, filled);
            }
            Err(error) => {
                job.abort();
                return Err(failed(error));
            }
        }
    }
    let mut fresh = job.finish()?;
    fresh.diff_id.get_or_insert_with(|| Digest::from_sha256(sum.clone().finalize().into()));
    Ok((fresh, sum))
}

/// Unpacks a tar from a reader in this thread, and says its digest.
pub(crate) fn unpack_here(input: impl Read, dir: TmpDir, limits: Limits, umask: Umask) -> Result<Fresh> {
    let mut input = Hashing { input: BufReader::with_capacity(CHUNK, input), sum: Sha256::new() };
    let unpacked = layer::unpack(&mut input, dir.path(), limits, umask)?;
    let diff_id = Digest::from_sha256(input.sum.finalize().into());
    Ok(Fresh { dir, unpacked, diff_id: Some(diff_id) })
}

/// As [`unpack_here`] of what `dir` holds already: see [`layer::adopt`].
pub(crate) fn adopt_here(input: impl Read, dir: TmpDir, limits: Limits) -> Result<Fresh> {
    let mut input = Hashing { input: BufReader::with_capacity(CHUNK, input), sum: Sha256::new() };
    let unpacked = layer::adopt(&mut input, dir.path(), limits)?;
    let diff_id = Digest::from_sha256(input.sum.finalize().into());
    Ok(Fresh { dir, unpacked, diff_id: Some(diff_id) })
}

/// Hashes what is consumed.
struct Hashing<R> {
    input: R,
    sum: Sha256,
}

impl<R: BufRead> BufRead for Hashing<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        // Buffered already: this shows the same bytes again and can't fail.
        if let Ok(bytes) = self.input.fill_buf() {
            self.sum.update(&bytes[..count]);
        }
        self.input.consume(count);
    }
}

impl<R: BufRead> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.input.fill_buf()?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}
