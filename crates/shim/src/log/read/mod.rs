//! Reading a log back: from any line, across rotated files, and on while it grows.

mod chunks;
mod files;
mod follow;
mod tail;

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use jiff::Timestamp;

use super::entry::Entry;
use super::error::LogError;
use super::local::LENGTH;
use crate::protocol::LogRequest;
use chunks::Chunks;
use files::LogFile;
pub use follow::Stopper;

/// Which entries are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadOptions {
    /// Only entries of this time or later.
    pub since: Option<Timestamp>,
    /// Only entries of this time or earlier; reading ends at the first later one.
    pub until: Option<Timestamp>,
    /// Only this many of the last entries (counted before the two above are applied).
    pub tail: Option<u64>,
    /// Go on while the log grows, until the [`Stopper`] says otherwise.
    pub follow: bool,
}

/// How a log file is cut into entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Lines of JSON.
    Json,
    /// Framed messages.
    Local,
}

/// Takes entries. A closure is one that does not mind when the reader waits.
pub trait Receive {
    /// The next entry; breaking off ends the reading.
    fn entry(&mut self, entry: Entry) -> ControlFlow<()>;

    /// There are no more for now, and the reader is about to wait; breaking off ends the reading.
    fn idle(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl<F: FnMut(Entry) -> ControlFlow<()>> Receive for F {
    fn entry(&mut self, entry: Entry) -> ControlFlow<()> {
        self(entry)
    }
}

/// Give each wanted entry, the oldest first, until `give` breaks off. Blocks (on the disk, and with `follow`
/// on the log itself). Damaged entries are left out.
///
/// # Errors
/// The driver keeps nothing, or a file can't be read.
pub fn read(
    log: &LogRequest,
    options: &ReadOptions,
    stopper: Option<&Stopper>,
    give: &mut dyn Receive,
) -> Result<(), LogError> {
    let format = match log.driver.as_str() {
        "json-file" => Format::Json,
        "local" => Format::Local,
        _ => return Err(LogError::NotReadable),
    };
    let failed = || LogError::file("read log", &log.path);
    let watch = match stopper.filter(|_| options.follow) {
        // watched before it is opened: nothing is missed in between
        Some(stopper) => Some(follow::Watch::new(&log.path, stopper).map_err(failed())?),
        None => None,
    };
    let mut filter = Filter { options, give, newest: None };
    let mut files = files::open_all(&log.path).map_err(failed())?;
    tail::skip(&mut files, format, options.tail).map_err(failed())?;
    let Some(current) = read_files(files, format, &mut filter).map_err(failed())? else { return Ok(()) };
    match watch {
        Some(watch) => watch.follow(&log.path, current, format, &mut filter).map_err(failed()),
        None => Ok(()),
    }
}

/// Read every file to its end; the last one, unless the reader has had enough.
fn read_files(files: Vec<LogFile>, format: Format, filter: &mut Filter<'_>) -> io::Result<Option<Chunks>> {
    let mut last = None;
    for file in files {
        let mut chunks = Chunks::new(file, format);
        if chunks.read_on(&mut |entry| filter.offer(entry))?.is_break() {
            return Ok(None);
        }
        last = Some(chunks);
    }
    Ok(Some(last.unwrap_or_else(|| Chunks::absent(format))))
}

/// Applies `since` and `until`.
struct Filter<'a> {
    options: &'a ReadOptions,
    give: &'a mut dyn Receive,
    newest: Option<Timestamp>,
}

impl Filter<'_> {
    fn offer(&mut self, entry: Entry) -> ControlFlow<()> {
        self.newest = Some(entry.time);
        if self.options.since.is_some_and(|since| entry.time < since) {
            return ControlFlow::Continue(());
        }
        if self.options.until.is_some_and(|until| entry.time > until) {
            return ControlFlow::Break(());
        }
        self.give.entry(entry)
    }
}

/// How much of a `local` file, from its start, is whole messages.
pub(super) fn sound_length(file: &File) -> io::Result<u64> {
    if ends_soundly(file)? {
        return Ok(file.metadata()?.len());
    }
    let mut chunks = Chunks::new(LogFile::plain(file.try_clone()?)?, Format::Local);
    // every entry is passed over
    let _ = chunks.read_on(&mut |_| ControlFlow::Continue(()))?;
    Ok(chunks.offset())
}

/// Whether the last message's two lengths agree: then nothing was cut short.
fn ends_soundly(file: &File) -> io::Result<bool> {
    let size = file.metadata()?.len();
    let (mut head, mut tail) = ([0; LENGTH], [0; LENGTH]);
    let Some(at) = size.checked_sub(LENGTH as u64) else { return Ok(size == 0) };
    file.read_exact_at(&mut tail, at)?;
    let length = u32::from_be_bytes(tail);
    let Some(at) = at.checked_sub(u64::from(length) + LENGTH as u64) else { return Ok(false) };
    file.read_exact_at(&mut head, at)?;
    Ok(length > 0 && head == tail)
}

#[cfg(test)]
mod tests;
