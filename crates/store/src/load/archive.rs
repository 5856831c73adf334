//! The outer archive: sorts its files into documents and layers.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;

use oci::Digest;
use oci::manifest::MAX_DOCUMENT;
use sha2::{Digest as _, Sha256};

use super::chunks::CHUNK;
use super::job::{Fresh, Job};
use super::publish::{Claim, Publisher};
use crate::codec::{self, Compression};
use crate::disk::TmpDir;
use crate::error::Context;
use crate::image::Progress;
use crate::store::Inner;
use crate::{Error, Result};
use tarball::{Entry, Kind, NoTap, TarStream, clean, is_tar_start, show, split};

/// Bytes that tell how something is compressed, and whether it is a tar.
const START: usize = 512;
/// Links that may lead from one layer's name to another's.
const MAX_ALIASES: usize = 16;
/// Bytes of a layer between two pieces of news.
const NEWS: u64 = 4 << 20;

/// A layer of the archive.
#[derive(Debug)]
pub(super) enum LayerBlob {
    /// Unpacked below `tmp/`.
    Fresh(Box<Fresh>),
    /// The store has it; there is a lease on it.
    Known,
    /// Another load is unpacking the same blob: kept as it came, in case that one fails.
    Spooled(TmpDir, PathBuf),
    /// It can't be unpacked, which matters only when an image wants it.
    Failed(Error),
}

/// What an archive holds, by cleaned names.
#[derive(Debug, Default)]
pub(super) struct Contents {
    documents: HashMap<String, Vec<u8>>,
    aliases: HashMap<String, String>,
    pub(super) layers: HashMap<String, (Digest, LayerBlob)>,
    document_bytes: u64,
}

impl Contents {
    /// The document of this name.
    pub(super) fn document(&self, name: &str) -> Option<&[u8]> {
        self.documents.get(self.real_name(name)).map(Vec::as_slice)
    }

    /// The document of this digest, which was checked while it was read.
    pub(super) fn blob(&self, digest: &Digest) -> Option<&[u8]> {
        self.document(&blob_name(digest))
    }

    /// Follows links from one name to another.
    pub(super) fn real_name<'a>(&'a self, name: &'a str) -> &'a str {
        let mut name = name;
        for _ in 0..MAX_ALIASES {
            match self.aliases.get(name) {
                Some(target) => name = target,
                None => break,
            }
        }
        name
    }
}

/// The name of a blob in an OCI layout.
pub(super) fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex())
}

/// The digest that a name promises.
fn promised(name: &str) -> Option<Digest> {
    Digest::from_sha256_hex(name.strip_prefix("blobs/sha256/")?).ok()
}

/// Reads the whole archive.
pub(super) fn read<'a>(
    inner: &'a Inner,
    input: &mut (dyn Read + Send),
    publisher: &mut Publisher<'a>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Contents> {
    let (start, input) = codec::peek(input, START).context("read the archive")?;
    let compression = codec::detect(&start);
    let decoded = codec::decoder(compression, BufReader::with_capacity(CHUNK, input))?;
    let input = BufReader::with_capacity(32 << 10, decoded);
    let stream = TarStream::new(input, NoTap, inner.limits.tar, "archive");
    let mut reader = Reader { inner, publisher, progress, stream, contents: Contents::default() };
    while let Some(entry) = reader.stream.next()? {
        reader.entry(&entry)?;
    }
    Ok(reader.contents)
}

struct Reader<'a, 'b, R> {
    inner: &'a Inner,
    publisher: &'b mut Publisher<'a>,
    progress: &'b (dyn Fn(Progress) + Sync),
    stream: TarStream<R, NoTap>,
    contents: Contents,
}

