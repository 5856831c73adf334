//! A tar as a stream of entries, with every byte that is not a stored file's content handed to a tap.

use std::io::{self, BufRead};

use tar::{EntryType, Header};

use crate::entry::{Entry, Extensions};
use crate::limits::Limits;
use crate::pax::Pax;
use crate::sparse::{self, PaxSparse};
use crate::{BLOCK, padding};
use crate::{Error, Result};

/// Gets the bytes that the reader doesn't hand out: headers, padding, skipped payloads, the end.
pub trait Tap {
    /// The next such bytes.
    ///
    /// # Errors
    /// Why they can't be kept.
    fn raw(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// Nobody listens.
#[derive(Debug)]
pub struct NoTap;

impl Tap for NoTap {
    fn raw(&mut self, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

/// Reads entries one by one.
#[derive(Debug)]
pub struct TarStream<R, T> {
    input: R,
    tap: T,
    limits: Limits,
    /// What the bytes are, for messages.
    what: String,
    global: Pax,
    /// Payload of the current entry that was not read yet.
    remaining: u64,
    /// Padding after it.
    padding: u64,
    entries: u64,
    read: u64,
}

impl<R: BufRead, T: Tap> TarStream<R, T> {
    /// Begins; `what` names the bytes in messages.
    pub fn new(input: R, tap: T, limits: Limits, what: &str) -> Self {
        Self {
            input,
            tap,
            limits,
            what: what.into(),
            global: Pax::default(),
            remaining: 0,
            padding: 0,
            entries: 0,
            read: 0,
        }
    }

    /// Who gets the other bytes.
    pub fn tap(&mut self) -> &mut T {
        &mut self.tap
    }

    /// Bytes of the tar read so far.
    pub fn bytes_read(&self) -> u64 {
        self.read
    }

    /// The next entry; what was not read of the last one's payload is skipped.
    ///
    /// # Errors
    /// What is wrong with the tar; a limit; the input's failure.
    #[expect(clippy::should_implement_trait, reason = "it fails, and lends what it reads")]
    pub fn next(&mut self) -> Result<Option<Entry>> {
        let mut extensions = Extensions::default();
        let mut extended = false;
        loop {
            self.finish_entry()?;
            let Some(block) = self.header_block()? else {
                if extended {
                    return Err(Error::Truncated(self.what.clone()));
                }
                self.finish()?;
                return Ok(None);
            };
            let header = Header::from_byte_slice(&block);
            check_sum(header, &self.what)?;
            self.count_entry()?;
            let kind = header.entry_type();
            match kind {
                EntryType::XHeader => {
                    let payload = self.extension(header)?;
                    extensions.pax.extend(&payload)?;
                }
                EntryType::XGlobalHeader => {
                    let payload = self.extension(header)?;
                    self.global.extend(&payload)?;
                    continue;
                }
                EntryType::GNULongName => extensions.long_name = Some(without_nul(self.extension(header)?)),
                EntryType::GNULongLink => extensions.long_link = Some(without_nul(self.extension(header)?)),
                _ => return self.entry(header, extensions).map(Some),
            }
            extended = true;
        }
    }

    fn entry(&mut self, header: &Header, mut extensions: Extensions) -> Result<Entry> {
        extensions.pax = extensions.pax.over(&self.global);
        let in_pax = sparse::pax(&extensions.pax, self.limits.sparse_pieces)?;
        let mut entry = Entry::new(header, extensions)?;
        let limit = self.limits.sparse_pieces;
        if header.entry_type() == EntryType::GNUSparse {
            let (size, map) = sparse::old_gnu(header, limit, || self.block_of("a sparse map"))?;
            (entry.size, entry.sparse) = (size, Some(map));
        }
        if entry.payload > self.limits.bytes {
            return Err(Error::Limit { what: format!("size of {}", self.what), limit: self.limits.bytes });
        }
        self.remaining = entry.payload;
        self.padding = padding(entry.payload);
        match in_pax {
            PaxSparse::No => {}
            PaxSparse::Map(size, map) => (entry.size, entry.sparse) = (size, Some(map)),
            PaxSparse::InPayload(size) => {
                let (map, taken) = sparse::in_payload(limit, || self.payload_block())?;
                entry.payload -= taken;
                (entry.size, entry.sparse) = (size, Some(map));
            }
        }
        if let Some(map) = &entry.sparse {
            sparse::check(map, entry.size, entry.payload)?;
        }
        Ok(entry)
    }

    /// Bytes of the payload that are at hand; empty at its end.
    ///
    /// # Errors
    /// The input's failure.
    pub fn payload(&mut self) -> Result<&[u8]> {
        if self.remaining == 0 {
            return Ok(&[]);
        }
        let remaining = self.remaining;
        let bytes = match self.input.fill_buf() {
            Ok([]) => return Err(Error::Truncated(self.what.clone())),
            Ok(bytes) => bytes,
            Err(error) => return Err(read_error(&self.what, error)),
        };
        Ok(&bytes[..bytes.len().min(usize::try_from(remaining).unwrap_or(usize::MAX))])
    }

    /// Takes `count` bytes that [`Self::payload`] showed.
    pub fn consume(&mut self, count: usize) {
        self.input.consume(count);
        self.remaining -= count as u64;
        self.read += count as u64;
    }

    /// Fills `buffer` with payload as far as there is any, without a detour through the input's own buffer.
    ///
    /// # Errors
    /// The input's failure.
    pub fn read_payload(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let want = buffer.len().min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        self.fill(&mut buffer[..want])?;
        self.remaining -= want as u64;
        Ok(want)
    }

    fn payload_block(&mut self) -> Result<[u8; BLOCK]> {
        if self.remaining < BLOCK as u64 {
            return Err(Error::Archive("malformed sparse map".into()));
        }
        self.remaining -= BLOCK as u64;
        self.block_of("a sparse map")
    }

    fn finish_entry(&mut self) -> Result<()> {
        while self.remaining > 0 {
            let bytes = self.payload()?.len();
            let shown = self.input.fill_buf().map_err(|error| read_error(&self.what, error))?;
            keep(&mut self.tap, &shown[..bytes])?;
            self.consume(bytes);
        }
        let mut block = [0; BLOCK];
        let pad = &mut block[..std::mem::take(&mut self.padding) as usize];
        // Docker's classic client ends a context to which it adds the Dockerfile right after the last payload
        if pad.is_empty() || self.input.fill_buf().map_err(|error| read_error(&self.what, error))?.is_empty()
        {
            return Ok(());
        }
        self.fill(pad)?;
        keep(&mut self.tap, pad)
    }

    /// The next header; none at the end, which is two blocks of zeros or the end of the input.
    fn header_block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        if self.input.fill_buf().map_err(|error| read_error(&self.what, error))?.is_empty() {
            return Ok(None);
        }
        let block = self.block_of("a header")?;
        if block != [0; BLOCK] {
            return Ok(Some(block));
        }
        if self.input.fill_buf().map_err(|error| read_error(&self.what, error))?.is_empty() {
            return Ok(None);
        }
        if self.block_of("the end")? != [0; BLOCK] {
            return Err(Error::Archive(format!("{}: a block of zeros in the middle", self.what)));
        }
        Ok(None)
    }

    /// Whatever follows the end belongs to the tar's digest.
    fn finish(&mut self) -> Result<()> {
        loop {
            let bytes = self.input.fill_buf().map_err(|error| read_error(&self.what, error))?;
            if bytes.is_empty() {
                return Ok(());
            }
            keep(&mut self.tap, bytes)?;
            let count = bytes.len();
            self.input.consume(count);
            self.read += count as u64;
        }
    }

    fn extension(&mut self, header: &Header) -> Result<Vec<u8>> {
        let size = header
            .entry_size()
            .map_err(|_error| Error::Archive("malformed size of an extended header".into()))?;
        if size > self.limits.extension_bytes {
            let limit = self.limits.extension_bytes;
            return Err(Error::Limit { what: "size of an extended header".into(), limit });
        }
        let mut payload = vec![0; size as usize];
        self.fill(&mut payload)?;
        keep(&mut self.tap, &payload)?;
        self.padding = padding(size);
        Ok(payload)
    }

    fn count_entry(&mut self) -> Result<()> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Error::Limit {
                what: format!("number of entries of {}", self.what),
                limit: self.limits.entries,
            });
        }
        Ok(())
    }

