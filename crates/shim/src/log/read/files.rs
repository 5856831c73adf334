//! The files of one log, opened from the newest to the oldest so that a rotation meanwhile loses nothing.

use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;

use super::Format;
use super::chunks::Chunks;
use crate::log::file::{rotated, with_suffix};

/// Rotated files looked for at most.
const MAX_FILES: u32 = 1000;

/// How often the files are looked at again because a rotation came in between.
const ATTEMPTS: u32 = 100;

/// One file of a log.
#[derive(Debug)]
pub(super) struct LogFile {
    source: Source,
    pub(super) inode: (u64, u64),
    /// Entries are read from here.
    pub(super) start: u64,
}

#[derive(Debug)]
enum Source {
    Plain(File),
    Gzip { file: File, decoder: Box<MultiGzDecoder<File>>, at: u64 },
}

impl LogFile {
    /// A file that is not compressed.
    pub(super) fn plain(file: File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self { source: Source::Plain(file), inode: (meta.dev(), meta.ino()), start: 0 })
    }

    fn gzip(file: File) -> io::Result<Self> {
        let meta = file.metadata()?;
        let decoder = Box::new(MultiGzDecoder::new(file.try_clone()?));
        let source = Source::Gzip { file, decoder, at: 0 };
        Ok(Self { source, inode: (meta.dev(), meta.ino()), start: 0 })
    }

    /// The open file, unless it is compressed.
    pub(super) fn as_plain(&self) -> Option<&File> {
        match &self.source {
            Source::Plain(file) => Some(file),
            Source::Gzip { .. } => None,
        }
    }

    /// The same file once more, to be read from its beginning.
    pub(super) fn reopened(&self) -> io::Result<Self> {
        let path = match &self.source {
            Source::Plain(file) | Source::Gzip { file, .. } => file.as_raw_fd(),
        };
        // a descriptor of its own has an offset of its own
        let file = File::open(format!("/proc/self/fd/{path}"))?;
        if self.as_plain().is_some() { Self::plain(file) } else { Self::gzip(file) }
    }

    /// Whether its first entry is later than `time`.
    pub(super) fn begins_after(&mut self, time: Timestamp, format: Format) -> io::Result<bool> {
        let mut first = None;
        // only the first is asked for
        let _ = Chunks::new(self.reopened()?, format).read_on(&mut |entry| {
            first = Some(entry.time);
            ControlFlow::Break(())
        })?;
        Ok(first.is_some_and(|first| first > time))
    }

    /// Read at an offset into the (uncompressed) content. A compressed file is read forwards, and from its
    /// beginning again when `offset` lies before what was read last.
    pub(super) fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match &mut self.source {
            Source::Plain(file) => file.read_at(buffer, offset),
            Source::Gzip { file, decoder, at } => {
                if offset < *at {
                    rustix::fs::seek(&*file, rustix::fs::SeekFrom::Start(0))?;
                    **decoder = MultiGzDecoder::new(file.try_clone()?);
                    *at = 0;
                }
                let skip = offset - *at;
                *at += io::copy(&mut decoder.by_ref().take(skip), &mut io::sink())?;
                let n = decoder.read(buffer)?;
                *at += n as u64;
                Ok(n)
            }
        }
    }
}

/// Every file of the log at `path`, the oldest first; none when there is no log yet.
pub(super) fn open_all(path: &Path) -> io::Result<Vec<LogFile>> {
    for _ in 0..ATTEMPTS {
        let before = inode(path)?;
        let (files, whole) = open_present(path)?;
        // a rotation meanwhile would have shown some files twice and others not at all
        if whole
            && before.is_some()
            && before == inode(path)?
            && files.last().map(|file| file.inode) == before
        {
            return Ok(files);
        }
    }
    // no log yet, or a rotation that a killed shim has left unfinished
    Ok(open_present(path)?.0)
}

/// Device and inode of the current file.
fn inode(path: &Path) -> io::Result<Option<(u64, u64)>> {
    match std::fs::metadata(path) {
        Ok(meta) => Ok(Some((meta.dev(), meta.ino()))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// The files that are there now, the oldest first, and whether their numbers have no gap.
fn open_present(path: &Path) -> io::Result<(Vec<LogFile>, bool)> {
    let mut files: Vec<LogFile> = Vec::new();
    let (mut gap, mut whole) = (false, true);
    for n in 0..MAX_FILES {
        let Some(file) = open(&rotated(path, n), n > 0)? else {
            if std::mem::replace(&mut gap, true) {
                break;
            }
            continue;
        };
        whole &= !gap;
        gap = false;
        if files.iter().all(|seen| seen.inode != file.inode) {
            files.push(file);
        }
    }
    files.reverse();
    Ok((files, whole))
}

fn open(path: &Path, may_be_compressed: bool) -> io::Result<Option<LogFile>> {
    if let Some(file) = open_existing(path)? {
        return LogFile::plain(file).map(Some);
    }
    if !may_be_compressed {
        return Ok(None);
    }
    if let Some(file) = open_existing(&with_suffix(path, ".gz"))? {
        return LogFile::gzip(file).map(Some);
    }
    Ok(None)
}

fn open_existing(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}
