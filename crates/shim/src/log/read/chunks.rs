//! A file cut into entries, as far as they are whole.

use std::io;
use std::ops::ControlFlow;

use super::Format;
use super::files::LogFile;
use crate::log::entry::Entry;
use crate::log::{json, local};

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// Longest JSON line accepted: 16 KiB of which each byte may be escaped by six, and attributes.
const MAX_JSON_LINE: usize = 1 << 20;

/// Reads one file's entries.
#[derive(Debug)]
pub(super) struct Chunks {
    file: Option<LogFile>,
    format: Format,
    /// Where `held` begins in the file.
    offset: u64,
    /// Bytes that are no whole entry yet.
    held: Vec<u8>,
    /// The line is too long: it is passed over.
    skipping: bool,
    last: json::LastTime,
}

impl Chunks {
    pub(super) fn new(file: LogFile, format: Format) -> Self {
        Self { offset: file.start, file: Some(file), ..Self::absent(format) }
    }

    /// A log that does not exist yet.
    pub(super) fn absent(format: Format) -> Self {
        let last = json::LastTime::default();
        Self { file: None, format, offset: 0, held: Vec::new(), skipping: false, last }
    }

    /// Device and inode of the file.
    pub(super) fn inode(&self) -> Option<(u64, u64)> {
        self.file.as_ref().map(|file| file.inode)
    }

    /// Up to where whole entries were read.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Give every whole entry up to the present end of the file.
    pub(super) fn read_on(
        &mut self,
        give: &mut dyn FnMut(Entry) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        self.notice_truncation()?;
        loop {
            let Some(file) = &mut self.file else { return Ok(ControlFlow::Continue(())) };
            let filled = self.held.len();
            self.held.resize(filled + CHUNK, 0);
            let read = file.read_at(&mut self.held[filled..], self.offset + filled as u64);
            self.held.truncate(filled + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Ok(ControlFlow::Continue(())),
                Ok(_) => {}
                // a compressed file that was cut short: what could be read was given
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(ControlFlow::Continue(())),
                Err(e) => return Err(e),
            }
            if self.give_whole(give).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    /// A log of one file is emptied when it is full.
    fn notice_truncation(&mut self) -> io::Result<()> {
        let Some(file) = self.file.as_ref().and_then(LogFile::as_plain) else { return Ok(()) };
        if file.metadata()?.len() < self.offset {
            self.offset = 0;
            self.held.clear();
            self.skipping = false;
        }
        Ok(())
    }

    fn give_whole(&mut self, give: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> ControlFlow<()> {
        let mut used = 0;
        let mut flow = ControlFlow::Continue(());
        while flow.is_continue() {
            let rest = &self.held[used..];
            let (entry, length) = match self.format {
                Format::Json => match memchr::memchr(b'\n', rest) {
                    Some(end) => (json::parse(&rest[..end], &mut self.last), end + 1),
                    None => break,
                },
                Format::Local => match local::frame(rest) {
                    Ok(Some((message, length))) => (local::parse(message), length),
                    Ok(None) => break,
                    // there is no way to find the next one
                    Err(local::Damaged) => {
                        self.file = None;
                        break;
                    }
                },
            };
            used += length;
            let skipped = std::mem::take(&mut self.skipping);
            if let Some(entry) = entry.filter(|_| !skipped) {
                flow = give(entry);
            }
        }
        self.consume(used);
        flow
    }

    fn consume(&mut self, used: usize) {
        self.held.drain(..used);
        self.offset += used as u64;
        if self.format == Format::Json && self.held.len() > MAX_JSON_LINE {
            self.offset += self.held.len() as u64;
            self.held.clear();
            self.skipping = true;
        }
    }
}
