//! Bytes on their way from one thread to the next, in chunks that are used again.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SendError, Sender, SyncSender, channel, sync_channel};

/// Bytes of a chunk.
pub(crate) const CHUNK: usize = 256 << 10;
/// Chunks between two threads: what a slow reader lets pile up (8 MiB).
const DEPTH: usize = 32;

enum Message {
    Chunk(Vec<u8>, usize),
    End,
}

/// The writing end. Without [`ChunkWriter::end`], the reader sees a failure instead of an end.
pub(crate) struct ChunkWriter {
    sender: SyncSender<Message>,
    used: Receiver<Vec<u8>>,
}

/// The reading end.
pub(crate) struct ChunkReader {
    receiver: Receiver<Message>,
    used: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    filled: usize,
    at: usize,
    ended: bool,
}

/// A new pair.
pub(crate) fn chunks() -> (ChunkWriter, ChunkReader) {
    chunks_of(DEPTH)
}

/// A pair of which there are many at once: less may pile up (2 MiB).
pub(crate) fn few_chunks() -> (ChunkWriter, ChunkReader) {
    chunks_of(DEPTH / 4)
}

fn chunks_of(depth: usize) -> (ChunkWriter, ChunkReader) {
    let (sender, receiver) = sync_channel(depth);
    let (give_back, used) = channel();
    let reader = ChunkReader { receiver, used: give_back, chunk: Vec::new(), filled: 0, at: 0, ended: false };
    (ChunkWriter { sender, used }, reader)
}

impl ChunkWriter {
    /// An empty chunk to fill.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        self.used.try_recv().unwrap_or_else(|_none| vec![0; CHUNK])
    }

    /// Sends the first `filled` bytes of a chunk. Says whether anybody still reads.
    pub(crate) fn send(&self, chunk: Vec<u8>, filled: usize) -> bool {
        filled == 0 || self.sender.send(Message::Chunk(chunk, filled)).is_ok()
    }

    /// Everything was sent.
    pub(crate) fn end(self) {
        if let Err(SendError(_)) = self.sender.send(Message::End) {
            // The reader failed, and tells so itself.
        }
    }

    /// Sends all of `input`. Says whether anybody still reads.
    pub(crate) fn copy(&self, mut input: impl Read) -> io::Result<bool> {
        loop {
            let mut chunk = self.buffer();
            let filled = fill(&mut input, &mut chunk)?;
            if filled == 0 {
                return Ok(true);
            }
            if !self.send(chunk, filled) {
                return Ok(false);
            }
        }
    }
}

/// Reads until `buffer` is full or the input ends.
pub(crate) fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl BufRead for ChunkReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.filled && !self.ended {
            let empty = std::mem::take(&mut self.chunk);
            if !empty.is_empty() {
                // The writer may have finished; then the chunk is of no more use.
                let _ = self.used.send(empty);
            }
            (self.at, self.filled) = (0, 0);
            match self.receiver.recv() {
                Ok(Message::Chunk(chunk, filled)) => (self.chunk, self.filled) = (chunk, filled),
                Ok(Message::End) => self.ended = true,
                Err(_) => return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the sender failed")),
            }
        }
        Ok(&self.chunk[self.at..self.filled])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// Gathers small writes into chunks.
pub(crate) struct ChunkOutput<'a> {
    writer: &'a ChunkWriter,
    chunk: Vec<u8>,
    filled: usize,
}

impl<'a> ChunkOutput<'a> {
    pub(crate) fn new(writer: &'a ChunkWriter) -> Self {
        Self { writer, chunk: writer.buffer(), filled: 0 }
    }

    /// Sends what is gathered. Says whether anybody still reads.
    pub(crate) fn flush_last(&mut self) -> bool {
        let chunk = std::mem::replace(&mut self.chunk, self.writer.buffer());
        self.writer.send(chunk, std::mem::take(&mut self.filled))
    }
}

impl io::Write for ChunkOutput<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.chunk.len() - self.filled);
        self.chunk[self.filled..self.filled + count].copy_from_slice(&bytes[..count]);
        self.filled += count;
        if self.filled == self.chunk.len() && !self.flush_last() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
