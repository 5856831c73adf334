//! Finding the last N entries without reading what lies before them.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use super::Format;
use super::chunks::Chunks;
use super::files::LogFile;
use crate::log::local::{LENGTH, MAX_MESSAGE};

/// Bytes looked at in one step backwards.
const BLOCK: usize = 64 * 1024;

/// Set each file's start so that only the last `wanted` entries are read; files before them are dropped.
pub(super) fn skip(files: &mut Vec<LogFile>, format: Format, wanted: Option<u64>) -> io::Result<()> {
    let Some(mut missing) = wanted else { return Ok(()) };
    let mut first = files.len();
    while first > 0 && missing > 0 {
        first -= 1;
        let file = &mut files[first];
        let (start, found) = match (file.as_plain(), format) {
            (Some(plain), Format::Json) => json_start(plain, missing)?,
            (Some(plain), Format::Local) => local_start(plain, missing)?,
            (None, _) => compressed_start(file, format, missing)?,
        };
        file.start = start;
        missing -= found;
    }
    if wanted == Some(0) {
        // the current file is kept, to go on from its end
        first = files.len().saturating_sub(1);
        if let Some(file) = files.last_mut() {
            file.start = file.as_plain().map_or(Ok(0), |plain| plain.metadata().map(|meta| meta.len()))?;
        }
    }
    files.drain(..first);
    Ok(())
}

/// Where the last `missing` lines begin, and how many there are.
fn json_start(file: &File, missing: u64) -> io::Result<(u64, u64)> {
    let mut found = 0;
    let mut at = file.metadata()?.len();
    // a last line without its end does not count
    let mut ended = false;
    let mut block = vec![0; BLOCK];
    while at > 0 {
        let length = at.min(BLOCK as u64);
        at -= length;
        let part = &mut block[..length as usize];
        file.read_exact_at(part, at)?;
        for i in memchr::memrchr_iter(b'\n', part) {
            if ended {
                found += 1;
            }
            if found == missing {
                return Ok((at + i as u64 + 1, found));
            }
            ended = true;
        }
    }
    Ok((0, found + u64::from(ended)))
}

/// The same over messages, whose length stands behind them as well.
fn local_start(file: &File, missing: u64) -> io::Result<(u64, u64)> {
    let mut at = super::sound_length(file)?;
    let mut found = 0;
    // What is left of a damaged file may be shorter than a length.
    while at >= LENGTH as u64 && found < missing {
        let mut length = [0; LENGTH];
        file.read_exact_at(&mut length, at - LENGTH as u64)?;
        let length = u32::from_be_bytes(length) as usize;
        let total = (length + 2 * LENGTH) as u64;
        if length > MAX_MESSAGE || total > at {
            break;
        }
        at -= total;
        found += 1;
    }
    Ok((at, found))
}

/// A compressed file is read through twice: to count, and to the first wanted entry.
fn compressed_start(file: &mut LogFile, format: Format, missing: u64) -> io::Result<(u64, u64)> {
    let total = count(file, format, u64::MAX)?.1;
    let unwanted = total.saturating_sub(missing);
    let start = if unwanted == 0 { 0 } else { count(file, format, unwanted)?.0 };
    Ok((start, total - unwanted))
}

/// Read up to `limit` entries: where they end, and how many there are.
fn count(file: &mut LogFile, format: Format, limit: u64) -> io::Result<(u64, u64)> {
    let mut chunks = Chunks::new(file.reopened()?, format);
    let mut entries = 0;
    // breaking off is what the limit means
    let _ = chunks.read_on(&mut |_| {
        entries += 1;
        if entries == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok((chunks.offset(), entries))
}
