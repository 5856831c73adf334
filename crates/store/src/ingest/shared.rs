//! What those who write a blob and the one who unpacks it share: the file, and how far it goes.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use oci::Digest;
use sha2::{Digest as _, Sha256};

use super::extents::Extents;
use crate::in_flight::Listeners;
use crate::{Error, LayerNews, Result};

/// Bytes between two pieces of news.
const NEWS: u64 = 512 << 10;
/// Bytes that are read at once.
const BUFFER: usize = 256 << 10;

/// A blob that arrives.
pub(super) struct Arriving {
    pub(super) file: File,
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) listeners: Arc<Listeners>,
    state: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Default)]
struct Progress {
    have: Extents,
    told: u64,
    /// Nobody writes any more.
    closed: bool,
    /// Nobody reads any more: why, for those who write.
    refused: Option<String>,
    /// The host's failure to keep bytes.
    failed: Option<Error>,
}

impl Arriving {
    pub(super) fn new(
        file: File,
        digest: Digest,
        size: u64,
        have: Extents,
        listeners: Arc<Listeners>,
    ) -> Self {
        let state = Mutex::new(Progress { told: have.total(), have, ..Progress::default() });
        Self { file, digest, size, listeners, state, changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn missing(&self) -> Vec<Range<u64>> {
        self.lock().have.missing(self.size)
    }

    pub(super) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= self.size);
        let end = end.ok_or_else(|| Error::Limit {
            what: format!("content of {}: more bytes than its descriptor says", self.digest),
            limit: self.size,
        })?;
        if let Some(reason) = &self.lock().refused {
            return Err(Error::Refused(reason.clone()));
        }
        let written = self.file.write_all_at(bytes, offset);
        let mut state = self.lock();
        if let Err(error) = written {
            let error = Error::io(format!("keep {}", self.digest), error);
            let told = Error::Refused(error.to_string());
            state.failed.get_or_insert(error);
            return Err(told);
        }
        state.have.insert(offset..end);
        let total = state.have.total();
        let news = total.saturating_sub(state.told) >= NEWS || total == self.size;
        if news {
            state.told = total;
        }
        drop(state);
        self.changed.notify_all();
        if news {
            self.listeners.tell(&LayerNews::Downloaded { current: total, total: self.size });
        }
        Ok(())
    }

    /// What kept bytes from being kept.
    pub(super) fn failure(&self) -> Option<Error> {
        self.lock().failed.take()
    }

    /// Nothing more comes: who waits for a missing byte gets a failure.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Tells writers to stop.
    pub(super) fn refuse(&self, reason: String) {
        self.lock().refused.get_or_insert(reason);
    }

    /// Waits until there is something at `at`; says up to where. `at` itself: the blob's end.
    fn wait(&self, at: u64) -> io::Result<u64> {
        let mut state = self.lock();
        loop {
            let reach = state.have.reach(at);
            if reach > at || at == self.size {
                return Ok(reach);
            }
            if state.closed {
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the blob is not whole"));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Reads a blob from its beginning as it arrives, and hashes it.
pub(super) struct Source<'a> {
    from: &'a Arriving,
    /// Bytes that were read from the file.
    read: u64,
    told: u64,
    sum: Sha256,
    buffer: Vec<u8>,
    at: usize,
    filled: usize,
}

impl<'a> Source<'a> {
    pub(super) fn new(from: &'a Arriving) -> Self {
        Self { from, read: 0, told: 0, sum: Sha256::new(), buffer: vec![0; BUFFER], at: 0, filled: 0 }
    }

    /// The first bytes, at least `count` of them unless the blob is shorter.
    pub(super) fn start(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.filled < count && self.fill()? > 0 {}
        Ok(&self.buffer[..self.filled.min(count)])
    }

    /// Reads what is left; the digest of all.
    pub(super) fn digest(mut self) -> io::Result<Digest> {
        loop {
            (self.at, self.filled) = (0, 0);
            if self.fill()? == 0 {
                return Ok(Digest::from_sha256(self.sum.finalize().into()));
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let reach = self.from.wait(self.read)?;
        let room = &mut self.buffer[self.filled..];
        let want = room.len().min(usize::try_from(reach - self.read).unwrap_or(usize::MAX));
        let count = self.from.file.read_at(&mut room[..want], self.read)?;
        if count == 0 && want > 0 {
            return Err(io::Error::other("the file was cut off"));
        }
        self.sum.update(&room[..count]);
        self.filled += count;
        self.read += count as u64;
        if self.read - self.told >= NEWS || self.read == self.from.size {
            self.told = self.read;
            self.from.listeners.tell(&LayerNews::Extracted { current: self.read, total: self.from.size });
        }
        Ok(count)
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.filled {
            (self.at, self.filled) = (0, 0);
            self.fill()?;
        }
        Ok(&self.buffer[self.at..self.filled])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}
