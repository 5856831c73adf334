//! Putting a layer's tar together again.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use super::recipe::{Place, RecipeReader, Step};
use super::tree::shadow_name;
use crate::error::Context;
use crate::load::{ChunkOutput, ChunkWriter};
use crate::{Error, Result, layout};
use tarball::show;

/// Bytes of a content read at once.
const CHUNK: usize = 256 << 10;

/// Sends the exact tar of the layer in `dir` through `writer`. The reader checks its digest.
pub(crate) fn assemble(dir: &Path, writer: ChunkWriter) -> Result<()> {
    let mut output = ChunkOutput::new(&writer);
    match assemble_into(dir, &mut output) {
        // Nobody reads any more: the reader knows why.
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
        written => written?,
    }
    output.flush_last();
    drop(output);
    writer.end();
    Ok(())
}

/// Writes the exact tar of the layer in `dir`. Whoever takes it checks its digest.
pub(crate) fn assemble_into(dir: &Path, output: &mut dyn Write) -> Result<()> {
    let open = |name: &str| {
        let path = dir.join(name);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, &path, flags, Mode::empty()).at("open", &path)
    };
    let shadow = dir.join(layout::layer::SHADOW);
    let source = Source {
        diff: open(layout::layer::DIFF)?,
        shadow: if shadow.exists() { Some(open(layout::layer::SHADOW)?) } else { None },
    };
    let mut recipe = RecipeReader::open(&dir.join(layout::layer::RECIPE))?;
    let mut buffer = vec![0; CHUNK];
    while let Some(step) = recipe.next()? {
        match step {
            Step::Raw(bytes) => output.write_all(&bytes).context("write the tar")?,
            Step::Content(place, length) => {
                let mut file = source.open(&place)?;
                copy(&mut file, length, &mut buffer, output, &place)?;
            }
            Step::Sparse(place, pieces) => {
                let file = source.open(&place)?;
                for (offset, length) in pieces {
                    copy(&mut At(&file, offset), length, &mut buffer, output, &place)?;
                }
            }
        }
    }
    Ok(())
}

struct Source {
    diff: OwnedFd,
    shadow: Option<OwnedFd>,
}

impl Source {
    fn open(&self, place: &Place) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        if let Some(shadow) = &self.shadow {
            let name = shadow_name(&place.path, place.generation);
            if let Ok(file) = rustix::fs::openat(shadow, &name, flags, Mode::empty()) {
                return Ok(file.into());
            }
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        rustix::fs::openat2(&self.diff, &place.path[..], flags, Mode::empty(), resolve)
            .map(File::from)
            .map_err(|error| Error::Damaged(format!("layer file {:?}: {error}", show(&place.path))))
    }
}

struct At<'a>(&'a File, u64);

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.read_at(buffer, self.1)?;
        self.1 += count as u64;
        Ok(count)
    }
}

fn copy(
    input: &mut dyn Read,
    length: u64,
    buffer: &mut [u8],
    output: &mut dyn Write,
    place: &Place,
) -> Result<()> {
    let mut left = length;
    while left > 0 {
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = input.read(&mut buffer[..want]).context(&format!("read {:?}", show(&place.path)))?;
        if count == 0 {
            return Err(Error::Damaged(format!("layer file {:?} is shorter than it was", show(&place.path))));
        }
        output.write_all(&buffer[..count]).context("write the tar")?;
        left -= count as u64;
    }
    Ok(())
}