impl<R: BufRead> Reader<'_, '_, R> {
    fn entry(&mut self, entry: &Entry) -> Result<()> {
        let name = text(clean(&entry.name)?)?;
        match entry.kind {
            Kind::Regular if entry.sparse.is_none() => self.file(name, entry.payload),
            Kind::Symlink => {
                let (up, _) = split(name.as_bytes());
                let target = text(clean(&[up, b"/", &entry.link].concat())?)?;
                self.contents.aliases.insert(name, target);
                Ok(())
            }
            Kind::HardLink => {
                let target = text(clean(&entry.link)?)?;
                self.contents.aliases.insert(name, target);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn file(&mut self, name: String, size: u64) -> Result<()> {
        if self.contents.layers.contains_key(&name) {
            return Ok(());
        }
        let mut first = vec![0; CHUNK];
        let filled = self.stream.read_payload(&mut first)?;
        let start = &first[..filled];
        let compression = codec::detect(start);
        if compression != Compression::None || is_tar_start(start) {
            let layer = self.layer(&name, size, compression, first, filled)?;
            self.contents.layers.insert(name, layer);
            return Ok(());
        }
        if size <= MAX_DOCUMENT {
            return self.document(name, size, first, filled);
        }
        let mut sum = Sha256::new_with_prefix(start);
        self.drain(&mut sum)?;
        check(&name, Digest::from_sha256(sum.finalize().into())).map(drop)
    }

    fn document(&mut self, name: String, size: u64, mut bytes: Vec<u8>, filled: usize) -> Result<()> {
        self.contents.document_bytes += size;
        let limit = self.inner.limits.document_bytes;
        if self.contents.document_bytes > limit {
            return Err(Error::Limit { what: "size of all documents of the archive".into(), limit });
        }
        bytes.resize(size as usize, 0);
        bytes.shrink_to_fit();
        self.stream.read_payload(&mut bytes[filled..])?;
        check(&name, Digest::sha256(&bytes))?;
        self.contents.documents.insert(name, bytes);
        Ok(())
    }

    fn layer(
        &mut self,
        name: &str,
        size: u64,
        compression: Compression,
        first: Vec<u8>,
        filled: usize,
    ) -> Result<(Digest, LayerBlob)> {
        let mut sum = Sha256::new_with_prefix(&first[..filled]);
        let claim = promised(name).map_or(Claim::Ours, |digest| self.publisher.claim(&digest));
        let blob = match claim {
            Claim::Known => {
                self.drain(&mut sum)?;
                LayerBlob::Known
            }
            Claim::Theirs => self.spool(&mut sum, &first[..filled])?,
            Claim::Ours => match self.unpack(name, size, compression, first, filled, &mut sum)? {
                Ok(fresh) => LayerBlob::Fresh(Box::new(fresh)),
                Err(error @ (Error::NoSpace(_) | Error::Io { .. })) => return Err(error),
                Err(error) => return Ok((Digest::sha256(b""), LayerBlob::Failed(error))),
            },
        };
        Ok((check(name, Digest::from_sha256(sum.finalize().into()))?, blob))
    }

    /// The outer result is about the archive, the inner one about this layer.
    fn unpack(
        &mut self,
        name: &str,
        size: u64,
        compression: Compression,
        first: Vec<u8>,
        filled: usize,
        sum: &mut Sha256,
    ) -> Result<Result<Fresh>> {
        let dir = TmpDir::new(&self.inner.layout)?;
        let job = Job::start(compression, dir, self.inner.limits, self.inner.umask)?;
        let short = short(name);
        let (mut current, mut told) = (filled as u64, 0);
        let mut wanted = job.send(first, filled);
        while wanted && current < size {
            let mut chunk = job.buffer();
            let filled = match self.stream.read_payload(&mut chunk) {
                Ok(filled) => filled,
                Err(error) => {
                    job.abort();
                    return Err(error.into());
                }
            };
            sum.update(&chunk[..filled]);
            current += filled as u64;
            wanted = job.send(chunk, filled);
            if current - told >= NEWS {
                told = current;
                (self.progress)(Progress::Layer { id: short.clone(), current, total: size });
            }
        }
        let done = job.finish();
        (self.progress)(Progress::Layer { id: short, current, total: size });
        Ok(done)
    }

    fn spool(&mut self, sum: &mut Sha256, first: &[u8]) -> Result<LayerBlob> {
        let dir = TmpDir::new(&self.inner.layout)?;
        let path = dir.path().join("blob");
        let mut file = File::create_new(&path).at("create", &path)?;
        file.write_all(first).at("write", &path)?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let filled = self.stream.read_payload(&mut chunk)?;
            if filled == 0 {
                return Ok(LayerBlob::Spooled(dir, path));
            }
            sum.update(&chunk[..filled]);
            file.write_all(&chunk[..filled]).at("write", &path)?;
        }
    }

    fn drain(&mut self, sum: &mut Sha256) -> Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let filled = self.stream.read_payload(&mut chunk)?;
            if filled == 0 {
                return Ok(());
            }
            sum.update(&chunk[..filled]);
        }
    }
}

/// A blob must have the digest that its name promises.
fn check(name: &str, actual: Digest) -> Result<Digest> {
    match promised(name) {
        Some(expected) if expected != actual => {
            Err(Error::DigestMismatch { what: format!("file {name} of the archive"), expected, actual })
        }
        _ => Ok(actual),
    }
}

fn text(name: Vec<u8>) -> Result<String> {
    String::from_utf8(name)
        .map_err(|error| Error::Archive(format!("name {:?} is not UTF-8", show(error.as_bytes()))))
}

/// Twelve characters that name a layer for people.
fn short(name: &str) -> String {
    let part = name.strip_prefix("blobs/sha256/").unwrap_or(name);
    part.split('/').next().unwrap_or(part).chars().take(12).collect()
}
