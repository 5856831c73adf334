//! A layer's tar as it is, or as one zstd frame, in pieces from another thread.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Builder;

use oci::Digest;
use sha2::{Digest as _, Sha256};

use crate::error::Context;
use crate::layer;
use crate::{Error, Result};

/// Bytes of a piece.
const PIECE: usize = 256 << 10;
/// Pieces that wait.
const AHEAD: usize = 4;

/// What comes next.
pub(super) enum Piece {
    /// Bytes.
    Bytes(Vec<u8>),
    /// Nothing: the digest of the tar.
    End(Digest),
    /// The tar can't be put together.
    Failed(Error),
}

/// Starts to encode the tar of the layer in `dir`, without a level as it is. The thread ends when nobody reads.
pub(super) fn start(dir: PathBuf, level: Option<i32>) -> Result<Receiver<Piece>> {
    let (pieces, receiver) = sync_channel(AHEAD);
    let work = move || {
        let last = match encode(&dir, level, &pieces) {
            Ok(digest) => Piece::End(digest),
            Err(error) => Piece::Failed(error),
        };
        // nobody reads any more: then there is nobody to tell
        let _ = pieces.send(last);
    };
    Builder::new().name("store-encode".into()).spawn(work).context("start a thread")?;
    Ok(receiver)
}

fn encode(dir: &Path, level: Option<i32>, pieces: &SyncSender<Piece>) -> Result<Digest> {
    let mut output = Output { pieces, buffer: Vec::with_capacity(PIECE) };
    let digest = match level {
        None => hashed(dir, &mut output)?,
        Some(level) => {
            let mut frame = zstd::Encoder::new(&mut output, level).context("compress a layer")?;
            let digest = hashed(dir, &mut frame)?;
            frame.finish().context("compress a layer")?;
            digest
        }
    };
    output.flush().context("compress a layer")?;
    Ok(digest)
}

/// Writes the tar, and says its digest.
fn hashed(dir: &Path, output: &mut dyn Write) -> Result<Digest> {
    let mut output = Hashing { output, sum: Sha256::new() };
    layer::assemble_into(dir, &mut output)?;
    Ok(Digest::from_sha256(output.sum.finalize().into()))
}

struct Hashing<'a> {
    output: &'a mut dyn Write,
    sum: Sha256,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.sum.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

struct Output<'a> {
    pieces: &'a SyncSender<Piece>,
    buffer: Vec<u8>,
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        if self.buffer.len() == PIECE {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
        self.pieces.send(Piece::Bytes(piece)).map_err(|_gone| io::ErrorKind::BrokenPipe.into())
    }
}
