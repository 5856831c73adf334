//! gzip of a rotated log, in a process of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::file::with_suffix;

/// First argument of the shim's program when it only compresses the file that is its second.
pub const COMPRESS_VERB: &str = "compress-log";

/// Write `path.gz` and remove `path`.
///
/// # Errors
/// A file can't be read or written; `path` then stays as it is.
pub fn compress(path: &Path) -> io::Result<()> {
    let (target, unfinished) = (with_suffix(path, ".gz"), with_suffix(path, ".gz.tmp"));
    let written = write(path, &unfinished).and_then(|()| std::fs::rename(&unfinished, &target));
    match written {
        Ok(()) => std::fs::remove_file(path),
        Err(e) => {
            // the first error counts
            let _ = std::fs::remove_file(&unfinished);
            Err(e)
        }
    }
}

fn write(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = BufReader::new(File::open(from)?);
    let target = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(to)?;
    let mut encoder = GzEncoder::new(target, Compression::default());
    io::copy(&mut source, &mut encoder)?;
    encoder.finish()?.sync_data()
}
