//! A layer's tar as one gzip member, deflated by several threads.
//!
//! The tar is cut into blocks of a fixed size. Each is deflated by itself and ends at a byte's border (a sync flush,
//! RFC 1951, section 3.2.4 and zlib's manual), so that the pieces can be put one after the other; the checksums are
//! combined. The bytes don't depend on how many threads there are, nor on which is faster.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use oci::Digest;
use sha2::{Digest as _, Sha256};

use crate::error::Context;
use crate::layer;
use crate::{Error, Result};

/// Bytes of the tar in one block: what independence costs at its borders is lost in it.
pub(super) const BLOCK: usize = 1 << 20;
/// Measured on the bench's layers: see the table in `docs`.
pub(super) const LEVEL: u32 = 2;
/// Blocks on their way for each thread: one in work, one that waits.
const AHEAD: usize = 2;

/// Method 8, no name, no time; "unknown" as the system (RFC 1952).
pub(super) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// An empty last block.
const LAST: [u8; 2] = [3, 0];

/// A block that was deflated.
pub(super) struct Packed {
    pub(super) bytes: Vec<u8>,
    pub(super) crc: Crc,
}

/// What comes next.
pub(super) enum Step {
    /// A block that is being deflated.
    Block(Receiver<io::Result<Packed>>),
    /// Nothing: the digest of the tar.
    End(Digest),
    /// The tar can't be put together.
    Failed(Error),
}

type Job = (Vec<u8>, SyncSender<io::Result<Packed>>);

/// The end of a member.
pub(super) fn trailer(crc: &Crc) -> Vec<u8> {
    [&LAST[..], &crc.sum().to_le_bytes(), &crc.amount().to_le_bytes()].concat()
}

/// Starts to deflate the tar of the layer in `dir`. The threads end when nobody reads any more.
pub(super) fn start(dir: PathBuf, threads: usize, level: u32) -> Result<Receiver<Step>> {
    let (jobs, work) = sync_channel::<Job>(threads);
    let (order, steps) = sync_channel(threads * AHEAD);
    let work = Arc::new(Mutex::new(work));
    for _ in 0..threads {
        let work = work.clone();
        Builder::new()
            .name("store-deflate".into())
            .spawn(move || deflate_all(&work, level))
            .context("start a thread")?;
    }
    let read = move || {
        let mut cutter = Cutter { jobs, order, block: Vec::with_capacity(BLOCK), sum: Sha256::new() };
        let last =
            match layer::assemble_into(&dir, &mut cutter).and_then(|()| cutter.cut().context("deflate")) {
                Ok(()) => Step::End(Digest::from_sha256(cutter.sum.finalize().into())),
                Err(error) => Step::Failed(error),
            };
        // Nobody reads any more: then there is nobody to tell.
        let _ = cutter.order.send(last);
    };
    Builder::new().name("store-assemble".into()).spawn(read).context("start a thread")?;
    Ok(steps)
}

/// Cuts a tar into blocks and hands them out.
struct Cutter {
    jobs: SyncSender<Job>,
    order: SyncSender<Step>,
    block: Vec<u8>,
    sum: Sha256,
}

impl Cutter {
    fn cut(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        self.sum.update(&block);
        let (done, result) = sync_channel(1);
        let gone = |()| io::Error::from(io::ErrorKind::BrokenPipe);
        self.order.send(Step::Block(result)).map_err(|_gone| gone(()))?;
        self.jobs.send((block, done)).map_err(|_gone| gone(()))
    }
}

impl Write for Cutter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        if self.block.len() == BLOCK {
            self.cut()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn deflate_all(work: &Mutex<Receiver<Job>>, level: u32) {
    let mut deflater = Compress::new(Compression::new(level), false);
    loop {
        let job = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((block, done)) = job else { return };
        // The reader may have gone.
        let _ = done.send(deflate(&mut deflater, &block));
    }
}

fn deflate(deflater: &mut Compress, block: &[u8]) -> io::Result<Packed> {
    deflater.reset();
    let mut bytes = Vec::with_capacity(block.len() / 2 + 64);
    loop {
        let at = usize::try_from(deflater.total_in()).map_err(io::Error::other)?;
        let status = deflater.compress_vec(&block[at..], &mut bytes, FlushCompress::Sync)?;
        let done = deflater.total_in() == block.len() as u64 && bytes.len() < bytes.capacity();
        match status {
            Status::Ok | Status::BufError if done => break,
            Status::StreamEnd => return Err(io::Error::other("deflate has ended early")),
            Status::Ok | Status::BufError => bytes.reserve(block.len() / 4 + 64),
        }
    }
    let mut crc = Crc::new();
    crc.update(block);
    Ok(Packed { bytes, crc })
}
