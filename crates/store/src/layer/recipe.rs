//! The recipe of a layer: every byte of its tar, with the contents of stored files replaced by their places.
//!
//! A stream of records, compressed with zstd. Numbers are LEB128. A record is a tag and its fields:
//! `0 length bytes` the tar's own bytes; `1 path generation length` a file's content from its beginning;
//! `2 path generation count (offset length)*` pieces of a sparse file; `3` the end. A path is `length bytes`.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use crate::error::Context;
use crate::{Error, Result};
use tarball::{MAX_PATH, Tap};

/// Bytes that are gathered before they become a record.
const GATHER: usize = 64 << 10;
/// Fast, and the headers are mostly zeros.
const LEVEL: i32 = 1;

/// What is done, for messages.
const WRITE: &str = "write the tar recipe";

const RAW: u8 = 0;
const CONTENT: u8 = 1;
const SPARSE: u8 = 2;
const END: u8 = 3;

/// Writes a recipe while a tar is read.
pub(super) struct RecipeWriter {
    output: zstd::Encoder<'static, BufWriter<File>>,
    pending: Vec<u8>,
}

impl RecipeWriter {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::options().write(true).create_new(true).open(path).at("create", path)?;
        let output = zstd::Encoder::new(BufWriter::new(file), LEVEL).context("start zstd")?;
        Ok(Self { output, pending: Vec::with_capacity(2 * GATHER) })
    }

    /// The next `length` bytes of the tar are this file's content.
    pub(super) fn content(&mut self, path: &[u8], generation: u32, length: u64) -> Result<()> {
        self.flush_raw()?;
        let mut record = vec![CONTENT];
        put_place(&mut record, path, generation);
        put(&mut record, length);
        self.write(&record)
    }

    /// The next bytes of the tar are these pieces of a file.
    pub(super) fn sparse(&mut self, path: &[u8], generation: u32, pieces: &[(u64, u64)]) -> Result<()> {
        self.flush_raw()?;
        let mut record = vec![SPARSE];
        put_place(&mut record, path, generation);
        put(&mut record, pieces.len() as u64);
        for &(offset, length) in pieces {
            put(&mut record, offset);
            put(&mut record, length);
        }
        self.write(&record)
    }

    /// The tar has ended.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.flush_raw()?;
        self.write(&[END])?;
        self.output.do_finish().context(WRITE)?;
        self.output.get_mut().flush().context(WRITE)
    }

    fn flush_raw(&mut self) -> Result<()> {
        self.put_raw().context(WRITE)
    }

    fn put_raw(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut head = vec![RAW];
        put(&mut head, self.pending.len() as u64);
        self.output.write_all(&head)?;
        self.output.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.output.write_all(bytes).context(WRITE)
    }
}

impl Tap for RecipeWriter {
    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= GATHER { self.put_raw() } else { Ok(()) }
    }
}

fn put(record: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        record.push(number as u8 | 0x80);
        number >>= 7;
    }
    record.push(number as u8);
}

fn put_place(record: &mut Vec<u8>, path: &[u8], generation: u32) {
    put(record, path.len() as u64);
    record.extend_from_slice(path);
    put(record, generation.into());
}

/// Where a content lies: the n-th file that the tar put at this path.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: Vec<u8>,
    pub(super) generation: u32,
}

/// One step of putting a tar together.
#[derive(Debug)]
pub(super) enum Step {
    Raw(Vec<u8>),
    Content(Place, u64),
    Sparse(Place, Vec<(u64, u64)>),
}

/// Reads a recipe.
pub(super) struct RecipeReader {
    input: BufReader<zstd::Decoder<'static, BufReader<File>>>,
}

impl RecipeReader {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).at("open", path)?;
        let decoder = zstd::Decoder::new(file).context("start zstd")?;
        Ok(Self { input: BufReader::with_capacity(GATHER, decoder) })
    }

    /// The next step; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<Step>> {
        self.step().map_err(|error| Error::Damaged(format!("tar recipe: {error}")))
    }

    fn step(&mut self) -> io::Result<Option<Step>> {
        Ok(Some(match self.byte()? {
            RAW => {
                let length = self.number()?;
                Step::Raw(self.bytes(length, 2 * GATHER.max(1 << 20) as u64)?)
            }
            CONTENT => Step::Content(self.place()?, self.number()?),
            SPARSE => {
                let place = self.place()?;
                let count = self.number()?;
                let pieces = (0..count).map(|_| Ok((self.number()?, self.number()?)));
                Step::Sparse(place, pieces.collect::<io::Result<_>>()?)
            }
            END => return Ok(None),
            tag => return Err(io::Error::other(format!("unknown record {tag}"))),
        }))
    }

    fn place(&mut self) -> io::Result<Place> {
        let length = self.number()?;
        let path = self.bytes(length, MAX_PATH as u64)?;
        let generation = u32::try_from(self.number()?).map_err(io::Error::other)?;
        Ok(Place { path, generation })
    }

    fn bytes(&mut self, length: u64, limit: u64) -> io::Result<Vec<u8>> {
        if length > limit {
            return Err(io::Error::other(format!("a record of {length} bytes")));
        }
        let mut bytes = vec![0; length as usize];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.input.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(io::Error::other("a number without end"))
    }
}
