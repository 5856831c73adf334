//! The stream of `docker save`: layers become listings as they pass, documents are kept, the rest is skipped.

mod layer;

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

use tarball::{Kind, NoTap, TarStream};

use crate::limits::Limits;
use crate::listing::{Listing, Used};
use crate::{Error, Result};

/// What was kept of an archive.
#[derive(Debug, Default)]
pub struct Archive {
    /// By their names in the archive.
    pub(crate) documents: BTreeMap<String, Vec<u8>>,
    layers: BTreeMap<String, Layer>,
    /// Members that are links to others, as older Docker writes for a layer that occurs twice.
    links: BTreeMap<String, String>,
}

/// A layer, or why it is none: that matters only when an image names it.
type Layer = std::result::Result<Listing, String>;

/// Steps of links to links.
const MAX_LINKS: usize = 8;

/// Reads the whole stream; one that is compressed is inflated on the way.
///
/// # Errors
/// What is wrong with the archive or a layer; a limit; the input's failure.
pub fn read(input: impl BufRead, limits: &Limits) -> Result<Archive> {
    let mut archive = Archive::default();
    let mut used = Used::default();
    let mut documents = 0;
    let tar_limits = tarball::Limits { entries: limits.members, ..tarball::Limits::default() };
    let input = layer::opened(input)?.into_reader("the archive")?;
    let mut stream = TarStream::new(input, NoTap, tar_limits, "the archive");
    while let Some(entry) = stream.next()? {
        let name = String::from_utf8_lossy(&tarball::clean(&entry.name)?).into_owned();
        match entry.kind {
            Kind::Symlink => {
                archive.links.insert(name.clone(), beside(&name, &entry.link)?);
            }
            Kind::HardLink => {
                let target = String::from_utf8_lossy(&tarball::clean(&entry.link)?).into_owned();
                archive.links.insert(name, target);
            }
            Kind::Regular => {
                let opened = layer::opened(Payload(&mut stream))?;
                if opened.is_layer() {
                    let what = format!("layer {name}");
                    let listed = layer::list(opened.into_reader(&what)?, &what, limits, &mut used);
                    archive.layers.insert(name, judged(listed)?);
                } else if entry.size <= limits.document {
                    documents += entry.size;
                    if documents > limits.documents {
                        return Err(Error::Limit { what: "bytes of all documents", limit: limits.documents });
                    }
                    let mut bytes = Vec::new();
                    opened.into_bytes(&mut bytes).map_err(|error| read_error(&name, error))?;
                    archive.documents.insert(name, bytes);
                }
            }
            Kind::Directory | Kind::Char | Kind::Block | Kind::Fifo => {}
        }
    }
    Ok(archive)
}

impl Archive {
    /// The name that holds the bytes, links followed.
    fn resolve<'a>(&'a self, name: &'a str) -> &'a str {
        let mut name = name;
        for _ in 0..MAX_LINKS {
            match self.links.get(name) {
                Some(target) => name = target,
                None => break,
            }
        }
        name
    }

    pub(crate) fn document(&self, name: &str) -> Option<&[u8]> {
        self.documents.get(self.resolve(name)).map(Vec::as_slice)
    }

    /// A layer by its member's name; an empty member is an empty layer.
    ///
    /// # Errors
    /// It is not in the archive, or no tar.
    pub(crate) fn layer(&self, name: &str) -> Result<&Listing> {
        const EMPTY: &Listing = &Listing::EMPTY;
        let name = self.resolve(name);
        match (self.layers.get(name), self.documents.get(name)) {
            (Some(Ok(listing)), _) => Ok(listing),
            (Some(Err(reason)), _) => Err(Error::Archive(format!("layer {name}: {reason}"))),
            (None, Some(bytes)) if bytes.is_empty() => Ok(EMPTY),
            (None, Some(_)) => {
                Err(Error::Archive(format!("layer {name} is no tar, neither plain nor by gzip or zstd")))
            }
            (None, None) => Err(Error::Archive(format!("layer {name} is missing"))),
        }
    }
}

/// What is wrong inside a layer is the layer's; limits and the input's end are everybody's.
fn judged(listed: Result<Listing>) -> Result<Layer> {
    use tarball::Error::{Archive, Entry, Truncated};
    match listed {
        Err(Error::Tar(error @ (Archive(_) | Entry { .. } | Truncated(_)))) => Ok(Err(error.to_string())),
        other => other.map(Ok),
    }
}

/// The target of a symbolic link, from the archive's root.
fn beside(name: &str, link: &[u8]) -> Result<String> {
    let (parent, _) = tarball::split(name.as_bytes());
    let target = tarball::clean(&[parent, b"/", link].concat())?;
    Ok(String::from_utf8_lossy(&target).into_owned())
}

fn read_error(name: &str, error: io::Error) -> Error {
    match error.downcast::<tarball::Error>() {
        Ok(error) => Error::Tar(error),
        Err(error) => Error::Archive(format!("{name}: {error}")),
    }
}

/// The content of the current member as a reader.
struct Payload<'a, R>(&'a mut TarStream<R, NoTap>);

impl<R: BufRead> BufRead for Payload<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.payload().map_err(io::Error::other)
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }
}

impl<R: BufRead> Read for Payload<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}
