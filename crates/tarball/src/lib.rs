//! Tar as a stream of entries, and trees of files packed into it and unpacked from it by descriptor. The field
//! layout comes from the `tar` crate; what a value may be is decided here, the way Go's `archive/tar` (and so
//! Docker) decides it. Knows nothing of images.

mod content;
mod entry;
mod error;
mod extract;
mod header;
mod limits;
mod pack;
mod path;
mod pax;
mod sparse;
mod stream;
mod times;
mod write;

pub use content::{write as write_content, write_with as write_content_with};
pub use entry::{Entry, Kind, Time};
pub use error::{Error, Result};
pub use extract::{Extract, Owner, Through, extract, is_reserved};
pub use limits::{Limits, MAX_DEPTH, MAX_PATH};
pub use pack::{Packer, Xattrs, listed, names};
pub use path::{clean, show, split};
pub use stream::{NoTap, Tap, TarStream, is_tar_start};
pub use times::clamp_times;
pub use write::TarWriter;

/// Bytes of a block.
pub const BLOCK: usize = 512;

/// Bytes that fill up the last block of `size` bytes.
#[must_use]
pub fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}
