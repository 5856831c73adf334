//! An entrance for the tests that feed hostile bytes (`tests/fuzz`), to what nobody else outside of this crate may call.

use std::io::BufReader;
use std::path::Path;

use crate::Result;
use crate::disk::Umask;
use crate::layer::unpack;
use crate::limits::Limits;

/// Unpacks a layer, compressed or not, into a directory that exists; the tree becomes `diff` there.
///
/// # Errors
/// What is wrong with the layer.
pub fn layer(bytes: &[u8], dir: &Path, most: u64) -> Result<()> {
    let tar = tarball::Limits { bytes: most, ..tarball::Limits::default() };
    let limits = Limits { tar, ..Limits::default() };
    unpack(BufReader::new(crate::decompressed(bytes)?), dir, limits, Umask(0o022)).map(drop)
}
