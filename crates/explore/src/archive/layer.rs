//! One member of the archive: what it is, by its first bytes, and a layer's headers as a listing.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use tarball::{NoTap, TarStream};

use super::read_error;
use crate::limits::Limits;
use crate::listing::{Entry, Facts, Listing, Used};
use crate::tree::Kind;
use crate::{Error, Result};

/// The most of a window that a zstd frame may ask for, as a power of two: 128 MiB, zstd's own default.
const MAX_WINDOW: u32 = 27;
/// Bytes that are read ahead of what was inflated.
const BUFFER: usize = 128 << 10;

const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// A stream, and what it begins with.
pub(super) struct Opened<R> {
    form: Form,
    stream: Chain<Cursor<Vec<u8>>, R>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Tar,
    Gzip,
    Zstd,
    Other,
}

/// Looks at the first block.
pub(super) fn opened<R: BufRead>(mut input: R) -> Result<Opened<R>> {
    let mut head = Vec::new();
    input
        .by_ref()
        .take(tarball::BLOCK as u64)
        .read_to_end(&mut head)
        .map_err(|error| read_error("the archive", error))?;
    let form = match head.as_slice() {
        bytes if bytes.starts_with(GZIP) => Form::Gzip,
        bytes if bytes.starts_with(ZSTD) => Form::Zstd,
        bytes if tarball::is_tar_start(bytes) => Form::Tar,
        _ => Form::Other,
    };
    Ok(Opened { form, stream: Cursor::new(head).chain(input) })
}

impl<'a, R: BufRead + 'a> Opened<R> {
    /// A tar, or something compressed, which in a saved image is one.
    pub(super) fn is_layer(&self) -> bool {
        self.form != Form::Other
    }

    /// The tar in it.
    pub(super) fn into_reader(self, what: &str) -> Result<Box<dyn BufRead + 'a>> {
        Ok(match self.form {
            Form::Gzip => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(self.stream))),
            Form::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(self.stream)
                    .map_err(|error| Error::Archive(format!("{what}: {error}")))?;
                decoder
                    .window_log_max(MAX_WINDOW)
                    .map_err(|error| Error::Archive(format!("{what}: {error}")))?;
                Box::new(BufReader::with_capacity(BUFFER, decoder))
            }
            Form::Tar | Form::Other => Box::new(self.stream),
        })
    }

    /// All of it, as it is; its size was judged before.
    pub(super) fn into_bytes(mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        self.stream.read_to_end(bytes).map(drop)
    }
}

/// The headers of a layer's tar.
pub(super) fn list(input: impl BufRead, what: &str, limits: &Limits, used: &mut Used) -> Result<Listing> {
    let tar_limits =
        tarball::Limits { entries: limits.entries, bytes: limits.layer, ..tarball::Limits::default() };
    let mut stream = TarStream::new(input, NoTap, tar_limits, what);
    let mut listing = Listing::default();
    while let Some(entry) = stream.next()? {
        let path = tarball::clean(&entry.name)?;
        let hard = entry.kind == tarball::Kind::HardLink;
        let link = if hard { tarball::clean(&entry.link)? } else { entry.link.clone() };
        let content = hash_payload(&mut stream)?;
        if stream.bytes_read() > limits.layer {
            return Err(Error::Limit { what: "bytes of a layer", limit: limits.layer });
        }
        let mut extra = DefaultHasher::new();
        (&entry.xattrs, entry.major, entry.minor).hash(&mut extra);
        let facts = Facts {
            kind: kind(entry.kind),
            hard,
            mode: (entry.mode & 0o7777) as u16,
            uid: entry.uid,
            gid: entry.gid,
            // what the tar stores: a sparse file's holes take no room in a layer
            size: entry.payload,
            content,
            extra: extra.finish(),
        };
        listing.push(Entry { path: &path, link: &link, facts }, limits, used)?;
    }
    Ok(listing.shrink())
}

/// Tells contents apart; nobody gains by a collision but a wrong "changed".
fn hash_payload<R: BufRead>(stream: &mut TarStream<R, NoTap>) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    loop {
        let bytes = stream.payload()?;
        let count = bytes.len();
        if count == 0 {
            return Ok(hasher.finish());
        }
        hasher.write(bytes);
        stream.consume(count);
    }
}

fn kind(kind: tarball::Kind) -> Kind {
    match kind {
        tarball::Kind::Regular | tarball::Kind::HardLink => Kind::File,
        tarball::Kind::Directory => Kind::Directory,
        tarball::Kind::Symlink => Kind::Symlink,
        tarball::Kind::Char => Kind::Char,
        tarball::Kind::Block => Kind::Block,
        tarball::Kind::Fifo => Kind::Fifo,
    }
}