    fn block_of(&mut self, _part: &str) -> Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        self.fill(&mut block)?;
        keep(&mut self.tap, &block)?;
        Ok(block)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.read += buffer.len() as u64;
        match self.input.read_exact(buffer) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Error::Truncated(self.what.clone()))
            }
            Err(error) => Err(read_error(&self.what, error)),
        }
    }
}

fn keep(tap: &mut impl Tap, bytes: &[u8]) -> Result<()> {
    tap.raw(bytes).map_err(|error| Error::io("keep the bytes of the archive", error))
}

/// A failure of the input: a decoder says by its kind that the bytes are wrong.
fn read_error(what: &str, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::Truncated(what.into()),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            Error::Archive(format!("{what}: {error}"))
        }
        _ => Error::io(format!("read {what}"), error),
    }
}

/// Could a tar begin with these bytes? (At least a block.) An empty tar begins with zeros.
pub fn is_tar_start(bytes: &[u8]) -> bool {
    bytes.get(..BLOCK).is_some_and(|block| {
        let header = Header::from_byte_slice(block);
        block.iter().all(|&b| b == 0) || check_sum(header, "").is_ok()
    })
}

/// The header's check sum, over bytes as unsigned or (some old programs) signed numbers.
fn check_sum(header: &Header, what: &str) -> Result<()> {
    let bytes = header.as_bytes();
    let field = 148..156;
    let mut unsigned = 0_u32;
    let mut signed = 0_i32;
    for (at, &byte) in bytes.iter().enumerate() {
        let byte = if field.contains(&at) { b' ' } else { byte };
        unsigned += u32::from(byte);
        signed += i32::from(byte.cast_signed());
    }
    match header.cksum() {
        Ok(sum) if sum == unsigned || i32::try_from(sum) == Ok(signed) => Ok(()),
        _ => Err(Error::Archive(format!("{what}: not a tar header (wrong check sum)"))),
    }
}

/// GNU's long names end with a NUL byte.
fn without_nul(mut name: Vec<u8>) -> Vec<u8> {
    if let Some(end) = name.iter().position(|&b| b == 0) {
        name.truncate(end);
    }
    name
}
